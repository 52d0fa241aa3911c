#ifndef RAICHO_MEMBERSHIP_PRIVATE_H
#define RAICHO_MEMBERSHIP_PRIVATE_H

/* What membership.c and the table of its groups (membership_table.c) share. */

#include "membership.h"

/* Null: the port is no member; 'group' may be null. */
struct membership_member *membership_find_member(const struct membership_group *group, uint32_t port);

/* Finds a member or makes one that includes nothing yet; null (and counted) without room or memory. */
struct membership_member *membership_get_member(struct membership *membership, uint8_t family,
                                                const struct ip_address *group, uint32_t port);

/* With its group, if it was the last. */
void membership_remove_member(struct membership *membership, struct membership_member *member);

struct membership_source_state *membership_find_source(const struct membership_member *member,
                                                       const struct ip_address *address);
void membership_drop_source(struct membership_member *member, unsigned i);

/* False: it has as many as it may have. */
bool membership_add_source(const struct membership *membership, struct membership_member *member,
                           const struct ip_address *address, uint64_t due_ms);

#endif
