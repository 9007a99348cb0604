/* One step of a ring, in which what came is reduced into what is there, and arithmetic that takes time and nothing else.
 *
 * kernels/cuda/accumulate.cu and spin.cu do the same on a GPU.
 */
#include "accumulate.h"
#include "arguments.h"

#include <limits.h>
#include <string.h>

#define ADDED(a, b) ((a) + (b))
#define LARGER(a, b) ((a) > (b) ? (a) : (b))
#define SMALLER(a, b) ((a) < (b) ? (a) : (b))

/* Signed sums wrap round as on a GPU, where C promises nothing. */
#define ACCUMULATE(name, type, counted, reduced)                                       \
    static void name(void *source, void *target, int *length, void *datatype)          \
    {                                                                                  \
        (void)datatype;                                                                \
        const type *came = source;                                                     \
        type *there = target;                                                          \
        for (int index = 0; index < *length; index++)                                  \
            there[index] = (type)reduced((counted)there[index], (counted)came[index]); \
    }

#define ACCUMULATE_ALL(name, type, summed)          \
    ACCUMULATE(name##_sum, type, summed, ADDED)     \
    ACCUMULATE(name##_max, type, type, LARGER)      \
    ACCUMULATE(name##_min, type, type, SMALLER)

ACCUMULATE_ALL(float32, float, float)
ACCUMULATE_ALL(int32, int32_t, uint32_t)
ACCUMULATE_ALL(uint8, uint8_t, uint8_t)

static const struct {
    const char *dtype;
    const char *op;
    size_t bytes;
    user_reduction *function;
} steps[] = {
    {"float32", "sum", 4, float32_sum}, {"float32", "max", 4, float32_max}, {"float32", "min", 4, float32_min},
    {"int32", "sum", 4, int32_sum},     {"int32", "max", 4, int32_max},     {"int32", "min", 4, int32_min},
    {"uint8", "sum", 1, uint8_sum},     {"uint8", "max", 1, uint8_max},     {"uint8", "min", 1, uint8_min},
};

enum { STEPS = sizeof steps / sizeof steps[0] };

user_reduction *find_accumulation(const char *dtype, const char *op, size_t *bytes)
{
    for (int index = 0; index < STEPS; index++) {
        if (strcmp(steps[index].dtype, dtype) == 0 && strcmp(steps[index].op, op) == 0) {
            *bytes = steps[index].bytes;
            return steps[index].function;
        }
    }
    *bytes = 2;
    return strcmp(op, "prod") == 0 ? NULL : find_user_reduction(dtype, op);
}

PyObject *py_accumulate(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned char *target, *source;
    Py_ssize_t count;
    const char *dtype, *op;
    size_t bytes;
    if (!PyArg_ParseTuple(args, "O&O&nss:accumulate", to_pointer, &target, to_pointer, &source, &count, &dtype, &op))
        return NULL;
    user_reduction *step = find_accumulation(dtype, op, &bytes);
    if (step == NULL || count < 0)
        return PyErr_Format(PyExc_ValueError, "%zd elements of %s cannot be accumulated by %s", count, dtype, op);
    Py_BEGIN_ALLOW_THREADS
    for (Py_ssize_t done = 0; done < count;) {
        int length = count - done < INT_MAX ? (int)(count - done) : INT_MAX;
        step(source + (size_t)done * bytes, target + (size_t)done * bytes, &length, NULL);
        done += length;
    }
    Py_END_ALLOW_THREADS
    Py_RETURN_NONE;
}

PyObject *py_spin(PyObject *module, PyObject *args)
{
    (void)module;
    intptr_t seed;
    unsigned long long steps;
    if (!PyArg_ParseTuple(args, "O&K:spin", to_word, &seed, &steps))
        return NULL;
    uint64_t x = (uint64_t)seed;
    Py_BEGIN_ALLOW_THREADS
    x = spun(x, steps);
    Py_END_ALLOW_THREADS
    return PyLong_FromUnsignedLongLong(x);
}
