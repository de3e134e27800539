/* The names that the warden refuses, tried by a command that knows how it works; and what must go on working. */
#include "wardbox.h"

#include "base/buf.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void nothing_dangerous_exists(void)
{
    host("test -z \"$(find . -name '.bashrc' -o -name '.vscode' -o -path '*/.git/hooks/*' -o "
         "-path '*/.git/config' -o -name commondir)\"");
}

/* Every call that can make a name, on a name that is denied. */
static int make_in_every_way(int dir, const char *name)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    char proc[PATH_MAX];
    WANT_ERRNO(openat(dir, name, O_WRONLY | O_CREAT, 0644), EACCES);
    WANT_ERRNO(openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644), EACCES);
    WANT_ERRNO(openat(dir, name, O_RDONLY | O_CREAT, 0644), EACCES);
    WANT_ERRNO(mkdirat(dir, name, 0755), EACCES);
    WANT_ERRNO(mknodat(dir, name, S_IFREG | 0644, 0), EACCES);
    WANT_ERRNO(mknodat(dir, name, S_IFIFO | 0644, 0), EACCES);
    WANT_ERRNO(symlinkat("/etc/passwd", dir, name), EACCES);
    WANT_ERRNO(linkat(AT_FDCWD, "plain", dir, name, 0), EACCES);
    WANT_ERRNO(renameat(AT_FDCWD, "plain", dir, name), EACCES);
    WANT_ERRNO(renameat(AT_FDCWD, "plain-dir", dir, name), EACCES);
    WANT_ERRNO(renameat2(AT_FDCWD, "plain", dir, name, RENAME_NOREPLACE), EACCES);
    int nameless = open(".", O_RDWR | O_TMPFILE, 0644);
    WANT(nameless >= 0);
    snprintf(proc, sizeof proc, "/proc/self/fd/%d", nameless);
    WANT_ERRNO(linkat(AT_FDCWD, proc, dir, name, AT_SYMLINK_FOLLOW), EACCES);
    close(nameless);
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%.40s", dir, name);
    WANT_ERRNO(bind(s, (struct sockaddr *)&address, sizeof address), EACCES);
    close(s);
    return 0;
}

static int denied_names_in_every_way(void *ctx)
{
    static const char *const names[] = { ".bashrc", ".vscode", ".BashRC", ".mcp.json",
                                         "commondir" };
    char alias[PATH_MAX];
    WANT(chdir(box) == 0 && mkdir("a", 0755) == 0 && mkdir("a/b", 0755) == 0);
    WANT(mkdir("odd\n\xff\xfe", 0755) == 0 && mkdir("plain-dir", 0755) == 0);
    WANT(close(open("plain", O_WRONLY | O_CREAT, 0644)) == 0 && symlink("a/b", "link") == 0);
    const char *const ways[] = { ".",
                                 "a/b",
                                 "link",
                                 "a/../a/./b",
                                 "odd\n\xff\xfe",
                                 box,
                                 "/proc/self/cwd",
                                 "/proc/thread-self/cwd/a" };
    for (size_t w = 0; w < sizeof ways / sizeof *ways; w++) {
        int dir = open(ways[w], O_RDONLY | O_DIRECTORY);
        WANT(dir >= 0);
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            if (make_in_every_way(dir, names[n]) != 0)
                return 1;
            snprintf(alias, sizeof alias, "%s/%s", ways[w], names[n]);
            WANT_ERRNO(open(alias, O_WRONLY | O_CREAT, 0600), EACCES);
            snprintf(alias, sizeof alias, "/proc/self/root%s/%s", box, names[n]);
            WANT_ERRNO(open(alias, O_WRONLY | O_CREAT, 0600), EACCES);
            snprintf(alias, sizeof alias, "/proc/self/fd/%d/%s", dir, names[n]);
            WANT_ERRNO(creat(alias, 0600), EACCES);
        }
        close(dir);
    }
    return 0;
}

static void a_denied_name_is_made_by_no_call_and_on_no_way(void **state)
{
    inside_work(denied_names_in_every_way, NULL);
    nothing_dangerous_exists();
}

static void the_same_for_an_unprivileged_user(void **state)
{
    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(box, 0777), 0);
    ward.as_nobody = true;
    inside_work(denied_names_in_every_way, NULL);
    nothing_dangerous_exists();
}

static void what_exists_under_a_denied_name_stays_as_it_is(void **state)
{
    host("echo old >.bashrc; mkdir .vscode; echo t >.vscode/tasks.json; ln .bashrc before");
    inside("! echo x >.bashrc; ! echo x >>.bashrc; ! rm -f .bashrc; ! mv .bashrc x;"
           "! ln .bashrc x; ! truncate -s 0 .bashrc; ! mv .vscode x; ! rm -rf .vscode;"
           "! echo x >.vscode/tasks.json; ! mv .vscode/tasks.json y; echo n >n; ! mv n .bashrc;"
           "exec 5<.bashrc; ! echo x >/proc/self/fd/5; ! echo x >/proc/self/root$PWD/.bashrc;"
           "ln -s .bashrc link; ! echo x >link; ! cp n .vscode/");
    host("test $(cat .bashrc) = old && test $(cat .vscode/tasks.json) = t");
}

static void a_link_under_a_denied_name_can_neither_go_nor_be_written_through(void **state)
{
    host("echo old >target; ln -s target .bashrc; ln -s elsewhere .vscode; mkdir elsewhere");
    inside("! rm -f .bashrc; ! mv .bashrc x; ! rm .vscode; ! ln -sfn other .vscode;"
           "! mkdir .vscode/x 2>/dev/null || true");
    host("test -L .bashrc && test -L .vscode");
}

static void a_repository_keeps_its_place(void **state)
{
    host("for d in . sub sub/deep; do mkdir -p $d/.git/hooks; echo old >$d/.git/config; done");
    inside(
        "for d in . sub sub/deep; do ! mv $d/.git g || exit 1; ! mv -T $d/.git/hooks h || exit 1;"
        "! echo x >$d/.git/hooks/pre-commit || exit 1; ! echo x >$d/.git/config || exit 1;"
        "! echo x >$d/.git/config.lock || exit 1; ! rm -rf $d/.git || exit 1; done;"
        "! mv sub x; ! mv sub/deep x; cd sub/.git/hooks; ! mv ../../.git ../../g;"
        "! echo x >pre-commit; ! echo x >./../hooks/y");
    host("for d in . sub sub/deep; do test -d $d/.git/hooks && test $(cat $d/.git/config) = old "
         "|| exit 1; done");
}

static int exchange_it(void *ctx)
{
    WANT(chdir(box) == 0 && mkdir("g", 0755) == 0 && mkdir("g/hooks", 0755) == 0);
    WANT(close(open("g/hooks/pre-commit", O_WRONLY | O_CREAT, 0755)) == 0);
    WANT_ERRNO(renameat2(AT_FDCWD, "g", AT_FDCWD, ".git", RENAME_EXCHANGE), EACCES);
    WANT_ERRNO(renameat2(AT_FDCWD, ".git", AT_FDCWD, "g", RENAME_EXCHANGE), EACCES);
    WANT_ERRNO(renameat2(AT_FDCWD, "g/hooks", AT_FDCWD, ".git/hooks", RENAME_EXCHANGE), EACCES);
    WANT_ERRNO(renameat2(AT_FDCWD, ".git", AT_FDCWD, "x", RENAME_WHITEOUT), EPERM);
    return 0;
}

static void a_repository_cannot_be_exchanged(void **state)
{
    host("mkdir -p .git/hooks");
    inside_work(exchange_it, NULL);
    nothing_dangerous_exists();
}

static void a_prepared_directory_cannot_take_a_dangerous_name(void **state)
{
    inside("mkdir -p g/hooks c h empty; echo x >g/hooks/pre-commit; echo x >g/config;"
           "! mv -T g .git; mkdir .git; ! mv -T g .git; ! mv g/hooks .git/; ! mv g/config .git/;"
           "rmdir .git; mv -T empty .git; ! mkdir .git/hooks; echo x >c/settings.json;"
           "! mv -T c .claude; ! mv -T h .husky; mkdir many; cd many; seq 10001 | xargs touch;"
           "cd ..; rmdir .git; ! mv -T many .git; mkdir blind; chmod 111 blind; mv -T many m2");
    nothing_dangerous_exists();
    host("test ! -e .git && test ! -e .claude && test ! -e .husky");
}

static void a_link_cannot_stand_for_a_dangerous_directory(void **state)
{
    inside("mkdir e; ! ln -s e .git; ! ln -s e .claude; mkdir .git; ! ln -s e .git/hooks;"
           "! ln -s ../e .git/info; ! ln -s ../e .git/modules; ln -s e l; ! mv -T l .claude;"
           "mkdir g2; ln -s ../e g2/info; rmdir .git; ! mv -T g2 .git");
}

static void a_bare_repository_cannot_be_planted(void **state)
{
    static const char *const parts[][2] = { { "mkdir r", "/objects" },
                                            { "mkdir r", "/refs" },
                                            { "echo ref: refs/heads/x >r", "/HEAD" },
                                            { "echo x >r", "/config" } };
    /* Each order of the four: the last step must fail, and no other. */
    for (int order = 0; order < 24; order++) {
        AUTO_BUF script = { 0 };
        int left[] = { 0, 1, 2, 3 }, n = 4, number = order;
        buf_addf(&script, "mkdir r%d", order);
        while (n) {
            int pick = number % n, part = left[pick];
            number /= n;
            left[pick] = left[--n];
            buf_addf(&script, "%s%s%d%s", n ? " && " : " && ! ", parts[part][0], order,
                     parts[part][1]);
        }
        inside(buf_text(&script));
    }
    host("git init -q --bare real && rm -f real/hooks/*");
    inside(
        "cd real; ! echo x >config; ! echo x >>config; ! rm -f config; ! mv config c;"
        "! echo x >hooks/post-checkout; ! mv hooks h; ! mv HEAD H; ! mv refs r; ! mkdir -p hooks/x;"
        "echo x >note; echo y >packed-refs; ! echo x >config.lock; ! echo x >HOOKS/x");
}

static void git_is_not_led_elsewhere(void **state)
{
    host("git init -q .; mkdir -p .git/worktrees/w .git/modules/m evil");
    inside("! echo ../evil >.git/commondir; ! echo x >.git/modules/m/config;"
           "! mkdir .git/modules/m/hooks; ! echo x >evil/commondir; ! echo x >.git/config.worktree;"
           "echo /evil >.git/worktrees/w/commondir; mkdir wt; echo gitdir: $PWD/evil >wt/.git;"
           "echo \"gitdir: $PWD/.git/worktrees/w\" >wt/.git; mkdir s;"
           "echo relative/.git >.git/worktrees/w/gitdir; sleep 0.1");
    /* The one legal content of commondir was written; of the others nothing. */
    host("test \"$(cat .git/worktrees/w/commondir)\" = ../.. && test ! -e wt/.git &&"
         "test ! -e .git/worktrees/w/gitdir && test ! -e .git/commondir");
}

static void git_works(void **state)
{
    host("git init -q repo; cd repo; git config user.email a@b.c; git config user.name n;"
         "git symbolic-ref HEAD refs/heads/main; echo 1 >f; git add f; git commit -qm 1; cp "
         ".git/config ../was");
    inside(
        "set -e; cd repo; git status >/dev/null; echo 2 >>f; git add f; git commit -qm 2;"
        "git checkout -q -b other; echo 3 >>f; git stash -q; git stash pop -q; git checkout -q f;"
        "git checkout -q main; git worktree add ../wt 2>/dev/null; cd ../wt; git status >/dev/null;"
        "test \"$(git rev-parse --git-common-dir)\" = \"$PWD/../repo/.git\" || "
        "test -e \"$(git rev-parse --git-common-dir)/config\"; echo w >w; git add w;"
        "git commit -qm w; cd ../repo; git worktree list | grep -q /wt; git merge -q wt;"
        "git worktree remove ../wt; git worktree prune; git gc -q; git branch -q -D wt;"
        "test -e w; ! git config user.name evil 2>/dev/null; test ! -e .git/config.lock;"
        "! git config --file .gitmodules a.b c 2>/dev/null; test ! -e .gitmodules.lock");
    host("cd repo; cmp .git/config ../was && git fsck && test $(git rev-list --count HEAD) = 3");
}

static void a_denied_inode_is_denied_under_every_name(void **state)
{
    struct stat st;
    char path[PATH_MAX];
    host("echo old >secret; ln secret second; mkdir d; ln secret d/third");
    snprintf(path, sizeof path, "%s/secret", box);
    assert_int_equal(stat(path, &st), 0);
    struct file_rule_inode inode = { st.st_dev, st.st_ino, "filesystem.denyWrite[0]" };
    ward.rules.denied_inodes = &inode;
    ward.rules.denied_inode_count = 1;
    inside("! echo x >second; ! echo x >>d/third; ! truncate -s 1 second; ! ln second fourth;"
           "mv second moved; ! echo x >moved");
    host("test $(cat secret) = old");
}

struct race {
    atomic_bool stop;
    char path[16];
};

static void *swap_text(void *ctx)
{
    struct race *r = ctx;
    while (!atomic_load(&r->stop)) {
        memcpy(r->path, ".bashrc", 8);
        memcpy(r->path, "harmles", 8);
    }
    return NULL;
}

static void *swap_links(void *ctx)
{
    struct race *r = ctx;
    while (!atomic_load(&r->stop)) {
        renameat2(AT_FDCWD, "way", AT_FDCWD, "other", RENAME_EXCHANGE);
        rename("d/x", "d/y");
    }
    return NULL;
}

static int race_it(void *ctx)
{
    static struct race r;
    pthread_t thread;
    WANT(chdir(box) == 0 && mkdir("d", 0755) == 0 && mkdir("way", 0755) == 0);
    WANT(symlink(".git/hooks", "other") == 0);
    for (int round = 0; round < 2; round++) {
        atomic_store(&r.stop, false);
        memcpy(r.path, "harmles", 8);
        WANT(pthread_create(&thread, NULL, round ? swap_links : swap_text, &r) == 0);
        for (int i = 0; i < 3000; i++) {
            int fd = open(round ? "way/x" : r.path, O_WRONLY | O_CREAT, 0644);
            if (fd >= 0)
                close(fd);
            if (round)
                rename("d/y", "way/x");
        }
        atomic_store(&r.stop, true);
        pthread_join(thread, NULL);
    }
    return 0;
}

static void a_name_that_changes_while_it_is_judged_leads_nowhere(void **state)
{
    host("mkdir -p .git/hooks");
    inside_work(race_it, NULL);
    nothing_dangerous_exists();
}

static void errors_come_before_denials(void **state)
{
    static const char *const script =
        "import os, errno\n"
        "def want(os_error, f, *a):\n"
        "    try: f(*a)\n"
        "    except OSError as e: assert e.errno == os_error, (f, a, e)\n"
        "    else: assert 0, (f, a)\n"
        "want(errno.EEXIST, os.mkdir, '/usr')\n"
        "want(errno.ENOENT, os.open, '/no/such/x', os.O_WRONLY)\n"
        "want(errno.ENOENT, os.open, '/etc/no-such', os.O_RDWR)\n"
        "want(errno.EISDIR, os.open, '/etc', os.O_RDWR)\n"
        "want(errno.ENOENT, os.unlink, '/etc/no-such')\n"
        "want(errno.ENOTDIR, os.rmdir, '/etc/passwd')\n"
        "want(errno.EEXIST, os.open, '/etc/passwd', os.O_WRONLY|os.O_CREAT|os.O_EXCL)\n"
        "want(errno.EACCES, os.open, '/etc/passwd', os.O_WRONLY)\n"
        "want(errno.EACCES, os.unlink, '/etc/passwd')\n"
        "want(errno.EXDEV, os.link, '/etc/passwd', 'p')\n"
        "want(errno.EXDEV, os.rename, '/etc/passwd', 'p')\n"
        "os.close(os.open('/etc/passwd', os.O_RDONLY|os.O_CREAT))\n";
    AUTO_FREE char *text = mem_get(2000);
    snprintf(text, 2000, "python3 -c \"%s\"", script);
    ward_want_reports(&ward);
    inside(text);
    int n = 0;
    for (struct warden_report r; ward_next_report(&ward, &r);)
        n++;
    assert_int_equal(n, 2); /* the two with EACCES */
}

static void reports_say_who_did_what_and_why(void **state)
{
    struct warden_report r;
    char path[PATH_MAX];
    ward_want_reports(&ward);
    inside("! mkdir .idea; mkdir -p .github/workflows; echo x >.github/workflows/ci.yml");
    snprintf(path, sizeof path, "%s/.idea", box);
    assert_true(ward_next_report(&ward, &r));
    assert_string_equal(r.object, path);
    assert_string_equal(r.rule, "mandatory .idea");
    assert_string_equal(r.argv0, "mkdir");
    assert_int_equal(r.os, EACCES);
    assert_int_equal(r.warn_only, 0);
    for (int i = 0; i < 2; i++) { /* the directory, and the file in it */
        assert_true(ward_next_report(&ward, &r));
        assert_int_equal(r.os, 0);
        assert_int_equal(r.warn_only, 1);
    }
    assert_false(ward_next_report(&ward, &r));
}

static void a_flood_of_denials_is_counted(void **state)
{
    struct warden_report r;
    uint32_t seen = 0, lost = 0;
    ward_want_reports(&ward);
    inside("python3 -c \"\nimport os\nfor i in range(3000):\n  try: os.mkdir('.idea')\n  except "
           "OSError: pass\"");
    while (ward_next_report(&ward, &r)) {
        seen++;
        lost += r.lost;
    }
    assert_true(seen > 10 && seen < 3000);
    assert_int_equal(lost, 0); /* told with the first report that fits again; none did */
}

static void packages_of_any_kind_can_be_unpacked_and_moved(void **state)
{
    inside(
        "set -e; mkdir -p node_modules/.a-1/lib; echo x >node_modules/.a-1/lib/x.js;"
        "mv node_modules/.a-1 node_modules/a; mkdir t; cd t; for i in 1 2 3; do mkdir -p d$i/e;"
        "echo $i >d$i/e/f; done; tar cf ../t.tar .; mkdir ../u; tar xf ../t.tar -C ../u; cd ..;"
        "cp -a u v; diff -r u v; mv u w; rm -rf t v w; ln -s nowhere l; ln -sf elsewhere l;"
        "test $(readlink l) = elsewhere; install -m 755 t.tar x; test -x x; touch -d 2020-01-01 x");
}

static int second_command(void *ctx)
{
    WANT_ERRNO(open(ctx, O_WRONLY | O_CREAT, 0600), EACCES);
    return 0;
}

static void patterns_and_denies_of_the_settings_hold(void **state)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/sub/secret", box);
    struct file_rule_path deny = { path, "filesystem.denyWrite[0]" };
    ward.rules.write_denies = &deny;
    ward.rules.write_deny_count = 1;
    inside("mkdir sub; mkdir t; echo x >t/secret; ! mv -T t sub; ! mv sub s; ! ln -s t sub/../sub;"
           "! cp t/secret sub/; ! rmdir sub");
    inside_work(second_command, path);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, box_set_up, box_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(a_denied_name_is_made_by_no_call_and_on_no_way),
        CLAIM(the_same_for_an_unprivileged_user),
        CLAIM(what_exists_under_a_denied_name_stays_as_it_is),
        CLAIM(a_link_under_a_denied_name_can_neither_go_nor_be_written_through),
        CLAIM(a_repository_keeps_its_place),
        CLAIM(a_repository_cannot_be_exchanged),
        CLAIM(a_prepared_directory_cannot_take_a_dangerous_name),
        CLAIM(a_link_cannot_stand_for_a_dangerous_directory),
        CLAIM(a_bare_repository_cannot_be_planted),
        CLAIM(git_is_not_led_elsewhere),
        CLAIM(git_works),
        CLAIM(a_denied_inode_is_denied_under_every_name),
        CLAIM(a_name_that_changes_while_it_is_judged_leads_nowhere),
        CLAIM(errors_come_before_denials),
        CLAIM(reports_say_who_did_what_and_why),
        CLAIM(a_flood_of_denials_is_counted),
        CLAIM(packages_of_any_kind_can_be_unpacked_and_moved),
        CLAIM(patterns_and_denies_of_the_settings_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
