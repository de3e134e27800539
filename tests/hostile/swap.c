/* hostile-swap A B - exchanges two names again and again until standard input ends.
 *
 * T29: run on the host beside many starts, with A an allowed directory and B a link to somewhere else.
 * Ends with the two names in their first places.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    attack_begin(argc, argv);
    const char *a = attack_argument(1), *b = attack_argument(2);
    unsigned long turns = 0;
    struct pollfd end = { .fd = 0, .events = POLLIN };
    while (poll(&end, 1, 0) == 0 || turns % 2) {
        if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) < 0)
            attack_cannot("exchange '%s' and '%s': %s", a, b, strerror(errno));
        turns++;
        usleep(200);
    }
    attack_blocked("%lu exchanges", turns);
}
