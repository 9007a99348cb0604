/* Many flows of one rank, out and in, each a stream of windows as in pairs.c, all under way at once.
 *
 * The receiver ends a flow, in band: each window is answered by one word, and the first window that is complete after
 * the receiver's deadline by STOP. The sender therefore always knows whether another window is wanted, no message is
 * left over, and a hot receiver ends all its flows by one clock. Receives of the next window are posted before it is
 * asked for, so that its messages always meet one.
 *
 * Nobody's round trips are timed here: a pass over all flows without progress gives the core away, so that load on a
 * crowded host does not starve those that it is meant to load.
 */
#include "flows.h"

#include "mpi_calls.h"

#include <sched.h>
#include <stdlib.h>

enum { GO = 1, STOP = 2 };

struct flow {
    int peer;
    int is_done;
    int is_stopping; /* of a receiver: STOP is on its way */
    int pending;     /* requests from the first on */
    char *memory;
    char *requests;
    int64_t word;
    int64_t *stamps;
    Py_ssize_t stamped;
};

struct load {
    int count;
    intptr_t datatype;
    intptr_t byte;
    int tag;
    intptr_t comm;
    int window;
    int64_t duration_ns;
    Py_ssize_t most_stamps;
    struct flow *flows;
    int outgoing;
    int incoming;
};

static inline char *request_of(const struct flow *flow, int index)
{
    return flow->requests + (size_t)index * mpi.request_bytes;
}

static inline int answer_tag(const struct load *load)
{
    return load->tag + 1;
}

/* The answer's receive comes first: it is then posted before the receiver can have anything to answer. */
static struct failure send_window(const struct load *load, struct flow *flow)
{
    Py_ssize_t iteration = flow->stamped;
    CHECKED("MPI_Irecv", mpi.irecv(&flow->word, sizeof flow->word, load->byte, flow->peer, answer_tag(load), load->comm,
                                   request_of(flow, load->window)));
    for (int index = 0; index < load->window; index++)
        CHECKED("MPI_Isend", mpi.isend(flow->memory, load->count, load->datatype, flow->peer, load->tag, load->comm,
                                       request_of(flow, index)));
    flow->pending = load->window + 1;
    return NO_FAILURE;
}

static struct failure await_window(const struct load *load, struct flow *flow)
{
    Py_ssize_t iteration = flow->stamped;
    for (int index = 0; index < load->window; index++)
        CHECKED("MPI_Irecv", mpi.irecv(flow->memory, load->count, load->datatype, flow->peer, load->tag, load->comm,
                                       request_of(flow, index)));
    flow->pending = load->window;
    return NO_FAILURE;
}

static struct failure answer(const struct load *load, struct flow *flow, int64_t word)
{
    Py_ssize_t iteration = flow->stamped;
    flow->word = word;
    CHECKED("MPI_Isend", mpi.isend(&flow->word, sizeof flow->word, load->byte, flow->peer, answer_tag(load), load->comm,
                                   request_of(flow, load->window)));
    return NO_FAILURE;
}

static struct failure window_sent(const struct load *load, struct flow *flow)
{
    if (flow->word == STOP) {
        flow->is_done = 1;
        return NO_FAILURE;
    }
    return send_window(load, flow);
}

static struct failure window_received(const struct load *load, struct flow *flow, int64_t deadline_ns)
{
    if (flow->is_stopping) {
        flow->is_done = 1;
        return NO_FAILURE;
    }
    int64_t at_ns = now_ns();
    flow->stamps[flow->stamped++] = at_ns;
    if (at_ns < deadline_ns && flow->stamped < load->most_stamps) {
        OR_FAILED(await_window(load, flow));
        OR_FAILED(answer(load, flow, GO));
        flow->pending = load->window + 1;
        return NO_FAILURE;
    }
    flow->is_stopping = 1;
    return answer(load, flow, STOP);
}

/* Where the answer alone is awaited it is the last request. */
static struct failure try_flow(const struct load *load, struct flow *flow, int is_outgoing, int64_t deadline_ns,
                               int *progressed)
{
    Py_ssize_t iteration = flow->stamped;
    int is_complete = 0;
    if (flow->is_stopping)
        CHECKED("MPI_Testall", mpi.testall(1, request_of(flow, load->window), &is_complete, mpi.statuses_ignore));
    else
        CHECKED("MPI_Testall", mpi.testall(flow->pending, flow->requests, &is_complete, mpi.statuses_ignore));
    if (!is_complete)
        return NO_FAILURE;
    *progressed = 1;
    return is_outgoing ? window_sent(load, flow) : window_received(load, flow, deadline_ns);
}

static struct failure begin(const struct load *load)
{
    for (int index = load->outgoing; index < load->outgoing + load->incoming; index++) {
        struct flow *flow = &load->flows[index];
        flow->stamps[flow->stamped++] = now_ns();
        OR_FAILED(await_window(load, flow));
    }
    for (int index = 0; index < load->outgoing; index++)
        OR_FAILED(send_window(load, &load->flows[index]));
    return NO_FAILURE;
}

static struct failure run(const struct load *load)
{
    int64_t deadline_ns = now_ns() + load->duration_ns;
    int left = load->outgoing + load->incoming;
    OR_FAILED(begin(load));
    while (left > 0) {
        int progressed = 0;
        left = 0;
        for (int index = 0; index < load->outgoing + load->incoming; index++) {
            struct flow *flow = &load->flows[index];
            if (!flow->is_done)
                OR_FAILED(try_flow(load, flow, index < load->outgoing, deadline_ns, &progressed));
            left += !flow->is_done;
        }
        if (!progressed)
            sched_yield();
    }
    return NO_FAILURE;
}

/* Lay the flows out: `peers` are those that are sent to and then those that send; each of the latter has memory and
 * a row of stamps of its own. */
static void lay_out(struct load *load, const int64_t *peers, char *send, char *receive, Py_ssize_t stride_bytes,
                    char *requests, int64_t *stamps)
{
    for (int index = 0; index < load->outgoing + load->incoming; index++) {
        int row = index - load->outgoing;
        struct flow *flow = &load->flows[index];
        flow->peer = (int)peers[index];
        flow->requests = requests + (size_t)index * (size_t)(load->window + 1) * mpi.request_bytes;
        flow->memory = row < 0 ? send : receive + row * stride_bytes;
        flow->stamps = row < 0 ? NULL : stamps + row * load->most_stamps;
    }
}

static PyObject *run_load(struct load *load, const struct stamps *peers, char *send, char *receive,
                          Py_ssize_t stride_bytes, const struct stamps *stamps, const struct stamps *counts)
{
    size_t all = (size_t)(load->outgoing + load->incoming);
    PyObject *outcome = NULL;
    load->flows = calloc(all, sizeof *load->flows);
    char *requests = calloc(all * (size_t)(load->window + 1), mpi.request_bytes);
    if (load->flows == NULL || requests == NULL) {
        PyErr_NoMemory();
    } else {
        struct failure failure;
        lay_out(load, peers->ns, send, receive, stride_bytes, requests, stamps->ns);
        Py_BEGIN_ALLOW_THREADS
        failure = run(load);
        Py_END_ALLOW_THREADS
        for (int row = 0; row < load->incoming; row++)
            counts->ns[row] = load->flows[load->outgoing + row].stamped;
        outcome = series_outcome(failure);
    }
    free(requests);
    free(load->flows);
    return outcome;
}

static int is_sound(struct load *load, const struct stamps *peers, const struct stamps *stamps,
                    const struct stamps *counts)
{
    Py_ssize_t all = (Py_ssize_t)load->outgoing + load->incoming;
    if (load->outgoing < 0 || load->incoming < 0 || all < 1 || peers->count != all)
        PyErr_Format(PyExc_ValueError, "%d flows out and %d in need a peer each, at least one, not %zd", load->outgoing,
                     load->incoming, peers->count);
    else if (load->window < 1 || load->window > INT_MAX - 1)
        PyErr_Format(PyExc_ValueError, "a window holds at least one message, not %d", load->window);
    else if (counts->count < load->incoming || load->most_stamps < 2 ||
             stamps->count / load->most_stamps < load->incoming)
        PyErr_Format(PyExc_ValueError, "%d flows in need a count and two or more stamps each", load->incoming);
    else
        return 1;
    return 0;
}

PyObject *py_flows(PyObject *module, PyObject *args)
{
    (void)module;
    struct load load = {0};
    struct stamps peers, stamps, counts;
    char *send, *receive;
    Py_ssize_t stride_bytes;
    long long duration_ns;
    PyObject *peers_object, *stamps_object, *counts_object, *outcome = NULL;
    if (!PyArg_ParseTuple(args, "iiOO&O&niO&O&iO&iLnOO:flows", &load.outgoing, &load.incoming, &peers_object,
                          to_pointer, &send, to_pointer, &receive, &stride_bytes, &load.count, to_word, &load.datatype,
                          to_word, &load.byte, &load.tag, to_word, &load.comm, &load.window, &duration_ns,
                          &load.most_stamps, &stamps_object, &counts_object) ||
        mpi_require() < 0)
        return NULL;
    load.duration_ns = duration_ns;
    if (stamps_open(peers_object, "peers", &peers) < 0)
        return NULL;
    if (stamps_open(stamps_object, "stamps", &stamps) == 0) {
        if (stamps_open(counts_object, "counts", &counts) == 0) {
            if (is_sound(&load, &peers, &stamps, &counts))
                outcome = run_load(&load, &peers, send, receive, stride_bytes, &stamps, &counts);
            stamps_close(&counts);
        }
        stamps_close(&stamps);
    }
    stamps_close(&peers);
    return outcome;
}
