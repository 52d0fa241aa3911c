/* The program of a port changes while packets come: each goes one way, and all arrive (G9, F7, K10). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "threads.h"

enum { N_FRAMES = 20000, WINDOW = 100, EACH = 7, BY_TABLES = 2, BY_TEMPLATE, BY_ADDRESS, THE_ID = 5 };

struct arrivals {
    unsigned n, by[BY_ADDRESS + 1];
    uint8_t seen[N_FRAMES];
};

static void
take_all(struct threads *t, struct arrivals *arrivals)
{
    struct frame f;

    for (unsigned port = BY_TABLES; port <= BY_ADDRESS; port++) {
        while (port_memory_take(&t->ports[port], f.data, sizeof f.data, NULL)) {
            arrivals->seen[get_be32(f.data + ETH_SIZE)]++;
            arrivals->n++;
            arrivals->by[port]++;
        }
    }
}

static void
switch_over(struct attachment *attachment, unsigned turn)
{
    switch (turn % 3) {
    case 0:
        bridge_set_pipeline(attachment, PIPELINE_bridge);
        break;
    case 1:
        bridge_set_template(attachment, THE_ID);
        break;
    default:
        bridge_set_pipeline(attachment, PIPELINE_openflow);
    }
}

static void
every_packet_goes_one_way(void **state)
{
    struct threads *t = threads_new();
    const struct mac_fixed fixed = { TEST_ETH_DST, BY_ADDRESS, 0 };
    struct arrivals arrivals = { 0 };
    struct frame f;

    (void)state;
    assert_int_equal(THREADS_FLOW(.output = { BY_TABLES }), OFWIRE_OK);
    wire_template(&t->f, &(const struct wire_template) { .id = THE_ID, .of = { .output = { BY_TEMPLATE } } });
    assert_int_equal(threads_apply(t), OFWIRE_OK);
    assert_int_equal(mac_fix(&t->bridge->macs, &t->dataplane.epoch, &fixed, 1), 0);
    frame_eth(&f, 0x9999);
    frame_payload(&f, 46);
    for (unsigned i = 0; i < N_FRAMES; i++) {
        put_be32(f.data + ETH_SIZE, i);
        threads_put(t, 1, &f);
        if (i % EACH == 0) {
            switch_over(t->at[1], i / EACH);
        }
        do {
            take_all(t, &arrivals);
        } while (i + 1 - arrivals.n > WINDOW);
    }
    while (arrivals.n < N_FRAMES) {
        take_all(t, &arrivals);
        sched_yield();
    }
    for (unsigned i = 0; i < N_FRAMES; i++) {
        assert_int_equal(arrivals.seen[i], 1);
    }
    for (unsigned way = BY_TABLES; way <= BY_ADDRESS; way++) {
        assert_true(arrivals.by[way] > 0);
    }
    threads_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(every_packet_goes_one_way) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
