#ifndef TEST_HEXACTIONS_H
#define TEST_HEXACTIONS_H

/* Flow entries whose actions are given as bytes, in hexadecimal as ovs-ofctl encodes them. */

#include "rig.h"

static inline void
frame_add_hex(struct frame *f, const char *hex)
{
    unsigned digits = 0, value = 0;

    for (; *hex; hex++) {
        if (*hex == ' ') {
            continue;
        }
        value = value << 4 | (unsigned)(*hex <= '9' ? *hex - '0' : *hex - 'a' + 10);
        if (++digits % 2 == 0) {
            frame_add8(f, value & 0xff);
            value = 0;
        }
    }
    CHECK(digits % 8 == 0);
}

/* Adds a flow with these actions to apply, in front of the instructions of 'flow'. */
static inline uint32_t
rig_hex_flow(struct rig *rig, const struct wire_flow *flow, const char *actions)
{
    size_t start = wire_flow_head(&rig->f, flow);

    wire_match(&rig->f, flow->match, flow->n_match);
    size_t apply = of_begin_actions(&rig->f, WIRE_APPLY);
    frame_add_hex(&rig->f, actions);
    of_end(&rig->f, apply);
    wire_instructions(&rig->f, flow);
    of_end(&rig->f, start);
    return rig_apply(rig);
}

/* Adds a group, whose only bucket has these actions. */
static inline uint32_t
rig_hex_group(struct rig *rig, uint32_t id, const char *actions)
{
    size_t start = wire_begin(&rig->f, WIRE_GROUP_MOD);

    frame_add32(&rig->f, 0);
    frame_add32(&rig->f, id);
    size_t bucket = rig->f.len;
    frame_add32(&rig->f, 0);
    frame_add32(&rig->f, PORT_ANY);
    frame_add32(&rig->f, GROUP_ANY);
    frame_add32(&rig->f, 0);
    frame_add_hex(&rig->f, actions);
    put_be16(rig->f.data + bucket, (uint16_t)(rig->f.len - bucket));
    of_end(&rig->f, start);
    return rig_apply(rig);
}

#define HEX_FLOW(ACTIONS, ...) \
    rig_hex_flow(rig, &(const struct wire_flow) { __VA_ARGS__ }, ACTIONS)

/* What ovs-ofctl 3.1 makes of the actions in the names. */
#define RESUBMIT_2 "ffff0010 00002320 000efff8 02000000"
#define RESUBMIT_3 "ffff0010 00002320 000efff8 03000000"
#define RESUBMIT_SAME "ffff0010 00002320 000efff8 ff000000"
#define RESUBMIT_PORT_3 "ffff0010 00002320 000e0003 02000000"
#define LOAD_1_REG1 "ffff0018 00002320 0007001f 00010204 00000000 00000001"
#define LOAD_2_REG1 "ffff0018 00002320 0007001f 00010204 00000000 00000002"
#define LOAD_1_REG3_LOW_BYTE "ffff0018 00002320 00070007 00010604 00000000 00000001"
#define LOAD_3_IN_PORT "ffff0018 00002320 0007000f 00000002 00000000 00000003"
#define LOAD_3_ETH_DST "ffff0018 00002320 0007002f 00000206 00000000 00000003"
#define MOVE_REG1_REG2 "ffff0018 00002320 00060020 00000000 00010204 00010404"
#define MOVE_SRC_DST "ffff0018 00002320 00060030 00000000 00000406 00000206"
#define OUTPUT_REG1 "ffff0018 00002320 000f001f 00010204 ffff0000 00000000"
#define OUTPUT_REG2 "ffff0018 00002320 000f001f 00010404 ffff0000 00000000"
#define PUSH_REG1 "ffff0018 00002320 001b0000 00010204 00200000 00000000"
#define POP_REG2 "ffff0018 00002320 001c0000 00010404 00200000 00000000"
#define DEC_TTL "ffff0010 00002320 00120000 00000000"
#define NOTE_01_02 "ffff0010 00002320 00080102 00000000"
#define CONTROLLER_NO_MATCH "ffff0010 00002320 00140080 00030000"
#define POP_QUEUE "ffff0010 00002320 00050000 00000000"
#define OUTPUT_1 "00000010 00000001 ffff0000 00000000"
#define OUTPUT_2 "00000010 00000002 ffff0000 00000000"
#define OUTPUT_3 "00000010 00000003 ffff0000 00000000"
#define OUTPUT_4 "00000010 00000004 ffff0000 00000000"
#define OUTPUT_NORMAL "00000010 fffffffa 00000000 00000000"
/* learn(table=3,idle_timeout=10,NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],
 *       load:NXM_OF_IN_PORT[]->NXM_NX_REG0[0..15],output:NXM_OF_IN_PORT[]) */
#define LEARN_SWITCH                                                                          \
    "ffff0058 00002320 0010000a 00008000 00000000 00000000 00000300 00000000 000c0000 "       \
    "08020000 00000802 00000030 00000406 00000000 02060000 08100000 00020000 00010004 "       \
    "00001010 00000002 00000000 00000000"
/* learn(table=3,NXM_NX_REG1[]=5) */
#define LEARN_REG1_5                                                                          \
    "ffff0030 00002320 00100000 00008000 00000000 00000000 00000300 00000000 20200000 "       \
    "00050001 02040000 00000000"

#endif
