/* What each rank adds to a reduction, and the one right result, in every type and whatever the order of reduction.
 *
 * All values are small integers, so that no sum or product on the way to the result is rounded or overflows: float16
 * counts exactly to 2^11, bfloat16 to 2^8, int8 to 127. That leaves no room for a thousand arbitrary contributions, nor
 * would anybody want to recompute a thousand for each element. Hence at most three ranks are active in a block of
 * 64 bytes, three others in the next, and so round all ranks, starting from a rank drawn for each iteration:
 *
 *            active rank               other ranks      bits
 *     sum    roll + pattern            roll             log2 of (largest - roll * ranks) / active
 *     prod   1 + pattern               1                log2 of largest, by three
 *     max    pattern                   0                log2 of largest
 *     min    pattern                   2^bits           log2 of largest
 *
 * where pattern is the element's lane of the pattern (seed, rank, iteration), cut to so many bits. The roll call is 1
 * where the type can count all ranks and has half of its range left, so that a contribution that is missing or doubled
 * shows in every element; else it is 0, and shows where that rank is active. A chunk from another place, rank or
 * iteration shows with overwhelming probability. Comparing costs three pattern words for each word, for any rank count.
 */
#include "reduce.h"
#include "pattern.h"

#include <string.h>

enum { MOST_ACTIVE = 3 }; /* the product of three factors still takes on many values in an int8 */

enum op { SUM, PROD, MAX, MIN, OPS };

static const char *const op_names[OPS] = {"sum", "prod", "max", "min"};

struct dtype {
    const char *name;
    int bytes;
    uint64_t largest; /* every integer up to here is exact */
    void (*encode)(union tile *tile, size_t size_bytes); /* integers to floats, in place */
};

static inline uint32_t float_bits(uint16_t number)
{
    union {
        float number;
        uint32_t bits;
    } value = {.number = (float)number};
    return value.bits;
}

static void encode_float16(union tile *tile, size_t size_bytes)
{
    for (size_t lane = 0; lane < size_bytes / 2; lane++) {
        /* The exponent's bias is 127 in a float and 15 in a half; up to 2^11, the fraction's last 13 bits are 0. */
        uint32_t bits = float_bits(tile->lane2[lane]);
        tile->lane2[lane] = (uint16_t)(bits == 0 ? 0 : (bits - ((127u - 15u) << 23)) >> 13);
    }
}

static void encode_bfloat16(union tile *tile, size_t size_bytes)
{
    for (size_t lane = 0; lane < size_bytes / 2; lane++)
        tile->lane2[lane] = (uint16_t)(float_bits(tile->lane2[lane]) >> 16); /* up to 2^8, the last 16 bits are 0 */
}

static void encode_float32(union tile *tile, size_t size_bytes)
{
    for (size_t lane = 0; lane < size_bytes / 4; lane++)
        tile->single[lane] = (float)(int32_t)tile->lane4[lane];
}

static void encode_float64(union tile *tile, size_t size_bytes)
{
    for (size_t lane = 0; lane < size_bytes / 8; lane++)
        tile->twice[lane] = (double)(int64_t)tile->lane8[lane];
}

static const struct dtype dtypes[] = {
    {"int8", 1, INT8_MAX, NULL},
    {"uint8", 1, UINT8_MAX, NULL},
    {"int32", 4, INT32_MAX, NULL},
    {"uint32", 4, UINT32_MAX, NULL},
    {"int64", 8, INT64_MAX, NULL},
    {"uint64", 8, UINT64_MAX, NULL},
    {"float16", 2, UINT64_C(1) << 11, encode_float16},
    {"bfloat16", 2, UINT64_C(1) << 8, encode_bfloat16},
    {"float32", 4, UINT64_C(1) << 24, encode_float32},
    {"float64", 8, UINT64_C(1) << 53, encode_float64},
};

enum { DTYPES = sizeof dtypes / sizeof dtypes[0] };

/* A reduction of one iteration over all ranks; words hold the same value in each of the type's lanes. */
struct reduction {
    const struct dtype *dtype;
    enum op op;
    uint64_t key; /* of the iteration's patterns */
    uint64_t rank; /* whose contribution; unused for the result */
    uint64_t ranks;
    uint64_t active;
    uint64_t first_active; /* in block 0 */
    uint64_t pattern_mask;
    uint64_t active_word; /* added to the masked pattern */
    uint64_t other_word; /* of a rank that is not active */
    uint64_t others_word; /* all ranks that are not active, reduced */
};

static uint64_t in_all_lanes(uint64_t value, int bytes)
{
    for (int filled = bytes; filled < WORD_BYTES; filled *= 2)
        value |= value << (8 * filled);
    return value;
}

static int floor_log2(uint64_t value)
{
    int bits = 0;
    while (value >>= 1)
        bits++;
    return bits;
}

static void choose_values(struct reduction *r)
{
    const uint64_t largest = r->dtype->largest;
    const int bytes = r->dtype->bytes;
    const uint64_t roll = r->ranks <= largest / 2;
    int bits = floor_log2(largest);
    uint64_t for_active = 0, for_other = 0, for_others = 0;
    switch (r->op) {
    case SUM:
        bits = floor_log2((largest - roll * r->ranks) / r->active);
        for_active = for_other = roll;
        for_others = roll * (r->ranks - r->active);
        break;
    case PROD:
        bits /= MOST_ACTIVE;
        for_active = for_other = for_others = 1;
        break;
    case MIN:
        for_other = for_others = UINT64_C(1) << bits;
        break;
    case MAX:
    case OPS:
        break;
    }
    r->pattern_mask = in_all_lanes((UINT64_C(1) << bits) - 1, bytes);
    r->active_word = in_all_lanes(for_active, bytes);
    r->other_word = in_all_lanes(for_other, bytes);
    r->others_word = in_all_lanes(for_others, bytes);
}

/* The first active rank of a block; the others follow it. */
static uint64_t leader_of(const struct reduction *r, uint64_t block)
{
    return (r->first_active + block % r->ranks * r->active) % r->ranks;
}

/* The rank so many places on, round the ring of ranks; at most once round. */
static uint64_t rank_after(const struct reduction *r, uint64_t rank, uint64_t places)
{
    return rank + places < r->ranks ? rank + places : rank + places - r->ranks;
}

static void write_words(uint64_t *words, size_t count, uint64_t value)
{
    for (size_t index = 0; index < count; index++)
        words[index] = value;
}

/* One block of what an active rank with this base contributes. */
static void write_active(const struct reduction *r, uint64_t base, uint64_t block, uint64_t *words)
{
    netprobe_pattern_words(base, block * BLOCK_WORDS, BLOCK_WORDS, words);
    for (int index = 0; index < BLOCK_WORDS; index++)
        words[index] = (words[index] & r->pattern_mask) + r->active_word;
}

static void encode(const struct reduction *r, union tile *tile, size_t blocks)
{
    if (r->dtype->encode != NULL)
        r->dtype->encode(tile, blocks * BLOCK_BYTES);
}

static void generate_contribution(const void *what, uint64_t first_block, size_t blocks, union tile *tile)
{
    const struct reduction *r = what;
    const uint64_t base = pattern_base(r->key, r->rank);
    uint64_t leader = leader_of(r, first_block);
    for (size_t block = 0; block < blocks; block++) {
        if (rank_after(r, r->rank, r->ranks - leader) < r->active)
            write_active(r, base, first_block + block, &tile->lane8[block * BLOCK_WORDS]);
        else
            write_words(&tile->lane8[block * BLOCK_WORDS], BLOCK_WORDS, r->other_word);
        leader = rank_after(r, leader, r->active);
    }
    encode(r, tile, blocks);
}

/* Sums never carry from one lane into the next, so whole words are added whatever the type. */
static void add(union tile *total, const union tile *values, size_t size_bytes)
{
    for (size_t lane = 0; lane < size_bytes / WORD_BYTES; lane++)
        total->lane8[lane] += values->lane8[lane];
}

#define COMBINE(name, type, lanes, result)                                           \
    static void name(union tile *total, const union tile *values, size_t size_bytes) \
    {                                                                                \
        for (size_t lane = 0; lane < size_bytes / sizeof(type); lane++) {            \
            type a = total->lanes[lane], b = values->lanes[lane];                    \
            total->lanes[lane] = (type)(result);                                     \
        }                                                                            \
    }

#define COMBINE_IN(type, lanes)                         \
    COMBINE(multiply_##lanes, type, lanes, a * b)       \
    COMBINE(larger_##lanes, type, lanes, a > b ? a : b) \
    COMBINE(smaller_##lanes, type, lanes, a < b ? a : b)

COMBINE_IN(uint8_t, lane1)
COMBINE_IN(uint16_t, lane2)
COMBINE_IN(uint32_t, lane4)
COMBINE_IN(uint64_t, lane8)

typedef void (*combine)(union tile *total, const union tile *values, size_t size_bytes);

static combine combine_of(enum op op, int bytes)
{
    static const combine by_log2_bytes[OPS][4] = {
        [SUM] = {add, add, add, add},
        [PROD] = {multiply_lane1, multiply_lane2, multiply_lane4, multiply_lane8},
        [MAX] = {larger_lane1, larger_lane2, larger_lane4, larger_lane8},
        [MIN] = {smaller_lane1, smaller_lane2, smaller_lane4, smaller_lane8},
    };
    return by_log2_bytes[op][floor_log2((uint64_t)bytes)];
}

/* What the active rank at this place of each block's row contributes. */
static void write_place(const struct reduction *r, uint64_t place, uint64_t first_block, size_t blocks,
                        union tile *tile)
{
    uint64_t rank = rank_after(r, leader_of(r, first_block), place);
    for (size_t block = 0; block < blocks; block++) {
        write_active(r, pattern_base(r->key, rank), first_block + block, &tile->lane8[block * BLOCK_WORDS]);
        rank = rank_after(r, rank, r->active);
    }
}

static void generate_result(const void *what, uint64_t first_block, size_t blocks, union tile *tile)
{
    const struct reduction *r = what;
    const combine combine_into = combine_of(r->op, r->dtype->bytes);
    union tile values;
    write_words(tile->lane8, blocks * BLOCK_WORDS, r->others_word);
    for (uint64_t place = 0; place < r->active; place++) {
        write_place(r, place, first_block, blocks, &values);
        combine_into(tile, &values, blocks * BLOCK_BYTES);
    }
    encode(r, tile, blocks);
}

static int find_dtype(const char *name, struct reduction *r)
{
    for (int index = 0; index < DTYPES; index++) {
        if (strcmp(dtypes[index].name, name) == 0) {
            r->dtype = &dtypes[index];
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "there is no dtype '%s'; see netprobe.model.plan.DTYPES", name);
    return -1;
}

static int find_op(const char *name, struct reduction *r)
{
    for (int op = 0; op < OPS; op++) {
        if (strcmp(op_names[op], name) == 0) {
            r->op = (enum op)op;
            return 0;
        }
    }
    PyErr_Format(PyExc_ValueError, "there is no operator '%s'; see netprobe.model.plan.OPS", name);
    return -1;
}

/* What both entry points are given, as it comes. */
struct request {
    unsigned char *memory;
    Py_ssize_t count;
    Py_ssize_t first_element;
    const char *dtype;
    const char *op;
    intptr_t seed;
    Py_ssize_t rank;
    intptr_t iteration;
    Py_ssize_t ranks;
};

static int prepare(const struct request *request, struct reduction *r)
{
    if (find_dtype(request->dtype, r) < 0 || find_op(request->op, r) < 0)
        return -1;
    if (request->count < 0 || request->first_element < 0 || request->rank < 0 || request->rank >= request->ranks) {
        PyErr_Format(PyExc_ValueError, "%zd elements from element %zd on rank %zd of %zd ranks cannot be reduced",
                     request->count, request->first_element, request->rank, request->ranks);
        return -1;
    }
    r->key = pattern_key((uint64_t)request->seed, (uint64_t)request->iteration);
    r->rank = (uint64_t)request->rank;
    r->ranks = (uint64_t)request->ranks;
    r->active = r->ranks < MOST_ACTIVE ? r->ranks : MOST_ACTIVE;
    r->first_active = pattern_base(r->key, r->ranks) % r->ranks; /* no rank has the pattern of that base */
    choose_values(r);
    return 0;
}

PyObject *py_contribution_fill(PyObject *module, PyObject *args)
{
    (void)module;
    struct request request = {.first_element = 0};
    struct reduction r;
    if (!PyArg_ParseTuple(args, "O&nssO&nO&n:contribution_fill", to_pointer, &request.memory, &request.count,
                          &request.dtype, &request.op, to_word, &request.seed, &request.rank, to_word,
                          &request.iteration, &request.ranks) ||
        prepare(&request, &r) < 0)
        return NULL;
    const struct source source = {generate_contribution, &r};
    Py_BEGIN_ALLOW_THREADS
    tiles_fill(&source, 0, request.memory, (size_t)request.count * (size_t)r.dtype->bytes);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject *py_reduction_verify(PyObject *module, PyObject *args)
{
    (void)module;
    struct request request = {.rank = 0};
    struct reduction r;
    struct mismatch mismatch;
    if (!PyArg_ParseTuple(args, "O&nnssO&O&n:reduction_verify", to_pointer, &request.memory, &request.count,
                          &request.first_element, &request.dtype, &request.op, to_word, &request.seed, to_word,
                          &request.iteration, &request.ranks) ||
        prepare(&request, &r) < 0)
        return NULL;
    const struct source source = {generate_result, &r};
    const size_t bytes = (size_t)r.dtype->bytes;
    Py_BEGIN_ALLOW_THREADS
    mismatch = tiles_compare(&source, (uint64_t)request.first_element * bytes, request.memory,
                             (size_t)request.count * bytes);
    Py_END_ALLOW_THREADS
    return tiles_outcome(&mismatch, r.dtype->bytes);
}
