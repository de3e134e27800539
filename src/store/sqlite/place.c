#include "store/sqlite/place.h"

#include "base/buf.h"
#include "base/fd.h"
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

static char *path_in(const char *dir, const char *name)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", dir, name);
    return buf_take(&path);
}

char *place_database(const char *dir)
{
    return path_in(dir, SQLITE_STORE_FILE);
}

static int make_directory(const char *dir, struct err *e)
{
    struct stat st;
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return err_set(e, E_IO, errno, "make the directory '%s'", dir);
    if (stat(dir, &st) < 0)
        return err_set(e, E_IO, errno, "look at the directory '%s'", dir);
    if (!S_ISDIR(st.st_mode))
        return err_set(e, E_INPUT, 0, "'%s' is no directory", dir);
    if (st.st_mode & (S_IWGRP | S_IWOTH)) /* they could put another database there */
        return err_set(e, E_DENIED, 0, "others may write into '%s'; it should have mode 0700", dir);
    return 0;
}

/* SQLite gives the files beside it the same mode. */
static int make_database(const char *path, struct err *e)
{
    AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, E_IO, errno, "open '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(e, E_INPUT, 0, "'%s' is no plain file", path);
    if ((st.st_mode & 077) && fchmod(fd, 0600) < 0)
        return err_set(e, E_IO, errno, "'%s' holds secrets and others may read it", path);
    return 0;
}

/* Not on the database itself: SQLite's own locks are there, and closing any descriptor of that file
 * would drop them. */
static int take_lock(const char *dir, int *out, struct err *e)
{
    AUTO_FREE char *path = path_in(dir, "postern.lock");
    AUTO_FD fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, E_IO, errno, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK)
            return err_set(e, E_CONFLICT, 0, "another process serves '%s'", dir);
        return err_set(e, E_IO, errno, "lock '%s'", path);
    }
    *out = fd_take(&fd);
    return 0;
}

int place_open(struct place *p, const char *dir, struct err *e)
{
    *p = (struct place){ .lock = -1 };
    if (make_directory(dir, e) < 0 || take_lock(dir, &p->lock, e) < 0)
        return -1;
    p->database = place_database(dir);
    if (make_database(p->database, e) < 0) {
        place_close(p);
        return -1;
    }
    return 0;
}

void place_close(struct place *p)
{
    free(p->database);
    fd_drop(&p->lock);
    p->database = NULL;
}
