#include "base/fd.h"

#include <errno.h>

void fd_drop(int *fd)
{
    int was = errno;
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = was;
}
