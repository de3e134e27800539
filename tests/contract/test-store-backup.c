/* Claims of store/sqlite.h: backups and the check. */
#include "store-world.h"

#include "base/buf.h"
#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Puts a backup into the place of a store and opens that. */
static void restore(struct world *w, const char *backup)
{
    static const char *const files[] = { "postern.db", "postern.lock" };
    w->store->ops->free(w->store);
    w->store = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        assert_int_equal(unlink(sqlite_path(w, files[i])), 0);
    assert_int_equal(rename(backup, sqlite_path(w, "postern.db")), 0);
    struct err e;
    struct sqlite_world *own = sqlite_of(w);
    if (sqlite_store_new(&w->store, own->dir, own->loop, NULL, &e) < 0)
        fail_msg("%s", e.text);
}

static void back_up(struct world *w, const char *to)
{
    struct err e;
    struct stat st;
    AUTO_BUF report = { 0 };
    if (sqlite_store_backup(sqlite_of(w)->dir, to, &e) < 0)
        fail_msg("%s", e.text);
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    if (sqlite_store_check(to, &report, &e) != 0)
        fail_msg("%s%s", buf_text(&report), e.text);
}

static void a_backup_holds_what_was_answered_before_it(struct world *w)
{
    const char *to = sqlite_path(w, "backup");
    make_session(w, "sesn_1", 300);
    back_up(w, to);
    make_session(w, "sesn_2", 1);
    restore(w, to);
    assert_int_equal(last_seq(w, "sesn_1"), 300);
    assert_null(get(w, RECORD_SESSION, "sesn_2"));
    make_session(w, "sesn_3", 1); /* and it can be written */
}

static void a_backup_is_of_one_moment_while_others_write(struct world *w)
{
    const char *to = sqlite_path(w, "backup");
    make_session(w, "sesn_1", 1000);
    struct id id = id_of("sesn_1");
    for (int i = 0; i < 200; i++) { /* each writes the number of its entry into the record too */
        struct record r = record_of(RECORD_SESSION, "sesn_1", 1000, "{}");
        struct entry entry = entry_of(1001 + i, "agent.message", "{}");
        struct tx *tx = tx_new();
        r.number = entry.seq;
        tx_append(tx, &id, &entry, 1);
        tx_put(tx, &r, i + 1);
        submit(w, tx);
    }
    loop_run(sqlite_of(w)->loop); /* until the first answers: the thread is at work */
    assert_true(w->answered_ever < w->submitted);
    back_up(w, to);
    w->backend->settle(w);
    restore(w, to);
    const struct record *r = get(w, RECORD_SESSION, "sesn_1");
    assert_int_equal(last_seq(w, "sesn_1"), r->revision == 1 ? 1000 : r->number);
}

static void a_backup_never_replaces_a_file(struct world *w)
{
    struct err e;
    const char *to = sqlite_path(w, "backup");
    AUTO_FD fd = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(fd, "mine", 4), 4);
    assert_int_equal(sqlite_store_backup(sqlite_of(w)->dir, to, &e), -1);
    assert_int_equal(e.kind, E_CONFLICT);
    struct stat st;
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(unlink(to), 0);
}

static size_t files_in(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

static void a_backup_that_fails_leaves_no_file(struct world *w)
{
    struct err e;
    size_t before = files_in(sqlite_of(w)->dir);
    assert_int_equal(sqlite_store_backup("/nowhere", sqlite_path(w, "backup"), &e), -1);
    assert_int_equal(e.kind, E_MISSING);
    assert_int_equal(sqlite_store_backup(sqlite_of(w)->dir, "/nowhere/backup", &e), -1);
    assert_int_equal(e.kind, E_IO);
    assert_int_equal(files_in(sqlite_of(w)->dir), before);
}

static void an_older_or_foreign_database_is_not_backed_up(struct world *w)
{
    struct err e;
    w->store->ops->free(w->store);
    w->store = NULL;
    sqlite_run(w, "PRAGMA user_version = 0");
    assert_int_equal(sqlite_store_backup(sqlite_of(w)->dir, sqlite_path(w, "backup"), &e), -1);
    assert_int_equal(e.kind, E_INPUT);
}

static void the_check_names_what_is_wrong(struct world *w)
{
    static const struct {
        const char *sql, *said;
    } cases[] = {
        { "DELETE FROM entry WHERE seq = 2", "the log of sesn_1 has a gap" },
        { "DELETE FROM entry WHERE seq = 1", "the log of sesn_1 has a gap" },
        { "UPDATE entry SET at = 1 WHERE seq = 3", "the log of sesn_1 at 3 goes back in time" },
        { "DELETE FROM record", "belongs to no session" },
        { "UPDATE record SET kind = 7", "sesn_1 has a log and is no session" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err e = { 0 };
        AUTO_BUF good = { 0 };
        AUTO_BUF bad = { 0 };
        make_session(w, "sesn_1", 4);
        assert_int_equal(sqlite_store_check(sqlite_of(w)->dir, &good, &e), 0);
        assert_int_equal(good.n, 0);
        sqlite_run(w, cases[i].sql);
        assert_true(sqlite_store_check(sqlite_of(w)->dir, &bad, &e) > 0);
        if (!strstr(buf_text(&bad), cases[i].said))
            fail_msg("%s: %s", cases[i].sql, buf_text(&bad));
        sqlite_run(w, "DELETE FROM entry; DELETE FROM record");
    }
}

static void the_check_of_what_is_not_there_fails(struct world *w)
{
    struct err e;
    AUTO_BUF report = { 0 };
    assert_int_equal(sqlite_store_check("/nowhere", &report, &e), -1);
    assert_int_equal(e.kind, E_MISSING);
    assert_int_equal(sqlite_store_check("/tmp", &report, &e), -1);
    assert_int_equal(e.kind, E_MISSING);
}

int main(void)
{
    static const struct claim claims[] = {
        CLAIM(a_backup_holds_what_was_answered_before_it),
        CLAIM(a_backup_is_of_one_moment_while_others_write),
        CLAIM(a_backup_never_replaces_a_file),
        CLAIM(a_backup_that_fails_leaves_no_file),
        CLAIM(an_older_or_foreign_database_is_not_backed_up),
        CLAIM(the_check_names_what_is_wrong),
        CLAIM(the_check_of_what_is_not_there_fails),
    };
    return sqlite_claims(claims, sizeof claims / sizeof *claims);
}
