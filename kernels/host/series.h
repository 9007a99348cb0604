/* What every timed loop shares: the clock, the stamps it fills, and how it reports a call that failed. */
#ifndef NETPROBE_SERIES_H
#define NETPROBE_SERIES_H

#include "arguments.h"

#include <time.h>

/* CLOCK_MONOTONIC in ns, one for each element, in the caller's buffer. */
struct stamps {
    int64_t *ns;
    Py_ssize_t count;
    Py_buffer view;
};

/* The call that failed; `call` is NULL when the series went well. */
struct failure {
    const char *call;
    int code;
    Py_ssize_t iteration;
};

#define NO_FAILURE ((struct failure){NULL, 0, 0})

/* A loop: writes one stamp before the first iteration and one after each, so one clock read an iteration. */
typedef struct failure (*series_loop)(const void *task, const struct stamps *stamps);

static inline int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Take a writable, contiguous buffer of at least one int64; return -1 with an exception set when it is none. */
int stamps_open(PyObject *object, const char *name, struct stamps *stamps);
void stamps_close(struct stamps *stamps);

/* Run `loop` with the GIL released, so that a watchdog thread can act while a peer keeps us waiting. */
PyObject *series_run(series_loop loop, const void *task, PyObject *stamps);

/* Return None, or raise MpiError(call, code, iteration). */
PyObject *series_outcome(struct failure failure);

int series_register(PyObject *module);

PyObject *py_empty_series(PyObject *module, PyObject *stamps);
PyObject *py_clock_series(PyObject *module, PyObject *reads);

#endif
