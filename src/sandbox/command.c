#include "sandbox/command.h"

#include "base/buf.h"
#include "base/fd.h"
#include "sandbox/boss.h"
#include "sandbox/capabilities.h"
#include "sandbox/confine.h"
#include "sandbox/part.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    IMAGE_MAX = 8 << 20,
    STACK_SIZE =
        64 << 10, /* of the child until it executes; pages that are not used cost nothing */
};

/* Says why on the failure pipe and ends; whoever reads it turns it into a message and a status. */
static _Noreturn void give_up(int failure, int stage, int os, const char *text)
{
    struct command_failure f = { .stage = stage, .os = os };
    snprintf(f.text, sizeof f.text, "%s", text);
    if (write(failure, &f, sizeof f) != (ssize_t)sizeof f)
        _exit(125); /* the reader sees end of file without a message, and the status */
    _exit(stage == 2 ? (os == ENOENT || os == ENOTDIR ? 127 : 126) : 125);
}

/* Runs no shell that nobody asked for: a script without "#!" is ENOEXEC (contract 1.1). */
static int execute_at(const char *path, const struct command *c)
{
    execve(path, (char *const *)c->argv, (char *const *)c->environment);
    return errno;
}

static const char *variable(char *const *environment, const char *name)
{
    size_t n = strlen(name);
    for (char *const *at = environment; *at; at++)
        if (strncmp(*at, name, n) == 0 && (*at)[n] == '=')
            return *at + n + 1;
    return NULL;
}

/* The errno that explains best why nothing was executed. The look-up is the command's own PATH, done
 * inside the finished sandbox. */
static int execute(const struct command *c)
{
    const char *name = c->argv[0];
    if (strchr(name, '/'))
        return execute_at(name, c);
    if (!*name)
        return ENOENT;
    const char *path = variable(c->environment, "PATH");
    struct str rest = str_of(path ? path : "/usr/local/bin:/usr/bin:/bin"), dir;
    int best = ENOENT;
    while (str_cut(&rest, ':', &dir)) {
        AUTO_BUF file = { 0 };
        buf_addf(&file, "%.*s/%s", STR_ARGS(dir.n ? dir : STR(".")), name);
        int os = execute_at(buf_text(&file), c);
        if (os == EACCES) {
            struct stat st;
            if (stat(buf_text(&file), &st) == 0 && !S_ISDIR(st.st_mode))
                best = EACCES;
        } else if (os != ENOENT && os != ENOTDIR) {
            return os;
        }
    }
    return best;
}

static int send_listener(int socket, int listener, uint64_t pass)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    char byte = 'L';
    struct iovec part = { &byte, 1 };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof listener);
    memcpy(CMSG_DATA(c), &listener, sizeof listener);
    const uint64_t high = ~(uint64_t)UINT32_MAX;
    return syscall(SYS_sendmsg, (uint64_t)(uint32_t)socket | (pass & high), &header,
                   MSG_NOSIGNAL | pass << 32) == 1
               ? 0
               : -1;
}

/* The descriptor that the child sent, or -1 when it ended without (its failure is on the pipe). */
static int receive_listener(int socket)
{
    union {
        char space[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    char byte;
    struct iovec part = { &byte, 1 };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    ssize_t got;
    do
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    struct cmsghdr *c = got == 1 ? CMSG_FIRSTHDR(&header) : NULL;
    if (!c || c->cmsg_type != SCM_RIGHTS)
        return -1;
    int fd;
    memcpy(&fd, CMSG_DATA(c), sizeof fd);
    return fd;
}

static int prepare_session(const struct command *c, struct err *e)
{
    if ((c->own_session ? setsid() : setpgid(0, 0)) < 0)
        return err_set(e, E_SANDBOX, errno, "start a process group");
    sigset_t ttou;
    sigemptyset(&ttou);
    sigaddset(&ttou, SIGTTOU); /* we ask for the foreground from the background */
    sigprocmask(SIG_BLOCK, &ttou, NULL);
    if (c->terminal && tcsetpgrp(c->stdio[0], getpid()) < 0)
        return err_set(e, E_SANDBOX, errno, "take the terminal");
    for (int i = 0; i < 3; i++)
        if (c->stdio[i] >= 0 && c->stdio[i] != i && dup2(c->stdio[i], i) < 0)
            return err_set(e, E_SANDBOX, errno, "set up descriptor %d", i);
    if (c->cwd && chdir(c->cwd) < 0)
        return err_set(e, E_SANDBOX, errno, "enter '%s'", c->cwd);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    return 0;
}

/* What the child works with; it shares our memory until it executes. */
struct birth {
    const struct plan *plan;
    const struct seccomp_program *filter;
    const struct command *command;
    int failure, go, socket;
    uint64_t pass; /* see seccomp.h; 0 = sends are not judged */
};

/* The kernel closes it with the others when the command begins; before 5.11 the others are closed here. */
static int close_all_but(int failure)
{
    if (syscall(SYS_close_range, 3u, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return 0;
    if (errno != EINVAL)
        return -1;
    unsigned kept = (unsigned)failure;
    if (fcntl(failure, F_SETFD, FD_CLOEXEC) < 0)
        return -1;
    if (kept > 3 && syscall(SYS_close_range, 3u, kept - 1, 0) < 0)
        return -1;
    return (int)syscall(SYS_close_range, kept + 1, ~0u, 0);
}

static int become(void *argument)
{
    const struct birth *b = argument;
    const struct plan *p = b->plan;
    const struct command *c = b->command;
    const int failure = b->failure;
    struct err e = { 0 };
    if (prepare_session(c, &e) < 0)
        give_up(failure, 1, e.os, e.text);
    bool keep = p->disabled_layers[LAYER_CAPABILITIES];
    if ((keep ? capabilities_hand_on(&e) : capabilities_drop(0, &e)) < 0)
        give_up(failure, 1, e.os, e.text);
    if (confine_command(p, &e) < 0)
        give_up(failure, 1, e.os, e.text);
    if (p->audited && b->go >= 0 && boss_introduce(b->go, &e) < 0)
        give_up(failure, 1, e.os, e.text);
    /* Until then the supervisor makes the network, and may refuse the whole. */
    if (b->go >= 0 && boss_wait(b->go, BOSS_GO) < 0)
        _exit(125);
    if (!p->disabled_layers[LAYER_SECCOMP]) {
        int listener = -1;
        if (seccomp_program_load(b->filter, b->pass, p->seccomp.notify ? &listener : NULL, &e) < 0)
            give_up(failure, 1, e.os, e.text);
        if (p->seccomp.notify && send_listener(b->socket, listener, b->pass) < 0)
            give_up(failure, 1, errno, "layer seccomp: hand the listener over");
    }
    /* Nothing of the caller's or of ours above 2 reaches the command (T10). */
    if (!part_is_off(PART_CLOSE_AT_EXEC) && close_all_but(failure) < 0)
        give_up(failure, 1, errno, "close inherited descriptors");
    int os = execute(c);
    give_up(failure, 2, os, c->argv[0]);
}

int command_start(const struct plan *p, const struct seccomp_program *filter,
                  const struct command *c, int failure, int go, pid_t *pid, int *listener,
                  struct err *e)
{
    int pair[2];
    *listener = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, E_SANDBOX, errno, "start the command: make a socket pair");
    AUTO_FD ours = pair[0], theirs = pair[1];
    struct birth birth = { p, filter, c, failure, go, theirs, 0 };
    if (p->seccomp.sends && getrandom(&birth.pass, sizeof birth.pass, 0) != sizeof birth.pass)
        return err_set(e, E_SANDBOX, errno, "start the command: take a random number");
    AUTO_FREE char *stack = mem_grow(NULL, STACK_SIZE);
    /* The kernel writes the pid before the child runs: whoever reaps it knows it. */
    int how = CLONE_VM | CLONE_VFORK | CLONE_PARENT_SETTID | SIGCHLD;
    int born = clone(become, stack + STACK_SIZE, how, &birth, pid);
    int os = errno;
    if (born < 0)
        return err_set(e, E_SANDBOX, os, "start the command: clone");
    fd_drop(&theirs);
    if (p->seccomp.notify && !p->disabled_layers[LAYER_SECCOMP])
        *listener = receive_listener(ours);
    return 0;
}

static void add_strings(struct buf *b, char *const *strings)
{
    for (; *strings; strings++)
        buf_add(b, (struct str){ *strings, strlen(*strings) + 1 });
}

static uint32_t count_strings(char *const *strings)
{
    uint32_t n = 0;
    while (strings[n])
        n++;
    return n;
}

int command_image(const struct command *c, struct err *e)
{
    AUTO_BUF image = { 0 };
    uint32_t head[3] = { count_strings(c->argv), count_strings(c->environment), c->cwd != NULL };
    buf_add(&image, (struct str){ (const char *)head, sizeof head });
    add_strings(&image, c->argv);
    add_strings(&image, c->environment);
    if (c->cwd)
        buf_add(&image, (struct str){ c->cwd, strlen(c->cwd) + 1 });
    AUTO_FD fd = memfd_create("command", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return err_set(e, E_IO, errno, "make a memory file");
    for (size_t done = 0; done < image.n;) {
        ssize_t n = write(fd, image.p + done, image.n - done);
        if (n <= 0)
            return err_set(e, E_IO, errno, "write a memory file");
        done += (size_t)n;
    }
    if (fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) < 0)
        return err_set(e, E_IO, errno, "seal a memory file");
    return fd_take(&fd);
}

/* Takes `count` strings off the text; NULL when it holds fewer. */
static char **take_strings(char **at, const char *end, uint32_t count)
{
    char **out = mem_array((size_t)count + 1, sizeof *out);
    for (uint32_t i = 0; i < count; i++) {
        char *stop = *at < end ? memchr(*at, '\0', (size_t)(end - *at)) : NULL;
        if (!stop) {
            free(out);
            return NULL;
        }
        out[i] = *at;
        *at = stop + 1;
    }
    return out;
}

int command_from_image(int fd, struct command *c, char **text, struct err *e)
{
    struct stat st;
    uint32_t head[3];
    if (fstat(fd, &st) < 0 || st.st_size < (off_t)sizeof head || st.st_size > IMAGE_MAX)
        return err_set(e, E_INPUT, EINVAL, "command image");
    size_t n = (size_t)st.st_size;
    AUTO_FREE char *bytes = mem_get(n);
    for (size_t done = 0; done < n;) {
        ssize_t got = pread(fd, bytes + done, n - done, (off_t)done);
        if (got <= 0)
            return err_set(e, E_IO, errno, "command image");
        done += (size_t)got;
    }
    memcpy(head, bytes, sizeof head);
    char *at = bytes + sizeof head, *end = bytes + n;
    if (head[0] == 0 || head[0] > n || head[1] > n)
        return err_set(e, E_INPUT, EINVAL, "command image");
    char **argv = take_strings(&at, end, head[0]);
    char **environment = argv ? take_strings(&at, end, head[1]) : NULL;
    char **cwd = environment ? take_strings(&at, end, head[2] ? 1 : 0) : NULL;
    if (!cwd) {
        free(argv);
        free(environment);
        return err_set(e, E_INPUT, EINVAL, "command image");
    }
    *c = (struct command){
        .argv = argv, .environment = environment, .cwd = cwd[0], .stdio = { -1, -1, -1 }
    };
    free(cwd);
    *text = mem_take(&bytes);
    return 0;
}
