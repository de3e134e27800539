/* hostile-make PATH SCRATCH - can the absent name PATH be made, as anything?
 *
 * Missing parents are made first, where they can be. SCRATCH is a directory where the attacker may
 * write, on the same file system. What was made is removed again, so that each way is judged alone;
 * that it was made is the escape.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const char *target, *scratch;
static char directory[PATH_MAX], name[PATH_MAX];

static const char *spare(const char *last)
{
    static char path[4][PATH_MAX];
    static unsigned turn;
    char *at = path[turn++ % 4];
    snprintf(at, PATH_MAX, "%s/%s", scratch, last);
    return at;
}

/* Did a call that returned `result` make the name? Then removes it. Keeps errno. */
static bool made(int result)
{
    int os = errno;
    struct stat st;
    bool there = lstat(target, &st) == 0;
    if (there) {
        if (S_ISDIR(st.st_mode))
            rmdir(target);
        else
            unlink(target);
        if (result < 0)
            attack_note("it said %s, but the name is there", strerror(os));
    }
    errno = os;
    return there;
}

static int my_file(const char *path)
{
    int fd = open(path, O_WRONLY | O_CREAT, 0755);
    if (fd >= 0)
        close(fd);
    return fd < 0 ? -1 : 0;
}

static bool by_open(void)
{
    return made(open(target, O_WRONLY | O_CREAT, 0755)) ||
           made(open(target, O_RDWR | O_CREAT | O_EXCL, 0755));
}

static bool by_reading_open(void)
{
    return made(open(target, O_RDONLY | O_CREAT, 0755)) ||
           made(open(target, O_ACCMODE | O_CREAT, 0755));
}

static bool by_creat(void)
{
    return made(creat(target, 0755));
}

static bool by_openat(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return at >= 0 && made(openat(at, name, O_WRONLY | O_CREAT, 0755));
}

static bool by_openat2(void)
{
    struct open_how how = { .flags = O_WRONLY | O_CREAT, .mode = 0755 };
    return made((int)syscall(SYS_openat2, AT_FDCWD, target, &how, sizeof how));
}

static bool by_relative_names(void)
{
    char path[PATH_MAX * 2];
    if (chdir(directory) < 0)
        return false;
    if (made(open(name, O_WRONLY | O_CREAT, 0755)))
        return true;
    snprintf(path, sizeof path, ".//./%s", name);
    if (made(open(path, O_WRONLY | O_CREAT, 0755)))
        return true;
    snprintf(path, sizeof path, "/proc/self/cwd/%s", name);
    if (made(open(path, O_WRONLY | O_CREAT, 0755)))
        return true;
    snprintf(path, sizeof path, "../%s/%s", strrchr(directory, '/') + 1, name);
    return made(open(path, O_WRONLY | O_CREAT, 0755));
}

static bool by_proc_root(void)
{
    char path[PATH_MAX * 2];
    snprintf(path, sizeof path, "/proc/self/root%s", target);
    if (made(open(path, O_WRONLY | O_CREAT, 0755)))
        return true;
    snprintf(path, sizeof path, "/proc/1/root%s", target);
    return made(mkdir(path, 0755));
}

static bool by_descriptor_name(void)
{
    char path[PATH_MAX * 2];
    int at = open(directory, O_PATH | O_DIRECTORY);
    snprintf(path, sizeof path, "/proc/self/fd/%d/%s", at, name);
    return at >= 0 && (made(open(path, O_WRONLY | O_CREAT, 0755)) || made(mkdir(path, 0755)));
}

static bool by_mkdir(void)
{
    char path[PATH_MAX + 2];
    snprintf(path, sizeof path, "%s/", target);
    int at = open(directory, O_PATH | O_DIRECTORY);
    return made(mkdir(target, 0755)) || made(mkdir(path, 0755)) ||
           (at >= 0 && made(mkdirat(at, name, 0755)));
}

static bool by_mknod(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return made(mknod(target, S_IFREG | 0755, 0)) || made(mknod(target, S_IFIFO | 0755, 0)) ||
           made(mknod(target, S_IFSOCK | 0755, 0)) || made(mkfifo(target, 0755)) ||
           made(mknod(target, 0755, 0)) || (at >= 0 && made(mknodat(at, name, S_IFREG | 0755, 0)));
}

static bool by_symlink(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return made(symlink("/tmp", target)) || made(symlink("nowhere", target)) ||
           (at >= 0 && made(symlinkat("nowhere", at, name)));
}

static bool by_link(void)
{
    const char *mine = spare("to-link");
    if (my_file(mine) < 0)
        return false;
    int at = open(directory, O_PATH | O_DIRECTORY);
    bool worked = made(link(mine, target)) ||
                  made(linkat(AT_FDCWD, mine, AT_FDCWD, target, AT_SYMLINK_FOLLOW)) ||
                  (at >= 0 && made(linkat(AT_FDCWD, mine, at, name, 0)));
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_link_of_tmpfile(void)
{
    int fd = open(scratch, O_TMPFILE | O_RDWR, 0755);
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return fd >= 0 && (made(linkat(AT_FDCWD, from, AT_FDCWD, target, AT_SYMLINK_FOLLOW)) ||
                       made(linkat(fd, "", AT_FDCWD, target, AT_EMPTY_PATH)));
}

static bool by_rename(void)
{
    const char *mine = spare("to-rename");
    if (my_file(mine) < 0)
        return false;
    bool worked = made(rename(mine, target)) ||
                  made(renameat2(AT_FDCWD, mine, AT_FDCWD, target, RENAME_NOREPLACE));
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_renaming_a_directory(void)
{
    const char *mine = spare("to-rename-directory");
    if (mkdir(mine, 0755) < 0)
        return false;
    bool worked = made(rename(mine, target));
    int os = errno;
    rmdir(mine);
    errno = os;
    return worked;
}

/* Builds the last two components elsewhere and moves them in together: x/hooks -> .git. */
static bool by_moving_the_holder(void)
{
    char holder[PATH_MAX], inner[PATH_MAX * 2];
    snprintf(holder, sizeof holder, "%s", spare("holder"));
    snprintf(inner, sizeof inner, "%s/%s", holder, name);
    if (mkdir(holder, 0755) < 0)
        return false;
    bool inner_made = mkdir(inner, 0755) == 0;
    int os = errno;
    bool away = rmdir(directory) == 0;
    bool moved = inner_made && rename(holder, directory) == 0;
    if (inner_made && !moved)
        os = errno;
    bool worked = moved && made(0);
    if (!moved) {
        rmdir(inner);
        rmdir(holder);
        if (away)
            mkdir(directory, 0755);
    }
    errno = os;
    return worked;
}

static bool by_bind(void)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(name) >= sizeof at.sun_path || chdir(directory) < 0)
        return false;
    snprintf(at.sun_path, sizeof at.sun_path, "%s", name);
    int stream = socket(AF_UNIX, SOCK_STREAM, 0), datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    return made(bind(stream, (struct sockaddr *)&at, sizeof at)) ||
           made(bind(datagram, (struct sockaddr *)&at, sizeof at));
}

/* Opening a dangling link with O_CREAT makes what it points to. */
static bool by_dangling_link(void)
{
    const char *mine = spare("dangling");
    if (symlink(target, mine) < 0)
        return false;
    bool worked = made(open(mine, O_WRONLY | O_CREAT, 0755)) || made(creat(mine, 0755));
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_linked_directory(void)
{
    const char *mine = spare("to-directory");
    char path[PATH_MAX * 2];
    if (symlink(directory, mine) < 0)
        return false;
    snprintf(path, sizeof path, "%s/%s", mine, name);
    bool worked = made(open(path, O_WRONLY | O_CREAT, 0755)) || made(mkdir(path, 0755)) ||
                  made(symlink("x", path));
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_exchange(void)
{
    const char *mine = spare("to-exchange");
    if (my_file(mine) < 0)
        return false;
    bool worked = made(renameat2(AT_FDCWD, mine, AT_FDCWD, target, RENAME_EXCHANGE)) ||
                  made(renameat2(AT_FDCWD, mine, AT_FDCWD, target, RENAME_WHITEOUT));
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_io_uring(void)
{
    return made(attack_ring_open(target, O_WRONLY | O_CREAT, 0755));
}

/* mkdir -p of the parents, where they can be had; absent parents only make the attack fail. */
static void make_parents(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s", directory);
    for (char *at = path + 1; *at; at++)
        if (*at == '/') {
            *at = 0;
            mkdir(path, 0755);
            *at = '/';
        }
    mkdir(path, 0755);
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "open", by_open },
        { "open for reading", by_reading_open },
        { "creat", by_creat },
        { "openat", by_openat },
        { "openat2", by_openat2 },
        { "relative names", by_relative_names },
        { "/proc/PID/root", by_proc_root },
        { "/proc/self/fd", by_descriptor_name },
        { "mkdir", by_mkdir },
        { "mknod", by_mknod },
        { "symlink", by_symlink },
        { "link", by_link },
        { "link of O_TMPFILE", by_link_of_tmpfile },
        { "rename", by_rename },
        { "rename of a directory", by_renaming_a_directory },
        { "bind", by_bind },
        { "dangling link", by_dangling_link },
        { "linked directory", by_linked_directory },
        { "exchange", by_exchange },
        { "io_uring", by_io_uring },
        { "holder moved in", by_moving_the_holder },
    };
    attack_begin(argc, argv);
    target = attack_argument(1);
    scratch = attack_argument(2);
    attack_split(target, directory, name);
    make_parents();
    return attack_run(ways, sizeof ways / sizeof *ways);
}
