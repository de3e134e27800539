#include "web/content.h"

#include "web/html.h"

static struct str essence_of(struct str type)
{
    struct str rest = type, head = { 0 };
    str_cut(&rest, ';', &head);
    return str_trim(head);
}

static bool is_html(struct str type)
{
    return str_eq_nocase(type, STR("text/html")) ||
           str_eq_nocase(type, STR("application/xhtml+xml"));
}

static bool is_text(struct str type)
{
    static const char *const known[] = { "application/json", "application/xml",
                                         "application/x-yaml", "application/yaml",
                                         "application/javascript" };
    struct str head = { type.p, type.n < 5 ? type.n : 5 };
    if (type.n == 0 || str_eq_nocase(head, STR("text/")) || str_ends(type, STR("+json")) ||
        str_ends(type, STR("+xml")))
        return true;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (str_eq_nocase(type, str_of(known[i])))
            return true;
    return false;
}

/* Bytes above ASCII as ISO 8859-1, which is what a text that is no UTF-8 mostly is. */
static void add_latin(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c >= 0x80) {
            buf_add_byte(out, (char)(0xc0 | c >> 6));
            buf_add_byte(out, (char)(0x80 | (c & 0x3f)));
        } else if (c) {
            buf_add_byte(out, (char)c);
        }
    }
}

bool content_text(struct buf *out, struct buf *title, struct str type, struct str body)
{
    struct str essence = essence_of(type);
    AUTO_BUF utf8 = { 0 };
    if (!is_html(essence) && !is_text(essence))
        return false;
    if (!str_is_utf8(body) || memchr(body.p ? body.p : "", 0, body.n)) {
        add_latin(&utf8, body);
        body = buf_str(&utf8);
    }
    if (is_html(essence))
        html_text(out, title, body);
    else
        buf_add(out, body);
    return true;
}

void content_cut(struct buf *text, int64_t max_tokens)
{
    size_t most = max_tokens > 0 && max_tokens < CONTENT_CHARACTERS ? (size_t)max_tokens * 4
                                                                    : CONTENT_CHARACTERS;
    if (text->n <= most)
        return;
    while (most > 0 && ((unsigned char)text->p[most] & 0xc0) == 0x80)
        most--;
    size_t left = text->n - most;
    text->n = most;
    buf_addf(text, "\n[cut here: %zu bytes more]", left);
}
