/* Invariant: whatever packets come in whatever order, with time in between, members stay within their bounds,
 * every query that goes out is a valid one, and in the end nothing is left over.
 *
 * The input is a list of IP packets, each with its length (u16, big-endian, with the time that passes before it
 * in the upper five bits, in steps of 500 ms) and a byte of which the port is made. */

#include <stdlib.h>

#include "driver.h"
#include "membership.h"
#include "membership_packets.h"

enum {
    LENGTH = 0x7ff, STEP_MS = 500, HEAD = 3, PORTS = 3, MAX_MEMBERS = 12, MAX_SOURCES = 4,
    START = 1000000, AFTER_MS = 5000,
};

static void
must(int good)
{
    if (!good) {
        abort();
    }
}

static void
send_query(void *context, uint32_t port, uint8_t family, const uint8_t *packet, size_t len)
{
    struct membership_message message;

    (void)context;
    must(port <= PORTS);
    must(membership_parse(packet, len, &message) && message.is_query && message.family == family);
}

static void
changed(void *context, uint8_t family, const struct ip_address *group)
{
    (void)context;
    (void)family;
    (void)group;
}

static const struct membership_owner owner = { send_query, changed };

/* As it is, and with the checksum right, which it hardly is else. */
static void
receive(struct membership *membership, uint32_t port, uint8_t *packet, size_t len, uint64_t now)
{
    unsigned version = len >= MEMBERSHIP_V6_AT + 8 ? packet[0] >> 4 : 0;

    membership_receive(membership, port, packet, len, now);
    if (version == 4 || version == 6) {
        struct frame f = { .len = 0 };

        frame_add(&f, packet, len);
        membership_finish(&f);
        memcpy(packet, f.data, len);
        membership_receive(membership, port, packet, len, now);
    }
    must(membership->n_members <= MAX_MEMBERS);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct membership_config config = membership_defaults;
    struct membership membership;
    const struct ip_address source = { { UINT64_C(0xfe80) << 48, 5 } };
    uint64_t now = START;

    config.is_querier = true;
    config.max_members = MAX_MEMBERS;
    config.max_sources = MAX_SOURCES;
    membership_open(&membership, &config, &owner, NULL, now);
    membership_set_source(&membership, IP_V6, &source);
    while (size >= HEAD) {
        uint16_t head = get_be16(data);
        size_t len = (head & LENGTH) < size - HEAD ? head & LENGTH : size - HEAD;
        uint8_t *packet = malloc(len ? len : 1);        /* So that no byte behind it is read. */

        must(packet != NULL);
        memcpy(packet, data + HEAD, len);
        now += (head >> 11) * (uint64_t)STEP_MS;
        membership_advance(&membership, now);
        receive(&membership, 1 + data[2] % PORTS, packet, len, now);
        free(packet);
        data += HEAD + len;
        size -= HEAD + len;
    }
    membership_advance(&membership, now + AFTER_MS);
    membership_close(&membership);
    must(!membership.n_members && !membership.wheel.n_running);
    return 0;
}

/* Each change of version 3, then a leave and a query of older versions, from ports in turn. */
size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    uint8_t family = i % 2 ? IP_V4 : IP_V6;
    const uint8_t old[2] = { family == IP_V4 ? 0x17 : 132, family == IP_V4 ? 0x11 : 130 };
    size_t len = 0;
    struct frame f;

    if (i >= 16 || cap < 4096) {
        return 0;
    }
    for (unsigned j = 0; j < 8; j++) {
        if (j < 6) {
            membership_report(&f, family);
            membership_add_record(&f, family, (uint8_t)((j + i) % 6 + 1),
                                  membership_group_at(family, i % 3), i % 6);
        } else {
            membership_old(&f, family, old[j - 6], membership_group_at(family, i % 3));
        }
        membership_finish(&f);
        put_be16(buf + len, (uint16_t)(j % 3 << 11 | f.len));
        buf[len + 2] = (uint8_t)j;
        memcpy(buf + len + HEAD, f.data, f.len);
        len += HEAD + f.len;
    }
    return len;
}
