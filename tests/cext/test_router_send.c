/* Packets of programs through a router: lengths at their bounds, and what is refused (P3).  The bytes on the
 * wire are compared in tests/dataplane/test_sending.py. */

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "routing.h"

enum { OSPF = 89 };

static uint8_t payload[UINT16_MAX + 1];

static int
send(struct routing_rig *r, struct router_message message, size_t len)
{
    int error = router_send_message(r->router, &message, payload, len, r->rig->now);

    routing_run(r);
    return error;
}

static struct router_message
to(uint8_t family, struct ip_address destination)
{
    return (struct router_message) {
        .family = family, .protocol = OSPF, .destination = destination, .checksum_at = UINT16_MAX,
    };
}

static void
as_long_as_ip_can_be(void **state)
{
    ROUTER;
    unsigned n_fragments = (UINT16_MAX - IPV4_SIZE + 1479) / 1480;
    struct router_message v4 = to(IP_V4, V4(10, 0, 2, 9)), v6 = to(IP_V6, V6(2, 9));

    set_neighbour(r, 2, IP_V4, V4(10, 0, 2, 9), MAC_OF_HOST(2, 9));
    set_neighbour(r, 2, IP_V6, V6(2, 9), MAC_OF_HOST(2, 9));
    assert_int_equal(send(r, v4, UINT16_MAX - IPV4_SIZE), 0);
    assert_int_equal(rig_take(r->rig, 2, NULL), n_fragments);
    assert_int_equal(send(r, v4, UINT16_MAX - IPV4_SIZE + 1), EMSGSIZE);
    assert_int_equal(send(r, v6, UINT16_MAX), 0);
    assert_int_equal(rig_take(r->rig, 2, NULL), (UINT16_MAX + 1447) / 1448);
    assert_int_equal(send(r, v6, UINT16_MAX + 1), EMSGSIZE);
    assert_int_equal(send(r, v4, 0), 0);
    assert_int_equal(rig_take(r->rig, 2, NULL), 1);
}

static void
a_checksum_at_the_end(void **state)
{
    ROUTER;
    struct router_message message = to(IP_V6, (struct ip_address) { { 0xff02ull << 48, 5 } });
    struct frame f;

    message.interface = r->index[1];
    message.checksum_at = 10;
    assert_int_equal(send(r, message, 11), EINVAL);
    assert_int_equal(send(r, message, 12), 0);
    assert_int_equal(rig_take(r->rig, 1, &f), 1);
    assert_int_equal(get_be48(f.data), 0x333300000005);
    const uint8_t *ip = f.data + ETH_SIZE;
    assert_int_equal(csum_fold(csum_add(csum_add_pseudo(0, ip, OSPF, 12), ip + IPV6_SIZE, 12)), 0);
}

static void
what_cannot_be_sent(void **state)
{
    ROUTER;
    struct router_message away = to(IP_V4, V4(203, 0, 113, 1)), ours = to(IP_V4, V4(10, 0, 1, 1));
    struct interface_config down = interface_on(r->rig, 2);

    assert_int_equal(send(r, away, 8), EHOSTUNREACH);
    assert_int_equal(send(r, ours, 8), EHOSTUNREACH);
    away.interface = ours.interface = r->index[1];
    assert_int_equal(send(r, away, 8), EHOSTUNREACH);
    assert_int_equal(send(r, ours, 8), EHOSTUNREACH);
    away.interface = INTERFACES_MAX;
    assert_int_equal(send(r, away, 8), EHOSTUNREACH);
    down.up = false;
    assert_int_equal(router_set_interface(r->router, r->index[2], &down), 0);
    away = to(IP_V4, V4(224, 0, 0, 5));
    away.interface = r->index[2];
    assert_int_equal(send(r, away, 8), ENETDOWN);
}

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, routing_set_up, routing_tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_long_as_ip_can_be), TEST(a_checksum_at_the_end), TEST(what_cannot_be_sent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
