/* MPI for memory that it must not touch: messages are copied to and from memory of the host that stands in for it.
 *
 * While staging is on, the functions in `mpi` are these, which copy and call the library's own. The loops know nothing
 * of it, so that what they time is what a program has to do whose MPI knows no GPU.
 */
#ifndef NETPROBE_STAGING_H
#define NETPROBE_STAGING_H

#include <Python.h>

PyObject *py_mpi_stage(PyObject *module, PyObject *args);
PyObject *py_mpi_unstage(PyObject *module, PyObject *args);

#endif
