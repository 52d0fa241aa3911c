/* Times to live: set, count down, copy between the outermost MPLS shim and what is behind it.
 *
 * Counting down to nothing sends the packet to the controller, and it goes no further. */

#include "bridge.h"
#include "headers.h"
#include "program.h"
#include "rewrite.h"

enum {
    TTL_AT = 4,                 /* In an action. */
    SHIM_TTL = 3,               /* In an MPLS shim. */
    SHIM_BOTTOM = 2,            /* The byte whose lowest bit says "bottom of stack". */
    WHOLE_PACKET = 0xffff,      /* OFPCML_NO_BUFFER: nothing of it is kept here. */
};

/* --- One header ------------------------------------------------------------------------------ */

/* Returns the IP header, or null. */
static uint8_t *
outer_ip(const struct packet *p)
{
    return ip_version(p) ? p->data + p->l3 : NULL;
}

/* Returns the outermost shim, or null. */
static uint8_t *
outer_shim(const struct packet *p)
{
    return has_mpls(p) ? p->data + p->l2_5 : NULL;
}

/* Whether an IP header with lengths that make sense is in 'room' bytes. */
static bool
is_ip(const uint8_t *ip, size_t room)
{
    if (room >= IPV6_SIZE && ip[0] >> 4 == 6) {
        return (size_t)get_be16(ip + 4) + IPV6_SIZE <= room;
    }
    if (room < IPV4_SIZE || ip[0] >> 4 != 4) {
        return false;
    }

    unsigned header = (ip[0] & 15) * 4u, total = get_be16(ip + 2);

    return header >= IPV4_SIZE && total >= header && total <= room;
}

/* What is behind the outermost shim: another shim, an IP header, or nothing known. */
struct inner {
    uint8_t *shim, *ip;
};

static struct inner
behind_shim(const struct packet *p)
{
    struct inner inner = { NULL, NULL };
    uint8_t *shim = outer_shim(p);

    if (!shim) {
        return inner;
    }

    uint8_t *next = shim + MPLS_SIZE;
    size_t room = (size_t)(p->data + p->len - next);

    if (!(shim[SHIM_BOTTOM] & 1)) {
        inner.shim = room >= MPLS_SIZE ? next : NULL;
    } else if (is_ip(next, room)) {
        inner.ip = next;
    }
    return inner;
}

/* --- One packet -------------------------------------------------------------------------------- */

static void
copy_ttl_out(struct packet *p, const uint8_t *action)
{
    struct inner inner = behind_shim(p);

    (void)action;
    if (inner.shim) {
        outer_shim(p)[SHIM_TTL] = inner.shim[SHIM_TTL];
    } else if (inner.ip) {
        outer_shim(p)[SHIM_TTL] = rewrite_ttl(inner.ip);
    }
}

static void
copy_ttl_in(struct packet *p, const uint8_t *action)
{
    struct inner inner = behind_shim(p);

    (void)action;
    if (inner.shim) {
        inner.shim[SHIM_TTL] = outer_shim(p)[SHIM_TTL];
    } else if (inner.ip) {
        rewrite_set_ttl(inner.ip, outer_shim(p)[SHIM_TTL]);
    }
}

static void
set_mpls_ttl(struct packet *p, const uint8_t *action)
{
    uint8_t *shim = outer_shim(p);

    if (shim) {
        shim[SHIM_TTL] = action[TTL_AT];
    }
}

static void
set_nw_ttl(struct packet *p, const uint8_t *action)
{
    uint8_t *ip = outer_ip(p);

    if (ip) {
        rewrite_set_ttl(ip, action[TTL_AT]);
    }
}

/* Returns false if nothing would be left. */
static bool
dec_mpls_ttl(struct packet *p)
{
    uint8_t *shim = outer_shim(p);

    if (!shim) {
        return true;
    }
    if (shim[SHIM_TTL] <= 1) {
        return false;
    }
    shim[SHIM_TTL]--;
    return true;
}

static bool
dec_nw_ttl(struct packet *p)
{
    uint8_t *ip = outer_ip(p);

    if (!ip) {
        return true;
    }
    if (rewrite_ttl(ip) <= 1) {
        return false;
    }
    rewrite_set_ttl(ip, rewrite_ttl(ip) - 1);
    return true;
}

/* --- The instructions --------------------------------------------------------------------------- */

/* Does something that cannot fail to each packet. */
static inline unsigned
each(const struct insn *insn, struct packet **packets, unsigned n,
     void (*change)(struct packet *, const uint8_t *action))
{
    for (unsigned i = 0; i < n; i++) {
        rewrite_begin(packets[i]);
        change(packets[i], insn_args(insn, packets[i]));
        packets[i]->stale |= STALE_KEY;
    }
    return n;
}

/* Sends the packet to the controller; a resubmit that holds it drops it then. */
static void
report_expired(struct worker *worker, struct packet *p)
{
    struct packet *copy = packet_walk(p)->held ? worker_copy(worker, p) : p;

    if (copy) {
        worker_punt(worker, copy, PUNT_INVALID_TTL, WHOLE_PACKET);
    }
    if (copy != p) {
        worker_drop(worker, &p, 1, DROP_ttl);
    }
}

/* Counts down in each packet. */
static inline unsigned
each_down(struct worker *worker, struct packet **packets, unsigned n, bool (*dec)(struct packet *))
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i];

        rewrite_begin(p);
        if (dec(p)) {
            p->stale |= STALE_KEY;
            packets[kept++] = p;
        } else {
            report_expired(worker, p);
        }
    }
    return kept;
}

#define OP(NAME, ...)                                                                           \
    unsigned op_##NAME(struct worker *worker, const struct insn *insn, struct packet **packets, \
                       unsigned n)                                                              \
    {                                                                                           \
        (void)worker, (void)insn;                                                               \
        return __VA_ARGS__;                                                                     \
    }

OP(copy_ttl_out, each(insn, packets, n, copy_ttl_out))
OP(copy_ttl_in,  each(insn, packets, n, copy_ttl_in))
OP(set_mpls_ttl, each(insn, packets, n, set_mpls_ttl))
OP(set_nw_ttl,   each(insn, packets, n, set_nw_ttl))
OP(dec_mpls_ttl, each_down(worker, packets, n, dec_mpls_ttl))
OP(dec_nw_ttl,   each_down(worker, packets, n, dec_nw_ttl))
