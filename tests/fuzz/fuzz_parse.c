/* Whatever the bytes: offsets lie inside the frame with their header, a second parse gives
 * the same, bits of the key that belong to no field are 0, and words are filled only where
 * the Ethernet type and protocol say so.  The frame is not changed; nothing is read beyond it. */

#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include "../cext/packets.h"
#include "csum.h"
#include "field.h"
#include "parse.h"

/* A frame that was parsed. */
struct seen {
    struct packet p;
    struct flow_key key;
};

static void
check(bool good)
{
    if (!good) {
        abort();
    }
}

static struct seen
look(const uint8_t *data, size_t size, int before)
{
    struct seen s;

    memset(&s, before, sizeof s);
    s.p.data = (uint8_t *)(uintptr_t)data;
    s.p.len = (uint32_t)size;
    parse(&s.p, &s.key);
    return s;
}

static uint64_t
field(const struct seen *s, enum field f)
{
    return (s->key.word[field_table[f].word] & field_word_mask(f, 0)) >> field_table[f].shift;
}

static bool
is_zero(const struct seen *s, enum key_word first, enum key_word last)
{
    uint64_t bits = 0;

    for (unsigned w = first; w <= last; w++) {
        bits |= s->key.word[w];
    }
    return !bits;
}

static bool
is_there(uint16_t offset)
{
    return offset != NO_OFFSET;
}

/* Bytes that the transport header must have at least. */
static size_t
l4_least(unsigned proto)
{
    return proto == IP_PROTO_TCP ? TCP_SIZE : proto == IP_PROTO_UDP ? UDP_SIZE
           : proto == IP_PROTO_SCTP ? SCTP_SIZE : ICMP_SIZE;
}

static void
offsets_lie_inside(const struct seen *s, size_t size)
{
    const struct packet *p = &s->p;
    size_t l3 = field(s, FIELD_eth_type) == ETH_TYPE_ARP ? ARP_SIZE
                : field(s, FIELD_eth_type) == ETH_TYPE_IPV4 ? IPV4_SIZE : IPV6_SIZE;
    size_t l2_5 = field(s, FIELD_eth_type) == ETH_TYPE_PBB ? ITAG_SIZE : MPLS_SIZE;

    check(is_there(p->eth_type_at) == (size >= ETH_SIZE));
    check(!is_there(p->eth_type_at) || p->eth_type_at + 2u <= size);
    check(!is_there(p->l2_5) || (p->l2_5 == p->eth_type_at + 2 && p->l2_5 + l2_5 <= size));
    check(!is_there(p->l3) || (p->l3 == p->eth_type_at + 2 && p->l3 + l3 <= size));
    check(!is_there(p->l4) || is_there(p->l3));
    check(!is_there(p->l4) || p->l4 >= p->l3 + l3);
    check(!is_there(p->l4) || p->l4 + l4_least((unsigned)field(s, FIELD_ip_proto)) <= size);
    check(!is_there(p->l2_5) || !is_there(p->l3));
}

/* Bits of header words that no field names: TTL and fragment state, TCP flags, MPLS TTL. */
static uint64_t
unnamed(unsigned word)
{
    return word == W_L4 ? 0xff03 : word == W_IPV6 ? UINT64_C(0xfff) << 16
           : word == W_MPLS ? UINT64_C(0xff) << 32 : 0;
}

static void
unused_bits_are_zero(const struct seen *s)
{
    for (unsigned w = W_HEADERS_FIRST; w <= W_HEADERS_LAST; w++) {
        uint64_t used = unnamed(w);

        for (unsigned f = 0; f < N_FIELDS; f++) {
            unsigned nth = w - field_table[f].word;

            used |= nth < 2 ? field_word_mask(f, nth) : 0;
        }
        check(!(s->key.word[w] & ~used));
    }
}

static void
words_go_with_the_type(const struct seen *s)
{
    uint64_t type = field(s, FIELD_eth_type);
    bool l3 = is_there(s->p.l3), v6 = l3 && type == ETH_TYPE_IPV6;
    bool arp = l3 && type == ETH_TYPE_ARP, nd = v6 && field(s, FIELD_ip_proto) == IP_PROTO_ICMPV6;

    check(type >= ETH_TYPE_MIN || type == ETH_TYPE_NONE || !is_there(s->p.eth_type_at));
    check(!l3 || type == ETH_TYPE_IPV4 || v6 || arp);
    check(l3 || (is_zero(s, W_IPV4, W_L4) && is_zero(s, W_IPV6, W_IPV6)
                 && is_zero(s, W_IPV6_SRC, W_LL_DST)));
    check(!v6 || is_zero(s, W_IPV4, W_IPV4));
    check(v6 || is_zero(s, W_IPV6_SRC, W_ND_TARGET_LOW));
    check(is_there(s->p.l2_5) || is_zero(s, W_MPLS, W_MPLS));
    check(arp || nd || is_zero(s, W_LL_SRC, W_LL_DST));
    check(nd || is_zero(s, W_ND_TARGET, W_ND_TARGET_LOW));
    check(arp || is_there(s->p.l4) || s->key.word[W_L4] >> 32 == 0);
    check(!(s->key.word[W_ETH_SRC] & 0xe000) || field(s, FIELD_vlan_vid) & VID_PRESENT);
    check(!is_there(s->p.l4) || !(s->key.word[W_L4] & FRAG_LATER));
}

/* Summing what was parsed stays inside the frame, and leaves what is parsed alone. */
static void
sums_change_no_field(const struct seen *s, const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);

    check(copy);
    memcpy(copy, data, size);

    struct seen again = look(copy, size, 0);

    csum_transport(&again.p);
    again = look(copy, size, 0);
    check(!memcmp(&again.key.word[W_ETH_DST], &s->key.word[W_ETH_DST],
                  (W_LL_DST - W_ETH_DST + 1) * sizeof(uint64_t)));
    free(copy);
}

/* A slot keeps what the packet before left in it, as in a pool. */
static void
a_vector_is_parsed_as_one(const struct seen *s, const uint8_t *data, size_t size)
{
    static _Alignas(64) uint8_t slot[sizeof(struct packet) + sizeof(struct walk)];
    struct packet *p = (struct packet *)slot;
    struct flow_key *key = &packet_walk(p)->key;

    *p = (struct packet){ .data = (uint8_t *)(uintptr_t)data, .len = (uint32_t)size, .stale = 1 };
    parse_vector(&p, 1);
    check(!memcmp(&s->key.word[W_HEADERS_FIRST], &key->word[W_HEADERS_FIRST],
                  (W_HEADERS_LAST - W_HEADERS_FIRST + 1) * sizeof key->word[0]));
    check(!key->word[W_PORT] && !key->word[W_METADATA] && !key->word[W_TUNNEL_ID] && !key->word[W_CT]);
    check(s->p.l2_5 == p->l2_5 && s->p.l3 == p->l3 && s->p.l4 == p->l4 && !p->stale);
    check(s->p.eth_type_at == p->eth_type_at);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen s = look(data, size, 0), again = look(data, size, 0xff);

    check(!memcmp(&s.key.word[W_ETH_DST], &again.key.word[W_ETH_DST],
                  (W_LL_DST - W_ETH_DST + 1) * sizeof(uint64_t)));
    check(s.p.l2_5 == again.p.l2_5 && s.p.l3 == again.p.l3 && s.p.l4 == again.p.l4);
    check(s.p.eth_type_at == again.p.eth_type_at);
    offsets_lie_inside(&s, size);
    unused_bits_are_zero(&s);
    words_go_with_the_type(&s);
    sums_change_no_field(&s, data, size);
    a_vector_is_parsed_as_one(&s, data, size);
    return 0;
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    struct frame f;

    if (i >= N_SAMPLES) {
        return 0;
    }
    frame_sample(&f, i);
    if (f.len > cap) {
        return 0;
    }
    memcpy(buf, f.data, f.len);
    return f.len;
}
