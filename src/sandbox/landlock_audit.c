#include "sandbox/landlock_audit.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/boss.h"
#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    AUDIT_GET = 1000,              /* asks for, and carries, struct status */
    AUDIT_GROUP_READ_LOG = 1 << 0, /* AUDIT_NLGRP_READLOG as a bit */
    INITIAL_PID_NAMESPACE = (int)0xEFFFFFFC,
    LOG_ABI = 7,
    MESSAGE_MAX = 16 << 10, /* the kernel's own bound is 8970 */
    QUEUE_SIZE = 1 << 20,
    ANSWER_MS = 50,
    OTHERS_FIRST_MAX = 4096, /* records that may come before the answer */
    CALL_MS = 200,           /* how long a denial waits for the record of its call */
    WAITING_MAX = 32,
    DOMAINS_MAX = 32,
    KNOWN_MAX = 4,
    WARDEN_INSIDE = 2, /* the thread of init that enters the outer domain; see SECCOMP_WARDEN_PID */
};

/* Of pid namespaces, from Linux 6.11 on, thus with every kernel that logs Landlock. */
#define PID_FROM_NAMESPACE _IOR(0xb7, 0x6, int)
#define PID_IN_NAMESPACE _IOR(0xb7, 0x8, int)

/* The beginning of the kernel's struct audit_status. */
struct status {
    uint32_t mask, enabled;
};

struct waiting {
    struct kernel_audit record;
    bool complete;
    int64_t until_ms;
};

struct landlock_audit {
    int fd, pid_namespace; /* -1: the sandbox has none of its own */
    int orders;            /* a copy, as the command may be met after its end; -1: it has been */
    bool lost;
    pid_t known[KNOWN_MAX]; /* processes of ours that make domains */
    uint64_t ours[DOMAINS_MAX], others[DOMAINS_MAX];
    size_t known_count, ours_count, others_count; /* the last two go on counting */
    struct waiting waiting[WAITING_MAX];          /* a ring, oldest first */
    size_t first, count;
};

static void say(char state[LANDLOCK_AUDIT_STATE_MAX], const char *text)
{
    snprintf(state, LANDLOCK_AUDIT_STATE_MAX, "%s", text);
}

/* The log speaks of processes by the numbers of the initial pid namespace and is sent in the initial network
 * namespace only. The latter alone has the settings of the whole machine. */
static const char *wrong_place(void)
{
    struct stat st;
    if (landlock_abi() < LOG_ABI)
        return "off: Linux 6.15 or newer logs what Landlock refuses";
    if (stat("/proc/self/ns/pid", &st) < 0 || (int)st.st_ino != INITIAL_PID_NAMESPACE)
        return "off: not in the initial pid namespace";
    if (access("/proc/sys/net/core/dev_weight", F_OK) < 0)
        return "off: not in the initial network namespace";
    return NULL;
}

/* Only what we read wakes us; the rest of the machine's log stays in the kernel. */
static int filter(int fd)
{
#define TYPE_IS(number, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), (skip), 0)
    /* Types are in the byte order of the host, and the filter loads in that of the network. */
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_type)),
        TYPE_IS(htons(NLMSG_ERROR), 6),
        TYPE_IS(htons(AUDIT_GET), 5),
        TYPE_IS(htons(KERNEL_AUDIT_SYSCALL), 4),
        TYPE_IS(htons(KERNEL_AUDIT_EVENT_END), 3),
        TYPE_IS(htons(KERNEL_AUDIT_ACCESS), 2),
        TYPE_IS(htons(KERNEL_AUDIT_DOMAIN), 1),
        BPF_STMT(BPF_RET | BPF_K, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
    };
#undef TYPE_IS
    struct sock_fprog program = { sizeof code / sizeof *code, code };
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

static int ask(int fd)
{
    const struct nlmsghdr question = { .nlmsg_len = sizeof question,
                                       .nlmsg_type = AUDIT_GET,
                                       .nlmsg_flags = NLM_F_REQUEST };
    return send(fd, &question, sizeof question, 0) < 0 ? -1 : 0;
}

static int join(char state[LANDLOCK_AUDIT_STATE_MAX])
{
    const struct sockaddr_nl group = { .nl_family = AF_NETLINK, .nl_groups = AUDIT_GROUP_READ_LOG };
    const int size = QUEUE_SIZE;
    AUTO_FD fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_AUDIT);
    if (fd < 0) {
        snprintf(state, LANDLOCK_AUDIT_STATE_MAX, "off: %s",
                 errno == EPROTONOSUPPORT ? "this kernel has no auditing" : strerrordesc_np(errno));
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (filter(fd) < 0 || bind(fd, (const struct sockaddr *)&group, sizeof group) < 0 ||
        ask(fd) < 0) {
        snprintf(state, LANDLOCK_AUDIT_STATE_MAX, "off: %s",
                 errno == EPERM ? "CAP_AUDIT_READ is needed" : strerrordesc_np(errno));
        return -1;
    }
    return fd_take(&fd);
}

struct landlock_audit *landlock_audit_new(char state[LANDLOCK_AUDIT_STATE_MAX])
{
    const char *why = wrong_place();
    if (why)
        return say(state, why), NULL;
    const int fd = join(state);
    if (fd < 0)
        return NULL;
    struct landlock_audit *l = mem_get(sizeof *l);
    l->fd = fd;
    l->pid_namespace = l->orders = -1;
    return l;
}

void landlock_audit_free(struct landlock_audit *l)
{
    if (!l)
        return;
    fd_drop(&l->fd);
    fd_drop(&l->pid_namespace);
    fd_drop(&l->orders);
    free(l);
}

int landlock_audit_fd(const struct landlock_audit *l)
{
    return l ? l->fd : -1;
}

/* One message of the kernel's. False when there is none now. *text is empty when it is of no use. */
static bool receive(struct landlock_audit *l, char message[MESSAGE_MAX], unsigned *type,
                    struct str *text)
{
    struct sockaddr_nl from = { 0 };
    socklen_t from_size = sizeof from;
    struct nlmsghdr head;
    ssize_t n;
    do
        n = recvfrom(l->fd, message, MESSAGE_MAX, MSG_TRUNC, (struct sockaddr *)&from, &from_size);
    while (n < 0 && errno == EINTR);
    *type = 0;
    *text = STR("");
    if (n < 0) {
        l->lost |= errno == ENOBUFS;
        return errno == ENOBUFS;
    }
    if (from.nl_pid != 0 || (size_t)n < sizeof head || n > MESSAGE_MAX)
        return true;
    memcpy(&head, message, sizeof head);
    *type = head.nlmsg_type;
    *text = (struct str){ message + sizeof head, (size_t)n - sizeof head };
    return true;
}

/* 1 = auditing is on, 0 = it is off, -1 = we may not know. */
static int hear_answer(struct landlock_audit *l)
{
    static char message[MESSAGE_MAX];
    struct pollfd p = { .fd = l->fd, .events = POLLIN };
    unsigned type;
    struct str body;
    for (int i = 0; i < OTHERS_FIRST_MAX && poll(&p, 1, ANSWER_MS) > 0; i++) {
        struct status status;
        if (!receive(l, message, &type, &body))
            continue;
        if (type == NLMSG_ERROR)
            return -1;
        if (type != AUDIT_GET || body.n < sizeof status)
            continue; /* nothing of ours can have been refused yet */
        memcpy(&status, body.p, sizeof status);
        return status.enabled != 0;
    }
    return -1;
}

bool landlock_audit_is_on(struct landlock_audit *l, char state[LANDLOCK_AUDIT_STATE_MAX])
{
    const int answer = hear_answer(l);
    if (answer == 0)
        say(state, "off: auditing is switched off (auditctl -e 1)");
    else
        say(state, answer > 0 ? "on" : "on, if auditing is (CAP_AUDIT_CONTROL could tell)");
    return answer != 0;
}

static void know(struct landlock_audit *l, pid_t pid)
{
    if (pid > 0 && l->known_count < KNOWN_MAX)
        l->known[l->known_count++] = pid;
}

void landlock_audit_watch(struct landlock_audit *l, pid_t init, int orders)
{
    char path[64];
    struct stat inside, own;
    l->orders = fcntl(orders, F_DUPFD_CLOEXEC, 3);
    know(l, init);
    snprintf(path, sizeof path, "/proc/%d/ns/pid", init);
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &inside) == 0 && stat("/proc/self/ns/pid", &own) == 0 &&
        inside.st_ino != own.st_ino)
        l->pid_namespace = fd_take(&fd);
}

/* 0 = no process inside has this number on the host. */
static pid_t pid_inside(const struct landlock_audit *l, pid_t outside)
{
    const int pid = l->pid_namespace < 0 || outside <= 0
                        ? 0
                        : ioctl(l->pid_namespace, PID_IN_NAMESPACE, outside);
    return pid > 0 ? pid : 0;
}

/* The command may have ended before its first record is read, and nothing translates its pid then. */
static void meet_command(struct landlock_audit *l)
{
    pid_t command = 0, parent = 0;
    if (l->orders < 0 || !boss_meet(l->orders, &command, &parent))
        return;
    fd_drop(&l->orders);
    know(l, command);
    if (l->pid_namespace < 0)
        know(l, parent);
    else
        know(l, ioctl(l->pid_namespace, PID_FROM_NAMESPACE, WARDEN_INSIDE));
}

/* What has ended is known by its number; a process that lives and is not inside has only inherited it. */
static bool is_our_process(struct landlock_audit *l, pid_t pid)
{
    char path[32];
    meet_command(l);
    if (pid_inside(l, pid))
        return true;
    snprintf(path, sizeof path, "/proc/%d", pid);
    if (l->pid_namespace >= 0 && access(path, F_OK) == 0)
        return false;
    for (size_t i = 0; i < l->known_count; i++)
        if (l->known[i] == pid)
            return true;
    return false;
}

static bool has_domain(const uint64_t domains[DOMAINS_MAX], size_t count, uint64_t domain)
{
    for (size_t i = 0; i < count && i < DOMAINS_MAX; i++)
        if (domains[i] == domain)
            return true;
    return false;
}

static void take_domain(struct landlock_audit *l, const struct kernel_audit *r)
{
    if (!r->allocated || has_domain(l->ours, l->ours_count, r->domain))
        return;
    if (is_our_process(l, r->pid))
        l->ours[l->ours_count++ % DOMAINS_MAX] = r->domain;
    else if (!has_domain(l->others, l->others_count, r->domain))
        l->others[l->others_count++ % DOMAINS_MAX] = r->domain;
}

static struct waiting *waiting_at(struct landlock_audit *l, size_t i)
{
    return &l->waiting[(l->first + i) % WAITING_MAX];
}

static void take_access(struct landlock_audit *l, const struct kernel_audit *r, int64_t now)
{
    if (l->count == WAITING_MAX || has_domain(l->others, l->others_count, r->domain))
        return;
    struct waiting *w = waiting_at(l, l->count++);
    w->record = *r;
    w->record.os = kernel_audit_errno(r->blockers);
    w->complete = false;
    w->until_ms = now + CALL_MS;
}

/* Records of one event have one stamp; those of a process that is not audited have none in common. */
static void take_call(struct landlock_audit *l, const struct kernel_audit *r)
{
    for (size_t i = 0; i < l->count; i++) {
        struct waiting *w = waiting_at(l, i);
        if (w->record.serial != r->serial || w->record.time_ms != r->time_ms || w->complete)
            continue;
        w->complete = true;
        if (r->type != KERNEL_AUDIT_SYSCALL)
            continue;
        w->record.pid = r->pid;
        w->record.os = r->os;
        memcpy(w->record.comm, r->comm, sizeof r->comm);
        memcpy(w->record.exe, r->exe, sizeof r->exe);
    }
}

bool landlock_audit_read(struct landlock_audit *l, int64_t now)
{
    static char message[MESSAGE_MAX];
    static struct kernel_audit r;
    struct err e;
    unsigned type;
    struct str text;
    if (!receive(l, message, &type, &text))
        return false;
    if (type != KERNEL_AUDIT_ACCESS && type != KERNEL_AUDIT_DOMAIN &&
        type != KERNEL_AUDIT_SYSCALL && type != KERNEL_AUDIT_EVENT_END)
        return true;
    if (kernel_audit_parse(type, text, &r, &e) < 0) {
        log_debug("%s", e.text);
        return true;
    }
    if (type == KERNEL_AUDIT_ACCESS)
        take_access(l, &r, now);
    else if (type == KERNEL_AUDIT_DOMAIN)
        take_domain(l, &r);
    else
        take_call(l, &r);
    return true;
}

/* The record of a domain is sent once and may be lost. Domains within ours log nothing, so what a process
 * inside was refused was refused by ours. */
static bool is_ours(struct landlock_audit *l, const struct kernel_audit *r)
{
    return has_domain(l->ours, l->ours_count, r->domain) || pid_inside(l, r->pid);
}

bool landlock_audit_next(struct landlock_audit *l, int64_t now, bool all,
                         struct landlock_denial *out)
{
    while (l->count) {
        struct waiting *w = waiting_at(l, 0);
        if (!all && !w->complete && now < w->until_ms && l->count < WAITING_MAX)
            return false;
        l->first = (l->first + 1) % WAITING_MAX;
        l->count--;
        if (!is_ours(l, &w->record))
            continue;
        *out = (struct landlock_denial){ &w->record, pid_inside(l, w->record.pid) };
        return true;
    }
    return false;
}

int64_t landlock_audit_deadline(const struct landlock_audit *l)
{
    return l && l->count ? l->waiting[l->first].until_ms : -1;
}

bool landlock_audit_lost(struct landlock_audit *l)
{
    const bool lost = l->lost;
    l->lost = false;
    return lost;
}
