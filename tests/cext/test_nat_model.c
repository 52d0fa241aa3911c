/* NAT against a plain one: lists that are searched from the start, no hash, no bits (P5). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "nat_rig.h"

enum { UDP = IP_PROTO_UDP, HOSTS = 6, PORTS = 4, REMOTES = 3, STEPS = 60000, LIFE_MS = 301000,
       ROOM = 40 };

/* What the plain NAT knows. */
struct plain {
    struct { uint32_t address; uint16_t port, outside; } mappings[ROOM];
    struct { unsigned mapping; uint32_t remote; uint16_t remote_port; uint64_t end_ms; } sessions[ROOM];
    unsigned n_mappings, n_sessions;
};

static void
end_sessions(struct plain *plain, uint64_t now_ms)
{
    for (unsigned i = 0; i < plain->n_sessions; ) {
        unsigned mapping = plain->sessions[i].mapping;
        bool used = false;

        if (plain->sessions[i].end_ms > now_ms) {
            i++;
            continue;
        }
        plain->sessions[i] = plain->sessions[--plain->n_sessions];
        for (unsigned j = 0; j < plain->n_sessions; j++) {
            used |= plain->sessions[j].mapping == mapping;
        }
        if (!used) {
            plain->mappings[mapping] = plain->mappings[--plain->n_mappings];
            for (unsigned j = 0; j < plain->n_sessions; j++) {
                if (plain->sessions[j].mapping == plain->n_mappings) {
                    plain->sessions[j].mapping = mapping;
                }
            }
        }
    }
}

static int
find_inside(const struct plain *plain, uint32_t address, uint16_t port)
{
    for (unsigned i = 0; i < plain->n_mappings; i++) {
        if (plain->mappings[i].address == address && plain->mappings[i].port == port) {
            return (int)i;
        }
    }
    return -1;
}

static int
find_outside(const struct plain *plain, uint16_t port)
{
    for (unsigned i = 0; i < plain->n_mappings; i++) {
        if (plain->mappings[i].outside == port) {
            return (int)i;
        }
    }
    return -1;
}

/* Prolongs or makes a session; false: there is no room. */
static bool
use(struct plain *plain, unsigned mapping, uint32_t remote, uint16_t remote_port, uint64_t now_ms)
{
    unsigned i = 0;

    while (i < plain->n_sessions
           && (plain->sessions[i].mapping != mapping || plain->sessions[i].remote != remote
               || plain->sessions[i].remote_port != remote_port)) {
        i++;
    }
    if (i == ROOM) {
        return false;
    }
    plain->n_sessions += i == plain->n_sessions;
    plain->sessions[i].mapping = mapping;
    plain->sessions[i].remote = remote;
    plain->sessions[i].remote_port = remote_port;
    plain->sessions[i].end_ms = now_ms + LIFE_MS;
    return true;
}

static uint32_t
draw(uint32_t *state)
{
    *state = *state * 1664525 + 1013904223;
    return *state >> 8;
}

static void
step_out(struct nat_rig *rig, struct plain *plain, uint32_t *state)
{
    uint32_t address = INSIDE + draw(state) % HOSTS, remote = REMOTE + draw(state) % REMOTES;
    uint16_t port = (uint16_t)(5000 + draw(state) % PORTS);
    uint16_t remote_port = (uint16_t)(53 + draw(state) % 2);
    bool came = nat_rig_try(rig, NAT_OUT, TUPLE(UDP, address, remote, port, remote_port));
    int mapping = find_inside(plain, address, port);

    if (!came) {
        assert_int_equal(rig->reason, DROP_nat_full);
        assert_int_equal(plain->n_sessions, ROOM);
        return;
    }
    uint16_t outside = read_tuple(rig->p).sport;

    if (mapping < 0) {
        assert_true(find_outside(plain, outside) < 0);
        mapping = (int)plain->n_mappings++;
        plain->mappings[mapping].address = address;
        plain->mappings[mapping].port = port;
        plain->mappings[mapping].outside = outside;
    }
    IS(UDP, OUTSIDE, remote, plain->mappings[mapping].outside, remote_port);
    assert_true(use(plain, (unsigned)mapping, remote, remote_port, rig->worker->now_ms));
}

static void
step_in(struct nat_rig *rig, struct plain *plain, uint32_t *state)
{
    uint32_t remote = REMOTE + draw(state) % REMOTES;
    uint16_t remote_port = (uint16_t)(53 + draw(state) % 2), to = (uint16_t)(5000 + draw(state) % 8);

    if (plain->n_mappings && draw(state) % 4) {
        to = plain->mappings[draw(state) % plain->n_mappings].outside;
    }

    bool came = nat_rig_try(rig, NAT_IN, TUPLE(UDP, remote, OUTSIDE, remote_port, to));
    int mapping = find_outside(plain, to);
    bool good = mapping >= 0
                && use(plain, (unsigned)mapping, remote, remote_port, rig->worker->now_ms);

    assert_int_equal(came, good);
    if (came) {
        IS(UDP, remote, plain->mappings[mapping].address, remote_port, plain->mappings[mapping].port);
    } else {
        assert_int_equal(rig->reason, mapping < 0 ? DROP_nat_no_session : DROP_nat_full);
    }
}

static int
set_up_few(void **state)
{
    *state = nat_rig_open(ROOM);
    return 0;
}

/* Time goes in whole ticks, and sessions are noted at each use: both know the same ones. */
static void
random_packets_fare_as_in_a_plain_nat(void **state)
{
    struct nat_rig *rig = *state;
    struct plain plain = { .n_mappings = 0 };
    uint32_t random = 1;

    rig->worker->now_ms = 4000 * KV_TICK_MS;
    for (unsigned i = 0; i < STEPS; i++) {
        rig->worker->now_ms += KV_TICK_MS * (4 + draw(&random) % (i % 1000 < 900 ? 10 : 200));
        end_sessions(&plain, rig->worker->now_ms);
        nat_tick(rig->nat, rig->worker->now_ms, SIZE_MAX);
        assert_int_equal(counts_of(rig).sessions, plain.n_sessions);
        assert_int_equal(counts_of(rig).mappings, plain.n_mappings);
        (draw(&random) % 2 ? step_out : step_in)(rig, &plain, &random);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(random_packets_fare_as_in_a_plain_nat, set_up_few,
                                        nat_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
