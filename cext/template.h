#ifndef RAICHO_TEMPLATE_H
#define RAICHO_TEMPLATE_H

/* Templates: instructions that many entries share, with parameters that differ.
 *
 * What
 * ====
 * A template is a list of OpenFlow instructions, some items of which are parameters.  An item is an
 * action in apply-actions, or any other instruction; write-actions are one item as a whole, because a
 * packet remembers them by one address.  An entry that refers to a template keeps only the bytes of
 * its own items, one after the other.  In the template an example stands in their place: it says
 * of what kind the item is, and how long.
 *
 * How
 * ===
 * The program of an entry is the template's own, of one instruction, so all entries of a template
 * are one run of packets.  That instruction reads which version of the template there is now, once for
 * a vector, and runs its program.  There, 'point' instructions let 'packet->args' point to the version's
 * bytes or to the entry's, whichever those behind them are from.  Nothing is copied or converted.
 *
 * To change a template is to store the pointer to another version.  The result cache remembers the
 * program of the version that a packet met, until the bridge's next generation.
 *
 * Cost
 * ====
 * A packet: an indirect call for a vector, and a store wherever the instructions go over from the
 * template's to the entry's or back.  An entry: as many bytes as its arguments.  A change:
 * every entry of the bridge is looked at, those of the template are checked.
 *
 * Threads
 * =======
 * The control thread makes, changes and retires; workers read versions through one atomic pointer.
 * A packet that meets an entry sees the version before a change or the one after it; what it has
 * remembered of a version lives until the worker has finished its round (epoch.h). */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "program.h"

enum {
    TEMPLATE_NAME = 32,         /* Bytes of a name, the NUL included. */
    TEMPLATE_ITEMS = 64,        /* Only so many can be parameters. */
    TEMPLATE_SIZE = 32768,      /* Bytes of instructions. */
};

/* Where an argument belongs. */
struct hole {
    uint16_t at, size;          /* The example in the template's bytes. */
    uint16_t from;              /* The argument in the entry's. */
};

/* What a template is until it is changed. */
struct template_version {
    char name[TEMPLATE_NAME];
    uint64_t parameters;        /* A bit for each item, the first one 1 << 0. */
    const struct program *shape;        /* As an entry without a template would have it. */
    const struct program *program;      /* What runs. */
    bool own_end;               /* Its last instruction has its bytes in the entry. */
    uint8_t n_holes;
    uint16_t size;              /* Of the instructions, */
    uint16_t args_size;         /* and of an entry's arguments. */
    uint8_t *expanded;          /* The instructions with the arguments looked at last.  Control thread's. */
    struct hole holes[TEMPLATE_ITEMS];
    uint8_t bytes[];            /* The instructions with examples; 'expanded' is behind them. */
};

struct template {
    uint32_t id;                        /* First, for idmap.h. */
    uint32_t n_flows;                   /* Entries that refer to it. */
    const struct program *program;      /* Theirs, */
    const struct program *start;        /* and that of ports whose packets start in it. */
    _Atomic(struct template_version *) version;
};

/* What a template is to become. */
struct template_plan {
    const char *name;           /* At most TEMPLATE_NAME bytes. */
    uint64_t parameters;
    const uint8_t *bytes;
    uint16_t size;
    const struct insn *insns;   /* Of 'bytes', decoded; a write-actions' sub is the caller's. */
    unsigned n;
    const struct hole *holes;   /* In ascending order. */
    unsigned n_holes;
};

/* Returns a version, or null without memory. */
struct template_version *template_version_new(struct program_store *store,
                                              const struct template_plan *plan);

/* Not before the readers have passed, if it was a template's. */
void template_version_free(struct program_store *store, struct template_version *version);

/* Whether packets can meet it without an entry's arguments. */
static inline bool
template_is_whole(const struct template_version *version)
{
    return !version->n_holes;
}

/* Returns a template without entries whose version is 'version', or null without memory. */
struct template *template_new(struct program_store *store, uint32_t id,
                              struct template_version *version);

/* Frees it with its version.  Not before the readers have passed and its entries are gone. */
void template_free(struct program_store *store, struct template *template);

/* The control thread's look at the version. */
static inline struct template_version *
template_version(const struct template *template)
{
    return atomic_load_explicit(&template->version, memory_order_relaxed);
}

/* Returns the 'size' bytes of instructions that 'args' make of a version; until the next call for that
 * version. */
const uint8_t *template_expand(struct template_version *version, const uint8_t *args);

#endif
