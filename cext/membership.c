/* Membership: see membership.h. */

#include "membership.h"

#include "membership_private.h"

enum { TICK_MS = 10 };

const struct membership_config membership_defaults = {
    .robustness = 2, .interval_ms = 125000, .response_ms = 10000, .last_member_ms = 1000,
    .max_members = 4096, .max_sources = 64,
};

static const struct ip_address any = { { 0, 0 } };

static bool
is_any(const struct ip_address *address)
{
    return !address->word[0] && !address->word[1];
}

static struct membership_asking *
asking_of(struct membership *membership, uint8_t family)
{
    return &membership->asking[family == IP_V6];
}

/* How long a member is one without another report (RFC 3376, 8.4). */
static uint64_t
member_ms(struct membership *membership, uint8_t family)
{
    const struct membership_asking *asking = asking_of(membership, family);

    return (uint64_t)asking->robustness * asking->interval_ms + asking->response_ms;
}

/* Whether it is us who ask.  Queries of MLD need a source. */
static bool
is_querier(struct membership *membership, uint8_t family)
{
    const struct membership_asking *asking = asking_of(membership, family);

    return membership->config.is_querier && asking->other_until_ms <= membership->now_ms
           && (family == IP_V4 || !is_any(&asking->source));
}

static void
tell(struct membership *membership, uint8_t family, const struct ip_address *group)
{
    membership->owner->changed(membership->context, family, group);
}

/* --- Timers and queries --------------------------------------------------------------------------- */

static void
sooner(uint64_t *earliest, uint64_t due_ms)
{
    if (due_ms && (!*earliest || due_ms < *earliest)) {
        *earliest = due_ms;
    }
}

/* A member has one timer, for whatever comes first. */
static void
start_timer(struct membership *membership, struct membership_member *member)
{
    uint64_t earliest = member->query_ms;

    if (member->is_exclude) {
        sooner(&earliest, member->due_ms);
    }
    for (unsigned i = 0; i < member->n_sources; i++) {
        sooner(&earliest, member->sources[i].due_ms);
    }
    timer_stop(&membership->wheel, &member->timer);
    if (earliest) {
        timer_start(&membership->wheel, &member->timer, (earliest + TICK_MS - 1) / TICK_MS);
    }
}

static void
send_query(struct membership *membership, uint32_t port, struct membership_query *query)
{
    const struct membership_asking *asking = asking_of(membership, query->family);
    uint8_t packet[MEMBERSHIP_QUERY_MAX];

    query->from = asking->source;
    query->robustness = membership->config.robustness;
    query->interval_ms = membership->config.interval_ms;
    membership->owner->send(membership->context, port, query->family, packet,
                            membership_build(packet, query));
}

/* What a member's hosts understand (RFC 3376, 7.3.2); version 1 has no query for a group. */
static uint8_t
version_of(const struct membership *membership, const struct membership_member *member)
{
    return member->older_ms[0] > membership->now_ms ? 1
           : member->older_ms[1] > membership->now_ms ? 2 : 3;
}

/* Asks for the group, and for its sources, that are on the way out (RFC 3376, 6.6.3). */
static void
ask_member(struct membership *membership, struct membership_member *member)
{
    struct ip_address sources[UINT8_MAX];
    struct membership_query query = {
        .family = member->group->family, .group = member->group->address, .sources = sources,
        .version = version_of(membership, member) == 3 ? 3 : 2,
        .response_ms = membership->config.last_member_ms,
    };
    bool more = false;

    if (member->n_queries) {
        more |= --member->n_queries;
        send_query(membership, member->port, &query);
    }
    for (unsigned i = 0; i < member->n_sources && query.n_sources < UINT8_MAX; i++) {
        struct membership_source_state *source = &member->sources[i];
        if (source->n_queries) {
            more |= --source->n_queries;
            sources[query.n_sources++] = source->address;
        }
    }
    if (query.n_sources && query.version == 3) {
        send_query(membership, member->port, &query);
    }
    member->query_ms = more ? membership->now_ms + membership->config.last_member_ms : 0;
}

/* What is not asked for again in time is over. */
static uint64_t
last_member_due(const struct membership *membership)
{
    return membership->now_ms + (uint64_t)membership->config.robustness
                                * membership->config.last_member_ms;
}

static void
lower(uint64_t *due_ms, uint64_t to_ms)
{
    *due_ms = *due_ms > to_ms ? to_ms : *due_ms;
}

static void
ask_for_group(struct membership *membership, struct membership_member *member)
{
    member->n_queries = membership->config.robustness;
    lower(&member->due_ms, last_member_due(membership));
    member->query_ms = membership->now_ms;
}

static void
ask_for_source(struct membership *membership, struct membership_member *member,
               struct membership_source_state *source)
{
    source->n_queries = membership->config.robustness;
    lower(&source->due_ms, last_member_due(membership));
    member->query_ms = membership->now_ms;
}

/* --- Reports (RFC 3376, 6.4) ------------------------------------------------------------------------ */

/* What becomes of a source that is reported and not there yet. */
enum fresh { FRESH_NOT, FRESH_WANTED, FRESH_UNWANTED, FRESH_LIKE_GROUP };

/* Which sources are asked for. */
enum asked { ASKED_NONE, ASKED_REPORTED, ASKED_OTHERS };

/* A row for each state and change.  Of the sources, those that are wanted have a time. */
struct rule {
    bool to_exclude;
    uint8_t fresh;                      /* enum fresh */
    bool refreshes;                     /* Those reported are wanted for the whole time again. */
    bool prunes;                        /* Those not reported go. */
    bool restarts;                      /* The group is wanted for the whole time again. */
    uint8_t asks;                       /* enum asked, of those that are wanted. */
    bool asks_group;
};

static const struct rule rules[2][MEMBERSHIP_BLOCK + 1] = {
    {   /* INCLUDE */
        [MEMBERSHIP_IS_INCLUDE] = { .fresh = FRESH_WANTED, .refreshes = true },
        [MEMBERSHIP_IS_EXCLUDE] = { .to_exclude = true, .fresh = FRESH_UNWANTED, .prunes = true,
                                    .restarts = true },
        [MEMBERSHIP_TO_INCLUDE] = { .fresh = FRESH_WANTED, .refreshes = true, .asks = ASKED_OTHERS },
        [MEMBERSHIP_TO_EXCLUDE] = { .to_exclude = true, .fresh = FRESH_UNWANTED, .prunes = true,
                                    .restarts = true, .asks = ASKED_REPORTED },
        [MEMBERSHIP_ALLOW]      = { .fresh = FRESH_WANTED, .refreshes = true },
        [MEMBERSHIP_BLOCK]      = { .asks = ASKED_REPORTED },
    },
    {   /* EXCLUDE */
        [MEMBERSHIP_IS_INCLUDE] = { .fresh = FRESH_WANTED, .refreshes = true },
        [MEMBERSHIP_IS_EXCLUDE] = { .fresh = FRESH_WANTED, .prunes = true, .restarts = true },
        [MEMBERSHIP_TO_INCLUDE] = { .fresh = FRESH_WANTED, .refreshes = true, .asks = ASKED_OTHERS,
                                    .asks_group = true },
        [MEMBERSHIP_TO_EXCLUDE] = { .fresh = FRESH_LIKE_GROUP, .prunes = true, .restarts = true,
                                    .asks = ASKED_REPORTED },
        [MEMBERSHIP_ALLOW]      = { .fresh = FRESH_WANTED, .refreshes = true },
        [MEMBERSHIP_BLOCK]      = { .fresh = FRESH_LIKE_GROUP, .asks = ASKED_REPORTED },
    },
};

static bool
is_reported(const struct membership_record *record, uint8_t family, const struct ip_address *address)
{
    for (unsigned i = 0; i < record->n_sources; i++) {
        struct ip_address reported = membership_source(family, record->sources, i);
        if (ip_equal(&reported, address)) {
            return true;
        }
    }
    return false;
}

/* What becomes of the sources that are there. */
static void
revise_sources(struct membership *membership, struct membership_member *member,
               const struct membership_record *record, const struct rule *rule)
{
    uint8_t family = member->group->family;
    uint64_t whole_ms = membership->now_ms + member_ms(membership, family);

    for (unsigned i = member->n_sources; i-- > 0;) {
        bool reported = is_reported(record, family, &member->sources[i].address);

        if (!reported && rule->prunes) {
            membership_drop_source(member, i);
        } else if (reported && rule->refreshes) {
            member->sources[i].due_ms = whole_ms;
            member->sources[i].n_queries = 0;
        }
    }
}

/* Who wants more sources than there is room for wants all. */
static void
widen(struct membership *membership, struct membership_member *member)
{
    member->n_sources = 0;
    member->is_exclude = true;
    member->due_ms = membership->now_ms + member_ms(membership, member->group->family);
    membership->counters.widened++;
}

static void
add_sources(struct membership *membership, struct membership_member *member,
            const struct membership_record *record, const struct rule *rule)
{
    uint8_t family = member->group->family;
    const uint64_t dues[] = {
        [FRESH_WANTED] = membership->now_ms + member_ms(membership, family),
        [FRESH_UNWANTED] = 0, [FRESH_LIKE_GROUP] = member->due_ms,
    };

    for (unsigned i = 0; i < record->n_sources && rule->fresh != FRESH_NOT; i++) {
        struct ip_address address = membership_source(family, record->sources, i);

        if (!membership_find_source(member, &address)
            && !membership_add_source(membership, member, &address, dues[rule->fresh])) {
            widen(membership, member);
            return;
        }
    }
}

static void
ask_for_sources(struct membership *membership, struct membership_member *member,
                const struct membership_record *record, enum asked asks)
{
    for (unsigned i = 0; i < member->n_sources && asks != ASKED_NONE; i++) {
        struct membership_source_state *source = &member->sources[i];
        bool reported = is_reported(record, member->group->family, &source->address);

        if (source->due_ms && reported == (asks == ASKED_REPORTED)) {
            ask_for_source(membership, member, source);
        }
    }
}

/* Has a member do what its table says; only who asks lowers its times himself. */
static void
apply(struct membership *membership, struct membership_member *member,
      const struct membership_record *record)
{
    const struct rule *rule = &rules[member->is_exclude][record->change];
    uint8_t family = member->group->family;

    revise_sources(membership, member, record, rule);
    add_sources(membership, member, record, rule);
    member->is_exclude |= rule->to_exclude;
    if (rule->restarts) {
        member->due_ms = membership->now_ms + member_ms(membership, family);
        member->n_queries = 0;
    }
    if (is_querier(membership, family)) {
        ask_for_sources(membership, member, record, rule->asks);
        if (rule->asks_group) {
            ask_for_group(membership, member);
        }
        if (member->query_ms == membership->now_ms) {
            ask_member(membership, member);
        }
    }
}

/* While a host of an older version is there, others do not leave as only newer ones can (RFC 3376, 7.3.2).
 * Returns false if the record says nothing then. */
static bool
adapt(const struct membership *membership, const struct membership_member *member,
      struct membership_record *record)
{
    uint8_t version = version_of(membership, member);

    if (version < 3 && record->change == MEMBERSHIP_TO_EXCLUDE) {
        record->n_sources = 0;
    }
    return !(version < 3 && record->change == MEMBERSHIP_BLOCK)
           && !(version < 2 && record->change == MEMBERSHIP_TO_INCLUDE);
}

/* Whether a record wants something of a group, so that it makes a member. */
static bool
wants_some(const struct membership_record *record)
{
    return record->change == MEMBERSHIP_IS_EXCLUDE || record->change == MEMBERSHIP_TO_EXCLUDE
           || (record->change != MEMBERSHIP_BLOCK && record->n_sources);
}

/* 224.0.0.0/24; ff02::1 and what does not leave the host: they go everywhere. */
static bool
is_kept(uint8_t family, const struct ip_address *group)
{
    unsigned scope = group->word[0] >> 48 & 15;

    return family == IP_V4 ? group->word[1] >> 8 != 0xe00000
                           : scope > 1 && !(scope == 2 && group->word[1] == 1
                                            && !(group->word[0] & UINT64_C(0xffffffffffff)));
}

static void
take_record(struct membership *membership, uint32_t port, const struct membership_message *message,
            struct membership_record *record)
{
    struct membership_member *member =
        wants_some(record)
            ? membership_get_member(membership, message->family, &record->group, port)
            : membership_find_member(membership_find(membership, message->family, &record->group),
                                     port);

    if (!member) {
        return;
    }
    if (message->version < 3 && record->change == MEMBERSHIP_IS_EXCLUDE) {
        member->older_ms[message->version - 1] =
            membership->now_ms + member_ms(membership, message->family);
    }
    if (adapt(membership, member, record)) {
        apply(membership, member, record);
    }
    if (!member->is_exclude && !member->n_sources) {
        membership_remove_member(membership, member);
    } else {
        start_timer(membership, member);
    }
    tell(membership, message->family, &record->group);
}

/* --- Queries that come ------------------------------------------------------------------------------ */

static void
note_router(struct membership *membership, uint32_t port, uint8_t family)
{
    const struct membership_asking *asking = asking_of(membership, family);
    int place = -1;

    for (int i = 0; i < MEMBERSHIP_ROUTERS; i++) {
        if (membership->routers[i].port == port && membership->routers[i].family == family) {
            place = i;
            break;
        }
        place = place < 0 && !membership->routers[i].port ? i : place;
    }
    if (place < 0) {
        membership->counters.refused++;
        return;
    }
    bool is_new = !membership->routers[place].port;

    membership->routers[place].port = port;
    membership->routers[place].family = family;
    membership->routers[place].until_ms = membership->now_ms
        + (uint64_t)asking->robustness * asking->interval_ms + asking->response_ms / 2;
    if (is_new) {
        tell(membership, family, &any);
    }
}

static bool
is_lower(const struct ip_address *a, const struct ip_address *b)
{
    return a->word[0] != b->word[0] ? a->word[0] < b->word[0] : a->word[1] < b->word[1];
}

/* With the first query it is known who is there when all have had the time to answer. */
static void
await_reports(const struct membership *membership, struct membership_asking *asking)
{
    if (!asking->known_ms) {
        asking->known_ms = membership->now_ms + asking->response_ms;
    }
}

/* Of those that ask, the one with the lowest address does it (RFC 3376, 6.6.2); others do as it says. */
static void
elect(struct membership *membership, const struct membership_message *message)
{
    struct membership_asking *asking = asking_of(membership, message->family);

    if (!is_any(&asking->source) && is_lower(&asking->source, &message->from)
        && membership->config.is_querier) {
        return;
    }
    asking->robustness = message->robustness ? message->robustness : membership->config.robustness;
    asking->interval_ms = message->interval_ms ? message->interval_ms
                                               : membership->config.interval_ms;
    if (is_any(&message->group)) {
        asking->response_ms = message->response_ms;
    }
    asking->other_until_ms = membership->now_ms + (uint64_t)asking->robustness * asking->interval_ms
                             + asking->response_ms / 2;
    await_reports(membership, asking);
}

/* What another querier asks for ends soon, unless somebody reports (RFC 3376, 6.6.1). */
static void
lower_timers(struct membership *membership, const struct membership_message *message)
{
    const struct membership_group *group =
        membership_find(membership, message->family, &message->group);
    uint64_t to_ms = membership->now_ms
                     + (uint64_t)asking_of(membership, message->family)->robustness
                       * message->response_ms;

    for (struct membership_member *member = group ? group->members : NULL; member;
         member = member->next) {
        if (!message->n_sources) {
            lower(&member->due_ms, to_ms);
        }
        for (unsigned i = 0; i < message->n_sources; i++) {
            struct ip_address address = membership_source(message->family, message->sources, i);
            struct membership_source_state *source = membership_find_source(member, &address);
            if (source) {
                lower(&source->due_ms, to_ms);
            }
        }
        start_timer(membership, member);
    }
}

static void
take_query(struct membership *membership, uint32_t port, const struct membership_message *message)
{
    membership->counters.queries++;
    if (!is_any(&message->from)) {
        elect(membership, message);
        note_router(membership, port, message->family);
    }
    if (!is_any(&message->group) && !message->is_suppressed) {
        lower_timers(membership, message);
    }
}

enum membership_verdict
membership_receive(struct membership *membership, uint32_t port, const uint8_t *packet, size_t len,
                   uint64_t now_ms)
{
    struct membership_message message;
    struct membership_record record;

    membership->now_ms = now_ms;
    if (!membership_parse(packet, len, &message)) {
        membership->counters.ignored++;
        return MEMBERSHIP_OTHER;
    }
    if (message.is_query) {
        take_query(membership, port, &message);
        return MEMBERSHIP_QUERY;
    }
    membership->counters.reports++;
    while (membership_next(&message, &record)) {
        if (is_kept(message.family, &record.group)) {
            take_record(membership, port, &message, &record);
        }
    }
    return MEMBERSHIP_REPORT;
}

/* --- Time --------------------------------------------------------------------------------------------- */

/* Sources that are over go, or are not wanted; when the group is, what is left are those that are
 * wanted (RFC 3376, 6.5 and 6.2.2). */
static bool
end_sources(const struct membership *membership, struct membership_member *member)
{
    bool is_over = member->is_exclude && member->due_ms <= membership->now_ms, changed = is_over;

    for (unsigned i = member->n_sources; i-- > 0;) {
        struct membership_source_state *source = &member->sources[i];

        if (source->due_ms && source->due_ms <= membership->now_ms) {
            *source = (struct membership_source_state) { source->address, 0, 0 };
            changed = true;
        }
        if (!source->due_ms && (is_over || !member->is_exclude)) {
            membership_drop_source(member, i);
        }
    }
    member->is_exclude &= !is_over;
    return changed;
}

static void
expire(struct timer *timer, void *membership_)
{
    struct membership *membership = membership_;
    struct membership_member *member = (void *)((char *)timer
                                                - offsetof(struct membership_member, timer));
    struct ip_address group = member->group->address;
    uint8_t family = member->group->family;
    bool changed = end_sources(membership, member);

    if (member->query_ms && member->query_ms <= membership->now_ms) {
        ask_member(membership, member);
    }
    if (!member->is_exclude && !member->n_sources) {
        membership_remove_member(membership, member);
    } else {
        start_timer(membership, member);
    }
    if (changed) {
        tell(membership, family, &group);
    }
}

/* RFC 3376, 8.6 and 8.7: at first more often. */
static void
ask_all(struct membership *membership, uint8_t family)
{
    struct membership_asking *asking = asking_of(membership, family);
    struct membership_query query = {
        .family = family, .version = 3, .response_ms = membership->config.response_ms,
    };

    if (!is_querier(membership, family) || membership->now_ms < asking->due_ms) {
        return;
    }
    if (!asking->due_ms || asking->other_until_ms) {    /* It begins, or the other one is gone. */
        asking->n_startup = membership->config.robustness;
        asking->other_until_ms = 0;
        asking->robustness = membership->config.robustness;
        asking->interval_ms = membership->config.interval_ms;
        asking->response_ms = membership->config.response_ms;
    }
    asking->n_startup -= asking->n_startup > 0;
    asking->due_ms = membership->now_ms
                     + membership->config.interval_ms / (asking->n_startup ? 4 : 1);
    send_query(membership, MEMBERSHIP_ALL_PORTS, &query);
    await_reports(membership, asking);
}

/* Tells when it begins to be known who wants what, and when nobody asks any more. */
static void
revise_known(struct membership *membership, uint8_t family)
{
    struct membership_asking *asking = asking_of(membership, family);
    bool is_asked = is_querier(membership, family) || asking->other_until_ms > membership->now_ms;
    bool is_known = is_asked && asking->known_ms && asking->known_ms <= membership->now_ms;

    asking->known_ms = is_asked ? asking->known_ms : 0;
    if (asking->is_known != is_known) {
        asking->is_known = is_known;
        tell(membership, family, &any);
    }
}

static void
forget_routers(struct membership *membership)
{
    for (unsigned i = 0; i < MEMBERSHIP_ROUTERS; i++) {
        if (membership->routers[i].port && membership->routers[i].until_ms <= membership->now_ms) {
            membership->routers[i].port = 0;
            tell(membership, membership->routers[i].family, &any);
        }
    }
}

void
membership_advance(struct membership *membership, uint64_t now_ms)
{
    membership->now_ms = now_ms;
    timer_wheel_advance(&membership->wheel, now_ms / TICK_MS, expire, membership);
    forget_routers(membership);
    ask_all(membership, IP_V4);
    ask_all(membership, IP_V6);
    revise_known(membership, IP_V4);
    revise_known(membership, IP_V6);
}

/* --- The owner's ---------------------------------------------------------------------------------------- */

bool
membership_is_known(const struct membership *membership, uint8_t family)
{
    return membership->asking[family == IP_V6].is_known;
}

bool
membership_has_router(const struct membership *membership, uint32_t port, uint8_t family)
{
    for (unsigned i = 0; i < MEMBERSHIP_ROUTERS; i++) {
        if (membership->routers[i].port == port && membership->routers[i].family == family) {
            return true;
        }
    }
    return false;
}

bool
membership_member_wants(const struct membership_member *member, const struct ip_address *source)
{
    const struct membership_source_state *state = membership_find_source(member, source);

    return state ? state->due_ms != 0 : member->is_exclude;
}

bool
membership_wants(const struct membership *membership, uint32_t port, uint8_t family,
                 const struct ip_address *group, const struct ip_address *source)
{
    const struct membership_member *member =
        membership_find_member(membership_find(membership, family, group), port);

    if (!is_kept(family, group) || !membership_is_known(membership, family)
        || membership_has_router(membership, port, family)) {
        return true;
    }
    return member && membership_member_wants(member, source);
}

/* Removes the members of a port; 0: of all. */
static void
remove_members(struct membership *membership, uint32_t port)
{
    for (unsigned i = 0; i < MEMBERSHIP_CHAINS; i++) {
        for (struct membership_group *group = membership->chains[i], *next; group; group = next) {
            struct ip_address address = group->address;
            uint8_t family = group->family;
            bool changed = false;

            next = group->next;
            for (struct membership_member *member = group->members, *after; member; member = after) {
                after = member->next;
                if (!port || member->port == port) {
                    membership_remove_member(membership, member);
                    changed = true;
                }
            }
            if (changed && port) {
                tell(membership, family, &address);
            }
        }
    }
}

void
membership_remove_port(struct membership *membership, uint32_t port)
{
    remove_members(membership, port);
    for (unsigned i = 0; i < MEMBERSHIP_ROUTERS; i++) {
        if (membership->routers[i].port == port) {
            membership->routers[i].port = 0;
            tell(membership, membership->routers[i].family, &any);
        }
    }
}

void
membership_set_source(struct membership *membership, uint8_t family, const struct ip_address *source)
{
    asking_of(membership, family)->source = *source;
}

void
membership_open(struct membership *membership, const struct membership_config *config,
                const struct membership_owner *owner, void *context, uint64_t now_ms)
{
    *membership = (struct membership) {
        .config = *config, .owner = owner, .context = context, .now_ms = now_ms,
    };
    for (unsigned i = 0; i < 2; i++) {
        membership->asking[i] = (struct membership_asking) {
            .robustness = config->robustness, .interval_ms = config->interval_ms,
            .response_ms = config->response_ms,
        };
    }
    timer_wheel_init(&membership->wheel, now_ms / TICK_MS);
}

void
membership_close(struct membership *membership)
{
    remove_members(membership, 0);
}
