/* Series of pings over unreliable datagrams, counted at both ends whether they arrive or not. */
#ifndef NETPROBE_VERBS_PINGS_H
#define NETPROBE_VERBS_PINGS_H

#include "verbs_datagrams.h"

PyObject *py_verbs_pings(PyObject *module, PyObject *args);
PyObject *py_verbs_echoes(PyObject *module, PyObject *args);

#endif
