/* Claims of store/sqlite.h: a full disk, somebody else's lock, damaged files. */
#include "store-world.h"

#include "base/buf.h"
#include "base/fd.h"
#include "store/sqlite/database.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A transaction that puts a new work item with a body of this size. */
static struct tx *put_work(const char *id, size_t size)
{
    AUTO_FREE char *bytes = mem_get(size);
    struct record r = record_of(RECORD_WORK, id, 1, NULL);
    struct tx *tx = tx_new();
    r.body = (struct str){ bytes, size };
    tx_put(tx, &r, 0);
    return tx;
}

static void shut(struct world *w)
{
    w->store->ops->free(w->store);
    w->store = NULL;
}

static void limit_files(size_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes ? bytes : limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Asks the check until it says what is wanted; each failed one makes the thread try. */
static void wait_for_check(struct world *w, int wanted)
{
    struct err e;
    while (w->store->ops->check(w->store, &e) != wanted)
        usleep(1000);
}

static void a_file_that_may_not_grow_fails_a_transaction_and_no_later_one(struct world *w)
{
    struct stat wal;
    make_session(w, "sesn_1", 3);
    assert_int_equal(stat(sqlite_path(w, "postern.db-wal"), &wal), 0);
    limit_files((size_t)wal.st_size + 8192);
    enum err_kind kind = commit(w, put_work("work_1", 1 << 20));
    struct err e = { 0 };
    int check = w->store->ops->check(w->store, &e);
    limit_files(0);
    assert_int_equal(kind, E_IO);
    assert_non_null(strstr(w->answers[0].err.text, "postern.db"));
    assert_int_equal(check, -1);
    assert_null(get(w, RECORD_WORK, "work_1"));
    assert_int_equal(last_seq(w, "sesn_1"), 3);
    wait_for_check(w, 0); /* mended without a transaction of ours */
    assert_done(w, put_work("work_1", 1 << 20));
    w->backend->reopen(w);
    assert_non_null(get(w, RECORD_WORK, "work_1"));
}

/* A child of its own mounts, whose store is on a file system that gets full. It may not use the asserts
 * of this process: it says by its exit which line went wrong. */
#define WANT(cond)                                                                                 \
    do {                                                                                           \
        if (!(cond)) {                                                                             \
            fprintf(stderr, "line %d: %s\n", __LINE__, #cond);                                     \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

enum { MAY_NOT = 77 };

struct small_disk {
    struct loop *loop;
    struct store *store;
    struct err err;
};

static void on_small_disk(void *ctx, const struct err *e)
{
    struct small_disk *d = ctx;
    d->err = *e;
    loop_stop(d->loop);
}

static enum err_kind put_on(struct small_disk *d, int number, size_t size)
{
    char id[16];
    snprintf(id, sizeof id, "work_%d", number);
    d->store->ops->submit(d->store, put_work(id, size), on_small_disk, d);
    loop_run(d->loop);
    return d->err.kind;
}

static int works_on(struct small_disk *d)
{
    struct arena a;
    struct record_list list;
    struct record_query q = { .kind = RECORD_WORK, .limit = 1000 };
    arena_init(&a, 64 << 20);
    WANT(d->store->ops->list(d->store, &q, &list, &a, &d->err) == 0);
    arena_release(&a);
    return (int)list.count;
}

static _Noreturn void fill_the_disk(const char *dir)
{
    enum { SIZE = 50000 };
    struct small_disk d = { 0 };
    char path[96];
    AUTO_FREE char *filler = mem_get(1 << 20);
    if (unshare(geteuid() == 0 ? CLONE_NEWNS : CLONE_NEWNS | CLONE_NEWUSER) < 0 ||
        mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("tmpfs", dir, "tmpfs", 0, "size=3m,mode=700") < 0)
        _exit(MAY_NOT);
    snprintf(path, sizeof path, "%s/filler", dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    WANT(fd >= 0 && write(fd, filler, 1 << 20) == 1 << 20 && close(fd) == 0);
    WANT(loop_new(&d.loop, &d.err) == 0);
    WANT(sqlite_store_new(&d.store, dir, d.loop, NULL, &d.err) == 0);
    int count = 0;
    while (put_on(&d, count, SIZE) == E_NONE)
        count++;
    WANT(count > 0 && d.err.kind == E_IO && strstr(d.err.text, "full"));
    WANT(works_on(&d) == count);
    WANT(d.store->ops->check(d.store, &d.err) == -1 && strstr(d.err.text, "full"));
    WANT(unlink(path) == 0);
    while (d.store->ops->check(d.store, &d.err) != 0)
        usleep(1000);
    WANT(put_on(&d, count, SIZE) == E_NONE);
    d.store->ops->free(d.store);
    WANT(sqlite_store_new(&d.store, dir, d.loop, NULL, &d.err) == 0);
    WANT(works_on(&d) == count + 1);
    d.store->ops->free(d.store);
    loop_free(d.loop);
    _exit(0);
}

static void a_full_disk_fails_transactions_until_there_is_room(struct world *w)
{
    char dir[] = "/tmp/postern-full-XXXXXX";
    int status;
    shut(w); /* no thread but this one when it forks */
    assert_non_null(mkdtemp(dir));
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        fill_the_disk(dir);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(rmdir(dir), 0);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == MAY_NOT)
        print_message("not tried: this machine gives no mounts of one's own\n");
    else
        assert_int_equal(WEXITSTATUS(status), 0);
}

/* Another process holds the right to write, until its pipe is closed. */
static pid_t hold(struct world *w, int *let_go)
{
    int ready[2], end[2];
    char byte = 0;
    assert_true(pipe(ready) == 0 && pipe(end) == 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct database d;
        struct err e;
        close(end[1]);
        WANT(database_open(&d, sqlite_path(w, "postern.db"), SQLITE_OPEN_READWRITE, 0, &e) == 0);
        WANT(database_exec(&d, "BEGIN IMMEDIATE", &e) == 0);
        WANT(write(ready[1], &byte, 1) == 1);
        WANT(read(end[0], &byte, 1) == 0);
        _exit(0);
    }
    close(ready[1]);
    close(end[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    close(ready[0]);
    *let_go = end[1];
    return child;
}

static void a_database_that_another_process_holds_is_said_and_works_again_later(struct world *w)
{
    int let_go, status;
    sqlite_of(w)->options.patience_ms = 1;
    w->backend->reopen(w);
    make_session(w, "sesn_1", 2);
    pid_t child = hold(w, &let_go);
    assert_int_equal(commit(w, put_work("work_1", 10)), E_BUSY);
    assert_non_null(strstr(w->answers[0].err.text, "another process"));
    assert_int_equal(last_seq(w, "sesn_1"), 2); /* who reads is not held up */
    close(let_go);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_null(get(w, RECORD_WORK, "work_1"));
    assert_done(w, put_work("work_1", 10));
}

static void overwrite(const char *path, off_t at, size_t size)
{
    AUTO_FREE char *bytes = mem_get(size);
    AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    memset(bytes, 0xa5, size);
    assert_int_equal(pwrite(fd, bytes, size, at), size);
}

static void assert_damaged(const struct err *e)
{
    assert_int_equal(e->kind, E_IO);
    assert_non_null(strstr(e->text, "postern.db"));
    assert_non_null(strstr(e->text, "damaged"));
    assert_non_null(strstr(e->text, "backup"));
}

static void a_damaged_database_is_named_with_the_cure_when_it_is_opened(struct world *w)
{
    static const struct {
        off_t at;
        size_t size;
    } damages[] = { { 0, 100 }, { 0, 40000 }, { 100, 4000 } };
    struct sqlite_world *own = sqlite_of(w);
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct err e;
        make_session(w, "sesn_1", 50);
        shut(w);
        overwrite(sqlite_path(w, "postern.db"), damages[i].at, damages[i].size);
        assert_int_equal(sqlite_store_new(&w->store, own->dir, own->loop, NULL, &e), -1);
        assert_damaged(&e);
        w->store = NULL;
        assert_int_equal(unlink(sqlite_path(w, "postern.db")), 0);
        w->backend->reopen(w);
    }
}

/* The first page of a table's or index's tree. */
static off_t root_of(struct world *w, const char *name)
{
    AUTO_BUF sql = { 0 };
    buf_addf(&sql, "SELECT rootpage FROM sqlite_schema WHERE name = '%s'", name);
    return (off_t)(sqlite_number(w, buf_text(&sql)) - 1) * 4096;
}

static void a_damaged_page_fails_what_needs_it_and_nothing_else(struct world *w)
{
    struct err e = { 0 };
    AUTO_BUF report = { 0 };
    make_session(w, "sesn_1", 500);
    off_t page = root_of(w, "entry_by_seq");
    shut(w);
    overwrite(sqlite_path(w, "postern.db"), page, 4096);
    assert_true(sqlite_store_check(sqlite_of(w)->dir, &report, &e) != 0);
    w->backend->reopen(w);
    struct id id = id_of("sesn_1");
    assert_int_equal(w->store->ops->last_seq(w->store, &id, &e), -1);
    assert_damaged(&e);
    struct entry next = entry_of(501, "agent.message", "{}");
    struct tx *tx = tx_new();
    tx_append(tx, &id, &next, 1);
    assert_int_equal(commit(w, tx), E_IO);
    assert_damaged(&w->answers[0].err);
    assert_non_null(get(w, RECORD_SESSION, "sesn_1"));
    assert_done(w, put_work("work_1", 10));
    assert_non_null(get(w, RECORD_WORK, "work_1"));
}

static void a_cut_database_is_damaged(struct world *w)
{
    struct err e = { 0 };
    struct sqlite_world *own = sqlite_of(w);
    AUTO_BUF report = { 0 };
    make_session(w, "sesn_1", 500);
    shut(w);
    assert_int_equal(truncate(sqlite_path(w, "postern.db"), 20000), 0);
    assert_true(sqlite_store_check(own->dir, &report, &e) != 0);
    assert_int_equal(sqlite_store_new(&w->store, own->dir, own->loop, NULL, &e), -1);
    assert_damaged(&e);
}

int main(void)
{
    static const struct claim claims[] = {
        CLAIM(a_file_that_may_not_grow_fails_a_transaction_and_no_later_one),
        CLAIM(a_full_disk_fails_transactions_until_there_is_room),
        CLAIM(a_database_that_another_process_holds_is_said_and_works_again_later),
        CLAIM(a_damaged_database_is_named_with_the_cure_when_it_is_opened),
        CLAIM(a_damaged_page_fails_what_needs_it_and_nothing_else),
        CLAIM(a_cut_database_is_damaged),
    };
    return sqlite_claims(claims, sizeof claims / sizeof *claims);
}
