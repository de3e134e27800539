#include "sandbox/family.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

enum kin { KIN_UNKNOWN, KIN_OURS, KIN_FOREIGN };

struct member {
    pid_t pid, parent;
    enum kin kin;
};

/* The second number behind the name in /proc/PID/stat, or 0. A name may hold ")". */
static pid_t parent_of(int proc, const char *pid)
{
    char path[32], text[512];
    snprintf(path, sizeof path, "%.16s/stat", pid);
    AUTO_FD fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    char *end = strrchr(text, ')');
    return end && end[1] == ' ' && end[2] && end[3] == ' ' ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static int by_pid(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    return (x->pid > y->pid) - (x->pid < y->pid);
}

static size_t list_all(const char *path, size_t max, struct member **out)
{
    size_t n = 0, room = 0;
    DIR *proc = opendir(path);
    if (!proc)
        return 0;
    for (struct dirent *entry; n < max && (entry = readdir(proc));) {
        uint64_t pid;
        if (!str_to_u64(str_of(entry->d_name), &pid) || pid > INT_MAX)
            continue;
        if (n == room) {
            room = room ? room * 2 : 256;
            *out = mem_grow(*out, room * sizeof **out);
        }
        (*out)[n++] = (struct member){ (pid_t)pid, parent_of(dirfd(proc), entry->d_name), 0 };
    }
    closedir(proc);
    if (n)
        qsort(*out, n, sizeof **out, by_pid);
    return n;
}

static struct member *find(struct member *all, size_t n, pid_t pid)
{
    const struct member wanted = { .pid = pid };
    return n ? bsearch(&wanted, all, n, sizeof *all, by_pid) : NULL;
}

/* Follows the parents until somebody is known, then tells it to all on the way; so each is visited twice
 * at most, however long the chain. Numbers that were used anew meanwhile may make a ring: it ends too,
 * because whoever is on the way counts as foreign. */
static void settle(struct member *all, size_t n, struct member *first, pid_t root)
{
    enum kin kin = KIN_FOREIGN;
    for (struct member *at = first; at; at = find(all, n, at->parent)) {
        if (at->kin != KIN_UNKNOWN || at->parent == root) {
            kin = at->parent == root ? KIN_OURS : at->kin;
            break;
        }
        at->kin = KIN_FOREIGN;
    }
    for (struct member *at = first; at && kin == KIN_OURS; at = find(all, n, at->parent)) {
        bool known = at->kin == KIN_OURS;
        at->kin = KIN_OURS;
        if (known || at->parent == root)
            break;
    }
}

size_t family_list(const char *proc, pid_t root, size_t max, pid_t **out)
{
    AUTO_FREE struct member *all = NULL;
    size_t n = list_all(proc, max, &all), count = 0;
    *out = n ? mem_array(n, sizeof **out) : NULL;
    for (size_t i = 0; i < n; i++) {
        if (all[i].kin == KIN_UNKNOWN)
            settle(all, n, &all[i], root);
        if (all[i].kin == KIN_OURS && all[i].pid != root)
            (*out)[count++] = all[i].pid;
    }
    return count;
}
