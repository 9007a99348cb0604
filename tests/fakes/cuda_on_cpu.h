// What makes C++ of kernels/cuda: threads one after the other, on memory of the host.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __device__
#define __global__
#define __align__(bytes) alignas(bytes)

struct dim {
    unsigned x;
};

// Of each thread that runs a kernel: ranks of a test are threads.
static thread_local dim blockIdx, blockDim, gridDim, threadIdx;

template <class T> static T bits_of(const void *value)
{
    T bits;
    std::memcpy(&bits, value, sizeof bits);
    return bits;
}

static unsigned __float_as_uint(float value) { return bits_of<unsigned>(&value); }
static float __uint_as_float(unsigned bits) { return bits_of<float>(&bits); }
static long long __double_as_longlong(double value) { return bits_of<long long>(&value); }

static void atomicMin(unsigned long long *place, unsigned long long value) { *place = std::min(*place, value); }
static void atomicAdd(unsigned long long *place, unsigned long long value) { *place += value; }

// IEEE 754 binary16 by its definition: 10 bits of fraction, exponents from -14, steps of 2^-24 below.
static float from_float16(unsigned short bits)
{
    const int exponent = bits >> 10 & 31, fraction = bits & 1023;
    const double sign = bits >> 15 ? -1.0 : 1.0;
    if (exponent == 31)
        return float(fraction ? NAN : sign * INFINITY);
    return float(sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24)));
}

static unsigned short to_float16(float number)
{
    const unsigned short sign = std::signbit(number) ? 0x8000 : 0;
    const double size = std::fabs(number);
    if (std::isnan(number))
        return 0x7e00;
    int exponent = 0;
    std::frexp(size, &exponent);                      // size is a half to one times 2^exponent
    const int step = std::max(exponent - 11, -24);    // of the last bit
    const double steps = std::nearbyint(std::ldexp(size, -step));
    if (std::ldexp(steps, step) >= 65520)
        return sign | 0x7c00;
    return sign | (unsigned short)(steps >= 1024 ? ((step + 24) << 10) + steps : steps);
}

// Run one kernel: what `call` does, on so many threads.
template <class Call> static void on_threads(unsigned blocks, unsigned threads, Call call)
{
    gridDim.x = blocks;
    blockDim.x = threads;
    for (blockIdx.x = 0; blockIdx.x < blocks; blockIdx.x++)
        for (threadIdx.x = 0; threadIdx.x < threads; threadIdx.x++)
            call();
}
