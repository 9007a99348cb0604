#include "staging.h"
#include "mpi_calls.h"

#include <stdlib.h>

enum {
    MOST_REGIONS = 2, /* what is sent from, and what is received into */
    COPY_FAILED = -7001, /* no MPI error class: those are positive */
};

/* Memory of a GPU, and as much of the host's. */
struct region {
    char *device;
    char *host;
    size_t size_bytes;
};

/* What has been posted, and is to be copied once it has come. */
struct arrival {
    char *device;
    char *host;
    size_t size_bytes;
};

static struct {
    struct mpi_calls own;
    struct region regions[MOST_REGIONS];
    int region_count;
    int (*copy)(uint64_t to, uint64_t from, uint64_t size_bytes);
    size_t element_bytes;
    int ranks;
    int rank;
    struct arrival *arrivals;
    size_t arrival_count;
    size_t arrival_room;
    int is_on;
} staged;

/* Where the host keeps what an address stands for; the address itself where it is none of a GPU's. */
static char *stand_in(const void *address)
{
    char *place = (char *)(uintptr_t)address;
    for (int index = 0; index < staged.region_count; index++) {
        const struct region *region = &staged.regions[index];
        if (place >= region->device && place < region->device + region->size_bytes)
            return region->host + (place - region->device);
    }
    return place;
}

static int copy_bytes(const void *to, const void *from, size_t size_bytes)
{
    if (to == from || size_bytes == 0)
        return MPI_OK;
    return staged.copy((uintptr_t)to, (uintptr_t)from, size_bytes) == 0 ? MPI_OK : COPY_FAILED;
}

static int fetch(const void *device, size_t size_bytes)
{
    return copy_bytes(stand_in(device), device, size_bytes);
}

static int deliver(void *device, size_t size_bytes)
{
    return copy_bytes(device, stand_in(device), size_bytes);
}

static size_t bytes_of(int count, int parts)
{
    return (size_t)count * staged.element_bytes * (size_t)parts;
}

#define OR_RETURN(expression)       \
    do {                            \
        int failed = (expression);  \
        if (failed != MPI_OK)       \
            return failed;          \
    } while (0)

static int staged_send(const void *from, int count, intptr_t type, int peer, int tag, intptr_t comm)
{
    OR_RETURN(fetch(from, bytes_of(count, 1)));
    return staged.own.send(stand_in(from), count, type, peer, tag, comm);
}

static int staged_recv(void *into, int count, intptr_t type, int peer, int tag, intptr_t comm, void *status)
{
    OR_RETURN(staged.own.recv(stand_in(into), count, type, peer, tag, comm, status));
    return deliver(into, bytes_of(count, 1));
}

static int staged_isend(const void *from, int count, intptr_t type, int peer, int tag, intptr_t comm, void *request)
{
    OR_RETURN(fetch(from, bytes_of(count, 1)));
    return staged.own.isend(stand_in(from), count, type, peer, tag, comm, request);
}

static int expect(void *into, size_t size_bytes)
{
    if (staged.arrival_count == staged.arrival_room) {
        size_t room = staged.arrival_room == 0 ? 64 : 2 * staged.arrival_room;
        struct arrival *larger = realloc(staged.arrivals, room * sizeof *larger);
        if (larger == NULL)
            return COPY_FAILED;
        staged.arrivals = larger;
        staged.arrival_room = room;
    }
    staged.arrivals[staged.arrival_count++] = (struct arrival){into, stand_in(into), size_bytes};
    return MPI_OK;
}

static int staged_irecv(void *into, int count, intptr_t type, int peer, int tag, intptr_t comm, void *request)
{
    OR_RETURN(expect(into, bytes_of(count, 1)));
    return staged.own.irecv(stand_in(into), count, type, peer, tag, comm, request);
}

static int staged_waitall(int count, void *requests, void *statuses)
{
    int code = staged.own.waitall(count, requests, statuses);
    for (size_t index = 0; code == MPI_OK && index < staged.arrival_count; index++) {
        const struct arrival *arrival = &staged.arrivals[index];
        code = copy_bytes(arrival->device, arrival->host, arrival->size_bytes);
    }
    staged.arrival_count = 0;
    return code;
}

/* MPI_IN_PLACE stands in for itself: what is reduced or sent then lies where the result goes. */
static int fetch_input(const void *from, void *into, size_t sent_bytes, size_t received_bytes)
{
    return stand_in(from) != from ? fetch(from, sent_bytes) : fetch(into, received_bytes);
}

static int staged_allreduce(const void *from, void *into, int count, intptr_t type, intptr_t op, intptr_t comm)
{
    OR_RETURN(fetch_input(from, into, bytes_of(count, 1), bytes_of(count, 1)));
    OR_RETURN(staged.own.allreduce(stand_in(from), stand_in(into), count, type, op, comm));
    return deliver(into, bytes_of(count, 1));
}

static int staged_allgather(const void *from, int sent, intptr_t type, void *into, int received, intptr_t other,
                            intptr_t comm)
{
    OR_RETURN(fetch_input(from, into, bytes_of(sent, 1), bytes_of(received, staged.ranks)));
    OR_RETURN(staged.own.allgather(stand_in(from), sent, type, stand_in(into), received, other, comm));
    return deliver(into, bytes_of(received, staged.ranks));
}

static int staged_reduce_scatter_block(const void *from, void *into, int count, intptr_t type, intptr_t op,
                                       intptr_t comm)
{
    OR_RETURN(fetch_input(from, into, bytes_of(count, staged.ranks), bytes_of(count, staged.ranks)));
    OR_RETURN(staged.own.reduce_scatter_block(stand_in(from), stand_in(into), count, type, op, comm));
    return deliver(into, bytes_of(count, 1));
}

static int staged_alltoall(const void *from, int sent, intptr_t type, void *into, int received, intptr_t other,
                           intptr_t comm)
{
    OR_RETURN(fetch_input(from, into, bytes_of(sent, staged.ranks), bytes_of(received, staged.ranks)));
    OR_RETURN(staged.own.alltoall(stand_in(from), sent, type, stand_in(into), received, other, comm));
    return deliver(into, bytes_of(received, staged.ranks));
}

static int staged_bcast(void *buffer, int count, intptr_t type, int root, intptr_t comm)
{
    if (staged.rank == root)
        OR_RETURN(fetch(buffer, bytes_of(count, 1)));
    OR_RETURN(staged.own.bcast(stand_in(buffer), count, type, root, comm));
    return staged.rank == root ? MPI_OK : deliver(buffer, bytes_of(count, 1));
}

static int staged_reduce(const void *from, void *into, int count, intptr_t type, intptr_t op, int root, intptr_t comm)
{
    OR_RETURN(fetch_input(from, into, bytes_of(count, 1), bytes_of(count, 1)));
    OR_RETURN(staged.own.reduce(stand_in(from), stand_in(into), count, type, op, root, comm));
    return staged.rank == root ? deliver(into, bytes_of(count, 1)) : MPI_OK;
}

static void stand_between(void)
{
    staged.own = mpi;
    mpi.send = staged_send;
    mpi.recv = staged_recv;
    mpi.isend = staged_isend;
    mpi.irecv = staged_irecv;
    mpi.waitall = staged_waitall;
    mpi.allreduce = staged_allreduce;
    mpi.allgather = staged_allgather;
    mpi.reduce_scatter_block = staged_reduce_scatter_block;
    mpi.alltoall = staged_alltoall;
    mpi.bcast = staged_bcast;
    mpi.reduce = staged_reduce;
    staged.is_on = 1;
}

PyObject *py_mpi_stage(PyObject *module, PyObject *args)
{
    (void)module;
    struct region *regions = staged.regions;
    Py_ssize_t sizes[MOST_REGIONS], element_bytes;
    void *copy;
    if (staged.is_on) {
        PyErr_SetString(PyExc_RuntimeError, "messages are staged already; call mpi_unstage first");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O&O&nO&O&nO&nii:mpi_stage", to_pointer, &regions[0].device, to_pointer,
                          &regions[0].host, &sizes[0], to_pointer, &regions[1].device, to_pointer, &regions[1].host,
                          &sizes[1], to_pointer, &copy, &element_bytes, &staged.ranks, &staged.rank) ||
        mpi_require() < 0)
        return NULL;
    staged.region_count = 0;
    for (int index = 0; index < MOST_REGIONS; index++) {
        regions[staged.region_count] = regions[index];
        regions[staged.region_count].size_bytes = (size_t)sizes[index];
        staged.region_count += sizes[index] > 0;
    }
    *(void **)&staged.copy = copy;
    staged.element_bytes = (size_t)element_bytes;
    staged.arrival_count = 0;
    stand_between();
    Py_RETURN_NONE;
}

PyObject *py_mpi_unstage(PyObject *module, PyObject *args)
{
    (void)module;
    (void)args;
    if (staged.is_on)
        mpi = staged.own;
    staged.is_on = 0;
    free(staged.arrivals);
    staged.arrivals = NULL;
    staged.arrival_count = staged.arrival_room = 0;
    Py_RETURN_NONE;
}
