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

/* Interns the plan's instructions, each with its own reference to its actions; null without memory. */
static const struct program *
make_program(struct program_store *store, const struct template_plan *plan)
{
    struct insn *insns = malloc(plan->n * sizeof *insns);
    const struct program *program = NULL;
    unsigned n = 0;

    while (insns && n < plan->n && place(store, plan, &plan->insns[n], &insns[n])) {
        n++;
    }
    if (insns && n == plan->n) {
        program = program_intern(store, insns, n);
    }
    if (insns && !program) {
        drop_sets(store, insns, n);
    }
    free(insns);
    return program;
}

/* Divides the program by where its bytes are.  The ends and others without bytes join what is before
 * them.  Returns how many stretches there are. */
static unsigned
divide(const struct template_plan *plan, struct stretch *stretches)
{
    unsigned n = 0;
    bool own = true;            /* So it is when an entry is met. */

    for (unsigned i = 0; i < plan->n; i++) {
        bool owned = plan->insns[i].size ? hole_at(plan, plan->insns[i].at) != NULL : own;

        if (!n || owned != own) {
            stretches[n++] = (struct stretch) { .own = owned };
        }
        own = owned;
        stretches[n - 1].end = (uint16_t) (i + 1);
    }
    return n;
}

/* --- Versions ---------------------------------------------------------------------------------- */

static struct template_version *
version_alloc(const struct template_plan *plan)
{
    size_t stretches = plan->n * sizeof(struct stretch);
    struct template_version *version = calloc(1, sizeof *version + stretches + 2 * plan->size);

    if (version) {
        version->expanded = (uint8_t *) version->stretches + stretches;
        version->bytes = version->expanded + plan->size;
        memcpy(version->expanded, plan->bytes, plan->size);
        memcpy(version->expanded + plan->size, plan->bytes, plan->size);
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
    version->n_stretches = (uint16_t) divide(plan, version->stretches);
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
    version->shape = make_program(store, &whole);
    version->program = version->shape ? make_program(store, plan) : NULL;
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

struct template *
template_new(struct program_store *store, uint32_t id, struct template_version *version)
{
    struct template *template = calloc(1, sizeof *template);
    const struct insn insn = { .op = OP_template, .template = template };

    if (!template) {
        return NULL;
    }
    template->id = id;
    template->program = program_intern(store, &insn, 1);
    if (!template->program) {
        free(template);
        return NULL;
    }
    atomic_init(&template->version, version);
    return template;
}

void
template_free(struct program_store *store, struct template *template)
{
    program_release(store, template->program);
    template_version_free(store, template_version(template));
    free(template);
}
