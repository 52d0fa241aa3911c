#ifndef RAICHO_SLAB_H
#define RAICHO_SLAB_H

/* Slabs: memory for very many objects of few sizes, in whole cache lines.
 *
 * How
 * ===
 * Objects of one size share spans of 64 KiB; a span that is empty again is given back.  Who has many
 * spans gets them from regions of 2 MiB, for which huge pages are asked: an object anywhere in them
 * costs no walk through the page tables.  A span begins at a multiple of its size, so an object knows
 * its span, and the span its slab.
 *
 * Cost
 * ====
 * A few stores.  A cache line for each span; nothing for each object.
 *
 * Threads: the control thread's. */

#include <stddef.h>
#include <stdint.h>

enum { SLAB_LINE = 64, SLAB_LINES = 65 };

struct slab;

/* Null without memory. */
struct slab *slab_open(void);

/* It goes when the last of its objects has gone. */
void slab_close(struct slab *slab);

/* Room for 'lines' (1 to SLAB_LINES) cache lines, not cleared; null without memory. */
void *slab_alloc(struct slab *slab, unsigned lines);
void slab_free(void *object);

static inline unsigned
slab_lines(size_t size)
{
    return (unsigned) ((size + SLAB_LINE - 1) / SLAB_LINE);
}

#endif
