#include "settings_text.h"

void collect_warning(void *ctx, const char *text)
{
    struct buf *all = ctx;
    buf_addf(all, "%s\n", text);
}

void run_release(struct run *r)
{
    if (r->ok)
        settings_release(&r->s);
    buf_release(&r->problems);
    buf_release(&r->warnings);
}

struct run parse_with(const char *text, struct settings_options options)
{
    struct run r = { 0 };
    struct buf warnings = { 0 };
    options.warning = collect_warning;
    options.warning_ctx = &warnings;
    r.ok = settings_parse(str_of(text), "test", &options, &r.s, &r.problems, &r.e) == 0;
    r.warnings = warnings;
    return r;
}

struct run parse(const char *text)
{
    return parse_with(text, (struct settings_options){ 0 });
}

struct run parse_good(const char *text)
{
    struct run r = parse(text);
    if (!r.ok)
        fail_msg("%s\n%s", text, buf_text(&r.problems));
    return r;
}
