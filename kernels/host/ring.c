/* A ring all-reduce out of MPI's point-to-point calls: a reduce-scatter, then an all-gather, 2 (n - 1) steps together.
 *
 * In step s a rank sends chunk (rank - s) mod n to the next rank and receives chunk (rank - s - 1) mod n from the one
 * before. A chunk travels in pieces, and a piece goes on as soon as it has been reduced: while one is reduced the next
 * ones are on their way, across the borders of steps. What comes lands in the result and the rank's own contribution
 * is added there, so nothing is ever copied and the input stays as it was.
 *
 * Algorithm: Patarasuk and Yuan, Bandwidth optimal all-reduce algorithms for clusters of workstations, JPDC 69 (2009).
 */
#include "ring.h"
#include "accumulate.h"
#include "mpi_calls.h"

#include <stdlib.h>

enum { RING_TAG = 2 }; /* sendrecv of collectives.c has 1 */

struct ring {
    char *own;
    char *result;
    Py_ssize_t count;
    Py_ssize_t piece_count;
    int window; /* receives that are posted ahead */
    size_t bytes;
    intptr_t datatype;
    user_reduction *reduce;
    intptr_t comm;
    int size;
    int rank;
    Py_ssize_t pieces;   /* of each chunk */
    Py_ssize_t messages; /* of each iteration, one way */
};

/* When a message was handed over, its receiver began to wait for it, and had it: of one iteration, or all NULL. */
struct trace {
    int64_t *sent;
    int64_t *ready;
    int64_t *done;
};

static const struct trace UNTRACED = {NULL, NULL, NULL};

/* Requests by slot, and how many receives and sends there have been in this iteration. */
struct flight {
    char *receives; /* `window` of them */
    char *sends;    /* `pieces` of them: with fewer, two neighbours could wait for each other */
    Py_ssize_t posted;
    Py_ssize_t sent;
    Py_ssize_t left; /* sends that are known to have left their memory */
};

struct slice {
    size_t offset_bytes;
    int count;
};

/* Return where message `index` lies that travels `steps_ahead` (1: what is received, 0: what is sent). */
static struct slice slice_of(const struct ring *r, Py_ssize_t index, int steps_ahead)
{
    Py_ssize_t chunk = (r->rank - index / r->pieces - steps_ahead) % r->size;
    if (chunk < 0)
        chunk += r->size;
    Py_ssize_t whole = r->count / r->size, larger = r->count % r->size; /* the first chunks have one element more */
    Py_ssize_t length = whole + (chunk < larger), start = chunk * whole + (chunk < larger ? chunk : larger);
    Py_ssize_t from = index % r->pieces * r->piece_count;
    Py_ssize_t left = from < length ? length - from : 0;
    from = from < length ? from : length;
    return (struct slice){(size_t)(start + from) * r->bytes, (int)(left < r->piece_count ? left : r->piece_count)};
}

static char *slot(char *requests, Py_ssize_t index, Py_ssize_t slots)
{
    return requests + (size_t)(index % slots) * mpi.request_bytes;
}

static int let_leave(const struct ring *r, struct flight *f, Py_ssize_t until)
{
    int code = MPI_OK;
    for (; code == MPI_OK && f->left < until; f->left++)
        code = mpi.waitall(1, slot(f->sends, f->left, r->pieces), mpi.statuses_ignore);
    return code;
}

/* Post the next receive. It may land where an earlier step's message still leaves from: that has to be gone. */
static int post(const struct ring *r, struct flight *f)
{
    struct slice at = slice_of(r, f->posted, 1);
    int code = let_leave(r, f, f->posted - (r->size - 1) * r->pieces + 1);
    if (code != MPI_OK)
        return code;
    int previous = (r->rank + r->size - 1) % r->size;
    char *request = slot(f->receives, f->posted++, r->window);
    return mpi.irecv(r->result + at.offset_bytes, at.count, r->datatype, previous, RING_TAG, r->comm, request);
}

static int hand_over(const struct ring *r, struct flight *f, const struct trace *trace)
{
    struct slice at = slice_of(r, f->sent, 0);
    const char *from = (f->sent < r->pieces ? r->own : r->result) + at.offset_bytes;
    int code = let_leave(r, f, f->sent - r->pieces + 1);
    if (code != MPI_OK)
        return code;
    if (trace->sent != NULL)
        trace->sent[f->sent] = now_ns();
    char *request = slot(f->sends, f->sent++, r->pieces);
    return mpi.isend(from, at.count, r->datatype, (r->rank + 1) % r->size, RING_TAG, r->comm, request);
}

static int take(const struct ring *r, struct flight *f, Py_ssize_t index, const struct trace *trace)
{
    if (trace->ready != NULL)
        trace->ready[index] = now_ns();
    int code = mpi.waitall(1, slot(f->receives, index, r->window), mpi.statuses_ignore);
    if (trace->done != NULL)
        trace->done[index] = now_ns();
    if (code == MPI_OK && index < (r->size - 1) * r->pieces) {
        struct slice at = slice_of(r, index, 1);
        r->reduce(r->own + at.offset_bytes, r->result + at.offset_bytes, &at.count, NULL);
    }
    return code;
}

static struct failure go_round(const struct ring *r, struct flight *f, const struct trace *trace, Py_ssize_t iteration)
{
    f->posted = f->sent = f->left = 0;
    while (f->posted < r->window && f->posted < r->messages)
        CHECKED("MPI_Irecv", post(r, f));
    while (f->sent < r->pieces)
        CHECKED("MPI_Isend", hand_over(r, f, trace));
    for (Py_ssize_t index = 0; index < r->messages; index++) {
        CHECKED("MPI_Waitall", take(r, f, index, trace));
        if (f->sent < r->messages)
            CHECKED("MPI_Isend", hand_over(r, f, trace));
        if (f->posted < r->messages)
            CHECKED("MPI_Irecv", post(r, f));
    }
    CHECKED("MPI_Waitall", let_leave(r, f, r->messages));
    return NO_FAILURE;
}

static struct failure back_to_back(const struct ring *r, struct flight *f, const struct stamps *stamps)
{
    struct failure failure = NO_FAILURE;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; failure.call == NULL && iteration + 1 < stamps->count; iteration++) {
        failure = go_round(r, f, &UNTRACED, iteration);
        stamps->ns[iteration + 1] = now_ns();
    }
    return failure;
}

enum { ENTRIES, EXITS, SENT, READY, DONE, ARRAYS };

static const char *const NAMES[ARRAYS] = {"entries", "exits", "sent", "ready", "done"};

static struct failure aligned(const struct ring *r, struct flight *f, const struct stamps arrays[ARRAYS])
{
    struct failure failure = NO_FAILURE;
    for (Py_ssize_t iteration = 0; failure.call == NULL && iteration < arrays[ENTRIES].count; iteration++) {
        Py_ssize_t first = iteration * r->messages;
        struct trace trace = {arrays[SENT].ns + first, arrays[READY].ns + first, arrays[DONE].ns + first};
        CHECKED("MPI_Barrier", mpi.barrier(r->comm));
        arrays[ENTRIES].ns[iteration] = now_ns();
        failure = go_round(r, f, &trace, iteration);
        arrays[EXITS].ns[iteration] = now_ns();
    }
    return failure;
}

static void close_flight(struct flight *f)
{
    free(f->receives);
    free(f->sends);
}

static int open_flight(const struct ring *r, struct flight *f)
{
    f->receives = malloc((size_t)r->window * WIDEST_REQUEST_BYTES);
    f->sends = malloc((size_t)r->pieces * WIDEST_REQUEST_BYTES);
    if (f->receives != NULL && f->sends != NULL)
        return 0;
    close_flight(f);
    PyErr_NoMemory();
    return -1;
}

static int complete(struct ring *r, const char *dtype, const char *op)
{
    r->reduce = find_accumulation(dtype, op, &r->bytes);
    if (r->reduce == NULL) {
        PyErr_Format(PyExc_ValueError, "a ring cannot reduce %s by %s", dtype, op);
        return -1;
    }
    if (r->size < 2 || r->rank < 0 || r->rank >= r->size || r->count < 0 || r->piece_count < 1 || r->window < 1 ||
        r->piece_count > INT32_MAX) {
        PyErr_Format(PyExc_ValueError, "no ring of %d ranks, %zd elements in pieces of %zd, and %d receives ahead",
                     r->size, r->count, r->piece_count, r->window);
        return -1;
    }
    Py_ssize_t largest = (r->count + r->size - 1) / r->size;
    r->pieces = largest > 0 ? (largest + r->piece_count - 1) / r->piece_count : 1;
    r->messages = 2 * (r->size - 1) * r->pieces;
    if (r->window > r->messages / 2) /* beyond, a receive would wait for a send that has not begun */
        r->window = (int)(r->messages / 2);
    return mpi_require();
}

#define RING_FORMAT "O&O&nniO&ssO&ii"
#define RING_FIELDS(r, dtype, op)                                                                              \
    to_pointer, &(r).own, to_pointer, &(r).result, &(r).count, &(r).piece_count, &(r).window, to_word, &(r).datatype, \
        &(dtype), &(op), to_word, &(r).comm, &(r).size, &(r).rank

PyObject *py_ring(PyObject *module, PyObject *args)
{
    (void)module;
    struct ring r;
    struct flight f;
    struct stamps stamps;
    struct failure failure;
    const char *dtype, *op;
    PyObject *buffer;
    if (!PyArg_ParseTuple(args, RING_FORMAT "O:ring", RING_FIELDS(r, dtype, op), &buffer) ||
        complete(&r, dtype, op) < 0 || stamps_open(buffer, "stamps", &stamps) < 0)
        return NULL;
    PyObject *outcome = NULL;
    if (open_flight(&r, &f) == 0) {
        Py_BEGIN_ALLOW_THREADS
        failure = back_to_back(&r, &f, &stamps);
        Py_END_ALLOW_THREADS
        close_flight(&f);
        outcome = series_outcome(failure);
    }
    stamps_close(&stamps);
    return outcome;
}

static int fits(const struct ring *r, const struct stamps arrays[ARRAYS])
{
    Py_ssize_t iterations = arrays[ENTRIES].count;
    for (int index = EXITS; index < ARRAYS; index++) {
        Py_ssize_t wanted = index == EXITS ? iterations : iterations * r->messages;
        if (arrays[index].count != wanted) {
            PyErr_Format(PyExc_ValueError, "%s has %zd stamps; %zd iterations of %zd messages need %zd", NAMES[index],
                         arrays[index].count, iterations, r->messages, wanted);
            return 0;
        }
    }
    return 1;
}

static PyObject *run_traced(const struct ring *r, const struct stamps arrays[ARRAYS])
{
    struct flight f;
    struct failure failure;
    PyObject *outcome = NULL;
    if (fits(r, arrays) && open_flight(r, &f) == 0) {
        Py_BEGIN_ALLOW_THREADS
        failure = aligned(r, &f, arrays);
        Py_END_ALLOW_THREADS
        close_flight(&f);
        outcome = series_outcome(failure);
    }
    return outcome;
}

PyObject *py_traced_ring(PyObject *module, PyObject *args)
{
    (void)module;
    struct ring r;
    struct stamps arrays[ARRAYS];
    const char *dtype, *op;
    PyObject *buffers[ARRAYS], *outcome = NULL;
    int opened = 0;
    if (!PyArg_ParseTuple(args, RING_FORMAT "OOOOO:traced_ring", RING_FIELDS(r, dtype, op), &buffers[ENTRIES],
                          &buffers[EXITS], &buffers[SENT], &buffers[READY], &buffers[DONE]) ||
        complete(&r, dtype, op) < 0)
        return NULL;
    while (opened < ARRAYS && stamps_open(buffers[opened], NAMES[opened], &arrays[opened]) == 0)
        opened++;
    if (opened == ARRAYS)
        outcome = run_traced(&r, arrays);
    while (opened > 0)
        stamps_close(&arrays[--opened]);
    return outcome;
}
