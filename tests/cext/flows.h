#ifndef TEST_FLOWS_H
#define TEST_FLOWS_H

/* Random flows and keys that are close enough to each other to match (K8): keys are made of few
 * values a word, masks of few kinds. */

#include <stdlib.h>
#include <string.h>

#include "table.h"

struct random {
    uint64_t state;
};

static inline uint32_t
draw(struct random *random, uint32_t limit)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random->state >> 33) % limit;
}

/* One of 'n' values of a word. */
static inline uint64_t
draw_value(struct random *random, uint32_t n)
{
    uint64_t x = (draw(random, n) + 1) * UINT64_C(0x9e3779b97f4a7c15);

    return x ^ x >> 29;
}

static inline void
draw_key(struct random *random, struct flow_key *key, uint32_t n_values)
{
    for (unsigned i = 0; i < N_KEY_WORDS; i++) {
        key->word[i] = draw_value(random, n_values);
    }
}

/* Up to four words: whole, by a prefix of either half, or by any bits. */
static inline void
draw_mask(struct random *random, struct flow_key *mask)
{
    memset(mask, 0, sizeof *mask);
    for (unsigned n = draw(random, 5); n; n--) {
        uint64_t *word = &mask->word[draw(random, N_KEY_WORDS)];
        unsigned kind = draw(random, 3);
        *word = kind == 0 ? UINT64_MAX
                : kind == 1 ? UINT64_MAX << draw(random, 64) : draw_value(random, 1000);
    }
}

/* The table's flow for a match; null without memory. */
static inline struct flow *
flow_for(struct table *table, const struct flow_key *key, const struct flow_key *mask,
         uint16_t priority)
{
    const struct flow_mask *own = table_mask(table, mask);
    struct flow *flow = own ? flow_new(own, key, NULL, 0) : NULL;

    if (flow) {
        flow->priority = priority;
    }
    return flow;
}

static inline bool
key_matches(const struct flow_key *key, const struct flow_key *mask, const struct flow_key *packet)
{
    uint64_t difference = 0;

    for (unsigned i = 0; i < N_KEY_WORDS; i++) {
        difference |= (key->word[i] ^ packet->word[i]) & mask->word[i];
    }
    return !difference;
}

/* For table_close(). */
static inline void
release_flow(struct flow *flow, void *unused)
{
    (void)unused;
    flow_free(flow);
}

static inline void
free_retired_flow(void *flow, void *unused)
{
    (void)unused;
    flow_free(flow);
}

/* Frees a flow that was taken out, or null, when the readers have passed. */
static inline void
retire_flow(struct epoch *epoch, struct flow *flow)
{
    if (flow) {
        epoch_retire(epoch, flow, free_retired_flow, NULL);
    }
}

#endif
