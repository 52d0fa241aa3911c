/* Few prefixes in one place; see fib_few.h. */

#include "fib_few.h"

static uint32_t
value_at(const struct fib_few *few, unsigned i)
{
    return atomic_load_explicit(&few->values[i], memory_order_relaxed);
}

static uint8_t
len_at(const struct fib_few *few, unsigned i)
{
    return (uint8_t) (64 - few->skip[i] + __builtin_popcountll(few->low_mask[i]));
}

static unsigned
count(const struct fib_few *few)
{
    unsigned n = 0;

    for (unsigned i = 0; i < FIB_FEW_PREFIXES; i++) {
        n += value_at(few, i) != 0;
    }
    return n;
}

void
fib_list_add(struct fib_list *list, const struct fib_prefix *prefix, uint32_t value)
{
    unsigned at = list->n++;

    for (; at && list->prefixes[at - 1].len > prefix->len; at--) {
        list->prefixes[at] = list->prefixes[at - 1];
        list->values[at] = list->values[at - 1];
    }
    list->prefixes[at] = *prefix;
    list->values[at] = value;
}

void
fib_few_read(const struct fib_few *few, struct fib_list *list)
{
    list->n = 0;
    for (unsigned i = 0; i < FIB_FEW_PREFIXES; i++) {
        if (value_at(few, i)) {
            list->prefixes[list->n].bits = (struct fib_bits) { { few->high[i], few->low[i] } };
            list->prefixes[list->n].len = len_at(few, i);
            list->values[list->n++] = value_at(few, i);
        }
    }
}

void
fib_few_write(struct fib_few *few, const struct fib_list *list, uint32_t above)
{
    few->is_deep = false;
    for (unsigned i = 0; i < FIB_FEW_PREFIXES; i++) {
        const bool is_there = i < list->n;
        const struct fib_prefix *prefix = &list->prefixes[is_there ? i : 0];
        const struct ip_address mask = ip_mask(IP_V6, prefix->len);

        few->high[i] = prefix->bits.word[0];
        few->low[i] = prefix->bits.word[1];
        few->skip[i] = prefix->len < 64 ? 64 - prefix->len : 0;
        few->low_mask[i] = mask.word[1];
        few->is_deep |= prefix->len > 64;
        atomic_store_explicit(&few->values[i], is_there ? list->values[i] : 0, memory_order_relaxed);
    }
    atomic_store_explicit(&few->above, above, memory_order_relaxed);
}

_Atomic uint32_t *
fib_few_find(struct fib_few *few, const struct fib_prefix *prefix)
{
    for (unsigned i = 0; i < FIB_FEW_PREFIXES; i++) {
        if (few->high[i] == prefix->bits.word[0] && few->low[i] == prefix->bits.word[1]
            && len_at(few, i) == prefix->len && value_at(few, i)) {
            return &few->values[i];
        }
    }
    return NULL;
}

bool
fib_few_is_empty(const struct fib_few *few)
{
    return !count(few);
}

bool
fib_few_is_full(const struct fib_few *few)
{
    return count(few) == FIB_FEW_PREFIXES;
}
