/* Reassembly: see reassembly.h. */

#include "reassembly.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bytes.h"
#include "csum.h"
#include "extension.h"
#include "hash.h"
#include "headers.h"

enum {
    TICK_MS = 10,
    CHAINS = 256,                       /* A power of two. */
    LENGTH_MAX = 65535,                 /* What the length field of either version can say. */

    MORE_V4 = 0x2000, OFFSET_V4 = 0x1fff, MORE_V6 = 1, OFFSET_V6 = 0xfff8,
    LENGTH_AT_V6 = 4,                   /* Of the payload length. */
};

const struct reassembly_config reassembly_defaults = {
    .max_packets = 1024, .max_bytes = 4 << 20, .max_fragments = 128, .timeout_ms = 60000,
};

/* Part of a packet.  The first one keeps the headers that were in front of it. */
struct piece {
    struct piece *next;
    uint32_t at, size;                  /* Within what was divided. */
    uint32_t header;                    /* Bytes of 'data' in front of it. */
    uint8_t data[];
};

struct key {
    struct ip_address from, to;
    uint32_t id;
    uint8_t family;
    uint8_t proto;                      /* Of IPv4 (RFC 791, 3.2). */
};

struct partial {
    struct key key;
    struct partial *next;               /* In its chain. */
    struct partial *older, *newer;
    struct timer timer;
    struct piece *pieces;               /* By their place. */
    uint32_t interface;                 /* By which the first one came. */
    uint32_t have, end;                 /* Bytes that are there, and that there will be; 0: not known. */
    uint16_t n_pieces;
    bool given_up;                      /* Nothing that comes for it is taken. */
    /* Of IPv6's first fragment: where its header lies and is named, and what it names. */
    uint32_t fragment, named_at;
    uint8_t proto;
};

/* A fragment as it came. */
struct fragment {
    struct key key;
    const uint8_t *packet;
    uint32_t payload, size;             /* Where its part lies. */
    uint32_t at;                        /* Where that belongs. */
    bool is_last;
    struct extension_chain chain;       /* IPv6 */
};

/* --- Reading ------------------------------------------------------------------------------------ */

static bool
read_v4(const uint8_t *packet, size_t len, struct fragment *fragment)
{
    uint32_t header = len < IPV4_SIZE ? 0 : (packet[0] & 15) * 4u;
    uint32_t total = header < IPV4_SIZE ? 0 : get_be16(packet + 2);
    uint16_t word;

    if (total <= header || total > len) {
        return false;
    }
    word = get_be16(packet + 6);
    *fragment = (struct fragment) {
        .key = {
            .from = ip_read(IP_V4, packet + 12), .to = ip_read(IP_V4, packet + 16),
            .id = get_be16(packet + 4), .family = IP_V4, .proto = packet[9],
        },
        .packet = packet, .payload = header, .size = total - header,
        .at = (word & OFFSET_V4) * 8u, .is_last = !(word & MORE_V4),
    };
    return fragment->at || !fragment->is_last;
}

/* The first one has to have all headers (RFC 7112, section 5). */
static bool
read_v6(const uint8_t *packet, size_t len, struct fragment *fragment)
{
    size_t total = len < IPV6_SIZE ? 0 : IPV6_SIZE + (size_t)get_be16(packet + 4);
    struct extension_chain chain;
    const uint8_t *header;

    if (!total || total > len) {
        return false;
    }
    chain = extension_walk(packet, total);
    if (!chain.named_at || !chain.is_whole) {
        return false;
    }
    header = packet + chain.fragment;
    uint32_t payload = (uint32_t)chain.fragment + FRAGMENT_SIZE;

    *fragment = (struct fragment) {
        .key = {
            .from = ip_read(IP_V6, packet + 8), .to = ip_read(IP_V6, packet + 24),
            .id = get_be32(header + 4), .family = IP_V6,
        },
        .packet = packet, .payload = payload, .size = (uint32_t)total - payload,
        .at = get_be16(header + 2) & OFFSET_V6, .is_last = !(get_be16(header + 2) & MORE_V6),
        .chain = chain,
    };
    return fragment->size;
}

static bool
read_fragment(const uint8_t *packet, size_t len, struct fragment *fragment)
{
    unsigned version = len ? packet[0] >> 4 : 0;

    return version == 4 ? read_v4(packet, len, fragment)
                        : version == 6 && read_v6(packet, len, fragment);
}

bool
reassembly_needed(const uint8_t *packet, size_t len)
{
    if (len >= IPV4_SIZE && packet[0] >> 4 == 4) {
        return get_be16(packet + 6) & (MORE_V4 | OFFSET_V4);
    }
    return len >= IPV6_SIZE && packet[0] >> 4 == 6 && extension_walk(packet, len).named_at;
}

/* What the length field of the whole packet counts in front of what was divided. */
static uint32_t
counted_header(const struct fragment *fragment)
{
    return fragment->key.family == IP_V4 ? fragment->payload
                                         : (uint32_t)fragment->chain.fragment - IPV6_SIZE;
}

/* --- Packets in parts --------------------------------------------------------------------------- */

static struct partial **
chain_of(const struct reassembly *reassembly, const struct key *key)
{
    uint64_t hash = hash_word(reassembly->seed, key->from.word[0]);

    hash = hash_word(hash, key->from.word[1]);
    hash = hash_word(hash, key->to.word[0]);
    hash = hash_word(hash, key->to.word[1]);
    hash = hash_word(hash, (uint64_t)key->id << 16 | key->proto << 8 | key->family);
    return &reassembly->chains[hash_finish(hash) & (CHAINS - 1)];
}

static bool
is_equal(const struct key *a, const struct key *b)
{
    return ip_equal(&a->from, &b->from) && ip_equal(&a->to, &b->to) && a->id == b->id
           && a->family == b->family && a->proto == b->proto;
}

static struct partial *
find(const struct reassembly *reassembly, const struct key *key)
{
    struct partial *at = *chain_of(reassembly, key);

    while (at && !is_equal(&at->key, key)) {
        at = at->next;
    }
    return at;
}

static size_t
cost_of(const struct piece *piece)
{
    return sizeof *piece + piece->header + piece->size;
}

static void
free_pieces(struct reassembly *reassembly, struct partial *partial)
{
    while (partial->pieces) {
        struct piece *piece = partial->pieces;

        partial->pieces = piece->next;
        reassembly->n_bytes -= cost_of(piece);
        free(piece);
    }
}

static void
remove_partial(struct reassembly *reassembly, struct partial *partial)
{
    struct partial **at = chain_of(reassembly, &partial->key);

    while (*at != partial) {
        at = &(*at)->next;
    }
    *at = partial->next;
    *(partial->older ? &partial->older->newer : &reassembly->oldest) = partial->newer;
    *(partial->newer ? &partial->newer->older : &reassembly->newest) = partial->older;
    timer_stop(&reassembly->wheel, &partial->timer);
    free_pieces(reassembly, partial);
    reassembly->n_packets--;
    free(partial);
}

/* Removes the packet that began first, if it is not 'but'. */
static bool
evict(struct reassembly *reassembly, const struct partial *but)
{
    struct partial *partial = reassembly->oldest;

    if (partial == but) {
        partial = partial ? partial->newer : NULL;
    }
    if (!partial) {
        return false;
    }
    remove_partial(reassembly, partial);
    reassembly->counters.evicted++;
    return true;
}

static struct partial *
begin(struct reassembly *reassembly, const struct key *key, uint32_t interface, uint64_t now_ms)
{
    struct partial *partial, **at;

    if (reassembly->n_packets >= reassembly->config.max_packets && !evict(reassembly, NULL)) {
        return NULL;
    }
    partial = malloc(sizeof *partial);
    if (!partial) {
        return NULL;
    }
    at = chain_of(reassembly, key);
    *partial = (struct partial) {
        .key = *key, .next = *at, .older = reassembly->newest, .interface = interface,
    };
    *at = partial;
    *(partial->older ? &partial->older->newer : &reassembly->oldest) = partial;
    reassembly->newest = partial;
    reassembly->n_packets++;
    timer_start(&reassembly->wheel, &partial->timer,
                (now_ms + reassembly->config.timeout_ms + TICK_MS - 1) / TICK_MS);
    return partial;
}

/* Nothing more is taken for it until its time is over (RFC 5722, section 4). */
static enum reassembly_result
give_up(struct reassembly *reassembly, struct partial *partial, uint64_t *counter)
{
    ++*counter;
    free_pieces(reassembly, partial);
    partial->given_up = true;
    return REASSEMBLY_DROPPED;
}

/* --- Fragments ---------------------------------------------------------------------------------- */

/* How a fragment goes with those that are there. */
enum fit { FIT_NEW, FIT_SAME, FIT_OVERLAPS };

/* 'link' gets where it belongs.  One that says the same as another is harmless (RFC 8200, 4.5). */
static enum fit
fit(struct partial *partial, const struct fragment *fragment, struct piece ***link)
{
    uint32_t end = fragment->at + fragment->size;
    struct piece **at = &partial->pieces;

    if (partial->end && (end > partial->end || (fragment->is_last && end != partial->end))) {
        return FIT_OVERLAPS;
    }
    while (*at && (*at)->at + (*at)->size <= fragment->at) {
        at = &(*at)->next;
    }
    *link = at;
    if (!*at) {
        return FIT_NEW;
    }
    if ((*at)->at == fragment->at && (*at)->size == fragment->size
        && !memcmp((*at)->data + (*at)->header, fragment->packet + fragment->payload,
                   fragment->size)) {
        return FIT_SAME;
    }
    /* What lies behind the last one does not belong to the packet. */
    return fragment->is_last || (*at)->at < end ? FIT_OVERLAPS : FIT_NEW;
}

static struct piece *
make_piece(struct reassembly *reassembly, const struct partial *partial,
           const struct fragment *fragment)
{
    uint32_t header = fragment->at ? 0 : fragment->payload;
    size_t cost = sizeof(struct piece) + header + fragment->size;
    struct piece *piece;

    while (reassembly->n_bytes + cost > reassembly->config.max_bytes) {
        if (!evict(reassembly, partial)) {
            return NULL;
        }
    }
    piece = malloc(cost);
    if (piece) {
        *piece = (struct piece) { .at = fragment->at, .size = fragment->size, .header = header };
        memcpy(piece->data, fragment->packet + fragment->payload - header, header + fragment->size);
        reassembly->n_bytes += cost;
    }
    return piece;
}

/* Puts a fragment where it belongs.  Returns false if there is no room. */
static bool
put(struct reassembly *reassembly, struct partial *partial, const struct fragment *fragment,
    struct piece **link)
{
    struct piece *piece = partial->n_pieces < reassembly->config.max_fragments
                          ? make_piece(reassembly, partial, fragment) : NULL;

    if (!piece) {
        return false;
    }
    piece->next = *link;
    *link = piece;
    partial->n_pieces++;
    partial->have += fragment->size;
    if (fragment->is_last) {
        partial->end = fragment->at + fragment->size;
    }
    if (!fragment->at) {
        partial->fragment = (uint32_t)fragment->chain.fragment;
        partial->named_at = (uint32_t)fragment->chain.named_at;
        partial->proto = fragment->packet[fragment->chain.fragment];
    }
    return true;
}

/* Bytes of headers in front of what was divided, which the first piece has. */
static uint32_t
first_header(const struct partial *partial)
{
    return partial->key.family == IP_V4 ? partial->pieces->header : partial->fragment;
}

/* Later fragments may have had shorter headers, with which the packet was not too long. */
static uint32_t
longest(const struct partial *partial)
{
    return partial->key.family == IP_V4 ? LENGTH_MAX : IPV6_SIZE + LENGTH_MAX;
}

/* Writes the whole packet. */
static void
assemble(struct reassembly *reassembly, const struct partial *partial,
         struct reassembly_output *output)
{
    const struct piece *first = partial->pieces;
    uint8_t *to = reassembly->whole;
    size_t header = first_header(partial);

    memcpy(to, first->data, header);
    for (const struct piece *piece = first; piece; piece = piece->next) {
        memcpy(to + header + piece->at, piece->data + piece->header, piece->size);
    }
    *output = (struct reassembly_output) { .packet = to, .len = header + partial->end };
    if (partial->key.family == IP_V4) {
        put_be16(to + 2, (uint16_t)output->len);
        put_be16(to + 6, 0);
        csum_ipv4(to);
    } else {
        put_be16(to + LENGTH_AT_V6, (uint16_t)(output->len - IPV6_SIZE));
        to[partial->named_at] = partial->proto;
    }
}

static enum reassembly_result
take(struct reassembly *reassembly, struct partial *partial, const struct fragment *fragment,
     struct reassembly_output *output)
{
    struct piece **link = NULL;
    enum fit how = partial->given_up ? FIT_OVERLAPS : fit(partial, fragment, &link);

    if (how == FIT_OVERLAPS) {
        return give_up(reassembly, partial, &reassembly->counters.overlapping);
    }
    if (how == FIT_NEW && !put(reassembly, partial, fragment, link)) {
        return give_up(reassembly, partial, &reassembly->counters.no_room);
    }
    if (partial->have != partial->end) {
        return REASSEMBLY_WAITS;
    }
    if (first_header(partial) + partial->end > longest(partial)) {
        return give_up(reassembly, partial, &reassembly->counters.damaged);
    }
    assemble(reassembly, partial, output);
    remove_partial(reassembly, partial);
    reassembly->counters.whole++;
    return REASSEMBLY_WHOLE;
}

/* Checks lengths (RFC 8200, 4.5); returns the offset of the field that is wrong, or 0. */
static uint32_t
check_lengths(const struct fragment *fragment)
{
    bool is_v4 = fragment->key.family == IP_V4;

    if (!fragment->is_last && fragment->size % 8) {
        return is_v4 ? 2 : LENGTH_AT_V6;
    }
    if (counted_header(fragment) + fragment->at + fragment->size > LENGTH_MAX) {
        return is_v4 ? 6 : (uint32_t)fragment->chain.fragment + 2;
    }
    return 0;
}

enum reassembly_result
reassembly_add(struct reassembly *reassembly, uint32_t interface, const uint8_t *packet, size_t len,
               uint64_t now_ms, struct reassembly_output *output)
{
    struct fragment fragment;
    struct partial *partial;

    reassembly->counters.fragments++;
    if (!read_fragment(packet, len, &fragment)) {
        reassembly->counters.damaged++;
        return REASSEMBLY_DROPPED;
    }
    output->parameter = check_lengths(&fragment);
    if (output->parameter) {
        reassembly->counters.damaged++;
        return fragment.key.family == IP_V6 ? REASSEMBLY_PARAMETER : REASSEMBLY_DROPPED;
    }

    /* What is whole by itself has nothing to do with others of the same number (RFC 6946). */
    bool is_atomic = !fragment.at && fragment.is_last;

    partial = is_atomic ? NULL : find(reassembly, &fragment.key);
    partial = partial ? partial : begin(reassembly, &fragment.key, interface, now_ms);
    if (!partial) {
        reassembly->counters.no_room++;
        return REASSEMBLY_DROPPED;
    }
    return take(reassembly, partial, &fragment, output);
}

/* --- Time --------------------------------------------------------------------------------------- */

static void
expire(struct timer *timer, void *reassembly_)
{
    struct reassembly *reassembly = reassembly_;
    struct partial *partial = (void *)((char *)timer - offsetof(struct partial, timer));
    const struct piece *first = partial->pieces;

    if (!partial->given_up) {
        reassembly->counters.timed_out++;
        if (first && !first->at) {
            reassembly->expired(reassembly->context, partial->interface, first->data,
                                first->header + first->size);
        }
    }
    remove_partial(reassembly, partial);
}

void
reassembly_advance(struct reassembly *reassembly, uint64_t now_ms)
{
    timer_wheel_advance(&reassembly->wheel, now_ms / TICK_MS, expire, reassembly);
}

int
reassembly_open(struct reassembly *reassembly, const struct reassembly_config *config,
                reassembly_expired *expired, void *context, uint64_t seed, uint64_t now_ms)
{
    *reassembly = (struct reassembly) {
        .config = *config, .expired = expired, .context = context, .seed = seed,
        .chains = calloc(CHAINS, sizeof *reassembly->chains),
        .whole = malloc(IPV6_SIZE + LENGTH_MAX),
    };
    timer_wheel_init(&reassembly->wheel, now_ms / TICK_MS);
    if (!reassembly->chains || !reassembly->whole) {
        reassembly_close(reassembly);
        return ENOMEM;
    }
    return 0;
}

void
reassembly_close(struct reassembly *reassembly)
{
    while (reassembly->oldest) {
        remove_partial(reassembly, reassembly->oldest);
    }
    free(reassembly->chains);
    free(reassembly->whole);
}
