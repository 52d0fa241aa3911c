/* Templates: see template.h.  What workers do is in op_template.c, what controllers say in
 * bridge_template.c. */

#include "template.h"

#include <stdlib.h>
#include <string.h>

/* The hole that what lies at 'at' is in, or null. */
static const struct hole *
hole_at(const struct template_plan *plan, unsigned at)
{
    for (unsigned i = 0; i < plan->n_holes; i++) {
        if (at >= plan->holes[i].at && at < plan->holes[i].at + plan->holes[i].size) {
            return &plan->holes[i];
        }
    }
    return NULL;
}

/* --- The program that runs -------------------------------------------------------------------- */

/* Instructions that have bytes, but nothing in them that they look at. */
static const bool bare[N_OPS] = {
    [OP_copy_ttl_out] = true, [OP_copy_ttl_in] = true, [OP_dec_mpls_ttl] = true,
    [OP_dec_nw_ttl] = true, [OP_pop_vlan] = true, [OP_pop_pbb] = true, [OP_clear_actions] = true,
    [OP_note] = true,
};

/* Lets an instruction find its bytes among an entry's arguments. */
static struct insn
moved(struct insn insn, const struct hole *hole)
{
    if (insn.size) {
        insn.at = (uint16_t) (insn.at - hole->at + hole->from);
    }
    return insn;
}

/* The actions of a write-actions that is an argument; null without memory. */
static const struct program *
move_set(struct program_store *store, const struct program *set, const struct hole *hole)
{
    struct insn *insns = malloc(set->n * sizeof *insns);

    if (!insns) {
        return NULL;
    }
    for (unsigned i = 0; i < set->n; i++) {
        insns[i] = moved(set->insns[i], hole);
    }
    const struct program *program = program_intern(store, insns, set->n);
    free(insns);
    return program;
}

/* Puts an instruction of the plan where it runs.  False without memory. */
static bool
place(struct program_store *store, const struct template_plan *plan, const struct insn *insn,
      struct insn *placed)
{
    const struct hole *hole = insn->size ? hole_at(plan, insn->at) : NULL;

    *placed = hole ? moved(*insn, hole) : *insn;
    if (insn->op != OP_write_actions) {
        return true;
    }
    placed->sub = hole ? move_set(store, insn->sub, hole) : program_refer(insn->sub);
    return placed->sub;
}

static void
drop_sets(struct program_store *store, const struct insn *insns, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (insns[i].op == OP_write_actions) {
            program_release(store, insns[i].sub);
        }
    }
}

/* Appends the plan's instructions, each with its own reference to its actions, and where their bytes
 * change places a "point" in front: to 'bytes' or to the entry's.  Without 'bytes' they stay where they
 * are.  Returns how many there are; 0 without memory. */
static unsigned
place_all(struct program_store *store, const struct template_plan *plan, const uint8_t *bytes,
          struct insn *insns)
{
    bool own = true;            /* So it is when an entry is met. */
    unsigned n = 0;

    for (unsigned i = 0; i < plan->n; i++) {
        const struct insn *insn = &plan->insns[i];
        bool looks = insn->size && !bare[insn->op];
        bool owned = looks ? hole_at(plan, insn->at) != NULL : own;

        if (bytes && owned != own) {
            insns[n++] = (struct insn) { .op = OP_point, .bytes = owned ? NULL : bytes };
            own = owned;
        }
        if (!place(store, plan, insn, &insns[n])) {
            drop_sets(store, insns, n);
            return 0;
        }
        if (bytes && !looks) {
            insns[n].at = insns[n].size = 0;    /* They may be elsewhere. */
        }
        n++;
    }
    return n;
}

/* Null without memory. */
static const struct program *
make_program(struct program_store *store, const struct template_plan *plan, const uint8_t *bytes)
{
    struct insn *insns = malloc(2 * plan->n * sizeof *insns);
    unsigned n = insns ? place_all(store, plan, bytes, insns) : 0;
    const struct program *program = n ? program_intern(store, insns, n) : NULL;

    if (n && !program) {
        drop_sets(store, insns, n);
    }
    free(insns);
    return program;
}

/* --- Versions ---------------------------------------------------------------------------------- */

static struct template_version *
version_alloc(const struct template_plan *plan)
{
    struct template_version *version = calloc(1, sizeof *version + 2 * plan->size);

    if (version) {
        version->expanded = version->bytes + plan->size;
        memcpy(version->bytes, plan->bytes, plan->size);
        memcpy(version->expanded, plan->bytes, plan->size);
    }
    return version;
}

static void
fill(struct template_version *version, const struct template_plan *plan)
{
    memcpy(version->name, plan->name, strnlen(plan->name, TEMPLATE_NAME - 1));
    version->parameters = plan->parameters;
    version->size = plan->size;
    version->n_holes = (uint8_t) plan->n_holes;
    version->own_end = hole_at(plan, plan->insns[plan->n - 1].at);
    for (unsigned i = 0; i < plan->n_holes; i++) {
        version->holes[i] = plan->holes[i];
        version->args_size += plan->holes[i].size;
    }
}

struct template_version *
template_version_new(struct program_store *store, const struct template_plan *plan)
{
    struct template_plan whole = *plan;
    struct template_version *version = version_alloc(plan);

    if (!version) {
        return NULL;
    }
    fill(version, plan);
    whole.n_holes = 0;
    version->shape = make_program(store, &whole, NULL);
    version->program = version->shape ? make_program(store, plan, version->bytes) : NULL;
    if (!version->program) {
        template_version_free(store, version);
        return NULL;
    }
    return version;
}

void
template_version_free(struct program_store *store, struct template_version *version)
{
    if (version->program) {
        program_release(store, version->program);
    }
    if (version->shape) {
        program_release(store, version->shape);
    }
    free(version);
}

const uint8_t *
template_expand(struct template_version *version, const uint8_t *args)
{
    for (unsigned i = 0; i < version->n_holes; i++) {
        const struct hole *hole = &version->holes[i];
        memcpy(version->expanded + hole->at, args + hole->from, hole->size);
    }
    return version->expanded;
}

/* --- Templates ---------------------------------------------------------------------------------- */

static void
release_programs(struct program_store *store, struct template *template)
{
    if (template->program) {
        program_release(store, template->program);
    }
    if (template->start) {
        program_release(store, template->start);
    }
}

struct template *
template_new(struct program_store *store, uint32_t id, struct template_version *version)
{
    struct template *template = calloc(1, sizeof *template);
    const struct insn insn = { .op = OP_template, .template = template };
    const struct insn start = { .op = OP_start, .template = template };

    if (!template) {
        return NULL;
    }
    template->id = id;
    template->program = program_intern(store, &insn, 1);
    template->start = program_intern(store, &start, 1);
    if (!template->program || !template->start) {
        release_programs(store, template);
        free(template);
        return NULL;
    }
    atomic_init(&template->version, version);
    return template;
}

void
template_free(struct program_store *store, struct template *template)
{
    release_programs(store, template);
    template_version_free(store, template_version(template));
    free(template);
}
