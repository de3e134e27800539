/* resources.c - the resources of a session (contract 2.6). This server has none of their kinds yet, so
 * the list is empty. */
#include "api/handlers.h"
#include "api/page.h"

void resources_list(struct errand *x)
{
    struct record session;
    struct page page;
    if (page_begin(x, &page, "resources", 20, 100) == 0 && errand_session(x, &session) == 0)
        errand_answer(x, STR("{\"data\":[],\"next_page\":null}"));
}

void resources_get(struct errand *x)
{
    struct record session;
    if (errand_session(x, &session) == 0)
        errand_fail(x, 404, NULL, "there is no such resource in this session");
}

void resources_add(struct errand *x)
{
    struct record session;
    if (errand_session(x, &session) == 0)
        errand_fail(x, 400, NULL,
                    "type: resources of this kind are not supported for the self_hosted "
                    "environment %s",
                    session.parent.text);
}
