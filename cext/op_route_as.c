/* Routing as an instruction: an experimenter action of raicho that names an interface of a router.
 *
 * The packet is routed as if it had come by that interface in a frame to its address: a flow entry says which
 * packets a router gets, whatever port and tags they come with.  Like an output it takes a copy, if there is more
 * to do with the packet. */

#include "bridge.h"
#include "bytes.h"
#include "forward.h"
#include "headers.h"
#include "program.h"
#include "worker.h"

/* struct rch_action_route: type, len, experimenter, subtype, pad[2], the interface's number at 12. */
enum { NUMBER_AT = 12 };

/* Packets that one interface gets. */
struct taken {
    uint32_t number;
    unsigned n;
    struct packet *packets[PACKET_VECTOR];
};

/* Gives a packet the header of a frame to an interface, without tags; what goes to a group goes on doing so. */
static void
readdress(struct packet *p, const struct interface *to, uint16_t type)
{
    uint64_t *word = packet_walk(p)->key.word;
    uint64_t destination = word[W_ETH_DST] >> 16, source = word[W_ETH_SRC] >> 16;
    uint8_t header[ETH_SIZE];

    if (!mac_is_group(destination)) {
        destination = to->mac;
    }
    put_be48(header, destination);
    put_be48(header + 6, source);
    forward_behind(p, header, ETH_SIZE, type == ETH_TYPE_IPV6);
    word[W_ETH_DST] = destination << 16 | type;
    word[W_ETH_SRC] = source << 16;
}

/* Returns false for a packet that cannot be routed, and drops it. */
static bool
admit(struct worker *worker, struct packet *p, const struct interface *to)
{
    packet_refresh(p);

    uint16_t type = packet_walk(p)->key.word[W_ETH_DST] & 0xffff;
    bool is_ip = type == ETH_TYPE_IPV4 || type == ETH_TYPE_IPV6;

    if (!is_ip || p->l3 == NO_OFFSET) {
        worker_drop(worker, &p, 1, is_ip ? DROP_ip_header : DROP_not_ip);
        return false;
    }
    readdress(p, to, type);
    return true;
}

static void
route(struct worker *worker, struct taken *taken)
{
    const struct interface *to = interface_numbered(&worker->dataplane->routing, taken->number);
    unsigned kept = 0;

    if (!to || !to->up) {
        worker_drop(worker, taken->packets, taken->n, DROP_no_interface);
    } else {
        for (unsigned i = 0; i < taken->n; i++) {
            if (admit(worker, taken->packets[i], to)) {
                taken->packets[kept++] = taken->packets[i];
            }
        }
        if (kept) {
            worker_route(worker, to, taken->packets, kept);
        }
    }
    taken->n = 0;
}

unsigned
op_route_as(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    struct taken taken = { .n = 0 };
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        struct packet *packet = packets[i];
        uint32_t number = get_be32(insn_args(insn, packet) + NUMBER_AT);

        if (taken.n && number != taken.number) {
            route(worker, &taken);
        }
        if (packet_stays(insn, packet)) {
            packets[kept++] = packet;
            packet->copied = true;
            packet = worker_copy(worker, packet);
        }
        if (packet) {
            taken.number = number;
            taken.packets[taken.n++] = packet;
        }
    }
    if (taken.n) {
        route(worker, &taken);
    }
    return kept;
}
