/* Trees as records of bytes: see tib_wire.h. */

#include "tib_wire.h"

#include <string.h>

#include "bytes.h"
#include "router_private.h"

enum {
    PUT = 1, REMOVE = 2,
    LOCAL = 1,                  /* Flag. */
    AT_INCOMING = 8, AT_GROUP = 12, AT_SOURCE = 28, AT_COUNTERS = 44,
};

/* --- In -------------------------------------------------------------------------------------- */

static bool
is_nobody(const struct ip_address *address)
{
    return !address->word[0] && !address->word[1];
}

/* Whether packets of a source that is no group's can be forwarded. */
static bool
is_host(uint8_t family, const struct ip_address *address)
{
    return family == IP_V4 ? address->word[1] >> 24 && address->word[1] >> 28 < 14
                           : address->word[0] >> 56 != 0xff && address->word[0] >> 54 != 0xfe80 >> 6;
}

static bool
is_interface_of(const struct router *router, uint32_t index)
{
    const struct router_interface *own = interface_own(router->dataplane, index);

    return own && own->router == router;
}

static enum route_result
put_tree(struct router *router, const uint8_t *at, uint8_t family, const struct tree_key *key, uint16_t n)
{
    union {
        struct tree_share share;
        uint8_t room[sizeof(struct tree_share) + TIB_OUTGOING * sizeof(uint32_t)];
    } how = {
        .share = { .source = at[1], .is_local = at[3] & LOCAL, .incoming = get_be32(at + AT_INCOMING), .n = n },
    };

    if (n > TIB_OUTGOING || at[3] > LOCAL || !tib_is_routed(family, &key->group)
        || (!is_nobody(&key->source) && !is_host(family, &key->source))) {
        return ROUTE_BAD;
    }
    if (how.share.incoming && !is_interface_of(router, how.share.incoming)) {
        return ROUTE_NO_INTERFACE;
    }
    for (unsigned i = 0; i < n; i++) {
        how.share.outgoing[i] = get_be32(at + TREE_RECORD + 4 * i);
        if (!is_interface_of(router, how.share.outgoing[i])) {
            return ROUTE_NO_INTERFACE;
        }
    }
    return tib_put(&router->tib, family, key, &how.share) ? ROUTE_NO_MEMORY : ROUTE_DONE;
}

static enum route_result
tree_record(struct router *router, const uint8_t *at, uint16_t n)
{
    uint8_t source = at[1], family = at[2];

    if ((family != IP_V4 && family != IP_V6) || source < ROUTE_STATIC || source == ROUTE_NEIGHBOUR
        || source == ROUTE_MEMBERSHIP) {
        return ROUTE_BAD;
    }
    const struct tree_key key = { ip_read(family, at + AT_GROUP), ip_read(family, at + AT_SOURCE) };

    return at[0] == PUT ? put_tree(router, at, family, &key, n)
         : at[0] != REMOVE ? ROUTE_BAD
         : tib_remove(&router->tib, source, &key) ? ROUTE_NOT_FOUND : ROUTE_DONE;
}

size_t
router_tree_mod(struct router *router, const uint8_t *records, size_t size, uint8_t *results, size_t max)
{
    const uint8_t *end = records + size;
    size_t done = 0;

    while (done < max && (size_t) (end - records) >= TREE_RECORD) {
        uint16_t n = get_be16(records + 4);
        size_t whole = TREE_RECORD + (size_t) n * 4;
        if ((size_t) (end - records) < whole) {
            put_be32(results + 4 * done++, ROUTE_BAD);
            break;
        }
        put_be32(results + 4 * done++, tree_record(router, records, n));
        records += whole;
    }
    return done;
}

/* --- Out ------------------------------------------------------------------------------------- */

static void
put_share(struct router *router, const struct tree_entry *entry, const struct tree_share *share,
          struct buffer *out)
{
    uint8_t *at = buffer_put(out, TREE_RECORD + 4 * (size_t) share->n);

    if (!at) {
        return;
    }
    struct counter_sum taken = counter_read(&router->dataplane->counters, entry->view->taken);
    struct counter_sum strayed = counter_read(&router->dataplane->counters, entry->view->strayed);
    at[0] = PUT;
    at[1] = share->source;
    at[2] = entry->family;
    at[3] = share->is_local ? LOCAL : 0;
    put_be16(at + 4, (uint16_t) share->n);
    put_be32(at + AT_INCOMING, share->incoming);
    ip_write(entry->family, &entry->key.group, at + AT_GROUP);
    ip_write(entry->family, &entry->key.source, at + AT_SOURCE);
    put_be64(at + AT_COUNTERS, taken.packets);
    put_be64(at + AT_COUNTERS + 8, taken.bytes);
    put_be64(at + AT_COUNTERS + 16, strayed.packets);
    for (uint32_t i = 0; i < share->n; i++) {
        put_be32(at + TREE_RECORD + 4 * i, share->outgoing[i]);
    }
}

void
router_list_trees(struct router *router, uint8_t source, uint32_t *cursor, uint32_t limit, struct buffer *out)
{
    for (uint32_t i = 0; i < limit; i++) {
        const struct tree_entry *entry = tib_next(&router->tib, cursor);

        if (!entry) {
            *cursor = 0;
            return;
        }
        for (const struct tree_share *share = entry->shares; share; share = share->next) {
            if (!source || share->source == source) {
                put_share(router, entry, share, out);
            }
        }
    }
}
