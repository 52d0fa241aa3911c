#ifndef RAICHO_PORT_PRIVATE_H
#define RAICHO_PORT_PRIVATE_H

/* What kinds of ports share: for port_<kind>.c only. */

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "port.h"

enum {
    VIRTUAL_SPEED = 10000,      /* Mbit/s that a port without a device says it has. */
    VIRTUAL_MTU = 65535 - 14,
};

/* Writes the sentence that open() failed with, and returns 'error'. */
static inline int __attribute__((format(printf, 4, 5)))
port_refuse(char *why, size_t why_size, int error, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(why, why_size, format, args);
    va_end(args);
    return error;
}

/* A packet that takes a frame of 'len' bytes (set, not yet written), or null
 * if it is too long or there is none. */
static inline struct packet *
packet_for(struct pool *small, struct pool *large, size_t len)
{
    struct pool *pool = len <= small->size ? small : large;
    struct packet *p;

    if (len > pool->size || !pool_get(pool, &p, 1)) {
        return NULL;
    }
    packet_set_len(p, len);
    return p;
}

static inline uint64_t
packets_size(struct packet *const packets[], unsigned n)
{
    uint64_t size = 0;

    for (unsigned i = 0; i < n; i++) {
        size += packets[i]->len;
    }
    return size;
}

/* The kernel refuses lengths that go beyond the frame, also where they mean nothing. */
static inline void
tidy_offload(struct packet *p)
{
    if (!p->offload.gso_type) {
        p->offload.hdr_len = p->offload.gso_size = 0;
    } else if (p->offload.hdr_len > p->len) {
        p->offload.hdr_len = (uint16_t)p->len;
    }
}

/* The link of a port that has no device: a locally administered address made
 * from its name (FNV-1a), so that it is the same every time. */
static inline void
virtual_link(const struct port *port, bool up, struct port_link *link)
{
    uint64_t hash = 0xcbf29ce484222325;

    for (const char *c = port->name; *c; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3;
    }
    *link = (struct port_link){
        .up = up, .admin_up = up, .speed = VIRTUAL_SPEED, .mtu = VIRTUAL_MTU, .mac = {0x02},
    };
    memcpy(link->mac + 1, &hash, 5);
}

/* Makes an eventfd readable, or no longer so.  'unsignal' returns whether it was. */
static inline void
signal_fd(int fd)
{
    ssize_t n = write(fd, &(uint64_t){1}, 8);

    (void)n;                    /* It can only fail when it is readable already. */
}

static inline bool
unsignal_fd(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof count) == sizeof count;
}

#endif
