/* Neighbours: see neighbour.h. */

#include "neighbour.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arp.h"
#include "bytes.h"
#include "hash.h"
#include "headers.h"
#include "nd.h"

enum {
    TICK_MS = 10,
    FIRST_SLOTS = 64,
    LOOK = 8,                   /* Neighbours that are looked at to find one that gives way. */
    PATIENCE = 16,              /* Retransmission times after which nobody waits longer for a token. */
};

const struct neighbour_config neighbour_defaults = {
    .max = 65536, .max_on_link = 8192, .max_waiting = 1024, .max_waiting_each = 3,
    .n_multicast = 3, .n_unicast = 3,
    .reachable_ms = 30000, .retrans_ms = 1000, .delay_ms = 5000,
    .stale_ms = 600000, .failed_ms = 3000,
    .solicits = { .per_second = 1000, .burst = 1000 },
};

/* States in which the MAC address is good. */
static bool
is_resolved(const struct neighbour *neighbour)
{
    return neighbour->state != NEIGHBOUR_INCOMPLETE && neighbour->state != NEIGHBOUR_FAILED;
}

/* The generator splitmix64. */
uint32_t
neighbour_random(struct neighbours *neighbours, uint32_t bound)
{
    uint64_t z = neighbours->random += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (uint32_t)(((z ^ z >> 31) >> 32) * bound >> 32);
}

static void
start_timer(struct neighbours *neighbours, struct neighbour *neighbour, uint32_t ms)
{
    timer_stop(&neighbours->wheel, &neighbour->timer);
    timer_start(&neighbours->wheel, &neighbour->timer,
                (neighbours->now_ms + ms + TICK_MS - 1) / TICK_MS);
}

/* --- Lists, chains, slots ----------------------------------------------------------------------- */

static struct neighbour_list *
list_of(const struct neighbour *neighbour)
{
    return is_resolved(neighbour) ? &neighbour->link->resolved : &neighbour->link->unresolved;
}

static void
append(struct neighbour *neighbour)
{
    struct neighbour_list *list = list_of(neighbour);

    neighbour->older = list->newest;
    neighbour->newer = NULL;
    *(list->newest ? &list->newest->newer : &list->oldest) = neighbour;
    list->newest = neighbour;
}

static void
unlist(struct neighbour *neighbour)
{
    struct neighbour_list *list = list_of(neighbour);

    *(neighbour->older ? &neighbour->older->newer : &list->oldest) = neighbour->newer;
    *(neighbour->newer ? &neighbour->newer->older : &list->newest) = neighbour->older;
}

static struct neighbour **
chain_of(const struct neighbours *neighbours, uint32_t interface, uint8_t family,
         const struct ip_address *address)
{
    uint64_t hash = hash_word(neighbours->seed, address->word[0]);

    hash = hash_word(hash, address->word[1]);
    hash = hash_word(hash, (uint64_t)interface << 8 | family);
    return &neighbours->chains[hash_finish(hash) & (neighbours->n_slots - 1)];
}

static void
chain(struct neighbours *neighbours, struct neighbour *neighbour)
{
    struct neighbour **at = chain_of(neighbours, neighbour->link->interface, neighbour->family,
                                     &neighbour->address);

    neighbour->next = *at;
    *at = neighbour;
}

static void
unchain(struct neighbours *neighbours, const struct neighbour *neighbour)
{
    struct neighbour **at = chain_of(neighbours, neighbour->link->interface, neighbour->family,
                                     &neighbour->address);

    while (*at != neighbour) {
        at = &(*at)->next;
    }
    *at = neighbour->next;
}

struct neighbour *
neighbour_find(const struct neighbours *neighbours, uint32_t interface, uint8_t family,
               const struct ip_address *address)
{
    struct neighbour *at = *chain_of(neighbours, interface, family, address);

    while (at && (at->link->interface != interface || at->family != family
                  || !ip_equal(&at->address, address))) {
        at = at->next;
    }
    return at;
}

/* Twice as many slots and chains. */
static bool
grow(struct neighbours *neighbours)
{
    uint32_t n = neighbours->n_slots ? 2 * neighbours->n_slots : FIRST_SLOTS;
    struct neighbour **slots = calloc(n, sizeof *slots), **chains = calloc(n, sizeof *chains);

    if (!slots || !chains) {
        free(slots);
        free(chains);
        return false;
    }
    if (neighbours->n_slots) {
        memcpy(slots, neighbours->slots, neighbours->n_slots * sizeof *slots);
    }
    free(neighbours->slots);
    free(neighbours->chains);
    neighbours->slots = slots;
    neighbours->chains = chains;
    neighbours->n_slots = n;
    for (uint32_t i = 0; i < n; i++) {
        if (slots[i]) {
            chain(neighbours, slots[i]);
        }
    }
    return true;
}

static void
take_slot(struct neighbours *neighbours, struct neighbour *neighbour)
{
    uint32_t slot = neighbours->first_free;

    while (neighbours->slots[slot]) {
        slot++;
    }
    neighbours->slots[slot] = neighbour;
    neighbours->first_free = slot + 1;
    neighbour->slot = slot;
}

struct neighbour *
neighbour_next(const struct neighbours *neighbours, uint32_t *cursor)
{
    while (*cursor < neighbours->n_slots) {
        struct neighbour *neighbour = neighbours->slots[(*cursor)++];
        if (neighbour) {
            return neighbour;
        }
    }
    return NULL;
}

/* --- Packets that wait -------------------------------------------------------------------------- */

static struct neighbour_packet *
take_waiting(struct neighbours *neighbours, struct neighbour *neighbour)
{
    struct neighbour_packet *packet = neighbour->first_waiting;

    if (packet) {
        neighbour->first_waiting = packet->next;
        neighbour->n_waiting--;
        neighbours->n_waiting--;
    }
    return packet;
}

static void
drop_waiting(struct neighbours *neighbours, struct neighbour *neighbour)
{
    struct neighbour_packet *packet;

    while ((packet = take_waiting(neighbours, neighbour))) {
        free(packet);
        neighbours->counters.dropped++;
    }
}

static struct neighbour_packet *
make_packet(uint16_t eth_type, const uint8_t *data, size_t len)
{
    struct neighbour_packet *packet = malloc(sizeof *packet + ETH_SIZE + len);

    if (packet) {
        packet->next = NULL;
        packet->len = (uint32_t)(ETH_SIZE + len);
        put_be16(packet->frame + ETH_TYPE_AT, eth_type);
        memcpy(packet->frame + ETH_SIZE, data, len);
    }
    return packet;
}

/* The oldest that waits with it gives way to another; without one of its own a new one has no place. */
static void
enqueue(struct neighbours *neighbours, struct neighbour *neighbour, struct neighbour_packet *packet)
{
    struct neighbour_packet *dropped = NULL;

    if (neighbour->n_waiting >= neighbours->config.max_waiting_each
        || neighbours->n_waiting >= neighbours->config.max_waiting) {
        dropped = take_waiting(neighbours, neighbour);
        neighbours->counters.dropped++;
        if (!dropped) {
            free(packet);
            return;
        }
        free(dropped);
    }
    *(neighbour->first_waiting ? &neighbour->last_waiting->next : &neighbour->first_waiting) = packet;
    neighbour->last_waiting = packet;
    neighbour->n_waiting++;
    neighbours->n_waiting++;
}

static void
transmit(struct neighbours *neighbours, struct neighbour *neighbour, struct neighbour_packet *packet)
{
    put_be48(packet->frame, neighbour->mac);
    put_be48(packet->frame + 6, neighbour->link->mac);
    neighbours->owner->send(neighbours->context, neighbour->link, packet->frame, packet->len);
    free(packet);
}

/* Tells the owner that a packet cannot be delivered.  He may send meanwhile, for which a neighbour may have
 * to give way: not this one. */
static void
refuse(struct neighbours *neighbours, struct neighbour *neighbour, uint16_t eth_type,
       const uint8_t *packet, size_t len)
{
    neighbour->n_holds++;
    neighbours->owner->unreachable(neighbours->context, neighbour, eth_type, packet, len);
    neighbour->n_holds--;
}

/* --- States ------------------------------------------------------------------------------------- */

static void
enter(struct neighbours *neighbours, struct neighbour *neighbour, enum neighbour_state state)
{
    const struct neighbour_config *config = &neighbours->config;
    const uint32_t times[NEIGHBOUR_STATES] = {
        [NEIGHBOUR_INCOMPLETE] = neighbour->asked ? config->retrans_ms : config->failed_ms,
        [NEIGHBOUR_REACHABLE] = config->reachable_ms / 2
                                + neighbour_random(neighbours, config->reachable_ms + 1),
        [NEIGHBOUR_STALE] = config->delay_ms,
        [NEIGHBOUR_DELAY] = config->delay_ms,
        [NEIGHBOUR_PROBE] = config->retrans_ms,
        [NEIGHBOUR_FAILED] = config->failed_ms,
    };

    unlist(neighbour);
    neighbour->state = state;
    append(neighbour);
    neighbour->n_solicits = 0;
    neighbour->changed_ms = neighbours->now_ms;
    if (state == NEIGHBOUR_PERMANENT) {
        timer_stop(&neighbours->wheel, &neighbour->timer);
    } else {
        start_timer(neighbours, neighbour, times[state]);
    }
}

/* One question of those that the state allows.  Without a token it tries again at some time, so that those
 * that began together share what there is. */
static void
solicit(struct neighbours *neighbours, struct neighbour *neighbour, bool unicast)
{
    bool sent;

    if (!unicast && !bucket_take(&neighbour->link->solicits, &neighbours->config.solicits,
                                 neighbours->now_ms)) {
        neighbours->counters.suppressed++;
        start_timer(neighbours, neighbour,
                    neighbour_random(neighbours, neighbours->config.retrans_ms));
        return;
    }
    sent = neighbour->family == IP_V4 ? arp_solicit(neighbours, neighbour, unicast)
                                      : nd_solicit(neighbours, neighbour, unicast);
    neighbour->n_solicits++;
    neighbours->counters.solicits += sent;
}

static void
ask(struct neighbours *neighbours, struct neighbour *neighbour)
{
    neighbour->asked = true;
    enter(neighbours, neighbour, NEIGHBOUR_INCOMPLETE);
    solicit(neighbours, neighbour, false);
}

/* Its MAC address is known, or another one; what waited for it goes out. */
static void
resolve(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t mac,
        enum neighbour_state state)
{
    bool is_news = !is_resolved(neighbour) || neighbour->mac != mac;
    struct neighbour_packet *packet;

    neighbour->mac = mac;
    enter(neighbours, neighbour, state);
    if (is_news) {
        neighbours->owner->resolved(neighbours->context, neighbour);
    }
    while ((packet = take_waiting(neighbours, neighbour))) {
        transmit(neighbours, neighbour, packet);
    }
}

static void
fail(struct neighbours *neighbours, struct neighbour *neighbour)
{
    struct neighbour_packet *packet;

    enter(neighbours, neighbour, NEIGHBOUR_FAILED);
    neighbours->counters.failed++;
    while ((packet = take_waiting(neighbours, neighbour))) {
        refuse(neighbours, neighbour, get_be16(packet->frame + ETH_TYPE_AT),
               packet->frame + ETH_SIZE, packet->len - ETH_SIZE);
        free(packet);
    }
}

static void
remove_now(struct neighbours *neighbours, struct neighbour *neighbour)
{
    timer_stop(&neighbours->wheel, &neighbour->timer);
    drop_waiting(neighbours, neighbour);
    unlist(neighbour);
    unchain(neighbours, neighbour);
    neighbours->slots[neighbour->slot] = NULL;
    if (neighbour->slot < neighbours->first_free) {
        neighbours->first_free = neighbour->slot;
    }
    neighbours->n--;
    neighbour->link->n--;
    neighbours->owner->removed(neighbours->context, neighbour);
    free(neighbour);
}

/* --- Timers ------------------------------------------------------------------------------------- */

static void
remove_unheld(struct neighbours *neighbours, struct neighbour *neighbour)
{
    if (!neighbour->n_holds) {
        remove_now(neighbours, neighbour);
    }
}

static void
incomplete_timeout(struct neighbours *neighbours, struct neighbour *neighbour)
{
    const struct neighbour_config *config = &neighbours->config;

    if (!neighbour->asked) {
        remove_unheld(neighbours, neighbour);
    } else if (neighbour->n_solicits >= config->n_multicast
               || neighbours->now_ms - neighbour->changed_ms
                  >= (uint64_t)PATIENCE * config->retrans_ms) {
        fail(neighbours, neighbour);
    } else {
        start_timer(neighbours, neighbour, config->retrans_ms);
        solicit(neighbours, neighbour, false);
    }
}

static void
reachable_timeout(struct neighbours *neighbours, struct neighbour *neighbour)
{
    enter(neighbours, neighbour, NEIGHBOUR_STALE);
}

/* Workers do not tell that they send to a stale one, so it is looked at now and then. */
static void
stale_timeout(struct neighbours *neighbours, struct neighbour *neighbour)
{
    uint64_t used_ms = neighbours->owner->used(neighbours->context, neighbour);

    if (used_ms > neighbour->changed_ms) {
        enter(neighbours, neighbour, NEIGHBOUR_DELAY);
    } else if (!neighbour->n_holds
               && neighbours->now_ms - neighbour->changed_ms >= neighbours->config.stale_ms) {
        remove_now(neighbours, neighbour);
    } else {
        start_timer(neighbours, neighbour, neighbours->config.delay_ms);
    }
}

static void
delay_timeout(struct neighbours *neighbours, struct neighbour *neighbour)
{
    enter(neighbours, neighbour, NEIGHBOUR_PROBE);
    solicit(neighbours, neighbour, true);
}

static void
probe_timeout(struct neighbours *neighbours, struct neighbour *neighbour)
{
    if (neighbour->n_solicits < neighbours->config.n_unicast) {
        start_timer(neighbours, neighbour, neighbours->config.retrans_ms);
        solicit(neighbours, neighbour, true);
    } else {
        ask(neighbours, neighbour);
        neighbours->owner->lost(neighbours->context, neighbour);
    }
}

static void
expire(struct timer *timer, void *neighbours)
{
    static void (*const timeouts[NEIGHBOUR_STATES])(struct neighbours *, struct neighbour *) = {
        [NEIGHBOUR_INCOMPLETE] = incomplete_timeout, [NEIGHBOUR_REACHABLE] = reachable_timeout,
        [NEIGHBOUR_STALE] = stale_timeout, [NEIGHBOUR_DELAY] = delay_timeout,
        [NEIGHBOUR_PROBE] = probe_timeout, [NEIGHBOUR_FAILED] = remove_unheld,
    };
    struct neighbour *neighbour = (void *)((char *)timer - offsetof(struct neighbour, timer));

    timeouts[neighbour->state](neighbours, neighbour);
}

void
neighbours_advance(struct neighbours *neighbours, uint64_t now_ms)
{
    neighbours->now_ms = now_ms;
    timer_wheel_advance(&neighbours->wheel, now_ms / TICK_MS, expire, neighbours);
}

/* --- Room --------------------------------------------------------------------------------------- */

/* Whether nobody would miss a neighbour on a full link. */
static bool
is_idle(struct neighbours *neighbours, const struct neighbour *neighbour)
{
    return !neighbour->n_holds
           && (!is_resolved(neighbour)
               || (neighbour->state == NEIGHBOUR_STALE
                   && neighbours->owner->used(neighbours->context, neighbour)
                      <= neighbour->changed_ms));
}

/* Removes one of the oldest of a list; those that stay are the newest then. */
static bool
evict(struct neighbours *neighbours, const struct neighbour_list *list)
{
    for (unsigned i = 0; i < LOOK && list->oldest; i++) {
        struct neighbour *oldest = list->oldest;

        if (is_idle(neighbours, oldest)) {
            remove_now(neighbours, oldest);
            neighbours->counters.evicted++;
            return true;
        }
        unlist(oldest);
        append(oldest);
    }
    return false;
}

static bool
make_room(struct neighbours *neighbours, struct neighbour_link *link)
{
    if (link->n < neighbours->config.max_on_link && neighbours->n < neighbours->config.max) {
        return neighbours->n < neighbours->n_slots || grow(neighbours);
    }
    return evict(neighbours, &link->unresolved) || evict(neighbours, &link->resolved);
}

struct neighbour *
neighbour_get(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
              const struct ip_address *address, uint64_t now_ms)
{
    struct neighbour *neighbour = neighbour_find(neighbours, link->interface, family, address);

    neighbours->now_ms = now_ms;
    if (neighbour) {
        return neighbour;
    }
    neighbour = make_room(neighbours, link) ? malloc(sizeof *neighbour) : NULL;
    if (!neighbour) {
        neighbours->counters.refused++;
        return NULL;
    }
    *neighbour = (struct neighbour) { .address = *address, .family = family, .link = link };
    neighbours->n++;
    link->n++;
    take_slot(neighbours, neighbour);
    chain(neighbours, neighbour);
    append(neighbour);
    enter(neighbours, neighbour, NEIGHBOUR_INCOMPLETE);
    return neighbour;
}

/* --- The owner's -------------------------------------------------------------------------------- */

void
neighbour_resolve(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ms)
{
    neighbours->now_ms = now_ms;
    if (neighbour->state == NEIGHBOUR_INCOMPLETE
            ? !neighbour->asked
            : neighbour->state == NEIGHBOUR_FAILED
              && now_ms - neighbour->changed_ms >= neighbours->config.failed_ms) {
        ask(neighbours, neighbour);
    }
}

void
neighbour_send(struct neighbours *neighbours, struct neighbour *neighbour, uint16_t eth_type,
               const uint8_t *data, size_t len, uint64_t now_ms)
{
    struct neighbour_packet *packet;

    neighbour_resolve(neighbours, neighbour, now_ms);
    if (neighbour->state == NEIGHBOUR_FAILED) {
        refuse(neighbours, neighbour, eth_type, data, len);
        return;
    }
    packet = make_packet(eth_type, data, len);
    if (!packet) {
        neighbours->counters.dropped++;
    } else if (is_resolved(neighbour)) {
        transmit(neighbours, neighbour, packet);
    } else {
        enqueue(neighbours, neighbour, packet);
    }
    if (neighbour->state == NEIGHBOUR_STALE) {
        enter(neighbours, neighbour, NEIGHBOUR_DELAY);
    }
}

void
neighbour_hold(struct neighbour *neighbour)
{
    neighbour->n_holds++;
}

void
neighbour_release(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ms)
{
    neighbours->now_ms = now_ms;
    neighbour->n_holds--;
    if (!neighbour->n_holds && !timer_running(&neighbour->timer)
        && neighbour->state != NEIGHBOUR_PERMANENT) {
        start_timer(neighbours, neighbour, neighbours->config.failed_ms);
    }
}

struct neighbour *
neighbour_set(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
              const struct ip_address *address, uint64_t mac, uint64_t now_ms)
{
    struct neighbour *neighbour = neighbour_get(neighbours, link, family, address, now_ms);

    if (neighbour) {
        resolve(neighbours, neighbour, mac, NEIGHBOUR_PERMANENT);
    }
    return neighbour;
}

void
neighbour_remove(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t now_ms)
{
    bool was_resolved = is_resolved(neighbour);

    neighbours->now_ms = now_ms;
    if (!neighbour->n_holds) {
        remove_now(neighbours, neighbour);
        return;
    }
    drop_waiting(neighbours, neighbour);
    neighbour->asked = false;
    enter(neighbours, neighbour, NEIGHBOUR_INCOMPLETE);
    if (was_resolved) {
        neighbours->owner->lost(neighbours->context, neighbour);
    }
}

void
neighbour_flush(struct neighbours *neighbours, struct neighbour_link *link, bool permanent,
                uint64_t now_ms)
{
    struct neighbour *neighbour;
    uint32_t cursor = 0;

    while ((neighbour = neighbour_next(neighbours, &cursor))) {
        if (neighbour->link == link && (permanent || neighbour->state != NEIGHBOUR_PERMANENT)) {
            neighbour_remove(neighbours, neighbour, now_ms);
        }
    }
}

int
neighbours_open(struct neighbours *neighbours, const struct neighbour_config *config,
                const struct neighbour_owner *owner, void *context, uint64_t seed, uint64_t now_ms)
{
    *neighbours = (struct neighbours) {
        .config = *config, .owner = owner, .context = context, .seed = seed, .random = seed,
        .now_ms = now_ms,
    };
    timer_wheel_init(&neighbours->wheel, now_ms / TICK_MS);
    return grow(neighbours) ? 0 : ENOMEM;
}

void
neighbours_close(struct neighbours *neighbours)
{
    struct neighbour *neighbour;
    uint32_t cursor = 0;

    while ((neighbour = neighbour_next(neighbours, &cursor))) {
        remove_now(neighbours, neighbour);
    }
    free(neighbours->slots);
    free(neighbours->chains);
}

/* --- What is heard ------------------------------------------------------------------------------ */

/* What an answer does to a neighbour whose MAC address is known (RFC 4861, appendix C). */
static void
update(struct neighbours *neighbours, struct neighbour *neighbour, uint64_t mac, unsigned flags)
{
    bool differs = mac && mac != neighbour->mac;

    if (differs && !(flags & NEIGHBOUR_OVERRIDE)) {
        if (neighbour->state == NEIGHBOUR_REACHABLE) {
            enter(neighbours, neighbour, NEIGHBOUR_STALE);
        }
    } else if (flags & NEIGHBOUR_SOLICITED) {
        resolve(neighbours, neighbour, differs ? mac : neighbour->mac, NEIGHBOUR_REACHABLE);
    } else if (differs) {
        resolve(neighbours, neighbour, mac, NEIGHBOUR_STALE);
    }
}

void
neighbour_answered(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
                   const struct ip_address *address, uint64_t mac, unsigned flags, uint64_t now_ms)
{
    struct neighbour *neighbour = neighbour_find(neighbours, link->interface, family, address);

    neighbours->now_ms = now_ms;
    if (!neighbour || neighbour->state == NEIGHBOUR_PERMANENT) {
        return;
    }
    if (is_resolved(neighbour)) {
        update(neighbours, neighbour, mac, flags);
    } else if (mac) {
        resolve(neighbours, neighbour, mac,
                flags & NEIGHBOUR_SOLICITED ? NEIGHBOUR_REACHABLE : NEIGHBOUR_STALE);
    }
}

void
neighbour_heard(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
                const struct ip_address *address, uint64_t mac, uint64_t now_ms)
{
    struct neighbour *neighbour = neighbour_find(neighbours, link->interface, family, address);

    neighbours->now_ms = now_ms;
    if (!neighbour && neighbours->owner->on_link(neighbours->context, link, family, address)) {
        neighbour = neighbour_get(neighbours, link, family, address, now_ms);
    }
    if (neighbour && neighbour->state != NEIGHBOUR_PERMANENT
        && (!is_resolved(neighbour) || neighbour->mac != mac)) {
        resolve(neighbours, neighbour, mac, NEIGHBOUR_STALE);
    }
}

void
neighbour_conflict(struct neighbours *neighbours, struct neighbour_link *link, uint8_t family,
                   const struct ip_address *address, uint64_t mac)
{
    neighbours->counters.conflicts++;
    neighbours->owner->conflict(neighbours->context, link, family, address, mac);
}
