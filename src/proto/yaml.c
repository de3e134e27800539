#include "proto/yaml.h"

#include "proto/json_make.h"

#include <stdlib.h>
#include <yaml.h>

struct reader {
    yaml_parser_t parser;
    struct places *places; /* owned until handed over; NULL when nobody wants them */
    size_t values;
    struct err *e;
};

struct node {
    size_t place; /* its number in `places` */
    size_t depth;
};

static void event_drop(yaml_event_t *event)
{
    yaml_event_delete(event);
}
#define AUTO_EVENT CLEANUP(event_drop) yaml_event_t

static int fail_at(struct reader *r, yaml_mark_t mark, const char *why)
{
    return err_set(r->e, E_INPUT, 0, "line %zu, column %zu: %s", mark.line + 1, mark.column + 1,
                   why);
}

/* libyaml's own words are constants: they hold nothing of the text. */
static int next_event(struct reader *r, yaml_event_t *event)
{
    if (yaml_parser_parse(&r->parser, event))
        return 0;
    *event = (yaml_event_t){ 0 };
    const char *problem = r->parser.problem ? r->parser.problem : "cannot be read";
    if (r->parser.error == YAML_READER_ERROR)
        return err_set(r->e, E_INPUT, 0, "byte %zu: %s", r->parser.problem_offset, problem);
    return fail_at(r, r->parser.problem_mark, problem);
}

/* The value of a plain scalar by the core schema of YAML 1.2 (section 10.3.2). */
enum plain {
    PLAIN_STRING,
    PLAIN_NULL,
    PLAIN_TRUE,
    PLAIN_FALSE,
    PLAIN_INTEGER,
    PLAIN_REAL,
    PLAIN_BAD
};

static bool is_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    return s.n > 0;
}

static struct str skip_sign(struct str s)
{
    return s.n && (s.p[0] == '-' || s.p[0] == '+') ? str_skip(s, 1) : s;
}

/* [0-9]+ or [0-9]+.[0-9]* or .[0-9]+, then an exponent or none. */
static bool is_real(struct str s)
{
    size_t whole = 0, part = 0, at = 0;
    for (; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++)
        whole++;
    if (at < s.n && s.p[at] == '.')
        for (at++; at < s.n && s.p[at] >= '0' && s.p[at] <= '9'; at++)
            part++;
    if (whole + part == 0)
        return false;
    s = str_skip(s, at);
    if (s.n == 0)
        return true;
    return (s.p[0] == 'e' || s.p[0] == 'E') && is_digits(skip_sign(str_skip(s, 1)));
}

static bool read_radix(struct str s, unsigned bits, int64_t *out)
{
    static const char digits[] = "0123456789abcdef";
    uint64_t value = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i] >= 'A' && s.p[i] <= 'F' ? (char)(s.p[i] + 32) : s.p[i];
        const char *at = memchr(digits, c, (size_t)1 << bits);
        if (!at || value >> (63 - bits))
            return false;
        value = value << bits | (uint64_t)(at - digits);
    }
    *out = (int64_t)value;
    return s.n > 0;
}

static bool read_decimal(struct str s, int64_t *out)
{
    bool minus = s.p[0] == '-';
    uint64_t value;
    if (!str_to_u64(skip_sign(s), &value) || value > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

static bool is_one_of(struct str s, const char *const words[3])
{
    for (int i = 0; i < 3; i++)
        if (str_eq(s, str_of(words[i])))
            return true;
    return false;
}

static enum plain read_plain(struct str s, int64_t *integer, double *real, const char **why)
{
    static const char *const nulls[] = { "null", "Null", "NULL" };
    static const char *const trues[] = { "true", "True", "TRUE" };
    static const char *const falses[] = { "false", "False", "FALSE" };
    if (s.n == 0 || str_eq(s, STR("~")) || is_one_of(s, nulls))
        return PLAIN_NULL;
    if (is_one_of(s, trues))
        return PLAIN_TRUE;
    if (is_one_of(s, falses))
        return PLAIN_FALSE;
    struct str bare = skip_sign(s);
    bool radix = str_starts(s, STR("0x")) || str_starts(s, STR("0o"));
    if (is_digits(bare) && bare.n > 1 && bare.p[0] == '0') {
        *why = "a number with a leading zero; quote it, or write 0o for octal";
        return PLAIN_BAD;
    }
    if (is_digits(bare) || radix) {
        bool good = radix ? read_radix(str_skip(s, 2), s.p[1] == 'x' ? 4 : 3, integer)
                          : read_decimal(s, integer);
        *why = "not an integer of 64 bits; quote it when it is text";
        return good ? PLAIN_INTEGER : PLAIN_BAD;
    }
    static const char *const infinite[] = { ".inf", ".Inf", ".INF" };
    static const char *const nan[] = { ".nan", ".NaN", ".NAN" };
    if (is_one_of(bare, infinite) || is_one_of(s, nan)) {
        *why = "not a finite number";
        return PLAIN_BAD;
    }
    if (!is_real(bare))
        return PLAIN_STRING;
    AUTO_FREE char *text = str_dup(s);
    *real = strtod(text, NULL);
    return PLAIN_REAL;
}

static struct json *read_scalar(struct reader *r, const yaml_event_t *event)
{
    struct str s = { (const char *)event->data.scalar.value, event->data.scalar.length };
    struct json *made = NULL;
    const char *why = "a NUL, or bytes that are not UTF-8";
    int64_t integer = 0;
    double real = 0;
    enum plain plain = PLAIN_STRING;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        plain = read_plain(s, &integer, &real, &why);
    if (plain == PLAIN_STRING)
        made = json_make_str(s);
    else if (plain == PLAIN_NULL)
        made = json_make_null();
    else if (plain == PLAIN_TRUE || plain == PLAIN_FALSE)
        made = json_make_bool(plain == PLAIN_TRUE);
    else if (plain == PLAIN_INTEGER)
        made = json_make_i64(integer);
    else if (plain == PLAIN_REAL)
        made = json_make_real(real);
    if (plain == PLAIN_REAL && !made)
        why = "not a finite number";
    if (!made)
        fail_at(r, event->start_mark, why);
    return made;
}

/* The anchor or the tag that the event bears is refused. */
static int check_bare(struct reader *r, const yaml_event_t *event)
{
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (event->type == YAML_SCALAR_EVENT) {
        anchor = event->data.scalar.anchor;
        tag = event->data.scalar.tag;
    } else if (event->type == YAML_SEQUENCE_START_EVENT) {
        anchor = event->data.sequence_start.anchor;
        tag = event->data.sequence_start.tag;
    } else if (event->type == YAML_MAPPING_START_EVENT) {
        anchor = event->data.mapping_start.anchor;
        tag = event->data.mapping_start.tag;
    }
    if (event->type == YAML_ALIAS_EVENT || anchor)
        return fail_at(r, event->start_mark, "anchors and aliases are not accepted");
    return tag ? fail_at(r, event->start_mark, "tags are not accepted") : 0;
}

static struct json *read_value(struct reader *r, const yaml_event_t *event, struct node node);

static int read_items(struct reader *r, struct json *array, struct node node)
{
    for (size_t i = 0;; i++) {
        AUTO_EVENT event;
        if (next_event(r, &event) < 0)
            return -1;
        if (event.type == YAML_SEQUENCE_END_EVENT)
            return 0;
        struct node below = { .depth = node.depth + 1 };
        if (r->places)
            below.place = places_add_item(r->places, node.place, i, event.start_mark.line + 1);
        struct json *item = read_value(r, &event, below);
        if (!item)
            return -1;
        json_make_item(array, item);
    }
}

/* A key is its text, whatever type the same text would have as a value. */
static int check_key(struct reader *r, const yaml_event_t *event)
{
    if (check_bare(r, event) < 0)
        return -1;
    if (event->type != YAML_SCALAR_EVENT)
        return fail_at(r, event->start_mark, "a key must be a text");
    struct str key = { (const char *)event->data.scalar.value, event->data.scalar.length };
    if (key.n == 0)
        return fail_at(r, event->start_mark, "an empty key");
    if (!str_is_utf8(key) || str_index(key, '\0') >= 0)
        return fail_at(r, event->start_mark, "a NUL, or bytes that are not UTF-8");
    return 0;
}

static int read_member(struct reader *r, struct json *object, const yaml_event_t *event,
                       struct node node)
{
    struct str key = { (const char *)event->data.scalar.value, event->data.scalar.length };
    AUTO_EVENT behind;
    if (next_event(r, &behind) < 0)
        return -1;
    struct node below = { .depth = node.depth + 1 };
    if (r->places)
        below.place = places_add_member(r->places, node.place, key, event->start_mark.line + 1);
    AUTO_JSON value = read_value(r, &behind, below);
    if (!value)
        return -1;
    if (!json_make_member(object, key, value))
        return fail_at(r, event->start_mark, "this key stands here a second time");
    mem_take(&value);
    return 0;
}

static int read_members(struct reader *r, struct json *object, struct node node)
{
    for (;;) {
        AUTO_EVENT event;
        if (next_event(r, &event) < 0)
            return -1;
        if (event.type == YAML_MAPPING_END_EVENT)
            return 0;
        if (check_key(r, &event) < 0 || read_member(r, object, &event, node) < 0)
            return -1;
    }
}

/* NULL after a problem. Recursion is bounded by JSON_DEPTH_MAX. */
static struct json *read_value(struct reader *r, const yaml_event_t *event, struct node node)
{
    if (check_bare(r, event) < 0)
        return NULL;
    if (++r->values > JSON_VALUES_MAX) {
        fail_at(r, event->start_mark, "too many values (200,000 at most)");
        return NULL;
    }
    if (event->type == YAML_SCALAR_EVENT)
        return read_scalar(r, event);
    if (node.depth == JSON_DEPTH_MAX) {
        fail_at(r, event->start_mark, "nested too deeply (64 levels at most)");
        return NULL;
    }
    bool sequence = event->type == YAML_SEQUENCE_START_EVENT;
    AUTO_JSON made = sequence ? json_make_array() : json_make_object();
    if ((sequence ? read_items(r, made, node) : read_members(r, made, node)) < 0)
        return NULL;
    return mem_take(&made);
}

/* Steps over `count` events that carry nothing. */
static int skip_events(struct reader *r, int count)
{
    for (int i = 0; i < count; i++) {
        AUTO_EVENT event;
        if (next_event(r, &event) < 0)
            return -1;
    }
    return 0;
}

static struct json *read_document(struct reader *r)
{
    AUTO_EVENT start = { 0 }, first = { 0 };
    if (skip_events(r, 1) < 0 || next_event(r, &start) < 0) /* behind the start of the stream */
        return NULL;
    if (start.type == YAML_STREAM_END_EVENT)
        return json_make_null();
    if (next_event(r, &first) < 0)
        return NULL;
    if (r->places)
        places_add_item(r->places, 0, 0, first.start_mark.line + 1);
    AUTO_JSON root = read_value(r, &first, (struct node){ 0 });
    if (!root || skip_events(r, 1) < 0)
        return NULL;
    AUTO_EVENT behind;
    if (next_event(r, &behind) < 0)
        return NULL;
    if (behind.type != YAML_STREAM_END_EVENT) {
        fail_at(r, behind.start_mark, "a second document; only one is accepted");
        return NULL;
    }
    return mem_take(&root);
}

int yaml_parse(struct str text, struct json **out, struct places **places, struct err *e)
{
    if (text.n > YAML_TEXT_MAX)
        return err_set(e, E_INPUT, 0, "the text has %zu bytes; %d are the most", text.n,
                       YAML_TEXT_MAX);
    struct reader r = { .e = e, .places = places ? places_new() : NULL };
    if (!yaml_parser_initialize(&r.parser))
        return err_set(e, E_IO, 0, "no memory for reading YAML");
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)(text.n ? text.p : ""), text.n);
    struct json *root = read_document(&r);
    yaml_parser_delete(&r.parser);
    if (!root) {
        places_free(r.places);
        return -1;
    }
    *out = root;
    if (places)
        *places = r.places;
    return 0;
}
