/* The memory of a FIB's tree: nodes and few prefixes by their numbers; see fib_tree.h. */

#include <stdlib.h>
#include <sys/mman.h>

#include "fib_tree.h"

enum { HUGE_PAGE = 2 << 20 };

/* What there is of a kind. */
static const struct {
    uint32_t in_chunk, max;
    size_t size;                    /* Of one. */
} facts[] = {
    [FIB_CHILD] = { FIB_CHUNK_NODES, FIB_MAX_NODES, sizeof(struct fib_nodes) / FIB_CHUNK_NODES },
    [FIB_FEW] = { FIB_CHUNK_FEWS, FIB_MAX_FEWS, sizeof(struct fib_few) },
};

static struct fib_store *
store_of(struct fib_tree *tree, enum fib_kind kind)
{
    return kind == FIB_CHILD ? &tree->nodes : &tree->fews;
}

/* Where a thing has the number of the next one while it is free. */
static uint32_t *
next_of(struct fib_tree *tree, uint32_t word)
{
    const uint32_t number = fib_number(word);

    if (fib_kind(word) == FIB_FEW) {
        return &fib_few(tree, number)->next;
    }
    struct fib_nodes *nodes = atomic_load(&tree->nodes.chunks[number / FIB_CHUNK_NODES]);
    return nodes->inner[number % FIB_CHUNK_NODES];
}

struct fib_tree *
fib_tree_new(void)
{
    struct fib_tree *tree = mmap(NULL, sizeof *tree, PROT_READ | PROT_WRITE,
                                 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return tree == MAP_FAILED ? NULL : tree;
}

static void
tree_free(struct fib_tree *tree)
{
    for (unsigned i = 0; i < FIB_CHUNKS; i++) {
        free(atomic_load(&tree->nodes.chunks[i]));
        free(atomic_load(&tree->fews.chunks[i]));
    }
    munmap(tree, sizeof *tree);
}

void
fib_tree_close(struct fib_tree *tree)
{
    tree->closed = true;
    if (!tree->n_retired) {
        tree_free(tree);
    }
}

size_t
fib_tree_memory(const struct fib_tree *tree)
{
    return sizeof *tree + tree->nodes.n_touched * facts[FIB_CHILD].size
           + tree->fews.n_touched * facts[FIB_FEW].size;
}

/* Returns whether there is room for one more. */
static bool
grow(struct fib_store *store, enum fib_kind kind)
{
    const uint32_t in_chunk = facts[kind].in_chunk;
    const size_t size = in_chunk * facts[kind].size;

    if (store->n_touched == facts[kind].max) {
        return false;
    }
    if (store->n_touched % in_chunk) {
        return true;
    }
    void *chunk = aligned_alloc(HUGE_PAGE, size);
    if (!chunk) {
        return false;
    }
    if (store->n_touched) {         /* The first one is for the many FIBs that need only little. */
        madvise(chunk, size, MADV_HUGEPAGE);      /* A wish; it works without. */
    }
    atomic_store_explicit(&store->chunks[store->n_touched / in_chunk], chunk, memory_order_relaxed);
    return true;
}

uint32_t
fib_take(struct fib_tree *tree, enum fib_kind kind)
{
    struct fib_store *store = store_of(tree, kind);

    if (store->free) {
        const uint32_t word = fib_word(kind, store->free - 1);
        store->free = *next_of(tree, word);
        return word;
    }
    return grow(store, kind) ? fib_word(kind, store->n_touched++) : 0;
}

static void
come_back(void *word_, void *tree_)
{
    struct fib_tree *tree = tree_;
    const uint32_t word = (uint32_t) (uintptr_t) word_;
    struct fib_store *store = store_of(tree, fib_kind(word));

    tree->n_retired--;
    if (!tree->closed) {
        *next_of(tree, word) = store->free;
        store->free = fib_number(word) + 1;
    } else if (!tree->n_retired) {
        tree_free(tree);
    }
}

void
fib_give(struct fib_tree *tree, struct epoch *epoch, uint32_t word)
{
    tree->n_retired++;
    epoch_retire(epoch, (void *) (uintptr_t) word, come_back, tree);
}
