/* NAT: events of mappings, for a log.
 *
 * A bounded queue of many writers and one reader: each slot says whose turn it is (after D. Vyukov's bounded
 * queue).  Who finds it full counts, and goes on. */

#include <errno.h>
#include <stdlib.h>

#include "nat_private.h"

int
nat_log_open(struct nat_log *log, uint32_t max_events)
{
    uint32_t n = 2;

    if (!max_events) {
        return 0;
    }
    while (n < max_events) {
        n *= 2;
    }
    log->slots = calloc(n, sizeof *log->slots);
    if (!log->slots) {
        return ENOMEM;
    }
    log->mask = n - 1;
    for (uint32_t i = 0; i < n; i++) {
        atomic_init(&log->slots[i].turn, i);
    }
    return 0;
}

void
nat_log_close(struct nat_log *log)
{
    free(log->slots);
    log->slots = NULL;
}

void
nat_log_put(struct nat_log *log, const struct nat_event *event)
{
    uint64_t at = atomic_load_explicit(&log->head, memory_order_relaxed);

    while (log->slots) {
        struct nat_log_slot *slot = &log->slots[at & log->mask];
        uint64_t turn = atomic_load_explicit(&slot->turn, memory_order_acquire);

        if (turn == at) {
            if (atomic_compare_exchange_weak_explicit(&log->head, &at, at + 1,
                                                      memory_order_relaxed, memory_order_relaxed)) {
                slot->event = *event;
                atomic_store_explicit(&slot->turn, at + 1, memory_order_release);
                return;
            }
        } else if (turn < at) {
            atomic_fetch_add_explicit(&log->lost, 1, memory_order_relaxed);
            return;
        } else {
            at = atomic_load_explicit(&log->head, memory_order_relaxed);
        }
    }
}

bool
nat_log_take(struct nat_log *log, struct nat_event *event)
{
    struct nat_log_slot *slot = log->slots ? &log->slots[log->tail & log->mask] : NULL;

    if (!slot || atomic_load_explicit(&slot->turn, memory_order_acquire) != log->tail + 1) {
        return false;
    }
    *event = slot->event;
    atomic_store_explicit(&slot->turn, log->tail + log->mask + 1, memory_order_release);
    log->tail++;
    return true;
}
