#ifndef RAICHO_EXACT_H
#define RAICHO_EXACT_H

/* Exact: the entries with one mask, by the hash of their keys.
 *
 * How
 * ===
 * Extendible hashing [1]: the first bits of a hash choose, through a directory, a segment of up to 64
 * buckets; its last bits the bucket.  A bucket is a cache line of eight words: the address of an entry
 * below, 16 bits of its hash, the tag, above.  So a lookup reads one line of the table, compares eight
 * tags at a time, and hardly ever reads an entry that is not the one.  A full bucket goes on in the
 * next of its segment; who finds a bucket with an empty word need not look further.
 *
 * A full segment is split in two, a nearly empty one merged with its sibling.  That copies at most 512
 * words, however large the table is.  Keys that no split separates do not make the directory grow
 * without end: their segment gets more buckets instead.
 *
 * Cost
 * ====
 * 9 to 18 bytes a key.  A change in a table of a million: a microsecond, some 30 with a split.
 *
 * Threads
 * =======
 * One writer.  A word, a segment, a directory is replaced with one store, so that a reader sees each
 * change whole or not at all; what was replaced is retired by epoch.
 *
 * [1] R. Fagin et al., "Extendible Hashing - A Fast Access Method for Dynamic Files", ACM TODS 4(3),
 *     1979. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "epoch.h"
#include "key.h"

struct flow;
struct flow_mask;

enum {
    BUCKET_WORDS = 8,
    EXACT_TAG = 48,                 /* Shift of the tag.  Addresses of processes have 47 or 48 bits. */
    EXACT_GONE = 1,                 /* A word that was used and may be used again. */
};

struct bucket {
    _Alignas(64) _Atomic uint64_t word[BUCKET_WORDS];   /* 0: empty. */
};

/* A segment as the directory knows it: address of its buckets, logarithm of their number. */
enum { EXACT_LOG = 63 };

struct directory {
    uint32_t bits;                  /* First ones of the hash. */
    _Atomic uintptr_t segment[];
};

struct exact {
    _Atomic(struct directory *) directory;
    uint32_t n_keys;
    uint32_t n_segments;
    uint32_t n_deep;                /* Those whose hashes share as many bits as the directory has. */
    bool visiting;                  /* Nothing moves now. */
};

static inline uint64_t
exact_tag(uint64_t hash)
{
    return (hash >> 16 & 0xffff) | 1;           /* Neither that of an empty word nor of a gone one. */
}

static inline struct flow *
exact_flow(uint64_t word)
{
    return (struct flow *) (uintptr_t) (word & ((UINT64_C(1) << EXACT_TAG) - 1));
}

/* The segment for a hash. */
static inline uintptr_t
exact_segment(const struct directory *directory, uint64_t hash)
{
    uint64_t i = hash >> 1 >> (63 - directory->bits);

    return atomic_load_explicit(&directory->segment[i], memory_order_acquire);
}

static inline const struct bucket *
exact_buckets(uintptr_t segment)
{
    return (const struct bucket *) (segment & ~(uintptr_t) EXACT_LOG);
}

/* Number of buckets less one. */
static inline uint64_t
exact_last(uintptr_t segment)
{
    return (UINT64_C(1) << (segment & EXACT_LOG)) - 1;
}

/* The bucket where a search for 'hash' begins. */
static inline const struct bucket *
exact_home(uintptr_t segment, uint64_t hash)
{
    return exact_buckets(segment) + (hash & exact_last(segment));
}

/* 'mask' says where the memory is from.  Returns 0 or ENOMEM. */
int exact_open(struct exact *exact, const struct flow_mask *mask);

/* No readers left. */
void exact_close(struct exact *exact);

/* The word of the entry with this key, or null.  'seen' is what stood there: a worker may only go by
 * that. */
_Atomic uint64_t *exact_find(const struct exact *exact, const struct flow_mask *mask,
                             const struct flow_key *key, uint64_t hash, uint64_t *seen);

/* Makes sure that one more entry with this hash has room.  Returns 0 or ENOMEM. */
int exact_reserve(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask,
                  uint64_t hash);

/* Puts an entry in that is not there, for which there is room. */
void exact_put(struct exact *exact, struct flow *flow, uint64_t hash);

/* Lets another entry with the same key have the word of one. */
void exact_replace(_Atomic uint64_t *word, struct flow *flow, uint64_t hash);

/* Empties the word of an entry. */
void exact_remove(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask,
                  _Atomic uint64_t *word, uint64_t hash);

/* Calls visit(flow, context) for each entry from hash '*from' on, which may empty its word, until it
 * returns false or about '*budget' words were seen, which are taken from it.  Returns what it returned
 * last; '*from' is where to go on, 0 at the end. */
bool exact_each(struct exact *exact, uint64_t *from, unsigned *budget,
                bool (*visit)(struct flow *, void *), void *context);

/* Merges what has become nearly empty while it was visited. */
void exact_tidy(struct exact *exact, struct epoch *epoch, const struct flow_mask *mask);

/* Bytes that it takes. */
size_t exact_memory(const struct exact *exact);

#endif
