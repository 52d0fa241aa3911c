/* FIB: its two trees, and the prefixes of length 0; see fib.h. */

#include <errno.h>

#include "fib_tree.h"

void
fib_open(struct fib *fib, struct epoch *epoch)
{
    *fib = (struct fib) { .epoch = epoch };
}

static struct fib_tree *
tree_of(const struct fib_family *family)
{
    return atomic_load_explicit(&family->tree, memory_order_relaxed);
}

void
fib_close(struct fib *fib)
{
    struct fib_tree *trees[] = { tree_of(&fib->ipv4), tree_of(&fib->ipv6) };

    for (unsigned i = 0; i < 2; i++) {
        if (trees[i]) {
            fib_tree_close(trees[i]);
        }
    }
}

static struct fib_family *
family_of(struct fib *fib, const struct ip_prefix *prefix)
{
    return prefix->family == IP_V4 ? &fib->ipv4 : &fib->ipv6;
}

static struct fib_prefix
in_bits(const struct ip_prefix *prefix)
{
    const uint64_t *word = prefix->address.word;
    struct fib_prefix bits = { { { word[0], word[1] } }, prefix->len };

    if (prefix->family == IP_V4) {
        bits.bits = (struct fib_bits) { { word[1] << 32, 0 } };
    }
    return bits;
}

/* Sets the value of the prefix of length 0.  Returns the one that it had. */
static uint32_t
set_any(struct fib_family *family, uint32_t value)
{
    uint32_t old = atomic_exchange(&family->any, value);

    family->n_prefixes += !!value - !!old;
    return old;
}

/* Makes a tree if there is none yet; null without memory. */
static struct fib_tree *
need_tree(struct fib_family *family)
{
    struct fib_tree *tree = tree_of(family);

    if (!tree) {
        tree = fib_tree_new();
        atomic_store_explicit(&family->tree, tree, memory_order_release);
    }
    return tree;
}

int
fib_put(struct fib *fib, const struct ip_prefix *prefix, uint32_t value)
{
    if (!ip_prefix_is_valid(prefix) || !value || value > FIB_MAX_VALUE) {
        return EINVAL;
    }
    struct fib_family *family = family_of(fib, prefix);
    if (!prefix->len) {
        set_any(family, value);
        return 0;
    }
    const struct fib_prefix bits = in_bits(prefix);
    struct fib_tree *tree = need_tree(family);
    bool comes;
    int error = tree ? fib_tree_put(tree, fib->epoch, &bits, value, &comes) : ENOMEM;
    family->n_prefixes += !error && comes;
    return error;
}

void
fib_prefetch(const struct fib *fib, const struct ip_prefix *prefix)
{
    const struct fib_tree *tree = tree_of(family_of((struct fib *) fib, prefix));
    const struct fib_prefix bits = in_bits(prefix);

    if (tree) {
        fib_tree_prefetch(tree, &bits);
    }
}

uint32_t
fib_remove(struct fib *fib, const struct ip_prefix *prefix)
{
    struct fib_family *family = family_of(fib, prefix);

    if (!ip_prefix_is_valid(prefix)) {
        return 0;
    }
    if (!prefix->len) {
        return set_any(family, 0);
    }
    const struct fib_prefix bits = in_bits(prefix);
    struct fib_tree *tree = tree_of(family);
    uint32_t value = tree ? fib_tree_remove(tree, fib->epoch, &bits) : 0;
    family->n_prefixes -= value != 0;
    return value;
}

uint32_t
fib_get(const struct fib *fib, const struct ip_prefix *prefix)
{
    const struct fib_family *family = family_of((struct fib *) fib, prefix);

    if (!ip_prefix_is_valid(prefix)) {
        return 0;
    }
    if (!prefix->len) {
        return atomic_load(&family->any);
    }
    const struct fib_prefix bits = in_bits(prefix);
    struct fib_tree *tree = tree_of(family);
    return tree ? fib_tree_get(tree, &bits) : 0;
}

size_t
fib_memory(const struct fib *fib)
{
    const struct fib_tree *ipv4 = tree_of(&fib->ipv4), *ipv6 = tree_of(&fib->ipv6);

    return (ipv4 ? fib_tree_memory(ipv4) : 0) + (ipv6 ? fib_tree_memory(ipv6) : 0);
}
