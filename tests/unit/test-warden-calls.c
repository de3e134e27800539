/* Every other call that the warden does in the command's place, or refuses: what comes out of it. */
#include "wardbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
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
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, box_set_up, box_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(the_wardens_own_rights_are_not_lent),
        CLAIM(set_id_files_and_devices_are_not_made),
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
        CLAIM(a_warden_that_the_host_stops_at_any_moment_hands_every_descriptor_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
