/* Timed series of one collective operation; all ranks of the communicator call. */
#ifndef NETPROBE_COLLECTIVES_H
#define NETPROBE_COLLECTIVES_H

#include <Python.h>

PyObject *py_collective(PyObject *module, PyObject *args);
PyObject *py_aligned_collective(PyObject *module, PyObject *args);

#endif
