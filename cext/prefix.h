#ifndef RAICHO_PREFIX_H
#define RAICHO_PREFIX_H

/* Prefix: a finder for tables whose masks differ only in the prefix length of an address.
 *
 * What
 * ====
 * A family is a set of masks that agree in all but the prefix length of one field: routes by IPv4
 * destination are one, those by IPv6 destination in the same table another.  The entries of a family
 * that agree in the rest of the match (the Ethernet type; the VRF in the metadata) are in one trie.  A
 * few entries that are in no family (the table-miss entry) stand beside the tries.
 *
 * How
 * ===
 * A trie takes a byte of the field at each node.  A prefix is in the node in which it ends, and in
 * none below it, so that a change writes into one node only.  Since priorities need not follow the
 * lengths, a lookup goes down as far as there are nodes and keeps the best entry that it meets.  An
 * entry is one word that has the priority above the pointer: the better one is the greater one, and
 * no flow is read on the way.
 *
 * Nodes come in three sizes.  One with up to 6 prefixes and children is a cache line in which all are
 * compared at once; one with up to 24 is four lines; beyond that, it is an array of 256 slots, each
 * with the best of the node's prefixes for this byte, and the child.  The small ones are replaced as a
 * whole.  In an array each slot is written with one store.
 *
 * Cost
 * ====
 * A lookup reads a line for each byte of the field until the prefixes end; those of a batch overlap.
 * A change replaces one small node or writes up to 256 slots, and makes or frees the nodes on
 * the way.  64 bytes for a prefix that is alone in its node; 4 kB for a node with more than 24.
 *
 * Threads
 * =======
 * One writer.  Readers see of each change, for each key, all or nothing.
 *
 * Reference: V. Srinivasan, G. Varghese, "Fast Address Lookups Using Controlled Prefix Expansion", ACM
 * TOCS 17(1), 1999; V. Leis et al., "The Adaptive Radix Tree", ICDE 2013 (sizes of nodes). */

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "table.h"

/* --- Entries -------------------------------------------------------------------------------- */

/* priority:16 (0 in children), pointer:42, kind:6.  0: none.  Flows and nodes are aligned to cache
 * lines and below 2^48. */
enum trie_kind {
    TRIE_NONE,
    TRIE_FLOW,
    TRIE_SMALL,                     /* The others are nodes. */
    TRIE_MEDIUM,
    TRIE_DENSE,
};

enum {
    TRIE_KIND_BITS = 6,
    TRIE_PRIORITY_SHIFT = 48,
    TRIE_SLOTS = 256,
    TRIE_LANES = 8,                 /* Items compared at once. */
    SMALL_ITEMS = 6,
    MEDIUM_ITEMS = 24,
};

static inline enum trie_kind
trie_kind(uint64_t entry)
{
    return entry & ((1u << TRIE_KIND_BITS) - 1);
}

static inline void *
trie_pointer(uint64_t entry)
{
    return (void *) (uintptr_t) (entry & ((UINT64_C(1) << TRIE_PRIORITY_SHIFT)
                                          - (1u << TRIE_KIND_BITS)));
}

static inline uint16_t
trie_priority(uint64_t entry)
{
    return (uint16_t) (entry >> TRIE_PRIORITY_SHIFT);
}

static inline uint64_t
trie_flow_entry(const struct flow *flow)
{
    return (uint64_t) flow->priority << TRIE_PRIORITY_SHIFT | (uintptr_t) flow | TRIE_FLOW;
}

_Static_assert(_Alignof(struct flow) >= 1 << TRIE_KIND_BITS, "room for the kind");

static inline uint64_t
trie_load(const _Atomic uint64_t *link)
{
    return atomic_load_explicit(link, memory_order_acquire);
}

/* --- Nodes ------------------------------------------------------------------------------------ */

/* Items are prefixes (some bits of the byte) and children (all of them); lane i of 'values' and
 * 'masks' belongs to entry i.  Only entries change, to another of the same prefix, or to none. */
struct trie_small {
    uint64_t values, masks;
    _Atomic uint64_t entries[SMALL_ITEMS];
};

struct trie_medium {
    uint64_t values[MEDIUM_ITEMS / TRIE_LANES], masks[MEDIUM_ITEMS / TRIE_LANES];
    uint64_t unused[2];
    _Atomic uint64_t entries[MEDIUM_ITEMS];
};

_Static_assert(sizeof(struct trie_small) == 64, "a cache line");
_Static_assert(sizeof(struct trie_medium) == 256, "four of them");

struct trie_item {
    uint64_t entry;
    uint8_t value, mask;
};

struct trie_dense {
    struct {
        _Atomic uint64_t flow, child;
    } slots[TRIE_SLOTS];
    struct trie_item *items;        /* The prefixes. */
    uint16_t n_items, max_items, n_children;
};

struct trie {
    _Atomic uint64_t root;          /* 0: empty. */
    struct epoch *epoch;
    size_t *memory;                 /* Bytes of all nodes are counted here. */
};

/* A prefix: the first 'length' bits of up to 16 bytes. */
struct trie_prefix {
    uint8_t length;                 /* Bits. */
    uint8_t bytes[16];
};

/* Puts an entry in for a prefix, in the place of the one that is there; 0 takes that out.  Returns 0 or
 * ENOMEM, in which case nothing is found that was not there before. */
int trie_change(struct trie *trie, const struct trie_prefix *prefix, uint64_t entry);

/* Frees the nodes.  No readers left. */
void trie_close(struct trie *trie);

/* --- The finder -------------------------------------------------------------------------------- */

/* A part of the key that may be cut by prefix; begins with the given bit of a word, the highest being
 * 0, and goes on in the next one. */
struct prefix_field {
    uint8_t word, first, bits;
};

/* By which a table is likely to be cut, the likeliest first. */
enum { PREFIX_FIELDS = 11 };

extern const struct prefix_field prefix_fields[PREFIX_FIELDS];

/* The first 'n' bits of a word. */
static inline uint64_t
first_bits(unsigned n)
{
    return n ? UINT64_MAX << (64 - n) : 0;
}

/* The bits of a word that belong to a field. */
static inline uint64_t
prefix_part(const struct prefix_field *field, unsigned word)
{
    if (word == field->word) {
        return first_bits(field->bits < 64 ? field->bits : 64) >> field->first;
    }
    return word == field->word + 1u && field->bits > 64 ? UINT64_MAX : 0;
}

/* Where the byte at 'depth' of a field is. */
static inline unsigned
prefix_word(const struct prefix_field *field, unsigned depth)
{
    return field->word + (field->first + 8 * depth) / 64;
}

static inline unsigned
prefix_shift(const struct prefix_field *field, unsigned depth)
{
    return 56 - (field->first + 8 * depth) % 64;
}

struct prefix_group {
    struct trie trie;
    uint32_t hash;
    uint64_t words[];               /* What the entries agree in: values under family.base. */
};

struct prefix_groups {
    uint32_t n;                     /* A power of two. */
    uint32_t n_used;
    _Atomic(struct prefix_group *) slots[];     /* By hash; linear probing. */
};

struct prefix_family {
    const struct prefix_field *field;
    struct flow_mask base;          /* The masks without the field. */
    _Atomic(struct prefix_groups *) groups;
};

enum { PREFIX_FAMILIES = 4 };

struct prefix {
    struct finder finder;
    struct epoch *epoch;
    struct finder *rest;            /* Entries of no family. */
    _Atomic uint32_t rest_top;      /* The highest priority of them. */
    size_t memory;
    unsigned n_families;
    struct prefix_family families[PREFIX_FAMILIES];
};

/* Whether 'key' has 'words' under 'mask'. */
static inline bool
prefix_agrees(const uint64_t *words, const struct flow_mask *mask, const struct flow_key *key)
{
    uint64_t difference = 0;

    for (unsigned i = 0; i < mask->n; i++) {
        difference |= (key->word[mask->word[i]] & mask->bits[i]) ^ words[i];
    }
    return !difference;
}

/* Finds the entries of a batch; see table_lookup(). */
void prefix_lookup(const struct finder *finder, const struct flow_key *const keys[], unsigned n,
                   const struct flow *found[]);

#endif
