/* Packet pools. */

#include "pool.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum {
    LINE = 64,                          /* Bytes of a cache line. */
    HUGE_PAGE = 2 << 20,
};

/* Where a new packet's frame begins in its slot. */
enum {
    ROOM_AT = (sizeof(struct packet) + sizeof(struct walk) + LINE - 1) / LINE * LINE,
    FRAME_AT = ROOM_AT + PACKET_HEADROOM,
};

_Static_assert(PACKET_HEADROOM % LINE == 0, "a frame begins with a cache line");

/* Returns 'n' bytes that are 0, aligned to 'align' bytes (a power of two), or null. */
static uint8_t *
map(size_t n, size_t align)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    uint8_t *whole = mmap(NULL, n + align, PROT_READ | PROT_WRITE, flags, -1, 0);

    if (whole == MAP_FAILED) {
        return NULL;
    }

    size_t before = -(uintptr_t)whole & (align - 1);

    if (before) {
        munmap(whole, before);
    }
    munmap(whole + before + n, align - before);
    return whole + before;
}

/* Bytes of the slots, in whole pages. */
static size_t
mapped(const struct pool *pool, size_t page)
{
    return (pool->n_slots * pool->stride + page - 1) & ~(page - 1);
}

/* Whether it is worth huge pages: packets fill theirs, and there are some. */
static size_t
page_size(const struct pool *pool)
{
    enum { PAGE = 4096 };

    return pool->size <= PAGE && pool->n_slots * pool->stride >= HUGE_PAGE ? HUGE_PAGE : PAGE;
}

/* See struct pool. */
static struct packet
fresh(struct pool *pool)
{
    return (struct packet){
        .headroom = PACKET_HEADROOM,
        .tailroom = pool->size < UINT16_MAX ? (uint16_t)pool->size : UINT16_MAX,
        .l2_5 = NO_OFFSET, .l3 = NO_OFFSET, .l4 = NO_OFFSET, .eth_type_at = NO_OFFSET,
        .pool = pool,
    };
}

int
pool_open(struct pool *pool, uint32_t n_slots, uint32_t size)
{
    size_t lines = (FRAME_AT + (size_t)size + LINE - 1) / LINE;

    *pool = (struct pool){
        .stride = (lines | 1) * LINE, .size = size, .n_slots = n_slots, .n_free = n_slots,
    };
    pool->free = calloc(n_slots ? n_slots : 1, sizeof *pool->free);
    pool->memory = map(mapped(pool, page_size(pool)), page_size(pool));
    if (!pool->free || !pool->memory) {
        pool_close(pool);
        return ENOMEM;
    }
    if (page_size(pool) == HUGE_PAGE) {
        madvise(pool->memory, mapped(pool, HUGE_PAGE), MADV_HUGEPAGE);
    }
    pool->fresh = fresh(pool);
    for (uint32_t i = 0; i < n_slots; i++) {
        pool->free[i] = (struct packet *)(pool->memory + (n_slots - 1 - i) * pool->stride);
    }
    return 0;
}

int
pool_open_lent(struct pool *pool, uint32_t n_slots, const void *lender)
{
    *pool = (struct pool){ .n_slots = n_slots, .n_free = n_slots, .lender = lender };
    pool->fresh = fresh(pool);
    pool->free = calloc(n_slots ? n_slots : 1, sizeof *pool->free);
    return pool->free ? 0 : ENOMEM;
}

void
pool_close(struct pool *pool)
{
    if (pool->memory) {
        munmap(pool->memory, mapped(pool, page_size(pool)));
    }
    free(pool->free);
    *pool = (struct pool){ .free = NULL };
}

unsigned
pool_get(struct pool *pool, struct packet *packets[], unsigned n)
{
    if (n > pool->n_free) {
        n = pool->n_free;
    }
    const struct packet fresh = pool->fresh;            /* Stays in registers. */
    struct packet *const *next = pool->free + pool->n_free;

    pool->n_free -= n;
    for (unsigned i = 0; i < n; i++) {
        struct packet *p = packets[i] = *--next;

        *p = fresh;
        p->data = (uint8_t *)p + FRAME_AT;
        memset(packet_walk(p), 0, offsetof(struct walk, wide));
    }
    return n;
}

void
packet_lent(struct packet *p, struct pool *pool, uint8_t *data, uint32_t len, uint16_t headroom,
            uint16_t tailroom)
{
    *p = pool->fresh;
    p->data = data;
    p->len = len;
    p->headroom = headroom;
    p->tailroom = tailroom;
    memset(packet_walk(p), 0, offsetof(struct walk, wide));
}

void
packet_free(struct packet *packets[], unsigned n)
{
    for (unsigned i = 0; i < n;) {
        struct pool *pool = packets[i]->pool;
        struct packet **free = pool->free + pool->n_free;
        unsigned first = i;

        for (; i < n && packets[i]->pool == pool; i++) {
            *free++ = packets[i];
        }
        pool->n_free += i - first;
    }
}

size_t
pool_frame_at(void)
{
    return FRAME_AT;
}

void
packet_set_len(struct packet *p, uint32_t len)
{
    const uint8_t *end = (const uint8_t *)p + FRAME_AT + p->pool->size;
    size_t room = (size_t)(end - p->data) - len;

    p->len = len;
    p->tailroom = room < UINT16_MAX ? (uint16_t)room : UINT16_MAX;
}

bool
packet_push(struct packet *p, unsigned n)
{
    if (n > p->headroom) {
        return false;
    }
    p->data -= n;
    p->len += n;
    p->headroom -= n;
    return true;
}

void
packet_pull(struct packet *p, unsigned n)
{
    p->data += n;
    p->len -= n;
    p->headroom += n;
}
