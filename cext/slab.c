/* Slabs: see slab.h. */

#include "slab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    SPAN = 1 << 16,
    REGION = 1 << 21,
    REGION_SPANS = REGION / SPAN,
    MANY = 8,                       /* Spans from which on regions pay. */
};

struct region {
    struct region *next, **link;    /* Among those with a span to spare; 'link' null: it has none. */
    uint8_t *base;
    uint32_t spare;                 /* A bit for each span. */
};

struct span {
    _Alignas(SLAB_LINE) struct slab *slab;
    struct span *next, **link;      /* Among those of its size with room; 'link' null: it is full. */
    struct region *region;          /* Null: it is on its own. */
    void *free;                     /* Objects that came back; each points at the next. */
    uint32_t n_used;
    uint32_t n_touched;             /* Objects from the start on that were ever used. */
    uint32_t lines;                 /* Of an object. */
};

struct slab {
    struct span *room[SLAB_LINES + 1];
    struct region *regions;
    size_t n_spans;
    bool closed;
};

#ifdef __SANITIZE_ADDRESS__

/* So that each object has its own red zones, and rests in quarantine when it is freed. */
struct slab *
slab_open(void)
{
    return calloc(1, sizeof(struct slab));
}

void
slab_close(struct slab *slab)
{
    free(slab);
}

void *
slab_alloc(struct slab *slab, unsigned lines)
{
    (void) slab;
    return aligned_alloc(SLAB_LINE, (size_t) lines * SLAB_LINE);
}

void
slab_free(void *object)
{
    free(object);
}

#else

#define LINK(HEAD, ITEM)                        \
    do {                                        \
        (ITEM)->next = *(HEAD);                 \
        (ITEM)->link = (HEAD);                  \
        if ((ITEM)->next) {                     \
            (ITEM)->next->link = &(ITEM)->next; \
        }                                       \
        *(HEAD) = (ITEM);                       \
    } while (0)

#define UNLINK(ITEM)                            \
    do {                                        \
        *(ITEM)->link = (ITEM)->next;           \
        if ((ITEM)->next) {                     \
            (ITEM)->next->link = (ITEM)->link;  \
        }                                       \
        (ITEM)->link = NULL;                    \
    } while (0)

/* --- Regions --------------------------------------------------------------------------------- */

static struct region *
region_new(struct slab *slab)
{
    struct region *region = calloc(1, sizeof *region);
    uint8_t *base = aligned_alloc(REGION, REGION);

    if (!region || !base) {
        free(region);
        free(base);
        return NULL;
    }
    madvise(base, REGION, MADV_HUGEPAGE);       /* A wish; it works without. */
    region->base = base;
    region->spare = UINT32_MAX >> (32 - REGION_SPANS);
    LINK(&slab->regions, region);
    return region;
}

static struct span *
take_from_region(struct slab *slab)
{
    struct region *region = slab->regions ? slab->regions : region_new(slab);

    if (!region) {
        return NULL;
    }
    struct span *span = (struct span *) (region->base + (size_t) SPAN * __builtin_ctz(region->spare));
    region->spare &= region->spare - 1;
    if (!region->spare) {
        UNLINK(region);
    }
    span->region = region;
    return span;
}

static void
give_to_region(struct slab *slab, struct region *region, const struct span *span)
{
    region->spare |= UINT32_C(1) << ((size_t) ((const uint8_t *) span - region->base) / SPAN);
    if (!region->link) {
        LINK(&slab->regions, region);
    }
    if (region->spare == UINT32_MAX >> (32 - REGION_SPANS)) {
        UNLINK(region);
        free(region->base);
        free(region);
    }
}

/* --- Spans ------------------------------------------------------------------------------------ */

static struct span *
span_new(struct slab *slab, unsigned lines)
{
    struct span *span = slab->n_spans >= MANY ? take_from_region(slab) : aligned_alloc(SPAN, SPAN);

    if (!span) {
        return NULL;
    }
    *span = (struct span) {
        .slab = slab, .lines = lines,
        .region = slab->n_spans >= MANY ? span->region : NULL,
    };
    slab->n_spans++;
    LINK(&slab->room[lines], span);
    return span;
}

static void
span_free(struct span *span)
{
    struct slab *slab = span->slab;

    UNLINK(span);
    slab->n_spans--;
    if (span->region) {
        give_to_region(slab, span->region, span);
    } else {
        free(span);
    }
    if (slab->closed && !slab->n_spans) {
        free(slab);
    }
}

static uint32_t
objects_in(const struct span *span)
{
    return (SPAN - sizeof *span) / (span->lines * SLAB_LINE);
}

/* --- Slabs ------------------------------------------------------------------------------------ */

struct slab *
slab_open(void)
{
    return calloc(1, sizeof(struct slab));
}

void
slab_close(struct slab *slab)
{
    slab->closed = true;
    if (!slab->n_spans) {
        free(slab);
        return;
    }
    size_t left = slab->n_spans;
    for (unsigned lines = 1; lines <= SLAB_LINES && left; lines++) {
        struct span *span = slab->room[lines];
        if (span && !span->n_used) {        /* Only the last of a size is kept when it is empty. */
            left--;
            span_free(span);
        }
    }
}

void *
slab_alloc(struct slab *slab, unsigned lines)
{
    struct span *span = slab->room[lines] ? slab->room[lines] : span_new(slab, lines);

    if (!span) {
        return NULL;
    }
    void *object = span->free;
    if (object) {
        span->free = *(void **) object;
    } else {
        object = (uint8_t *) (span + 1) + (size_t) span->n_touched++ * lines * SLAB_LINE;
    }
    if (++span->n_used == objects_in(span)) {
        UNLINK(span);
    }
    return object;
}

void
slab_free(void *object)
{
    struct span *span = (struct span *) ((uintptr_t) object & ~(uintptr_t) (SPAN - 1));
    struct slab *slab = span->slab;

    *(void **) object = span->free;
    span->free = object;
    span->n_used--;
    if (!span->link) {
        LINK(&slab->room[span->lines], span);
    }
    if (!span->n_used && (slab->closed || slab->room[span->lines] != span || span->next)) {
        span_free(span);
    }
}

#endif
