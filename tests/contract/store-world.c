#include "store-world.h"

#include "base/buf.h"
#include "io/loop.h"
#include "store/memory.h"
#include "store/sqlite/database.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Memory: `later` is a queue that settle runs empty. */
struct memory_world {
    struct memory_disk *disk;
    struct {
        void (*fn)(void *arg);
        void *arg;
    } queue[4 * ANSWERS];
    size_t first, last;
};

static void memory_world_later(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct memory_world *m = ctx;
    assert_true(m->last < sizeof m->queue / sizeof *m->queue);
    m->queue[m->last].fn = fn;
    m->queue[m->last++].arg = arg;
}

static void memory_world_open(struct world *w)
{
    struct memory_world *m = mem_get(sizeof *m);
    m->disk = memory_disk_new();
    w->own = m;
    w->store = memory_store_new(m->disk, memory_world_later, m);
}

static void memory_world_settle(struct world *w)
{
    struct memory_world *m = w->own;
    while (m->first < m->last) {
        size_t now = m->first++;
        m->queue[now].fn(m->queue[now].arg);
    }
    m->first = m->last = 0;
}

static void memory_world_reopen(struct world *w)
{
    struct memory_world *m = w->own;
    w->store->ops->free(w->store);
    m->first = m->last = 0; /* what a dead process wanted later */
    w->store = memory_store_new(m->disk, memory_world_later, m);
}

static void memory_world_close(struct world *w)
{
    struct memory_world *m = w->own;
    w->store->ops->free(w->store);
    memory_disk_free(m->disk);
    free(m);
}

/* SQLite: a loop of its own and a new directory. */

struct sqlite_world *sqlite_of(struct world *w)
{
    return w->own;
}

const char *sqlite_path(struct world *w, const char *name)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", sqlite_of(w)->dir, name);
    return arena_dup(&w->arena, buf_str(&path));
}

static void open_beside(struct world *w, struct database *d)
{
    struct err e;
    const char *path = sqlite_path(w, SQLITE_STORE_FILE);
    if (database_open(d, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 5000, &e) < 0)
        fail_msg("%s", e.text);
}

int64_t sqlite_number(struct world *w, const char *sql)
{
    struct err e;
    int64_t number;
    AUTO_DATABASE d = { 0 };
    open_beside(w, &d);
    if (database_number(&d, sql, 0, &number, &e) < 0)
        fail_msg("%s", e.text);
    return number;
}

void sqlite_run(struct world *w, const char *sql)
{
    struct err e;
    AUTO_DATABASE d = { 0 };
    open_beside(w, &d);
    if (database_exec(&d, sql, &e) < 0)
        fail_msg("%s", e.text);
}

static void sqlite_world_start(struct world *w)
{
    struct sqlite_world *s = w->own;
    struct err e;
    if (sqlite_store_new(&w->store, s->dir, s->loop, &s->options, &e) < 0)
        fail_msg("%s", e.text);
}

static void sqlite_world_open(struct world *w)
{
    struct sqlite_world *s = mem_get(sizeof *s);
    struct err e;
    snprintf(s->dir, sizeof s->dir, "/tmp/postern-store-%d-XXXXXX", (int)getpid());
    assert_non_null(mkdtemp(s->dir));
    assert_int_equal(loop_new(&s->loop, &e), 0);
    w->own = s;
    w->wake = loop_stop;
    w->wake_ctx = s->loop;
    sqlite_world_start(w);
}

static void sqlite_world_settle(struct world *w)
{
    struct sqlite_world *s = w->own;
    while (w->answered_ever < w->submitted)
        loop_run(s->loop); /* each answer stops it */
}

static void sqlite_world_reopen(struct world *w)
{
    if (w->store)
        w->store->ops->free(w->store);
    sqlite_world_start(w);
}

static void sqlite_world_close(struct world *w)
{
    static const char *const files[] = { "postern.db", "postern.db-wal", "postern.db-shm",
                                         "postern.lock" };
    struct sqlite_world *s = w->own;
    if (w->store)
        w->store->ops->free(w->store);
    loop_free(s->loop);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_true(unlink(sqlite_path(w, files[i])) == 0 || errno == ENOENT);
    assert_int_equal(rmdir(s->dir), 0);
    free(s);
}

static const struct backend backends[] = {
    { "memory", memory_world_open, memory_world_reopen, memory_world_settle, memory_world_close },
    { "sqlite", sqlite_world_open, sqlite_world_reopen, sqlite_world_settle, sqlite_world_close },
};

enum { BACKENDS = sizeof backends / sizeof *backends };

struct trial {
    const struct claim *claim;
    const struct backend *backend;
    char name[128];
};

static void try(void **state)
{
    const struct trial *trial = *state;
    struct world *w = mem_get(sizeof *w);
    w->backend = trial->backend;
    arena_init(&w->arena, 256 << 20);
    w->backend->open(w);
    trial->claim->holds(w);
    w->backend->close(w);
    arena_release(&w->arena);
    free(w);
}

static int run_claims(const struct backend *on, size_t on_count, const struct claim *claims,
                      size_t count)
{
    AUTO_FREE struct trial *trials = mem_array(on_count * count, sizeof *trials);
    AUTO_FREE struct CMUnitTest *tests = mem_array(on_count * count, sizeof *tests);
    for (size_t i = 0; i < on_count * count; i++) {
        trials[i].claim = &claims[i / on_count];
        trials[i].backend = &on[i % on_count];
        snprintf(trials[i].name, sizeof trials[i].name, "%s: %s", trials[i].backend->name,
                 trials[i].claim->name);
        tests[i] = (struct CMUnitTest){ trials[i].name, try, NULL, NULL, &trials[i] };
    }
    return _cmocka_run_group_tests("store", tests, on_count * count, NULL, NULL);
}

int store_claims(const struct claim *claims, size_t count)
{
    return run_claims(backends, BACKENDS, claims, count);
}

int sqlite_claims(const struct claim *claims, size_t count)
{
    return run_claims(&backends[1], 1, claims, count);
}

struct ticket {
    struct world *world;
    size_t number;
};

static void note(void *ctx, const struct err *e)
{
    struct ticket *t = ctx;
    struct world *w = t->world;
    assert_true(w->answered < ANSWERS);
    w->answers[w->answered++] = (struct answer){ t->number, *e };
    w->answered_ever++;
    if (w->wake)
        w->wake(w->wake_ctx);
    free(t);
}

void submit(struct world *w, struct tx *tx)
{
    struct ticket *t = mem_get(sizeof *t);
    *t = (struct ticket){ w, w->submitted++ };
    w->store->ops->submit(w->store, tx, note, t);
}

enum err_kind commit(struct world *w, struct tx *tx)
{
    size_t before = w->answered;
    submit(w, tx);
    assert_int_equal(w->answered, before); /* never from within submit */
    w->backend->settle(w);
    assert_int_equal(w->answered, before + 1);
    return w->answers[--w->answered].err.kind;
}

struct id id_of(const char *text)
{
    struct id id;
    assert_true(id_read(str_of(text), &id));
    return id;
}

struct record record_of(enum record_kind kind, const char *id, int64_t created_at, const char *body)
{
    return (struct record){
        .kind = kind,
        .id = id_of(id),
        .workspace = id_of("wrkspc_1"),
        .created_at = created_at,
        .body = str_of(body),
    };
}

struct entry entry_of(int64_t seq, const char *type, const char *body)
{
    struct entry entry = {
        .seq = seq, .type = str_of(type), .at = seq * 1000, .body = str_of(body)
    };
    snprintf(entry.id.text, sizeof entry.id.text, "sevt_%lld", (long long)seq);
    return entry;
}

void make(struct world *w, struct record r)
{
    struct tx *tx = tx_new();
    tx_put(tx, &r, 0);
    assert_done(w, tx);
}

void make_session(struct world *w, const char *id, int64_t entries)
{
    struct record r = record_of(RECORD_SESSION, id, 1000, "{}");
    struct tx *tx = tx_new();
    r.state = STR("idle");
    tx_put(tx, &r, 0);
    for (int64_t seq = 1; seq <= entries; seq++) {
        struct entry entry = entry_of(seq, "agent.message", "{}");
        tx_append(tx, &r.id, &entry, 1);
    }
    assert_done(w, tx);
}

struct record *get(struct world *w, enum record_kind kind, const char *id)
{
    struct err e = { 0 };
    struct id name = id_of(id);
    struct record *r = arena_get(&w->arena, sizeof *r);
    int found = w->store->ops->get(w->store, kind, &name, r, &w->arena, &e);
    assert_true(found >= 0);
    return found ? r : NULL;
}

int64_t last_seq(struct world *w, const char *session)
{
    struct err e = { 0 };
    struct id id = id_of(session);
    return w->store->ops->last_seq(w->store, &id, &e);
}

static const char *keep(struct world *w, const struct buf *text)
{
    return arena_dup(&w->arena, buf_str(text));
}

const char *list_ids(struct world *w, const struct record_query *q)
{
    struct err e = { 0 };
    struct record_list list;
    AUTO_BUF text = { 0 };
    if (w->store->ops->list(w->store, q, &list, &w->arena, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < list.count; i++)
        buf_addf(&text, "%s%s", i ? " " : "", list.items[i].id.text);
    return keep(w, &text);
}

const char *entry_numbers(struct world *w, const struct entry_query *q)
{
    struct err e = { 0 };
    struct entry_list list;
    AUTO_BUF text = { 0 };
    if (w->store->ops->entries(w->store, q, &list, &w->arena, &e) < 0)
        fail_msg("%s", e.text);
    for (size_t i = 0; i < list.count; i++)
        buf_addf(&text, "%s%lld", i ? " " : "", (long long)list.items[i].seq);
    return keep(w, &text);
}
