/* hostile-write PATH SCRATCH [contents|inode|name] - can the existing file PATH be changed, replaced or removed?
 *
 * Every call that writes contents, metadata or the name, under every alias; or only those of one kind. SCRATCH is a directory where the
 * attacker may write; it must be on the same file system as PATH. What worked is put back where that
 * is possible, so that each way is judged alone.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

static const char *target, *scratch;
static char directory[PATH_MAX], name[PATH_MAX];

/* A name in SCRATCH, in a static buffer. */
static const char *spare(const char *last)
{
    static char path[4][PATH_MAX];
    static unsigned turn;
    char *at = path[turn++ % 4];
    snprintf(at, PATH_MAX, "%s/%s", scratch, last);
    return at;
}

static bool fd_writes(int fd)
{
    if (fd < 0)
        return false;
    ssize_t n = write(fd, "hostile\n", 8);
    int os = errno;
    close(fd);
    errno = os;
    return n == 8;
}

/* Opening to truncate is an escape only when it did: some files open and stay as they are. */
static bool fd_emptied(int fd)
{
    struct stat st;
    bool empty = fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0;
    int os = errno;
    if (fd >= 0)
        close(fd);
    errno = os ? os : EACCES;
    return empty;
}

static bool fd_opened(int fd)
{
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

__attribute__((format(printf, 2, 3))) static int open_name(int flags, const char *format, ...)
{
    char path[PATH_MAX * 2];
    va_list ap;
    va_start(ap, format);
    vsnprintf(path, sizeof path, format, ap);
    va_end(ap);
    return open(path, flags, 0644);
}

static bool by_open(void)
{
    return fd_writes(open(target, O_WRONLY)) || fd_writes(open(target, O_RDWR));
}

static bool by_append(void)
{
    return fd_writes(open(target, O_WRONLY | O_APPEND));
}

static bool by_creat(void)
{
    return fd_opened(open(target, O_WRONLY | O_CREAT, 0644)) || fd_writes(creat(target, 0644));
}

static bool by_read_only_truncate(void)
{
    return fd_emptied(open(target, O_RDONLY | O_TRUNC));
}

static bool by_access_mode_three(void)
{
    return fd_emptied(open(target, O_ACCMODE | O_TRUNC)) ||
           fd_writes(open(target, O_ACCMODE | O_CREAT, 0644));
}

static bool by_openat(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return at >= 0 && fd_writes(openat(at, name, O_WRONLY));
}

static bool by_openat_high_bits(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return at >= 0 &&
           fd_writes((int)raw_call(SYS_openat, (unsigned long)at | 0xabcd00000000ul,
                                   (unsigned long)name, O_WRONLY | 0x7ful << 32, 0, 0, 0));
}

static bool by_openat2(void)
{
    struct open_how how = { .flags = O_WRONLY };
    return fd_writes((int)syscall(SYS_openat2, AT_FDCWD, target, &how, sizeof how));
}

static bool by_path_descriptor(void)
{
    int at = open(target, O_PATH);
    return at >= 0 && (fd_writes(open_name(O_WRONLY, "/proc/self/fd/%d", at)) ||
                       fd_writes(open_name(O_RDWR, "/dev/fd/%d", at)) ||
                       fd_writes(open_name(O_WRONLY, "/proc/thread-self/fd/%d", at)) ||
                       fd_writes(open_name(O_WRONLY, "/proc/%d/fd/%d", getpid(), at)));
}

static bool by_reading_descriptor(void)
{
    int at = open(target, O_RDONLY);
    return at >= 0 && (fd_writes(open_name(O_WRONLY, "/proc/self/fd/%d", at)) ||
                       fd_emptied(open_name(O_RDONLY | O_TRUNC, "/proc/self/fd/%d", at)));
}

static bool by_proc_aliases(void)
{
    return fd_writes(open_name(O_WRONLY, "/proc/self/root%s", target)) ||
           fd_writes(open_name(O_WRONLY, "/proc/1/root%s", target)) ||
           fd_writes(open_name(O_WRONLY, "/proc/2/root%s", target)) ||
           fd_writes(open_name(O_WRONLY, "/proc/%d/root%s", getppid(), target)) ||
           (chdir(directory) == 0 && fd_writes(open_name(O_WRONLY, "/proc/self/cwd/%s", name)));
}

static bool by_relative_name(void)
{
    return chdir(directory) == 0 &&
           (fd_writes(open(name, O_WRONLY)) || fd_writes(open_name(O_WRONLY, ".//./%s", name)));
}

static bool by_symlink(void)
{
    const char *alias = spare("alias-link");
    if (symlink(target, alias) < 0)
        return false;
    bool worked = fd_writes(open(alias, O_WRONLY)) || truncate(alias, 0) == 0;
    int os = errno;
    unlink(alias);
    errno = os;
    return worked;
}

static bool by_hard_link(void)
{
    const char *alias = spare("alias-hard");
    if (link(target, alias) < 0)
        return false;
    bool worked = fd_writes(open(alias, O_WRONLY));
    int os = errno;
    unlink(alias);
    errno = os;
    return worked;
}

static bool by_hard_link_of_descriptor(void)
{
    const char *alias = spare("alias-descriptor");
    char from[64];
    int fd = open(target, O_PATH);
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, alias, AT_SYMLINK_FOLLOW) < 0 &&
        linkat(fd, "", AT_FDCWD, alias, AT_EMPTY_PATH) < 0)
        return false;
    bool worked = fd_writes(open(alias, O_WRONLY));
    int os = errno;
    unlink(alias);
    errno = os;
    return worked;
}

static bool by_truncate(void)
{
    return truncate(target, 3) == 0;
}

static bool by_truncating_a_reader(void)
{
    int fd = open(target, O_RDONLY);
    return fd >= 0 && (ftruncate(fd, 0) == 0 || fallocate(fd, 0, 0, 4096) == 0);
}

static bool by_shared_map(void)
{
    int fd = open(target, O_RDONLY);
    if (fd < 0)
        return false;
    char *at = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED || mprotect(at, 4096, PROT_READ | PROT_WRITE) < 0)
        return false;
    at[0] = 'h';
    return msync(at, 4096, MS_SYNC) == 0;
}

static bool by_renaming_over_it(void)
{
    const char *mine = spare("mine");
    if (!fd_writes(open(mine, O_WRONLY | O_CREAT, 0644)))
        return false;
    bool worked = rename(mine, target) == 0;
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_exchange(void)
{
    const char *mine = spare("mine");
    if (!fd_writes(open(mine, O_WRONLY | O_CREAT, 0644)))
        return false;
    bool worked = renameat2(AT_FDCWD, mine, AT_FDCWD, target, RENAME_EXCHANGE) == 0 ||
                  renameat2(AT_FDCWD, target, AT_FDCWD, mine, RENAME_EXCHANGE) == 0;
    int os = errno;
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_renaming_it_away(void)
{
    const char *away = spare("away");
    if (rename(target, away) < 0 &&
        renameat2(AT_FDCWD, target, AT_FDCWD, away, RENAME_NOREPLACE) < 0)
        return false;
    if (rename(away, target) < 0)
        attack_note("could not put it back");
    return true;
}

static bool by_unlink(void)
{
    int at = open(directory, O_RDONLY | O_DIRECTORY);
    return unlink(target) == 0 || (at >= 0 && unlinkat(at, name, 0) == 0);
}

static bool by_chmod(void)
{
    return chmod(target, 0666) == 0 || fchmodat(AT_FDCWD, target, 0666, 0) == 0;
}

static bool by_fchmod(void)
{
    int fd = open(target, O_RDONLY), at = open(target, O_PATH);
    char alias[64];
    snprintf(alias, sizeof alias, "/proc/self/fd/%d", at);
    return (fd >= 0 && fchmod(fd, 0666) == 0) || (at >= 0 && chmod(alias, 0666) == 0);
}

static bool by_fchmodat2(void)
{
    return raw_call(452, (unsigned long)AT_FDCWD, (unsigned long)target, 0666, 0, 0, 0) == 0;
}

static bool by_chown(void)
{
    return chown(target, getuid(), getgid()) == 0;
}

static bool by_times(void)
{
    struct timespec times[2] = { { 1, 0 }, { 1, 0 } };
    struct timeval old[2] = { { 1, 0 }, { 1, 0 } };
    int fd = open(target, O_RDONLY);
    return utimensat(AT_FDCWD, target, times, 0) == 0 || utimes(target, old) == 0 ||
           (fd >= 0 && futimens(fd, times) == 0);
}

static bool by_attributes(void)
{
    int fd = open(target, O_RDONLY);
    return setxattr(target, "user.hostile", "1", 1, 0) == 0 ||
           lsetxattr(target, "user.hostile", "1", 1, 0) == 0 ||
           (fd >= 0 && fsetxattr(fd, "user.hostile", "1", 1, 0) == 0);
}

static bool by_flags(void)
{
    int fd = open(target, O_RDONLY), flags = 0;
    if (fd < 0 || ioctl(fd, FS_IOC_GETFLAGS, &flags) < 0)
        return false;
    int with = flags ^ FS_NODUMP_FL;
    if (ioctl(fd, FS_IOC_SETFLAGS, &with) < 0)
        return false;
    ioctl(fd, FS_IOC_SETFLAGS, &flags);
    return true;
}

static bool by_tmpfile_link(void)
{
    int fd = open(scratch, O_TMPFILE | O_RDWR, 0644);
    char from[64];
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (fd < 0)
        return false;
    return unlink(target) == 0 && linkat(AT_FDCWD, from, AT_FDCWD, target, AT_SYMLINK_FOLLOW) == 0;
}

static bool by_bind_mount(void)
{
    const char *mine = spare("bound");
    fd_opened(open(mine, O_WRONLY | O_CREAT, 0644));
    bool worked = mount(target, mine, NULL, MS_BIND, NULL) == 0;
    int os = errno;
    if (worked)
        worked = fd_writes(open(mine, O_WRONLY)), umount2(mine, MNT_DETACH);
    unlink(mine);
    errno = os;
    return worked;
}

static bool by_remount(void)
{
    return (mount(NULL, target, NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ||
            umount2(target, MNT_DETACH) == 0) &&
           fd_writes(open(target, O_WRONLY));
}

static bool by_io_uring(void)
{
    return fd_writes(attack_ring_open(target, O_WRONLY, 0)) ||
           fd_emptied(attack_ring_open(target, O_RDONLY | O_TRUNC, 0));
}

static bool by_file_handle(void)
{
    struct {
        struct file_handle head;
        unsigned char bytes[MAX_HANDLE_SZ];
    } handle = { .head.handle_bytes = MAX_HANDLE_SZ };
    int mount_id = 0, at = open("/", O_RDONLY | O_DIRECTORY);
    return name_to_handle_at(AT_FDCWD, target, &handle.head, &mount_id, 0) == 0 &&
           fd_writes(open_by_handle_at(at, &handle.head, O_WRONLY));
}

static bool by_replacing_the_directory(void)
{
    const char *away = spare("directory-away");
    if (rename(directory, away) < 0)
        return false;
    if (rename(away, directory) < 0)
        attack_note("could not put it back");
    return true;
}

/* What a way changes: the contents, what stands in the inode, or which inode the name leads to. */
enum change { CONTENTS, INODE, NAME };

struct writing_way {
    enum change change;
    struct way way;
};

static const struct writing_way writing_ways[] = {
    { CONTENTS, { "open", by_open } },
    { CONTENTS, { "append", by_append } },
    { CONTENTS, { "creat", by_creat } },
    { CONTENTS, { "O_RDONLY|O_TRUNC", by_read_only_truncate } },
    { CONTENTS, { "access mode 3", by_access_mode_three } },
    { CONTENTS, { "openat", by_openat } },
    { CONTENTS, { "openat with high bits", by_openat_high_bits } },
    { CONTENTS, { "openat2", by_openat2 } },
    { CONTENTS, { "O_PATH and /proc/self/fd", by_path_descriptor } },
    { CONTENTS, { "reader and /proc/self/fd", by_reading_descriptor } },
    { CONTENTS, { "/proc aliases", by_proc_aliases } },
    { CONTENTS, { "relative name", by_relative_name } },
    { CONTENTS, { "symlink", by_symlink } },
    { CONTENTS, { "hard link", by_hard_link } },
    { CONTENTS, { "hard link of a descriptor", by_hard_link_of_descriptor } },
    { CONTENTS, { "truncate", by_truncate } },
    { CONTENTS, { "ftruncate of a reader", by_truncating_a_reader } },
    { CONTENTS, { "shared map", by_shared_map } },
    { CONTENTS, { "bind mount", by_bind_mount } },
    { CONTENTS, { "remount", by_remount } },
    { CONTENTS, { "io_uring", by_io_uring } },
    { CONTENTS, { "file handle", by_file_handle } },
    { INODE, { "chmod", by_chmod } },
    { INODE, { "fchmod", by_fchmod } },
    { INODE, { "fchmodat2", by_fchmodat2 } },
    { INODE, { "chown", by_chown } },
    { INODE, { "utimes", by_times } },
    { INODE, { "extended attribute", by_attributes } },
    { INODE, { "inode flags", by_flags } },
    { NAME, { "rename over it", by_renaming_over_it } },
    { NAME, { "exchange", by_exchange } },
    { NAME, { "rename away", by_renaming_it_away } },
    { NAME, { "rename of the directory", by_replacing_the_directory } },
    { NAME, { "O_TMPFILE and link", by_tmpfile_link } },
    { NAME, { "unlink", by_unlink } },
};
enum { WRITING_WAYS = sizeof writing_ways / sizeof *writing_ways };

static bool wanted(enum change change, const char *only)
{
    static const char *const names[] = { "contents", "inode", "name" };
    return !only || strcmp(only, names[change]) == 0;
}

int main(int argc, char **argv)
{
    attack_begin(argc, argv);
    target = attack_argument(1);
    scratch = attack_argument(2);
    attack_split(target, directory, name);
    struct way ways[WRITING_WAYS];
    size_t count = 0;
    for (size_t i = 0; i < WRITING_WAYS; i++)
        if (wanted(writing_ways[i].change, argc > 3 ? argv[3] : NULL))
            ways[count++] = writing_ways[i].way;
    return attack_run(ways, count);
}
