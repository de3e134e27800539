#include "sandbox/hostfile.h"

#include "base/fd.h"
#include "egress/clean.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

/* What a wish leads to on the host. */
struct target {
    int parent, object; /* owned, O_PATH; object -1: it would be made */
    const char *name;   /* the last component, in the wish */
    struct stat st;
};

static void target_drop(struct target *t)
{
    fd_drop(&t->parent);
    fd_drop(&t->object);
}

static int refuse(const char **rule, const char *why)
{
    *rule = why;
    return EACCES;
}

/* Absolute, without empty or dotted components, and shown to a person as it is. */
static bool is_plain_path(struct str path)
{
    AUTO_BUF shown = { 0 };
    struct str rest = str_skip(path, 1), part;
    if (path.n < 2 || path.p[0] != '/')
        return false;
    while (str_cut(&rest, '/', &part))
        if (part.n == 0 || part.n > NAME_MAX || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    clean_text(&shown, path, path.n);
    return str_is_utf8(path) && str_eq(buf_str(&shown), path);
}

/* Places where the same path means another file inside, or no file of anybody's. */
static const char *foreign_place(const struct plan *p, struct str path)
{
    static const char *const machine[] = { "/proc", "/sys", "/dev" };
    for (size_t i = 0; i < sizeof machine / sizeof *machine; i++)
        if (path_is_beneath(path, str_of(machine[i])))
            return "a file system of the kernel";
    for (size_t i = 0; i < p->stalled.count; i++) /* we must not wait for it */
        if (path_is_beneath(path, str_of(p->stalled.mounts[i].path)))
            return "a file system that may not answer";
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        if ((m->kind == MOUNT_BIND || m->kind == MOUNT_PRIVATE) &&
            path_is_beneath(path, str_of(m->path)))
            return m->rule;
    }
    return NULL;
}

/* Our settings, answers, logs and programs: not even to be read (T24). */
static const char *own_file(const struct plan *p, struct str path)
{
    for (size_t i = 0; i < p->deny_write.count; i++)
        if (strcmp(p->deny_write.items[i].rule, PLAN_OWN_FILES) == 0 &&
            path_is_beneath(path, str_of(p->deny_write.items[i].path)))
            return PLAN_OWN_FILES;
    return NULL;
}

static bool is_listed(const struct file_rule_inode *list, size_t count, const struct stat *st,
                      const char **rule)
{
    for (size_t i = 0; i < count; i++)
        if (list[i].inode == st->st_ino && list[i].device == st->st_dev)
            return *rule = list[i].rule, true;
    return false;
}

static int judge_by_name(const struct plan *p, const struct wish *w, struct str path, bool exists,
                         const char **rule)
{
    static const struct file_facts none = { 0 };
    const struct file_rules *r = &p->rules;
    struct file_verdict reads = file_rules_judge_read(r, path, &none);
    if (reads.kind == FILE_DENIED && !reads.askable)
        return refuse(rule, reads.rule);
    if (!wish_writes(w))
        return reads.kind == FILE_DENIED ? 0 : refuse(rule, "not hidden");
    struct file_verdict writes =
        file_rules_judge(r, path, exists ? FILE_WRITE : FILE_CREATE, &none);
    return writes.kind == FILE_DENIED && writes.askable ? 0 : refuse(rule, writes.rule);
}

static int open_path(int dir, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(O_PATH | O_CLOEXEC | flags),
                            .resolve = RESOLVE_NO_SYMLINKS };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static bool has_path(int fd, struct str path)
{
    char link[32], text[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, text, sizeof text);
    return n > 0 && (size_t)n < sizeof text && str_eq((struct str){ text, (size_t)n }, path);
}

/* File systems whose files are no files: reading or writing them is a request to the kernel. */
static bool is_of_kernel(int fd)
{
    static const uint32_t magics[] = { PROC_SUPER_MAGIC,   SYSFS_MAGIC,         DEVPTS_SUPER_MAGIC,
                                       CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, DEBUGFS_MAGIC,
                                       TRACEFS_MAGIC,      SECURITYFS_MAGIC,    BPF_FS_MAGIC,
                                       PSTOREFS_MAGIC,     EFIVARFS_MAGIC,      NSFS_MAGIC };
    struct statfs fs;
    if (fstatfs(fd, &fs) < 0)
        return true;
    for (size_t i = 0; i < sizeof magics / sizeof *magics; i++)
        if ((uint32_t)fs.f_type == magics[i])
            return true;
    return false;
}

/* What the caller's user may do there; a person need not be asked about the rest. */
static int may_user(int fd, int mode)
{
    char link[32];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    return faccessat(AT_FDCWD, link, mode, AT_EACCESS) < 0 ? errno : 0;
}

static int judge_object(const struct plan *p, const struct wish *w, const struct target *t,
                        const char **rule)
{
    const struct file_rules *r = &p->rules;
    const int access_mode = w->flags & O_ACCMODE;
    int mode = access_mode == O_WRONLY ? W_OK : access_mode == O_RDONLY ? R_OK : R_OK | W_OK;
    if (t->object < 0)
        return is_of_kernel(t->parent) ? refuse(rule, "a file system of the kernel")
                                       : may_user(t->parent, W_OK | X_OK);
    if ((w->flags & O_CREAT) && (w->flags & O_EXCL))
        return EEXIST;
    if (!S_ISREG(t->st.st_mode))
        return refuse(rule, "no regular file");
    if (is_of_kernel(t->object))
        return refuse(rule, "a file system of the kernel");
    if (is_listed(r->denied_inodes, r->denied_inode_count, &t->st, rule) ||
        is_listed(r->hidden_inodes, r->hidden_inode_count, &t->st, rule))
        return EACCES;
    return may_user(t->object, w->flags & O_TRUNC ? mode | W_OK : mode);
}

/* Finds the target and judges it by everything that is known of it. */
static int find(const struct plan *p, const struct wish *w, struct target *t, const char **rule)
{
    char parent[PATH_MAX];
    struct str path = str_of(w->path);
    if (!is_plain_path(path))
        return refuse(rule, "a name that cannot be shown as it is");
    const char *why = foreign_place(p, path);
    if (!why)
        why = own_file(p, path);
    if (why)
        return refuse(rule, why);
    size_t slash = (size_t)str_last_index(path, '/');
    snprintf(parent, sizeof parent, "%.*s", slash ? (int)slash : 1, w->path);
    t->name = w->path + slash + 1;
    t->parent = open_path(AT_FDCWD, parent, O_DIRECTORY);
    if (t->parent < 0)
        return errno == ELOOP ? refuse(rule, "a link in what is hidden") : errno;
    if (!has_path(t->parent, str_of(parent)))
        return refuse(rule, "moved meanwhile");
    t->object = open_path(t->parent, t->name, O_NOFOLLOW);
    if (t->object < 0 && !(errno == ENOENT && (w->flags & O_CREAT)))
        return errno == ELOOP ? refuse(rule, "a link in what is hidden") : errno;
    if (t->object >= 0 && (fstat(t->object, &t->st) < 0 || !has_path(t->object, path)))
        return refuse(rule, "moved meanwhile");
    int os = judge_by_name(p, w, path, t->object >= 0, rule);
    return os ? os : judge_object(p, w, t, rule);
}

int hostfile_check(const struct plan *p, const struct wish *w, const char **rule)
{
    CLEANUP(target_drop) struct target t = { .parent = -1, .object = -1 };
    *rule = NULL;
    return find(p, w, &t, rule);
}

int hostfile_open(const struct plan *p, const struct wish *w, int *fd, bool *made)
{
    enum {
        KEPT = O_ACCMODE | O_APPEND | O_TRUNC | O_NONBLOCK | O_SYNC | O_DSYNC | O_DIRECT | O_NOATIME
    };
    CLEANUP(target_drop) struct target t = { .parent = -1, .object = -1 };
    const char *rule = NULL;
    const int flags = (w->flags & KEPT) | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW;
    int os = find(p, w, &t, &rule);
    *made = false;
    if (os)
        return os;
    if (t.object >= 0) {
        char link[32];
        snprintf(link, sizeof link, "/proc/self/fd/%d", t.object);
        *fd = open(link, flags & ~O_NOFOLLOW);
        return *fd < 0 ? errno : 0;
    }
    mode_t was = umask((mode_t)w->umask & 0777);
    *fd = openat(t.parent, t.name, flags | O_CREAT | O_EXCL, w->mode & 0777);
    os = *fd < 0 ? errno : 0;
    *made = !os;
    umask(was);
    return os;
}
