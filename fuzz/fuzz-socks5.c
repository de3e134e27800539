/* SOCKS5 conversations: every cut of the stream tells the same. The server takes user and password
 * when they are offered, and accepts those that begin alike. */
#include "fuzz.h"

#include "proto/socks5.h"

static void converse(struct str bytes, size_t cut, struct buf *story)
{
    struct socks5 s;
    struct err e;
    socks5_init(&s);
    int event = SOCKS5_MORE;
    while (bytes.n && event >= 0 && event != SOCKS5_REQUEST) {
        size_t used;
        struct str piece = { bytes.p, bytes.n < cut ? bytes.n : cut };
        event = socks5_feed(&s, piece, &used, &e);
        CHECK(used <= piece.n && (event != SOCKS5_MORE || used == piece.n));
        bytes = str_skip(bytes, used);
        if (event == SOCKS5_GREETING)
            socks5_choose(&s,
                          s.offers_password ? SOCKS5_USER_PASSWORD
                          : s.offers_none   ? SOCKS5_NO_AUTH
                                            : SOCKS5_NO_METHOD,
                          story);
        else if (event == SOCKS5_PASSWORD)
            socks5_verdict(&s, s.user[0] == s.password[0], story);
    }
    if (event < 0)
        socks5_reply(s.failure, story);
    if (event == SOCKS5_REQUEST) {
        CHECK(strlen(s.host) > 0 && strlen(s.host) < sizeof s.host);
        for (const char *c = s.host; *c; c++)
            CHECK(*c > 0x20 && *c < 0x7f && *c != '%');
        buf_addf(story, "%d %s %u %zu", s.command, s.host, s.port, bytes.n);
    }
    socks5_release(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str all = { (const char *)bytes, n };
    AUTO_BUF whole = { 0 };
    AUTO_BUF split = { 0 };
    converse(all, SIZE_MAX, &whole);
    converse(all, 1, &split);
    CHECK(str_eq(buf_str(&whole), buf_str(&split)));
    return 0;
}
