/* hostile-descriptors [MARK] - descriptors that the command has no business with (T10).
 *
 * Any open descriptor above 2 is an escape; what it leads to is said, and whether MARK can be read.
 */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

static bool by_number(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int highest = limit.rlim_max > 1000000 ? 1000000 : (int)limit.rlim_max;
    for (int fd = 3; fd < highest; fd++)
        if (fcntl(fd, F_GETFD) >= 0) {
            char path[64], leads_to[160] = "?";
            snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
            if (readlink(path, leads_to, sizeof leads_to - 1) < 0)
                snprintf(leads_to, sizeof leads_to, "unknown");
            attack_note("%d leads to %s", fd, leads_to);
            return true;
        }
    return false;
}

static bool by_listing(void)
{
    DIR *list = opendir("/proc/self/fd");
    if (!list)
        return false;
    int own = dirfd(list);
    for (struct dirent *entry; (entry = readdir(list));) {
        int fd = (int)strtol(entry->d_name, NULL, 10);
        if (fd > 2 && fd != own) {
            attack_note("%d is listed", fd);
            return true;
        }
    }
    return false;
}

static bool by_passed_rights(void)
{
    static const char *const names[] = { "LISTEN_FDS", "NOTIFY_SOCKET", "POSTERN_CONTROL_FD",
                                         "JOURNAL_STREAM" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (getenv(names[i])) {
            attack_note("%s is set", names[i]);
            return true;
        }
    return false;
}

/* The directory of the first descriptors must not be one from before the root was changed. */
static bool by_leaving_the_root(void)
{
    char path[PATH_MAX];
    for (int fd = 0; fd < 3; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d/../../../../../../etc/passwd", fd);
        int at = open(path, O_RDONLY);
        if (at >= 0) {
            attack_note("descriptor %d is a directory", fd);
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "numbers", by_number },
        { "/proc/self/fd", by_listing },
        { "variables", by_passed_rights },
        { "standard descriptors", by_leaving_the_root },
    };
    attack_begin(argc, argv);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
