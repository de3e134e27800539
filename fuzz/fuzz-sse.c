/* Server-sent events: every cut of the stream tells the same, and an event that is written again is
 * read as the same event. */
#include "fuzz.h"

#include "proto/sse.h"

enum { LIMIT = 200, WRITTEN = LIMIT + 8 /* "event:x" is written as "event: x" */ };

struct story {
    uint64_t hash;
    unsigned events;
    bool failed;
};

static void tell(struct story *s, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        s->hash = (s->hash ^ (unsigned char)bytes.p[i]) * 1099511628211u;
    s->hash = (s->hash ^ bytes.n) * 1099511628211u;
}

static void check_written(const struct sse_event *event)
{
    struct sse again;
    struct err e;
    size_t used;
    AUTO_BUF out = { 0 };
    sse_write(&out, event->name, event->id, event->data);
    sse_init(&again, WRITTEN);
    CHECK(sse_feed(&again, buf_str(&out), &used, &e) == SSE_EVENT && used == out.n);
    CHECK(str_eq(again.event.name, event->name) && str_eq(again.event.id, event->id) &&
          str_eq(again.event.data, event->data));
    sse_release(&again);
}

static void read_all(struct str bytes, size_t cut, struct story *s)
{
    struct sse reader;
    struct err e;
    int found = SSE_MORE;
    sse_init(&reader, LIMIT);
    while (bytes.n && found >= 0) {
        struct str piece = { bytes.p, bytes.n < cut ? bytes.n : cut };
        bytes = str_skip(bytes, piece.n);
        size_t used;
        while ((found = sse_feed(&reader, piece, &used, &e)) > SSE_MORE) {
            CHECK(used <= piece.n && reader.event.data.n);
            piece = str_skip(piece, used);
            tell(s, reader.event.name);
            tell(s, reader.event.id);
            tell(s, reader.event.data);
            s->events++;
            if (cut == SIZE_MAX)
                check_written(&reader.event);
        }
        CHECK(found < 0 || used == piece.n);
    }
    s->failed = found < 0;
    sse_release(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    static const size_t cuts[] = { 1, 2, 7 };
    struct str whole_text = { (const char *)bytes, n };
    struct story whole = { 0 };
    read_all(whole_text, SIZE_MAX, &whole);
    for (size_t i = 0; i < sizeof cuts / sizeof *cuts; i++) {
        struct story split = { 0 };
        read_all(whole_text, cuts[i], &split);
        CHECK(split.failed == whole.failed && split.events == whole.events &&
              split.hash == whole.hash);
    }
    return 0;
}
