#include "io/tls_server.h"

#include "base/log.h"
#include "base/mem.h"
#include "io/socket.h"
#include "io/transport-int.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { LOOK_AGAIN_MS = 1000 };

/* What tells that a file is another one than before. */
struct version {
    struct timespec changed;
    ino_t inode;
    off_t size;
};

struct tls_server {
    struct loop *loop;
    SSL_CTX *context; /* counted by OpenSSL: connections keep theirs */
    char *certificate, *key;
    struct version seen[2];
    uint64_t looked_at;
};

struct tls_transport {
    struct transport transport;
    struct loop *loop;
    transport_ready *ready;
    void *ctx;
    SSL *ssl;
    unsigned wants; /* of the owner */
    bool read_needs_write, write_needs_read;
    bool failed; /* nothing more may be asked of OpenSSL */
    bool hinted; /* on_hint is on its way */
    bool freed;
};

static struct version version_of(const char *path)
{
    struct stat st;
    if (stat(path, &st) < 0)
        return (struct version){ 0 };
    return (struct version){ st.st_mtim, st.st_ino, st.st_size };
}

static bool is_same(const struct version *a, const struct version *b)
{
    return a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec &&
           a->inode == b->inode && a->size == b->size;
}

static int choose_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *offered, unsigned int offered_n, void *ctx)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl, (void)ctx;
    int found =
        SSL_select_next_proto((unsigned char **)out, n, ours, sizeof ours - 1, offered, offered_n);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* A key with a pass phrase is none: asking for it would stop the server at its terminal. */
static int no_pass_phrase(char *buf, int size, int writing, void *ctx)
{
    (void)buf, (void)size, (void)writing, (void)ctx;
    return 0;
}

static int refuse(const char *path, const char *what, struct err *e)
{
    unsigned long code = ERR_peek_last_error();
    int os = ERR_SYSTEM_ERROR(code) ? ERR_GET_REASON(code) : 0;
    ERR_clear_error();
    if (access(path, R_OK) < 0)
        return err_set(e, E_IO, errno, "read '%s'", path);
    return err_set(e, E_INPUT, os, "'%s' holds no %s", path, what);
}

/* A context of the two files as they are now. */
static int context_new(const struct tls_server *t, SSL_CTX **out, struct err *e)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return err_set(e, E_IO, 0, "OpenSSL gives no TLS server");
    int rc = 0;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                  SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context, no_pass_phrase);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    if (SSL_CTX_use_certificate_chain_file(context, t->certificate) != 1)
        rc = refuse(t->certificate, "certificate in PEM form", e);
    else if (SSL_CTX_use_PrivateKey_file(context, t->key, SSL_FILETYPE_PEM) != 1)
        rc = refuse(t->key,
                    "private key in PEM form, without a pass phrase, that fits the certificate", e);
    else if (SSL_CTX_check_private_key(context) != 1)
        rc = refuse(t->key, "private key that fits the certificate", e);
    if (rc != 0) {
        SSL_CTX_free(context);
        return rc;
    }
    *out = context;
    return 0;
}

int tls_server_reload(struct tls_server *t, struct err *e)
{
    SSL_CTX *context = NULL;
    t->seen[0] = version_of(t->certificate);
    t->seen[1] = version_of(t->key);
    if (context_new(t, &context, e) != 0)
        return err_while(e, "TLS certificate");
    SSL_CTX_free(t->context);
    t->context = context;
    return 0;
}

int tls_server_new(struct loop *l, const char *certificate, const char *key,
                   struct tls_server **out, struct err *e)
{
    struct tls_server *t = mem_get(sizeof *t);
    socket_survive_gone_peers();
    t->loop = l;
    t->certificate = str_dup(str_of(certificate));
    t->key = str_dup(str_of(key));
    t->looked_at = loop_now(l);
    if (tls_server_reload(t, e) != 0) {
        tls_server_free(t);
        return -1;
    }
    *out = t;
    return 0;
}

void tls_server_free(struct tls_server *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->context);
    free(t->certificate);
    free(t->key);
    free(t);
}

/* A pair that is being written may be half new; then the next look finds it changed again. */
static void look_at_files(struct tls_server *t)
{
    struct err e;
    uint64_t now = loop_now(t->loop);
    if (now - t->looked_at < LOOK_AGAIN_MS)
        return;
    t->looked_at = now;
    struct version certificate = version_of(t->certificate), key = version_of(t->key);
    if (is_same(&certificate, &t->seen[0]) && is_same(&key, &t->seen[1]))
        return;
    if (tls_server_reload(t, &e) != 0)
        log_warn("%s; the one from before stays in use", e.text);
}

/* What an SSL call that gave `rc` comes to, as errno. `needs_other` is set when it waits for the
 * direction that it is not named after. */
static ssize_t outcome(struct tls_transport *t, int rc, bool reading)
{
    bool *needs_other = reading ? &t->read_needs_write : &t->write_needs_read;
    int error = SSL_get_error(t->ssl, rc);
    *needs_other = error == (reading ? SSL_ERROR_WANT_WRITE : SSL_ERROR_WANT_READ);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN && reading)
        return 0;
    t->failed = true;
    errno = ECONNRESET; /* a cut without close_notify too: nobody can say that this was all */
    return -1;
}

static ssize_t tls_read(struct transport *transport, void *to, size_t n)
{
    struct tls_transport *t = (struct tls_transport *)transport;
    if (t->failed) {
        errno = ECONNRESET;
        return -1;
    }
    t->read_needs_write = false;
    ERR_clear_error(); /* what others left behind on this thread would be taken for ours */
    int got = SSL_read(t->ssl, to, n < INT_MAX ? (int)n : INT_MAX);
    return got > 0 ? got : outcome(t, got, true);
}

static ssize_t tls_write(struct transport *transport, struct str bytes)
{
    struct tls_transport *t = (struct tls_transport *)transport;
    if (t->failed) {
        errno = EPIPE;
        return -1;
    }
    if (bytes.n == 0)
        return 0;
    t->write_needs_read = false;
    ERR_clear_error();
    int sent = SSL_write(t->ssl, bytes.p, bytes.n < INT_MAX ? (int)bytes.n : INT_MAX);
    return sent > 0 ? sent : outcome(t, sent, false);
}

/* Whether a read or a write gets on is for it to find out. */
static void on_ready(void *ctx, unsigned events)
{
    struct tls_transport *t = ctx;
    unsigned tell = (t->wants & ~(unsigned)WATCH_GONE) | (t->wants & events & WATCH_GONE);
    if (tell)
        t->ready(t->ctx, tell);
}

/* Decrypted bytes wait in the SSL object; the descriptor will not tell of them. */
static void on_hint(void *ctx)
{
    struct tls_transport *t = ctx;
    t->hinted = false;
    if (!t->freed && (t->wants & WATCH_READ))
        t->ready(t->ctx, WATCH_READ);
}

static void tls_want(struct transport *transport, unsigned events)
{
    struct tls_transport *t = (struct tls_transport *)transport;
    unsigned below = events & WATCH_GONE;
    if (events & WATCH_READ)
        below |= t->read_needs_write ? WATCH_WRITE : WATCH_READ;
    if (events & WATCH_WRITE)
        below |= t->write_needs_read ? WATCH_READ : WATCH_WRITE;
    t->wants = events;
    watch_set(t->transport.watch, below);
    if ((events & WATCH_READ) && !t->hinted && !t->failed && SSL_pending(t->ssl) > 0) {
        t->hinted = true;
        loop_later(t->loop, on_hint, t);
    }
}

static void tls_finish(struct transport *transport)
{
    struct tls_transport *t = (struct tls_transport *)transport;
    if (!t->failed && SSL_is_init_finished(t->ssl))
        (void)SSL_shutdown(t->ssl); /* our close_notify; without room for it the peer sees a cut */
    ERR_clear_error();
    (void)shutdown(watch_fd(t->transport.watch), SHUT_WR);
}

static void give_back(void *ctx)
{
    free(ctx);
}

static void tls_free(struct transport *transport)
{
    struct tls_transport *t = (struct tls_transport *)transport;
    t->freed = true;
    SSL_free(t->ssl);
    watch_free(t->transport.watch);
    loop_later(t->loop, give_back, t); /* on_hint may still be on its way */
}

static const struct transport_ops tls_ops = { tls_read, tls_write, tls_want, tls_finish, tls_free };

struct transport *tls_server_accept(struct tls_server *s, int fd, transport_ready *ready, void *ctx)
{
    look_at_files(s);
    SSL *ssl = SSL_new(s->context);
    if (!ssl || SSL_set_fd(ssl, fd) != 1) {
        ERR_clear_error();
        SSL_free(ssl);
        close(fd);
        return NULL;
    }
    SSL_set_accept_state(ssl);
    struct tls_transport *t = mem_get(sizeof *t);
    *t = (struct tls_transport){ .loop = s->loop, .ready = ready, .ctx = ctx, .ssl = ssl };
    t->transport.ops = &tls_ops;
    t->transport.watch = watch_new(s->loop, fd, on_ready, t);
    return &t->transport;
}
