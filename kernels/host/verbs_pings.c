#include "verbs_pings.h"
#include "series.h"

#include <errno.h>
#include <string.h>

enum {
    MOST_UNANSWERED = 64, /* in a row: nothing comes back any more */
    FEWEST = 8,
    LAST_COPIES = 8, /* of the datagram that ends a series: some of them arrive */
    PATIENCE_RATIO = 4,
    MOST_PATIENCE_RATIO = 10, /* of the patience that was asked for, however slow answers become */
    MEAN_SHARE = 8,
};
static const uint64_t UNNUMBERED = 1ull << 62; /* a send whose stamp nobody wants */
static const uint32_t LAST = UINT32_MAX;       /* in the place of a ping's number: no more will come */
static const int64_t SENDING_NS = 100000000;   /* until the NIC has sent what it was given */

/* How long this end has seen nothing; others get the core after a while, two ranks may share it. */
struct quiet {
    int64_t since_ns;
    int64_t yielded_ns;
    int polls;
};

static int64_t quiet_ns(struct quiet *quiet)
{
    if (++quiet->polls % POLLS_BETWEEN_LOOKS != 0)
        return 0;
    int64_t now = now_ns();
    int64_t passed = now - quiet->since_ns;
    give_way(passed, now, &quiet->yielded_ns);
    return passed;
}

/* Pings: what the initiating end knows of each of them. */

struct pings {
    struct datagrams *own;
    uint64_t tag; /* of the series, above the numbers */
    uint32_t size;
    struct stamps round_trips; /* ns; 0: its echo came too late; when it left, negative: none came */
    struct stamps left;        /* ticks */
    struct stamps came;
    int64_t sent;
    int64_t received;
    int64_t late;
    int64_t mean_ns;
};

enum until { ANSWERED, ALL_ANSWERED, ALL_SENT };

static int is_over(const struct pings *pings, enum until until)
{
    if (until == ALL_SENT)
        return pings->own->completed == pings->own->posted;
    if (until == ALL_ANSWERED)
        return pings->received == pings->sent;
    return pings->round_trips.ns[pings->sent - 1] >= 0;
}

static struct breakage note_echo(struct pings *pings, const struct event *event, int is_awaited)
{
    int64_t now = now_ns();
    uint64_t number;
    PASSED_ON(datagram_take(pings->own, event->id & ~DATAGRAM_RECEIVE, &number));
    int64_t index = (int64_t)(number & UINT32_MAX);
    if (number >> 32 != pings->tag || index >= pings->sent || pings->round_trips.ns[index] >= 0)
        return NO_BREAKAGE; /* of a series before, or a second time */
    int64_t took = now + pings->round_trips.ns[index];
    int in_time = is_awaited && index == pings->sent - 1;
    pings->received++;
    pings->late += !in_time;
    pings->round_trips.ns[index] = !in_time ? 0 : took > 0 ? took : 1;
    pings->came.ns[index] = event->ticks;
    pings->mean_ns += (took - pings->mean_ns) / MEAN_SHARE;
    return NO_BREAKAGE;
}

static struct breakage wait_until(struct pings *pings, enum until until, int64_t patience)
{
    struct quiet quiet = {.since_ns = now_ns()};
    while (!is_over(pings, until)) {
        struct event event = {0, 0};
        int happened;
        PASSED_ON(datagram_look(pings->own, &event, &happened));
        if (!happened) {
            if (quiet_ns(&quiet) > patience)
                return NO_BREAKAGE;
        } else if (event.id & DATAGRAM_RECEIVE) {
            PASSED_ON(note_echo(pings, &event, until == ANSWERED));
        } else {
            pings->own->completed++;
            if (event.id < (uint64_t)pings->left.count)
                pings->left.ns[event.id] = event.ticks;
        }
    }
    return NO_BREAKAGE;
}

static struct breakage make_room(struct pings *pings)
{
    if (!datagram_has_room(pings->own))
        PASSED_ON(wait_until(pings, ALL_SENT, SENDING_NS));
    if (!datagram_has_room(pings->own))
        return (struct breakage){"ibv_poll_cq", -1, 0, 0, 0, SENDING_NS};
    return NO_BREAKAGE;
}

static struct breakage send_ping(struct pings *pings)
{
    int64_t index = pings->sent;
    PASSED_ON(make_room(pings));
    pings->round_trips.ns[index] = -now_ns();
    PASSED_ON(datagram_send(pings->own, pings->tag << 32 | (uint64_t)index, pings->size, (uint64_t)index));
    pings->sent++;
    return NO_BREAKAGE;
}

static int64_t patience_with(const struct pings *pings, int64_t patience)
{
    int64_t wanted = patience + PATIENCE_RATIO * pings->mean_ns;
    int64_t most = MOST_PATIENCE_RATIO * patience;
    return wanted < most ? wanted : most;
}

/* One at a time, so that what is lost is not lost in a queue of our own; then all that may still be under way. */
static struct breakage run_pings(struct pings *pings, int64_t budget, int64_t patience, int64_t grace)
{
    int64_t begun = now_ns();
    int unanswered = 0;
    while (pings->sent < pings->round_trips.count && unanswered < MOST_UNANSWERED) {
        if (pings->sent >= FEWEST && now_ns() - begun > budget)
            break;
        PASSED_ON(send_ping(pings));
        PASSED_ON(wait_until(pings, ANSWERED, patience_with(pings, patience)));
        unanswered = is_over(pings, ANSWERED) ? 0 : unanswered + 1;
    }
    PASSED_ON(wait_until(pings, ALL_ANSWERED, grace));
    for (int copy = 0; copy < LAST_COPIES; copy++) {
        PASSED_ON(make_room(pings));
        PASSED_ON(datagram_send(pings->own, pings->tag << 32 | LAST, SMALLEST_DATAGRAM, UNNUMBERED));
    }
    return wait_until(pings, ALL_SENT, SENDING_NS);
}

/* Echoes: what the other end knows. */

struct echoes {
    struct datagrams *own;
    uint64_t tag;
    uint32_t size;
    struct stamps came; /* ticks, 0 without a clock; negative: never came */
    struct stamps left;
    int64_t received;
    int64_t sent;
    int is_last;
};

static struct breakage answer(struct echoes *echoes, const struct event *event)
{
    uint64_t number;
    PASSED_ON(datagram_take(echoes->own, event->id & ~DATAGRAM_RECEIVE, &number));
    int64_t index = (int64_t)(number & UINT32_MAX);
    if (number >> 32 != echoes->tag)
        return NO_BREAKAGE;
    if ((uint32_t)index == LAST) {
        echoes->is_last = 1;
        return NO_BREAKAGE;
    }
    if (index >= echoes->came.count || echoes->came.ns[index] >= 0)
        return NO_BREAKAGE;
    echoes->came.ns[index] = event->ticks;
    echoes->received++;
    if (!datagram_has_room(echoes->own))
        return NO_BREAKAGE;
    PASSED_ON(datagram_send(echoes->own, number, echoes->size, (uint64_t)index));
    echoes->sent++;
    return NO_BREAKAGE;
}

static struct breakage run_echoes(struct echoes *echoes, int64_t patience)
{
    struct datagrams *own = echoes->own;
    struct quiet quiet = {.since_ns = now_ns()};
    while (!echoes->is_last || own->completed < own->posted) {
        struct event event = {0, 0};
        int happened;
        PASSED_ON(datagram_look(own, &event, &happened));
        if (!happened) {
            if (quiet_ns(&quiet) > (echoes->is_last ? SENDING_NS : patience))
                return NO_BREAKAGE;
            continue;
        }
        quiet.since_ns = now_ns();
        if (event.id & DATAGRAM_RECEIVE) {
            PASSED_ON(answer(echoes, &event));
        } else {
            own->completed++;
            if (event.id < (uint64_t)echoes->left.count)
                echoes->left.ns[event.id] = event.ticks;
        }
    }
    return NO_BREAKAGE;
}

/* From Python */

static int is_possible(const struct datagrams *own, unsigned int size)
{
    if (own->ah != NULL && size >= SMALLEST_DATAGRAM && size <= own->largest)
        return 1;
    PyErr_Format(PyExc_ValueError, "datagrams of %u bytes, of at most %u, %s an address", size, own->largest,
                 own->ah == NULL ? "without" : "with");
    return 0;
}

/* Open all or none of three arrays; those behind the first must be as long. */
static int open_arrays(PyObject *const *objects, struct stamps **arrays, int count)
{
    for (int index = 0; index < count; index++) {
        int is_open = stamps_open(objects[index], "a series", arrays[index]) == 0;
        if (is_open && arrays[index]->count == arrays[0]->count && arrays[0]->count < (Py_ssize_t)LAST)
            continue;
        if (is_open) {
            PyErr_SetString(PyExc_ValueError, "the arrays of a series are equally long");
            index++;
        }
        while (index-- > 0)
            stamps_close(arrays[index]);
        return 0;
    }
    return 1;
}

PyObject *py_verbs_pings(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *capsule, *objects[3];
    unsigned int tag, size;
    long long budget, patience, grace;
    struct breakage breakage;
    if (!PyArg_ParseTuple(args, "OIILLLOOO:verbs_pings", &capsule, &tag, &size, &budget, &patience, &grace,
                          &objects[0], &objects[1], &objects[2]))
        return NULL;
    struct pings pings;
    memset(&pings, 0, sizeof pings);
    struct stamps *arrays[] = {&pings.round_trips, &pings.left, &pings.came};
    pings.tag = tag;
    pings.size = size;
    if ((pings.own = datagrams_of(capsule)) == NULL || !is_possible(pings.own, size) ||
        !open_arrays(objects, arrays, 3))
        return NULL;
    Py_BEGIN_ALLOW_THREADS
    breakage = run_pings(&pings, budget, patience, grace);
    Py_END_ALLOW_THREADS
    for (int index = 0; index < 3; index++)
        stamps_close(arrays[index]);
    breakage.messages = pings.received;
    if (breakage.call != NULL)
        return verbs_outcome(breakage);
    return Py_BuildValue("(LLL)", (long long)pings.sent, (long long)pings.received, (long long)pings.late);
}

PyObject *py_verbs_echoes(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *capsule, *objects[2];
    unsigned int tag, size;
    long long patience;
    struct breakage breakage;
    if (!PyArg_ParseTuple(args, "OIILOO:verbs_echoes", &capsule, &tag, &size, &patience, &objects[0], &objects[1]))
        return NULL;
    struct echoes echoes;
    memset(&echoes, 0, sizeof echoes);
    struct stamps *arrays[] = {&echoes.came, &echoes.left};
    echoes.tag = tag;
    echoes.size = size;
    if ((echoes.own = datagrams_of(capsule)) == NULL || !is_possible(echoes.own, size) ||
        !open_arrays(objects, arrays, 2))
        return NULL;
    for (Py_ssize_t index = 0; index < echoes.came.count; index++)
        echoes.came.ns[index] = -1;
    Py_BEGIN_ALLOW_THREADS
    breakage = run_echoes(&echoes, patience);
    Py_END_ALLOW_THREADS
    for (int index = 0; index < 2; index++)
        stamps_close(arrays[index]);
    breakage.messages = echoes.received;
    if (breakage.call != NULL)
        return verbs_outcome(breakage);
    return Py_BuildValue("(LL)", (long long)echoes.sent, (long long)echoes.received);
}
