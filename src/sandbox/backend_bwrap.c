#include "sandbox/backend_bwrap.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

struct arguments {
    struct plan *plan;
    char **items;
    size_t count, room;
};

static void add(struct arguments *a, const char *word)
{
    if (a->count < a->room)
        a->items[a->count++] = (char *)word;
}

static void add_pair(struct arguments *a, const char *option, const char *path)
{
    add(a, option);
    add(a, path);
}

static void add_bind(struct arguments *a, const char *option, const char *source, const char *path)
{
    add_pair(a, option, source);
    add(a, path);
}

static void add_number(struct arguments *a, const char *option, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    add_pair(a, option, arena_dup(&a->plan->arena, str_of(text)));
}

size_t bwrap_empty_count(const struct plan *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->mount_count; i++)
        n += p->mounts[i].kind == MOUNT_HIDE_FILE;
    return n;
}

static void add_mount(struct arguments *a, const struct plan_mount *m, int *empty)
{
    switch (m->kind) {
    case MOUNT_WRITE:
        add_bind(a, "--bind", m->path, m->path);
        break;
    case MOUNT_READ_ONLY:
    case MOUNT_REOPEN:
        add_bind(a, "--ro-bind", m->path, m->path);
        break;
    case MOUNT_BIND:
        add_bind(a, "--ro-bind", m->source, m->path);
        break;
    case MOUNT_PRIVATE:
        /* bubblewrap would make the directory on the host's read-only tree, and cannot. */
        if (!a->plan->tmpdir_missing)
            add_pair(a, "--tmpfs", m->path);
        break;
    case MOUNT_HIDE_DIRECTORY:
        add_pair(a, "--tmpfs", m->path);
        if (!m->writable)
            add_pair(a, "--remount-ro", m->path);
        break;
    case MOUNT_HIDE_FILE:
        add_pair(a, "--perms", "0000");
        add_number(a, "--ro-bind-data", (*empty)++);
        add(a, m->path);
        break;
    }
}

char **bwrap_arguments(struct plan *p, char *const *command, int empty, struct err *e)
{
    static const char *const fixed[] = {
        "bwrap",      "--unshare-all", "--die-with-parent", "--new-session",
        "--cap-drop", "ALL",           "--ro-bind",         "/",
        "/"
    };
    size_t words = 0;
    while (command[words])
        words++;
    struct arguments a = { .plan = p, .room = 32 + p->mount_count * 8 + words };
    a.items = arena_get(&p->arena, (a.room + 1) * sizeof *a.items);
    if (!a.items)
        return err_set(e, E_BUSY, 0, "too many mounts"), NULL;
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++)
        add(&a, fixed[i]);
    for (size_t i = 0; i < p->mount_count; i++)
        add_mount(&a, &p->mounts[i], &empty);
    add_pair(&a, "--dev", "/dev");
    add_pair(&a, "--proc", "/proc");
    add_pair(&a, "--chdir", p->cwd);
    add(&a, "--");
    for (size_t i = 0; i < words; i++)
        add(&a, command[i]);
    a.items[a.count] = NULL;
    return a.items;
}

int bwrap_execute(struct plan *p, char *const *command, char *const *environment, struct err *e)
{
    static const char *const places[] = { "/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap" };
    enum { FIRST = 100 };
    if (p->has_ports)
        return err_set(e, E_INPUT, 0, "backend bwrap: x.network.ports needs the native backend");
    if (p->settings->limits.disk_quota)
        return err_set(e, E_INPUT, 0, "backend bwrap: x.limits.diskQuota needs the native backend");
    if (p->settings->strict_hide)
        return err_set(e, E_INPUT, 0,
                       "backend bwrap: x.filesystem.strictHide needs the native backend");
    for (size_t i = 0; i < bwrap_empty_count(p); i++) {
        int fd = memfd_create("empty", 0);
        if (fd < 0 || dup2(fd, FIRST + (int)i) < 0)
            return err_set(e, E_SANDBOX, errno, "backend bwrap: make an empty file");
        close(fd);
    }
    char **arguments = bwrap_arguments(p, command, FIRST, e);
    if (!arguments)
        return -1;
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        execve(places[i], arguments, environment);
    return err_set(e, E_SANDBOX, errno, "backend bwrap: start bubblewrap (is it installed?)");
}
