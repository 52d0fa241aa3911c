/* Lookups in a FIB: batches that go down a tree together; see fib_tree.h.
 *
 * Nothing branches on what a slot has: that would be guessed wrong too often. */

#include "fib_tree.h"

#define INLINE static inline __attribute__((always_inline))

enum { TOGETHER = 64 /* Addresses at a time: what they need stays in the L1 cache. */ };

/* Addresses as they come; of which family is known when this is compiled. */
struct addresses {
    bool is_ipv4;
    const uint32_t *ipv4;
    const struct ip_address *ipv6;
};

struct descent {
    uint32_t words[TOGETHER];       /* The last slot that each has met. */
    const _Atomic uint32_t *next[TOGETHER];     /* The slot that it meets then. */
    uint8_t going[TOGETHER];        /* Those whose slot is a child, */
    unsigned n_going;
    uint8_t meeting[TOGETHER];      /* and those who meet few prefixes. */
    unsigned n_meeting;
};

INLINE struct fib_bits
bits_of(struct addresses addresses, unsigned i)
{
    if (addresses.is_ipv4) {
        return (struct fib_bits) { { (uint64_t) addresses.ipv4[i] << 32, 0 } };
    }
    return (struct fib_bits) { { addresses.ipv6[i].word[0], addresses.ipv6[i].word[1] } };
}

/* The byte behind the first 'at' bits, which are a multiple of 8; nonsense behind the last one. */
INLINE unsigned
byte_at(struct addresses addresses, unsigned i, unsigned at)
{
    return bits_of(addresses, i).word[at / 64 % 2] >> (56 - at % 64) & (FIB_NODE_SLOTS - 1);
}

/* Takes down what an address has met in 'slot', the last one of which 'at' bits lie behind. */
INLINE void
take(const struct fib_tree *tree, struct addresses addresses, unsigned i, unsigned at,
     const _Atomic uint32_t *slot, struct descent *descent)
{
    const uint32_t word = atomic_load_explicit(slot, memory_order_acquire);
    const _Atomic uint32_t *below = fib_slots(tree, fib_number(word)) + byte_at(addresses, i, at);
    const bool goes = fib_kind(word) == FIB_CHILD;

    descent->words[i] = word;
    descent->next[i] = goes ? below : slot;
    __builtin_prefetch(descent->next[i]);
    descent->going[descent->n_going] = i;
    descent->n_going += goes;
    descent->meeting[descent->n_meeting] = i;
    descent->n_meeting += fib_kind(word) == FIB_FEW;
}

/* Lets all read their slot of the root, which is small enough to be near. */
INLINE void
start(const struct fib_tree *tree, struct addresses addresses, unsigned n, struct descent *descent)
{
    descent->n_going = descent->n_meeting = 0;
    for (unsigned i = 0; i < n; i++) {
        take(tree, addresses, i, FIB_ROOT_BITS,
             &tree->slots[bits_of(addresses, i).word[0] >> (64 - FIB_ROOT_BITS)], descent);
    }
}

/* Lets all that still go read a slot; 'at' bits lie behind them then. */
INLINE void
step(const struct fib_tree *tree, struct addresses addresses, unsigned at, struct descent *descent)
{
    const unsigned n = descent->n_going;

    descent->n_going = 0;
    for (unsigned j = 0; j < n; j++) {
        const unsigned i = descent->going[j];

        take(tree, addresses, i, at, descent->next[i], descent);
    }
}

/* What an address gets where few prefixes are: what the longest has that it lies in. */
INLINE uint32_t
choose(const struct fib_few *few, struct fib_bits bits, bool is_ipv4)
{
    uint32_t chosen = atomic_load_explicit(&few->above, memory_order_relaxed);
    const bool is_deep = !is_ipv4 && few->is_deep;

#pragma GCC unroll 4
    for (unsigned i = 0; i < FIB_FEW_PREFIXES; i++) {
        const uint32_t value = atomic_load_explicit(&few->values[i], memory_order_relaxed);
        uint64_t difference = (bits.word[0] ^ few->high[i]) >> few->skip[i];

        if (is_deep) {
            difference |= (bits.word[1] ^ few->low[i]) & few->low_mask[i];
        }
        chosen = difference | !value ? chosen : value;
    }
    return chosen;
}

/* Settles who meets few prefixes. */
INLINE void
meet(const struct fib_tree *tree, struct addresses addresses, struct descent *descent)
{
    const struct fib_few *fews[TOGETHER];

    for (unsigned j = 0; j < descent->n_meeting; j++) {
        fews[j] = fib_few(tree, fib_number(descent->words[descent->meeting[j]]));
        __builtin_prefetch(fews[j]);
    }
    for (unsigned j = 0; j < descent->n_meeting; j++) {
        const unsigned i = descent->meeting[j];

        descent->words[i] = choose(fews[j], bits_of(addresses, i), addresses.is_ipv4);
    }
}

INLINE void
look_up(const struct fib_family *family, struct addresses addresses, unsigned n, uint32_t values[])
{
    const struct fib_tree *tree = atomic_load_explicit(&family->tree, memory_order_acquire);
    const uint32_t any = atomic_load_explicit(&family->any, memory_order_acquire);
    struct descent descent;

    if (tree) {
        start(tree, addresses, n, &descent);
        for (unsigned at = FIB_ROOT_BITS + FIB_NODE_BITS; descent.n_going; at += FIB_NODE_BITS) {
            step(tree, addresses, at, &descent);
        }
        meet(tree, addresses, &descent);
    }
    for (unsigned i = 0; i < n; i++) {
        const uint32_t value = tree ? fib_number(descent.words[i]) : 0;
        values[i] = value ? value : any;
    }
}

void
fib_lookup_ipv4(const struct fib *fib, const uint32_t addresses[], unsigned n, uint32_t values[])
{
    for (unsigned i = 0; i < n; i += TOGETHER) {
        look_up(&fib->ipv4, (struct addresses) { true, addresses + i, NULL },
                n - i < TOGETHER ? n - i : TOGETHER, values + i);
    }
}

void
fib_lookup_ipv6(const struct fib *fib, const struct ip_address addresses[], unsigned n,
                uint32_t values[])
{
    for (unsigned i = 0; i < n; i += TOGETHER) {
        look_up(&fib->ipv6, (struct addresses) { false, NULL, addresses + i },
                n - i < TOGETHER ? n - i : TOGETHER, values + i);
    }
}
