#include "sandbox/dialer.h"

#include "base/fd.h"
#include "egress/inlet.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int dialer_make(int *inner, int *outer, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return err_set(e, E_SANDBOX, errno, "make a socket pair");
    *inner = pair[0];
    *outer = pair[1];
    return 0;
}

/* One byte, 0 with the socket or an errno. False when it cannot be sent: the proxy never has more
 * requests under way than fit. */
static bool answer(int inner, char family)
{
    AUTO_FD fd = socket(family == INLET_V4 ? AF_INET : AF_INET6,
                        SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP);
    unsigned char os = fd < 0 ? (unsigned char)errno : 0;
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int))];
    } control = { 0 };
    struct iovec part = { &os, 1 };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *at = CMSG_FIRSTHDR(&message);
        *at = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS,
                                .cmsg_len = CMSG_LEN(sizeof(int)) };
        memcpy(CMSG_DATA(at), &fd, sizeof fd);
    }
    return sendmsg(inner, &message, MSG_NOSIGNAL) == 1;
}

bool dialer_serve(int inner)
{
    for (int i = 0; i < INLET_ASKED_MAX; i++) {
        char family;
        ssize_t n = recv(inner, &family, 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return true;
        if (n != 1 || (family != INLET_V4 && family != INLET_V6) || !answer(inner, family))
            return false;
    }
    return true;
}
