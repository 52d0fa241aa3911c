#ifndef TEST_DECODING_H
#define TEST_DECODING_H

/* What is needed to decode OpenFlow: a bridge with a group, and room for what comes out. */

#include <stdlib.h>

#include "ofwire.h"
#include "openflow.h"

enum { THE_GROUP = 7 };

/* A bridge with a group, and what was decoded last. */
struct decoding {
    struct dataplane dataplane;
    struct bridge *bridge;
    struct group group;
    struct of_match match;
    struct insn_list list;
    struct frame f;             /* What is decoded. */
};

static inline int
open_decoding(void **state)
{
    struct decoding *t = calloc(1, sizeof *t);

    t->bridge = calloc(1, sizeof *t->bridge);
    t->bridge->dataplane = &t->dataplane;
    t->group.id = THE_GROUP;
    epoch_init(&t->dataplane.epoch);
    assert_int_equal(program_store_open(&t->dataplane.programs), 0);
    assert_int_equal(group_insert(&t->bridge->groups, &t->dataplane.epoch, &t->group), 0);
    *state = t;
    return 0;
}

static inline int
close_decoding(void **state)
{
    struct decoding *t = *state;

    assert_int_equal(t->dataplane.programs.n_programs, 0);      /* No reference is lost. */
    insn_list_close(&t->list);
    idmap_close(&t->bridge->groups.map);
    program_store_close(&t->dataplane.programs);
    epoch_close(&t->dataplane.epoch);
    free(t->bridge);
    free(t);
    return 0;
}

/* The header of a field, in frame 'f'. */
#define OXM(CLASS, FIELD, SIZE) frame_add16(f, CLASS), frame_add8(f, FIELD), frame_add8(f, SIZE)

#define TEST(NAME) cmocka_unit_test_setup_teardown(NAME, open_decoding, close_decoding)

#endif
