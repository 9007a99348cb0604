/* Steps like those of training: a computation, then an all-reduce of one or more buckets; all ranks call. */
#ifndef NETPROBE_BURSTS_H
#define NETPROBE_BURSTS_H

#include <Python.h>

PyObject *py_bursts(PyObject *module, PyObject *args);
PyObject *py_compute(PyObject *module, PyObject *args);

#endif
