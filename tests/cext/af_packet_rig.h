#ifndef TEST_AF_PACKET_RIG_H
#define TEST_AF_PACKET_RIG_H

/* port_af_packet.c on a veth pair: the port on "one", a plain packet socket on "two". */

#include "kernel_port.h"

#include <sys/ioctl.h>

#include "packets.h"

enum { N_SMALL = 512, N_LARGE = 8 };

struct fixture {
    struct pools pools;
    struct port port;
    int wire;                   /* The socket on "two". */
};

/* A frame as the far end sees it. */
struct seen {
    size_t len;
    struct offload offload;
    struct tpacket_auxdata aux;
    uint8_t data[70000];
};

/* --- The far end --------------------------------------------------------- */

/* Lets the far end see tags that the kernel took out. */
static inline void
watch_tags(int fd)
{
    assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &(int){1}, sizeof(int)), 0);
}

/* Waits for a frame. */
static inline void
see(int fd, struct seen *seen)
{
    char control[CMSG_SPACE(sizeof seen->aux)];
    struct iovec parts[2] = {
        {&seen->offload, sizeof seen->offload}, {seen->data, sizeof seen->data},
    };
    struct msghdr message = {
        .msg_iov = parts, .msg_iovlen = 2, .msg_control = control, .msg_controllen = sizeof control,
    };

    assert_true(wait_readable(fd));
    ssize_t n = recvmsg(fd, &message, MSG_DONTWAIT);
    assert_true(n > (ssize_t)sizeof seen->offload);
    seen->len = (size_t)n - sizeof seen->offload;
    assert_non_null(CMSG_FIRSTHDR(&message));
    memcpy(&seen->aux, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof seen->aux);
}

/* --- The near end -------------------------------------------------------- */

static inline int
open_queue(struct port *port, const char *device, uint32_t queue, uint32_t n_queues,
           uint32_t ring_len)
{
    struct port_config config = {.ring_len = ring_len, .queue = queue, .n_queues = n_queues};
    char why[128];

    *port = (struct port){.ops = port_kind("af_packet"), .name = "p"};
    snprintf(config.device, sizeof config.device, "%s", device);
    return port->ops->open(port, &config, why, sizeof why);
}

static inline int
open_port(struct fixture *f, const char *device, uint32_t ring_len)
{
    return open_queue(&f->port, device, 0, 1, ring_len);
}

static inline bool
is_running(int fd, const char *name)
{
    struct ifreq ifr = {.ifr_flags = 0};

    strcpy(ifr.ifr_name, name);
    return !ioctl(fd, SIOCGIFFLAGS, &ifr) && (ifr.ifr_flags & IFF_RUNNING);
}

/* Waits until frames can pass.  The kernel notices carrier a little later than it
 * comes, and drops without a word what is sent before.  It is done with it when it
 * has both said "running" and let us at its lock for another change. */
static inline void
wait_for_carrier(void)
{
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    unsigned i = 0;

    while (!is_running(fd, "one") || !is_running(fd, "two")) {
        assert_true(i++ < TRIES);
        usleep(1000);
    }
    close(fd);
    ip("link set two up");
}

static inline int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    ip("link add one type veth peer name two");
    ip("link set one up");
    ip("link set two up");
    wait_for_carrier();
    pools_open(&f->pools, N_SMALL, N_LARGE);
    assert_int_equal(open_port(f, "one", 0), 0);
    f->wire = wire_open("two");
    watch_tags(f->wire);
    *state = f;
    return 0;
}

static inline int
tear_down(void **state)
{
    struct fixture *f = *state;

    f->port.ops->close(&f->port);
    close(f->wire);
    pools_close(&f->pools);
    free(f);
    if (if_nametoindex("two")) {
        ip("link del two");
    }
    return 0;
}

static inline unsigned
transmit(struct fixture *f, const void *frame, size_t len, const struct offload *offload)
{
    struct packet *packet = new_packet(&f->pools, frame, len);

    if (offload) {
        packet->offload = *offload;
    }
    return f->port.ops->transmit(&f->port, &packet, 1);
}

/* Puts an IPv4 TCP header of a frame of 'len' bytes at 'l3', with the pseudo header's sum
 * where the kernel wants it, and returns what is left to do. */
static inline struct offload
unfinished_tcp(uint8_t *frame, size_t l3, size_t len, uint16_t segment)
{
    static const uint8_t headers[40] = {
        0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
        0x10, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 0xff, 0xff,
    };
    uint16_t ip_len = (uint16_t)(len - l3);
    uint32_t sum = 0;

    put_be16(frame + l3 - 2, ETH_TYPE_IPV4);
    memcpy(frame + l3, headers, sizeof headers);
    put_be16(frame + l3 + 2, ip_len);
    for (unsigned i = 0; i < 20; i += 2) {
        sum += get_be16(frame + l3 + i);
    }
    put_be16(frame + l3 + 10, (uint16_t)~(sum % 0xffff));
    sum = 0x0a00 + 1 + 0x0a00 + 2 + 6 + ip_len - 20u;
    put_be16(frame + l3 + 20 + TCP_CSUM, (uint16_t)(sum % 0xffff));
    return (struct offload){
        .flags = 1, .gso_type = segment ? 1 : 0, .gso_size = segment,
        .hdr_len = segment ? (uint16_t)(l3 + 40) : 0,
        .csum_start = (uint16_t)(l3 + 20), .csum_offset = TCP_CSUM,
    };
}

#endif
