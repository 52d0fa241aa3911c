/* What `kv` stores in, whose store it is: keys of 16 bytes, values of 8. */

#ifndef BENCH_KV_H
#define BENCH_KV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH = 256 };           /* Keys looked up at once. */

struct key {
    uint64_t word[2];
};

/* What it is called. */
extern const char store_name[];

/* Makes an empty store for so many entries. False: it cannot. */
bool store_open(size_t n);

/* Puts up to BATCH keys that are not in it; false: one was refused. */
bool store_put(const struct key *keys, unsigned n);
bool store_remove(const struct key *key);

/* Looks up to BATCH keys up; returns how many were there. */
unsigned store_find(const struct key *keys, unsigned n);

/* Bytes of memory that it takes. */
double store_bytes(void);
void store_close(void);

#endif
