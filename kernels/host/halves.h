#ifndef NETPROBE_HALVES_H
#define NETPROBE_HALVES_H

#include <Python.h>

PyObject *py_user_reduction(PyObject *module, PyObject *args);

#endif
