/* A ring all-reduce out of MPI's point-to-point calls, every hop of which can be timed. */
#ifndef NETPROBE_RING_H
#define NETPROBE_RING_H

#include <Python.h>

PyObject *py_ring(PyObject *module, PyObject *args);
PyObject *py_traced_ring(PyObject *module, PyObject *args);

#endif
