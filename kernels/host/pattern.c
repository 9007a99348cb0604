#include "pattern.h"

static void generate_pattern(const void *what, uint64_t first_block, size_t count, union block *blocks)
{
    const uint64_t base = *(const uint64_t *)what;
    const uint64_t first_word = first_block * BLOCK_WORDS;
    uint64_t *words = blocks[0].lane8;
    for (size_t index = 0; index < count * BLOCK_WORDS; index++)
        words[index] = pattern_word(base, first_word + index);
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
    return tiles_outcome(mismatch);
}
