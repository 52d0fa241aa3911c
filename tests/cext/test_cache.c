/* cache.c, cache_trial.c, bridge_replay.c: a switch that remembers the ways of packets does the same
 * as one that does not, to packets and to counters (K11), whatever changes meanwhile. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "hash.h"
#include "rig.h"

enum { TABLES = 7, ALL_TABLES = 0xff, ROUNDS = 60, BURST = 16, FLOW_STATS = 1, TABLE_STATS = 3 };

static uint32_t
draw(uint32_t *seed, uint32_t n)
{
    *seed = *seed * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)*seed * n >> 32);
}

/* --- Two switches side by side ------------------------------------------------------------ */

struct pair {
    struct rig *with, *without;
};

static int
set_up(void **state)
{
    struct pair *pair = malloc(sizeof *pair);

    pair->with = rig_new();
    pair->with->worker->cache.mode = CACHE_ALWAYS;
    pair->without = rig_new();
    pair->without->worker->cache.mode = CACHE_NEVER;
    *state = pair;
    return 0;
}

static int
tear_down(void **state)
{
    struct pair *pair = *state;

    rig_free(pair->with);
    rig_free(pair->without);
    free(pair);
    return 0;
}

static void
same_flow(struct pair *pair, const struct wire_flow *flow)
{
    assert_int_equal(rig_flow(pair->with, flow), rig_flow(pair->without, flow));
}

#define BOTH(...) same_flow(pair, &(const struct wire_flow) { __VA_ARGS__ })

/* An entry whose match, instructions and way on are drawn. */
static struct wire_flow
draw_flow(uint32_t *seed)
{
    static const struct wire_oxm conditions[] = {
        { FIELD_in_port, 1, 0 }, { FIELD_in_port, 2, 0 }, { FIELD_eth_type, 0x0800, 0 },
        { FIELD_eth_type, 0x86dd, 0 }, { FIELD_vlan_vid, 0x1000, 0x1000 },
        { FIELD_metadata, 1, 1 }, { FIELD_metadata, 4, 4 }, { FIELD_eth_dst, 0, 0x010000000000 },
    };
    struct wire_flow flow = { .table = draw(seed, TABLES), .priority = draw(seed, 8) };

    flow.n_match = draw(seed, 3) > 0;
    flow.match[0] = conditions[draw(seed, sizeof conditions / sizeof conditions[0])];
    flow.output[0] = draw(seed, 4) ? 0 : 1 + draw(seed, RIG_PORTS);
    flow.write_output = draw(seed, 3) ? 0 : 1 + draw(seed, RIG_PORTS);
    flow.clear = !draw(seed, 6);
    flow.metadata = draw(seed, 3) ? 0 : draw(seed, 8);
    flow.group = draw(seed, 10) ? 0 : 1;
    if (flow.table + 1 < TABLES && draw(seed, 5)) {
        flow.go_to = flow.table + 1 + draw(seed, TABLES - flow.table - 1);
    }
    return flow;
}

/* A number for all that a port has sent, in whichever order. */
static uint64_t
sent(struct rig *rig, unsigned port)
{
    struct frame frame;
    uint64_t sum = 0;
    size_t len;

    while ((len = port_memory_take(&rig->ports[port], frame.data, sizeof frame.data, NULL))) {
        uint64_t hash = len;
        for (size_t i = 0; i < len; i++) {
            hash = hash_word(hash, frame.data[i]);
        }
        sum += hash | 1;
    }
    return sum;
}

static void
same_reply(struct pair *pair, unsigned type)
{
    struct buffer out[2] = { { 0 }, { 0 } }, ends[2] = { { 0 }, { 0 } };
    struct rig *rigs[2] = { pair->with, pair->without };

    for (unsigned i = 0; i < 2; i++) {
        if (type == FLOW_STATS) {
            wire_flow_request(&rigs[i]->f, &(const struct wire_flow) { .table = ALL_TABLES });
        }
        assert_int_equal(rig_multipart(rigs[i], type, &out[i], &ends[i]), OFWIRE_OK);
    }
    assert_int_equal(out[0].len, out[1].len);
    assert_memory_equal(out[0].data, out[1].data, out[0].len);
    for (unsigned i = 0; i < 2; i++) {
        buffer_close(&out[i]);
        buffer_close(&ends[i]);
    }
}

/* Sends the same packets through both and compares what they do. */
static void
send_burst(struct pair *pair, uint32_t *seed)
{
    for (unsigned i = 0; i < BURST; i++) {
        struct frame frame;
        unsigned port = 1 + draw(seed, 2);

        frame_sample(&frame, draw(seed, N_SAMPLES));
        rig_put(pair->with, port, &frame);
        rig_put(pair->without, port, &frame);
    }
    rig_run(pair->with);
    rig_run(pair->without);
    for (unsigned port = 1; port <= RIG_PORTS; port++) {
        assert_int_equal(sent(pair->with, port), sent(pair->without, port));
    }
    same_reply(pair, FLOW_STATS);
    same_reply(pair, TABLE_STATS);
    assert_memory_equal(pair->with->worker->totals.drops, pair->without->worker->totals.drops,
                        sizeof pair->with->worker->totals.drops);
}

/* --- Tests ----------------------------------------------------------------------------------- */

static void
a_known_way_is_the_same_way(void **state)
{
    struct pair *pair = *state;
    uint32_t seed = 1;

    rig_group(pair->with, &(const struct wire_group) {
        .id = 1, .type = GROUP_ALL, .n = 2, .bucket = { { .output = 3 }, { .output = 4 } } });
    rig_group(pair->without, &(const struct wire_group) {
        .id = 1, .type = GROUP_ALL, .n = 2, .bucket = { { .output = 3 }, { .output = 4 } } });
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (unsigned i = 0; i < 6; i++) {
            struct wire_flow flow = draw_flow(&seed);

            if (round % 8 == 7) {
                flow.command = i % 2 ? WIRE_DELETE : WIRE_MODIFY;
            }
            same_flow(pair, &flow);
        }
        for (unsigned burst = 0; burst < 8; burst++) {
            send_burst(pair, &seed);
        }
    }
    assert_true(pair->with->worker->cache.hits > ROUNDS * BURST);
    assert_int_equal(pair->without->worker->cache.hits, 0);
}

static void
send_one(struct pair *pair, unsigned port, enum sample sample)
{
    struct frame frame;

    frame_sample(&frame, sample);
    rig_put(pair->with, port, &frame);
    rig_run(pair->with);
}

static uint64_t
hits(const struct pair *pair)
{
    return pair->with->worker->cache.hits;
}

static void
a_change_of_any_table_makes_all_ways_stale(void **state)
{
    struct pair *pair = *state;

    BOTH(.table = 0, .go_to = 1);
    BOTH(.table = 1, .output = { 2 });
    send_one(pair, 1, SAMPLE_tcp);
    send_one(pair, 1, SAMPLE_tcp);
    assert_int_equal(hits(pair), 1);
    assert_int_equal(rig_take(pair->with, 2, NULL), 2);
    BOTH(.table = 1, .priority = 5, .output = { 3 });
    send_one(pair, 1, SAMPLE_tcp);
    assert_int_equal(hits(pair), 1);
    assert_int_equal(rig_take(pair->with, 3, NULL), 1);
    BOTH(.table = 1, .priority = 5, .command = WIRE_DELETE_STRICT);
    send_one(pair, 1, SAMPLE_tcp);
    assert_int_equal(hits(pair), 1);
    assert_int_equal(rig_take(pair->with, 2, NULL), 1);
}

static void
keys_that_differ_only_in_a_rare_word_have_ways_of_their_own(void **state)
{
    struct pair *pair = *state;

    BOTH(.table = 0, .go_to = 1);
    BOTH(.table = 1, .output = { 2 });
    send_one(pair, 1, SAMPLE_udp6);
    send_one(pair, 1, SAMPLE_solicit);
    send_one(pair, 1, SAMPLE_udp6);
    send_one(pair, 1, SAMPLE_solicit);
    assert_int_equal(hits(pair), 2);
    send_one(pair, 1, SAMPLE_advert);
    send_one(pair, 1, SAMPLE_advert);
    assert_int_equal(hits(pair), 2);        /* It has more in its key than a trace holds. */
    assert_int_equal(rig_take(pair->with, 2, NULL), 6);
}

/* More ways than a set has, in as many packets as it takes: some are forgotten, none goes wrong. */
static void
a_full_cache_forgets(void **state)
{
    struct pair *pair = *state;
    struct frame frame;
    uint32_t n = CACHE_SETS * CACHE_WAYS * 2;

    BOTH(.table = 0, .go_to = 1);
    BOTH(.table = 1, .output = { 2 });
    frame_sample(&frame, SAMPLE_tcp);
    for (uint32_t i = 0; i < n; i++) {
        put_be32(frame.data + 6, i);        /* Of the source address. */
        rig_put(pair->with, 1, &frame);
        if (i % BURST == 0) {
            rig_run(pair->with);
            assert_true(rig_take(pair->with, 2, NULL));
        }
    }
    rig_run(pair->with);
    assert_int_equal(pair->with->worker->cache.inserts, n);
    assert_int_equal(pair->with->worker->totals.received, pair->with->worker->totals.sent);
}

/* --- Trials ------------------------------------------------------------------------------------ */

/* Lets vectors of 64 packets pass that take so many cycles a packet on each way; returns how many of
 * them used the cache. */
static unsigned
pass(struct cache *cache, unsigned vectors, unsigned lookups, unsigned tables, unsigned cached)
{
    unsigned used = 0;

    for (unsigned i = 0; i < vectors; i++) {
        bool chosen = cache_chosen(cache);
        used += chosen;
        cache_measure(cache, 64, chosen ? 0 : 64 * lookups, 64 * (chosen ? cached : tables));
    }
    return used;
}

static void
a_cache_that_pays_is_used(void **state)
{
    struct cache cache = { .mode = CACHE_MEASURED };

    (void)state;
    pass(&cache, 10000, 5, 100, 60);
    assert_true(pass(&cache, 20000, 5, 100, 60) > 18000);
}

static void
a_cache_that_costs_is_tried_ever_less(void **state)
{
    struct cache cache = { .mode = CACHE_MEASURED };

    (void)state;
    unsigned first = pass(&cache, 100000, 5, 100, 130), then;
    pass(&cache, 400000, 5, 100, 130);
    then = pass(&cache, 1000000, 5, 100, 130);
    assert_true(first > 0 && first < 20000);
    assert_true(then > 0 && then < 1000000 / 100);
}

static void
one_table_is_left_alone(void **state)
{
    struct cache cache = { .mode = CACHE_MEASURED };

    (void)state;
    assert_int_equal(pass(&cache, 100000, 1, 100, 1), 0);
}

static void
what_stops_paying_is_given_up(void **state)
{
    struct cache cache = { .mode = CACHE_MEASURED };

    (void)state;
    pass(&cache, 10000, 5, 100, 60);
    pass(&cache, 10000, 5, 100, 130);
    assert_true(pass(&cache, 100000, 5, 100, 130) < 20000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_known_way_is_the_same_way, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_change_of_any_table_makes_all_ways_stale, set_up, tear_down),
        cmocka_unit_test_setup_teardown(keys_that_differ_only_in_a_rare_word_have_ways_of_their_own,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_cache_forgets, set_up, tear_down),
        cmocka_unit_test(a_cache_that_pays_is_used),
        cmocka_unit_test(a_cache_that_costs_is_tried_ever_less),
        cmocka_unit_test(one_table_is_left_alone),
        cmocka_unit_test(what_stops_paying_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
