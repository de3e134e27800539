/* Claims of io/doorbell.h. */
#include "io/doorbell.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { RINGS = 1000 };

struct house {
    struct loop *loop;
    struct doorbell *bell;
    pthread_mutex_t lock;
    int said, heard, calls; /* said is under the lock */
    pthread_t here;
};

static void *say(void *arg)
{
    struct house *h = arg;
    for (int i = 0; i < RINGS; i++) {
        pthread_mutex_lock(&h->lock);
        h->said++;
        pthread_mutex_unlock(&h->lock);
        doorbell_ring(h->bell);
    }
    return NULL;
}

static void hear(void *ctx)
{
    struct house *h = ctx;
    assert_true(pthread_equal(h->here, pthread_self()));
    pthread_mutex_lock(&h->lock);
    h->heard = h->said;
    pthread_mutex_unlock(&h->lock);
    h->calls++;
    if (h->heard == RINGS)
        loop_stop(h->loop);
}

static void open_house(struct house *h)
{
    struct err e;
    *h = (struct house){ .lock = PTHREAD_MUTEX_INITIALIZER, .here = pthread_self() };
    assert_int_equal(loop_new(&h->loop, &e), 0);
    assert_int_equal(doorbell_new(&h->bell, h->loop, hear, h, &e), 0);
}

static void what_another_thread_says_last_is_heard(void **state)
{
    struct house h;
    pthread_t other;
    open_house(&h);
    assert_int_equal(pthread_create(&other, NULL, say, &h), 0);
    loop_run(h.loop);
    assert_int_equal(pthread_join(other, NULL), 0);
    assert_int_equal(h.heard, RINGS);
    assert_true(h.calls >= 1 && h.calls <= RINGS);
    doorbell_free(h.bell);
    loop_free(h.loop);
}

static void rings_from_the_loop_itself_come_later_and_as_one(void **state)
{
    struct house h;
    open_house(&h);
    h.said = RINGS;
    for (int i = 0; i < 10; i++)
        doorbell_ring(h.bell);
    assert_int_equal(h.calls, 0);
    loop_run(h.loop);
    assert_int_equal(h.calls, 1);
    doorbell_free(h.bell);
    loop_free(h.loop);
}

static void free_house(void *ctx)
{
    struct house *h = ctx;
    h->calls++;
    doorbell_free(h->bell);
}

static void a_doorbell_may_be_freed_when_it_rings(void **state)
{
    struct house h = { 0 };
    struct err e;
    assert_int_equal(loop_new(&h.loop, &e), 0);
    assert_int_equal(doorbell_new(&h.bell, h.loop, free_house, &h, &e), 0);
    doorbell_ring(h.bell);
    loop_run(h.loop); /* ends when it is gone */
    assert_int_equal(h.calls, 1);
    loop_free(h.loop);
}

static void a_freed_doorbell_is_not_heard(void **state)
{
    struct house h;
    open_house(&h);
    doorbell_ring(h.bell);
    doorbell_free(h.bell);
    loop_run(h.loop);
    assert_int_equal(h.calls, 0);
    doorbell_free(NULL);
    loop_free(h.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_thread_says_last_is_heard),
        cmocka_unit_test(rings_from_the_loop_itself_come_later_and_as_one),
        cmocka_unit_test(a_doorbell_may_be_freed_when_it_rings),
        cmocka_unit_test(a_freed_doorbell_is_not_heard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
