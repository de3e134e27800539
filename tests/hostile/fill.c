/* hostile-fill KIND MIB DIRECTORY [MS] - takes up MIB MiB of the disk in a way that is hard to see (T21).
 *
 * KIND is a way to hide it: see `kinds`. What was taken is kept for some seconds, or MS; whoever is
 * still alive then has escaped. The files go away with the test's directory.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MIB = 1 << 20, KEPT_MS = 4000 };

static unsigned long wanted;
static const char *directory;
static char piece[MIB];

static const char *path_of(const char *kind, unsigned long i)
{
    static char paths[2][PATH_MAX];
    static unsigned turn;
    char *path = paths[turn++ % 2];
    snprintf(path, PATH_MAX, "%s/%s-%lu", directory, kind, i);
    return path;
}

static void need(bool done, const char *what)
{
    if (!done)
        attack_blocked("%s: %s", what, strerror(errno));
}

static int make(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644);
    need(fd >= 0, "make a file");
    return fd;
}

static void put(int fd)
{
    need(write(fd, piece, sizeof piece) == sizeof piece, "write");
}

static void plain(void)
{
    int fd = make(path_of("plain", 0));
    for (unsigned long i = 0; i < wanted; i++)
        put(fd);
}

/* Large from the first moment and empty; filled at odd places. */
static void sparse(void)
{
    int fd = make(path_of("sparse", 0));
    need(ftruncate(fd, 1ll << 40) == 0, "make a hole");
    for (unsigned long i = 0; i < wanted; i++)
        need(pwrite(fd, piece, sizeof piece, (off_t)i << 30) == sizeof piece, "fill a hole");
}

/* Reserved without a byte written and without a change of size. */
static void reserved(void)
{
    int fd = make(path_of("reserved", 0));
    need(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)wanted * MIB) == 0, "reserve");
}

/* No descriptor any more, a map alone. */
static void mapped(void)
{
    int fd = make(path_of("mapped", 0));
    need(ftruncate(fd, (off_t)wanted * MIB) == 0, "make a hole");
    char *at = mmap(NULL, wanted * MIB, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    need(at != MAP_FAILED, "map");
    close(fd);
    usleep(600 * 1000);
    memset(at, 'x', wanted * MIB);
}

/* Removed, and kept by the descriptor that `keep` opens. */
static void removed(int keep)
{
    for (unsigned long i = 0; i < wanted; i++) {
        const char *path = path_of("removed", i);
        int fd = make(path);
        put(fd);
        need(keep == O_RDWR || open(path, keep) >= 0, "keep it");
        if (keep != O_RDWR)
            close(fd);
        usleep(1000);
        need(unlink(path) == 0, "remove");
    }
}

static void removed_and_written(void)
{
    removed(O_RDWR);
}

static void removed_and_read(void)
{
    removed(O_RDONLY);
}

static void removed_and_pointed_at(void)
{
    removed(O_PATH);
}

/* The last name goes while the file is open by another one that went before. */
static void linked(void)
{
    for (unsigned long i = 0; i < wanted; i++) {
        const char *first = path_of("linked", i), *second = path_of("second", i);
        int fd = make(first);
        put(fd);
        need(open(first, O_RDONLY) >= 0, "keep it");
        close(fd);
        need(link(first, second) == 0, "link");
        need(unlink(first) == 0 && unlink(second) == 0, "remove");
    }
}

/* A new name for what never had one, taken away at once. */
static void named_late(void)
{
    for (unsigned long i = 0; i < wanted; i++) {
        char number[64];
        const char *path = path_of("late", i);
        int fd = open(directory, O_TMPFILE | O_RDWR, 0600);
        need(fd >= 0, "make a file without a name");
        put(fd);
        snprintf(number, sizeof number, "/proc/self/fd/%d", fd);
        need(linkat(AT_FDCWD, number, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0, "name it");
        need(unlink(path) == 0, "remove");
    }
}

/* Replaced by an empty one while it is open. */
static void replaced(void)
{
    for (unsigned long i = 0; i < wanted; i++) {
        int fd = make(path_of("replaced", 0));
        put(fd);
        close(make(path_of("empty", 0)));
        need(rename(path_of("empty", 0), path_of("replaced", 0)) == 0, "replace");
    }
}

/* In no process's table: on its way through a socket. */
static void in_flight(void)
{
    for (unsigned long i = 0; i < wanted; i++) {
        int ends[2], fd = make(path_of("flight", i));
        union {
            char space[CMSG_SPACE(sizeof(int))];
            struct cmsghdr align;
        } control = { 0 };
        struct iovec part = { piece, 1 };
        struct msghdr message = { .msg_iov = &part,
                                  .msg_iovlen = 1,
                                  .msg_control = &control,
                                  .msg_controllen = sizeof control };
        put(fd);
        need(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "make a pair");
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        *c = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS,
                               .cmsg_len = CMSG_LEN(sizeof fd) };
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
        need(sendmsg(ends[0], &message, 0) > 0, "send it");
        close(fd);
        need(unlink(path_of("flight", i)) == 0, "remove");
    }
}

/* What costs a name and an inode and holds nothing: 2,048 and more to a MiB. */
static void names(void)
{
    for (unsigned long i = 0; i < wanted * 2048; i++)
        close(make(path_of("name", i)));
}

static void directories(void)
{
    for (unsigned long i = 0; i < wanted * 256; i++)
        need(mkdir(path_of("directory", i), 0755) == 0, "make a directory");
}

/* A long target has a block of its own. */
static void links(void)
{
    char target[1000];
    memset(target, 'x', sizeof target - 1);
    target[sizeof target - 1] = '\0';
    for (unsigned long i = 0; i < wanted * 256; i++)
        need(symlink(target, path_of("link", i)) == 0, "make a link");
}

/* Many small files, each closed before the next. */
static void crumbs(void)
{
    for (unsigned long i = 0; i < wanted * 256; i++) {
        int fd = make(path_of("crumb", i));
        need(write(fd, piece, 1) == 1, "write");
        close(fd);
    }
}

/* By somebody who is gone at once. */
static void orphans(void)
{
    for (unsigned long i = 0; i < wanted; i++)
        if (fork() == 0) {
            setsid();
            put(make(path_of("orphan", i)));
            _exit(0);
        }
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*go)(void);
    } kinds[] = {
        { "plain", plain },
        { "sparse", sparse },
        { "reserved", reserved },
        { "mapped", mapped },
        { "removed-written", removed_and_written },
        { "removed-read", removed_and_read },
        { "removed-pointed-at", removed_and_pointed_at },
        { "linked", linked },
        { "named-late", named_late },
        { "replaced", replaced },
        { "in-flight", in_flight },
        { "names", names },
        { "directories", directories },
        { "links", links },
        { "crumbs", crumbs },
        { "orphans", orphans },
    };
    attack_begin(argc, argv);
    wanted = strtoul(attack_argument(2), NULL, 10);
    directory = attack_argument(3);
    memset(piece, 'x', sizeof piece);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, attack_argument(1)) == 0) {
            kinds[i].go();
            const long kept = argc > 4 ? strtol(argv[4], NULL, 10) : KEPT_MS;
            for (long until = attack_now() + kept; attack_now() < until;)
                usleep(20 * 1000);
            attack_escaped("%lu MiB taken: %s", wanted, argv[1]);
        }
    attack_cannot("no kind '%s'", argv[1]);
}
