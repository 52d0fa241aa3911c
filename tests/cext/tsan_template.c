/* Templates under ThreadSanitizer: a worker forwards by entries of a template while the control thread
 * changes it.  Versions write one number into two places of a packet: at once around the entry's own action,
 * in an action set, or the second one in a table that they lead to.  No packet shows two numbers, whether
 * the worker remembers ways or not (P6). */

#include "flows.h"
#include "threads.h"

enum { N_STEPS = 20000, N_ENTRIES = 8, N_NUMBERS = 251, IN = 1, COPY = 2, OUT = 3, THE_ID = 1,
       FIRST_TABLE = 10, N_TABLES = 8 };

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

/* The first one at once; the table that follows knows the other. */
static void
add_with_table(struct frame *f, unsigned number)
{
    size_t start = of_begin_actions(f, WIRE_APPLY);

    of_set_field(f, FIELD_eth_src, number % N_TABLES);
    of_output(f, 1);
    of_end(f, start);
    of_short(f, WIRE_GOTO, (FIRST_TABLE + number % N_TABLES) << 24);
}

/* Kinds of versions, and which item is the parameter. */
static const struct {
    void (*add)(struct frame *, unsigned number);
    uint64_t parameters;
} kinds[] = { { add_at_once, 2 }, { add_in_set, 1 }, { add_with_table, 2 } };

enum { N_KINDS = sizeof kinds / sizeof *kinds };

static void
change(struct threads *t, unsigned command, unsigned number, unsigned kind)
{
    size_t start = wire_template_head(&t->f, &(const struct wire_template) {
        .command = command, .id = THE_ID, .parameters = kinds[kind].parameters,
    });

    kinds[kind].add(&t->f, number);
    of_end(&t->f, start);
    CHECK(threads_apply(t) == OFWIRE_OK);
}

static void
set_up(struct threads *t)
{
    CHECK(THREADS_FLOW(.go_to = 1) == OFWIRE_OK);
    change(t, TEMPLATE_ADD, 0, 0);
    for (unsigned i = 0; i < N_ENTRIES; i++) {
        wire_flow_of(&t->f, &(const struct wire_flow) {
            .table = 1, .n_match = 1, .match = { { FIELD_eth_dst, TEST_ETH_DST - 2 + i, 0 } },
        }, THE_ID, COPY);
        CHECK(threads_apply(t) == OFWIRE_OK);
    }
    for (unsigned i = 0; i < N_TABLES; i++) {
        size_t start = wire_flow_head(&t->f, &(const struct wire_flow) { .table = FIRST_TABLE + i });
        wire_match(&t->f, NULL, 0);
        size_t apply = of_begin_actions(&t->f, WIRE_APPLY);
        of_set_field(&t->f, FIELD_eth_dst, i);
        of_output(&t->f, OUT);
        of_end(&t->f, apply);
        of_end(&t->f, start);
        CHECK(threads_apply(t) == OFWIRE_OK);
    }
}

static void
run(enum cache_mode caching)
{
    struct threads *t = threads_new();
    struct traffic traffic = { .t = t };
    struct random random = { 1 };
    unsigned n_numbers = 0;

    atomic_store(&t->workers[0]->cache.mode, caching);
    set_up(t);
    CHECK(!pthread_create(&traffic.thread, NULL, make_traffic, &traffic));
    for (unsigned i = 0; i < N_STEPS; i++) {
        change(t, TEMPLATE_MODIFY, i % N_NUMBERS, draw(&random, N_KINDS));
        dataplane_tick(&t->dataplane, threads_now());
        if (i % 64 == 0) {
            sched_yield();
        }
    }
    uint64_t hits = atomic_load(&t->workers[0]->cache.hits);
    atomic_store(&traffic.done, true);
    pthread_join(traffic.thread, NULL);
    for (unsigned i = 0; i < N_NUMBERS; i++) {
        n_numbers += traffic.n_seen[i] > 0;
    }
    CHECK(n_numbers > 1);
    CHECK(caching != CACHE_ALWAYS || hits);
    threads_free(t);
    printf("%llu packets, %llu by ways that were known, %u versions among them, %u changes\n",
           (unsigned long long)traffic.n_taken, (unsigned long long)hits, n_numbers, N_STEPS);
}

int
main(void)
{
    run(CACHE_NEVER);
    run(CACHE_ALWAYS);
    return 0;
}
