/* bench-store.c - durable events per second: our store against bare SQLite, in turn, on one disk.
 *
 *   bench-store DIRECTORY [rounds [milliseconds]]
 *
 * Bare is SQLite with the same tables, indexes and settings and nothing around it: for one writer a
 * transaction for each row, for 64 writers one transaction of 64 rows, one of each. Ours makes the same
 * rows through the store: a writer appends its next event when the last one has been answered.
 * A line for each number of writers: name, ours, unit, bare; each the median of its rounds.
 */
#include "io/loop.h"
#include "store/sqlite.h"
#include "store/sqlite/schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

enum { BODY = 600, WRITERS_MAX = 64, ROUNDS_MAX = 99 };

static char body[BODY + 1];

static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench-store: %s: %s\n", what, why);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* An id as long as real ones; the number in it is mixed, so that they come in no order. */
static struct id event_id(uint64_t number)
{
    struct id id;
    uint64_t mixed = number * 0x9e3779b97f4a7c15u;
    snprintf(id.text, sizeof id.text, "sevt_%016llx%08llx", (unsigned long long)mixed,
             (unsigned long long)number);
    return id;
}

static struct id session_id(int writer)
{
    struct id id;
    snprintf(id.text, sizeof id.text, "sesn_%024d", writer);
    return id;
}

static struct record session_of(int writer)
{
    return (struct record){ .kind = RECORD_SESSION,
                            .id = session_id(writer),
                            .workspace = { "wrkspc_bench" },
                            .state = STR("running"),
                            .created_at = 1,
                            .body = STR("{}") };
}

struct writer {
    struct bench *bench;
    int number;
    int64_t seq;
};

struct bench {
    struct loop *loop;
    struct store *store;
    struct writer writers[WRITERS_MAX];
    uint64_t events; /* answered so far */
    double end;
    int at_work;
};

static void append_next(struct writer *w);

static void on_done(void *ctx, const struct err *e)
{
    struct writer *w = ctx;
    struct bench *b = w->bench;
    if (e->kind != E_NONE)
        die("append", e->text);
    b->events++;
    if (now() < b->end)
        append_next(w);
    else if (--b->at_work == 0)
        loop_stop(b->loop);
}

static void append_next(struct writer *w)
{
    struct id session = session_id(w->number);
    struct entry entry = { .seq = ++w->seq,
                           .id = event_id((uint64_t)w->number << 32 | (uint64_t)w->seq),
                           .type = STR("agent.message"),
                           .at = 1764036787000000 + w->seq,
                           .body = { body, BODY } };
    struct tx *tx = tx_new();
    tx_append(tx, &session, &entry, 1);
    w->bench->store->ops->submit(w->bench->store, tx, on_done, w);
}

static void on_made(void *ctx, const struct err *e)
{
    struct bench *b = ctx;
    if (e->kind != E_NONE)
        die("make the sessions", e->text);
    loop_stop(b->loop);
}

static double ours(struct bench *b, int writers, double seconds)
{
    double begin = now();
    uint64_t before = b->events;
    b->end = begin + seconds;
    b->at_work = writers;
    for (int i = 0; i < writers; i++)
        append_next(&b->writers[i]);
    loop_run(b->loop);
    return (double)(b->events - before) / (now() - begin);
}

struct bare {
    struct database database;
    int64_t seqs[WRITERS_MAX];
};

static void run(struct database *d, const char *sql)
{
    struct err e;
    AUTO_STATEMENT s = database_prepare(d, sql, &e);
    if (!s || database_step(d, s, &e) < 0)
        die(sql, e.text);
}

static void insert(struct bare *b, int writer)
{
    struct err e;
    int64_t seq = ++b->seqs[writer];
    struct id id = event_id((uint64_t)writer << 32 | (uint64_t)seq);
    AUTO_STATEMENT s =
        database_prepare(&b->database,
                         "INSERT INTO entry (session,seq,shows,at,type,id,inner,body) "
                         "VALUES (?1,?2,0,?3,'agent.message',?4,NULL,?5)",
                         &e);
    if (!s)
        die("insert", e.text);
    bind_number(s, 1, writer + 1);
    bind_number(s, 2, seq);
    bind_number(s, 3, 1764036787000000 + seq);
    bind_text(s, 4, id_str(&id));
    bind_bytes(s, 5, (struct str){ body, BODY });
    if (database_step(&b->database, s, &e) < 0)
        die("insert", e.text);
}

static double bare(struct bare *b, int writers, double seconds)
{
    double begin = now();
    uint64_t events = 0;
    while (now() < begin + seconds) {
        run(&b->database, "BEGIN IMMEDIATE");
        for (int i = 0; i < writers; i++, events++)
            insert(b, i);
        run(&b->database, "COMMIT");
    }
    return (double)events / (now() - begin);
}

static void open_ours(struct bench *b, const char *dir)
{
    struct err e;
    struct tx *tx = tx_new();
    if (loop_new(&b->loop, &e) < 0 || sqlite_store_new(&b->store, dir, b->loop, NULL, &e) < 0)
        die("open our store", e.text);
    for (int i = 0; i < WRITERS_MAX; i++) {
        struct record r = session_of(i);
        b->writers[i] = (struct writer){ .bench = b, .number = i };
        tx_put(tx, &r, 0);
    }
    b->store->ops->submit(b->store, tx, on_made, b);
    loop_run(b->loop);
}

static void open_bare(struct bare *b, const char *path)
{
    struct err e;
    if (database_open(&b->database, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 0, &e) < 0 ||
        database_exec(&b->database,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                      "PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384;",
                      &e) < 0 ||
        schema_migrate(&b->database, &schema_postern, &e) < 0)
        die("open bare SQLite", e.text);
    for (int i = 0; i < WRITERS_MAX; i++) {
        char sql[256];
        snprintf(sql, sizeof sql,
                 "INSERT INTO record (kind,id,number,created_at,revision,body) "
                 "VALUES (%d,'%s',0,1,1,x'')",
                 RECORD_SESSION, session_id(i).text);
        if (database_exec(&b->database, sql, &e) < 0)
            die("make the sessions", e.text);
    }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, by_size);
    return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

int main(int argc, char **argv)
{
    static struct bench b;
    static struct bare peer;
    static const struct {
        const char *name;
        int writers;
    } rows[] = { { "one", 1 }, { "many", 64 } };
    double our_rates[ROUNDS_MAX], bare_rates[ROUNDS_MAX];
    AUTO_BUF path = { 0 };
    uint64_t rounds = 25, ms = 200;
    if (argc < 2 || argc > 4 || (argc > 2 && !str_to_u64(str_of(argv[2]), &rounds)) ||
        (argc > 3 && !str_to_u64(str_of(argv[3]), &ms)) || rounds < 1 || rounds > ROUNDS_MAX)
        die("usage", "bench-store DIRECTORY [rounds [milliseconds]]");
    memset(body, 'x', BODY);
    buf_addf(&path, "%s/ours", argv[1]);
    open_ours(&b, buf_text(&path));
    buf_empty(&path);
    buf_addf(&path, "%s/bare.db", argv[1]);
    open_bare(&peer, buf_text(&path));
    for (size_t row = 0; row < sizeof rows / sizeof *rows; row++) {
        for (int i = 0; i < (int)rounds; i++) {
            our_rates[i] = ours(&b, rows[row].writers, (double)ms / 1000);
            bare_rates[i] = bare(&peer, rows[row].writers, (double)ms / 1000);
        }
        printf("%s %.0f events/s %.0f\n", rows[row].name, median(our_rates, (int)rounds),
               median(bare_rates, (int)rounds));
    }
    b.store->ops->free(b.store);
    loop_free(b.loop);
    database_close(&peer.database);
    return 0;
}
