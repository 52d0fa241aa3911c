/* Neighbour discovery: see nd.h. */

#include "nd.h"

#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "headers.h"
#include "mac.h"

enum {
    HOP_LIMIT = 255,
    FRAME_MAX = 1024,                   /* An advertisement with all prefixes fits. */

    SOURCE_LINK_ADDRESS = 1, TARGET_LINK_ADDRESS = 2, PREFIX = 3, MTU = 5,      /* Options. */
    OPTION_UNIT = 8,

    FLAG_ROUTER = 0x80, FLAG_SOLICITED = 0x40, FLAG_OVERRIDE = 0x20,            /* Of neighbours. */
    FLAG_MANAGED = 0x80, FLAG_OTHER = 0x40,                                     /* Of routers. */
    FLAG_ON_LINK = 0x80, FLAG_AUTONOMOUS = 0x40,                                /* Of prefixes. */

    /* RFC 4861, section 10 */
    MAX_INITIAL_INTERVAL_MS = 16000, MAX_INITIAL = 3,
    MIN_DELAY_MS = 3000, MAX_DELAY_MS = 500,
};

static const struct ip_address all_nodes = { { UINT64_C(0xff02) << 48, 1 } };

static bool
is_multicast(const struct ip_address *address)
{
    return address->word[0] >> 56 == 0xff;
}

static bool
is_unspecified(const struct ip_address *address)
{
    return !address->word[0] && !address->word[1];
}

static bool
is_link_local(const struct ip_address *address)
{
    return address->word[0] >> 54 == 0xfe80 >> 6;
}

/* The group that has to hear questions for an address (RFC 4291, 2.7.1). */
static struct ip_address
solicited_group(const struct ip_address *address)
{
    return (struct ip_address) {
        { UINT64_C(0xff02) << 48, UINT64_C(0x1ff000000) | (address->word[1] & 0xffffff) },
    };
}

static uint64_t
group_mac(const struct ip_address *group)
{
    return ip_group_mac(IP_V6, (uint32_t) group->word[1]);
}

/* --- Messages that are sent --------------------------------------------------------------------- */

struct message {
    uint8_t frame[FRAME_MAX];
    size_t len;
};

static uint8_t *
put(struct message *message, size_t n)
{
    uint8_t *at = message->frame + message->len;

    memset(at, 0, n);
    message->len += n;
    return at;
}

/* Begins a message with the 'n' bytes of its fixed part, checksum and reserved words included. */
static uint8_t *
begin(struct message *message, uint8_t type, size_t n, const struct ip_address *from,
      const struct ip_address *to)
{
    message->len = 0;
    put(message, ETH_SIZE + IPV6_SIZE);

    uint8_t *ip = message->frame + ETH_SIZE;

    ip[0] = 0x60;
    ip[6] = IP_PROTO_ICMPV6;
    ip[7] = HOP_LIMIT;
    ip_write(IP_V6, from, ip + 8);
    ip_write(IP_V6, to, ip + 24);

    uint8_t *icmp = put(message, n);

    icmp[0] = type;
    return icmp;
}

static void
put_link_address(struct message *message, uint8_t type, uint64_t mac)
{
    uint8_t *option = put(message, OPTION_UNIT);

    option[0] = type;
    option[1] = 1;
    put_be48(option + 2, mac);
}

/* Completes a message and sends it. */
static void
send(struct neighbours *neighbours, struct neighbour_link *link, struct message *message,
     uint64_t destination)
{
    uint8_t *ip = message->frame + ETH_SIZE, *icmp = ip + IPV6_SIZE;
    uint16_t n = (uint16_t)(message->len - ETH_SIZE - IPV6_SIZE), sum;

    put_be48(message->frame, destination);
    put_be48(message->frame + 6, link->mac);
    put_be16(message->frame + ETH_TYPE_AT, ETH_TYPE_IPV6);
    put_be16(ip + 4, n);
    sum = csum_fold(csum_add(csum_add_pseudo(0, ip, IP_PROTO_ICMPV6, n), icmp, n));
    memcpy(icmp + ICMP_CSUM, &sum, sizeof sum);
    neighbours->owner->send(neighbours->context, link, message->frame, message->len);
}

bool
nd_solicit(struct neighbours *neighbours, const struct neighbour *neighbour, bool unicast)
{
    struct neighbour_link *link = neighbour->link;
    struct ip_address from, group = solicited_group(&neighbour->address);
    struct message message;

    if (!neighbours->owner->source(neighbours->context, link, IP_V6, &neighbour->address, &from)) {
        return false;
    }
    uint8_t *icmp = begin(&message, ND_SOLICITATION, ND_SIZE, &from,
                          unicast ? &neighbour->address : &group);

    ip_write(IP_V6, &neighbour->address, icmp + 8);
    put_link_address(&message, SOURCE_LINK_ADDRESS, link->mac);
    send(neighbours, link, &message, unicast ? neighbour->mac : group_mac(&group));
    return true;
}

void
nd_probe(struct neighbours *neighbours, struct neighbour_link *link, const struct ip_address *address)
{
    static const struct ip_address nobody;
    struct ip_address group = solicited_group(address);
    struct message message;
    uint8_t *icmp = begin(&message, ND_SOLICITATION, ND_SIZE, &nobody, &group);

    ip_write(IP_V6, address, icmp + 8);
    send(neighbours, link, &message, group_mac(&group));
}

static void
advertise(struct neighbours *neighbours, struct neighbour_link *link,
          const struct ip_address *address, const struct ip_address *from,
          const struct ip_address *to, uint64_t destination, uint8_t flags)
{
    struct message message;
    uint8_t *icmp = begin(&message, ND_ADVERTISEMENT, ND_SIZE, from, to);

    icmp[4] = FLAG_ROUTER | flags;
    ip_write(IP_V6, address, icmp + 8);
    put_link_address(&message, TARGET_LINK_ADDRESS, link->mac);
    send(neighbours, link, &message, destination);
}

void
nd_announce(struct neighbours *neighbours, struct neighbour_link *link,
            const struct ip_address *address)
{
    advertise(neighbours, link, address, address, &all_nodes, group_mac(&all_nodes), FLAG_OVERRIDE);
}

static void
put_prefix(struct message *message, const struct nd_prefix *prefix)
{
    uint8_t *option = put(message, 4 * OPTION_UNIT);

    option[0] = PREFIX;
    option[1] = 4;
    option[2] = prefix->prefix.len;
    option[3] = (prefix->on_link ? FLAG_ON_LINK : 0) | (prefix->autonomous ? FLAG_AUTONOMOUS : 0);
    put_be32(option + 4, prefix->valid_s);
    put_be32(option + 8, prefix->preferred_s);
    ip_write(IP_V6, &prefix->prefix.address, option + 16);
}

/* RFC 4861, 4.2 and 6.2.3.  Nothing is sent without a link-local address to send it from. */
static void
advertise_router(struct neighbours *neighbours, struct neighbour_link *link, uint16_t lifetime_s)
{
    const struct nd_router *router = link->router;
    struct message message;
    struct ip_address from;

    if (!neighbours->owner->source(neighbours->context, link, IP_V6, &all_nodes, &from)
        || !is_link_local(&from)) {
        return;
    }
    uint8_t *icmp = begin(&message, ND_ROUTER_ADVERTISEMENT, 16, &from, &all_nodes);

    icmp[4] = router->hop_limit;
    icmp[5] = (router->managed ? FLAG_MANAGED : 0) | (router->other ? FLAG_OTHER : 0);
    put_be16(icmp + 6, lifetime_s);
    put_be32(icmp + 8, router->reachable_ms);
    put_be32(icmp + 12, router->retrans_ms);
    put_link_address(&message, SOURCE_LINK_ADDRESS, link->mac);
    if (router->mtu) {
        uint8_t *option = put(&message, OPTION_UNIT);

        option[0] = MTU;
        option[1] = 1;
        put_be32(option + 4, router->mtu);
    }
    for (unsigned i = 0; i < router->n_prefixes && i < ND_PREFIXES_MAX; i++) {
        put_prefix(&message, &router->prefixes[i]);
    }
    send(neighbours, link, &message, group_mac(&all_nodes));
}

void
nd_advance(struct neighbours *neighbours, struct neighbour_link *link, uint64_t now_ms)
{
    struct nd_router *router = link->router;

    if (!router) {
        return;
    }
    if (!router->due_ms) {
        router->due_ms = now_ms + neighbour_random(neighbours, MAX_DELAY_MS);
    }
    if (now_ms < router->due_ms) {
        return;
    }
    uint32_t spread = router->max_interval_ms - router->min_interval_ms + 1;
    uint32_t interval = router->min_interval_ms + neighbour_random(neighbours, spread);

    advertise_router(neighbours, link, router->lifetime_s);
    router->n_sent += router->n_sent < MAX_INITIAL;
    if (router->n_sent < MAX_INITIAL && interval > MAX_INITIAL_INTERVAL_MS) {
        interval = MAX_INITIAL_INTERVAL_MS;
    }
    router->sent_ms = now_ms;
    router->due_ms = now_ms + interval;
}

void
nd_retire(struct neighbours *neighbours, struct neighbour_link *link)
{
    advertise_router(neighbours, link, 0);
}

/* --- Messages that come ------------------------------------------------------------------------- */

/* A message whose checks have been passed. */
struct received {
    const uint8_t *icmp;
    struct ip_address from, to;
    struct ip_address target;           /* Of neighbour messages. */
    uint64_t frame_from;
    uint64_t source_mac, target_mac;    /* By options; 0: not there. */
};

bool
nd_is_message(const uint8_t *frame, size_t len)
{
    const uint8_t *ip = frame + ETH_SIZE;

    return len > ETH_SIZE + IPV6_SIZE && get_be16(frame + ETH_TYPE_AT) == ETH_TYPE_IPV6
           && ip[0] >> 4 == 6 && ip[6] == IP_PROTO_ICMPV6 && ip[IPV6_SIZE] >= ND_ROUTER_SOLICITATION
           && ip[IPV6_SIZE] <= ND_REDIRECT;
}

/* Reads the options; false if one has no length, or more than there is. */
static bool
read_options(const uint8_t *at, size_t n, struct received *received)
{
    for (size_t size; n; at += size, n -= size) {
        size = n < 2 ? 0 : at[1] * (size_t)OPTION_UNIT;
        if (!size || size > n) {
            return false;
        }
        uint64_t mac = size == OPTION_UNIT ? get_be48(at + 2) : 0;

        if (at[0] == SOURCE_LINK_ADDRESS && !mac_is_group(mac)) {
            received->source_mac = mac;
        } else if (at[0] == TARGET_LINK_ADDRESS && !mac_is_group(mac)) {
            received->target_mac = mac;
        }
    }
    return true;
}

static bool
solicitation_is_valid(const struct received *received)
{
    struct ip_address group = solicited_group(&received->target);

    return !is_multicast(&received->target)
           && (!is_unspecified(&received->from)
               || (ip_equal(&received->to, &group) && !received->source_mac));
}

static bool
advertisement_is_valid(const struct received *received)
{
    return !is_multicast(&received->target)
           && !(is_multicast(&received->to) && received->icmp[4] & FLAG_SOLICITED);
}

static bool
router_solicitation_is_valid(const struct received *received)
{
    return !is_unspecified(&received->from) || !received->source_mac;
}

static bool
router_advertisement_is_valid(const struct received *received)
{
    return is_link_local(&received->from);
}

static enum neighbour_role
role_of(struct neighbours *neighbours, struct neighbour_link *link, const struct ip_address *address)
{
    return neighbours->owner->answers_for(neighbours->context, link, IP_V6, address);
}

/* Learns from the sender. */
static void
hear(struct neighbours *neighbours, struct neighbour_link *link, const struct received *received,
     uint64_t now_ms)
{
    if (!received->source_mac || is_unspecified(&received->from)) {
        return;
    }
    if (role_of(neighbours, link, &received->from) == NEIGHBOUR_OWN) {
        neighbour_conflict(neighbours, link, IP_V6, &received->from, received->source_mac);
    } else {
        neighbour_heard(neighbours, link, IP_V6, &received->from, received->source_mac, now_ms);
    }
}

/* RFC 4861, 7.2.3 and 7.2.4.  Who asks from nowhere wants an address for himself (RFC 4862, 5.4.3), and is
 * told by all that it is taken; but not for others: their host may be the one that asks. */
static void
solicitation(struct neighbours *neighbours, struct neighbour_link *link,
             const struct received *received, uint64_t now_ms)
{
    enum neighbour_role role = role_of(neighbours, link, &received->target);
    uint64_t mac = received->source_mac ? received->source_mac : received->frame_from;

    if (role == NEIGHBOUR_NONE) {
        return;
    }
    if (role == NEIGHBOUR_TENTATIVE) {
        if (is_unspecified(&received->from)) {  /* Somebody else wants it too: nobody gets it. */
            neighbour_conflict(neighbours, link, IP_V6, &received->target, mac);
        }
        return;
    }
    if (!is_unspecified(&received->from)) {
        hear(neighbours, link, received, now_ms);
        advertise(neighbours, link, &received->target, &received->target, &received->from, mac,
                  role == NEIGHBOUR_OWN ? FLAG_SOLICITED | FLAG_OVERRIDE : FLAG_SOLICITED);
    } else if (role == NEIGHBOUR_OWN) {
        nd_announce(neighbours, link, &received->target);
    }
}

static void
advertisement(struct neighbours *neighbours, struct neighbour_link *link,
              const struct received *received, uint64_t now_ms)
{
    enum neighbour_role role = role_of(neighbours, link, &received->target);
    uint8_t flags = received->icmp[4];

    if (role == NEIGHBOUR_OWN || role == NEIGHBOUR_TENTATIVE) {
        neighbour_conflict(neighbours, link, IP_V6, &received->target,
                           received->target_mac ? received->target_mac : received->frame_from);
        return;
    }
    neighbour_answered(neighbours, link, IP_V6, &received->target, received->target_mac,
                       (flags & FLAG_SOLICITED ? NEIGHBOUR_SOLICITED : 0)
                       | (flags & FLAG_OVERRIDE ? NEIGHBOUR_OVERRIDE : 0), now_ms);
}

/* The answer is to all, soon, but not too often (RFC 4861, 6.2.6). */
static void
router_solicitation(struct neighbours *neighbours, struct neighbour_link *link,
                    const struct received *received, uint64_t now_ms)
{
    struct nd_router *router = link->router;

    hear(neighbours, link, received, now_ms);
    if (router) {
        uint64_t due_ms = now_ms + neighbour_random(neighbours, MAX_DELAY_MS);
        uint64_t earliest_ms = router->sent_ms ? router->sent_ms + MIN_DELAY_MS : 0;

        due_ms = due_ms > earliest_ms ? due_ms : earliest_ms;
        router->due_ms = router->due_ms && router->due_ms < due_ms ? router->due_ms : due_ms;
    }
}

/* RFC 4861, 6.1, 7.1 and 8.1; a router does not follow redirects, which have no handler here. */
static const struct {
    uint8_t size;
    bool has_target;
    bool (*is_valid)(const struct received *);
    void (*handle)(struct neighbours *, struct neighbour_link *, const struct received *, uint64_t);
} types[] = {
    [ND_ROUTER_SOLICITATION - ND_ROUTER_SOLICITATION] = {
        8, false, router_solicitation_is_valid, router_solicitation },
    [ND_ROUTER_ADVERTISEMENT - ND_ROUTER_SOLICITATION] = {
        16, false, router_advertisement_is_valid, hear },
    [ND_SOLICITATION - ND_ROUTER_SOLICITATION] = {
        ND_SIZE, true, solicitation_is_valid, solicitation },
    [ND_ADVERTISEMENT - ND_ROUTER_SOLICITATION] = {
        ND_SIZE, true, advertisement_is_valid, advertisement },
    [ND_REDIRECT - ND_ROUTER_SOLICITATION] = { .size = 0 },
};

/* What all messages must be like, and where they are: 'n' bytes from received->icmp on. */
static bool
read_message(const uint8_t *frame, size_t len, struct received *received, size_t *n)
{
    const uint8_t *ip = frame + ETH_SIZE, *icmp = ip + IPV6_SIZE;

    *n = get_be16(ip + 4);
    if (*n < 8 || *n > len - ETH_SIZE - IPV6_SIZE || ip[7] != HOP_LIMIT || icmp[1]
        || csum_fold(csum_add(csum_add_pseudo(0, ip, IP_PROTO_ICMPV6, (uint32_t)*n), icmp, *n))) {
        return false;
    }
    *received = (struct received) {
        .icmp = icmp, .frame_from = get_be48(frame + 6),
        .from = ip_read(IP_V6, ip + 8), .to = ip_read(IP_V6, ip + 24),
    };
    return !is_multicast(&received->from);
}

void
nd_receive(struct neighbours *neighbours, struct neighbour_link *link, const uint8_t *frame,
           size_t len, uint64_t now_ms)
{
    struct received received;
    size_t n;

    if (!nd_is_message(frame, len) || !read_message(frame, len, &received, &n)) {
        neighbours->counters.ignored++;
        return;
    }
    unsigned type = received.icmp[0] - ND_ROUTER_SOLICITATION;

    if (!types[type].size || received.frame_from == link->mac) {
        return;
    }
    if (n < types[type].size
        || !read_options(received.icmp + types[type].size, n - types[type].size, &received)) {
        neighbours->counters.ignored++;
        return;
    }
    if (types[type].has_target) {
        received.target = ip_read(IP_V6, received.icmp + 8);
    }
    if (!types[type].is_valid(&received)) {
        neighbours->counters.ignored++;
        return;
    }
    types[type].handle(neighbours, link, &received, now_ms);
}
