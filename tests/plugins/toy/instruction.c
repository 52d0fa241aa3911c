/* An instruction of the toy protocol: counts the switches that a frame has come through in its first byte, and
 * drops those that go round in circles.  Its argument is how much one switch counts. */

#include "raicho_instruction.h"

#ifndef ABI
#define ABI RAICHO_PLUGIN_ABI
#endif
#ifndef SUBTYPE
#define SUBTYPE 0x8079
#endif
#ifndef SYMBOL
#define SYMBOL raicho_plugin
#endif

enum { COUNT_AT = 14, MOST = 15 };

static bool
counts(const uint8_t *args)
{
    return args[0] != 0;
}

static void
count(struct raicho_packet *packets, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        struct raicho_packet *p = &packets[i];
        unsigned passed = p->len > COUNT_AT ? p->data[COUNT_AT] + p->args[0] : MOST + 1;

        if (passed > MOST) {
            p->verdict = RAICHO_DROP;
        } else {
            p->data[COUNT_AT] = (uint8_t) passed;
            p->written = true;
        }
    }
}

static const struct raicho_instruction instructions[] = {
    { "toy_count", SUBTYPE, 1, counts, count },
};

const struct raicho_plugin SYMBOL = { ABI, 1, instructions };
