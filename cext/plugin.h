#ifndef RAICHO_PLUGIN_H
#define RAICHO_PLUGIN_H

/* Plug-ins: shared objects that bring instructions (raicho_instruction.h), and the instructions there are of
 * them.
 *
 * How
 * ===
 * An object is opened and checked first, and taken into the dataplane later, so that a configuration can be
 * refused without a trace.  It is never closed after that: entries point to its instructions.  An instruction
 * of a program holds the pointer, so workers look nothing up.
 *
 * Threads: the control thread's. */

#include <stddef.h>
#include <stdint.h>

#include "raicho_instruction.h"

struct dataplane;

/* An object that is open. */
struct plugin {
    struct plugin *next;                /* Of the dataplane. */
    int fd;                             /* Of its file.  By its number the object is known to the loader. */
    void *handle;
    const struct raicho_plugin *symbol;
};

/* Opens and checks the object of an absolute path.  Its file must be root's or the process's own user's, and nobody
 * else may write to it.  Returns null, and in 'why' what is wrong. */
struct plugin *plugin_open(const struct dataplane *dataplane, const char *path, char *why, size_t size);

/* Closes one that no dataplane has taken. */
void plugin_close(struct plugin *plugin);

/* Lets actions use its instructions; takes it.  It must have been opened for the dataplane last. */
void plugin_take(struct dataplane *dataplane, struct plugin *plugin);

/* Closes all.  No program may be left. */
void plugins_close(struct dataplane *dataplane);

/* The instruction of a subtype; null: there is none. */
const struct raicho_instruction *plugin_find(const struct dataplane *dataplane, uint16_t subtype);

#endif
