/* XDP sockets: see xdp_socket.h. */

#include "xdp_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

/* Newer than the headers of some systems: frames that one system call may send. */
#ifndef XDP_MAX_TX_SKB_BUDGET
#define XDP_MAX_TX_SKB_BUDGET 9
#endif

static int
set_option(int fd, int option, const void *value, socklen_t size)
{
    return setsockopt(fd, SOL_XDP, option, value, size) ? errno : 0;
}

static int
set_memory(int fd, const struct xdp_memory *memory)
{
    struct xdp_umem_reg umem = {
        .addr = (uintptr_t)memory->start, .len = memory->size, .chunk_size = memory->chunk,
        .flags = XDP_UMEM_UNALIGNED_CHUNK_FLAG,
    };

    return set_option(fd, XDP_UMEM_REG, &umem, sizeof umem);
}

/* Every ring has room for all that may be in flight in its direction. */
static int
set_rings(int fd, uint32_t len)
{
    static const int rings[] = {
        XDP_UMEM_FILL_RING, XDP_UMEM_COMPLETION_RING, XDP_RX_RING, XDP_TX_RING,
    };
    int error = 0;

    for (unsigned i = 0; i < sizeof rings / sizeof rings[0] && !error; i++) {
        error = set_option(fd, rings[i], &len, sizeof len);
    }
    return error;
}

/* Shows us a ring of 'len' entries of 'size' bytes, of which we fill or empty one end. */
static int
map_ring(struct xdp_ring *ring, int fd, uint64_t page, const struct xdp_ring_offset *at,
         uint32_t len, size_t size, bool we_fill)
{
    size_t map_size = at->desc + len * size;
    uint8_t *map = mmap(NULL, map_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd,
                        (off_t)page);

    if (map == MAP_FAILED) {
        return errno;
    }
    *ring = (struct xdp_ring){
        .mask = len - 1, .map = map, .map_size = map_size, .addresses = (void *)(map + at->desc),
        .ours = (void *)(map + (we_fill ? at->producer : at->consumer)),
        .theirs = (void *)(map + (we_fill ? at->consumer : at->producer)),
        .flags = (void *)(map + at->flags),
    };
    return 0;
}

static int
map_rings(struct xdp_socket *xdp, uint32_t len)
{
    struct xdp_mmap_offsets at;
    socklen_t size = sizeof at;

    if (getsockopt(xdp->fd, SOL_XDP, XDP_MMAP_OFFSETS, &at, &size)) {
        return errno;
    }

    const struct {
        struct xdp_ring *ring;
        uint64_t page;
        const struct xdp_ring_offset *at;
        size_t size;
        bool we_fill;
    } rings[] = {
        {&xdp->fill, XDP_UMEM_PGOFF_FILL_RING, &at.fr, sizeof(uint64_t), true},
        {&xdp->done, XDP_UMEM_PGOFF_COMPLETION_RING, &at.cr, sizeof(uint64_t), false},
        {&xdp->rx, XDP_PGOFF_RX_RING, &at.rx, sizeof(struct xdp_desc), false},
        {&xdp->tx, XDP_PGOFF_TX_RING, &at.tx, sizeof(struct xdp_desc), true},
    };
    int error = 0;

    for (unsigned i = 0; i < sizeof rings / sizeof rings[0] && !error; i++) {
        error = map_ring(rings[i].ring, xdp->fd, rings[i].page, rings[i].at, len, rings[i].size,
                         rings[i].we_fill);
    }
    return error;
}

int
xdp_socket_open(struct xdp_socket *xdp, const struct xdp_memory *memory)
{
    int error = 0;

    *xdp = (struct xdp_socket){.fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)};
    if (xdp->fd < 0) {
        return errno;
    }
    if ((error = set_memory(xdp->fd, memory)) || (error = set_rings(xdp->fd, memory->ring_len))
        || (error = map_rings(xdp, memory->ring_len))) {
        xdp_socket_close(xdp);
        return error;
    }
    /* Where it cannot be set, several calls send what one does elsewhere. */
    set_option(xdp->fd, XDP_MAX_TX_SKB_BUDGET, &memory->ring_len, sizeof memory->ring_len);
    return 0;
}

int
xdp_socket_bind(struct xdp_socket *xdp, int index, uint32_t queue, uint16_t flags)
{
    struct sockaddr_xdp address = {
        .sxdp_family = AF_XDP, .sxdp_flags = flags | XDP_USE_NEED_WAKEUP,
        .sxdp_ifindex = (uint32_t)index, .sxdp_queue_id = queue,
    };

    if (bind(xdp->fd, (struct sockaddr *)&address, sizeof address)) {
        return errno;
    }
    xdp->zero_copy = flags & XDP_ZEROCOPY;
    return 0;
}

uint64_t
xdp_socket_dropped(const struct xdp_socket *xdp)
{
    struct xdp_statistics stats;
    socklen_t size = sizeof stats;

    if (getsockopt(xdp->fd, SOL_XDP, XDP_STATISTICS, &stats, &size)) {
        return 0;
    }
    return stats.rx_dropped + stats.rx_ring_full;
}

void
xdp_socket_close(struct xdp_socket *xdp)
{
    struct xdp_ring *const rings[] = {&xdp->fill, &xdp->done, &xdp->rx, &xdp->tx};

    for (unsigned i = 0; i < sizeof rings / sizeof rings[0]; i++) {
        if (rings[i]->map) {
            munmap(rings[i]->map, rings[i]->map_size);
        }
    }
    if (xdp->fd >= 0) {
        close(xdp->fd);
    }
    *xdp = (struct xdp_socket){.fd = -1};
}
