#include "egress/policy.h"

#include "base/buf.h"

#include <stdlib.h>

static void wipe_buf(struct buf *b)
{
    mem_wipe(b->p, b->cap);
    buf_release(b);
}
#define SECRET_BUF CLEANUP(wipe_buf) struct buf

/* Room is taken at once, so that growing never leaves a copy of a secret behind. */
static void base64_add(struct buf *out, struct str bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t run = bytes.n - i < 3 ? bytes.n - i : 3;
        unsigned v = 0;
        for (size_t k = 0; k < 3; k++)
            v = v << 8 | (k < run ? (unsigned char)bytes.p[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            buf_add_byte(out, k <= run ? digits[v >> (18 - 6 * k) & 63] : '=');
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the part with its %xx undone. False on a bad escape or a control character. */
static bool percent_decode(struct buf *out, struct str part)
{
    for (size_t i = 0; i < part.n; i++) {
        char c = part.p[i];
        if (c == '%') {
            int high = i + 2 < part.n ? hex_value(part.p[i + 1]) : -1;
            int low = i + 2 < part.n ? hex_value(part.p[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = (char)(high << 4 | low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        buf_add_byte(out, c);
    }
    return true;
}

/* RFC 7617: "Basic " and base64 of user:password; a user name with a colon cannot be written. */
static int hop_authorization(struct str user_info, struct proxy_hop *out, struct err *e)
{
    SECRET_BUF plain = { 0 };
    SECRET_BUF value = { 0 };
    struct str password = user_info, user = { 0 };
    str_cut(&password, ':', &user);
    buf_room(&plain, user_info.n + 2);
    bool good = percent_decode(&plain, user) && str_index(buf_str(&plain), ':') < 0;
    buf_add_byte(&plain, ':');
    if (!good || !percent_decode(&plain, password))
        return err_set(e, E_INPUT, 0, "the user information of the proxy URL is malformed");

    buf_room(&value, sizeof "Basic " + (plain.n + 2) / 3 * 4);
    buf_add(&value, STR("Basic "));
    base64_add(&value, buf_str(&plain));
    out->authorization = buf_take(&value);
    return 0;
}

static bool hop_port(struct str digits, uint16_t *out)
{
    uint64_t port;
    if (digits.n > 5 || !str_to_u64(digits, &port) || port == 0 || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

/* "host", "host:port", "[v6]", "[v6]:port". */
static int hop_address(struct str text, struct proxy_hop *out, struct err *e)
{
    struct str name = text, rest = { 0 };
    if (text.n && text.p[0] == '[') {
        ptrdiff_t end = str_index(text, ']');
        name.n = end < 0 ? 0 : (size_t)end + 1;
        rest = str_skip(text, name.n);
    } else if (str_index(text, ':') >= 0) {
        name.n = (size_t)str_index(text, ':');
        rest = str_skip(text, name.n);
    }
    struct host host;
    if (host_parse(name, &host, e) != 0)
        return err_set(e, E_INPUT, 0, "the host of the proxy URL is malformed");
    out->port = out->tls ? 443 : 80;
    if (rest.n && (rest.p[0] != ':' || !hop_port(str_skip(rest, 1), &out->port)))
        return err_set(e, E_INPUT, 0, "the port of the proxy URL must be 1 to 65535");
    out->host = str_dup(str_of(host.text));
    return 0;
}

static bool cut_scheme(struct str *url, struct str scheme)
{
    if (url->n < scheme.n || !str_eq_nocase((struct str){ url->p, scheme.n }, scheme))
        return false;
    *url = str_skip(*url, scheme.n);
    return true;
}

int proxy_hop_parse(struct str url, struct proxy_hop *out, struct err *e)
{
    struct proxy_hop hop = { .set = true };
    if (cut_scheme(&url, STR("https://")))
        hop.tls = true;
    else if (!cut_scheme(&url, STR("http://")) && str_has(url, STR("://")))
        return err_set(e, E_INPUT, 0, "a proxy URL starts with http:// or https://");

    if (url.n && url.p[url.n - 1] == '/')
        url.n--;
    struct str address = url;
    ptrdiff_t at = str_last_index(url, '@');
    if (at >= 0)
        address = str_skip(url, (size_t)at + 1);
    if (hop_address(address, &hop, e) != 0)
        return -1;
    if (at >= 0 && hop_authorization((struct str){ url.p, (size_t)at }, &hop, e) != 0) {
        proxy_hop_release(&hop);
        return -1;
    }
    *out = hop;
    return 0;
}

void proxy_hop_release(struct proxy_hop *hop)
{
    if (hop->authorization)
        mem_wipe(hop->authorization, strlen(hop->authorization));
    free(hop->authorization);
    free(hop->host);
    *hop = (struct proxy_hop){ 0 };
}
