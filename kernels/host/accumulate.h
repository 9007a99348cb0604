#ifndef NETPROBE_ACCUMULATE_H
#define NETPROBE_ACCUMULATE_H

#include "halves.h"

/* Return what reduces elements into others, and the bytes of one; NULL when nothing does. */
user_reduction *find_accumulation(const char *dtype, const char *op, size_t *bytes);

PyObject *py_accumulate(PyObject *module, PyObject *args);
PyObject *py_spin(PyObject *module, PyObject *args);

#endif
