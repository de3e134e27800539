/* Settings: the input is a file. The same text always gives the same answer; a refusal says why on one
 * clean line; what --strict takes is what runs without a warning; no deny of the file is lost; and a
 * profile holds whatever the file says. */
#include "fuzz.h"

#include "proto/json.h"
#include "sandbox/settings.h"

struct run {
    struct settings s;
    struct buf problems;
    size_t warnings;
    bool ok;
};

static void count_warning(void *ctx, const char *text)
{
    CHECK(text[0] && !strpbrk(text, "\n\r\033"));
    ++*(size_t *)ctx;
}

static void run_start(struct run *r, struct str text, struct settings_options options)
{
    struct err e = { 0 };
    *r = (struct run){ 0 };
    options.warning = count_warning;
    options.warning_ctx = &r->warnings;
    r->ok = settings_parse(text, "fuzz", &options, &r->s, &r->problems, &e) == 0;
    CHECK(r->ok == (r->problems.n == 0));
    CHECK(r->ok || (e.kind == E_INPUT && e.text[0]));
    for (size_t i = 0; i < r->problems.n; i++)
        CHECK((unsigned char)r->problems.p[i] >= 0x20 && r->problems.p[i] != 0x7f);
}

static void run_release(struct run *r)
{
    if (r->ok)
        settings_release(&r->s);
    buf_release(&r->problems);
}
#define AUTO_RUN CLEANUP(run_release) struct run

static size_t items(const struct json *root, const char *object, const char *key)
{
    const struct json *v = json_get(root, object);
    return v && json_get(v, key) ? json_count(json_get(v, key)) : 0;
}

static void check_nothing_lost(struct str text, const struct settings *s)
{
    struct err e;
    AUTO_JSON root = NULL;
    CHECK(json_parse(text, &root, &e) == 0);
    CHECK(items(root, "filesystem", "denyRead") == s->deny_read.count);
    CHECK(items(root, "filesystem", "denyWrite") == s->deny_write.count);
    CHECK(items(root, "network", "deniedDomains") == s->egress.denied.count);
    CHECK(items(root, "network", "allowedDomains") == s->egress.allowed.count);
    CHECK(items(root, "network", "deniedResolvedAddresses") == s->egress.denied_address_count);
}

static void check_profiles(struct str text)
{
    struct host h;
    struct err e;
    AUTO_RUN still, quiet;
    run_start(&still, text, (struct settings_options){ .profile = "read-only" });
    CHECK(!still.ok || (still.s.allow_write.count == 0 && !still.s.filesystem_disabled));
    run_start(&quiet, text, (struct settings_options){ .profile = "no-network" });
    CHECK(host_parse(STR("a.example"), &h, &e) == 0);
    CHECK(!quiet.ok || egress_policy_judge(&quiet.s.egress, &h, 443, true).decision == EGRESS_DENY);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = { (const char *)bytes, n };
    AUTO_RUN first, again, strict;
    run_start(&first, text, (struct settings_options){ 0 });
    run_start(&again, text, (struct settings_options){ 0 });
    run_start(&strict, text, (struct settings_options){ .strict = true });
    CHECK(first.ok == again.ok && first.warnings == again.warnings);
    CHECK(str_eq(buf_str(&first.problems), buf_str(&again.problems)));
    CHECK(strict.ok == (first.ok && first.warnings == 0));
    if (first.ok) {
        AUTO_BUF keys = { 0 };
        settings_fixed_difference(&first.s, &again.s, &keys);
        CHECK(keys.n == 0);
        check_nothing_lost(text, &first.s);
    }
    check_profiles(text);
    return 0;
}
