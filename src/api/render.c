#include "api/render.h"

#include "base/check.h"
#include "base/moment.h"
#include "proto/json_write.h"

void render_moment(struct buf *out, const char *key, int64_t moment)
{
    char text[MOMENT_SIZE];
    moment_write(text, moment);
    json_member_text(out, key, moment ? text : NULL);
}

void render_text(struct buf *out, const char *key, struct str text)
{
    json_write_key(out, str_of(key));
    if (text.n)
        json_write_str(out, text);
    else
        json_write_null(out);
}

void render_record(struct buf *out, const struct record *r, int64_t archived_at)
{
    CHECK(r->body.n > 2 && r->body.p[r->body.n - 1] == '}');
    json_write_raw(out, (struct str){ r->body.p, r->body.n - 1 });
    render_moment(out, "archived_at", archived_at);
    buf_add_byte(out, '}');
}

void render_gone(struct buf *out, const struct id *id, const char *type)
{
    json_write_object(out);
    json_member_str(out, "id", id_str(id));
    json_member_text(out, "type", type);
    json_write_object_end(out);
}
