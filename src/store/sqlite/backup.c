#include "store/sqlite.h"

#include "base/fd.h"
#include "store/sqlite/place.h"
#include "store/sqlite/schema.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { PATIENCE_MS = 5000 };

/* All pages in one step: the copy is of one moment, and a server that writes meanwhile neither waits nor
 * makes it begin anew. */
static int copy_pages(struct database *to, struct database *from, struct err *e)
{
    sqlite3_backup *copy = sqlite3_backup_init(to->db, "main", from->db, "main");
    if (!copy)
        return database_error(to, "begin the copy", e);
    sqlite3_backup_step(copy, -1);
    if (sqlite3_backup_finish(copy) != SQLITE_OK) /* says what the step said */
        return database_error(to, "copy into it", e);
    return 0;
}

/* `path` is an empty file. */
static int copy_to(const char *path, struct database *from, struct err *e)
{
    AUTO_DATABASE to = { 0 };
    if (database_open(&to, path, SQLITE_OPEN_READWRITE, 0, e) < 0 ||
        database_exec(&to, "PRAGMA synchronous = OFF", e) < 0 || copy_pages(&to, from, e) < 0)
        return -1;
    /* One file: without the log that a server keeps beside its database. */
    return database_exec(&to, "PRAGMA journal_mode = DELETE", e);
}

static int sync_path(const char *path, int flags, struct err *e)
{
    AUTO_FD fd = open(path, flags | O_CLOEXEC);
    return fd >= 0 && fsync(fd) == 0 ? 0 : err_set(e, E_IO, errno, "make '%s' durable", path);
}

/* Gives the finished copy its name, which must still be free. */
static int publish(const char *path, const char *to, struct err *e)
{
    AUTO_FREE char *copy = str_dup(str_of(to));
    if (sync_path(path, O_RDWR, e) < 0)
        return -1;
    if (link(path, to) < 0)
        return err_set(e, errno == EEXIST ? E_CONFLICT : E_IO, errno, "make '%s'", to);
    return sync_path(dirname(copy), O_RDONLY | O_DIRECTORY, e);
}

/* Opens a database that must be there and ours; nothing of it is changed. */
static int open_source(struct database *d, const char *path, struct err *e)
{
    if (access(path, F_OK) < 0)
        return err_set(e, errno == ENOENT ? E_MISSING : E_IO, errno, "open '%s'", path);
    if (database_open(d, path, SQLITE_OPEN_READWRITE, PATIENCE_MS, e) < 0)
        return -1;
    if (database_exec(d, "PRAGMA query_only = ON", e) < 0)
        return -1;
    return schema_is_ours(d, &schema_postern, e);
}

int sqlite_store_backup(const char *dir, const char *to, struct err *e)
{
    AUTO_FREE char *path = place_database(dir);
    AUTO_DATABASE from = { 0 };
    AUTO_BUF part = { 0 };
    if (access(to, F_OK) == 0)
        return err_set(e, E_CONFLICT, 0, "'%s' is there already", to);
    if (open_source(&from, path, e) < 0)
        return -1;
    buf_addf(&part, "%s.part-%d", to, (int)getpid());
    AUTO_FD fd = open(buf_text(&part), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_set(e, E_IO, errno, "make '%s'", buf_text(&part));
    fd_drop(&fd);
    int rc = copy_to(buf_text(&part), &from, e) < 0 ? -1 : publish(buf_text(&part), to, e);
    unlink(buf_text(&part));
    return rc;
}

/* The questions of the check: each row of an answer is a problem. */
static const struct {
    const char *sql, *text; /* %s: the row's first column */
} questions[] = {
    { "PRAGMA integrity_check(100)", "SQLite: %s" },
    { "SELECT DISTINCT 'log ' || session FROM entry WHERE session NOT IN "
      "(SELECT key FROM record UNION ALL SELECT session FROM gone)",
      "%s belongs to no session" },
    { "SELECT id FROM record JOIN (SELECT session, count(*) AS n, min(seq) AS first, max(seq) AS "
      "last "
      "FROM entry GROUP BY session) ON session = key WHERE first <> 1 OR last <> n",
      "the log of %s has a gap" },
    { "SELECT record.id || ' at ' || b.seq FROM entry a JOIN entry b ON b.session = a.session AND "
      "b.seq = a.seq + 1 JOIN record ON record.key = a.session WHERE b.at < a.at",
      "the log of %s goes back in time" },
    { "SELECT DISTINCT record.id FROM entry JOIN record ON record.key = session "
      "WHERE record.kind <> 6",
      "%s has a log and is no session" },
};

static int ask(struct database *d, size_t question, struct buf *report, struct err *e)
{
    int row, problems = 0;
    AUTO_STATEMENT s = database_prepare(d, questions[question].sql, e);
    while ((row = s ? database_step(d, s, e) : -1) == 1) {
        struct str found = column_text(s, 0);
        if (str_eq(found, STR("ok")))
            continue; /* what PRAGMA integrity_check says when there is nothing */
        const char *hole = strstr(questions[question].text, "%s");
        buf_add(report, (struct str){ questions[question].text,
                                      (size_t)(hole - questions[question].text) });
        buf_add(report, found);
        buf_addf(report, "%s\n", hole + 2);
        problems++;
    }
    return row < 0 ? -1 : problems;
}

/* Whether the last call failed because of what stands in the file: that is what was asked for, no
 * failure to look. */
static bool damaged(const struct database *d, struct buf *report)
{
    int code = d->db ? sqlite3_errcode(d->db) & 0xff : SQLITE_OK;
    if (code != SQLITE_CORRUPT && code != SQLITE_NOTADB)
        return false;
    buf_addf(report, "the file is %s: put a backup in its place\n",
             code == SQLITE_NOTADB ? "no database, or damaged from its first page on"
                                   : "damaged, and cannot be read any further");
    return true;
}

int sqlite_store_check(const char *path, struct buf *report, struct err *e)
{
    _Static_assert(RECORD_SESSION == 6, "the number stands in a question");
    struct stat st;
    AUTO_DATABASE d = { 0 };
    if (stat(path, &st) < 0)
        return err_set(e, errno == ENOENT ? E_MISSING : E_IO, errno, "look at '%s'", path);
    AUTO_FREE char *file = S_ISDIR(st.st_mode) ? place_database(path) : str_dup(str_of(path));
    if (open_source(&d, file, e) < 0)
        return damaged(&d, report) ? 1 : -1;
    int problems = 0;
    for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
        int found = ask(&d, i, report, e);
        if (found < 0)
            return damaged(&d, report) ? problems + 1 : -1;
        problems += found;
    }
    return problems;
}
