#include "model/script.h"
#include "proto/json_slice.h"

#include <stdlib.h>

static size_t character(struct str s)
{
    size_t n = 1;
    while (n < s.n && ((unsigned char)s.p[n] & 0xc0) == 0x80)
        n++;
    return n;
}

/* Goes back to the last star only: linear in practice, at worst lengths multiplied. */
bool script_glob(struct str pattern, struct str text)
{
    struct str star = { 0 }, from = { 0 };
    for (;;) {
        if (pattern.n && pattern.p[0] == '*') {
            star = pattern = str_skip(pattern, 1);
            from = text;
        } else if (pattern.n && text.n && pattern.p[0] == '?') {
            pattern = str_skip(pattern, 1);
            text = str_skip(text, character(text));
        } else if (pattern.n && text.n && pattern.p[0] == text.p[0]) {
            pattern = str_skip(pattern, 1);
            text = str_skip(text, 1);
        } else if (!pattern.n && !text.n) {
            return true;
        } else if (star.p && from.n) {
            from = str_skip(from, character(from));
            pattern = star;
            text = from;
        } else {
            return false;
        }
    }
}

static bool matches(const struct script_match *m, struct str text)
{
    return (!m->contains.p || str_has(text, m->contains)) &&
           (!m->lacks.p || !str_has(text, m->lacks)) && (!m->equals.p || str_eq(text, m->equals)) &&
           (!m->glob.p || script_glob(m->glob, text));
}

/* One of the results has to fit in everything. */
static bool matches_result(const struct script_match *m, const struct conversation *c)
{
    for (size_t i = 0; i < c->result_count; i++) {
        const struct told_result *r = &c->results[i];
        if (matches(m, r->text) && (!m->tool.p || str_eq(m->tool, r->tool)) &&
            (!m->asks_error || m->is_error == r->is_error))
            return true;
    }
    return false;
}

static bool in_range(const struct script_range *r, uint64_t n)
{
    return !r->given || (n >= r->min && n <= r->max);
}

static bool is_offered(struct str tool, struct str tools)
{
    struct json_slice s;
    AUTO_ARENA arena;
    arena_init(&arena, 1 << 20);
    if (!json_slice_begin(&s, tools))
        return false;
    while (json_slice_next(&s)) {
        struct str name = { 0 };
        if (json_slice_str(json_slice_get(s.value, "name"), &name, &arena) && str_eq(name, tool))
            return true;
    }
    return false;
}

static bool holds(const struct script_turn *t, const struct conversation *c,
                  const struct model_request *request)
{
    return (!t->user.given || matches(&t->user, c->user)) &&
           (!t->result.given || matches_result(&t->result, c)) &&
           (!t->system.given || matches(&t->system, request->system)) &&
           in_range(&t->round, c->round) && in_range(&t->answer, c->answer) &&
           (!t->offers.p || is_offered(t->offers, request->tools));
}

/* The first turn that is not used up and whose conditions hold. */
static const struct script_turn *next_turn(const struct script *s, const uint64_t *used,
                                           const struct conversation *c,
                                           const struct model_request *request, bool summary)
{
    for (size_t i = 0; i < s->count; i++) {
        const struct script_turn *t = &s->turns[i];
        if (t->for_summaries == summary && used[i] < t->uses && holds(t, c, request))
            return t;
    }
    return NULL;
}

const struct script_turn *script_choose(const struct script *s, struct conversation *c,
                                        const struct model_request *request)
{
    uint64_t *used = mem_array(s->count, sizeof *used);
    for (;;) {
        bool there = c->at < c->count; /* an answer was given here: which turn was that? */
        bool summary = !there && request->no_tools;
        const struct script_turn *t = next_turn(s, used, c, request, summary);
        if (!there) {
            free(used);
            return t;
        }
        if (t)
            used[t - s->turns]++;
        conversation_step(c);
    }
}
