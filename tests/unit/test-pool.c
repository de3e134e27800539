/* Work on another thread, answered on the loop. */
#include "io/pool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <pthread.h>

#include <cmocka.h>

struct job {
    pthread_t worker, answerer;
    int worked, answered;
};

static void work(void *ctx)
{
    struct job *j = ctx;
    j->worker = pthread_self();
    j->worked++;
}

static void done(void *ctx)
{
    struct job *j = ctx;
    j->answerer = pthread_self();
    assert_int_equal(j->worked, 1);
    j->answered++;
}

static void work_runs_elsewhere_and_is_answered_on_the_loop(void **state)
{
    struct err e = { 0 };
    struct loop *loop;
    struct job jobs[20] = { 0 };
    assert_int_equal(loop_new(&loop, &e), 0);
    for (size_t i = 0; i < 20; i++)
        pool_run(loop, work, done, &jobs[i]);
    for (size_t i = 0; i < 20; i++)
        assert_int_equal(jobs[i].answered, 0);
    loop_run(loop);
    for (size_t i = 0; i < 20; i++) {
        assert_int_equal(jobs[i].answered, 1);
        assert_true(pthread_equal(jobs[i].answerer, pthread_self()));
        assert_false(pthread_equal(jobs[i].worker, pthread_self()));
    }
    loop_free(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(work_runs_elsewhere_and_is_answered_on_the_loop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
