/* models.c - the models that this server can ask (contract 2.0, 11 row 17). */
#include "api/api-int.h"
#include "api/handlers.h"
#include "api/page.h"
#include "api/render.h"
#include "base/moment.h"
#include "proto/json_write.h"

static void write_model(struct buf *out, const struct model_info *m)
{
    char created[MOMENT_SIZE];
    json_write_object(out);
    json_member_text(out, "type", "model");
    json_member_str(out, "id", m->id);
    json_member_str(out, "display_name", m->display_name);
    moment_write(created, m->created_at); /* the beginning of time when nobody knows */
    json_member_text(out, "created_at", created);
    json_member_u64(out, "max_input_tokens", m->context_window);
    json_member_u64(out, "max_tokens", m->max_output);
    json_write_object_end(out);
}

/* The models stand in the configuration's order; a cursor is the number of those before it. The
 * members of both forms of a page are there: clients of the Models API read has_more and the ids. */
void models_list(struct errand *x)
{
    struct model_set *models = x->api->parts.models;
    struct page page;
    AUTO_BUF out = { 0 };
    if (page_begin(x, &page, "models", 20, 1000) < 0)
        return;
    size_t i = page.has_cursor ? (size_t)page.cursor.number : 0, first = i;
    const struct model_info *m, *last = NULL;
    json_write_object(&out);
    json_write_key(&out, STR("data"));
    json_write_array(&out);
    for (; i < first + page.limit && (m = models->ops->at(models, i)); i++, last = m)
        write_model(&out, m);
    json_write_array_end(&out);
    bool more = models->ops->at(models, i);
    struct cursor next = { .oldest_first = true, .number = (int64_t)i };
    json_write_key(&out, STR("next_page"));
    if (more)
        page_write_cursor(x, &page, &next, &out);
    else
        json_write_null(&out);
    json_member_bool(&out, "has_more", more);
    render_text(&out, "first_id", last ? models->ops->at(models, first)->id : STR(""));
    render_text(&out, "last_id", last ? last->id : STR(""));
    json_write_object_end(&out);
    errand_answer(x, buf_str(&out));
}

void models_get(struct errand *x)
{
    struct model_set *models = x->api->parts.models;
    const struct model_info *m = models->ops->find(models, x->request->segments[2]);
    AUTO_BUF out = { 0 };
    if (!m) {
        errand_fail(x, 404, NULL, "there is no such model");
        return;
    }
    write_model(&out, m);
    errand_answer(x, buf_str(&out));
}
