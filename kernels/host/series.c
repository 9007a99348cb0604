#include "series.h"

#include <string.h>

static PyObject *mpi_error;

static int holds_int64(const Py_buffer *view)
{
    const char *format = view->format;
    return view->itemsize == 8 && format != NULL && (strcmp(format, "l") == 0 || strcmp(format, "q") == 0);
}

int stamps_open(PyObject *object, const char *name, struct stamps *stamps)
{
    Py_buffer *view = &stamps->view;
    if (PyObject_GetBuffer(object, view, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE | PyBUF_FORMAT) < 0)
        return -1;
    if (!holds_int64(view) || view->len == 0) {
        PyErr_Format(PyExc_ValueError, "%s must be a non-empty array of int64, not %zd bytes of format '%s'", name,
                     view->len, view->format == NULL ? "B" : view->format);
        PyBuffer_Release(view);
        return -1;
    }
    stamps->ns = view->buf;
    stamps->count = view->len / view->itemsize;
    return 0;
}

void stamps_close(struct stamps *stamps)
{
    PyBuffer_Release(&stamps->view);
}

PyObject *series_run(series_loop loop, const void *task, PyObject *object)
{
    struct stamps stamps;
    struct failure failure;
    if (stamps_open(object, "stamps", &stamps) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    failure = loop(task, &stamps);
    Py_END_ALLOW_THREADS
    stamps_close(&stamps);
    return series_outcome(failure);
}

PyObject *series_outcome(struct failure failure)
{
    if (failure.call == NULL)
        Py_RETURN_NONE;
    PyObject *args = Py_BuildValue("(sin)", failure.call, failure.code, failure.iteration);
    if (args != NULL) {
        PyErr_SetObject(mpi_error, args);
        Py_DECREF(args);
    }
    return NULL;
}

int series_register(PyObject *module)
{
    if (mpi_error == NULL)
        mpi_error = PyErr_NewExceptionWithDoc("netprobe._native.MpiError",
                                              "An MPI call failed: args are (call name, MPI error code, iteration).",
                                              NULL, NULL);
    return mpi_error == NULL ? -1 : PyModule_AddObjectRef(module, "MpiError", mpi_error);
}

static struct failure do_nothing(const void *task, const struct stamps *stamps)
{
    (void)task;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 1; iteration < stamps->count; iteration++)
        stamps->ns[iteration] = now_ns();
    return NO_FAILURE;
}

PyObject *py_empty_series(PyObject *module, PyObject *stamps)
{
    (void)module;
    return series_run(do_nothing, NULL, stamps);
}

static double ns_per_read(Py_ssize_t reads)
{
    int64_t first_ns = now_ns(), last_ns = first_ns;
    for (Py_ssize_t index = 0; index < reads; index++)
        last_ns = now_ns();
    return (double)(last_ns - first_ns) / (double)reads;
}

PyObject *py_clock_series(PyObject *module, PyObject *object)
{
    (void)module;
    double cost_ns;
    Py_ssize_t reads = PyLong_AsSsize_t(object);
    if (reads == -1 && PyErr_Occurred())
        return NULL;
    if (reads < 1)
        return PyErr_Format(PyExc_ValueError, "clock_series needs at least one read, not %zd", reads);
    Py_BEGIN_ALLOW_THREADS
    cost_ns = ns_per_read(reads);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(cost_ns);
}
