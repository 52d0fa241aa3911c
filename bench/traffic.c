/* What hosts do to what is between them.
 *
 * traffic send DEVICE FROM TO: 60-byte frames of one UDP flow between two addresses of IPv4, to the Ethernet
 * address 02:00:00:00:00:01, as many as go, until it is killed.
 * traffic echo PORT: sends datagrams back, until it is killed.
 * traffic ping ADDRESS PORT COUNT: one datagram after the other, each when the last has come back;
 * prints the nanoseconds of the median and of the 99th percentile. A tenth more come first and do not
 * count. Ends with 1 if more than one in a
 * hundred did not come back. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

enum { BATCH = 64, FRAME = 60, PATIENCE_US = 100000, HEADER = 14, CHECKSUM = 24, FROM = 26, TO = 30, END = 34 };

/* To nobody: the host that hears it drops it early. */
static uint8_t frame[FRAME] = {
    0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0,
    0x45, 0, 0, 46, 0, 0, 0, 0, 64, 17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0x12, 0x34, 0, 9, 0, 26,
};

static void
fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void
set_addresses(const char *from, const char *to)
{
    uint32_t sum = 0;

    if (inet_pton(AF_INET, from, frame + FROM) != 1 || inet_pton(AF_INET, to, frame + TO) != 1) {
        errno = EINVAL;
        fail("address");
    }
    for (unsigned i = HEADER; i < END; i += 2) {
        sum += (uint32_t) frame[i] << 8 | frame[i + 1];
    }
    sum = (sum & 0xFFFF) + (sum >> 16);
    frame[CHECKSUM] = (uint8_t) (~sum >> 8);
    frame[CHECKSUM + 1] = (uint8_t) ~sum;
}

static void
send_frames(const char *device)
{
    struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int) if_nametoindex(device) };
    struct iovec data = { frame, sizeof frame };
    struct mmsghdr messages[BATCH];
    int fd = socket(AF_PACKET, SOCK_RAW, 0), on = 1;

    if (!address.sll_ifindex || fd < 0 || bind(fd, (void *) &address, sizeof address)
        || setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &on, sizeof on)) {
        fail(device);
    }
    for (unsigned i = 0; i < BATCH; i++) {
        messages[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = &data, .msg_iovlen = 1 } };
    }
    for (;;) {
        sendmmsg(fd, messages, BATCH, 0);
    }
}

static void
echo(uint16_t port)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (fd < 0 || bind(fd, (void *) &address, sizeof address)) {
        fail("echo");
    }
    for (;;) {
        socklen_t size = sizeof address;
        uint8_t data[64];
        ssize_t n = recvfrom(fd, data, sizeof data, 0, (void *) &address, &size);
        if (n >= 0) {
            sendto(fd, data, n, 0, (void *) &address, size);
        }
    }
}

static double
now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

/* Nanoseconds there and back; negative: it did not come. What came late from before is not it. */
static double
round_trip(int fd, uint32_t number)
{
    uint32_t answer = ~number;
    double start = now();
    if (send(fd, &number, sizeof number, 0) < 0) {
        return -1;
    }
    while (answer != number) {
        if (recv(fd, &answer, sizeof answer, 0) < 0) {
            return -1;
        }
    }
    return now() - start;
}

static int
by_size(const void *a, const void *b)
{
    const double x = *(const double *) a, y = *(const double *) b;
    return (x > y) - (x < y);
}

static int
ping(const char *host, uint16_t port, unsigned count)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct timeval patience = { .tv_usec = PATIENCE_US };
    double *times = calloc(count, sizeof *times);
    const unsigned warm = count / 10;
    unsigned n = 0, n_lost = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0);

    if (!times || fd < 0 || inet_pton(AF_INET, host, &address.sin_addr) != 1
        || connect(fd, (void *) &address, sizeof address)
        || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience)) {
        fail("ping");
    }
    for (unsigned i = 0; i < count + warm; i++) {
        double time = round_trip(fd, i);
        if (i >= warm && time >= 0) {
            times[n++] = time;
        }
        n_lost += i >= warm && time < 0;
    }
    if (!n || n_lost > count / 100) {
        fprintf(stderr, "%u of %u datagrams did not come back\n", n_lost, count);
        return 1;
    }
    qsort(times, n, sizeof *times, by_size);
    printf("%.0f %.0f\n", times[n / 2], times[(size_t) n * 99 / 100]);
    return 0;
}

int
main(int argc, char **argv)
{
    if (argc == 5 && !strcmp(argv[1], "send")) {
        set_addresses(argv[3], argv[4]);
        send_frames(argv[2]);
    } else if (argc == 3 && !strcmp(argv[1], "echo")) {
        echo(atoi(argv[2]));
    } else if (argc == 5 && !strcmp(argv[1], "ping")) {
        return ping(argv[2], atoi(argv[3]), atoi(argv[4]));
    }
    fprintf(stderr, "usage: traffic send DEVICE FROM TO | echo PORT | ping ADDRESS PORT COUNT\n");
    return 2;
}
