#ifndef RAICHO_INSTRUCTION_H
#define RAICHO_INSTRUCTION_H

/* Instructions of a plug-in: what a shared object has that brings some to raicho's dataplane.
 *
 * What
 * ====
 * An instruction is done to vectors of packets by the workers, wherever an OpenFlow action of experimenter
 * 0x00524348 with its subtype stands: in flow entries, in the buckets of groups, in templates.  The object
 * defines one symbol:
 *
 *     const struct raicho_plugin raicho_plugin = { RAICHO_PLUGIN_ABI, 1, instructions };
 *
 * It needs this file and nothing else of raicho's.  Members are only ever added behind those that are there,
 * under another number of the ABI; a dataplane of another number refuses the object.
 *
 * Threads
 * =======
 * Every worker calls 'run', at the same time: what packets share needs atomics or memory of each thread.
 * 'check' is called by the control thread alone.  The object stays loaded as long as the process lives. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RAICHO_PLUGIN_ABI = 1,
    RAICHO_VECTOR = 256,                /* Packets in a call at most. */
    RAICHO_SUBTYPES = 0x8000,           /* The first subtype that a plug-in may have; 0xffff is the last. */
    RAICHO_ARGS_MAX = 1014,
    RAICHO_NO_OFFSET = 0xffff,
};

/* What becomes of a packet. */
enum raicho_verdict {
    RAICHO_GO_ON,                       /* To what is behind the instruction. */
    RAICHO_DROP,                        /* Counted as `plugin`. */
};

/* A packet, filled in before the call.  What the instruction may write says so. */
struct raicho_packet {
    uint8_t *data;                      /* The frame, its Ethernet header first.  Its bytes may be written, */
    bool written;                       /* which this then has to say.  Checksums are the writer's affair. */
    uint8_t verdict;                    /* enum raicho_verdict; 0 before.  To be written. */
    uint16_t l3, l4;                    /* Where the headers of these layers begin; RAICHO_NO_OFFSET. */
    uint32_t len;                       /* Bytes of frame. */
    uint32_t in_port;                   /* OpenFlow number of the port it came by. */
    uint64_t metadata;                  /* OpenFlow's.  May be written. */
    const uint8_t *args;                /* 'args_size' bytes of the action, as they were sent. */
};

/* An instruction, constant while the object is loaded. */
struct raicho_instruction {
    const char *name;                   /* For people; 1 to 31 bytes. */
    uint16_t subtype;                   /* RAICHO_SUBTYPES or more, nobody else's. */
    uint16_t args_size;                 /* RAICHO_ARGS_MAX at most. */

    /* Whether an action may have these arguments; null: all may.  Refused ones are BAD_ARGUMENT. */
    bool (*check)(const uint8_t *args);

    /* Does it to 1 to RAICHO_VECTOR packets. */
    void (*run)(struct raicho_packet *packets, unsigned n);
};

struct raicho_plugin {
    uint32_t abi;                       /* RAICHO_PLUGIN_ABI */
    uint32_t n;
    const struct raicho_instruction *instructions;
};

#endif
