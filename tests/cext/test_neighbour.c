/* Neighbours: the states of RFC 4861 (section 7.3.2, appendix C) and their bounds.  P4: adjacency states
 * and the queue of packets that wait. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "neighbour_rig.h"

enum { BOTH = NEIGHBOUR_SOLICITED | NEIGHBOUR_OVERRIDE };

static unsigned
state_of(const struct neighbour_rig *rig, unsigned host)
{
    const struct neighbour *neighbour = rig_find(rig, IP_V4, host);

    assert_non_null(neighbour);
    return neighbour->state;
}

/* The mark of a packet that went out, and to whom. */
static void
assert_sent(struct neighbour_rig *rig, unsigned i, uint64_t mac, uint8_t mark)
{
    const struct frame *frame = rig_sent(rig, i);

    assert_int_equal(frame->len, ETH_SIZE + IPV4_SIZE);
    assert_true(get_be48(frame->data) == mac);
    assert_true(get_be48(frame->data + 6) == RIG_MAC);
    assert_int_equal(get_be16(frame->data + 12), ETH_TYPE_IPV4);
    assert_int_equal(frame->data[frame->len - 1], mark);
}

/* --- RFC 4861, 7.2.2: address resolution ---------------------------------------------------------- */

static void
the_first_packet_asks_and_waits_and_goes_out_with_the_answer(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_send_to(rig, IP_V4, 9, 1);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_INCOMPLETE);
    assert_int_equal(rig->n_sent, 1);
    rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, BOTH);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_REACHABLE);
    assert_int_equal(rig->n_resolved, 1);
    assert_int_equal(rig->n_sent, 2);
    assert_sent(rig, 0, RIG_HOST_MAC, 1);
    rig_send_to(rig, IP_V4, 9, 2);
    assert_sent(rig, 0, RIG_HOST_MAC, 2);
}

static void
it_is_asked_three_times_a_second_apart_and_then_every_waiting_packet_is_refused(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_send_to(rig, IP_V4, 9, 1);
    rig_send_to(rig, IP_V4, 9, 2);
    rig_pass(rig, 990);
    assert_int_equal(rig->n_sent, 1);
    rig_pass(rig, 10);
    assert_int_equal(rig->n_sent, 2);
    rig_pass(rig, 1990);
    assert_int_equal(rig->n_sent, 3);
    assert_int_equal(rig->n_unreachable, 0);
    rig_pass(rig, 10);
    assert_int_equal(rig->n_sent, 3);
    assert_int_equal(rig->n_unreachable, 2);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_FAILED);
    assert_int_equal(rig->neighbours.counters.failed, 1);
}

static void
while_failed_packets_are_refused_at_once_and_then_it_is_forgotten(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_send_to(rig, IP_V4, 9, 1);
    rig_pass(rig, 3000);
    rig_send_to(rig, IP_V4, 9, 7);
    assert_int_equal(rig->refused, 7);
    assert_int_equal(rig->n_sent, 3);
    rig_pass(rig, neighbour_defaults.failed_ms);
    assert_null(rig_find(rig, IP_V4, 9));
    assert_int_equal(rig->n_removed, 1);
}

static void
a_failed_one_that_is_held_stays_and_is_asked_again_when_a_packet_comes(void **state)
{
    struct neighbour_rig *rig = *state;
    struct neighbour *neighbour = rig_get(rig, IP_V4, 9);

    neighbour_hold(neighbour);
    rig_send_to(rig, IP_V4, 9, 1);
    rig_pass(rig, 20000);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_FAILED);
    rig_send_to(rig, IP_V4, 9, 1);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_INCOMPLETE);
    assert_int_equal(rig->n_sent, 4);
    rig_pass(rig, 20000);
    neighbour_release(&rig->neighbours, neighbour, rig->now);
    rig_pass(rig, neighbour_defaults.failed_ms);
    assert_null(rig_find(rig, IP_V4, 9));
}

static void
one_that_nobody_asked_for_is_forgotten_without_a_question(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_get(rig, IP_V6, 9);
    rig_pass(rig, neighbour_defaults.failed_ms);
    assert_null(rig_find(rig, IP_V6, 9));
    assert_int_equal(rig->n_sent, 0);
}

static void
it_can_be_asked_for_without_a_packet(void **state)
{
    struct neighbour_rig *rig = *state;
    struct neighbour *neighbour = rig_get(rig, IP_V6, 9);

    neighbour_resolve(&rig->neighbours, neighbour, rig->now);
    neighbour_resolve(&rig->neighbours, neighbour, rig->now);
    assert_int_equal(rig->n_sent, 1);
    rig_answer(rig, IP_V6, 9, RIG_HOST_MAC, BOTH);
    assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
}

static void
an_interface_without_an_address_asks_nobody_and_the_neighbour_fails(void **state)
{
    struct neighbour_rig *rig = *state;

    rig->has_addresses = false;
    rig_send_to(rig, IP_V4, 9, 1);
    rig_pass(rig, 3000);
    assert_int_equal(rig->n_sent, 0);
    assert_int_equal(rig->neighbours.counters.solicits, 0);
    assert_int_equal(rig->n_unreachable, 1);
}

/* --- RFC 4861, 7.2.2: "the queue MUST hold at least one packet" ------------------------------------- */

static void
of_the_packets_that_wait_the_oldest_is_dropped_and_counted(void **state)
{
    struct neighbour_rig *rig = *state;

    for (uint8_t mark = 1; mark <= 5; mark++) {
        rig_send_to(rig, IP_V4, 9, mark);
    }
    assert_int_equal(rig->neighbours.counters.dropped, 2);
    rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, BOTH);
    assert_int_equal(rig->n_sent, 4);
    assert_sent(rig, 2, RIG_HOST_MAC, 3);
    assert_sent(rig, 1, RIG_HOST_MAC, 4);
    assert_sent(rig, 0, RIG_HOST_MAC, 5);
}

static void
packets_that_wait_are_bounded_in_all(void **state)
{
    struct neighbour_config config = neighbour_defaults;
    struct neighbour_rig *rig = *state;

    rig_close(rig);
    config.max_waiting = 2;
    *state = rig = rig_open(&config);
    rig_send_to(rig, IP_V4, 9, 1);
    rig_send_to(rig, IP_V4, 10, 2);
    rig_send_to(rig, IP_V4, 11, 3);     /* Has none that could give way. */
    rig_send_to(rig, IP_V4, 10, 4);
    assert_int_equal(rig->neighbours.n_waiting, 2);
    assert_int_equal(rig->neighbours.counters.dropped, 2);
    rig_answer(rig, IP_V4, 10, RIG_HOST_MAC, BOTH);
    assert_sent(rig, 0, RIG_HOST_MAC, 4);
    rig_answer(rig, IP_V4, 11, RIG_HOST_MAC, BOTH);
    assert_sent(rig, 0, RIG_HOST_MAC, 4);
}

/* --- RFC 4861, 7.3: unreachability ------------------------------------------------------------------ */

static void
reachable_lasts_half_to_one_and_a_half_of_the_base_time(void **state)
{
    struct neighbour_rig *rig = *state;
    uint64_t least = UINT64_MAX, most = 0, base = neighbour_defaults.reachable_ms;

    for (unsigned i = 0; i < 40; i++) {
        uint64_t begin = rig->now;

        rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
        rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, BOTH);
        while (state_of(rig, 9) == NEIGHBOUR_REACHABLE) {
            rig_pass(rig, 10);
        }
        assert_int_equal(state_of(rig, 9), NEIGHBOUR_STALE);
        least = rig->now - begin < least ? rig->now - begin : least;
        most = rig->now - begin > most ? rig->now - begin : most;
    }
    assert_in_range(least, base / 2, base);
    assert_in_range(most, base, base + base / 2 + 10);
}

static void
a_stale_one_that_is_sent_to_is_asked_after_the_delay_itself(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    rig_send_to(rig, IP_V4, 9, 1);
    assert_sent(rig, 0, RIG_HOST_MAC, 1);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_DELAY);
    rig_pass(rig, neighbour_defaults.delay_ms);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_PROBE);
    assert_int_equal(rig->n_sent, 2);
    assert_true(get_be48(rig_sent(rig, 0)->data) == RIG_HOST_MAC);
    rig_answer(rig, IP_V4, 9, 0, NEIGHBOUR_SOLICITED);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_REACHABLE);
    assert_int_equal(rig->n_resolved, 1);       /* Its address is no news. */
}

static void
a_stale_one_that_workers_send_to_is_found_out(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    rig_pass(rig, 2 * neighbour_defaults.delay_ms);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_STALE);
    rig->used_ms[9] = rig->now;
    rig_pass(rig, neighbour_defaults.delay_ms);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_DELAY);
}

static void
a_stale_one_that_nobody_uses_is_forgotten_but_not_while_it_is_held(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    rig_hear(rig, IP_V4, 10, RIG_HOST_MAC);
    neighbour_hold(rig_find(rig, IP_V4, 10));
    rig_pass(rig, neighbour_defaults.stale_ms);
    assert_null(rig_find(rig, IP_V4, 9));
    assert_int_equal(state_of(rig, 10), NEIGHBOUR_STALE);
    assert_int_equal(rig->n_sent, 0);
    neighbour_release(&rig->neighbours, rig_find(rig, IP_V4, 10), rig->now);
    rig_pass(rig, neighbour_defaults.delay_ms);
    assert_null(rig_find(rig, IP_V4, 10));
}

/* RFC 7048, section 3 */
static void
one_that_does_not_answer_itself_is_lost_and_asked_for_by_all(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    rig_send_to(rig, IP_V4, 9, 1);
    rig_pass(rig, neighbour_defaults.delay_ms + 2990);
    assert_int_equal(rig->n_sent, 1 + 3);
    assert_int_equal(rig->n_lost, 0);
    rig_pass(rig, 10);
    assert_int_equal(rig->n_lost, 1);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_INCOMPLETE);
    assert_true(get_be48(rig_sent(rig, 0)->data) == UINT64_C(0xffffffffffff));
    rig_send_to(rig, IP_V4, 9, 2);
    rig_answer(rig, IP_V4, 9, RIG_OTHER_MAC, BOTH);
    assert_int_equal(rig->n_resolved, 2);
    assert_sent(rig, 0, RIG_OTHER_MAC, 2);
}

/* --- RFC 4861, 7.2.5 and appendix C: what an answer does ---------------------------------------------- */

/* From a state, an answer with flags and the same, another or no MAC address: state, and whether the new address
 * is taken. */
struct answer {
    uint8_t from, flags;
    uint64_t mac;
    uint8_t to;
    bool taken;
};

static void
bring_to(struct neighbour_rig *rig, unsigned state)
{
    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    if (state == NEIGHBOUR_REACHABLE) {
        rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, BOTH);
    } else if (state != NEIGHBOUR_STALE) {
        rig_send_to(rig, IP_V4, 9, 1);
        rig_pass(rig, state == NEIGHBOUR_PROBE ? neighbour_defaults.delay_ms : 0);
    }
    assert_int_equal(state_of(rig, 9), state);
}

static void
an_answer_does_what_the_table_of_the_rfc_says(void **state)
{
    enum {
        R = NEIGHBOUR_REACHABLE, S = NEIGHBOUR_STALE, D = NEIGHBOUR_DELAY, P = NEIGHBOUR_PROBE,
        O = NEIGHBOUR_OVERRIDE, A = NEIGHBOUR_SOLICITED,
    };
    static const struct answer answers[] = {
        { R, A, RIG_HOST_MAC, R, false },  { R, A, RIG_OTHER_MAC, S, false },
        { S, A, RIG_OTHER_MAC, S, false }, { D, A, RIG_OTHER_MAC, D, false },
        { P, A, RIG_OTHER_MAC, P, false }, { R, A | O, RIG_OTHER_MAC, R, true },
        { S, A | O, RIG_OTHER_MAC, R, true }, { P, A | O, RIG_HOST_MAC, R, false },
        { P, A | O, RIG_OTHER_MAC, R, true }, { D, A, RIG_HOST_MAC, R, false },
        { S, A, RIG_HOST_MAC, R, false },  { R, 0, RIG_HOST_MAC, R, false },
        { P, 0, RIG_HOST_MAC, P, false },  { R, 0, RIG_OTHER_MAC, S, false },
        { P, 0, RIG_OTHER_MAC, P, false }, { R, O, RIG_HOST_MAC, R, false },
        { P, O, RIG_HOST_MAC, P, false },  { R, O, RIG_OTHER_MAC, S, true },
        { D, O, RIG_OTHER_MAC, S, true },  { P, O, RIG_OTHER_MAC, S, true },
        { S, O, RIG_OTHER_MAC, S, true },  { P, A, 0, R, false },
        { P, O, 0, P, false },             { R, 0, 0, R, false },
    };

    for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++) {
        struct neighbour_rig *rig = rig_open(&neighbour_defaults);
        const struct answer *answer = &answers[i];

        bring_to(rig, answer->from);
        rig_answer(rig, IP_V4, 9, answer->mac, answer->flags);
        assert_int_equal(state_of(rig, 9), answer->to);
        assert_true(rig_find(rig, IP_V4, 9)->mac == (answer->taken ? RIG_OTHER_MAC : RIG_HOST_MAC));
        assert_int_equal(rig->n_resolved, answer->taken ? 2 : 1);
        rig_close(rig);
    }
    (void)state;
}

static void
an_answer_of_somebody_unknown_makes_no_neighbour(void **state)
{
    rig_answer(*state, IP_V4, 9, RIG_HOST_MAC, BOTH);
    assert_null(rig_find(*state, IP_V4, 9));
}

static void
an_answer_without_an_address_does_not_help_who_waits_for_one(void **state)
{
    rig_send_to(*state, IP_V6, 9, 1);
    rig_answer(*state, IP_V6, 9, 0, BOTH);
    assert_int_equal(rig_find(*state, IP_V6, 9)->state, NEIGHBOUR_INCOMPLETE);
}

static void
an_unasked_answer_leaves_it_stale(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_send_to(rig, IP_V4, 9, 1);
    rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, 0);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_STALE);
    assert_sent(rig, 0, RIG_HOST_MAC, 1);
}

/* --- RFC 4861, 7.2.3: what is heard ------------------------------------------------------------------- */

static void
who_is_heard_is_stale_and_another_address_is_taken(void **state)
{
    struct neighbour_rig *rig = *state;

    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_STALE);
    rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, BOTH);
    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_REACHABLE);
    rig_hear(rig, IP_V4, 9, RIG_OTHER_MAC);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_STALE);
    assert_int_equal(rig->n_resolved, 2);
}

static void
who_is_not_of_the_link_is_not_made_a_neighbour_by_what_he_says(void **state)
{
    struct neighbour_rig *rig = *state;
    struct ip_address address = ip_from_v4(0x08080808);

    neighbour_heard(&rig->neighbours, &rig->link, IP_V4, &address, RIG_HOST_MAC, rig->now);
    assert_int_equal(rig->neighbours.n, 0);
}

/* --- The operator's ---------------------------------------------------------------------------------- */

static void
a_permanent_one_is_changed_by_nothing_that_is_heard(void **state)
{
    struct neighbour_rig *rig = *state;
    struct ip_address address = rig_v4(9);

    rig_send_to(rig, IP_V4, 9, 1);
    neighbour_set(&rig->neighbours, &rig->link, IP_V4, &address, RIG_HOST_MAC, rig->now);
    assert_sent(rig, 0, RIG_HOST_MAC, 1);
    rig_answer(rig, IP_V4, 9, RIG_OTHER_MAC, BOTH);
    rig_hear(rig, IP_V4, 9, RIG_OTHER_MAC);
    rig_pass(rig, 100000);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_PERMANENT);
    assert_true(rig_find(rig, IP_V4, 9)->mac == RIG_HOST_MAC);
    neighbour_flush(&rig->neighbours, &rig->link, false, rig->now);
    assert_int_equal(rig->neighbours.n, 1);
    neighbour_flush(&rig->neighbours, &rig->link, true, rig->now);
    assert_int_equal(rig->neighbours.n, 0);
}

static void
one_that_is_held_is_incomplete_after_it_was_removed(void **state)
{
    struct neighbour_rig *rig = *state;
    struct neighbour *neighbour = rig_get(rig, IP_V4, 9);

    neighbour_hold(neighbour);
    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    neighbour_flush(&rig->neighbours, &rig->link, true, rig->now);
    assert_int_equal(state_of(rig, 9), NEIGHBOUR_INCOMPLETE);
    assert_int_equal(rig->n_lost, 1);
    rig_send_to(rig, IP_V4, 9, 1);
    assert_int_equal(rig->n_sent, 1);
    rig_answer(rig, IP_V4, 9, RIG_HOST_MAC, BOTH);
    assert_int_equal(rig->n_resolved, 2);
}

/* --- Bounds (RFC 6583) -------------------------------------------------------------------------------- */

static struct neighbour_rig *
open_small(void **state, uint32_t max)
{
    struct neighbour_config config = neighbour_defaults;

    rig_close(*state);
    config.max_on_link = max;
    config.solicits = (struct bucket_rate) { .per_second = 10, .burst = 5 };
    return *state = rig_open(&config);
}

static void
on_a_full_link_the_oldest_that_nobody_answers_for_gives_way(void **state)
{
    struct neighbour_rig *rig = open_small(state, 4);

    rig_hear(rig, IP_V4, 20, RIG_HOST_MAC);
    for (unsigned host = 30; host < 36; host++) {
        rig_send_to(rig, IP_V4, host, 1);
    }
    assert_int_equal(rig->link.n, 4);
    assert_int_equal(rig->neighbours.counters.evicted, 3);
    assert_non_null(rig_find(rig, IP_V4, 20));
    assert_null(rig_find(rig, IP_V4, 32));
    assert_non_null(rig_find(rig, IP_V4, 33));
}

static void
then_a_stale_one_that_is_not_in_use_and_else_nobody(void **state)
{
    struct neighbour_rig *rig = open_small(state, 3);

    for (unsigned host = 20; host < 23; host++) {
        rig_hear(rig, IP_V4, host, RIG_HOST_MAC);
    }
    rig_answer(rig, IP_V4, 20, RIG_HOST_MAC, BOTH);
    rig->used_ms[21] = rig->now + 1;
    rig_hear(rig, IP_V4, 23, RIG_HOST_MAC);
    assert_null(rig_find(rig, IP_V4, 22));
    rig_answer(rig, IP_V4, 23, RIG_HOST_MAC, BOTH);
    assert_null(rig_get(rig, IP_V4, 24));
    assert_int_equal(rig->neighbours.counters.refused, 1);
    assert_int_equal(rig->link.n, 3);
}

static void
held_ones_stay_however_full_it_is(void **state)
{
    struct neighbour_rig *rig = open_small(state, 12);

    for (unsigned host = 20; host < 31; host++) {
        neighbour_hold(rig_get(rig, IP_V4, host));
    }
    rig_get(rig, IP_V4, 31);
    for (unsigned host = 40; host < 60; host++) {
        rig_get(rig, IP_V4, host);
    }
    for (unsigned host = 20; host < 31; host++) {
        assert_non_null(rig_find(rig, IP_V4, host));
    }
    assert_null(rig_find(rig, IP_V4, 31));
    assert_int_equal(rig->link.n, 12);
}

static void
questions_for_unknown_neighbours_are_limited_and_none_starves(void **state)
{
    struct neighbour_rig *rig = open_small(state, 100);

    for (unsigned host = 30; host < 50; host++) {
        rig_send_to(rig, IP_V4, host, 1);
    }
    assert_int_equal(rig->n_sent, 5);
    assert_int_equal(rig->neighbours.counters.suppressed, 15);
    rig_pass(rig, 2000);
    assert_in_range(rig->n_sent, 20, 26);
    rig_pass(rig, 20000);
    assert_int_equal(rig->n_unreachable, 20);
}

/* RFC 6583, section 7.1: who is known is asked first. */
static void
questions_to_known_neighbours_are_not_limited(void **state)
{
    struct neighbour_rig *rig = open_small(state, 100);
    unsigned before;

    rig_hear(rig, IP_V4, 9, RIG_HOST_MAC);
    rig_send_to(rig, IP_V4, 9, 1);
    rig_pass(rig, neighbour_defaults.delay_ms - 10);
    for (unsigned host = 30; host < 50; host++) {
        rig_send_to(rig, IP_V4, host, 1);
    }
    before = rig->n_sent;
    rig_pass(rig, 10);
    assert_int_equal(rig->n_sent, before + 1);
    assert_true(get_be48(rig_sent(rig, 0)->data) == RIG_HOST_MAC);
}

static void
visits_go_on_where_they_ended_while_others_come_and_go(void **state)
{
    struct neighbour_rig *rig = *state;
    unsigned visits[256] = { 0 };
    struct neighbour *neighbour;
    uint32_t cursor = 0;

    for (unsigned host = 1; host <= 60; host++) {
        rig_get(rig, IP_V4, host);
    }
    for (unsigned i = 0; (neighbour = neighbour_next(&rig->neighbours, &cursor)); i++) {
        visits[neighbour->address.word[1] & 0xff]++;
        if (i == 30) {                  /* The table grows meanwhile, and one not visited yet goes. */
            for (unsigned host = 100; host < 200; host++) {
                rig_get(rig, IP_V4, host);
            }
            neighbour_remove(&rig->neighbours, rig_find(rig, IP_V4, 50), rig->now);
        }
    }
    for (unsigned host = 1; host < 256; host++) {
        assert_in_range(visits[host], host <= 60 && host != 50, 1);
    }
    assert_int_equal(visits[50], 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(the_first_packet_asks_and_waits_and_goes_out_with_the_answer),
        RIG_TEST(it_is_asked_three_times_a_second_apart_and_then_every_waiting_packet_is_refused),
        RIG_TEST(while_failed_packets_are_refused_at_once_and_then_it_is_forgotten),
        RIG_TEST(a_failed_one_that_is_held_stays_and_is_asked_again_when_a_packet_comes),
        RIG_TEST(one_that_nobody_asked_for_is_forgotten_without_a_question),
        RIG_TEST(it_can_be_asked_for_without_a_packet),
        RIG_TEST(an_interface_without_an_address_asks_nobody_and_the_neighbour_fails),
        RIG_TEST(of_the_packets_that_wait_the_oldest_is_dropped_and_counted),
        RIG_TEST(packets_that_wait_are_bounded_in_all),
        RIG_TEST(reachable_lasts_half_to_one_and_a_half_of_the_base_time),
        RIG_TEST(a_stale_one_that_is_sent_to_is_asked_after_the_delay_itself),
        RIG_TEST(a_stale_one_that_workers_send_to_is_found_out),
        RIG_TEST(a_stale_one_that_nobody_uses_is_forgotten_but_not_while_it_is_held),
        RIG_TEST(one_that_does_not_answer_itself_is_lost_and_asked_for_by_all),
        RIG_TEST(an_answer_does_what_the_table_of_the_rfc_says),
        RIG_TEST(an_answer_of_somebody_unknown_makes_no_neighbour),
        RIG_TEST(an_answer_without_an_address_does_not_help_who_waits_for_one),
        RIG_TEST(an_unasked_answer_leaves_it_stale),
        RIG_TEST(who_is_heard_is_stale_and_another_address_is_taken),
        RIG_TEST(who_is_not_of_the_link_is_not_made_a_neighbour_by_what_he_says),
        RIG_TEST(a_permanent_one_is_changed_by_nothing_that_is_heard),
        RIG_TEST(one_that_is_held_is_incomplete_after_it_was_removed),
        RIG_TEST(on_a_full_link_the_oldest_that_nobody_answers_for_gives_way),
        RIG_TEST(then_a_stale_one_that_is_not_in_use_and_else_nobody),
        RIG_TEST(held_ones_stay_however_full_it_is),
        RIG_TEST(questions_for_unknown_neighbours_are_limited_and_none_starves),
        RIG_TEST(questions_to_known_neighbours_are_not_limited),
        RIG_TEST(visits_go_on_where_they_ended_while_others_come_and_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
