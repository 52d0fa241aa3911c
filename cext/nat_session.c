/* NAT: mappings and sessions.  See nat_private.h.
 *
 * A session holds a reference of its mapping, and where that is configured it counts for its source, and
 * permits its remote address to come in.  What it holds, its value says. */

#include "hash.h"
#include "nat_private.h"

/* In the value of a session, below the endpoint outside. */
enum {
    IN_SYN = 1, OUT_SYN = 2,    /* A SYN from inside, from outside; */
    IN_FIN = 4, OUT_FIN = 8,    /* a FIN; */
    RESET = 16,                 /* a RST behind which nothing has come; */
    PICKED_UP = 32,             /* not begun with a SYN: any packet counts as one. */
    COUNTED = 0x100,            /* It counts for its source, */
    PERMITS = 0x200,            /* and among the permits. */
    STATE = 0xff,
};

_Static_assert(NAT_WATCHED == (RESET | PICKED_UP), "whose packets are looked at");

#define OUTSIDE (~UINT64_C(0xffff))

/* --- Timers ------------------------------------------------------------------------------------------- */

/* The state of TCP behind a packet (RFC 5382, section 5; RFC 6146, section 3.5.2). */
static uint8_t
tcp_next(uint8_t state, uint8_t flags, bool from_inside)
{
    const uint8_t closed = IN_FIN | OUT_FIN, syn = from_inside ? IN_SYN : OUT_SYN;

    if (flags & TCP_RST) {
        return state | RESET;
    }
    state &= (uint8_t)~RESET;
    if ((flags & (TCP_SYN | TCP_ACK)) == TCP_SYN && (state & closed) == closed) {
        state = 0;                      /* The same ports again. */
    }
    if (flags & TCP_SYN || state & PICKED_UP) {
        state |= syn;
    }
    return flags & TCP_FIN ? state | (from_inside ? IN_FIN : OUT_FIN) : state;
}

static enum nat_timer
timer_of(uint8_t proto, uint64_t value)
{
    const uint8_t closed = IN_FIN | OUT_FIN, opened = IN_SYN | OUT_SYN;

    if (proto != IP_PROTO_TCP) {
        return proto == IP_PROTO_ICMPV4 ? NAT_TIMER_icmp : NAT_TIMER_udp;
    }
    if (value & RESET || (value & closed) == closed) {
        return NAT_TIMER_tcp_closed;
    }
    return (value & opened) == opened ? NAT_TIMER_tcp_established : NAT_TIMER_tcp_transitory;
}

void
nat_session_tcp(struct nat *nat, const uint64_t key[2], uint64_t value, uint8_t tcp_flags,
                bool from_inside, uint64_t now_ms)
{
    uint64_t next = (value & ~(uint64_t)STATE) | tcp_next((uint8_t)value, tcp_flags, from_inside);

    /* If another worker changes it at the same time, one of two packets has not been seen. */
    if (next != value) {
        kv_swap(&nat->sessions, key, &value, &next, timer_of(IP_PROTO_TCP, next), now_ms);
    }
}

/* --- Counts in values ---------------------------------------------------------------- */

bool
nat_count_down(struct kv *kv, unsigned counter, const uint64_t *key, uint64_t now_ms,
               uint64_t value[2])
{
    uint64_t next[2];

    while (kv_get(kv, key, now_ms, value)) {
        memcpy(next, value, sizeof next);
        next[counter]--;
        if (next[counter]) {
            if (kv_swap(kv, key, value, next, 0, now_ms)) {
                return false;
            }
        } else if (kv_remove_if(kv, key, value, now_ms)) {
            return true;
        }
    }
    return false;
}

/* --- Sources ------------------------------------------------------------------------------------------------ */

/* A number that a source always has, and that nobody can foresee. */
static uint64_t
place_of(const struct nat *nat, const struct ip_address *source)
{
    return hash_word(hash_word(nat->secret, source->word[0]), source->word[1]);
}

/* The row to begin with: always the same one [RFC 4787, REQ-2]. */
static uint32_t
first_row(const struct nat_setup *setup, uint64_t place)
{
    return (uint32_t)(((unsigned __int128)place * setup->n_rows) >> 64);
}

/* The place of a host inside. */
static uint64_t
place_of_host(const struct nat *nat, uint64_t inside)
{
    const struct ip_address host = nat_address_of(nat, inside);

    return place_of(nat, &host);
}

enum { TRIED_ROWS = 8 };        /* Addresses that are looked at for a port. */

static bool
choose_block(struct nat *nat, const struct nat_setup *setup, const struct ip_address *source, uint64_t *block)
{
    uint64_t place = place_of(nat, source);
    uint32_t first = first_row(setup, place);

    for (uint32_t i = 0; i < TRIED_ROWS && i < setup->n_rows; i++) {
        const struct nat_row *row = &setup->rows[(first + i) % setup->n_rows];
        uint16_t port;

        if (nat_block_choose(row->ports, row->first_port, row->last_port, setup->block, place, &port)) {
            *block = endpoint(row->ports->address, port, 1);
            return true;
        }
    }
    return false;
}

static void
give_block(const struct nat_setup *setup, uint64_t block)
{
    const struct nat_row *row = block ? row_of(setup, address_of(block)) : NULL;

    if (row && setup->block) {
        nat_block_give(row->ports, setup->block, port_of(block));
    }
}

/* Counts a session for its source, which gets a block with its first one. */
static enum drop_reason
take_source(struct nat *nat, const struct nat_setup *setup, const struct ip_address *source, uint64_t now_ms,
            uint64_t *block)
{
    uint64_t old[2], new[2];

    for (;;) {
        if (kv_get(&nat->sources, source->word, now_ms, old)) {
            if (setup->max_per_source && old[0] >= setup->max_per_source) {
                return DROP_nat_limit;
            }
            new[0] = old[0] + 1;
            *block = new[1] = old[1];
            if (kv_swap(&nat->sources, source->word, old, new, 0, now_ms)) {
                return NO_DROP;
            }
            continue;
        }
        *block = 0;
        if (setup->block && !choose_block(nat, setup, source, block)) {
            return DROP_nat_ports;
        }
        new[0] = 1;
        new[1] = *block;
        enum kv_result result = kv_insert(&nat->sources, source->word, new, 0, now_ms);
        if (result == KV_NEW) {
            return NO_DROP;
        }
        give_block(setup, *block);
        if (result == KV_FULL) {
            return DROP_nat_full;
        }
    }
}

static void
give_source(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t now_ms)
{
    const struct ip_address source = nat_source_of(nat, inside);
    uint64_t value[2];

    if (nat_count_down(&nat->sources, 0, source.word, now_ms, value)) {
        give_block(setup, value[1]);
    }
}

/* --- Mappings ------------------------------------------------------------------------------------------------- */

static void
log_mapping(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t outside,
            bool created, uint64_t now_ms)
{
    if (!setup->logs) {
        return;
    }
    nat_log_put(&nat->log, &(const struct nat_event) {
        .at_ms = now_ms, .created = created, .proto = (uint8_t)inside,
        .inside_v6 = inside & NAT_V6, .inside = nat_address_of(nat, inside), .inside_port = port_of(inside),
        .outside = address_of(outside), .outside_port = port_of(outside),
    });
}

/* From which port on one is looked for (RFC 6056). */
static uint64_t
random_of(const struct nat *nat, uint64_t inside, uint64_t now_ms)
{
    return hash_word(hash_word(nat->secret, inside), now_ms);
}

void
nat_session_prefetch(const struct nat *nat, const struct nat_setup *setup, const uint64_t key[2],
                     uint64_t now_ms)
{
    kv_prefetch(&nat->mappings, key);
    if (setup->n_rows && !setup->block && (uint8_t)key[0] != IP_PROTO_ICMPV4) {
        const struct nat_row *row = &setup->rows[first_row(setup, place_of_host(nat, key[0]))];

        nat_port_prefetch(row->ports, row->first_port, row->last_port, key[0],
                          random_of(nat, key[0], now_ms));
    }
}

/* Takes a port outside for an endpoint inside. */
static bool
choose_port(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t block,
            uint64_t now_ms, uint64_t *outside)
{
    uint64_t random = random_of(nat, inside, now_ms);
    uint32_t first = first_row(setup, place_of_host(nat, inside));
    uint16_t port;

    if (block) {
        const struct nat_row *row = row_of(setup, address_of(block));
        uint16_t last = (uint16_t)(port_of(block) + setup->block - 1);

        *outside = block;
        if (!row || !setup->block
            || !nat_port_choose(row->ports, port_of(block), last, inside, random, &port)) {
            return false;
        }
        *outside = endpoint(row->ports->address, port, 0);
        return true;
    }
    bool icmp = (uint8_t)inside == IP_PROTO_ICMPV4;     /* Ids are no ports: any will do. */

    for (uint32_t i = 0; i < TRIED_ROWS && i < setup->n_rows; i++) {
        const struct nat_row *row = &setup->rows[(first + i) % setup->n_rows];

        if (nat_port_choose(row->ports, icmp ? 0 : row->first_port,
                            icmp ? UINT16_MAX : row->last_port, inside, random, &port)) {
            *outside = endpoint(row->ports->address, port, 0);
            return true;
        }
    }
    return false;
}

static void
give_port(const struct nat_setup *setup, uint8_t proto, uint64_t outside)
{
    const struct nat_row *row = row_of(setup, address_of(outside));

    if (row && !(*behind(row->ports, proto, port_of(outside)) & NAT_STATIC)) {
        nat_port_give(row->ports, proto, port_of(outside));
    }
}

/* One more reference of a mapping that is there; false: it is not. */
static bool
join_mapping(struct nat *nat, uint64_t inside, uint64_t now_ms, uint64_t *outside)
{
    uint64_t old[2], new[2];

    while (kv_get(&nat->mappings, &inside, now_ms, old)) {
        *outside = new[0] = old[0];
        new[1] = old[1] + 1;
        if (kv_swap(&nat->mappings, &inside, old, new, 0, now_ms)) {
            return true;
        }
    }
    return false;
}

/* A reference of the mapping of an endpoint inside, which is made if it is not there. */
static enum drop_reason
take_mapping(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t block,
             uint64_t now_ms, uint64_t *outside)
{
    while (!join_mapping(nat, inside, now_ms, outside)) {
        if (!choose_port(nat, setup, inside, block, now_ms, outside)) {
            return DROP_nat_ports;
        }

        uint64_t value[2] = { *outside, 1 };
        enum kv_result result = kv_insert(&nat->mappings, &inside, value, 0, now_ms);

        if (result == KV_NEW) {
            log_mapping(nat, setup, inside, *outside, true, now_ms);
            return NO_DROP;
        }
        give_port(setup, (uint8_t)inside, *outside);    /* Another worker was quicker. */
        if (result == KV_FULL) {
            return DROP_nat_full;
        }
    }
    return NO_DROP;
}

static void
give_mapping(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t now_ms)
{
    uint64_t value[2];

    if (nat_count_down(&nat->mappings, 1, &inside, now_ms, value)) {
        log_mapping(nat, setup, inside, value[0], false, now_ms);
        give_port(setup, (uint8_t)inside, value[0]);
    }
}

bool
nat_mapping_fix(struct nat *nat, uint64_t inside, uint64_t outside, uint64_t now_ms)
{
    uint64_t value[2] = { outside, 1 }, unused;

    if (kv_insert(&nat->mappings, &inside, value, 0, now_ms) == KV_NEW) {
        log_mapping(nat, setup_of(nat), inside, outside, true, now_ms);
        return true;
    }
    return join_mapping(nat, inside, now_ms, &unused);
}

void
nat_mapping_release(struct nat *nat, uint64_t inside, uint64_t now_ms)
{
    give_mapping(nat, setup_of(nat), inside, now_ms);
}

/* --- Permits ---------------------------------------------------------------------------------------------------- */

static void
permit_key(const uint64_t key[2], uint64_t permit[2])
{
    permit[0] = key[0];
    permit[1] = key[1] >> 32;
}

static bool
give_permit(struct nat *nat, const uint64_t key[2], uint64_t now_ms)
{
    uint64_t permit[2], value[2];

    permit_key(key, permit);
    while (!kv_get(&nat->permits, permit, now_ms, value)) {
        value[0] = 1;
        enum kv_result result = kv_insert(&nat->permits, permit, value, 0, now_ms);
        if (result != KV_SAME) {
            return result == KV_NEW;
        }
    }
    for (;;) {
        uint64_t more = value[0] + 1;
        if (kv_swap(&nat->permits, permit, value, &more, 0, now_ms)) {
            return true;
        }
        if (!kv_get(&nat->permits, permit, now_ms, value)) {
            return give_permit(nat, key, now_ms);
        }
    }
}

static bool
is_permitted(struct nat *nat, const uint64_t key[2], uint64_t now_ms)
{
    uint64_t permit[2], value;

    permit_key(key, permit);
    return kv_get(&nat->permits, permit, now_ms, &value);
}

/* --- Sessions ----------------------------------------------------------------------------------------------------- */

static void
give_room(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t value,
          uint64_t now_ms)
{
    if (value & COUNTED) {
        give_source(nat, setup, inside, now_ms);
    }
    if (inside & NAT_V6) {
        nat64_host_give(&nat->hosts6, address_of(inside), now_ms);
    }
    atomic_fetch_sub_explicit(&nat->n_sessions, 1, memory_order_relaxed);
}

static void
give_all(struct nat *nat, const struct nat_setup *setup, const uint64_t key[2], uint64_t value,
         uint64_t now_ms)
{
    uint64_t permit[2], unused[2];

    if (value & PERMITS) {
        permit_key(key, permit);
        nat_count_down(&nat->permits, 0, permit, now_ms, unused);
    }
    give_mapping(nat, setup, key[0], now_ms);
    give_room(nat, setup, key[0], value, now_ms);
}

/* Puts a session for which everything was taken into the table. */
static enum drop_reason
add_session(struct nat *nat, const struct nat_setup *setup, const uint64_t key[2], uint64_t *value,
            uint8_t state, uint64_t now_ms)
{
    uint64_t own;

    if (setup->filtering == NAT_BY_ADDRESS && give_permit(nat, key, now_ms)) {
        *value |= PERMITS;
    }
    own = *value |= state;

    enum kv_result result = kv_insert(&nat->sessions, key, value, timer_of((uint8_t)key[0], own),
                                      now_ms);

    if (result == KV_NEW) {
        atomic_fetch_add_explicit(&nat->n_created, 1, memory_order_relaxed);
        return NO_DROP;
    }
    if (result == KV_REVIVED) {         /* In place of one that was over, which ends now. */
        atomic_fetch_add_explicit(&nat->n_created, 1, memory_order_relaxed);
        atomic_fetch_add_explicit(&nat->n_ended, 1, memory_order_relaxed);
        give_all(nat, setup, key, *value, now_ms);
        *value = own;
        return NO_DROP;
    }
    give_all(nat, setup, key, own, now_ms);     /* Another worker was quicker, or there is no room. */
    return result == KV_FULL ? DROP_nat_full : NO_DROP;
}

/* Room for a session, and what its source has. */
static enum drop_reason
take_room(struct nat *nat, const struct nat_setup *setup, uint64_t inside, uint64_t now_ms,
          uint64_t *block, uint64_t *value)
{
    enum drop_reason reason = NO_DROP;

    if (inside & NAT_V6 && !nat64_host_hold(&nat->hosts6, address_of(inside), now_ms)) {
        return DROP_nat_no_session;
    }
    if (atomic_fetch_add_explicit(&nat->n_sessions, 1, memory_order_relaxed) >= nat->max_sessions) {
        reason = DROP_nat_full;
    } else if (setup->max_per_source || setup->block) {
        const struct ip_address source = nat_source_of(nat, inside);
        reason = take_source(nat, setup, &source, now_ms, block);
        *value |= reason == NO_DROP ? COUNTED : 0;
    }
    if (reason != NO_DROP) {
        give_room(nat, setup, inside, *value, now_ms);
    }
    return reason;
}

enum drop_reason
nat_session_out(struct nat *nat, const struct nat_setup *setup, const uint64_t key[2],
                uint8_t tcp_flags, uint64_t now_ms, uint64_t *value)
{
    bool tcp = (uint8_t)key[0] == IP_PROTO_TCP, picked_up = tcp && !(tcp_flags & TCP_SYN);
    uint64_t block = 0, outside, held = 0;
    enum drop_reason reason;

    if (picked_up && (setup->strict_tcp || tcp_flags & TCP_RST)) {
        return DROP_nat_no_session;
    }
    reason = take_room(nat, setup, key[0], now_ms, &block, &held);
    if (reason != NO_DROP) {
        return reason;
    }
    reason = take_mapping(nat, setup, key[0], block, now_ms, &outside);
    if (reason != NO_DROP) {
        give_room(nat, setup, key[0], held, now_ms);
        return reason;
    }
    *value = outside | held;
    return add_session(nat, setup, key, value,
                       tcp ? tcp_next(picked_up ? PICKED_UP : 0, tcp_flags, true) : 0, now_ms);
}

enum drop_reason
nat_session_in(struct nat *nat, const struct nat_setup *setup, const uint64_t key[2],
               uint64_t outside, bool is_static, uint8_t tcp_flags, uint64_t now_ms, uint64_t *value)
{
    uint8_t proto = (uint8_t)key[0];
    uint64_t block, mapped, held = 0;
    enum drop_reason reason;

    if (proto == IP_PROTO_ICMPV4 || (proto == IP_PROTO_TCP && !(tcp_flags & TCP_SYN))
        || (!is_static && setup->filtering == NAT_BY_ENDPOINT)
        || (!is_static && setup->filtering == NAT_BY_ADDRESS && !is_permitted(nat, key, now_ms))) {
        return DROP_nat_no_session;
    }
    reason = take_room(nat, setup, key[0], now_ms, &block, &held);
    if (reason != NO_DROP) {
        return reason;
    }
    /* Without a forward it must be the mapping that the port belongs to. */
    if (!join_mapping(nat, key[0], now_ms, &mapped)) {
        give_room(nat, setup, key[0], held, now_ms);
        return DROP_nat_no_session;
    }
    *value = (outside & OUTSIDE) | held;
    if (!is_static && (mapped ^ outside) & OUTSIDE) {
        give_all(nat, setup, key, *value, now_ms);
        return DROP_nat_no_session;
    }
    return add_session(nat, setup, key, value,
                       proto == IP_PROTO_TCP ? tcp_next(0, tcp_flags, false) : 0, now_ms);
}

void
nat_session_ended(struct nat *nat, const uint64_t key[2], uint64_t value, uint64_t now_ms)
{
    give_all(nat, setup_of(nat), key, value, now_ms);
    atomic_fetch_add_explicit(&nat->n_ended, 1, memory_order_relaxed);
}

size_t
nat_session_end_all(struct nat *nat, uint64_t now_ms,
                    bool (*which)(const struct nat_setup *, const uint64_t key[2], uint64_t value,
                                  uint64_t context), uint64_t context)
{
    struct kv_entry entry;
    uint64_t position = 0;
    size_t n = 0;

    while (kv_next(&nat->sessions, &position, now_ms, &entry)) {
        while (which(setup_of(nat), entry.key, entry.value[0], context)) {
            if (kv_remove_if(&nat->sessions, entry.key, entry.value, now_ms)) {
                nat_session_ended(nat, entry.key, entry.value[0], now_ms);
                n++;
                break;
            }
            if (!kv_get(&nat->sessions, entry.key, now_ms, entry.value)) {
                break;
            }
        }
    }
    return n;
}

/* --- For the control thread ------------------------------------------------------------------------------------------ */

struct ending {
    struct nat *nat;
    uint64_t now_ms;
};

static void
expired(const struct kv_entry *entry, void *ending_)
{
    const struct ending *ending = ending_;

    nat_session_ended(ending->nat, entry->key, entry->value[0], ending->now_ms);
}

size_t
nat_tick(struct nat *nat, uint64_t now_ms, size_t limit)
{
    struct ending ending = { nat, now_ms };

    kv_expire(&nat->fragments, now_ms, limit, NULL, NULL);
    return kv_expire(&nat->sessions, now_ms, limit, expired, &ending);
}

static bool
is_from(const struct nat_setup *setup, const uint64_t key[2], uint64_t value, uint64_t source)
{
    (void)setup;
    (void)value;
    return !source || source_of_endpoint(key[0]) == source;
}

size_t
nat_flush(struct nat *nat, const struct ip_prefix *inside, uint64_t now_ms)
{
    uint64_t source = inside ? inside->address.word[1] : 0;
    uint32_t number;

    if (inside && inside->family == IP_V6) {
        if (!nat64_host_find(&nat->hosts6, &inside->address, now_ms, &number)) {
            return 0;
        }
        source = source_of_endpoint(endpoint6(number, 0, 0));
    }
    return nat_session_end_all(nat, now_ms, is_from, source);
}

bool
nat_end(struct nat *nat, const struct nat_session *session, uint64_t now_ms)
{
    uint32_t number = (uint32_t)session->inside.word[1];
    uint64_t value;

    if (session->inside_v6 && !nat64_host_find(&nat->hosts6, &session->inside, now_ms, &number)) {
        return false;
    }
    uint64_t inside = endpoint(number, session->inside_port, session->proto);
    const uint64_t key[2] = {
        inside | (session->inside_v6 ? NAT_V6 : 0), endpoint(session->remote, session->remote_port, 0),
    };
    while (kv_get(&nat->sessions, key, now_ms, &value)) {
        if (kv_remove_if(&nat->sessions, key, &value, now_ms)) {
            nat_session_ended(nat, key, value, now_ms);
            return true;
        }
    }
    return false;
}

bool
nat_next(const struct nat *nat, uint64_t *position, uint64_t now_ms, struct nat_session *session)
{
    struct kv_entry entry;

    if (!kv_next(&nat->sessions, position, now_ms, &entry)) {
        return false;
    }
    *session = (struct nat_session) {
        .inside_v6 = entry.key[0] & NAT_V6, .inside = nat_address_of(nat, entry.key[0]),
        .inside_port = port_of(entry.key[0]),
        .remote = address_of(entry.key[1]), .remote_port = port_of(entry.key[1]),
        .outside = address_of(entry.value[0]), .outside_port = port_of(entry.value[0]),
        .proto = (uint8_t)entry.key[0], .timer = (uint8_t)entry.life,
        .idle_ms = now_ms > entry.used_ms ? now_ms - entry.used_ms : 0,
    };
    return true;
}
