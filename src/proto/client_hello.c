#include "proto/client_hello.h"

enum {
    RECORD_HEAD = 5,
    RECORD_MAX = 16 << 10, /* RFC 8446 5.1 */
    CONTENT_HANDSHAKE = 22,
    HANDSHAKE_HEAD = 4,
    HANDSHAKE_CLIENT_HELLO = 1,
    EXTENSION_SERVER_NAME = 0,
    EXTENSION_ECH = 0xfe0d,
    NAME_TYPE_HOST = 0
};

/* The handshake message, taken out of its records. */
struct message {
    unsigned char bytes[CLIENT_HELLO_MAX];
    size_t n;
    size_t length; /* with its head; 0 while that is not known */
};

static unsigned byte_at(struct str s, size_t i)
{
    return (unsigned char)s.p[i];
}

static unsigned u16_at(struct str s, size_t i)
{
    return byte_at(s, i) << 8 | byte_at(s, i + 1);
}

/* Adds what one record carries. READ: the message is complete, and the record holds nothing else. */
static enum client_hello_verdict message_add(struct message *m, struct str fragment,
                                             size_t announced)
{
    if (announced > sizeof m->bytes - m->n)
        return CLIENT_HELLO_BAD;
    memcpy(m->bytes + m->n, fragment.p, fragment.n);
    size_t end = m->n + announced; /* where the message stands when all of the record is here */
    m->n += fragment.n;
    if (m->n && m->bytes[0] != HANDSHAKE_CLIENT_HELLO)
        return CLIENT_HELLO_BAD;
    if (m->n < HANDSHAKE_HEAD)
        return CLIENT_HELLO_MORE;
    m->length = HANDSHAKE_HEAD +
                ((size_t)m->bytes[1] << 16 | (size_t)m->bytes[2] << 8 | (size_t)m->bytes[3]);
    if (m->length > sizeof m->bytes || end > m->length)
        return CLIENT_HELLO_BAD;
    return m->n == m->length ? CLIENT_HELLO_READ : CLIENT_HELLO_MORE;
}

/* Judges the head of a record as far as it is here. `first`: nothing before says that this is TLS. */
static enum client_hello_verdict record_head(struct str rest, bool first)
{
    if (rest.n > 0 && byte_at(rest, 0) != CONTENT_HANDSHAKE)
        return first ? CLIENT_HELLO_NOT_TLS : CLIENT_HELLO_BAD;
    if (rest.n > 1 && byte_at(rest, 1) != 3)
        return first ? CLIENT_HELLO_NOT_TLS : CLIENT_HELLO_BAD;
    if (rest.n > 2 && byte_at(rest, 2) > 4)
        return CLIENT_HELLO_BAD;
    if (rest.n < RECORD_HEAD)
        return CLIENT_HELLO_MORE;
    unsigned length = u16_at(rest, 3);
    return length == 0 || length > RECORD_MAX ? CLIENT_HELLO_BAD : CLIENT_HELLO_READ;
}

static enum client_hello_verdict message_gather(struct message *m, struct str rest)
{
    for (bool first = true;; first = false) {
        enum client_hello_verdict v = record_head(rest, first);
        if (v != CLIENT_HELLO_READ)
            return v;
        size_t announced = u16_at(rest, 3);
        rest = str_skip(rest, RECORD_HEAD);
        struct str fragment = { rest.p, rest.n < announced ? rest.n : announced };
        v = message_add(m, fragment, announced);
        if (v != CLIENT_HELLO_MORE || fragment.n < announced)
            return v;
        rest = str_skip(rest, announced);
    }
}

/* Takes a run with a length of `width` bytes in front off *rest. */
static bool take_vector(struct str *rest, size_t width, struct str *out)
{
    if (rest->n < width)
        return false;
    size_t length = width == 1 ? byte_at(*rest, 0) : u16_at(*rest, 0);
    *rest = str_skip(*rest, width);
    if (rest->n < length)
        return false;
    *out = (struct str){ rest->p, length };
    *rest = str_skip(*rest, length);
    return true;
}

static bool is_name_byte(char c)
{
    char lower = (char)(c | 0x20);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
}

/* RFC 6066 3: a list of names, of which there is only one kind, one at most of each. */
static bool server_name_parse(struct str data, struct client_hello *out)
{
    struct str list, name;
    if (!take_vector(&data, 2, &list) || data.n || list.n == 0)
        return false;
    bool host = byte_at(list, 0) == NAME_TYPE_HOST;
    list = str_skip(list, 1);
    if (!host || !take_vector(&list, 2, &name) || list.n || name.n == 0 ||
        name.n >= sizeof out->name)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        if (!is_name_byte(name.p[i]))
            return false;
        out->name[i] = name.p[i];
    }
    out->name[name.n] = '\0';
    return true;
}

static bool extensions_parse(struct str rest, struct client_hello *out)
{
    while (rest.n) {
        struct str data;
        if (rest.n < 4)
            return false;
        unsigned type = u16_at(rest, 0);
        rest = str_skip(rest, 2);
        if (!take_vector(&rest, 2, &data))
            return false;
        if (type == EXTENSION_SERVER_NAME && (out->name[0] || !server_name_parse(data, out)))
            return false;
        if (type == EXTENSION_ECH) {
            if (out->ech)
                return false;
            out->ech = true;
        }
    }
    return true;
}

/* RFC 8446 4.1.2; before TLS 1.2 the extensions may be absent. */
static bool hello_parse(struct str rest, struct client_hello *out)
{
    enum { VERSION_AND_RANDOM = 2 + 32 };
    struct str session, suites, compression, extensions;
    if (rest.n < VERSION_AND_RANDOM || byte_at(rest, 0) != 3)
        return false;
    rest = str_skip(rest, VERSION_AND_RANDOM);
    if (!take_vector(&rest, 1, &session) || session.n > 32 || !take_vector(&rest, 2, &suites) ||
        suites.n < 2 || suites.n % 2 || !take_vector(&rest, 1, &compression) || !compression.n)
        return false;
    if (rest.n == 0)
        return true;
    return take_vector(&rest, 2, &extensions) && rest.n == 0 && extensions_parse(extensions, out);
}

enum client_hello_verdict client_hello_read(struct str bytes, struct client_hello *out)
{
    struct message m;
    m.n = m.length = 0;
    *out = (struct client_hello){ 0 };
    bool at_limit = bytes.n >= CLIENT_HELLO_BYTES_MAX;
    if (at_limit)
        bytes.n = CLIENT_HELLO_BYTES_MAX;
    enum client_hello_verdict v = message_gather(&m, bytes);
    if (v == CLIENT_HELLO_MORE && at_limit)
        return CLIENT_HELLO_BAD;
    if (v != CLIENT_HELLO_READ)
        return v;
    struct str body = { (const char *)m.bytes + HANDSHAKE_HEAD, m.length - HANDSHAKE_HEAD };
    if (hello_parse(body, out))
        return CLIENT_HELLO_READ;
    *out = (struct client_hello){ 0 };
    return CLIENT_HELLO_BAD;
}
