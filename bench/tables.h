/* What `tables` looks up in, whose table it is: rules, packets, and what an implementation gives. */

#ifndef BENCH_TABLES_H
#define BENCH_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { BATCH = 256 };           /* Packets looked up at once. */

/* IPv4 and UDP; a length of 0 and ports that are not 'with' say nothing. Host order. */
struct rule {
    uint32_t src, dst;
    uint16_t sport, dport;
    uint8_t src_len, dst_len;
    bool with_sport, with_dport;
    uint16_t priority;
};

struct tuple5 {
    uint32_t src, dst;
    uint16_t sport, dport;
};

struct table_facts {
    char name[16];
    size_t n;                   /* Rules; two that were drawn alike are one. */
    double bytes;               /* Of all of them. */
};

/* Makes an empty table for so many rules, 'n_long' of which have a destination longer than /24: some
 * tables must know before. False: it cannot. */
bool lookups_open(size_t n_rules, size_t n_long);

bool lookups_insert(const struct rule *rule);

/* Lets be done what is left to do when no rule comes any more. */
void lookups_settle(void);

/* Puts up to BATCH packets where the next call finds them as its keys. */
void lookups_prepare(const struct tuple5 *packets, unsigned n);

/* Looks them up; returns how many met a rule. */
unsigned lookups_find(unsigned n);

void lookups_facts(struct table_facts *facts);
void lookups_close(void);

#endif
