/* hostile-ring PATH - makes a file by io_uring, whose work no filter on open sees (T8). */
#include "attack.h"

#include <fcntl.h>
#include <unistd.h>

static bool by_ring(void)
{
    int fd = attack_ring_open(attack_argument(1), O_WRONLY | O_CREAT, 0644);
    return fd >= 0 && write(fd, "ring\n", 5) == 5;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = { { "io_uring", by_ring } };
    attack_begin(argc, argv);
    return attack_run(ways, 1);
}
