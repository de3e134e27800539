#include "control/result_text.h"

#include "proto/json.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"
#include "proto/schema.h"

static void text_block_write(struct buf *out, struct str text)
{
    json_write_object(out);
    json_member_text(out, "type", "text");
    json_member_str(out, "text", text);
    json_write_object_end(out);
}

/* Bytes of the first `count` characters. */
static size_t bytes_of_characters(struct str text, size_t count)
{
    size_t i = 0;
    for (; i < text.n; i++)
        if (((unsigned char)text.p[i] & 0xc0) != 0x80 && count-- == 0)
            break;
    return i;
}

static void cut_block_write(struct buf *out, struct str text, size_t room)
{
    const size_t characters = schema_characters(text);
    if (characters <= room) {
        text_block_write(out, text);
        return;
    }
    const size_t head = room / 2, tail = room - head;
    AUTO_BUF cut = { 0 };
    buf_add(&cut, (struct str){ text.p, bytes_of_characters(text, head) });
    buf_addf(&cut, "\n[... %zu characters left out ...]\n", characters - room);
    buf_add(&cut, str_skip(text, bytes_of_characters(text, characters - tail)));
    text_block_write(out, buf_str(&cut));
}

/* The text of a text block; false for every other block. */
static bool block_text(const struct json *block, struct str *text)
{
    struct str type;
    return json_to_str(json_get(block, "type"), &type) && str_eq(type, STR("text")) &&
           json_to_str(json_get(block, "text"), text);
}

static size_t count_characters(const struct json *blocks)
{
    size_t characters = 0;
    for (size_t i = 0; i < json_count(blocks); i++) {
        struct str text;
        if (block_text(json_at(blocks, i), &text))
            characters += schema_characters(text);
    }
    return characters;
}

/* Every text block gets its share of the room; models refuse empty ones, so they are left out. */
static void blocks_write(struct buf *out, const struct json *blocks, size_t most)
{
    const size_t characters = count_characters(blocks);
    json_write_array(out);
    const size_t open = out->n;
    for (size_t i = 0; i < json_count(blocks); i++) {
        struct str text;
        if (!block_text(json_at(blocks, i), &text)) {
            json_write_value(out, json_at(blocks, i));
        } else if (text.n) {
            size_t own = schema_characters(text);
            cut_block_write(out, text, characters <= most ? own : own * most / characters);
        }
    }
    if (out->n == open)
        text_block_write(out, STR("(no output)"));
    json_write_array_end(out);
}

void result_text_write(struct buf *out, struct str content, struct str text, size_t most)
{
    AUTO_JSON blocks = NULL;
    struct err e;
    if (content.n == 0) {
        json_write_array(out);
        text_block_write(out, text.n ? text : STR("(no output)"));
        json_write_array_end(out);
    } else if (content.n <= most && !str_has(content, STR("\"\"")) && str_has(content, STR("{"))) {
        json_write_raw(out, content); /* nothing in it can be empty or too long */
    } else if (json_parse(content, &blocks, &e) == 0) {
        blocks_write(out, blocks, most);
    } else {
        /* It was read strictly when it came, so this is damage; the model gets no broken JSON. */
        json_write_array(out);
        text_block_write(out, STR("(the result cannot be read)"));
        json_write_array_end(out);
    }
}
