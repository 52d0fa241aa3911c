#ifndef RAICHO_DPDK_EAL_H
#define RAICHO_DPDK_EAL_H

/* DPDK's environment (EAL): starting it once, and what it says of failures. */

#include <stddef.h>

/* Starts DPDK if it does not run yet: in memory of its own, with no files and no
 * sockets, and with no device but those that are asked for.  The thread stays on the processors
 * that it was on.  Returns 0, or a positive errno value and a sentence in 'why': then
 * nothing but another process can try again. */
int eal_start(char *why, size_t why_size);

/* Forgets what DPDK said, and says what its first complaint since then was: a
 * line without its end, "" if there was none. */
void eal_listen(void);
const char *eal_complaint(void);

/* Makes the calling thread one that DPDK knows, until it ends, so that it has caches of free
 * buffers.  Without that it works all the same, slower. */
void eal_join(void);

#endif
