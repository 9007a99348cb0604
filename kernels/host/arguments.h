/* Converters for PyArg_ParseTuple's "O&": addresses and handles arrive as Python integers of either sign. */
#ifndef NETPROBE_ARGUMENTS_H
#define NETPROBE_ARGUMENTS_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* clock_gettime under -std=c11 */
#endif

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>

/* Write an intptr_t: an MPI handle, which is a pointer or an int, or MPI_IN_PLACE's address, which may be -1. */
static inline int to_word(PyObject *object, void *word)
{
    unsigned long long value = PyLong_AsUnsignedLongLongMask(object);
    if (value == (unsigned long long)-1 && PyErr_Occurred())
        return 0;
    *(intptr_t *)word = (intptr_t)value;
    return 1;
}

/* Write a pointer to memory that the caller keeps alive. */
static inline int to_pointer(PyObject *object, void *pointer)
{
    intptr_t word;
    if (!to_word(object, &word))
        return 0;
    *(void **)pointer = (void *)word;
    return 1;
}

#endif
