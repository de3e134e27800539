#include "sandbox/notify.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

int notify_init(struct notify *n, struct err *e)
{
    struct seccomp_notif_sizes sizes;
    if (syscall(SYS_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &sizes) < 0)
        return err_set(e, E_SANDBOX, errno, "layer seccomp: sizes of a notification");
    *n = (struct notify){
        .request_size = larger(sizes.seccomp_notif, sizeof(struct seccomp_notif)),
        .response_size = larger(sizes.seccomp_notif_resp, sizeof(struct seccomp_notif_resp)),
    };
    n->request = mem_get(n->request_size);
    n->response = mem_get(n->response_size);
    return 0;
}

void notify_release(struct notify *n)
{
    free(n->request);
    free(n->response);
    *n = (struct notify){ 0 };
}

int notify_receive(struct notify *n, int listener, struct notify_call *out)
{
    struct seccomp_notif *request = n->request;
    memset(request, 0, n->request_size); /* the kernel insists */
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, request) < 0)
        return errno == ENOENT || errno == EINTR ? 0 : -1;
    *out = (struct notify_call){ .listener = listener,
                                 .id = request->id,
                                 .tid = (pid_t)request->pid,
                                 .number = request->data.nr };
    memcpy(out->args, request->data.args, sizeof out->args);
    return 1;
}

bool notify_is_valid(const struct notify_call *c)
{
    return ioctl(c->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &c->id) == 0;
}

/* A signal of the host's (a stop, a debugger) may interrupt the kernel before it has looked at the call. */
static int control(int listener, unsigned long what, void *about)
{
    int result;
    do
        result = ioctl(listener, what, about);
    while (result < 0 && errno == EINTR);
    return result;
}

static void respond(struct notify *n, const struct notify_call *c, int64_t value, int os,
                    uint32_t flags)
{
    struct seccomp_notif_resp *response = n->response;
    memset(response, 0, n->response_size);
    response->id = c->id;
    response->val = os ? 0 : value;
    response->error = -os;
    response->flags = flags;
    /* The only failure left is ENOENT: the caller was killed and needs no answer. */
    (void)control(c->listener, SECCOMP_IOCTL_NOTIF_SEND, response);
}

void notify_answer(struct notify *n, const struct notify_call *c, int64_t value, int os)
{
    respond(n, c, value, os, 0);
}

void notify_continue(struct notify *n, const struct notify_call *c)
{
    respond(n, c, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE);
}

/* Descriptor and answer in one call (5.14) are torn apart when something interrupts us between the two, a stop,
 * a freeze, the sleep of the machine: the caller then gets 0 and no descriptor. In two calls they are
 * torn apart when something interrupts the caller, which nothing but its end does where filters are loaded with
 * WAIT_KILLABLE_RECV (5.19). Asked for without a program, the kernel only says whether it knows the flag. */
static enum notify_giving how_to_give(void)
{
    const unsigned long flags =
        SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    bool known = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, NULL) < 0 && errno == EFAULT;
    return known ? GIVING_IN_TWO_STEPS : GIVING_AT_ONCE;
}

int notify_give(struct notify *n, const struct notify_call *c, int fd, bool close_on_exec)
{
    if (n->giving == GIVING_UNKNOWN)
        n->giving = how_to_give();
    struct seccomp_notif_addfd add = { .id = c->id,
                                       .flags = n->giving == GIVING_AT_ONCE
                                                    ? SECCOMP_ADDFD_FLAG_SEND
                                                    : 0,
                                       .srcfd = (uint32_t)fd,
                                       .newfd_flags = close_on_exec ? O_CLOEXEC : 0 };
    int given = control(c->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    if (given < 0 && errno == EINVAL && add.flags) {
        n->giving = GIVING_IN_TWO_STEPS;
        add.flags = 0;
        given = control(c->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    }
    if (given < 0)
        return errno == ENOENT ? 0 : errno;
    if (!add.flags)
        notify_answer(n, c, given, 0);
    return 0;
}
