#include "verbs_datagrams.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DATAGRAMS "netprobe.verbs.datagrams"

enum {
    DEPTH = 128,       /* receives that are posted, and sends under way: what may arrive while this end has no core */
    ROUTE_HEADER = 40, /* lies in front of what a datagram carries, whether there is one or not */
    CACHE_LINE = 64,
};
static const unsigned char FILL = 0xa5;

/* Queue pairs */

static void destroy_datagrams(struct datagrams *own)
{
    if (own->qp != NULL)
        verbs.destroy_qp(own->qp);
    if (own->ah != NULL)
        verbs.destroy_ah(own->ah);
    if (own->cq != NULL)
        verbs.destroy_cq(own->cq);
    if (own->mr != NULL)
        verbs.dereg_mr(own->mr);
    free(own->memory);
    own->qp = NULL;
    own->ah = NULL;
    own->cq = NULL;
    own->mr = NULL;
    own->memory = NULL;
    Py_CLEAR(own->device_capsule);
}

static void free_datagrams(PyObject *capsule)
{
    struct datagrams *own = PyCapsule_GetPointer(capsule, DATAGRAMS);
    if (own == NULL)
        return;
    destroy_datagrams(own);
    free(own);
}

struct datagrams *datagrams_of(PyObject *capsule)
{
    struct datagrams *own = PyCapsule_GetPointer(capsule, DATAGRAMS);
    if (own != NULL && own->qp == NULL) {
        PyErr_SetString(PyExc_ValueError, "this queue pair was destroyed");
        return NULL;
    }
    return own;
}

/* The NIC's clock as completions are stamped with it; mask 0: they are not. */
struct clock {
    uint64_t mask;
    uint64_t khz;
};

static const struct ib_context_before *before(struct ib_context *context)
{
    const struct ib_context_before *found = (const struct ib_context_before *)(const void *)context - 1;
    if (context->abi_compat != (void *)UINTPTR_MAX)
        return NULL;
    /* What an older library does not have lies beyond its size. */
    return found->sz >= sizeof *found + sizeof *context ? found : NULL;
}

static struct clock make_stamping_queue(struct datagrams *own)
{
    struct ib_context *context = own->device->context;
    const struct ib_context_before *calls = before(context);
    struct ib_cq_init_attr_ex wanted = {.cqe = 2 * (uint32_t)own->depth,
                                        .wc_flags = IB_WC_EX_WITH_COMPLETION_TIMESTAMP};
    struct ib_device_attr_ex attr;
    memset(&attr, 0, sizeof attr);
    if (calls == NULL || calls->create_cq_ex == NULL || calls->query_device_ex == NULL)
        return (struct clock){0, 0};
    if (calls->query_device_ex(context, NULL, &attr, sizeof attr) != 0 || attr.completion_timestamp_mask == 0 ||
        attr.hca_core_clock == 0)
        return (struct clock){0, 0};
    if ((own->stamping = calls->create_cq_ex(context, &wanted)) == NULL)
        return (struct clock){0, 0};
    own->cq = (struct ib_cq *)(void *)own->stamping;
    return (struct clock){attr.completion_timestamp_mask, attr.hca_core_clock};
}

static struct breakage make_queue_pair(struct datagrams *own, uint32_t qkey)
{
    struct ib_qp_init_attr wanted = {
        .send_cq = own->cq,
        .recv_cq = own->cq,
        .cap = {(uint32_t)own->depth, (uint32_t)own->depth, 1, 1, 0},
        .qp_type = IB_QPT_UD,
    };
    own->qp = verbs.create_qp(own->device->pd, &wanted);
    if (own->qp == NULL)
        return refused("ibv_create_qp for datagrams", errno);
    struct ib_qp_attr attr = {.qp_state = IB_QPS_INIT, .port_num = (uint8_t)own->port, .qkey = qkey};
    int error = verbs.modify_qp(own->qp, &attr, IB_QP_STATE | IB_QP_PKEY_INDEX | IB_QP_PORT | IB_QP_QKEY);
    if (error != 0)
        return refused("ibv_modify_qp to INIT", error);
    attr.qp_state = IB_QPS_RTR;
    if ((error = verbs.modify_qp(own->qp, &attr, IB_QP_STATE)) != 0)
        return refused("ibv_modify_qp of datagrams", error);
    attr.qp_state = IB_QPS_RTS;
    if ((error = verbs.modify_qp(own->qp, &attr, IB_QP_STATE | IB_QP_SQ_PSN)) != 0)
        return refused("ibv_modify_qp of datagrams", error);
    return NO_BREAKAGE;
}

static struct breakage make_memory(struct datagrams *own)
{
    own->stride = (ROUTE_HEADER + own->largest + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    size_t size = 2 * (size_t)own->depth * own->stride;
    own->memory = malloc(size);
    if (own->memory == NULL)
        return refused("ibv_reg_mr", ENOMEM);
    memset(own->memory, FILL, size);
    own->mr = verbs.reg_mr(own->device->pd, own->memory, size, IB_ACCESS_LOCAL_WRITE);
    return own->mr != NULL ? NO_BREAKAGE : refused("ibv_reg_mr", errno);
}

static char *slot_of(const struct datagrams *own, int64_t number)
{
    return own->memory + (size_t)number * own->stride;
}

static struct breakage post_receive(struct datagrams *own, uint64_t slot)
{
    struct ib_sge memory = {(uint64_t)(uintptr_t)slot_of(own, (int64_t)slot), ROUTE_HEADER + own->largest,
                            own->mr->lkey};
    struct ib_recv_wr request = {.wr_id = DATAGRAM_RECEIVE | slot, .sg_list = &memory, .num_sge = 1};
    struct ib_recv_wr *bad;
    int error = own->qp->context->ops.post_recv(own->qp, &request, &bad);
    return error == 0 ? NO_BREAKAGE : refused("ibv_post_recv", error);
}

static struct breakage make_datagrams(struct datagrams *own, uint32_t qkey, struct ib_port_attr *port,
                                      unsigned char *gid, struct clock *clock)
{
    int error;
    memset(port, 0, sizeof *port);
    if ((error = verbs.query_port(own->device->context, (uint8_t)own->port, port)) != 0)
        return refused("ibv_query_port", error);
    if (verbs.query_gid(own->device->context, (uint8_t)own->port, own->gid_index, gid) != 0)
        return refused("ibv_query_gid", errno != 0 ? errno : EINVAL);
    if (port->active_mtu < IB_MTU_256 || port->active_mtu > IB_MTU_4096)
        return refused("ibv_query_port", EINVAL);
    own->largest = 128u << port->active_mtu;
    *clock = make_stamping_queue(own);
    if (own->cq == NULL)
        own->cq = verbs.create_cq(own->device->context, 2 * own->depth, NULL, NULL, 0);
    if (own->cq == NULL)
        return refused("ibv_create_cq", errno);
    PASSED_ON(make_queue_pair(own, qkey));
    PASSED_ON(make_memory(own));
    for (int slot = 0; slot < own->depth; slot++)
        PASSED_ON(post_receive(own, (uint64_t)slot));
    return NO_BREAKAGE;
}

PyObject *py_verbs_datagrams(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *device_capsule;
    int port, gid_index;
    unsigned int qkey;
    if (!PyArg_ParseTuple(args, "OiiI:verbs_datagrams", &device_capsule, &port, &gid_index, &qkey))
        return NULL;
    struct verbs_device *device = verbs_device_of(device_capsule);
    if (device == NULL)
        return NULL;
    struct datagrams *own = calloc(1, sizeof *own);
    if (own == NULL)
        return PyErr_NoMemory();
    own->device = device;
    own->port = port;
    own->gid_index = gid_index;
    own->depth = device->attr.max_qp_wr < DEPTH ? device->attr.max_qp_wr : DEPTH;
    PyObject *capsule = PyCapsule_New(own, DATAGRAMS, free_datagrams);
    if (capsule == NULL) {
        free(own);
        return NULL;
    }
    Py_INCREF(device_capsule);
    own->device_capsule = device_capsule;
    struct ib_port_attr attr;
    unsigned char gid[16];
    struct clock clock;
    struct breakage breakage;
    Py_BEGIN_ALLOW_THREADS
    breakage = make_datagrams(own, qkey, &attr, gid, &clock);
    Py_END_ALLOW_THREADS
    if (breakage.call != NULL) {
        Py_DECREF(capsule);
        return verbs_outcome(breakage);
    }
    return Py_BuildValue("(NIIy#iKK)", capsule, own->qp->qp_num, own->largest, gid, (Py_ssize_t)sizeof gid,
                         (int)attr.lid, (unsigned long long)clock.mask, (unsigned long long)clock.khz);
}

PyObject *py_verbs_end_datagrams(PyObject *module, PyObject *capsule)
{
    (void)module;
    struct datagrams *own = PyCapsule_GetPointer(capsule, DATAGRAMS);
    if (own == NULL)
        return NULL;
    destroy_datagrams(own);
    Py_RETURN_NONE;
}

PyObject *py_verbs_address(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *capsule;
    const char *gid;
    Py_ssize_t gid_size;
    unsigned int remote_qp, remote_qkey;
    struct ib_ah_attr attr;
    struct ib_ah *ah;
    int error;
    memset(&attr, 0, sizeof attr);
    if (!PyArg_ParseTuple(args, "OIIy#HbIbbb:verbs_address", &capsule, &remote_qp, &remote_qkey, &gid, &gid_size,
                          &attr.dlid, &attr.is_global, &attr.grh.flow_label, &attr.grh.hop_limit,
                          &attr.grh.traffic_class, &attr.sl))
        return NULL;
    struct datagrams *own = datagrams_of(capsule);
    if (own == NULL)
        return NULL;
    if (gid_size != (Py_ssize_t)sizeof attr.grh.dgid)
        return PyErr_Format(PyExc_ValueError, "a GID has 16 bytes, not %zd", gid_size);
    if (own->ah != NULL)
        return PyErr_Format(PyExc_ValueError, "this queue pair has an address already");
    memcpy(attr.grh.dgid, gid, sizeof attr.grh.dgid);
    attr.grh.sgid_index = (uint8_t)own->gid_index;
    attr.port_num = (uint8_t)own->port;
    Py_BEGIN_ALLOW_THREADS /* resolving an address may take a second */
    errno = 0;
    ah = verbs.create_ah(own->device->pd, &attr);
    error = errno != 0 ? errno : EIO;
    Py_END_ALLOW_THREADS
    if (ah == NULL)
        return verbs_outcome(refused("ibv_create_ah", error));
    own->ah = ah;
    own->remote_qp = remote_qp;
    own->remote_qkey = remote_qkey;
    Py_RETURN_NONE;
}

/* Sending and completions */

struct breakage datagram_send(struct datagrams *own, uint64_t number, uint32_t size, uint64_t id)
{
    char *place = slot_of(own, own->depth + own->posted % own->depth);
    struct ib_sge memory = {(uint64_t)(uintptr_t)place, size, own->mr->lkey};
    struct ib_send_wr request;
    struct ib_send_wr *bad;
    memcpy(place, &number, sizeof number);
    memset(&request, 0, sizeof request);
    request.wr_id = id;
    request.sg_list = &memory;
    request.num_sge = 1;
    request.opcode = IB_WR_SEND;
    request.send_flags = IB_SEND_SIGNALED;
    request.wr.ud.ah = own->ah;
    request.wr.ud.remote_qpn = own->remote_qp;
    request.wr.ud.remote_qkey = own->remote_qkey;
    int error = own->qp->context->ops.post_send(own->qp, &request, &bad);
    if (error != 0)
        return refused("ibv_post_send", error);
    own->posted++;
    return NO_BREAKAGE;
}

static struct breakage failed_with(int status, uint32_t vendor_error)
{
    return (struct breakage){"ibv_poll_cq", status, vendor_error, 0, 0, 0};
}

static struct breakage look_for_stamped(struct ib_cq_ex *cq, struct event *event, int *happened)
{
    struct ib_poll_cq_attr attr = {0};
    int error = cq->start_poll(cq, &attr);
    *happened = error == 0;
    if (error == ENOENT)
        return NO_BREAKAGE;
    if (error != 0)
        return refused("ibv_start_poll", error);
    struct breakage breakage = NO_BREAKAGE;
    if (cq->status != IB_WC_SUCCESS)
        breakage = failed_with(cq->status, cq->read_vendor_err(cq));
    else
        *event = (struct event){cq->wr_id, (int64_t)cq->read_completion_ts(cq)};
    cq->end_poll(cq);
    return breakage;
}

struct breakage datagram_look(struct datagrams *own, struct event *event, int *happened)
{
    if (own->stamping != NULL)
        return look_for_stamped(own->stamping, event, happened);
    struct ib_wc completion;
    int count = own->cq->context->ops.poll_cq(own->cq, 1, &completion);
    *happened = count > 0;
    if (count < 0)
        return refused("ibv_poll_cq", EIO);
    if (count > 0 && completion.status != IB_WC_SUCCESS)
        return failed_with(completion.status, completion.vendor_err);
    if (count > 0)
        *event = (struct event){completion.wr_id, 0};
    return NO_BREAKAGE;
}

/* Take the number out of what was received, and post its slot again. */
struct breakage datagram_take(struct datagrams *own, uint64_t slot, uint64_t *number)
{
    memcpy(number, slot_of(own, (int64_t)slot) + ROUTE_HEADER, sizeof *number);
    return post_receive(own, slot);
}
