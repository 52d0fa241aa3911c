/* NAT64: ICMP messages.  See nat64_icmp.h.  Tables say what becomes of each type and code. */

#include "nat64_icmp.h"

#include <stddef.h>

#include "nat64.h"

enum {
    ECHO_REPLY = 0, UNREACHABLE = 3, ECHO = 8, EXCEEDED = 11, PARAMETER = 12,           /* ICMP */
    UNREACHABLE6 = 1, TOO_BIG6 = 2, EXCEEDED6 = 3, PARAMETER6 = 4, ECHO6 = 128, ECHO_REPLY6 = 129,
    NOT_FRAGMENTED = 4,         /* The code that has an MTU. */
    NONE = 0xff,
    NEXT_HEADER = 6,            /* Where an IPv6 header names its payload. */
};

/* What becomes of the second word. */
enum value { NOTHING, MTU, POINTER, PROTOCOL };

struct row {
    uint8_t type, code, new_type, new_code;
    uint8_t value;              /* enum value */
};

static const struct row to_ipv6[] = {
    { ECHO, 0, ECHO6, 0, NOTHING },
    { ECHO_REPLY, 0, ECHO_REPLY6, 0, NOTHING },
    { UNREACHABLE, 0, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 1, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 2, PARAMETER6, 1, PROTOCOL },
    { UNREACHABLE, 3, UNREACHABLE6, 4, NOTHING },
    { UNREACHABLE, NOT_FRAGMENTED, TOO_BIG6, 0, MTU },
    { UNREACHABLE, 5, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 6, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 7, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 8, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 9, UNREACHABLE6, 1, NOTHING },
    { UNREACHABLE, 10, UNREACHABLE6, 1, NOTHING },
    { UNREACHABLE, 11, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 12, UNREACHABLE6, 0, NOTHING },
    { UNREACHABLE, 13, UNREACHABLE6, 1, NOTHING },
    { UNREACHABLE, 15, UNREACHABLE6, 1, NOTHING },
    { EXCEEDED, 0, EXCEEDED6, 0, NOTHING },
    { EXCEEDED, 1, EXCEEDED6, 1, NOTHING },
    { PARAMETER, 0, PARAMETER6, 0, POINTER },
    { PARAMETER, 2, PARAMETER6, 0, POINTER },
};

static const struct row to_ipv4[] = {
    { ECHO6, 0, ECHO, 0, NOTHING },
    { ECHO_REPLY6, 0, ECHO_REPLY, 0, NOTHING },
    { UNREACHABLE6, 0, UNREACHABLE, 1, NOTHING },
    { UNREACHABLE6, 1, UNREACHABLE, 10, NOTHING },
    { UNREACHABLE6, 2, UNREACHABLE, 1, NOTHING },
    { UNREACHABLE6, 3, UNREACHABLE, 1, NOTHING },
    { UNREACHABLE6, 4, UNREACHABLE, 3, NOTHING },
    { TOO_BIG6, 0, UNREACHABLE, NOT_FRAGMENTED, MTU },
    { EXCEEDED6, 0, EXCEEDED, 0, NOTHING },
    { EXCEEDED6, 1, EXCEEDED, 1, NOTHING },
    { PARAMETER6, 0, PARAMETER, 0, POINTER },
    { PARAMETER6, 1, UNREACHABLE, 2, NOTHING },
};

/* Where a byte of one header is in the other (RFC 7915, figures 3 and 6). */
static const uint8_t pointers_to_ipv6[20] = {
    0, 1, 4, 4, NONE, NONE, NONE, NONE, 7, 6, NONE, NONE, 8, 8, 8, 8, 24, 24, 24, 24,
};
static const uint8_t pointers_to_ipv4[40] = {
    0, 1, NONE, NONE, 2, 2, 9, 8,
    12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12, 12,
    16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16,
};

/* Lengths of which networks are made, for routers that do not say theirs (RFC 1191, section 7.1). */
static const uint16_t plateaus[] = { 32000, 17914, 8166, 4352, 2002, 1492, 1006, 508, 296, 68 };

static uint32_t
plateau_below(uint32_t len)
{
    size_t i = 0;

    while (i + 1 < sizeof plateaus / sizeof plateaus[0] && plateaus[i] >= len) {
        i++;
    }
    return plateaus[i];
}

static uint32_t
least(uint32_t a, uint32_t b, uint32_t c)
{
    uint32_t low = a < b ? a : b;

    return low < c ? low : c;
}

static const struct row *
find(const struct row *rows, size_t n, const struct nat64_message *message)
{
    for (size_t i = 0; i < n; i++) {
        if (rows[i].type == message->type && rows[i].code == message->code) {
            return &rows[i];
        }
    }
    return NULL;
}

/* Says it anew; false if the pointer is to what the other header does not have. */
static bool
say(struct nat64_message *message, const struct row *row, const uint8_t *pointers, uint32_t n_pointers,
    uint32_t pointer, uint32_t mtu)
{
    uint32_t place = row->value == POINTER && pointer < n_pointers ? pointers[pointer] : NONE;

    message->type = row->new_type;
    message->code = row->new_code;
    message->value = row->value == MTU ? mtu : row->value == POINTER ? place
                   : row->value == PROTOCOL ? NEXT_HEADER : 0;
    return row->value != POINTER || place != NONE;
}

bool
nat64_message_to_ipv6(struct nat64_message *message, const struct nat64_mtus *mtus, uint32_t inner)
{
    const struct row *row = find(to_ipv6, sizeof to_ipv6 / sizeof to_ipv6[0], message);
    uint32_t said = message->value & 0xffff, mtu;

    mtu = least((said ? said : plateau_below(inner)) + NAT64_GROWTH, mtus->from + NAT64_GROWTH, mtus->to);
    return row && say(message, row, pointers_to_ipv6, sizeof pointers_to_ipv6, message->value >> 24,
                      mtu > NAT64_MTU ? mtu : NAT64_MTU);
}

/* The pointer is the whole word in IPv6, and its first byte in IPv4. */
bool
nat64_message_to_ipv4(struct nat64_message *message, const struct nat64_mtus *mtus, bool fragment)
{
    const struct row *row = find(to_ipv4, sizeof to_ipv4 / sizeof to_ipv4[0], message);
    uint32_t shrinks = NAT64_GROWTH + (fragment ? NAT64_FRAGMENT : 0);
    uint32_t said = message->value > shrinks ? message->value - shrinks : 0;
    uint32_t mtu = least(said, mtus->from - NAT64_GROWTH, mtus->to);

    if (!row || !say(message, row, pointers_to_ipv4, sizeof pointers_to_ipv4, message->value,
                     mtu < UINT16_MAX ? mtu : UINT16_MAX)) {
        return false;
    }
    if (row->value == POINTER) {
        message->value <<= 24;
    }
    return true;
}
