#ifndef RAICHO_MAC_H
#define RAICHO_MAC_H

/* MAC addresses: which port of a bridge each was last seen on, by VLAN.
 *
 * Threads: any may learn, look up and flush (kv.h).
 *
 * Reference: IEEE 802.1Q-2018, 8.7 to 8.9 */

#include "kv.h"

enum {
    MAC_AGEING_MS = 300000,
    MAC_MAX = 8192,             /* Addresses that a bridge remembers. */
};

struct mac_table {
    struct kv kv;
};

/* Returns 0 or ENOMEM. */
int mac_open(struct mac_table *table);
void mac_close(struct mac_table *table);

/* Notes that 'address' (48 bits) is behind 'port'; a group address is behind none. */
void mac_learn(struct mac_table *table, uint16_t vlan, uint64_t address, uint32_t port,
               uint64_t now_ms);

/* Returns the port that an address is behind; 0 if it is not known, or one of a group. */
uint32_t mac_lookup(const struct mac_table *table, uint16_t vlan, uint64_t address,
                    uint64_t now_ms);

/* Forgets the addresses behind a port; 0: all of them.  Returns how many there were.  'now_ms' may be 0:
 * then those count that are too old as well. */
size_t mac_flush(struct mac_table *table, uint32_t port, uint64_t now_ms);

struct mac_entry {
    uint64_t address;
    uint64_t age_ms;            /* Since it was last noted; refreshed only now and then. */
    uint32_t port;
    uint16_t vlan;
};

void mac_each(struct mac_table *table, uint64_t now_ms,
              void (*visit)(const struct mac_entry *, void *), void *context);

static inline bool
mac_is_group(uint64_t address)
{
    return address >> 40 & 1;
}

#endif
