/* Whether the warden can do its work: a filter with a listener, and a descriptor handed into another
 * process as the result of a call that it made. */
#include "sandbox/layers_try.h"

#include "base/fd.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { ANSWER_MS = 2000 };

/* getppid is asked about; nobody here needs it for anything else. */
static int load_filter(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { .len = sizeof code / sizeof *code, .filter = code };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                        &program);
}

/* Answers one call with a descriptor of ours. Kernels before 5.14 need a second step for it. */
static int answer_with_descriptor(int listener)
{
    struct pollfd ready = { .fd = listener, .events = POLLIN };
    struct seccomp_notif call = { 0 };
    if (poll(&ready, 1, ANSWER_MS) != 1 || ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0)
        return -1;
    AUTO_FD gift = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct seccomp_notif_addfd add = { .id = call.id,
                                       .srcfd = (uint32_t)gift,
                                       .flags = SECCOMP_ADDFD_FLAG_SEND };
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add) >= 0)
        return 0;
    add.flags = 0;
    int given = ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &add);
    int os = errno;
    struct seccomp_notif_resp answer = { .id = call.id, .val = given, .error = 0 };
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &answer) < 0)
        return -1;
    errno = os;
    return given < 0 ? -1 : 0;
}

static void say_no_filter(struct layer_report *r, int os)
{
    if (os == EBUSY) {
        layer_say(r, LAYER_OFF, "already inside a sandbox that holds the notification listener");
        return;
    }
    layer_say(r, LAYER_OFF, "no filter with a listener: %s", strerrordesc_np(os));
    layer_cure(r, os == ENOSYS || os == EINVAL
                      ? "Linux 5.9 or newer with CONFIG_SECCOMP_FILTER"
                      : "a container profile that lets seccomp(2) through");
}

void try_seccomp(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_SECCOMP];
    AUTO_FD listener = load_filter();
    if (listener < 0) {
        say_no_filter(r, errno);
        return;
    }
    pid_t pid = fork();
    if (pid == 0) {
        int fd = (int)syscall(SYS_getppid);
        _exit(fcntl(fd, F_GETFD) >= 0 ? 0 : 1);
    }
    int status = -1, os = 0;
    if (pid > 0 && answer_with_descriptor(listener) < 0) {
        os = errno;
        kill(pid, SIGKILL);
    }
    if (pid > 0)
        waitpid(pid, &status, 0);
    if (status == 0) {
        r->state = LAYER_ON;
        return;
    }
    layer_say(r, LAYER_OFF, "a call cannot be answered with a descriptor: %s", strerrordesc_np(os));
    layer_cure(r, "Linux 5.9 or newer");
}
