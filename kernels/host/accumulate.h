#ifndef NETPROBE_ACCUMULATE_H
#define NETPROBE_ACCUMULATE_H

#include "halves.h"

/* Return what reduces elements into others, and the bytes of one; NULL when nothing does. */
user_reduction *find_accumulation(const char *dtype, const char *op, size_t *bytes);

PyObject *py_accumulate(PyObject *module, PyObject *args);
PyObject *py_spin(PyObject *module, PyObject *args);

/* Knuth's MMIX generator: each step waits for the one before, and the last value shows that all were taken. */
static inline uint64_t spun(uint64_t value, uint64_t steps)
{
    for (; steps > 0; steps--)
        value = value * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return value;
}

#endif
