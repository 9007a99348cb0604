/* A libibverbs of datagrams in the memory of one process, that loses, holds back and stamps them as it is told.
 *
 * Time on the wire and in the other host is made up: each datagram takes WIRE_NS, and TURN_NS pass before the next. */
#include "verbs_abi.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAITING = 512, WIRE_NS = 100, TURN_NS = 40, MOST_REQUESTS = 64 };
static const uint64_t CLOCK_MASK = 0xfff; /* wraps all the time */

struct ib_device {
    const char *name;
    uint64_t khz; /* 0: no stamps */
    uint64_t begin_ticks;
    int has_datagrams;
    int lose_every;
    uint32_t lose_above;
    int hold_every;
    int sent;
};

static struct ib_device devices[] = {
    {"plain0", 0, 0, 1, 0, 0, 0, 0},        {"plain1", 0, 0, 1, 0, 0, 0, 0}, {"stamp0", 1000000, 7, 1, 0, 0, 0, 0},
    {"stamp1", 500000, 4000, 1, 0, 0, 0, 0}, {"iwarp0", 0, 0, 0, 0, 0, 0, 0},
};
enum { DEVICES = sizeof devices / sizeof devices[0] };

struct opened {
    struct ib_context_before before;
    struct ib_context context;
};

struct event {
    uint64_t id;
    int opcode;
    uint64_t ticks;
};

struct completions {
    struct ib_cq_ex queue; /* begins as an ib_cq does */
    struct event events[WAITING];
    int first;
    int count;
};

struct posted {
    uint64_t id;
    char *place;
    uint32_t length;
};

struct pair {
    struct ib_qp qp;
    uint32_t key;
    struct posted receives[WAITING];
    int first;
    int count;
    char held[4096];
    uint32_t held_bytes; /* 0: none */
    uint32_t held_for;
    struct pair *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct pair *pairs;
static uint32_t last_number;
static uint64_t now_ns = 1;

void fake_lose(int device, int every, unsigned above)
{
    devices[device].lose_every = every;
    devices[device].lose_above = above;
    devices[device].sent = 0;
}

void fake_hold(int device, int every)
{
    devices[device].hold_every = every;
    devices[device].sent = 0;
}

static uint64_t ticks_of(const struct ib_device *device)
{
    return (device->begin_ticks + now_ns * device->khz / 1000000) & CLOCK_MASK;
}

static void complete(struct ib_cq *cq, uint64_t id, int opcode)
{
    struct completions *all = (struct completions *)cq;
    struct event *event = &all->events[(all->first + all->count++) % WAITING];
    *event = (struct event){id, opcode, ticks_of(cq->context->device)};
}

static int take_first(struct completions *all, struct event *event)
{
    pthread_mutex_lock(&lock);
    int found = all->count > 0;
    if (found) {
        *event = all->events[all->first];
        all->first = (all->first + 1) % WAITING;
        all->count--;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static int poll_cq(struct ib_cq *cq, int entries, struct ib_wc *wc)
{
    struct event event;
    if (entries < 1 || !take_first((struct completions *)cq, &event))
        return 0;
    memset(wc, 0, sizeof *wc);
    wc->wr_id = event.id;
    wc->opcode = event.opcode;
    return 1;
}

static __thread uint64_t current_ticks;

static int start_poll(struct ib_cq_ex *cq, struct ib_poll_cq_attr *attr)
{
    struct event event;
    if (attr->comp_mask != 0 || !take_first((struct completions *)cq, &event))
        return ENOENT;
    cq->wr_id = event.id;
    cq->status = IB_WC_SUCCESS;
    current_ticks = event.ticks;
    return 0;
}

static void end_poll(struct ib_cq_ex *cq)
{
    (void)cq;
}

static uint64_t read_completion_ts(struct ib_cq_ex *cq)
{
    (void)cq;
    return current_ticks;
}

static void deliver(uint32_t number, uint32_t key, const char *bytes, uint32_t size)
{
    for (struct pair *pair = pairs; pair != NULL; pair = pair->next) {
        if (pair->qp.qp_num != number || pair->key != key || pair->count == 0)
            continue;
        struct posted *room = &pair->receives[pair->first];
        pair->first = (pair->first + 1) % WAITING;
        pair->count--;
        now_ns += WIRE_NS;
        memcpy(room->place + 40, bytes, size);
        complete(pair->qp.recv_cq, room->id, IB_WC_RECV);
    }
}

static int post_send(struct ib_qp *qp, struct ib_send_wr *wr, struct ib_send_wr **bad)
{
    struct pair *pair = (struct pair *)qp;
    struct ib_device *device = qp->context->device;
    const char *bytes = (const char *)(uintptr_t)wr->sg_list->addr;
    uint32_t size = wr->sg_list->length;
    (void)bad;
    pthread_mutex_lock(&lock);
    int counts = size > 8; /* what ends a series always arrives */
    device->sent += counts;
    now_ns += TURN_NS;
    complete(qp->send_cq, wr->wr_id, 0);
    if (counts && size > device->lose_above && device->lose_every && device->sent % device->lose_every == 0) {
        /* gone */
    } else if (counts && device->hold_every && device->sent % device->hold_every == 0) {
        memcpy(pair->held, bytes, size);
        pair->held_bytes = size;
        pair->held_for = wr->wr.ud.remote_qpn;
    } else {
        deliver(wr->wr.ud.remote_qpn, wr->wr.ud.remote_qkey, bytes, size);
        if (pair->held_bytes != 0)
            deliver(pair->held_for, wr->wr.ud.remote_qkey, pair->held, pair->held_bytes);
        pair->held_bytes = 0;
    }
    pthread_mutex_unlock(&lock);
    return 0;
}

static int post_recv(struct ib_qp *qp, struct ib_recv_wr *wr, struct ib_recv_wr **bad)
{
    struct pair *pair = (struct pair *)qp;
    (void)bad;
    pthread_mutex_lock(&lock);
    int is_full = pair->count == MOST_REQUESTS;
    if (!is_full)
        pair->receives[(pair->first + pair->count++) % WAITING] =
            (struct posted){wr->wr_id, (char *)(uintptr_t)wr->sg_list->addr, wr->sg_list->length};
    pthread_mutex_unlock(&lock);
    return is_full ? ENOMEM : 0;
}

struct ib_device **ibv_get_device_list(int *count)
{
    struct ib_device **list = calloc(DEVICES + 1, sizeof *list);
    for (int index = 0; index < DEVICES; index++)
        list[index] = &devices[index];
    *count = DEVICES;
    return list;
}

void ibv_free_device_list(struct ib_device **list)
{
    free(list);
}

const char *ibv_get_device_name(struct ib_device *device)
{
    return device->name;
}

static struct completions *new_queue(struct ib_context *context)
{
    struct completions *all = calloc(1, sizeof *all);
    all->queue.context = context;
    return all;
}

static struct ib_cq_ex *create_cq_ex(struct ib_context *context, struct ib_cq_init_attr_ex *attr)
{
    if (attr->wc_flags != IB_WC_EX_WITH_COMPLETION_TIMESTAMP || attr->cqe < 2 * MOST_REQUESTS) {
        errno = EINVAL;
        return NULL;
    }
    struct completions *all = new_queue(context);
    all->queue.start_poll = start_poll;
    all->queue.end_poll = end_poll;
    all->queue.read_completion_ts = read_completion_ts;
    return &all->queue;
}

static int query_device_ex(struct ib_context *context, const void *input, struct ib_device_attr_ex *attr, size_t size)
{
    if (input != NULL || size < sizeof *attr)
        return EINVAL;
    if (context->device->khz == 0)
        return EOPNOTSUPP;
    attr->completion_timestamp_mask = CLOCK_MASK;
    attr->hca_core_clock = context->device->khz;
    return 0;
}

struct ib_context *ibv_open_device(struct ib_device *device)
{
    struct opened *opened = calloc(1, sizeof *opened);
    opened->before.create_cq_ex = create_cq_ex;
    opened->before.query_device_ex = query_device_ex;
    opened->before.sz = sizeof *opened;
    opened->context.device = device;
    opened->context.abi_compat = (void *)UINTPTR_MAX;
    opened->context.ops.poll_cq = poll_cq;
    opened->context.ops.post_send = post_send;
    opened->context.ops.post_recv = post_recv;
    return &opened->context;
}

int ibv_close_device(struct ib_context *context)
{
    free((char *)context - offsetof(struct opened, context));
    return 0;
}

int ibv_query_device(struct ib_context *context, struct ib_device_attr *attr)
{
    (void)context;
    memset(attr, 0, sizeof *attr);
    attr->max_qp_wr = MOST_REQUESTS;
    return 0;
}

int ibv_query_port(struct ib_context *context, uint8_t port, struct ib_port_attr *attr)
{
    (void)context;
    attr->active_mtu = port == 1 ? IB_MTU_4096 - 1 : IB_MTU_4096;
    return 0;
}

int ibv_query_gid(struct ib_context *context, uint8_t port, int index, void *gid)
{
    (void)context, (void)port;
    memset(gid, index, 16);
    return 0;
}

struct ib_pd *ibv_alloc_pd(struct ib_context *context)
{
    struct ib_pd *pd = calloc(1, sizeof *pd);
    pd->context = context;
    return pd;
}

int ibv_dealloc_pd(struct ib_pd *pd)
{
    free(pd);
    return 0;
}

struct ib_mr *ibv_reg_mr(struct ib_pd *pd, void *address, size_t length, int access)
{
    struct ib_mr *mr = calloc(1, sizeof *mr);
    (void)access;
    *mr = (struct ib_mr){pd->context, pd, address, length, 1, 1, 1};
    return mr;
}

int ibv_dereg_mr(struct ib_mr *mr)
{
    free(mr);
    return 0;
}

struct ib_cq *ibv_create_cq(struct ib_context *context, int entries, void *own, void *channel, int vector)
{
    (void)entries, (void)own, (void)channel, (void)vector;
    return (struct ib_cq *)new_queue(context);
}

int ibv_destroy_cq(struct ib_cq *cq)
{
    free(cq);
    return 0;
}

struct ib_qp *ibv_create_qp(struct ib_pd *pd, struct ib_qp_init_attr *attr)
{
    if (attr->qp_type != IB_QPT_UD || !pd->context->device->has_datagrams) {
        errno = EOPNOTSUPP;
        return NULL;
    }
    struct pair *pair = calloc(1, sizeof *pair);
    pair->qp.context = pd->context;
    pair->qp.pd = pd;
    pair->qp.send_cq = attr->send_cq;
    pair->qp.recv_cq = attr->recv_cq;
    pthread_mutex_lock(&lock);
    pair->qp.qp_num = ++last_number;
    pair->next = pairs;
    pairs = pair;
    pthread_mutex_unlock(&lock);
    return &pair->qp;
}

int ibv_modify_qp(struct ib_qp *qp, struct ib_qp_attr *attr, int mask)
{
    if (mask & IB_QP_QKEY)
        ((struct pair *)qp)->key = attr->qkey;
    return 0;
}

int ibv_destroy_qp(struct ib_qp *qp)
{
    pthread_mutex_lock(&lock);
    for (struct pair **at = &pairs; *at != NULL; at = &(*at)->next) {
        if (*at != (struct pair *)qp)
            continue;
        *at = (*at)->next;
        break;
    }
    pthread_mutex_unlock(&lock);
    free(qp);
    return 0;
}

struct ib_ah *ibv_create_ah(struct ib_pd *pd, struct ib_ah_attr *attr)
{
    (void)pd;
    if (!attr->is_global) {
        errno = EINVAL;
        return NULL;
    }
    return calloc(1, 8);
}

int ibv_destroy_ah(struct ib_ah *ah)
{
    free(ah);
    return 0;
}

const char *ibv_wc_status_str(int status)
{
    (void)status;
    return "";
}
