#ifndef RAICHO_PROGRAM_H
#define RAICHO_PROGRAM_H

/* Programs: what happens to a packet, as a list of instructions.
 *
 * What
 * ====
 * A program is a shape: which instructions, in which order, and where in the
 * arguments each finds its own.  The arguments belong to the entry (flow,
 * bucket, port) that uses the program, and lie in 'packet->args' while it
 * runs.  All entries of one shape share one program, so a vector of packets
 * that meet many entries is still one loop per instruction.
 *
 * Arguments of OpenFlow instructions are the bytes of the OpenFlow message
 * itself, in network order: nothing is converted when an entry is added, and
 * statistics give back what was sent.
 *
 * To add an instruction, write a function in an op_*.c file and a row in OPS.
 *
 * Cost
 * ====
 * One indirect call per instruction and vector.
 *
 * Threads
 * =======
 * Programs are made and dropped by the control thread and do not change.
 * Workers run them. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "packet.h"

struct worker;
struct insn;
struct raicho_instruction;
struct template;

/* The action set runs in this order (OpenFlow 1.3.5, section 5.10). */
enum set_order {
    SET_COPY_TTL_IN, SET_POP, SET_PUSH_MPLS, SET_PUSH_PBB, SET_PUSH_VLAN, SET_COPY_TTL_OUT,
    SET_DEC_TTL, SET_SET,
    SET_LIST,                   /* Any number of them, in the order in which they were sent. */
    SET_QUEUE,
    SET_GROUP, SET_OUTPUT, SET_RESUBMIT, SET_ROUTE,     /* Only the first of these that is there. */
    SET_NEVER,                  /* Not an action: cannot be in an action set. */
};

/* Whether the key that a packet came with says what its key is behind an instruction: not if that
 * uncovers bytes which were not in the key, or depends on more than the packet. */
enum sight {
    KNOWN,
    BY_FIELD,                   /* Not if the field decides what the bytes behind it mean. */
    OPAQUE,
};

/* The instructions: X(name, OpenFlow action or instruction type, order, sight).
 * 'op_<name>' is the function.  First the actions of OpenFlow, in the order in which
 * an action set has those of one kind (pops undo pushes from outside in), then its
 * instructions, then ours. */
#define OPS(X)                                                              \
    X(output,         0, SET_OUTPUT,       KNOWN)                           \
    X(copy_ttl_out,  11, SET_COPY_TTL_OUT, OPAQUE)                          \
    X(copy_ttl_in,   12, SET_COPY_TTL_IN,  OPAQUE)                          \
    X(set_mpls_ttl,  15, SET_SET,          KNOWN)                           \
    X(dec_mpls_ttl,  16, SET_DEC_TTL,      KNOWN)                           \
    X(push_vlan,     17, SET_PUSH_VLAN,    KNOWN)                           \
    X(pop_vlan,      18, SET_POP,          OPAQUE)                          \
    X(push_mpls,     19, SET_PUSH_MPLS,    OPAQUE)                          \
    X(pop_pbb,       27, SET_POP,          OPAQUE)                          \
    X(pop_mpls,      20, SET_POP,          OPAQUE)                          \
    X(set_queue,     21, SET_QUEUE,        KNOWN)                           \
    X(group,         22, SET_GROUP,        OPAQUE)                          \
    X(set_nw_ttl,    23, SET_SET,          KNOWN)                           \
    X(dec_nw_ttl,    24, SET_DEC_TTL,      KNOWN)                           \
    X(set_field,     25, SET_SET,          BY_FIELD)                        \
    X(push_pbb,      26, SET_PUSH_PBB,     OPAQUE)                          \
    X(goto_table,     1, SET_NEVER,        KNOWN)                           \
    X(write_metadata, 2, SET_NEVER,        KNOWN)                           \
    X(write_actions,  3, SET_NEVER,        KNOWN)                           \
    X(clear_actions,  5, SET_NEVER,        KNOWN)                           \
    X(meter,          6, SET_NEVER,        OPAQUE)                          \
    X(reg_load,       7, SET_LIST,         BY_FIELD)  /* Nicira's actions, by their subtypes. */ \
    X(reg_load2,     33, SET_LIST,         BY_FIELD)                        \
    X(reg_move,       6, SET_LIST,         BY_FIELD)                        \
    X(stack_push,    27, SET_NEVER,        OPAQUE)                          \
    X(stack_pop,     28, SET_NEVER,        OPAQUE)                          \
    X(output_reg,    15, SET_NEVER,        KNOWN)                           \
    X(controller,    20, SET_NEVER,        KNOWN)                           \
    X(pop_queue,      5, SET_NEVER,        KNOWN)                           \
    X(note,           8, SET_NEVER,        KNOWN)                           \
    X(resubmit,      14, SET_RESUBMIT,     OPAQUE)                          \
    X(learn,         16, SET_NEVER,        KNOWN)                           \
    X(nat,            1, SET_NEVER,        OPAQUE)  /* raicho's, by their subtypes. */ \
    X(route_as,       2, SET_ROUTE,        KNOWN)                           \
    X(native,         0, SET_LIST,         OPAQUE)  /* A plug-in's (plugin.h). */ \
    X(action_set,     0, SET_NEVER,        KNOWN)  /* Runs the action set; ends the program. */ \
    X(done,           0, SET_NEVER,        KNOWN)  /* Nothing more to do: ends the program. */ \
    X(tables,         0, SET_NEVER,        OPAQUE)  /* Sends the packets into their bridge's tables. */ \
    X(bridge,         0, SET_NEVER,        OPAQUE)  /* Forwards as a learning bridge (op_normal.c). */ \
    X(template,       0, SET_NEVER,        OPAQUE)  /* Runs a template (template.h). */ \
    X(point,          0, SET_NEVER,        KNOWN)  /* What follows has its arguments elsewhere. */ \
    X(route,          0, SET_NEVER,        OPAQUE)  /* Routes by the interface they came by (router.h). */ \
    X(start,          0, SET_NEVER,        OPAQUE)  /* Begins with a template, without an entry. */ \
    X(closed,         0, SET_NEVER,        KNOWN)   /* Drops: the program is not there. */

enum op {
#define X(NAME, ...) OP_##NAME,
    OPS(X)
#undef X
    N_OPS
};

/* Does one instruction to 'n' (<= PACKET_VECTOR) packets.  Packets that it
 * keeps (sends, drops) it takes out of the vector, closing the gaps in order.
 * Returns how many are left. */
typedef unsigned op_run(struct worker *, const struct insn *, struct packet **, unsigned n);

struct op_info {
    char name[16];
    uint16_t type;              /* OpenFlow action type, or instruction type. */
    uint8_t order;              /* enum set_order. */
    uint8_t sight;              /* enum sight. */
    op_run *run;
};

extern const struct op_info op_table[N_OPS];

enum {
    INSN_LAST = 1,              /* Only action_set or done follows: the packet itself may go. */
};

struct insn {
    uint8_t op;                 /* enum op */
    uint8_t flags;              /* INSN_* */
    uint8_t field;              /* set_field: enum field */
    uint8_t order;              /* write_actions: place of the action as it was sent. */
    uint8_t source;             /* reg_move: enum field. */
    uint16_t at;                /* Where in the arguments the action or instruction begins. */
    uint16_t size;              /* Its size there, header included; 0 for ours. */
    union {
        const struct program *sub;  /* write_actions: the actions, in the order of the action set. */
        struct template *template;  /* template, start: whose. */
        const struct raicho_instruction *native;    /* native: what is done. */
        const uint8_t *bytes;       /* point: the arguments; null: the entry's. */
    };
};

struct program {
    struct program *next;       /* In the store. */
    uint32_t refs;              /* Entries and programs that use it. */
    uint32_t hash;
    uint16_t n;                 /* Instructions, the ending one included. */
    bool opaque;                /* Behind it, more than the key counts: see enum sight. */
    bool goes_on;               /* It ends with a goto_table; */
    bool passes;                /* and does nothing else. */
    struct insn insns[];
};

/* Every program there is, each shape once.  Control thread only. */
struct program_store {
    struct program **buckets;
    uint32_t n_buckets, n_programs;
};

int program_store_open(struct program_store *store);
void program_store_close(struct program_store *store);

/* Returns the program with these instructions, with one more reference, or
 * null without memory.  Takes over the caller's references to the subs, unless it
 * returns null.  Sets INSN_LAST.  'insns' ends with an ending instruction
 * (action_set, done, goto_table, or one of ours that takes all packets). */
const struct program *program_intern(struct program_store *store, const struct insn *insns,
                                     unsigned n);

/* Whether it is the program with these instructions. */
bool program_is(const struct program *program, const struct insn *insns, unsigned n);

/* Returns it with one more reference. */
const struct program *program_refer(const struct program *program);

/* Drops a reference.  Only after the readers have passed. */
void program_release(struct program_store *store, const struct program *program);

/* Runs 'program' on 'n' packets whose 'args' are set.  Returns how many are
 * left in 'packets': those that a goto_table sends on to walk->table. */
unsigned program_run(struct worker *worker, const struct program *program,
                     struct packet **packets, unsigned n);

/* The same without the goto_table at its end, if it has one: for packets whose table is known. */
unsigned program_run_here(struct worker *worker, const struct program *program,
                          struct packet **packets, unsigned n);

/* The template whose program it is; null: it is none of a template's. */
static inline struct template *
program_template(const struct program *program)
{
    return program->insns[0].op == OP_template ? program->insns[0].template : NULL;
}

/* --- For the functions in op_*.c ------------------------------------------- */

/* The bytes of the action on this packet. */
static inline const uint8_t *
insn_args(const struct insn *insn, const struct packet *packet)
{
    return packet->args + insn->at;
}

#define X(NAME, ...) op_run op_##NAME;
OPS(X)
#undef X

#endif
