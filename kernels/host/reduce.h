#ifndef NETPROBE_REDUCE_H
#define NETPROBE_REDUCE_H

#include <Python.h>

PyObject *py_contribution_fill(PyObject *module, PyObject *args);
PyObject *py_reduction_verify(PyObject *module, PyObject *args);

#endif
