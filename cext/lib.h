#ifndef RAICHO_LIB_H
#define RAICHO_LIB_H

/* LIB: which adjacency a packet is sent to, by the label on top of its stack.
 *
 * What
 * ====
 * A value for each of the 2^20 labels: the id of an adjacency; 0: nobody has told what becomes of it.
 *
 * How
 * ===
 * Pages of 1 024 labels, made when the first of them gets a value, and kept.
 *
 * Cost
 * ====
 * A lookup reads two lines.  8 kB, and 4 kB for each page.
 *
 * Threads
 * =======
 * One writer.  Readers see of a change all or nothing.
 *
 * Reference: RFC 3031, section 3.10 (incoming label map) */

#include <stdatomic.h>
#include <stdint.h>

enum {
    LABEL_MAX = (1 << 20) - 1,
    LABEL_FREE = 16,            /* Those below are special-purpose labels (RFC 7274). */
    LIB_PAGE = 1024,            /* Labels. */
    LIB_PAGES = (LABEL_MAX + 1) / LIB_PAGE,
};

struct lib_page {
    _Atomic uint32_t at[LIB_PAGE];
};

/* All 0 is an empty one. */
struct lib {
    _Atomic(struct lib_page *) pages[LIB_PAGES];
    uint32_t n;                 /* Labels with a value. */
};

/* No readers left. */
void lib_close(struct lib *lib);

/* Gives a label, at most LABEL_MAX, a value, whether it had one or not; 0 takes it away.  Returns 0 or
 * ENOMEM; a label that has a value always gets its new one. */
int lib_put(struct lib *lib, uint32_t label, uint32_t value);

/* Reader or writer. */
static inline uint32_t
lib_lookup(const struct lib *lib, uint32_t label)
{
    const struct lib_page *page = atomic_load_explicit(&lib->pages[label / LIB_PAGE],
                                                       memory_order_acquire);

    return page ? atomic_load_explicit(&page->at[label % LIB_PAGE], memory_order_acquire) : 0;
}

#endif
