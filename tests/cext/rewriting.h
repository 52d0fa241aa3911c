#ifndef TEST_REWRITING_H
#define TEST_REWRITING_H

/* One packet, instructions that are done to it one by one, and what must be true behind each. */

#include <stdlib.h>

#include "field.h"
#include "packets.h"
#include "parse.h"
#include "plain_sum.h"
#include "pool.h"
#include "program.h"
#include "rewrite.h"
#include "ring.h"
#include "worker.h"

struct rewriting {
    struct pool pool;
    struct worker *worker;
    struct bridge *bridge;
    struct packet *p;           /* Null once an instruction has kept it. */
};

static inline int
rewriting_open(void **state)
{
    struct rewriting *t = calloc(1, sizeof *t);

    t->worker = calloc(1, sizeof *t->worker);
    t->bridge = calloc(1, sizeof *t->bridge);
    assert_int_equal(pool_open(&t->pool, 4, PACKET_SMALL), 0);
    assert_int_equal(ring_open(&t->worker->punts, 1 << 16), 0);
    *state = t;
    return 0;
}

static inline void
rewriting_drop(struct rewriting *t)
{
    if (t->p) {
        packet_free(&t->p, 1);
        t->p = NULL;
    }
}

static inline int
rewriting_close(void **state)
{
    struct rewriting *t = *state;

    rewriting_drop(t);
    pool_close(&t->pool);
    ring_close(&t->worker->punts);
    free(t->worker);
    free(t->bridge);
    free(t);
    return 0;
}

/* Takes a frame in as a port would. */
static inline void
rewriting_receive(struct rewriting *t, const struct frame *f)
{
    rewriting_drop(t);
    assert_int_equal(pool_get(&t->pool, &t->p, 1), 1);
    memcpy(t->p->data, f->data, f->len);
    t->p->len = (uint32_t)f->len;
    parse_vector(&t->p, 1);
    packet_walk(t->p)->bridge = t->bridge;
}

/* Whether the checksums of the sample can be checked by themselves: no fragment, no
 * routing header, no AH. */
static inline bool
is_summed(enum sample sample)
{
    return sample != SAMPLE_first && sample != SAMPLE_first6 && sample != SAMPLE_chain6
           && sample != SAMPLE_jumble6;
}

/* The same for a sample, with its checksums right. */
static inline void
rewriting_sample(struct rewriting *t, enum sample sample)
{
    struct frame f;

    frame_sample(&f, sample);
    rewriting_receive(t, &f);
    if (ip_version(t->p) == 4) {
        csum_ipv4(t->p->data + t->p->l3);
    }
    csum_transport(t->p);
}

static inline bool
ipv4_header_good(const uint8_t *ip)
{
    return plain_sum(0, ip, (ip[0] & 15) * 4u) == 0xffff;
}

/* The offsets, and the protocol, are what a parser finds. */
static inline void
check_layout(const struct rewriting *t)
{
    struct packet fresh = *t->p;
    struct flow_key key = { { 0 } };

    if (t->p->stale & STALE_LAYOUT) {
        return;
    }
    parse(&fresh, &key);
    assert_int_equal(t->p->eth_type_at, fresh.eth_type_at);
    assert_int_equal(t->p->l2_5, fresh.l2_5);
    assert_int_equal(t->p->l3, fresh.l3);
    assert_int_equal(t->p->l4, fresh.l4);
    if (t->p->l4 != NO_OFFSET) {
        assert_int_equal(packet_walk(t->p)->key.word[W_L4] >> 24 & 0xff,
                         key.word[W_L4] >> 24 & 0xff);
    }
}

/* Checksums are right wherever there are some. */
static inline void
check_sums(struct rewriting *t)
{
    packet_refresh(t->p);
    if (ip_version(t->p) == 4) {
        assert_true(ipv4_header_good(t->p->data + t->p->l3));
    }
    if (t->p->l4 != NO_OFFSET) {
        assert_true(plain_transport_good(t->p->data, t->p->l3, t->p->l4));
    }
}

/* Does one instruction with the action 'bytes'. */
static inline void
rewriting_do(struct rewriting *t, op_run *run, enum field field, const uint8_t *bytes)
{
    const struct insn insn = { .field = (uint8_t)field };

    t->p->args = bytes;
    if (!run(t->worker, &insn, &t->p, 1)) {
        t->p = NULL;
        return;
    }
    check_layout(t);
}

/* An action with a 16-bit or 8-bit argument. */
static inline void
rewriting_do16(struct rewriting *t, op_run *run, unsigned argument)
{
    uint8_t bytes[8] = { 0 };

    put_be16(bytes + 4, (uint16_t)argument);
    rewriting_do(t, run, 0, bytes);
}

static inline void
rewriting_do8(struct rewriting *t, op_run *run, unsigned argument)
{
    rewriting_do16(t, run, argument << 8);
}

/* A set-field with 'value' as on the wire. */
static inline void
rewriting_set(struct rewriting *t, enum field field, const uint8_t *value)
{
    uint8_t bytes[8 + 16] = { 0 };

    memcpy(bytes + 8, value, field_table[field].size);
    rewriting_do(t, op_set_field, field, bytes);
}

static inline void
rewriting_set_number(struct rewriting *t, enum field field, uint64_t number)
{
    uint8_t value[8];

    put_be64(value, number);
    rewriting_set(t, field, value + 8 - field_table[field].size);
}

/* Reads a field of up to 64 bits as a lookup would see it. */
static inline uint64_t
rewriting_get(struct rewriting *t, enum field field)
{
    uint8_t value[8] = { 0 };

    packet_refresh(t->p);
    field_get(&packet_walk(t->p)->key, field, value + 8 - field_table[field].size);
    return get_be64(value);
}

#endif
