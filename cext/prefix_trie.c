/* Tries of prefixes: changes; see prefix.h. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "prefix.h"

enum {
    MAX_DEPTH = 16,                 /* Bytes of a field. */
    SHRINK_ITEMS = MEDIUM_ITEMS / 2,    /* Left in an array when it is given up. */
    MIN_ITEMS = 32,                 /* Of the list beside an array. */
    MAX_ITEMS = 3 * TRIE_SLOTS,     /* Prefixes of 0 to 8 bits, and children. */
};

static void
publish(_Atomic uint64_t *link, uint64_t entry)
{
    atomic_store_explicit(link, entry, memory_order_release);
}

/* --- Nodes of few items ------------------------------------------------------------------------- */

/* Small and medium nodes alike. */
struct few_items {
    uint64_t *values, *masks;
    _Atomic uint64_t *entries;
    unsigned max;
};

static struct few_items
few_items(uint64_t node)
{
    if (trie_kind(node) == TRIE_SMALL) {
        struct trie_small *small = trie_pointer(node);
        return (struct few_items) { &small->values, &small->masks, small->entries, SMALL_ITEMS };
    }
    struct trie_medium *medium = trie_pointer(node);
    return (struct few_items) { medium->values, medium->masks, medium->entries, MEDIUM_ITEMS };
}

static struct trie_item
item_at(const struct few_items *few, unsigned i)
{
    const unsigned shift = i % TRIE_LANES * 8;

    return (struct trie_item) {
        trie_load(&few->entries[i]),
        (uint8_t) (few->values[i / TRIE_LANES] >> shift),
        (uint8_t) (few->masks[i / TRIE_LANES] >> shift),
    };
}

/* Only in a node that no reader sees yet. */
static void
set_item(struct few_items *few, unsigned i, const struct trie_item *item)
{
    const unsigned shift = i % TRIE_LANES * 8;

    few->values[i / TRIE_LANES] |= (uint64_t) item->value << shift;
    few->masks[i / TRIE_LANES] ^= (uint64_t) (uint8_t) ~item->mask << shift;
    atomic_store_explicit(&few->entries[i], item->entry, memory_order_relaxed);
}

/* --- Arrays ----------------------------------------------------------------------------------------- */

/* Writes the best prefix into each of the slots 'first' to 'last'. */
static void
write_slots(struct trie_dense *dense, unsigned first, unsigned last)
{
    uint64_t best[TRIE_SLOTS] = { 0 };

    for (unsigned i = 0; i < dense->n_items; i++) {
        const struct trie_item *item = &dense->items[i];
        unsigned from = item->value, to = item->value | (uint8_t) ~item->mask;
        from = from > first ? from : first;
        to = to < last ? to : last;
        for (unsigned j = from; j <= to; j++) {
            best[j] = item->entry > best[j] ? item->entry : best[j];
        }
    }
    for (unsigned i = first; i <= last; i++) {
        if (trie_load(&dense->slots[i].flow) != best[i]) {
            publish(&dense->slots[i].flow, best[i]);
        }
    }
}

static int
reserve_item(struct trie *trie, struct trie_dense *dense)
{
    unsigned n = dense->max_items ? dense->max_items * 2 : MIN_ITEMS;

    if (dense->n_items < dense->max_items) {
        return 0;
    }
    struct trie_item *items = realloc(dense->items, n * sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    *trie->memory += (n - dense->max_items) * sizeof *items;
    dense->items = items;
    dense->max_items = n;
    return 0;
}

/* Adds a prefix or a child without writing slots of prefixes. */
static int
add_to_array(struct trie *trie, struct trie_dense *dense, const struct trie_item *item)
{
    if (trie_kind(item->entry) != TRIE_FLOW) {
        publish(&dense->slots[item->value].child, item->entry);
        dense->n_children++;
        return 0;
    }
    int error = reserve_item(trie, dense);
    if (!error) {
        dense->items[dense->n_items++] = *item;
    }
    return error;
}

static bool
same_prefix(const struct trie_item *a, const struct trie_item *b)
{
    return a->value == b->value && a->mask == b->mask;
}

/* Puts a prefix in, in the place of the one that is there, or takes it out. */
static int
change_array(struct trie *trie, struct trie_dense *dense, const struct trie_item *item)
{
    unsigned i = 0;

    while (i < dense->n_items && !same_prefix(&dense->items[i], item)) {
        i++;
    }
    if (i == dense->n_items) {
        int error = item->entry ? add_to_array(trie, dense, item) : 0;
        if (error || !item->entry) {
            return error;
        }
    } else {
        dense->items[i] = item->entry ? *item : dense->items[--dense->n_items];
    }
    write_slots(dense, item->value, item->value | (uint8_t) ~item->mask);
    return 0;
}

/* --- Nodes ------------------------------------------------------------------------------------------ */

static const size_t node_size[] = {
    [TRIE_SMALL] = sizeof(struct trie_small),
    [TRIE_MEDIUM] = sizeof(struct trie_medium),
    [TRIE_DENSE] = (sizeof(struct trie_dense) + 63) & ~(size_t) 63,
};

/* An empty node; 0 without memory.  Lanes that are not in use agree with few bytes, which saves
 * lookups to look at their entries. */
static uint64_t
node_new(struct trie *trie, enum trie_kind kind)
{
    void *pointer = aligned_alloc(64, node_size[kind]);
    const uint64_t node = (uintptr_t) pointer | kind;

    if (!pointer) {
        return 0;
    }
    memset(pointer, 0, node_size[kind]);
    if (kind != TRIE_DENSE) {
        const struct few_items few = few_items(node);
        memset(few.masks, 0xff, (few.max + TRIE_LANES - 1) / TRIE_LANES * sizeof few.masks[0]);
    }
    *trie->memory += node_size[kind];
    return node;
}

/* Frees a node, not what is below it. */
static void
node_free(struct trie *trie, uint64_t node, bool seen)
{
    void *pointer = trie_pointer(node);

    *trie->memory -= node_size[trie_kind(node)];
    if (trie_kind(node) == TRIE_DENSE) {
        struct trie_dense *dense = pointer;
        *trie->memory -= dense->max_items * sizeof dense->items[0];
        free(dense->items);
    }
    if (seen) {
        epoch_free(trie->epoch, pointer);
    } else {
        free(pointer);
    }
}

/* Copies what is in a node; 'items' has room for MAX_ITEMS.  Returns how many. */
static unsigned
items_of(uint64_t node, struct trie_item *items)
{
    unsigned n = 0;

    if (trie_kind(node) == TRIE_DENSE) {
        const struct trie_dense *dense = trie_pointer(node);
        n = dense->n_items;
        if (n) {
            memcpy(items, dense->items, n * sizeof *items);
        }
        for (unsigned i = 0; i < TRIE_SLOTS; i++) {
            uint64_t child = trie_load(&dense->slots[i].child);
            if (child) {
                items[n++] = (struct trie_item) { child, (uint8_t) i, 0xff };
            }
        }
        return n;
    }
    const struct few_items few = few_items(node);
    for (unsigned i = 0; i < few.max; i++) {
        items[n] = item_at(&few, i);
        n += items[n].entry != 0;
    }
    return n;
}

/* A node with these items, as small as they allow; 0 without memory. */
static uint64_t
node_with(struct trie *trie, const struct trie_item *items, unsigned n)
{
    const enum trie_kind kind = n <= SMALL_ITEMS ? TRIE_SMALL : n <= MEDIUM_ITEMS ? TRIE_MEDIUM
                                                                                  : TRIE_DENSE;
    uint64_t node = node_new(trie, kind);

    if (node && kind != TRIE_DENSE) {
        struct few_items few = few_items(node);
        for (unsigned i = 0; i < n; i++) {
            set_item(&few, i, &items[i]);
        }
    } else if (node) {
        struct trie_dense *dense = trie_pointer(node);
        for (unsigned i = 0; i < n; i++) {
            if (add_to_array(trie, dense, &items[i])) {
                node_free(trie, node, false);
                return 0;
            }
        }
        write_slots(dense, 0, TRIE_SLOTS - 1);
    }
    return node;
}

/* Replaces a node by one with these items.  Returns 0 or ENOMEM. */
static int
replace(struct trie *trie, _Atomic uint64_t *link, const struct trie_item *items, unsigned n)
{
    uint64_t old = trie_load(link), new = node_with(trie, items, n);

    if (!new) {
        return ENOMEM;
    }
    publish(link, new);
    node_free(trie, old, true);
    return 0;
}

/* Adds an item to a node of few. */
static int
add_to_few(struct trie *trie, _Atomic uint64_t *link, const struct trie_item *item)
{
    struct trie_item items[MEDIUM_ITEMS + 1];
    unsigned n = items_of(trie_load(link), items);

    items[n++] = *item;
    return replace(trie, link, items, n);
}

/* Adds a child to the node at 'link'. */
static int
add_child(struct trie *trie, _Atomic uint64_t *link, const struct trie_item *item)
{
    const uint64_t node = trie_load(link);

    return trie_kind(node) == TRIE_DENSE ? add_to_array(trie, trie_pointer(node), item)
                                         : add_to_few(trie, link, item);
}

/* Puts a prefix into the node at 'link', in the place of the one that is there; item->entry 0 takes
 * it out. */
static int
change_prefix(struct trie *trie, _Atomic uint64_t *link, const struct trie_item *item)
{
    const uint64_t node = trie_load(link);

    if (trie_kind(node) == TRIE_DENSE) {
        return change_array(trie, trie_pointer(node), item);
    }
    const struct few_items few = few_items(node);
    for (unsigned i = 0; i < few.max; i++) {
        const struct trie_item there = item_at(&few, i);
        if (trie_kind(there.entry) == TRIE_FLOW && same_prefix(&there, item)) {
            publish(&few.entries[i], item->entry);
            return 0;
        }
    }
    return item->entry ? add_to_few(trie, link, item) : 0;
}

/* Where the child for 'byte' hangs; null if there is none. */
static _Atomic uint64_t *
child_link(uint64_t node, uint8_t byte)
{
    if (trie_kind(node) == TRIE_DENSE) {
        struct trie_dense *dense = trie_pointer(node);
        return trie_load(&dense->slots[byte].child) ? &dense->slots[byte].child : NULL;
    }
    const struct few_items few = few_items(node);
    for (unsigned i = 0; i < few.max; i++) {
        const struct trie_item item = item_at(&few, i);
        if (trie_kind(item.entry) > TRIE_FLOW && item.value == byte) {
            return &few.entries[i];
        }
    }
    return NULL;
}

static bool
node_is_empty(uint64_t node)
{
    struct trie_item items[MEDIUM_ITEMS];

    if (trie_kind(node) == TRIE_DENSE) {
        const struct trie_dense *dense = trie_pointer(node);
        return !dense->n_items && !dense->n_children;
    }
    return !items_of(node, items);
}

/* --- Changes --------------------------------------------------------------------------------------- */

/* Finds the link of the child for 'byte'; makes it if there is none.  Null without memory. */
static _Atomic uint64_t *
reach_child(struct trie *trie, _Atomic uint64_t *link, uint8_t byte)
{
    _Atomic uint64_t *child = child_link(trie_load(link), byte);

    if (!child) {
        const struct trie_item item = { node_new(trie, TRIE_SMALL), byte, 0xff };
        if (!item.entry) {
            return NULL;
        }
        if (add_child(trie, link, &item)) {
            node_free(trie, item.entry, false);
            return NULL;
        }
        child = child_link(trie_load(link), byte);
    }
    return child;
}

/* Takes out the nodes at the end of a path that have become empty, and makes the last one that stays
 * smaller if that pays. */
static void
tidy_path(struct trie *trie, _Atomic uint64_t *path[], unsigned depth)
{
    struct trie_item items[SHRINK_ITEMS];

    for (;; depth--) {
        uint64_t node = trie_load(path[depth]);
        if (!node_is_empty(node)) {
            break;
        }
        publish(path[depth], 0);
        node_free(trie, node, true);
        if (!depth) {
            return;
        }
        uint64_t parent = trie_load(path[depth - 1]);
        if (trie_kind(parent) == TRIE_DENSE) {
            ((struct trie_dense *) trie_pointer(parent))->n_children--;
        }
    }
    const uint64_t node = trie_load(path[depth]);
    const struct trie_dense *dense = trie_pointer(node);
    if (trie_kind(node) == TRIE_DENSE && dense->n_items + dense->n_children <= SHRINK_ITEMS) {
        replace(trie, path[depth], items, items_of(node, items));   /* Or it stays. */
    }
}

int
trie_change(struct trie *trie, const struct trie_prefix *prefix, uint64_t entry)
{
    const unsigned depth = prefix->length ? (prefix->length - 1) / 8 : 0;
    const uint8_t mask = (uint8_t) (0xff00 >> (prefix->length - 8 * depth));
    const struct trie_item item = { entry, prefix->bytes[depth] & mask, mask };
    _Atomic uint64_t *path[MAX_DEPTH] = { &trie->root };

    if (!trie_load(&trie->root)) {
        publish(&trie->root, node_new(trie, TRIE_SMALL));
    }
    if (!trie_load(&trie->root)) {
        return ENOMEM;
    }
    for (unsigned i = 0; i < depth; i++) {
        path[i + 1] = reach_child(trie, path[i], prefix->bytes[i]);
        if (!path[i + 1]) {
            return ENOMEM;
        }
    }
    int error = change_prefix(trie, path[depth], &item);
    if (!entry) {
        tidy_path(trie, path, depth);
    }
    return error;
}

static void
close_node(struct trie *trie, uint64_t node)
{
    struct trie_item items[MAX_ITEMS];
    unsigned n = items_of(node, items);

    for (unsigned i = 0; i < n; i++) {
        if (trie_kind(items[i].entry) > TRIE_FLOW) {
            close_node(trie, items[i].entry);
        }
    }
    node_free(trie, node, false);
}

void
trie_close(struct trie *trie)
{
    if (trie_load(&trie->root)) {
        close_node(trie, trie_load(&trie->root));
    }
}
