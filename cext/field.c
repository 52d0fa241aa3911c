/* The match fields: the table, and moving values in and out of keys. */

#include "field.h"

#include <stddef.h>

#include "bytes.h"
#include "headers.h"

enum { EXACT, MASK };
enum { RO, SET };

const struct field_info field_table[N_FIELDS] = {
#define F(NAME, CLASS, NUMBER, BITS, MASKABLE, SETTABLE, WORD, SHIFT, NEEDS)    \
    [FIELD_##NAME] = {                                                          \
        .name = #NAME, .oxm_class = CLASS, .oxm_field = NUMBER, .bits = BITS,   \
        .size = OXM_SIZE(BITS), .maskable = MASKABLE, .settable = SETTABLE,     \
        .word = WORD, .shift = SHIFT, .needs = NEEDS,                           \
    },
    FIELDS(F)
#undef F
};

/* One condition, on top of those of another row. */
struct condition {
    uint8_t also;               /* An enum field_needs. */
    uint8_t field;
    uint16_t mask;              /* Bits of the field that must be matched; 0: all, any value. */
    uint16_t values[2];         /* Either will do. */
};

static const struct condition conditions[N_NEEDS] = {
    [NEEDS_IN_PORT]    = { NEEDS_NONE, FIELD_in_port, 0, { 0 } },
    [NEEDS_VLAN]       = { NEEDS_NONE, FIELD_vlan_vid, VID_PRESENT, { VID_PRESENT, VID_PRESENT } },
    [NEEDS_IP]         = { NEEDS_NONE, FIELD_eth_type, 0xffff, { ETH_TYPE_IPV4, ETH_TYPE_IPV6 } },
    [NEEDS_IPV4]       = { NEEDS_NONE, FIELD_eth_type, 0xffff, { ETH_TYPE_IPV4, ETH_TYPE_IPV4 } },
    [NEEDS_IPV6]       = { NEEDS_NONE, FIELD_eth_type, 0xffff, { ETH_TYPE_IPV6, ETH_TYPE_IPV6 } },
    [NEEDS_ARP]        = { NEEDS_NONE, FIELD_eth_type, 0xffff, { ETH_TYPE_ARP, ETH_TYPE_ARP } },
    [NEEDS_MPLS]       = { NEEDS_NONE, FIELD_eth_type, 0xffff,
                           { ETH_TYPE_MPLS, ETH_TYPE_MPLS_MULTICAST } },
    [NEEDS_PBB]        = { NEEDS_NONE, FIELD_eth_type, 0xffff, { ETH_TYPE_PBB, ETH_TYPE_PBB } },
    [NEEDS_TCP]        = { NEEDS_IP, FIELD_ip_proto, 0xff, { IP_PROTO_TCP, IP_PROTO_TCP } },
    [NEEDS_UDP]        = { NEEDS_IP, FIELD_ip_proto, 0xff, { IP_PROTO_UDP, IP_PROTO_UDP } },
    [NEEDS_SCTP]       = { NEEDS_IP, FIELD_ip_proto, 0xff, { IP_PROTO_SCTP, IP_PROTO_SCTP } },
    [NEEDS_ICMPV4]     = { NEEDS_IPV4, FIELD_ip_proto, 0xff, { IP_PROTO_ICMPV4, IP_PROTO_ICMPV4 } },
    [NEEDS_ICMPV6]     = { NEEDS_IPV6, FIELD_ip_proto, 0xff, { IP_PROTO_ICMPV6, IP_PROTO_ICMPV6 } },
    [NEEDS_ND]         = { NEEDS_ICMPV6, FIELD_icmpv6_type, 0xff,
                           { ND_SOLICITATION, ND_ADVERTISEMENT } },
    [NEEDS_ND_SOLICIT] = { NEEDS_ICMPV6, FIELD_icmpv6_type, 0xff,
                           { ND_SOLICITATION, ND_SOLICITATION } },
    [NEEDS_ND_ADVERT]  = { NEEDS_ICMPV6, FIELD_icmpv6_type, 0xff,
                           { ND_ADVERTISEMENT, ND_ADVERTISEMENT } },
};

int
field_by_oxm(unsigned oxm_class, unsigned oxm_field)
{
    const struct field_info *info = field_table;

    if (oxm_field < N_FIELDS && info[oxm_field].oxm_field == oxm_field
        && info[oxm_field].oxm_class == oxm_class) {
        return (int)oxm_field;      /* Most rows lie at their own number. */
    }
    for (int i = 0; i < N_FIELDS; i++) {
        if (info[i].oxm_field == oxm_field && info[i].oxm_class == oxm_class) {
            return i;
        }
    }
    return -1;
}

/* --- Other names ------------------------------------------------------------------------ */

struct alias {
    uint32_t oxm_class;
    uint8_t number;
    struct field_name name;
};

static const struct alias aliases[] = {
#define X(CLASS, NUMBER, FIELD, BITS, SHIFT) \
    { CLASS, NUMBER, { FIELD_##FIELD, BITS, OXM_SIZE(BITS), SHIFT } },
    ALIASES(X)
#undef X
};

bool
field_by_name(uint32_t oxm_class, unsigned oxm_field, struct field_name *name)
{
    int field = field_by_oxm(oxm_class, oxm_field);

    if (field >= 0) {
        const struct field_info *info = &field_table[field];

        *name = (struct field_name) { (uint8_t)field, info->bits, info->size, 0 };
        return true;
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        if (aliases[i].oxm_class == oxm_class && aliases[i].number == oxm_field) {
            *name = aliases[i].name;
            return true;
        }
    }
    return false;
}

bool
field_widen(const struct field_name *name, const uint8_t *value, uint8_t *wide)
{
    enum { PORTS_NXM = 0xff00, PORTS = 0xffffff00 - PORTS_NXM };
    uint64_t number = 0;

    for (unsigned i = 0; i < name->size; i++) {
        number = number << 8 | value[i];
    }
    if (number & ((1u << name->shift) - 1)) {
        return false;
    }
    number >>= name->shift;
    if (name->field == FIELD_in_port && number >= PORTS_NXM) {
        number += PORTS;
    }
    for (unsigned i = field_table[name->field].size; i-- > 0; number >>= 8) {
        wide[i] = (uint8_t)number;
    }
    return true;
}

/* --- Values ------------------------------------------------------------------------------ */

uint64_t
field_word_mask(enum field field, unsigned i)
{
    const struct field_info *info = &field_table[field];

    if (i >= (info->bits + 63u) / 64) {
        return 0;
    }
    return info->bits < 64 ? ((UINT64_C(1) << info->bits) - 1) << info->shift : UINT64_MAX;
}

void
field_words(enum field field, const uint8_t *value, uint64_t words[2])
{
    const struct field_info *info = &field_table[field];
    uint64_t bits = 0;

    if (info->bits == 128) {
        words[0] = get_be64(value);
        words[1] = get_be64(value + 8);
        return;
    }
    for (unsigned i = 0; i < info->size; i++) {
        bits = bits << 8 | value[i];
    }
    words[0] = bits << info->shift & field_word_mask(field, 0);
    words[1] = 0;
}

void
field_value(enum field field, const uint64_t *words, uint8_t *value)
{
    const struct field_info *info = &field_table[field];

    if (info->bits == 128) {
        put_be64(value, words[0]);
        put_be64(value + 8, words[1]);
        return;
    }

    uint64_t bits = (words[0] & field_word_mask(field, 0)) >> info->shift;

    for (unsigned i = info->size; i-- > 0; bits >>= 8) {
        value[i] = (uint8_t)bits;
    }
}

void
field_put(struct flow_key *key, enum field field, const uint8_t *value)
{
    uint64_t *word = &key->word[field_table[field].word], words[2];

    field_words(field, value, words);
    word[0] = (word[0] & ~field_word_mask(field, 0)) | words[0];
    if (field_table[field].bits > 64) {
        word[1] = words[1];
    }
}

void
field_get(const struct flow_key *key, enum field field, uint8_t *value)
{
    field_value(field, &key->word[field_table[field].word], value);
}

/* --- Prerequisites ------------------------------------------------------------------------ */

static bool
condition_met(const struct condition *c, const struct flow_key *key, const struct flow_key *mask)
{
    const struct field_info *info = &field_table[c->field];
    uint64_t width = field_word_mask(c->field, 0);
    uint64_t want = c->mask ? (uint64_t)c->mask << info->shift : width;
    uint64_t value = (key->word[info->word] & want) >> info->shift;

    if ((mask->word[info->word] & want) != want) {
        return false;
    }
    return !c->mask || value == c->values[0] || value == c->values[1];
}

bool
field_needs_met(enum field field, const struct flow_key *key, const struct flow_key *mask)
{
    const struct condition *c;

    for (unsigned row = field_table[field].needs; row != NEEDS_NONE; row = c->also) {
        c = &conditions[row];
        if (!condition_met(c, key, mask)) {
            return false;
        }
    }
    return true;
}
