#include "io/tls.h"

#include "base/bufq.h"
#include "base/fd.h"
#include "base/mem.h"
#include "io/socket.h"
#include "io/timer.h"
#include "io/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

enum { QUEUE = 64 << 10, TURNS = 8 };

struct tls_client {
    struct loop *loop;
    SSL_CTX *context; /* made at the first use: reading the roots takes a while */
    struct tls_dial *dials;
};

/* A handshake, and afterwards the bridge between the two sockets. */
struct tls_dial {
    struct tls_client *client;
    struct tls_dial *next, **link;
    SSL *ssl;
    struct watch *net, *plain; /* plain: our end of the pair, NULL before the handshake is done */
    struct timer *timer;       /* NULL afterwards */
    int theirs;                /* the caller's end, until it has it */
    struct bufq up, down;      /* plain to net, net to plain */
    bool up_ended, up_closed, down_ended, down_closed;
    bool wants_write, over;
    tls_dial_done *done;
    void *ctx;
};

struct tls_client *tls_client_new(struct loop *l)
{
    struct tls_client *t = mem_get(sizeof *t);
    t->loop = l;
    return t;
}

static void give_back(void *ctx)
{
    struct tls_dial *d = ctx;
    SSL_free(d->ssl);
    bufq_release(&d->up);
    bufq_release(&d->down);
    free(d);
}

/* Closes both sockets; the memory goes later. */
static void end(struct tls_dial *d)
{
    if (d->over)
        return;
    d->over = true;
    watch_free(d->net);
    watch_free(d->plain);
    timer_free(d->timer);
    fd_drop(&d->theirs);
    *d->link = d->next;
    if (d->next)
        d->next->link = d->link;
    loop_later(d->client->loop, give_back, d);
}

void tls_client_free(struct tls_client *t)
{
    if (!t)
        return;
    while (t->dials)
        end(t->dials);
    SSL_CTX_free(t->context);
    free(t);
}

static SSL_CTX *context_of(struct tls_client *t)
{
    if (t->context)
        return t->context;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_default_verify_paths(context) != 1) {
        SSL_CTX_free(context);
        return NULL;
    }
    t->context = context;
    return context;
}

/* The certificate must be for this name or address. */
static bool expect_host(SSL *ssl, const char *host)
{
    struct in6_addr any;
    if (inet_pton(AF_INET, host, &any) == 1 || inet_pton(AF_INET6, host, &any) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1;
    return SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1;
}

/* What an SSL call that returned `rc` means: 1 go on, 0 wait, -1 over. */
static int meaning(struct tls_dial *d, int rc)
{
    if (rc > 0)
        return 1;
    switch (SSL_get_error(d->ssl, rc)) {
    case SSL_ERROR_WANT_READ:
        return 0;
    case SSL_ERROR_WANT_WRITE:
        d->wants_write = true;
        return 0;
    default:
        return -1;
    }
}

/* Decrypts what fits. True when something came. */
static bool read_net(struct tls_dial *d)
{
    size_t room;
    char *at = bufq_space(&d->down, &room);
    if (room == 0 || d->down_ended)
        return false;
    int got = SSL_read(d->ssl, at, (int)room);
    int said = meaning(d, got);
    if (said > 0)
        bufq_filled(&d->down, (size_t)got);
    else if (said < 0) /* a cut without close_notify is an end too: the reader sees it as one */
        d->down_ended = true;
    return said > 0;
}

static bool write_net(struct tls_dial *d)
{
    struct str bytes = bufq_peek(&d->up);
    if (bytes.n == 0)
        return false;
    int sent = SSL_write(d->ssl, bytes.p, (int)bytes.n);
    int said = meaning(d, sent);
    if (said > 0)
        bufq_skip(&d->up, (size_t)sent);
    else if (said < 0)
        end(d);
    return said > 0;
}

static bool read_plain(struct tls_dial *d)
{
    size_t room;
    char *at = bufq_space(&d->up, &room);
    if (room == 0 || d->up_ended)
        return false;
    ssize_t got = socket_read(watch_fd(d->plain), at, room);
    if (got > 0)
        bufq_filled(&d->up, (size_t)got);
    else if (got == 0 || errno != EAGAIN)
        d->up_ended = true;
    return got > 0;
}

static bool write_plain(struct tls_dial *d)
{
    struct str bytes = bufq_peek(&d->down);
    if (bytes.n == 0)
        return false;
    ssize_t sent = socket_write(watch_fd(d->plain), bytes);
    if (sent > 0)
        bufq_skip(&d->down, (size_t)sent);
    else if (errno != EAGAIN)
        end(d);
    return sent > 0;
}

/* Hands the end of each direction on once its queue is empty. */
static void pass_ends(struct tls_dial *d)
{
    if (d->up_ended && !d->up.len && !d->up_closed) {
        d->up_closed = true;
        (void)SSL_shutdown(d->ssl); /* close_notify; the answer to it is read like everything */
    }
    if (d->down_ended && !d->down.len && !d->down_closed) {
        d->down_closed = true;
        shutdown(watch_fd(d->plain), SHUT_WR);
    }
    if (d->up_closed && d->down_closed)
        end(d);
}

static void pump(struct tls_dial *d)
{
    d->wants_write = false;
    for (int turn = 0; turn < TURNS && !d->over; turn++) {
        bool moved = read_net(d);
        moved = write_plain(d) || moved;
        moved = (!d->over && read_plain(d)) || moved;
        moved = (!d->over && write_net(d)) || moved;
        if (!moved)
            break;
    }
    ERR_clear_error();
    if (!d->over)
        pass_ends(d);
    if (d->over)
        return;
    bool net_write = d->wants_write || d->up.len;
    watch_set(d->net, (!d->down_ended && bufq_room(&d->down) ? WATCH_READ : 0u) |
                          (net_write ? WATCH_WRITE : 0u));
    watch_set(d->plain, (!d->up_ended && bufq_room(&d->up) ? WATCH_READ : 0u) |
                            (d->down.len ? WATCH_WRITE : 0u));
}

static void on_bridge(void *ctx, unsigned events)
{
    (void)events;
    pump(ctx);
}

/* Tells the caller; a failure ends the object. */
static void tell(struct tls_dial *d)
{
    tls_dial_done *done = d->done;
    int fd = fd_take(&d->theirs);
    d->done = NULL;
    if (!d->plain)
        end(d);
    done(d->ctx, fd);
}

static bool make_pair(struct tls_dial *d)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return false;
    d->theirs = pair[0];
    d->plain = watch_new(d->client->loop, pair[1], on_bridge, d);
    return true;
}

static void on_handshake(void *ctx, unsigned events)
{
    struct tls_dial *d = ctx;
    (void)events;
    d->wants_write = false;
    int said = meaning(d, SSL_connect(d->ssl));
    ERR_clear_error();
    if (said == 0) {
        watch_set(d->net, d->wants_write ? WATCH_WRITE : WATCH_READ);
        return;
    }
    if (said > 0 && make_pair(d)) {
        timer_free(d->timer);
        d->timer = NULL;
        watch_hand(d->net, on_bridge, d);
        pump(d);
    }
    tell(d);
}

static void on_timer(void *ctx)
{
    tell(ctx);
}

struct tls_dial *tls_dial_new(struct tls_client *t, int fd, const char *host, uint64_t timeout_ms,
                              tls_dial_done *done, void *ctx)
{
    struct tls_dial *d = mem_get(sizeof *d);
    *d = (struct tls_dial){ .client = t, .theirs = -1, .done = done, .ctx = ctx };
    d->next = t->dials;
    d->link = &t->dials;
    if (t->dials)
        t->dials->link = &d->next;
    t->dials = d;
    bufq_init(&d->up, QUEUE);
    bufq_init(&d->down, QUEUE);
    d->net = watch_new(t->loop, fd, on_handshake, d);
    d->timer = timer_new(t->loop, on_timer, d);
    SSL_CTX *context = context_of(t);
    d->ssl = context ? SSL_new(context) : NULL;
    if (d->ssl && SSL_set_fd(d->ssl, fd) == 1 && expect_host(d->ssl, host)) {
        SSL_set_connect_state(d->ssl);
        watch_set(d->net, WATCH_WRITE);
        timer_start(d->timer, timeout_ms);
    } else {
        timer_start(d->timer, 0); /* fails from the loop, like everything */
    }
    ERR_clear_error();
    return d;
}

void tls_dial_cancel(struct tls_dial *d)
{
    if (d)
        end(d);
}
