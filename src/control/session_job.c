/* What the API asks of sessions. */
#include "control/engine-int.h"
#include "control/event_json.h"
#include "control/log_walk.h"
#include "control/result_text.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

/* {"type":"limit","max_list_cost":{"amount":"2500","currency":"USD"}}: whole cents; core counts in
 * millionths of one. null: none. */
static bool budget_read(struct str json, bool *budgeted, uint64_t *cap)
{
    struct str amount = json_slice_get(json_slice_get(json, "max_list_cost"), "amount");
    *budgeted = !str_eq(json, STR("null"));
    *cap = 0;
    if (!*budgeted)
        return true;
    return amount.n > 2 && str_to_u64((struct str){ amount.p + 1, amount.n - 2 }, cap) &&
           !__builtin_mul_overflow(*cap, UINT64_C(1000000), cap);
}

/* --- create --- */

struct create_job {
    struct job job;
    struct session_draft draft; /* copied */
};

static int session_begin(struct actor *a, const struct session_draft *d, struct err *e)
{
    a->record = (struct session_record){
        .id = a->name,
        .workspace = d->workspace,
        .environment = d->environment,
        .agent = d->agent,
        .agent_version = d->agent_version,
    };
    if (!session_record_members(&a->record, d->members))
        return err_set(e, E_BUG, 0, "the members of a new session are no JSON");
    if (actor_catalogue(a, e) < 0)
        return -1;
    a->s = session_new();
    a->history = history_new(RESULT_CHARACTERS_MAX);
    a->g->counters.sessions_loaded++;
    return 0;
}

static void create(struct batch *b, struct job *j)
{
    const struct session_draft *d = &((struct create_job *)j)->draft;
    struct actor *a = b->a;
    struct err e = { 0 };
    struct fact fact = {
        .type = FACT_CREATED,
        .created = { .members = d->members, .events = d->events, .count = d->event_count },
    };
    if (session_begin(a, d, &e) < 0) {
        actor_unload(a);
        refuse_store(&j->refusal, &e);
        return;
    }
    if (!budget_read(str_of(a->record.members[MEMBER_BUDGET]), &fact.created.budgeted,
                     &fact.created.cap)) {
        actor_unload(a);
        refusal_set(&j->refusal, 400, NULL, "budget: the amount must be whole cents");
        return;
    }
    if (batch_fact(b, &fact, &j->refusal) < 0) {
        actor_unload(a);
        return;
    }
    a->record.created_at = a->s->created_at;
    b->created = b->changed = true;
    j->wants_session = true;
}

void engine_session_create(struct engine *g, const struct session_draft *draft,
                           engine_answer *answer, void *ctx)
{
    struct create_job *c = job_new(sizeof *c, create);
    const struct asker asker = { .workspace = draft->workspace };
    const struct id id = id_make("sesn_", &g->parts.random);
    job_answer_to(&c->job, &asker, answer, ctx);
    c->draft = *draft;
    c->draft.members = job_json(&c->job, draft->members);
    c->draft.events = job_events(&c->job, draft->events, draft->event_count);
    actor_push(actor_of(g, &id), &c->job);
}

/* --- send --- */

struct send_job {
    struct job job;
    const struct event *events; /* copied */
    size_t count;
};

/* A queued input that an earlier transaction has written. */
static bool queued_answer(const struct session *s, const struct id *id, struct buf *out)
{
    for (size_t i = 0; i < s->queue_count; i++) {
        struct event e = s->queue[i].event;
        if (!id_eq(&e.id, id))
            continue;
        AUTO_BUF text = { 0 };
        AUTO_BUF inner = { 0 };
        e.queued = e.type;
        e.type = EVENT_INTERNAL_QUEUED;
        event_json_write(&e, &text, &inner);
        json_write_raw(out, buf_str(&text));
        return true;
    }
    return false;
}

static int stored_answer(struct batch *b, const struct id *id, struct buf *out, struct err *e)
{
    struct store *store = b->g->parts.store;
    struct entry entry;
    AUTO_ARENA arena;
    arena_init(&arena, 256 << 20);
    int found = store->ops->entry(store, &b->a->name, id, &entry, &arena, e);
    if (found < 0)
        return -1;
    if (found == 0)
        return err_set(e, E_BUG, 0, "the stored event %s is missing", id->text);
    json_write_raw(out, entry.body);
    return 0;
}

static int answers_write(struct batch *b, struct buf *out, struct err *e)
{
    json_write_object(out);
    json_write_key(out, STR("data"));
    json_write_array(out);
    for (size_t i = 0; i < b->d.answer_count; i++) {
        const struct id *id = &b->d.answers[i];
        struct str here = batch_text(b, id);
        if (here.n)
            json_write_raw(out, here);
        else if (!queued_answer(b->a->s, id, out) && stored_answer(b, id, out, e) < 0)
            return -1;
    }
    json_write_array_end(out);
    json_write_object_end(out);
    return 0;
}

static void send(struct batch *b, struct job *j)
{
    const struct send_job *s = (struct send_job *)j;
    const struct fact fact = {
        .type = FACT_CLIENT,
        .client = { .worker = j->asker.kind != ASKER_API_KEY,
                    .work = j->asker.work,
                    .events = s->events,
                    .count = s->count },
    };
    struct err e = { 0 };
    if (actor_load_for(b, &j->asker, &j->refusal) == 0 && batch_fact(b, &fact, &j->refusal) == 0 &&
        answers_write(b, &j->json, &e) < 0)
        refuse_store(&j->refusal, &e);
}

void engine_session_send(struct engine *g, const struct asker *asker, const struct id *session,
                         const struct event *events, size_t count, engine_answer *answer, void *ctx)
{
    struct send_job *s = job_new(sizeof *s, send);
    job_answer_to(&s->job, asker, answer, ctx);
    s->events = job_events(&s->job, events, count);
    s->count = count;
    actor_push(actor_of(g, session), &s->job);
}

/* --- update --- */

struct update_job {
    struct job job;
    struct str members[SESSION_MEMBERS]; /* empty: kept */
};

/* Puts the new members in place; *was are those that they replace, NULL where nothing changed. */
static void members_swap(struct session_record *r, const struct str *members, char **was,
                         struct buf *changed)
{
    static const enum session_member order[] = { MEMBER_AGENT, MEMBER_BUDGET, MEMBER_METADATA,
                                                 MEMBER_TITLE };
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const enum session_member m = order[i];
        if (members[m].n == 0 || str_eq(members[m], str_of(r->members[m])))
            continue;
        was[m] = r->members[m];
        r->members[m] = str_dup(members[m]);
        json_write_key(changed, session_member_name(m));
        json_write_raw(changed, members[m]);
    }
}

static void members_back(struct session_record *r, char **was)
{
    for (enum session_member m = 0; m < SESSION_MEMBERS; m++)
        if (was[m]) {
            mem_drop(&r->members[m]);
            r->members[m] = was[m];
        }
}

static int update_fact(struct batch *b, char *const *was, struct str changed, struct refusal *r)
{
    struct fact fact = { .type = FACT_UPDATE,
                         .update = { .members = changed, .agent = was[MEMBER_AGENT] != NULL } };
    if (was[MEMBER_BUDGET]) {
        bool budgeted;
        if (!budget_read(str_of(b->a->record.members[MEMBER_BUDGET]), &budgeted, &fact.update.cap))
            return refusal_set(r, 400, NULL, "budget: the amount must be whole cents");
        fact.update.budget = budgeted ? BUDGET_SET : BUDGET_REMOVED;
    }
    return batch_fact(b, &fact, r);
}

static void update(struct batch *b, struct job *j)
{
    struct update_job *u = (struct update_job *)j;
    struct actor *a = b->a;
    char *was[SESSION_MEMBERS] = { NULL };
    AUTO_BUF changed = { 0 };
    struct err e = { 0 };
    if (actor_load_for(b, &j->asker, &j->refusal) < 0)
        return;
    members_swap(&a->record, u->members, was, &changed);
    int rc = update_fact(b, was, job_text(j, buf_str(&changed)), &j->refusal);
    if (rc == 0 && was[MEMBER_AGENT] && (rc = actor_catalogue(a, &e)) < 0)
        refuse_store(&j->refusal, &e);
    if (rc < 0) {
        members_back(&a->record, was);
        return;
    }
    for (enum session_member m = 0; m < SESSION_MEMBERS; m++)
        mem_drop(&was[m]);
    b->changed |= changed.n > 0;
    j->wants_session = true;
}

void engine_session_update(struct engine *g, const struct asker *asker, const struct id *session,
                           const struct session_patch *patch, engine_answer *answer, void *ctx)
{
    struct update_job *u = job_new(sizeof *u, update);
    job_answer_to(&u->job, asker, answer, ctx);
    u->members[MEMBER_TITLE] = job_json(&u->job, patch->title);
    u->members[MEMBER_METADATA] = job_json(&u->job, patch->metadata);
    u->members[MEMBER_BUDGET] = job_json(&u->job, patch->budget);
    u->members[MEMBER_AGENT] = job_json(&u->job, patch->agent);
    actor_push(actor_of(g, session), &u->job);
}

/* --- archive, delete --- */

static void archive(struct batch *b, struct job *j)
{
    const struct fact fact = { .type = FACT_ARCHIVE };
    if (actor_load_for(b, &j->asker, &j->refusal) == 0)
        j->wants_session = batch_fact(b, &fact, &j->refusal) == 0;
}

void engine_session_archive(struct engine *g, const struct asker *asker, const struct id *session,
                            engine_answer *answer, void *ctx)
{
    struct job *j = job_new(sizeof *j, archive);
    job_answer_to(j, asker, answer, ctx);
    actor_push(actor_of(g, session), j);
}

static void delete (struct batch *b, struct job *j)
{
    const struct fact fact = { .type = FACT_DELETE };
    if (actor_load_for(b, &j->asker, &j->refusal) < 0 || batch_fact(b, &fact, &j->refusal) < 0)
        return;
    json_write_object(&j->json);
    json_member_str(&j->json, "id", id_str(&b->a->name));
    json_member_text(&j->json, "type", "session_deleted");
    json_write_object_end(&j->json);
}

void engine_session_delete(struct engine *g, const struct asker *asker, const struct id *session,
                           engine_answer *answer, void *ctx)
{
    struct job *j = job_new(sizeof *j, delete);
    job_answer_to(j, asker, answer, ctx);
    actor_push(actor_of(g, session), j);
}

/* --- what waits --- */

static bool is_wanted(enum event_type type, const struct str *types, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(types[i], str_of(event_type_name(type))))
            return true;
    return count == 0;
}

static bool has_queued(struct engine *g, const struct id *session)
{
    struct store *store = g->parts.store;
    struct record record;
    struct err e;
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    return store->ops->get(store, RECORD_SESSION, session, &record, &arena, &e) == 1 &&
           !str_eq(json_slice_get(record.body, "queued"), STR("0"));
}

/* Of a session that is not loaded: those of the log that no event has followed. */
static size_t queued_stored(struct engine *g, const struct id *session, const struct str *types,
                            size_t type_count, struct buf *out)
{
    const struct str queued = str_of(event_type_name(EVENT_INTERNAL_QUEUED));
    struct store *store = g->parts.store;
    struct log_walk w;
    struct err e;
    size_t count = 0;
    const struct entry *entry;
    if (!has_queued(g, session))
        return 0;
    log_walk_begin(&w, store, session, 0, ENTRY_INTERNAL);
    log_walk_types(&w, &queued, 1);
    while ((entry = log_walk_next(&w, &e)) != NULL) {
        struct entry later;
        struct str type;
        AUTO_ARENA arena;
        arena_init(&arena, 256 << 20);
        if (!json_slice_str(json_slice_get(entry->body, "type"), &type, &arena) ||
            !is_wanted(event_type_of(type), types, type_count) ||
            store->ops->entry(store, session, &entry->id, &later, &arena, &e) != 0)
            continue;
        json_write_raw(out, entry->body);
        count++;
    }
    log_walk_end(&w);
    return count;
}

/* The answer goes with those of the transaction: by then the session is what the log says. */
bool engine_session_settle(struct engine *g, const struct id *session, engine_answer *answer,
                           void *ctx)
{
    struct actor *a = table_find(&g->actors, id_str(session));
    if (!a || !a->writing)
        return false;
    struct job *j = job_new(sizeof *j, NULL); /* nothing is decided any more */
    j->answer = answer;
    j->ctx = ctx;
    j->next = a->writing->jobs;
    a->writing->jobs = j;
    return true;
}

size_t engine_session_queued(struct engine *g, const struct id *session, const struct str *types,
                             size_t type_count, struct buf *out)
{
    const struct actor *a = table_find(&g->actors, id_str(session));
    size_t count = 0;
    if (!a || !a->s)
        return queued_stored(g, session, types, type_count, out);
    for (size_t i = 0; i < a->s->queue_count; i++)
        if (is_wanted(a->s->queue[i].event.type, types, type_count))
            count += queued_answer(a->s, &a->s->queue[i].event.id, out);
    return count;
}
