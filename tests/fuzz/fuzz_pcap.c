/* Invariant: whatever a file holds, it is refused, or it delivers frames of sane length that
 * lie in the file, comes to an end, and every packet goes back to its pool. */

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"
#include "port.h"

enum { N_SMALL = 8, N_LARGE = 2, LIMIT = 4 };

static struct pool small, large;
static int file = -1;

static void
must(int good)
{
    if (!good) {
        abort();
    }
}

static void
prepare(const uint8_t *data, size_t size)
{
    if (file < 0) {
        file = memfd_create("fuzz.pcap", MFD_CLOEXEC);
        must(file >= 0 && !pool_open(&small, N_SMALL, PACKET_SMALL)
             && !pool_open(&large, N_LARGE, PACKET_LARGE));
    }
    must(!ftruncate(file, 0) && pwrite(file, data, size, 0) == (ssize_t)size);
}

static void
check(const struct packet *packet, const uint8_t *data, size_t size)
{
    must(packet->len >= 14 && packet->len <= PACKET_LARGE && packet->len <= size);
    must(memmem(data, size, packet->data, packet->len) != NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct port port = {.ops = port_kind("pcap"), .name = "fuzz"};
    struct port_config config = {.mtu = 0};
    struct packet *packets[LIMIT];
    uint64_t n_frames = 0;
    char why[256];

    prepare(data, size);
    snprintf(config.device, sizeof config.device, "in:/proc/self/fd/%d", file);
    if (port.ops->open(&port, &config, why, sizeof why)) {
        return 0;
    }
    for (unsigned n; (n = port.ops->receive(&port, &small, &large, packets, LIMIT)) > 0;) {
        for (unsigned i = 0; i < n; i++) {
            check(packets[i], data, size);
        }
        n_frames += n;
        packet_free(packets, n);
    }
    must(n_frames == port.counters.rx_packets && n_frames <= size / 16);
    port.ops->close(&port);
    must(small.n_free == N_SMALL && large.n_free == N_LARGE);
    return 0;
}

/* Four files: two byte orders, and a long frame in one of each. */
size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static const uint32_t header[6] = {0xa1b2c3d4, 0x00040002, 0, 0, 65535, 1};
    static const uint32_t lens[2][2] = {{20, 14}, {2100, 60}};
    size_t at = sizeof header;

    if (i >= 4 || cap < 4096) {
        return 0;
    }
    memset(buf, 0, cap);
    memcpy(buf, header, sizeof header);
    for (unsigned j = 0; j < 2; j++) {
        uint32_t record[4] = {1, 2, lens[i / 2][j], lens[i / 2][j]};
        memcpy(buf + at, record, sizeof record);
        memset(buf + at + sizeof record, (int)j + 1, record[2]);
        at += sizeof record + record[2];
    }
    for (size_t word = 0; i % 2 && word < 24 + 16; word += 4) {
        uint32_t value;
        memcpy(&value, buf + word, 4);
        value = __builtin_bswap32(value);
        memcpy(buf + word, &value, 4);
    }
    return at;
}
