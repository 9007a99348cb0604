/* Timed series between two ranks; both ends call, with the roles swapped. */
#ifndef NETPROBE_PAIRS_H
#define NETPROBE_PAIRS_H

#include <Python.h>

PyObject *py_pingpong(PyObject *module, PyObject *args);
PyObject *py_stream(PyObject *module, PyObject *args);
PyObject *py_exchange(PyObject *module, PyObject *args);
PyObject *py_clock_pings(PyObject *module, PyObject *args);

#endif
