#include "bursts.h"
#include "mpi_calls.h"

enum {
    COLUMNS = 4, /* of a step: began, entered the all-reduce, left it, and how long it was off its CPU meanwhile */
    CHUNK = 1 << 14, /* steps of the computation between two looks at the clock: some 20 µs */
};

static const int64_t SPIN_NS = 200 * 1000; /* a sleeping thread wakes up 50 µs late, and later on a busy host */

struct bursts {
    char *send;
    char *receive;
    Py_ssize_t count; /* elements of all buckets together */
    Py_ssize_t buckets;
    Py_ssize_t element_bytes;
    intptr_t datatype;
    intptr_t op;
    intptr_t comm;
    int64_t start_ns;
    int64_t period_ns; /* 0: each step begins when the one before has ended */
    unsigned long long work;
    int64_t limit_ns;
};

static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* So much arithmetic, and not so long: on a core that is slow or shared it takes longer, as it does in a job. */
static uint64_t compute(uint64_t x, unsigned long long work, int64_t limit_ns)
{
    int64_t until_ns = now_ns() + limit_ns;
    while (work > 0 && now_ns() < until_ns) {
        unsigned long long chunk = work < CHUNK ? work : CHUNK;
        work -= chunk;
        for (; chunk > 0; chunk--)
            x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    }
    return x;
}

static void wait_until(int64_t when_ns)
{
    int64_t wake_ns = when_ns - SPIN_NS;
    if (now_ns() < wake_ns) {
        struct timespec wake = {wake_ns / 1000000000, wake_ns % 1000000000};
        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL) != 0)
            ;
    }
    while (now_ns() < when_ns)
        ;
}

static int reduce_buckets(const struct bursts *b)
{
    Py_ssize_t each = b->count / b->buckets;
    for (Py_ssize_t bucket = 0; bucket < b->buckets; bucket++) {
        Py_ssize_t first = bucket * each, count = bucket + 1 < b->buckets ? each : b->count - first;
        int code = mpi.allreduce(b->send + first * b->element_bytes, b->receive + first * b->element_bytes, (int)count,
                                 b->datatype, b->op, b->comm);
        if (code != MPI_OK)
            return code;
    }
    return MPI_OK;
}

static struct failure run_steps(const void *task, const struct stamps *stamps)
{
    const struct bursts *b = task;
    volatile uint64_t sink = 1; /* or the computation would be left away */
    wait_until(b->start_ns);
    for (Py_ssize_t iteration = 0; iteration < stamps->count / COLUMNS; iteration++) {
        int64_t *row = stamps->ns + iteration * COLUMNS;
        if (b->period_ns > 0)
            wait_until(b->start_ns + iteration * b->period_ns);
        int64_t before_ns = cpu_ns();
        row[0] = now_ns();
        if (b->work > 0)
            sink = compute(sink, b->work, b->limit_ns);
        row[1] = now_ns();
        CHECKED("MPI_Allreduce", reduce_buckets(b));
        row[2] = now_ns();
        int64_t off_ns = row[2] - row[0] - (cpu_ns() - before_ns);
        row[3] = off_ns > 0 ? off_ns : 0;
    }
    return NO_FAILURE;
}

PyObject *py_bursts(PyObject *module, PyObject *args)
{
    (void)module;
    struct bursts b;
    long long start_ns, period_ns, limit_ns;
    PyObject *stamps;
    if (!PyArg_ParseTuple(args, "O&O&nnnO&O&O&LLKLO:bursts", to_pointer, &b.send, to_pointer, &b.receive, &b.count,
                          &b.buckets, &b.element_bytes, to_word, &b.datatype, to_word, &b.op, to_word, &b.comm,
                          &start_ns, &period_ns, &b.work, &limit_ns, &stamps) ||
        mpi_require() < 0)
        return NULL;
    if (b.buckets < 1 || b.buckets > b.count)
        return PyErr_Format(PyExc_ValueError, "%zd elements do not make %zd buckets", b.count, b.buckets);
    b.start_ns = start_ns;
    b.period_ns = period_ns;
    b.limit_ns = limit_ns;
    return series_run(run_steps, &b, stamps);
}

PyObject *py_compute(PyObject *module, PyObject *args)
{
    (void)module;
    unsigned long long work;
    long long limit_ns;
    int64_t elapsed_ns;
    if (!PyArg_ParseTuple(args, "KL:compute", &work, &limit_ns))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    volatile uint64_t sink = 1;
    int64_t began_ns = now_ns();
    sink = compute(sink, work, limit_ns);
    elapsed_ns = now_ns() - began_ns;
    Py_END_ALLOW_THREADS
    return PyLong_FromLongLong(elapsed_ns);
}
