#include "ward.h"

#include "base/check.h"
#include "sandbox/seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

void ward_init(struct ward *w, const struct file_rule_path *root)
{
    *w = (struct ward){ .rules = { .write_roots = root, .write_root_count = 1 },
                        .options = { .no_setid = true, .report = -1, .redirect = -1 },
                        .report = { -1, -1 } };
}

void ward_want_reports(struct ward *w)
{
    CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, w->report) == 0);
}

bool ward_next_report(struct ward *w, struct warden_report *out)
{
    return recv(w->report[0], out, sizeof *out, MSG_DONTWAIT) == (ssize_t)sizeof *out;
}

union control {
    char space[CMSG_SPACE(sizeof(int))];
    struct cmsghdr align;
};

/* What lets the listener through its own filter; random elsewhere. */
static const uint64_t pass = 0x0123456789abcdef;

static void send_descriptor(int socket, int fd)
{
    union control control = { 0 };
    char byte = 'L';
    struct iovec part = { &byte, 1 };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof fd);
    memcpy(CMSG_DATA(c), &fd, sizeof fd);
    const uint64_t high = ~(uint64_t)UINT32_MAX;
    CHECK(syscall(SYS_sendmsg, (uint64_t)(uint32_t)socket | (pass & high), &header,
                  MSG_NOSIGNAL | pass << 32) == 1);
}

static int receive_descriptor(int socket)
{
    union control control;
    char byte;
    struct iovec part = { &byte, 1 };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    CHECK(recvmsg(socket, &header, MSG_CMSG_CLOEXEC) == 1);
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    CHECK(c && c->cmsg_type == SCM_RIGHTS);
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static int status_of(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0)
        CHECK(errno == EINTR);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* Of the rights that making the namespace gave, the warden keeps one and the command none. */
static void keep_rights(uint32_t kept)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct rights[2] = { { .effective = kept, .permitted = kept } };
    CHECK(syscall(SYS_capset, &header, rights) == 0);
}

/* Without exit handlers: a leak checker would want to trace us, which the filter refuses. */
static _Noreturn void finish(int (*work)(void *ctx), void *ctx)
{
    int status = work(ctx);
    fflush(NULL);
    _exit(status);
}

static _Noreturn void work_behind(struct ward *w, int socket, int (*work)(void *ctx), void *ctx)
{
    struct seccomp_choice choice = { .preset = w->preset,
                                     .nested_user_namespaces = w->options.nested_user_namespaces,
                                     .no_setid = w->options.no_setid,
                                     .every_open = w->options.judge_reads,
                                     .notify = true,
                                     .sends = true };
    struct seccomp_program program;
    struct err e;
    int listener;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (w->as_nobody)
        keep_rights(0);
    CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    CHECK(seccomp_program_get(&choice, &program, &e) == 0);
    if (seccomp_program_load(&program, pass, &listener, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        _exit(99);
    }
    send_descriptor(socket, listener);
    close(listener);
    close(socket);
    finish(work, ctx);
}

static void write_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void become_nobody(void)
{
    CHECK(setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 &&
          setresuid(65534, 65534, 65534) == 0);
    CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* or the maps would belong to root */
    CHECK(unshare(CLONE_NEWUSER) == 0);
    write_text("/proc/self/setgroups", "deny");
    write_text("/proc/self/uid_map", "65534 65534 1");
    write_text("/proc/self/gid_map", "65534 65534 1");
}

/* The warden's process: starts the worker, serves it, ends with its status. */
static _Noreturn void be_warden(struct ward *w, int (*work)(void *ctx), void *ctx)
{
    int pair[2];
    struct err e;
    struct warden *warden;
    w->options.rules = &w->rules;
    w->options.report = w->report[1];
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    if (w->as_nobody)
        keep_rights(1u << CAP_SYS_PTRACE);
    CHECK(warden_new(&w->options, &warden, &e) == 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0)
        work_behind(w, pair[1], work, ctx);
    close(pair[1]);
    int listener = receive_descriptor(pair[0]);
    CHECK(chdir("/") == 0);
    CHECK(warden_add(warden, listener, &e) == 0);
    CHECK(warden_run(warden, -1, NULL, NULL, &e) == 0);
    warden_free(warden);
    exit(status_of(pid));
}

int ward_run(struct ward *w, int (*work)(void *ctx), void *ctx)
{
    fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        if (w->as_nobody)
            become_nobody();
        if (w->bare) {
            if (w->as_nobody)
                keep_rights(0);
            finish(work, ctx);
        }
        be_warden(w, work, ctx);
    }
    return status_of(pid);
}

struct script {
    const char *directory, *text;
};

static int run_script(void *ctx)
{
    const struct script *s = ctx;
    CHECK(chdir(s->directory) == 0);
    execl("/bin/sh", "sh", "-c", s->text, (char *)NULL);
    return 98;
}

int ward_shell(struct ward *w, const char *directory, const char *script)
{
    struct script s = { directory, script };
    return ward_run(w, run_script, &s);
}
