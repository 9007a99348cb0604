/* netprobe._native: what has to be fast, in one limited-API extension that knows no MPI at link time. */
#include "accumulate.h"
#include "bursts.h"
#include "collectives.h"
#include "flows.h"
#include "halves.h"
#include "mpi_calls.h"
#include "noise.h"
#include "pairs.h"
#include "pattern.h"
#include "reduce.h"
#include "ring.h"
#include "staging.h"
#include "verbs_datagrams.h"
#include "verbs_link.h"
#include "verbs_loops.h"
#include "verbs_pings.h"

static PyMethodDef methods[] = {
    {"mpi_bind", (PyCFunction)(void (*)(void))py_mpi_bind, METH_VARARGS | METH_KEYWORDS,
     "Take the addresses of the loaded MPI library's functions."},
    {"mpi_stage", py_mpi_stage, METH_VARARGS, "Copy messages of a GPU by way of the host's memory."},
    {"mpi_unstage", py_mpi_unstage, METH_NOARGS, "Hand addresses to MPI as they are."},
    {"empty_series", py_empty_series, METH_O, "Run the timed loop with no operation in it."},
    {"clock_series", py_clock_series, METH_O, "Return the ns that one clock read takes, over so many."},
    {"pingpong", py_pingpong, METH_VARARGS, "Run round trips with a peer."},
    {"stream", py_stream, METH_VARARGS, "Stream windows of messages one way, each acknowledged."},
    {"exchange", py_exchange, METH_VARARGS, "Stream windows of messages both ways at once."},
    {"flows", py_flows, METH_VARARGS, "Load the fabric with flows out and in until their receivers stop them."},
    {"clock_pings", py_clock_pings, METH_VARARGS, "Exchange clock readings with a peer."},
    {"collective", py_collective, METH_VARARGS, "Run a collective back to back."},
    {"aligned_collective", py_aligned_collective, METH_VARARGS, "Run a collective with a barrier before each."},
    {"ring", py_ring, METH_VARARGS, "Run a ring all-reduce back to back."},
    {"traced_ring", py_traced_ring, METH_VARARGS, "Run one with a barrier before each, and time every message."},
    {"bursts", py_bursts, METH_VARARGS, "Run steps of a computation and an all-reduce each."},
    {"compute", py_compute, METH_VARARGS, "Return the ns that so much of such a computation takes."},
    {"pattern_fill", py_pattern_fill, METH_VARARGS, "Write words of a pattern."},
    {"pattern_verify", py_pattern_verify, METH_VARARGS, "Compare memory with words of a pattern."},
    {"contribution_fill", py_contribution_fill, METH_VARARGS, "Write what a rank adds to a reduction."},
    {"reduction_verify", py_reduction_verify, METH_VARARGS, "Compare memory with the result of a reduction."},
    {"user_reduction", py_user_reduction, METH_VARARGS, "Return the address of an MPI user function."},
    {"accumulate", py_accumulate, METH_VARARGS, "Reduce elements into others."},
    {"spin", py_spin, METH_VARARGS, "Return a value that takes so many steps."},
    {"quanta", py_quanta, METH_VARARGS, "Run quanta of fixed work, and stamp each."},
    {"wakes", py_wakes, METH_VARARGS, "Sleep to a beat, and tell how late each wake-up came."},
    {"verbs_load", py_verbs_load, METH_VARARGS, "Open libibverbs."},
    {"verbs_open", py_verbs_open, METH_VARARGS, "Open an RDMA device."},
    {"verbs_close", py_verbs_close, METH_O, "Close a device."},
    {"verbs_reg", py_verbs_reg, METH_VARARGS, "Register memory."},
    {"verbs_dereg", py_verbs_dereg, METH_O, "Take a registration back."},
    {"verbs_link", py_verbs_link, METH_VARARGS, "Make the queue pairs of one pair of ranks."},
    {"verbs_join", py_verbs_join, METH_VARARGS, "Bring queue pairs up towards those of the other end."},
    {"verbs_unlink", py_verbs_unlink, METH_O, "Destroy queue pairs."},
    {"verbs_expect", py_verbs_expect, METH_VARARGS, "Post the first receives of a series."},
    {"verbs_pingpong", py_verbs_pingpong, METH_VARARGS, "Run round trips."},
    {"verbs_stream", py_verbs_stream, METH_VARARGS, "Stream windows of messages, out, in, or both ways."},
    {"verbs_datagrams", py_verbs_datagrams, METH_VARARGS, "Make a queue pair for datagrams."},
    {"verbs_address", py_verbs_address, METH_VARARGS, "Tell whom it sends to."},
    {"verbs_pings", py_verbs_pings, METH_VARARGS, "Send datagrams and wait for their echoes."},
    {"verbs_echoes", py_verbs_echoes, METH_VARARGS, "Send back what comes."},
    {"verbs_end_datagrams", py_verbs_end_datagrams, METH_O, "Destroy it."},
    {NULL, NULL, 0, NULL},
};

static int fill_module(PyObject *module)
{
    return series_register(module) < 0 ? -1 : verbs_register(module);
}

static PyModuleDef_Slot slots[] = {
    {Py_mod_exec, fill_module},
    {0, NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "netprobe._native",
    .m_doc = "Timed loops over MPI, data patterns and exact reductions; see kernels/README.md.",
    .m_methods = methods,
    .m_slots = slots,
};

PyMODINIT_FUNC PyInit__native(void)
{
    return PyModuleDef_Init(&definition);
}
