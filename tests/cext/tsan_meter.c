/* meter.c under ThreadSanitizer: workers share the buckets of a meter, whose clock runs on as they
 * work.  Together they let through exactly the rate and the burst. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "meter.h"

enum { N_WORKERS = 3, N_VECTORS = 100000, VECTOR = 32, TICK_NS = 1000, BURST = 1000 };
enum { RATE = 10000000, PER_TICK = RATE / (1000000000 / TICK_NS) };

struct worker_thread {
    struct shared *shared;
    pthread_t thread;
    uint64_t passed[2];                 /* By no band, and by the lower one only. */
};

struct shared {
    struct bands *bands;
    _Atomic uint64_t now_ns;
    struct worker_thread workers[N_WORKERS];
};

/* Each vector is more than comes into the bucket meanwhile. */
static void *
work(void *worker_)
{
    struct worker_thread *worker = worker_;
    struct shared *shared = worker->shared;
    uint32_t tokens[VECTOR];
    uint8_t verdicts[VECTOR];

    for (unsigned i = 0; i < VECTOR; i++) {
        tokens[i] = 1;
    }
    for (unsigned i = 0; i < N_VECTORS; i++) {
        uint64_t now_ns = atomic_fetch_add(&shared->now_ns, TICK_NS) + TICK_NS;
        bands_judge(shared->bands, now_ns, tokens, VECTOR, verdicts);
        for (unsigned j = 0; j < VECTOR; j++) {
            worker->passed[0] += verdicts[j] == BAND_NONE;
            worker->passed[1] += verdicts[j] == 1;
        }
    }
    return NULL;
}

static void
check(uint64_t is, uint64_t should_be, const char *what)
{
    if (is != should_be) {
        fprintf(stderr, "%s: %llu, should be %llu\n", what, (unsigned long long) is,
                (unsigned long long) should_be);
        abort();
    }
}

static struct bands *
make_bands(void)
{
    struct bands *bands = bands_new(METER_PKTPS | METER_BURST, 2);

    if (!bands) {
        abort();
    }
    for (unsigned i = 0; i < 2; i++) {
        bands->band[i].type = BAND_DROP;
        bands->band[i].rate = i ? RATE / 2 : RATE;
        bands->band[i].burst = BURST;
    }
    bands_start(bands, 0);
    return bands;
}

int
main(void)
{
    static struct shared shared;
    uint64_t passed[2] = { 0 };

    shared.bands = make_bands();
    for (unsigned i = 0; i < N_WORKERS; i++) {
        shared.workers[i].shared = &shared;
        pthread_create(&shared.workers[i].thread, NULL, work, &shared.workers[i]);
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        pthread_join(shared.workers[i].thread, NULL);
    }
    for (unsigned i = 0; i < N_WORKERS; i++) {
        passed[0] += shared.workers[i].passed[0];
        passed[1] += shared.workers[i].passed[1];
    }
    /* The buckets were full until the first tick. */
    uint64_t ticks = (uint64_t) N_WORKERS * N_VECTORS - 1;
    check(passed[0] + passed[1], BURST + ticks * PER_TICK, "passed the higher band");
    check(passed[0], BURST + ticks * PER_TICK / 2, "passed both bands");
    free(shared.bands);
    return 0;
}
