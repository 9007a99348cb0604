#include "mpi_calls.h"

#include <stddef.h>
#include <string.h>

struct mpi_calls mpi;

static int is_bound;

struct function {
    const char *name;
    size_t offset;
};

#define FUNCTION(name, member) {name, offsetof(struct mpi_calls, member)}

static const struct function functions[] = {
    FUNCTION("Send", send),
    FUNCTION("Recv", recv),
    FUNCTION("Isend", isend),
    FUNCTION("Irecv", irecv),
    FUNCTION("Waitall", waitall),
    FUNCTION("Testall", testall),
    FUNCTION("Barrier", barrier),
    FUNCTION("Allreduce", allreduce),
    FUNCTION("Allgather", allgather),
    FUNCTION("Reduce_scatter_block", reduce_scatter_block),
    FUNCTION("Alltoall", alltoall),
    FUNCTION("Bcast", bcast),
    FUNCTION("Reduce", reduce),
};

enum { FUNCTIONS = sizeof functions / sizeof functions[0] };

static int bind_function(struct mpi_calls *calls, PyObject *addresses, const struct function *function)
{
    void *address = NULL;
    PyObject *value = PyDict_GetItemString(addresses, function->name); /* borrowed */
    if (value != NULL && !to_pointer(value, &address))
        return -1;
    if (address == NULL) {
        PyErr_Format(PyExc_ValueError, "mpi_bind: MPI_%s has no address; look it up in the MPI library under '%s'",
                     function->name, function->name);
        return -1;
    }
    memcpy((char *)calls + function->offset, &address, sizeof address);
    return 0;
}

PyObject *py_mpi_bind(PyObject *module, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"addresses", "request_bytes", "status_ignore", "statuses_ignore", NULL};
    (void)module;
    PyObject *addresses;
    Py_ssize_t request_bytes;
    struct mpi_calls calls;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "O!$nO&O&:mpi_bind", names, &PyDict_Type, &addresses,
                                     &request_bytes, to_pointer, &calls.status_ignore, to_pointer,
                                     &calls.statuses_ignore))
        return NULL;
    if (request_bytes < 1 || request_bytes > WIDEST_REQUEST_BYTES)
        return PyErr_Format(PyExc_ValueError, "mpi_bind: an MPI_Request takes 1 to %d bytes, not %zd",
                            (int)WIDEST_REQUEST_BYTES, request_bytes);
    calls.request_bytes = (size_t)request_bytes;
    for (int index = 0; index < FUNCTIONS; index++)
        if (bind_function(&calls, addresses, &functions[index]) < 0)
            return NULL;
    mpi = calls;
    is_bound = 1;
    Py_RETURN_NONE;
}

int mpi_require(void)
{
    if (is_bound)
        return 0;
    PyErr_SetString(PyExc_RuntimeError, "no MPI library is bound; call mpi_bind first");
    return -1;
}
