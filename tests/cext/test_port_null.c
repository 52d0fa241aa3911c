/* port.c and port_null.c. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "port.h"

static void
test_kinds_are_found_by_name(void **state)
{
    (void)state;
#define X(NAME) assert_string_equal(port_kind(#NAME)->kind, #NAME);
    PORT_KINDS(X)
#undef X
    assert_null(port_kind("carrier_pigeon"));
    assert_null(port_kind(""));
}

static void
test_the_null_port_counts_what_it_is_sent_and_gives_it_back(void **state)
{
    const struct port_config config = {.mtu = 0};
    struct port port = {.ops = port_kind("null"), .name = "nowhere"};
    struct packet *packets[3];
    struct pool pool;
    char why[128];

    (void)state;
    assert_int_equal(pool_open(&pool, 4, PACKET_SMALL), 0);
    assert_int_equal(port.ops->open(&port, &config, why, sizeof why), 0);
    assert_int_equal(pool_get(&pool, packets, 3), 3);
    for (unsigned i = 0; i < 3; i++) {
        packet_set_len(packets[i], 60);
    }

    assert_int_equal(port.ops->transmit(&port, packets, 3), 3);
    assert_int_equal(port.counters.tx_packets, 3);
    assert_int_equal(port.counters.tx_bytes, 180);
    assert_int_equal(pool.n_free, 4);

    port.ops->close(&port);
    pool_close(&pool);
}

static void
test_the_null_port_never_wakes_a_worker(void **state)
{
    const struct port_config config = {.mtu = 0};
    struct port port = {.ops = port_kind("null"), .name = "nowhere"};
    struct packet *packets[1];
    char why[128];

    (void)state;
    assert_int_equal(port.ops->open(&port, &config, why, sizeof why), 0);
    struct pollfd pollfd = {.fd = port.fd, .events = POLLIN};

    assert_int_equal(poll(&pollfd, 1, 0), 0);
    assert_int_equal(port.ops->receive(&port, NULL, NULL, packets, 1), 0);

    port.ops->close(&port);
}

static void
test_ports_without_a_device_have_an_address_of_their_own(void **state)
{
    const struct port_config config = {.mtu = 0};
    struct port_link links[2];
    char why[128];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct port port = {.ops = port_kind("null"), .name = {(char)('a' + i)}};
        assert_int_equal(port.ops->open(&port, &config, why, sizeof why), 0);
        assert_int_equal(port.ops->link(&port, &links[i]), 0);
        port.ops->close(&port);
    }
    assert_true(links[0].up && links[0].admin_up);
    assert_int_equal(links[0].mac[0], 0x02);
    assert_memory_not_equal(links[0].mac, links[1].mac, 6);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_are_found_by_name),
        cmocka_unit_test(test_the_null_port_counts_what_it_is_sent_and_gives_it_back),
        cmocka_unit_test(test_the_null_port_never_wakes_a_worker),
        cmocka_unit_test(test_ports_without_a_device_have_an_address_of_their_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
