// Every kernel of kernels/cuda as a C function: the number of blocks and threads, the addresses, the numbers.
#include "cuda_on_cpu.h"

#include "accumulate.cu"
#include "pattern.cu"
#include "reduction.cu"
#include "spin.cu"

#define KERNEL(name, call)                                                                                     \
    extern "C" void on_cpu_##name(unsigned blocks, unsigned threads, void *const *at, const u64 *n)            \
    {                                                                                                          \
        (void)at, (void)n;                                                                                     \
        on_threads(blocks, threads, [&] { name call; });                                                       \
    }

KERNEL(pattern_fill, ((u8 *)at[0], n[0], n[1], n[2], n[3], n[4]))
KERNEL(pattern_verify, ((const u8 *)at[0], (report *)at[1], n[0], n[1], n[2], n[3], n[4]))
KERNEL(contribution_fill, ((u8 *)at[0], n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9], n[10], n[11], n[12]))
KERNEL(reduction_verify, ((const u8 *)at[0], (report *)at[1], n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], n[8], n[9],
                          n[10], n[11], n[12]))
KERNEL(spin, ((u64 *)at[0], n[0], n[1], n[2]))

#define ACCUMULATE_KERNELS(dtype)                             \
    KERNEL(accumulate_##dtype##_sum, (at[0], at[1], n[0]))    \
    KERNEL(accumulate_##dtype##_max, (at[0], at[1], n[0]))    \
    KERNEL(accumulate_##dtype##_min, (at[0], at[1], n[0]))

ACCUMULATE_KERNELS(float32)
ACCUMULATE_KERNELS(float16)
ACCUMULATE_KERNELS(bfloat16)
ACCUMULATE_KERNELS(int32)
ACCUMULATE_KERNELS(uint8)
