// The bytes that ranks send, written and compared where they lie on the GPU.
#include "chunks.cuh"

struct pattern {
    u64 base;

    __device__ u64 word(u64 index) const { return pattern_word(base, index); }
};

extern "C" __global__ void pattern_fill(u8 *memory, u64 size_bytes, u64 seed, u64 rank, u64 iteration, u64 first_byte)
{
    fill(pattern{pattern_base(pattern_key(seed, iteration), rank)}, first_byte, memory, size_bytes);
}

extern "C" __global__ void pattern_verify(const u8 *memory, report *found, u64 size_bytes, u64 seed, u64 rank,
                                          u64 iteration, u64 first_byte)
{
    compare(pattern{pattern_base(pattern_key(seed, iteration), rank)}, first_byte, memory, size_bytes, found);
}
