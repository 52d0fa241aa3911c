/* The yardstick of ports: a loop that takes frames from one interface and sends them by another, both
 * ways, and looks at none of them.
 *
 * bare packet|native|generic DEVICE DEVICE runs until it is killed; it prints a line when it forwards.
 * 'packet' is an AF_PACKET socket with a receive ring (TPACKET_V2) and sendmmsg(); the others are XDP
 * sockets in the driver or above it, whose frames stay where they are. Sockets and rings of XDP are set
 * up by raicho's core, for that is not what is measured. Threads: one, which never sleeps. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "xdp_program.h"
#include "xdp_socket.h"

enum {
    BATCH = 256,
    SLOT = 2048,
    N_SLOTS = 4096,
    BLOCK = 1 << 16,
    CHUNK = 2048,               /* Of the memory of XDP sockets, */
    STRIDE = CHUNK + 128,       /* not a power of two apart. */
    RING = 1024,
    TURNS = 16,                 /* Calls in which a batch is to leave. */
    PATIENCE = 200,             /* Times that a busy queue is tried again, */
    PAUSE_MS = 10,              /* after so long. */
    PAUSES = 16,
};

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

static void
fail(const char *what, int error)
{
    fprintf(stderr, "%s: %s\n", what, strerror(error));
    exit(1);
}

/* Waits a moment when there was nothing: who looks at a ring all the time slows down who fills it. */
static void
relax(unsigned n_done)
{
    for (unsigned i = 0; !n_done && i < PAUSES; i++) {
#ifdef __x86_64__
        __builtin_ia32_pause();
#else
        __asm__ volatile("yield");
#endif
    }
}

static int
index_of(const char *device)
{
    int index = (int) if_nametoindex(device);
    if (!index) {
        fail(device, errno);
    }
    return index;
}

/* --- AF_PACKET ----------------------------------------------------------- */

struct ring {
    int fd;
    unsigned next;
    uint8_t *slots;
};

static void
packet_open(struct ring *ring, const char *device)
{
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = index_of(device) };
    struct tpacket_req request = { .tp_block_size = BLOCK, .tp_block_nr = N_SLOTS * SLOT / BLOCK,
                                   .tp_frame_size = SLOT, .tp_frame_nr = N_SLOTS };
    int version = TPACKET_V2, on = 1;

    ring->fd = socket(AF_PACKET, SOCK_RAW, 0);
    if (ring->fd < 0
        || setsockopt(ring->fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version)
        || setsockopt(ring->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on)
        || setsockopt(ring->fd, SOL_PACKET, PACKET_RX_RING, &request, sizeof request)) {
        fail(device, errno);
    }
    ring->slots = mmap(NULL, (size_t) N_SLOTS * SLOT, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_POPULATE, ring->fd, 0);
    if (ring->slots == MAP_FAILED || bind(ring->fd, (void *) &address, sizeof address)) {
        fail(device, errno);
    }
}

static struct tpacket2_hdr *
slot(const struct ring *ring, unsigned i)
{
    return (struct tpacket2_hdr *) (ring->slots + (size_t) ((ring->next + i) % N_SLOTS) * SLOT);
}

static unsigned
packet_forward(struct ring *from, struct ring *to)
{
    struct mmsghdr messages[BATCH];
    struct iovec frames[BATCH];
    unsigned n = 0;

    while (n < BATCH
           && __atomic_load_n(&slot(from, n)->tp_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) {
        const struct tpacket2_hdr *header = slot(from, n);
        frames[n] = (struct iovec){ (uint8_t *) header + header->tp_mac, header->tp_snaplen };
        messages[n] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &frames[n], .msg_iovlen = 1 } };
        n++;
    }
    for (unsigned sent = 0, turn = 0; sent < n && turn < TURNS; turn++) {
        int done = sendmmsg(to->fd, messages + sent, n - sent, MSG_DONTWAIT);
        sent += done > 0 ? done : 0;
    }
    for (unsigned i = 0; i < n; i++) {
        __atomic_store_n(&slot(from, i)->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    }
    from->next += n;
    return n;
}

static void
packet_run(char *const devices[2])
{
    struct ring rings[2] = { { .next = 0 } };

    packet_open(&rings[0], devices[0]);
    packet_open(&rings[1], devices[1]);
    puts("forwarding");
    for (;;) {
        relax(packet_forward(&rings[0], &rings[1]) + packet_forward(&rings[1], &rings[0]));
    }
}

/* --- AF_XDP -------------------------------------------------------------- */

static void
xdp_attach(struct xdp_socket *socket, const struct xdp_memory *memory, const char *device,
           bool generic, size_t first)
{
    struct xdp_program program;
    const int index = index_of(device);
    int error = xdp_socket_open(socket, memory);

    error = error ? error : xdp_program_open(&program);
    error = error ? error : xdp_program_attach(&program, index, generic);
    if (error) {
        fail(device, error);
    }
    for (int i = 0; i < PATIENCE; i++) {
        error = xdp_socket_bind(socket, index, 0, XDP_COPY);
        if (error != EBUSY) {
            break;
        }
        nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
    }
    error = error ? error : xdp_program_set(&program, 0, socket->fd);
    if (error) {
        fail(device, error);
    }
    for (unsigned i = 0; i < RING; i++) {
        struct xdp_ring *fill = &socket->fill;
        fill->addresses[fill->at++ & fill->mask] = (first + i) * STRIDE;
    }
    xdp_ring_publish(&socket->fill);
}

/* Gives the memory of frames that have left back to where they came. */
static void
xdp_return(struct xdp_socket *from, struct xdp_socket *to)
{
    struct xdp_ring *done = &to->done, *fill = &from->fill;
    uint32_t n = xdp_ring_ready(done, BATCH), room = xdp_ring_room(fill, n);

    n = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++) {
        const uint64_t address = done->addresses[done->at++ & done->mask];
        fill->addresses[fill->at++ & fill->mask] = xdp_address_chunk(address);
    }
    if (n) {
        xdp_ring_publish(done);
        xdp_ring_publish(fill);
    }
    if (xdp_ring_sleeps(fill)) {
        recvfrom(from->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
    }
}

static unsigned
xdp_forward(struct xdp_socket *from, struct xdp_socket *to)
{
    struct xdp_ring *rx = &from->rx, *tx = &to->tx;
    uint32_t n = xdp_ring_ready(rx, BATCH), room = xdp_ring_room(tx, BATCH);

    n = n < BATCH ? n : BATCH;
    n = n < room ? n : room;
    for (uint32_t i = 0; i < n; i++) {
        tx->frames[tx->at++ & tx->mask] = rx->frames[rx->at++ & rx->mask];
    }
    if (n) {
        xdp_ring_publish(rx);
        xdp_ring_publish(tx);
    }
    if (xdp_ring_pending(tx)) {         /* What a full queue refuses goes with the next turn. */
        sendto(to->fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
    }
    xdp_return(from, to);
    return n;
}

static void
xdp_run(char *const devices[2], bool generic)
{
    const size_t page = 4096, size = ((size_t) 2 * RING * STRIDE + page - 1) / page * page;
    struct xdp_memory memory = { .size = size, .chunk = CHUNK, .ring_len = RING };
    struct xdp_socket sockets[2];

    memory.start = mmap(NULL, size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory.start == MAP_FAILED) {
        fail("memory", errno);
    }
    for (unsigned i = 0; i < 2; i++) {
        xdp_attach(&sockets[i], &memory, devices[i], generic, (size_t) i * RING);
    }
    puts("forwarding");
    for (;;) {
        relax(xdp_forward(&sockets[0], &sockets[1]) + xdp_forward(&sockets[1], &sockets[0]));
    }
}

int
main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 4 && !strcmp(argv[1], "packet")) {
        packet_run(argv + 2);
    } else if (argc == 4 && (!strcmp(argv[1], "native") || !strcmp(argv[1], "generic"))) {
        xdp_run(argv + 2, argv[1][0] == 'g');
    }
    fprintf(stderr, "usage: bare packet|native|generic DEVICE DEVICE\n");
    return 2;
}
