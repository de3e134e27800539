/* The table of calls: matching, and that docs/api.md shows the same. */
#include "api/betas.h"
#include "api/credential.h"
#include "api/route.h"
#include "base/fd.h"
#include "base/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>

#include <cmocka.h>

enum { SEGMENTS = 12 };

/* A request for that path, as the server cuts it. */
static const struct route *find(const char *method, const char *path, const struct route **other)
{
    static struct str segments[SEGMENTS];
    struct request r = { .method = str_of(method), .path = str_of(path), .segments = segments };
    struct str rest = str_skip(r.path, 1);
    while (r.segment_count < SEGMENTS && str_cut(&rest, '/', &segments[r.segment_count]))
        r.segment_count++;
    return route_find(&r, other);
}

static void every_row_is_found_by_its_own_path(void **state)
{
    const struct route *row, *other;
    for (size_t i = 0; (row = route_at(i)); i++) {
        const struct route *found = find(row->method, row->pattern, &other);
        if (found != row)
            fail_msg("%s %s leads to %s", row->method, row->pattern,
                     found ? found->pattern : "nothing");
    }
}

static void what_is_no_path_is_not_found(void **state)
{
    static const char *const paths[] = { "/",
                                         "/v1",
                                         "/v1/agents/",
                                         "/v1/agents/a/b",
                                         "/v1/files",
                                         "/v2/agents",
                                         "/v1/sessions/s/events/",
                                         "/v1//archive" };
    const struct route *other;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_null(find("GET", paths[i], &other));
        assert_null(other);
    }
}

static void another_method_of_a_path_is_told_apart(void **state)
{
    const struct route *other;
    assert_null(find("PUT", "/v1/agents", &other));
    assert_non_null(other);
    assert_null(find("DELETE", "/v1/agents/a", &other));
    assert_non_null(other);
}

static void who_text(unsigned who, struct buf *out)
{
    static const struct {
        unsigned bit;
        const char *text;
    } words[] = { { CREDENTIAL_API, "key" },
                  { CREDENTIAL_ENVIRONMENT, "environment" },
                  { CREDENTIAL_SESSIONS, "token" } };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (who & words[i].bit)
            buf_addf(out, "%s%s", out->n ? ", " : "", words[i].text);
    if (!out->n)
        buf_add(out, STR("anybody"));
}

static void every_row_is_documented(void **state)
{
    AUTO_BUF page = { 0 };
    AUTO_FD fd = open(SOURCE_ROOT "/docs/api.md", O_RDONLY | O_CLOEXEC);
    const struct route *row;
    ssize_t n;
    assert_true(fd >= 0);
    while ((n = read(fd, buf_room(&page, 65536), 65536)) > 0)
        buf_grew(&page, (size_t)n);
    for (size_t i = 0; (row = route_at(i)); i++) {
        AUTO_BUF line = { 0 };
        AUTO_BUF who = { 0 };
        who_text(row->who, &who);
        buf_addf(&line, "\n| %s `%s` | %s |", row->method, row->pattern, buf_text(&who));
        if (!str_has(buf_str(&page), buf_str(&line)))
            fail_msg("docs/api.md does not have:%s", buf_text(&line));
    }
}

static void open_rows_and_closed_rows_differ(void **state)
{
    const struct route *row;
    for (size_t i = 0; (row = route_at(i)); i++)
        assert_true(((row->flags & ROUTE_OPEN) != 0) == (row->who == 0));
}

static void keys_have_the_form_of_the_contract(void **state)
{
    struct random_source random = random_of_kernel();
    char text[CREDENTIAL_SIZE], again[CREDENTIAL_SIZE];
    unsigned char sha256[32];
    credential_make(CREDENTIAL_API, &random, text, sha256);
    credential_make(CREDENTIAL_API, &random, again, sha256);
    assert_true(str_starts(str_of(text), STR("sk-pst-api-")));
    assert_int_equal(strlen(text), 11 + CREDENTIAL_CHANCE);
    assert_string_not_equal(text, again);
    assert_int_equal(credential_kind_of(str_of(text)), CREDENTIAL_API);
    assert_int_equal(credential_kind_of(STR("sk-pst-env-x")), CREDENTIAL_ENVIRONMENT);
    assert_int_equal(credential_kind_of(STR("sk-pst-req-x")), CREDENTIAL_SESSIONS);
    assert_int_equal(credential_kind_of(STR("sk-other-x")), 0);
}

struct header {
    const char *authorization, *x_api_key, *credential;
};

static void the_credential_is_taken_from_either_header(void **state)
{
    static const struct header rows[] = {
        { "Bearer a", NULL, "a" }, { "bearer  a ", NULL, "a" }, { NULL, "b", "b" },
        { "Bearer a", "b", "a" },  { "Basic abc", "b", "" },    { NULL, NULL, "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http1_field fields[2];
        struct request r = { .head = { .fields = fields } };
        if (rows[i].authorization)
            fields[r.head.count++] =
                (struct http1_field){ STR("Authorization"), str_of(rows[i].authorization) };
        if (rows[i].x_api_key)
            fields[r.head.count++] =
                (struct http1_field){ STR("X-Api-Key"), str_of(rows[i].x_api_key) };
        assert_true(str_eq(credential_of_request(&r), str_of(rows[i].credential)));
    }
}

static void betas_are_lenient_or_strict(void **state)
{
    static const struct {
        const char *folder, *beta;
        bool strict;
        int status;
    } rows[] = {
        { "agents", "", false, 0 },
        { "agents", "", true, 404 },
        { "agents", "x, managed-agents-2026-04-01", true, 0 },
        { "agents", "Managed-Agents-2026-04-01", true, 404 },
        { "models", "", true, 0 },
        { "memory_stores", "agent-memory-2026-07-22", true, 0 },
        { "memory_stores", "managed-agents-2026-04-01", true, 0 },
        { "memory_stores", "agent-memory-2026-07-22,managed-agents-2026-04-01", false, 400 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct http1_field field = { STR("anthropic-beta"), str_of(rows[i].beta) };
        struct str segments[] = { STR("v1"), str_of(rows[i].folder) }, why;
        struct request r = { .segments = segments,
                             .segment_count = 2,
                             .head = { .fields = &field, .count = 1 } };
        assert_int_equal(betas_check(&r, rows[i].strict, &why), rows[i].status);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_found_by_its_own_path),
        cmocka_unit_test(what_is_no_path_is_not_found),
        cmocka_unit_test(another_method_of_a_path_is_told_apart),
        cmocka_unit_test(every_row_is_documented),
        cmocka_unit_test(open_rows_and_closed_rows_differ),
        cmocka_unit_test(keys_have_the_form_of_the_contract),
        cmocka_unit_test(the_credential_is_taken_from_either_header),
        cmocka_unit_test(betas_are_lenient_or_strict),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
