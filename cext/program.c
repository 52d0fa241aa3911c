/* Programs: see program.h. */

#include "program.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "field.h"

const struct op_info op_table[N_OPS] = {
#define X(NAME, TYPE, ORDER, SIGHT) { #NAME, TYPE, ORDER, SIGHT, op_##NAME },
    OPS(X)
#undef X
};

int
program_store_open(struct program_store *store)
{
    *store = (struct program_store) { .n_buckets = 256 };
    store->buckets = calloc(store->n_buckets, sizeof *store->buckets);
    if (!store->buckets) {
        store->n_buckets = 0;
        return ENOMEM;
    }
    return 0;
}

void
program_store_close(struct program_store *store)
{
    for (uint32_t i = 0; i < store->n_buckets; i++) {
        while (store->buckets[i]) {
            struct program *program = store->buckets[i];
            store->buckets[i] = program->next;
            free(program);
        }
    }
    free(store->buckets);
    *store = (struct program_store) { 0 };
}

static uint64_t
insn_word(const struct insn *insn)
{
    return (uint64_t) insn->op << 56 | (uint64_t) insn->field << 48
           | (uint64_t) insn->order << 40 | (uint64_t) insn->source << 32
           | (uint64_t) insn->at << 16 | insn->size;
}

static uint32_t
shape_hash(const struct insn *insns, unsigned n)
{
    uint64_t hash = n;

    for (unsigned i = 0; i < n; i++) {
        hash = (hash ^ insn_word(&insns[i]) ^ (uintptr_t) insns[i].sub) * 0x9e3779b97f4a7c15u;
        hash ^= hash >> 29;
    }
    return hash >> 32 ^ hash;
}

bool
program_is(const struct program *program, const struct insn *insns, unsigned n)
{
    if (program->n != n) {
        return false;
    }
    for (unsigned i = 0; i < n; i++) {
        if (insn_word(&program->insns[i]) != insn_word(&insns[i])
            || program->insns[i].sub != insns[i].sub) {
            return false;
        }
    }
    return true;
}

/* Doubles the number of chains.  Without memory they just get longer. */
static void
grow(struct program_store *store)
{
    uint32_t n = store->n_buckets * 2;
    struct program **buckets = calloc(n, sizeof *buckets);

    if (!buckets) {
        return;
    }
    for (uint32_t i = 0; i < store->n_buckets; i++) {
        while (store->buckets[i]) {
            struct program *program = store->buckets[i];
            store->buckets[i] = program->next;
            program->next = buckets[program->hash & (n - 1)];
            buckets[program->hash & (n - 1)] = program;
        }
    }
    free(store->buckets);
    store->buckets = buckets;
    store->n_buckets = n;
}

/* Whether the value of a field says how the bytes behind it are read (parse.h). */
static bool
is_decisive(uint8_t field)
{
    return field == FIELD_eth_type || field == FIELD_ip_proto || field == FIELD_icmpv6_type
           || field == FIELD_icmpv6_code;
}

static bool
is_opaque(const struct insn *insn)
{
    uint8_t sight = op_table[insn->op].sight;

    return sight == OPAQUE || (sight == BY_FIELD && is_decisive(insn->field));
}

static struct program *
program_new(const struct insn *insns, unsigned n, uint32_t hash)
{
    struct program *program = malloc(sizeof *program + n * sizeof *insns);

    if (!program) {
        return NULL;
    }
    *program = (struct program) { .refs = 1, .hash = hash, .n = n };
    memcpy(program->insns, insns, n * sizeof *insns);
    program->goes_on = insns[n - 1].op == OP_goto_table;
    program->passes = program->goes_on;
    for (unsigned i = 0; i < n; i++) {
        program->insns[i].flags = 0;
        program->opaque |= is_opaque(&insns[i]);
        program->passes &= i + 1 == n || insns[i].op == OP_point;
    }
    if (n > 1 && !program->goes_on) {
        program->insns[n - 2].flags |= INSN_LAST;
    }
    return program;
}

/* A program refers to its subs once, however often it is used itself. */
static void
drop_subs(struct program_store *store, const struct insn *insns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (insns[i].op == OP_write_actions) {
            program_release(store, insns[i].sub);
        }
    }
}

const struct program *
program_intern(struct program_store *store, const struct insn *insns, unsigned n)
{
    uint32_t hash = shape_hash(insns, n);
    struct program *program;

    for (program = store->buckets[hash & (store->n_buckets - 1)]; program; program = program->next) {
        if (program->hash == hash && program_is(program, insns, n)) {
            drop_subs(store, insns, n);
            program->refs++;
            return program;
        }
    }
    program = program_new(insns, n, hash);
    if (!program) {
        return NULL;
    }
    if (store->n_programs >= store->n_buckets) {
        grow(store);
    }
    program->next = store->buckets[hash & (store->n_buckets - 1)];
    store->buckets[hash & (store->n_buckets - 1)] = program;
    store->n_programs++;
    return program;
}

const struct program *
program_refer(const struct program *program)
{
    ((struct program *) program)->refs++;
    return program;
}

void
program_release(struct program_store *store, const struct program *released)
{
    struct program **link = &store->buckets[released->hash & (store->n_buckets - 1)];

    while (*link != released) {
        link = &(*link)->next;
    }
    struct program *program = *link;
    if (--program->refs) {
        return;
    }
    *link = program->next;
    store->n_programs--;
    drop_subs(store, program->insns, program->n);
    free(program);
}

static inline unsigned
run(struct worker *worker, const struct insn *insn, const struct insn *end,
    struct packet **packets, unsigned n)
{
    for (; insn < end && n; insn++) {
        n = op_table[insn->op].run(worker, insn, packets, n);
    }
    return n;
}

unsigned
program_run(struct worker *worker, const struct program *program, struct packet **packets,
            unsigned n)
{
    return run(worker, program->insns, program->insns + program->n, packets, n);
}

unsigned
program_run_here(struct worker *worker, const struct program *program, struct packet **packets,
                 unsigned n)
{
    return run(worker, program->insns, program->insns + program->n - program->goes_on, packets, n);
}
