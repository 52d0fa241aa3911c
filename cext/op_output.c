/* Output: to a port, to a reserved port, to the control plane. */

#include "bridge.h"
#include "bytes.h"
#include "worker.h"

static void
send_to(struct worker *worker, struct packet *packet, struct attachment *to)
{
    if (!to) {
        worker_drop(worker, &packet, 1, DROP_no_port);
    } else if (!attachment_forwards(to)) {
        worker_drop(worker, &packet, 1, DROP_port_down);
    } else {
        worker_send(worker, to, packet);
    }
}

/* A copy for every port but the one it came from, the packet itself to the last. */
static void
flood(struct worker *worker, struct packet *packet)
{
    const struct bridge *bridge = packet_walk(packet)->bridge;
    const struct port_map *map = atomic_load_explicit(&bridge->ports, memory_order_acquire);
    struct attachment *last = NULL;

    for (uint32_t i = 0; i < map->n; i++) {
        struct attachment *to = map->list[i];
        if (to->number == packet->in_port || !attachment_forwards(to)) {
            continue;
        }
        struct packet *copy = last ? worker_copy(worker, packet) : NULL;
        if (copy) {
            worker_send(worker, last, copy);
        }
        last = to;
    }
    send_to(worker, packet, last);
}

/* A port can be told to send no packets up that miss (7.2.1); an entry that says so still does. */
static void
to_controller(struct worker *worker, struct packet *packet, uint16_t max_len)
{
    const struct walk *walk = packet_walk(packet);
    const struct attachment *from = bridge_port(walk->bridge, packet->in_port);
    bool missed = walk->flow && flow_is_miss(walk->flow);

    if (from && missed
        && atomic_load_explicit(&from->config, memory_order_relaxed) & PORT_NO_PACKET_IN) {
        worker_drop(worker, &packet, 1, DROP_action);
    } else {
        worker_punt(worker, packet, missed ? PUNT_NO_MATCH : PUNT_ACTION, max_len);
    }
}

/* Only packet-outs say so where it can be checked; a register may say it in the tables. */
static void
to_tables(struct worker *worker, struct packet *packet)
{
    struct walk *walk = packet_walk(packet);

    if (walk->flow) {
        worker_drop(worker, &packet, 1, DROP_no_port);
    } else {
        bridge_walk(worker, walk->bridge, &packet, 1, 0);
    }
}

void
worker_output(struct worker *worker, struct packet *packet, uint32_t port, uint16_t max_len)
{
    struct bridge *bridge = packet_walk(packet)->bridge;

    switch (port) {
    case PORT_IN_PORT:
        send_to(worker, packet, bridge_port(bridge, packet->in_port));
        break;
    case PORT_TABLE:
        to_tables(worker, packet);
        break;
    case PORT_NORMAL:
        worker_normal(worker, packet);
        break;
    case PORT_FLOOD:
    case PORT_ALL:
        flood(worker, packet);
        break;
    case PORT_CONTROLLER:
        to_controller(worker, packet, max_len);
        break;
    default:
        if (port == packet->in_port) {
            worker_drop(worker, &packet, 1, DROP_in_port);
        } else {
            send_to(worker, packet, bridge_port(bridge, port));
        }
    }
}

/* Where the packet before went: usually the next one goes there too. */
struct direct {
    const uint8_t *args;        /* Of the action that said so; null: none yet. */
    uint32_t port;
    uint16_t max_len;
    struct lane *by;            /* Null: not by the short way. */
};

/* The lane of this worker by which packets leave to a port (or null); null if they do not. */
static struct lane *
own_lane(const struct worker *worker, const struct attachment *to)
{
    struct lane *by = to && attachment_forwards(to) ? to->leave_by[worker->id] : NULL;

    return by && by->worker == worker->id ? by : NULL;
}

static void
resolve(struct worker *worker, const struct packet *packet, const uint8_t *args,
        struct direct *direct)
{
    uint32_t port = get_be32(args + 4);
    struct lane *by = direct->by;

    if (!direct->args || port != direct->port) {
        by = own_lane(worker, port <= PORT_MAX ? bridge_port(packet_walk(packet)->bridge, port) : NULL);
    }
    *direct = (struct direct) { args, port, get_be16(args + 8), by };
}

/* Whether nothing but to be sent by a lane of this worker is left to do for a packet. */
static inline bool
is_plain(const struct packet *packet)
{
    const struct walk *walk = packet_walk(packet);

    return !(walk->n_blocks | walk->held | packet->offload.flags | packet->offload.gso_type);
}

/* Sends the first packets that go where the one before went, as far as that is the short way.  Returns
 * how many. */
static inline unsigned
send_alike(const struct insn *insn, const struct direct *direct, struct packet *const *packets,
           unsigned n)
{
    struct lane *by = direct->by;
    unsigned n_sent = 0;

    if (!by || !by->queued || !(insn->flags & INSN_LAST)) {
        return 0;
    }
    struct packet **tx = by->tx + by->n_tx;
    unsigned limit = n < PACKET_VECTOR - by->n_tx ? n : PACKET_VECTOR - by->n_tx;
    for (; n_sent < limit; n_sent++) {
        struct packet *packet = packets[n_sent];
        const uint8_t *args = insn_args(insn, packet);
        if ((args != direct->args && get_be32(args + 4) != direct->port)
            || packet->in_port == direct->port || !is_plain(packet)) {
            break;
        }
        tx[n_sent] = packet;
    }
    by->n_tx += n_sent;
    return n_sent;
}

/* struct ofp_action_output: type, len, port, max_len.  The packets of a vector are in one bridge. */
unsigned
op_output(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct direct direct = { .args = NULL };
    unsigned kept = 0;

    for (unsigned i = 0; (i += send_alike(insn, &direct, packets + i, n - i)) < n; i++) {
        struct packet *packet = packets[i];
        const uint8_t *args = insn_args(insn, packet);

        if (packet_stays(insn, packet)) {
            packets[kept++] = packet;
            packet->copied = true;
            packet = worker_copy(worker, packet);
            if (!packet) {
                continue;
            }
        }
        if (args != direct.args) {
            resolve(worker, packet, args, &direct);
        }
        if (direct.by && direct.port != packet->in_port) {
            worker_send(worker, direct.by->attachment, packet);
        } else {
            worker_output(worker, packet, direct.port, direct.max_len);
        }
    }
    return kept;
}
