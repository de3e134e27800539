#include "api/betas.h"

static const char agents[] = "managed-agents-2026-04-01";
static const char memory[] = "agent-memory-2026-07-22";

/* Which beta the paths below /v1/FOLDER have. */
static const struct {
    const char *folder, *beta;
} rows[] = {
    { "agents", agents },        { "environments", agents }, { "sessions", agents },
    { "vaults", agents },        { "deployments", agents },  { "deployment_runs", agents },
    { "memory_stores", memory },
};

/* Values are compared with case; several stand in one line or in several. */
static bool says(const struct request *r, struct str beta)
{
    for (size_t i = 0; i < r->head.count; i++) {
        struct str rest = r->head.fields[i].value, part = { 0 };
        if (!str_eq_nocase(r->head.fields[i].name, STR("anthropic-beta")))
            continue;
        while (str_cut(&rest, ',', &part))
            if (str_eq(str_trim(part), beta))
                return true;
    }
    return false;
}

int betas_check(const struct request *r, bool strict, struct str *why)
{
    const char *beta = NULL;
    if (r->segment_count < 2)
        return 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (str_eq(r->segments[1], str_of(rows[i].folder)))
            beta = rows[i].beta;
    if (beta == memory && says(r, str_of(memory)) && says(r, str_of(agents))) {
        *why = STR("anthropic-beta: give agent-memory-2026-07-22 or managed-agents-2026-04-01, "
                   "not both");
        return 400;
    }
    if (!strict || !beta || says(r, str_of(beta)) || (beta == memory && says(r, str_of(agents))))
        return 0;
    *why = STR("there is no such path without its anthropic-beta header");
    return 404;
}
