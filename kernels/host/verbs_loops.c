#include "verbs_loops.h"
#include "series.h"

#include <errno.h>
#include <string.h>

enum { POLLED_AT_ONCE = 16, LONGEST_LIST = 64 };

/* A series as one end sees it; transports/_verbs_engine.py has the meaning of each field. */
struct flow {
    struct verbs_link *link;
    int opcode;
    uint32_t size;
    char *send;
    uint32_t send_key;
    char *receive;
    uint32_t receive_key;
    uint64_t remote;
    uint32_t remote_key;
    int64_t window;
    int64_t stride;
    int64_t signal_every;
    int64_t post_list;
    int64_t patience_ns;
    int first_mark;
    int own_first_mark;
};

/* How far a series is, in messages. */
struct progress {
    int64_t posted;
    int64_t completed; /* as far as completions tell */
    int64_t received;
    int64_t quiet_since_ns; /* 0: something came at the last look */
    int64_t yielded_ns;
    int polls;
};

static inline int is_two_sided(const struct flow *flow)
{
    return flow->opcode == IB_WR_SEND || flow->opcode == IB_WR_RDMA_WRITE_WITH_IMM;
}

static inline int is_asking(const struct flow *flow)
{
    return flow->opcode == IB_WR_RDMA_READ || flow->opcode == IB_WR_ATOMIC_FETCH_AND_ADD;
}

/* Messages go to the queue pairs in turn, as many at once as one completion stands for; both ends count alike. */
static inline struct ib_qp *qp_of(const struct flow *flow, int64_t number)
{
    return flow->link->qps[number / flow->signal_every % flow->link->count];
}

static inline struct breakage counted(struct breakage breakage, const struct progress *progress)
{
    breakage.messages = progress->completed + progress->received;
    return breakage;
}

/* Completions */

static struct breakage broken_by(const struct ib_wc *completions, int count, const struct progress *progress)
{
    const struct ib_wc *first = NULL;
    for (int index = 0; index < count; index++) /* a flush is the consequence of another's error */
        if (completions[index].status != IB_WC_SUCCESS && (first == NULL || first->status == IB_WC_WR_FLUSH_ERR))
            first = &completions[index];
    struct breakage breakage = {"ibv_poll_cq", first->status, first->vendor_err, 0, 0, 0};
    return counted(breakage, progress);
}

static struct breakage waited(const struct flow *flow, struct progress *progress)
{
    if (++progress->polls % POLLS_BETWEEN_LOOKS != 0)
        return NO_BREAKAGE;
    int64_t now = now_ns();
    if (progress->quiet_since_ns == 0)
        progress->quiet_since_ns = now;
    int64_t quiet_ns = now - progress->quiet_since_ns;
    if (quiet_ns > flow->patience_ns)
        return counted((struct breakage){"ibv_poll_cq", -1, 0, 0, 0, quiet_ns}, progress);
    give_way(quiet_ns, now, &progress->yielded_ns);
    return NO_BREAKAGE;
}

static struct breakage look(const struct flow *flow, struct progress *progress)
{
    struct ib_cq *cq = flow->link->cq;
    struct ib_wc completions[POLLED_AT_ONCE];
    int count = cq->context->ops.poll_cq(cq, POLLED_AT_ONCE, completions);
    if (count == 0)
        return waited(flow, progress);
    if (count < 0)
        return counted(refused("ibv_poll_cq", EIO), progress);
    progress->quiet_since_ns = 0;
    for (int index = 0; index < count; index++) {
        if (completions[index].status != IB_WC_SUCCESS)
            return broken_by(completions + index, count - index, progress);
        if (completions[index].opcode & IB_WC_RECV)
            progress->received++;
        else
            progress->completed += (int64_t)completions[index].wr_id; /* what it stands for */
    }
    return NO_BREAKAGE;
}

/* Posting */

static struct breakage post_receives(const struct flow *flow, const struct progress *progress)
{
    struct verbs_link *link = flow->link;
    while (link->receives_posted < link->receives && link->receives_posted - progress->received < link->depth) {
        int64_t number = link->receives_posted;
        char *place = flow->receive + number % flow->window * flow->stride;
        struct ib_sge memory = {(uint64_t)(uintptr_t)place, flow->size, flow->receive_key};
        struct ib_recv_wr request = {.sg_list = &memory, .num_sge = flow->opcode == IB_WR_SEND ? 1 : 0};
        struct ib_recv_wr *bad;
        struct ib_qp *qp = qp_of(flow, number);
        int error = qp->context->ops.post_recv(qp, &request, &bad);
        if (error != 0)
            return counted(refused("ibv_post_recv", error), progress);
        link->receives_posted++;
    }
    return NO_BREAKAGE;
}

static void fill_request(const struct flow *flow, int64_t number, struct ib_send_wr *request, struct ib_sge *memory)
{
    int64_t offset = number % flow->window * flow->stride;
    int fetches = is_asking(flow);
    char *place = (fetches ? flow->receive : flow->send) + offset;
    memory->addr = (uint64_t)(uintptr_t)place;
    memory->length = flow->size;
    memory->lkey = fetches ? flow->receive_key : flow->send_key;
    memset(request, 0, sizeof *request);
    request->sg_list = memory;
    request->num_sge = 1;
    request->opcode = flow->opcode;
    if (!fetches && flow->size <= flow->link->inline_bytes)
        request->send_flags = IB_SEND_INLINE;
    if (flow->opcode == IB_WR_ATOMIC_FETCH_AND_ADD) {
        request->wr.atomic.remote_addr = flow->remote;
        request->wr.atomic.compare_add = 1;
        request->wr.atomic.rkey = flow->remote_key;
    } else if (flow->opcode != IB_WR_SEND) {
        request->wr.rdma.remote_addr = flow->remote + (uint64_t)offset;
        request->wr.rdma.rkey = flow->remote_key;
    }
}

static inline int64_t least(int64_t one, int64_t other)
{
    return one < other ? one : other;
}

/* Post messages of one turn of a queue pair, at most a list; `last` ends the series, and asks for its completion. */
static struct breakage post_some(const struct flow *flow, struct progress *progress, int64_t most, int64_t last)
{
    struct ib_send_wr requests[LONGEST_LIST];
    struct ib_sge memory[LONGEST_LIST];
    struct ib_send_wr *bad;
    int64_t first = progress->posted;
    int64_t turn_ends = (first / flow->signal_every + 1) * flow->signal_every;
    int64_t messages = least(least(most, flow->post_list), least(turn_ends, last) - first);
    for (int64_t index = 0; index < messages; index++) {
        int64_t next = first + index + 1;
        fill_request(flow, first + index, &requests[index], &memory[index]);
        requests[index].next = index + 1 < messages ? &requests[index + 1] : NULL;
        if (next == turn_ends || next == last) {
            requests[index].send_flags |= IB_SEND_SIGNALED;
            requests[index].wr_id = (uint64_t)(next - (turn_ends - flow->signal_every));
        }
    }
    struct ib_qp *qp = qp_of(flow, first);
    int error = qp->context->ops.post_send(qp, requests, &bad);
    if (error != 0)
        return counted(refused("ibv_post_send", error), progress);
    progress->posted += messages;
    return NO_BREAKAGE;
}

/* Round trips */

static struct breakage post_next(const struct flow *flow, struct progress *progress, int64_t last)
{
    while (progress->posted - progress->completed >= flow->link->depth)
        PASSED_ON(look(flow, progress));
    if (flow->opcode == IB_WR_RDMA_WRITE)
        flow->send[flow->size - 1] = (char)(flow->own_first_mark ^ (int)(progress->posted & 1));
    PASSED_ON(post_some(flow, progress, 1, last));
    return is_two_sided(flow) ? post_receives(flow, progress) : NO_BREAKAGE;
}

/* Wait for message `number` of the peer: by its completion, or by its last byte where it comes without one. */
static struct breakage await_message(const struct flow *flow, struct progress *progress, int64_t number)
{
    if (is_two_sided(flow)) {
        while (progress->received <= number)
            PASSED_ON(look(flow, progress));
        return NO_BREAKAGE;
    }
    const volatile unsigned char *last_byte = (unsigned char *)flow->receive + flow->size - 1;
    unsigned char mark = (unsigned char)(flow->first_mark ^ (int)(number & 1));
    while (*last_byte != mark)
        PASSED_ON(look(flow, progress));
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    progress->quiet_since_ns = 0;
    return NO_BREAKAGE;
}

static struct breakage drain(const struct flow *flow, struct progress *progress)
{
    while (progress->completed < progress->posted)
        PASSED_ON(look(flow, progress));
    return NO_BREAKAGE;
}

/* An iteration begins and ends when a message has been posted, so that the clock is read while it is under way. */
static struct breakage rally(const struct flow *flow, struct progress *progress, const struct stamps *stamps,
                             int64_t next)
{
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count; iteration++) {
        PASSED_ON(await_message(flow, progress, next + iteration));
        PASSED_ON(post_next(flow, progress, stamps->count));
        stamps->ns[iteration + 1] = now_ns();
    }
    return NO_BREAKAGE;
}

static struct breakage initiate(const struct flow *flow, struct progress *progress, const struct stamps *stamps)
{
    PASSED_ON(post_next(flow, progress, stamps->count));
    PASSED_ON(rally(flow, progress, stamps, 0));
    PASSED_ON(await_message(flow, progress, stamps->count - 1));
    return drain(flow, progress);
}

static struct breakage respond(const struct flow *flow, struct progress *progress, const struct stamps *stamps)
{
    PASSED_ON(await_message(flow, progress, 0));
    PASSED_ON(post_next(flow, progress, stamps->count));
    PASSED_ON(rally(flow, progress, stamps, 1));
    return drain(flow, progress);
}

/* Reads and atomics: the device at the other end answers, its host knows nothing of it. */
static struct breakage ask(const struct flow *flow, struct progress *progress, const struct stamps *stamps)
{
    for (Py_ssize_t index = 0; index < stamps->count; index++) {
        PASSED_ON(post_some(flow, progress, 1, stamps->count));
        PASSED_ON(drain(flow, progress));
        stamps->ns[index] = now_ns();
    }
    return NO_BREAKAGE;
}

static struct breakage run_pingpong(const struct flow *flow, int initiates, const struct stamps *stamps)
{
    struct progress progress = {0};
    if (is_asking(flow))
        return initiates ? ask(flow, &progress, stamps) : NO_BREAKAGE;
    return initiates ? initiate(flow, &progress, stamps) : respond(flow, &progress, stamps);
}

/* Streams */

struct directions {
    int sends;
    int receives;
};

static int64_t messages_done(const struct directions *both, const struct progress *progress)
{
    if (!both->receives)
        return progress->completed;
    return both->sends ? least(progress->completed, progress->received) : progress->received;
}

/* Messages stay in flight from one iteration to the next, at most a window of them. */
static struct breakage run_stream(const struct flow *flow, const struct directions *both, const struct stamps *stamps)
{
    struct progress progress = {0};
    int64_t total = both->sends ? flow->window * (stamps->count - 1) : 0;
    int64_t most = least(flow->window, flow->link->depth);
    if (!both->sends && !both->receives)
        return NO_BREAKAGE;
    stamps->ns[0] = now_ns();
    for (Py_ssize_t iteration = 0; iteration + 1 < stamps->count;) {
        while (progress.posted < total && progress.posted - progress.completed < most)
            PASSED_ON(post_some(flow, &progress, most - (progress.posted - progress.completed), total));
        PASSED_ON(look(flow, &progress));
        if (both->receives)
            PASSED_ON(post_receives(flow, &progress));
        int64_t done = messages_done(both, &progress);
        if (done < flow->window * (iteration + 1))
            continue;
        int64_t now = now_ns();
        while (iteration + 1 < stamps->count && done >= flow->window * (iteration + 1))
            stamps->ns[++iteration] = now;
    }
    return NO_BREAKAGE;
}

/* From Python */

static int to_flow(PyObject *tuple, void *target)
{
    struct flow *flow = target;
    PyObject *capsule;
    memset(flow, 0, sizeof *flow);
    if (!PyTuple_Check(tuple)) {
        PyErr_SetString(PyExc_TypeError, "a flow is a tuple");
        return 0;
    }
    unsigned long long remote;
    long long window, stride, signal_every, post_list, patience_ns;
    if (!PyArg_ParseTuple(tuple, "OiIO&IO&IKILLLLLii:flow", &capsule, &flow->opcode, &flow->size, to_pointer,
                          &flow->send, &flow->send_key, to_pointer, &flow->receive, &flow->receive_key, &remote,
                          &flow->remote_key, &window, &stride, &signal_every, &post_list, &patience_ns,
                          &flow->first_mark, &flow->own_first_mark))
        return 0;
    if ((flow->link = verbs_link_of(capsule)) == NULL)
        return 0;
    if (flow->size < 1 || window < 1 || signal_every < 1 || post_list < 1) {
        PyErr_Format(PyExc_ValueError, "%u bytes, window %lld, a completion for %lld, lists of %lld", flow->size,
                     window, signal_every, post_list);
        return 0;
    }
    flow->remote = remote;
    flow->window = window;
    flow->stride = stride;
    flow->signal_every = signal_every;
    flow->post_list = least(post_list, LONGEST_LIST);
    flow->patience_ns = patience_ns;
    return 1;
}

PyObject *py_verbs_expect(PyObject *module, PyObject *args)
{
    (void)module;
    struct flow flow;
    long long messages;
    struct progress progress = {0};
    if (!PyArg_ParseTuple(args, "O&L:verbs_expect", to_flow, &flow, &messages))
        return NULL;
    flow.link->receives = messages;
    flow.link->receives_posted = 0;
    return verbs_outcome(post_receives(&flow, &progress));
}

PyObject *py_verbs_pingpong(PyObject *module, PyObject *args)
{
    (void)module;
    struct flow flow;
    struct stamps stamps;
    struct breakage breakage;
    int initiates;
    PyObject *object;
    if (!PyArg_ParseTuple(args, "O&pO:verbs_pingpong", to_flow, &flow, &initiates, &object) ||
        stamps_open(object, "stamps", &stamps) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    breakage = run_pingpong(&flow, initiates, &stamps);
    Py_END_ALLOW_THREADS
    stamps_close(&stamps);
    return verbs_outcome(breakage);
}

PyObject *py_verbs_stream(PyObject *module, PyObject *args)
{
    (void)module;
    struct flow flow;
    struct stamps stamps;
    struct breakage breakage;
    struct directions both;
    PyObject *object;
    if (!PyArg_ParseTuple(args, "O&ppO:verbs_stream", to_flow, &flow, &both.sends, &both.receives, &object) ||
        stamps_open(object, "stamps", &stamps) < 0)
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    breakage = run_stream(&flow, &both, &stamps);
    Py_END_ALLOW_THREADS
    stamps_close(&stamps);
    return verbs_outcome(breakage);
}
