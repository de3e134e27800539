/* Claims of include/postern/store.h about reading, on every backend. */
#include "store-world.h"

#include "base/buf.h"

#include <stdio.h>

/* Nine work items of two environments; created in the order of their numbers, two at a time. */
static void make_work(struct world *w)
{
    static const char *const states[] = { "queued", "active", "stopped" };
    struct tx *tx = tx_new();
    for (int i = 1; i <= 9; i++) {
        struct record r = record_of(RECORD_WORK, "work_0", 1000 + i / 2, "{}");
        r.id.text[5] = (char)('0' + i);
        r.workspace = id_of(i == 9 ? "wrkspc_2" : "wrkspc_1");
        r.parent = id_of(i <= 5 ? "env_1" : "env_2");
        if (i != 3)
            r.group = id_of(i % 2 ? "sesn_1" : "sesn_2");
        r.state = str_of(states[i % 3]);
        r.archived_at = i == 4 ? 2000 : 0;
        r.due_at = i % 2 ? 5000 - i * 100 : 0;
        r.number = i % 4;
        tx_put(tx, &r, 0);
    }
    assert_done(w, tx);
}

static void a_query_finds_what_all_its_filters_let_through(struct world *w)
{
    static const struct str queued[] = { { "queued", 6 } };
    static const struct str live[] = { { "active", 6 }, { "queued", 6 }, { "unheard of", 10 } };
    struct id workspace = id_of("wrkspc_1"), other = id_of("wrkspc_2"), env = id_of("env_1");
    static const struct str no_word[] = { { "", 0 } };
    static const struct str twice[] = { { "queued", 6 }, { "queued", 6 } };
    struct id session = id_of("sesn_1"), nobody = id_of("nobody"), none = { 0 };
    const struct {
        struct record_query q;
        const char *found; /* the numbers */
    } cases[] = {
        { { .with_archived = true }, "9 8 7 6 5 4 3 2 1" },
        { { .with_archived = true, .oldest_first = true }, "1 2 3 4 5 6 7 8 9" },
        { { 0 }, "9 8 7 6 5 3 2 1" },
        { { .workspace = &workspace }, "8 7 6 5 3 2 1" },
        { { .workspace = &other }, "9" },
        { { .workspace = &nobody }, "" },
        { { .parent = &env }, "5 3 2 1" },
        { { .parent = &env, .with_archived = true }, "5 4 3 2 1" },
        { { .group = &session }, "9 7 5 1" },
        { { .group = &session, .parent = &env }, "5 1" },
        { { .group = &session, .workspace = &other }, "9" },
        { { .group = &nobody }, "" },
        { { .group = &none }, "" },
        { { .parent = &env, .group = &none }, "" },
        { { .states = no_word, .state_count = 1 }, "" },
        { { .states = twice, .state_count = 2, .parent = &env }, "3" },
        { { .number = 3 }, "7 3" },
        { { .number = 1, .parent = &env }, "5 1" },
        { { .number = 1, .group = &session, .oldest_first = true }, "1 5 9" },
        { { .states = queued, .state_count = 1 }, "9 6 3" },
        { { .states = live, .state_count = 3 }, "9 7 6 3 1" },
        { { .states = live, .state_count = 3, .oldest_first = true }, "1 3 6 7 9" },
        { { .states = live, .state_count = 3, .parent = &env, .with_archived = true }, "4 3 1" },
        { { .states = queued, .state_count = 1, .parent = &env, .oldest_first = true }, "3" },
        { { .states = live, .state_count = 3, .workspace = &workspace }, "7 6 3 1" },
        { { .states = live, .state_count = 3, .group = &session }, "9 7 1" },
        { { .created_from = 1002 }, "9 8 7 6 5" },
        { { .created_before = 1002 }, "3 2 1" },
        { { .created_from = 1001, .created_before = 1003, .oldest_first = true }, "2 3 5" },
        { { .created_from = 1003, .workspace = &workspace, .states = live, .state_count = 3 },
          "7 6" },
        { { .due_until = 4500 }, "9 7 5" },
        { { .due_until = 4499 }, "9 7" },
        { { .due_until = 9999, .oldest_first = true }, "1 3 5 7 9" },
        { { .due_until = 9999, .parent = &env }, "5 3 1" },
        { { .due_until = 9999, .states = queued, .state_count = 1 }, "9 3" },
        { { .due_until = 1 }, "" },
        { { .by_number = true }, "7 3 6 2 9 5 1 8" },
        { { .by_number = true, .oldest_first = true }, "8 1 5 9 2 6 3 7" },
        { { .by_number = true, .parent = &env }, "3 2 5 1" },
        { { .by_number = true, .parent = &env, .oldest_first = true, .created_from = 1001 },
          "5 2 3" },
    };
    make_work(w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record_query q = cases[i].q;
        AUTO_BUF wanted = { 0 };
        for (const char *c = cases[i].found; *c; c++)
            buf_addf(&wanted, *c == ' ' ? " " : "work_%c", *c);
        q.kind = RECORD_WORK;
        q.limit = 100;
        if (strcmp(list_ids(w, &q), buf_text(&wanted)) != 0)
            print_error("case %zu\n", i);
        assert_string_equal(list_ids(w, &q), buf_text(&wanted));
        q.limit = 2; /* the first two of the same */
        size_t two = strcspn(buf_text(&wanted), " ");
        two += buf_text(&wanted)[two] ? 1 + strcspn(buf_text(&wanted) + two + 1, " ") : 0;
        const char *found = list_ids(w, &q);
        assert_int_equal(strlen(found), two);
        assert_memory_equal(found, buf_text(&wanted), two);
    }
}

/* Walks in steps of two and checks that the parts make the whole. */
static void walk(struct world *w, struct record_query q, const char *whole)
{
    AUTO_BUF parts = { 0 };
    struct record_list page;
    struct err e;
    q.limit = 2;
    do {
        assert_int_equal(w->store->ops->list(w->store, &q, &page, &w->arena, &e), 0);
        for (size_t i = 0; i < page.count; i++)
            buf_addf(&parts, "%s%s", parts.n ? " " : "", page.items[i].id.text);
        q.after = page.count ? &page.items[page.count - 1] : NULL;
    } while (page.count == 2);
    assert_string_equal(buf_text(&parts), whole);
}

static void pages_make_the_whole(struct world *w)
{
    static const struct str live[] = { { "active", 6 }, { "queued", 6 } };
    struct id env = id_of("env_1"), workspace = id_of("wrkspc_1"), session = id_of("sesn_1");
    const struct record_query queries[] = {
        { .with_archived = true },
        { .parent = &env },
        { .workspace = &workspace },
        { .group = &session },
        { .states = live, .state_count = 2 },
        { .states = live, .state_count = 2, .workspace = &workspace },
        { .due_until = 9999 },
        { .by_number = true },
        { .by_number = true, .parent = &env },
        { .created_from = 1001, .created_before = 1004 },
    };
    make_work(w);
    for (size_t i = 0; i < 2 * sizeof queries / sizeof *queries; i++) {
        struct record_query q = queries[i / 2];
        q.kind = RECORD_WORK;
        q.oldest_first = i % 2;
        q.limit = 100;
        walk(w, q, list_ids(w, &q));
    }
}

static void a_page_goes_on_where_the_last_ended_whatever_was_made_or_removed(struct world *w)
{
    make_work(w);
    struct record_query q = { .kind = RECORD_WORK, .with_archived = true, .limit = 3 };
    assert_string_equal(list_ids(w, &q), "work_9 work_8 work_7");
    struct record last = *get(w, RECORD_WORK, "work_7");
    make(w, record_of(RECORD_WORK, "work_a", 1100, "{}"));  /* newer than all */
    make(w, record_of(RECORD_WORK, "work_6x", 1003, "{}")); /* the same moment as 6 and 7 */
    struct tx *tx = tx_new(); /* even the one that the page ended with may go */
    tx_remove(tx, RECORD_WORK, &last.id, 1);
    assert_done(w, tx);
    q.after = &last;
    assert_string_equal(list_ids(w, &q), "work_6x work_6 work_5");
    q.oldest_first = true;
    assert_string_equal(list_ids(w, &q), "work_8 work_9 work_a");
}

static void a_changed_record_is_found_by_what_it_is_now(struct world *w)
{
    static const struct str stopped[] = { { "stopped", 7 } };
    make_work(w);
    struct record r = *get(w, RECORD_WORK, "work_1");
    struct tx *tx = tx_new();
    r.state = STR("stopped");
    r.parent = id_of("env_2");
    r.group = id_of("sesn_2");
    r.due_at = 1;
    r.number = 50;
    tx_put(tx, &r, 1);
    assert_done(w, tx);
    struct id env = id_of("env_1"), env_2 = id_of("env_2"), session = id_of("sesn_2");
    const struct {
        struct record_query q;
        const char *found;
    } cases[] = {
        { { .parent = &env, .oldest_first = true, .limit = 1 }, "work_2" },
        { { .parent = &env_2, .oldest_first = true, .limit = 1 }, "work_1" },
        { { .group = &session, .oldest_first = true, .limit = 1 }, "work_1" },
        { { .states = stopped, .state_count = 1, .oldest_first = true, .limit = 1 }, "work_1" },
        { { .due_until = 1, .limit = 9 }, "work_1" },
        { { .by_number = true, .limit = 1 }, "work_1" },
        { { .number = 50, .limit = 9 }, "work_1" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct record_query q = cases[i].q;
        q.kind = RECORD_WORK;
        assert_string_equal(list_ids(w, &q), cases[i].found);
    }
}

static void versions_are_walked_by_number(struct world *w)
{
    struct tx *tx = tx_new();
    struct id agent = id_of("agent_1");
    for (int i = 12; i >= 1; i--) {
        struct record r = record_of(RECORD_AGENT_VERSION, "agent_1", 5000 - i, "{}");
        snprintf(r.id.text, sizeof r.id.text, "agent_1-%d", i);
        r.parent = agent;
        r.number = i;
        tx_put(tx, &r, 0);
    }
    assert_done(w, tx);
    struct record_query q = {
        .kind = RECORD_AGENT_VERSION, .parent = &agent, .by_number = true, .limit = 3
    };
    assert_string_equal(list_ids(w, &q), "agent_1-12 agent_1-11 agent_1-10");
    struct record after = *get(w, RECORD_AGENT_VERSION, "agent_1-10");
    q.after = &after;
    assert_string_equal(list_ids(w, &q), "agent_1-9 agent_1-8 agent_1-7");
    q.after = NULL;
    q.number = 7;
    assert_string_equal(list_ids(w, &q), "agent_1-7");
}

static struct record *by_secret(struct world *w, enum record_kind kind, struct str secret)
{
    struct err e;
    struct record *r = arena_get(&w->arena, sizeof *r);
    int found = w->store->ops->get_by_secret(w->store, kind, secret, r, &w->arena, &e);
    assert_true(found >= 0);
    return found ? r : NULL;
}

static void a_secret_names_one_record_of_its_kind(struct world *w)
{
    struct str a = STR("0123456789abcdef\0123456789abcde1"),
               b = STR("\0123456789abcdef0123456789abcde");
    struct record r = record_of(RECORD_API_KEY, "key_1", 1, "{}");
    r.secret = a;
    make(w, r);
    make(w, record_of(RECORD_API_KEY, "key_2", 1, "{}"));
    make(w, record_of(RECORD_API_KEY, "key_3", 1, "{}")); /* none is no secret */
    assert_string_equal(by_secret(w, RECORD_API_KEY, a)->id.text, "key_1");
    assert_null(by_secret(w, RECORD_WORK, a));
    assert_null(by_secret(w, RECORD_API_KEY, b));
    assert_null(by_secret(w, RECORD_API_KEY, (struct str){ "", 0 }));
    struct record same = record_of(RECORD_API_KEY, "key_4", 1, "{}");
    same.secret = a;
    struct tx *tx = tx_new();
    tx_put(tx, &same, 0);
    assert_conflict(w, tx);
    same.kind = RECORD_WORK;
    make(w, same);
    r.secret = b; /* a new key: the old one names nothing */
    tx = tx_new();
    tx_put(tx, &r, 1);
    assert_done(w, tx);
    assert_null(by_secret(w, RECORD_API_KEY, a));
    assert_string_equal(by_secret(w, RECORD_API_KEY, b)->id.text, "key_1");
    tx = tx_new();
    tx_remove(tx, RECORD_API_KEY, &r.id, 2);
    assert_done(w, tx);
    assert_null(by_secret(w, RECORD_API_KEY, b));
}

/* Eight entries: 1 and 5 user.message, 3 and 7 internal, 4 an extension, the others agent.message. */
static void make_log(struct world *w)
{
    struct entry items[8];
    make_session(w, "sesn_0", 3);
    make_session(w, "sesn_1", 0);
    for (int i = 1; i <= 8; i++) {
        struct entry *entry = &items[i - 1];
        *entry = entry_of(i, i % 4 == 1 ? "user.message" : "agent.message", "{}");
        entry->shows = i % 4 == 3 ? ENTRY_INTERNAL : i == 4 ? ENTRY_EXTENSION : ENTRY_PUBLIC;
        entry->at = 1000 + i / 2; /* two at a time */
    }
    struct id id = id_of("sesn_1");
    struct tx *tx = tx_new();
    tx_append(tx, &id, items, 8);
    assert_done(w, tx);
    make_session(w, "sesn_2", 3);
}

static void a_log_is_read_through_its_filters(struct world *w)
{
    static const struct str user[] = { { "user.message", 12 } };
    static const struct str both[] = { { "agent.message", 13 },
                                       { "user.message", 12 },
                                       { "x", 1 } };
    static const struct str none[] = { { "user", 4 } };
    static const struct {
        struct entry_query q;
        const char *found;
    } cases[] = {
        { { .shows = ENTRY_INTERNAL, .limit = 99 }, "1 2 3 4 5 6 7 8" },
        { { .shows = ENTRY_EXTENSION, .limit = 99 }, "1 2 4 5 6 8" },
        { { .shows = ENTRY_PUBLIC, .limit = 99 }, "1 2 5 6 8" },
        { { .shows = ENTRY_PUBLIC, .limit = 3 }, "1 2 5" },
        { { .shows = ENTRY_PUBLIC, .limit = 0 }, "" },
        { { .shows = ENTRY_INTERNAL, .newest_first = true, .limit = 99 }, "8 7 6 5 4 3 2 1" },
        { { .shows = ENTRY_PUBLIC, .newest_first = true, .limit = 2 }, "8 6" },
        { { .shows = ENTRY_INTERNAL, .after = 5, .limit = 99 }, "6 7 8" },
        { { .shows = ENTRY_INTERNAL, .after = 8, .limit = 99 }, "" },
        { { .shows = ENTRY_INTERNAL, .after = 99, .limit = 99 }, "" },
        { { .shows = ENTRY_INTERNAL, .after = 5, .newest_first = true, .limit = 99 }, "4 3 2 1" },
        { { .shows = ENTRY_INTERNAL, .after = 1, .newest_first = true, .limit = 99 }, "" },
        { { .shows = ENTRY_INTERNAL, .after = 99, .newest_first = true, .limit = 2 }, "8 7" },
        { { .types = user, .type_count = 1, .limit = 99 }, "1 5" },
        { { .types = user, .type_count = 1, .newest_first = true, .limit = 1 }, "5" },
        { { .types = both, .type_count = 3, .limit = 99 }, "1 2 5 6 8" },
        { { .types = none, .type_count = 1, .limit = 99 }, "" },
        { { .shows = ENTRY_INTERNAL, .from = 1002, .limit = 99 }, "4 5 6 7 8" },
        { { .shows = ENTRY_INTERNAL, .before = 1002, .limit = 99 }, "1 2 3" },
        { { .shows = ENTRY_INTERNAL, .from = 1001, .before = 1003, .limit = 99 }, "2 3 4 5" },
        { { .shows = ENTRY_INTERNAL,
            .from = 1001,
            .before = 1003,
            .newest_first = true,
            .limit = 3 },
          "5 4 3" },
        { { .shows = ENTRY_INTERNAL, .from = 1001, .after = 3, .limit = 99 }, "4 5 6 7 8" },
        { { .shows = ENTRY_INTERNAL, .from = 2000, .limit = 99 }, "" },
        { { .shows = ENTRY_INTERNAL, .before = 1, .limit = 99 }, "" },
        { { .types = user, .type_count = 1, .from = 1001, .limit = 99 }, "5" },
    };
    make_log(w);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct entry_query q = cases[i].q;
        q.session = id_of("sesn_1");
        if (strcmp(entry_numbers(w, &q), cases[i].found) != 0)
            print_error("case %zu\n", i);
        assert_string_equal(entry_numbers(w, &q), cases[i].found);
    }
}

static void a_log_is_read_while_it_grows_without_gap_or_repeat(struct world *w)
{
    make_session(w, "sesn_1", 4);
    struct entry_query q = { .session = id_of("sesn_1"), .limit = 3 };
    assert_string_equal(entry_numbers(w, &q), "1 2 3");
    struct entry more[2] = { entry_of(5, "a", "{}"), entry_of(6, "a", "{}") };
    struct tx *tx = tx_new();
    tx_append(tx, &q.session, more, 2);
    assert_done(w, tx);
    q.after = 3;
    assert_string_equal(entry_numbers(w, &q), "4 5 6");
}

static void an_entry_comes_back_whole(struct world *w)
{
    struct entry entry = {
        .seq = 1,
        .id = id_of("sevt_abc"),
        .type = STR("agent.message"),
        .at = 1764036787000001,
        .shows = ENTRY_EXTENSION,
        .body = STR("{\"a\":\"b\"}"),
        .inner = STR("{\"c\":1}"),
    };
    make_session(w, "sesn_1", 0);
    struct id id = id_of("sesn_1");
    struct tx *tx = tx_new();
    tx_append(tx, &id, &entry, 1);
    assert_done(w, tx);
    struct entry_query q = { .session = id, .shows = ENTRY_EXTENSION, .limit = 1 };
    struct entry_list list;
    struct entry one;
    struct err e;
    assert_int_equal(w->store->ops->entries(w->store, &q, &list, &w->arena, &e), 0);
    assert_int_equal(list.count, 1);
    assert_int_equal(w->store->ops->entry(w->store, &id, &entry.id, &one, &w->arena, &e), 1);
    const struct entry *both[] = { &list.items[0], &one };
    for (int i = 0; i < 2; i++) {
        assert_int_equal(both[i]->seq, 1);
        assert_string_equal(both[i]->id.text, "sevt_abc");
        assert_text(both[i]->type, "agent.message");
        assert_int_equal(both[i]->at, 1764036787000001);
        assert_int_equal(both[i]->shows, ENTRY_EXTENSION);
        assert_text(both[i]->body, "{\"a\":\"b\"}");
        assert_text(both[i]->inner, "{\"c\":1}");
    }
}

static void an_event_is_found_in_its_own_log_only(struct world *w)
{
    make_log(w);
    struct id one = id_of("sesn_1"), two = id_of("sesn_2"), none = id_of("sesn_9");
    struct id shown = id_of("sevt_8"), internal = id_of("sevt_7");
    const struct {
        const struct id *session, *event;
        int found;
    } cases[] = {
        { &one, &shown, 1 }, { &one, &internal, 0 }, { &two, &shown, 0 }, { &none, &shown, 0 }
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct entry got;
        struct err e;
        assert_int_equal(
            w->store->ops->entry(w->store, cases[i].session, cases[i].event, &got, &w->arena, &e),
            cases[i].found);
    }
}

static void an_arena_that_is_too_small_is_said(struct world *w)
{
    AUTO_BUF large = { 0 };
    for (int i = 0; i < 1000; i++)
        buf_addf(&large, "%0100d", i);
    make_session(w, "sesn_1", 0);
    struct record r = record_of(RECORD_WORK, "work_1", 1, NULL);
    struct entry entry = entry_of(1, "agent.message", NULL);
    r.secret = STR("0123456789abcdef0123456789abcdef");
    r.body = entry.body = buf_str(&large);
    make(w, r);
    struct id id = id_of("sesn_1");
    struct tx *tx = tx_new();
    tx_append(tx, &id, &entry, 1);
    assert_done(w, tx);
    struct arena small;
    struct err e = { 0 };
    struct record got;
    struct entry got_entry;
    struct record_list list;
    struct entry_list entries;
    struct record_query q = { .kind = RECORD_WORK, .limit = 5 };
    struct entry_query eq = { .session = id, .limit = 5 };
    const struct store_ops *ops = w->store->ops;
    arena_init(&small, 50000);
    assert_int_equal(ops->get(w->store, RECORD_WORK, &r.id, &got, &small, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
    assert_int_equal(ops->get_by_secret(w->store, RECORD_WORK, r.secret, &got, &small, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
    assert_int_equal(ops->list(w->store, &q, &list, &small, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
    assert_int_equal(ops->entries(w->store, &eq, &entries, &small, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
    assert_int_equal(ops->entry(w->store, &id, &entry.id, &got_entry, &small, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
    arena_release(&small);
    assert_int_equal(ops->list(w->store, &q, &list, &w->arena, &e), 0); /* nothing is left locked */
    make(w, record_of(RECORD_WORK, "work_2", 1, "{}"));
}

int main(void)
{
    static const struct claim claims[] = {
        CLAIM(a_query_finds_what_all_its_filters_let_through),
        CLAIM(pages_make_the_whole),
        CLAIM(a_page_goes_on_where_the_last_ended_whatever_was_made_or_removed),
        CLAIM(a_changed_record_is_found_by_what_it_is_now),
        CLAIM(versions_are_walked_by_number),
        CLAIM(a_secret_names_one_record_of_its_kind),
        CLAIM(a_log_is_read_through_its_filters),
        CLAIM(a_log_is_read_while_it_grows_without_gap_or_repeat),
        CLAIM(an_entry_comes_back_whole),
        CLAIM(an_event_is_found_in_its_own_log_only),
        CLAIM(an_arena_that_is_too_small_is_said),
    };
    return store_claims(claims, sizeof claims / sizeof *claims);
}
