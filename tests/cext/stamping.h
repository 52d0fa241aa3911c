#ifndef TEST_STAMPING_H
#define TEST_STAMPING_H

/* A plug-in with two instructions, as actions: STAMP writes its three bytes behind the Ethernet header, HALVE drops
 * every second packet and counts the others in the metadata. */

#include <stdlib.h>
#include <string.h>

#include "headers.h"
#include "plugin.h"

enum { STAMP_SUBTYPE = 0x8001, HALVE_SUBTYPE, STAMP_ARGS = 3 };

#define STAMP   "ffff0010 00524348 80010a0b 0c000000"
#define STAMP_0 "ffff0010 00524348 80010000 0c000000"       /* Refused: may_stamp(). */
#define HALVE   "ffff0010 00524348 80020000 00000000"

static inline bool
may_stamp(const uint8_t *args)
{
    return args[0] != 0;
}

static inline void
stamp(struct raicho_packet *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (packets[i].len >= ETH_SIZE + STAMP_ARGS) {
            memcpy(packets[i].data + ETH_SIZE, packets[i].args, STAMP_ARGS);
            packets[i].written = true;
        }
    }
}

static inline void
halve(struct raicho_packet *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        packets[i].verdict = i % 2 ? RAICHO_DROP : RAICHO_GO_ON;
        packets[i].metadata = packets[i].metadata << 8 | packets[i].in_port;
    }
}

static const struct raicho_instruction stamping_instructions[] = {
    { "stamp", STAMP_SUBTYPE, STAMP_ARGS, may_stamp, stamp },
    { "halve", HALVE_SUBTYPE, 0, NULL, halve },
};

static const struct raicho_plugin stamping_plugin = { RAICHO_PLUGIN_ABI, 2, stamping_instructions };

/* Lets a dataplane have it, as if it were loaded; it goes with plugins_close(). */
static inline void
stamping_take(struct dataplane *dataplane)
{
    struct plugin *plugin = calloc(1, sizeof *plugin);

    if (!plugin) {
        abort();
    }
    *plugin = (struct plugin) { .fd = -1, .symbol = &stamping_plugin };
    plugin_take(dataplane, plugin);
}

#endif
