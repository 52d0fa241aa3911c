/* ECMP (P4, M19): shares follow weights, and a change moves no flow that it need not move. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <math.h>
#include <string.h>
#include <cmocka.h>

#include "ecmp.h"
#include "routes.h"

enum { ROUNDS = 500, MOST = 40 };

struct group {
    uint64_t random;
    uint32_t next_id;
    unsigned n_members, n;
    struct ecmp_member members[MOST];
    uint32_t buckets[ECMP_MAX_BUCKETS];
};

static unsigned
count(const struct group *group, uint32_t id)
{
    unsigned n = 0;

    for (unsigned i = 0; i < group->n; i++) {
        n += group->buckets[i] == id;
    }
    return n;
}

static void
draw_member(struct group *group, struct ecmp_member *member)
{
    *member = (struct ecmp_member) { ++group->next_id, 1 + draw(&group->random, 20) };
}

static struct group
draw_group(unsigned seed, unsigned n_members)
{
    struct group group = { .random = seed, .n_members = n_members };

    for (unsigned i = 0; i < n_members; i++) {
        draw_member(&group, &group.members[i]);
    }
    group.n = ecmp_buckets(group.members, n_members);
    assert_int_equal(ecmp_fill(group.buckets, group.n, NULL, 0, group.members, n_members), group.n);
    return group;
}

/* Fills anew from what was; returns how many buckets changed, as counted here. */
static unsigned
refill(struct group *group, unsigned n)
{
    uint32_t before[ECMP_MAX_BUCKETS];
    const unsigned n_before = group->n;
    unsigned changed = 0;

    memcpy(before, group->buckets, sizeof before);
    group->n = n;
    unsigned said = ecmp_fill(group->buckets, n, before, n_before, group->members, group->n_members);
    for (unsigned i = 0; i < n; i++) {
        changed += group->buckets[i] != before[i % n_before];
    }
    assert_int_equal(said, changed);
    return changed;
}

static void
test_each_member_has_its_share(void **state)
{
    (void) state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        const struct group group = draw_group(seed, 1 + seed % MOST);
        double low = 0, high = 1e9, sum = 0;
        unsigned total = 0;
        for (unsigned i = 0; i < group.n_members; i++) {
            const double n = count(&group, group.members[i].id), weight = group.members[i].weight;
            assert_true(n >= 1);
            low = fmax(low, weight / sqrt(n * (n + 1)));
            high = fmin(high, n > 1 ? weight / sqrt(n * (n - 1)) : high);
            sum += weight;
            total += (unsigned) n;
        }
        assert_int_equal(total, group.n);
        assert_true(low <= high * (1 + 1e-9));          /* There is an x that does for all. */
        for (unsigned i = 0; group.n < ECMP_MAX_BUCKETS && i < group.n_members; i++) {
            const double fair = group.n * group.members[i].weight / sum;
            assert_true(fabs(count(&group, group.members[i].id) - fair) <= fair / ECMP_FINENESS);
        }
    }
}

static void
test_equal_members_differ_by_one_at_most(void **state)
{
    (void) state;
    for (unsigned n = 1; n <= MOST; n++) {
        struct group group = { .n_members = n };
        for (unsigned i = 0; i < n; i++) {
            group.members[i].id = 1 + i;                /* Weight 0 counts as 1. */
        }
        group.n = ecmp_buckets(group.members, n);
        ecmp_fill(group.buckets, group.n, NULL, 0, group.members, n);
        for (unsigned i = 0; i < n; i++) {
            unsigned share = count(&group, 1 + i);
            assert_true(share == group.n / n || share == group.n / n + 1);
        }
    }
}

/* What is left when one goes keeps all that it had. */
static void
test_only_the_buckets_of_one_that_goes_are_given_away(void **state)
{
    (void) state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        struct group group = draw_group(seed, 2 + seed % (MOST - 1));
        const unsigned goes = draw(&group.random, group.n_members);
        const struct ecmp_member gone = group.members[goes];
        const unsigned had = count(&group, gone.id);
        memmove(&group.members[goes], &group.members[goes + 1],
                (--group.n_members - goes) * sizeof group.members[0]);
        assert_int_equal(refill(&group, group.n), had);
        assert_int_equal(count(&group, gone.id), 0);
    }
}

/* One that comes takes its share, and nobody else gets anything; put anywhere in the list. */
static void
test_one_that_comes_takes_its_share_and_no_other_bucket_changes(void **state)
{
    (void) state;
    for (unsigned seed = 1; seed <= ROUNDS; seed++) {
        struct group group = draw_group(seed, 1 + seed % (MOST - 1));
        const unsigned at = draw(&group.random, group.n_members + 1);
        memmove(&group.members[at + 1], &group.members[at],
                (group.n_members++ - at) * sizeof group.members[0]);
        draw_member(&group, &group.members[at]);
        unsigned changed = refill(&group, group.n);
        assert_int_equal(changed, count(&group, group.members[at].id));
        assert_true(changed >= 1);
    }
}

static void
test_it_goes_and_comes_back_for_a_long_time_without_drift(void **state)
{
    struct group group = draw_group(7, 5);

    (void) state;
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct ecmp_member gone = group.members[--group.n_members];
        refill(&group, group.n);
        group.members[group.n_members++] = gone;
        refill(&group, group.n);
    }
    const struct group fresh = draw_group(7, 5);
    for (unsigned i = 0; i < group.n_members; i++) {
        assert_int_equal(count(&group, group.members[i].id), count(&fresh, group.members[i].id));
    }
    assert_int_equal(refill(&group, group.n), 0);
}

/* A flow's bucket is its hash modulo the number: twice as many leave each where it was. */
static void
test_more_buckets_move_no_flow_that_keeps_its_share(void **state)
{
    struct group group = draw_group(3, 3);
    const unsigned n = group.n;
    unsigned moved = 0;

    (void) state;
    for (unsigned i = 0; i < 3; i++) {
        moved += refill(&group, group.n * 2);
    }
    assert_int_equal(group.n, n * 8);
    assert_true(moved < group.n / 4);                   /* What the coarser shares were wrong by. */
}

static void
test_without_members_no_bucket_leads_anywhere(void **state)
{
    struct group group = draw_group(3, 3);

    (void) state;
    group.n_members = 0;
    assert_int_equal(refill(&group, group.n), group.n);
    assert_int_equal(count(&group, 0), group.n);
    draw_member(&group, &group.members[group.n_members++]);
    assert_int_equal(refill(&group, group.n), group.n);
    assert_int_equal(ecmp_buckets(group.members, 0), ECMP_MIN_BUCKETS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_member_has_its_share),
        cmocka_unit_test(test_equal_members_differ_by_one_at_most),
        cmocka_unit_test(test_only_the_buckets_of_one_that_goes_are_given_away),
        cmocka_unit_test(test_one_that_comes_takes_its_share_and_no_other_bucket_changes),
        cmocka_unit_test(test_it_goes_and_comes_back_for_a_long_time_without_drift),
        cmocka_unit_test(test_more_buckets_move_no_flow_that_keeps_its_share),
        cmocka_unit_test(test_without_members_no_bucket_leads_anywhere),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
