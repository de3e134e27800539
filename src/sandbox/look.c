#include "sandbox/look.h"

#include "base/buf.h"
#include "base/fd.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* About 10 ms, in which nobody else in the sandbox is served. */
enum { ENTRIES_MAX = 10000 };

struct look {
    const struct file_rules *rules;
    struct str path;
    bool skip_modules;
    int top;
    size_t entries;
    struct buf todo; /* relative paths of directories, each with a NUL behind it */
    const char *rule;
};

/* True when the entry is a directory; links are not. */
static bool is_directory(int dir, const struct dirent *entry)
{
    struct stat st;
    if (entry->d_type != DT_UNKNOWN)
        return entry->d_type == DT_DIR;
    return fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

static enum look_result judge_entry(struct look *l, int dir, const char *relative,
                                    const struct dirent *entry)
{
    AUTO_BUF name = { 0 };
    if (++l->entries > ENTRIES_MAX)
        return LOOK_TOO_MUCH;
    if (*relative)
        buf_addf(&name, "%s/", relative);
    buf_add(&name, str_of(entry->d_name));
    bool directory = is_directory(dir, entry);
    if (directory && !(l->skip_modules && strcmp(entry->d_name, "node_modules") == 0)) {
        buf_add(&l->todo, buf_str(&name));
        buf_add_byte(&l->todo, '\0');
    }
    if (directory)
        buf_add_byte(&name, '/');
    l->rule = file_rules_judge_moved(l->rules, l->path, buf_str(&name));
    return l->rule ? LOOK_DENIED : LOOK_CLEAN;
}

static enum look_result look_into(struct look *l, const char *relative)
{
    struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
                            .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS };
    int fd = (int)syscall(SYS_openat2, l->top, *relative ? relative : ".", &how, sizeof how);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (!d) {
        fd_drop(&fd);
        return LOOK_BLIND;
    }
    enum look_result result = LOOK_CLEAN;
    for (struct dirent *entry; result == LOOK_CLEAN && (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            result = judge_entry(l, dirfd(d), relative, entry);
    closedir(d);
    return result;
}

enum look_result look_beneath(const struct file_rules *rules, int parent, const char *name,
                              struct str path, bool skip_modules, const char **rule)
{
    struct look l = { .rules = rules, .path = path, .skip_modules = skip_modules };
    *rule = NULL;
    AUTO_FD top = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (top < 0)
        return LOOK_BLIND;
    l.top = top;
    enum look_result result = look_into(&l, "");
    while (result == LOOK_CLEAN && l.todo.n) {
        /* Last in, first out: the list stays as short as the tree is deep. */
        size_t start = l.todo.n - 1;
        while (start > 0 && l.todo.p[start - 1] != '\0')
            start--;
        AUTO_FREE char *relative = str_dup((struct str){ l.todo.p + start, l.todo.n - start - 1 });
        l.todo.n = start;
        result = look_into(&l, relative);
    }
    buf_release(&l.todo);
    *rule = l.rule;
    return result;
}
