#include "collectives.h"
#include "mpi_calls.h"

#include <stdalign.h>
#include <string.h>

struct collective {
    const void *send; /* may be MPI_IN_PLACE */
    void *receive;
    int send_count;
    int receive_count;
    intptr_t datatype;
    intptr_t op;
    int root;
    intptr_t comm;
    int size;
    int rank;
    const struct operation *operation;
};

struct operation {
    const char *kind;
    const char *call;
    int (*run)(const struct collective *);
};

enum { RING_TAG = 1 }; /* the ring has the communicator to itself */

static int run_allreduce(const struct collective *c)
{
    return mpi.allreduce(c->send, c->receive, c->send_count, c->datatype, c->op, c->comm);
}

static int run_allgather(const struct collective *c)
{
    return mpi.allgather(c->send, c->send_count, c->datatype, c->receive, c->receive_count, c->datatype, c->comm);
}

static int run_reducescatter(const struct collective *c)
{
    return mpi.reduce_scatter_block(c->send, c->receive, c->receive_count, c->datatype, c->op, c->comm);
}

static int run_alltoall(const struct collective *c)
{
    return mpi.alltoall(c->send, c->send_count, c->datatype, c->receive, c->receive_count, c->datatype, c->comm);
}

static int run_broadcast(const struct collective *c)
{
    return mpi.bcast(c->receive, c->receive_count, c->datatype, c->root, c->comm);
}

static int run_reduce(const struct collective *c)
{
    return mpi.reduce(c->send, c->receive, c->send_count, c->datatype, c->op, c->root, c->comm);
}

/* To the next rank, from the previous one: one step of a ring. */
static int run_sendrecv(const struct collective *c)
{
    alignas(WIDEST_REQUEST_BYTES) char requests[2 * WIDEST_REQUEST_BYTES];
    int next = (c->rank + 1) % c->size, previous = (c->rank + c->size - 1) % c->size;
    int code = mpi.irecv(c->receive, c->receive_count, c->datatype, previous, RING_TAG, c->comm, requests);
    if (code != MPI_OK)
        return code;
    code = mpi.isend(c->send, c->send_count, c->datatype, next, RING_TAG, c->comm, requests + mpi.request_bytes);
    if (code != MPI_OK)
        return code;
    return mpi.waitall(2, requests, mpi.statuses_ignore);
}

static int run_barrier(const struct collective *c)
{
    return mpi.barrier(c->comm);
}

static const struct operation operations[] = {
    {"allreduce", "MPI_Allreduce", run_allreduce},
    {"allgather", "MPI_Allgather", run_allgather},
    {"reducescatter", "MPI_Reduce_scatter_block", run_reducescatter},
    {"alltoall", "MPI_Alltoall", run_alltoall},
    {"broadcast", "MPI_Bcast", run_broadcast},
    {"reduce", "MPI_Reduce", run_reduce},
    {"sendrecv", "MPI_Irecv, MPI_Isend and MPI_Waitall", run_sendrecv},
    {"barrier", "MPI_Barrier", run_barrier},
};

enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static const struct operation *find_operation(const char *kind)
{
    for (int index = 0; index < OPERATIONS; index++)
        if (strcmp(operations[index].kind, kind) == 0)
            return &operations[index];
    PyErr_Format(PyExc_ValueError, "there is no collective '%s'; see netprobe.model.collective.SHAPES", kind);
    return NULL;
}

static struct failure back_to_back(const void *task, const struct stamps *stamps)
{
    const struct collective *c = task;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count; iteration++) {
        CHECKED(c->operation->call, c->operation->run(c));
        stamps->ns[iteration + 1] = now_ns();
    }
    return NO_FAILURE;
}

/* Parse what both entry points share; the caller's one or two buffers are left in `buffers`. */
static int parse_collective(PyObject *args, const char *format, struct collective *c, PyObject *buffers[2])
{
    const char *kind;
    if (!PyArg_ParseTuple(args, format, &kind, to_pointer, &c->send, to_pointer, &c->receive, &c->send_count,
                          &c->receive_count, to_word, &c->datatype, to_word, &c->op, &c->root, to_word, &c->comm,
                          &c->size, &c->rank, &buffers[0], &buffers[1]) ||
        mpi_require() < 0)
        return -1;
    c->operation = find_operation(kind);
    return c->operation == NULL ? -1 : 0;
}

PyObject *py_collective(PyObject *module, PyObject *args)
{
    (void)module;
    struct collective c;
    PyObject *buffers[2];
    if (parse_collective(args, "sO&O&iiO&O&iO&iiO:collective", &c, buffers) < 0)
        return NULL;
    return series_run(back_to_back, &c, buffers[0]);
}

/* A barrier before each iteration lines the ranks up; what is left of their skew is in the entry stamps. */
static struct failure aligned(const struct collective *c, const struct stamps *entries, const struct stamps *exits)
{
    for (Py_ssize_t iteration = 0; iteration < entries->count; iteration++) {
        CHECKED("MPI_Barrier", mpi.barrier(c->comm));
        entries->ns[iteration] = now_ns();
        CHECKED(c->operation->call, c->operation->run(c));
        exits->ns[iteration] = now_ns();
    }
    return NO_FAILURE;
}

static PyObject *run_aligned(const struct collective *c, const struct stamps *entries, const struct stamps *exits)
{
    struct failure failure;
    if (entries->count != exits->count)
        return PyErr_Format(PyExc_ValueError, "entries has %zd stamps and exits %zd; give both one for each iteration",
                            entries->count, exits->count);
    Py_BEGIN_ALLOW_THREADS
    failure = aligned(c, entries, exits);
    Py_END_ALLOW_THREADS
    return series_outcome(failure);
}

PyObject *py_aligned_collective(PyObject *module, PyObject *args)
{
    (void)module;
    struct collective c;
    struct stamps entries, exits;
    PyObject *buffers[2];
    if (parse_collective(args, "sO&O&iiO&O&iO&iiOO:aligned_collective", &c, buffers) < 0 ||
        stamps_open(buffers[0], "entries", &entries) < 0)
        return NULL;
    PyObject *outcome = NULL;
    if (stamps_open(buffers[1], "exits", &exits) == 0) {
        outcome = run_aligned(&c, &entries, &exits);
        stamps_close(&exits);
    }
    stamps_close(&entries);
    return outcome;
}
