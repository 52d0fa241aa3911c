/* NAT alone: packets of many sessions, copied, parsed and translated, 256 at a time.
 *
 * What: each frame is a session of its own. They are copied into packets as a port would, parsed,
 * translated and thrown away: out as they are, in as their answers; or all sessions are ended first and
 * each frame begins one. There is no switch around it.
 *
 * Threads: one at a time. */

#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>

#include "../cext/bytes.h"
#include "../cext/epoch.h"
#include "../cext/nat.h"
#include "../cext/parse.h"
#include "../cext/worker.h"
#include "sampling.h"

enum { BATCH = 256, ROUNDS = 64, LINE = 64, ETH = 14, IP = 20, ADDRESSES = 64 };

struct nat_bench {
    struct epoch epoch;
    struct nat *nat;
    struct worker *worker;
    uint8_t *frames[2];                 /* By direction, a cache line each. */
    size_t n, size, next;
};

static void
set_time(struct worker *worker)
{
    worker->now_ms = (uint64_t) (now(CLOCK_MONOTONIC) / 1e6) + 1;
}

static bool
configure(struct nat_bench *bench, uint32_t outside)
{
    const struct nat_pool pool = { outside, outside + ADDRESSES - 1, 1024, 65535, false };
    char why[256];
    return !nat_configure(bench->nat, &(const struct nat_config) { .pools = &pool, .n_pools = 1 },
                          bench->worker->now_ms, why, sizeof why);
}

/* Takes frames as packets and parses them. */
static bool
receive(struct nat_bench *bench, enum nat_direction direction, struct packet **packets, unsigned n)
{
    if (pool_get(&bench->worker->small, packets, n) != n) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        memcpy(packets[i]->data, bench->frames[direction] + bench->next * LINE, LINE);
        packets[i]->len = (uint32_t) bench->size;
        packets[i]->offload = (struct offload){ 0 };
        bench->next = bench->next + 1 < bench->n ? bench->next + 1 : 0;
    }
    parse_vector(packets, n);
    return true;
}

/* Carries a batch through; false if a packet was lost. */
static bool
carry(struct nat_bench *bench, enum nat_direction direction, bool with_nat, unsigned n)
{
    struct packet *packets[BATCH];
    unsigned left = n;

    if (!receive(bench, direction, packets, n)) {
        return false;
    }
    if (with_nat) {
        left = nat_translate(bench->nat, bench->worker, packets, n, n, direction);
    }
    packet_free(packets, left);
    return left == n;
}

/* Makes the answer to each frame, as the NAT sends it out. */
static bool
make_answers(struct nat_bench *bench)
{
    for (size_t i = 0; i < bench->n; i++) {
        uint8_t *answer = bench->frames[NAT_IN] + i * LINE;
        struct packet *p;
        bench->next = i;
        if (!receive(bench, NAT_OUT, &p, 1)
            || !nat_translate(bench->nat, bench->worker, &p, 1, 1, NAT_OUT)) {
            return false;
        }
        memcpy(answer, p->data, LINE);
        memcpy(answer + ETH + 12, p->data + ETH + 16, 4);
        memcpy(answer + ETH + 16, p->data + ETH + 12, 4);
        memcpy(answer + ETH + IP, p->data + ETH + IP + 2, 2);
        memcpy(answer + ETH + IP + 2, p->data + ETH + IP, 2);
        packet_free(&p, 1);
    }
    bench->next = 0;
    return true;
}

void
nat_bench_close(struct nat_bench *bench)
{
    if (bench->nat) {
        nat_close(bench->nat);
    }
    if (bench->worker) {
        pool_close(&bench->worker->small);
    }
    epoch_close(&bench->epoch);
    free(bench->worker);
    free(bench->frames[0]);
    free(bench->frames[1]);
    free(bench);
}

/* Begins the sessions of 'n' frames of 'size' bytes, which are copied. Null: no memory, or frames that a
 * NAT drops. */
struct nat_bench *
nat_bench_open(const uint8_t *frames, size_t n, size_t size, uint32_t outside)
{
    struct nat_bench *bench = aligned_alloc(64, (sizeof *bench + 63) & ~(size_t) 63);
    size_t worker_size = (sizeof *bench->worker + 63) & ~(size_t) 63;
    if (!bench || size > LINE) {
        free(bench);
        return NULL;
    }
    memset(bench, 0, sizeof *bench);
    epoch_init(&bench->epoch);
    bench->n = n;
    bench->size = size;
    bench->worker = aligned_alloc(64, worker_size);
    bench->frames[0] = calloc(n, LINE);
    bench->frames[1] = calloc(n, LINE);
    bench->nat = nat_open(&bench->epoch, (uint32_t) n, 0);
    if (bench->worker) {
        memset(bench->worker, 0, worker_size);
        set_time(bench->worker);
    }
    if (!bench->worker || pool_open(&bench->worker->small, 4 * BATCH, PACKET_SMALL)
        || !bench->frames[0] || !bench->frames[1] || !bench->nat || !configure(bench, outside)) {
        nat_bench_close(bench);
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        memcpy(bench->frames[0] + i * LINE, frames + i * size, size);
    }
    if (!make_answers(bench)) {
        nat_bench_close(bench);
        return NULL;
    }
    return bench;
}

/* Carries packets for so many seconds; returns how many for each second of this thread's time, or 0 if
 * one was lost. 'with_nat' false: only what is around it. */
double
nat_bench_rate(struct nat_bench *bench, unsigned direction, bool with_nat, double seconds)
{
    double end = now(CLOCK_MONOTONIC) + seconds * 1e9, spent = now(CLOCK_THREAD_CPUTIME_ID);
    uint64_t n = 0;
    do {
        set_time(bench->worker);
        for (unsigned i = 0; i < ROUNDS; i++, n += BATCH) {
            if (!carry(bench, direction, with_nat, BATCH)) {
                return 0;
            }
        }
    } while (now(CLOCK_MONOTONIC) < end);
    return n / (now(CLOCK_THREAD_CPUTIME_ID) - spent) * 1e9;
}

/* Ends all sessions and begins them again; returns how many for each second of this thread's time, or 0 if
 * one was refused. */
double
nat_bench_new(struct nat_bench *bench)
{
    nat_flush(bench->nat, NULL, bench->worker->now_ms);
    set_time(bench->worker);
    bench->next = 0;

    double start = now(CLOCK_THREAD_CPUTIME_ID);
    for (size_t i = 0; i < bench->n; i += BATCH) {
        if (!carry(bench, NAT_OUT, true, bench->n - i < BATCH ? bench->n - i : BATCH)) {
            return 0;
        }
    }
    double spent = now(CLOCK_THREAD_CPUTIME_ID) - start;
    return make_answers(bench) ? bench->n / spent * 1e9 : 0;
}
