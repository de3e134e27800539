/* Connections of programs that ignore the proxy variables (contract 4.2). The redirect inside the
 * namespace brings them here as they are: their local address is where they wanted to go. */
#include "egress/tunnel.h"
#include "io/socket.h"

static void nothing_to_read(struct client *c)
{
    (void)c; /* every byte belongs to the tunnel */
}

/* There is no answer in a protocol that we do not know: the connection is reset. */
static void refused(struct client *c, enum answer answer, const char *reason)
{
    (void)answer;
    (void)reason;
    socket_abort_on_close(watch_fd(c->watch));
    client_close(c);
}

static void opened(struct client *c, struct buf *hello)
{
    (void)c;
    (void)hello;
}

const struct client_protocol client_transparent = {
    .input = nothing_to_read,
    .refused = refused,
    .opened = opened,
    .violation = "network-outbound",
};

/* An address of 198.18.0.0/15 stands for a name; any other is judged as it is. */
static bool read_wish(struct client *c, const struct sockaddr_in *wanted)
{
    struct names *names = c->sandbox->names;
    c->want.port = ntohs(wanted->sin_port);
    if (!names_covers(wanted->sin_addr)) {
        struct err e;
        struct ip_address address = { .family = AF_INET, .v4 = wanted->sin_addr };
        char text[INET6_ADDRSTRLEN];
        ip_text(&address, text);
        return host_parse(str_of(text), &c->want.host, &e) == 0;
    }
    const struct host *name = names ? names_find(names, wanted->sin_addr) : NULL;
    if (!name)
        return false;
    c->want.host = *name;
    names_hold(names, wanted->sin_addr);
    c->holds_name = true;
    c->held_name = wanted->sin_addr;
    return true;
}

/* Somebody dials the listener itself: then there is no wish. Loopback is never redirected. */
static bool is_listener(const struct sockaddr_in *wanted)
{
    return ntohl(wanted->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
}

void transparent_begin(struct client *c)
{
    struct sockaddr_in wanted;
    socklen_t size = sizeof wanted;
    c->protocol = &client_transparent;
    c->want.method = EGRESS_TRANSPARENT;
    if (getsockname(watch_fd(c->watch), (struct sockaddr *)&wanted, &size) < 0 ||
        wanted.sin_family != AF_INET || is_listener(&wanted) || !read_wish(c, &wanted)) {
        refused(c, ANSWER_BAD_REQUEST, NULL);
        return;
    }
    tunnel_request(c);
}
