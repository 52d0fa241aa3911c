#ifndef RAICHO_LEARN_H
#define RAICHO_LEARN_H

/* Learn: Nicira's action that makes flow entries out of packets.
 *
 * What
 * ====
 * An action (struct nx_action_learn) has parameters of the entry to be made and a list of
 * specifications, each of which takes bits of the packet, or given ones, into the match of the new
 * entry, into a load action or to an output action.
 *
 * How
 * ===
 * Workers do not write tables: they send the packet's key and the action through 'worker->learns',
 * and the control thread makes the flow-mod.  A worker remembers what it sent last: the same
 * entry is not asked for again within LEARN_AGAIN_MS, so packets of one conversation do not flood
 * the ring.  What finds no room there is counted and comes again with a later packet.
 *
 * Threads
 * =======
 * learn_request(): the worker's.  The rest: anyone's.
 *
 * Reference: ovs-actions(7), "learn" */

#include "bridge.h"
#include "subfield.h"

enum {
    LEARN_AGAIN_MS = 500,
    LEARN_RECENT = 1024,        /* Requests that a worker remembers. */
    LEARN_BYTES = 1 << 20,      /* Of requests that wait. */
};

enum learn_target { LEARN_MATCH, LEARN_LOAD, LEARN_OUTPUT };

/* One specification. */
struct learn_spec {
    enum learn_target target;
    const uint8_t *value;       /* The given bits, big-endian in whole 16-bit words; null: 'from'. */
    struct subfield from;       /* Bits of the packet. */
    struct subfield to;         /* Of the match or the load; the width of an output is that of 'from'. */
};

/* The specifications of an action, one after the other. */
struct learn_specs {
    const uint8_t *at, *end;
    uint32_t error;             /* OFWIRE_OK, or what is wrong with the one it stopped at. */
};

struct learn_specs learn_specs(const uint8_t *action, size_t size);

/* Returns false behind the last one, and at one that makes no sense. */
bool learn_next(struct learn_specs *specs, struct learn_spec *spec);

/* The bits that a specification takes. */
unsigned __int128 learn_bits(const struct learn_spec *spec, const struct flow_key *key);

/* What a worker sent not long ago. */
struct learn_recent {
    struct {
        uint64_t hash;
        uint64_t ms;
    } slots[LEARN_RECENT];
};

/* A request in 'worker->learns': then the action, as sent. */
struct learn_request {
    uint32_t bridge;            /* Its index. */
    uint32_t size;              /* Bytes of action. */
    struct flow_key key;
    uint8_t action[];
};

/* Control: makes the entry that a request asks for.  Returns what bridge_apply() does. */
uint32_t learn_apply(struct bridge *bridge, const struct learn_request *request, uint64_t now_ms);

#endif
