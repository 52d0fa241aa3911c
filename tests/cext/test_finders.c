/* Every implementation of lookups against a list in which every entry is compared (K8): a thousand
 * random tables of each shape, a thousand packets in each; with arguments, so many packets in each of
 * so many tables, of that shape only.  Packets count only while the table has the implementation that the
 * shape is for. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "flows.h"

enum { MAX_FLOWS = 400, MAX_MASKS = 200, MAX_REST = 8, ROUNDS = 10, MAX_PARTS = 8,
       N_OTHERS = 64 };

struct entry {
    struct flow *flow;
    uint16_t priority;
    bool rest;                          /* Of no prefix. */
    unsigned n_parts;
    struct part {
        unsigned word;
        uint64_t mask, value;           /* Bits that count; what they are. */
    } parts[MAX_PARTS];                 /* The words of its mask that are not 0. */
    struct flow_key key, mask;
};

struct model;

/* Tables of one kind. */
struct shape {
    const char *name;
    const char *implementation;         /* That such a table must have; null: any. */
    unsigned min_flows, max_flows;      /* That it is filled with at first. */
    void (*prepare)(struct model *);    /* Draws what its entries have in common. */
    void (*draw)(struct model *, struct entry *);   /* Draws an entry. */
};

struct model {
    const struct shape *shape;
    struct epoch epoch;
    struct table table;
    struct random random;
    unsigned max_flows, n_priorities, n_masks, n_values, n_groups;
    struct { unsigned word, first, bits; } fields[2];   /* That are cut by prefix. */
    unsigned n_fields;
    struct flow_key masks[MAX_MASKS];
    unsigned n, n_rest, n_drawn;
    struct entry *entries[MAX_FLOWS];   /* Highest priority first. */
    struct flow_key others[N_OTHERS];   /* Packets that are like no entry. */
};

static bool
percent(struct model *model, unsigned chance)
{
    return draw(&model->random, 100) < chance;
}

static uint64_t
draw_word(struct random *random)
{
    return (uint64_t)draw(random, 1u << 31) << 33 ^ (uint64_t)draw(random, 1u << 31) << 11
           ^ draw(random, 1u << 31);
}

/* --- Shapes --------------------------------------------------------------------------------- */

static void
prepare_masks(struct model *model)
{
    model->n_masks = 1 + draw(&model->random, 60);
    model->n_values = 1 + draw(&model->random, 6);
    for (unsigned i = 0; i < model->n_masks; i++) {
        draw_mask(&model->random, &model->masks[i]);
    }
}

static void
draw_masked(struct model *model, struct entry *entry)
{
    entry->mask = model->masks[draw(&model->random, model->n_masks)];
    draw_key(&model->random, &entry->key, model->n_values);
}

static void
draw_exact(struct model *model, struct entry *entry)
{
    draw_masked(model, entry);
    entry->key.word[W_L4] = draw_value(&model->random, 300);
}

/* So many that those of a few entries are not all the same. */
static void
prepare_few(struct model *model)
{
    prepare_masks(model);
    model->n_masks = 20;
    for (unsigned i = 0; i < model->n_masks; i++) {
        draw_mask(&model->random, &model->masks[i]);
    }
}

/* Masks of which no two differ in the prefix of a field alone; each says something of an address. */
static void
prepare_apart(struct model *model)
{
    prepare_masks(model);
    model->n_masks = model->n_masks < 12 ? 12 : model->n_masks;
    for (unsigned i = 0; i < model->n_masks; i++) {
        draw_mask(&model->random, &model->masks[i]);
        model->masks[i].word[W_IPV4] = UINT32_MAX << draw(&model->random, 25);
        model->masks[i].word[W_REG7] = i + 1;
    }
}

/* One mask in which rare fields count: arp_op, nd_target, ipv6_exthdr. */
static void
prepare_exact(struct model *model)
{
    static const unsigned words[] = { W_ETH_DST, W_IPV4, W_L4, W_IPV6, W_ND_TARGET, W_ND_TARGET_LOW };

    model->n_masks = 1;
    model->n_values = 2 + draw(&model->random, 3);
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        model->masks[0].word[words[i]] = percent(model, 80) ? UINT64_MAX : 0;
    }
    model->masks[0].word[W_L4] = UINT64_MAX;
}

static const struct { unsigned word, first, bits; } cut_fields[] = {
    { W_IPV4, 32, 32 }, { W_IPV4, 0, 32 }, { W_IPV6_DST, 0, 128 }, { W_IPV6_SRC, 0, 128 },
    { W_ND_TARGET, 0, 128 }, { W_TUN_IPV4, 32, 32 }, { W_ETH_DST, 0, 48 }, { W_TUNNEL_ID, 0, 64 },
};

static void
prepare_prefixes(struct model *model)
{
    model->n_values = 1 + draw(&model->random, 4);
    model->n_groups = 1 + (percent(model, 30) ? draw(&model->random, 40) : 0);
    model->n_fields = 1 + percent(model, 30);
    for (unsigned i = 0; i < model->n_fields; i++) {
        unsigned which = draw(&model->random, percent(model, 50) ? 1 : 8);
        memcpy(&model->fields[i], &cut_fields[which], sizeof model->fields[i]);
    }
}

/* Sets the bits of a field from 'from' to 'to' to those of two words. */
static void
set_bits(struct flow_key *key, unsigned word, unsigned first, unsigned from, unsigned to,
         const uint64_t bits[2])
{
    for (unsigned i = from; i < to; i++) {
        unsigned at = first + i;
        uint64_t bit = UINT64_C(1) << (63 - at % 64);
        uint64_t *in = &key->word[word + at / 64];
        *in = bits[i / 64] >> (63 - i % 64) & 1 ? *in | bit : *in & ~bit;
    }
}

/* An entry beside the prefixes: by port, or of the whole table. */
static void
draw_rest(struct model *model, struct entry *entry)
{
    memset(&entry->mask, 0, sizeof entry->mask);
    entry->mask.word[W_PORT] = percent(model, 50) ? UINT64_MAX : 0;
    entry->rest = true;
}

/* A prefix of one of few addresses, some of whose bits are changed: many overlap. */
static void
draw_prefix(struct model *model, struct entry *entry)
{
    static const uint64_t ones[2] = { UINT64_MAX, UINT64_MAX };
    struct random *random = &model->random;
    const unsigned which = model->n_drawn++ % model->n_fields;
    const unsigned word = model->fields[which].word, first = model->fields[which].first;
    const unsigned bits = model->fields[which].bits;
    unsigned length = draw(random, bits + 1), change = draw(random, bits + 1);
    uint64_t value[2] = { draw_word(random), draw_word(random) };

    draw_key(random, &entry->key, model->n_values);
    if (model->n_rest < MAX_REST && percent(model, 4) && model->n > 20) {
        draw_rest(model, entry);
        return;
    }
    if (model->n < 20) {
        length = bits - model->n % 9;   /* Enough of them. */
    } else if (percent(model, 50)) {
        length = 16 + draw(random, 9);  /* Many in few nodes. */
        change = length - length % 8;
    }
    set_bits(&entry->key, word, first, change, bits, value);
    set_bits(&entry->mask, word, first, 0, length, ones);
    entry->mask.word[W_REG0] = UINT64_MAX;      /* The group, and which field it is. */
    entry->key.word[W_REG0] = draw(random, model->n_groups) + (uint64_t)which * 1000;
    entry->mask.word[W_REG1] = which ? 1 : 0;
}

static const uint64_t address_masks[] = { 0, 0xff000000, 0xfffff000, 0xffffff00, 0xfffffff8, UINT32_MAX };

static uint64_t
draw_address_mask(struct random *random)
{
    return draw(random, 2) ? address_masks[draw(random, 6)] : UINT32_MAX << draw(random, 32);
}

/* Very many masks: of addresses, with other fields, of any kind. */
static void
prepare_many(struct model *model)
{
    prepare_masks(model);
    model->n_masks = MAX_MASKS;
    for (unsigned i = 0; i < MAX_MASKS; i++) {
        struct flow_key *mask = &model->masks[i];
        draw_mask(&model->random, mask);
        if (percent(model, 80)) {
            memset(mask, 0, sizeof *mask);
            mask->word[W_IPV4] = draw_address_mask(&model->random) << 32
                                 | draw_address_mask(&model->random);
            mask->word[W_L4] = percent(model, 50) ? UINT64_C(0xffff) << 32 * draw(&model->random, 2) : 0;
            mask->word[W_IPV6_DST] = percent(model, 20) ? UINT64_MAX << draw(&model->random, 64) : 0;
        }
    }
}

static const struct shape shapes[] = {
    { "few", "few", 8, 8, prepare_few, draw_masked },
    { "exact", "tuple", 60, MAX_FLOWS, prepare_exact, draw_exact },
    { "prefixes", "prefix", 60, MAX_FLOWS, prepare_prefixes, draw_prefix },
    { "masks", "tuple", 60, MAX_FLOWS, prepare_apart, draw_masked },
    { "many", "merged", 200, MAX_FLOWS, prepare_many, draw_masked },
    { "anything", NULL, 60, MAX_FLOWS, prepare_masks, draw_masked },
};

/* --- The list ------------------------------------------------------------------------------------ */

static struct model *
model_new(const struct shape *shape, uint64_t seed)
{
    struct model *model = aligned_alloc(64, (sizeof *model + 63) & ~(size_t)63);

    memset(model, 0, sizeof *model);
    epoch_init(&model->epoch);
    assert_int_equal(table_open(&model->table, &model->epoch), 0);
    model->shape = shape;
    model->random.state = seed * 77 + 1;
    const unsigned range = shape->max_flows - shape->min_flows;
    model->max_flows = shape->min_flows;
    model->max_flows += range ? draw(&model->random, percent(model, 10) ? range : 40) : 0;
    model->n_priorities = 1 + draw(&model->random, percent(model, 50) ? 4 : 60000);
    shape->prepare(model);
    for (unsigned i = 0; i < N_OTHERS; i++) {
        draw_key(&model->random, &model->others[i], 1 + draw(&model->random, 6));
    }
    return model;
}

static void
model_free(struct model *model)
{
    table_close(&model->table, release_flow, NULL);
    epoch_close(&model->epoch);
    free(model);
}

static void
set_parts(struct entry *entry)
{
    for (unsigned i = 0; i < N_KEY_WORDS; i++) {
        const uint64_t mask = entry->mask.word[i];
        if (mask) {
            assert_true(entry->n_parts < MAX_PARTS);
            entry->parts[entry->n_parts++] = (struct part) { i, mask, entry->key.word[i] & mask };
        }
    }
}

static bool
matches(const struct entry *entry, const struct flow_key *packet)
{
    for (unsigned i = 0; i < entry->n_parts; i++) {
        const struct part *part = &entry->parts[i];
        if ((packet->word[part->word] & part->mask) != part->value) {
            return false;
        }
    }
    return true;
}

static unsigned
find_same(const struct model *model, const struct entry *like)
{
    unsigned i = 0;

    while (i < model->n
           && !(model->entries[i]->priority == like->priority
                && !memcmp(&model->entries[i]->mask, &like->mask, sizeof like->mask)
                && matches(model->entries[i], &like->key))) {
        i++;
    }
    return i;
}

static void
take_out(struct model *model, unsigned i)
{
    model->n_rest -= model->entries[i]->rest;
    free(model->entries[i]);
    memmove(&model->entries[i], &model->entries[i + 1],
            (--model->n - i) * sizeof model->entries[0]);
}

static void
model_insert(struct model *model)
{
    struct flow *old;

    if (model->n == model->max_flows) {
        return;
    }
    struct entry *new = calloc(1, sizeof *new);
    new->priority = (uint16_t)draw(&model->random, model->n_priorities);
    model->shape->draw(model, new);
    set_parts(new);
    unsigned at = find_same(model, new);
    new->flow = flow_for(&model->table, &new->key, &new->mask, new->priority);
    assert_int_equal(table_insert(&model->table, new->flow, &old), 0);
    assert_ptr_equal(old, at < model->n ? model->entries[at]->flow : NULL);
    retire_flow(&model->epoch, old);
    if (old) {
        take_out(model, at);
    }
    for (at = 0; at < model->n && model->entries[at]->priority >= new->priority;) {
        at++;
    }
    memmove(&model->entries[at + 1], &model->entries[at],
            (model->n++ - at) * sizeof model->entries[0]);
    model->entries[at] = new;
    model->n_rest += new->rest;
}

static void
model_remove(struct model *model)
{
    if (model->n) {
        unsigned i = draw(&model->random, model->n);
        table_remove(&model->table, model->entries[i]->flow);
        retire_flow(&model->epoch, model->entries[i]->flow);
        take_out(model, i);
    }
}

/* Any of the flows with the highest priority that match will do. */
static void
check_found(const struct model *model, const struct flow_key *packet, const struct flow *found)
{
    const struct entry *best = NULL;

    for (unsigned i = 0; i < model->n; i++) {
        const struct entry *entry = model->entries[i];
        if (best && entry->priority < best->priority) {
            break;
        }
        if (matches(entry, packet)) {
            best = entry;
            if (entry->flow == found) {
                return;
            }
        }
    }
    assert_null(best);
    assert_null(found);
}

/* --- Packets ---------------------------------------------------------------------------------------- */

/* One that an entry matches, or that differs from that in one bit; some are any. */
static void
draw_packet(struct model *model, struct flow_key *packet)
{
    struct random *random = &model->random;
    const struct flow_key *other = &model->others[draw(random, N_OTHERS)];

    if (!model->n || percent(model, 3)) {
        *packet = *other;
        return;
    }
    const struct entry *like = model->entries[draw(random, model->n)];
    bool near = percent(model, 60);     /* The rest as in the entry, too. */
    *packet = near ? like->key : *other;
    for (unsigned i = 0; i < like->n_parts; i++) {
        const struct part *part = &like->parts[i];
        packet->word[part->word] = (packet->word[part->word] & ~part->mask) | part->value;
    }
    if (percent(model, 30)) {
        unsigned word = like->n_parts ? like->parts[draw(random, like->n_parts)].word
                                      : draw(random, N_KEY_WORDS);
        packet->word[word] ^= UINT64_C(1) << draw(random, 64);
    }
}

static unsigned
model_lookup(struct model *model)
{
    struct flow_key packets[PACKET_VECTOR];
    const struct flow_key *keys[PACKET_VECTOR];
    const struct flow *found[PACKET_VECTOR];
    unsigned n = 1 + draw(&model->random, PACKET_VECTOR);

    draw_key(&model->random, &model->others[draw(&model->random, N_OTHERS)],
             1 + draw(&model->random, 6));
    for (unsigned i = 0; i < n; i++) {
        draw_packet(model, &packets[i]);
        keys[i] = &packets[i];
    }
    table_lookup(&model->table, keys, n, found);
    for (unsigned i = 0; i < n; i++) {
        check_found(model, keys[i], found[i]);
    }
    return n;
}

/* --- The comparison ---------------------------------------------------------------------------------- */

static bool
is_chosen(const struct model *model)
{
    struct table_stats stats;

    table_stats(&model->table, &stats);
    return !model->shape->implementation
           || !strcmp(stats.implementation, model->shape->implementation);
}

/* Some changes; every so often a lookup between two of them. */
static unsigned
change(struct model *model, unsigned steps, unsigned percent_in)
{
    unsigned n = 0;

    for (unsigned i = 0; i < steps; i++) {
        if (percent(model, percent_in)) {
            model_insert(model);
        } else {
            model_remove(model);
        }
        if (percent(model, 5)) {
            n += is_chosen(model) ? model_lookup(model) : 0;
            table_work(&model->table, 100);
        }
    }
    return n;
}

/* Lets the table change to what fits it, a little at a time, with changes between the steps. */
static void
settle(struct model *model)
{
    for (unsigned i = 0; i < 1000; i++) {
        table_work(&model->table, 20);
        if (i < 50) {
            change(model, 1, model->n * 3 > model->max_flows ? 60 : 100);   /* It keeps its shape. */
        }
    }
}

static void
compare(const struct shape *shape, uint64_t seed, uint64_t n_packets)
{
    struct model *model = model_new(shape, seed);
    uint64_t n = 0;

    for (unsigned i = 0; i < model->max_flows * 2 && model->n < model->max_flows; i++) {
        model_insert(model);
    }
    settle(model);
    if (!is_chosen(model)) {
        struct table_stats stats;
        table_stats(&model->table, &stats);
        fail_msg("seed %llu: %s, not %s: %u flows, %u masks", (unsigned long long)seed,
                 stats.implementation, shape->implementation, stats.n_flows, stats.n_masks);
    }
    for (unsigned round = 0; round < ROUNDS || n < n_packets; round++) {
        n += is_chosen(model) ? model_lookup(model) : 0;
        n += change(model, draw(&model->random, 20), round % 8 < 4 ? 35 : 75);
        epoch_reclaim(&model->epoch);
    }
    while (model->n) {
        model_remove(model);
        table_work(&model->table, 100);
        if (percent(model, 10)) {
            model_lookup(model);
        }
    }
    model_lookup(model);
    model_free(model);
}

static uint64_t packets_per_table = 1000, n_tables = 1000;

static void
test_a_shape_agrees_with_the_list(void **state)
{
    const struct shape *shape = *state;

    for (uint64_t seed = 1; seed <= n_tables; seed++) {
        compare(shape, seed, packets_per_table);
    }
}

int
main(int argc, char *argv[])
{
    struct CMUnitTest tests[sizeof shapes / sizeof shapes[0]];
    size_t n_chosen = sizeof shapes / sizeof shapes[0];

    if (argc > 1) {
        packets_per_table = strtoull(argv[1], NULL, 10);
    }
    if (argc > 2) {
        n_tables = strtoull(argv[2], NULL, 10);
    }
    if (argc > 3) {
        cmocka_set_test_filter(argv[3]);
        n_chosen = 0;
    }
    for (unsigned i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        tests[i] = (struct CMUnitTest) {
            shapes[i].name, test_a_shape_agrees_with_the_list, NULL, NULL, (void *)&shapes[i],
        };
        n_chosen += argc > 3 && !strcmp(argv[3], shapes[i].name);
    }
    if (!n_chosen) {
        fprintf(stderr, "%s: no such shape\n", argv[3]);
        return 2;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
