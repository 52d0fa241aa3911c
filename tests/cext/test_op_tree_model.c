/* Trees against a list: random trees of several sources, random packets, links that come and go, by RFC 7761,
 * section 4.2 (P4: TIB). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "routes.h"
#include "trees.h"

enum { STEPS = 6000, KEPT = 64, GROUPS = 3, MODEL_MTU = 1280 };

/* What one source says of one tree. */
struct said {
    bool used;
    struct tree_words words;
};

struct model {
    struct routing_rig *r;
    uint64_t random;
    struct said said[KEPT];
    uint16_t mtu[RIG_PORTS + 1];
    bool up[RIG_PORTS + 1];
    unsigned n_out, n_strayed, n_dead;          /* Packets of each outcome. */
};

static struct ip_address
model_group(uint8_t family, unsigned i)
{
    return family == IP_V4 ? GROUP4(i) : GROUP6(i);
}

/* On link 1, 2 or 3, or where no route leads. */
static struct ip_address
model_host(uint8_t family, unsigned link)
{
    return family == IP_V4 ? V4(10, 0, link, 9) : V6(link, 9);
}

static bool
same_tree(const struct tree_words *a, uint8_t family, const struct ip_address *group, const struct ip_address *from)
{
    return a->family == family && ip_equal(&a->group, group) && ip_equal(&a->from, from);
}

static void
model_change(struct model *m)
{
    static const uint8_t sources[] = { ROUTE_STATIC, ROUTE_FPM, ROUTE_FREE };
    struct routing_rig *r = m->r;
    uint8_t family = draw(&m->random, 2) ? IP_V4 : IP_V6;
    struct tree_words words = {
        .op = draw(&m->random, 3) ? 1 : 2, .source = sources[draw(&m->random, 3)], .family = family,
        .incoming = draw(&m->random, 4), .outgoing = draw(&m->random, 8) << 1,
        .group = model_group(family, draw(&m->random, GROUPS)),
        .from = draw(&m->random, 2) ? model_host(family, 1 + draw(&m->random, 4)) : any_source,
    };
    struct said *at = NULL, *free_at = NULL;

    for (unsigned i = 0; i < KEPT; i++) {
        struct said *each = &m->said[i];
        if (each->used && each->words.source == words.source
            && same_tree(&each->words, family, &words.group, &words.from)) {
            at = each;
        }
        free_at = each->used ? free_at : each;
    }
    if (words.op == 1 && !at && !free_at) {
        return;
    }
    uint32_t result = tree_mod(r, &words);
    assert_int_equal(result, words.op == 1 || at ? ROUTE_DONE : ROUTE_NOT_FOUND);
    if (words.op == 1) {
        at = at ? at : free_at;
        *at = (struct said) { true, words };
    } else if (at) {
        at->used = false;
    }
}

/* What one source does not put again goes. */
static void
model_sweep(struct model *m)
{
    uint32_t n = 0;

    tib_begin(&m->r->router->tib, ROUTE_FPM);
    for (unsigned i = 0; i < KEPT; i++) {
        struct said *each = &m->said[i];
        if (!each->used || each->words.source != ROUTE_FPM) {
            continue;
        }
        if (draw(&m->random, 4)) {
            assert_int_equal(tree_mod(m->r, &each->words), ROUTE_DONE);
        } else {
            each->used = false;
            n++;
        }
    }
    assert_int_equal(tib_sweep(&m->r->router->tib, ROUTE_FPM), n);
}

static void
model_interface(struct model *m)
{
    unsigned i = 1 + draw(&m->random, 3);

    m->mtu[i] = draw(&m->random, 2) ? MTU : MODEL_MTU;
    m->up[i] = draw(&m->random, 4);
    narrow(m->r, i, m->mtu[i], m->up[i]);
}

/* What all say of the tree: which interface, and which others. */
static bool
model_find(const struct model *m, uint8_t family, struct ip_address group, struct ip_address from,
           unsigned *incoming, unsigned *outgoing)
{
    bool found = false;
    unsigned first = UINT8_MAX;

    *incoming = *outgoing = 0;
    for (unsigned i = 0; i < KEPT; i++) {
        const struct said *each = &m->said[i];
        if (!each->used || !same_tree(&each->words, family, &group, &from)) {
            continue;
        }
        found = true;
        *outgoing |= each->words.outgoing;
        if (each->words.incoming && each->words.source < first) {
            first = each->words.source;
            *incoming = each->words.incoming;
        }
    }
    return found;
}

/* By which interfaces a packet leaves. */
static unsigned
model_ways(struct model *m, unsigned by, unsigned link, uint8_t family, struct ip_address group, unsigned ttl,
           size_t len)
{
    unsigned incoming, outgoing, ways = 0;

    if (!model_find(m, family, group, model_host(family, link), &incoming, &outgoing)
        && !model_find(m, family, group, any_source, &incoming, &outgoing)) {
        return 0;
    }
    /* The link of an interface that is down is reached by none. */
    if ((incoming ? incoming : link <= 3 && m->up[link] ? link : 0) != by) {
        m->n_strayed++;
        return 0;
    }
    for (unsigned i = 1; i <= 3 && ttl > 1; i++) {
        ways |= i != by && m->up[i] && m->mtu[i] >= len ? outgoing & BY(i) : 0;
    }
    m->n_out += !!ways;
    m->n_dead += !ways;
    return ways;
}

static void
model_packet(struct model *m)
{
    static const uint8_t ttls[] = { 0, 1, 2, 64 };
    uint8_t family = draw(&m->random, 2) ? IP_V4 : IP_V6;
    unsigned by = 1 + draw(&m->random, 3), link = 1 + draw(&m->random, 4);
    unsigned ttl = draw(&m->random, 3) ? 64 : ttls[draw(&m->random, 4)];
    struct ip_address group = model_group(family, draw(&m->random, GROUPS));
    uint32_t number = (uint32_t) m->random;
    struct frame f, out;

    if (!m->up[by]) {
        return;
    }
    group_packet(&f, by, family, model_host(family, link), group, ttl, draw(&m->random, 4) ? 30 : 1400);
    put_be32(f.data + f.len - 4, number);
    unsigned ways = model_ways(m, by, link, family, group, ttl, f.len - ETH_SIZE);
    routing_put(m->r, by, &f);
    for (unsigned i = 1; i <= 3; i++) {
        unsigned n = 0;
        while ((out.len = port_memory_take(&m->r->rig->ports[i], out.data, sizeof out.data, NULL))) {
            if (get_be48(out.data) != get_be48(f.data)) {
                continue;                       /* The router asks for hosts, or tells the sender. */
            }
            n++;
            assert_int_equal(out.len, f.len);
            assert_frame(&out, get_be48(f.data), MAC_OF(i), ttl - 1);
            assert_int_equal(get_be32(out.data + out.len - 4), number);
        }
        assert_int_equal(n, ways >> i & 1);
    }
}

static void
like_a_list(void **state)
{
    ROUTER;
    struct model m = { .r = r, .random = 0x9e3779b97f4a7c15, .mtu = { 0, MTU, MTU, MTU },
                       .up = { false, true, true, true } };

    for (unsigned i = 0; i < STEPS; i++) {
        unsigned what = draw(&m.random, 100);

        if (what < 15) {
            model_change(&m);
        } else if (what < 16) {
            model_sweep(&m);
        } else if (what < 18) {
            model_interface(&m);
        } else {
            model_packet(&m);
        }
        r->rig->now += 1;
    }
    assert_true(m.n_out > STEPS / 20);
    assert_true(m.n_strayed > STEPS / 20);
    assert_true(m.n_dead > STEPS / 50);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(like_a_list, routing_set_up, routing_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
