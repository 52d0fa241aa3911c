/* Pushes.  See push.h. */

#include "push.h"

#include <stdlib.h>
#include <string.h>

#include "dataplane.h"
#include "hash.h"

enum { STEPS_MAX = 16 };                /* Pushes and groups on the way of a packet. */

bool
label_way_find(const struct adjacency_table *table, uint32_t id, uint32_t hash, struct label_way *way)
{
    way->n = 0;
    for (unsigned step = 0; step < STEPS_MAX; step++) {
        const struct adjacency *by = adjacency_at(table, id);

        if (by->kind == ADJACENCY_GROUP) {
            id = by->buckets[hash >> 1 & (by->n_buckets - 1)];
        } else if (by->kind == ADJACENCY_PUSH) {
            if (way->n + by->n_labels > LABEL_WAY_MAX) {
                return false;
            }
            memcpy(way->labels + way->n, by->labels, by->n_labels * sizeof by->labels[0]);
            way->n += by->n_labels;
            id = by->under;
        } else {
            way->by = by;
            way->id = id;
            return true;
        }
    }
    return false;
}

/* --- Held -------------------------------------------------------------------------------------- */

static uint32_t
number_of(const struct push *push)
{
    uint64_t hash = hash_word(push->under, push->n_labels);

    for (unsigned i = 0; i < push->n_labels; i++) {
        hash = hash_word(hash, push->labels[i]);
    }
    return hash_finish(hash);
}

static bool
is_same(const struct push *a, const struct push *b)
{
    return a->under == b->under && a->n_labels == b->n_labels
           && !memcmp(a->labels, b->labels, sizeof a->labels);
}

/* Null without memory. */
static struct adjacency *
adjacency_of(const struct adjacency_table *table, const struct push *push)
{
    struct adjacency *adjacency = adjacency_make(ADJACENCY_PUSH, 0);
    struct label_way way;

    if (!adjacency) {
        return NULL;
    }
    adjacency->under = push->under;
    adjacency->n_labels = (uint8_t) push->n_labels;
    memcpy(adjacency->labels, push->labels, sizeof adjacency->labels);
    if (label_way_find(table, push->under, 0, &way)) {
        unsigned labels = (push->n_labels + way.n) * MPLS_SIZE;
        adjacency->interface = way.by->interface;
        adjacency->mtu = way.by->mtu > labels ? (uint16_t) (way.by->mtu - labels) : 0;
    }
    return adjacency;
}

/* Puts in a push that is not there, with a number that no other has. */
static struct push *
enter(struct dataplane *dataplane, const struct push *like)
{
    struct routing *routing = &dataplane->routing;
    struct push *push = malloc(sizeof *push);
    struct adjacency *adjacency = push ? adjacency_of(&routing->adjacencies, like) : NULL;

    if (!adjacency) {
        free(push);
        return NULL;
    }
    *push = *like;
    push->id = adjacency_new(&routing->adjacencies, adjacency);
    if (!push->id) {
        adjacency_drop(adjacency);
        free(push);
        return NULL;
    }
    if (idmap_insert(&routing->pushes, &dataplane->epoch, push)) {
        adjacency_free(&routing->adjacencies, push->id);
        free(push);
        return NULL;
    }
    return push;
}

/* What is under it may leave by another interface than when it was made.  Without memory it says what it
 * said: packets go right all the same. */
static void
refresh(struct dataplane *dataplane, const struct push *push)
{
    struct adjacency_table *table = &dataplane->routing.adjacencies;
    const struct adjacency *old = adjacency_at(table, push->id);
    struct adjacency *now = adjacency_of(table, push);

    if (now && (now->interface != old->interface || now->mtu != old->mtu)) {
        adjacency_publish(table, push->id, now);
    } else {
        adjacency_drop(now);
    }
}

struct push *
push_hold(struct dataplane *dataplane, uint32_t under, const uint32_t labels[], unsigned n)
{
    struct push like = { .under = under, .n_labels = n }, *push;

    for (unsigned i = 0; i < n; i++) {
        like.labels[i] = labels[n - 1 - i];
    }
    like.number = number_of(&like);
    while ((push = idmap_find(&dataplane->routing.pushes, like.number)) && !is_same(push, &like)) {
        like.number++;
    }
    if (push) {
        refresh(dataplane, push);
    } else {
        push = enter(dataplane, &like);
    }
    if (push) {
        push->refs++;
    }
    return push;
}

void
push_release(struct dataplane *dataplane, struct push *push)
{
    if (!--push->refs) {
        idmap_remove(&dataplane->routing.pushes, push);
        adjacency_free(&dataplane->routing.adjacencies, push->id);
        free(push);
    }
}
