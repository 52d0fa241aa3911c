/* A match that decodes is the same after it was encoded and decoded again; instructions that decode
 * point to nothing but what was sent, and end; a template of them, given its own examples as arguments, is
 * what was sent, and all that runs of it lies in its bytes or in the arguments. */

#include "driver.h"

#include <stdlib.h>
#include <string.h>

#include "../cext/openflow.h"
#include "../cext/stamping.h"
#include "bytes.h"
#include "ofwire.h"

enum { THE_GROUP = 7, PACKET_OUT = 1, WITH_MATCH = 2 };

static void
check(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* --- Matches: the input is a match. ------------------------------------------------------- */

/* Decodes a match at 'data'; if there is one, it survives.  Returns its size, or 0. */
static size_t
try_match(const uint8_t *data, size_t size, struct of_match *match)
{
    struct buffer out = { 0 };
    struct of_match again;
    size_t used = 0, used_again = 0;

    if (ofwire_get_match(data, size, match, &used) != OFWIRE_OK) {
        return 0;
    }
    check(used && used <= size && used % 8 == 0);
    ofwire_put_match(&out, &match->key, &match->mask);
    check(!out.failed);
    check(ofwire_get_match(out.data, out.len, &again, &used_again) == OFWIRE_OK);
    check(used_again == out.len);
    check(!memcmp(match, &again, sizeof again));
    for (unsigned i = 0; i < N_KEY_WORDS; i++) {
        check(!(match->key.word[i] & ~match->mask.word[i]));
    }
    buffer_close(&out);
    return used;
}

/* --- Actions and instructions: flags, a table, perhaps a match, then they. ------------------ */

/* A bridge of which nothing but programs and groups is needed. */
struct stage {
    struct dataplane dataplane;
    struct bridge bridge;
    struct group group;
};

static struct stage *
stage_open(void)
{
    struct stage *stage = calloc(1, sizeof *stage);

    check(stage);
    stage->bridge.dataplane = &stage->dataplane;
    stage->group.id = THE_GROUP;
    epoch_init(&stage->dataplane.epoch);
    check(!program_store_open(&stage->dataplane.programs));
    stamping_take(&stage->dataplane);
    check(!group_insert(&stage->bridge.groups, &stage->dataplane.epoch, &stage->group));
    return stage;
}

static void
stage_close(struct stage *stage)
{
    check(!stage->dataplane.programs.n_programs);
    idmap_close(&stage->bridge.groups.map);
    program_store_close(&stage->dataplane.programs);
    plugins_close(&stage->dataplane);
    epoch_close(&stage->dataplane.epoch);
    free(stage);
}

static bool
is_end(unsigned op)
{
    return op == OP_done || op == OP_action_set || op == OP_goto_table;
}

/* One of a plug-in that is there, as long as its arguments take, which it takes. */
static void
check_native(const struct insn *insn, const uint8_t *args)
{
    const struct raicho_instruction *native = insn->native;
    unsigned subtype = get_be16(args + 8);

    check(native && native->subtype == subtype && subtype >= RAICHO_SUBTYPES);
    check(insn->size % 8 == 0 && insn->size >= 10 + native->args_size && insn->size < 18 + native->args_size);
    check(!native->check || native->check(args + 10));
}

/* Each instruction lies in the 'size' bytes of arguments; the last one, and only that, ends. */
static void
check_insns(const struct insn *insns, unsigned n, const uint8_t *args, size_t size)
{
    check(n > 0);
    for (unsigned i = 0; i < n; i++) {
        check(insns[i].op < N_OPS);
        check(is_end(insns[i].op) == (i + 1 == n));
        check((size_t)insns[i].at + insns[i].size <= size);
        check(insns[i].op != OP_set_field || field_table[insns[i].field].settable);
        if (insns[i].op == OP_native) {
            check_native(&insns[i], args + insns[i].at);
        } else if (insns[i].op == OP_write_actions) {
            check_insns(insns[i].sub->insns, insns[i].sub->n, args, size);
        } else {
            check(!insns[i].sub);
        }
    }
}

static void
check_order(const struct insn_list *list)
{
    for (unsigned i = 1; i < list->n; i++) {
        check(op_table[list->insns[i - 1].op].order <= op_table[list->insns[i].op].order);
    }
}

/* --- Templates ------------------------------------------------------------------------------- */

/* What the template's program does is what was sent, and its bytes lie where it points: among the
 * template's or an entry's. */
static void
check_points(const struct template_version *version)
{
    const struct program *program = version->program;
    size_t size = version->args_size;
    unsigned n = 0;

    for (unsigned i = 0; i < program->n; i++) {
        const struct insn *insn = &program->insns[i];
        if (insn->op == OP_point) {
            check(!insn->bytes || insn->bytes == version->bytes);
            size = insn->bytes ? version->size : version->args_size;
            continue;
        }
        check(insn->op == version->shape->insns[n++].op);
        check(!insn->size || (size_t)insn->at + insn->size <= size);
        for (unsigned j = 0; insn->op == OP_write_actions && j < insn->sub->n; j++) {
            check((size_t)insn->sub->insns[j].at + insn->sub->insns[j].size <= size);
        }
    }
    check(n == version->shape->n && program->goes_on == version->shape->goes_on);
}

/* The arguments that are the examples themselves. */
static void
check_examples(struct template_version *version)
{
    uint8_t *args = malloc(version->args_size ? version->args_size : 1);
    size_t from = 0;

    check(args);
    for (unsigned i = 0; i < version->n_holes; i++) {
        const struct hole *hole = &version->holes[i];
        check(hole->from == from && hole->size && hole->at + hole->size <= version->size);
        check(!i || hole->at >= version->holes[i - 1].at + version->holes[i - 1].size);
        memcpy(args + from, version->bytes + hole->at, hole->size);
        from += hole->size;
    }
    check(from == version->args_size);
    check(!memcmp(template_expand(version, args), version->bytes, version->size));
    free(args);
}

/* Makes a template of instructions that decode; their first bytes say what its parameters are. */
static void
try_template(struct program_store *store, const struct insn_list *list, const uint8_t *data,
             size_t size)
{
    uint64_t parameters = size >= 24 ? get_be64(data + 16) : size;
    struct hole holes[TEMPLATE_ITEMS];
    unsigned n;

    if (size > TEMPLATE_SIZE || ofwire_get_holes(data, size, parameters, holes, &n) != OFWIRE_OK) {
        return;
    }
    const struct template_plan plan = {
        .name = "fuzzed", .parameters = parameters, .bytes = data, .size = (uint16_t)size,
        .insns = list->insns, .n = list->n, .holes = holes, .n_holes = n,
    };
    struct template_version *version = template_version_new(store, &plan);
    check(version && n == (unsigned)__builtin_popcountll(parameters));
    check_points(version);
    check_examples(version);
    template_version_free(store, version);
}

/* What a message or an instruction that names a template says lies in it. */
static void
try_names(const uint8_t *data, size_t size)
{
    struct of_template_use use;
    struct of_template_mod mod;

    if (ofwire_get_template_use(data, size, &use) == OFWIRE_OK && use.found) {
        check(use.args + use.size == data + size && use.size % 8 == 0);
    }
    if (ofwire_get_template_mod(data, size, &mod) == OFWIRE_OK) {
        check(mod.instructions + mod.size == data + size && mod.command <= TEMPLATE_DELETE);
    }
}

static void
try_scope(const struct of_scope *scope, const uint8_t *data, size_t size)
{
    struct program_store *store = &scope->bridge->dataplane->programs;
    struct insn_list list = { 0 };

    if (ofwire_get_actions(scope, data, data, size, &list) == OFWIRE_OK) {
        check_insns(list.insns, list.n, data, size);
    }
    if (ofwire_get_action_set(scope, data, data, size, &list) == OFWIRE_OK) {
        check_insns(list.insns, list.n, data, size);
        check_order(&list);
    }
    if (ofwire_get_instructions(scope, data, size, &list) == OFWIRE_OK) {
        check_insns(list.insns, list.n, data, size);
        try_template(store, &list, data, size);
        program_release(store, program_intern(store, list.insns, list.n));
    } else {
        check(!list.write);
    }
    insn_list_close(&list);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct of_match match;
    struct of_scope scope = { 0 };
    size_t used;

    try_match(data, size, &match);
    try_names(data, size);
    if (size < 2) {
        return 0;
    }

    struct stage *stage = stage_open();

    scope.bridge = &stage->bridge;
    scope.in_packet_out = data[0] & PACKET_OUT;
    scope.table = data[1];
    used = data[0] & WITH_MATCH ? try_match(data + 2, size - 2, &match) : 0;
    scope.match = used ? &match : NULL;
    try_scope(&scope, data + 2 + used, size - 2 - used);
    stage_close(stage);
    return 0;
}

/* --- Seeds ------------------------------------------------------------------------------------ */

static void
seed_tcp(struct frame *f)
{
    size_t start = of_begin_match(f);

    of_oxm(f, FIELD_in_port, 1);
    of_oxm_masked(f, FIELD_metadata, 1, 3);
    of_oxm(f, FIELD_eth_type, ETH_TYPE_IPV4);
    of_oxm_masked(f, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT);
    of_oxm(f, FIELD_vlan_pcp, 3);
    of_oxm(f, FIELD_ip_proto, IP_PROTO_TCP);
    of_oxm_masked(f, FIELD_ipv4_dst, 0x0a000000, 0xff000000);
    of_oxm(f, FIELD_tcp_dst, 80);
    of_end_match(f, start);
}

static void
seed_nd(struct frame *f)
{
    size_t start = of_begin_match(f);

    of_oxm(f, FIELD_eth_type, ETH_TYPE_IPV6);
    of_oxm(f, FIELD_ip_proto, IP_PROTO_ICMPV6);
    of_oxm_masked(f, FIELD_ipv6_src, 0xff00, 0xff00);
    of_oxm_masked(f, FIELD_ipv6_flabel, 1, 1);
    of_oxm(f, FIELD_icmpv6_type, ND_SOLICITATION);
    of_oxm(f, FIELD_ipv6_nd_target, 5);
    of_oxm(f, FIELD_ipv6_nd_sll, 6);
    of_oxm_masked(f, FIELD_ipv6_exthdr, 0, 0x100);
    of_end_match(f, start);
}

static void
seed_tags(struct frame *f)
{
    size_t start = of_begin_match(f);

    of_oxm(f, FIELD_eth_type, ETH_TYPE_MPLS);
    of_oxm(f, FIELD_mpls_label, 0xabcde);
    of_oxm(f, FIELD_mpls_tc, 1);
    of_oxm(f, FIELD_mpls_bos, 1);
    of_oxm(f, FIELD_tunnel_id, 9);
    of_end_match(f, start);
}

static void
seed_actions(struct frame *f)
{
    of_short(f, 17, (uint32_t)ETH_TYPE_VLAN << 16);
    of_set_field(f, FIELD_vlan_vid, VID_PRESENT | 5);
    of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16);
    of_set_field(f, FIELD_mpls_label, 5);
    of_short(f, 20, (uint32_t)ETH_TYPE_IPV4 << 16);
    of_short(f, 21, 1);
    of_short(f, 22, THE_GROUP);
    of_short(f, 24, 0);
    of_output(f, PORT_CONTROLLER);
}

static void
seed_instructions(struct frame *f)
{
    size_t start = of_begin_actions(f, 4);

    seed_actions(f);
    of_end(f, start);
    of_short(f, 5, 0);
    start = of_begin_actions(f, 3);
    seed_actions(f);
    of_end(f, start);
    of_metadata(f, 1, 3);
    of_short(f, 1, 9 << 24);
}

static void
seed_flow(struct frame *f)
{
    frame_add16(f, WITH_MATCH << 8 | 3);
    seed_tcp(f);
    seed_instructions(f);
}

static void
seed_list(struct frame *f)
{
    frame_add16(f, PACKET_OUT << 8 | 0xff);
    seed_actions(f);
}

static void
seed_experimenter(struct frame *f, uint32_t subtype, uint16_t first, uint32_t others)
{
    frame_add32(f, 0xffffu << 16 | 16);
    frame_add32(f, RAICHO);
    frame_add32(f, subtype << 16 | first);
    frame_add32(f, others);
}

/* Those of raicho's own, and of a plug-in. */
static void
seed_experimenters(struct frame *f)
{
    seed_experimenter(f, 1, 0, 1);
    seed_experimenter(f, 2, 0, 1);
    seed_experimenter(f, STAMP_SUBTYPE, 0x0a0b, 0x0cu << 24);
    seed_experimenter(f, HALVE_SUBTYPE, 0, 0);
}

static void
seed_own(struct frame *f)
{
    frame_add16(f, 0xff);
    seed_experimenters(f);
}

/* The same as items of a template, of which the third and fourth are parameters. */
static void
seed_own_parameters(struct frame *f)
{
    frame_add16(f, 0);
    of_metadata(f, 0, 0x19);
    size_t start = of_begin_actions(f, 4);
    seed_experimenters(f);
    of_end(f, start);
}

static void
seed_entry(struct frame *f)
{
    frame_add16(f, 0);
    seed_instructions(f);
}

static void
seed_use(struct frame *f)
{
    size_t start = f->len;

    frame_add32(f, 0xffffu << 16);
    frame_add32(f, RAICHO);
    frame_add32(f, 1 << 16);
    frame_add32(f, 1);
    of_output(f, 1);
    of_end(f, start);
}

static void
seed_template(struct frame *f)
{
    frame_add32(f, 4u << 24 | 4 << 16);
    frame_add32(f, 1);
    frame_add32(f, RAICHO);
    frame_add32(f, 1);
    frame_add32(f, 0);
    frame_add32(f, 1);
    frame_add32(f, 0);
    frame_add32(f, 5);
    for (unsigned i = 0; i < TEMPLATE_NAME; i++) {
        frame_add8(f, i < 5 ? 'a' : 0);
    }
    seed_instructions(f);
}

/* Items 0, 2 and 12: what follows has 24 bytes and more in front of it that say so. */
static void
seed_parameters(struct frame *f)
{
    frame_add16(f, 0);
    of_metadata(f, 0, 0x1005);
    size_t start = of_begin_actions(f, 4);
    seed_actions(f);
    of_end(f, start);
    start = of_begin_actions(f, 3);
    seed_actions(f);
    of_end(f, start);
}

size_t
fuzz_seed(unsigned i, uint8_t *buf, size_t cap)
{
    static void (*const seeds[])(struct frame *) = {
        seed_tcp, seed_nd, seed_tags, seed_flow, seed_list, seed_entry, seed_use, seed_template,
        seed_parameters, seed_own, seed_own_parameters,
    };
    struct frame f = { .len = 0 };

    if (i >= sizeof seeds / sizeof *seeds) {
        return 0;
    }
    seeds[i](&f);
    check(f.len <= cap);
    memcpy(buf, f.data, f.len);
    return f.len;
}
