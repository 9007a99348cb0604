/* Fixed work quanta and a beat of sleeps: who is interrupted finishes late (FWQ; Sottile and Minnich, 2004).
 *
 * A quantum is a chain of integer operations in registers: nothing but the clock of the core, and whoever takes the core
 * away, decides how long it takes. Its result is the twin's to check (tests), and keeps it from being optimised away.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* sched_getcpu */
#endif
#include "noise.h"

#include "accumulate.h"
#include "series.h"

#include <errno.h>
#ifdef __linux__
#include <sched.h>
#endif

#define NS_PER_S 1000000000

static int cpu_now(void)
{
#ifdef __linux__
    return sched_getcpu();
#else
    return -1;
#endif
}

struct beat {
    int64_t length; /* steps of work, or ns of sleep */
    int64_t budget_ns;
    int first_cpu, last_cpu, failure;
    uint64_t value;
};

/* Write a stamp before the first quantum and one after each; return how many there are. */
static Py_ssize_t run_quanta(struct beat *beat, const struct stamps *stamps)
{
    Py_ssize_t written = 1;
    uint64_t value = (uint64_t)stamps->count;
    beat->first_cpu = cpu_now();
    stamps->ns[0] = now_ns();
    int64_t until_ns = stamps->ns[0] + beat->budget_ns;
    while (written < stamps->count) {
        value = spun(value, (uint64_t)beat->length);
        stamps->ns[written] = now_ns();
        if (stamps->ns[written++] >= until_ns)
            break;
    }
    beat->last_cpu = cpu_now();
    beat->value = value;
    return written;
}

/* Write how late each wake-up came; return how many there were. */
static Py_ssize_t run_wakes(struct beat *beat, const struct stamps *late)
{
    Py_ssize_t written = 0;
    beat->first_cpu = cpu_now();
    int64_t wanted_ns = now_ns(), until_ns = wanted_ns + beat->budget_ns, woken_ns = wanted_ns;
    while (written < late->count && woken_ns < until_ns) {
        /* From now on, not from when it should have woken: one long delay would make the next ones late as well. */
        wanted_ns = woken_ns + beat->length;
        struct timespec at = {.tv_sec = wanted_ns / NS_PER_S, .tv_nsec = wanted_ns % NS_PER_S};
        int failure;
        do
            failure = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
        while (failure == EINTR);
        if (failure != 0) {
            beat->failure = failure;
            break;
        }
        woken_ns = now_ns();
        late->ns[written++] = woken_ns - wanted_ns;
    }
    beat->last_cpu = cpu_now();
    return written;
}

static PyObject *run_beat(PyObject *args, const char *format, const char *what,
                          Py_ssize_t (*loop)(struct beat *, const struct stamps *), int64_t longest)
{
    struct beat beat = {0};
    struct stamps stamps;
    long long length, budget_ns;
    Py_ssize_t written;
    PyObject *buffer;
    if (!PyArg_ParseTuple(args, format, &length, &budget_ns, &buffer))
        return NULL;
    if (length < 1 || length > longest || budget_ns < 0 || budget_ns > 3600LL * NS_PER_S)
        return PyErr_Format(PyExc_ValueError, "no %s of %lld for %lld ns", what, length, budget_ns);
    if (stamps_open(buffer, what, &stamps) < 0)
        return NULL;
    beat.length = length;
    beat.budget_ns = budget_ns;
    Py_BEGIN_ALLOW_THREADS
    written = loop(&beat, &stamps);
    Py_END_ALLOW_THREADS
    stamps_close(&stamps);
    if (beat.failure != 0) {
        errno = beat.failure;
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    return Py_BuildValue("(niiK)", written, beat.first_cpu, beat.last_cpu, (unsigned long long)beat.value);
}

PyObject *py_quanta(PyObject *module, PyObject *args)
{
    (void)module;
    return run_beat(args, "LLO:quanta", "quanta", run_quanta, (int64_t)1 << 32);
}

PyObject *py_wakes(PyObject *module, PyObject *args)
{
    (void)module;
    return run_beat(args, "LLO:wakes", "wakes", run_wakes, (int64_t)10 * NS_PER_S);
}
