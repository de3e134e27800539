#include "sandbox/host_facts.h"

#include "base/fd.h"
#include "base/str.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

enum { TEXT_MAX = 4096 };

static struct str read_text(const char *path, char text[static TEXT_MAX])
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX);
    return (struct str){ text, n < 0 ? 0 : (size_t)n };
}

/* The first line as a number, -1 when there is none. */
static long read_number(const char *path)
{
    char text[TEXT_MAX];
    struct str whole = read_text(path, text), line;
    uint64_t value;
    if (!str_cut(&whole, '\n', &line) || !str_to_u64(line, &value))
        return -1;
    return value > INT32_MAX ? INT32_MAX : (long)value;
}

/* The value behind `key` at the start of a line. */
static struct str line_value(struct str text, struct str key)
{
    struct str line;
    while (str_cut(&text, '\n', &line))
        if (str_starts(line, key))
            return str_trim(str_skip(line, key.n));
    return (struct str){ 0 };
}

static void copy(char *out, size_t room, struct str s)
{
    size_t n = s.n < room ? s.n : room - 1;
    if (n)
        memcpy(out, s.p, n);
    out[n] = '\0';
}

static void read_distribution(struct host_facts *f)
{
    char text[TEXT_MAX];
    struct str name = line_value(read_text("/etc/os-release", text), STR("PRETTY_NAME="));
    if (name.n >= 2 && name.p[0] == '"' && str_ends(name, STR("\"")))
        name = (struct str){ name.p + 1, name.n - 2 };
    copy(f->distribution, sizeof f->distribution, name.n ? name : STR("unknown"));
}

static const char *find_container(void)
{
    static const struct {
        const char *mark, *name;
    } rows[] = {
        { "/.dockerenv", "docker" },
        { "/run/.containerenv", "podman" },
        { "/var/run/secrets/kubernetes.io", "kubernetes" },
        { "/run/host/container-manager", "systemd-nspawn" },
        { "/run/systemd/container", "a container" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (access(rows[i].mark, F_OK) == 0)
            return rows[i].name;
    return NULL;
}

void host_facts_read(struct host_facts *f)
{
    *f = (struct host_facts){ 0 };
    struct utsname system;
    if (uname(&system) == 0) {
        copy(f->kernel, sizeof f->kernel, str_of(system.release));
        copy(f->machine, sizeof f->machine, str_of(system.machine));
    }
    /* WSL 1 is a translation layer ("4.4.0-19041-Microsoft"), WSL 2 a real kernel. */
    f->wsl2 = str_has(str_of(f->kernel), STR("microsoft-standard"));
    f->wsl1 = !f->wsl2 && str_has(str_of(f->kernel), STR("Microsoft"));
    read_distribution(f);
    f->is_root = geteuid() == 0;
    struct statfs fs;
    f->proc_mounted = statfs("/proc", &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
    char text[TEXT_MAX];
    f->is_filtered =
        str_eq(line_value(read_text("/proc/self/status", text), STR("Seccomp:\t")), STR("2"));
    f->container = find_container();
    f->max_user_namespaces = read_number("/proc/sys/user/max_user_namespaces");
    f->unprivileged_userns_clone = read_number("/proc/sys/kernel/unprivileged_userns_clone");
    f->apparmor_restrict_userns =
        read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    f->apparmor_restrict_unconfined =
        read_number("/proc/sys/kernel/apparmor_restrict_unprivileged_unconfined");
    f->io_uring_disabled = read_number("/proc/sys/kernel/io_uring_disabled");
}
