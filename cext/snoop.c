/* Snoop: see snoop.h. */

#include "snoop.h"

#include <stdlib.h>
#include <string.h>

#include "hash.h"
#include "headers.h"
#include "membership_wire.h"

enum { QUERY_VERSION = 3 };

/* --- Where entries are -------------------------------------------------------------------- */

uint32_t
snoop_hash(const struct snoop_group *group)
{
    uint64_t hash = hash_word(0, (uint64_t)group->vlan << 8 | group->family);

    hash = hash_word(hash, group->address.word[0]);
    hash = hash_word(hash, group->address.word[1]);
    return hash_finish(hash);
}

static unsigned
chain_of(const struct snoop_group *group)
{
    return snoop_hash(group) % SNOOP_CHAINS;
}

static struct snoop_entry *
find(const struct snoop *snoop, const struct snoop_group *group)
{
    struct snoop_entry *entry = snoop->chains[chain_of(group)];

    while (entry && !snoop_equal(&entry->group, group)) {
        entry = entry->next;
    }
    return entry;
}

const struct snoop_entry *
snoop_find(const struct snoop *snoop, const struct snoop_group *group)
{
    return find(snoop, group);
}

void
snoop_each(const struct snoop *snoop, void (*visit)(const struct snoop_entry *, void *),
           void *context)
{
    for (unsigned i = 0; i < SNOOP_CHAINS; i++) {
        for (const struct snoop_entry *e = snoop->chains[i]; e; e = e->next) {
            visit(e, context);
        }
    }
}

void
snoop_open(struct snoop *snoop, uint32_t max_groups)
{
    *snoop = (struct snoop) {
        .max = max_groups, .due_ms = UINT64_MAX, .startup = SNOOP_ROBUSTNESS,
    };
}

static void
free_entry(struct snoop_entry *entry)
{
    free(entry->ports);
    free(entry);
}

void
snoop_close(struct snoop *snoop)
{
    for (unsigned i = 0; i < SNOOP_CHAINS; i++) {
        while (snoop->chains[i]) {
            struct snoop_entry *entry = snoop->chains[i];
            snoop->chains[i] = entry->next;
            free_entry(entry);
        }
    }
    snoop->n = 0;
}

static struct snoop_entry *
find_or_add(struct snoop *snoop, const struct snoop_group *group)
{
    struct snoop_entry *entry = find(snoop, group);

    if (entry || snoop->n == snoop->max || !(entry = calloc(1, sizeof *entry))) {
        return entry;
    }
    entry->group = *group;
    entry->next = snoop->chains[chain_of(group)];
    snoop->chains[chain_of(group)] = entry;
    snoop->n++;
    return entry;
}

/* --- Ports on entries --------------------------------------------------------------------- */

static struct snoop_port *
find_port(const struct snoop_entry *entry, uint32_t number)
{
    for (uint32_t i = 0; i < entry->n; i++) {
        if (entry->ports[i].port == number) {
            return &entry->ports[i];
        }
    }
    return NULL;
}

static bool
add_port(struct snoop_entry *entry, uint32_t number, uint64_t until_ms)
{
    if (entry->n == entry->max) {
        uint32_t max = entry->max ? entry->max * 2 : 4;
        struct snoop_port *ports = realloc(entry->ports, max * sizeof *ports);

        if (!ports) {
            return false;
        }
        entry->ports = ports;
        entry->max = max;
    }
    entry->ports[entry->n++] = (struct snoop_port) { number, until_ms };
    return true;
}

static void
watch(struct snoop *snoop, uint64_t until_ms)
{
    snoop->due_ms = until_ms < snoop->due_ms ? until_ms : snoop->due_ms;
}

/* Takes out the ports for which 'goes' holds, and the entry that has none left. */
static void
sift(struct snoop *snoop, bool (*goes)(const struct snoop_port *, uint64_t),
     uint64_t what)
{
    snoop->due_ms = UINT64_MAX;
    for (unsigned i = 0; i < SNOOP_CHAINS; i++) {
        struct snoop_entry **link = &snoop->chains[i];
        while (*link) {
            struct snoop_entry *entry = *link;
            uint32_t kept = 0;
            for (uint32_t j = 0; j < entry->n; j++) {
                if (!goes(&entry->ports[j], what)) {
                    watch(snoop, entry->ports[j].until_ms);
                    entry->ports[kept++] = entry->ports[j];
                }
            }
            snoop->changes += kept != entry->n;
            entry->n = kept;
            if (kept) {
                link = &entry->next;
            } else {
                *link = entry->next;
                snoop->n--;
                free_entry(entry);
            }
        }
    }
}

static bool
is_over(const struct snoop_port *port, uint64_t now_ms)
{
    return port->until_ms <= now_ms;
}

static bool
is_port(const struct snoop_port *port, uint64_t number)
{
    return port->port == number;
}

void
snoop_advance(struct snoop *snoop, uint64_t now_ms)
{
    if (snoop->due_ms <= now_ms) {
        sift(snoop, is_over, now_ms);
    }
}

void
snoop_forget(struct snoop *snoop, uint32_t port)
{
    sift(snoop, is_port, port);
}

/* Puts a port on an entry until a time, or makes that later. */
static void
extend(struct snoop *snoop, const struct snoop_group *group, uint32_t number,
       uint64_t until_ms)
{
    struct snoop_entry *entry = find_or_add(snoop, group);
    struct snoop_port *port = entry ? find_port(entry, number) : NULL;

    if (port) {
        port->until_ms = port->until_ms > until_ms ? port->until_ms : until_ms;
    } else if (entry && add_port(entry, number, until_ms)) {
        snoop->changes++;
    } else {
        snoop->refused++;
    }
    watch(snoop, until_ms);
}

/* Lets the time of a port on an entry (0: of all) end sooner, if it is not for good. */
static void
shorten(struct snoop *snoop, const struct snoop_group *group, uint32_t number,
        uint64_t until_ms)
{
    struct snoop_entry *entry = find(snoop, group);

    for (uint32_t i = 0; entry && i < entry->n; i++) {
        struct snoop_port *port = &entry->ports[i];
        if ((!number || port->port == number) && port->until_ms > until_ms) {
            port->until_ms = until_ms;
            watch(snoop, until_ms);
        }
    }
}

void
snoop_set_router(struct snoop *snoop, uint16_t vlan, uint32_t port, uint64_t until_ms)
{
    const struct snoop_group routers = { .vlan = vlan };

    if (until_ms) {
        extend(snoop, &routers, port, until_ms);
    } else {
        shorten(snoop, &routers, port, 0);
    }
}

/* --- Messages ----------------------------------------------------------------------------- */

/* What protocol an IP packet has behind its header; MLD comes behind options (RFC 3810, section 5). */
static int
protocol_of(const uint8_t *packet, size_t len)
{
    if (len >= IPV6_SIZE && packet[0] >> 4 == IP_V6) {
        return packet[6];
    }
    return len >= IPV4_SIZE && packet[0] >> 4 == IP_V4 ? packet[9] : -1;
}

/* Reads it if it is one of hosts' and routers' about groups. */
static enum snoop_kind
read_message(const uint8_t *packet, size_t len, struct membership_message *message)
{
    switch (protocol_of(packet, len)) {
    case IP_PROTO_PIM:
        return SNOOP_ROUTER;
    case IP_PROTO_IGMP:
    case IP_PROTO_HOP:
        if (membership_parse(packet, len, message)) {
            return message->is_query ? SNOOP_QUERY : SNOOP_REPORT;
        }
        return SNOOP_DATA;
    default:
        return SNOOP_DATA;
    }
}

enum snoop_kind
snoop_kind(const uint8_t *packet, size_t len)
{
    struct membership_message message;

    return read_message(packet, len, &message);
}

static bool
is_group(uint8_t family, const struct ip_address *address)
{
    return family == IP_V4 ? address->word[1] >> 28 == 0xe : address->word[0] >> 56 == 0xff;
}

bool
snoop_is_for_all(uint8_t family, const struct ip_address *address)
{
    if (!is_group(family, address)) {
        return true;            /* A broadcast. */
    }
    if (family == IP_V4) {
        return address->word[1] >> 8 == 0xe00000;
    }
    unsigned scope = address->word[0] >> 48;

    return scope == 0xff00 || scope == 0xff01
           || (scope == 0xff02 && !(address->word[0] & 0xffffffffffff) && address->word[1] == 1);
}

/* Where the message came by. */
struct origin {
    uint16_t vlan;
    uint32_t port;
    bool leaves_at_once;
    uint64_t now_ms;
};

/* Somebody has left; whether others are there still, the querier asks, and then its query is heard. */
static void
leave(struct snoop *snoop, const struct origin *from, const struct snoop_group *group)
{
    if (from->leaves_at_once) {
        shorten(snoop, group, from->port, from->now_ms);
    } else if (snoop->querier && snoop->n_left < SNOOP_LEFT) {
        snoop->left[snoop->n_left++] = *group;
        shorten(snoop, group, from->port, from->now_ms + SNOOP_ROBUSTNESS * SNOOP_LEAVE_MS);
    }
}

/* To want no sources is to leave, if it is said to be a change; to block some says nothing. */
static void
take_record(struct snoop *snoop, const struct origin *from, uint8_t family,
            const struct membership_record *record)
{
    const struct snoop_group group = { record->group, from->vlan, family };
    bool includes = record->change == MEMBERSHIP_IS_INCLUDE || record->change == MEMBERSHIP_TO_INCLUDE;

    if (snoop_is_for_all(family, &group.address) || record->change == MEMBERSHIP_BLOCK) {
        return;
    }
    if (record->n_sources || !includes) {
        extend(snoop, &group, from->port, from->now_ms + SNOOP_MS);
    } else if (record->change == MEMBERSHIP_TO_INCLUDE) {
        leave(snoop, from, &group);
    }
}

static void
take_report(struct snoop *snoop, const struct origin *from, struct membership_message *message)
{
    struct membership_record record;

    while (membership_next(message, &record)) {
        take_record(snoop, from, message->family, &record);
    }
}

/* A querier without an address asks for others: there is no router (RFC 4541, section 2.1.1). */
static void
take_query(struct snoop *snoop, const struct origin *from, const struct membership_message *message)
{
    const struct snoop_group group = { message->group, from->vlan, message->family };

    if (message->from.word[0] | message->from.word[1]) {
        snoop_set_router(snoop, from->vlan, from->port, from->now_ms + SNOOP_ROUTER_MS);
        snoop->others_ms[message->family == IP_V6] = from->now_ms + SNOOP_ROUTER_MS;
    }
    if (is_group(message->family, &group.address) && !message->is_suppressed) {
        shorten(snoop, &group, 0, from->now_ms + SNOOP_ROBUSTNESS * message->response_ms);
    }
}

void
snoop_hear(struct snoop *snoop, uint16_t vlan, uint32_t port, bool leaves_at_once,
           const uint8_t *packet, size_t len, uint64_t now_ms)
{
    const struct origin from = { vlan, port, leaves_at_once, now_ms };
    struct membership_message message;

    switch (read_message(packet, len, &message)) {
    case SNOOP_ROUTER:
        snoop_set_router(snoop, vlan, port, now_ms + SNOOP_ROUTER_MS);
        break;
    case SNOOP_QUERY:
        take_query(snoop, &from, &message);
        break;
    case SNOOP_REPORT:
        take_report(snoop, &from, &message);
        break;
    case SNOOP_DATA:
        snoop->malformed++;
    }
    snoop_advance(snoop, now_ms);
}

/* --- Asking ------------------------------------------------------------------------------- */

bool
snoop_asks(struct snoop *snoop, uint64_t now_ms)
{
    if (!snoop->querier || now_ms < snoop->query_ms) {
        return false;
    }
    uint64_t pause = snoop->startup ? SNOOP_QUERY_MS / 4 : SNOOP_QUERY_MS;

    snoop->startup -= snoop->startup > 0;
    snoop->query_ms = now_ms + pause;
    return true;
}

/* The link-local address that a MAC address gives (RFC 4291, appendix A). */
static struct ip_address
link_local(uint64_t mac)
{
    return (struct ip_address) { {
        UINT64_C(0xfe80) << 48,
        ((mac >> 24) ^ 0x020000) << 40 | UINT64_C(0xfffe) << 24 | (mac & 0xffffff),
    } };
}

/* IGMP comes from 0.0.0.0: who has no address and asks for others (RFC 4541, section 2.1.1). */
size_t
snoop_query(const struct snoop *snoop, const struct snoop_group *group, uint64_t mac,
            uint64_t now_ms, uint8_t frame[SNOOP_QUERY_MAX])
{
    bool v6 = group->family == IP_V6, is_general = !(group->address.word[0] | group->address.word[1]);
    const struct membership_query query = {
        .family = group->family, .version = QUERY_VERSION, .group = group->address,
        .from = v6 ? link_local(mac) : ip_from_v4(0),
        .response_ms = is_general ? SNOOP_ANSWER_MS : SNOOP_LEAVE_MS,
        .interval_ms = SNOOP_QUERY_MS, .robustness = SNOOP_ROBUSTNESS,
    };

    if (snoop->others_ms[v6] > now_ms) {
        return 0;
    }
    uint32_t last = is_general ? 1 : (uint32_t)group->address.word[1];
    put_be48(frame, ip_group_mac(group->family, last));
    put_be48(frame + 6, mac);
    put_be16(frame + ETH_TYPE_AT, v6 ? ETH_TYPE_IPV6 : ETH_TYPE_IPV4);
    return ETH_SIZE + membership_build(frame + ETH_SIZE, &query);
}
