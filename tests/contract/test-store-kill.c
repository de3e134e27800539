/* kill -9 at a random moment: nothing that was answered is missing, and nothing is half done.
 *
 * A child writes through the SQLite store as fast as it can and says on a pipe what was answered. It is
 * killed while it starts, makes the tables, writes, folds the log or does nothing of that; then the
 * database is opened, which repairs it, looked at, and given to the next child.
 * TEST_SEED=n plays the same moments again.
 */
#include "base/buf.h"
#include "base/fd.h"
#include "io/loop.h"
#include "store/sqlite.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

/* A process with the sanitizers takes half a second to begin and to end. */
#ifdef __SANITIZE_ADDRESS__
enum { KILLS_IN_MEMORY = 30, KILLS_ON_DISK = 10 };
#else
enum { KILLS_IN_MEMORY = 450, KILLS_ON_DISK = 50 };
#endif

enum {
    KILLS_OF_ONE = 10, /* then a new database, so that its making is killed too */
    WRITERS = 8,
    ANSWERS = 120,
    START_US = 15000,
    COMMIT_US = 1500
};

struct ack {
    int32_t writer;
    int32_t count; /* transactions of this writer that were answered */
};

/* Transaction n of a writer appends n % 3 + 1 entries and puts n and the last number into the session and
 * into its work item; the first also makes both. */
struct writer {
    struct child *child;
    int number;
    int32_t count;
    int64_t last;
};

struct child {
    struct loop *loop;
    struct store *store;
    struct writer writers[WRITERS];
    int pipe;
};

static struct id name_of(const char *prefix, int writer)
{
    struct id id;
    snprintf(id.text, sizeof id.text, "%s_%d", prefix, writer);
    return id;
}

static void body_of(struct buf *out, int writer, int64_t seq)
{
    buf_empty(out);
    buf_addf(out, "{\"writer\":%d,\"seq\":%lld,\"pad\":\"%0*d\"}", writer, (long long)seq,
             (int)(seq * 131 % 300) + 1, 0);
}

static void write_next(struct writer *w);

static void on_done(void *ctx, const struct err *e)
{
    struct writer *w = ctx;
    struct ack ack = { w->number, w->count };
    if (e->kind != E_NONE || write(w->child->pipe, &ack, sizeof ack) != sizeof ack)
        _exit(3);
    write_next(w);
}

static void write_next(struct writer *w)
{
    AUTO_BUF body = { 0 };
    struct tx *tx = tx_new();
    struct record session = { .kind = RECORD_SESSION,
                              .id = name_of("sesn", w->number),
                              .workspace = { "wrkspc_1" },
                              .created_at = 1 };
    struct record work = session;
    int32_t seen = w->count++;
    int entries = w->count % 3 + 1;
    session.number = work.number = w->last + entries;
    session.state = work.state = w->count % 2 ? STR("running") : STR("idle");
    work.kind = RECORD_WORK;
    work.id = name_of("work", w->number);
    work.due_at = w->count;
    if (!seen)
        tx_put(tx, &session, 0);
    for (int i = 0; i < entries; i++) {
        struct entry entry = { .seq = ++w->last, .type = STR("agent.message"), .at = w->last };
        body_of(&body, w->number, entry.seq);
        entry.id = name_of("sevt", (int)entry.seq);
        entry.body = buf_str(&body);
        tx_append(tx, &session.id, &entry, 1);
    }
    if (seen)
        tx_put(tx, &session, seen);
    tx_put(tx, &work, seen);
    w->child->store->ops->submit(w->child->store, tx, on_done, w);
}

static _Noreturn void be_child(const char *dir, int pipe)
{
    static struct child c;
    struct err e;
    struct arena a;
    arena_init(&a, 1 << 20);
    c.pipe = pipe;
    if (loop_new(&c.loop, &e) < 0 || sqlite_store_new(&c.store, dir, c.loop, NULL, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        _exit(2);
    }
    for (int i = 0; i < WRITERS; i++) {
        struct id id = name_of("sesn", i);
        struct record r = { 0 };
        struct writer *w = &c.writers[i];
        if (c.store->ops->get(c.store, RECORD_SESSION, &id, &r, &a, &e) < 0)
            _exit(2);
        *w = (struct writer){ &c, i, (int32_t)r.revision, r.number };
        write_next(w);
    }
    loop_run(c.loop);
    _exit(4);
}

static uint64_t seed;

static uint64_t chance(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Lets a child write and kills it. acked[i] becomes what the pipe said last of writer i. */
static void kill_one(const char *dir, int32_t acked[WRITERS])
{
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    AUTO_FD in = pipes[0];
    AUTO_FD out = pipes[1];
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        be_child(dir, out);
    fd_drop(&out);
    /* The moment is the subject. Every third kill is while it starts; the others come some time after an
     * answer, however long a busy machine takes to get there. */
    struct ack ack;
    bool early = chance() % 3 == 0;
    for (uint64_t wanted = early ? 0 : chance() % ANSWERS; wanted > 0; wanted--)
        if (read(in, &ack, sizeof ack) == sizeof ack)
            acked[ack.writer] = ack.count;
    struct timespec moment = { 0, (long)(chance() % (early ? START_US : COMMIT_US)) * 1000 };
    nanosleep(&moment, NULL);
    kill(child, SIGKILL);
    ssize_t n;
    while ((n = read(in, &ack, sizeof ack)) == sizeof ack)
        acked[ack.writer] = ack.count;
    assert_int_equal(n, 0);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status)); /* else it met an error */
}

/* The log of a writer is what its number of transactions makes, whole. */
static void look_at_log(struct store *s, int writer, const struct record *session)
{
    struct arena a;
    struct err e;
    struct entry_list list;
    struct entry_query q = { .session = session->id, .shows = ENTRY_INTERNAL, .limit = 100000 };
    AUTO_BUF body = { 0 };
    int64_t last = 0;
    for (int64_t i = 1; i <= session->revision; i++)
        last += i % 3 + 1;
    assert_int_equal(session->number, last);
    assert_int_equal(s->ops->last_seq(s, &session->id, &e), last);
    arena_init(&a, 64 << 20);
    assert_int_equal(s->ops->entries(s, &q, &list, &a, &e), 0);
    assert_int_equal(list.count, last);
    for (int64_t i = 0; i < last; i++) {
        body_of(&body, writer, i + 1);
        assert_int_equal(list.items[i].seq, i + 1);
        assert_true(str_eq(list.items[i].body, buf_str(&body)));
    }
    arena_release(&a);
}

/* acked[i] becomes what is there: it must be there after the next kill too. */
static int64_t look_at(const char *dir, struct loop *l, int32_t acked[WRITERS])
{
    struct store *s;
    struct err e;
    struct arena a;
    AUTO_BUF report = { 0 };
    int64_t transactions = 0;
    if (sqlite_store_new(&s, dir, l, NULL, &e) < 0)
        fail_msg("%s", e.text);
    arena_init(&a, 1 << 20);
    for (int i = 0; i < WRITERS; i++) {
        struct record session = { 0 }, work = { 0 };
        struct id session_id = name_of("sesn", i), work_id = name_of("work", i);
        int found = s->ops->get(s, RECORD_SESSION, &session_id, &session, &a, &e);
        assert_int_equal(s->ops->get(s, RECORD_WORK, &work_id, &work, &a, &e), found);
        assert_true(session.revision >= acked[i]); /* one more may have happened unheard */
        assert_true(session.revision <= acked[i] + 1);
        assert_int_equal(work.revision, session.revision);
        assert_int_equal(work.number, session.number);
        if (found)
            look_at_log(s, i, &session);
        acked[i] = (int32_t)session.revision;
        transactions += session.revision;
    }
    arena_release(&a);
    s->ops->free(s);
    if (sqlite_store_check(dir, &report, &e) != 0)
        fail_msg("%s%s", buf_text(&report), e.text);
    return transactions;
}

static void remove_store(const char *dir)
{
    static const char *const files[] = { "postern.db", "postern.db-wal", "postern.db-shm",
                                         "postern.lock" };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", dir, files[i]);
        assert_true(unlink(path) == 0 || errno == ENOENT);
    }
    assert_int_equal(rmdir(dir), 0);
}

static void kill_many(const char *where, int kills)
{
    char dir[96];
    struct loop *l;
    struct err e;
    int64_t transactions = 0;
    int32_t acked[WRITERS];
    assert_int_equal(loop_new(&l, &e), 0);
    for (int i = 0; i < kills; i++) {
        if (i % KILLS_OF_ONE == 0) {
            memset(acked, 0, sizeof acked);
            snprintf(dir, sizeof dir, "%s/postern-kill-%d-XXXXXX", where, (int)getpid());
            assert_non_null(mkdtemp(dir));
        }
        kill_one(dir, acked);
        int64_t all = look_at(dir, l, acked);
        if (i % KILLS_OF_ONE == KILLS_OF_ONE - 1 || i == kills - 1) {
            transactions += all;
            remove_store(dir);
        }
    }
    loop_free(l);
    print_message("%d kills in %s, %lld transactions\n", kills, where, (long long)transactions);
}

static void what_was_answered_survives_kill_9_in_memory(void **state)
{
    kill_many(access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp", KILLS_IN_MEMORY);
}

static void what_was_answered_survives_kill_9_on_disk(void **state)
{
    kill_many("/var/tmp", KILLS_ON_DISK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_answered_survives_kill_9_in_memory),
        cmocka_unit_test(what_was_answered_survives_kill_9_on_disk),
    };
    const char *given = getenv("TEST_SEED");
    if (!given || !str_to_u64(str_of(given), &seed) || !seed)
        seed = (uint64_t)time(NULL) << 20 | (uint64_t)getpid();
    print_message("TEST_SEED=%llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
