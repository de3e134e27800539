#include "proto/http1-int.h"

#include "base/check.h"
#include "base/mem.h"

#include <llhttp.h>
#include <stdlib.h>

const struct http1_limits http1_limits_default = { 64 << 10, 256, 8 << 10 };

enum phase { PHASE_HEAD, PHASE_BODY, PHASE_END, PHASE_DEAD };

struct http1_reader {
    llhttp_t second; /* the second reader of the head, and the reader of the body */
    struct http1 *h; /* set for the time of one llhttp_execute */
    char *head;      /* owned; the head's bytes */
    size_t n, cap;
    struct http1_field *fields; /* owned */
    size_t field_count;
    struct http1_lines lines;

    size_t seen_fields;               /* how many the second reader has confirmed */
    struct str seen_name, seen_value; /* the field that it is reading */
    struct str seen_target;
    bool head_read, over;
    const char *framed; /* during a feed of the body: first byte that no piece has covered */
    size_t overhead;    /* bytes since the last piece */
};

void http1_init(struct http1 *h, enum http1_kind kind, const struct http1_limits *limits)
{
    *h = (struct http1){ .kind = kind, .limits = limits ? *limits : http1_limits_default };
    CHECK(h->limits.head > 4);
}

static void reader_free(struct http1_reader *r)
{
    if (!r)
        return;
    free(r->fields);
    if (r->head)
        mem_wipe(r->head, r->n); /* credentials pass through heads */
    free(r->head);
    free(r);
}

void http1_release(struct http1 *h)
{
    reader_free(h->reader);
    h->reader = NULL;
    h->head = (struct http1_head){ 0 };
    h->body = (struct str){ 0 };
}

void http1_next(struct http1 *h)
{
    CHECK(h->phase == PHASE_END);
    http1_release(h);
    h->phase = PHASE_HEAD;
}

void http1_expect(struct http1 *h, struct str method)
{
    h->no_body = str_eq(method, STR("HEAD"));
    h->connect = str_eq(method, STR("CONNECT"));
}

size_t http1_memory(const struct http1 *h)
{
    const struct http1_reader *r = h->reader;
    return r ? sizeof *r + r->cap + r->field_count * sizeof *r->fields : 0;
}

/* Spans of one head lie in one buffer. A span that does not go on where the last one ended belongs to
 * a folded value, which the line check has refused: then the result fits no field of ours. */
static void span_add(struct str *s, const char *at, size_t n)
{
    if (!s->p)
        *s = (struct str){ at, n };
    else
        s->n += n;
}

static int on_target(llhttp_t *p, const char *at, size_t n)
{
    struct http1_reader *r = p->data;
    span_add(&r->seen_target, at, n);
    return 0;
}

static int on_name(llhttp_t *p, const char *at, size_t n)
{
    struct http1_reader *r = p->data;
    if (!r->head_read)
        span_add(&r->seen_name, at, n);
    return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
    struct http1_reader *r = p->data;
    if (!r->head_read)
        span_add(&r->seen_value, at, n);
    return 0;
}

static int on_field(llhttp_t *p)
{
    struct http1_reader *r = p->data;
    if (r->head_read)
        return 0; /* a trailer */
    bool same = r->seen_fields < r->h->head.count &&
                str_eq(r->seen_name, r->fields[r->seen_fields].name) &&
                str_eq(str_trim(r->seen_value), r->fields[r->seen_fields].value);
    r->seen_fields++;
    r->seen_name = r->seen_value = (struct str){ 0 };
    return same ? 0 : HPE_USER;
}

/* Both readers must have understood the same. What llhttp is told: 1 = there is no body, 2 = and
 * another protocol follows. */
static int on_head(llhttp_t *p)
{
    struct http1_reader *r = p->data;
    const struct http1_head *head = &r->h->head;
    r->head_read = true;
    bool request = r->h->kind == HTTP1_REQUEST;
    bool same = r->seen_fields == head->count && p->http_major == 1 && p->http_minor == head->minor;
    if (request)
        same = same && str_eq(r->seen_target, head->target) &&
               str_eq(str_of(llhttp_method_name(p->method)), head->method);
    else
        same = same && p->status_code == head->status;
    bool chunked = (p->flags & F_CHUNKED) != 0;
    if (head->framing != HTTP1_NONE)
        same = same && chunked == (head->framing == HTTP1_CHUNKED) &&
               p->content_length == head->length;
    if (!same)
        return -1;
    if (request || head->framing != HTTP1_NONE)
        return 0;
    return head->upgrade ? 2 : 1;
}

static int on_end(llhttp_t *p)
{
    struct http1_reader *r = p->data;
    r->over = true;
    return HPE_PAUSED;
}

/* What stands between two pieces of a chunked body consists of lines, and is bounded. */
static int framing_scan(struct http1_reader *r, const char *end, struct err *e)
{
    for (; r->framed < end; r->framed++) {
        if (++r->overhead > r->h->limits.overhead)
            return err_set(e, E_BUSY, 0, "chunk extensions or trailers are too long");
        if (!http1_lines_byte(&r->lines, *r->framed))
            return err_set(e, E_INPUT, 0, "the chunked body is malformed");
    }
    return 0;
}

static int on_body(llhttp_t *p, const char *at, size_t n)
{
    struct http1_reader *r = p->data;
    if (n == 0)
        return 0;
    r->h->body = (struct str){ at, n };
    return HPE_PAUSED; /* one event for each feed */
}

static const llhttp_settings_t settings = {
    .on_url = on_target,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_header_value_complete = on_field,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_end,
};

static void reader_add(struct http1_reader *r, struct str bytes, size_t limit)
{
    size_t need = r->n + bytes.n;
    if (need > r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 512;
        while (cap < need)
            cap *= 2;
        r->cap = cap < limit ? cap : limit;
        r->head = mem_grow(r->head, r->cap);
    }
    memcpy(r->head + r->n, bytes.p, bytes.n);
    r->n = need;
}

/* Copies bytes of the head. 1 when it is complete, 0 when more is needed. One empty line before a
 * request is skipped (RFC 9112 2.2). */
static int head_collect(struct http1 *h, struct str bytes, size_t *used, struct err *e)
{
    struct http1_reader *r = h->reader;
    bool complete = false;
    size_t i = 0;
    for (; i < bytes.n && !complete; i++) {
        if (r->n + i >= h->limits.head)
            return err_set(e, E_BUSY, 0, "the head is longer than %zu bytes", h->limits.head);
        bool empty_line = r->lines.after_cr && !r->lines.in_line;
        if (!http1_lines_byte(&r->lines, bytes.p[i]))
            return err_set(e, E_INPUT, 0,
                           "the head holds a stray line end, a folded line or a "
                           "control character");
        complete = empty_line && r->n + i > 1;
    }
    reader_add(r, (struct str){ bytes.p, i }, h->limits.head);
    *used = i;
    return complete;
}

/* Lets llhttp read the head too; every byte must count for both. */
static bool head_confirmed(struct http1 *h, struct str head)
{
    struct http1_reader *r = h->reader;
    llhttp_init(&r->second, h->kind == HTTP1_REQUEST ? HTTP_REQUEST : HTTP_RESPONSE, &settings);
    r->second.data = r;
    r->h = h;
    llhttp_errno_t error = llhttp_execute(&r->second, head.p, head.n);
    r->h = NULL;
    if (error == HPE_OK)
        return r->head_read && h->head.framing != HTTP1_NONE;
    return error == HPE_PAUSED && r->over && llhttp_get_error_pos(&r->second) == head.p + head.n;
}

static int head_feed(struct http1 *h, struct str bytes, size_t *used, struct err *e)
{
    if (bytes.n == 0)
        return HTTP1_MORE;
    if (!h->reader)
        h->reader = mem_get(sizeof *h->reader);
    struct http1_reader *r = h->reader;
    int complete = head_collect(h, bytes, used, e);
    if (complete <= 0)
        return complete;

    struct str head = { r->head, r->n };
    if (h->kind == HTTP1_REQUEST && str_starts(head, STR("\r\n")))
        head = str_skip(head, 2);
    if (str_starts(head, STR("\r\n")))
        return err_set(e, E_INPUT, 0, "the start line is missing");
    r->field_count = http1_head_count(head);
    if (r->field_count > h->limits.fields)
        return err_set(e, E_BUSY, 0, "more than %zu fields", h->limits.fields);
    r->fields = mem_array(r->field_count, sizeof *r->fields);
    if (http1_head_parse(h, head, r->fields, e) != 0)
        return -1;
    if (!head_confirmed(h, head))
        return err_set(e, E_INPUT, 0, "the head is malformed");
    h->phase = PHASE_BODY;
    return HTTP1_HEAD;
}

static int body_feed(struct http1 *h, struct str bytes, size_t *used, struct err *e)
{
    struct http1_reader *r = h->reader;
    if (!r->over) {
        const char *start = bytes.n ? bytes.p : "";
        llhttp_resume(&r->second);
        h->body = (struct str){ 0 };
        r->h = h;
        r->framed = start;
        llhttp_errno_t error = llhttp_execute(&r->second, start, bytes.n);
        bool more = error == HPE_OK;
        const char *end = more ? start + bytes.n : llhttp_get_error_pos(&r->second);
        const char *framing_end = h->body.n ? h->body.p : end;
        int scanned = framing_scan(r, framing_end, e);
        r->h = NULL;
        r->framed = NULL;
        if (scanned != 0)
            return -1;
        if (!more && error != HPE_PAUSED)
            return err_set(e, E_INPUT, 0, "the body is malformed");
        *used = (size_t)(end - start);
        if (h->body.n) {
            r->overhead = 0;
            return HTTP1_BODY;
        }
        if (!r->over)
            return HTTP1_MORE;
    }
    h->phase = PHASE_END;
    return HTTP1_END;
}

int http1_feed(struct http1 *h, struct str bytes, size_t *used, struct err *e)
{
    int event = HTTP1_END;
    *used = 0;
    if (h->phase == PHASE_HEAD)
        event = head_feed(h, bytes, used, e);
    else if (h->phase == PHASE_BODY)
        event = body_feed(h, bytes, used, e);
    else if (h->phase == PHASE_DEAD)
        return err_set(e, E_INPUT, 0, "the message before was malformed");
    if (event < 0) {
        http1_release(h);
        h->phase = PHASE_DEAD;
    }
    return event;
}

int http1_eof(struct http1 *h, struct err *e)
{
    CHECK(h->reader || h->phase != PHASE_BODY);
    bool begun = h->reader && (h->reader->n > 2 || h->reader->lines.in_line);
    if (h->phase == PHASE_END || (h->phase == PHASE_HEAD && !begun))
        return HTTP1_MORE;
    if (h->phase == PHASE_BODY && (h->reader->over || h->head.framing == HTTP1_UNTIL_CLOSE)) {
        h->phase = PHASE_END;
        return HTTP1_END;
    }
    http1_release(h);
    h->phase = PHASE_DEAD;
    return err_set(e, E_INPUT, 0, "the message is cut off");
}
