/* Labels: a worker's part of label switching.
 *
 * How
 * ===
 * What came with labels is handled one by one, from the top of its stack: as long as labels end here the next one
 * is looked at; the first that leads on is taken off, those of its way are put in its place (a swap, or
 * more), and the packet leaves.  Where the last label ends here, or is taken off for the next router, what
 * is below it is an IP packet again.
 *
 * Times to live: in the uniform model all headers of a packet have that of the outermost one, in the pipe model
 * each label those of its own tunnel.  A router counts down once.
 *
 * Reference: RFC 3031; RFC 3032; RFC 3443 (time to live); RFC 4182, RFC 7274 (special-purpose labels) */

#include <string.h>

#include "forward.h"
#include "hash.h"
#include "pool.h"
#include "push.h"
#include "rewrite.h"
#include "router.h"

enum {
    STACK_DEPTH = 16,                   /* Labels of a packet that are looked at. */
    FRONT_MAX = ADJACENCY_HEADER + LABEL_WAY_MAX * MPLS_SIZE,
};

/* A packet with labels, at the place in its stack that is looked at. */
struct labelled {
    struct packet *p;
    const struct interface *from;
    uint32_t at;                        /* Behind the label that is looked at. */
    uint32_t shim;                      /* That label and what is beside it. */
    uint8_t ttl;                        /* With which it has come. */
    bool uniform;
};

static uint8_t
least(uint8_t a, uint8_t b)
{
    return a < b ? a : b;
}

/* --- Bytes ----------------------------------------------------------------------------------- */

/* Puts 'len' bytes in the place of the first 'at'.  Returns false, and changes nothing, if there is no room. */
static bool
replace_front(struct packet *p, uint32_t at, const uint8_t *front, unsigned len)
{
    if (len > at && !packet_push(p, len - at)) {
        return false;
    }
    if (len < at) {
        packet_pull(p, at - len);
    }
    memcpy(p->data, front, len);
    rewrite_move_offload(p, (int) len - (int) at);
    p->stale |= STALE_KEY | STALE_LAYOUT;
    return true;
}

/* Addresses of the frame and a type.  There is always room for that in the place of a label. */
static void
become(struct packet *p, uint32_t at, uint16_t type)
{
    uint8_t front[ETH_SIZE];

    memcpy(front, p->data, ETH_TYPE_AT);
    put_be16(front + ETH_TYPE_AT, type);
    replace_front(p, at, front, sizeof front);
}

/* What it says of its flow: the labels, and the addresses of the IP packet below them (RFC 4928). */
static uint32_t
flow_of(const struct packet *p)
{
    const uint8_t *at = p->data + p->l2_5, *end = p->data + p->len;
    uint64_t hash = 0;
    uint32_t shim = 0;

    for (unsigned i = 0; i < STACK_DEPTH && !(shim & LABEL_BOTTOM) && end - at >= MPLS_SIZE; i++) {
        shim = get_be32(at);
        hash = hash_word(hash, shim >> 12);
        at += MPLS_SIZE;
    }
    if (end - at >= IPV4_SIZE && at[0] >> 4 == 4) {
        hash = hash_word(hash_word(hash, get_be64(at + 12)), at[9]);
    } else if (end - at >= IPV6_SIZE && at[0] >> 4 == 6) {
        for (unsigned i = 0; i < 4; i++) {
            hash = hash_word(hash, get_be64(at + 8 + 8 * i));
        }
        hash = hash_word(hash, get_be32(at) & 0xfffff);         /* RFC 6437 */
    }
    return hash_finish(hash);
}

/* --- Out --------------------------------------------------------------------------------------- */

/* Puts header and labels of a way in the place of the first 'at' bytes, and lets the packet leave. */
static void
leave(struct worker *worker, struct packet *p, uint32_t at, uint16_t type, const struct label_way *way,
      const struct label_marks *marks)
{
    const struct adjacency *by = way->by;
    const struct interface *to = interface_at(&worker->dataplane->routing, by->interface);
    uint8_t front[FRONT_MAX];
    unsigned len = by->header_len;

    memcpy(front, by->header, len);
    put_be16(front + len - 2, way->n ? ETH_TYPE_MPLS : type);
    len += label_write(front + len, way, marks);
    if (!to || !to->up || !replace_front(p, at, front, len)) {
        worker_drop(worker, &p, 1, to && to->up ? DROP_no_room : DROP_no_interface);
        return;
    }
    forward_leave(worker, to, by, p);
}

static bool
leads_out(const struct adjacency *by)
{
    return by->kind == ADJACENCY_REWRITE || by->kind == ADJACENCY_BRIDGE;
}

/* RFC 3443, 3: the time to live is counted down once, and then, in the uniform model, copied. */
const struct adjacency *
worker_push(struct worker *worker, const struct interface *from, struct packet *p, uint32_t id)
{
    uint8_t *ip = p->data + p->l3, ttl = rewrite_ttl(ip);
    bool uniform = !atomic_load_explicit(&from->router->pipe, memory_order_relaxed);
    struct label_way way;

    if (!label_way_find(&worker->dataplane->routing.adjacencies, id, packet_hash(p), &way)) {
        worker_drop(worker, &p, 1, DROP_label_stack);
        return NULL;
    }
    if (!leads_out(way.by)) {
        return way.by;
    }
    if (ttl <= 1) {
        worker_punt_route(worker, p, ROUTE_TTL, forward_cookie(id, from));
    } else if (forward_length(p) + way.n * MPLS_SIZE > way.by->mtu) {
        worker_punt_route(worker, p, ROUTE_TOO_BIG, forward_cookie(id, from));
    } else {
        const struct label_marks marks = {
            .traffic_class = label_class_of(ip), .ttl = uniform ? ttl - 1 : LABEL_TTL_OF_PIPES,
            .tunnel_ttl = uniform ? ttl - 1 : LABEL_TTL_OF_PIPES, .bottom = true,
        };
        rewrite_set_ttl(ip, ttl - 1);
        leave(worker, p, p->l3, 0, &way, &marks);
    }
    return NULL;
}

/* --- The end of a stack -------------------------------------------------------------------------- */

/* Takes the last label off.  Returns false, and has dropped the packet, if what is below it is no IP packet, or
 * not of 'family' (0: either). */
static bool
become_ip(struct worker *worker, const struct labelled *l, uint8_t family)
{
    struct packet *p = l->p;
    uint8_t version = l->at < p->len ? p->data[l->at] >> 4 : 0;

    if ((version != 4 && version != 6) || (family && version != family)) {
        worker_drop(worker, &p, 1, DROP_ip_header);
        return false;
    }
    become(p, l->at, version == 4 ? ETH_TYPE_IPV4 : ETH_TYPE_IPV6);
    parse_again(p);
    if (p->l3 == NO_OFFSET) {
        worker_drop(worker, &p, 1, DROP_ip_header);
        return false;
    }
    if (l->uniform) {
        uint8_t *ip = p->data + p->l3;
        rewrite_set_ttl(ip, least(rewrite_ttl(ip), l->ttl));
    }
    return true;
}

/* Penultimate hop popping (RFC 3031, 3.16): the last label is taken off for the next router.  What the pipe model
 * hides below the label is left as it is (RFC 3443, 3.3). */
static void
pop_to_ip(struct worker *worker, const struct labelled *l, const struct label_way *way)
{
    struct packet *p = l->p;

    if (!become_ip(worker, l, 0)) {
        return;
    }
    uint8_t *ip = p->data + p->l3;
    uint16_t type = get_be16(p->data + ETH_TYPE_AT);
    if (!leads_out(way->by)) {
        worker_except(worker, l->from, p, way->by, way->id);
    } else if (least(l->ttl, l->uniform ? rewrite_ttl(ip) : l->ttl) <= 1) {
        worker_punt_route(worker, p, ROUTE_TTL, forward_cookie(way->id, l->from));
    } else if (forward_length(p) > way->by->mtu) {
        worker_punt_route(worker, p, ROUTE_TOO_BIG, forward_cookie(way->id, l->from));
    } else {
        rewrite_set_ttl(ip, rewrite_ttl(ip) - l->uniform);
        leave(worker, p, p->l3, type, way, &(const struct label_marks) { 0 });
    }
}

/* --- In the middle of a path ---------------------------------------------------------------------- */

/* What new labels say: the traffic class of the one they replace (RFC 5462), and what is left of its time. */
static struct label_marks
marks_of(const struct labelled *l)
{
    uint8_t ttl = l->ttl - 1;

    return (struct label_marks) {
        .traffic_class = l->shim >> 9 & 7, .ttl = ttl, .tunnel_ttl = l->uniform ? ttl : LABEL_TTL_OF_PIPES,
        .bottom = l->shim & LABEL_BOTTOM,
    };
}

/* A label is taken off, and another one below it is the top now. */
static bool
show_next(const struct labelled *l)
{
    uint8_t *next = l->p->data + l->at;

    if (l->at + MPLS_SIZE > l->p->len) {
        return false;
    }
    if (l->uniform) {
        next[3] = least(next[3], l->ttl - 1);
    }
    return true;
}

/* Asks for the neighbour, with the packet as it will be sent. */
static void
resolve(struct worker *worker, const struct labelled *l, const struct label_way *way,
        const struct label_marks *marks)
{
    uint8_t front[ETH_SIZE + LABEL_WAY_MAX * MPLS_SIZE];
    struct packet *p = l->p;

    memcpy(front, p->data, ETH_TYPE_AT);
    put_be16(front + ETH_TYPE_AT, ETH_TYPE_MPLS);
    if (replace_front(p, l->at, front, ETH_SIZE + label_write(front + ETH_SIZE, way, marks))) {
        worker_punt_route(worker, p, ROUTE_RESOLVE, forward_cookie(way->id, l->from));
    } else {
        worker_drop(worker, &p, 1, DROP_no_room);
    }
}

/* Whoever sent the packet may not be known here, nor know labels: no error is sent (RFC 3032, 2.3). */
static void
swap(struct worker *worker, const struct labelled *l, const struct label_way *way)
{
    struct packet *p = l->p;
    const struct label_marks marks = marks_of(l);

    if (l->ttl <= 1) {
        worker_drop(worker, &p, 1, DROP_ttl);
    } else if (way->by->mtu && forward_length_behind(p, l->at) + way->n * MPLS_SIZE > way->by->mtu) {
        worker_drop(worker, &p, 1, DROP_label_mtu);
    } else if (!way->n && !show_next(l)) {
        worker_drop(worker, &p, 1, DROP_label_stack);
    } else if (way->by->kind == ADJACENCY_INCOMPLETE) {
        resolve(worker, l, way, &marks);
    } else {
        leave(worker, p, l->at, ETH_TYPE_MPLS, way, &marks);
    }
}

static void
forward(struct worker *worker, const struct labelled *l, const struct label_way *way)
{
    struct packet *p = l->p;
    bool last = l->shim & LABEL_BOTTOM;

    if (!way->id || way->by->kind == ADJACENCY_NO_ROUTE) {
        worker_drop(worker, &p, 1, DROP_label);
    } else if (last && !way->n) {
        pop_to_ip(worker, l, way);
    } else if (leads_out(way->by) || way->by->kind == ADJACENCY_INCOMPLETE) {
        swap(worker, l, way);
    } else {
        worker_drop(worker, &p, 1, way->by->kind == ADJACENCY_LINK ? DROP_label : DROP_blackhole);
    }
}

/* --- In ------------------------------------------------------------------------------------------- */

/* What becomes of a label. */
enum outlook { OUTLOOK_ON, OUTLOOK_HERE, OUTLOOK_LOST };

static enum outlook
look_at(struct worker *worker, const struct labelled *l, struct label_way *way)
{
    const struct adjacency_table *table = &worker->dataplane->routing.adjacencies;
    uint32_t label = l->shim >> 12;

    if (label < LABEL_FREE) {
        return label == LABEL_IPV4_NULL || label == LABEL_IPV6_NULL ? OUTLOOK_HERE : OUTLOOK_LOST;
    }
    uint32_t id = lib_lookup(&l->from->router->lib, label);
    uint32_t hash = adjacency_at(table, id)->kind == ADJACENCY_REWRITE ? 0 : flow_of(l->p);
    if (!label_way_find(table, id, hash, way)) {
        return OUTLOOK_LOST;
    }
    return way->by->kind == ADJACENCY_LOCAL && !way->n ? OUTLOOK_HERE : OUTLOOK_ON;
}

/* The family that has to be below a label that ends here; 0: either. */
static uint8_t
family_below(uint32_t shim)
{
    uint32_t label = shim >> 12;

    return label == LABEL_IPV4_NULL ? 4 : label == LABEL_IPV6_NULL ? 6 : 0;
}

bool
worker_label(struct worker *worker, const struct interface *from, struct packet *p)
{
    struct labelled l = {
        .p = p, .from = from, .at = p->l2_5, .ttl = UINT8_MAX,
        .uniform = !atomic_load_explicit(&from->router->pipe, memory_order_relaxed),
    };

    for (unsigned i = 0; i < STACK_DEPTH && p->l2_5 != NO_OFFSET && l.at + MPLS_SIZE <= p->len; i++) {
        struct label_way way;

        l.shim = get_be32(p->data + l.at);
        l.ttl = l.uniform ? least(l.ttl, l.shim & 0xff) : l.shim & 0xff;
        l.at += MPLS_SIZE;
        enum outlook outlook = look_at(worker, &l, &way);
        if (outlook == OUTLOOK_ON) {
            forward(worker, &l, &way);
            return false;
        }
        if (outlook == OUTLOOK_LOST || !l.ttl) {
            worker_drop(worker, &p, 1, outlook == OUTLOOK_LOST ? DROP_label : DROP_ttl);
            return false;
        }
        if (l.shim & LABEL_BOTTOM) {
            return become_ip(worker, &l, family_below(l.shim));
        }
    }
    worker_drop(worker, &p, 1, DROP_label_stack);
    return false;
}
