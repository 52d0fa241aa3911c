#ifndef RAICHO_XDP_SOCKET_H
#define RAICHO_XDP_SOCKET_H

/* XDP sockets: one queue of an interface, with four rings and memory for the frames.
 *
 * What
 * ====
 * The memory is cut in chunks by whoever fills the rings: a chunk may begin anywhere in it
 * (XDP_UMEM_UNALIGNED_CHUNK_FLAG).  A frame that comes lies XDP_HEADROOM bytes behind the
 * beginning of its chunk.  Every socket registers the memory for itself, also when others
 * have it too: the kernel counts its pages once more, and none of them depends on another.
 *
 * Threads: open, bind and close by the control thread, the rings see xdp_ring.h. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "xdp_ring.h"

enum { XDP_HEADROOM = 256 };            /* Bytes the kernel leaves free in front of a frame. */

/* Beginning of a chunk and offset of a frame in it, as they stand in descriptors. */
static inline uint64_t
xdp_address(uint64_t chunk, uint64_t offset)
{
    return chunk | offset << XSK_UNALIGNED_BUF_OFFSET_SHIFT;
}

static inline uint64_t
xdp_address_chunk(uint64_t address)
{
    return address & XSK_UNALIGNED_BUF_ADDR_MASK;
}

static inline uint64_t
xdp_address_offset(uint64_t address)
{
    return address >> XSK_UNALIGNED_BUF_OFFSET_SHIFT;
}

struct xdp_socket {
    int fd;
    bool zero_copy;             /* The device itself reads and writes the memory. */
    struct xdp_ring fill, done, rx, tx;
};

/* The memory of a socket, and the sizes of its rings. */
struct xdp_memory {
    void *start;                /* Aligned to a page. */
    size_t size;
    uint32_t chunk;             /* Bytes of a chunk, XDP_HEADROOM included: 2048..4096. */
    uint32_t ring_len;          /* A power of two. */
};

/* Makes a socket with memory and rings that is not bound.  Returns 0 or a positive errno value
 * (EPERM; EAFNOSUPPORT: the kernel has none; ENOBUFS: too much locked memory). */
int xdp_socket_open(struct xdp_socket *socket, const struct xdp_memory *memory);

/* Binds it to a queue of an interface, with XDP_COPY or XDP_ZEROCOPY in 'flags'.  Returns 0
 * or a positive errno value (EBUSY: the queue has a socket, or had one a moment ago;
 * EOPNOTSUPP: not with these flags; EINVAL: no such queue); then it can be tried again. */
int xdp_socket_bind(struct xdp_socket *socket, int index, uint32_t queue, uint16_t flags);

/* Frames the kernel has dropped since the socket was bound. */
uint64_t xdp_socket_dropped(const struct xdp_socket *socket);

/* Lets go of it. */
void xdp_socket_close(struct xdp_socket *socket);

#endif
