#ifndef RAICHO_FIB_FEW_H
#define RAICHO_FIB_FEW_H

/* Few prefixes of a FIB's tree in one place (struct fib_few): how they are read and written.  The writer's. */

#include "fib_tree.h"

/* Prefixes by their length, the longest last, and room for one more than there may be in a place. */
struct fib_list {
    struct fib_prefix prefixes[FIB_FEW_PREFIXES + 1];
    uint32_t values[FIB_FEW_PREFIXES + 1];
    unsigned n;
};

void fib_list_add(struct fib_list *list, const struct fib_prefix *prefix, uint32_t value);

/* Sets 'list' to the prefixes that are there. */
void fib_few_read(const struct fib_few *few, struct fib_list *list);

/* Writes what nobody sees yet; at most FIB_FEW_PREFIXES of them. */
void fib_few_write(struct fib_few *few, const struct fib_list *list, uint32_t above);

/* Where the value of a prefix is; null: it is not there. */
_Atomic uint32_t *fib_few_find(struct fib_few *few, const struct fib_prefix *prefix);

bool fib_few_is_empty(const struct fib_few *few);
bool fib_few_is_full(const struct fib_few *few);

#endif
