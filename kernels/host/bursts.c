#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_setaffinity */
#endif
#include "bursts.h"
#include "mpi_calls.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>

enum {
    COLUMNS = 5, /* of a step: began, entered the all-reduce, left it, off its CPU meanwhile, had computed */
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
    struct companion *companion; /* NULL: what is computed is computed first */
};

/* Computes while another thread communicates, a step at a time. */
struct companion {
    pthread_t thread;
    sem_t go;
    const struct bursts *of;
    atomic_bool is_over;
    atomic_llong steps; /* that it has computed; written after ended_ns */
    int64_t ended_ns;
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

/* Leave the CPUs that the process is bound to, where its other thread waits for messages; stay where there are none. */
static void leave_own_cpus(void)
{
#ifdef __linux__
    cpu_set_t own, others;
    if (sched_getaffinity(0, sizeof own, &own) != 0)
        return;
    CPU_ZERO(&others);
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (!CPU_ISSET(cpu, &own))
            CPU_SET(cpu, &others);
    (void)sched_setaffinity(0, sizeof others, &others);
#endif
}

/* Asleep it would begin late: it looks for the next step for a while, as a GPU does that has work in its queue. */
static void wait_for_step(struct companion *own)
{
    int64_t until_ns = now_ns() + SPIN_NS;
    while (sem_trywait(&own->go) != 0)
        if (now_ns() >= until_ns) {
            while (sem_wait(&own->go) != 0)
                ;
            return;
        }
}

static void *accompany(void *argument)
{
    struct companion *own = argument;
    volatile uint64_t sink = 1;
    leave_own_cpus();
    for (;;) {
        wait_for_step(own);
        if (atomic_load(&own->is_over))
            return NULL;
        sink = compute(sink, own->of->work, own->of->limit_ns);
        own->ended_ns = now_ns();
        atomic_fetch_add(&own->steps, 1);
    }
}

/* Return when the companion had computed its step. */
static int64_t wait_for_companion(struct companion *companion, long long steps)
{
    while (atomic_load(&companion->steps) < steps)
        sched_yield(); /* where both have but one CPU, it is needed there */
    return companion->ended_ns;
}

static int companion_start(struct companion *companion, const struct bursts *of)
{
    companion->of = of;
    atomic_init(&companion->is_over, 0);
    atomic_init(&companion->steps, 0);
    if (sem_init(&companion->go, 0, 0) != 0)
        return errno;
    int code = pthread_create(&companion->thread, NULL, accompany, companion);
    if (code != 0)
        sem_destroy(&companion->go);
    return code;
}

static void companion_end(struct companion *companion)
{
    atomic_store(&companion->is_over, 1);
    sem_post(&companion->go);
    pthread_join(companion->thread, NULL);
    sem_destroy(&companion->go);
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
        if (b->companion != NULL)
            sem_post(&b->companion->go);
        else if (b->work > 0)
            sink = compute(sink, b->work, b->limit_ns);
        row[1] = now_ns();
        CHECKED("MPI_Allreduce", reduce_buckets(b));
        row[2] = now_ns();
        int64_t off_ns = row[2] - row[0] - (cpu_ns() - before_ns);
        row[3] = off_ns > 0 ? off_ns : 0;
        row[4] = b->companion == NULL ? row[1] : wait_for_companion(b->companion, iteration + 1);
    }
    return NO_FAILURE;
}

PyObject *py_bursts(PyObject *module, PyObject *args)
{
    (void)module;
    struct bursts b;
    long long start_ns, period_ns, limit_ns;
    int overlaps;
    PyObject *stamps;
    if (!PyArg_ParseTuple(args, "O&O&nnnO&O&O&LLKLpO:bursts", to_pointer, &b.send, to_pointer, &b.receive, &b.count,
                          &b.buckets, &b.element_bytes, to_word, &b.datatype, to_word, &b.op, to_word, &b.comm,
                          &start_ns, &period_ns, &b.work, &limit_ns, &overlaps, &stamps) ||
        mpi_require() < 0)
        return NULL;
    if (b.buckets < 1 || b.buckets > b.count)
        return PyErr_Format(PyExc_ValueError, "%zd elements do not make %zd buckets", b.count, b.buckets);
    b.start_ns = start_ns;
    b.period_ns = period_ns;
    b.limit_ns = limit_ns;
    b.companion = NULL;
    if (!overlaps)
        return series_run(run_steps, &b, stamps);
    struct companion companion;
    errno = companion_start(&companion, &b);
    if (errno != 0)
        return PyErr_SetFromErrno(PyExc_OSError);
    b.companion = &companion;
    PyObject *told = series_run(run_steps, &b, stamps);
    companion_end(&companion);
    return told;
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
