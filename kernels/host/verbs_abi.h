/* The binary interface of libibverbs (IBVERBS_1.1, stable since 2006), as far as netprobe uses it.
 *
 * Why not <infiniband/verbs.h>: the library is opened at run time, so that one wheel serves hosts with and without RDMA,
 * and it has to build where the header is not installed. tests/unit/test_verbs_abi.py compares every size and offset with
 * the header where that is. Field names are the header's; what netprobe does not touch is left out or opaque. */
#ifndef NETPROBE_VERBS_ABI_H
#define NETPROBE_VERBS_ABI_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

enum { IB_QPT_RC = 2, IB_QPT_UD = 4 };
enum { IB_QPS_INIT = 1, IB_QPS_RTR = 2, IB_QPS_RTS = 3 };
enum { IB_MTU_256 = 1, IB_MTU_4096 = 5 };
enum { IB_SEND_SIGNALED = 1 << 1, IB_SEND_INLINE = 1 << 3 };
enum { IB_WR_RDMA_WRITE, IB_WR_RDMA_WRITE_WITH_IMM, IB_WR_SEND, IB_WR_RDMA_READ = 4, IB_WR_ATOMIC_FETCH_AND_ADD = 6 };
enum { IB_WC_RECV = 1 << 7 };
enum { IB_WC_EX_WITH_COMPLETION_TIMESTAMP = 1 << 7 };
enum { IB_WC_SUCCESS = 0, IB_WC_WR_FLUSH_ERR = 5 };
enum {
    IB_ACCESS_LOCAL_WRITE = 1,
    IB_ACCESS_REMOTE_WRITE = 1 << 1,
    IB_ACCESS_REMOTE_READ = 1 << 2,
    IB_ACCESS_REMOTE_ATOMIC = 1 << 3,
    IB_ACCESS_RELAXED_ORDERING = 1 << 20,
};
enum {
    IB_QP_STATE = 1 << 0,
    IB_QP_ACCESS_FLAGS = 1 << 3,
    IB_QP_PKEY_INDEX = 1 << 4,
    IB_QP_PORT = 1 << 5,
    IB_QP_QKEY = 1 << 6,
    IB_QP_AV = 1 << 7,
    IB_QP_PATH_MTU = 1 << 8,
    IB_QP_TIMEOUT = 1 << 9,
    IB_QP_RETRY_CNT = 1 << 10,
    IB_QP_RNR_RETRY = 1 << 11,
    IB_QP_RQ_PSN = 1 << 12,
    IB_QP_MAX_QP_RD_ATOMIC = 1 << 13,
    IB_QP_MIN_RNR_TIMER = 1 << 15,
    IB_QP_SQ_PSN = 1 << 16,
    IB_QP_MAX_DEST_RD_ATOMIC = 1 << 17,
    IB_QP_DEST_QPN = 1 << 20,
};

struct ib_device;
struct ib_ah;
struct ib_cq;
struct ib_cq_ex;
struct ib_qp;
struct ib_context;
struct ib_cq_init_attr_ex;
struct ib_device_attr_ex;
struct ib_poll_cq_attr;

struct ib_wc {
    uint64_t wr_id;
    int status;
    int opcode;
    uint32_t vendor_err;
    uint32_t byte_len;
    uint32_t imm_data;
    uint32_t qp_num;
    uint32_t src_qp;
    unsigned int wc_flags;
    uint16_t pkey_index;
    uint16_t slid;
    uint8_t sl;
    uint8_t dlid_path_bits;
};

struct ib_sge {
    uint64_t addr;
    uint32_t length;
    uint32_t lkey;
};

struct ib_send_wr {
    uint64_t wr_id;
    struct ib_send_wr *next;
    struct ib_sge *sg_list;
    int num_sge;
    int opcode;
    unsigned int send_flags;
    uint32_t imm_data;
    union {
        struct {
            uint64_t remote_addr;
            uint32_t rkey;
        } rdma;
        struct {
            uint64_t remote_addr;
            uint64_t compare_add;
            uint64_t swap;
            uint32_t rkey;
        } atomic;
        struct {
            struct ib_ah *ah;
            uint32_t remote_qpn;
            uint32_t remote_qkey;
        } ud;
    } wr;
    uint64_t others[7]; /* extended connections, memory windows, segmentation */
};

struct ib_recv_wr {
    uint64_t wr_id;
    struct ib_recv_wr *next;
    struct ib_sge *sg_list;
    int num_sge;
};

/* Its table of operations has 32 slots, of which three are called inline. */
struct ib_context {
    struct ib_device *device;
    struct {
        void *before_poll_cq[11];
        int (*poll_cq)(struct ib_cq *cq, int entries, struct ib_wc *wc);
        void *before_post_send[13];
        int (*post_send)(struct ib_qp *qp, struct ib_send_wr *wr, struct ib_send_wr **bad_wr);
        int (*post_recv)(struct ib_qp *qp, struct ib_recv_wr *wr, struct ib_recv_wr **bad_wr);
        void *after_post_recv[5];
    } ops;
    int cmd_fd;
    int async_fd;
    int num_comp_vectors;
    pthread_mutex_t mutex;
    void *abi_compat; /* all bits set: struct ib_context_before lies in front of it */
};

/* The end of what lies in front of a context, whose size grows towards lower addresses from release to release. */
struct ib_context_before {
    struct ib_cq_ex *(*create_cq_ex)(struct ib_context *context, struct ib_cq_init_attr_ex *attr);
    void *priv;
    int (*query_device_ex)(struct ib_context *context, const void *input, struct ib_device_attr_ex *attr, size_t size);
    void *after_query_device_ex[11];
    size_t sz; /* of all that lies in front, and of the context */
};

struct ib_pd {
    struct ib_context *context;
    uint32_t handle;
};

struct ib_mr {
    struct ib_context *context;
    struct ib_pd *pd;
    void *addr;
    size_t length;
    uint32_t handle;
    uint32_t lkey;
    uint32_t rkey;
};

struct ib_cq {
    struct ib_context *context;
};

struct ib_poll_cq_attr {
    uint32_t comp_mask;
};

/* A completion queue that stamps; it can be used as a struct ib_cq as well. */
struct ib_cq_ex {
    struct ib_context *context;
    void *channel;
    void *cq_context;
    uint32_t handle;
    int cqe;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    uint32_t comp_events_completed;
    uint32_t async_events_completed;
    uint32_t comp_mask;
    int status;
    uint64_t wr_id;
    int (*start_poll)(struct ib_cq_ex *current, struct ib_poll_cq_attr *attr);
    int (*next_poll)(struct ib_cq_ex *current);
    void (*end_poll)(struct ib_cq_ex *current);
    int (*read_opcode)(struct ib_cq_ex *current);
    uint32_t (*read_vendor_err)(struct ib_cq_ex *current);
    void *others[8];
    uint64_t (*read_completion_ts)(struct ib_cq_ex *current);
};

struct ib_cq_init_attr_ex {
    uint32_t cqe;
    void *cq_context;
    void *channel;
    uint32_t comp_vector;
    uint64_t wc_flags;
    uint32_t comp_mask;
    uint32_t flags;
    void *parent_domain;
};

struct ib_qp {
    struct ib_context *context;
    void *qp_context;
    struct ib_pd *pd;
    struct ib_cq *send_cq;
    struct ib_cq *recv_cq;
    void *srq;
    uint32_t handle;
    uint32_t qp_num;
};

struct ib_qp_cap {
    uint32_t max_send_wr;
    uint32_t max_recv_wr;
    uint32_t max_send_sge;
    uint32_t max_recv_sge;
    uint32_t max_inline_data;
};

struct ib_qp_init_attr {
    void *qp_context;
    struct ib_cq *send_cq;
    struct ib_cq *recv_cq;
    void *srq;
    struct ib_qp_cap cap;
    int qp_type;
    int sq_sig_all;
};

struct ib_global_route {
    uint64_t dgid[2]; /* in network order */
    uint32_t flow_label;
    uint8_t sgid_index;
    uint8_t hop_limit;
    uint8_t traffic_class;
};

struct ib_ah_attr {
    struct ib_global_route grh;
    uint16_t dlid;
    uint8_t sl;
    uint8_t src_path_bits;
    uint8_t static_rate;
    uint8_t is_global;
    uint8_t port_num;
};

struct ib_qp_attr {
    int qp_state;
    int cur_qp_state;
    int path_mtu;
    int path_mig_state;
    uint32_t qkey;
    uint32_t rq_psn;
    uint32_t sq_psn;
    uint32_t dest_qp_num;
    unsigned int qp_access_flags;
    struct ib_qp_cap cap;
    struct ib_ah_attr ah_attr;
    struct ib_ah_attr alt_ah_attr;
    uint16_t pkey_index;
    uint16_t alt_pkey_index;
    uint8_t en_sqd_async_notify;
    uint8_t sq_draining;
    uint8_t max_rd_atomic;
    uint8_t max_dest_rd_atomic;
    uint8_t min_rnr_timer;
    uint8_t port_num;
    uint8_t timeout;
    uint8_t retry_cnt;
    uint8_t rnr_retry;
    uint8_t alt_port_num;
    uint8_t alt_timeout;
    uint32_t rate_limit;
};

struct ib_device_attr {
    char fw_ver[64];
    uint64_t node_guid;
    uint64_t sys_image_guid;
    uint64_t max_mr_size;
    uint64_t page_size_cap;
    uint32_t vendor_id;
    uint32_t vendor_part_id;
    uint32_t hw_ver;
    int max_qp;
    int max_qp_wr;
    unsigned int device_cap_flags;
    int max_sge;
    int max_sge_rd;
    int max_cq;
    int max_cqe;
    int max_mr;
    int max_pd;
    int max_qp_rd_atom;
    int max_ee_rd_atom;
    int max_res_rd_atom;
    int max_qp_init_rd_atom;
    int max_ee_init_rd_atom;
    int atomic_cap;
    int others[14];
    uint16_t max_pkeys;
    uint8_t local_ca_ack_delay;
    uint8_t phys_port_cnt;
};

struct ib_device_attr_ex {
    struct ib_device_attr orig_attr;
    uint32_t comp_mask;
    uint64_t odp_caps[3];
    uint64_t completion_timestamp_mask;
    uint64_t hca_core_clock; /* kHz */
    uint64_t others[15];
};

/* What the exported ibv_query_port() fills; the header's inline one asks for a longer record another way. */
struct ib_port_attr {
    int state;
    int max_mtu;
    int active_mtu;
    int gid_tbl_len;
    uint32_t port_cap_flags;
    uint32_t max_msg_sz;
    uint32_t bad_pkey_cntr;
    uint32_t qkey_viol_cntr;
    uint16_t pkey_tbl_len;
    uint16_t lid;
    uint16_t sm_lid;
    uint8_t lmc;
    uint8_t max_vl_num;
    uint8_t sm_sl;
    uint8_t subnet_timeout;
    uint8_t init_type_reply;
    uint8_t active_width;
    uint8_t active_speed;
    uint8_t phys_state;
    uint8_t link_layer;
    uint8_t flags;
    uint16_t port_cap_flags2;
};

#endif
