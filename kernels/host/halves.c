/* Reductions over float16 and bfloat16 as MPI user functions, since no MPI predefines these types under one name.
 *
 * Each result is the exact one rounded once, to nearest, ties to even. Computed in float (24 bits) and rounded again to
 * 11 or 8 bits, that holds for sums and for products of float16 (Figueroa: When is double rounding innocuous?, 1995,
 * asks for 2p + 2 bits; what is subnormal is exact in float). A product of bfloat16 may be subnormal in float itself,
 * so it is taken in double, where it is exact. A NaN on either side comes out. Plain integer code, which compilers
 * vectorise for any processor; half-precision instructions would need a build for each.
 */
#include "halves.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline float as_float(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline uint32_t as_bits(float number)
{
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    return bits;
}

enum {
    FLOAT_BIAS = 127,
    HALF_BIAS = 15,
    DROPPED_BITS = 23 - 10, /* of a float's fraction in a half's */
};

#define EXPONENT(power) ((uint32_t)(FLOAT_BIAS + (power)) << 23) /* the bits of 2.0f^power */
#define INFINITE_BITS UINT32_C(0x7f800000)
#define SIGN_BIT UINT32_C(0x80000000)
#define QUIET_BIT UINT32_C(0x00400000)

/* By mask: of a conditional expression compilers make a jump, and a loop with jumps they cannot vectorise. */
static inline uint32_t choose(int condition, uint32_t yes, uint32_t no)
{
    uint32_t mask = 0u - (uint32_t)condition;
    return (yes & mask) | (no & ~mask);
}

static inline float from_float16(uint16_t half)
{
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << DROPPED_BITS;
    uint32_t normal = magnitude + ((uint32_t)(FLOAT_BIAS - HALF_BIAS) << 23);
    /* Without a leading one: put one in front, and take it away again as a number. */
    uint32_t subnormal = as_bits(as_float(magnitude + EXPONENT(1 - HALF_BIAS)) - as_float(EXPONENT(1 - HALF_BIAS)));
    uint32_t infinite = magnitude | INFINITE_BITS; /* or not a number */
    uint32_t bits = choose((half & 0x7c00) == 0, subnormal, normal);
    bits = choose((half & 0x7c00) == 0x7c00, infinite, bits);
    return as_float(bits | (uint32_t)(half & 0x8000) << 16);
}

static inline uint16_t to_float16(float number)
{
    uint32_t bits = as_bits(number);
    uint32_t sign = bits & SIGN_BIT;
    uint32_t magnitude = bits ^ sign;
    uint32_t is_odd = magnitude >> DROPPED_BITS & 1;
    uint32_t normal = magnitude - ((uint32_t)(FLOAT_BIAS - HALF_BIAS) << 23) + 0xfff + is_odd;
    /* Adding 2^(-14 + 13) leaves, by the float unit's own rounding, just the bits that a subnormal half has. */
    uint32_t aligner = EXPONENT(1 - HALF_BIAS + DROPPED_BITS);
    uint32_t subnormal = as_bits(as_float(magnitude) + as_float(aligner)) - aligner;
    uint32_t half = choose(magnitude < EXPONENT(1 - HALF_BIAS), subnormal, normal >> DROPPED_BITS);
    half = choose(magnitude >= EXPONENT(16), 0x7c00, half); /* rounding up to 2^16 gives infinity by itself */
    half = choose(magnitude > INFINITE_BITS, 0x7e00, half);
    return (uint16_t)(half | sign >> 16);
}

static inline float from_bfloat16(uint16_t half)
{
    return as_float((uint32_t)half << 16);
}

static inline uint16_t to_bfloat16(float number)
{
    uint32_t bits = as_bits(number);
    uint32_t is_odd = bits >> 16 & 1;
    uint32_t rounded = bits + 0x7fff + is_odd;
    uint32_t quiet = bits | QUIET_BIT;
    return (uint16_t)(((bits & ~SIGN_BIT) > INFINITE_BITS ? quiet : rounded) >> 16);
}

/* An exact product in double: below float's normal range first rounded to bfloat16's last place there, 2^-133. */
static inline uint16_t bfloat16_of_product(double product)
{
    const double aligner = 0x1.8p-81; /* the last of its 53 bits is 2^-133 */
    double aligned = copysign(fabs(product) + aligner - aligner, product);
    return to_bfloat16((float)(fabs(product) < 0x1p-126 ? aligned : product));
}

#define ADDED(a, b) ((a) + (b))
#define MULTIPLIED(a, b) ((a) * (b))
#define SMALLER(a, b) ((a) < (b) || (a) != (a) ? (a) : (b))
#define LARGER(a, b) ((a) > (b) || (a) != (a) ? (a) : (b))

#define USER_REDUCTION(name, from, to, reduced)                                         \
    static void name(void *in, void *inout, int *length, void *datatype)                \
    {                                                                                   \
        (void)datatype;                                                                 \
        const uint16_t *incoming = in;                                                  \
        uint16_t *total = inout;                                                        \
        for (int index = 0; index < *length; index++)                                   \
            total[index] = to(reduced(from(incoming[index]), from(total[index])));      \
    }

USER_REDUCTION(float16_sum, from_float16, to_float16, ADDED)
USER_REDUCTION(float16_prod, from_float16, to_float16, MULTIPLIED)
USER_REDUCTION(float16_min, from_float16, to_float16, SMALLER)
USER_REDUCTION(float16_max, from_float16, to_float16, LARGER)
USER_REDUCTION(bfloat16_sum, from_bfloat16, to_bfloat16, ADDED)
USER_REDUCTION(bfloat16_prod, (double)from_bfloat16, bfloat16_of_product, MULTIPLIED)
USER_REDUCTION(bfloat16_min, from_bfloat16, to_bfloat16, SMALLER)
USER_REDUCTION(bfloat16_max, from_bfloat16, to_bfloat16, LARGER)

static const struct {
    const char *dtype;
    const char *op;
    user_reduction *function;
} reductions[] = {
    {"float16", "sum", float16_sum},    {"float16", "prod", float16_prod},    {"float16", "min", float16_min},
    {"float16", "max", float16_max},    {"bfloat16", "sum", bfloat16_sum},    {"bfloat16", "prod", bfloat16_prod},
    {"bfloat16", "min", bfloat16_min},  {"bfloat16", "max", bfloat16_max},
};

enum { REDUCTIONS = sizeof reductions / sizeof reductions[0] };

user_reduction *find_user_reduction(const char *dtype, const char *op)
{
    for (int index = 0; index < REDUCTIONS; index++)
        if (strcmp(reductions[index].dtype, dtype) == 0 && strcmp(reductions[index].op, op) == 0)
            return reductions[index].function;
    return NULL;
}

PyObject *py_user_reduction(PyObject *module, PyObject *args)
{
    (void)module;
    const char *dtype, *op;
    if (!PyArg_ParseTuple(args, "ss:user_reduction", &dtype, &op))
        return NULL;
    user_reduction *function = find_user_reduction(dtype, op);
    if (function == NULL)
        return PyErr_Format(PyExc_ValueError, "no user function for %s over %s; use the MPI library's own operator",
                            op, dtype);
    return PyLong_FromUnsignedLongLong((uintptr_t)function);
}
