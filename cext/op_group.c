/* Group: the buckets of a group, each with a packet of its own. */

#include "bridge.h"
#include "bytes.h"
#include "group.h"
#include "hash.h"
#include "worker.h"

/* Counts a bucket against what the vector may meet; false if that is used up. */
static bool
may_meet(struct worker *worker)
{
    bool may = worker->buckets_left;

    worker->buckets_left -= may;
    return may;
}

/* --- Which buckets are alive ------------------------------------------------------------ */

static bool
port_live(const struct bridge *bridge, uint32_t number)
{
    const struct attachment *attachment = bridge_port(bridge, number);

    return attachment
           && !(atomic_load_explicit(&attachment->config, memory_order_relaxed) & PORT_DOWN)
           && !(atomic_load_explicit(&attachment->state, memory_order_relaxed) & LINK_DOWN);
}

static bool bucket_live(struct worker *worker, const struct bridge *bridge,
                        const struct bucket *bucket, unsigned depth);

static bool
group_live(struct worker *worker, const struct bridge *bridge, uint32_t id, unsigned depth)
{
    const struct group *group = group_find(&bridge->groups, id);

    if (!group || depth == GROUP_DEPTH) {
        return false;
    }
    const struct buckets *buckets = atomic_load_explicit(&group->buckets, memory_order_acquire);
    for (uint32_t i = 0; i < buckets->n && may_meet(worker); i++) {
        if (bucket_live(worker, bridge, &buckets->bucket[i], depth + 1)) {
            return true;
        }
    }
    return false;
}

/* A bucket is alive if the port or the group it watches is, or if it watches nothing. */
static bool
bucket_live(struct worker *worker, const struct bridge *bridge, const struct bucket *bucket,
            unsigned depth)
{
    bool port = bucket->watch_port != PORT_ANY, group = bucket->watch_group != GROUP_ANY;

    return (!port && !group)
           || (port && port_live(bridge, bucket->watch_port))
           || (group && group_live(worker, bridge, bucket->watch_group, depth));
}

/* --- Which bucket a packet takes ------------------------------------------------------------ */

uint32_t
packet_hash(struct packet *packet)
{
    struct walk *walk = packet_walk(packet);

    packet_refresh(packet);
    if (!walk->flow_hash) {
        const uint64_t *word = walk->key.word;
        uint64_t hash = hash_word(0, word[W_ETH_DST]);

        hash = hash_word(hash, word[W_ETH_SRC]);
        hash = hash_word(hash, word[W_IPV4]);
        hash = hash_word(hash, word[W_L4] & (word[W_L4] & 0xff ? 0xff000000u : 0xffffffffff000000u));
        for (unsigned i = W_IPV6_SRC; i <= W_IPV6_DST_LOW; i++) {
            hash = hash_word(hash, word[i]);
        }
        walk->flow_hash = hash_finish(hash) | 1;
    }
    return walk->flow_hash;
}

/* -log2 of x / 2^32 for x in [1, 2^32], in 1/2^32 and to 0.2 % of itself, near 2^32 too
 * (small weights beside great ones are decided there): exponent, mantissa, and
 * what log2(1 + m) has more than m as m (1 - m) (a - b m + c m^2), right at both ends
 * with its slope and in the middle. */
static uint64_t
minus_log2(uint64_t x)
{
    const uint64_t one = 1ull << 32, a = 1901359967, b = 1062303957, c = 357744991;
    unsigned exponent = 63 - __builtin_clzll(x);
    uint64_t m = (x << (63 - exponent) << 1) >> 32;
    uint64_t slope = a - (b * m >> 32) + ((c * m >> 32) * m >> 32);
    uint64_t curve = (m * (one - m) >> 32) * slope >> 32;

    return (32 - exponent) * one - m - curve;
}

/* Weighted rendezvous: every live bucket draws a number from the flow's hash and
 * its own place, and the best wins; when a bucket goes away only its own flows move
 * (D. Thaler, C. Ravishankar, "Using Name-Based Mappings to Increase Hit
 * Rates", IEEE/ACM ToN 6(1), 1998). */
static const struct bucket *
select_bucket(struct worker *worker, const struct buckets *buckets, struct packet *packet)
{
    const struct bridge *bridge = packet_walk(packet)->bridge;
    const struct bucket *best = NULL;
    uint64_t best_score = UINT64_MAX;
    uint32_t hash = packet_hash(packet);

    for (uint32_t i = 0; i < buckets->n; i++) {
        const struct bucket *bucket = &buckets->bucket[i];
        if (!bucket->weight || !bucket_live(worker, bridge, bucket, 0)) {
            continue;
        }
        /* A second round: after one, the draws of two buckets depend on each other. */
        uint64_t draw = (uint64_t) hash_finish(hash_word(hash_word(hash, i + 1), 0)) + 1;
        uint64_t score = minus_log2(draw) * 65536 / bucket->weight;
        if (!best || score < best_score) {
            best = bucket;
            best_score = score;
        }
    }
    return best;
}

static const struct bucket *
first_live(struct worker *worker, const struct buckets *buckets, const struct packet *packet)
{
    const struct bridge *bridge = packet_walk(packet)->bridge;

    for (uint32_t i = 0; i < buckets->n; i++) {
        if (bucket_live(worker, bridge, &buckets->bucket[i], 0)) {
            return &buckets->bucket[i];
        }
    }
    return NULL;
}

/* The one bucket of a group that is not of type all; null if there is none. */
static const struct bucket *
one_bucket(struct worker *worker, const struct buckets *buckets, struct packet *packet)
{
    switch (buckets->type) {
    case GROUP_SELECT:
        return select_bucket(worker, buckets, packet);
    case GROUP_FAST_FAILOVER:
        return first_live(worker, buckets, packet);
    default:
        return buckets->n ? &buckets->bucket[0] : NULL;
    }
}

/* --- Running ---------------------------------------------------------------------------------- */

/* Takes the packet through a bucket. */
static void
run_bucket(struct worker *worker, const struct bucket *bucket, struct packet *packet)
{
    counter_add(&worker->counters, bucket->counter, 1, packet->len, worker->now_ms);
    packet->args = bucket->args;
    packet_walk(packet)->depth++;
    program_run(worker, bucket->program, &packet, 1);
}

static void
run_last_bucket(struct worker *worker, const struct bucket *bucket, struct packet *packet)
{
    if (may_meet(worker)) {
        run_bucket(worker, bucket, packet);
    } else {
        worker_drop(worker, &packet, 1, DROP_depth);
    }
}

/* Every bucket gets a copy, the last one the packet itself. */
static void
run_all(struct worker *worker, const struct buckets *buckets, struct packet *packet)
{
    for (uint32_t i = 0; i + 1 < buckets->n && may_meet(worker); i++) {
        struct packet *copy = worker_copy(worker, packet);
        if (copy) {
            run_bucket(worker, &buckets->bucket[i], copy);
        }
    }
    run_last_bucket(worker, &buckets->bucket[buckets->n - 1], packet);
}

/* Takes the packet through a group. */
static void
run_group(struct worker *worker, uint32_t id, struct packet *packet)
{
    const struct bridge *bridge = packet_walk(packet)->bridge;
    const struct group *group = group_find(&bridge->groups, id);
    const struct bucket *bucket = NULL;

    if (!group || packet_walk(packet)->depth == GROUP_DEPTH) {
        worker_drop(worker, &packet, 1, group ? DROP_depth : DROP_no_group);
        return;
    }
    const struct buckets *buckets = atomic_load_explicit(&group->buckets, memory_order_acquire);
    counter_add(&worker->counters, group->counter, 1, packet->len, worker->now_ms);
    if (buckets->type == GROUP_ALL && buckets->n) {
        run_all(worker, buckets, packet);
    } else if ((bucket = one_bucket(worker, buckets, packet))) {
        run_last_bucket(worker, bucket, packet);
    } else {
        worker_drop(worker, &packet, 1, DROP_no_group);
    }
}

/* struct ofp_action_group: type, len, group_id. */
unsigned
op_group(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < n; i++) {
        struct packet *packet = packets[i];
        uint32_t id = get_be32(insn_args(insn, packet) + 4);

        if (packet_stays(insn, packet)) {
            packets[kept++] = packet;
            packet->copied = true;
            packet = worker_copy(worker, packet);
        }
        if (packet) {
            run_group(worker, id, packet);
        }
    }
    return kept;
}
