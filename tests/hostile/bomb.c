/* hostile-bomb KIND LIMIT [DIRECTORY] - uses up one thing, bounded, and says whether LIMIT held (T21).
 *
 * KIND is one of: processes, threads, memory, descriptors, file, files, pipes, watches, terminals,
 * locked. More than LIMIT had is an escape. Everything is given back at the end.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long limit;
static const char *directory;

/* Beyond the limit plus this the program stops by itself: a bomb in a test has a bound. */
enum { BEYOND = 64 };

static unsigned long processes(void)
{
    unsigned long had = 0;
    static pid_t children[8192];
    while (had < limit + BEYOND && had < 8192) {
        pid_t child = fork();
        if (child < 0)
            break;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            _exit(0);
        }
        children[had++] = child;
    }
    int os = errno;
    for (unsigned long i = 0; i < had; i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        continue;
    errno = os;
    return had;
}

static void *thread_waits(void *unused)
{
    pause();
    return unused;
}

static unsigned long threads(void)
{
    unsigned long had = 0;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
    pthread_t thread;
    while (had < limit + BEYOND &&
           (errno = pthread_create(&thread, &small, thread_waits, NULL)) == 0)
        had++;
    return had;
}

/* Children that each touch pages; more than LIMIT MiB held by living ones is an escape. */
static unsigned long memory(void)
{
    enum { PIECE = 16 };
    unsigned long living = 0;
    for (unsigned long asked = 0; asked < limit + BEYOND; asked += PIECE) {
        int said[2];
        if (pipe(said) < 0)
            break;
        pid_t child = fork();
        if (child < 0)
            break;
        if (child == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            char *at =
                mmap(NULL, PIECE << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (at == MAP_FAILED)
                _exit(1);
            memset(at, 1, PIECE << 20);
            if (write(said[1], "y", 1) != 1)
                _exit(1);
            pause();
            _exit(0);
        }
        close(said[1]);
        char yes;
        if (read(said[0], &yes, 1) == 1)
            living += PIECE;
        close(said[0]);
        while (waitpid(-1, NULL, WNOHANG) > 0) /* one that was killed gave its memory back */
            living -= living ? PIECE : 0;
    }
    return living;
}

static unsigned long descriptors(void)
{
    unsigned long had = 3;
    while (had < limit + BEYOND && dup(0) >= 0)
        had++;
    return had;
}

/* MiB in one file. */
static unsigned long file(void)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/bomb", directory);
    struct sigaction ignored = { .sa_handler = SIG_IGN };
    sigaction(SIGXFSZ, &ignored, NULL);
    static char piece[1 << 20];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    unsigned long had = 0;
    while (fd >= 0 && had < limit + BEYOND && write(fd, piece, sizeof piece) == sizeof piece)
        had++;
    int os = errno;
    unlink(path);
    errno = os;
    return had;
}

/* Files that cost an inode each. */
static unsigned long files(void)
{
    unsigned long had = 0;
    char path[PATH_MAX];
    for (; had < limit + BEYOND; had++) {
        snprintf(path, sizeof path, "%s/bomb-%lu", directory, had);
        int fd = open(path, O_WRONLY | O_CREAT, 0644);
        if (fd < 0)
            break;
        close(fd);
    }
    int os = errno;
    for (unsigned long i = 0; i < had; i++) {
        snprintf(path, sizeof path, "%s/bomb-%lu", directory, i);
        unlink(path);
    }
    errno = os;
    return had;
}

/* MiB of unread bytes in pipes. */
static unsigned long pipes(void)
{
    unsigned long bytes = 0;
    static char piece[65536];
    int ends[2];
    while (bytes >> 20 < limit + BEYOND && pipe2(ends, O_NONBLOCK) == 0) {
        fcntl(ends[1], F_SETPIPE_SZ, 1 << 20);
        ssize_t n;
        while ((n = write(ends[1], piece, sizeof piece)) > 0)
            bytes += (unsigned long)n;
    }
    return bytes >> 20;
}

static unsigned long watches(void)
{
    unsigned long had = 0;
    while (had < limit + BEYOND && inotify_init1(0) >= 0)
        had++;
    return had;
}

static unsigned long terminals(void)
{
    unsigned long had = 0;
    while (had < limit + BEYOND && posix_openpt(O_RDWR | O_NOCTTY) >= 0)
        had++;
    return had;
}

/* MiB of locked memory. */
static unsigned long locked(void)
{
    unsigned long had = 0;
    while (had < limit + BEYOND) {
        void *at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (at == MAP_FAILED || mlock(at, 1 << 20) < 0)
            break;
        had++;
    }
    return had;
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned long (*go)(void);
    } kinds[] = {
        { "processes", processes }, { "threads", threads },
        { "memory", memory },       { "descriptors", descriptors },
        { "file", file },           { "files", files },
        { "pipes", pipes },         { "watches", watches },
        { "terminals", terminals }, { "locked", locked },
    };
    attack_begin(argc, argv);
    limit = strtoul(attack_argument(2), NULL, 10);
    directory = argc > 3 ? argv[3] : ".";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(kinds[i].name, attack_argument(1)) == 0) {
            errno = 0;
            unsigned long had = kinds[i].go();
            if (had > limit)
                attack_escaped("%lu %s, the limit is %lu", had, argv[1], limit);
            attack_blocked("%lu %s, then %s", had, argv[1], strerror(errno));
        }
    attack_cannot("no kind '%s'", argv[1]);
}
