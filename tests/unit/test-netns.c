/* What a program inside the network namespace can reach, tried with real sockets. Each claim runs in a
 * child with a user and network namespace of its own, as the caller and, for root, as nobody too; the
 * listeners are used from outside of it. */
#include "base/fd.h"
#include "io/socket.h"
#include "sandbox/netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <cmocka.h>

enum { NOBODY = 65534, NOT_GRANTED = 77, SECONDS = 10 };

/* A child inside, and its listeners, which we hold out here. */
struct inside {
    pid_t pid;
    struct netns_listener listeners[NETNS_LISTENERS_MAX];
    size_t count;
};

static bool as_nobody;
static uint16_t transparent_port; /* for claims; set in the child */

static int write_text(const char *path, const char *text)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static int enter_namespace(void)
{
    if (as_nobody && (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY)))
        return -1;
    prctl(PR_SET_DUMPABLE, 1, 0, 0,
          0); /* lost with the user id; without it our own uid_map is root's */
    unsigned uid = geteuid(), gid = getegid();
    if (unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
        return -1;
    char map[32];
    snprintf(map, sizeof map, "%u %u 1", uid, uid);
    if (write_text("/proc/self/uid_map", map) < 0 || write_text("/proc/self/setgroups", "deny") < 0)
        return -1;
    snprintf(map, sizeof map, "%u %u 1", gid, gid);
    return write_text("/proc/self/gid_map", map);
}

static void send_listeners(int to, const struct netns_listener *set, size_t count)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(NETNS_LISTENERS_MAX * sizeof(int))];
    } control = { 0 };
    unsigned char kinds[NETNS_LISTENERS_MAX];
    struct iovec bytes = { kinds, count };
    struct msghdr m = { .msg_iov = &bytes, .msg_iovlen = 1 };
    if (count) {
        m.msg_control = control.room;
        m.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = &control.head;
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        for (size_t i = 0; i < count; i++) {
            kinds[i] = (unsigned char)set[i].kind;
            memcpy(CMSG_DATA(c) + i * sizeof(int), &set[i].fd, sizeof(int));
        }
    }
    if (sendmsg(to, &m, 0) < 0)
        _exit(99);
}

static void receive_listeners(int from, struct inside *in)
{
    char room[CMSG_SPACE(NETNS_LISTENERS_MAX * sizeof(int))];
    unsigned char kinds[NETNS_LISTENERS_MAX];
    struct iovec bytes = { kinds, sizeof kinds };
    struct msghdr m = {
        .msg_iov = &bytes, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room
    };
    ssize_t n = recvmsg(from, &m, MSG_CMSG_CLOEXEC);
    in->count = n < 0 ? 0 : (size_t)n;
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    for (size_t i = 0; c && i < in->count; i++) {
        in->listeners[i].kind = kinds[i];
        memcpy(&in->listeners[i].fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
    }
}

static uint16_t port_of(const struct netns_listener *set, size_t count)
{
    struct sockaddr_in at = { 0 };
    socklen_t size = sizeof at;
    for (size_t i = 0; i < count; i++)
        if (set[i].kind == LISTENER_TRANSPARENT)
            getsockname(set[i].fd, (struct sockaddr *)&at, &size);
    return ntohs(at.sin_port);
}

static int redirect(const struct netns_options *options, const struct netns_listener *set,
                    size_t count, struct err *e)
{
    CLEANUP(netns_control_drop) struct netns_control control;
    return netns_control_open(&control, e) < 0 ? -1
                                               : netns_redirect(options, set, count, &control, e);
}

/* Starts a child that builds, hands its listeners out and then runs `claim`. */
static void start(struct inside *in, const struct netns_options *options, int (*claim)(void))
{
    int pair[2];
    *in = (struct inside){ 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    in->pid = fork();
    assert_true(in->pid >= 0);
    if (in->pid == 0) {
        struct netns_listener set[NETNS_LISTENERS_MAX];
        size_t count = 0;
        struct err e = { 0 };
        if (enter_namespace() < 0)
            _exit(NOT_GRANTED);
        if (netns_build(options, set, &count, &e) < 0 ||
            (options->transparent && redirect(options, set, count, &e) < 0)) {
            fprintf(stderr, "%s\n", e.text);
            _exit(98);
        }
        send_listeners(pair[1], set, count);
        transparent_port = port_of(set, count);
        for (size_t i = 0; i < count; i++)
            close(set[i].fd);
        alarm(SECONDS);
        _exit(claim());
    }
    close(pair[1]);
    receive_listeners(pair[0], in);
    close(pair[0]);
}

static int listener(const struct inside *in, enum netns_listener_kind kind)
{
    for (size_t i = 0; i < in->count; i++)
        if (in->listeners[i].kind == kind)
            return in->listeners[i].fd;
    fail_msg("no listener of kind %d", kind);
    return -1;
}

/* Ends the child; its claim must have held (0). */
static void finish(struct inside *in)
{
    int status = 0;
    assert_int_equal(waitpid(in->pid, &status, 0), in->pid);
    for (size_t i = 0; i < in->count; i++)
        close(in->listeners[i].fd);
    if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_GRANTED)
        skip();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void holds(const struct netns_options *options, int (*claim)(void))
{
    struct inside in;
    start(&in, options, claim);
    finish(&in);
}

static struct sockaddr_in v4(const char *text, uint16_t port)
{
    struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port) };
    if (inet_pton(AF_INET, text, &a.sin_addr) != 1)
        _exit(97);
    return a;
}

/* errno of connect, 0 = connected. With `keep` the socket stays open in it. */
static int try_connect(int type, const char *text, uint16_t port, int *keep)
{
    struct sockaddr_in to = v4(text, port);
    AUTO_FD fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        return errno;
    if (keep)
        *keep = fd_take(&fd);
    return 0;
}

static int try_send(int type, int protocol, const char *text, uint16_t port)
{
    struct icmphdr echo = { .type = ICMP_ECHO };
    struct sockaddr_in to = v4(text, port);
    AUTO_FD fd = socket(AF_INET, type | SOCK_CLOEXEC, protocol);
    if (fd < 0)
        return errno;
    return sendto(fd, &echo, sizeof echo, 0, (struct sockaddr *)&to, sizeof to) < 0 ? errno : 0;
}

static int try_v6(int type)
{
    struct sockaddr_in6 to = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
    if (inet_pton(AF_INET6, "2001:4860:4860::8888", &to.sin6_addr) != 1)
        _exit(97);
    AUTO_FD fd = socket(AF_INET6, type | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return errno;
    return connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ? errno : 0;
}

/* A server of the command's own, on every address. */
static int serve(int type, const char *text, uint16_t port)
{
    struct sockaddr_in at = v4(text, port);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 ||
        (type == SOCK_STREAM && listen(fd, 8) < 0))
        _exit(96);
    return fd;
}

/* 0 when every pair is equal, else the number of the first row that differs. */
static int first_difference(const int (*rows)[2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (rows[i][0] == rows[i][1])
            continue;
        fprintf(stderr, "row %zu: %d instead of %d\n", i + 1, rows[i][0], rows[i][1]);
        return (int)i + 1;
    }
    return 0;
}
#define SAME(rows) first_difference(rows, sizeof(rows) / sizeof *(rows))

static const struct netns_options closed = { 0 };
static const struct netns_options transparent = { .proxy = true,
                                                  .transparent = true,
                                                  .resolver = true };

static int claim_nothing_is_reachable(void)
{
    const int rows[][2] = {
        { try_connect(SOCK_STREAM, "8.8.8.8", 443, NULL), ENETUNREACH },
        { try_connect(SOCK_DGRAM, "8.8.8.8", 53, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "198.18.0.1", 80, NULL), ENETUNREACH },
    };
    return SAME(rows);
}

static void test_without_transparent_every_foreign_address_is_unreachable(void **state)
{
    holds(&closed, claim_nothing_is_reachable);
}

static int claim_unlisted_tcp_is_refused(void)
{
    (void)serve(SOCK_STREAM, "0.0.0.0", 443);
    const int rows[][2] = {
        { try_connect(SOCK_STREAM, "8.8.8.8", 443, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "10.0.0.1", 443, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "169.254.169.254", 80, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "198.17.255.255", 443, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "198.20.0.0", 443, NULL), ENETUNREACH },
    };
    return SAME(rows);
}

static void test_tcp_to_an_unlisted_address_fails_in_the_call(void **state)
{
    holds(&transparent, claim_unlisted_tcp_is_refused);
}

static int claim_other_protocols_are_refused(void)
{
    (void)serve(SOCK_DGRAM, "0.0.0.0", 443);
    char range[32];
    snprintf(range, sizeof range, "%u %u", getegid(), getegid());
    if (write_text("/proc/sys/net/ipv4/ping_group_range", range) < 0)
        return 10;
    const int rows[][2] = {
        { try_send(SOCK_DGRAM, 0, "8.8.8.8", 443), ENETUNREACH },
        { try_connect(SOCK_DGRAM, "8.8.8.8", 443, NULL), ENETUNREACH },
        { try_send(SOCK_DGRAM, 0, "198.18.0.1", 443), ENETUNREACH },
        { try_send(SOCK_DGRAM, IPPROTO_ICMP, "8.8.8.8", 0), ENETUNREACH },
        { try_send(SOCK_RAW, IPPROTO_ICMP, "8.8.8.8", 0), ENETUNREACH },
    };
    return SAME(rows);
}

static void test_udp_and_icmp_to_foreign_addresses_fail_in_the_call(void **state)
{
    holds(&transparent, claim_other_protocols_are_refused);
}

static int claim_v6_is_unreachable(void)
{
    int tcp = try_v6(SOCK_STREAM), udp = try_v6(SOCK_DGRAM);
    return tcp != ENETUNREACH && tcp != EADDRNOTAVAIL && tcp != EAFNOSUPPORT   ? 1
           : udp != ENETUNREACH && udp != EADDRNOTAVAIL && udp != EAFNOSUPPORT ? 2
                                                                               : 0;
}

static void test_ipv6_to_foreign_addresses_is_unreachable(void **state)
{
    holds(&transparent, claim_v6_is_unreachable);
}

static int claim_own_programs_talk(void)
{
    AUTO_FD tcp = serve(SOCK_STREAM, "127.0.0.1", 8000), udp = serve(SOCK_DGRAM, "127.0.0.1", 8000);
    AUTO_FD any = -1;
    int client = -1;
    char byte = 0;
    if (try_connect(SOCK_STREAM, "127.0.0.1", 8000, &client) ||
        try_connect(SOCK_STREAM, "0.0.0.0", 8000, NULL))
        return 1;
    any = accept4(tcp, NULL, NULL, SOCK_CLOEXEC);
    if (send(client, "a", 1, 0) != 1 || recv(any, &byte, 1, 0) != 1 || byte != 'a')
        return 2;
    close(client);
    if (try_connect(SOCK_DGRAM, "127.0.0.1", 8000, &client) || send(client, "b", 1, 0) != 1 ||
        recv(udp, &byte, 1, 0) != 1 || byte != 'b')
        return 3;
    close(client);
    return try_connect(SOCK_STREAM, "127.0.0.1", 8001, NULL) != ECONNREFUSED ? 4 : 0;
}

static void test_the_commands_own_programs_reach_each_other(void **state)
{
    holds(&transparent, claim_own_programs_talk);
}

static int claim_foreign_addresses_cannot_be_bound(void)
{
    struct sockaddr_in at = v4("8.8.8.8", 443);
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(fd, (struct sockaddr *)&at, sizeof at) == 0 || errno != EADDRNOTAVAIL;
}

static void test_a_foreign_address_cannot_be_bound(void **state)
{
    holds(&transparent, claim_foreign_addresses_cannot_be_bound);
}

/* What the program wanted, as the proxy learns it. */
static void accepted_wants(const struct inside *in, const char *text, uint16_t port)
{
    struct pollfd ready = { .fd = listener(in, LISTENER_TRANSPARENT), .events = POLLIN };
    assert_int_equal(poll(&ready, 1, SECONDS * 1000), 1);
    AUTO_FD fd = accept4(ready.fd, NULL, NULL, SOCK_CLOEXEC);
    assert_true(fd >= 0);
    struct sockaddr_in wanted;
    socklen_t size = sizeof wanted;
    assert_int_equal(getsockname(fd, (struct sockaddr *)&wanted, &size), 0);
    struct sockaddr_in expected = v4(text, port);
    assert_int_equal(wanted.sin_addr.s_addr, expected.sin_addr.s_addr);
    assert_int_equal(wanted.sin_port, expected.sin_port);
    assert_int_equal(send(fd, "ok", 2, 0), 2);
}

static int says_ok(const char *text, uint16_t port)
{
    AUTO_FD fd = -1;
    char answer[2];
    return try_connect(SOCK_STREAM, text, port, &fd) == 0 &&
           recv(fd, answer, 2, MSG_WAITALL) == 2 && memcmp(answer, "ok", 2) == 0;
}

/* Also when a server of the command's own has the same port, on every address. */
static int claim_standin_reaches_proxy(void)
{
    (void)serve(SOCK_STREAM, "0.0.0.0", 443);
    const int rows[][2] = {
        { says_ok("198.18.0.7", 443), 1 },
        { says_ok("198.19.255.254", 22), 1 },
    };
    return SAME(rows);
}

static void test_a_standin_address_is_accepted_outside_with_the_wanted_address(void **state)
{
    struct inside in;
    start(&in, &transparent, claim_standin_reaches_proxy);
    if (in.count) {
        accepted_wants(&in, "198.18.0.7", 443);
        accepted_wants(&in, "198.19.255.254", 22);
    }
    finish(&in);
}

static int claim_direct(void)
{
    return !says_ok("127.0.0.1", transparent_port);
}

static void test_who_connects_to_the_transparent_port_itself_wanted_loopback(void **state)
{
    struct inside in;
    start(&in, &transparent, claim_direct);
    if (in.count) {
        struct pollfd ready = { .fd = listener(&in, LISTENER_TRANSPARENT), .events = POLLIN };
        struct sockaddr_in wanted;
        socklen_t size = sizeof wanted;
        assert_int_equal(poll(&ready, 1, SECONDS * 1000), 1);
        AUTO_FD fd = accept4(ready.fd, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&wanted, &size), 0);
        assert_int_equal(wanted.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
        assert_int_equal(send(fd, "ok", 2, 0), 2);
    }
    finish(&in);
}

/* Its listener is closed out here before anybody dials. */
static int claim_no_listener(void)
{
    (void)serve(SOCK_STREAM, "0.0.0.0", 443);
    usleep(200 * 1000);
    const int rows[][2] = {
        { try_connect(SOCK_STREAM, "198.18.0.7", 443, NULL), ECONNREFUSED },
        { try_connect(SOCK_STREAM, "9.9.9.9", 53, NULL), ECONNREFUSED },
        { try_connect(SOCK_STREAM, "127.0.0.53", 53, NULL), ECONNREFUSED },
    };
    return SAME(rows);
}

static void test_without_a_listener_it_is_refused_and_never_reaches_own_servers(void **state)
{
    struct inside in;
    start(&in, &transparent, claim_no_listener);
    while (in.count)
        close(in.listeners[--in.count].fd);
    finish(&in);
}

/* IP_FREEBIND asks for no right. Whoever uses it reaches nothing with it, above all no other destination. */
static int claim_foreign_source(void)
{
    const int on = 1;
    struct sockaddr_in at = v4("8.8.8.8", 0), to = v4("198.18.0.7", 443),
                       other = v4("9.9.9.9", 443);
    AUTO_FD server = serve(SOCK_STREAM, "0.0.0.0", 443);
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (setsockopt(fd, IPPROTO_IP, IP_FREEBIND, &on, sizeof on) < 0 ||
        bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return 10;
    if (connect(fd, (struct sockaddr *)&other, sizeof other) == 0 || errno == EINPROGRESS)
        return 1;
    connect(fd, (struct sockaddr *)&to, sizeof to);
    struct pollfd own = { .fd = server, .events = POLLIN };
    return poll(&own, 1, 200) != 0;
}

static void test_a_foreign_source_leads_nowhere_else(void **state)
{
    holds(&transparent, claim_foreign_source);
}

static int claim_no_resolver(void)
{
    const int rows[][2] = {
        { try_connect(SOCK_STREAM, "8.8.8.8", 53, NULL), ENETUNREACH },
        { try_connect(SOCK_DGRAM, "8.8.8.8", 53, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "127.0.0.1", 53, NULL), ECONNREFUSED },
        { says_ok("198.18.0.7", 53), 1 },
    };
    return SAME(rows);
}

static void test_without_a_resolver_port_53_is_like_any_other(void **state)
{
    struct netns_options o = transparent;
    o.resolver = false;
    struct inside in;
    start(&in, &o, claim_no_resolver);
    if (in.count)
        accepted_wants(&in, "198.18.0.7", 53);
    finish(&in);
}

static int claim_listed_literals(void)
{
    const int rows[][2] = {
        { says_ok("192.0.2.7", 8443), 1 },
        { says_ok("203.0.113.9", 1), 1 },
        { try_connect(SOCK_STREAM, "192.0.2.7", 443, NULL), ENETUNREACH },
        { try_connect(SOCK_STREAM, "192.0.2.8", 8443, NULL), ENETUNREACH },
    };
    return SAME(rows);
}

static void test_listed_literals_go_to_the_proxy_with_their_port_or_any(void **state)
{
    struct ip_block literals[] = { { .base = { .family = AF_INET }, .bits = 32 },
                                   { .base = { .family = AF_INET6 }, .bits = 128 },
                                   { .base = { .family = AF_INET }, .bits = 32 },
                                   { .base = { .family = AF_INET }, .bits = 32 } };
    const uint16_t ports[] = { 8443, 443, 0, 0 }; /* the last one is there twice */
    literals[0].base.v4 = v4("192.0.2.7", 0).sin_addr;
    literals[2].base.v4 = literals[3].base.v4 = v4("203.0.113.9", 0).sin_addr;
    struct netns_options o = transparent;
    o.literals = literals;
    o.literal_ports = ports;
    o.literal_count = sizeof ports / sizeof *ports;
    struct inside in;
    start(&in, &o, claim_listed_literals);
    if (in.count) {
        accepted_wants(&in, "192.0.2.7", 8443);
        accepted_wants(&in, "203.0.113.9", 1);
    }
    finish(&in);
}

static int claim_last_literal(void)
{
    return !says_ok("10.1.15.159", 80) || !says_ok("10.1.15.158", 81) ||
           try_connect(SOCK_STREAM, "10.1.15.158", 80, NULL) != ENETUNREACH;
}

static void test_thousands_of_literals_fit(void **state)
{
    enum { MANY = 4000 };
    static struct ip_block literals[MANY];
    static uint16_t ports[MANY];
    for (uint32_t i = 0; i < MANY; i++)
        literals[i] = (struct ip_block){ { AF_INET, { .v4 = { htonl(0x0a010000 + i) } } },
                                         32 }; /* 10.1.0.0 ... 10.1.15.159 */
    for (uint32_t i = 0; i < MANY; i += 2)
        ports[i] = 81;
    struct netns_options o = transparent;
    o.literals = literals;
    o.literal_ports = ports;
    o.literal_count = MANY;
    struct inside in;
    start(&in, &o, claim_last_literal);
    if (in.count) {
        accepted_wants(&in, "10.1.15.159", 80);
        accepted_wants(&in, "10.1.15.158", 81);
    }
    finish(&in);
}

static int claim_every_literal(void)
{
    (void)serve(SOCK_STREAM, "127.0.0.1", 9000);
    const int rows[][2] = {
        { says_ok("8.8.8.8", 443), 1 },
        { try_connect(SOCK_STREAM, "127.0.0.1", 9000, NULL), 0 },
        { try_send(SOCK_DGRAM, 0, "8.8.8.8", 443), ENETUNREACH },
    };
    return SAME(rows);
}

static void test_with_somebody_to_ask_every_literal_goes_to_the_proxy(void **state)
{
    struct netns_options o = transparent;
    o.redirect_all_literals = true;
    struct inside in;
    start(&in, &o, claim_every_literal);
    if (in.count)
        accepted_wants(&in, "8.8.8.8", 443);
    finish(&in);
}

/* Asks like a resolver library: not connected, and the answer must come from whom was asked. */
static int answered(const char *server)
{
    struct sockaddr_in to = v4(server, 53), from = { 0 };
    socklen_t size = sizeof from;
    char answer[8];
    AUTO_FD fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (sendto(fd, "ask", 3, 0, (struct sockaddr *)&to, sizeof to) != 3)
        return 0;
    return recvfrom(fd, answer, sizeof answer, 0, (struct sockaddr *)&from, &size) == 2 &&
           from.sin_addr.s_addr == to.sin_addr.s_addr && from.sin_port == to.sin_port;
}

static int claim_dns(void)
{
    const int rows[][2] = {
        { answered("127.0.0.53"), 1 },    { answered("8.8.8.8"), 1 },
        { answered("127.0.0.1"), 1 },     { says_ok("8.8.4.4", 53), 1 },
        { says_ok("127.0.0.53", 53), 1 },
    };
    return SAME(rows);
}

static void test_dns_to_any_server_reaches_the_resolver(void **state)
{
    struct inside in;
    start(&in, &transparent, claim_dns);
    for (int i = 0; in.count && i < 3; i++) {
        struct pollfd ready = { .fd = listener(&in, LISTENER_DNS_UDP), .events = POLLIN };
        struct socket_pair ends;
        char question[8];
        socket_tell_ends(ready.fd);
        assert_int_equal(poll(&ready, 1, SECONDS * 1000), 1);
        assert_int_equal(socket_receive(ready.fd, question, sizeof question, &ends), 3);
        assert_int_equal(socket_answer(ready.fd, STR("ok"), &ends), 2);
    }
    for (int i = 0; in.count && i < 2; i++) {
        struct pollfd ready = { .fd = listener(&in, LISTENER_DNS_TCP), .events = POLLIN };
        assert_int_equal(poll(&ready, 1, SECONDS * 1000), 1);
        AUTO_FD fd = accept4(ready.fd, NULL, NULL, SOCK_CLOEXEC);
        assert_int_equal(send(fd, "ok", 2, 0), 2);
    }
    finish(&in);
}

static int claim_proxy_ports_are_open(void)
{
    struct sockaddr_in6 to = { .sin6_family = AF_INET6,
                               .sin6_port = htons(NETNS_HTTP_PORT),
                               .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    AUTO_FD fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EADDRNOTAVAIL)
        return 1;
    return try_connect(SOCK_STREAM, "127.0.0.1", NETNS_HTTP_PORT, NULL)    ? 2
           : try_connect(SOCK_STREAM, "127.0.0.1", NETNS_SOCKS_PORT, NULL) ? 3
                                                                           : 0;
}

static void test_the_proxy_ports_listen_before_the_command_runs(void **state)
{
    holds(&transparent, claim_proxy_ports_are_open);
    struct netns_options o = { .proxy = true };
    holds(&o, claim_proxy_ports_are_open);
}

static int claim_ports_cannot_be_shared(void)
{
    struct netns_listener set[NETNS_LISTENERS_MAX];
    const struct netns_options o = { .transparent = true, .resolver = true };
    const int on = 1;
    size_t count = 0;
    struct err e;
    if (netns_build(&o, set, &count, &e) < 0)
        return 10;
    for (size_t i = 0; i < count; i++) {
        struct sockaddr_in at;
        socklen_t size = sizeof at;
        int type = set[i].kind == LISTENER_DNS_UDP ? SOCK_DGRAM : SOCK_STREAM;
        AUTO_FD fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
        if (!(fcntl(set[i].fd, F_GETFD) & FD_CLOEXEC))
            return 1;
        if (getsockname(set[i].fd, (struct sockaddr *)&at, &size) < 0)
            return 11;
        at.sin_addr.s_addr = INADDR_ANY;
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
        if (bind(fd, (struct sockaddr *)&at, sizeof at) == 0)
            return 2;
    }
    return 0;
}

static void test_nobody_can_bind_beside_a_listener(void **state)
{
    holds(&closed, claim_ports_cannot_be_shared);
}

static int claim_no_right_is_an_error(void)
{
    struct netns_listener set[NETNS_LISTENERS_MAX];
    size_t count = 0;
    struct err e = { 0 };
    if (netns_build(&transparent, set, &count, &e) < 0)
        return 10;
    struct {
        uint32_t version;
        int pid;
    } head = { 0x20080522, 0 };
    struct {
        uint32_t effective, permitted, inheritable;
    } none[2] = { 0 };
    if (syscall(SYS_capset, &head, none) < 0)
        return 11;
    if (redirect(&transparent, set, count, &e) == 0)
        return 1;
    if (e.kind != E_SANDBOX || e.os != EPERM)
        return 2;
    return try_connect(SOCK_STREAM, "127.0.0.1", NETNS_HTTP_PORT, NULL) ? 3 : 0;
}

static void test_a_kernel_that_refuses_is_an_error_and_the_listeners_stay(void **state)
{
    holds(&closed, claim_no_right_is_an_error);
}

static void test_every_listener_has_the_name_of_the_channel(void **state)
{
    assert_string_equal(netns_listener_name(LISTENER_HTTP), "http");
    assert_string_equal(netns_listener_name(LISTENER_SOCKS), "socks");
    assert_string_equal(netns_listener_name(LISTENER_TRANSPARENT), "transparent");
    assert_string_equal(netns_listener_name(LISTENER_DNS_UDP), "dns-udp");
    assert_string_equal(netns_listener_name(LISTENER_DNS_TCP), "dns-tcp");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_listener_has_the_name_of_the_channel),
        cmocka_unit_test(test_the_proxy_ports_listen_before_the_command_runs),
        cmocka_unit_test(test_nobody_can_bind_beside_a_listener),
        cmocka_unit_test(test_without_transparent_every_foreign_address_is_unreachable),
        cmocka_unit_test(test_the_commands_own_programs_reach_each_other),
        cmocka_unit_test(test_tcp_to_an_unlisted_address_fails_in_the_call),
        cmocka_unit_test(test_udp_and_icmp_to_foreign_addresses_fail_in_the_call),
        cmocka_unit_test(test_ipv6_to_foreign_addresses_is_unreachable),
        cmocka_unit_test(test_a_foreign_address_cannot_be_bound),
        cmocka_unit_test(test_a_standin_address_is_accepted_outside_with_the_wanted_address),
        cmocka_unit_test(test_who_connects_to_the_transparent_port_itself_wanted_loopback),
        cmocka_unit_test(test_without_a_listener_it_is_refused_and_never_reaches_own_servers),
        cmocka_unit_test(test_a_foreign_source_leads_nowhere_else),
        cmocka_unit_test(test_without_a_resolver_port_53_is_like_any_other),
        cmocka_unit_test(test_listed_literals_go_to_the_proxy_with_their_port_or_any),
        cmocka_unit_test(test_thousands_of_literals_fit),
        cmocka_unit_test(test_with_somebody_to_ask_every_literal_goes_to_the_proxy),
        cmocka_unit_test(test_dns_to_any_server_reaches_the_resolver),
        cmocka_unit_test(test_a_kernel_that_refuses_is_an_error_and_the_listeners_stay),
    };
    int failed = cmocka_run_group_tests_name("as the caller", tests, NULL, NULL);
    if (geteuid() == 0) {
        as_nobody = true;
        failed += cmocka_run_group_tests_name("as nobody", tests, NULL, NULL);
    }
    return failed;
}
