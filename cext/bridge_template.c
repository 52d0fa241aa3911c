/* Templates of a bridge: defining, changing and removing them, and the entries that refer to them.
 *
 * Reference: docs/templates.md */

#include <stdlib.h>

#include "bridge_private.h"

/* --- Entries ------------------------------------------------------------------------------------- */

struct instructions
bridge_flow_instructions(const struct flow *flow)
{
    const struct template *template = program_template(flow->program);

    if (!template) {
        return (struct instructions) { flow->program, flow_args(flow), flow->args_size };
    }
    struct template_version *version = template_version(template);
    return (struct instructions) { version->shape, template_expand(version, flow_args(flow)),
                                   version->size };
}

uint32_t
bridge_check_arguments(const struct of_scope *scope, const struct entry_kind *kind,
                       struct template_version *version, const uint8_t *args, size_t size)
{
    struct insn_list list = { 0 };

    if (size != version->args_size) {
        return OFWIRE_TEMPLATE(BAD_ARGUMENTS);
    }
    const uint8_t *bytes = template_expand(version, args);
    uint32_t result = ofwire_get_instructions(scope, bytes, version->size, &list);
    if (result == OFWIRE_OK && !program_is(version->shape, list.insns, list.n)) {
        result = OFWIRE_TEMPLATE(BAD_ARGUMENTS);
    }
    if (result == OFWIRE_OK) {
        result = bridge_check_features(scope->bridge, scope->table, kind->miss, kind->match, bytes,
                                       version->size);
    }
    if (list.write) {
        program_release(&scope->bridge->dataplane->programs, list.write);
    }
    insn_list_close(&list);
    return result;
}

struct visiting {
    struct bridge *bridge;
    const struct template *template;
    uint32_t left;                      /* Entries not seen yet. */
    bool (*visit)(struct bridge *, struct flow *, void *);
    void *context;
};

static bool
visit_user(struct flow *flow, void *visiting_)
{
    struct visiting *visiting = visiting_;

    if (flow->program != visiting->template->program) {
        return true;
    }
    visiting->left--;
    if (!visiting->visit(visiting->bridge, flow, visiting->context)) {
        visiting->left = 0;
    }
    return visiting->left;
}

void
bridge_template_users(struct bridge *bridge, const struct template *template,
                      bool (*visit)(struct bridge *, struct flow *, void *), void *context)
{
    struct visiting visiting = { bridge, template, template->n_flows, visit, context };

    for (unsigned id = 0; id < BRIDGE_TABLES && visiting.left; id++) {
        if (bridge->tables[id].table.n_flows) {
            table_each(&bridge->tables[id].table, visit_user, &visiting);
        }
    }
}

/* --- Changing the version ---------------------------------------------------------------------------- */

struct checking {
    struct template_version *version;
    uint32_t result;
};

/* Whether an entry may be what a new version makes of it. */
static bool
check_user(struct bridge *bridge, struct flow *flow, void *checking_)
{
    struct checking *checking = checking_;
    struct of_match match;
    struct of_scope scope = { .bridge = bridge, .match = &match, .table = flow->table };
    const struct entry_kind kind = { .miss = flow_is_miss(flow) };

    flow_match(flow, &match.key, &match.mask);
    checking->result = bridge_check_arguments(&scope, &kind, checking->version, flow_args(flow),
                                              flow->args_size);
    return checking->result == OFWIRE_OK;
}

static bool
count_user(struct bridge *bridge, struct flow *flow, void *by)
{
    struct instructions what = bridge_flow_instructions(flow);

    bridge_count_references(bridge, what.program, what.bytes, *(const int *) by);
    return true;
}

/* Adds 'by' to the reference counts of what the entries of a template name now. */
static void
count_users(struct bridge *bridge, const struct template *template, int by)
{
    const struct program *shape = template_version(template)->shape;

    if (program_has(shape, OP_group) || program_has(shape, OP_meter)) {
        bridge_template_users(bridge, template, count_user, &by);
    }
}

void
bridge_set_version(struct bridge *bridge, struct template *template,
                   struct template_version *version)
{
    count_users(bridge, template, -1);
    atomic_store_explicit(&template->version, version, memory_order_release);
    bridge_begin_generation(bridge);
    count_users(bridge, template, 1);
    bridge_settle_starts(bridge);
}

/* --- Making ----------------------------------------------------------------------------------------- */

static uint32_t
decode(struct bridge *bridge, const struct of_template_mod *mod, struct insn_list *list,
       struct template_version **version)
{
    const struct of_scope scope = { .bridge = bridge, .in_template = true };
    struct hole holes[TEMPLATE_ITEMS];
    unsigned n_holes;
    uint32_t result = ofwire_get_instructions(&scope, mod->instructions, mod->size, list);

    if (result == OFWIRE_OK) {
        result = ofwire_get_holes(mod->instructions, mod->size, mod->parameters, holes, &n_holes);
    }
    if (result != OFWIRE_OK) {
        return result;
    }
    const struct template_plan plan = {
        .name = mod->name, .parameters = mod->parameters, .bytes = mod->instructions,
        .size = (uint16_t) mod->size, .insns = list->insns, .n = list->n, .holes = holes,
        .n_holes = n_holes,
    };
    *version = template_version_new(&bridge->dataplane->programs, &plan);
    return *version ? OFWIRE_OK : OFWIRE_TEMPLATE(NO_MEMORY);
}

static uint32_t
make_version(struct bridge *bridge, const struct of_template_mod *mod,
             struct template_version **version)
{
    struct insn_list list = { 0 };
    uint32_t result = decode(bridge, mod, &list, version);

    if (list.write) {
        program_release(&bridge->dataplane->programs, list.write);
    }
    insn_list_close(&list);
    return result;
}

/* --- Commands ----------------------------------------------------------------------------------------- */

static uint32_t
template_add(struct bridge *bridge, const struct of_template_mod *mod)
{
    struct program_store *programs = &bridge->dataplane->programs;
    struct template_version *version;

    if (template_find(bridge, mod->id)) {
        return OFWIRE_TEMPLATE(EXISTS);
    }
    uint32_t result = make_version(bridge, mod, &version);
    if (result != OFWIRE_OK) {
        return result;
    }
    struct template *template = template_new(programs, mod->id, version);
    if (!template) {
        template_version_free(programs, version);
        return OFWIRE_TEMPLATE(NO_MEMORY);
    }
    if (!bridge_may_change(bridge)
        || idmap_insert(&bridge->templates, &bridge->dataplane->epoch, template)) {
        template_free(programs, template);
        return OFWIRE_TEMPLATE(NO_MEMORY);
    }
    bridge_changed(bridge, (struct change) { CHANGE_TEMPLATE, .after = template });
    bridge_settle_starts(bridge);
    return OFWIRE_OK;
}

static uint32_t
template_modify(struct bridge *bridge, const struct of_template_mod *mod)
{
    struct template *template = template_find(bridge, mod->id);
    struct checking checking = { .result = OFWIRE_OK };

    if (!template) {
        return OFWIRE_TEMPLATE(UNKNOWN);
    }
    uint32_t result = make_version(bridge, mod, &checking.version);
    if (result != OFWIRE_OK) {
        return result;
    }
    if (bridge_count_starts(bridge, template) && !template_is_whole(checking.version)) {
        checking.result = OFWIRE_TEMPLATE(BAD_ARGUMENTS);
    } else {
        bridge_template_users(bridge, template, check_user, &checking);
    }
    if (checking.result == OFWIRE_OK && !bridge_may_change(bridge)) {
        checking.result = OFWIRE_TEMPLATE(NO_MEMORY);
    }
    if (checking.result != OFWIRE_OK) {
        template_version_free(&bridge->dataplane->programs, checking.version);
        return checking.result;
    }
    struct template_version *old = template_version(template);
    bridge_set_version(bridge, template, checking.version);
    bridge_changed(bridge, (struct change) { CHANGE_VERSION, old, checking.version, template, 0 });
    return OFWIRE_OK;
}

static void
remove_template(void *template, void *bridge_)
{
    struct bridge *bridge = bridge_;

    if (bridge_may_change(bridge)) {
        idmap_remove(&bridge->templates, template);
        bridge_changed(bridge, (struct change) { CHANGE_TEMPLATE, .before = template });
    }
}

struct using {
    const struct bridge *bridge;
    uint64_t n;                         /* Entries and ports that use templates. */
};

static void
sum_users(void *template_, void *using_)
{
    const struct template *template = template_;
    struct using *using = using_;

    using->n += template->n_flows + bridge_count_starts(using->bridge, template);
}

/* One that is not there is no error, as with groups; one that entries refer to, or ports start in, is. */
static uint32_t
template_delete(struct bridge *bridge, const struct of_template_mod *mod)
{
    struct template *template = template_find(bridge, mod->id);
    struct using using = { .bridge = bridge };

    if (mod->id == TEMPLATE_ALL) {
        idmap_each(&bridge->templates, sum_users, &using);
    } else if (template) {
        sum_users(template, &using);
    }
    if (using.n) {
        return OFWIRE_TEMPLATE(IN_USE);
    }
    if (mod->id == TEMPLATE_ALL) {
        idmap_each(&bridge->templates, remove_template, bridge);
    } else if (template) {
        remove_template(template, bridge);
    }
    return OFWIRE_OK;
}

uint32_t
bridge_template_mod(struct bridge *bridge, const uint8_t *message, size_t size, uint64_t now_ms)
{
    static uint32_t (*const commands[])(struct bridge *, const struct of_template_mod *) = {
        [TEMPLATE_ADD] = template_add, [TEMPLATE_MODIFY] = template_modify,
        [TEMPLATE_DELETE] = template_delete,
    };
    struct of_template_mod mod;
    uint32_t result = ofwire_get_template_mod(message, size, &mod);

    (void) now_ms;
    return result == OFWIRE_OK ? commands[mod.command](bridge, &mod) : result;
}

/* --- Letting go ------------------------------------------------------------------------------------------ */

static void
release_version(void *version, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;

    template_version_free(&dataplane->programs, version);
}

void
bridge_retire_version(struct bridge *bridge, struct template_version *version)
{
    epoch_retire(&bridge->dataplane->epoch, version, release_version, bridge->dataplane);
}

static void
release_template(void *template, void *dataplane_)
{
    struct dataplane *dataplane = dataplane_;

    template_free(&dataplane->programs, template);
}

void
bridge_retire_template(void *template, void *bridge_)
{
    struct bridge *bridge = bridge_;

    epoch_retire(&bridge->dataplane->epoch, template, release_template, bridge->dataplane);
}

void
bridge_close_templates(struct bridge *bridge)
{
    idmap_each(&bridge->templates, bridge_retire_template, bridge);
    idmap_close(&bridge->templates);
}
