#ifndef RAICHO_PORT_AF_PACKET_H
#define RAICHO_PORT_AF_PACKET_H

/* What a packet socket receives: a ring that the kernel writes frames into.
 *
 * How
 * ===
 * The ring (TPACKET_V2) has slots of 2 KiB, each with a virtio-net header in front of the frame, so
 * that receiving small frames needs no system call.  A longer frame, up to 64 KiB, waits whole in
 * the queue of the socket (PACKET_COPY_THRESH), while its slot says so; it is received from there
 * straight into a large packet.  Slots and queue are in the same order.
 *
 * The kernel takes VLAN tags out of frames and hands them beside; they are put back, so the
 * frame is as it was on the wire.
 *
 * Threads: as those of a port.  Reference: packet_mmap in the documentation of Linux. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

struct af_packet_ring {
    uint8_t *slots;             /* Shared with the kernel. */
    size_t size;                /* Bytes of it. */
    uint32_t mask;              /* Slots, a power of two, minus 1. */
    uint32_t next;              /* Slot that is to be filled next. */
    unsigned n_empty;           /* Times in a row that there was nothing. */
    bool hears_itself;          /* The kernel cannot leave out frames that go out. */
};

/* Gives a socket with PACKET_VNET_HDR that is not bound a ring of 'n_slots', or as many as there
 * is memory for (0: a sensible number).  Returns 0 or a positive errno value. */
int af_packet_ring_open(struct af_packet_ring *ring, int fd, uint32_t n_slots);

/* A ring of zeros stays as it is. */
void af_packet_ring_close(struct af_packet_ring *ring);

/* As receive() of 'port', but for counting what came. */
unsigned af_packet_ring_receive(struct af_packet_ring *ring, struct port *port, struct pool *small,
                                struct pool *large, struct packet **packets, unsigned limit);

#endif
