/* Groups, their members and the members' sources: see membership.h. */

#include "membership_private.h"

#include <stdlib.h>

#include "hash.h"

/* --- Groups and members ------------------------------------------------------------------------- */

static unsigned
chain_of(uint8_t family, const struct ip_address *group)
{
    uint64_t hash = hash_word(hash_word(family, group->word[0]), group->word[1]);

    return hash_finish(hash) % MEMBERSHIP_CHAINS;
}

const struct membership_group *
membership_find(const struct membership *membership, uint8_t family, const struct ip_address *group)
{
    const struct membership_group *at = membership->chains[chain_of(family, group)];

    while (at && (at->family != family || !ip_equal(&at->address, group))) {
        at = at->next;
    }
    return at;
}

struct membership_member *
membership_find_member(const struct membership_group *group, uint32_t port)
{
    struct membership_member *member = group ? group->members : NULL;

    while (member && member->port != port) {
        member = member->next;
    }
    return member;
}

static struct membership_group *
make_group(struct membership *membership, uint8_t family, const struct ip_address *address)
{
    struct membership_group **chain = &membership->chains[chain_of(family, address)];
    struct membership_group *group = malloc(sizeof *group);

    if (group) {
        *group = (struct membership_group) {
            .next = *chain, .address = *address, .family = family,
        };
        *chain = group;
    }
    return group;
}

static void
drop_group(struct membership *membership, struct membership_group *group)
{
    struct membership_group **at = &membership->chains[chain_of(group->family, &group->address)];

    while (*at != group) {
        at = &(*at)->next;
    }
    *at = group->next;
    free(group);
}

/* A new member includes nothing yet. */
struct membership_member *
membership_get_member(struct membership *membership, uint8_t family,
                      const struct ip_address *address, uint32_t port)
{
    struct membership_group *group = (void *)membership_find(membership, family, address);
    struct membership_member *member = membership_find_member(group, port);

    if (member) {
        return member;
    }
    member = membership->n_members < membership->config.max_members ? malloc(sizeof *member) : NULL;
    group = member && !group ? make_group(membership, family, address) : group;
    if (!member || !group) {
        membership->counters.refused++;
        free(member);
        return NULL;
    }
    *member = (struct membership_member) { .next = group->members, .group = group, .port = port };
    group->members = member;
    membership->n_members++;
    return member;
}

void
membership_remove_member(struct membership *membership, struct membership_member *member)
{
    struct membership_group *group = member->group;
    struct membership_member **at = &group->members;

    while (*at != member) {
        at = &(*at)->next;
    }
    *at = member->next;
    timer_stop(&membership->wheel, &member->timer);
    membership->n_members--;
    free(member->sources);
    free(member);
    if (!group->members) {
        drop_group(membership, group);
    }
}

/* --- Sources -------------------------------------------------------------------------------------- */

struct membership_source_state *
membership_find_source(const struct membership_member *member, const struct ip_address *address)
{
    for (unsigned i = 0; i < member->n_sources; i++) {
        if (ip_equal(&member->sources[i].address, address)) {
            return &member->sources[i];
        }
    }
    return NULL;
}

void
membership_drop_source(struct membership_member *member, unsigned i)
{
    member->sources[i] = member->sources[--member->n_sources];
}

bool
membership_add_source(const struct membership *membership, struct membership_member *member,
                      const struct ip_address *address, uint64_t due_ms)
{
    if (!member->sources) {
        member->sources = calloc(membership->config.max_sources, sizeof *member->sources);
    }
    if (!member->sources || member->n_sources == membership->config.max_sources) {
        return false;
    }
    member->sources[member->n_sources++] = (struct membership_source_state) { *address, due_ms, 0 };
    return true;
}

/* --- Visits --------------------------------------------------------------------------------------- */

void
membership_each(const struct membership *membership,
                void (*visit)(const struct membership_group *group, void *context), void *context)
{
    for (unsigned i = 0; i < MEMBERSHIP_CHAINS; i++) {
        for (const struct membership_group *at = membership->chains[i]; at; at = at->next) {
            visit(at, context);
        }
    }
}
