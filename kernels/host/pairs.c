#include "mpi_calls.h"
#include "pairs.h"

#include <stdlib.h>

struct pair {
    char *send;
    char *receive;
    int count;
    intptr_t datatype;
    int peer;
    int tag;
    intptr_t comm;
};

static inline int send_message(const struct pair *pair)
{
    return mpi.send(pair->send, pair->count, pair->datatype, pair->peer, pair->tag, pair->comm);
}

static inline int receive_message(const struct pair *pair)
{
    return mpi.recv(pair->receive, pair->count, pair->datatype, pair->peer, pair->tag, pair->comm, mpi.status_ignore);
}

/* Both ends of a ping-pong: here an iteration begins and ends when a message has been sent, so that the clock is read
 * while that message is under way and the reply cannot have come. Read between a receive and the next send, it would
 * add its whole cost to every round trip: 25 ns to 300 on a fast shared memory. */
static struct failure rally(const struct pair *pair, const struct stamps *stamps)
{
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count; iteration++) {
        CHECKED("MPI_Recv", receive_message(pair));
        CHECKED("MPI_Send", send_message(pair));
        stamps->ns[iteration + 1] = now_ns();
    }
    return NO_FAILURE;
}

/* One message more than there are iterations is under way: sent before the first, received after the last. */
static struct failure initiate(const void *task, const struct stamps *stamps)
{
    const struct pair *pair = task;
    Py_ssize_t iteration = 0;
    CHECKED("MPI_Send", send_message(pair));
    struct failure failure = rally(pair, stamps);
    if (failure.call != NULL)
        return failure;
    iteration = stamps->count - 1;
    CHECKED("MPI_Recv", receive_message(pair));
    return NO_FAILURE;
}

static struct failure respond(const void *task, const struct stamps *stamps)
{
    const struct pair *pair = task;
    Py_ssize_t iteration = 0;
    CHECKED("MPI_Recv", receive_message(pair));
    CHECKED("MPI_Send", send_message(pair));
    return rally(pair, stamps);
}

PyObject *py_pingpong(PyObject *module, PyObject *args)
{
    (void)module;
    int initiates;
    struct pair pair;
    PyObject *stamps;
    if (!PyArg_ParseTuple(args, "pO&O&iO&iiO&O:pingpong", &initiates, to_pointer, &pair.send, to_pointer, &pair.receive,
                          &pair.count, to_word, &pair.datatype, &pair.peer, &pair.tag, to_word, &pair.comm, &stamps) ||
        mpi_require() < 0)
        return NULL;
    return series_run(initiates ? initiate : respond, &pair, stamps);
}

/* Messages that are in flight together. When timed they share one buffer, as in every streaming benchmark (stride 0);
 * when their data is compared each has its own, `stride_bytes` after the one before. */
struct window {
    struct pair pair;
    int messages;
    Py_ssize_t stride_bytes;
    char *ack;
    char *requests;
};

static struct failure post_sends(const struct window *window, char *requests, Py_ssize_t iteration)
{
    const struct pair *pair = &window->pair;
    for (int index = 0; index < window->messages; index++)
        CHECKED("MPI_Isend", mpi.isend(pair->send + index * window->stride_bytes, pair->count, pair->datatype, pair->peer, pair->tag, pair->comm,
                                       requests + (size_t)index * mpi.request_bytes));
    return NO_FAILURE;
}

static struct failure post_receives(const struct window *window, char *requests, Py_ssize_t iteration)
{
    const struct pair *pair = &window->pair;
    for (int index = 0; index < window->messages; index++)
        CHECKED("MPI_Irecv", mpi.irecv(pair->receive + index * window->stride_bytes, pair->count, pair->datatype, pair->peer, pair->tag, pair->comm,
                                       requests + (size_t)index * mpi.request_bytes));
    return NO_FAILURE;
}

/* The acknowledgement has a tag of its own, so that it can never be taken for a message of the window. */
static inline int ack_tag(const struct pair *pair)
{
    return pair->tag + 1;
}

static struct failure stream_out(const void *task, const struct stamps *stamps)
{
    const struct window *window = task;
    const struct pair *pair = &window->pair;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count; iteration++) {
        OR_FAILED(post_sends(window, window->requests, iteration));
        CHECKED("MPI_Waitall", mpi.waitall(window->messages, window->requests, mpi.statuses_ignore));
        CHECKED("MPI_Recv", mpi.recv(window->ack, 0, pair->datatype, pair->peer, ack_tag(pair), pair->comm,
                                     mpi.status_ignore));
        stamps->ns[iteration + 1] = now_ns();
    }
    return NO_FAILURE;
}

static struct failure stream_in(const void *task, const struct stamps *stamps)
{
    const struct window *window = task;
    const struct pair *pair = &window->pair;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count; iteration++) {
        OR_FAILED(post_receives(window, window->requests, iteration));
        CHECKED("MPI_Waitall", mpi.waitall(window->messages, window->requests, mpi.statuses_ignore));
        CHECKED("MPI_Send", mpi.send(window->ack, 0, pair->datatype, pair->peer, ack_tag(pair), pair->comm));
        stamps->ns[iteration + 1] = now_ns();
    }
    return NO_FAILURE;
}

static struct failure stream_both_ways(const void *task, const struct stamps *stamps)
{
    const struct window *window = task;
    char *outgoing = window->requests + (size_t)window->messages * mpi.request_bytes;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count; iteration++) {
        OR_FAILED(post_receives(window, window->requests, iteration));
        OR_FAILED(post_sends(window, outgoing, iteration));
        CHECKED("MPI_Waitall", mpi.waitall(2 * window->messages, window->requests, mpi.statuses_ignore));
        stamps->ns[iteration + 1] = now_ns();
    }
    return NO_FAILURE;
}

static PyObject *run_window(series_loop loop, struct window *window, Py_ssize_t requests_per_message, PyObject *stamps)
{
    if (window->messages < 1 || window->messages > INT_MAX / 2)
        return PyErr_Format(PyExc_ValueError, "a window holds 1 to %d messages, not %d", INT_MAX / 2, window->messages);
    window->requests = calloc((size_t)(window->messages * requests_per_message), mpi.request_bytes);
    if (window->requests == NULL)
        return PyErr_NoMemory();
    PyObject *outcome = series_run(loop, window, stamps);
    free(window->requests);
    return outcome;
}

PyObject *py_stream(PyObject *module, PyObject *args)
{
    (void)module;
    int sends;
    struct window window;
    struct pair *pair = &window.pair;
    PyObject *stamps;
    if (!PyArg_ParseTuple(args, "pO&iO&iiO&inO&O:stream", &sends, to_pointer, &pair->send, &pair->count, to_word,
                          &pair->datatype, &pair->peer, &pair->tag, to_word, &pair->comm, &window.messages,
                          &window.stride_bytes, to_pointer, &window.ack, &stamps) ||
        mpi_require() < 0)
        return NULL;
    pair->receive = pair->send;
    return run_window(sends ? stream_out : stream_in, &window, 1, stamps);
}

PyObject *py_exchange(PyObject *module, PyObject *args)
{
    (void)module;
    struct window window;
    struct pair *pair = &window.pair;
    PyObject *stamps;
    if (!PyArg_ParseTuple(args, "O&O&iO&iiO&inO:exchange", to_pointer, &pair->send, to_pointer, &pair->receive,
                          &pair->count, to_word, &pair->datatype, &pair->peer, &pair->tag, to_word, &pair->comm,
                          &window.messages, &window.stride_bytes, &stamps) ||
        mpi_require() < 0)
        return NULL;
    return run_window(stream_both_ways, &window, 2, stamps);
}

/* One clock reading travels each way, so that both ways take equally long; what the client sends is not used. */
struct clock_pings {
    int peer;
    int tag;
    intptr_t comm;
    intptr_t byte;
    Py_ssize_t count;
};

static inline int send_clock(const struct clock_pings *pings, const int64_t *reading_ns)
{
    return mpi.send(reading_ns, sizeof *reading_ns, pings->byte, pings->peer, pings->tag, pings->comm);
}

static inline int receive_clock(const struct clock_pings *pings, int64_t *reading_ns)
{
    return mpi.recv(reading_ns, sizeof *reading_ns, pings->byte, pings->peer, pings->tag, pings->comm,
                    mpi.status_ignore);
}

static struct failure serve_clock(const struct clock_pings *pings)
{
    for (Py_ssize_t iteration = 0; iteration < pings->count; iteration++) {
        int64_t reading_ns;
        CHECKED("MPI_Recv", receive_clock(pings, &reading_ns));
        reading_ns = now_ns();
        CHECKED("MPI_Send", send_clock(pings, &reading_ns));
    }
    return NO_FAILURE;
}

static struct failure ask_clock(const struct clock_pings *pings, const struct stamps *triples)
{
    for (Py_ssize_t iteration = 0; iteration < pings->count; iteration++) {
        int64_t *triple = triples->ns + 3 * iteration;
        triple[0] = now_ns();
        CHECKED("MPI_Send", send_clock(pings, &triple[0]));
        CHECKED("MPI_Recv", receive_clock(pings, &triple[1]));
        triple[2] = now_ns();
    }
    return NO_FAILURE;
}

static PyObject *run_pings(int serves, const struct clock_pings *pings, const struct stamps *triples)
{
    struct failure failure;
    if (pings->count < 0 || pings->count != triples->count / 3 || triples->count % 3 != 0)
        return PyErr_Format(PyExc_ValueError, "%zd pings need 3 stamps each, not %zd in all", pings->count,
                            triples->count);
    Py_BEGIN_ALLOW_THREADS
    failure = serves ? serve_clock(pings) : ask_clock(pings, triples);
    Py_END_ALLOW_THREADS
    return series_outcome(failure);
}

PyObject *py_clock_pings(PyObject *module, PyObject *args)
{
    (void)module;
    int serves;
    struct clock_pings pings;
    struct stamps triples;
    PyObject *object;
    if (!PyArg_ParseTuple(args, "piiO&O&nO:clock_pings", &serves, &pings.peer, &pings.tag, to_word, &pings.comm,
                          to_word, &pings.byte, &pings.count, &object) ||
        mpi_require() < 0 || stamps_open(object, "triples", &triples) < 0)
        return NULL;
    PyObject *outcome = run_pings(serves, &pings, &triples);
    stamps_close(&triples);
    return outcome;
}
