#include "base/check.h"
#include "control/engine-int.h"

#include <stdlib.h>

enum { JOB_BYTES_MAX = 256 << 20 };

void *job_new(size_t size, job_decide *decide)
{
    struct job *j = mem_get(size);
    j->decide = decide;
    arena_init(&j->arena, JOB_BYTES_MAX);
    return j;
}

void job_free(struct job *j)
{
    if (j->release)
        j->release(j);
    arena_release(&j->arena);
    buf_release(&j->json);
    free(j);
}

void job_answer_to(struct job *j, const struct asker *asker, engine_answer *answer, void *ctx)
{
    j->asker = *asker;
    j->answer = answer;
    j->ctx = ctx;
}

struct str job_text(struct job *j, struct str text)
{
    char *copy = arena_dup(&j->arena, text);
    CHECK(copy); /* the API bounds what comes in */
    return (struct str){ copy, text.n };
}

struct str job_json(struct job *j, struct str json)
{
    char *copy = arena_dup(&j->arena, json);
    CHECK(copy);
    /* A line end in JSON is never inside a string; streams and history want one line. */
    for (size_t i = 0; i < json.n; i++)
        if (copy[i] == '\n' || copy[i] == '\r')
            copy[i] = ' ';
    return (struct str){ copy, json.n };
}

struct event *job_events(struct job *j, const struct event *events, size_t count)
{
    struct event *copies = arena_get(&j->arena, (count ? count : 1) * sizeof *copies);
    CHECK(copies);
    for (size_t i = 0; i < count; i++) {
        copies[i] = events[i];
        copies[i].content = job_json(j, events[i].content);
        copies[i].text = job_text(j, events[i].text);
        copies[i].members = job_json(j, events[i].members);
    }
    return copies;
}
