// The words that ranks send, as kernels/host/pattern.h defines them; the two must agree bit by bit.
//
// NVRTC compiles these files without any header of the host's. tests/fakes/cuda_on_cpu.h makes C++ of them.
#pragma once

typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;

#define GOLDEN 0x9e3779b97f4a7c15ull

__device__ inline u64 mix_strongly(u64 x)
{
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
    return x ^ (x >> 31);
}

// What the patterns of all ranks in one iteration have in common.
__device__ inline u64 pattern_key(u64 seed, u64 iteration)
{
    return mix_strongly(mix_strongly(seed + GOLDEN) + iteration);
}

__device__ inline u64 pattern_base(u64 key, u64 rank)
{
    return mix_strongly(key + (rank + 1) * GOLDEN);
}

__device__ inline u64 pattern_word(u64 base, u64 index)
{
    u64 x = base + index * GOLDEN;
    x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93ull;
    return x ^ (x >> 32);
}

__device__ inline u64 own_thread()
{
    return (u64)blockIdx.x * blockDim.x + threadIdx.x;
}

__device__ inline u64 all_threads()
{
    return (u64)gridDim.x * blockDim.x;
}
