/* Learn, in the worker: asks the control thread for flow entries.  See learn.h. */

#include <string.h>

#include "hash.h"
#include "learn.h"
#include "worker.h"

/* What an entry is known by: hashes of what it matches, and of all that goes into it. */
struct identity {
    uint64_t match, all;
};

static uint64_t
hash_bits(uint64_t hash, unsigned __int128 bits)
{
    return hash_word(hash_word(hash, (uint64_t)bits), (uint64_t)(bits >> 64));
}

/* Only what is taken from the packet differs between requests of one action. */
static struct identity
identify(const uint8_t *action, size_t size, const struct flow_key *key)
{
    struct learn_specs specs = learn_specs(action, size);
    struct identity id = { (uintptr_t)action, (uintptr_t)action };
    struct learn_spec spec;

    while (learn_next(&specs, &spec)) {
        if (spec.value) {
            continue;
        }
        unsigned __int128 bits = learn_bits(&spec, key);
        if (spec.target == LEARN_MATCH) {
            id.match = hash_bits(id.match, bits);
        }
        id.all = hash_bits(id.all, bits);
    }
    return id;
}

/* Whether the same was not asked for a moment ago; an entry with the same match and other actions
 * takes its place in the memory. */
static bool
is_news(struct worker *worker, struct identity id)
{
    unsigned i = hash_finish(id.match) % LEARN_RECENT;
    bool news = worker->learnt->slots[i].hash != id.all
                || worker->now_ms - worker->learnt->slots[i].ms >= LEARN_AGAIN_MS;

    if (news) {
        worker->learnt->slots[i].hash = id.all;
        worker->learnt->slots[i].ms = worker->now_ms;
    }
    return news;
}

static void
request(struct worker *worker, struct packet *packet, const uint8_t *action, size_t size)
{
    const struct walk *walk = packet_walk(packet);
    struct learn_request *request;

    packet_refresh(packet);
    if (!is_news(worker, identify(action, size, &walk->key))) {
        return;
    }
    request = ring_reserve(&worker->learns, sizeof *request + size);
    if (!request) {
        bump(&worker->learns_lost, 1);
        return;
    }
    request->bridge = walk->bridge->index;
    request->size = (uint32_t)size;
    request->key = walk->key;
    memcpy(request->action, action, size);
    ring_commit(&worker->learns);
}

unsigned
op_learn(struct worker *worker, const struct insn *insn, struct packet **packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        request(worker, packets[i], insn_args(insn, packets[i]), insn->size);
    }
    return n;
}
