/* The precedence of contract 3.4.3, as plans: settings go in, the list of mounts comes out. Nothing
 * is mounted; a scratch tree is made and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "sandbox/plan.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX = 64 };

static size_t listings;

/* In the place of the C library's: counts what is listed. */
DIR *opendir(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    listings++;
    return fd < 0 ? NULL : fdopendir(fd);
}

struct world {
    char root[64];
    char warnings[4096];
};

static void make_dir(const struct world *w, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", w->root, name);
    assert_int_equal(mkdir(path, 0755), 0);
}

static void make_file(const struct world *w, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", w->root, name);
    int fd = open(path, O_WRONLY | O_CREAT, 0644);
    assert_true(fd >= 0);
    close(fd);
}

static void make_link(const struct world *w, const char *target, const char *name)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s", w->root, name);
    assert_int_equal(symlink(target, path), 0);
}

static int set_up(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    snprintf(w->root, sizeof w->root, "/tmp/plan.XXXXXX");
    if (!mkdtemp(w->root))
        return -1;
    static const char *const dirs[] = { "tmp",     "home",        "home/.ssh", "ws",
                                        "ws/src",  "ws/src/deep", "ws/.git",   "ws/.git/hooks",
                                        "ws/keep", "other" };
    for (size_t i = 0; i < sizeof dirs / sizeof *dirs; i++)
        make_dir(w, dirs[i]);
    make_file(w, "ws/.env");
    make_file(w, "ws/src/.env");
    make_file(w, "ws/.git/config");
    make_file(w, "ws/.bashrc");
    make_link(w, "src", "ws/inward");
    make_link(w, "../other", "ws/outward");
    make_link(w, "keep", "ws/kept");
    *state = w;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    (void)st, (void)kind, (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct world *w = *state;
    int result = nftw(w->root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(w);
    return result;
}

static void warn(void *ctx, const char *text)
{
    struct world *w = ctx;
    size_t used = strlen(w->warnings);
    snprintf(w->warnings + used, sizeof w->warnings - used, "%s\n", text);
}

/* A list of strings, NULL-ended, as a settings list. */
static struct settings_list list_of(const char *const *texts, struct settings_entry *room,
                                    const char *where)
{
    size_t n = 0;
    for (; n < MAX && texts[n]; n++)
        room[n] = (struct settings_entry){ .path = texts[n], .where = where };
    return (struct settings_list){ room, n };
}

struct lists {
    const char *deny_read[MAX], *allow_read[MAX], *allow_write[MAX], *deny_write[MAX];
};

/* The plan as text: "read-write ws; hidden file ws/.env; ...", paths relative to the scratch root and
 * built-in places left out. */
static void plan_text(struct world *w, const struct lists *l, const char *cwd, struct buf *out)
{
    struct settings_entry rooms[4][MAX];
    struct settings s = { .source = "test" };
    egress_policy_init(&s.egress);
    s.deny_read = list_of(l->deny_read, rooms[0], "filesystem.denyRead");
    s.allow_read = list_of(l->allow_read, rooms[1], "filesystem.allowRead");
    s.allow_write = list_of(l->allow_write, rooms[2], "filesystem.allowWrite");
    s.deny_write = list_of(l->deny_write, rooms[3], "filesystem.denyWrite");
    char here[256], home[256], tmp[256];
    snprintf(here, sizeof here, "%s/%s", w->root, cwd);
    snprintf(home, sizeof home, "%s/home", w->root);
    snprintf(tmp, sizeof tmp, "%s/tmp", w->root);
    struct plan p;
    struct err e = { 0 };
    w->warnings[0] = '\0';
    struct plan_request r = { .settings = &s,
                              .cwd = here,
                              .home_variable = home,
                              .caller_tmpdir = tmp,
                              .warn = warn,
                              .warn_ctx = w };
    if (plan_build(&p, &r, &e) < 0) {
        buf_addf(out, "error: %s", e.text);
        egress_policy_release(&s.egress);
        return;
    }
    size_t n = strlen(w->root);
    for (size_t i = 0; i < p.mount_count; i++) {
        const struct plan_mount *m = &p.mounts[i];
        if (strncmp(m->path, w->root, n) != 0 || m->kind == MOUNT_PRIVATE)
            continue;
        buf_addf(out, "%s%s %s", out->n ? "; " : "", mount_kind_name(m->kind), m->path + n + 1);
    }
    plan_release(&p);
    egress_policy_release(&s.egress);
}

struct claim {
    const char *what;
    struct lists lists;
    const char *plan;
};

#define MANDATORY_IN_WS "read-only ws/.bashrc; read-only ws/.git/config; read-only ws/.git/hooks"

static const struct claim claims[] = {
    { "nothing allowed, nothing mounted", { .allow_write = { NULL } }, "" },
    { "an allowed directory is writable, its dangerous names are not",
      { .allow_write = { "." } },
      "read-write ws; " MANDATORY_IN_WS },
    { "a deny beneath an allow is read-only",
      { .allow_write = { "." }, .deny_write = { "keep" } },
      "read-write ws; " MANDATORY_IN_WS "; read-only ws/keep" },
    { "a deny above an allow wins", { .allow_write = { "src" }, .deny_write = { "." } }, "" },
    { "a deny at an allow wins", { .allow_write = { "src" }, .deny_write = { "src" } }, "" },
    { "a hidden file", { .deny_read = { ".env" } }, "hidden file ws/.env" },
    { "a hidden directory inside a writable one",
      { .deny_read = { "keep" }, .allow_write = { "." } },
      "read-write ws; " MANDATORY_IN_WS "; hidden directory ws/keep" },
    { "an allowed read beneath a hidden directory is opened again",
      { .deny_read = { "../ws" }, .allow_read = { "src" } },
      "hidden directory ws; opened again, read-only ws/src" },
    { "a more specific hide stays hidden inside an allowed read",
      { .deny_read = { "../ws", "src/.env" }, .allow_read = { "src" } },
      "hidden directory ws; opened again, read-only ws/src; hidden file ws/src/.env" },
    { "a hidden file is opened by an allow of that very file",
      { .deny_read = { ".env" }, .allow_read = { ".env" } },
      "" },
    { "a hidden file is not opened by an allow of its directory",
      { .deny_read = { ".env" }, .allow_read = { "." } },
      "hidden file ws/.env" },
    { "a write path inside a hidden directory is put back, writable",
      { .deny_read = { "../ws" }, .allow_write = { "src" } },
      "hidden directory ws; read-write ws/src" },
    { "a pattern hides what it matches",
      { .deny_read = { "**/.env" } },
      "hidden file ws/.env; hidden file ws/src/.env" },
    { "an absent place is not mounted",
      { .deny_read = { "nothing" }, .deny_write = { "none" } },
      "" },
    { "home stands for ~", { .deny_read = { "~/.ssh" } }, "hidden directory home/.ssh" },
    { "a trailing slash and dots are folded",
      { .allow_write = { "./src/./deep/.." } },
      "read-write ws/src" },
    { "a link that stays below is followed for a write",
      { .allow_write = { "inward" } },
      "read-write ws/src" },
    { "a link that leads out opens nothing", { .allow_write = { "outward" } }, "" },
    { "a deny of a link lands where it leads",
      { .deny_read = { "outward" } },
      "hidden directory other" },
    { "a write deny of a link guards what it leads to",
      { .allow_write = { "." }, .deny_write = { "kept" } },
      "read-write ws; " MANDATORY_IN_WS "; read-only ws/keep" },
};

static void check_claim(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
        const struct claim *c = &claims[i];
        AUTO_BUF got = { 0 };
        plan_text(w, &c->lists, "ws", &got);
        if (strcmp(buf_text(&got), c->plan) != 0)
            fail_msg("%s: got '%s', want '%s'", c->what, buf_text(&got), c->plan);
    }
}

static void the_write_path_survives_an_allowed_read_between(void **state)
{
    struct world *w = *state;
    char root[80];
    snprintf(root, sizeof root, "%s", w->root);
    struct lists l = { .deny_read = { root }, .allow_read = { "." }, .allow_write = { "./src" } };
    AUTO_BUF got = { 0 };
    plan_text(w, &l, "ws", &got);
    assert_non_null(strstr(buf_text(&got), "opened again, read-only ws; read-write ws/src"));
}

static void a_denied_allow_is_said(void **state)
{
    struct world *w = *state;
    struct lists l = { .allow_write = { "src" }, .deny_write = { "." } };
    AUTO_BUF got = { 0 };
    plan_text(w, &l, "ws", &got);
    assert_non_null(strstr(w->warnings, "stays read-only"));
}

static void an_absent_allow_is_said(void **state)
{
    struct world *w = *state;
    struct lists l = { .allow_write = { "nowhere" } };
    AUTO_BUF got = { 0 };
    plan_text(w, &l, "ws", &got);
    assert_non_null(strstr(w->warnings, "does not exist"));
}

/* lattice/d0 to d21: two links each to the next, and a secret in the last. */
static void make_lattice(const struct world *w, size_t *directories)
{
    char path[128], target[32];
    make_dir(w, "lattice");
    for (size_t i = 0; i < 22; i++) {
        snprintf(path, sizeof path, "lattice/d%zu", i);
        snprintf(target, sizeof target, "../d%zu", i + 1);
        make_dir(w, path);
        for (const char *name = "ab"; i < 21 && *name; name++) {
            snprintf(path, sizeof path, "lattice/d%zu/%c", i, *name);
            make_link(w, target, path);
        }
    }
    make_file(w, "lattice/d21/.env");
    *directories = 23;
}

static void a_lattice_of_links_is_searched_once(void **state)
{
    struct world *w = *state;
    size_t directories;
    make_lattice(w, &directories);
    AUTO_BUF text = { 0 };
    struct lists l = { .deny_read = { "**/.env" } };
    listings = 0;
    plan_text(w, &l, "lattice", &text);
    assert_int_equal(listings, directories);
    assert_non_null(strstr(buf_text(&text), "hidden file lattice/d21/.env"));
    assert_string_equal(w->warnings, "");
}

/* What is found from one position in a pattern must not end the search from another. */
static void a_lattice_hides_what_one_way_through_it_names(void **state)
{
    struct world *w = *state;
    size_t directories;
    make_lattice(w, &directories);
    AUTO_BUF text = { 0 };
    struct lists l = { .deny_read = { "d19/*/b/.env", "d20/?/**/.env", "d0/a/**/b/.env" } };
    plan_text(w, &l, "lattice", &text);
    assert_non_null(strstr(buf_text(&text), "hidden file lattice/d21/.env"));
    AUTO_BUF none = { 0 };
    struct lists other = { .deny_read = { "d18/*/b/.env", "d20/c/**/.env" } };
    plan_text(w, &other, "lattice", &none);
    assert_null(strstr(buf_text(&none), ".env"));
}

static void many_patterns_share_one_walk(void **state)
{
    struct world *w = *state;
    static const char *const each[] = { "**/.env", "**/*.pem", "src/**/.env", "*/deep/?",
                                        "**/k[d-f]*" };
    struct lists l = { 0 };
    AUTO_BUF one = { 0 }, many = { 0 };
    l.deny_read[0] = "**/none";
    listings = 0;
    plan_text(w, &l, "ws", &one);
    size_t alone = listings;
    for (size_t i = 0; i < 50; i++)
        l.deny_read[i] = each[i % 5];
    listings = 0;
    plan_text(w, &l, "ws", &many);
    assert_int_equal(alone, 7); /* ws, its five, and one that a link leads to */
    assert_int_equal(listings, alone);
    assert_non_null(strstr(buf_text(&many), "hidden file ws/src/.env"));
    assert_non_null(strstr(buf_text(&many), "hidden file ws/.env"));
    assert_non_null(strstr(buf_text(&many), "hidden directory ws/keep"));
}

static void a_link_upward_is_not_followed(void **state)
{
    struct world *w = *state;
    AUTO_BUF text = { 0 };
    make_link(w, "..", "ws/src/up");
    make_link(w, "../..", "ws/src/higher");
    make_file(w, "other/.env");
    struct lists l = { .deny_read = { "src/**/.env" } };
    plan_text(w, &l, "ws", &text);
    assert_non_null(strstr(buf_text(&text), "hidden file ws/src/.env"));
    assert_null(strstr(buf_text(&text), "hidden file ws/.env"));
    assert_null(strstr(buf_text(&text), "other/.env"));
}

static void a_link_sideways_is_followed(void **state)
{
    struct world *w = *state;
    AUTO_BUF text = { 0 };
    make_file(w, "other/.env");
    struct lists l = { .deny_read = { "**/.env" } };
    plan_text(w, &l, "ws", &text);
    assert_non_null(strstr(buf_text(&text), "hidden file other/.env"));
}

static void a_pattern_from_the_root_is_refused(void **state)
{
    struct world *w = *state;
    struct lists l = { .deny_read = { "/**/id_rsa" } };
    AUTO_BUF got = { 0 };
    plan_text(w, &l, "ws", &got);
    assert_non_null(strstr(buf_text(&got), "error: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(check_claim, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_write_path_survives_an_allowed_read_between, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_denied_allow_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_absent_allow_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lattice_of_links_is_searched_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lattice_hides_what_one_way_through_it_names, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(many_patterns_share_one_walk, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_upward_is_not_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_link_sideways_is_followed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_pattern_from_the_root_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
