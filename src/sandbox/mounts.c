#include "sandbox/mounts.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/mount_calls.h"
#include "sandbox/mount_classic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
enum { DEVICES = sizeof devices / sizeof *devices };

/* What a step has used is closed together with what the next ones use. One process builds one tree. */
static struct fd_run used;

static void used_add(int *fd)
{
    fd_run_add(&used, *fd);
    *fd = -1;
}

#define STEP_FD CLEANUP(used_add) int

/* What is used while the tree is built. */
struct build {
    const struct plan *plan;
    struct mount_work *work;
    /* A tmpfs of ours, mounted twice. A copy of a part has the bits of the whole: nosuid and nodev, and
     * those of the stash are read-only, too, once it is filled. */
    int stash;   /* dev/, empty/, none, hidden directories */
    int scratch; /* tmp/, shm/, writable hidden directories */
    int proc;    /* a fresh proc */
    int *trees;  /* one per plan mount that shows the host's tree, else -1 */
    int devices[DEVICES];
};

static void build_drop(struct build *b)
{
    for (size_t i = 0; b->trees && i < b->plan->mount_count; i++)
        fd_run_add(&used, b->trees[i]);
    for (size_t i = 0; i < DEVICES; i++)
        fd_run_add(&used, b->devices[i]);
    used_add(&b->stash);
    used_add(&b->scratch);
    used_add(&b->proc);
    fd_run_close(&used);
    free(b->trees);
}

static const uint64_t PLAIN = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

static int fail(struct err *e, const char *what, const char *path)
{
    const char *cure = errno == ENOSYS ? " (Linux 5.9 or newer is needed)" : "";
    return err_set(e, E_SANDBOX, errno, "layer mount: %s '%s'%s", what, path, cure);
}

static int attach(int tree, const char *path, struct err *e)
{
    STEP_FD onto = path_open(path);
    if (tree < 0 || onto < 0 || tree_attach(tree, onto) < 0)
        return fail(e, "mount on", path);
    return 0;
}

/* Lays the stash's `name` over `path`; nothing to do when there is no such path. What the host replaces
 * between our look and the mount is looked at anew. */
static int cover(int stash, const char *name, const char *path, struct err *e)
{
    enum { ATTEMPTS = 1000 };
    STEP_FD tree = -1;
    for (int i = 0; i < ATTEMPTS; i++) {
        STEP_FD onto = path_open(path);
        if (onto < 0)
            return errno == ENOENT || errno == ENOTDIR || errno == EACCES || errno == ELOOP
                       ? 0
                       : fail(e, "hide", path);
        if (tree < 0)
            tree = tree_copy_at(stash, name);
        if (tree < 0)
            break;
        if (tree_attach(tree, onto) == 0)
            return 0;
        if (errno != ENOENT)
            break;
        used_add(&tree); /* it may have been there already, and fallen off */
    }
    return fail(e, "hide", path);
}

int mounts_cover(int stash, const char *path, struct err *e)
{
    struct stat st;
    bool directory = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
    int result = cover(stash, directory ? "empty" : "none", path, e);
    fd_run_close(&used);
    return result;
}

/* Detached copies of everything of the host that the plan shows, before the tree changes. */
static int copy_host_trees(struct build *b, struct err *e)
{
    b->trees = mem_array(b->plan->mount_count + 1, sizeof *b->trees);
    for (size_t i = 0; i < b->plan->mount_count; i++)
        b->trees[i] = -1;
    for (size_t i = 0; i < b->plan->mount_count; i++) {
        const struct plan_mount *m = &b->plan->mounts[i];
        bool shows_host = m->kind == MOUNT_WRITE || m->kind == MOUNT_REOPEN ||
                          m->kind == MOUNT_READ_ONLY || m->kind == MOUNT_BIND;
        if (!shows_host)
            continue;
        const char *from = m->kind == MOUNT_BIND ? m->source : m->path;
        STEP_FD at = path_open(from);
        struct stat st;
        if (at < 0 || fstat(at, &st) < 0) {
            if (m->kind == MOUNT_READ_ONLY && errno == ENOENT)
                continue; /* gone since the plan was made: the warden still denies the name */
            return fail(e, "open", from);
        }
        bool opens_it = m->kind == MOUNT_WRITE || m->kind == MOUNT_REOPEN;
        if (opens_it && (st.st_dev != m->device || st.st_ino != m->inode))
            return err_set(e, E_SANDBOX, 0,
                           "layer mount: '%s' was replaced while the sandbox was being built",
                           from);
        b->trees[i] = tree_copy(at, true);
        if (b->trees[i] < 0)
            return fail(e, "copy the tree of", from);
    }
    return 0;
}

/* Puts the copy number i in its place. */
static int attach_host_tree(const struct build *b, size_t i, struct err *e)
{
    const struct plan_mount *m = &b->plan->mounts[i];
    uint64_t attributes = PLAIN | (m->kind == MOUNT_WRITE ? 0 : MOUNT_ATTR_RDONLY) |
                          (m->no_exec ? MOUNT_ATTR_NOEXEC : 0);
    if (b->trees[i] < 0)
        return 0;
    STEP_FD onto = path_open(m->path);
    if (onto < 0 || tree_place(b->trees[i], onto, attributes, true, b->proc) < 0)
        return fail(e, "mount on", m->path);
    return 0;
}

static int make_file(int dir, const char *name, mode_t mode)
{
    return mknodat(dir, name, S_IFREG | mode, 0);
}

static int write_file(int dir, const char *name, const char *text)
{
    /* At once: a mount with a file that is open for writing cannot be made read-only. */
    AUTO_FD fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
    const size_t n = strlen(text);
    return fd < 0 || write(fd, text, n) != (ssize_t)n ? -1 : 0;
}

/* mkdir -p below the stash for a mount point; the last part is a file when `file`. */
static int make_mount_point(int dir, struct str relative, bool file)
{
    AUTO_FREE char *path = str_dup(relative);
    for (char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(dir, path, 0755) < 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    if (!file)
        return mkdirat(dir, path, 0755) < 0 && errno != EEXIST ? -1 : 0;
    return make_file(dir, path, 0444) < 0 && errno != EEXIST ? -1 : 0;
}

/* The name of hidden directory number i in the stash or the scratch. */
static void hidden_name(size_t i, char out[32])
{
    snprintf(out, 32, "hidden.%zu", i);
}

/* Mounts are sorted: what lies in one follows it. */
static bool is_around_next(const struct plan *p, size_t i)
{
    return i + 1 < p->mount_count &&
           path_is_beneath(str_of(p->mounts[i + 1].path), str_of(p->mounts[i].path));
}

/* A hidden directory in which something is opened again needs the way to it. */
static int make_hidden_directory(const struct build *b, size_t i, struct err *e)
{
    const struct plan_mount *m = &b->plan->mounts[i];
    char name[32];
    hidden_name(i, name);
    int home = m->writable ? b->scratch : b->stash;
    if (mkdirat(home, name, 0755) < 0)
        return fail(e, "make an empty directory for", m->path);
    if (!is_around_next(b->plan, i))
        return 0;
    STEP_FD dir = openat(home, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return fail(e, "open the empty directory for", m->path);
    size_t n = strcmp(m->path, "/") == 0 ? 0 : strlen(m->path);
    for (size_t k = i + 1; k < b->plan->mount_count; k++) {
        const struct plan_mount *deeper = &b->plan->mounts[k];
        if (!path_is_beneath(str_of(deeper->path), str_of(m->path)))
            break;
        bool file = !deeper->is_directory;
        if (make_mount_point(dir, str_skip(str_of(deeper->path), n + 1), file) < 0)
            return fail(e, "make the way to", deeper->path);
    }
    return 0;
}

static int fill_dev(const struct build *b, struct err *e)
{
    static const char *const links[][2] = {
        { "/proc/self/fd", "fd" },       { "/proc/self/fd/0", "stdin" },
        { "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
        { "pts/ptmx", "ptmx" },
    };
    STEP_FD dev = openat(b->stash, "dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool made = dev >= 0;
    for (size_t i = 0; made && i < DEVICES; i++)
        made = make_file(dev, devices[i], 0444) == 0;
    for (size_t i = 0; made && i < sizeof links / sizeof *links; i++)
        made = symlinkat(links[i][0], dev, links[i][1]) == 0;
    made = made && mkdirat(dev, "pts", 0755) == 0 && mkdirat(dev, "shm", 0755) == 0;
    return made ? 0 : fail(e, "make", "/dev");
}

static int make_stash(struct build *b, struct err *e)
{
    AUTO_BUF size = { 0 };
    uint64_t wanted = b->plan->settings->limits.tmp_size;
    buf_addf(&size, "size=%llu", (unsigned long long)(wanted ? wanted : 1ull << 30));
    const char *const options[] = { "mode=0755", buf_text(&size), NULL };
    b->stash = tree_make("tmpfs", options, PLAIN);
    if (b->stash < 0)
        return fail(e, "make a tmpfs for", "/dev");
    /* Trees can be copied only from what is attached; /proc is covered again at the end. */
    if (attach(b->stash, "/proc", e) < 0)
        return -1;
    b->scratch = tree_copy(b->stash, false);
    if (attach(b->scratch, "/proc", e) < 0)
        return -1;
    if (mkdirat(b->stash, "dev", 0755) < 0 || mkdirat(b->stash, "empty", 0555) < 0 ||
        mkdirat(b->scratch, "tmp", 01777) < 0 || mkdirat(b->scratch, "shm", 01777) < 0 ||
        make_file(b->stash, "none", b->plan->settings->hide_empty ? 0444 : 0) < 0)
        return fail(e, "fill the tmpfs for", "/dev");
    if (b->plan->socket_count && mknodat(b->stash, "socket", S_IFSOCK | 0666, 0) < 0)
        return fail(e, "make a socket for", b->plan->sockets[0]);
    if (b->work->resolv_conf && write_file(b->stash, "resolv.conf", b->work->resolv_conf) < 0)
        return fail(e, "write", "/etc/resolv.conf");
    for (size_t i = 0; i < b->plan->mount_count; i++)
        if (b->plan->mounts[i].kind == MOUNT_HIDE_DIRECTORY && make_hidden_directory(b, i, e) < 0)
            return -1;
    return fill_dev(b, e);
}

/* From here on copies of its parts are read-only from the first moment, also those of a running sandbox. */
static int close_stash(const struct build *b, struct err *e)
{
    return tree_set_placed(b->stash, MOUNT_ATTR_RDONLY | PLAIN, false, b->proc) < 0
               ? fail(e, "make read-only", "/proc")
               : 0;
}

static int open_devices(struct build *b, struct err *e)
{
    for (size_t i = 0; i < DEVICES; i++) {
        char path[32];
        snprintf(path, sizeof path, "/dev/%s", devices[i]);
        b->devices[i] = tree_copy_at(AT_FDCWD, path);
        if (b->devices[i] < 0)
            return fail(e, "open", path);
    }
    return 0;
}

static int attach_devices(const struct build *b, struct err *e)
{
    STEP_FD dev = tree_copy_at(b->stash, "dev");
    if (attach(dev, "/dev", e) < 0)
        return -1;
    for (size_t i = 0; i < DEVICES; i++)
        if (tree_attach_at(b->devices[i], dev, devices[i]) < 0)
            return fail(e, "mount device", devices[i]);
    if (mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620") < 0)
        return fail(e, "mount on", "/dev/pts");
    STEP_FD shm = tree_copy_at(b->scratch, "shm");
    if (shm < 0 || tree_attach_at(shm, dev, "shm") < 0)
        return fail(e, "mount on", "/dev/shm");
    /* The devices are the host's mounts, with the host's bits. */
    return tree_set_placed(dev, MOUNT_ATTR_NOSUID, true, b->proc) < 0
               ? fail(e, "take set-id from", "/dev")
               : 0;
}

/* The host has no directory for TMPDIR and gets none: a read-only overlay of its parent shows the
 * parent with that one name more. */
static int overlay_tmpdir(const struct build *b, struct err *e)
{
    const char *tmpdir = b->plan->tmpdir;
    struct stat st;
    if (!b->plan->tmpdir_missing || stat(tmpdir, &st) == 0)
        return 0;
    AUTO_FREE char *parent = str_dup(str_of(tmpdir));
    do
        *strrchr(parent, '/') = '\0';
    while (parent[0] && stat(parent, &st) < 0);
    if (!parent[0] || strpbrk(parent, ":,\\"))
        return err_set(e, E_SANDBOX, 0,
                       "layer mount: TMPDIR '%s' does not exist; make it or name another", tmpdir);
    struct str below = str_skip(str_of(tmpdir), strlen(parent) + 1);
    if (mkdirat(b->stash, "tmpdir", 0755) < 0)
        return fail(e, "make the way to", tmpdir);
    STEP_FD dir = openat(b->stash, "tmpdir", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || make_mount_point(dir, below, false) < 0)
        return fail(e, "make the way to", tmpdir);
    AUTO_BUF options = { 0 };
    buf_addf(&options, "lowerdir=/proc/tmpdir:%s", parent);
    b->work->covered_fd = path_open(parent);
    if (mount("overlay", parent, "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV, buf_text(&options)) <
        0)
        return err_set(e, E_SANDBOX, errno,
                       "layer mount: TMPDIR '%s' does not exist and '%s' cannot be overlaid; make "
                       "the directory on the host",
                       tmpdir, parent);
    b->work->covered = mem_take(&parent);
    return 0;
}

static int attach_private(const struct build *b, const struct plan_mount *m, struct err *e)
{
    STEP_FD tree = tree_copy_at(b->scratch, "tmp");
    if (!m->no_exec)
        return attach(tree, m->path, e);
    STEP_FD onto = path_open(m->path);
    if (tree < 0 || onto < 0 || tree_place(tree, onto, MOUNT_ATTR_NOEXEC, false, b->proc) < 0)
        return fail(e, "mount on", m->path);
    return 0;
}

static int attach_hidden(const struct build *b, size_t i, struct err *e)
{
    const struct plan_mount *m = &b->plan->mounts[i];
    char name[32];
    hidden_name(i, name);
    STEP_FD onto = path_open(m->path);
    if (onto < 0 && errno == ENOENT)
        return 0; /* gone since the plan was made: nothing is left to be read */
    STEP_FD tree = tree_copy_at(m->writable ? b->scratch : b->stash, name);
    if (onto < 0 || tree < 0 || tree_attach(tree, onto) < 0)
        return fail(e, "hide", m->path);
    return 0;
}

static int attach_planned(struct build *b, struct err *e)
{
    for (size_t i = 0; i < b->plan->mount_count; i++) {
        const struct plan_mount *m = &b->plan->mounts[i];
        int result = 0;
        switch (m->kind) {
        case MOUNT_WRITE:
        case MOUNT_REOPEN:
        case MOUNT_READ_ONLY:
        case MOUNT_BIND:
            result = attach_host_tree(b, i, e);
            break;
        case MOUNT_HIDE_DIRECTORY:
            result = attach_hidden(b, i, e);
            break;
        case MOUNT_HIDE_FILE:
            result = cover(b->stash, "none", m->path, e);
            break;
        case MOUNT_PRIVATE:
            result = attach_private(b, m, e);
            break;
        }
        if (result < 0)
            return err_while(e, "%s", m->rule);
    }
    return 0;
}

/* Lays copies of the stash's `name` over those of the names in /proc that this kernel has. The look comes first:
 * a copy that found no place would be taken apart when it is closed, and for that the kernel waits. */
static int cover_proc(const struct build *b, const char *name, const char *const *hidden,
                      size_t count, struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        struct stat st;
        if (fstatat(b->proc, hidden[i], &st, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
            continue;
        STEP_FD tree = tree_copy_at(b->stash, name);
        if (tree < 0 || (tree_attach_at(tree, b->proc, hidden[i]) < 0 && errno != ENOENT))
            return fail(e, "hide", hidden[i]);
    }
    return 0;
}

static int close_proc(const struct build *b, const char *name, struct err *e)
{
    const uint64_t attributes = MOUNT_ATTR_RDONLY | PLAIN | MOUNT_ATTR_NOEXEC;
    STEP_FD at = path_open_at(b->proc, name);
    if (at < 0)
        return 0;
    STEP_FD tree = tree_copy(at, true);
    if (tree < 0 || tree_place(tree, at, attributes, true, b->proc) < 0)
        return fail(e, "make read-only", name);
    return 0;
}

static int attach_proc(struct build *b, struct err *e)
{
    static const char *const read_only[] = { "sys", "bus", "fs", "irq" };
    static const char *const files[] = { "kcore",         "keys",       "key-users",
                                         "sysrq-trigger", "timer_list", "latency_stats",
                                         "kallsyms" };
    static const char *const directories[] = { "acpi", "scsi" };
    if (attach(b->proc, "/proc", e) < 0)
        return -1;
    if (b->plan->disabled_layers[LAYER_MOUNT])
        return 0;
    for (size_t i = 0; i < sizeof read_only / sizeof *read_only; i++)
        if (close_proc(b, read_only[i], e) < 0)
            return -1;
    return cover_proc(b, "none", files, sizeof files / sizeof *files, e) < 0
               ? -1
               : cover_proc(b, "empty", directories, sizeof directories / sizeof *directories, e);
}

/* A fresh proc where the kernel grants one; else, when the owner accepted it, the surrounding
 * container's (contract 3.8): a fresh one is always tried first. */
static int make_proc(struct build *b, struct err *e)
{
    static const char *const full[] = { "hidepid=invisible", NULL };
    b->proc = tree_make("proc", full, PLAIN | MOUNT_ATTR_NOEXEC);
    if (b->proc >= 0)
        return 0;
    int why = errno;
    if (why == ENOSYS)
        return fail(e, "make a fresh", "/proc");
    if (!b->plan->settings->weaker_nested && !b->plan->disabled_layers[LAYER_NAMESPACES])
        return err_set(e, E_SANDBOX, why,
                       "layer mount: a fresh /proc is not granted here (a container that masks its "
                       "own?); enableWeakerNestedSandbox binds the container's instead");
    STEP_FD at = path_open("/proc");
    b->proc = at < 0 ? -1 : tree_copy(at, true);
    if (b->proc < 0)
        return fail(e, "bind the container's", "/proc");
    b->work->weaker_proc = true;
    return 0;
}

static int mask_sys(const struct build *b, struct err *e)
{
    static const char *const hidden[] = { "/sys/firmware",       "/sys/kernel/debug",
                                          "/sys/kernel/tracing", "/sys/kernel/security",
                                          "/sys/fs/bpf",         "/sys/fs/cgroup" };
    for (size_t i = 0; i < sizeof hidden / sizeof *hidden; i++)
        if (cover(b->stash, "empty", hidden[i], e) < 0)
            return -1;
    return 0;
}

/* Cut off from the host's later mounts. */
static int cut_off(struct err *e)
{
    return mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ? fail(e, "cut off", "/") : 0;
}

static int close_tree_one_by_one(const struct build *b, struct err *e)
{
    STEP_FD root = path_open("/");
    if (cut_off(e) < 0)
        return -1;
    if (root < 0 || classic_set(root, MOUNT_ATTR_RDONLY | PLAIN, true, b->proc) < 0)
        return fail(e, "without mount_setattr (Linux 5.12), make read-only", "/");
    b->work->classic = true;
    return 0;
}

/* The whole tree read-only, and cut off. */
static int close_tree(const struct build *b, struct err *e)
{
    struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY | PLAIN, .propagation = MS_PRIVATE };
    if (syscall(SYS_mount_setattr, AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof attr) == 0)
        return 0;
    return classic_is_needed() ? close_tree_one_by_one(b, e) : fail(e, "make read-only", "/");
}

static int cover_sockets(const struct build *b, struct err *e)
{
    for (size_t i = 0; i < b->plan->socket_count; i++)
        if (cover(b->stash, "socket", b->plan->sockets[i], e) < 0)
            return -1;
    return 0;
}

/* The resolver's address; the redirect catches every other one as well. */
static int cover_resolv_conf(const struct build *b, struct err *e)
{
    char real[4096];
    if (!b->work->resolv_conf || !realpath("/etc/resolv.conf", real))
        return 0;
    return cover(b->stash, "resolv.conf", real, e);
}

int mounts_apply(const struct plan *p, struct mount_work *work, struct err *e)
{
    CLEANUP(build_drop) struct build b = { p, work, -1, -1, -1, NULL, { 0 } };
    memset(b.devices, -1, sizeof b.devices);
    bool off = p->disabled_layers[LAYER_MOUNT];
    if (make_proc(&b, e) < 0 || copy_host_trees(&b, e) < 0 || open_devices(&b, e) < 0)
        return -1;
    bool open_to_all = off || p->settings->filesystem_disabled;
    if ((open_to_all ? cut_off(e) : close_tree(&b, e)) < 0)
        return -1;
    if (make_stash(&b, e) < 0)
        return -1;
    if (!off && overlay_tmpdir(&b, e) < 0)
        return -1;
    if (close_stash(&b, e) < 0)
        return -1;
    if (!off && (attach_devices(&b, e) < 0 || cover_resolv_conf(&b, e) < 0 || mask_sys(&b, e) < 0 ||
                 attach_planned(&b, e) < 0 || cover_sockets(&b, e) < 0))
        return -1;
    if (attach_proc(&b, e) < 0)
        return -1;
    work->stash = fd_take(&b.stash);
    return chdir(p->cwd) < 0 ? fail(e, "enter the working directory", p->cwd) : 0;
}
