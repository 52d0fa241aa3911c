/* prune.c: no member that can match is left out, and few that cannot are left in. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "flows.h"
#include "prune.h"

enum { N_MEMBERS = PRUNE_MEMBERS + 3, N_FLOWS = 600, N_LOOKUPS = 4000 };

struct member {
    struct flow_key bits;
    struct flow_mask mask;
    int bit;
    unsigned n;
    struct flow *flows[N_FLOWS];
};

static struct flow *
make(const struct flow_mask *mask, const struct flow_key *key)
{
    struct flow *flow = flow_new(mask, key, NULL, 0);

    assert_non_null(flow);
    return flow;
}

/* An address mask: a prefix of any length, none, or no prefix at all. */
static uint64_t
draw_address_mask(struct random *random)
{
    uint32_t length = draw(random, 35);

    return length > 33 ? 0x00ff00ff : length == 33 || !length ? 0 : UINT32_MAX << (32 - length);
}

static void
draw_member(struct random *random, struct member *member)
{
    memset(member, 0, sizeof *member);
    member->bits.word[W_IPV4] = draw_address_mask(random) << 32 | draw_address_mask(random);
    if (!draw(random, 4)) {
        member->bits.word[W_IPV6_DST] = UINT64_MAX << draw(random, 64);
    }
    if (!draw(random, 3)) {
        member->bits.word[W_L4] = UINT64_MAX;
    }
    flow_mask_from(&member->mask, &member->bits);
}

static bool
can_match(const struct member *member, const struct flow_key *key)
{
    for (unsigned i = 0; i < member->n; i++) {
        struct flow_key want, mask;
        flow_match(member->flows[i], &want, &mask);
        if (key_matches(&want, &mask, key)) {
            return true;
        }
    }
    return false;
}

static void
add(struct prune *prune, struct random *random, struct member *member)
{
    struct flow_key key;

    draw_key(random, &key, 50);
    member->flows[member->n] = make(&member->mask, &key);
    assert_int_equal(prune_add(prune, member->bit, member->flows[member->n++]), 0);
}

static void
drop(struct prune *prune, struct random *random, struct member *member)
{
    unsigned i = draw(random, member->n);

    prune_remove(prune, member->bit, member->flows[i]);
    flow_free(member->flows[i]);
    member->flows[i] = member->flows[--member->n];
}

/* A key that one of the flows matches, or none. */
static void
draw_packet(struct random *random, const struct member *members, struct flow_key *key)
{
    const struct member *member = &members[draw(random, N_MEMBERS)];

    draw_key(random, key, 50);
    if (member->n) {
        struct flow_key want, mask;
        flow_match(member->flows[draw(random, member->n)], &want, &mask);
        for (unsigned i = 0; i < N_KEY_WORDS; i++) {
            key->word[i] = (key->word[i] & ~mask.word[i]) | want.word[i];
        }
    }
}

static void
check_lookups(struct prune *prune, struct random *random, const struct member *members)
{
    for (unsigned i = 0; i < N_LOOKUPS; i++) {
        struct flow_key key;
        draw_packet(random, members, &key);
        uint64_t candidates = prune_candidates(prune, &key);
        for (unsigned j = 0; j < N_MEMBERS; j++) {
            bool candidate = members[j].bit < 0 || candidates >> members[j].bit & 1;
            assert_true(candidate || !can_match(&members[j], &key));
        }
    }
}

static void
test_no_member_that_can_match_is_left_out(void **state)
{
    struct random random = { 1 };
    struct prune prune = { 0 };
    struct member *members = calloc(N_MEMBERS, sizeof *members);
    unsigned without = 0;

    (void)state;
    for (unsigned i = 0; i < N_MEMBERS; i++) {
        draw_member(&random, &members[i]);
        members[i].bit = prune_join(&prune, &members[i].mask);
        without += members[i].bit < 0;
    }
    assert_int_equal(without, N_MEMBERS - PRUNE_MEMBERS);
    for (unsigned step = 0; step < 5000; step++) {
        struct member *member = &members[draw(&random, N_MEMBERS)];
        if (member->n < N_FLOWS && draw(&random, 3)) {
            add(&prune, &random, member);
        } else if (member->n) {
            drop(&prune, &random, member);
        }
    }
    check_lookups(&prune, &random, members);
    for (unsigned i = 0; i < N_MEMBERS; i++) {
        while (members[i].n) {
            drop(&prune, &random, &members[i]);
        }
        prune_leave(&prune, members[i].bit);
    }
    assert_int_equal(atomic_load(&prune.members), 0);
    for (unsigned part = 0; part < N_PRUNE_PARTS; part++) {
        for (unsigned i = 0; atomic_load(&prune.sets[part]) && i < PRUNE_SETS; i++) {
            assert_int_equal(atomic_load(&atomic_load(&prune.sets[part])[i]), 0);
        }
    }
    prune_close(&prune);
    free(members);
}

static void
test_addresses_of_other_networks_leave_nothing(void **state)
{
    struct prune prune = { 0 };
    struct flow_key bits = { .word[W_IPV4] = 0xffff0000ff000000 };
    struct flow_key key = { .word[W_IPV4] = 0x0a0100000b000000 };
    struct flow_mask mask;

    (void)state;
    flow_mask_from(&mask, &bits);
    int member = prune_join(&prune, &mask);
    struct flow *flow = make(&mask, &key);
    assert_int_equal(prune_add(&prune, member, flow), 0);
    assert_int_equal(prune_candidates(&prune, &key), 1);
    key.word[W_IPV4] = 0x0a0200000b000000;
    assert_int_equal(prune_candidates(&prune, &key), 0);
    key.word[W_IPV4] = 0x0a0112340bffffff;
    assert_int_equal(prune_candidates(&prune, &key), 1);
    prune_remove(&prune, member, flow);
    assert_int_equal(prune_candidates(&prune, &key), 0);
    flow_free(flow);
    prune_close(&prune);
}

/* Each of all prefixes, twice: the member is in a set until the second one has gone. */
static void
test_a_member_with_every_prefix_leaves_with_the_last_one(void **state)
{
    struct prune prune = { 0 };
    struct flow_key bits = { .word[W_IPV4] = UINT64_C(0xffff) << 48 }, key = { .word[0] = 0 };
    struct flow **flows = calloc(PRUNE_SETS, sizeof(struct flow *));
    struct flow_mask mask;

    (void)state;
    flow_mask_from(&mask, &bits);
    int member = prune_join(&prune, &mask);
    for (uint64_t i = 0; i < PRUNE_SETS; i++) {
        key.word[W_IPV4] = i << 48;
        flows[i] = make(&mask, &key);
        assert_int_equal(prune_candidates(&prune, &key), 0);
        assert_int_equal(prune_add(&prune, member, flows[i]), 0);
        assert_int_equal(prune_add(&prune, member, flows[i]), 0);
        assert_int_equal(prune_candidates(&prune, &key), 1);
    }
    for (uint64_t i = 0; i < PRUNE_SETS; i++) {
        key.word[W_IPV4] = i << 48;
        prune_remove(&prune, member, flows[i]);
        assert_int_equal(prune_candidates(&prune, &key), 1);
        prune_remove(&prune, member, flows[i]);
        assert_int_equal(prune_candidates(&prune, &key), 0);
        flow_free(flows[i]);
    }
    prune_leave(&prune, member);
    prune_close(&prune);
    free(flows);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_member_that_can_match_is_left_out),
        cmocka_unit_test(test_addresses_of_other_networks_leave_nothing),
        cmocka_unit_test(test_a_member_with_every_prefix_leaves_with_the_last_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
