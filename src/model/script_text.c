#include "model/script_text.h"

#include "proto/json_write.h"

struct fill {
    const struct conversation *c;
    const struct model_request *request;
};

static struct str fill_user(const struct fill *f, struct buf *scratch)
{
    return f->c->user;
}

static struct str fill_results(const struct fill *f, struct buf *scratch)
{
    for (size_t i = 0; i < f->c->result_count; i++) {
        if (i)
            buf_add_byte(scratch, '\n');
        buf_add(scratch, f->c->results[i].text);
    }
    return buf_str(scratch);
}

static struct str fill_round(const struct fill *f, struct buf *scratch)
{
    buf_addf(scratch, "%llu", (unsigned long long)f->c->round);
    return buf_str(scratch);
}

static struct str fill_answer(const struct fill *f, struct buf *scratch)
{
    buf_addf(scratch, "%llu", (unsigned long long)f->c->answer);
    return buf_str(scratch);
}

static struct str fill_session(const struct fill *f, struct buf *scratch)
{
    return id_str(&f->request->session);
}

static struct str fill_model(const struct fill *f, struct buf *scratch)
{
    return f->request->model;
}

static const struct {
    const char *name;
    struct str (*fill)(const struct fill *f, struct buf *scratch);
} words[] = {
    { "user", fill_user },     { "result", fill_results },  { "round", fill_round },
    { "answer", fill_answer }, { "session", fill_session }, { "model", fill_model },
};

/* A word with a number behind: "result.3". */
static bool read_numbered(struct str word, struct str name, size_t *number)
{
    uint64_t n;
    if (!str_starts(word, name) || word.n == name.n || word.p[name.n] != '.' ||
        !str_to_u64(str_skip(word, name.n + 1), &n))
        return false;
    *number = n > 1000000 ? 1000000 : (size_t)n;
    return true;
}

/* False when the word stands for nothing. With f NULL the word is only looked at. */
static bool fill_word(struct str word, const struct fill *f, struct buf *out)
{
    size_t number;
    bool text = read_numbered(word, STR("result"), &number);
    if (text || read_numbered(word, STR("tool"), &number)) {
        if (f && number < f->c->result_count)
            buf_add(out, text ? f->c->results[number].text : f->c->results[number].tool);
        return true;
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (!str_eq(str_of(words[i].name), word))
            continue;
        AUTO_BUF scratch = { 0 };
        if (f)
            buf_add(out, words[i].fill(f, &scratch));
        return true;
    }
    return false;
}

/* Steps over plain text into *plain, and over what follows into *word; word->p is NULL at the end.
 * False for a "{{" that is not closed. */
static bool next_part(struct str *rest, struct str *plain, struct str *word)
{
    size_t at = 0;
    while (at < rest->n && !str_starts(str_skip(*rest, at), STR("{{")))
        at++;
    *plain = (struct str){ rest->p, at };
    *rest = str_skip(*rest, at);
    *word = (struct str){ 0 };
    if (rest->n == 0)
        return true;
    if (str_starts(*rest, STR("{{{{"))) {
        *plain = (struct str){ plain->p, at + 2 }; /* the first two stand for themselves */
        *rest = str_skip(*rest, 4);
        return true;
    }
    *rest = str_skip(*rest, 2);
    for (size_t end = 0; end + 1 < rest->n; end++)
        if (rest->p[end] == '}' && rest->p[end + 1] == '}') {
            *word = str_trim((struct str){ rest->p, end });
            *rest = str_skip(*rest, end + 2);
            return true;
        }
    return false;
}

const char *script_text_refuses(struct str text)
{
    while (text.n) {
        struct str plain, word;
        if (!next_part(&text, &plain, &word))
            return "a {{ without its }} (a plain {{ is written {{{{)";
        if (word.p && !fill_word(word, NULL, NULL))
            return "a {{...}} that stands for nothing; there are user, result, result.N, tool.N, "
                   "round, answer, session and model";
    }
    return NULL;
}

static int check_room(const struct buf *out, struct err *e)
{
    if (out->n <= SCRIPT_TEXT_MAX)
        return 0;
    return err_set(e, E_BUSY, 0, "the script's text has more than %d bytes", SCRIPT_TEXT_MAX);
}

int script_text_fill(struct buf *out, struct str text, uint64_t repeat,
                     const struct conversation *c, const struct model_request *request,
                     struct err *e)
{
    const struct fill f = { c, request };
    for (uint64_t i = 0; i < repeat; i++)
        for (struct str rest = text; rest.n;) {
            struct str plain, word;
            next_part(&rest, &plain, &word); /* script_text_refuses has looked at it */
            buf_add(out, plain);
            if (word.p)
                fill_word(word, &f, out);
            if (check_room(out, e) < 0)
                return -1;
        }
    return 0;
}

int script_text_fill_value(struct buf *out, const struct json *v, const struct conversation *c,
                           const struct model_request *request, struct err *e)
{
    struct str text = { 0 };
    if (json_to_str(v, &text)) {
        AUTO_BUF filled = { 0 };
        if (script_text_fill(&filled, text, 1, c, request, e) < 0)
            return -1;
        json_write_str(out, buf_str(&filled));
    } else if (json_kind_of(v) == JSON_IS_ARRAY) {
        json_write_array(out);
        for (size_t i = 0; i < json_count(v); i++)
            if (script_text_fill_value(out, json_at(v, i), c, request, e) < 0)
                return -1;
        json_write_array_end(out);
    } else if (json_kind_of(v) == JSON_IS_OBJECT) {
        json_write_object(out);
        for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
            json_write_key(out, m.key);
            if (script_text_fill_value(out, m.value, c, request, e) < 0)
                return -1;
        }
        json_write_object_end(out);
    } else {
        json_write_value(out, v);
    }
    return check_room(out, e);
}
