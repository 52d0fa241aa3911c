/* Group-mods.
 *
 * Reference: OpenFlow Switch Specification 1.3.5, sections 6.7, 7.3.4.2. */

#include <stdlib.h>
#include <string.h>

#include "bridge_private.h"

enum { OFPGC_ADD, OFPGC_MODIFY, OFPGC_DELETE };

enum { BUCKET_ACTIONS = 16, GROUP_MOD_BUCKETS = 16, BUCKETS_MAX = 4000 };

struct group_mod {
    struct bridge *bridge;
    uint16_t command;
    uint8_t type;
    uint32_t id;
    const uint8_t *wire;
    size_t wire_size;
    uint64_t now_ms;
};

static struct buckets *
group_buckets(const struct group *group)
{
    return atomic_load_explicit(&group->buckets, memory_order_relaxed);
}

/* --- Buckets ---------------------------------------------------------------------------- */

/* Frees buckets that no worker has seen. */
static void
discard(struct bridge *bridge, struct buckets *buckets)
{
    for (uint32_t i = 0; i < buckets->n; i++) {
        program_release(&bridge->dataplane->programs, buckets->bucket[i].program);
        counter_release(&bridge->dataplane->counters, buckets->bucket[i].counter);
    }
    free(buckets->wire);
    free(buckets);
}

void
bridge_count_chains(struct bridge *bridge, const struct buckets *buckets, int by)
{
    for (uint32_t i = 0; i < buckets->n; i++) {
        bridge_count_references(bridge, buckets->bucket[i].program, buckets->bucket[i].args, by);
    }
}

/* Counts the buckets.  An error if their lengths do not fit, or if the group's description or
 * statistics (16 bytes a bucket) would not go into a multipart reply. */
static uint32_t
count_buckets(const uint8_t *wire, size_t size, uint32_t *n)
{
    *n = 0;
    for (size_t at = 0; at < size; (*n)++) {
        size_t length = size - at >= BUCKET_ACTIONS ? get_be16(wire + at) : 0;
        if (length < BUCKET_ACTIONS || length % 8 || length > size - at) {
            return OFWIRE_OFPGMFC_BAD_BUCKET;
        }
        at += length;
    }
    return *n > BUCKETS_MAX || size > PART_MAX - 8 ? OFWIRE_OFPGMFC_OUT_OF_BUCKETS : OFWIRE_OK;
}

static uint32_t
check_watch(const struct group_mod *mod, const struct bucket *bucket)
{
    bool port = bucket->watch_port != PORT_ANY, group = bucket->watch_group != GROUP_ANY;

    if ((port && (!bucket->watch_port || bucket->watch_port > PORT_MAX))
        || (group && !group_find(&mod->bridge->groups, bucket->watch_group))
        || (mod->type == GROUP_FAST_FAILOVER && !port && !group)) {
        return OFWIRE_OFPGMFC_BAD_WATCH;
    }
    return OFWIRE_OK;
}

/* Decodes the bucket at 'wire' (its length is right); takes a program and a counter. */
static uint32_t
get_bucket(const struct group_mod *mod, const uint8_t *wire, struct bucket *bucket)
{
    struct dataplane *dataplane = mod->bridge->dataplane;
    struct of_scope scope = { .bridge = mod->bridge, .table = 0xff };
    struct insn_list list = { 0 };

    *bucket = (struct bucket) {
        .args = wire, .size = get_be16(wire), .weight = get_be16(wire + 2),
        .watch_port = get_be32(wire + 4), .watch_group = get_be32(wire + 8),
    };
    uint32_t result = check_watch(mod, bucket);
    if (result == OFWIRE_OK) {
        result = ofwire_get_action_set(&scope, wire, wire + BUCKET_ACTIONS,
                                       bucket->size - BUCKET_ACTIONS, &list);
    }
    if (result == OFWIRE_OK) {
        bucket->counter = counter_new(&dataplane->counters);
        bucket->program = bucket->counter == COUNTER_NONE
                          ? NULL : program_intern(&dataplane->programs, list.insns, list.n);
        if (!bucket->program) {
            counter_release(&dataplane->counters, bucket->counter);
            result = OFWIRE_OFPGMFC_OUT_OF_BUCKETS;
        }
    }
    insn_list_close(&list);
    return result;
}

static uint32_t
fill_buckets(const struct group_mod *mod, struct buckets *buckets, uint32_t n)
{
    const uint8_t *wire = buckets->wire;

    for (; buckets->n < n; buckets->n++) {
        struct bucket *bucket = &buckets->bucket[buckets->n];
        uint32_t result = get_bucket(mod, wire, bucket);
        if (result != OFWIRE_OK) {
            return result;
        }
        wire += bucket->size;
        buckets->total_weight += bucket->weight;
    }
    return OFWIRE_OK;
}

/* --- Loops --------------------------------------------------------------------------------- */

/* A search for a way from some buckets to group 'id'.  Watching counts as a way too. */
struct search {
    struct bridge *bridge;
    uint32_t id;
    uint64_t number;
    bool found;
};

static unsigned groups_below(struct search *search, const struct buckets *buckets, unsigned depth);

/* Groups one after the other from group 'id' on, at most; more than GROUP_DEPTH if that is too
 * deep.  Each group is entered once, however many ways lead to it. */
static unsigned
group_height(struct search *search, uint32_t id, unsigned depth)
{
    struct group *group = group_find(&search->bridge->groups, id);

    search->found |= id == search->id;
    if (search->found || depth > GROUP_DEPTH) {
        return GROUP_DEPTH + 1;
    }
    if (group && group->checked != search->number) {
        group->height = 1 + groups_below(search, group_buckets(group), depth);
        group->checked = search->number;
    }
    return group ? group->height : 0;
}

static unsigned
bucket_height(struct search *search, const struct bucket *bucket, unsigned depth)
{
    unsigned most = bucket->watch_group == GROUP_ANY
                    ? 0 : group_height(search, bucket->watch_group, depth + 1);

    for (unsigned i = 0; i < bucket->program->n; i++) {
        const struct insn *insn = &bucket->program->insns[i];
        if (insn->op == OP_group) {
            unsigned height = group_height(search, get_be32(bucket->args + insn->at + 4),
                                           depth + 1);
            most = height > most ? height : most;
        }
    }
    return most;
}

static unsigned
groups_below(struct search *search, const struct buckets *buckets, unsigned depth)
{
    unsigned most = 0;

    for (uint32_t i = 0; i < buckets->n; i++) {
        unsigned height = bucket_height(search, &buckets->bucket[i], depth);
        most = height > most ? height : most;
    }
    return most;
}

/* Whether group 'id' may have these buckets: none leads back to it, nor through more groups
 * than packets are taken through. */
static uint32_t
check_chains(struct bridge *bridge, uint32_t id, const struct buckets *buckets)
{
    struct search search = { bridge, id, ++bridge->groups.n_checks, false };
    unsigned below = groups_below(&search, buckets, 1);

    if (search.found) {
        return OFWIRE_OFPGMFC_LOOP;
    }
    return below < GROUP_DEPTH ? OFWIRE_OK : OFWIRE_OFPGMFC_CHAINING_UNSUPPORTED;
}

/* --- Making ---------------------------------------------------------------------------------- */

static uint32_t
make_buckets(const struct group_mod *mod, struct buckets **made)
{
    uint32_t n, result = count_buckets(mod->wire, mod->wire_size, &n);

    if (result != OFWIRE_OK) {
        return result;
    }
    if (mod->type == GROUP_INDIRECT && n != 1) {
        return OFWIRE_OFPGMFC_INVALID_GROUP;
    }
    struct buckets *buckets = calloc(1, sizeof *buckets + n * sizeof buckets->bucket[0]);
    uint8_t *wire = malloc(mod->wire_size + 1);
    if (!buckets || !wire) {
        free(buckets);
        free(wire);
        return OFWIRE_OFPGMFC_OUT_OF_GROUPS;
    }
    memcpy(wire, mod->wire, mod->wire_size);
    buckets->type = mod->type;
    buckets->wire = wire;
    buckets->wire_size = mod->wire_size;
    result = fill_buckets(mod, buckets, n);
    if (result == OFWIRE_OK) {
        result = check_chains(mod->bridge, mod->id, buckets);
    }
    if (result != OFWIRE_OK) {
        discard(mod->bridge, buckets);
        return result;
    }
    *made = buckets;
    return OFWIRE_OK;
}

/* --- Commands ----------------------------------------------------------------------------------- */

static uint32_t
group_add(struct group_mod *mod)
{
    struct bridge *bridge = mod->bridge;
    struct buckets *buckets;

    if (group_find(&bridge->groups, mod->id)) {
        return OFWIRE_OFPGMFC_GROUP_EXISTS;
    }
    uint32_t result = make_buckets(mod, &buckets);
    if (result != OFWIRE_OK) {
        return result;
    }
    struct group *group = calloc(1, sizeof *group);
    uint32_t counter = counter_new(&bridge->dataplane->counters);
    if (!group || counter == COUNTER_NONE) {
        free(group);
        counter_release(&bridge->dataplane->counters, counter);
        discard(bridge, buckets);
        return OFWIRE_OFPGMFC_OUT_OF_GROUPS;
    }
    *group = (struct group) { .id = mod->id, .counter = counter, .created_ms = mod->now_ms };
    atomic_init(&group->buckets, buckets);
    if (!bridge_may_change(bridge)
        || group_insert(&bridge->groups, &bridge->dataplane->epoch, group)) {
        free(group);
        counter_release(&bridge->dataplane->counters, counter);
        discard(bridge, buckets);
        return OFWIRE_OFPGMFC_OUT_OF_GROUPS;
    }
    bridge_count_chains(bridge, buckets, 1);
    bridge_changed(bridge, (struct change) { CHANGE_GROUP, .after = group });
    return OFWIRE_OK;
}

static uint32_t
group_modify(struct group_mod *mod)
{
    struct bridge *bridge = mod->bridge;
    struct group *group = group_find(&bridge->groups, mod->id);
    struct buckets *buckets;

    if (!group) {
        return OFWIRE_OFPGMFC_UNKNOWN_GROUP;
    }
    uint32_t result = make_buckets(mod, &buckets);
    if (result != OFWIRE_OK) {
        return result;
    }
    if (!bridge_may_change(bridge)) {
        discard(bridge, buckets);
        return OFWIRE_OFPGMFC_OUT_OF_GROUPS;
    }
    struct buckets *old = group_buckets(group);
    bridge_count_chains(bridge, buckets, 1);
    bridge_count_chains(bridge, old, -1);
    atomic_store_explicit(&group->buckets, buckets, memory_order_release);
    bridge_changed(bridge, (struct change) { CHANGE_BUCKETS, old, buckets, group, 0 });
    return OFWIRE_OK;
}

static void
remove_user(struct bridge *bridge, struct flow *flow, void *mod_)
{
    const struct group_mod *mod = mod_;

    bridge_remove_flow(bridge, flow, REMOVED_GROUP, mod->now_ms);
}

/* Takes out the flows that name group 'id', or with GROUP_ANY any. */
static void
remove_users(struct group_mod *mod, uint32_t id)
{
    const struct flow_filter users = {
        .table = OFPTT_ALL, .out_port = PORT_ANY, .out_group = id, .in_groups = true,
    };

    bridge_filter_flows(mod->bridge, &users, remove_user, mod);
}

static void
remove_group(struct bridge *bridge, struct group *group)
{
    if (!bridge_may_change(bridge)) {
        return;
    }
    group_remove(&bridge->groups, group);
    bridge_count_chains(bridge, group_buckets(group), -1);
    bridge_changed(bridge, (struct change) { CHANGE_GROUP, .before = group });
}

static void
remove_any(void *group, void *bridge)
{
    remove_group(bridge, group);
}

struct chaining {
    uint32_t id;
    bool found;
};

static void
find_chain(void *group_, void *chaining_)
{
    const struct group *group = group_;
    struct chaining *chaining = chaining_;
    const struct buckets *buckets = group_buckets(group);

    for (uint32_t i = 0; i < buckets->n && group->id != chaining->id; i++) {
        chaining->found |= program_uses_group(buckets->bucket[i].program, buckets->bucket[i].args,
                                              chaining->id);
    }
}

static uint32_t
group_delete(struct group_mod *mod)
{
    struct bridge *bridge = mod->bridge;
    struct group *group = group_find(&bridge->groups, mod->id);
    struct chaining chaining = { mod->id, false };

    if (mod->id == GROUP_ALL_GROUPS) {
        remove_users(mod, GROUP_ANY);
        idmap_each(&bridge->groups.map, remove_any, bridge);
        return OFWIRE_OK;
    }
    if (group && group->refs) {
        idmap_each(&bridge->groups.map, find_chain, &chaining);
    }
    if (chaining.found) {
        return OFWIRE_OFPGMFC_CHAINED_GROUP;
    }
    if (group && group->refs) {
        remove_users(mod, group->id);
    }
    if (group) {
        remove_group(bridge, group);
    }
    return OFWIRE_OK;
}

/* struct ofp_group_mod: command at 8, type 10, group_id 12, buckets 16. */
uint32_t
bridge_group_mod(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    static uint32_t (*const commands[])(struct group_mod *) = {
        [OFPGC_ADD] = group_add, [OFPGC_MODIFY] = group_modify, [OFPGC_DELETE] = group_delete,
    };

    if (size < GROUP_MOD_BUCKETS) {
        return OFWIRE_OFPBRC_BAD_LEN;
    }
    struct group_mod mod = {
        .bridge = bridge, .command = get_be16(message + 8), .type = message[10],
        .id = get_be32(message + 12), .wire = message + GROUP_MOD_BUCKETS,
        .wire_size = size - GROUP_MOD_BUCKETS, .now_ms = now_ms,
    };
    if (mod.command > OFPGC_DELETE) {
        return OFWIRE_OFPGMFC_BAD_COMMAND;
    }
    if (mod.command != OFPGC_DELETE && mod.type > GROUP_FAST_FAILOVER) {
        return OFWIRE_OFPGMFC_BAD_TYPE;
    }
    if (mod.id > GROUP_MAX && !(mod.command == OFPGC_DELETE && mod.id == GROUP_ALL_GROUPS)) {
        return OFWIRE_OFPGMFC_INVALID_GROUP;
    }
    return commands[mod.command](&mod);
}
