/* TIB: see tib.h. */

#include "tib.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "dataplane.h"
#include "hash.h"
#include "router.h"

enum {
    WORDS = sizeof(struct tree_key) / sizeof(uint64_t),
    ALWAYS = 1,                 /* A time; trees have no lifetime. */
    FEW = 16,
};

/* --- Looking up ------------------------------------------------------------------------------ */

bool
tib_is_routed(uint8_t family, const struct ip_address *group)
{
    enum { LINK_LOCAL = 2 };

    if (family == IP_V4) {
        return group->word[1] >> 28 == 14 && group->word[1] >> 8 != 0xe00000;
    }
    return group->word[0] >> 56 == 0xff && (group->word[0] >> 48 & 15) > LINK_LOCAL;
}

static const struct tree *
find(const struct kv *trees, const struct tree_key *key)
{
    uint64_t words[WORDS], tree;

    memcpy(words, key, sizeof words);
    return kv_get(trees, words, ALWAYS, &tree) ? (const struct tree *) (uintptr_t) tree : NULL;
}

const struct tree *
tib_find(const struct tib *tib, const struct tree_key *key)
{
    const struct tree_key of_any = { .group = key->group };
    const struct kv *trees = atomic_load_explicit(&tib->trees, memory_order_acquire);

    if (!trees) {
        return NULL;
    }
    const struct tree *tree = find(trees, key);
    return tree ? tree : find(trees, &of_any);
}

/* --- What workers see ------------------------------------------------------------------------ */

/* Appends the interfaces of a share that are not there yet. */
static void
join(struct tree *tree, const struct tree_share *share)
{
    for (uint32_t i = 0; i < share->n; i++) {
        uint32_t j = 0;
        while (j < tree->n && tree->outgoing[j] != share->outgoing[i]) {
            j++;
        }
        if (j == tree->n) {
            tree->outgoing[tree->n++] = share->outgoing[i];
        }
    }
}

/* What the shares of an entry come to; null without memory. */
static struct tree *
view_of(struct tree_entry *entry)
{
    uint32_t n = 0;

    for (const struct tree_share *share = entry->shares; share; share = share->next) {
        n += share->n;
    }
    struct tree *tree = calloc(1, sizeof *tree + n * sizeof tree->outgoing[0]);
    if (!tree) {
        return NULL;
    }
    tree->entry = entry;
    for (const struct tree_share *share = entry->shares; share; share = share->next) {
        tree->incoming = tree->incoming ? tree->incoming : share->incoming;
        tree->is_local |= share->is_local;
        join(tree, share);
    }
    return tree;
}

/* The table, made for the first tree; null without memory. */
static struct kv *
trees_of(struct tib *tib)
{
    const struct kv_config config = {
        .key_words = WORDS, .value_words = 1, .max_entries = TIB_TREES,
    };
    struct kv *trees = atomic_load_explicit(&tib->trees, memory_order_relaxed);

    if (trees) {
        return trees;
    }
    trees = malloc(sizeof *trees);
    if (!trees || kv_open(trees, &config)) {
        free(trees);
        return NULL;
    }
    atomic_store_explicit(&tib->trees, trees, memory_order_release);
    return trees;
}

/* Lets workers see what an entry has become.  Returns 0 or ENOMEM, and then nothing has changed. */
static int
publish(struct tib *tib, struct tree_entry *entry)
{
    struct kv *trees = trees_of(tib);
    struct tree *view = trees ? view_of(entry) : NULL, *old = entry->view;
    uint64_t words[WORDS], value = (uintptr_t) view;

    if (!view) {
        return ENOMEM;
    }
    view->taken = old ? old->taken : counter_new(&tib->dataplane->counters);
    view->strayed = old ? old->strayed : counter_new(&tib->dataplane->counters);
    memcpy(words, &entry->key, sizeof words);
    if (kv_put(trees, words, &value, ALWAYS) == KV_FULL) {
        dataplane_retire_counter(tib->dataplane, view->taken);
        dataplane_retire_counter(tib->dataplane, view->strayed);
        free(view);
        return ENOMEM;
    }
    entry->view = view;
    epoch_free(&tib->dataplane->epoch, old);
    return 0;
}

/* --- Entries --------------------------------------------------------------------------------- */

/* A place for one more entry.  Returns 0 or ENOMEM. */
static int
reserve(struct tib *tib)
{
    while (tib->first_free < tib->n_slots && tib->entries[tib->first_free]) {
        tib->first_free++;
    }
    if (tib->first_free < tib->n_slots) {
        return 0;
    }
    uint32_t n = tib->n_slots ? 2 * tib->n_slots : FEW;
    struct tree_entry **more = realloc(tib->entries, n * sizeof *more);
    if (!more) {
        return ENOMEM;
    }
    memset(more + tib->n_slots, 0, (n - tib->n_slots) * sizeof *more);
    tib->entries = more;
    tib->n_slots = n;
    return 0;
}

static uint32_t
chain_of(const struct ip_address *group)
{
    return hash_finish(hash_word(hash_word(0, group->word[0]), group->word[1])) % TIB_CHAINS;
}

static void
enchain(struct tib *tib, struct tree_entry *entry)
{
    entry->link = &tib->chains[chain_of(&entry->key.group)];
    entry->next = *entry->link;
    if (entry->next) {
        entry->next->link = &entry->next;
    }
    *entry->link = entry;
}

static void
unchain(const struct tree_entry *entry)
{
    *entry->link = entry->next;
    if (entry->next) {
        entry->next->link = entry->link;
    }
}

struct tree_entry *
tib_next_of_group(const struct tib *tib, const struct tree_entry *entry, const struct ip_address *group)
{
    struct tree_entry *next = entry ? entry->next : tib->chains[chain_of(group)];

    while (next && !ip_equal(&next->key.group, group)) {
        next = next->next;
    }
    return next;
}

static struct tree_entry *
entry_new(struct tib *tib, uint8_t family, const struct tree_key *key)
{
    struct tree_entry *entry = reserve(tib) ? NULL : calloc(1, sizeof *entry);

    if (entry) {
        *entry = (struct tree_entry) { .key = *key, .family = family, .slot = tib->first_free };
        tib->entries[entry->slot] = entry;
        enchain(tib, entry);
        tib->n++;
    }
    return entry;
}

/* Forgets an entry that nobody says anything of. */
static void
entry_free(struct tib *tib, struct tree_entry *entry)
{
    uint64_t words[WORDS];

    if (entry->view) {
        memcpy(words, &entry->key, sizeof words);
        kv_remove(atomic_load_explicit(&tib->trees, memory_order_relaxed), words, ALWAYS);
        dataplane_retire_counter(tib->dataplane, entry->view->taken);
        dataplane_retire_counter(tib->dataplane, entry->view->strayed);
        epoch_free(&tib->dataplane->epoch, entry->view);
    }
    unchain(entry);
    tib->entries[entry->slot] = NULL;
    tib->first_free = entry->slot < tib->first_free ? entry->slot : tib->first_free;
    tib->n--;
    free(entry);
}

static struct tree_entry *
entry_of(const struct tib *tib, const struct tree_key *key)
{
    const struct kv *trees = atomic_load_explicit(&tib->trees, memory_order_relaxed);
    const struct tree *tree = trees ? find(trees, key) : NULL;

    return tree ? tree->entry : NULL;
}

const struct tree_share *
tib_shares(const struct tib *tib, const struct tree_key *key)
{
    const struct tree_entry *entry = entry_of(tib, key);

    return entry ? entry->shares : NULL;
}

/* Where the share of a source is, or would be. */
static struct tree_share **
share_at(struct tree_entry *entry, uint8_t source)
{
    struct tree_share **link = &entry->shares;

    while (*link && (*link)->source < source) {
        link = &(*link)->next;
    }
    return link;
}

static bool
says_the_same(const struct tree_share *a, const struct tree_share *b)
{
    return a->incoming == b->incoming && a->is_local == b->is_local && a->n == b->n
           && !memcmp(a->outgoing, b->outgoing, a->n * sizeof a->outgoing[0]);
}

/* Whether a source has a tree for hosts alone. */
static bool
is_for_members(const struct tree_entry *entry)
{
    const struct tree_share *share = entry->shares;

    return share && !share->next && share->source == ROUTE_MEMBERSHIP
           && (entry->key.source.word[0] || entry->key.source.word[1]);
}

/* Puts a share in the place of the one of its source, or takes that out with null; 'link' is where.
 * Returns 0 or ENOMEM, and then nothing has changed. */
static int
exchange(struct tib *tib, struct tree_entry *entry, struct tree_share **link, uint8_t source,
         struct tree_share *share)
{
    struct tree_share *at = *link, *old = at && at->source == source ? at : NULL;
    struct tree_share *behind = old ? old->next : at;
    bool was_for_members = is_for_members(entry);

    if (share) {
        share->next = behind;
    }
    *link = share ? share : behind;
    if (entry->shares && publish(tib, entry)) {
        *link = at;
        return ENOMEM;
    }
    tib->n_member_trees += is_for_members(entry) - was_for_members;
    free(old);
    return 0;
}

int
tib_put(struct tib *tib, uint8_t family, const struct tree_key *key, const struct tree_share *how)
{
    size_t size = sizeof *how + how->n * sizeof how->outgoing[0];
    struct tree_entry *entry = entry_of(tib, key);
    struct tree_share *share, **link = entry ? share_at(entry, how->source) : NULL;

    if (link && *link && (*link)->source == how->source && says_the_same(*link, how)) {
        (*link)->is_marked = false;
        return 0;
    }
    entry = entry ? entry : entry_new(tib, family, key);
    share = entry ? malloc(size) : NULL;
    if (share) {
        memcpy(share, how, size);
        share->is_marked = false;
        if (!exchange(tib, entry, share_at(entry, how->source), how->source, share)) {
            tib->changed(tib->context, how->source, family, key);
            return 0;
        }
        free(share);
    }
    if (entry && !entry->shares) {
        entry_free(tib, entry);
    }
    return ENOMEM;
}

/* Takes a share out; without memory to say so workers go on by what was there until there is some. */
static void
take_out(struct tib *tib, struct tree_entry *entry, struct tree_share **link)
{
    uint8_t source = (*link)->source, family = entry->family;
    const struct tree_key key = entry->key;

    while (exchange(tib, entry, link, source, NULL)) {
        epoch_synchronize(&tib->dataplane->epoch);
    }
    if (!entry->shares) {
        entry_free(tib, entry);
    }
    tib->changed(tib->context, source, family, &key);
}

int
tib_remove(struct tib *tib, uint8_t source, const struct tree_key *key)
{
    struct tree_entry *entry = entry_of(tib, key);
    struct tree_share **link = entry ? share_at(entry, source) : NULL;

    if (!link || !*link || (*link)->source != source) {
        return ENOENT;
    }
    take_out(tib, entry, link);
    return 0;
}

/* --- All of them ----------------------------------------------------------------------------- */

void
tib_begin(struct tib *tib, uint8_t source)
{
    for (uint32_t i = 0; i < tib->n_slots; i++) {
        struct tree_share **link = tib->entries[i] ? share_at(tib->entries[i], source) : NULL;
        if (link && *link && (*link)->source == source) {
            (*link)->is_marked = true;
        }
    }
}

uint32_t
tib_sweep(struct tib *tib, uint8_t source)
{
    uint32_t n = 0;

    for (uint32_t i = 0; i < tib->n_slots; i++) {
        struct tree_share **link = tib->entries[i] ? share_at(tib->entries[i], source) : NULL;
        if (link && *link && (*link)->source == source && (*link)->is_marked) {
            take_out(tib, tib->entries[i], link);
            n++;
        }
    }
    return n;
}

const struct tree_entry *
tib_next(const struct tib *tib, uint32_t *place)
{
    while (*place < tib->n_slots) {
        const struct tree_entry *entry = tib->entries[(*place)++];
        if (entry) {
            return entry;
        }
    }
    return NULL;
}

void
tib_close(struct tib *tib)
{
    struct kv *trees = atomic_load_explicit(&tib->trees, memory_order_relaxed);

    for (uint32_t i = 0; i < tib->n_slots; i++) {
        struct tree_entry *entry = tib->entries[i];
        while (entry && entry->shares) {
            struct tree_share *share = entry->shares;
            entry->shares = share->next;
            free(share);
        }
        if (entry) {
            entry_free(tib, entry);
        }
    }
    free(tib->entries);
    if (trees) {
        kv_close(trees);
        free(trees);
    }
}
