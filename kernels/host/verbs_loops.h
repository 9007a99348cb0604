/* Timed series over the queue pairs of one link. */
#ifndef NETPROBE_VERBS_LOOPS_H
#define NETPROBE_VERBS_LOOPS_H

#include "verbs_link.h"

PyObject *py_verbs_expect(PyObject *module, PyObject *args);
PyObject *py_verbs_pingpong(PyObject *module, PyObject *args);
PyObject *py_verbs_stream(PyObject *module, PyObject *args);

#endif
