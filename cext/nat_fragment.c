/* NAT: fragments.  The first one has the ports; the later ones of a packet take the addresses that it got,
 * and wait for it if they were quicker (RFC 4787, REQ-14).  What waits is bounded, in number and in time, and
 * is a copy: packets are not kept back. */

#include "nat_private.h"

#include "parse.h"
#include "rewrite.h"

void
nat_fragment_key(const struct packet *p, enum nat_direction direction, uint64_t key[NAT_FRAGMENT_WORDS])
{
    const uint8_t *ip = p->data + p->l3;

    key[0] = packet_walk(p)->key.word[W_IPV4];
    key[1] = (uint64_t)get_be16(ip + 4) << 16 | ip[9] << 8 | direction;
    key[2] = key[3] = 0;
}

void
nat_fragment_first(struct nat *nat, const uint64_t key[NAT_FRAGMENT_WORDS], uint64_t value,
                   uint64_t now_ms)
{
    kv_put(&nat->fragments, key, &value, now_ms);
}

/* Nobody has address 0, so that numbers of hosts are no addresses. */
static unsigned
way_of(const uint64_t key[NAT_FRAGMENT_WORDS], uint64_t value)
{
    return key[2] ? NAT_64 : value >> 32 ? key[1] & 1 : NAT_46;
}

/* Gives a later fragment the addresses that the first one got. */
static void
follow(struct packet *p, uint64_t addresses)
{
    nat_rewrite(p, NAT_OUT, (uint32_t)(addresses >> 32), 0, 0);
    nat_rewrite(p, NAT_IN, (uint32_t)addresses, 0, 0);
}

bool
nat_fragment_later(struct nat *nat, struct packet *p, const uint64_t key[NAT_FRAGMENT_WORDS],
                   uint64_t now_ms)
{
    uint64_t addresses;

    if (!kv_get(&nat->fragments, key, now_ms, &addresses) || way_of(key, addresses) > NAT_IN) {
        return false;
    }
    follow(p, addresses);
    return true;
}

/* --- Those that wait --------------------------------------------------------------------------------------- */

static void
lock_held(struct nat *nat)
{
    while (atomic_exchange_explicit(&nat->holding, 1, memory_order_acquire)) {
        continue;
    }
}

static void
unlock_held(struct nat *nat)
{
    atomic_store_explicit(&nat->holding, 0, memory_order_release);
}

static void
let_go(struct nat *nat, struct nat_held *held)
{
    held->until_ms = 0;
    atomic_fetch_sub_explicit(&nat->n_held, 1, memory_order_relaxed);
}

/* Forgets what has waited too long, and returns a free place; null: there is none. */
static struct nat_held *
free_place(struct nat *nat, uint64_t now_ms)
{
    struct nat_held *place = NULL;

    for (unsigned i = 0; i < NAT_HELD; i++) {
        struct nat_held *held = &nat->held[i];

        if (held->until_ms && held->until_ms <= now_ms) {
            let_go(nat, held);
            atomic_fetch_add_explicit(&nat->n_fragments_lost, 1, memory_order_relaxed);
        }
        place = held->until_ms ? place : held;
    }
    return place;
}

void
nat_fragment_hold(struct nat *nat, struct worker *worker, struct packet *p,
                  const uint64_t key[NAT_FRAGMENT_WORDS])
{
    struct nat_held *place = NULL;

    if (p->len <= NAT_HELD_SIZE) {
        lock_held(nat);
        place = free_place(nat, worker->now_ms);
        if (place) {
            memcpy(place->key, key, sizeof place->key);
            memcpy(place->frame, p->data, p->len);
            place->len = p->len;
            place->until_ms = worker->now_ms + NAT_HELD_MS;
            atomic_fetch_add_explicit(&nat->n_held, 1, memory_order_relaxed);
        }
        unlock_held(nat);
    }
    if (place) {
        p->copied = true;
        worker_end(worker, &p, 1);
    } else {
        worker_drop(worker, &p, 1, DROP_nat_fragment);
    }
}

/* A packet of the bytes that waited; null: there is none to copy into (counted). */
static struct packet *
packet_of(struct worker *worker, const struct packet *like, const struct nat_held *held)
{
    struct packet *p = worker_copy(worker, like);

    if (!p) {
        return NULL;
    }
    p->tailroom = (uint16_t)(p->tailroom + like->len > held->len
                             ? p->tailroom + like->len - held->len : 0);
    p->len = held->len;
    memcpy(p->data, held->frame, held->len);
    memset(&p->offload, 0, sizeof p->offload);
    parse_again(p);
    return p;
}

/* The first fragment with these addresses, whose way the others go; else any packet. */
static const struct packet *
leader(struct packet *const *packets, unsigned n, uint64_t addresses)
{
    for (unsigned i = 0; i < n; i++) {
        const struct flow_key *key = &packet_walk(packets[i])->key;

        if (key->word[W_IPV4] == addresses && (key->word[W_L4] & 3) == FRAG_ANY) {
            return packets[i];
        }
    }
    return packets[0];
}

unsigned
nat_fragment_release(struct nat *nat, struct worker *worker, struct packet **packets, unsigned n,
                     unsigned room, unsigned way)
{
    lock_held(nat);
    for (unsigned i = 0; i < NAT_HELD && n < room; i++) {
        struct nat_held *held = &nat->held[i];
        uint64_t addresses;

        if (held->until_ms > worker->now_ms
            && kv_get(&nat->fragments, held->key, worker->now_ms, &addresses)
            && way_of(held->key, addresses) == way) {
            struct packet *p = packet_of(worker, leader(packets, n, addresses), held);

            let_go(nat, held);
            if (p) {
                if (way <= NAT_IN) {
                    follow(p, addresses);
                }
                packets[n++] = p;
            }
        }
    }
    unlock_held(nat);
    return n;
}
