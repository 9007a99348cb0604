/* MPI through function addresses: nothing here is linked against an MPI, or compiled with the header of one.
 *
 * Every handle (communicator, datatype, operator) is passed as intptr_t. It is an int in MPICH's family and a pointer
 * in Open MPI; on x86-64 and aarch64 both travel in one register or one 8-byte stack slot, and a callee that wants an
 * int reads the low 32 bits. Requests are raw bytes with the library's own stride.
 */
#ifndef NETPROBE_MPI_CALLS_H
#define NETPROBE_MPI_CALLS_H

#include "series.h"

enum {
    MPI_OK = 0, /* MPI_SUCCESS, which the standard fixes at 0 */
    WIDEST_REQUEST_BYTES = 8, /* Open MPI's pointer; MPICH's int takes 4 */
};

struct mpi_calls {
    int (*send)(const void *, int, intptr_t, int, int, intptr_t);
    int (*recv)(void *, int, intptr_t, int, int, intptr_t, void *);
    int (*isend)(const void *, int, intptr_t, int, int, intptr_t, void *);
    int (*irecv)(void *, int, intptr_t, int, int, intptr_t, void *);
    int (*waitall)(int, void *, void *);
    int (*testall)(int, void *, int *, void *);
    int (*barrier)(intptr_t);
    int (*allreduce)(const void *, void *, int, intptr_t, intptr_t, intptr_t);
    int (*allgather)(const void *, int, intptr_t, void *, int, intptr_t, intptr_t);
    int (*reduce_scatter_block)(const void *, void *, int, intptr_t, intptr_t, intptr_t);
    int (*alltoall)(const void *, int, intptr_t, void *, int, intptr_t, intptr_t);
    int (*bcast)(void *, int, intptr_t, int, intptr_t);
    int (*reduce)(const void *, void *, int, intptr_t, intptr_t, int, intptr_t);
    size_t request_bytes;
    void *status_ignore;
    void *statuses_ignore;
};

/* The one MPI library of this process; filled by mpi_bind. */
extern struct mpi_calls mpi;

/* Return -1 with an exception set unless mpi_bind was called. */
int mpi_require(void);

/* In a loop with a variable `iteration`: leave it with the failure when the call does not return MPI_OK. */
#define CHECKED(call_name, expression)                           \
    do {                                                         \
        int code = (expression);                                 \
        if (code != MPI_OK)                                      \
            return (struct failure){call_name, code, iteration}; \
    } while (0)

/* Leave a function that returns a failure with that of another, where there is one. */
#define OR_FAILED(expression)                 \
    do {                                      \
        struct failure failed = (expression); \
        if (failed.call != NULL)              \
            return failed;                    \
    } while (0)

PyObject *py_mpi_bind(PyObject *module, PyObject *args, PyObject *keywords);

#endif
