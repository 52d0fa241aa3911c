/* Actions and instructions of OpenFlow 1.3: what they become, and every error. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "decoding.h"

enum { APPLY = 4, WRITE = 3, THIS_TABLE = 5 };

/* --- Actions ------------------------------------------------------------------------------- */

/* Decodes actions of packets of which nothing is known. */
static uint32_t
decode_actions(struct decoding *t, bool in_packet_out)
{
    const struct of_scope scope = {
        .bridge = t->bridge, .table = 0xff, .in_packet_out = in_packet_out,
    };

    return ofwire_get_actions(&scope, t->f.data, t->f.data, t->f.len, &t->list);
}

static void
assert_ops(const struct insn_list *list, unsigned n, const uint8_t *ops)
{
    assert_int_equal(list->n, n);
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(list->insns[i].op, ops[i]);
    }
}

#define ASSERT_OPS(LIST, ...)                                       \
    assert_ops(LIST, sizeof((const uint8_t[]){ __VA_ARGS__ }),      \
               (const uint8_t[]){ __VA_ARGS__ })

/* All actions but set-field. */
static void
add_every_action(struct frame *f)
{
    of_output(f, 1);
    of_short(f, 11, 0);
    of_short(f, 12, 0);
    of_short(f, 15, 9 << 24);
    of_short(f, 16, 0);
    of_short(f, 17, (uint32_t)ETH_TYPE_VLAN << 16);
    of_short(f, 18, 0);
    of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16);
    of_short(f, 20, (uint32_t)ETH_TYPE_IPV4 << 16);
    of_short(f, 21, 3);
    of_short(f, 22, THE_GROUP);
    of_short(f, 23, 9 << 24);
    of_short(f, 24, 0);
    of_short(f, 26, (uint32_t)ETH_TYPE_PBB << 16);
    of_short(f, 27, 0);
}

static void
actions_become_instructions_in_their_order(void **state)
{
    struct decoding *t = *state;

    add_every_action(&t->f);
    of_set_field(&t->f, FIELD_ipv4_dst, 1);
    assert_int_equal(decode_actions(t, false), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_output, OP_copy_ttl_out, OP_copy_ttl_in, OP_set_mpls_ttl,
               OP_dec_mpls_ttl, OP_push_vlan, OP_pop_vlan, OP_push_mpls, OP_pop_mpls, OP_set_queue,
               OP_group, OP_set_nw_ttl, OP_dec_nw_ttl, OP_push_pbb, OP_pop_pbb, OP_set_field,
               OP_done);
    assert_int_equal(t->list.insns[1].at, 16);
    assert_int_equal(t->list.insns[1].size, 8);
    assert_int_equal(t->list.insns[15].field, FIELD_ipv4_dst);
    assert_int_equal(t->list.insns[15].at + t->list.insns[15].size, t->f.len);
}

static void
offsets_count_from_the_base(void **state)
{
    struct decoding *t = *state;
    const struct of_scope scope = { .bridge = t->bridge };

    frame_payload(&t->f, 24);
    of_output(&t->f, 1);
    assert_int_equal(ofwire_get_actions(&scope, t->f.data, t->f.data + 24, 16, &t->list), OFWIRE_OK);
    assert_int_equal(t->list.insns[0].at, 24);
}

static void
every_settable_field_can_be_set(void **state)
{
    struct decoding *t = *state;

    for (unsigned field = 0; field < N_FIELDS; field++) {
        t->f.len = 0;
        of_set_field(&t->f, field, 1);
        assert_int_equal(decode_actions(t, false),
                         field_table[field].settable
                             ? OFWIRE_OK
                             : OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_BAD_SET_TYPE));
    }
}

static void
outputs_go_to_ports_that_make_sense(void **state)
{
    static const struct {
        uint32_t port;
        bool in_flow, in_packet_out;
    } cases[] = {
        { 0, false, false },
        { 1, true, true },
        { PORT_MAX, true, true },
        { PORT_MAX + 1, false, false },
        { PORT_IN_PORT, true, true },
        { PORT_TABLE, false, true },
        { PORT_NORMAL, true, true },
        { PORT_FLOOD, true, true },
        { PORT_ALL, true, true },
        { PORT_CONTROLLER, true, true },
        { PORT_LOCAL, false, false },
        { PORT_ANY, false, false },
    };
    const uint32_t bad = OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_BAD_OUT_PORT);
    struct decoding *t = *state;

    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        t->f.len = 0;
        of_output(&t->f, cases[i].port);
        assert_int_equal(decode_actions(t, false), cases[i].in_flow ? OFWIRE_OK : bad);
        assert_int_equal(decode_actions(t, true), cases[i].in_packet_out ? OFWIRE_OK : bad);
    }
}

#define ACTION(TYPE, SIZE) frame_add16(f, TYPE), frame_add16(f, SIZE)

/* X(code, actions) */
#define BAD_ACTIONS(X)                                                                        \
    X(BAD_TYPE, of_short(f, 1, 0))                                                            \
    X(BAD_TYPE, of_short(f, 28, 0))                                                           \
    X(BAD_TYPE, of_short(f, 0xfffe, 0))                                                       \
    X(BAD_EXPERIMENTER, of_short(f, 0xffff, 0x2321))                                          \
    X(BAD_LEN, of_short(f, 0xffff, 0x2320))                                                   \
    X(BAD_EXP_TYPE, ACTION(0xffff, 16); frame_add32(f, 0x2320); frame_add32(f, 0x630000);     \
      frame_add32(f, 0))                                                                      \
    X(BAD_LEN, ACTION(18, 8))                                                                 \
    X(BAD_LEN, ACTION(18, 4); frame_add32(f, 0))                                              \
    X(BAD_LEN, ACTION(18, 16); frame_add32(f, 0))                                             \
    X(BAD_LEN, ACTION(18, 12); frame_add32(f, 0); frame_add32(f, 0))                          \
    X(BAD_LEN, ACTION(18, 16); frame_add32(f, 0); frame_add48(f, 0); frame_add48(f, 0))       \
    X(BAD_LEN, ACTION(0, 8); frame_add32(f, 1))                                               \
    X(BAD_LEN, of_output(f, 1); frame_add16(f, 0))                                            \
    X(BAD_OUT_GROUP, of_short(f, 22, THE_GROUP + 1))                                          \
    X(BAD_OUT_GROUP, of_short(f, 22, GROUP_ANY))                                              \
    X(BAD_QUEUE, of_short(f, 21, 0xffffffff))                                                 \
    X(BAD_ARGUMENT, of_short(f, 17, (uint32_t)ETH_TYPE_QINQ << 16))                           \
    X(BAD_ARGUMENT, of_short(f, 19, (uint32_t)ETH_TYPE_IPV4 << 16))                           \
    X(BAD_ARGUMENT, of_short(f, 20, 5 << 16))                                                 \
    X(BAD_ARGUMENT, of_short(f, 26, (uint32_t)ETH_TYPE_VLAN << 16))                           \
    X(BAD_SET_TYPE, of_set_field(f, FIELD_in_port, 1))                                        \
    X(BAD_SET_TYPE, ACTION(25, 16); OXM(0x8000, 40 << 1, 4); frame_add32(f, 0);               \
      frame_add32(f, 0))                                                                      \
    X(BAD_SET_TYPE, ACTION(25, 24); of_oxm_masked(f, FIELD_eth_dst, 0, 1); frame_add32(f, 0)) \
    X(BAD_SET_LEN, ACTION(25, 16); OXM(0x8000, 5 << 1, 4); frame_add32(f, 0);                 \
      frame_add32(f, 0))                                                                      \
    X(BAD_SET_LEN, ACTION(25, 8); OXM(0x8000, 5 << 1, 2))                                     \
    X(BAD_SET_LEN, ACTION(25, 24); of_oxm(f, FIELD_eth_type, 1); frame_add48(f, 0);           \
      frame_add48(f, 0); frame_add16(f, 0))                                                   \
    X(BAD_SET_ARGUMENT, of_set_field(f, FIELD_ip_dscp, 64))                                   \
    X(BAD_SET_ARGUMENT, of_set_field(f, FIELD_mpls_label, 0x100000))                          \
    X(BAD_SET_ARGUMENT, of_set_field(f, FIELD_vlan_vid, 0x3001))

#define BUILD_BAD_ACTION(CODE, ...) \
    case __COUNTER__ - FIRST: __VA_ARGS__; return OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_##CODE);

static uint32_t
build_bad_action(struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        BAD_ACTIONS(BUILD_BAD_ACTION)
    }
    return OFWIRE_OK;
}

static void
every_error_in_an_action_has_its_code(void **state)
{
    struct decoding *t = *state;
    const struct of_scope scope = { .bridge = t->bridge };

    for (int i = 0;; i++) {
        t->f.len = 0;

        uint32_t error = build_bad_action(&t->f, i);

        if (error == OFWIRE_OK) {
            assert_int_equal(i, 29);
            break;
        }
        assert_int_equal(decode_actions(t, false), error);
        assert_int_equal(ofwire_get_action_set(&scope, t->f.data, t->f.data, t->f.len, &t->list),
                         error);
    }
}

/* --- Action sets ----------------------------------------------------------------------------- */

static uint32_t
decode_set(struct decoding *t)
{
    const struct of_scope scope = { .bridge = t->bridge };

    return ofwire_get_action_set(&scope, t->f.data, t->f.data, t->f.len, &t->list);
}

static void
an_action_set_has_its_own_order(void **state)
{
    struct decoding *t = *state;

    add_every_action(&t->f);
    of_set_field(&t->f, FIELD_ipv4_dst, 1);
    of_set_field(&t->f, FIELD_eth_dst, 1);
    assert_int_equal(decode_set(t), OFWIRE_OK);
    for (unsigned i = 1; i + 1 < t->list.n; i++) {
        const struct insn *one = &t->list.insns[i - 1], *other = &t->list.insns[i];

        assert_true(op_table[one->op].order <= op_table[other->op].order);
    }
    /* The group leaves nothing to the output. */
    assert_int_equal(t->list.n, 17);
    assert_int_equal(t->list.insns[15].op, OP_group);
    assert_int_equal(t->list.insns[16].op, OP_done);
    assert_int_equal(t->list.insns[0].op, OP_copy_ttl_in);
    assert_int_equal(t->list.insns[0].order, 2);
}

static void
later_actions_of_a_kind_replace_earlier_ones(void **state)
{
    struct decoding *t = *state;

    of_set_field(&t->f, FIELD_eth_dst, 1);
    of_output(&t->f, 1);
    of_set_field(&t->f, FIELD_eth_src, 1);
    of_set_field(&t->f, FIELD_eth_dst, 2);
    of_output(&t->f, 2);
    assert_int_equal(decode_set(t), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_set_field, OP_set_field, OP_output, OP_done);
    assert_int_equal(t->list.insns[0].field, FIELD_eth_dst);
    assert_int_equal(t->list.insns[0].order, 3);
    assert_int_equal(t->list.insns[1].field, FIELD_eth_src);
    assert_int_equal(t->list.insns[2].order, 4);
}

static void
an_action_set_is_not_endless(void **state)
{
    struct decoding *t = *state;

    for (unsigned i = 0; i < 256; i++) {
        of_short(&t->f, 18, 0);
    }
    assert_int_equal(decode_set(t), OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_TOO_MANY));
    t->f.len -= 8;
    assert_int_equal(decode_set(t), OFWIRE_OK);
}

/* --- Do actions agree with the match? -------------------------------------------------------- */

static uint32_t
decode_instructions(struct decoding *t, const struct of_match *match)
{
    const struct of_scope scope = { .bridge = t->bridge, .match = match, .table = THIS_TABLE };
    uint32_t error = ofwire_get_instructions(&scope, t->f.data, t->f.len, &t->list);

    if (error == OFWIRE_OK) {
        struct program_store *store = &t->dataplane.programs;

        program_release(store, program_intern(store, t->list.insns, t->list.n));
    } else {
        assert_null(t->list.write);
    }
    return error;
}

/* Whether a set-field agrees with what is known of the packets.  In an action set, whose order is
 * not the sender's, it is enough to agree with the match. */
enum agreement { NEVER, IN_A_SET, ALWAYS };

/* X(when it agrees, fields of the match, actions) */
#define AGREEMENTS(X)                                                                             \
    X(ALWAYS, (void)0, of_set_field(f, FIELD_eth_dst, 1))                                         \
    X(ALWAYS, (void)0, of_set_field(f, FIELD_vlan_vid, 0x1001))                                   \
    X(NEVER, (void)0, of_set_field(f, FIELD_ipv4_dst, 1))                                         \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x800), of_set_field(f, FIELD_ipv4_dst, 1))               \
    X(NEVER, of_oxm(m, FIELD_eth_type, 0x86dd), of_set_field(f, FIELD_ipv4_dst, 1))               \
    X(NEVER, of_oxm(m, FIELD_eth_type, 0x800), of_set_field(f, FIELD_tcp_dst, 1))                 \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x800); of_oxm(m, FIELD_ip_proto, 6),                     \
      of_set_field(f, FIELD_tcp_dst, 1))                                                          \
    X(NEVER, (void)0, of_set_field(f, FIELD_vlan_pcp, 1))                                         \
    X(ALWAYS, of_oxm_masked(m, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT),                         \
      of_set_field(f, FIELD_vlan_pcp, 1))                                                         \
    X(ALWAYS, (void)0, of_short(f, 17, (uint32_t)ETH_TYPE_VLAN << 16);                            \
      of_set_field(f, FIELD_vlan_pcp, 1))                                                         \
    X(IN_A_SET, of_oxm_masked(m, FIELD_vlan_vid, VID_PRESENT, VID_PRESENT),                       \
      of_short(f, 18, 0); of_set_field(f, FIELD_vlan_pcp, 1))                                     \
    X(ALWAYS, (void)0, of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16);                            \
      of_set_field(f, FIELD_mpls_label, 1))                                                       \
    X(IN_A_SET, of_oxm(m, FIELD_eth_type, 0x800),                                                 \
      of_short(f, 19, (uint32_t)ETH_TYPE_MPLS << 16); of_set_field(f, FIELD_ipv4_src, 1))         \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x8847),                                                  \
      of_short(f, 20, (uint32_t)ETH_TYPE_IPV6 << 16); of_set_field(f, FIELD_ipv6_flabel, 1))      \
    X(ALWAYS, (void)0, of_short(f, 26, (uint32_t)ETH_TYPE_PBB << 16);                             \
      of_set_field(f, FIELD_pbb_isid, 1))                                                         \
    X(IN_A_SET, of_oxm(m, FIELD_eth_type, 0x800), of_short(f, 26, (uint32_t)ETH_TYPE_PBB << 16);  \
      of_set_field(f, FIELD_ipv4_src, 1))                                                         \
    X(ALWAYS, of_oxm(m, FIELD_eth_type, 0x88e7), of_short(f, 27, 0);                              \
      of_set_field(f, FIELD_ipv4_src, 1))                                                         \
    X(ALWAYS, (void)0, of_set_field(f, FIELD_eth_type, 0x806); of_set_field(f, FIELD_arp_op, 1))

#define BUILD_AGREEMENT(AGREES, MATCH, ...)             \
    case __COUNTER__ - FIRST:                           \
        MATCH;                                          \
        __VA_ARGS__;                                    \
        return AGREES;

/* Returns when they agree (an enum agreement), or -1 if there is no such case. */
static int
build_agreement(struct frame *m, struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        AGREEMENTS(BUILD_AGREEMENT)
    }
    return -1;
}

static void
a_field_is_set_only_where_its_header_must_be(void **state)
{
    const uint32_t bad = OFWIRE_ERROR(OFPET_BAD_ACTION, OFPBAC_MATCH_INCONSISTENT);
    struct decoding *t = *state;
    struct frame m;
    size_t used;

    for (int i = 0;; i++) {
        m.len = t->f.len = 0;

        /* Odd: the same as write-actions. */
        size_t match = of_begin_match(&m), actions = of_begin_actions(&t->f, i % 2 ? WRITE : APPLY);
        int agreement = build_agreement(&m, &t->f, i / 2);
        bool agrees = agreement == ALWAYS || (i % 2 && agreement == IN_A_SET);

        if (agreement < 0) {
            assert_int_equal(i, 2 * 18);
            break;
        }
        of_end_match(&m, match);
        of_end(&t->f, actions);
        assert_int_equal(ofwire_get_match(m.data, m.len, &t->match, &used), OFWIRE_OK);
        assert_int_equal(decode_instructions(t, &t->match), agrees ? OFWIRE_OK : bad);
        assert_int_equal(decode_instructions(t, NULL), OFWIRE_OK);
    }
}

static void
write_actions_begin_with_what_apply_actions_leave(void **state)
{
    struct decoding *t = *state;
    struct of_match anything = { 0 };
    size_t start = of_begin_actions(&t->f, WRITE);

    of_set_field(&t->f, FIELD_mpls_label, 1);
    of_end(&t->f, start);
    start = of_begin_actions(&t->f, APPLY);
    of_short(&t->f, 19, (uint32_t)ETH_TYPE_MPLS << 16);
    of_end(&t->f, start);
    assert_int_equal(decode_instructions(t, &anything), OFWIRE_OK);
}

/* --- Instructions ----------------------------------------------------------------------------- */

static void
instructions_are_carried_out_in_their_order_however_sent(void **state)
{
    struct decoding *t = *state;
    struct frame *f = &t->f;

    of_short(f, 1, 6 << 24);
    of_metadata(f, 1, 3);

    size_t start = of_begin_actions(f, WRITE);

    of_output(f, 2);
    of_short(f, 18, 0);
    of_end(f, start);
    of_short(f, 5, 0);
    start = of_begin_actions(f, APPLY);
    of_output(f, 1);
    of_end(f, start);

    const struct of_scope scope = { .bridge = t->bridge, .table = THIS_TABLE };

    assert_int_equal(ofwire_get_instructions(&scope, f->data, f->len, &t->list), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_output, OP_clear_actions, OP_write_actions, OP_write_metadata,
               OP_goto_table);
    assert_int_equal(t->list.insns[0].at, f->len - 16);
    assert_int_equal(t->list.insns[3].at, 8);
    assert_int_equal(t->list.insns[4].at, 0);

    const struct program *set = t->list.insns[2].sub;

    assert_ptr_equal(set, t->list.write);
    assert_int_equal(set->n, 3);
    assert_int_equal(set->insns[0].op, OP_pop_vlan);
    assert_int_equal(set->insns[0].at, 8 + 24 + 8 + 16);
    assert_int_equal(set->insns[1].op, OP_output);
    assert_int_equal(set->insns[2].op, OP_done);
    program_release(&t->dataplane.programs, set);
}

static void
without_goto_the_action_set_ends_it(void **state)
{
    struct decoding *t = *state;

    assert_int_equal(decode_instructions(t, NULL), OFWIRE_OK);
    ASSERT_OPS(&t->list, OP_action_set);
}

static void
goto_leads_to_a_later_table(void **state)
{
    struct decoding *t = *state;

    for (unsigned table = 0; table < 256; table++) {
        t->f.len = 0;
        of_short(&t->f, 1, table << 24);
        assert_int_equal(decode_instructions(t, NULL),
                         table > THIS_TABLE && table < 255
                             ? OFWIRE_OK
                             : OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID));
    }
}

/* X(code, instructions) */
#define BAD_INSTRUCTIONS(X)                                                                   \
    X(UNKNOWN_INST, of_short(f, 0, 0))                                                        \
    X(UNKNOWN_INST, of_short(f, 7, 0))                                                        \
    X(BAD_EXPERIMENTER, of_short(f, 0xffff, 0x2321))                                          \
    X(DUP_INST, of_short(f, 5, 0); of_short(f, 5, 0))                                         \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 8))                                                   \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 4); frame_add32(f, 0))                                \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 12); frame_add32(f, 0); frame_add32(f, 0))            \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 16); frame_add32(f, 0))                               \
    X(BAD_LEN, frame_add32(f, 5 << 16 | 16); frame_add32(f, 0); frame_add48(f, 0);            \
      frame_add16(f, 0))                                                                      \
    X(BAD_LEN, of_short(f, 2, 0))

#define BUILD_BAD_INSTRUCTION(CODE, ...) \
    case __COUNTER__ - FIRST: __VA_ARGS__; return OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_##CODE);

static uint32_t
build_bad_instruction(struct frame *f, int i)
{
    enum { FIRST = __COUNTER__ + 1 };

    switch (i) {
        BAD_INSTRUCTIONS(BUILD_BAD_INSTRUCTION)
    }
    return OFWIRE_OK;
}

static void
every_error_in_an_instruction_has_its_code(void **state)
{
    struct decoding *t = *state;

    for (int i = 0;; i++) {
        t->f.len = 0;

        uint32_t error = build_bad_instruction(&t->f, i);

        if (error == OFWIRE_OK) {
            assert_int_equal(i, 10);
            break;
        }
        assert_int_equal(decode_instructions(t, NULL), error);
    }
}

static void
a_meter_that_is_not_there_or_is_virtual_is_refused(void **state)
{
    static const uint32_t bad[] = { 0, 9, METER_SLOWPATH, METER_CONTROLLER, METER_ALL };
    struct decoding *t = *state;

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        t->f.len = 0;
        of_short(&t->f, 6, bad[i]);
        assert_int_equal(decode_instructions(t, NULL), OFWIRE_OFPMMFC_UNKNOWN_METER);
    }
}

static void
an_error_behind_write_actions_leaves_no_program(void **state)
{
    struct decoding *t = *state;
    size_t start = of_begin_actions(&t->f, WRITE);

    of_output(&t->f, 2);
    of_end(&t->f, start);
    of_short(&t->f, 1, 0);
    assert_int_equal(decode_instructions(t, NULL),
                     OFWIRE_ERROR(OFPET_BAD_INSTRUCTION, OFPBIC_BAD_TABLE_ID));
    assert_int_equal(t->dataplane.programs.n_programs, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(actions_become_instructions_in_their_order),
        TEST(offsets_count_from_the_base),
        TEST(every_settable_field_can_be_set),
        TEST(outputs_go_to_ports_that_make_sense),
        TEST(every_error_in_an_action_has_its_code),
        TEST(an_action_set_has_its_own_order),
        TEST(later_actions_of_a_kind_replace_earlier_ones),
        TEST(an_action_set_is_not_endless),
        TEST(a_field_is_set_only_where_its_header_must_be),
        TEST(write_actions_begin_with_what_apply_actions_leave),
        TEST(instructions_are_carried_out_in_their_order_however_sent),
        TEST(without_goto_the_action_set_ends_it),
        TEST(goto_leads_to_a_later_table),
        TEST(every_error_in_an_instruction_has_its_code),
        TEST(a_meter_that_is_not_there_or_is_virtual_is_refused),
        TEST(an_error_behind_write_actions_leaves_no_program),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
