#include "io/listen.h"

#include "base/fd.h"
#include "io/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* Splits at the last colon and reads both parts. */
static int read_address(const char *address, struct socket_address *out, struct err *e)
{
    struct str text = { address, strlen(address) };
    ptrdiff_t colon = str_last_index(text, ':');
    uint64_t port;
    char host[64];
    if (colon < 0 || !str_to_u64(str_skip(text, (size_t)colon + 1), &port) || port > 65535)
        return err_set(e, E_INPUT, 0, "'%s' is no address with a port", address);
    struct str name = { text.p, (size_t)colon };
    bool v6 = name.n > 2 && name.p[0] == '[' && name.p[name.n - 1] == ']';
    if (v6)
        name = (struct str){ name.p + 1, name.n - 2 };
    if (name.n >= sizeof host)
        return err_set(e, E_INPUT, 0, "'%s' is no address with a port", address);
    memcpy(host, name.p, name.n);
    host[name.n] = '\0';
    *out = (struct socket_address){ 0 };
    out->sa.sa_family = v6 ? AF_INET6 : AF_INET;
    void *to = v6 ? (void *)&out->v6.sin6_addr : (void *)&out->v4.sin_addr;
    if (inet_pton(out->sa.sa_family, host, to) != 1)
        return err_set(e, E_INPUT, 0, "'%s' does not begin with 1.2.3.4 or [1::2]", address);
    socket_address_set_port(out, (uint16_t)port);
    return 0;
}

static bool is_loopback(const struct socket_address *a)
{
    if (a->sa.sa_family == AF_INET)
        return ntohl(a->v4.sin_addr.s_addr) >> 24 == 127;
    return IN6_IS_ADDR_LOOPBACK(&a->v6.sin6_addr);
}

static void switch_on(int fd, int level, int option)
{
    int on = 1;
    (void)setsockopt(fd, level, option, &on, sizeof on);
}

static int open_tcp(const char *address, struct listening *out, struct err *e)
{
    struct socket_address at = { 0 };
    if (read_address(address, &at, e) != 0)
        return -1;
    AUTO_FD fd = socket(at.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0)
        return err_set(e, E_IO, errno, "listen at '%s'", address);
    switch_on(fd, SOL_SOCKET, SO_REUSEADDR);
    if (at.sa.sa_family == AF_INET6)
        switch_on(fd, IPPROTO_IPV6, IPV6_V6ONLY);
    /* What is accepted inherits these, which saves two calls for each. */
    socket_no_delay(fd);
    socket_keep_alive(fd);
    socklen_t size = sizeof at;
    if (bind(fd, &at.sa, socket_address_size(&at)) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, &at.sa, &size) < 0)
        return err_set(e, E_IO, errno, "listen at '%s'", address);
    *out = (struct listening){ fd_take(&fd), socket_address_port(&at), is_loopback(&at), NULL };
    return 0;
}

/* A file that is left from a process that has died. */
static void remove_dead(const char *path)
{
    struct stat st;
    if (lstat(path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket_connect_unix(path);
    if (fd >= 0)
        close(fd);
    else if (errno == ECONNREFUSED)
        unlink(path);
}

static int open_unix(const char *path, struct listening *out, struct err *e)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof at.sun_path || path[0] != '/')
        return err_set(e, E_INPUT, 0, "'%s' is no absolute path of at most %zu bytes", path,
                       sizeof at.sun_path - 1);
    memcpy(at.sun_path, path, strlen(path));
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return err_set(e, E_IO, errno, "listen at '%s'", path);
    remove_dead(path);
    /* The mode of the socket before bind is that of the file: at no time can others connect. */
    if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return err_set(e, E_IO, errno, "listen at '%s'", path);
    if (listen(fd, BACKLOG) < 0) {
        int os = errno;
        unlink(path);
        return err_set(e, E_IO, os, "listen at '%s'", path);
    }
    *out = (struct listening){ fd_take(&fd), 0, true, str_dup(str_of(path)) };
    return 0;
}

int listen_open(const char *address, struct listening *out, struct err *e)
{
    static const struct str scheme = STR("unix:");
    if (str_starts(str_of(address), scheme))
        return open_unix(address + scheme.n, out, e);
    return open_tcp(address, out, e);
}

void listen_close(struct listening *l)
{
    fd_drop(&l->fd);
    if (l->path)
        unlink(l->path);
    free(l->path);
    l->path = NULL;
}
