/* What the warden refuses, tried by a command that knows how it works; and what it must not break. */
#include "ward.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* In work that runs behind the warden: says what was not so, and ends the work with 1. */
#define WANT(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not so: %s (%s)\n", __LINE__, #condition, strerror(errno));  \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)
#define WANT_ERRNO(call, os)                                                                       \
    do {                                                                                           \
        errno = 0;                                                                                 \
        WANT((call) == -1 && errno == (os));                                                       \
    } while (0)

static char box[64]; /* the write root of the running test */
static struct file_rule_path root;
static struct ward ward;

/* A script of the host's, outside any filter. */
static void host(const char *script)
{
    struct ward bare = ward;
    bare.bare = true;
    bare.as_nobody = false;
    assert_int_equal(ward_shell(&bare, box, script), 0);
}

static int set_up(void **state)
{
    snprintf(box, sizeof box, "/dev/shm/warden-XXXXXX");
    CHECK(mkdtemp(box));
    root = (struct file_rule_path){ box, "filesystem.allowWrite[0]" };
    ward_init(&ward, &root);
    return 0;
}

static int tear_down(void **state)
{
    host("chmod -R u+rwx . && rm -rf -- \"$PWD\"");
    for (int i = 0; i < 2; i++)
        if (ward.report[i] >= 0)
            close(ward.report[i]);
    return 0;
}

/* Runs the script behind the warden; it must end with 0. */
static void inside(const char *script)
{
    assert_int_equal(ward_shell(&ward, box, script), 0);
}

static void inside_work(int (*work)(void *ctx), void *ctx)
{
    assert_int_equal(ward_run(&ward, work, ctx), 0);
}

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

static int touch_others(void *ctx)
{
    char path[64];
    pid_t warden = getppid();
    static const char *const files[] = {
        "mem", "comm", "fd/0", "root/x", "cwd/x", "oom_score_adj"
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        snprintf(path, sizeof path, "/proc/%d/%s", warden, files[i]);
        WANT_ERRNO(open(path, O_RDWR | O_CREAT, 0600), EACCES);
        WANT_ERRNO(open(path, O_WRONLY), EACCES);
    }
    snprintf(path, sizeof path, "/proc/%d/environ", warden);
    WANT_ERRNO(open(path, O_RDONLY | O_CREAT, 0600), EACCES);
    snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)gettid());
    int fd = open(path, O_WRONLY);
    WANT(fd >= 0 && write(fd, "renamed", 7) == 7);
    WANT(close(fd) == 0);
    fd = open("/proc/self/mem", O_RDWR);
    WANT(fd >= 0);
    return close(fd);
}

static void the_wardens_own_rights_are_not_lent(void **state)
{
    inside_work(touch_others, NULL);
}

static int make_special(void *ctx)
{
    WANT(chdir(box) == 0);
    WANT_ERRNO(open("a", O_WRONLY | O_CREAT, 04755), EPERM);
    WANT_ERRNO(creat("a", 02755), EPERM);
    WANT_ERRNO(open(".", O_RDWR | O_TMPFILE, 04700), EPERM);
    WANT_ERRNO(mknod("a", S_IFREG | 04755, 0), EPERM);
    WANT_ERRNO(mknod("a", S_IFCHR | 0600, 0x103), EPERM);
    WANT_ERRNO(mknod("a", S_IFBLK | 0600, 0x800), EPERM);
    WANT_ERRNO(mknod("a", S_IFCHR | 0600, 0), EPERM);
    WANT(close(open("a", O_WRONLY | O_CREAT, 01644)) == 0);
    WANT_ERRNO(chmod("a", 04755), EPERM);
    return 0;
}

static void set_id_files_and_devices_are_not_made(void **state)
{
    inside_work(make_special, NULL);
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

static int pass_through_fifo(void *ctx)
{
    bool reader_first = ctx;
    char byte = 0;
    WANT(chdir(box) == 0 && mkfifo("f", 0600) == 0);
    WANT_ERRNO(open("f", O_WRONLY | O_NONBLOCK), ENXIO);
    pid_t pid = fork();
    if (pid == 0) {
        if (reader_first)
            usleep(30000);
        int w = open("f", O_WRONLY);
        _exit(w >= 0 && write(w, "x", 1) == 1 && (fcntl(w, F_GETFL) & O_NONBLOCK) == 0 ? 0 : 1);
    }
    if (!reader_first)
        usleep(30000);
    int r = open("f", O_RDONLY | (reader_first ? O_CREAT : 0), 0600), status;
    WANT(r >= 0 && read(r, &byte, 1) == 1 && byte == 'x');
    WANT(waitpid(pid, &status, 0) == pid && status == 0);
    close(r);
    /* A writer that waits for ever is killed like any other process. */
    pid = fork();
    if (pid == 0)
        _exit(open("f", O_WRONLY));
    usleep(30000);
    WANT(kill(pid, SIGKILL) == 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status));
    return unlink("f");
}

static void a_fifo_waits_for_its_other_end_and_holds_up_nobody(void **state)
{
    inside_work(pass_through_fifo, NULL);
    inside_work(pass_through_fifo, (void *)1);
}

static int named(const char *path, struct sockaddr_un *address)
{
    *address = (struct sockaddr_un){ .sun_family = AF_UNIX };
    snprintf(address->sun_path, sizeof address->sun_path, "%s", path);
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int use_own_sockets(void *ctx)
{
    struct sockaddr_un address;
    struct stat st;
    WANT(chdir(box) == 0);
    umask(027);
    int listener = named("s", &address);
    WANT(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    WANT(stat("s", &st) == 0 && (st.st_mode & 0777) == 0750);
    WANT(listen(listener, 0) == 0);
    WANT_ERRNO(bind(named("s", &address), (struct sockaddr *)&address, sizeof address), EADDRINUSE);
    int first = named("s", &address);
    WANT(connect(first, (struct sockaddr *)&address, sizeof address) == 0);
    int full = named("s", &address);
    WANT(fcntl(full, F_SETFL, O_NONBLOCK) == 0);
    WANT_ERRNO(connect(full, (struct sockaddr *)&address, sizeof address), EAGAIN);
    /* A connection that has to wait is made when there is room. */
    pid_t pid = fork();
    if (pid == 0) {
        int s = named("s", &address);
        _exit(connect(s, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : 1);
    }
    usleep(30000);
    WANT(close(open("meanwhile", O_WRONLY | O_CREAT, 0600)) == 0);
    WANT(accept(listener, NULL, NULL) >= 0);
    int status;
    WANT(waitpid(pid, &status, 0) == pid && status == 0);
    address.sun_path[0] = '\0'; /* abstract */
    memcpy(address.sun_path + 1, box, strlen(box));
    int hidden = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
    WANT(bind(hidden, (struct sockaddr *)&address, sizeof address) == 0 && listen(hidden, 1) == 0);
    WANT(connect(other, (struct sockaddr *)&address, sizeof address) == 0);
    return 0;
}

static int use_datagrams(void *ctx)
{
    struct sockaddr_un own, outside;
    char word[8];
    int pair[2];
    WANT(chdir(box) == 0);
    close(named("d", &own));
    close(named("/dev/log", &outside));
    outside.sun_family = own.sun_family = AF_UNIX;
    int server = socket(AF_UNIX, SOCK_DGRAM, 0), client = socket(AF_UNIX, SOCK_DGRAM, 0);
    const struct sockaddr *to = (struct sockaddr *)&own;
    WANT(bind(server, to, sizeof own) == 0);
    WANT(sendto(client, "one", 3, 0, to, sizeof own) == 3);
    WANT(recv(server, word, sizeof word, 0) == 3 && memcmp(word, "one", 3) == 0);
    struct iovec parts[] = { { (char *)"t", 1 }, { (char *)"wo", 2 } };
    struct mmsghdr both[2] = { 0 };
    for (int i = 0; i < 2; i++)
        both[i].msg_hdr = (struct msghdr){
            .msg_name = &own, .msg_namelen = sizeof own, .msg_iov = parts, .msg_iovlen = 2
        };
    WANT(sendmsg(client, &both[0].msg_hdr, 0) == 3);
    WANT(recv(server, word, sizeof word, 0) == 3 && memcmp(word, "two", 3) == 0);
    WANT(sendmmsg(client, both, 2, 0) == 2 && both[0].msg_len == 3 && both[1].msg_len == 3);
    WANT(recv(server, word, sizeof word, 0) == 3 && recv(server, word, sizeof word, 0) == 3);
    WANT_ERRNO(sendto(client, "x", 1, MSG_FASTOPEN, to, sizeof own), EOPNOTSUPP);
    WANT_ERRNO(sendmsg(client, NULL, 0), EFAULT);
    WANT_ERRNO(sendto(-1, "x", 1, 0, to, sizeof own), EBADF);
    WANT_ERRNO(sendto(open("file", O_RDWR | O_CREAT, 0600), "x", 1, 0, to, sizeof own), ENOTSOCK);
    WANT_ERRNO(sendto(client, (void *)8, 1, 0, to, sizeof own), EFAULT);
    WANT(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0 && send(pair[0], "x", 1, 0) == 1);
    return 0;
}

static void own_datagrams_arrive(void **state)
{
    inside_work(use_datagrams, NULL);
}

static void own_sockets_work(void **state)
{
    inside_work(use_own_sockets, NULL);
}

static int use_internet(void *ctx)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t n = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    struct timeval before = { .tv_sec = 7 }, after;
    socklen_t m = sizeof after;
    WANT(bind(listener, (struct sockaddr *)&address, sizeof address) == 0);
    WANT(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&address, &n) == 0);
    WANT(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &before, sizeof before) == 0);
    WANT(connect(client, (struct sockaddr *)&address, sizeof address) == 0);
    WANT(getsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &after, &m) == 0 && after.tv_sec == 7);
    WANT_ERRNO(connect(client, (struct sockaddr *)&address, sizeof address), EISCONN);
    close(listener);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    WANT_ERRNO(connect(late, (struct sockaddr *)&address, sizeof address), ECONNREFUSED);
    WANT_ERRNO(connect(0, (struct sockaddr *)&address, sizeof address), ENOTSOCK);
    WANT_ERRNO(connect(999, (struct sockaddr *)&address, sizeof address), EBADF);
    WANT_ERRNO(connect(late, NULL, sizeof address), EFAULT);
    WANT_ERRNO(connect(late, (struct sockaddr *)&address, 4096), EINVAL);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    WANT(connect(udp, (struct sockaddr *)&address, sizeof address) == 0);
    address.sin_family = AF_UNSPEC;
    WANT(connect(udp, (struct sockaddr *)&address, sizeof address) == 0);
    return 0;
}

static void internet_sockets_connect_as_ever(void **state)
{
    inside_work(use_internet, NULL);
}

static int reach(void *ctx)
{
    struct sockaddr_un address;
    int s = named(ctx, &address);
    return connect(s, (struct sockaddr *)&address, sizeof address) == 0 ? 0 : errno;
}

static void a_socket_outside_is_reached_only_when_it_is_listed(void **state)
{
    char outside[] = "/dev/shm/warden-host-XXXXXX", path[100], alias[100];
    struct sockaddr_un address;
    assert_non_null(mkdtemp(outside));
    snprintf(path, sizeof path, "%s/s", outside);
    int listener = named(path, &address);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 9), 0);
    snprintf(alias, sizeof alias, "%s/alias", box);
    assert_int_equal(symlink(path, alias), 0);
    assert_int_equal(ward_run(&ward, reach, path), EACCES);
    assert_int_equal(ward_run(&ward, reach, alias), EACCES);
    ward.rules.disabled = true;
    assert_int_equal(ward_run(&ward, reach, path), EACCES);
    ward.rules.disabled = false;
    struct file_rule_path listed = { path, "network.allowUnixSockets[0]" };
    ward.options.unix_connect = &listed;
    ward.options.unix_connect_count = 1;
    assert_int_equal(ward_run(&ward, reach, path), 0);
    assert_int_equal(ward_run(&ward, reach, alias), 0);
    ward.options.unix_connect_count = 0;
    ward.options.all_unix_sockets = true;
    assert_int_equal(ward_run(&ward, reach, path), 0);
    close(listener);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(outside), 0);
}

static void *make_with_shared_umask(void *ctx)
{
    struct stat st;
    for (mode_t mask = 0; mask < 0777; mask += 0111) {
        char name[16];
        snprintf(name, sizeof name, "u%o", mask);
        umask(mask);
        close(open(name, O_WRONLY | O_CREAT, 0666));
        if (stat(name, &st) != 0 || (st.st_mode & 0777) != (0666 & ~mask))
            return ctx; /* not NULL: wrong */
    }
    return NULL;
}

static int change_umask(void *ctx)
{
    pthread_t thread;
    void *result;
    struct stat st;
    WANT(chdir(box) == 0);
    umask(0);
    WANT(close(open("before", O_WRONLY | O_CREAT, 0666)) == 0);
    WANT(pthread_create(&thread, NULL, make_with_shared_umask, &st) == 0);
    WANT(pthread_join(thread, &result) == 0 && result == NULL);
    umask(077); /* of the thread that was seen first */
    WANT(close(open("after", O_WRONLY | O_CREAT, 0666)) == 0);
    return stat("after", &st) == 0 && (st.st_mode & 0777) == 0600 ? 0 : 1;
}

static void every_change_of_the_umask_counts_at_once(void **state)
{
    inside_work(change_umask, NULL);
}

static int have_no_descriptor(void *ctx)
{
    WANT(chdir(box) == 0);
    struct rlimit few = { 3, 3 };
    syscall(SYS_close_range, 3, ~0u, 0);
    WANT(setrlimit(RLIMIT_NOFILE, &few) == 0);
    WANT_ERRNO(open("new", O_WRONLY | O_CREAT, 0600), EMFILE);
    return access("new", F_OK) == -1 ? 0 : 1;
}

static void no_file_is_left_when_there_is_no_descriptor(void **state)
{
    inside_work(have_no_descriptor, NULL);
}

static int own_terminal(void *ctx)
{
    struct stat a, b;
    WANT(setsid() > 0);
    WANT_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
    int master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
    int unlocked = 0;
    WANT(master >= 0 && ioctl(master, TIOCSPTLCK, &unlocked) == 0);
    int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    WANT(slave >= 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
    int tty = open("/dev/tty", O_RDWR);
    WANT(tty >= 0 && fstat(tty, &a) == 0 && fstat(slave, &b) == 0);
    WANT(a.st_rdev == b.st_rdev && (fcntl(tty, F_GETFL) & O_NONBLOCK) == 0);
    return 0;
}

static void dev_tty_is_the_callers_terminal(void **state)
{
    inside_work(own_terminal, NULL);
}

static void standard_output_may_be_opened_again(void **state)
{
    char outside[] = "/dev/shm/warden-out-XXXXXX", script[200], text[20] = "";
    int fd = mkstemp(outside);
    assert_true(fd >= 0);
    /* The caller's file lies outside the write roots; the command has it, and may name it. */
    snprintf(script, sizeof script, "exec >%s; exec 9<%s", outside, outside);
    int saved = dup(1);
    assert_true(dup2(fd, 1) == 1);
    int result = ward_shell(&ward, box, "echo one >/dev/stdout; echo two >/proc/self/fd/1");
    assert_true(dup2(saved, 1) == 1);
    close(saved);
    assert_int_equal(result, 0);
    assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
    assert_string_equal(text, "one\ntwo\n");
    close(fd);
    unlink(outside);
    inside("echo x >/dev/null; echo y | cat >/dev/null; (echo p >/dev/stdout) | grep -q p");
}

static int truncate_by_reading(void *ctx)
{
    struct stat st;
    /* 8 is open for reading and writing, 9 for reading only; both on a file outside the write roots. */
    WANT_ERRNO(open("/proc/self/fd/9", O_RDONLY | O_TRUNC), EACCES);
    WANT_ERRNO(open("/dev/fd/9", O_RDONLY | O_TRUNC), EACCES);
    WANT(fstat(9, &st) == 0 && st.st_size == 7);
    int fd = open("/proc/self/fd/8", O_RDONLY | O_TRUNC);
    WANT(fd >= 0 && fstat(fd, &st) == 0 && st.st_size == 0);
    return 0;
}

static void a_descriptor_opened_again_is_truncated_or_refused(void **state)
{
    char outside[] = "/dev/shm/warden-trunc-XXXXXX";
    int fd = mkstemp(outside);
    assert_true(fd >= 0 && write(fd, "content", 7) == 7);
    int reads = open(outside, O_RDONLY);
    assert_true(reads >= 0 && dup2(fd, 8) == 8 && dup2(reads, 9) == 9);
    inside_work(truncate_by_reading, NULL);
    close(8);
    close(9);
    close(reads);
    close(fd);
    unlink(outside);
}

static int in_chroot(void *ctx)
{
    WANT(chdir(box) == 0 && mkdir("j", 0755) == 0 && mkdir("j/d", 0755) == 0);
    int outside = open(".", O_RDONLY | O_DIRECTORY);
    WANT(chroot("j") == 0);
    WANT(close(open("/new", O_WRONLY | O_CREAT, 0600)) == 0);
    WANT(chdir("/d") == 0);
    WANT(close(open("../../../above", O_WRONLY | O_CREAT, 0600)) == 0);
    WANT(symlink("/made", "link") == 0 && close(open("link", O_WRONLY | O_CREAT, 0600)) == 0);
    WANT_ERRNO(open("/.bashrc", O_WRONLY | O_CREAT, 0600), EACCES);
    WANT_ERRNO(openat(outside, "../../../../../etc/evil", O_WRONLY | O_CREAT, 0600), EACCES);
    return 0;
}

static void a_changed_root_is_the_callers_root(void **state)
{
    if (geteuid() != 0)
        skip();
    ward.options.nested_user_namespaces = true;
    inside_work(in_chroot, NULL);
    host("test -e j/new && test -e j/above && test -e j/made");
}

static void a_nested_user_namespace_can_be_given_its_maps(void **state)
{
    if (geteuid() != 0)
        skip();
    ward.options.nested_user_namespaces = true;
    ward.as_nobody = true;
    assert_int_equal(chmod(box, 0777), 0);
    inside("cd / && test $(unshare -U -r id -u) = 0");
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

/* What a process of the host's and the command behind the warden have in common. */
struct stops {
    _Atomic pid_t warden;
    _Atomic bool over;
};

static int open_many_times(void *ctx)
{
    struct stops *s = ctx;
    WANT(chdir(box) == 0);
    s->warden = getppid();
    for (int i = 0; i < 300; i++) {
        int fd = open("f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        WANT(fd > STDERR_FILENO && close(fd) == 0);
    }
    return 0;
}

static _Noreturn void stop_the_warden(const struct stops *s)
{
    while (!s->over)
        if (s->warden && kill(s->warden, SIGSTOP) == 0)
            kill(s->warden, SIGCONT);
    _exit(0);
}

static void a_warden_that_the_host_stops_at_any_moment_hands_every_descriptor_over(void **state)
{
    struct stops *s =
        mmap(NULL, sizeof *s, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(s, MAP_FAILED);
    pid_t stopper = fork();
    assert_return_code(stopper, errno);
    if (stopper == 0)
        stop_the_warden(s);
    int status = ward_run(&ward, open_many_times, s);
    s->over = true;
    assert_int_equal(waitpid(stopper, NULL, 0), stopper);
    munmap(s, sizeof *s);
    assert_int_equal(status, 0);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
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
        CLAIM(the_wardens_own_rights_are_not_lent),
        CLAIM(set_id_files_and_devices_are_not_made),
        CLAIM(errors_come_before_denials),
        CLAIM(reports_say_who_did_what_and_why),
        CLAIM(a_flood_of_denials_is_counted),
        CLAIM(a_fifo_waits_for_its_other_end_and_holds_up_nobody),
        CLAIM(own_sockets_work),
        CLAIM(own_datagrams_arrive),
        CLAIM(internet_sockets_connect_as_ever),
        CLAIM(a_socket_outside_is_reached_only_when_it_is_listed),
        CLAIM(every_change_of_the_umask_counts_at_once),
        CLAIM(no_file_is_left_when_there_is_no_descriptor),
        CLAIM(dev_tty_is_the_callers_terminal),
        CLAIM(standard_output_may_be_opened_again),
        CLAIM(a_descriptor_opened_again_is_truncated_or_refused),
        CLAIM(a_changed_root_is_the_callers_root),
        CLAIM(a_nested_user_namespace_can_be_given_its_maps),
        CLAIM(packages_of_any_kind_can_be_unpacked_and_moved),
        CLAIM(patterns_and_denies_of_the_settings_hold),
        CLAIM(a_warden_that_the_host_stops_at_any_moment_hands_every_descriptor_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
