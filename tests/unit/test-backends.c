/* One plan, three backends: what bubblewrap would be started with, and the macOS profile, compared
 * with stored texts. The plan is made by hand, so nothing of this machine is looked at. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sandbox/backend_bwrap.h"
#include "sandbox/backend_seatbelt.h"

#include <string.h>

static struct plan_mount mounts[] = {
    { .kind = MOUNT_WRITE, .path = "/ws", .is_directory = true },
    { .kind = MOUNT_READ_ONLY, .path = "/ws/.git/hooks", .is_directory = true },
    { .kind = MOUNT_HIDE_FILE, .path = "/ws/se\"cret" },
    { .kind = MOUNT_HIDE_DIRECTORY, .path = "/home/me", .is_directory = true },
    { .kind = MOUNT_REOPEN, .path = "/home/me/tools", .is_directory = true },
};
static const struct file_rule_path roots[] = { { "/ws", "filesystem.allowWrite[0]" } };
static const struct file_rule_path denies[] = { { "/ws/keep", "filesystem.denyWrite[0]" } };

static void plan_by_hand(struct plan *p, struct settings *s)
{
    *s = (struct settings){ .source = "test" };
    *p = (struct plan){ .settings = s,
                        .cwd = "/ws",
                        .tmpdir = "/tmp/claude",
                        .tmpdir_missing = true,
                        .network = true,
                        .mounts = mounts,
                        .mount_count = sizeof mounts / sizeof *mounts,
                        .rules = { .write_roots = roots,
                                   .write_root_count = 1,
                                   .write_denies = denies,
                                   .write_deny_count = 1 } };
    arena_init(&p->arena, 1 << 20);
}

static void bubblewrap_gets_the_mounts_in_their_order(void **state)
{
    static const char *const want[] = {
        "bwrap",
        "--unshare-all",
        "--die-with-parent",
        "--new-session",
        "--cap-drop",
        "ALL",
        "--ro-bind",
        "/",
        "/",
        "--bind",
        "/ws",
        "/ws",
        "--ro-bind",
        "/ws/.git/hooks",
        "/ws/.git/hooks",
        "--perms",
        "0000",
        "--ro-bind-data",
        "100",
        "/ws/se\"cret",
        "--tmpfs",
        "/home/me",
        "--remount-ro",
        "/home/me",
        "--ro-bind",
        "/home/me/tools",
        "/home/me/tools",
        "--dev",
        "/dev",
        "--proc",
        "/proc",
        "--chdir",
        "/ws",
        "--",
        "make",
        "-j2",
    };
    char *command[] = { (char *)"make", (char *)"-j2", NULL };
    struct settings s;
    struct plan p;
    struct err e;
    (void)state;
    plan_by_hand(&p, &s);
    char **got = bwrap_arguments(&p, command, 100, &e);
    assert_non_null(got);
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        assert_non_null(got[i]);
        assert_string_equal(got[i], want[i]);
    }
    assert_null(got[sizeof want / sizeof *want]);
    assert_int_equal(bwrap_empty_count(&p), 1);
    arena_release(&p.arena);
}

static void the_macos_profile_is_the_stored_one(void **state)
{
    static const char *const want[] = {
        "(version 1)\n(deny default)\n",
        "(allow file-read*)\n",
        "(deny file-read* (literal \"/ws/se\\\"cret\"))\n",
        "(deny file-read* (subpath \"/home/me\"))\n",
        "(allow file-read* (subpath \"/home/me/tools\"))\n",
        "(allow file-write* (subpath \"/tmp/claude\"))\n",
        "(allow file-write* (subpath \"/ws\"))\n",
        "(deny file-write* (subpath \"/ws/.git/hooks\"))\n",
        "(deny file-write* (regex #\"^/ws/(.*/)?\\.bashrc$\"))\n",
        "(deny file-write* (regex #\"^/ws/(.*/)?\\.git/config$\"))\n",
        "(deny file-write* (regex #\"^/ws/(.*/)?\\.git/hooks(/.*)?$\"))\n",
        "(deny file-write* (subpath \"/ws/keep\"))\n",
        "(allow network-outbound (remote ip \"localhost:3128\"))\n",
    };
    struct settings s;
    struct plan p;
    AUTO_BUF got = { 0 };
    const char *at;
    (void)state;
    plan_by_hand(&p, &s);
    seatbelt_profile(&p, 3128, &got);
    at = buf_text(&got);
    /* Later rules win in a profile, so the order is part of the claim. */
    for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
        const char *found = strstr(at, want[i]);
        if (!found)
            fail_msg("not found, or not in this order: %s", want[i]);
        at = found + 1;
    }
    arena_release(&p.arena);
}

static void without_network_the_profile_lets_nothing_out(void **state)
{
    struct settings s;
    struct plan p;
    AUTO_BUF got = { 0 };
    (void)state;
    plan_by_hand(&p, &s);
    p.network = false;
    seatbelt_profile(&p, 3128, &got);
    assert_null(strstr(buf_text(&got), "3128"));
    arena_release(&p.arena);
}

static void git_config_can_be_opened(void **state)
{
    struct settings s;
    struct plan p;
    AUTO_BUF got = { 0 };
    (void)state;
    plan_by_hand(&p, &s);
    s.allow_git_config = true;
    seatbelt_profile(&p, 3128, &got);
    assert_null(strstr(buf_text(&got), "\\.git/config$"));
    assert_non_null(strstr(buf_text(&got), "\\.git/hooks"));
    arena_release(&p.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bubblewrap_gets_the_mounts_in_their_order),
        cmocka_unit_test(the_macos_profile_is_the_stored_one),
        cmocka_unit_test(without_network_the_profile_lets_nothing_out),
        cmocka_unit_test(git_config_can_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
