#include "role/steering.h"

#include "base/buf.h"
#include "proto/json_write.h"
#include "sandbox/control.h"

#include <stdlib.h>

struct steering {
    struct steered to;
    struct control *control;
    struct settings_options parse;
    struct settings now; /* in force; its policy is what questions are judged by */
    bool updated, failed;
};

/* Limits of the control group can change while the command runs (contract 6). */
static int apply_limits(struct steering *s, const struct settings *next, struct err *e)
{
    const struct settings_limits *l = &next->limits;
    if (!l->memory_set && !l->pids_set && !l->cpu_set)
        return 0;
    struct cgroup_limits limits = {
        .memory = l->memory_set ? l->memory : UINT64_MAX,
        .pids = l->pids_set ? l->pids : UINT64_MAX,
        .cpu_percent = l->cpu_set ? l->cpu_percent : UINT64_MAX,
        .cpu_weight = l->cpu_weight,
        .io_weight = l->io_weight,
    };
    return cgroup_set_limits(&s->to.launch->cgroup, &limits, e);
}

static int apply(void *ctx, struct str text, const struct settings *next, struct err *e)
{
    struct steering *s = ctx;
    AUTO_BUF frame = { 0 }, problems = { 0 };
    struct settings copy;
    if (settings_parse(text, next->source, &s->parse, &copy, &problems, e) < 0)
        return -1;
    json_write_object(&frame);
    json_member_text(&frame, "t", "update");
    json_member_str(&frame, "settings", text);
    json_write_object_end(&frame);
    if (egress_process_put(s->to.proxy, buf_str(&frame), e) < 0 || apply_limits(s, next, e) < 0) {
        settings_release(&copy);
        return -1;
    }
    if (s->updated)
        settings_release(&s->now);
    s->now = copy;
    s->updated = true;
    asking_set_policy(s->to.asking, &s->now.egress);
    AUTO_BUF detail = { 0 };
    buf_addf(&detail, "\"settings_sha256\":\"%s\"", next->sha256);
    struct audit_event event = { .kind = AUDIT_CONFIG,
                                 .layer = "proxy",
                                 .object = STR("settings replaced"),
                                 .detail_json = buf_text(&detail) };
    audit_write(s->to.record->audit, &event);
    return 0;
}

int steering_new(const struct supervision *asked, const struct steered *steered,
                 struct steering **out, struct err *e)
{
    (void)e;
    *out = NULL;
    if (asked->control_fd < 0)
        return 0;
    struct steering *s = mem_get(sizeof *s);
    *s = (struct steering){ .to = *steered,
                            .parse = { .profile = asked->profile,
                                       .strict = asked->strict,
                                       .environment = asked->environment } };
    struct control_options options = { .fd = asked->control_fd,
                                       .start = asked->plan->settings,
                                       .parse = &s->parse,
                                       .apply = apply,
                                       .ctx = s };
    s->control = control_new(&options);
    *out = s;
    return 0;
}

void steering_free(struct steering *s)
{
    if (!s)
        return;
    control_free(s->control);
    if (s->updated)
        settings_release(&s->now);
    free(s);
}

int steering_fd(const struct steering *s)
{
    return s ? control_fd(s->control) : -1;
}

int steering_ready(struct steering *s, struct err *e)
{
    if (control_ready(s->control) != CONTROL_FAILED_FIRST)
        return 0;
    s->failed = true;
    return err_set(e, E_INPUT, 0,
                   "the control channel failed before its first line; the command is ended");
}

bool steering_failed(const struct steering *s)
{
    return s && s->failed;
}

struct str steering_settings(const struct steering *s, const struct supervision *asked)
{
    return s && s->updated ? s->now.text
                           : (struct str){ asked->settings_text, asked->settings_length };
}
