/* Workers under ThreadSanitizer: two of them forward while the control thread changes flows, groups,
 * ports and who serves which of their queues, sends packets, reads statistics and takes punts.  In the end every packet is accounted for. */

#include "flows.h"
#include "threads.h"

enum { N_STEPS = 10000 };

/* The other side of ports 1 to 3; port 4 comes and goes. */
struct traffic {
    struct threads *t;
    _Atomic bool done;
    pthread_t thread;
    uint64_t n_taken;
};

static void *
make_traffic(void *traffic_)
{
    struct traffic *traffic = traffic_;
    struct frame frame, out;

    for (unsigned i = 0; !atomic_load(&traffic->done); i++) {
        frame_sample(&frame, i % N_SAMPLES);
        port_memory_put(&traffic->t->ports[1 + i % 3], frame.data, frame.len, NULL);
        port_memory_put(&traffic->t->second, frame.data, frame.len, NULL);
        while (port_memory_take(&traffic->t->second, out.data, sizeof out.data, NULL)) {
            traffic->n_taken++;
        }
        for (unsigned port = 1; port <= 3; port++) {
            while (port_memory_take(&traffic->t->ports[port], out.data, sizeof out.data, NULL)) {
                traffic->n_taken++;
            }
        }
        if (i % 16 == 0) {
            sched_yield();
        }
    }
    return NULL;
}

/* --- The control thread ------------------------------------------------------------------------------- */

/* Ports that flows send to; never table. */
static uint32_t
draw_port(struct random *random)
{
    static const uint32_t ports[] = {
        1, 2, 3, 4, PORT_FLOOD, PORT_ALL, PORT_IN_PORT, PORT_CONTROLLER,
    };

    return ports[draw(random, sizeof ports / sizeof ports[0])];
}

static void
change_flow(struct threads *t, struct random *random)
{
    static const uint16_t types[] = { 0x0800, 0x0806, 0x86dd };
    unsigned table = draw(random, 3);

    threads_flow(t, &(const struct wire_flow) {
        .command = draw(random, 3) ? WIRE_ADD : draw(random, 5), .table = table,
        .priority = draw(random, 4), .idle = draw(random, 2), .flags = draw(random, 8) & ~2u,
        .n_match = draw(random, 2),
        .match = { { FIELD_eth_type, types[draw(random, 3)], 0 } },
        .output = { draw(random, 2) ? draw_port(random) : 0 }, .group = draw(random, 4) ? 0 : 1,
        .write_output = draw(random, 2) ? draw_port(random) : 0, .metadata = draw(random, 3),
        .go_to = draw(random, 2) ? table + 1 : 0,
    });
}

static void
change_group(struct threads *t, struct random *random)
{
    wire_group(&t->f, &(const struct wire_group) {
        .command = draw(random, 4) ? WIRE_GROUP_MODIFY : draw(random, 2) * WIRE_GROUP_DELETE, .id = 1,
        .type = GROUP_SELECT * draw(random, 2), .n = draw(random, 3),
        .bucket = { { .weight = 1, .output = draw_port(random) },
                    { .weight = 2, .watch_port = 4, .output = draw_port(random) } },
    });
    threads_apply(t);
}

static void
send_out(struct threads *t, struct random *random)
{
    struct frame frame;

    frame_sample(&frame, draw(random, N_SAMPLES));
    wire_packet_out(&t->f, draw(random, 2) ? PORT_CONTROLLER : 1 + draw(random, 3),
                    draw(random, 2) ? PORT_TABLE : draw_port(random), &frame);
    threads_apply(t);
}

static void
change_port(struct threads *t, struct random *random)
{
    unsigned number = 1 + draw(random, 3);

    if (draw(random, 2)) {
        wire_port_mod(&t->f, number, t->at[number]->mac, 4 << draw(random, 6), PORT_NO_RECV
                      | PORT_NO_FWD | PORT_NO_PACKET_IN);
        threads_apply(t);
    } else if (!draw(random, 4)) {
        bridge_detach(t->bridge, t->at[4]);
        t->ports[4].ops->close(&t->ports[4]);
        threads_open_port(t, 4);
    }
}

/* F3: a lane of ports 1 to 4 changes hands. */
static void
move_lane(struct threads *t, struct random *random)
{
    CHECK(!bridge_move_lane(t->at[1 + draw(random, RIG_PORTS)]->lanes, draw(random, N_THREADS)));
}

/* Port 4 has two queues for a while, and queues of OpenFlow or none. */
static void
change_lanes(struct threads *t, struct random *random)
{
    const struct lane_config lanes[] = {
        { &t->ports[4], draw(random, N_THREADS) }, { &t->second, draw(random, N_THREADS) },
    };
    const struct queue_config queue = { .id = draw(random, 2) };

    if (!draw(random, 4)) {
        bridge_detach(t->bridge, t->at[4]);
        CHECK(!bridge_attach_lanes(t->bridge, lanes, 2, 4, &(const struct joining) { 0 },
                                   t->now, &t->at[4]));
    }
    CHECK(!bridge_set_queues(t->at[4], &queue, draw(random, 2), 0, t->now));
}

static void
read_all(struct threads *t, struct random *random)
{
    struct buffer out = { 0 }, ends = { 0 };

    wire_flow_request(&t->f, &(const struct wire_flow) { .table = 255 });
    bridge_multipart(t->bridge, (uint16_t)(1 + draw(random, 8)), t->f.data, t->f.len, &out, &ends,
                     t->now);
    t->f.len = 0;
    for (unsigned i = 0; i < N_THREADS; i++) {
        struct punt *punt;
        while ((punt = worker_punt_peek(t->workers[i]))) {
            bridge_packet_in(punt, &out);
            worker_punt_consume(t->workers[i]);
        }
    }
    buffer_close(&out);
    buffer_close(&ends);
}

static void (*const changes[])(struct threads *, struct random *) = {
    change_flow, change_flow, change_flow, change_group, send_out, change_port, move_lane, change_lanes,
    read_all,
};

int
main(void)
{
    struct threads *t = threads_new();
    struct traffic traffic = { .t = t };
    struct random random = { 1 };

    threads_open_queue(&t->second, 4);
    pthread_create(&traffic.thread, NULL, make_traffic, &traffic);
    for (unsigned i = 0; i < N_STEPS; i++) {
        changes[draw(&random, sizeof changes / sizeof changes[0])](t, &random);
        t->now = threads_now();
        dataplane_tick(&t->dataplane, t->now);
        if (i % 64 == 0) {
            CHECK(dataplane_barrier(&t->dataplane, 60000));
        }
    }
    atomic_store(&traffic.done, true);
    pthread_join(traffic.thread, NULL);
    printf("%llu packets received, %llu taken, during %u changes\n",
           (unsigned long long)SUM(t, received), (unsigned long long)traffic.n_taken, N_STEPS);
    struct port second = t->second;
    threads_free(t);
    second.ops->close(&second);
    return 0;
}
