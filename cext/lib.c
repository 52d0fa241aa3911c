/* The label table.  See lib.h. */

#include "lib.h"

#include <errno.h>
#include <stdlib.h>

void
lib_close(struct lib *lib)
{
    for (unsigned i = 0; i < LIB_PAGES; i++) {
        free(atomic_load_explicit(&lib->pages[i], memory_order_relaxed));
    }
}

int
lib_put(struct lib *lib, uint32_t label, uint32_t value)
{
    _Atomic(struct lib_page *) *slot = &lib->pages[label / LIB_PAGE];
    struct lib_page *page = atomic_load_explicit(slot, memory_order_relaxed);

    if (!page && value) {
        page = calloc(1, sizeof *page);
        if (!page) {
            return ENOMEM;
        }
        atomic_store_explicit(slot, page, memory_order_release);
    }
    if (page) {
        lib->n += !!value - !!lib_lookup(lib, label);
        atomic_store_explicit(&page->at[label % LIB_PAGE], value, memory_order_release);
    }
    return 0;
}
