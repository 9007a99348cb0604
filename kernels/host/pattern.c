#include "pattern.h"

#include <stdlib.h> /* for __GLIBC__ */

/* Twice as fast with 256-bit registers; where the loader can choose by processor, it does. */
#define FOR_EACH_PROCESSOR
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__has_attribute)
#if __has_attribute(target_clones)
#undef FOR_EACH_PROCESSOR
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default")))
#endif
#endif

FOR_EACH_PROCESSOR
void netprobe_pattern_words(uint64_t base, uint64_t first_word, size_t count, uint64_t *words)
{
    for (size_t index = 0; index < count; index++) {
        uint64_t x = base + (first_word + index) * GOLDEN;
        x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93); /* odd, hence bijective */
        words[index] = x ^ (x >> 32);
    }
}

static void generate_pattern(const void *what, uint64_t first_block, size_t blocks, union tile *tile)
{
    const uint64_t *base = what;
    netprobe_pattern_words(*base, first_block * BLOCK_WORDS, blocks * BLOCK_WORDS, tile->lane8);
}

struct slice {
    unsigned char *memory;
    Py_ssize_t size_bytes;
    uint64_t base;
    uint64_t offset_bytes;
};

static int parse_slice(PyObject *args, const char *format, struct slice *slice)
{
    intptr_t seed, rank, iteration, first_word;
    if (!PyArg_ParseTuple(args, format, to_pointer, &slice->memory, &slice->size_bytes, to_word, &seed, to_word, &rank,
                          to_word, &iteration, to_word, &first_word))
        return -1;
    if (slice->size_bytes < 0) {
        PyErr_Format(PyExc_ValueError, "size_bytes must not be negative, as %zd is", slice->size_bytes);
        return -1;
    }
    slice->base = pattern_base(pattern_key((uint64_t)seed, (uint64_t)iteration), (uint64_t)rank);
    slice->offset_bytes = (uint64_t)first_word * WORD_BYTES;
    return 0;
}

PyObject *py_pattern_fill(PyObject *module, PyObject *args)
{
    (void)module;
    struct slice slice;
    if (parse_slice(args, "O&nO&O&O&O&:pattern_fill", &slice) < 0)
        return NULL;
    const struct source source = {generate_pattern, &slice.base};
    Py_BEGIN_ALLOW_THREADS
    tiles_fill(&source, slice.offset_bytes, slice.memory, (size_t)slice.size_bytes);
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject *py_pattern_verify(PyObject *module, PyObject *args)
{
    (void)module;
    struct slice slice;
    struct mismatch mismatch;
    if (parse_slice(args, "O&nO&O&O&O&:pattern_verify", &slice) < 0)
        return NULL;
    const struct source source = {generate_pattern, &slice.base};
    Py_BEGIN_ALLOW_THREADS
    mismatch = tiles_compare(&source, slice.offset_bytes, slice.memory, (size_t)slice.size_bytes);
    Py_END_ALLOW_THREADS
    return tiles_outcome(&mismatch, WORD_BYTES);
}
