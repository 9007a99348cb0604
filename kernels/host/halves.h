#ifndef NETPROBE_HALVES_H
#define NETPROBE_HALVES_H

#include <Python.h>

/* An MPI_User_function. */
typedef void user_reduction(void *in, void *inout, int *length, void *datatype);

/* Return the one for float16 or bfloat16, NULL where there is none. */
user_reduction *find_user_reduction(const char *dtype, const char *op);

PyObject *py_user_reduction(PyObject *module, PyObject *args);

#endif
