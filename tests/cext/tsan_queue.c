/* queue.c, bridge_queue.c under ThreadSanitizer: two workers send through the queues of one port
 * while the control thread changes and reads them, and takes the port out and puts it back. */

#include "threads.h"

enum { ROUNDS = 300, OFPMP_QUEUE = 5 };

/* What comes in by 'from' goes to a queue of port 2. */
static void
direct(struct threads *t, unsigned from, uint32_t queue)
{
    const struct wire_flow flow = { .n_match = 1, .match = { { FIELD_in_port, from, 0 } } };
    size_t start = wire_flow_head(&t->f, &flow);

    wire_match(&t->f, flow.match, flow.n_match);
    size_t actions = of_begin_actions(&t->f, WIRE_APPLY);
    of_short(&t->f, 21, queue);
    of_output(&t->f, 2);
    of_end(&t->f, actions);
    of_end(&t->f, start);
    CHECK(threads_apply(t) == OFWIRE_OK);
}

static void
change_queues(struct threads *t, unsigned round)
{
    const struct queue_config configs[] = {
        { .id = 1, .priority = round % 3, .max_rate = round % 5 ? 1000000 : 0, .limit = 100000 },
        { .id = 2 + round % 2, .min_rate = 1000000, .max_rate = 2000000 },
    };

    CHECK(!bridge_set_queues(t->at[2], configs, round % 4 ? 2 : 0, round % 4 * 1000000, t->now));
}

static void
read_queues(struct threads *t)
{
    const uint8_t all[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    struct buffer out = { 0 }, ends = { 0 };

    CHECK(bridge_multipart(t->bridge, OFPMP_QUEUE, all, 8, &out, &ends, t->now) == OFWIRE_OK);
    CHECK(bridge_queue_config(t->bridge, PORT_ANY, &out) == OFWIRE_OK);
    buffer_close(&out);
    buffer_close(&ends);
}

static void
attach_again(struct threads *t)
{
    bridge_detach(t->bridge, t->at[2]);
    CHECK(!bridge_attach(t->bridge, &t->ports[2], 2, 0, t->now, &t->at[2]));
}

int
main(void)
{
    struct threads *t = threads_new();
    struct frame frame, out;

    frame_sample(&frame, SAMPLE_tcp);
    direct(t, 1, 1);
    direct(t, 3, 2);
    for (unsigned i = 0; i < ROUNDS; i++) {
        change_queues(t, i);
        for (unsigned j = 0; j < 8; j++) {
            threads_put(t, 1, &frame);
            threads_put(t, 3, &frame);
        }
        read_queues(t);
        if (i % 16 == 15) {
            attach_again(t);
        }
        while (port_memory_take(&t->ports[2], out.data, sizeof out.data, NULL)) {
            continue;
        }
        dataplane_tick(&t->dataplane, threads_now());
    }
    threads_free(t);
    return 0;
}
