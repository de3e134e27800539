#include "wardbox.h"

#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

char box[64];
struct file_rule_path root;
struct ward ward;

void host(const char *script)
{
    struct ward bare = ward;
    bare.bare = true;
    bare.as_nobody = false;
    assert_int_equal(ward_shell(&bare, box, script), 0);
}

int box_set_up(void **state)
{
    snprintf(box, sizeof box, "/dev/shm/warden-XXXXXX");
    CHECK(mkdtemp(box));
    root = (struct file_rule_path){ box, "filesystem.allowWrite[0]" };
    ward_init(&ward, &root);
    return 0;
}

int box_tear_down(void **state)
{
    host("chmod -R u+rwx . && rm -rf -- \"$PWD\"");
    for (int i = 0; i < 2; i++)
        if (ward.report[i] >= 0)
            close(ward.report[i]);
    return 0;
}

void inside(const char *script)
{
    assert_int_equal(ward_shell(&ward, box, script), 0);
}

void inside_work(int (*work)(void *ctx), void *ctx)
{
    assert_int_equal(ward_run(&ward, work, ctx), 0);
}
