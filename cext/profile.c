/* Profile: see profile.h. */

#include "profile.h"

#include <string.h>

const struct stage_info stage_table[N_STAGES] = {
#define X(NAME, TEXT) { #NAME, TEXT },
    PROFILE_STAGES(X)
#undef X
};

void
profile_begin(struct profile *profile)
{
    profile->measuring = !profile->turn
                         && !atomic_load_explicit(&profile->off, memory_order_relaxed);
    if (profile->measuring) {
        memset(profile->spent, 0, sizeof profile->spent);
        profile->stage = STAGE_other;
        profile->since = cycles_now();
    }
}

void
profile_end(struct profile *profile, unsigned n)
{
    bump(&profile->rounds, 1);
    if (!n) {
        bump(&profile->idle_rounds, 1);
        return;
    }
    profile->turn = profile->turn ? profile->turn - 1 : PROFILE_EVERY - 1;
    if (profile->measuring) {
        profile_enter(profile, STAGE_other);
        bump(&profile->packets, n);
        for (unsigned i = 0; i < N_STAGES; i++) {
            bump(&profile->cycles[i], profile->spent[i]);
        }
    }
}
