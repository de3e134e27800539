/* hostile-move DIRECTORY SCRATCH - can a directory that holds a deny in place be moved or removed?
 *
 * T3: `mv .git x; mkdir -p .git/hooks`. What was moved is moved back.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *target, *scratch;
static char directory[PATH_MAX], name[PATH_MAX], away[PATH_MAX];

/* The result of a rename from target to away. */
static bool moved(int result)
{
    int os = errno;
    if (result == 0 && rename(away, target) < 0)
        attack_note("could not put it back: %s", strerror(errno));
    errno = os;
    return result == 0;
}

static bool by_rename(void)
{
    return moved(rename(target, away));
}

static bool by_renameat(void)
{
    int from = open(directory, O_RDONLY | O_DIRECTORY), to = open(scratch, O_RDONLY | O_DIRECTORY);
    return from >= 0 && to >= 0 &&
           (moved(renameat(from, name, to, "away")) ||
            moved((int)raw_call(SYS_renameat2, (unsigned long)from, (unsigned long)name,
                                (unsigned long)to, (unsigned long)"away", RENAME_NOREPLACE, 0)));
}

static bool by_descriptor_opened_inside(void)
{
    int inside = open(target, O_PATH | O_DIRECTORY);
    char from[PATH_MAX * 2];
    snprintf(from, sizeof from, "../%s", name);
    return inside >= 0 && moved(renameat(inside, from, AT_FDCWD, away));
}

static bool by_working_directory(void)
{
    char from[PATH_MAX * 2];
    snprintf(from, sizeof from, "../%s", name);
    return chdir(target) == 0 && moved(rename(from, away));
}

static bool by_proc_names(void)
{
    char from[PATH_MAX * 2];
    snprintf(from, sizeof from, "/proc/self/root%s", target);
    if (moved(rename(from, away)))
        return true;
    int at = open(directory, O_PATH | O_DIRECTORY);
    snprintf(from, sizeof from, "/proc/self/fd/%d/%s", at, name);
    return at >= 0 && moved(rename(from, away));
}

static bool by_linked_parent(void)
{
    char alias[PATH_MAX], from[PATH_MAX * 2];
    snprintf(alias, sizeof alias, "%s/parent", scratch);
    if (symlink(directory, alias) < 0)
        return false;
    snprintf(from, sizeof from, "%s/%s", alias, name);
    bool worked = moved(rename(from, away));
    int os = errno;
    unlink(alias);
    errno = os;
    return worked;
}

static bool by_exchange(void)
{
    if (mkdir(away, 0755) < 0)
        return false;
    bool worked = renameat2(AT_FDCWD, target, AT_FDCWD, away, RENAME_EXCHANGE) == 0 ||
                  renameat2(AT_FDCWD, away, AT_FDCWD, target, RENAME_EXCHANGE) == 0;
    int os = errno;
    if (worked && renameat2(AT_FDCWD, target, AT_FDCWD, away, RENAME_EXCHANGE) < 0)
        attack_note("could not put it back");
    rmdir(away);
    errno = os;
    return worked;
}

static bool by_exchange_with_a_file(void)
{
    int fd = open(away, O_WRONLY | O_CREAT, 0644);
    if (fd < 0)
        return false;
    bool worked = renameat2(AT_FDCWD, away, AT_FDCWD, target, RENAME_EXCHANGE) == 0;
    int os = errno;
    if (worked && renameat2(AT_FDCWD, target, AT_FDCWD, away, RENAME_EXCHANGE) < 0)
        attack_note("could not put it back");
    unlink(away);
    errno = os;
    return worked;
}

static bool by_moving_over_it(void)
{
    if (mkdir(away, 0755) < 0)
        return false;
    bool worked = rename(away, target) == 0;
    int os = errno;
    rmdir(away);
    errno = os;
    return worked;
}

static bool by_whiteout(void)
{
    int result = renameat2(AT_FDCWD, target, AT_FDCWD, away, RENAME_WHITEOUT);
    if (result == 0)
        unlink(target); /* the whiteout itself */
    return moved(result);
}

/* `target` gets covered by something of the attacker's. */
static bool by_mount(void)
{
    if (mount("tmpfs", target, "tmpfs", 0, NULL) < 0 &&
        mount(scratch, target, NULL, MS_BIND, NULL) < 0)
        return false;
    umount2(target, MNT_DETACH);
    return true;
}

static bool by_rmdir(void)
{
    int at = open(directory, O_RDONLY | O_DIRECTORY);
    bool worked = rmdir(target) == 0 || (at >= 0 && unlinkat(at, name, AT_REMOVEDIR) == 0) ||
                  unlink(target) == 0;
    /* An ordinary directory that is full says the same; that proves nothing, the renames do. */
    return worked;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "rename", by_rename },
        { "renameat", by_renameat },
        { "descriptor opened inside", by_descriptor_opened_inside },
        { "working directory", by_working_directory },
        { "names of /proc", by_proc_names },
        { "linked parent", by_linked_parent },
        { "exchange", by_exchange },
        { "exchange with a file", by_exchange_with_a_file },
        { "move over it", by_moving_over_it },
        { "whiteout", by_whiteout },
        { "mount over it", by_mount },
        { "rmdir", by_rmdir },
    };
    attack_begin(argc, argv);
    target = attack_argument(1);
    scratch = attack_argument(2);
    attack_split(target, directory, name);
    snprintf(away, sizeof away, "%s/away", scratch);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
