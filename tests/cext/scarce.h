#ifndef TEST_SCARCE_H
#define TEST_SCARCE_H

/* Memory that runs out when a test says so, and a count of what is in use.
 *
 * How: the linker sends calls of the core and of the test here (--wrap, see the Makefile); those
 *   inside of shared libraries stay as they are.
 * Threads: one. */

#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

static struct {
    unsigned countdown;         /* To the allocation that fails; 0: none will. */
    bool failed;                /* Since scarce_from(). */
    size_t n_used;              /* Blocks and mappings. */
} scarce;

/* The 'nth' allocation from now on fails, the others do not. */
static inline void
scarce_from(unsigned nth)
{
    scarce.countdown = nth;
    scarce.failed = false;
}

/* Ends that; returns whether one has failed. */
static inline bool
scarce_end(void)
{
    scarce.countdown = 0;
    return scarce.failed;
}

static inline bool
runs_out(void)
{
    bool now = scarce.countdown && !--scarce.countdown;

    scarce.failed |= now;
    return now;
}

static inline void *
count_block(void *block)
{
    scarce.n_used += block != NULL;
    return block;
}

#define SCARCE(NAME, PARAMETERS, ...)                               \
    void *__real_##NAME PARAMETERS;                                 \
    void *__wrap_##NAME PARAMETERS;                                 \
    void *__wrap_##NAME PARAMETERS                                  \
    {                                                               \
        return runs_out() ? NULL : count_block(__real_##NAME(__VA_ARGS__)); \
    }

SCARCE(malloc, (size_t size), size)
SCARCE(calloc, (size_t n, size_t size), n, size)
SCARCE(aligned_alloc, (size_t align, size_t size), align, size)

void *__real_realloc(void *, size_t);
void *__wrap_realloc(void *, size_t);
void *
__wrap_realloc(void *block, size_t size)
{
    void *moved = runs_out() ? NULL : __real_realloc(block, size);

    scarce.n_used += moved && !block;
    return moved;
}

void __real_free(void *);
void __wrap_free(void *);
void
__wrap_free(void *block)
{
    scarce.n_used -= block != NULL;
    __real_free(block);
}

void *__real_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap(void *, size_t, int, int, int, off_t);
void *
__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
    void *mapped = runs_out() ? MAP_FAILED
                              : __real_mmap(at, size, protection, flags, fd, offset);

    scarce.n_used += mapped != MAP_FAILED;
    return mapped;
}

int __real_munmap(void *, size_t);
int __wrap_munmap(void *, size_t);
int
__wrap_munmap(void *at, size_t size)
{
    int result = __real_munmap(at, size);

    scarce.n_used -= !result;
    return result;
}

#endif
