/* Templates under ThreadSanitizer: a worker forwards by entries of a template while the control thread
 * changes it.  Versions write one number into two places of a packet, at once or in an action set, and the
 * entry's own action stands between them: no packet shows two numbers (P6). */

#include "flows.h"
#include "threads.h"

enum { N_STEPS = 20000, N_ENTRIES = 8, N_NUMBERS = 251, IN = 1, COPY = 2, OUT = 3, THE_ID = 1 };

/* Puts frames in and takes them out. */
struct traffic {
    struct threads *t;
    _Atomic bool done;
    pthread_t thread;
    uint64_t n_taken, n_seen[N_NUMBERS];
};

static void
take(struct traffic *traffic)
{
    struct frame out;
    size_t len;

    while ((len = port_memory_take(&traffic->t->ports[OUT], out.data, sizeof out.data, NULL))) {
        CHECK(len >= 12 && out.data[5] < N_NUMBERS);
        CHECK(!memcmp(out.data, out.data + 6, 6));
        traffic->n_seen[out.data[5]]++;
        traffic->n_taken++;
    }
    while (port_memory_take(&traffic->t->ports[COPY], out.data, sizeof out.data, NULL)) {
        continue;
    }
}

static void *
make_traffic(void *traffic_)
{
    struct traffic *traffic = traffic_;
    struct frame frame;

    for (unsigned i = 0; !atomic_load(&traffic->done); i++) {
        frame_eth(&frame, ETH_TYPE_IPV4);
        frame.data[5] = (uint8_t)(i % N_ENTRIES);
        frame_ipv4(&frame, IP_PROTO_UDP, 0, 0);
        frame_udp(&frame, 20);
        frame_end(&frame);
        port_memory_put(&traffic->t->ports[IN], frame.data, frame.len, NULL);
        take(traffic);
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

/* Both numbers at once, around the output that is the entry's. */
static void
add_at_once(struct frame *f, unsigned number)
{
    size_t start = of_begin_actions(f, WIRE_APPLY);

    of_set_field(f, FIELD_eth_src, number);
    of_output(f, 1);
    of_set_field(f, FIELD_eth_dst, number);
    of_output(f, OUT);
    of_end(f, start);
}

/* Both in the action set. */
static void
add_in_set(struct frame *f, unsigned number)
{
    size_t start = of_begin_actions(f, WIRE_APPLY);

    of_output(f, 1);
    of_end(f, start);
    start = of_begin_actions(f, WIRE_WRITE);
    of_set_field(f, FIELD_eth_src, number);
    of_set_field(f, FIELD_eth_dst, number);
    of_output(f, OUT);
    of_end(f, start);
}

static void
change(struct threads *t, unsigned command, unsigned number, bool in_set)
{
    size_t start = wire_template_head(&t->f, &(const struct wire_template) {
        .command = command, .id = THE_ID, .parameters = in_set ? 1 : 2,
    });

    (in_set ? add_in_set : add_at_once)(&t->f, number);
    of_end(&t->f, start);
    CHECK(threads_apply(t) == OFWIRE_OK);
}

int
main(void)
{
    struct threads *t = threads_new();
    struct traffic traffic = { .t = t };
    struct random random = { 1 };
    unsigned n_numbers = 0;

    change(t, TEMPLATE_ADD, 0, false);
    for (unsigned i = 0; i < N_ENTRIES; i++) {
        wire_flow_of(&t->f, &(const struct wire_flow) {
            .n_match = 1, .match = { { FIELD_eth_dst, TEST_ETH_DST - 2 + i, 0 } },
        }, THE_ID, COPY);
        CHECK(threads_apply(t) == OFWIRE_OK);
    }
    CHECK(!pthread_create(&traffic.thread, NULL, make_traffic, &traffic));
    for (unsigned i = 0; i < N_STEPS; i++) {
        change(t, TEMPLATE_MODIFY, i % N_NUMBERS, draw(&random, 2));
        dataplane_tick(&t->dataplane, threads_now());
        if (i % 64 == 0) {
            sched_yield();
        }
    }
    atomic_store(&traffic.done, true);
    pthread_join(traffic.thread, NULL);
    for (unsigned i = 0; i < N_NUMBERS; i++) {
        n_numbers += traffic.n_seen[i] > 0;
    }
    CHECK(n_numbers > 1);
    threads_free(t);
    printf("%llu packets, %u versions among them, %u changes\n",
           (unsigned long long)traffic.n_taken, n_numbers, N_STEPS);
    return 0;
}
