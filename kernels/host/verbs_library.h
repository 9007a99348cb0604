/* libibverbs, opened at run time; and VerbsError, which says what a verb answered. */
#ifndef NETPROBE_VERBS_LIBRARY_H
#define NETPROBE_VERBS_LIBRARY_H

#include "arguments.h"
#include "series.h"
#include "verbs_abi.h"

#include <sched.h>

struct verbs_calls {
    struct ib_device **(*get_device_list)(int *count);
    void (*free_device_list)(struct ib_device **list);
    const char *(*get_device_name)(struct ib_device *device);
    struct ib_context *(*open_device)(struct ib_device *device);
    int (*close_device)(struct ib_context *context);
    int (*query_device)(struct ib_context *context, struct ib_device_attr *attr);
    int (*query_port)(struct ib_context *context, uint8_t port, struct ib_port_attr *attr);
    int (*query_gid)(struct ib_context *context, uint8_t port, int index, void *gid);
    struct ib_pd *(*alloc_pd)(struct ib_context *context);
    int (*dealloc_pd)(struct ib_pd *pd);
    struct ib_mr *(*reg_mr)(struct ib_pd *pd, void *address, size_t length, int access);
    int (*dereg_mr)(struct ib_mr *mr);
    struct ib_cq *(*create_cq)(struct ib_context *context, int entries, void *cq_context, void *channel, int vector);
    int (*destroy_cq)(struct ib_cq *cq);
    struct ib_qp *(*create_qp)(struct ib_pd *pd, struct ib_qp_init_attr *attr);
    int (*modify_qp)(struct ib_qp *qp, struct ib_qp_attr *attr, int mask);
    int (*destroy_qp)(struct ib_qp *qp);
    struct ib_ah *(*create_ah)(struct ib_pd *pd, struct ib_ah_attr *attr);
    int (*destroy_ah)(struct ib_ah *ah);
    const char *(*wc_status_str)(int status);
    /* Since rdma-core 34; NULL before. */
    struct ib_mr *(*reg_dmabuf_mr)(struct ib_pd *pd, uint64_t offset, size_t length, uint64_t iova, int fd, int access);
};

extern struct verbs_calls verbs;

/* What ended a series or a call; `call` is NULL when all went well. */
struct breakage {
    const char *call;
    int status; /* of a completion; -1 where there was none */
    uint32_t vendor_error;
    int error; /* an errno; 0 where there was none */
    int64_t messages;
    int64_t waited_ns;
};

#define NO_BREAKAGE ((struct breakage){NULL, -1, 0, 0, 0, 0})

/* Whoever waits for longer than a fabric takes lets others have the core now and then, as two ranks may share it; not at
 * every look, since a call of the kernel costs where the kernel is what moves the data. The clock is read once in some
 * polls. */
enum { SPIN_NS = 2000000, BETWEEN_YIELDS_NS = 200000, POLLS_BETWEEN_LOOKS = 32 };

static inline void give_way(int64_t quiet_ns, int64_t now, int64_t *yielded_ns)
{
    if (quiet_ns <= SPIN_NS || now - *yielded_ns <= BETWEEN_YIELDS_NS)
        return;
    sched_yield();
    *yielded_ns = now_ns();
}

/* Return from a function what broke in it. */
#define PASSED_ON(expression)                  \
    do {                                       \
        struct breakage broken = (expression); \
        if (broken.call != NULL)               \
            return broken;                     \
    } while (0)

static inline struct breakage refused(const char *call, int error)
{
    return (struct breakage){call, -1, 0, error, 0, 0};
}

/* Return None, or raise VerbsError(call, status or None, vendor_error, errno or 0, messages, waited_ns). */
PyObject *verbs_outcome(struct breakage breakage);

/* Return -1 with RuntimeError set when no library is open. */
int verbs_require(void);

int verbs_register(PyObject *module);

PyObject *py_verbs_load(PyObject *module, PyObject *args);

#endif
