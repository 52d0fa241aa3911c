/* Labels against a plain model: random tables and random packets, and what must leave, by what and how (P4).
 *
 * The model knows a packet as a list of labels and an IP header, and a table as a list of rows; it takes one
 * label off the list after the other, as RFC 3031 (3.10 to 3.16), RFC 3032 (2.1, 2.4) and RFC 3443 (3, 5) say. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "labels.h"
#include "routes.h"

enum {
    N_LABELS = 24,                      /* From LABEL_FREE on. */
    N_ROUNDS = 120, N_PACKETS = 250,    /* Of each table. */
    NOWHERE = 0,                        /* What the model says in place of an interface. */
};

/* What becomes of a label, or of the prefix of a family. */
struct row {
    bool known, ends;
    unsigned by;                        /* Interface 2 or 3. */
    unsigned n;
    uint32_t labels[NEXT_HOP_LABELS];   /* The outermost first. */
};

struct model {
    bool pipe;
    struct row rows[N_LABELS];
    struct row routes[2];               /* IPv4, IPv6. */
};

struct drawn {
    struct stack stack;
    uint8_t family;
    unsigned ttl, precedence, payload;
};

/* --- The model ----------------------------------------------------------------------------------- */

static unsigned
least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Takes the outermost label away. */
static void
drop_top(struct stack *stack)
{
    memmove(stack->at, stack->at + 1, --stack->n * sizeof stack->at[0]);
}

/* Puts the labels of a row in front: the innermost one with 'ttl', those around it with that of the model. */
static void
push_row(const struct model *model, struct stack *stack, const struct row *row, unsigned tc, unsigned ttl)
{
    bool innermost = true;

    for (unsigned i = row->n; i-- > 0;) {
        if (row->labels[i] == 3) {
            continue;
        }
        memmove(stack->at + 1, stack->at, stack->n++ * sizeof stack->at[0]);
        stack->at[0] = (struct shim) { row->labels[i], tc, model->pipe && !innermost ? 255 : ttl };
        innermost = false;
    }
}

static unsigned
count_labels(const struct row *row)
{
    unsigned n = 0;

    for (unsigned i = 0; i < row->n; i++) {
        n += row->labels[i] != 3;
    }
    return n;
}

static bool
fits(const struct drawn *s)
{
    return s->stack.n * MPLS_SIZE + (s->family == IP_V4 ? IPV4_SIZE : IPV6_SIZE) + UDP_SIZE + s->payload <= MTU;
}

/* An IP packet is routed. */
static unsigned
route_ip(const struct model *model, struct drawn *s)
{
    const struct row *row = &model->routes[s->family == IP_V6];

    if (s->ttl <= 1) {
        return NOWHERE;
    }
    s->ttl--;
    push_row(model, &s->stack, row, s->precedence, model->pipe ? 255 : s->ttl);
    return fits(s) ? row->by : NOWHERE;
}

/* Changes a packet as it must be when it leaves; returns by which interface. */
static unsigned
expect(const struct model *model, struct drawn *s)
{
    unsigned ttl = 255;

    while (s->stack.n) {
        struct shim top = s->stack.at[0];
        const struct row *row = top.label >= LABEL_FREE && top.label < LABEL_FREE + N_LABELS
            ? &model->rows[top.label - LABEL_FREE] : NULL;
        bool is_null = top.label == 0 || top.label == 2, last = s->stack.n == 1;

        ttl = model->pipe ? top.ttl : least(ttl, top.ttl);
        if (!ttl || (!is_null && (!row || !row->known))) {
            return NOWHERE;
        }
        drop_top(&s->stack);
        if (is_null || row->ends) {
            if (last && is_null && s->family != (top.label ? IP_V6 : IP_V4)) {
                return NOWHERE;
            }
            if (last && !model->pipe) {
                s->ttl = least(s->ttl, ttl);
            }
            continue;
        }
        if (ttl == 1) {
            return NOWHERE;
        }
        if (count_labels(row)) {
            push_row(model, &s->stack, row, top.tc, ttl - 1);
        } else if (!last && !model->pipe) {
            s->stack.at[0].ttl = least(s->stack.at[0].ttl, ttl - 1);
        } else if (last && !model->pipe) {
            if (least(s->ttl, ttl) <= 1) {
                return NOWHERE;
            }
            s->ttl = least(s->ttl, ttl) - 1;
        }
        return fits(s) ? row->by : NOWHERE;
    }
    return route_ip(model, s);
}

/* --- The same for the router ---------------------------------------------------------------------- */

static void
draw_row(uint64_t *random, struct row *row, bool route)
{
    static const uint32_t others[] = { 0, 2, 3, 3, 500, LABEL_MAX };

    *row = (struct row) { .known = route || draw(random, 6), .by = 2 + draw(random, 2) };
    row->ends = !route && draw(random, 3) == 0;
    row->n = row->ends ? 0 : draw(random, NEXT_HOP_LABELS + 1);
    for (unsigned i = 0; i < row->n; i++) {
        row->labels[i] = draw(random, 2) ? LABEL_FREE + draw(random, N_LABELS)
                                         : others[draw(random, sizeof others / sizeof others[0])];
    }
}

static void
put_row(struct routing_rig *r, const struct row *row, uint32_t group)
{
    struct next_hop hop = { .kind = NEXT_HOP_LOCAL, .weight = 1 };

    if (!row->ends) {
        hop = behind(gateway(r, row->by, IP_V4, V4(10, 0, row->by, 9)), row->n, row->labels);
    }
    put_group(r, group, &hop, 1);
}

static void
put_model(struct routing_rig *r, const struct model *model)
{
    router_set_pipe(r->router, model->pipe);
    for (uint32_t i = 0; i < N_LABELS; i++) {
        const struct ip_prefix prefix = prefix_of_label(LABEL_FREE + i);
        put_row(r, &model->rows[i], LABEL_FREE + i);
        if (model->rows[i].known) {
            put_label(r, LABEL_FREE + i, LABEL_FREE + i);
        } else {
            router_remove_route(r->router, ROUTE_STATIC, &prefix);
        }
    }
    put_row(r, &model->routes[0], 1);
    put_row(r, &model->routes[1], 2);
    put_route(r, V4(192, 0, 2, 0), IP_V4, 24, 1);
    put_route(r, V6(77, 0), IP_V6, 64, 2);
}

static void
draw_packet(uint64_t *random, struct drawn *s)
{
    static const unsigned ttls[] = { 0, 1, 2, 3, 64, 255 };

    *s = (struct drawn) {
        .family = draw(random, 2) ? IP_V4 : IP_V6, .ttl = ttls[1 + draw(random, 5)],
        .precedence = draw(random, 8), .payload = draw(random, 4) ? draw(random, 100) : MTU - 48 - draw(random, 40),
    };
    s->stack.n = draw(random, 5);
    for (unsigned i = 0; i < s->stack.n; i++) {
        s->stack.at[i] = (struct shim) {
            draw(random, 4) ? LABEL_FREE + draw(random, N_LABELS) : draw(random, 5), draw(random, 8),
            ttls[draw(random, 6)],
        };
    }
    while (!fits(s) && s->stack.n) {            /* Or the link by which it comes would not take it. */
        drop_top(&s->stack);
    }
}

static void
build(const struct drawn *s, struct frame *f)
{
    if (s->family == IP_V4) {
        udp_packet(f, 1, IP_V4, V4(10, 0, 1, 9), V4(192, 0, 2, 1), s->ttl, s->payload);
        f->data[f->ip + 1] = (uint8_t) (s->precedence << 5 | 3);
        csum_ipv4(f->data + f->ip);
    } else {
        udp_packet(f, 1, IP_V6, V6(1, 9), V6(77, 1), s->ttl, s->payload);
        f->data[f->ip] = (uint8_t) (0x60 | s->precedence << 1);
    }
    add_stack(f, &s->stack);
}

/* The frame is the one that the model wants, byte by byte. */
static void
assert_frame(const struct frame *out, const struct drawn *wanted, unsigned by)
{
    struct frame f;

    build(wanted, &f);
    put_be48(f.data, MAC_OF_HOST(by, 9));
    put_be48(f.data + 6, MAC_OF(by));
    assert_int_equal(out->len, f.len);
    assert_memory_equal(out->data, f.data, f.len);
}

static void
try_packet(struct routing_rig *r, const struct model *model, uint64_t *random, unsigned *n_out)
{
    struct drawn s;
    struct frame f, out;

    draw_packet(random, &s);
    build(&s, &f);
    rig_put(r->rig, 1, &f);
    rig_run(r->rig);                            /* Without the control thread, which sends errors. */
    unsigned by = expect(model, &s);
    for (unsigned i = 2; i <= 3; i++) {
        assert_int_equal(rig_take(r->rig, i, &out), i == by);
        if (i == by) {
            assert_frame(&out, &s, by);
            ++*n_out;
        }
    }
    routing_run(r);
    for (unsigned i = 1; i <= 3; i++) {
        rig_take(r->rig, i, NULL);
    }
}

static void
packets_leave_as_the_model_says(void **state)
{
    struct routing_rig *r = routing_new();
    uint64_t random = 20;
    unsigned n_out = 0;

    (void) state;
    for (unsigned i = 1; i <= 3; i++) {
        know_neighbours(r, i);
    }
    for (unsigned round = 0; round < N_ROUNDS; round++) {
        struct model model = { .pipe = round & 1 };
        for (unsigned i = 0; i < N_LABELS; i++) {
            draw_row(&random, &model.rows[i], false);
        }
        draw_row(&random, &model.routes[0], true);
        draw_row(&random, &model.routes[1], true);
        put_model(r, &model);
        for (unsigned i = 0; i < N_PACKETS; i++) {
            try_packet(r, &model, &random, &n_out);
        }
    }
    assert_true(n_out > N_ROUNDS * N_PACKETS / 4);      /* It is about packets that leave. */
    printf("%u of %u packets left\n", n_out, N_ROUNDS * N_PACKETS);
    routing_free(r);
}

int
main(void)
{
    static const struct CMUnitTest tests[] = { cmocka_unit_test(packets_leave_as_the_model_says) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
