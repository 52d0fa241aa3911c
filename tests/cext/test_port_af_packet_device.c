/* port_af_packet.c: its queues, its link, and what opening it says. */

#include "af_packet_rig.h"

#include <sys/wait.h>

/* --- Queues -------------------------------------------------------------- */

enum { N_QUEUES = 3 };

static void
open_queues(struct fixture *f, struct port queues[N_QUEUES])
{
    f->port.ops->close(&f->port);
    for (uint32_t i = 0; i < N_QUEUES; i++) {
        assert_int_equal(open_queue(&queues[i], "one", i, N_QUEUES, 0), 0);
    }
}

static void
close_queues(struct fixture *f, struct port queues[N_QUEUES])
{
    for (unsigned i = 0; i < N_QUEUES; i++) {
        queues[i].ops->close(&queues[i]);
    }
    assert_int_equal(open_port(f, "one", 0), 0);
}

/* UDP from port 1000 + 'flow'. */
static void
send_flow(int wire, uint16_t flow)
{
    uint8_t frame[60];

    plain(frame, sizeof frame);
    unfinished_tcp(frame, ETH_SIZE, sizeof frame, 0);
    frame[ETH_SIZE + 9] = 17;
    put_be16(frame + ETH_SIZE + 20, (uint16_t)(1000 + flow));
    wire_send(wire, frame, sizeof frame, NULL);
}

static void
test_each_flow_goes_to_one_queue_and_nothing_is_lost_or_doubled(void **state)
{
    struct fixture *f = *state;
    enum { FLOWS = 64, EACH = 20 };
    struct port queues[N_QUEUES];
    struct packet *packets[PACKET_VECTOR];
    unsigned seen[FLOWS][N_QUEUES] = {{0}}, used[N_QUEUES] = {0}, n;

    open_queues(f, queues);
    for (unsigned i = 0; i < EACH * FLOWS; i++) {
        send_flow(f->wire, (uint16_t)(i % FLOWS));
    }
    for (unsigned q = 0; q < N_QUEUES; q++) {
        while ((n = queues[q].ops->receive(&queues[q], &f->pools.small, &f->pools.large, packets, 64))) {
            for (unsigned i = 0; i < n; i++) {
                seen[get_be16(packets[i]->data + ETH_SIZE + 20) - 1000][q]++;
            }
            packet_free(packets, n);
        }
    }
    for (unsigned flow = 0; flow < FLOWS; flow++) {
        for (unsigned q = 0; q < N_QUEUES; q++) {
            assert_true(!seen[flow][q] || seen[flow][q] == EACH);
            used[q] += seen[flow][q];
        }
        assert_int_equal(seen[flow][0] + seen[flow][1] + seen[flow][2], EACH);
    }
    assert_true(used[0] && used[1] && used[2]);
    close_queues(f, queues);
}

static void
test_a_queue_does_not_hear_what_another_sends(void **state)
{
    struct fixture *f = *state;
    struct port queues[N_QUEUES];
    struct seen *seen = malloc(sizeof *seen);
    struct packet *packet;
    uint8_t frame[60];

    open_queues(f, queues);
    packet = new_packet(&f->pools, plain(frame, sizeof frame), sizeof frame);
    assert_int_equal(queues[1].ops->transmit(&queues[1], &packet, 1), 1);
    see(f->wire, seen);
    assert_memory_equal(seen->data, frame, sizeof frame);
    for (unsigned q = 0; q < N_QUEUES; q++) {
        assert_int_equal(queues[q].ops->receive(&queues[q], &f->pools.small, &f->pools.large, &packet, 1), 0);
    }
    free(seen);
    close_queues(f, queues);
}

static void
test_queues_of_two_interfaces_do_not_mix(void **state)
{
    struct fixture *f = *state;
    struct port queues[N_QUEUES], others[N_QUEUES];
    struct packet *packet;
    unsigned n = 0;

    open_queues(f, queues);
    for (uint32_t i = 0; i < N_QUEUES; i++) {
        assert_int_equal(open_queue(&others[i], "two", i, N_QUEUES, 0), 0);
    }
    send_flow(f->wire, 1);
    for (unsigned q = 0; q < N_QUEUES; q++) {
        n += queues[q].ops->receive(&queues[q], &f->pools.small, &f->pools.large, &packet, 1);
        assert_int_equal(others[q].ops->receive(&others[q], &f->pools.small, &f->pools.large, &packet, 1), 0);
        others[q].ops->close(&others[q]);
    }
    assert_int_equal(n, 1);
    packet_free(&packet, 1);
    close_queues(f, queues);
}

static void
test_a_queue_that_there_is_not_is_refused(void **state)
{
    struct port port;

    (void)state;
    assert_int_equal(open_queue(&port, "one", 2, 2, 0), EINVAL);
}

/* --- Link ---------------------------------------------------------------- */

static void
test_the_link_is_as_the_kernel_says(void **state)
{
    struct fixture *f = *state;
    struct port_link link;

    ip("link set one address 02:aa:bb:cc:dd:ee mtu 1400");
    assert_true(link_becomes(&f->port, true, true));
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
    assert_memory_equal(link.mac, "\x02\xaa\xbb\xcc\xdd\xee", 6);
    assert_int_equal(link.mtu, 1400);
    assert_int_equal(link.speed, 10000);                /* As veth says. */
    ip("link set two down");
    assert_true(link_becomes(&f->port, true, false));
}

static void
test_a_port_set_down_drops_and_set_up_works_again(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];
    struct packet *packet;

    plain(frame, sizeof frame);
    assert_int_equal(f->port.ops->set_admin(&f->port, false), 0);
    assert_true(link_becomes(&f->port, false, false));
    assert_int_equal(receive(&f->port, &f->pools, &packet, 1), 0);
    assert_int_equal(transmit(f, frame, sizeof frame, NULL), 0);
    assert_int_equal(f->port.counters.tx_dropped, 1);
    assert_false(is_readable(f->port.fd));

    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    wait_for_carrier();
    assert_true(link_becomes(&f->port, true, true));
    assert_int_equal(transmit(f, frame, sizeof frame, NULL), 1);
    wire_send(f->wire, frame, sizeof frame, NULL);
    packet = receive_one(&f->port, &f->pools);
    packet_free(&packet, 1);
}

static void
test_a_flap_while_idle_costs_no_frame(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    ip("link set one down");
    ip("link set one up");
    wait_for_carrier();
    assert_int_equal(transmit(f, plain(frame, sizeof frame), sizeof frame, NULL), 1);
}

static void
test_an_interface_that_is_down_can_be_opened(void **state)
{
    struct fixture *f = *state;
    uint8_t frame[60];

    f->port.ops->close(&f->port);
    ip("link set one down");
    assert_int_equal(open_port(f, "one", 0), 0);
    assert_true(link_becomes(&f->port, false, false));
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    wait_for_carrier();
    assert_true(link_becomes(&f->port, true, true));
    wire_send(f->wire, plain(frame, sizeof frame), sizeof frame, NULL);
    struct packet *packet = receive_one(&f->port, &f->pools);
    packet_free(&packet, 1);
}

static void
test_a_device_that_is_removed_leaves_a_port_that_does_nothing(void **state)
{
    struct fixture *f = *state;
    struct packet *packets[4];
    struct port_link link;
    uint8_t frame[60];

    plain(frame, sizeof frame);
    ip("link del one");
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(receive(&f->port, &f->pools, packets, 4), 0);
        assert_int_equal(transmit(f, frame, sizeof frame, NULL), 0);
    }
    assert_false(is_readable(f->port.fd));              /* It does not wake its worker for ever. */
    assert_int_equal(f->port.ops->link(&f->port, &link), ENODEV);
    assert_int_equal(f->port.ops->set_admin(&f->port, true), ENODEV);
    assert_int_equal(f->port.counters.tx_dropped, 4);
}

static void
test_a_device_that_is_renamed_stays_the_same(void **state)
{
    struct fixture *f = *state;
    struct port_link link;

    ip("link set one down");
    ip("link set one name uno");
    assert_int_equal(f->port.ops->set_admin(&f->port, true), 0);
    assert_true(link_becomes(&f->port, true, true));
    assert_int_equal(f->port.ops->link(&f->port, &link), 0);
}

/* --- Open ---------------------------------------------------------------- */

static void
test_open_says_what_was_wrong(void **state)
{
    (void)state;
    check_refuses("af_packet", &(struct port_config){.device = "eth9"}, ENODEV,
                  "no interface \"eth9\"");
    check_refuses("af_packet", &(struct port_config){.device = ""}, ENODEV,
                  "no interface \"\"");
    check_refuses("af_packet", &(struct port_config){.device = "sixteen-letters-"}, ENAMETOOLONG,
                  "\"sixteen-letters-\" is too long for an interface name");
    check_refuses("af_packet", &(struct port_config){.device = "one", .mtu = 1}, EINVAL,
                  "bad MTU 1 for interface \"one\": Invalid argument");
    ip("tuntap add mode tun name tunnel");
    check_refuses("af_packet", &(struct port_config){.device = "tunnel"}, EINVAL,
                  "interface \"tunnel\" is not Ethernet");
    ip("link del tunnel");
}

static void
test_open_without_permission_names_the_capability(void **state)
{
    int status;
    pid_t child = fork();

    (void)state;
    if (!child) {
        struct port_config config = {.device = "one"};
        struct port port = {.ops = port_kind("af_packet"), .name = "p"};
        char why[128] = "";
        bool good = !setuid(65534) && port.ops->open(&port, &config, why, sizeof why) == EPERM
                    && strstr(why, "CAP_NET_RAW");
        _exit(good ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void
test_open_sets_the_mtu(void **state)
{
    struct port_config config = {.device = "two", .mtu = 1234};
    struct port port = {.ops = port_kind("af_packet"), .name = "p"};
    struct port_link link;
    char why[128];

    (void)state;
    assert_int_equal(port.ops->open(&port, &config, why, sizeof why), 0);
    assert_int_equal(port.ops->link(&port, &link), 0);
    assert_int_equal(link.mtu, 1234);
    port.ops->close(&port);
}

int
main(void)
{
#define TEST(NAME) cmocka_unit_test_setup_teardown(test_##NAME, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(each_flow_goes_to_one_queue_and_nothing_is_lost_or_doubled),
        TEST(a_queue_does_not_hear_what_another_sends),
        TEST(queues_of_two_interfaces_do_not_mix),
        TEST(a_queue_that_there_is_not_is_refused),
        TEST(the_link_is_as_the_kernel_says),
        TEST(a_port_set_down_drops_and_set_up_works_again),
        TEST(a_flap_while_idle_costs_no_frame),
        TEST(an_interface_that_is_down_can_be_opened),
        TEST(a_device_that_is_removed_leaves_a_port_that_does_nothing),
        TEST(a_device_that_is_renamed_stays_the_same),
        TEST(open_says_what_was_wrong),
        TEST(open_without_permission_names_the_capability),
        TEST(open_sets_the_mtu),
    };

    return enter_namespace() ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
