#include "proto/http1-int.h"

#include "base/check.h"

#include "proto/http1_target.h"

/* More options in Connection fields than anybody has; bounds the work of http1_is_hop_by_hop. */
enum { CONNECTION_OPTIONS_MAX = 64 };

bool http1_lines_byte(struct http1_lines *s, char c)
{
    if (s->after_cr) {
        *s = (struct http1_lines){ 0 };
        return c == '\n';
    }
    if (c == '\r') {
        s->after_cr = true;
        return true;
    }
    bool blank = c == ' ' || c == '\t';
    bool control = (unsigned char)c < 0x20 || c == 0x7f;
    bool good = blank ? s->in_line : !control;
    if (c == '\t')
        good = s->in_line;
    s->in_line = true;
    return good;
}

/* RFC 9110 5.6.2 */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!letter && (c == '\0' || !strchr("!#$%&'*+-.^_`|~", c)))
            return false;
    }
    return s.n > 0;
}

/* Takes the first line, without its CR LF, off *rest. */
static struct str cut_line(struct str *rest)
{
    struct str line = { 0 };
    str_cut(rest, '\n', &line);
    line.n -= line.n > 0;
    return line;
}

size_t http1_head_count(struct str bytes)
{
    size_t lines = 0;
    for (size_t i = 0; i < bytes.n; i++)
        lines += bytes.p[i] == '\n';
    return lines - 2; /* the start line and the empty one */
}

static bool version_parse(struct str text, int *minor)
{
    if (!str_eq(text, STR("HTTP/1.1")) && !str_eq(text, STR("HTTP/1.0")))
        return false;
    *minor = text.p[7] - '0';
    return true;
}

static int request_line_parse(struct http1_head *head, struct str line, struct err *e)
{
    struct str rest = line;
    bool whole = str_cut(&rest, ' ', &head->method) && str_cut(&rest, ' ', &head->target);
    if (!whole || !version_parse(rest, &head->minor))
        return err_set(e, E_INPUT, 0, "the request line is not METHOD TARGET HTTP/1.x");
    if (!is_token(head->method) || head->target.n == 0)
        return err_set(e, E_INPUT, 0, "the request line is malformed");
    for (size_t i = 0; i < head->target.n; i++)
        if (head->target.p[i] < 0x21 || head->target.p[i] > 0x7e)
            return err_set(e, E_INPUT, 0, "the request target holds a byte it must not");
    return 0;
}

/* Some servers leave out the blank before an empty reason. */
static int status_line_parse(struct http1_head *head, struct str line, struct err *e)
{
    struct str rest = line, version = { 0 }, digits = { 0 };
    uint64_t status = 0;
    str_cut(&rest, ' ', &version);
    str_cut(&rest, ' ', &digits);
    if (!version_parse(version, &head->minor) || digits.n != 3 || !str_to_u64(digits, &status) ||
        status < 100 || status > 599)
        return err_set(e, E_INPUT, 0, "the status line is malformed");
    head->status = (int)status;
    head->reason = rest.p ? rest : (struct str){ line.p + line.n, 0 };
    return 0;
}

static int fields_parse(struct http1_head *head, struct str rest, struct http1_field *fields,
                        struct err *e)
{
    for (struct str line = cut_line(&rest); line.n; line = cut_line(&rest)) {
        struct http1_field *f = &fields[head->count++];
        f->value = line;
        str_cut(&f->value, ':', &f->name);
        if (!f->value.p || !is_token(f->name))
            return err_set(e, E_INPUT, 0, "a field line is malformed");
        f->value = str_trim(f->value);
    }
    head->fields = fields;
    return 0;
}

/* How many fields have that name; *value is the last one's. */
static size_t fields_named(const struct http1_head *head, struct str name, struct str *value)
{
    CHECK(head->fields || !head->count);
    size_t count = 0;
    for (size_t i = 0; i < head->count; i++)
        if (str_eq_nocase(head->fields[i].name, name)) {
            *value = head->fields[i].value;
            count++;
        }
    return count;
}

static int connection_check(const struct http1_head *head, struct err *e)
{
    CHECK(head->fields || !head->count);
    size_t options = 0;
    for (size_t i = 0; i < head->count; i++) {
        if (!str_eq_nocase(head->fields[i].name, STR("Connection")))
            continue;
        struct str rest = head->fields[i].value;
        for (struct str option; str_cut(&rest, ',', &option);) {
            option = str_trim(option);
            if (++options > CONNECTION_OPTIONS_MAX || (option.n && !is_token(option)))
                return err_set(e, E_INPUT, 0, "the Connection field is malformed");
        }
    }
    return 0;
}

static int host_check(const struct http1_head *head, struct err *e)
{
    struct str value = { 0 }, host;
    uint16_t port;
    size_t count = fields_named(head, STR("Host"), &value);
    /* The target of CONNECT says all that Host could, and some clients leave it out. */
    bool may_lack = head->minor == 0 || str_eq(head->method, STR("CONNECT"));
    if (count > 1 || (count == 0 && !may_lack))
        return err_set(e, E_INPUT, 0, "there must be one Host field");
    /* Beside another form of target, which says the host itself, Host is the caller's to judge. */
    if (count && str_starts(head->target, STR("/")) &&
        http1_authority_parse(value, 80, &host, &port, e) != 0)
        return err_set(e, E_INPUT, 0, "the Host field is malformed");
    return 0;
}

/* Content-Length and Transfer-Encoding, in the only ways that cannot be read differently: one
 * number, or "chunked" alone in HTTP/1.1, never both. */
static int framing_parse(struct http1_head *head, struct err *e)
{
    struct str length = { 0 }, coding = { 0 };
    size_t lengths = fields_named(head, STR("Content-Length"), &length);
    size_t codings = fields_named(head, STR("Transfer-Encoding"), &coding);
    if (lengths && codings)
        return err_set(e, E_INPUT, 0, "both Content-Length and Transfer-Encoding");
    if (lengths > 1 || codings > 1)
        return err_set(e, E_INPUT, 0, "Content-Length or Transfer-Encoding twice");
    if (codings) {
        if (head->minor == 0 || !str_eq_nocase(coding, STR("chunked")))
            return err_set(e, E_INPUT, 0, "a Transfer-Encoding other than \"chunked\" in HTTP/1.1");
        head->framing = HTTP1_CHUNKED;
    }
    if (lengths) {
        if (!str_to_u64(length, &head->length) || head->length > INT64_MAX)
            return err_set(e, E_INPUT, 0, "Content-Length is not a number");
        head->framing = HTTP1_LENGTH;
    }
    return 0;
}

static bool wants_upgrade(const struct http1_head *head)
{
    return head->minor == 1 && http1_field(head, STR("Upgrade")).n &&
           http1_has_token(head, STR("Connection"), STR("upgrade"));
}

static int request_check(struct http1_head *head, struct err *e)
{
    if (host_check(head, e) != 0)
        return -1;
    if (str_eq(head->method, STR("CONNECT"))) {
        if (head->framing == HTTP1_CHUNKED || head->length)
            return err_set(e, E_INPUT, 0, "CONNECT with a body");
        head->framing = HTTP1_NONE;
        head->upgrade = true;
    } else {
        head->upgrade = wants_upgrade(head);
    }
    return 0;
}

/* RFC 9112 6.3: which responses have no body whatever their fields say. */
static int response_check(const struct http1 *h, struct http1_head *head, struct err *e)
{
    bool interim = head->status < 200, claims_body = head->framing == HTTP1_CHUNKED || head->length;
    if (interim && claims_body)
        return err_set(e, E_INPUT, 0, "an interim response with a body");
    if (interim || head->status == 204 || head->status == 304 || h->no_body) {
        head->framing = HTTP1_NONE;
        head->upgrade = head->status == 101;
        /* A body after 204 all the same would be read as the next response. */
        if (head->status == 204 && claims_body)
            head->keep_alive = false;
    } else if (h->connect && head->status < 300) {
        head->framing = HTTP1_NONE;
        head->upgrade = true;
    } else if (head->framing == HTTP1_NONE) {
        head->framing = HTTP1_UNTIL_CLOSE;
        head->keep_alive = false;
    }
    return 0;
}

int http1_head_parse(struct http1 *h, struct str bytes, struct http1_field *fields, struct err *e)
{
    struct http1_head *head = &h->head;
    *head = (struct http1_head){ 0 };
    struct str rest = bytes, line = cut_line(&rest);
    bool request = h->kind == HTTP1_REQUEST;
    if ((request ? request_line_parse(head, line, e) : status_line_parse(head, line, e)) != 0)
        return -1;
    if (fields_parse(head, rest, fields, e) != 0 || connection_check(head, e) != 0 ||
        framing_parse(head, e) != 0)
        return -1;
    head->keep_alive =
        !http1_has_token(head, STR("Connection"), STR("close")) &&
        (head->minor == 1 || http1_has_token(head, STR("Connection"), STR("keep-alive")));
    return request ? request_check(head, e) : response_check(h, head, e);
}

struct str http1_field(const struct http1_head *head, struct str name)
{
    for (size_t i = 0; i < head->count; i++)
        if (str_eq_nocase(head->fields[i].name, name))
            return head->fields[i].value;
    return (struct str){ 0 };
}

bool http1_has_token(const struct http1_head *head, struct str name, struct str token)
{
    for (size_t i = 0; i < head->count; i++) {
        if (!str_eq_nocase(head->fields[i].name, name))
            continue;
        struct str rest = head->fields[i].value;
        for (struct str item; str_cut(&rest, ',', &item);)
            if (str_eq_nocase(str_trim(item), token))
                return true;
    }
    return false;
}

bool http1_is_hop_by_hop(const struct http1_head *head, struct str name)
{
    static const struct str always[] = {
        STR("Connection"),
        STR("Keep-Alive"),
        STR("Proxy-Connection"),
        STR("Proxy-Authorization"),
        STR("Proxy-Authenticate"),
        STR("Proxy-Authentication-Info"),
        STR("TE"),
        STR("Trailer"),
        STR("Transfer-Encoding"),
        STR("Upgrade"),
        STR("HTTP2-Settings"),
    };
    for (size_t i = 0; i < sizeof always / sizeof *always; i++)
        if (str_eq_nocase(name, always[i]))
            return true;
    return http1_has_token(head, STR("Connection"), name);
}
