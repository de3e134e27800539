#include "proto/socks5.h"

#include "base/check.h"

#include <arpa/inet.h>

enum { ATYP_V4 = 1, ATYP_NAME = 3, ATYP_V6 = 4 };
enum { REQUEST_HEAD = 5 }; /* version, command, reserved, address type, first byte of the address */

/* In each phase but the three PHASE_WAIT ones a message is coming in. */
enum phase {
    PHASE_GREETING,
    PHASE_WAIT_CHOICE,
    PHASE_PASSWORD,
    PHASE_WAIT_VERDICT,
    PHASE_REQUEST,
    PHASE_DONE,
    PHASE_DEAD
};

void socks5_init(struct socks5 *s)
{
    *s = (struct socks5){ .phase = PHASE_GREETING };
}

void socks5_release(struct socks5 *s)
{
    mem_wipe(s->bytes, sizeof s->bytes);
    mem_wipe(s->user, sizeof s->user);
    mem_wipe(s->password, sizeof s->password);
    s->user_n = s->password_n = 0;
}

/* How long the message is, as far as its first bytes say; grows while more of it is known. */
static size_t message_length(const struct socks5 *s)
{
    const unsigned char *b = s->bytes;
    if (s->phase == PHASE_GREETING)
        return s->n < 2 ? 2 : 2 + (size_t)b[1];
    if (s->phase == PHASE_PASSWORD) {
        if (s->n < 2)
            return 2;
        size_t password_at = 2 + (size_t)b[1];
        return s->n <= password_at ? password_at + 1 : password_at + 1 + b[password_at];
    }
    if (s->n < REQUEST_HEAD)
        return REQUEST_HEAD;
    switch (b[3]) {
    case ATYP_V4:
        return 4 + 4 + 2;
    case ATYP_V6:
        return 4 + 16 + 2;
    case ATYP_NAME:
        return REQUEST_HEAD + (size_t)b[4] + 2;
    default:
        return REQUEST_HEAD;
    }
}

static int refuse(struct socks5 *s, enum socks5_status failure, const char *text, struct err *e)
{
    s->failure = failure;
    return err_set(e, E_INPUT, 0, "%s", text);
}

static int greeting_parse(struct socks5 *s, struct err *e)
{
    if (s->bytes[0] != 5)
        return refuse(s, SOCKS5_SUCCEEDED,
                      s->bytes[0] == 4 ? "SOCKS4 is not supported" : "not SOCKS5", e);
    for (size_t i = 2; i < s->n; i++) {
        s->offers_none |= s->bytes[i] == SOCKS5_NO_AUTH;
        s->offers_password |= s->bytes[i] == SOCKS5_USER_PASSWORD;
    }
    s->phase = PHASE_WAIT_CHOICE;
    return SOCKS5_GREETING;
}

static int password_parse(struct socks5 *s, struct err *e)
{
    if (s->bytes[0] != 1)
        return refuse(s, SOCKS5_SUCCEEDED, "no user and password as in RFC 1929", e);
    s->user_n = s->bytes[1];
    memcpy(s->user, s->bytes + 2, s->user_n);
    s->password_n = s->bytes[2 + s->user_n];
    memcpy(s->password, s->bytes + 3 + s->user_n, s->password_n);
    s->phase = PHASE_WAIT_VERDICT;
    return SOCKS5_PASSWORD;
}

/* A zone would name a network card of this host; other odd bytes are for those who read names in
 * more than one way. The text is there to be shown when it is no name; NUL becomes a blank. */
static bool name_copy(struct socks5 *s)
{
    size_t n = s->bytes[4];
    bool good = n > 0;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = s->bytes[REQUEST_HEAD + i];
        good &= c > 0x20 && c < 0x7f && c != '%';
        s->host[i] = c ? (char)c : ' ';
    }
    s->host[n] = '\0';
    return good;
}

static int request_parse(struct socks5 *s, struct err *e)
{
    const unsigned char *b = s->bytes;
    if (b[0] != 5 || b[2] != 0)
        return refuse(s, SOCKS5_FAILED, "malformed SOCKS request", e);
    s->port = (uint16_t)(b[s->n - 2] << 8 | b[s->n - 1]);
    switch (b[3]) {
    case ATYP_V4:
        inet_ntop(AF_INET, b + 4, s->host, sizeof s->host);
        break;
    case ATYP_V6:
        inet_ntop(AF_INET6, b + 4, s->host, sizeof s->host);
        break;
    case ATYP_NAME:
        if (!name_copy(s))
            return refuse(s, SOCKS5_NOT_ALLOWED, "malformed host", e);
        break;
    default:
        return refuse(s, SOCKS5_ADDRESS_NOT_SUPPORTED, "unknown address type", e);
    }
    s->command = b[1];
    s->phase = PHASE_DONE;
    return SOCKS5_REQUEST;
}

static int message_parse(struct socks5 *s, struct err *e)
{
    int event = s->phase == PHASE_GREETING   ? greeting_parse(s, e)
                : s->phase == PHASE_PASSWORD ? password_parse(s, e)
                                             : request_parse(s, e);
    if (event < 0)
        s->phase = PHASE_DEAD;
    s->n = 0;
    return event;
}

int socks5_feed(struct socks5 *s, struct str bytes, size_t *used, struct err *e)
{
    *used = 0;
    if (s->phase == PHASE_DEAD)
        return err_set(e, E_INPUT, 0, "the message before was malformed");
    CHECK(s->phase != PHASE_WAIT_CHOICE && s->phase != PHASE_WAIT_VERDICT &&
          s->phase != PHASE_DONE);
    for (;;) {
        size_t length = message_length(s), left = bytes.n - *used;
        if (s->n == length)
            return message_parse(s, e);
        if (left == 0)
            return SOCKS5_MORE;
        size_t run = length - s->n < left ? length - s->n : left;
        memcpy(s->bytes + s->n, bytes.p + *used, run);
        s->n += run;
        *used += run;
    }
}

void socks5_choose(struct socks5 *s, enum socks5_method method, struct buf *out)
{
    CHECK(s->phase == PHASE_WAIT_CHOICE);
    const char answer[2] = { 5, (char)method };
    buf_add(out, (struct str){ answer, sizeof answer });
    s->phase = method == SOCKS5_USER_PASSWORD ? PHASE_PASSWORD
               : method == SOCKS5_NO_AUTH     ? PHASE_REQUEST
                                              : PHASE_DEAD;
}

void socks5_verdict(struct socks5 *s, bool accepted, struct buf *out)
{
    CHECK(s->phase == PHASE_WAIT_VERDICT);
    const char answer[2] = { 1, accepted ? 0 : 1 };
    buf_add(out, (struct str){ answer, sizeof answer });
    socks5_release(s);
    s->phase = accepted ? PHASE_REQUEST : PHASE_DEAD;
}

void socks5_reply(enum socks5_status status, struct buf *out)
{
    const char answer[10] = { 5, (char)status, 0, ATYP_V4 };
    buf_add(out, (struct str){ answer, sizeof answer });
}
