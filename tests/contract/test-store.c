/* Claims of include/postern/store.h about writing, on every backend. */
#include "store-world.h"

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

static void what_was_put_is_read_back_whole(struct world *w)
{
    struct record r = {
        .kind = RECORD_WORK,
        .id = id_of("work_1"),
        .workspace = id_of("wrkspc_1"),
        .parent = id_of("env_1"),
        .group = id_of("sesn_1"),
        .number = -7,
        .state = STR("queued"),
        .created_at = 1764036787000001,
        .archived_at = 3,
        .due_at = INT64_MAX,
        .secret = STR("0123456789abcdef0123456789abcde\0"),
        .body = STR("{\"a\":1}"),
    };
    make(w, r);
    const struct record *got = get(w, RECORD_WORK, "work_1");
    assert_non_null(got);
    assert_int_equal(got->kind, RECORD_WORK);
    assert_string_equal(got->id.text, "work_1");
    assert_string_equal(got->workspace.text, "wrkspc_1");
    assert_string_equal(got->parent.text, "env_1");
    assert_string_equal(got->group.text, "sesn_1");
    assert_int_equal(got->number, -7);
    assert_text(got->state, "queued");
    assert_int_equal(got->created_at, 1764036787000001);
    assert_int_equal(got->archived_at, 3);
    assert_int_equal(got->due_at, INT64_MAX);
    assert_text(got->secret, "0123456789abcdef0123456789abcde\0");
    assert_text(got->body, "{\"a\":1}");
    assert_int_equal(got->revision, 1);
}

static void texts_may_be_empty(struct world *w)
{
    make(w, (struct record){ .kind = RECORD_AGENT, .id = id_of("agent_1") });
    const struct record *got = get(w, RECORD_AGENT, "agent_1");
    assert_int_equal(got->state.n + got->secret.n + got->body.n, 0);
    assert_true(id_is_none(&got->workspace) && id_is_none(&got->parent) && id_is_none(&got->group));
}

static void texts_are_copied_when_they_are_put(struct world *w)
{
    char body[] = "before", inner[] = "inner";
    struct tx *tx = tx_new();
    struct record r = record_of(RECORD_SESSION, "sesn_1", 1, NULL);
    struct entry entry = entry_of(1, "user.message", NULL);
    r.body = entry.body = (struct str){ body, 6 };
    entry.inner = (struct str){ inner, 5 };
    tx_put(tx, &r, 0);
    tx_append(tx, &r.id, &entry, 1);
    memset(body, 'x', sizeof body);
    memset(inner, 'x', sizeof inner);
    assert_done(w, tx);
    assert_text(get(w, RECORD_SESSION, "sesn_1")->body, "before");
    struct err e;
    struct entry got;
    struct id event = id_of("sevt_1");
    assert_int_equal(w->store->ops->entry(w->store, &r.id, &event, &got, &w->arena, &e), 1);
    assert_text(got.body, "before");
    assert_text(got.inner, "inner");
}

static void any_bytes_come_back_as_they_were(struct world *w)
{
    struct record r = record_of(RECORD_SESSION, "sesn_1", 1, NULL);
    struct entry entry = entry_of(1, "user.message", NULL);
    struct tx *tx = tx_new();
    r.body = entry.body = STR("a\0b \xc3\xbc \xf0\x9f\x8f\xb0 \xff '\"%_\n");
    entry.inner = STR("\0");
    tx_put(tx, &r, 0);
    tx_append(tx, &r.id, &entry, 1);
    assert_done(w, tx);
    w->backend->reopen(w);
    assert_text(get(w, RECORD_SESSION, "sesn_1")->body,
                "a\0b \xc3\xbc \xf0\x9f\x8f\xb0 \xff '\"%_\n");
    struct entry_query q = { .session = r.id, .limit = 1 };
    struct entry_list list;
    struct err e;
    assert_int_equal(w->store->ops->entries(w->store, &q, &list, &w->arena, &e), 0);
    assert_text(list.items[0].body, "a\0b \xc3\xbc \xf0\x9f\x8f\xb0 \xff '\"%_\n");
    assert_text(list.items[0].inner, "\0");
}

static void a_body_of_many_megabytes_comes_back(struct world *w)
{
    enum { SIZE = 20 << 20 };
    AUTO_FREE char *bytes = malloc(SIZE);
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 2654435761u >> 24);
    struct record r = record_of(RECORD_SESSION, "sesn_1", 1, "{}");
    struct entry entry = entry_of(1, "agent.message", NULL);
    entry.body = (struct str){ bytes, SIZE };
    struct tx *tx = tx_new();
    tx_put(tx, &r, 0);
    tx_append(tx, &r.id, &entry, 1);
    assert_done(w, tx);
    struct entry got;
    struct err e;
    assert_int_equal(w->store->ops->entry(w->store, &r.id, &entry.id, &got, &w->arena, &e), 1);
    assert_int_equal(got.body.n, SIZE);
    assert_memory_equal(got.body.p, bytes, SIZE);
}

static void a_record_is_put_only_over_the_revision_that_was_seen(struct world *w)
{
    static const struct {
        int64_t seen;
        bool there;
        bool happens;
    } cases[] = { { 0, false, true }, { 1, false, false }, { 0, true, false },
                  { 1, true, false }, { 2, true, true },   { 3, true, false } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[16];
        snprintf(id, sizeof id, "agent_%zu", i);
        struct record r = record_of(RECORD_AGENT, id, 1, "old");
        if (cases[i].there) {
            make(w, r);
            struct tx *again = tx_new();
            tx_put(again, &r, 1);
            assert_done(w, again);
        }
        struct tx *tx = tx_new();
        r.body = STR("new");
        tx_put(tx, &r, cases[i].seen);
        assert_int_equal(commit(w, tx), cases[i].happens ? E_NONE : E_CONFLICT);
        const struct record *got = get(w, RECORD_AGENT, id);
        assert_true((got != NULL) == (cases[i].there || cases[i].happens));
        if (got) {
            assert_int_equal(got->revision, (cases[i].there ? 2 : 0) + cases[i].happens);
            assert_true(str_eq(got->body, cases[i].happens ? STR("new") : STR("old")));
        }
    }
}

static void a_record_is_removed_only_at_the_revision_that_was_seen(struct world *w)
{
    struct id id = id_of("env_1");
    struct tx *none = tx_new();
    tx_remove(none, RECORD_ENVIRONMENT, &id, 1);
    assert_conflict(w, none);
    make(w, record_of(RECORD_ENVIRONMENT, "env_1", 1, "{}"));
    struct tx *wrong = tx_new();
    tx_remove(wrong, RECORD_ENVIRONMENT, &id, 2);
    assert_conflict(w, wrong);
    assert_non_null(get(w, RECORD_ENVIRONMENT, "env_1"));
    struct tx *right = tx_new();
    tx_remove(right, RECORD_ENVIRONMENT, &id, 1);
    assert_done(w, right);
    assert_null(get(w, RECORD_ENVIRONMENT, "env_1"));
    make(w, record_of(RECORD_ENVIRONMENT, "env_1", 1, "{}"));
    assert_int_equal(get(w, RECORD_ENVIRONMENT, "env_1")->revision, 1);
}

static void the_same_id_may_name_one_record_of_each_kind(struct world *w)
{
    make(w, record_of(RECORD_AGENT, "x_1", 1, "agent"));
    make(w, record_of(RECORD_WORK, "x_1", 1, "work"));
    assert_text(get(w, RECORD_AGENT, "x_1")->body, "agent");
    assert_text(get(w, RECORD_WORK, "x_1")->body, "work");
    assert_null(get(w, RECORD_SESSION, "x_1"));
}

static void entries_are_appended_only_behind_the_last(struct world *w)
{
    static const int64_t wrong[] = { 1, 3, 5, 1000000 };
    make_session(w, "sesn_1", 3);
    struct id id = id_of("sesn_1");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct entry entry = entry_of(wrong[i], "agent.message", "{}");
        snprintf(entry.id.text, sizeof entry.id.text, "sevt_x%zu", i);
        struct tx *tx = tx_new();
        tx_append(tx, &id, &entry, 1);
        assert_conflict(w, tx);
        assert_int_equal(last_seq(w, "sesn_1"), 3);
    }
    struct entry next = entry_of(4, "agent.message", "{}");
    struct tx *tx = tx_new();
    tx_append(tx, &id, &next, 1);
    assert_done(w, tx);
    assert_int_equal(last_seq(w, "sesn_1"), 4);
}

static void a_log_belongs_to_a_session_that_is_there(struct world *w)
{
    struct id id = id_of("sesn_1");
    struct entry entry = entry_of(1, "agent.message", "{}");
    struct tx *tx = tx_new();
    tx_append(tx, &id, &entry, 1);
    assert_conflict(w, tx);
    assert_int_equal(last_seq(w, "sesn_1"), 0);
    make(w, record_of(RECORD_WORK, "sesn_1", 1, "not a session"));
    tx = tx_new();
    tx_append(tx, &id, &entry, 1);
    assert_conflict(w, tx);
}

static void an_event_stands_once_in_a_log(struct world *w)
{
    make_session(w, "sesn_1", 2);
    make_session(w, "sesn_2", 2); /* the same events in another log are fine */
    struct id id = id_of("sesn_1");
    struct entry again[2] = { entry_of(3, "agent.message", "{}"),
                              entry_of(4, "agent.message", "{}") };
    again[1].id = id_of("sevt_2");
    struct tx *tx = tx_new();
    tx_append(tx, &id, again, 2);
    assert_conflict(w, tx);
    again[1].id = again[0].id;
    tx = tx_new();
    tx_append(tx, &id, again, 2);
    assert_conflict(w, tx);
    assert_int_equal(last_seq(w, "sesn_1"), 2);
}

static void internal_entries_may_name_any_event_or_none(struct world *w)
{
    make_session(w, "sesn_1", 2);
    struct id id = id_of("sesn_1");
    struct entry items[4];
    for (int i = 0; i < 4; i++) {
        items[i] = entry_of(3 + i, "internal.queued", "{}");
        items[i].shows = ENTRY_INTERNAL;
        items[i].id = i == 3 ? (struct id){ 0 } : id_of("sevt_7");
    }
    struct tx *tx = tx_new();
    tx_append(tx, &id, items, 4);
    assert_done(w, tx);
    struct entry event = entry_of(7, "user.message", "{}"), got;
    struct err e;
    assert_int_equal(w->store->ops->entry(w->store, &id, &event.id, &got, &w->arena, &e), 0);
    tx = tx_new();
    tx_append(tx, &id, &event, 1);
    assert_done(w, tx);
    assert_int_equal(w->store->ops->entry(w->store, &id, &event.id, &got, &w->arena, &e), 1);
    assert_int_equal(got.seq, 7);
}

static void a_transaction_happens_whole_or_not_at_all(struct world *w)
{
    make_session(w, "sesn_1", 1);
    make(w, record_of(RECORD_WORK, "work_1", 1, "old"));
    make(w, record_of(RECORD_AGENT, "agent_1", 1, "old"));
    for (int last = 0; last < 3; last++) { /* what fails, after all else has been done */
        struct record session = record_of(RECORD_SESSION, "sesn_1", 1, "new");
        struct record work = record_of(RECORD_WORK, "work_1", 1, "new");
        struct record fresh = record_of(RECORD_WORK, "work_2", 1, "new");
        struct record agent = record_of(RECORD_AGENT, "agent_1", 1, "new");
        struct entry next = entry_of(2, "agent.message", "{}"), far = entry_of(9, "x", "{}");
        struct tx *tx = tx_new();
        tx_append(tx, &session.id, &next, 1);
        tx_put(tx, &session, 1);
        tx_put(tx, &work, 1);
        tx_put(tx, &work, 2);
        tx_put(tx, &fresh, 0);
        tx_remove(tx, RECORD_AGENT, &agent.id, 1);
        if (last == 0)
            tx_put(tx, &agent, 1);
        else if (last == 1)
            tx_append(tx, &session.id, &far, 1);
        else
            tx_remove(tx, RECORD_WORK, &work.id, 7);
        assert_conflict(w, tx);
        assert_int_equal(last_seq(w, "sesn_1"), 1);
        assert_int_equal(get(w, RECORD_SESSION, "sesn_1")->revision, 1);
        assert_text(get(w, RECORD_WORK, "work_1")->body, "old");
        assert_text(get(w, RECORD_AGENT, "agent_1")->body, "old");
        assert_null(get(w, RECORD_WORK, "work_2"));
        struct record_query q = { .kind = RECORD_WORK, .limit = 9 };
        assert_string_equal(list_ids(w, &q), "work_1");
    }
}

static void a_removed_session_that_comes_back_by_a_conflict_has_its_log(struct world *w)
{
    make_session(w, "sesn_1", 3);
    struct id id = id_of("sesn_1"), none = id_of("env_9");
    struct tx *tx = tx_new();
    tx_remove(tx, RECORD_SESSION, &id, 1);
    tx_remove(tx, RECORD_ENVIRONMENT, &none, 1);
    assert_conflict(w, tx);
    assert_non_null(get(w, RECORD_SESSION, "sesn_1"));
    assert_int_equal(last_seq(w, "sesn_1"), 3);
}

static void changes_happen_in_the_order_of_the_calls(struct world *w)
{
    struct record r = record_of(RECORD_SESSION, "sesn_1", 1, "first");
    struct entry entries[2] = { entry_of(1, "a", "{}"), entry_of(2, "b", "{}") };
    struct tx *tx = tx_new();
    tx_put(tx, &r, 0);
    tx_append(tx, &r.id, &entries[0], 1);
    r.body = STR("second");
    tx_put(tx, &r, 1);
    tx_append(tx, &r.id, &entries[1], 1);
    assert_done(w, tx);
    assert_text(get(w, RECORD_SESSION, "sesn_1")->body, "second");
    assert_int_equal(get(w, RECORD_SESSION, "sesn_1")->revision, 2);
    assert_int_equal(last_seq(w, "sesn_1"), 2);
}

static void an_empty_transaction_is_done(struct world *w)
{
    assert_done(w, tx_new());
}

static void answers_come_in_the_order_of_the_submits(struct world *w)
{
    enum { COUNT = 200 };
    make_session(w, "sesn_1", 0);
    struct id id = id_of("sesn_1");
    int64_t next = 1;
    for (size_t i = 0; i < COUNT; i++) {
        bool good = i % 3 != 1;
        struct entry entry = entry_of(good ? next++ : 1000, "agent.message", "{}");
        struct tx *tx = tx_new();
        tx_append(tx, &id, &entry, 1);
        submit(w, tx);
    }
    w->backend->settle(w);
    assert_int_equal(w->answered, COUNT);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(w->answers[i].number, i + 1);
        assert_int_equal(w->answers[i].err.kind, i % 3 != 1 ? E_NONE : E_CONFLICT);
        assert_true(i % 3 != 1 || w->answers[i].err.text[0]);
    }
    assert_int_equal(last_seq(w, "sesn_1"), next - 1);
}

static void of_two_writers_that_saw_the_same_one_wins(struct world *w)
{
    struct record r = record_of(RECORD_WORK, "work_1", 1, "{}");
    make(w, r);
    for (int i = 0; i < 2; i++) {
        struct tx *tx = tx_new();
        tx_put(tx, &r, 1);
        submit(w, tx);
    }
    w->backend->settle(w);
    assert_int_equal(w->answers[0].err.kind, E_NONE);
    assert_int_equal(w->answers[1].err.kind, E_CONFLICT);
    assert_int_equal(get(w, RECORD_WORK, "work_1")->revision, 2);
}

static void what_was_answered_is_there_after_a_restart(struct world *w)
{
    make_session(w, "sesn_1", 5);
    w->backend->reopen(w);
    assert_int_equal(last_seq(w, "sesn_1"), 5);
    assert_int_equal(get(w, RECORD_SESSION, "sesn_1")->revision, 1);
    struct entry next = entry_of(6, "agent.message", "{}");
    struct id id = id_of("sesn_1");
    struct tx *tx = tx_new();
    tx_append(tx, &id, &next, 1);
    assert_done(w, tx);
}

static void a_removed_session_takes_its_log_with_it(struct world *w)
{
    make_session(w, "sesn_1", 3);
    make_session(w, "sesn_2", 2);
    struct id id = id_of("sesn_1"), event = id_of("sevt_1");
    struct tx *tx = tx_new();
    tx_remove(tx, RECORD_SESSION, &id, 1);
    assert_done(w, tx);
    struct entry got;
    struct err e;
    struct entry_query q = { .session = id, .limit = 10 };
    assert_int_equal(last_seq(w, "sesn_1"), 0);
    assert_string_equal(entry_numbers(w, &q), "");
    assert_int_equal(w->store->ops->entry(w->store, &id, &event, &got, &w->arena, &e), 0);
    assert_int_equal(last_seq(w, "sesn_2"), 2);
    make_session(w, "sesn_1", 1); /* a new one of that name begins anew */
    assert_string_equal(entry_numbers(w, &q), "1");
}

static void it_can_be_written_and_read(struct world *w)
{
    struct err e = { 0 };
    assert_int_equal(w->store->ops->check(w->store, &e), 0);
}

int main(void)
{
    static const struct claim claims[] = {
        CLAIM(what_was_put_is_read_back_whole),
        CLAIM(texts_may_be_empty),
        CLAIM(texts_are_copied_when_they_are_put),
        CLAIM(any_bytes_come_back_as_they_were),
        CLAIM(a_body_of_many_megabytes_comes_back),
        CLAIM(a_record_is_put_only_over_the_revision_that_was_seen),
        CLAIM(a_record_is_removed_only_at_the_revision_that_was_seen),
        CLAIM(the_same_id_may_name_one_record_of_each_kind),
        CLAIM(entries_are_appended_only_behind_the_last),
        CLAIM(a_log_belongs_to_a_session_that_is_there),
        CLAIM(an_event_stands_once_in_a_log),
        CLAIM(internal_entries_may_name_any_event_or_none),
        CLAIM(a_transaction_happens_whole_or_not_at_all),
        CLAIM(a_removed_session_that_comes_back_by_a_conflict_has_its_log),
        CLAIM(changes_happen_in_the_order_of_the_calls),
        CLAIM(an_empty_transaction_is_done),
        CLAIM(answers_come_in_the_order_of_the_submits),
        CLAIM(of_two_writers_that_saw_the_same_one_wins),
        CLAIM(what_was_answered_is_there_after_a_restart),
        CLAIM(a_removed_session_takes_its_log_with_it),
        CLAIM(it_can_be_written_and_read),
    };
    return store_claims(claims, sizeof claims / sizeof *claims);
}
