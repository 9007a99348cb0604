/* Background load over MPI: flows from and to many ranks at once, in one call, until the receivers say stop. */
#ifndef NETPROBE_FLOWS_H
#define NETPROBE_FLOWS_H

#include "arguments.h"

PyObject *py_flows(PyObject *module, PyObject *args);

#endif
