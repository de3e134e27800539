#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

char **attack_arguments;
int attack_argument_count;

/* Shared with the children, which leave their notes and errno here. */
struct notes {
    int os;
    char text[256];
};
static struct notes *notes;

void attack_begin(int argc, char **argv)
{
    attack_arguments = argv;
    attack_argument_count = argc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    notes = mmap(NULL, sizeof *notes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (notes == MAP_FAILED)
        exit(VERDICT_CANNOT);
}

const char *attack_argument(int n)
{
    if (n >= attack_argument_count)
        attack_cannot("argument %d is missing", n);
    return attack_arguments[n];
}

#define VERDICT_LINE(word, code)                                                                   \
    va_list ap;                                                                                    \
    va_start(ap, format);                                                                          \
    fputs(word ": ", stdout);                                                                      \
    vprintf(format, ap);                                                                           \
    fputc('\n', stdout);                                                                           \
    va_end(ap);                                                                                    \
    exit(code)

void attack_blocked(const char *format, ...)
{
    VERDICT_LINE("blocked", VERDICT_BLOCKED);
}

void attack_escaped(const char *format, ...)
{
    VERDICT_LINE("ESCAPED", VERDICT_ESCAPED);
}

void attack_cannot(const char *format, ...)
{
    VERDICT_LINE("cannot", VERDICT_CANNOT);
}

void attack_note(const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    vsnprintf(notes->text, sizeof notes->text, format, ap);
    va_end(ap);
}

void attack_split(const char *path, char *directory, char *name)
{
    const char *slash = strrchr(path, '/');
    if (!slash) {
        snprintf(directory, PATH_MAX, ".");
        snprintf(name, PATH_MAX, "%s", path);
        return;
    }
    snprintf(directory, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
    snprintf(name, PATH_MAX, "%s", slash + 1);
}

long attack_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

long raw_call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
              unsigned long e, unsigned long f)
{
    return syscall(number, a, b, c, d, e, f);
}

int attack_ring_open(const char *path, int flags, mode_t mode)
{
    struct io_uring_params params = { 0 };
    int ring = (int)syscall(SYS_io_uring_setup, 1, &params);
    if (ring < 0)
        return -1;
    size_t size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    char *rings = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe =
        mmap(NULL, sizeof *sqe, PROT_READ | PROT_WRITE, MAP_SHARED, ring, (off_t)IORING_OFF_SQES);
    if (rings == MAP_FAILED || sqe == MAP_FAILED)
        return -1;
    *sqe = (struct io_uring_sqe){
        .opcode = IORING_OP_OPENAT,
        .fd = AT_FDCWD,
        .addr = (uint64_t)(uintptr_t)path,
        .len = mode,
        .open_flags = (unsigned)flags,
    };
    *(unsigned *)(rings + params.sq_off.array) = 0;
    *(unsigned *)(rings + params.sq_off.tail) += 1;
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
        return -1;
    int result = ((struct io_uring_cqe *)(rings + params.cq_off.cqes))->res;
    errno = result < 0 ? -result : 0;
    return result < 0 ? -1 : result;
}

/* Returns true when the way worked; `why` (64 bytes) then or else says more. */
static bool way_try(const struct way *way, char *why)
{
    memset(notes, 0, sizeof *notes);
    pid_t child = fork();
    if (child < 0)
        attack_cannot("fork: %s", strerror(errno));
    if (child == 0) {
        errno = 0;
        bool worked = way->attempt();
        notes->os = errno;
        _exit(worked ? 1 : 0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            attack_cannot("wait: %s", strerror(errno));
    if (WIFSIGNALED(status))
        snprintf(why, 64, "%s", strsignal(WTERMSIG(status)));
    else if (WEXITSTATUS(status) == 1)
        snprintf(why, 64, "worked");
    else
        snprintf(why, 64, "%s", notes->os ? strerror(notes->os) : "no effect");
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

int attack_run(const struct way *ways, size_t count)
{
    char escaped[1024] = "", refusals[1024] = "", why[64], last[64] = "";
    size_t worked = 0, at = 0, refused_at = 0;
    for (size_t i = 0; i < count; i++) {
        if (way_try(&ways[i], why)) {
            if (at < sizeof escaped)
                at += (size_t)snprintf(escaped + at, sizeof escaped - at, "%s%s%s%s%s",
                                       worked ? ", " : "", ways[i].name, notes->text[0] ? " (" : "",
                                       notes->text, notes->text[0] ? ")" : "");
            worked++;
        } else if (strcmp(why, last) != 0 && refused_at < sizeof refusals) {
            refused_at += (size_t)snprintf(refusals + refused_at, sizeof refusals - refused_at,
                                           "%s%s: %s", refused_at ? ", " : "", ways[i].name, why);
            snprintf(last, sizeof last, "%s", why);
        }
    }
    if (worked)
        printf("ESCAPED: %zu of %zu ways: %s\n", worked, count, escaped);
    else
        printf("blocked: %zu ways (%s)\n", count, refusals);
    return worked ? VERDICT_ESCAPED : VERDICT_BLOCKED;
}
