#include "model/body.h"

#include "proto/json.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

/* The provider wants the member; where nothing is configured this is what models of today all give. */
enum { MAX_TOKENS = 32000 };

#define KEEP STR("\"cache_control\":{\"type\":\"ephemeral\"}")

static void write_system(struct buf *out, struct str system)
{
    if (system.n == 0)
        return;
    json_write_key(out, STR("system"));
    json_write_array(out);
    json_write_object(out);
    json_member_text(out, "type", "text");
    json_member_str(out, "text", system);
    json_write_raw(out, KEEP);
    json_write_object_end(out);
    json_write_array_end(out);
}

/* The last item of a JSON array of ours that has this role; any with `role` empty. */
static int find_last(struct str array, struct str role, struct str *found, struct err *e)
{
    struct json_slice s;
    *found = (struct str){ 0 };
    if (!json_slice_begin(&s, array) || !s.array)
        return err_set(e, E_BUG, 0, "the request's messages or tools are no array");
    while (json_slice_next(&s)) {
        struct str is = json_slice_get(s.value, "role");
        if (role.n == 0 || str_eq(is, role))
            *found = s.value;
    }
    return s.bad ? err_set(e, E_BUG, 0, "the request's messages or tools are not JSON") : 0;
}

/* An object with members; an empty text cannot bear a mark. */
static bool can_be_marked(struct str v)
{
    struct str inside = str_trim(str_skip(v, 1));
    return str_starts(v, STR("{")) && str_starts(inside, STR("\"")) &&
           !str_eq(json_slice_get(v, "text"), STR("\"\""));
}

/* The text as it is, but for the mark as the last member of the object `v`, which stands in it. */
static void write_with_mark(struct buf *out, struct str text, struct str v)
{
    if (!can_be_marked(v)) {
        json_write_raw(out, text);
        return;
    }
    const char *brace = v.p + v.n - 1;
    json_write_raw(out, (struct str){ text.p, (size_t)(brace - text.p) });
    json_write_raw(out, KEEP);
    buf_add(out, (struct str){ brace, (size_t)(text.p + text.n - brace) });
}

static int write_tools(struct buf *out, const struct model_request *r, struct err *e)
{
    struct str last;
    if (find_last(r->tools, (struct str){ 0 }, &last, e) < 0)
        return -1;
    if (!last.p)
        return 0;
    json_write_key(out, STR("tools"));
    write_with_mark(out, r->tools, last);
    if (r->no_tools) {
        json_write_key(out, STR("tool_choice"));
        json_write_raw(out, STR("{\"type\":\"none\"}"));
    }
    return 0;
}

static int write_messages(struct buf *out, const struct model_request *r, struct err *e)
{
    struct str last, block = { 0 };
    if (find_last(r->messages, STR("\"user\""), &last, e) < 0)
        return -1;
    json_write_key(out, STR("messages"));
    struct str content = json_slice_get(last, "content");
    if (content.n && content.p[0] == '[' && find_last(content, (struct str){ 0 }, &block, e) < 0)
        return -1;
    write_with_mark(out, r->messages, block);
    return 0;
}

int messages_body(struct buf *out, const struct model_request *r, const struct upstream *u,
                  struct err *e)
{
    json_write_object(out);
    json_member_str(out, "model", u->model);
    json_member_u64(out, "max_tokens", u->max_output ? u->max_output : MAX_TOKENS);
    json_member_bool(out, "stream", true);
    if (r->effort.n) {
        json_write_key(out, STR("output_config"));
        json_write_object(out);
        json_member_str(out, "effort", r->effort);
        json_write_object_end(out);
    }
    if (r->speed.n)
        json_member_str(out, "speed", r->speed);
    json_write_raw(out, u->members);
    if (write_tools(out, r, e) < 0)
        return -1;
    write_system(out, r->system);
    if (write_messages(out, r, e) < 0)
        return -1;
    json_write_object_end(out);
    return 0;
}
