#ifndef RAICHO_NETDEVICE_H
#define RAICHO_NETDEVICE_H

/* Network interfaces of Linux: found by name, asked and changed.
 *
 * Every function takes a socket, any kind of: it says in which network
 * namespace the interface is, also when the process has moved to another.
 * An interface is known by its index, which stays when it is renamed and is
 * not given to another one. Functions return 0 or a positive errno value,
 * ENODEV if the interface is gone.
 *
 * Threads: any. */

#include <stdbool.h>
#include <stdint.h>

#include "port.h"

/* Finds an interface; ENAMETOOLONG, ENODEV. */
int netdevice_find(int fd, const char *name, int *index);

/* Sets '*ethernet' if its frames have an Ethernet header. */
int netdevice_is_ethernet(int fd, int index, bool *ethernet);

int netdevice_link(int fd, int index, struct port_link *link);
int netdevice_set_up(int fd, int index, bool up);
int netdevice_set_mtu(int fd, int index, uint32_t mtu);

#endif
