#include "proto/dbus.h"

#include "base/check.h"

#include <stdio.h>

enum {
    VERSION = 1,
    FIXED_HEAD = 16, /* up to and with the length of the fields */
    FLAG_NO_AUTO_START = 2,
    GREETING_MAX = 512,
    FIELDS_MAX = 32
};

enum field {
    PATH = 1,
    INTERFACE,
    MEMBER,
    ERROR_NAME,
    REPLY_SERIAL,
    DESTINATION,
    SENDER,
    SIGNATURE
};

static void pad(struct buf *out, size_t align)
{
    while (out->n % align)
        buf_add_byte(out, 0);
}

static void put_number(struct buf *out, uint64_t value, size_t size)
{
    pad(out, size);
    for (size_t i = 0; i < size; i++)
        buf_add_byte(out, (char)(value >> 8 * i));
}

void dbus_put_u32(struct buf *out, uint32_t value)
{
    put_number(out, value, 4);
}

void dbus_put_u64(struct buf *out, uint64_t value)
{
    put_number(out, value, 8);
}

void dbus_put_string(struct buf *out, const char *text)
{
    struct str s = str_of(text);
    dbus_put_u32(out, (uint32_t)s.n);
    buf_add(out, s);
    buf_add_byte(out, 0);
}

void dbus_put_signature(struct buf *out, const char *signature)
{
    struct str s = str_of(signature);
    CHECK(s.n <= 255);
    buf_add_byte(out, (char)s.n);
    buf_add(out, s);
    buf_add_byte(out, 0);
}

void dbus_put_struct(struct buf *out)
{
    pad(out, 8);
}

static void set_u32(struct buf *out, size_t at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++)
        out->p[at + i] = (char)(value >> 8 * i);
}

size_t dbus_begin_array(struct buf *out, size_t align)
{
    dbus_put_u32(out, 0);
    size_t array = out->n - 4;
    pad(out, align);
    return array;
}

/* The padding in front of the first item is not counted. */
void dbus_end_array(struct buf *out, size_t array, size_t align)
{
    size_t first = array + 4;
    first += (align - first % align) % align;
    set_u32(out, array, (uint32_t)(out->n - first));
}

void dbus_put_greeting(struct buf *out, uint32_t uid)
{
    char digits[16];
    snprintf(digits, sizeof digits, "%u", uid);
    buf_add_byte(out, 0);
    buf_add(out, STR("AUTH EXTERNAL "));
    for (const char *at = digits; *at; at++)
        buf_addf(out, "%02x", (unsigned)*at);
    buf_add(out, STR("\r\n"));
}

int dbus_read_greeting(struct str bytes, size_t *taken, struct err *e)
{
    ptrdiff_t end = str_index(bytes, '\n');
    if (end < 0)
        return bytes.n < GREETING_MAX ? 0
                                      : err_set(e, E_IO, 0, "the bus greets at too great length");
    if (end < 1 || bytes.p[end - 1] != '\r' || !str_starts(bytes, STR("OK ")))
        return err_set(e, E_DENIED, 0, "the bus does not let us in");
    *taken = (size_t)end + 1;
    return 1;
}

void dbus_put_begin(struct buf *out)
{
    buf_add(out, STR("BEGIN\r\n"));
}

static void put_field(struct buf *out, enum field code, const char *type, const char *text)
{
    dbus_put_struct(out);
    buf_add_byte(out, (char)code);
    dbus_put_signature(out, type);
    if (code == SIGNATURE)
        dbus_put_signature(out, text);
    else
        dbus_put_string(out, text);
}

void dbus_put_call(struct buf *out, const struct dbus_call *call)
{
    AUTO_BUF head = { 0 }; /* of its own: padding counts from the message's first byte */
    buf_add_byte(&head, 'l');
    buf_add_byte(&head, DBUS_CALL);
    buf_add_byte(&head, FLAG_NO_AUTO_START);
    buf_add_byte(&head, VERSION);
    dbus_put_u32(&head, (uint32_t)call->body.n);
    dbus_put_u32(&head, call->serial);
    size_t fields = dbus_begin_array(&head, 8);
    put_field(&head, PATH, "o", call->path);
    put_field(&head, INTERFACE, "s", call->interface);
    put_field(&head, MEMBER, "s", call->member);
    put_field(&head, DESTINATION, "s", call->destination);
    if (*call->signature)
        put_field(&head, SIGNATURE, "g", call->signature);
    dbus_end_array(&head, fields, 8);
    pad(&head, 8);
    buf_add(out, buf_str(&head));
    if (call->body.n)
        buf_add(out, call->body);
}

/* Reads from a whole message; `bad` stays set after the first thing that is wrong. */
struct reader {
    struct str bytes;
    size_t at, end;
    bool big, bad;
};

static uint32_t number_at(const struct reader *r, size_t at)
{
    uint32_t value = 0;
    for (size_t i = 0; i < 4; i++)
        value |= (uint32_t)(unsigned char)r->bytes.p[at + i] << 8 * (r->big ? 3 - i : i);
    return value;
}

/* False when there are no `n` more bytes. */
static bool has(struct reader *r, size_t n)
{
    r->bad = r->bad || n > r->end - r->at;
    return !r->bad;
}

static void skip_padding(struct reader *r, size_t align)
{
    while (!r->bad && r->at % align)
        if (has(r, 1) && r->bytes.p[r->at++] != 0)
            r->bad = true;
}

static uint8_t read_byte(struct reader *r)
{
    return has(r, 1) ? (uint8_t)r->bytes.p[r->at++] : 0;
}

static uint32_t read_u32(struct reader *r)
{
    skip_padding(r, 4);
    if (!has(r, 4))
        return 0;
    r->at += 4;
    return number_at(r, r->at - 4);
}

/* `n` bytes and their NUL. */
static struct str read_text(struct reader *r, size_t n)
{
    struct str text = { r->bytes.p + r->at, n };
    if (!has(r, n + 1) || text.p[n] != 0 || str_index(text, '\0') >= 0 || !str_is_utf8(text)) {
        r->bad = true;
        return (struct str){ 0 };
    }
    r->at += n + 1;
    return text;
}

static struct str read_string(struct reader *r)
{
    size_t n = read_u32(r);
    return read_text(r, n);
}

static struct str read_signature(struct reader *r)
{
    size_t n = read_byte(r);
    return read_text(r, n);
}

/* A value of one basic type, which nobody here asks for. */
static void skip_value(struct reader *r, char type)
{
    static const struct {
        char type;
        size_t size;
    } rows[] = { { 'y', 1 }, { 'n', 2 }, { 'q', 2 }, { 'b', 4 }, { 'i', 4 },
                 { 'u', 4 }, { 'h', 4 }, { 'x', 8 }, { 't', 8 }, { 'd', 8 } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].type == type) {
            skip_padding(r, rows[i].size);
            r->at += has(r, rows[i].size) ? rows[i].size : 0;
            return;
        }
    if (type == 's' || type == 'o')
        read_string(r);
    else if (type == 'g')
        read_signature(r);
    else
        r->bad = true;
}

/* One field of the head. Those that we know must have their type; others are stepped over. */
static void read_field(struct reader *r, struct dbus_message *out)
{
    skip_padding(r, 8);
    uint8_t code = read_byte(r);
    struct str type = read_signature(r);
    r->bad = r->bad || code == 0 || type.n != 1;
    if (r->bad)
        return;
    switch (code) {
    case ERROR_NAME:
        r->bad = *type.p != 's' || out->error_name.p;
        out->error_name = r->bad ? out->error_name : read_string(r);
        break;
    case REPLY_SERIAL:
        r->bad = *type.p != 'u' || out->reply_to;
        out->reply_to = r->bad ? 0 : read_u32(r);
        r->bad = r->bad || out->reply_to == 0;
        break;
    case SIGNATURE:
        r->bad = *type.p != 'g' || out->signature.p;
        out->signature = r->bad ? out->signature : read_signature(r);
        break;
    default:
        skip_value(r, *type.p);
    }
}

static void read_fields(struct reader *r, size_t end, struct dbus_message *out)
{
    size_t whole = r->end;
    r->end = end;
    for (int i = 0; !r->bad && r->at < end; i++) {
        read_field(r, out);
        r->bad = r->bad || i == FIELDS_MAX;
    }
    r->end = whole;
    skip_padding(r, 8);
}

/* What must be there for the type. */
static bool is_complete(const struct dbus_message *m, size_t body)
{
    if ((m->type == DBUS_RETURN || m->type == DBUS_ERROR) && !m->reply_to)
        return false;
    if (m->type == DBUS_ERROR && !m->error_name.n)
        return false;
    return body == 0 || m->signature.n > 0;
}

int dbus_read(struct str bytes, struct dbus_message *out, size_t *taken, struct err *e)
{
    struct reader r = { .bytes = bytes, .end = bytes.n };
    *out = (struct dbus_message){ 0 };
    if (bytes.n < FIXED_HEAD)
        return 0;
    r.big = bytes.p[0] == 'B';
    out->type = (enum dbus_type)(unsigned char)bytes.p[1];
    size_t body = number_at(&r, 4), fields = number_at(&r, 12);
    out->serial = number_at(&r, 8);
    if ((!r.big && bytes.p[0] != 'l') || bytes.p[3] != VERSION || (int)out->type == 0 ||
        out->serial == 0)
        return err_set(e, E_IO, 0, "the bus sends something that is no message");
    if (body > DBUS_MESSAGE_MAX || fields > DBUS_MESSAGE_MAX)
        return err_set(e, E_IO, 0, "the bus sends a message that is too large");
    size_t head = (FIXED_HEAD + fields + 7) / 8 * 8;
    if (head + body > DBUS_MESSAGE_MAX)
        return err_set(e, E_IO, 0, "the bus sends a message that is too large");
    if (bytes.n < head + body)
        return 0;
    r.at = FIXED_HEAD;
    r.end = head + body;
    read_fields(&r, FIXED_HEAD + fields, out);
    bool has_text = out->signature.n && (*out->signature.p == 's' || *out->signature.p == 'o');
    if (!r.bad && has_text)
        out->text = read_string(&r);
    if (r.bad || !is_complete(out, body))
        return err_set(e, E_IO, 0, "the bus sends a message that cannot be read");
    *taken = head + body;
    return 1;
}
