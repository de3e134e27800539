/* bench-warden - what the judging of a call costs: nanoseconds per operation, bare and warded.
 *
 *   bench-warden [DIRECTORY]      default: a new one in the working directory, removed at the end
 */
#include "ward.h"

#include "base/check.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS = 7, PER_ROUND = 3000 };

enum operation {
    CREATE,
    OPEN_WRITE,
    OPEN_WRITE_ABSOLUTE,
    RENAME,
    MKDIR,
    UNLINK,
    OPEN_READ,
    DENIED,
    OPERATIONS
};

static const char *const names[OPERATIONS] = {
    [CREATE] = "create a file",
    [OPEN_WRITE] = "open for writing",
    [OPEN_WRITE_ABSOLUTE] = "the same, absolute path",
    [RENAME] = "rename a file",
    [MKDIR] = "mkdir and rmdir",
    [UNLINK] = "unlink a file",
    [OPEN_READ] = "open for reading (not judged)",
    [DENIED] = "create, denied",
};

static char box[PATH_MAX];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void once(enum operation operation, int i)
{
    char name[32], path[PATH_MAX + 64];
    int result = 0;
    snprintf(name, sizeof name, "f%d", i);
    switch (operation) {
    case CREATE:
        result = close(open(name, O_WRONLY | O_CREAT, 0644));
        break;
    case OPEN_WRITE:
        result = close(open(name, O_WRONLY));
        break;
    case OPEN_WRITE_ABSOLUTE:
        snprintf(path, sizeof path, "%s/%s", box, name);
        result = close(open(path, O_WRONLY));
        break;
    case RENAME:
        snprintf(path, sizeof path, "g%d", i);
        result = rename(name, path) == 0 ? rename(path, name) : -1;
        break;
    case MKDIR:
        result = mkdir("d", 0755) == 0 ? rmdir("d") : -1;
        break;
    case UNLINK:
        result = unlink(name);
        break;
    case OPEN_READ:
        result = close(open(".", O_RDONLY | O_DIRECTORY));
        break;
    case DENIED:
        CHECK(open("/etc/passwd", O_WRONLY | O_CREAT | O_EXCL, 0600) == -1);
        break;
    case OPERATIONS:
        break;
    }
    CHECK(result == 0);
}

/* The best round of each operation, in ns, goes into ctx. */
static int measure(void *ctx)
{
    double *best = ctx;
    CHECK(chdir(box) == 0);
    for (int round = 0; round < ROUNDS; round++)
        for (int o = 0; o < OPERATIONS; o++) {
            double start = now();
            for (int i = 0; i < PER_ROUND; i++)
                once((enum operation)o, i);
            double each = (now() - start) / (o == RENAME || o == MKDIR ? 2 * PER_ROUND : PER_ROUND);
            if (round == 0 || each < best[o])
                best[o] = each;
        }
    return 0;
}

int main(int argc, char **argv)
{
    char made[] = "bench-warden-XXXXXX";
    const char *directory = argc > 1 ? argv[1] : mkdtemp(made);
    CHECK(directory && realpath(directory, box));
    struct file_rule_path root = { box, "root" };
    struct ward w;
    double *ns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(ns != MAP_FAILED);
    ward_init(&w, &root);
    w.bare = true;
    CHECK(ward_run(&w, measure, ns) == 0);
    w.bare = false;
    CHECK(ward_run(&w, measure, ns + OPERATIONS) == 0);
    printf("%-32s %9s %9s %9s\n", "ns per call", "bare", "warded", "more");
    for (int o = 0; o < OPERATIONS; o++)
        printf("%-32s %9.0f %9.0f %9.0f\n", names[o], ns[o], ns[OPERATIONS + o],
               ns[OPERATIONS + o] - ns[o]);
    return argc > 1 ? 0 : rmdir(made);
}
