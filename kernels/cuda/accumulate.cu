// One step of a ring: what came is reduced into what is there. Each result is the exact one, rounded once; but CuPy
// compiles with subnormal floats flushed to zero, which no contribution is.
//
// Where both lie alike towards 16 bytes, threads move 16 at a time, and the rest one by one.
#include "words.cuh"

template <class Stored> struct __align__(16) pack {
    Stored lanes[16 / sizeof(Stored)];
};

#ifdef __CUDACC_RTC__ // elsewhere whoever includes this says how
__device__ inline float from_float16(u16 bits)
{
    float number;
    asm("cvt.f32.f16 %0, %1;" : "=f"(number) : "h"(bits));
    return number;
}

__device__ inline u16 to_float16(float number)
{
    u16 bits;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(number));
    return bits;
}
#endif

// Types as they lie in memory, and what they are counted in.
template <class T> struct plain {
    typedef T stored;
    typedef T number;
    __device__ static T load(T value) { return value; }
    __device__ static T store(T value) { return value; }
};

struct float16 {
    typedef u16 stored;
    typedef float number;
    __device__ static float load(u16 bits) { return from_float16(bits); }
    __device__ static u16 store(float value) { return to_float16(value); }
};

struct bfloat16 {
    typedef u16 stored;
    typedef float number;
    __device__ static float load(u16 bits) { return __uint_as_float((u32)bits << 16); }
    __device__ static u16 store(float value) // to nearest, ties to even; what is no number is not rounded
    {
        const u32 bits = __float_as_uint(value);
        return (u16)(value != value ? bits >> 16 | 0x40 : (bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
};

struct op_sum {
    template <class N> __device__ static N of(N a, N b) { return a + b; }
};

struct op_max {
    template <class N> __device__ static N of(N a, N b) { return a > b ? a : b; }
};

struct op_min {
    template <class N> __device__ static N of(N a, N b) { return a < b ? a : b; }
};

template <class Type, class Op>
__device__ inline typename Type::stored reduced(typename Type::stored a, typename Type::stored b)
{
    typedef typename Type::number number;
    return Type::store(Op::of((number)Type::load(a), (number)Type::load(b)));
}

template <class Type, class Op>
__device__ void accumulate(typename Type::stored *target, const typename Type::stored *source, u64 count)
{
    typedef pack<typename Type::stored> pack;
    const u64 lanes = sizeof(pack) / sizeof(*target);
    const u64 after = (u64)target % sizeof(pack);
    u64 head = after == 0 ? 0 : (sizeof(pack) - after) / sizeof(*target), packs = 0;
    if (after == (u64)source % sizeof(pack) && head < count)
        packs = (count - head) / lanes;
    for (u64 index = own_thread(); index < packs; index += all_threads()) {
        pack *place = (pack *)(target + head) + index;
        pack there = *place;
        const pack came = ((const pack *)(source + head))[index];
        for (u64 lane = 0; lane < lanes; lane++)
            there.lanes[lane] = reduced<Type, Op>(there.lanes[lane], came.lanes[lane]);
        *place = there;
    }
    for (u64 index = own_thread(); index < count - packs * lanes; index += all_threads()) {
        const u64 at = packs == 0 || index < head ? index : index + packs * lanes;
        target[at] = reduced<Type, Op>(target[at], source[at]);
    }
}

#define ACCUMULATE(name, type, op)                                                                     \
    extern "C" __global__ void accumulate_##name##_##op(void *target, const void *source, u64 count)   \
    {                                                                                                  \
        typedef type::stored stored;                                                                   \
        accumulate<type, op_##op>((stored *)target, (const stored *)source, count);                         \
    }

#define ACCUMULATE_ALL(name, type) \
    ACCUMULATE(name, type, sum)    \
    ACCUMULATE(name, type, max)    \
    ACCUMULATE(name, type, min)

ACCUMULATE_ALL(float32, plain<float>)
ACCUMULATE_ALL(float16, float16)
ACCUMULATE_ALL(bfloat16, bfloat16)
ACCUMULATE_ALL(int32, plain<int>)
ACCUMULATE_ALL(uint8, plain<u8>)
