#include "model/script.h"

#include "model/script_text.h"
#include "proto/json_slice.h"
#include "proto/schema.h"
#include "proto/yaml.h"

#include <stdlib.h>

enum { DELAY_MAX_MS = 3600 * 1000, USES_MAX = 1000000 };

static const char *const fail_words[] = { "overloaded",       "rate_limited",
                                          "failed",           "refused",
                                          "billing",          "unknown",
                                          "context_too_long", NULL };
static const enum model_failure fail_kinds[] = {
    MODEL_OVERLOADED, MODEL_RATE_LIMITED, MODEL_REQUEST_FAILED,   MODEL_REQUEST_REFUSED,
    MODEL_BILLING,    MODEL_UNKNOWN,      MODEL_CONTEXT_TOO_LONG,
};
static const char *const stop_words[] = { "end", "length", "refusal", "pause", NULL };
static const enum model_stop stop_kinds[] = { MODEL_STOP_END, MODEL_STOP_LENGTH, MODEL_STOP_REFUSAL,
                                              MODEL_STOP_PAUSE };
static const char *const always[] = { "always", NULL };

#define MATCH_ROWS                                                                                 \
    { "contains", SCHEMA_STRING }, { "lacks", SCHEMA_STRING }, { "equals", SCHEMA_STRING },        \
    {                                                                                              \
        "glob", SCHEMA_STRING                                                                      \
    }

static const struct schema_row match_rows[] = { MATCH_ROWS };
static const struct schema_table match_table = { ROWS(match_rows), .closed = true };
static const struct schema_row match_object = { NULL, SCHEMA_OBJECT, .table = &match_table };

static const struct schema_row result_rows[] = { MATCH_ROWS,
                                                 { "tool", SCHEMA_STRING, .min = 1 },
                                                 { "is_error", SCHEMA_BOOL } };
static const struct schema_table result_table = { ROWS(result_rows), .closed = true };
static const struct schema_row result_object = { NULL, SCHEMA_OBJECT, .table = &result_table };

static const struct schema_row range_rows[] = { { "min", SCHEMA_INTEGER, .min = 1 },
                                                { "max", SCHEMA_INTEGER, .min = 1 } };
static const struct schema_table range_table = { ROWS(range_rows), .closed = true };
static const struct schema_row range_object = { NULL, SCHEMA_OBJECT, .table = &range_table };

static const struct schema_row when_rows[] = {
    { "user", SCHEMA_STRING, .either = &match_object },
    { "result", SCHEMA_STRING, .either = &result_object },
    { "system", SCHEMA_STRING, .either = &match_object },
    { "round", SCHEMA_INTEGER, .min = 1, .either = &range_object },
    { "answer", SCHEMA_INTEGER, .min = 1, .either = &range_object },
    { "offers", SCHEMA_STRING, .min = 1 },
    { "summary", SCHEMA_BOOL },
};
static const struct schema_table when_table = { ROWS(when_rows), .closed = true };

static const struct schema_row say_rows[] = {
    { "text", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .refuses = script_text_refuses },
    { "repeat", SCHEMA_INTEGER, .min = 1, .max = 1000000 },
    { "piece", SCHEMA_INTEGER, .min = 1, .max = SCRIPT_TEXT_MAX },
    { "pause_ms", SCHEMA_INTEGER, .max = DELAY_MAX_MS },
};
static const struct schema_table say_table = { ROWS(say_rows), .closed = true };
static const struct schema_row say_object = { NULL, SCHEMA_OBJECT, .table = &say_table };

static const struct schema_row call_rows[] = {
    { "tool", SCHEMA_STRING, SCHEMA_REQUIRED, .min = 1, .max = 256 },
    { "input", SCHEMA_OBJECT },
    { "id", SCHEMA_STRING, .min = 1, .max = 256 },
};
static const struct schema_table call_table = { ROWS(call_rows), .closed = true };
static const struct schema_row call_object = { NULL, SCHEMA_OBJECT, .table = &call_table };

static const struct schema_row stop_rows[] = {
    { "reason", SCHEMA_WORD, SCHEMA_REQUIRED, .words = stop_words },
    { "category", SCHEMA_STRING },
    { "explanation", SCHEMA_STRING },
};
static const struct schema_table stop_table = { ROWS(stop_rows), .closed = true };
static const struct schema_row stop_object = { NULL, SCHEMA_OBJECT, .table = &stop_table };

static const struct schema_row fail_rows[] = {
    { "kind", SCHEMA_WORD, SCHEMA_REQUIRED, .words = fail_words },
    { "times", SCHEMA_INTEGER, .min = 1 },
    { "message", SCHEMA_STRING },
    { "midway", SCHEMA_BOOL },
    { "retry_after_ms", SCHEMA_INTEGER, .max = DELAY_MAX_MS },
};
static const struct schema_table fail_table = { ROWS(fail_rows), .closed = true };
static const struct schema_row fail_object = { NULL, SCHEMA_OBJECT, .table = &fail_table };

static const struct schema_row usage_rows[] = {
    { "input_tokens", SCHEMA_INTEGER },
    { "output_tokens", SCHEMA_INTEGER },
    { "cache_read_input_tokens", SCHEMA_INTEGER },
    { "cache_creation_5m_input_tokens", SCHEMA_INTEGER },
    { "cache_creation_1h_input_tokens", SCHEMA_INTEGER },
};
static const struct schema_table usage_table = { ROWS(usage_rows), .closed = true };

static const struct schema_row uses_word = { NULL, SCHEMA_WORD, .words = always };
static const struct schema_row turn_rows[] = {
    { "when", SCHEMA_OBJECT, .table = &when_table },
    { "uses", SCHEMA_INTEGER, .min = 1, .max = USES_MAX, .either = &uses_word },
    { "delay_ms", SCHEMA_INTEGER, .max = DELAY_MAX_MS },
    { "think", SCHEMA_STRING, .min = 1, .refuses = script_text_refuses },
    { "say", SCHEMA_STRING, .min = 1, .refuses = script_text_refuses, .either = &say_object },
    { "call", SCHEMA_ARRAY, .min = 1, .max = 100, .item = &call_object, .either = &call_object },
    { "stop", SCHEMA_WORD, .words = stop_words, .either = &stop_object },
    { "fail", SCHEMA_WORD, .words = fail_words, .either = &fail_object },
    { "usage", SCHEMA_OBJECT, .table = &usage_table },
};
static const struct schema_table turn_table = { ROWS(turn_rows), .closed = true };
static const struct schema_row turn_object = { NULL, SCHEMA_OBJECT, .table = &turn_table };

static const struct schema_row script_rows[] = {
    { "description", SCHEMA_STRING },
    { "turns", SCHEMA_ARRAY, SCHEMA_REQUIRED, .min = 1, .max = 10000, .item = &turn_object },
};
static const struct schema_table script_table = { ROWS(script_rows), .closed = true };

/* The schema has looked at everything: the readers below take kinds for granted. NULL is nothing. */

static struct str read_text(const struct json *v)
{
    struct str text = { 0 };
    if (v)
        json_to_str(v, &text);
    return text;
}

static uint64_t read_number(const struct json *v, uint64_t otherwise)
{
    if (v)
        json_to_u64(v, &otherwise);
    return otherwise;
}

static bool read_bool(const struct json *v)
{
    bool yes = false;
    if (v)
        json_to_bool(v, &yes);
    return yes;
}

static bool is_object(const struct json *v)
{
    return v && json_kind_of(v) == JSON_IS_OBJECT;
}

static struct script_match read_match(const struct json *v)
{
    if (!v)
        return (struct script_match){ 0 };
    if (!is_object(v))
        return (struct script_match){ .given = true, .contains = read_text(v) };
    return (struct script_match){
        .given = true,
        .contains = read_text(json_get(v, "contains")),
        .lacks = read_text(json_get(v, "lacks")),
        .equals = read_text(json_get(v, "equals")),
        .glob = read_text(json_get(v, "glob")),
        .tool = read_text(json_get(v, "tool")),
        .asks_error = json_get(v, "is_error") != NULL,
        .is_error = read_bool(json_get(v, "is_error")),
    };
}

static struct script_range read_range(const struct json *v)
{
    if (!v)
        return (struct script_range){ 0 };
    uint64_t one = read_number(v, 1);
    if (!is_object(v))
        return (struct script_range){ true, one, one };
    return (struct script_range){ true, read_number(json_get(v, "min"), 1),
                                  read_number(json_get(v, "max"), UINT64_MAX) };
}

static void read_when(struct script_turn *t, const struct json *when)
{
    t->user = read_match(json_get(when, "user"));
    t->result = read_match(json_get(when, "result"));
    t->system = read_match(json_get(when, "system"));
    t->round = read_range(json_get(when, "round"));
    t->answer = read_range(json_get(when, "answer"));
    t->offers = read_text(json_get(when, "offers"));
    t->for_summaries = read_bool(json_get(when, "summary"));
}

static void read_say(struct script_turn *t, const struct json *say)
{
    t->say = read_text(is_object(say) ? json_get(say, "text") : say);
    t->repeat = 1;
    if (!is_object(say))
        return;
    t->repeat = read_number(json_get(say, "repeat"), 1);
    t->piece = read_number(json_get(say, "piece"), 0);
    t->pause_ms = read_number(json_get(say, "pause_ms"), 0);
}

static void read_stop(struct script_turn *t, const struct json *stop)
{
    struct str word = read_text(is_object(stop) ? json_get(stop, "reason") : stop);
    t->stop = word.p ? stop_kinds[schema_word(stop_words, word)] : MODEL_STOP_END;
    if (!is_object(stop))
        return;
    t->category = read_text(json_get(stop, "category"));
    t->explanation = read_text(json_get(stop, "explanation"));
}

static void read_fail(struct script_turn *t, const struct json *fail)
{
    struct str word = read_text(is_object(fail) ? json_get(fail, "kind") : fail);
    t->failure = word.p ? fail_kinds[schema_word(fail_words, word)] : MODEL_OK;
    t->fail_times = UINT64_MAX;
    if (!is_object(fail))
        return;
    t->fail_times = read_number(json_get(fail, "times"), UINT64_MAX);
    t->fail_message = read_text(json_get(fail, "message"));
    t->fail_midway = read_bool(json_get(fail, "midway"));
    t->retry_after_ms = read_number(json_get(fail, "retry_after_ms"), 0);
}

/* What the tables cannot say. Every text in `input` may hold templates. */
static void check_texts(const struct json *v, struct problems *out)
{
    struct str text;
    if (json_to_str(v, &text)) {
        const char *wrong = script_text_refuses(text);
        if (wrong)
            problems_add(out, "%s", wrong);
    }
    for (size_t i = 0; json_kind_of(v) == JSON_IS_ARRAY && i < json_count(v); i++) {
        size_t was = problems_enter_index(out, i);
        check_texts(json_at(v, i), out);
        problems_leave(out, was);
    }
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = problems_enter_key(out, m.key);
        check_texts(m.value, out);
        problems_leave(out, was);
    }
}

static void check_turn(const struct script_turn *t, const struct json *turn, struct problems *out)
{
    const struct json *calls = json_get(turn, "call");
    if (!t->think.p && !t->say.p && !calls && !t->failure && !json_get(turn, "stop"))
        problems_add(out, "needs think, say, call, stop or fail");
    if (calls && json_get(turn, "stop"))
        problems_add_at(out, "stop", "an answer with calls stops for them");
    if (calls && t->for_summaries)
        problems_add_at(out, "call", "a summary calls nothing");
    if (t->round.given && t->round.min > t->round.max)
        problems_add_at(out, "when", "round: min is above max");
    if (t->answer.given && t->answer.min > t->answer.max)
        problems_add_at(out, "when", "answer: min is above max");
    if (calls) {
        size_t was = problems_enter_key(out, STR("call"));
        check_texts(calls, out);
        problems_leave(out, was);
    }
}

static void read_turn(struct script_turn *t, const struct json *turn, struct problems *out)
{
    const struct json *uses = json_get(turn, "uses"), *when = json_get(turn, "when");
    *t = (struct script_turn){
        .uses = uses && !json_to_u64(uses, &(uint64_t){ 0 }) ? UINT64_MAX : read_number(uses, 1),
        .delay_ms = read_number(json_get(turn, "delay_ms"), 0),
        .think = read_text(json_get(turn, "think")),
        .calls = json_get(turn, "call"),
        .usage = json_get(turn, "usage"),
    };
    if (when)
        read_when(t, when);
    read_say(t, json_get(turn, "say"));
    read_stop(t, json_get(turn, "stop"));
    read_fail(t, json_get(turn, "fail"));
    check_turn(t, turn, out);
}

static void read_turns(struct script *s, struct problems *out)
{
    const struct json *turns = json_get(s->tree, "turns");
    s->count = json_count(turns);
    s->turns = mem_array(s->count, sizeof *s->turns);
    size_t top = problems_enter_key(out, STR("turns"));
    for (size_t i = 0; i < s->count; i++) {
        size_t was = problems_enter_index(out, i);
        read_turn(&s->turns[i], json_at(turns, i), out);
        problems_leave(out, was);
    }
    problems_leave(out, top);
}

int script_parse(struct str yaml, struct script **out, struct err *e)
{
    AUTO_PLACES places = NULL;
    struct script *s = mem_get(sizeof *s);
    if (yaml_parse(yaml, &s->tree, &places, e) < 0) {
        script_free(s);
        return -1;
    }
    AUTO_PROBLEMS found = { .places = places };
    if (schema_check(s->tree, &script_table, &found))
        read_turns(s, &found);
    if (problems_fail(&found, e) < 0) {
        script_free(s);
        return -1;
    }
    *out = s;
    return 0;
}

void script_free(struct script *s)
{
    if (!s)
        return;
    json_free(s->tree);
    free(s->turns);
    free(s);
}
