/* NAT: making one, and what is configured.  See nat.h.
 *
 * What is configured is replaced as a whole, behind a pointer.  What it needs beside (addresses, static
 * mappings, hosts) is brought into line once no worker uses the old one any more. */

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#include "epoch.h"
#include "nat64_header.h"
#include "nat_private.h"

enum { FORWARDS_MAX = 4096, HOSTS_MAX = 4096, MARGIN_MS = KV_REFRESH_MS };

static const struct {
    uint32_t seconds;
    bool fixed;
} timers[N_NAT_TIMERS] = {
#define X(NAME, SECONDS, FIXED) { SECONDS, FIXED },
    NAT_TIMERS(X)
#undef X
};

/* --- Making one ----------------------------------------------------------------------------------------- */

static int
open_tables(struct nat *nat, uint32_t max_sessions)
{
    const struct kv_config sessions = { .key_words = 2, .value_words = 1, .owned = true,
                                        .max_entries = max_sessions };
    const struct kv_config mappings = { .key_words = 1, .value_words = 2,
                                        .max_entries = max_sessions + FORWARDS_MAX };
    const struct kv_config sources = { .key_words = 2, .value_words = 2,
                                       .max_entries = max_sessions };
    const struct kv_config permits = { .key_words = 2, .value_words = 1,
                                       .max_entries = max_sessions };
    const struct kv_config hosts = { .key_words = 1, .value_words = 1, .max_entries = 2 * HOSTS_MAX };
    const struct kv_config fragments = { .key_words = NAT_FRAGMENT_WORDS, .value_words = 1,
                                         .max_entries = NAT_FRAGMENTS, .ttl_ms = NAT_FRAGMENT_MS };

    return kv_open(&nat->sessions, &sessions) || kv_open(&nat->mappings, &mappings)
           || kv_open(&nat->sources, &sources) || kv_open(&nat->permits, &permits)
           || kv_open(&nat->hosts, &hosts) || kv_open(&nat->fragments, &fragments)
           || nat64_hosts_open(&nat->hosts6, max_sessions + FORWARDS_MAX);
}

struct nat *
nat_open(struct epoch *epoch, uint32_t max_sessions, uint32_t max_events)
{
    struct nat *nat = aligned_alloc(64, (sizeof *nat + 63) & ~(size_t)63);

    if (!nat) {
        return NULL;
    }
    memset(nat, 0, sizeof *nat);
    nat->epoch = epoch;
    nat->max_sessions = max_sessions;
    nat->held = calloc(NAT_HELD, sizeof *nat->held);
    atomic_init(&nat->setup, calloc(1, sizeof(struct nat_setup)));
    if (!nat->held || !setup_of(nat) || open_tables(nat, max_sessions)
        || nat_log_open(&nat->log, max_events)
        || getrandom(&nat->secret, sizeof nat->secret, 0) != sizeof nat->secret) {
        nat_close(nat);
        return NULL;
    }
    for (unsigned i = 0; i < N_NAT_TIMERS; i++) {
        kv_set_ttl(&nat->sessions, i, timers[i].seconds * UINT64_C(1000) + MARGIN_MS,
                   timers[i].fixed);
    }
    return nat;
}

static void
free_setup(struct nat_setup *setup)
{
    if (setup) {
        free(setup->forwards);
        free(setup->hosts);
        free(setup);
    }
}

void
nat_close(struct nat *nat)
{
    struct nat_setup *setup = atomic_load(&nat->setup);

    for (uint32_t i = 0; setup && i < setup->n_rows; i++) {
        nat_address_close(setup->rows[i].ports);
    }
    free_setup(setup);
    kv_close(&nat->sessions);
    kv_close(&nat->mappings);
    kv_close(&nat->sources);
    kv_close(&nat->permits);
    kv_close(&nat->hosts);
    kv_close(&nat->fragments);
    nat64_hosts_close(&nat->hosts6);
    nat_log_close(&nat->log);
    free(nat->held);
    free(nat);
}

void
nat_counts(const struct nat *nat, struct nat_counts *counts)
{
    *counts = (struct nat_counts) {
        .sessions = kv_count(&nat->sessions), .mappings = kv_count(&nat->mappings),
        .sources = kv_count(&nat->sources), .fragments = kv_count(&nat->fragments),
        .held = atomic_load(&nat->n_held), .created = atomic_load(&nat->n_created),
        .ended = atomic_load(&nat->n_ended), .fragments_lost = atomic_load(&nat->n_fragments_lost),
        .events_lost = atomic_load(&nat->log.lost),
    };
}

bool
nat_event(struct nat *nat, struct nat_event *event)
{
    return nat_log_take(&nat->log, event);
}

bool
nat_is_outside(const struct nat *nat, uint32_t address)
{
    const struct nat_setup *setup = setup_of(nat);

    return row_of(setup, address) || host_of(nat, setup, address, NAT_IN);
}

/* --- Checks ----------------------------------------------------------------------------------------------- */

/* An address as people write it. */
struct text {
    char of[INET6_ADDRSTRLEN];
};

static struct text
text_of_ip(uint8_t family, struct ip_address address)
{
    uint8_t bytes[16];
    struct text text;

    ip_write(family, &address, bytes);
    inet_ntop(family == IP_V6 ? AF_INET6 : AF_INET, bytes, text.of, sizeof text.of);
    return text;
}

static struct text
text_of(uint32_t address)
{
    return text_of_ip(IP_V4, ip_from_v4(address));
}

#define WRONG(...) (snprintf(why, size, __VA_ARGS__), EINVAL)

static int
check_pools(const struct nat_config *config, char *why, size_t size)
{
    uint64_t n = 0;

    if (config->n_pools > NAT_POOLS) {
        return WRONG("%u pools: there can be %d", config->n_pools, NAT_POOLS);
    }
    for (unsigned i = 0; i < config->n_pools; i++) {
        const struct nat_pool *a = &config->pools[i];

        if (a->first > a->last || !a->first || a->first_port > a->last_port || !a->first_port) {
            return WRONG("pool %s to %s, ports %u to %u: each goes from a lower to a higher one, and none "
                         "is 0", text_of(a->first).of, text_of(a->last).of, a->first_port,
                         a->last_port);
        }
        n += (uint64_t)a->last - a->first + 1;
        for (unsigned j = 0; j < i; j++) {
            const struct nat_pool *b = &config->pools[j];
            if (a->first <= b->last && b->first <= a->last) {
                return WRONG("pools from %s and from %s share addresses", text_of(b->first).of,
                             text_of(a->first).of);
            }
        }
    }
    return n > NAT_ADDRESSES ? WRONG("%llu addresses in pools: there can be %d",
                                     (unsigned long long)n, NAT_ADDRESSES) : 0;
}

static bool
is_in_pool(const struct nat_config *config, uint32_t address)
{
    for (unsigned i = 0; i < config->n_pools; i++) {
        if (address >= config->pools[i].first && address <= config->pools[i].last) {
            return true;
        }
    }
    return false;
}

/* Whether it is an address that a host can have; one with IPv6 is known outside by the prefix's NAT64. */
static bool
is_host(const struct nat_config *config, const struct nat_forward *f)
{
    if (!f->inside_v6) {
        return f->inside.word[1] && !(f->inside.word[1] >> 32) && !f->inside.word[0];
    }
    return f->proto != IP_PROTO_SCTP && config->nat64.len && !ip_matches(&config->nat64, &f->inside) && f->inside.word[0] >> 56 != 0xff
           && (f->inside.word[0] || f->inside.word[1] > 1);
}

static int
check_forwards(const struct nat_config *config, char *why, size_t size)
{
    if (config->n_forwards > FORWARDS_MAX) {
        return WRONG("%u port forwards: there can be %d", config->n_forwards, FORWARDS_MAX);
    }
    for (unsigned i = 0; i < config->n_forwards; i++) {
        const struct nat_forward *a = &config->forwards[i];

        if (a->proto == IP_PROTO_ICMPV4 || ports_of(a->proto) == NAT_PROTOS || !is_in_pool(config, a->outside) || !a->outside_port
            || !a->inside_port) {
            return WRONG("forward of protocol %u from %s port %u to port %u: it takes TCP (6), UDP (17) or SCTP "
                         "(132), an address of a pool, and neither port 0", a->proto, text_of(a->outside).of,
                         a->outside_port, a->inside_port);
        }
        if (!is_host(config, a)) {
            return WRONG("forward from %s port %u to %s: it takes the address of a host, and one of IPv6 takes a "
                         "prefix for NAT64 that it is not behind, and no SCTP", text_of(a->outside).of, a->outside_port,
                         text_of_ip(a->inside_v6 ? IP_V6 : IP_V4, a->inside).of);
        }
        for (unsigned j = 0; j < i; j++) {
            const struct nat_forward *b = &config->forwards[j];
            if (a->outside == b->outside && a->outside_port == b->outside_port
                && a->proto == b->proto) {
                return WRONG("two forwards from %s port %u", text_of(a->outside).of,
                             a->outside_port);
            }
        }
    }
    return 0;
}

static int
check_hosts(const struct nat_config *config, char *why, size_t size)
{
    if (config->n_hosts > HOSTS_MAX) {
        return WRONG("%u hosts: there can be %d", config->n_hosts, HOSTS_MAX);
    }
    for (unsigned i = 0; i < config->n_hosts; i++) {
        const struct nat_host *a = &config->hosts[i];

        if (!a->outside || !a->inside || is_in_pool(config, a->outside)) {
            return WRONG("host %s outside %s: it takes an address outside that is in no pool",
                         text_of(a->inside).of, text_of(a->outside).of);
        }
        for (unsigned j = 0; j < i; j++) {
            const struct nat_host *b = &config->hosts[j];
            if (a->outside == b->outside || a->inside == b->inside) {
                return WRONG("hosts %s and %s share an address", text_of(b->inside).of,
                             text_of(a->inside).of);
            }
        }
    }
    return 0;
}

int
nat_check(const struct nat_config *config, char *why, size_t size)
{
    uint16_t block = config->block;

    if (config->filtering > NAT_BY_ENDPOINT) {
        return WRONG("filtering %u: it is 0, 1 or 2", config->filtering);
    }
    if (block && (block < NAT_BLOCK || block & (block - 1))) {
        return WRONG("blocks of %u ports: it is a power of two from %d on", block, NAT_BLOCK);
    }
    if (config->nat64.len && !nat64_prefix_is_valid(&config->nat64)) {
        return WRONG("a prefix of %u bits for NAT64: it is IPv6, has 32, 40, 48, 56, 64 or 96 bits, none set behind "
                     "them, and bits 64 to 71 are 0", config->nat64.len);
    }
    int error = check_pools(config, why, size);
    error = error ? error : check_forwards(config, why, size);
    return error ? error : check_hosts(config, why, size);
}

/* --- Another setup ------------------------------------------------------------------------------------------ */

static void *
copy_of(const void *from, size_t n, size_t size)
{
    void *copy = calloc(n + 1, size);

    if (copy && n) {
        memcpy(copy, from, n * size);
    }
    return copy;
}

/* The rows of the pools, with what is there of their addresses; false without memory. */
static bool
fill_rows(struct nat_setup *setup, const struct nat_setup *old)
{
    uint32_t n = 0;

    for (unsigned i = 0; i < setup->n_pools; i++) {
        const struct nat_pool *pool = &setup->pools[i];

        setup->pool_rows[i] = n;
        for (uint32_t j = 0; j <= pool->last - pool->first; j++) {
            const struct nat_row *former = row_of(old, pool->first + j);
            struct nat_address *ports = former ? former->ports
                                               : nat_address_open(pool->first + j);
            if (!ports) {
                return false;
            }
            setup->rows[n++] = (struct nat_row) { ports, pool->first_port, pool->last_port,
                                                  pool->shared };
            setup->n_rows = n;
        }
    }
    return true;
}

/* Closes the addresses of a setup that the other one does not have. */
static void
close_addresses(const struct nat_setup *setup, const struct nat_setup *other)
{
    for (uint32_t i = 0; i < setup->n_rows; i++) {
        if (!row_of(other, setup->rows[i].ports->address)) {
            nat_address_close(setup->rows[i].ports);
        }
    }
}

static struct nat_setup *
new_setup(const struct nat_config *config, const struct nat_setup *old)
{
    size_t n = 0;

    for (unsigned i = 0; i < config->n_pools; i++) {
        n += config->pools[i].last - config->pools[i].first + 1;
    }

    struct nat_setup *setup = calloc(1, sizeof *setup + n * sizeof setup->rows[0]);

    if (!setup) {
        return NULL;
    }
    setup->n_pools = config->n_pools;
    setup->n_forwards = config->n_forwards;
    setup->n_hosts = config->n_hosts;
    setup->max_per_source = config->max_per_source;
    setup->block = config->block;
    setup->filtering = config->filtering;
    setup->strict_tcp = config->strict_tcp;
    setup->logs = config->logs;
    setup->nat64 = config->nat64;
    setup->source_bits = config->source_bits ? config->source_bits : NAT_SOURCE_BITS;
    memcpy(setup->pools, config->pools, config->n_pools * sizeof setup->pools[0]);
    setup->forwards = copy_of(config->forwards, config->n_forwards, sizeof *setup->forwards);
    setup->hosts = copy_of(config->hosts, config->n_hosts, sizeof *setup->hosts);
    if (!setup->forwards || !setup->hosts || !fill_rows(setup, old)) {
        close_addresses(setup, old);
        free_setup(setup);
        return NULL;
    }
    return setup;
}

/* --- What belongs to it --------------------------------------------------------------------------------------- */

static bool
has_forward(const struct nat_setup *setup, const struct nat_forward *wanted)
{
    for (unsigned i = 0; i < setup->n_forwards; i++) {
        const struct nat_forward *f = &setup->forwards[i];

        if (f->outside == wanted->outside && f->outside_port == wanted->outside_port
            && ip_equal(&f->inside, &wanted->inside) && f->inside_v6 == wanted->inside_v6
            && f->inside_port == wanted->inside_port && f->proto == wanted->proto) {
            return true;
        }
    }
    return false;
}

/* The endpoint inside; a host with IPv6 is held (hold_hosts()). */
static uint64_t
inside_of(const struct nat *nat, const struct nat_forward *f, uint64_t now_ms)
{
    uint32_t number;

    if (!f->inside_v6) {
        return endpoint((uint32_t)f->inside.word[1], f->inside_port, f->proto);
    }
    nat64_host_find(&nat->hosts6, &f->inside, now_ms, &number);
    return endpoint6(number, f->inside_port, f->proto);
}

/* Gives back the hosts with IPv6 of the first 'n' forwards that the other setup does not have. */
static void
give_hosts(struct nat *nat, const struct nat_setup *setup, unsigned n, const struct nat_setup *other, uint64_t now_ms)
{
    for (unsigned i = 0; i < n; i++) {
        const struct nat_forward *f = &setup->forwards[i];

        if (f->inside_v6 && !has_forward(other, f)) {
            nat64_host_give(&nat->hosts6, address_of(inside_of(nat, f, now_ms)), now_ms);
        }
    }
}

/* Holds the hosts with IPv6 of forwards that are new; false: there is no room, and none of them is held. */
static bool
hold_hosts(struct nat *nat, const struct nat_setup *setup, const struct nat_setup *old, uint64_t now_ms)
{
    uint32_t number;

    for (unsigned i = 0; i < setup->n_forwards; i++) {
        const struct nat_forward *f = &setup->forwards[i];

        if (f->inside_v6 && !has_forward(old, f)
            && !nat64_host_take(&nat->hosts6, &f->inside, setup->source_bits, now_ms, &number)) {
            give_hosts(nat, setup, i, old, now_ms);
            return false;
        }
    }
    return true;
}

/* A forward that is no more becomes a mapping like others: it lives as long as its sessions. */
static void
end_forward(struct nat *nat, const struct nat_setup *old, const struct nat_forward *f,
            uint64_t now_ms)
{
    uint64_t inside = inside_of(nat, f, now_ms), mapping[2];
    struct nat_address *ports = row_of(old, f->outside)->ports;
    bool own = kv_get(&nat->mappings, &inside, now_ms, mapping)
               && mapping[0] == endpoint(f->outside, f->outside_port, 0);

    if (own) {
        atomic_store(&ports->inside[ports_of(f->proto)][f->outside_port], inside);
    } else {
        nat_port_give(ports, f->proto, f->outside_port);
    }
    nat_mapping_release(nat, inside, now_ms);
}

static bool
is_of(const struct nat_setup *setup, const uint64_t key[2], uint64_t value, uint64_t inside)
{
    (void)setup;
    (void)value;
    return key[0] == inside;
}

enum { TRIES = 1000 /* Until a port that no session gives back is taken all the same. */ };

/* Takes the port of a forward.  Sessions that have it end; so do those whose time is over, or is within the
 * wheel's next steps, because one that nobody has ended yet has its port still. */
static void
take_port(struct nat *nat, struct nat_address *ports, const struct nat_forward *f, uint64_t inside,
          uint64_t now_ms)
{
    for (unsigned i = 0; i < TRIES; i++) {
        if (nat_port_take(ports, f->outside_port, inside)) {
            return;
        }
        uint64_t holder = *behind(ports, f->proto, f->outside_port) & ~(uint64_t)NAT_STATIC;
        nat_session_end_all(nat, now_ms, is_of, holder);
        nat_tick(nat, now_ms + 2 * KV_TICK_MS, SIZE_MAX);
    }
    atomic_store(&ports->inside[ports_of(f->proto)][f->outside_port], inside);
}

/* Sessions that are in the way of a forward end. */
static void
begin_forward(struct nat *nat, const struct nat_setup *setup, const struct nat_forward *f,
              uint64_t now_ms)
{
    uint64_t inside = inside_of(nat, f, now_ms), mapping[2];
    struct nat_address *ports = row_of(setup, f->outside)->ports;

    if (kv_get(&nat->mappings, &inside, now_ms, mapping)) {
        nat_session_end_all(nat, now_ms, is_of, inside);
    }
    take_port(nat, ports, f, inside | NAT_STATIC, now_ms);
    nat_mapping_fix(nat, inside, endpoint(f->outside, f->outside_port, 0), now_ms);
}

static bool
has_host(const struct nat_setup *setup, const struct nat_host *wanted)
{
    for (unsigned i = 0; i < setup->n_hosts; i++) {
        if (setup->hosts[i].outside == wanted->outside && setup->hosts[i].inside == wanted->inside) {
            return true;
        }
    }
    return false;
}

/* The two entries of a host. */
struct host_entries {
    uint64_t keys[2], values[2];
};

static struct host_entries
entries_of(const struct nat_host *host)
{
    return (struct host_entries) {
        { (uint64_t)NAT_OUT << 32 | host->inside, (uint64_t)NAT_IN << 32 | host->outside },
        { host->outside, host->inside },
    };
}

/* Those that stay are there all the time. */
static void
change_hosts(struct nat *nat, const struct nat_setup *old, const struct nat_setup *setup)
{
    for (unsigned i = 0; i < 2 * setup->n_hosts; i++) {
        struct host_entries host = entries_of(&setup->hosts[i / 2]);
        kv_put(&nat->hosts, &host.keys[i % 2], &host.values[i % 2], 1);
    }
    for (unsigned i = 0; i < 2 * old->n_hosts; i++) {
        struct host_entries host = entries_of(&old->hosts[i / 2]);
        if (!has_host(setup, &old->hosts[i / 2])) {
            kv_remove_if(&nat->hosts, &host.keys[i % 2], &host.values[i % 2], 1);
        }
    }
}

/* Whether a session cannot go on: its address or its port is no longer the NAT's. */
static bool
is_misplaced(const struct nat_setup *setup, const uint64_t key[2], uint64_t value, uint64_t unused)
{
    const struct nat_row *row = row_of(setup, address_of(value));
    uint16_t port = port_of(value);

    (void)unused;
    return !row || ((port < row->first_port || port > row->last_port)
                    && (uint8_t)key[0] != IP_PROTO_ICMPV4
                    && !(*behind(row->ports, (uint8_t)key[0], port) & NAT_STATIC));
}

static bool
is_any(const struct nat_setup *setup, const uint64_t key[2], uint64_t value, uint64_t unused)
{
    (void)setup;
    (void)key;
    (void)value;
    (void)unused;
    return true;
}

static bool
is_v6(const struct nat_setup *setup, const uint64_t key[2], uint64_t value, uint64_t unused)
{
    (void)setup;
    (void)value;
    (void)unused;
    return key[0] & NAT_V6;
}

int
nat_configure(struct nat *nat, const struct nat_config *config, uint64_t now_ms, char *why,
              size_t size)
{
    struct nat_setup *old = atomic_load(&nat->setup);
    int error = nat_check(config, why, size);
    struct nat_setup *setup = error ? NULL : new_setup(config, old);

    if (setup && !hold_hosts(nat, setup, old, now_ms)) {
        close_addresses(setup, old);
        free_setup(setup);
        setup = NULL;
    }
    if (!setup) {
        return error ? error : (snprintf(why, size, "no memory for the addresses"), ENOMEM);
    }
    for (unsigned i = 0; i < N_NAT_TIMERS; i++) {
        uint64_t seconds = config->timers[i] ? config->timers[i] : timers[i].seconds;
        kv_set_ttl(&nat->sessions, i, seconds * 1000 + MARGIN_MS, timers[i].fixed);
    }
    if (setup->block != old->block) {           /* Blocks are no longer what they were. */
        nat_session_end_all(nat, now_ms, is_any, 0);
    }
    atomic_store_explicit(&nat->setup, setup, memory_order_release);
    epoch_synchronize(nat->epoch);
    change_hosts(nat, old, setup);
    for (unsigned i = 0; i < old->n_forwards; i++) {
        if (!has_forward(setup, &old->forwards[i])) {
            end_forward(nat, old, &old->forwards[i], now_ms);
        }
    }
    give_hosts(nat, old, old->n_forwards, setup, now_ms);
    nat_session_end_all(nat, now_ms, is_misplaced, 0);
    if (setup->nat64.len != old->nat64.len
        || !ip_equal(&setup->nat64.address, &old->nat64.address)) {      /* Hosts inside know other addresses. */
        nat_session_end_all(nat, now_ms, is_v6, 0);
    }
    for (unsigned i = 0; i < setup->n_forwards; i++) {
        if (!has_forward(old, &setup->forwards[i])) {
            begin_forward(nat, setup, &setup->forwards[i], now_ms);
        }
    }
    close_addresses(old, setup);
    free_setup(old);
    return 0;
}
