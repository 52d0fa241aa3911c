/* FIB under ThreadSanitizer (P4): threads look up while prefixes come, change and go.  What is found
 * matches, and is never shorter than a prefix that stays; of a prefix that changes it is one of its two
 * values. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fib.h"
#include "routes.h"

enum { N_READERS = 3, N_PREFIXES = 400, N_STAYING = 40, N_CHANGES = 6000, BATCH = 100, RECLAIM = 50 };

struct reader {
    struct shared *shared;
    pthread_t thread;
    unsigned id;
    uint64_t n_found;
};

/* The values of prefix i are 2i + 2 and 2i + 3; the first N_STAYING stay. */
struct shared {
    struct epoch epoch;
    struct fib fib;
    struct ip_prefix prefixes[N_PREFIXES];
    _Atomic bool done;
    struct reader readers[N_READERS];
};

#define CHECK(CONDITION)                                                        \
    do {                                                                        \
        if (!(CONDITION)) {                                                     \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #CONDITION);     \
            abort();                                                            \
        }                                                                       \
    } while (0)

static void
check(const struct shared *shared, uint8_t family, const struct ip_address *address, uint32_t value)
{
    const struct ip_prefix *found = value ? &shared->prefixes[value / 2 - 1] : NULL;

    CHECK(!found || (found->family == family && ip_matches(found, address)));
    for (unsigned i = 0; i < N_STAYING; i++) {
        const struct ip_prefix *staying = &shared->prefixes[i];
        CHECK(staying->family != family || !ip_matches(staying, address)
              || (found && found->len >= staying->len));
    }
}

static void *
look_up(void *reader_)
{
    struct reader *reader = reader_;
    struct shared *shared = reader->shared;
    struct ip_address ipv6[BATCH];
    uint32_t ipv4[BATCH], values[2][BATCH];
    uint64_t random = reader->id + 2;

    while (!atomic_load(&shared->done)) {
        epoch_quiesce(&shared->epoch, reader->id);
        for (unsigned i = 0; i < BATCH; i++) {
            const struct ip_prefix *about = &shared->prefixes[draw(&random, N_PREFIXES)];
            ipv6[i] = address_near(&random, about, IP_V6);
            ipv4[i] = (uint32_t) ipv6[i].word[1];
        }
        fib_lookup_ipv4(&shared->fib, ipv4, BATCH, values[0]);
        fib_lookup_ipv6(&shared->fib, ipv6, BATCH, values[1]);
        for (unsigned i = 0; i < BATCH; i++) {
            const struct ip_address address = ip_from_v4(ipv4[i]);
            check(shared, IP_V4, &address, values[0][i]);
            check(shared, IP_V6, &ipv6[i], values[1][i]);
            reader->n_found += values[0][i] && values[1][i];
        }
    }
    epoch_offline(&shared->epoch, reader->id);
    return NULL;
}

static bool
is_new(const struct shared *shared, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (same_prefix(&shared->prefixes[i], &shared->prefixes[n])) {
            return false;
        }
    }
    return true;
}

static void
change_prefixes(struct shared *shared, uint64_t *random)
{
    for (unsigned step = 0; step < N_CHANGES; step++) {
        const unsigned i = draw(random, N_PREFIXES);
        if (i >= N_STAYING && draw(random, 2)) {
            fib_remove(&shared->fib, &shared->prefixes[i]);
        } else {
            CHECK(!fib_put(&shared->fib, &shared->prefixes[i], 2 * i + 2 + draw(random, 2)));
        }
        if (step % RECLAIM == 0) {
            epoch_reclaim(&shared->epoch);
        }
    }
}

int
main(void)
{
    struct shared *shared = aligned_alloc(64, (sizeof *shared + 63) & ~(size_t) 63);
    uint64_t random = 1, n_found = 0;

    memset(shared, 0, sizeof *shared);
    epoch_init(&shared->epoch);
    fib_open(&shared->fib, &shared->epoch);
    for (unsigned i = 0; i < N_PREFIXES; i++) {
        do {
            draw_prefix(&random, i % 2 ? IP_V4 : IP_V6, &shared->prefixes[i]);
        } while (!is_new(shared, i));
        CHECK(i >= N_STAYING || !fib_put(&shared->fib, &shared->prefixes[i], 2 * i + 2));
    }
    for (unsigned i = 0; i < N_READERS; i++) {
        shared->readers[i] = (struct reader) { .shared = shared, .id = i };
        CHECK(!pthread_create(&shared->readers[i].thread, NULL, look_up, &shared->readers[i]));
    }
    change_prefixes(shared, &random);
    atomic_store(&shared->done, true);
    for (unsigned i = 0; i < N_READERS; i++) {
        pthread_join(shared->readers[i].thread, NULL);
        n_found += shared->readers[i].n_found;
    }
    CHECK(n_found);
    fib_close(&shared->fib);
    epoch_close(&shared->epoch);
    free(shared);
    printf("%llu addresses found in both families during %u changes\n", (unsigned long long) n_found,
           N_CHANGES);
    return 0;
}
