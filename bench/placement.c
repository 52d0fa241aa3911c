/* How far two cores are from each other: nanoseconds for a cache line to go there and come back.
 *
 * placement CORE CORE prints the best of some rounds; hosts move the cores of a guest, and what
 * crosses between them costs five times as much in one place as in another. */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TRIPS = 2000, ROUNDS = 20 };

static _Alignas(128) atomic_uint ball;
static int far_core;

static void
pin(int core)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

/* Answers every odd number with the next one. */
static void *
answer(void *unused)
{
    pin(far_core);
    for (unsigned next = 1; next < 2 * TRIPS * ROUNDS; next += 2) {
        while (atomic_load_explicit(&ball, memory_order_acquire) != next) {
        }
        atomic_store_explicit(&ball, next + 1, memory_order_release);
    }
    return unused;
}

static double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int
main(int argc, char **argv)
{
    pthread_t thread;
    double best = 1e18;

    if (argc != 3) {
        return 2;
    }
    far_core = atoi(argv[2]);
    pin(atoi(argv[1]));
    if (pthread_create(&thread, NULL, answer, NULL)) {
        return 1;
    }
    unsigned next = 1;
    for (unsigned i = 0; i < ROUNDS; i++) {
        double start = now();
        for (unsigned j = 0; j < TRIPS; j++, next += 2) {
            atomic_store_explicit(&ball, next, memory_order_release);
            while (atomic_load_explicit(&ball, memory_order_acquire) != next + 1) {
            }
        }
        double spent = (now() - start) / TRIPS;
        best = spent < best ? spent : best;
    }
    pthread_join(thread, NULL);
    printf("%.0f\n", best);
    return 0;
}
