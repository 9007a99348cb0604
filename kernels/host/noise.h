/* What a host takes away from a rank that only computes, or only sleeps. */
#ifndef NETPROBE_NOISE_H
#define NETPROBE_NOISE_H

#include "arguments.h"

PyObject *py_quanta(PyObject *module, PyObject *args);
PyObject *py_wakes(PyObject *module, PyObject *args);

#endif
