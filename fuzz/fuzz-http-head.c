/* HTTP/1 messages: every cut of the stream tells the same, and what a proxy would forward is read by
 * the next reader as the same message.
 *
 * The first byte chooses: bit 0 response, bit 1 to HEAD, bit 2 to CONNECT. */
#include "fuzz.h"

#include "base/buf.h"
#include "proto/http1_target.h"
#include "proto/http1_write.h"

struct story {
    uint64_t hash;
    size_t taken;
    unsigned events;
    enum err_kind failure;
};

static void tell(struct story *s, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        s->hash = (s->hash ^ (unsigned char)bytes.p[i]) * 1099511628211u;
}

static void tell_number(struct story *s, uint64_t number)
{
    tell(s, (struct str){ (const char *)&number, sizeof number });
}

static void tell_head(struct story *s, const struct http1_head *head)
{
    tell(s, head->method);
    tell(s, head->target);
    tell(s, head->reason);
    tell_number(s, (uint64_t)head->status << 8 | (uint64_t)head->minor << 7 |
                       (uint64_t)head->framing << 4 | (uint64_t)head->keep_alive << 1 |
                       head->upgrade);
    tell_number(s, head->length);
    for (size_t i = 0; i < head->count; i++) {
        tell(s, head->fields[i].name);
        tell(s, STR(":"));
        tell(s, head->fields[i].value);
    }
}

static void check_forward(uint8_t choice, const struct http1_head *head)
{
    struct err e;
    struct http1 next;
    struct http1_target target;
    size_t used;
    AUTO_BUF out = { 0 };
    bool response = choice & 1;
    struct http1_forward how = { .target = STR("/x"),
                                 .authority = STR("a.example"),
                                 .upgrade = head->upgrade && http1_field(head, STR("Upgrade")).p,
                                 .peer_minor = 1 };
    if (!response)
        (void)http1_target_parse(head->method, head->target, &target, &e);
    if (!response && str_eq(head->method, STR("CONNECT")))
        return; /* has no request line of this form */
    if (str_eq(head->method, STR("OPTIONS")))
        how.target = STR("*");
    enum http1_framing framing =
        response ? http1_write_response(&out, head, &how) : http1_write_request(&out, head, &how);
    http1_init(&next, response ? HTTP1_RESPONSE : HTTP1_REQUEST,
               &(struct http1_limits){ 256 << 10, 512, 8 << 10 });
    http1_expect(&next, choice & 2 ? STR("HEAD") : choice & 4 ? STR("CONNECT") : STR("GET"));
    CHECK(http1_feed(&next, buf_str(&out), &used, &e) == HTTP1_HEAD && used == out.n);
    CHECK(next.head.framing == framing || (response && framing == HTTP1_NONE));
    CHECK(str_eq(next.head.method, head->method) && next.head.status == head->status);
    CHECK(framing != HTTP1_LENGTH || next.head.length == head->length);
    for (size_t i = 0; i < next.head.count; i++)
        CHECK(!str_eq_nocase(next.head.fields[i].name, STR("Proxy-Authorization")));
    http1_release(&next);
}

static void read_all(uint8_t choice, struct str bytes, size_t cut, struct story *s)
{
    struct http1 h;
    struct err e = { 0 };
    http1_init(&h, choice & 1 ? HTTP1_RESPONSE : HTTP1_REQUEST, NULL);
    http1_expect(&h, choice & 2 ? STR("HEAD") : choice & 4 ? STR("CONNECT") : STR("GET"));
    int event = HTTP1_MORE;
    while (bytes.n && event == HTTP1_MORE) {
        struct str piece = { bytes.p, bytes.n < cut ? bytes.n : cut };
        bytes = str_skip(bytes, piece.n);
        size_t used;
        while ((event = http1_feed(&h, piece, &used, &e)) > HTTP1_MORE) {
            CHECK(used <= piece.n);
            piece = str_skip(piece, used);
            s->taken += used;
            if (event == HTTP1_BODY) {
                CHECK(h.body.n && h.body.n <= used);
                tell(s, h.body);
                continue;
            }
            s->events++;
            if (event == HTTP1_HEAD) {
                tell_head(s, &h.head);
                if (cut == SIZE_MAX)
                    check_forward(choice, &h.head);
            } else if (h.head.upgrade) {
                break;
            } else {
                http1_next(&h);
            }
        }
        s->taken += event == HTTP1_MORE ? used : 0;
    }
    s->failure = event < 0 ? e.kind : E_NONE;
    if (event < 0)
        s->taken = 0; /* how much of a malformed message was looked at is nobody's business */
    else
        tell_number(s, (uint64_t)http1_eof(&h, &e));
    http1_release(&h);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (n == 0)
        return 0;
    static const size_t cuts[] = { 1, 2, 7 };
    struct str rest = { (const char *)bytes + 1, n - 1 };
    struct story whole = { 0 };
    read_all(bytes[0], rest, SIZE_MAX, &whole);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct story split = { 0 };
        read_all(bytes[0], rest, cuts[i], &split);
        CHECK(split.failure == whole.failure && split.events == whole.events &&
              split.hash == whole.hash && split.taken == whole.taken);
    }
    return 0;
}
