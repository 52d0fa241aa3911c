/* Epochs: see epoch.h. */

#include "epoch.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

void
epoch_init(struct epoch *epoch)
{
    memset(epoch, 0, sizeof *epoch);
    atomic_store(&epoch->now, 1);
}

static void
release_oldest(struct epoch *epoch)
{
    struct epoch_retired *retired = epoch->oldest;

    epoch->oldest = retired->next;
    if (!epoch->oldest) {
        epoch->newest = NULL;
    }
    epoch->n_retired--;
    retired->release(retired->pointer, retired->context);
    free(retired);
}

void
epoch_close(struct epoch *epoch)
{
    while (epoch->oldest) {
        release_oldest(epoch);
    }
}

uint64_t
epoch_advance(struct epoch *epoch)
{
    return atomic_fetch_add(&epoch->now, 1) + 1;
}

/* The earliest epoch that an online reader may still be in. */
static uint64_t
earliest_seen(const struct epoch *epoch)
{
    uint64_t earliest = UINT64_MAX;

    for (unsigned i = 0; i < EPOCH_READERS; i++) {
        uint64_t seen = atomic_load_explicit(&epoch->readers[i].seen, memory_order_acquire);
        if (seen && seen < earliest) {
            earliest = seen;
        }
    }
    return earliest;
}

bool
epoch_passed(const struct epoch *epoch, uint64_t number)
{
    return earliest_seen(epoch) >= number;
}

void
epoch_synchronize(struct epoch *epoch)
{
    uint64_t number = epoch_advance(epoch);

    while (!epoch_passed(epoch, number)) {
        sched_yield();
    }
}

void
epoch_retire(struct epoch *epoch, void *pointer, void (*release)(void *, void *), void *context)
{
    struct epoch_retired *retired = malloc(sizeof *retired);

    if (!retired) {
        epoch_synchronize(epoch);
        release(pointer, context);
        return;
    }
    *retired = (struct epoch_retired) {
        .pointer = pointer, .release = release, .context = context,
        .epoch = epoch_advance(epoch),
    };
    if (epoch->newest) {
        epoch->newest->next = retired;
    } else {
        epoch->oldest = retired;
    }
    epoch->newest = retired;
    epoch->n_retired++;
}

size_t
epoch_reclaim(struct epoch *epoch)
{
    uint64_t earliest = epoch->oldest ? earliest_seen(epoch) : 0;

    while (epoch->oldest && epoch->oldest->epoch <= earliest) {
        release_oldest(epoch);
    }
    return epoch->n_retired;
}

static void
release_memory(void *pointer, void *context)
{
    (void) context;
    free(pointer);
}

void
epoch_free(struct epoch *epoch, void *pointer)
{
    if (pointer) {
        epoch_retire(epoch, pointer, release_memory, NULL);
    }
}
