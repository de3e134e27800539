/* told.h - a sum of all that a model tells, for targets that compare two readings of one stream. */
#pragma once

#include "fuzz.h"

#include "postern/model.h"
#include "proto/json.h"

struct told {
    uint64_t sum;
    unsigned blocks;
    bool open_text; /* pieces of the block `blocks` have come */
};

static inline void told_add(struct told *t, struct str bytes)
{
    for (size_t i = 0; i < bytes.n; i++)
        t->sum = (t->sum ^ (unsigned char)bytes.p[i]) * 1099511628211u;
    t->sum = (t->sum ^ 0x100) * 1099511628211u;
}

static void told_thinking(void *ctx)
{
    told_add(ctx, STR("thinking"));
}

static void told_text(void *ctx, unsigned index, struct str part)
{
    struct told *t = ctx;
    CHECK(index == t->blocks && part.n && str_is_utf8(part));
    t->open_text = true;
    told_add(t, part);
}

static void told_block(void *ctx, unsigned index, const struct model_block *block)
{
    struct told *t = ctx;
    struct err e;
    CHECK(index == t->blocks++);
    CHECK(t->open_text == (block->kind == MODEL_TEXT));
    t->open_text = false;
    if (block->kind != MODEL_TEXT) {
        AUTO_JSON v = NULL;
        CHECK(json_parse(block->kind == MODEL_TOOL_USE ? block->input : block->raw, &v, &e) == 0);
        CHECK(json_kind_of(v) == JSON_IS_OBJECT);
    }
    if (block->kind == MODEL_TOOL_USE)
        CHECK(block->tool_id.n && block->tool.n);
    told_add(t, block->text);
    told_add(t, block->raw);
    told_add(t, block->tool_id);
    told_add(t, block->tool);
    told_add(t, block->input);
}

static void told_outcome(struct told *t, const struct model_outcome *o)
{
    CHECK((o->failure == MODEL_OK) == (o->message.n == 0));
    told_add(t, o->message);
    told_add(t, o->category);
    told_add(t, o->explanation);
    t->sum += o->failure * 7 + o->stop + o->usage.input_tokens * 31 + o->usage.output_tokens * 37;
}

static const struct model_events told_events = { told_thinking, told_text, told_block, NULL };
