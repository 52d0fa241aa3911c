#ifndef RAICHO_FIB_TREE_H
#define RAICHO_FIB_TREE_H

/* The tree of one family of a FIB: see fib.h.
 *
 * Addresses and prefixes are 'bits' here: from the highest bit of the first word on, also those of
 * IPv4. */

#include "fib.h"

/* --- Words --------------------------------------------------------------------------------------- */

/* What a slot has: a kind, and a value or the number of a node or of few prefixes. */
enum fib_kind {
    FIB_INHERITED,                  /* A value (0: none) that a shorter prefix has. */
    FIB_OWN,                        /* A value that the prefix of this very slot has. */
    FIB_CHILD,
    FIB_FEW,
};

enum {
    FIB_KIND_SHIFT = 30,
    FIB_NUMBER_MASK = (1 << FIB_KIND_SHIFT) - 1,
    FIB_ROOT_BITS = 16,
    FIB_NODE_BITS = 8,
    FIB_ROOT_SLOTS = 1 << FIB_ROOT_BITS,
    FIB_NODE_SLOTS = 1 << FIB_NODE_BITS,
    FIB_LEVELS = 1 + (128 - FIB_ROOT_BITS) / FIB_NODE_BITS,
    FIB_CHUNK_NODES = 1 << 11,      /* Whose slots fill a huge page. */
    FIB_CHUNK_FEWS = 1 << 14,       /* The same. */
    FIB_CHUNKS = FIB_MAX_NODES / FIB_CHUNK_NODES,
    FIB_FEW_PREFIXES = 4,
};

_Static_assert(FIB_MAX_FEWS / FIB_CHUNK_FEWS <= FIB_CHUNKS, "room for chunks of either kind");

static inline uint32_t
fib_word(enum fib_kind kind, uint32_t number)
{
    return (uint32_t) kind << FIB_KIND_SHIFT | number;
}

static inline enum fib_kind
fib_kind(uint32_t word)
{
    return word >> FIB_KIND_SHIFT;
}

static inline uint32_t
fib_number(uint32_t word)
{
    return word & FIB_NUMBER_MASK;
}

/* --- Memory -------------------------------------------------------------------------------------- */

struct fib_bits {
    uint64_t word[2];
};

/* Few prefixes that are longer than the slot they stand in, by their length: of those that an address
 * lies in the last one counts.  Only values change while readers can see it. */
struct fib_few {
    _Alignas(128) uint64_t high[FIB_FEW_PREFIXES];  /* The first 64 bits, */
    uint8_t skip[FIB_FEW_PREFIXES]; /* and how many of these, from the lowest on, belong to no prefix. */
    _Atomic uint32_t values[FIB_FEW_PREFIXES];      /* 0: the place is nobody's. */
    _Atomic uint32_t above;         /* The word that the slot would have without them. */
    uint32_t next;                  /* While it is free: as in struct fib_store. */
    bool is_deep;                   /* One of them is longer than 64 bits. */
    uint64_t low[FIB_FEW_PREFIXES], low_mask[FIB_FEW_PREFIXES];
};

_Static_assert(offsetof(struct fib_few, low) == 64, "what most lookups need is one line");

/* The slots of many nodes, and beside them what no reader needs: prefixes that are shorter than a
 * slot; prefix 'p' of 'n' bits is at 2^n + p.  At 1 is the word that the slot above would have if
 * it were no child.  At 0 is how many prefixes and children there are in the node, and while it is
 * free the next one. */
struct fib_nodes {
    _Atomic uint32_t slots[FIB_CHUNK_NODES][FIB_NODE_SLOTS];
    uint32_t inner[FIB_CHUNK_NODES][FIB_NODE_SLOTS];
};

/* Things by their numbers, in chunks. */
struct fib_store {
    _Atomic(void *) chunks[FIB_CHUNKS];
    uint32_t n_touched;             /* That were ever used. */
    uint32_t free;                  /* The first of those that came back, counted from 1. */
};

struct fib_tree {
    _Atomic uint32_t slots[FIB_ROOT_SLOTS];
    uint32_t inner[FIB_ROOT_SLOTS];
    struct fib_store nodes, fews;
    uint32_t n_retired;             /* Things that readers may still see. */
    bool closed;
};

/* The slots of the node of this number; of any other number, nonsense that must not be read. */
static inline const _Atomic uint32_t *
fib_slots(const struct fib_tree *tree, uint32_t number)
{
    void *chunk = atomic_load_explicit(&tree->nodes.chunks[number / FIB_CHUNK_NODES % FIB_CHUNKS],
                                       memory_order_relaxed);
    const size_t offset = number % FIB_CHUNK_NODES * (FIB_NODE_SLOTS * sizeof number);

    return (const void *) ((uintptr_t) chunk + offset);
}

/* The few prefixes of this number. */
static inline struct fib_few *
fib_few(const struct fib_tree *tree, uint32_t number)
{
    struct fib_few *chunk = atomic_load_explicit(&tree->fews.chunks[number / FIB_CHUNK_FEWS],
                                                 memory_order_relaxed);
    return chunk + number % FIB_CHUNK_FEWS;
}

/* Null without memory. */
struct fib_tree *fib_tree_new(void);

/* It goes when the last thing that was retired has gone. */
void fib_tree_close(struct fib_tree *tree);
size_t fib_tree_memory(const struct fib_tree *tree);

/* A node, or room for few prefixes (FIB_CHILD, FIB_FEW), not cleared: the word that names it, or 0: no
 * memory, or as many as there may be. */
uint32_t fib_take(struct fib_tree *tree, enum fib_kind kind);

/* Gives it back when no reader can see it any more. */
void fib_give(struct fib_tree *tree, struct epoch *epoch, uint32_t word);

/* --- Prefixes --------------------------------------------------------------------------------------- */

/* Of length 1 and more. */
struct fib_prefix {
    struct fib_bits bits;
    uint8_t len;
};

/* As in fib.h.  'comes' is whether it was not there before. */
int fib_tree_put(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix,
                 uint32_t value, bool *comes);
uint32_t fib_tree_remove(struct fib_tree *tree, struct epoch *epoch,
                         const struct fib_prefix *prefix);
uint32_t fib_tree_get(const struct fib_tree *tree, const struct fib_prefix *prefix);
void fib_tree_prefetch(const struct fib_tree *tree, const struct fib_prefix *prefix);

#endif
