/* Unreliable datagrams (UD) between two ranks: nobody sends again what is lost, so that it can be counted. */
#ifndef NETPROBE_VERBS_DATAGRAMS_H
#define NETPROBE_VERBS_DATAGRAMS_H

#include "verbs_link.h"

/* A queue pair with one peer, whose receives are posted all the time. */
struct datagrams {
    struct verbs_device *device;
    PyObject *device_capsule; /* kept alive as long as its queue pair */
    struct ib_cq *cq;
    struct ib_cq_ex *stamping; /* the same queue, where it stamps completions; else NULL */
    struct ib_qp *qp;
    struct ib_ah *ah;
    struct ib_mr *mr;
    char *memory; /* slots to receive into, and behind them slots to send from */
    size_t stride;
    int depth;
    uint32_t largest;
    uint32_t remote_qp;
    uint32_t remote_qkey;
    int port;
    int gid_index;
    int64_t posted; /* sends */
    int64_t completed;
};

/* Something that completed. */
struct event {
    uint64_t id;
    int64_t ticks; /* of the NIC's clock; 0 where it has none */
};

enum { SMALLEST_DATAGRAM = 8 }; /* its number */

/* In the number of a request: a receive, into the slot that the rest tells. */
static const uint64_t DATAGRAM_RECEIVE = 1ull << 63;

static inline int datagram_has_room(const struct datagrams *own)
{
    return own->posted - own->completed < own->depth;
}

struct datagrams *datagrams_of(PyObject *capsule);

/* Send a datagram that begins with a number; its completion has this id. */
struct breakage datagram_send(struct datagrams *own, uint64_t number, uint32_t size, uint64_t id);

/* Take note of one completion, if there is any. */
struct breakage datagram_look(struct datagrams *own, struct event *event, int *happened);

/* Take the number out of what was received, and post its slot again. */
struct breakage datagram_take(struct datagrams *own, uint64_t slot, uint64_t *number);

PyObject *py_verbs_datagrams(PyObject *module, PyObject *args);
PyObject *py_verbs_address(PyObject *module, PyObject *args);
PyObject *py_verbs_end_datagrams(PyObject *module, PyObject *capsule);

#endif
