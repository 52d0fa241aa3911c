/* Random numbers from a seed, and clocks: what benchmarks in C share. Threads: one. */

#ifndef BENCH_SAMPLING_H
#define BENCH_SAMPLING_H

#include <stdint.h>
#include <time.h>

static uint64_t sampling_state;

static inline void
seed(uint64_t number)
{
    sampling_state = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t
draw(void)
{
    sampling_state ^= sampling_state << 13;
    sampling_state ^= sampling_state >> 7;
    sampling_state ^= sampling_state << 17;
    return sampling_state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* Nanoseconds. */
static inline double
now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

#endif
