/* Nothing changes for a command that keeps to its place: every call that the warden performs gives
 * the result, the errno and the files that the kernel itself gives. Each operation is tried on each
 * path, once without and once with the filter, and the two logs must be equal. */
#include "ward.h"

#include "base/check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

static char long_name[300];

static const char *const paths[] = {
    "file",
    "dir",
    "full",
    "link-file",
    "link-dir",
    "link-nowhere",
    "link-loop",
    "link-chain",
    "missing",
    "missing/x",
    "file/x",
    "dir/x",
    "dir/",
    "file/",
    "missing/",
    "link-dir/",
    "link-nowhere/",
    "link-file/",
    "link-dir/x",
    "link-dir/../file",
    ".",
    "..",
    "./",
    "/",
    "",
    "dir/.",
    "dir/..",
    "./file",
    "dir/../file",
    "missing/../file",
    "//",
    "fifo",
    "sock",
    "link-null",
    "full/inner",
    "link-full/inner",
    "locked/x",
    "locked",
    long_name,
    "dir/../dir/../dir/new",
    "link-abs/x",
    "read-only",
    "/proc/self/fd/3/file",
    "/proc/self/cwd/file",
    "/proc/thread-self/cwd/new",
    "odd\nname\xff",
    "link-proc/file",
};

enum { PATHS = sizeof paths / sizeof *paths };

/* Only read, because nothing may change there. */
static const char *const read_paths[] = {
    "/proc",
    "/proc/",
    "/proc/self",
    "/proc/self/",
    "/proc/self/status",
    "/proc/thread-self/comm",
    "/proc/self/fd",
    "/proc/self/fd/3",
    "/proc/self/fd/3/",
    "/proc/self/fd/100",
    "/proc/self/fdinfo/3",
    "/proc/self/exe",
    "/proc/self/cwd",
    "/proc/self/root/proc/self/stat",
    "/proc/self/maps",
    "/proc/self/mem",
    "/proc/self/environ",
    "/proc/self/mounts",
    "/proc/self/task",
    "/proc/self/ns/net",
    "/proc/mounts",
    "/proc/net/dev",
    "/proc/meminfo",
    "/proc/sys/kernel/ostype",
    "/proc/2147483646/stat",
    "/proc/self/nothing",
    "/dev/null",
    "/dev/zero",
    "/dev/tty",
    "/dev/fd/3",
    "/dev/stdin",
    "/dev/ptmx",
    "/usr/lib",
    "/lib/../bin/sh",
    "/etc/passwd",
    "/etc/shadow",
    "/root",
};

enum { READ_PATHS = sizeof read_paths / sizeof *read_paths };

static const int read_flags[] = {
    O_RDONLY,
    O_RDONLY | O_CLOEXEC,
    O_RDONLY | O_DIRECTORY,
    O_RDONLY | O_NOFOLLOW,
    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    O_RDONLY | O_NONBLOCK,
    O_RDONLY | O_NOATIME,
    O_RDONLY | O_EXCL,
    O_PATH,
    O_PATH | O_DIRECTORY,
};

enum { READS = sizeof read_flags / sizeof *read_flags };

struct trial {
    const char *path;
    FILE *log;
    char *pristine; /* the tree as it was built */
    bool is_built;
};

__attribute__((format(printf, 2, 3))) static void note(const struct trial *t, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(t->log, fmt, ap);
    va_end(ap);
}

static void must(long result)
{
    if (result < 0) {
        perror("build the tree");
        abort();
    }
}

static void make_file(const char *name, mode_t mode)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL, mode);
    must(fd);
    must(write(fd, "content", 7));
    close(fd);
}

/* In the working directory, which is empty. */
static void build(void)
{
    char here[PATH_MAX];
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "sock" };
    umask(0);
    must(mkdir("dir", 0755));
    must(mkdir("full", 0755));
    must(mkdir("locked", 0755));
    make_file("file", 0644);
    make_file("read-only", 0444);
    make_file("full/inner", 0644);
    make_file("locked/x", 0644);
    must(symlink("file", "link-file"));
    must(symlink("dir", "link-dir"));
    must(symlink("full", "link-full"));
    must(symlink("nowhere", "link-nowhere"));
    must(symlink("link-loop", "link-loop"));
    must(symlink("./link-file", "link-chain"));
    must(symlink("/dev/null", "link-null"));
    must(symlink("/proc/self/cwd", "link-proc"));
    CHECK(getcwd(here, PATH_MAX - 8));
    snprintf(here + strlen(here), 8, "/dir");
    must(symlink(here, "link-abs"));
    must(mkfifo("fifo", 0644));
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    must(bind(s, (struct sockaddr *)&address, sizeof address));
    close(s);
    must(chmod("locked", 0500));
}

static void clear(int dir)
{
    DIR *d = fdopendir(dir);
    CHECK(d);
    for (struct dirent *entry; (entry = readdir(d));) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(d), entry->d_name, 0) == 0)
            continue;
        int below = openat(dirfd(d), entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        must(below);
        must(fchmod(below, 0700));
        clear(below);
        must(unlinkat(dirfd(d), entry->d_name, AT_REMOVEDIR));
    }
    closedir(d);
}

/* What stands in the tree, in a fixed order. */
static void list(FILE *out, int dir, const char *prefix)
{
    struct dirent **entries;
    int n = scandirat(dir, ".", &entries, NULL, alphasort);
    for (int i = 0; i < n; i++) {
        const char *name = entries[i]->d_name;
        struct stat st;
        char target[PATH_MAX] = "";
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        CHECK(fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0);
        if (S_ISLNK(st.st_mode))
            CHECK(readlinkat(dir, name, target, sizeof target) > 0);
        fprintf(out, " %s%s:%o:%lu:%ld%s%s", prefix, name, st.st_mode, (unsigned long)st.st_nlink,
                S_ISDIR(st.st_mode) ? 0 : (long)st.st_size, *target ? ">" : "", target);
        if (S_ISDIR(st.st_mode)) {
            char below[PATH_MAX];
            snprintf(below, sizeof below, "%s%s/", prefix, name);
            int fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
            if (fd >= 0)
                list(out, fd, below);
            close(fd);
        }
    }
    for (int i = 0; i < n; i++)
        free(entries[i]);
    free(entries);
}

static void note_result(const struct trial *t, long result)
{
    note(t, result < 0 ? "%ld %s" : "%ld", result, result < 0 ? strerrorname_np(errno) : "");
}

/* Opens with the flags; also what the descriptor then says of itself. */
static void try_open(const struct trial *t, int flags, mode_t mode)
{
    int fd = open(t->path, flags, mode);
    note_result(t, fd);
    if (fd < 0)
        return;
    struct stat st;
    fstat(fd, &st);
    note(t, " %o %d", st.st_mode,
         fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH | O_DIRECT));
    note(t, " %d", fcntl(fd, F_GETFD));
    char byte;
    if (S_ISREG(st.st_mode))
        note(t, " %zd %zd", write(fd, "w", 1), read(fd, &byte, 1));
    if (S_ISDIR(st.st_mode))
        note(t, " %d", syscall(SYS_getdents64, fd, &byte, 1) < 0 ? errno : 0);
    close(fd);
}

static const int open_flags[] = {
    O_WRONLY,
    O_RDWR,
    O_WRONLY | O_TRUNC,
    O_RDONLY | O_TRUNC,
    O_RDWR | O_APPEND | O_CLOEXEC,
    O_WRONLY | O_NOFOLLOW,
    O_WRONLY | O_CREAT,
    O_RDONLY | O_CREAT,
    O_WRONLY | O_CREAT | O_TRUNC,
    O_RDWR | O_CREAT | O_EXCL,
    O_WRONLY | O_CREAT | O_NOFOLLOW,
    O_RDWR | O_CREAT | O_APPEND,
    O_WRONLY | O_DIRECTORY,
    O_WRONLY | O_CREAT | O_DIRECTORY,
    O_RDWR | O_TMPFILE,
    O_WRONLY | O_TMPFILE | O_EXCL,
    O_PATH | O_RDWR,
    O_PATH | O_CREAT | O_NOFOLLOW,
    O_ACCMODE,
};

static const mode_t modes[] = { 0644, 0777, 0600, 01666, 0 };

static void build_other(void)
{
    make_file("other", 0640);
    must(mkdir("other-dir", 0750));
}

static void try_bind(const struct trial *t)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (strlen(t->path) < sizeof address.sun_path && *t->path) {
        memcpy(address.sun_path, t->path, strlen(t->path));
        note_result(t, bind(s, (struct sockaddr *)&address, sizeof address));
        note_result(t, connect(s, (struct sockaddr *)&address, sizeof address));
    }
    close(s);
}

enum { OPENS = sizeof open_flags / sizeof *open_flags, OTHERS = 22 };

/* The operations that are no opens. */
static void try_other(const struct trial *t, int which)
{
    const char *p = t->path;
    switch (which) {
    case 0:
        note_result(t, mkdir(p, 0777));
        break;
    case 1:
        note_result(t, mknod(p, S_IFREG | 0666, 0));
        break;
    case 2:
        note_result(t, mkfifo(p, 0622));
        break;
    case 3:
        note_result(t, symlink("target", p));
        break;
    case 4:
        note_result(t, link(p, "second"));
        break;
    case 5:
        note_result(t, linkat(AT_FDCWD, p, AT_FDCWD, "second", AT_SYMLINK_FOLLOW));
        break;
    case 6:
        note_result(t, link("other", p));
        break;
    case 7:
        note_result(t, rename(p, "second"));
        break;
    case 8:
        note_result(t, rename("other", p));
        break;
    case 9:
        note_result(t, rename("other-dir", p));
        break;
    case 10:
        note_result(t, renameat2(AT_FDCWD, p, AT_FDCWD, "other", RENAME_EXCHANGE));
        break;
    case 11:
        note_result(t, renameat2(AT_FDCWD, "other", AT_FDCWD, p, RENAME_NOREPLACE));
        break;
    case 12:
        note_result(t, renameat2(AT_FDCWD, p, AT_FDCWD, "x", RENAME_EXCHANGE | RENAME_NOREPLACE));
        break;
    case 13:
        note_result(t, unlink(p));
        break;
    case 14:
        note_result(t, rmdir(p));
        break;
    case 15:
        note_result(t, truncate(p, 3));
        break;
    case 16:
        note_result(t, truncate(p, -1));
        break;
    case 17:
        note_result(t, creat(p, 0666));
        break;
    case 18:
        try_bind(t);
        break;
    case 19:
        note_result(t, rename(p, "other-dir"));
        break;
    case 20:
        note_result(t, rename(p, p));
        break;
    case 21:
        note_result(t, unlinkat(3, p, 0x4000));
        break;
    default:
        break;
    }
}

/* The caller frees. */
static char *tree(void)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    int dir = openat(3, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    list(out, dir, "");
    close(dir);
    fclose(out);
    return text;
}

/* Builds the tree anew when the last trial has changed it. */
static void prepare(struct trial *t)
{
    if (t->is_built)
        return;
    clear(openat(3, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    build();
    build_other();
    t->is_built = true;
    free(t->pristine);
    t->pristine = tree();
}

static void one(struct trial *t, int operation, mode_t mask)
{
    prepare(t);
    umask(mask);
    note(t, "[%s] %d %03o: ", t->path, operation, mask);
    /* Opening a fifo may wait for ever; what does not wait is tried there. */
    bool fifo = strcmp(t->path, "fifo") == 0;
    if (operation < OPENS) {
        int flags = open_flags[operation];
        bool waits = fifo && (flags & O_ACCMODE) != O_RDWR;
        try_open(t, waits ? flags | O_NONBLOCK : flags, modes[operation % 5]);
    } else if (!(fifo && operation - OPENS == 17)) {
        try_other(t, operation - OPENS);
    }
    char *now = tree();
    note(t, ":%s\n", now);
    t->is_built = strcmp(now, t->pristine) == 0;
    free(now);
}

struct job {
    const char *directory;
    int log;
    mode_t mask;
    size_t paths;
};

static int try_everything(void *ctx)
{
    const struct job *j = ctx;
    struct trial t = { .log = fdopen(dup2(j->log, 100), "w") };
    CHECK(t.log);
    must(chdir(j->directory));
    int dir = open(".", O_RDONLY | O_DIRECTORY);
    CHECK(dup2(dir, 3) == 3);
    syscall(SYS_close_range, 4, 99, 0);
    for (size_t p = 0; p < j->paths + READ_PATHS; p++)
        for (int f = 0; f < READS; f++) {
            prepare(&t);
            t.path = p < j->paths ? paths[p] : read_paths[p - j->paths];
            note(&t, "[%s] read %d: ", t.path, f);
            bool fifo = strcmp(t.path, "fifo") == 0;
            if (strcmp(t.path, "/dev/tty") == 0 && (read_flags[f] & O_NOATIME))
                continue; /* wrong in two ways, and which is said first does not matter */
            try_open(&t, read_flags[f] | (fifo ? O_NONBLOCK : 0), 0);
            note(&t, "\n");
        }
    for (size_t p = 0; p < j->paths; p++)
        for (int o = 0; o < OPENS + OTHERS; o++) {
            t.path = paths[p];
            one(&t, o, j->mask);
        }
    clear(openat(3, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    free(t.pristine);
    return fclose(t.log) == 0 ? 0 : 1;
}

static char *log_of(struct ward *w, const char *directory, mode_t mask, size_t count)
{
    struct job j = { directory, memfd_create("log", MFD_CLOEXEC), mask, count };
    CHECK(j.log >= 0);
    assert_int_equal(ward_run(w, try_everything, &j), 0);
    off_t size = lseek(j.log, 0, SEEK_END);
    char *text = calloc(1, (size_t)size + 1);
    CHECK(text && pread(j.log, text, (size_t)size, 0) == size);
    close(j.log);
    return text;
}

/* Compares line by line, and shows the first few that differ. */
static int differences(char *bare, char *warded)
{
    int n = 0;
    char *a_left = bare, *b_left = warded;
    for (;;) {
        char *a = strsep(&a_left, "\n"), *b = strsep(&b_left, "\n");
        if (!a || !b)
            break;
        if (strcmp(a, b) != 0 && ++n < 12)
            printf("bare:   %s\nwarded: %s\n", a, b);
    }
    if (n)
        printf("%d lines differ\n", n);
    return n;
}

static void compare(bool as_nobody, bool judge_reads, mode_t mask, size_t count)
{
    char directory[] = "/dev/shm/warden-same-XXXXXX";
    CHECK(mkdtemp(directory));
    CHECK(chmod(directory, 0777) == 0);
    memset(long_name, 'n', 256);
    struct file_rule_path root = { "/", "everything, so that no denial hides a difference" };
    struct ward w;
    ward_init(&w, &root);
    w.as_nobody = as_nobody;
    w.options.judge_reads = judge_reads;
    w.bare = true;
    char *bare = log_of(&w, directory, mask, count);
    w.bare = false;
    char *warded = log_of(&w, directory, mask, count);
    assert_int_equal(differences(bare, warded), 0);
    free(bare);
    free(warded);
    CHECK(rmdir(directory) == 0);
}

static void every_call_gives_what_the_kernel_gives(void **state)
{
    compare(false, false, 022, PATHS);
}

static void the_umask_is_the_callers(void **state)
{
    compare(false, false, 077, 12);
}

static void the_same_for_an_unprivileged_user(void **state)
{
    if (geteuid() != 0)
        skip();
    compare(true, false, 002, PATHS);
}

static void the_same_when_every_open_is_judged(void **state)
{
    compare(false, true, 022, PATHS);
}

static void the_same_when_every_open_of_an_unprivileged_user_is_judged(void **state)
{
    if (geteuid() != 0)
        skip();
    compare(true, true, 002, PATHS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_call_gives_what_the_kernel_gives),
        cmocka_unit_test(the_umask_is_the_callers),
        cmocka_unit_test(the_same_for_an_unprivileged_user),
        cmocka_unit_test(the_same_when_every_open_is_judged),
        cmocka_unit_test(the_same_when_every_open_of_an_unprivileged_user_is_judged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
