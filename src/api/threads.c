/* threads.c - the threads of a session: here always one, the primary (contract 2.7). */
#include "api/api-int.h"
#include "api/events.h"
#include "api/handlers.h"
#include "api/page.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

/* The primary thread as clients see it. 0, or -1 and answered. */
static int write_thread(struct errand *x, struct record *session, struct buf *out)
{
    struct err e = { 0 };
    if (errand_session(x, session) < 0)
        return -1;
    if (thread_json(session, x->now, out, &e) == 0)
        return 0;
    errand_fail_store(x, &e);
    return -1;
}

/* The same, when it is the thread in segment 4. */
static int find_thread(struct errand *x, struct record *session, struct buf *out)
{
    struct id wanted = errand_id(x, 4);
    struct str id = { 0 };
    if (write_thread(x, session, out) < 0)
        return -1;
    if (json_slice_str(json_slice_get(buf_str(out), "id"), &id, &x->arena) &&
        str_eq(id, id_str(&wanted)))
        return 0;
    errand_fail(x, 404, NULL, "there is no such thread in this session");
    return -1;
}

void threads_list(struct errand *x)
{
    enum { STATUSES = 8 };
    AUTO_BUF thread = { 0 };
    AUTO_BUF out = { 0 };
    struct record session;
    struct page page;
    struct str statuses[STATUSES], status = { 0 };
    if (page_begin(x, &page, "threads", 20, 100) < 0)
        return;
    int count = errand_texts(x, "statuses", statuses, STATUSES);
    if (count < 0 || write_thread(x, &session, &thread) < 0)
        return;
    bool wanted = count == 0;
    json_slice_str(json_slice_get(buf_str(&thread), "status"), &status, &x->arena);
    for (int i = 0; i < count; i++)
        wanted = wanted || str_eq(statuses[i], status);
    buf_add(&out, STR("{\"data\":["));
    if (wanted)
        buf_add(&out, buf_str(&thread));
    buf_add(&out, STR("],\"next_page\":null}"));
    errand_answer(x, buf_str(&out));
}

void threads_get(struct errand *x)
{
    AUTO_BUF thread = { 0 };
    struct record session;
    if (find_thread(x, &session, &thread) == 0)
        errand_answer(x, buf_str(&thread));
}

void threads_archive(struct errand *x)
{
    AUTO_BUF thread = { 0 };
    struct record session;
    if (find_thread(x, &session, &thread) == 0)
        errand_fail(x, 400, NULL, "the primary thread is archived with its session only");
}

void threads_events(struct errand *x)
{
    AUTO_BUF thread = { 0 };
    struct record session;
    if (find_thread(x, &session, &thread) == 0)
        events_answer_list(x, &session);
}

void threads_stream(struct errand *x)
{
    AUTO_BUF thread = { 0 };
    struct record session;
    if (find_thread(x, &session, &thread) == 0)
        event_stream_begin(x, &session);
}
