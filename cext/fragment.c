/* Fragments: see fragment.h. */

#include "fragment.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "extension.h"
#include "headers.h"

enum {
    DONT_FRAGMENT = 0x4000, MORE_V4 = 0x2000, OFFSET_V4 = 0x1fff, MORE_V6 = 1,
    TOTAL_MAX = 65535,                  /* Of IPv4. */
    OPTION_END = 0, OPTION_NOP = 1, OPTION_COPIED = 0x80,       /* RFC 791, 3.1 */
};

/* Writes the header of later fragments: the options that are to be copied, and no others.  Returns its
 * length; 0: the options are damaged. */
static size_t
copy_header(const uint8_t *packet, size_t header, uint8_t *to)
{
    size_t len = IPV4_SIZE;

    memset(to, 0, FRAGMENT_HEADER_MAX);
    memcpy(to, packet, IPV4_SIZE);
    for (size_t at = IPV4_SIZE, size; at < header && packet[at] != OPTION_END; at += size) {
        size = packet[at] == OPTION_NOP ? 1 : at + 1 < header ? packet[at + 1] : 0;
        if (!size || (packet[at] != OPTION_NOP && size < 2) || at + size > header) {
            return 0;
        }
        if (packet[at] & OPTION_COPIED) {
            memcpy(to + len, packet + at, size);
            len += size;
        }
    }
    len = (len + 3) & ~(size_t)3;       /* The rest is "end of options". */
    to[0] = (uint8_t)(0x40 | len / 4);
    return len;
}

/* Fills in how much each fragment takes, of what lies between plan->payload and plan->end. */
static int
divide(struct fragmentation *plan, uint32_t mtu, size_t first_header, size_t later_header)
{
    uint32_t payload = plan->end - plan->payload, first, later;

    if (plan->end <= mtu) {
        plan->n = 1;
        return 0;
    }
    if (mtu < first_header + 8 || mtu < later_header + 8) {
        return EINVAL;
    }
    first = (mtu - first_header) & ~7u;
    later = (mtu - later_header) & ~7u;
    plan->first_size = first;
    plan->later_size = later;
    plan->n = 1 + (payload - first + later - 1) / later;
    return 0;
}

static int
plan_v4(struct fragmentation *plan, const uint8_t *packet, size_t len, uint32_t mtu)
{
    size_t header = (packet[0] & 15) * 4u, total = get_be16(packet + 2);

    if (header < IPV4_SIZE || total < header || total > len
        || (get_be16(packet + 6) & OFFSET_V4) * 8 + total > TOTAL_MAX) {
        return EINVAL;
    }
    plan->header_len = (uint8_t)copy_header(packet, header, plan->header);
    if (!plan->header_len) {
        return EINVAL;
    }
    plan->payload = (uint32_t)header;
    plan->end = (uint32_t)total;
    if (total > mtu && get_be16(packet + 6) & DONT_FRAGMENT) {
        return EMSGSIZE;
    }
    return divide(plan, mtu, header, plan->header_len);
}

static int
plan_v6(struct fragmentation *plan, const uint8_t *packet, size_t len, uint32_t mtu)
{
    static const uint8_t no_header[2];
    size_t total = IPV6_SIZE + (size_t)get_be16(packet + 4);

    if (total > len || extension_size(packet[6], no_header)) {
        return EINVAL;
    }
    memcpy(plan->header, packet, IPV6_SIZE);
    plan->header[6] = IP_PROTO_FRAG;
    plan->header_len = IPV6_SIZE;
    plan->payload = IPV6_SIZE;
    plan->end = (uint32_t)total;
    return divide(plan, mtu, IPV6_SIZE + FRAGMENT_SIZE, IPV6_SIZE + FRAGMENT_SIZE);
}

int
fragment_plan(struct fragmentation *plan, const uint8_t *packet, size_t len, uint32_t mtu,
              uint32_t id)
{
    bool is_v4 = len && packet[0] >> 4 == 4, is_v6 = len && packet[0] >> 4 == 6;

    *plan = (struct fragmentation) { .packet = packet, .id = id };
    if (!(is_v4 && len >= IPV4_SIZE) && !(is_v6 && len >= IPV6_SIZE)) {
        return EINVAL;
    }
    return is_v4 ? plan_v4(plan, packet, len, mtu) : plan_v6(plan, packet, len, mtu);
}

/* 'offset' is in bytes.  What is a fragment itself keeps its place, and more may follow the last one. */
static size_t
write_v4(const struct fragmentation *plan, unsigned i, size_t offset, size_t size, uint8_t *to)
{
    size_t header = i ? plan->header_len : plan->payload;
    uint16_t word = get_be16(plan->packet + 6);

    memcpy(to, i ? plan->header : plan->packet, header);
    memcpy(to + header, plan->packet + plan->payload + offset, size);
    put_be16(to + 2, (uint16_t)(header + size));
    put_be16(to + 6, (uint16_t)((word + offset / 8) | (i + 1 < plan->n ? MORE_V4 : 0)));
    csum_ipv4(to);
    return header + size;
}

static size_t
write_v6(const struct fragmentation *plan, unsigned i, size_t offset, size_t size, uint8_t *to)
{
    uint8_t *header = to + IPV6_SIZE;

    memcpy(to, plan->header, IPV6_SIZE);
    put_be16(to + 4, (uint16_t)(FRAGMENT_SIZE + size));
    header[0] = plan->packet[6];
    header[1] = 0;
    put_be16(header + 2, (uint16_t)(offset | (i + 1 < plan->n ? MORE_V6 : 0)));
    put_be32(header + 4, plan->id);
    memcpy(header + FRAGMENT_SIZE, plan->packet + plan->payload + offset, size);
    return IPV6_SIZE + FRAGMENT_SIZE + size;
}

size_t
fragment_write(const struct fragmentation *plan, unsigned i, uint8_t *to)
{
    size_t offset = i ? plan->first_size + (i - 1) * (size_t)plan->later_size : 0;
    size_t left = plan->end - plan->payload - offset;
    size_t most = i ? plan->later_size : plan->first_size;
    size_t size = left < most ? left : most;

    if (plan->n == 1) {
        memcpy(to, plan->packet, plan->end);
        return plan->end;
    }
    return plan->packet[0] >> 4 == 4 ? write_v4(plan, i, offset, size, to)
                                     : write_v6(plan, i, offset, size, to);
}
