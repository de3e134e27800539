#include "egress/resolver.h"

#include "base/check.h"
#include "io/socket.h"
#include "proto/dns.h"

#include <errno.h>
#include <stdlib.h>

enum {
    SOCKETS_MAX = 4,
    STREAMS_MAX = 32,      /* TCP connections at once */
    STREAM_MS = 10 * 1000, /* for one query, and between two */
    MESSAGE_MAX = 1024,    /* one question and an EDNS record need far less */
    UDP_AT_ONCE = 64,
    LABELS_MAX = 16,
    TTL_SECONDS = 30
};

struct resolver_socket {
    struct resolver *resolver;
    struct watch *watch;
    bool udp;
};

/* One TCP connection. */
struct stream {
    struct resolver *resolver;
    struct stream *next, **link;
    struct watch *watch;
    struct timer *timer;
    struct buf in;
    uint16_t client_port;
};

struct resolver {
    struct egress_sandbox *sandbox;
    struct resolver_socket sockets[SOCKETS_MAX];
    size_t socket_count;
    struct stream *streams;
    size_t stream_count;
};

/* Could a connection to this name be allowed on some port, now or by a person? */
static enum egress_decision judge_name(const struct egress_sandbox *s, const struct host *name,
                                       struct egress_verdict *verdict)
{
    const struct domain_patterns *allowed = &s->policy.allowed;
    /* Port 0 is matched by the entries without a port only. */
    *verdict = egress_policy_judge(&s->policy, name, 0, s->can_ask);
    for (size_t i = 0; i < allowed->count && verdict->decision != EGRESS_ALLOW; i++) {
        if (!allowed->items[i].port)
            continue;
        struct egress_verdict other =
            egress_policy_judge(&s->policy, name, allowed->items[i].port, s->can_ask);
        if (other.decision == EGRESS_ALLOW)
            *verdict = other;
    }
    return verdict->decision;
}

static size_t count_labels(const char *name)
{
    size_t n = 1;
    for (; *name; name++)
        n += *name == '.';
    return n;
}

/* Judges and reports; the answer goes to `out` (DNS_ANSWER_MAX bytes). */
static size_t answer_name(struct egress_sandbox *s, const struct dns_query *q, uint16_t client_port,
                          char *out)
{
    struct want want = { .method = EGRESS_DNS, .client_port = client_port, .user = "" };
    struct egress_verdict verdict;
    struct err e;
    struct in_addr address;
    if (host_parse(str_of(q->name), &want.host, &e) < 0 || want.host.is_ip ||
        count_labels(want.host.text) > LABELS_MAX)
        return dns_write(q, DNS_RCODE_NXDOMAIN, out);
    bool denied = judge_name(s, &want.host, &verdict) == EGRESS_DENY;
    bool recorded =
        egress_report(s, &want, denied, verdict.rule, denied ? verdict.reason : NULL, NULL);
    if (denied || !recorded)
        return dns_write(q, DNS_RCODE_NXDOMAIN, out);
    if (q->type != DNS_TYPE_A)
        return dns_write(q, DNS_RCODE_NOERROR,
                         out); /* no such record: IPv4 is what is redirected */
    if (!names_give(s->names, &want.host, &address))
        return dns_write(q, DNS_RCODE_SERVFAIL, out);
    return dns_write_a(q, address, TTL_SECONDS, out);
}

/* The answer to one message; 0 = stay silent. */
static size_t answer_message(struct egress_sandbox *s, struct str message, uint16_t client_port,
                             char *out)
{
    struct dns_query q;
    switch (dns_query_parse(message, &q)) {
    case DNS_NO_ANSWER:
        return 0;
    case DNS_FORMERR:
        return dns_write(&q, DNS_RCODE_FORMERR, out);
    case DNS_NOTIMP:
        return dns_write(&q, DNS_RCODE_NOTIMP, out);
    case DNS_QUERY:
        break;
    }
    if (!rate_take(&s->queries, loop_now(s->egress->loop)))
        return dns_write(&q, DNS_RCODE_REFUSED, out);
    return answer_name(s, &q, client_port, out);
}

static void on_udp(void *ctx, unsigned events)
{
    struct resolver_socket *socket = ctx;
    (void)events;
    for (int i = 0; i < UDP_AT_ONCE; i++) {
        char message[MESSAGE_MAX], answer[DNS_ANSWER_MAX];
        struct socket_pair ends;
        ssize_t got = socket_receive(watch_fd(socket->watch), message, sizeof message, &ends);
        if (got < 0)
            return; /* nothing more; or an error that belongs to one datagram */
        if ((size_t)got > sizeof message)
            continue;
        size_t n = answer_message(socket->resolver->sandbox, (struct str){ message, (size_t)got },
                                  ntohs(ends.peer.sin_port), answer);
        if (n) /* a full socket buffer loses the answer, as UDP may */
            (void)socket_answer(watch_fd(socket->watch), (struct str){ answer, n }, &ends);
    }
}

static void accept_interest(struct resolver *r)
{
    for (size_t i = 0; i < r->socket_count; i++)
        if (!r->sockets[i].udp)
            watch_set(r->sockets[i].watch, r->stream_count < STREAMS_MAX ? WATCH_READ : 0);
}

static void stream_close(struct stream *t)
{
    struct resolver *r = t->resolver;
    *t->link = t->next;
    if (t->next)
        t->next->link = t->link;
    r->stream_count--;
    watch_free(t->watch);
    timer_free(t->timer);
    buf_release(&t->in);
    free(t);
    accept_interest(r);
}

/* Answers the queries that are whole. False when the connection has to go. */
static bool stream_answer(struct stream *t)
{
    int length;
    while ((length = dns_tcp_length(buf_str(&t->in))) >= 0) {
        char answer[2 + DNS_ANSWER_MAX];
        if (length > MESSAGE_MAX)
            return false;
        size_t whole = 2 + (size_t)length;
        if (t->in.n < whole)
            return true;
        size_t n = answer_message(t->resolver->sandbox, (struct str){ t->in.p + 2, (size_t)length },
                                  t->client_port, answer + 2);
        t->in.n -= whole;
        memmove(t->in.p, t->in.p + whole, t->in.n);
        if (!n)
            return false;
        dns_tcp_put_length(n, answer);
        /* Who does not read the answers gets no more of them. */
        if (socket_write(watch_fd(t->watch), (struct str){ answer, n + 2 }) != (ssize_t)n + 2)
            return false;
        timer_start(t->timer, STREAM_MS);
    }
    return true;
}

static void on_stream(void *ctx, unsigned events)
{
    struct stream *t = ctx;
    char bytes[MESSAGE_MAX];
    (void)events;
    ssize_t got = socket_read(watch_fd(t->watch), bytes, sizeof bytes);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got > 0)
        buf_add(&t->in, (struct str){ bytes, (size_t)got });
    if (got <= 0 || !stream_answer(t))
        stream_close(t);
}

static void on_stream_timer(void *ctx)
{
    stream_close(ctx);
}

static void on_tcp(void *ctx, unsigned events)
{
    struct resolver_socket *socket = ctx;
    struct resolver *r = socket->resolver;
    struct socket_address peer = { 0 };
    (void)events;
    int fd = socket_accept(watch_fd(socket->watch), &peer);
    if (fd < 0)
        return;
    struct stream *t = mem_get(sizeof *t);
    struct loop *loop = r->sandbox->egress->loop;
    t->resolver = r;
    t->client_port = socket_address_port(&peer);
    t->next = r->streams;
    t->link = &r->streams;
    if (r->streams)
        r->streams->link = &t->next;
    r->streams = t;
    r->stream_count++;
    t->watch = watch_new(loop, fd, on_stream, t);
    watch_set(t->watch, WATCH_READ);
    t->timer = timer_new(loop, on_stream_timer, t);
    timer_start(t->timer, STREAM_MS);
    accept_interest(r);
}

struct resolver *resolver_new(struct egress_sandbox *s)
{
    struct resolver *r = mem_get(sizeof *r);
    r->sandbox = s;
    return r;
}

void resolver_listen(struct resolver *r, int fd, bool udp)
{
    CHECK(r->socket_count < SOCKETS_MAX);
    struct resolver_socket *socket = &r->sockets[r->socket_count++];
    socket->resolver = r;
    socket->udp = udp;
    if (udp)
        socket_tell_ends(fd);
    socket->watch = watch_new_shared(r->sandbox->egress->loop, fd, udp ? on_udp : on_tcp, socket);
    watch_set(socket->watch, WATCH_READ);
}

void resolver_free(struct resolver *r)
{
    if (!r)
        return;
    for (struct stream *t = r->streams, *next; t; t = next) {
        next = t->next;
        stream_close(t);
    }
    for (size_t i = 0; i < r->socket_count; i++)
        watch_free(r->sockets[i].watch);
    free(r);
}
