#ifndef RAICHO_PROFILE_H
#define RAICHO_PROFILE_H

/* Profile: where a worker's time goes, and in batches of what size packets come.
 *
 * What
 * ====
 * A worker is in one stage at a time; profile_enter() ends one and begins the next, wherever that
 * is.  What was spent between is added to the stage that ended.  Packets that leave because a lane is full
 * count under the stage that sent them.
 *
 * How
 * ===
 * One round of PROFILE_EVERY that have packets is measured, and its packets are counted with it: cycles
 * for a packet are the quotient.  Rounds without packets are not in it.
 *
 * Cost
 * ====
 * In a measured round, a time stamp (some 20 cycles) for each stage of a batch; in others, a test.
 *
 * Threads
 * =======
 * The worker writes, the control thread reads (relaxed atomics). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cycles.h"
#include "stats.h"

/* X(name, what people read). */
#define PROFILE_STAGES(X)                                               \
    X(receive,  "taking packets from ports")                            \
    X(parse,    "finding headers, filling keys")                        \
    X(lookup,   "looking up in tables and in the result cache")         \
    X(actions,  "counting, and running the programs of entries")        \
    X(transmit, "giving packets to ports, and what waits in queues")    \
    X(other,    "packets of controllers and of other workers, housekeeping")

enum profile_stage {
#define X(NAME, TEXT) STAGE_##NAME,
    PROFILE_STAGES(X)
#undef X
    N_STAGES
};

enum {
    PROFILE_EVERY = 8,
    PROFILE_SIZES = 9,                  /* Sizes of batches: 1, 2..3, 4..7 and so on, up to 256. */
};

/* Stages by number, for people. */
struct stage_info {
    char name[16];
    char text[64];
};
extern const struct stage_info stage_table[N_STAGES];

struct profile {
    _Atomic bool off;                   /* No round is measured.  The control thread's. */
    bool measuring;                     /* This round. */
    uint8_t stage;                      /* Where it is. */
    uint8_t turn;                       /* Rounds with packets until one is measured. */
    uint64_t since;                     /* When the stage began. */
    uint64_t spent[N_STAGES];           /* In this round. */

    _Atomic uint64_t packets;           /* Of measured rounds. */
    _Atomic uint64_t cycles[N_STAGES];  /* Of measured rounds. */
    _Atomic uint64_t batches[PROFILE_SIZES];    /* All, by size. */
    _Atomic uint64_t handovers;         /* Packets given to other workers. */
    _Atomic uint64_t sleeps;
    _Atomic uint64_t asleep_ns;
    _Atomic uint64_t rounds, idle_rounds;
};

/* Goes on to a stage; returns the cycles since the last change, 0 if nobody measures. */
static inline uint64_t
profile_enter(struct profile *profile, enum profile_stage stage)
{
    if (!profile->measuring) {
        return 0;
    }
    uint64_t now = cycles_now(), spent = now - profile->since;

    profile->spent[profile->stage] += spent;
    profile->stage = (uint8_t) stage;
    profile->since = now;
    return spent;
}

/* Begins and ends a round of 'n' packets. */
void profile_begin(struct profile *profile);
void profile_end(struct profile *profile, unsigned n);

/* Counts a batch that came from a port. */
static inline void
profile_batch(struct profile *profile, unsigned n)
{
    bump(&profile->batches[31 - __builtin_clz(n)], 1);
}

#endif
