#include "sandbox/confine.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/landlock.h"
#include "sandbox/mount_calls.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Above this many siblings a hidden path is left to the mounts alone: each rule costs 3-4 us. */
enum { SIBLINGS_MAX = 4096 };

struct rules {
    const struct plan *plan;
    int ruleset, abi;
    uint64_t read;        /* rights of what may be read */
    const char *overlaid; /* left to the warden, who sees what stands there by then; or NULL */
    size_t siblings;
    struct fd_run opened;
};

static void rules_drop(struct rules *r)
{
    fd_run_close(&r->opened);
}

static struct rules rules_of(const struct plan *p, int ruleset)
{
    return (struct rules){ .plan = p,
                           .ruleset = ruleset,
                           .abi = landlock_abi(),
                           .read = p->exec_only ? LL_READ_FILE | LL_READ_DIR : LL_READ };
}

/* Nothing there, or nothing that may be looked at: no rule means no access. */
static bool is_out_of_reach(int os)
{
    return os == ENOENT || os == EACCES || os == ENOTDIR || os == ELOOP;
}

static int cannot_open(const char *path, struct err *e)
{
    if (is_out_of_reach(errno))
        return 0;
    return err_set(e, E_SANDBOX, errno, "layer landlock: open '%s'", path);
}

/* `directory` is what most probably stands there: the right guess saves a look. */
static int allow_guessed(struct rules *r, const char *path, bool directory, uint64_t access,
                         struct err *e)
{
    const int at = fd_run_add(&r->opened, path_open(path));
    if (at < 0)
        return cannot_open(path, e);
    if (landlock_allow_entry(r->ruleset, r->abi, at, directory, access, e) < 0)
        return err_while(e, "layer landlock: '%s'", path);
    return 0;
}

static int allow(struct rules *r, const char *path, uint64_t access, struct err *e)
{
    return allow_guessed(r, path, true, access, e);
}

static int allow_entry(struct rules *r, int dir, const struct dirent *entry, struct err *e)
{
    const int at = fd_run_add(&r->opened, path_open_at(dir, entry->d_name));
    if (at < 0)
        return cannot_open(entry->d_name, e);
    int result =
        entry->d_type == DT_UNKNOWN
            ? landlock_allow_path(r->ruleset, r->abi, at, r->read, e)
            : landlock_allow_entry(r->ruleset, r->abi, at, entry->d_type == DT_DIR, r->read, e);
    return result < 0 ? err_while(e, "layer landlock: '%s'", entry->d_name) : 0;
}

/* Hidden paths in directories that the command may write are covered by mounts only: a rule per
 * sibling would leave files that are made later without one. */
static bool hidden_beneath(const struct plan *p, struct str path, bool *exact)
{
    /* The host's devices and shared memory, behind the /dev of our own. */
    const struct str devices = STR("/dev");
    bool found = path_is_beneath(devices, path);
    *exact = str_eq(devices, path);
    for (size_t i = 0; i < p->hidden_count; i++) {
        struct str hidden = str_of(p->hidden[i].path);
        if (p->hidden[i].parent_writable)
            continue;
        if (str_eq(hidden, path))
            *exact = true;
        found |= path_is_beneath(hidden, path);
    }
    return found;
}

static int allow_child(struct rules *r, int dir, const struct dirent *entry, const char *path,
                       struct err *e)
{
    if (++r->siblings <= SIBLINGS_MAX)
        return allow_entry(r, dir, entry, e);
    if (r->plan->flat)
        return err_set(e, E_SANDBOX, 0,
                       "layer landlock: '%s' has too many entries to hide one of them without a "
                       "mount",
                       path);
    log_debug("landlock: more than %d siblings of hidden paths; mounts alone hide the rest",
              SIBLINGS_MAX);
    return allow(r, path, r->read, e);
}

/* A rule for each entry but the hidden ones; those with hidden places beneath them are added to `deeper`,
 * each with its NUL. */
static int allow_children(struct rules *r, DIR *d, const char *path, struct buf *deeper,
                          struct err *e)
{
    for (struct dirent *entry; r->siblings <= SIBLINGS_MAX && (entry = readdir(d));) {
        struct str name = str_of(entry->d_name);
        bool exact;
        /* A link needs no right of its own. */
        if (entry->d_type == DT_LNK || str_eq(name, STR(".")) || str_eq(name, STR("..")))
            continue;
        AUTO_BUF child = { 0 };
        buf_addf(&child, "%s/%s", strcmp(path, "/") == 0 ? "" : path, entry->d_name);
        if (stalled_is_dead(&r->plan->stalled, buf_str(&child)))
            continue; /* it would not answer us either */
        if (!hidden_beneath(r->plan, buf_str(&child), &exact)) {
            if (allow_child(r, dirfd(d), entry, path, e) < 0)
                return -1;
        } else if (!exact) {
            buf_add(deeper, (struct str){ child.p, child.n + 1 });
        }
    }
    return 0;
}

/* Allows reading of everything beneath `path` but the hidden places. */
static int allow_reads(struct rules *r, const char *path, struct err *e)
{
    bool exact;
    AUTO_BUF deeper = { 0 };
    if (!hidden_beneath(r->plan, str_of(path), &exact) || r->siblings > SIBLINGS_MAX)
        return allow(r, path, r->read, e);
    if (r->overlaid && strcmp(path, r->overlaid) == 0)
        return 0;
    DIR *d = opendir(path);
    if (!d)
        return allow(r, path, r->read & LL_READ_DIR, e);
    int result = allow_children(r, d, path, &deeper, e);
    closedir(d);
    for (size_t at = 0; result == 0 && at < deeper.n; at += strlen(deeper.p + at) + 1)
        result = allow_reads(r, deeper.p + at, e);
    return result;
}

/* The host's trees that the plan opens; what is opened for writing must be what the plan saw (T29). */
static int allow_trees(struct rules *r, struct err *e)
{
    for (size_t i = 0; i < r->plan->mount_count; i++) {
        const struct plan_mount *m = &r->plan->mounts[i];
        if (m->kind == MOUNT_REOPEN && allow_reads(r, m->path, e) < 0)
            return -1;
        if (m->kind == MOUNT_BIND && allow_reads(r, m->source, e) < 0)
            return -1;
        if (m->kind != MOUNT_WRITE)
            continue;
        struct stat st;
        const int at = fd_run_add(&r->opened, path_open(m->path));
        if (at < 0 || fstat(at, &st) < 0)
            return err_set(e, E_SANDBOX, errno, "layer landlock: open '%s'", m->path);
        if (st.st_dev != m->device || st.st_ino != m->inode)
            return err_set(e, E_SANDBOX, 0,
                           "layer landlock: '%s' was replaced while the sandbox was being built",
                           m->path);
        bool exact;
        const bool some_hidden = hidden_beneath(r->plan, str_of(m->path), &exact);
        const uint64_t access = some_hidden ? LL_WRITE : LL_WRITE | r->read;
        if (landlock_allow_entry(r->ruleset, r->abi, at, S_ISDIR(st.st_mode), access, e) < 0 ||
            (some_hidden && allow_reads(r, m->path, e) < 0))
            return -1;
    }
    return 0;
}

static int allow_private(struct rules *r, struct err *e)
{
    for (size_t i = 0; i < r->plan->mount_count; i++) {
        const struct plan_mount *m = &r->plan->mounts[i];
        bool ours = m->kind == MOUNT_PRIVATE || (m->kind == MOUNT_HIDE_DIRECTORY && m->writable);
        if (ours && allow(r, m->path, r->read | LL_WRITE, e) < 0)
            return -1;
    }
    return 0;
}

/* Places where a file system of ours stands over the host's: rules on the host's directory below do
 * not count there. */
static int allow_covered(struct rules *r, struct err *e)
{
    char real[PATH_MAX];
    if (allow(r, "/dev", r->read, e) < 0)
        return -1;
    if (r->plan->resolver && realpath("/etc/resolv.conf", real) &&
        allow(r, real, LL_READ_FILE, e) < 0)
        return -1;
    /* Under the overlay that shows TMPDIR every file is an inode of the overlay's. */
    AUTO_FREE char *parent = str_dup(str_of(r->plan->tmpdir_missing ? r->plan->tmpdir : ""));
    for (char *slash = strrchr(parent, '/'); slash && slash != parent;
         slash = strrchr(parent, '/')) {
        *slash = '\0';
        if (allow_reads(r, parent, e) < 0)
            return -1;
    }
    return 0;
}

const char *const confine_devices[CONFINE_DEVICES] = { "/dev/null",   "/dev/zero",    "/dev/full",
                                                       "/dev/random", "/dev/urandom", "/dev/tty" };

static const uint64_t DEVICE_RIGHTS = LL_READ_FILE | LL_WRITE_FILE | LL_TRUNCATE | LL_READ_DIR;

static int allow_devices(struct rules *r, struct err *e)
{
    for (size_t i = 0; i < CONFINE_DEVICES; i++)
        if (allow_guessed(r, confine_devices[i], false, DEVICE_RIGHTS, e) < 0)
            return -1;
    if (r->plan->flat || r->plan->disabled_layers[LAYER_MOUNT])
        return 0; /* /dev/pts and /dev/shm are everybody's */
    if (allow(r, "/dev/pts", DEVICE_RIGHTS, e) < 0)
        return -1;
    if (r->plan->settings->nested_user_namespaces &&
        allow(r, "/proc", LL_WRITE_FILE | LL_TRUNCATE, e) < 0)
        return -1; /* uid_map and setgroups of a nested namespace; /proc/sys is mounted read-only */
    return allow(r, "/dev/shm", r->read | LL_WRITE, e);
}

static int allow_executables(struct rules *r, struct err *e)
{
    for (size_t i = 0; r->plan->exec_only && r->plan->exec_only[i]; i++)
        if (allow(r, r->plan->exec_only[i], LL_EXECUTE, e) < 0)
            return -1;
    return 0;
}

/* Directories may be listed everywhere, as mounts show the hidden ones empty; without mounts, only when
 * no hidden one is among them. */
static int allow_lists(struct rules *r, struct err *e)
{
    for (size_t i = 0; r->plan->flat && i < r->plan->hidden_count; i++)
        if (r->plan->hidden[i].is_directory)
            return 0;
    return allow(r, "/", LL_READ_DIR, e);
}

int confine_open(const struct plan *p, int *ruleset, struct err *e)
{
    int abi = landlock_abi();
    *ruleset = -1;
    if (p->disabled_layers[LAYER_LANDLOCK] || p->settings->filesystem_disabled)
        return 0;
    if (abi == 0)
        return p->accepted[LAYER_LANDLOCK]
                   ? 0
                   : err_set(e, E_SANDBOX, ENOSYS,
                             "layer landlock: this kernel has no Landlock (5.13 or newer, and in "
                             "lsm=); --allow-degraded=landlock runs without it");
    struct landlock_wants wants = { .files = LL_READ | LL_WRITE | LL_MAKE_CHAR | LL_MAKE_BLOCK,
                                    .scopes = LL_SCOPE_ABSTRACT_UNIX };
    *ruleset = landlock_ruleset(abi, wants, e);
    return *ruleset < 0 ? err_while(e, "layer landlock") : 0;
}

/* The directory over which the mounts will lay what shows a missing TMPDIR. The caller frees. */
static char *find_overlaid(const struct plan *p)
{
    if (!p->tmpdir_missing || p->flat)
        return NULL;
    char *parent = str_dup(str_of(p->tmpdir));
    struct stat st;
    do
        *strrchr(parent, '/') = '\0';
    while (*parent && stat(parent, &st) < 0);
    return parent;
}

int confine_allow_host(const struct plan *p, int ruleset, struct err *e)
{
    CLEANUP(rules_drop) struct rules r = rules_of(p, ruleset);
    if (ruleset < 0)
        return 0;
    AUTO_FREE char *overlaid = find_overlaid(p);
    r.overlaid = overlaid;
    return allow_reads(&r, "/", e) < 0 || allow_lists(&r, e) < 0 || allow_trees(&r, e) < 0 ||
                   allow_executables(&r, e) < 0
               ? -1
               : 0;
}

/* POSIX queues are files without a path, beneath the root of the ipc namespace's own file system. */
static int allow_queues(struct rules *r, struct err *e)
{
    const char *const none[] = { NULL };
    if (r->plan->settings->limits.msgqueue == 0 || r->plan->disabled_layers[LAYER_NAMESPACES])
        return 0; /* none can be made */
    AUTO_FD root = tree_make("mqueue", none, 0);
    if (root < 0)
        return err_set(e, E_SANDBOX, errno, "layer landlock: open the message queues");
    return landlock_allow_path(r->ruleset, r->abi, root, LL_READ_FILE | LL_WRITE, e);
}

int confine_allow_inside(const struct plan *p, int ruleset, struct err *e)
{
    CLEANUP(rules_drop) struct rules r = rules_of(p, ruleset);
    if (ruleset < 0)
        return 0;
    /* Where no mount of ours stands, the same paths are the host's and get no rule. */
    if (!p->flat && !p->disabled_layers[LAYER_MOUNT] &&
        (allow_private(&r, e) < 0 || allow_covered(&r, e) < 0))
        return -1;
    if (!p->flat && (allow(&r, "/proc", r.read, e) < 0 || allow_queues(&r, e) < 0))
        return -1;
    return allow_devices(&r, e);
}

/* What the warden itself is refused stands in its own report. */
int confine_warden(const struct plan *p, int ruleset, struct err *e)
{
    const unsigned log = p->audited ? LL_LOG_SAME_EXEC_OFF | LL_LOG_NEW_EXEC_ON : 0;
    return ruleset >= 0 && landlock_enter(ruleset, log, e) < 0 ? err_while(e, "layer landlock") : 0;
}

int confine_command(const struct plan *p, struct err *e)
{
    int abi = landlock_abi();
    if (p->disabled_layers[LAYER_LANDLOCK] || abi == 0)
        return 0;
    struct landlock_wants wants = { .scopes = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL };
    if (!p->settings->filesystem_disabled) {
        wants.files = LL_WRITE | LL_MAKE_CHAR | LL_MAKE_BLOCK | LL_RESOLVE_UNIX;
        wants.net = LL_CONNECT_TCP;
    }
    struct landlock_wants granted = landlock_granted(abi, wants);
    if (!granted.files && !granted.net && !granted.scopes)
        return 0;
    /* Domains that the command makes for itself are its own affair, and may be many. */
    const unsigned log = p->audited ? LL_LOG_NEW_EXEC_ON | LL_LOG_SUBDOMAINS_OFF : 0;
    AUTO_FD ruleset = landlock_ruleset(abi, wants, e);
    if (ruleset < 0 || landlock_enter(ruleset, log, e) < 0)
        return err_while(e, "layer landlock");
    return 0;
}
