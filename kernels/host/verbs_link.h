/* Open devices, registered memory, and the queue pairs of one pair of ranks; Python holds them as capsules. */
#ifndef NETPROBE_VERBS_LINK_H
#define NETPROBE_VERBS_LINK_H

#include "verbs_library.h"

struct verbs_device {
    struct ib_context *context;
    struct ib_pd *pd;
    struct ib_device_attr attr;
};

/* One completion queue for all, so that one poll sees everything that happened. */
struct verbs_link {
    struct verbs_device *device;
    PyObject *device_capsule; /* kept alive as long as its queue pairs */
    struct ib_cq *cq;
    struct ib_qp **qps;
    int count;
    int depth;          /* requests of each queue pair, each way */
    uint32_t inline_bytes;
    int port;
    int gid_index;
    int64_t receives; /* of the next series, and how many of them were posted beforehand */
    int64_t receives_posted;
};

struct verbs_device *verbs_device_of(PyObject *capsule);
struct verbs_link *verbs_link_of(PyObject *capsule);

PyObject *py_verbs_open(PyObject *module, PyObject *args);
PyObject *py_verbs_close(PyObject *module, PyObject *capsule);
PyObject *py_verbs_reg(PyObject *module, PyObject *args);
PyObject *py_verbs_dereg(PyObject *module, PyObject *capsule);
PyObject *py_verbs_link(PyObject *module, PyObject *args);
PyObject *py_verbs_join(PyObject *module, PyObject *args);
PyObject *py_verbs_unlink(PyObject *module, PyObject *capsule);

#endif
