/* What `route` looks up in, whose table it is: prefixes, addresses, and what an implementation gives. */

#ifndef BENCH_ROUTE_H
#define BENCH_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { AT_ONCE = 256 };           /* Addresses looked up at once. */

/* IPv4 addresses are the high 32 bits of the first word; all is in host order. */
struct address {
    uint64_t high, low;
};

struct prefix {
    struct address address;
    uint8_t len;
    uint16_t value;             /* 1 and up. */
};

struct route_facts {
    char name[16];
    double bytes;               /* Of all prefixes. */
};

/* Makes an empty table of that family (4 or 6) for so many prefixes, 'n_long' of which are longer
 * than /24: some tables must know before. False: it cannot. */
bool routes_open(unsigned family, size_t n, size_t n_long);

/* Also gives prefixes that are there another value. */
bool routes_put(const struct prefix *prefixes, size_t n);

/* Lets be done what is left to do between changes. */
void routes_settle(void);

/* Puts up to AT_ONCE addresses where the next call finds them. */
void routes_prepare(const struct address *addresses, unsigned n);

/* Looks them up; 'values' is where they are, 0 where there is none. */
const uint32_t *routes_find(unsigned n);

void routes_facts(struct route_facts *facts);
void routes_close(void);

#endif
