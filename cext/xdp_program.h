#ifndef RAICHO_XDP_PROGRAM_H
#define RAICHO_XDP_PROGRAM_H

/* The XDP program that sends the frames of an interface to the sockets of its queues.
 *
 * How
 * ===
 * Five instructions: redirect to what the map has for the queue the frame came by; the kernel's
 * stack goes on with frames of queues that have no socket.  The program hangs on the interface by a
 * link, so it is gone when we are, however we end.
 *
 * Threads: the control thread's. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { XDP_QUEUES = 1024 };             /* Queues of an interface that can have a socket. */

struct xdp_program {
    int map, program, link;             /* Descriptors; -1: none. */
    bool generic;                       /* Attached above the driver. */
};

/* Loads map and program, attached to nothing yet.  Returns 0 or a positive errno value (EPERM:
 * needs CAP_BPF and CAP_NET_ADMIN). */
int xdp_program_open(struct xdp_program *program);

/* Hangs it on an interface, in the driver or ('generic') above it.  Returns 0 or a positive errno
 * value (EBUSY: there is another one; EOPNOTSUPP and others: the driver cannot).  If it hangs there
 * in the other way, it is moved. */
int xdp_program_attach(struct xdp_program *program, int index, bool generic);

/* Takes it off again.  It may be off. */
void xdp_program_detach(struct xdp_program *program);

/* Sends the frames of a queue to a socket, or back to the kernel.  Returns 0 or a positive errno value. */
int xdp_program_set(const struct xdp_program *program, uint32_t queue, int socket);
void xdp_program_unset(const struct xdp_program *program, uint32_t queue);

void xdp_program_close(struct xdp_program *program);

#endif
