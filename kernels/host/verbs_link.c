#include "verbs_link.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEVICE "netprobe.verbs.device"
#define REGION "netprobe.verbs.region"
#define LINK "netprobe.verbs.link"

enum { ACCESS = IB_ACCESS_LOCAL_WRITE | IB_ACCESS_REMOTE_WRITE | IB_ACCESS_REMOTE_READ | IB_ACCESS_REMOTE_ATOMIC };

static PyObject *no_memory(void *held)
{
    free(held);
    return PyErr_NoMemory();
}

/* Devices */

static void close_device(struct verbs_device *device)
{
    if (device->pd != NULL)
        verbs.dealloc_pd(device->pd);
    if (device->context != NULL)
        verbs.close_device(device->context);
    device->pd = NULL;
    device->context = NULL;
}

static void free_device(PyObject *capsule)
{
    struct verbs_device *device = PyCapsule_GetPointer(capsule, DEVICE);
    if (device == NULL)
        return;
    close_device(device);
    free(device);
}

struct verbs_device *verbs_device_of(PyObject *capsule)
{
    struct verbs_device *device = PyCapsule_GetPointer(capsule, DEVICE);
    if (device != NULL && device->pd == NULL) {
        PyErr_SetString(PyExc_ValueError, "this RDMA device was closed");
        return NULL;
    }
    return device;
}

static struct breakage open_named(struct verbs_device *device, const char *name)
{
    int count = 0, error = ENODEV;
    struct ib_device **list = verbs.get_device_list(&count);
    if (list == NULL)
        return refused("ibv_get_device_list", errno);
    for (int index = 0; index < count; index++) {
        if (strcmp(verbs.get_device_name(list[index]), name) != 0)
            continue;
        errno = 0;
        device->context = verbs.open_device(list[index]);
        error = device->context != NULL ? 0 : errno != 0 ? errno : EIO;
    }
    verbs.free_device_list(list);
    if (device->context == NULL)
        return refused("ibv_open_device", error);
    if ((error = verbs.query_device(device->context, &device->attr)) != 0)
        return refused("ibv_query_device", error);
    device->pd = verbs.alloc_pd(device->context);
    return device->pd == NULL ? refused("ibv_alloc_pd", errno) : NO_BREAKAGE;
}

PyObject *py_verbs_open(PyObject *module, PyObject *args)
{
    (void)module;
    const char *name;
    struct breakage breakage;
    if (!PyArg_ParseTuple(args, "s:verbs_open", &name) || verbs_require() < 0)
        return NULL;
    struct verbs_device *device = calloc(1, sizeof *device);
    if (device == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    breakage = open_named(device, name);
    Py_END_ALLOW_THREADS
    if (breakage.call != NULL) {
        close_device(device);
        free(device);
        return verbs_outcome(breakage);
    }
    PyObject *capsule = PyCapsule_New(device, DEVICE, free_device);
    if (capsule == NULL) {
        close_device(device);
        free(device);
        return NULL;
    }
    return Py_BuildValue("(Nii)", capsule, device->attr.max_qp_wr, device->attr.atomic_cap);
}

PyObject *py_verbs_close(PyObject *module, PyObject *capsule)
{
    (void)module;
    struct verbs_device *device = PyCapsule_GetPointer(capsule, DEVICE);
    if (device == NULL)
        return NULL;
    close_device(device);
    Py_RETURN_NONE;
}

/* Memory */

struct region {
    struct ib_mr *mr;
    PyObject *device_capsule;
};

static void release_region(struct region *region)
{
    if (region->mr != NULL)
        verbs.dereg_mr(region->mr);
    region->mr = NULL;
    Py_CLEAR(region->device_capsule);
}

static void free_region(PyObject *capsule)
{
    struct region *region = PyCapsule_GetPointer(capsule, REGION);
    if (region == NULL)
        return;
    release_region(region);
    free(region);
}

/* Without atomics where the device refuses those: everything else can still be measured. */
static struct breakage register_memory(struct verbs_device *device, struct region *region, char *address, size_t size,
                                       int fd)
{
    int access = device->attr.atomic_cap ? ACCESS : ACCESS & ~IB_ACCESS_REMOTE_ATOMIC;
    if (fd < 0) {
        region->mr = verbs.reg_mr(device->pd, address, size, access);
        return region->mr != NULL ? NO_BREAKAGE : refused("ibv_reg_mr", errno);
    }
    if (verbs.reg_dmabuf_mr == NULL)
        return refused("ibv_reg_dmabuf_mr", ENOSYS);
    region->mr = verbs.reg_dmabuf_mr(device->pd, 0, size, (uint64_t)(uintptr_t)address, fd, access);
    return region->mr != NULL ? NO_BREAKAGE : refused("ibv_reg_dmabuf_mr", errno);
}

PyObject *py_verbs_reg(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *capsule;
    char *address;
    Py_ssize_t size;
    int fd;
    struct breakage breakage;
    if (!PyArg_ParseTuple(args, "OO&ni:verbs_reg", &capsule, to_pointer, &address, &size, &fd))
        return NULL;
    struct verbs_device *device = verbs_device_of(capsule);
    if (device == NULL)
        return NULL;
    struct region *region = calloc(1, sizeof *region);
    if (region == NULL)
        return PyErr_NoMemory();
    Py_BEGIN_ALLOW_THREADS
    breakage = register_memory(device, region, address, (size_t)size, fd);
    Py_END_ALLOW_THREADS
    if (breakage.call != NULL) {
        free(region);
        return verbs_outcome(breakage);
    }
    PyObject *held = PyCapsule_New(region, REGION, free_region);
    if (held == NULL) {
        verbs.dereg_mr(region->mr);
        free(region);
        return NULL;
    }
    Py_INCREF(capsule);
    region->device_capsule = capsule;
    return Py_BuildValue("(NII)", held, region->mr->lkey, region->mr->rkey);
}

PyObject *py_verbs_dereg(PyObject *module, PyObject *capsule)
{
    (void)module;
    struct region *region = PyCapsule_GetPointer(capsule, REGION);
    if (region == NULL)
        return NULL;
    release_region(region);
    Py_RETURN_NONE;
}

/* Queue pairs */

static void destroy_link(struct verbs_link *link)
{
    for (int index = 0; index < link->count; index++)
        if (link->qps[index] != NULL)
            verbs.destroy_qp(link->qps[index]);
    link->count = 0;
    if (link->cq != NULL)
        verbs.destroy_cq(link->cq);
    link->cq = NULL;
    Py_CLEAR(link->device_capsule);
}

static void free_link(PyObject *capsule)
{
    struct verbs_link *link = PyCapsule_GetPointer(capsule, LINK);
    if (link == NULL)
        return;
    destroy_link(link);
    free(link->qps);
    free(link);
}

struct verbs_link *verbs_link_of(PyObject *capsule)
{
    struct verbs_link *link = PyCapsule_GetPointer(capsule, LINK);
    if (link != NULL && link->cq == NULL) {
        PyErr_SetString(PyExc_ValueError, "these queue pairs were destroyed");
        return NULL;
    }
    return link;
}

static struct ib_qp *create_qp(const struct verbs_link *link, uint32_t inline_bytes)
{
    struct ib_qp_init_attr attr = {
        .send_cq = link->cq,
        .recv_cq = link->cq,
        .cap = {(uint32_t)link->depth, (uint32_t)link->depth, 1, 1, inline_bytes},
        .qp_type = IB_QPT_RC,
    };
    return verbs.create_qp(link->device->pd, &attr);
}

static struct breakage bring_to_init(const struct verbs_link *link, struct ib_qp *qp)
{
    struct ib_qp_attr attr = {
        .qp_state = IB_QPS_INIT,
        .port_num = (uint8_t)link->port,
        .qp_access_flags =
            link->device->attr.atomic_cap ? ACCESS : ACCESS & ~IB_ACCESS_REMOTE_ATOMIC, /* as the memory */
    };
    int error = verbs.modify_qp(qp, &attr, IB_QP_STATE | IB_QP_PKEY_INDEX | IB_QP_PORT | IB_QP_ACCESS_FLAGS);
    return error == 0 ? NO_BREAKAGE : refused("ibv_modify_qp to INIT", error);
}

static struct breakage make_queue_pairs(struct verbs_link *link, int count)
{
    link->cq = verbs.create_cq(link->device->context, 2 * link->depth * count, NULL, NULL, 0);
    if (link->cq == NULL)
        return refused("ibv_create_cq", errno);
    for (int index = 0; index < count; index++) {
        struct ib_qp *qp = create_qp(link, link->inline_bytes);
        while (qp == NULL && link->inline_bytes > 0) { /* no call tells how much a device allows */
            link->inline_bytes /= 2;
            qp = create_qp(link, link->inline_bytes);
        }
        if (qp == NULL)
            return refused("ibv_create_qp", errno);
        link->qps[link->count++] = qp;
        struct breakage breakage = bring_to_init(link, qp);
        if (breakage.call != NULL)
            return breakage;
    }
    return NO_BREAKAGE;
}

static struct breakage ask_port(const struct verbs_link *link, struct ib_port_attr *port, unsigned char *gid)
{
    int error;
    memset(port, 0, sizeof *port);
    if ((error = verbs.query_port(link->device->context, (uint8_t)link->port, port)) != 0)
        return refused("ibv_query_port", error);
    if (verbs.query_gid(link->device->context, (uint8_t)link->port, link->gid_index, gid) != 0)
        return refused("ibv_query_gid", errno != 0 ? errno : EINVAL);
    return NO_BREAKAGE;
}

static PyObject *numbers_of(const struct verbs_link *link)
{
    PyObject *numbers = PyTuple_New(link->count);
    for (int index = 0; numbers != NULL && index < link->count; index++) {
        PyObject *number = PyLong_FromUnsignedLong(link->qps[index]->qp_num);
        if (number == NULL || PyTuple_SetItem(numbers, index, number) < 0)
            Py_CLEAR(numbers);
    }
    return numbers;
}

PyObject *py_verbs_link(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *device_capsule;
    int port, gid_index, count, depth;
    unsigned int inline_bytes;
    if (!PyArg_ParseTuple(args, "OiiiiI:verbs_link", &device_capsule, &port, &gid_index, &count, &depth, &inline_bytes))
        return NULL;
    struct verbs_device *device = verbs_device_of(device_capsule);
    if (device == NULL)
        return NULL;
    if (count < 1 || count > 1024 || depth < 1)
        return PyErr_Format(PyExc_ValueError, "%d queue pairs of depth %d", count, depth);
    struct verbs_link *link = calloc(1, sizeof *link);
    if (link == NULL || (link->qps = calloc((size_t)count, sizeof *link->qps)) == NULL)
        return no_memory(link);
    link->device = device;
    link->port = port;
    link->gid_index = gid_index;
    link->depth = depth;
    link->inline_bytes = inline_bytes;
    PyObject *capsule = PyCapsule_New(link, LINK, free_link);
    if (capsule == NULL) {
        free(link->qps);
        return no_memory(link);
    }
    Py_INCREF(device_capsule);
    link->device_capsule = device_capsule;
    struct ib_port_attr attr;
    unsigned char gid[16];
    struct breakage breakage;
    Py_BEGIN_ALLOW_THREADS
    breakage = make_queue_pairs(link, count);
    if (breakage.call == NULL)
        breakage = ask_port(link, &attr, gid);
    Py_END_ALLOW_THREADS
    if (breakage.call != NULL) {
        Py_DECREF(capsule);
        return verbs_outcome(breakage);
    }
    return Py_BuildValue("(NNIiy#ii)", capsule, numbers_of(link), link->inline_bytes, attr.active_mtu, gid,
                         (Py_ssize_t)sizeof gid, (int)attr.lid, device->attr.max_qp_rd_atom);
}

PyObject *py_verbs_unlink(PyObject *module, PyObject *capsule)
{
    (void)module;
    struct verbs_link *link = PyCapsule_GetPointer(capsule, LINK);
    if (link == NULL)
        return NULL;
    destroy_link(link);
    Py_RETURN_NONE;
}

/* How the queue pairs of one link are joined to another's. */
struct route {
    struct ib_qp_attr attr; /* what all have in common */
    uint32_t *remote;       /* numbers */
    uint32_t *flow_labels;
};

static struct breakage bring_up(struct ib_qp *qp, struct ib_qp_attr attr)
{
    attr.qp_state = IB_QPS_RTR;
    int error = verbs.modify_qp(qp, &attr,
                                IB_QP_STATE | IB_QP_AV | IB_QP_PATH_MTU | IB_QP_DEST_QPN | IB_QP_RQ_PSN |
                                    IB_QP_MAX_DEST_RD_ATOMIC | IB_QP_MIN_RNR_TIMER);
    if (error != 0)
        return refused("ibv_modify_qp to RTR", error);
    attr.qp_state = IB_QPS_RTS;
    error = verbs.modify_qp(qp, &attr,
                            IB_QP_STATE | IB_QP_TIMEOUT | IB_QP_RETRY_CNT | IB_QP_RNR_RETRY | IB_QP_SQ_PSN |
                                IB_QP_MAX_QP_RD_ATOMIC);
    return error == 0 ? NO_BREAKAGE : refused("ibv_modify_qp to RTS", error);
}

static struct breakage join(struct verbs_link *link, const struct route *route)
{
    for (int index = 0; index < link->count; index++) {
        struct ib_qp_attr attr = route->attr;
        attr.dest_qp_num = route->remote[index];
        attr.ah_attr.grh.flow_label = route->flow_labels[index];
        struct breakage breakage = bring_up(link->qps[index], attr);
        if (breakage.call != NULL)
            return breakage;
    }
    return NO_BREAKAGE;
}

static uint32_t *words_of(PyObject *tuple, int count)
{
    if (!PyTuple_Check(tuple) || PyTuple_Size(tuple) != count) {
        PyErr_Format(PyExc_ValueError, "%d queue pairs need as many numbers of the other end", count);
        return NULL;
    }
    uint32_t *words = calloc((size_t)count, sizeof *words);
    if (words == NULL)
        return (uint32_t *)PyErr_NoMemory();
    for (int index = 0; index < count; index++)
        words[index] = (uint32_t)PyLong_AsUnsignedLongMask(PyTuple_GetItem(tuple, index));
    return words;
}

PyObject *py_verbs_join(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *capsule, *remote, *labels;
    const char *gid;
    Py_ssize_t gid_size;
    struct route route;
    memset(&route, 0, sizeof route);
    struct ib_qp_attr *attr = &route.attr;
    struct ib_ah_attr *ah = &attr->ah_attr;
    if (!PyArg_ParseTuple(args, "OOOy#HibbbbbbbbbII:verbs_join", &capsule, &remote, &labels, &gid, &gid_size, &ah->dlid,
                          &attr->path_mtu, &ah->is_global, &ah->grh.hop_limit, &ah->grh.traffic_class, &ah->sl,
                          &attr->timeout, &attr->retry_cnt, &attr->rnr_retry, &attr->min_rnr_timer,
                          &attr->max_rd_atomic, &attr->rq_psn, &attr->sq_psn))
        return NULL;
    struct verbs_link *link = verbs_link_of(capsule);
    if (link == NULL)
        return NULL;
    if (gid_size != (Py_ssize_t)sizeof ah->grh.dgid)
        return PyErr_Format(PyExc_ValueError, "a GID has 16 bytes, not %zd", gid_size);
    memcpy(ah->grh.dgid, gid, sizeof ah->grh.dgid);
    ah->grh.sgid_index = (uint8_t)link->gid_index;
    ah->port_num = (uint8_t)link->port;
    attr->max_dest_rd_atomic = attr->max_rd_atomic;
    struct breakage breakage = NO_BREAKAGE;
    if ((route.remote = words_of(remote, link->count)) == NULL)
        return NULL;
    if ((route.flow_labels = words_of(labels, link->count)) == NULL) {
        free(route.remote);
        return NULL;
    }
    Py_BEGIN_ALLOW_THREADS /* resolving an address may take a second */
    breakage = join(link, &route);
    Py_END_ALLOW_THREADS
    free(route.remote);
    free(route.flow_labels);
    return verbs_outcome(breakage);
}
