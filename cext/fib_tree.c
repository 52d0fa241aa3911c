/* Changes of a FIB's tree; see fib_tree.h. */

#include <errno.h>

#include "fib_few.h"
#include "fib_tree.h"

/* The root or a node. */
struct array {
    _Atomic uint32_t *slots;
    uint32_t *inner;
    uint32_t n;                     /* Slots. */
};

static uint32_t
load(const _Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static void
publish(_Atomic uint32_t *word, uint32_t new)
{
    atomic_store_explicit(word, new, memory_order_release);
}

static struct array
root_of(struct fib_tree *tree)
{
    return (struct array) { tree->slots, tree->inner, FIB_ROOT_SLOTS };
}

static struct array
node_of(const struct fib_tree *tree, uint32_t word)
{
    const uint32_t number = fib_number(word);
    struct fib_nodes *nodes = atomic_load_explicit(&tree->nodes.chunks[number / FIB_CHUNK_NODES],
                                                   memory_order_relaxed);
    return (struct array) {
        nodes->slots[number % FIB_CHUNK_NODES], nodes->inner[number % FIB_CHUNK_NODES],
        FIB_NODE_SLOTS,
    };
}

/* --- Bits ---------------------------------------------------------------------------------------- */

/* Where the bits begin that an array of this level takes, and where they end. */
static unsigned
first_bit(unsigned level)
{
    return level ? FIB_ROOT_BITS + (level - 1) * FIB_NODE_BITS : 0;
}

static unsigned
bits_at(unsigned level)
{
    return level ? FIB_NODE_BITS : FIB_ROOT_BITS;
}

/* The level of the array in which a prefix of this length ends. */
static unsigned
level_of(unsigned len)
{
    return len <= FIB_ROOT_BITS ? 0 : (len - FIB_ROOT_BITS - 1) / FIB_NODE_BITS + 1;
}

static uint32_t
slot_of(const struct fib_bits *bits, unsigned level)
{
    const unsigned first = first_bit(level);

    return bits->word[first / 64] << first % 64 >> (64 - bits_at(level));
}

/* Where a prefix is in the heap of the array in which it ends. */
static uint32_t
place_of(const struct fib_prefix *prefix)
{
    const unsigned level = level_of(prefix->len), n = prefix->len - first_bit(level);

    return UINT32_C(1) << n | slot_of(&prefix->bits, level) >> (bits_at(level) - n);
}

/* --- Slots and the prefixes above them ------------------------------------------------------------ */

static void paint(const struct fib_tree *tree, const struct array *array, uint32_t at,
                  uint32_t value);

/* The word of a slot, without what is longer than it. */
static uint32_t
slot_word(const struct fib_tree *tree, const struct array *array, uint32_t slot)
{
    const uint32_t word = load(&array->slots[slot]);

    switch (fib_kind(word)) {
    case FIB_CHILD:
        return node_of(tree, word).inner[1];
    case FIB_FEW:
        return load(&fib_few(tree, fib_number(word))->above);
    default:
        return word;
    }
}

static void
set_slot(const struct fib_tree *tree, const struct array *array, uint32_t slot, uint32_t word)
{
    const uint32_t old = load(&array->slots[slot]);

    if (fib_kind(old) == FIB_CHILD) {
        const struct array node = node_of(tree, old);
        node.inner[1] = word;
        paint(tree, &node, 1, fib_number(word));
    } else if (fib_kind(old) == FIB_FEW) {
        publish(&fib_few(tree, fib_number(old))->above, word);
    } else {
        publish(&array->slots[slot], word);
    }
}

/* Gives the slots below the prefix at 'at' a value, apart from those that a longer prefix has. */
static void
paint(const struct fib_tree *tree, const struct array *array, uint32_t at, uint32_t value)
{
    for (uint32_t below = 2 * at; below <= 2 * at + 1; below++) {
        if (below < array->n) {
            if (!array->inner[below]) {
                paint(tree, array, below, value);
            }
        } else if (fib_kind(slot_word(tree, array, below - array->n)) != FIB_OWN) {
            set_slot(tree, array, below - array->n, value);
        }
    }
}

/* The value of the prefix at 'at'; 0: there is no such prefix. */
static uint32_t
own_value(const struct fib_tree *tree, const struct array *array, uint32_t at)
{
    const uint32_t word = at < array->n ? array->inner[at] : slot_word(tree, array, at - array->n);

    return fib_kind(word) == FIB_OWN ? fib_number(word) : 0;
}

/* Writes a prefix: its own value, or what addresses get without it. */
static void
write_prefix(const struct fib_tree *tree, const struct array *array, uint32_t at, uint32_t word)
{
    if (at < array->n) {
        array->inner[at] = fib_kind(word) == FIB_OWN ? word : 0;
        paint(tree, array, at, fib_number(word));
    } else {
        set_slot(tree, array, at - array->n, word);
    }
}

/* The value of the longest of the prefixes that are shorter than the one at 'at'. */
static uint32_t
value_above(const struct array *array, uint32_t at)
{
    do {
        at /= 2;
    } while (at > 1 && !array->inner[at]);
    return fib_number(array->inner[at]);
}

/* --- Ways down -------------------------------------------------------------------------------------- */

/* From the root as far as there are nodes, at most to the array in which a prefix ends. */
struct path {
    unsigned end;                   /* The level of that array, */
    unsigned level;                 /* and how far it was followed. */
    struct array arrays[FIB_LEVELS];
};

static void
follow(struct fib_tree *tree, const struct fib_bits *bits, struct path *path)
{
    while (path->level < path->end) {
        const struct array *array = &path->arrays[path->level];
        const uint32_t word = load(&array->slots[slot_of(bits, path->level)]);
        if (fib_kind(word) != FIB_CHILD) {
            break;
        }
        path->arrays[++path->level] = node_of(tree, word);
    }
}

static void
start(struct fib_tree *tree, const struct fib_prefix *prefix, struct path *path)
{
    path->end = level_of(prefix->len);
    path->level = 0;
    path->arrays[0] = root_of(tree);
    follow(tree, &prefix->bits, path);
}

/* The slot through which a path would go on. */
static _Atomic uint32_t *
next_slot(const struct fib_prefix *prefix, const struct path *path)
{
    return &path->arrays[path->level].slots[slot_of(&prefix->bits, path->level)];
}

/* The few prefixes that stand where a path ends; null if there are none. */
static struct fib_few *
few_at(const struct fib_tree *tree, const struct fib_prefix *prefix, const struct path *path)
{
    const uint32_t word = load(next_slot(prefix, path));

    return path->level < path->end && fib_kind(word) == FIB_FEW ? fib_few(tree, fib_number(word)) : NULL;
}

/* Gives up the nodes at the end of a path that are empty. */
static void
tidy(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix, struct path *path)
{
    while (path->level && !path->arrays[path->level].inner[0]) {
        const uint32_t above = path->arrays[path->level--].inner[1];
        _Atomic uint32_t *slot = next_slot(prefix, path);
        const uint32_t child = load(slot);
        publish(slot, above);
        path->arrays[path->level].inner[0]--;
        fib_give(tree, epoch, child);
    }
}

/* --- Coming ------------------------------------------------------------------------------------------- */

/* Lets a prefix stand in a slot that has a value, or few prefixes and room for one more.  Returns 0 or
 * ENOMEM. */
static int
put_beside(struct fib_tree *tree, struct epoch *epoch, _Atomic uint32_t *slot,
           const struct fib_prefix *prefix, uint32_t value)
{
    const uint32_t old = load(slot), new = fib_take(tree, FIB_FEW);
    const struct fib_few *few = fib_kind(old) == FIB_FEW ? fib_few(tree, fib_number(old)) : NULL;
    struct fib_list list = { .n = 0 };

    if (!new) {
        return ENOMEM;
    }
    if (few) {
        fib_few_read(few, &list);
    }
    fib_list_add(&list, prefix, value);
    fib_few_write(fib_few(tree, fib_number(new)), &list, few ? load(&few->above) : old);
    publish(slot, new);
    if (few) {
        fib_give(tree, epoch, old);
    }
    return 0;
}

/* Puts a prefix into a node that nobody sees yet, in which it ends or is one of few.  Returns 0 or
 * ENOMEM. */
static int
put_into(struct fib_tree *tree, struct epoch *epoch, const struct array *node, unsigned level,
         const struct fib_prefix *prefix, uint32_t value)
{
    node->inner[0]++;
    if (level_of(prefix->len) == level) {
        write_prefix(tree, node, place_of(prefix), fib_word(FIB_OWN, value));
        return 0;
    }
    return put_beside(tree, epoch, &node->slots[slot_of(&prefix->bits, level)], prefix, value);
}

/* Gives a node back that nobody has seen, with what stands in it. */
static void
drop_node(struct fib_tree *tree, struct epoch *epoch, uint32_t word)
{
    const struct array node = node_of(tree, word);

    for (unsigned i = 0; i < FIB_NODE_SLOTS; i++) {
        if (fib_kind(load(&node.slots[i])) == FIB_FEW) {
            fib_give(tree, epoch, load(&node.slots[i]));
        }
    }
    fib_give(tree, epoch, word);
}

/* Makes a node in the place of few prefixes at the end of a path, for one more that comes.  What addresses
 * get stays the same.  They are put in anew: who has met them where they were must not see what changes
 * where they will be.  Returns 0 or ENOMEM. */
static int
make_child(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix,
           struct path *path)
{
    _Atomic uint32_t *slot = next_slot(prefix, path);
    const uint32_t word = load(slot), child = fib_take(tree, FIB_CHILD);
    const struct fib_few *few = fib_few(tree, fib_number(word));
    const uint32_t above = load(&few->above);
    struct fib_list list;

    if (!child) {
        return ENOMEM;
    }
    const struct array node = node_of(tree, child);
    for (unsigned i = 0; i < FIB_NODE_SLOTS; i++) {
        atomic_store_explicit(&node.slots[i], fib_number(above), memory_order_relaxed);
        node.inner[i] = 0;
    }
    node.inner[1] = above;
    fib_few_read(few, &list);
    for (unsigned i = 0; i < list.n; i++) {
        if (put_into(tree, epoch, &node, path->level + 1, &list.prefixes[i], list.values[i])) {
            drop_node(tree, epoch, child);
            return ENOMEM;
        }
    }
    publish(slot, child);
    path->arrays[path->level].inner[0] -= list.n - 1;
    fib_give(tree, epoch, word);
    return 0;
}

/* Puts a prefix that is not there below a slot where it meets no node.  Returns 0 or ENOMEM. */
static int
put_below(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix,
          struct path *path, uint32_t value)
{
    const struct fib_few *few;

    while ((few = few_at(tree, prefix, path)) && fib_few_is_full(few)) {
        if (make_child(tree, epoch, prefix, path)) {
            return ENOMEM;
        }
        follow(tree, &prefix->bits, path);
    }
    const struct array *array = &path->arrays[path->level];
    if (path->level == path->end) {
        write_prefix(tree, array, place_of(prefix), fib_word(FIB_OWN, value));
    } else if (put_beside(tree, epoch, next_slot(prefix, path), prefix, value)) {
        return ENOMEM;
    }
    array->inner[0]++;
    return 0;
}

int
fib_tree_put(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix,
             uint32_t value, bool *comes)
{
    struct path path;

    start(tree, prefix, &path);
    const struct array *array = &path.arrays[path.level];
    struct fib_few *few = few_at(tree, prefix, &path);
    _Atomic uint32_t *own = few ? fib_few_find(few, prefix) : NULL;
    *comes = false;
    if (own) {
        publish(own, value);
        return 0;
    }
    if (path.level == path.end && own_value(tree, array, place_of(prefix))) {
        write_prefix(tree, array, place_of(prefix), fib_word(FIB_OWN, value));
        return 0;
    }
    *comes = true;
    return put_below(tree, epoch, prefix, &path, value);
}

/* As deep as the first node or few prefixes: the root is in the cache. */
void
fib_tree_prefetch(const struct fib_tree *tree, const struct fib_prefix *prefix)
{
    const uint32_t word = load(&tree->slots[slot_of(&prefix->bits, 0)]);

    if (fib_kind(word) == FIB_FEW) {
        __builtin_prefetch(fib_few(tree, fib_number(word)), 1);
    } else if (fib_kind(word) == FIB_CHILD) {
        const struct array node = node_of(tree, word);
        __builtin_prefetch(&node.inner[0], 1);
        __builtin_prefetch(&node.slots[slot_of(&prefix->bits, 1)], 1);
    }
}

/* --- Going -------------------------------------------------------------------------------------------- */

uint32_t
fib_tree_get(const struct fib_tree *tree, const struct fib_prefix *prefix)
{
    struct path path;

    start((struct fib_tree *) tree, prefix, &path);
    if (path.level == path.end) {
        return own_value(tree, &path.arrays[path.end], place_of(prefix));
    }
    struct fib_few *few = few_at(tree, prefix, &path);
    const _Atomic uint32_t *own = few ? fib_few_find(few, prefix) : NULL;
    return own ? load(own) : 0;
}

/* Takes a prefix out that is there. */
static void
take_out(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix,
         struct path *path)
{
    const struct array *array = &path->arrays[path->level];

    if (path->level == path->end) {
        const uint32_t at = place_of(prefix);
        write_prefix(tree, array, at, fib_word(FIB_INHERITED, value_above(array, at)));
    } else {
        struct fib_few *few = few_at(tree, prefix, path);
        publish(fib_few_find(few, prefix), 0);
        if (fib_few_is_empty(few)) {
            _Atomic uint32_t *slot = next_slot(prefix, path);
            const uint32_t word = load(slot);
            publish(slot, load(&few->above));
            fib_give(tree, epoch, word);
        }
    }
    array->inner[0]--;
    tidy(tree, epoch, prefix, path);
}

uint32_t
fib_tree_remove(struct fib_tree *tree, struct epoch *epoch, const struct fib_prefix *prefix)
{
    const uint32_t value = fib_tree_get(tree, prefix);
    struct path path;

    if (value) {
        start(tree, prefix, &path);
        take_out(tree, epoch, prefix, &path);
    }
    return value;
}
