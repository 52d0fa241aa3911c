#ifndef RAICHO_CYCLES_H
#define RAICHO_CYCLES_H

/* The processor's time stamp: cheap enough to read for every batch, not for every packet.
 *
 * Ticks at a constant rate (the TSC of x86-64, the virtual counter of arm64), which is not that of
 * the core.  Elsewhere 0, and what is measured by it costs nothing and says nothing. */

#include <stdint.h>

static inline uint64_t
cycles_now(void)
{
#if defined __x86_64__
    return __builtin_ia32_rdtsc();
#elif defined __aarch64__
    uint64_t now;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r" (now));
    return now;
#else
    return 0;
#endif
}

#endif
