/* Entries of a log, damaged or not: the first line is the type, the second what only we see, the rest
 * what readers see. Whatever can be read is written again as something that reads the same. */
#include "control/event_json.h"
#include "fuzz.h"

static void same(struct str a, struct str b)
{
    CHECK(str_eq(a, b));
}

static int read_entry(const struct entry *entry, struct event *out, struct arena *a)
{
    struct err e;
    return event_json_read(entry, EVENT_WHOLE, out, a, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = { (const char *)data, size };
    struct entry entry = { .seq = 1, .id = { "sevt_1" }, .at = 1 };
    struct event first, second;
    AUTO_BUF body = { 0 };
    AUTO_BUF inner = { 0 };
    AUTO_BUF body_again = { 0 };
    AUTO_BUF inner_again = { 0 };
    AUTO_ARENA a;
    arena_init(&a, 16 << 20);
    if (!str_cut(&rest, '\n', &entry.type) || !str_cut(&rest, '\n', &entry.inner))
        return 0;
    entry.body = rest;
    struct err e;
    (void)event_json_read(&entry, EVENT_FOLD, &first, &a, &e);
    if (read_entry(&entry, &first, &a) < 0)
        return 0;
    event_json_write(&first, &body, &inner);
    entry.body = buf_str(&body);
    entry.inner = buf_str(&inner);
    CHECK(read_entry(&entry, &second, &a) == 0);
    event_json_write(&second, &body_again, &inner_again);
    same(buf_str(&body_again), buf_str(&body));
    same(buf_str(&inner_again), buf_str(&inner));
    return 0;
}
