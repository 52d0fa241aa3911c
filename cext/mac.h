#ifndef RAICHO_MAC_H
#define RAICHO_MAC_H

/* MAC addresses: which port of a bridge each is behind, by VLAN: last seen there, or fixed.
 *
 * What
 * ====
 * Addresses that were learned age, move, and give way to others when the table is full.  Fixed ones come from
 * the configuration and do nothing of that; they go before what is learned.
 *
 * Threads: any may learn, look up and flush (kv.h).  The rest is the control thread's; what it
 * replaces is retired by epochs.
 *
 * Reference: IEEE 802.1Q-2018, 8.7 to 8.9 */

#include "epoch.h"
#include "kv.h"

enum {
    MAC_AGEING_MS = 300000,
    MAC_MAX = 8192,             /* Addresses that a bridge remembers, unless told. */
    MAC_ANY_VLAN = 0xffff,      /* For mac_flush(). */
};

/* In the place of a port: there is none, drop what comes from there or goes there. */
#define MAC_BLOCKED UINT32_MAX

/* A fixed address. */
struct mac_fixed {
    uint64_t address;           /* 48 bits. */
    uint32_t port;              /* Or MAC_BLOCKED. */
    uint16_t vlan;
};

struct mac_fixed_set;

struct mac_table {
    _Atomic(struct kv *) kv;
    _Atomic(struct mac_fixed_set *) fixed;      /* Null: none. */
};

/* Returns 0 or ENOMEM. */
int mac_open(struct mac_table *table);
void mac_close(struct mac_table *table);

/* Gives it room for 'max' addresses, each for 'ageing_ms'.  What was learned stays as far as there is
 * room.  Returns 0 or ENOMEM (nothing changed). */
int mac_configure(struct mac_table *table, struct epoch *epoch, uint32_t max, uint64_t ageing_ms,
                  uint64_t now_ms);

/* Puts other fixed addresses in the place of those there are; the last one of a VLAN and address
 * counts.  Returns 0 or ENOMEM (nothing changed). */
int mac_fix(struct mac_table *table, struct epoch *epoch, const struct mac_fixed *fixed, uint32_t n);

enum mac_learned { MAC_KNOWN, MAC_NEW, MAC_MOVED, MAC_REFUSED /* It is blocked. */ };

/* Notes that 'address' (48 bits) is behind 'port'; a group address is behind none, and a fixed one stays
 * where it is. */
enum mac_learned mac_learn(struct mac_table *table, uint16_t vlan, uint64_t address, uint32_t port,
                           uint64_t now_ms);

/* Returns the port that an address is behind, or MAC_BLOCKED; 0 if it is not known.  A group address is known
 * only if it is fixed. */
uint32_t mac_lookup(const struct mac_table *table, uint16_t vlan, uint64_t address,
                    uint64_t now_ms);

/* Forgets the addresses that were learned behind a port (0: any) in a VLAN (MAC_ANY_VLAN: any).
 * Returns how many there were.  'now_ms' may be 0: then those count that are too old as well. */
size_t mac_flush(struct mac_table *table, uint32_t port, uint16_t vlan, uint64_t now_ms);

struct mac_entry {
    uint64_t address;
    uint64_t age_ms;            /* Since it was last noted; refreshed only now and then. */
    uint32_t port;
    uint16_t vlan;
    bool fixed;
};

void mac_each(struct mac_table *table, uint64_t now_ms,
              void (*visit)(const struct mac_entry *, void *), void *context);

static inline bool
mac_is_group(uint64_t address)
{
    return address >> 40 & 1;
}

#endif
