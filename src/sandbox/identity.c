#include "sandbox/identity.h"

#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static void file_drop(FILE **file)
{
    if (*file)
        fclose(*file);
}

/* The home of the first entry with this uid. False when the arena is full. */
static bool read_entry(const char *passwd, uid_t uid, struct arena *a, const char **home)
{
    CLEANUP(file_drop) FILE *in = fopen(passwd, "re");
    if (!in)
        return true;
    for (struct passwd *entry; (entry = fgetpwent(in)) != NULL;)
        if (entry->pw_uid == uid) {
            if (!entry->pw_dir || entry->pw_dir[0] != '/')
                return true;
            *home = arena_dup(a, str_of(entry->pw_dir));
            return *home != NULL;
        }
    return true;
}

static bool is_directory(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int identity_find_in(const char *passwd, uid_t uid, const char *home_variable, struct arena *a,
                     struct identity *out, struct err *e)
{
    const char *home = NULL;
    *out = (struct identity){ .uid = uid };
    bool absolute = home_variable && home_variable[0] == '/';
    if (absolute) {
        out->homes[0] = arena_dup(a, str_of(home_variable));
        if (!out->homes[0])
            return err_set(e, E_BUSY, 0, "$HOME is too long");
        out->home_count = 1;
        if (is_directory(home_variable))
            return 0;
    }
    if (!read_entry(passwd, uid, a, &home))
        return err_set(e, E_BUSY, 0, "the caller's passwd entry is too large");
    if (!home)
        return err_set(
            e, E_SANDBOX, 0,
            "$HOME is %s and %s has no home directory for uid %u: rules with '~' would be "
            "lost; set HOME to your home directory",
            !home_variable      ? "not set"
            : !home_variable[0] ? "empty"
            : absolute          ? "no directory"
                                : "relative",
            passwd, (unsigned)uid);
    out->homes[out->home_count++] = home;
    return 0;
}

int identity_find(const char *home_variable, struct arena *a, struct identity *out, struct err *e)
{
    return identity_find_in("/etc/passwd", geteuid(), home_variable, a, out, e);
}
