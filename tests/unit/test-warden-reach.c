/* What the warden says a second time after the namespaces: objects without a path that others have made,
 * and internet addresses that lead out. The ward has the host's ipc and network namespaces. */
#include "wardbox.h"

#include "base/check.h"
#include "sandbox/settings.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <unistd.h>

union semun {
    int val;
};

struct objects {
    int shm, sem, msg;
    key_t key;
};

static int use_foreign_objects(void *ctx)
{
    const struct objects *o = ctx;
    struct shmid_ds shm;
    struct msqid_ds msg;
    struct seminfo info;
    struct sembuf step = { 0, 1, 0 };
    char text[16] = { 0 };
    WANT_ERRNO((intptr_t)shmat(o->shm, NULL, 0), EACCES);
    WANT_ERRNO(shmctl(o->shm, IPC_STAT, &shm), EACCES);
    WANT_ERRNO(shmctl(o->shm, IPC_RMID, NULL), EACCES);
    WANT_ERRNO(semctl(o->sem, 0, GETVAL), EACCES);
    WANT_ERRNO(semop(o->sem, &step, 1), EACCES);
    WANT_ERRNO(msgctl(o->msg, IPC_STAT, &msg), EACCES);
    WANT_ERRNO(msgsnd(o->msg, text, 1, IPC_NOWAIT), EACCES);
    WANT_ERRNO(shmget(o->key, 1, 0), EACCES);
    WANT_ERRNO(shmget(o->key, 1, IPC_CREAT | 0600), EACCES);
    WANT_ERRNO(shmget(o->key, 1, IPC_CREAT | IPC_EXCL | 0600), EEXIST);
    WANT_ERRNO(semctl(0, 0, SEM_INFO, (void *)&info), EACCES);
    return 0;
}

static void objects_of_others_are_refused(void **state)
{
    struct objects o = { .key = 0x70500000 + getpid() % 65536 };
    o.shm = shmget(o.key, 4096, IPC_CREAT | IPC_EXCL | 0600);
    o.sem = semget(IPC_PRIVATE, 1, 0600);
    o.msg = msgget(IPC_PRIVATE, 0600);
    assert_true(o.shm >= 0 && o.sem >= 0 && o.msg >= 0);
    int status = ward_run(&ward, use_foreign_objects, &o);
    shmctl(o.shm, IPC_RMID, NULL);
    semctl(o.sem, 0, IPC_RMID);
    msgctl(o.msg, IPC_RMID, NULL);
    assert_int_equal(status, 0);
}

static int use_own_objects(void *ctx)
{
    const key_t key = *(key_t *)ctx;
    struct sembuf step = { 0, -1, IPC_NOWAIT };
    struct {
        long type;
        char text[8];
    } message = { 1, "text" };
    int shm = shmget(key, 4096, IPC_CREAT | 0600);
    WANT(shm >= 0 && shmget(key, 1, 0) == shm && shmget(key, 1, IPC_CREAT | 0600) == shm);
    char *at = shmat(shm, NULL, 0);
    WANT((intptr_t)at != -1 && shmdt(at) == 0 && shmctl(shm, IPC_RMID, NULL) == 0);
    WANT(shmget(key, 1, 0) == -1 && errno == ENOENT);
    int sem = semget(IPC_PRIVATE, 1, 0600), msg = msgget(IPC_PRIVATE, 0600);
    WANT(semctl(sem, 0, SETVAL, (union semun){ 1 }) == 0 && semop(sem, &step, 1) == 0);
    WANT_ERRNO(semop(sem, &step, 1), EAGAIN);
    WANT(semctl(sem, 0, IPC_RMID) == 0);
    WANT(msgsnd(msg, &message, 5, 0) == 0 && msgrcv(msg, &message, 8, 0, 0) == 5);
    WANT(msgctl(msg, IPC_RMID, NULL) == 0);
    WANT_ERRNO(msgctl(msg, IPC_RMID, NULL), EACCES);
    return 0;
}

static void own_objects_work(void **state)
{
    key_t key = 0x70510000 + getpid() % 65536;
    assert_int_equal(ward_run(&ward, use_own_objects, &key), 0);
}

static int dial_with(int family, const char *address, uint16_t port, bool shortened)
{
    enum { SHORT_V6 = 24 };
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
    const bool is_v4 = family == AF_INET;
    CHECK(inet_pton(family, address, is_v4 ? (void *)&v4.sin_addr : (void *)&v6.sin6_addr) == 1);
    /* The kernel also takes an address that ends before its scope (RFC 2133). */
    const socklen_t size = is_v4 ? sizeof v4 : shortened ? SHORT_V6 : sizeof v6;
    int s = socket(family, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int result = connect(s, is_v4 ? (void *)&v4 : (void *)&v6, size);
    int os = errno;
    close(s);
    errno = os;
    return result;
}

static int dial(int family, const char *address, uint16_t port)
{
    return dial_with(family, address, port, false);
}

static int dial_in_every_way(void *ctx)
{
    struct sockaddr_in at = { .sin_family = AF_INET };
    socklen_t n = sizeof at;
    const uint16_t foreign = *(uint16_t *)ctx;
    WANT_ERRNO(dial(AF_INET, "127.0.0.1", foreign), ECONNREFUSED);
    WANT_ERRNO(dial(AF_INET, "0.0.0.0", foreign), ECONNREFUSED);
    WANT_ERRNO(dial(AF_INET6, "::ffff:127.0.0.1", foreign), ECONNREFUSED);
    WANT_ERRNO(dial(AF_INET, "192.0.2.1", 80), ENETUNREACH);
    WANT_ERRNO(dial(AF_INET6, "2001:db8::1", 80), ENETUNREACH);
    WANT_ERRNO(dial_with(AF_INET6, "::ffff:127.0.0.1", foreign, true), ECONNREFUSED);
    WANT_ERRNO(dial_with(AF_INET6, "2001:db8::1", 80, true), ENETUNREACH);
    WANT_ERRNO(dial(AF_INET, "198.18.0.1", 80), ENETUNREACH); /* nothing redirects it */
    int bound = socket(AF_INET, SOCK_STREAM, 0), unbound = socket(AF_INET, SOCK_STREAM, 0);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    WANT(bind(bound, (void *)&at, n) == 0 && listen(bound, 1) == 0 && listen(unbound, 1) == 0);
    WANT(getsockname(bound, (void *)&at, &n) == 0);
    WANT(dial(AF_INET, "127.0.0.1", ntohs(at.sin_port)) == 0 || errno == EINPROGRESS);
    WANT(getsockname(unbound, (void *)&at, &n) == 0);
    WANT(dial(AF_INET, "127.0.0.1", ntohs(at.sin_port)) == 0 || errno == EINPROGRESS);
    WANT_ERRNO(sendto(socket(AF_INET, SOCK_STREAM, 0), "x", 1, MSG_FASTOPEN, (void *)&at, n),
               EOPNOTSUPP);
    return 0;
}

static void connections_lead_to_servers_inside_and_to_what_is_redirected(void **state)
{
    static const struct netns_options closed = { .proxy = true };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (void *)&at, n), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, (void *)&at, &n), 0);
    uint16_t port = ntohs(at.sin_port);
    ward.options.network = &closed;
    assert_int_equal(ward_run(&ward, dial_in_every_way, &port), 0);
    close(server);
}

static int dial_what_is_open(void *ctx)
{
    const uint16_t *ports = ctx;
    WANT_ERRNO(dial(AF_INET, "192.0.2.1", 81), ENETUNREACH);
    WANT_ERRNO(dial(AF_INET, "192.0.2.1", 53), ENETUNREACH); /* there is no resolver */
    WANT(dial(AF_INET, "127.0.0.1", ports[0]) == 0 || errno == EINPROGRESS);
    return 0;
}

static void forwarded_ports_lead_out(void **state)
{
    static const struct netns_options open = { .proxy = true, .transparent = true };
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t n = sizeof at;
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(server, (void *)&at, n), 0);
    assert_int_equal(listen(server, 1), 0);
    assert_int_equal(getsockname(server, (void *)&at, &n), 0);
    struct settings_port_forward forward = { .inner = ntohs(at.sin_port) };
    uint16_t port = forward.inner;
    ward.options.network = &open;
    ward.options.forwards = &forward;
    ward.options.forward_count = 1;
    assert_int_equal(ward_run(&ward, dial_what_is_open, &port), 0);
    close(server);
}

int main(void)
{
#define CLAIM(f) cmocka_unit_test_setup_teardown(f, box_set_up, box_tear_down)
    const struct CMUnitTest tests[] = {
        CLAIM(objects_of_others_are_refused),
        CLAIM(own_objects_work),
        CLAIM(connections_lead_to_servers_inside_and_to_what_is_redirected),
        CLAIM(forwarded_ports_lead_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
