#ifndef RAICHO_LINKWATCH_H
#define RAICHO_LINKWATCH_H

/* Linkwatch: hears of interfaces that come, go, and change, as the kernel tells.
 *
 * Poll 'fd' for reading, then call linkwatch_next() until it returns EAGAIN.
 * It tells what an interface is like now; the caller knows what it was like
 * before. The network namespace is that of linkwatch_open().
 *
 * Reference: rtnetlink(7), group RTNLGRP_LINK.
 *
 * Threads: one at a time. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct linkwatch {
    int fd;
    size_t at, len;             /* What is left in 'buffer' to be told. */
    _Alignas(8) uint8_t buffer[32768];
};

struct link_event {
    int index;
    char name[16];              /* "" if the kernel did not say. */
    bool admin_up;
    bool up;                    /* Carrier, and admin_up; as port_link. */
    bool gone;                  /* Removed, or moved to another namespace. */
};

/* Returns 0 or a positive errno value. */
int linkwatch_open(struct linkwatch *watch);

/* Takes the next event.  Returns 0, EAGAIN if there is none now, ENOBUFS if
 * some were lost (ask every port for its link), or another errno value. */
int linkwatch_next(struct linkwatch *watch, struct link_event *event);

void linkwatch_close(struct linkwatch *watch);

#endif
