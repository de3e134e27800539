/* hostile-ipc SHM-ID SEM-ID MSG-ID QUEUE SHM-FILE KEY-NAME KEY-ID - the host's shared objects (T20).
 *
 * The caller has made each of them on the host, readable by all.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/keyctl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

static int number(int n)
{
    return (int)strtol(attack_argument(n), NULL, 10);
}

static bool by_shared_memory(void)
{
    void *at = shmat(number(1), NULL, SHM_RDONLY);
    struct shmid_ds state;
    return at != (void *)-1 || shmctl(number(1), IPC_STAT, &state) == 0;
}

static bool by_semaphore(void)
{
    return semctl(number(2), 0, GETVAL) >= 0;
}

static bool by_message_queue(void)
{
    struct msqid_ds state;
    return msgctl(number(3), IPC_STAT, &state) == 0;
}

static bool by_listing(void)
{
    struct shm_info shm;
    struct seminfo sem;
    struct msginfo msg;
    return (shmctl(0, SHM_INFO, (struct shmid_ds *)&shm) >= 0 && shm.used_ids > 0) ||
           (semctl(0, 0, SEM_INFO, &sem) >= 0 && sem.semusz > 0) ||
           (msgctl(0, MSG_INFO, (struct msqid_ds *)&msg) >= 0 && msg.msgpool > 0);
}

static bool by_posix_queue(void)
{
    return mq_open(attack_argument(4), O_RDONLY) >= 0;
}

static bool by_shared_file(void)
{
    return open(attack_argument(5), O_RDONLY) >= 0;
}

static bool by_key_name(void)
{
    static const long rings[] = { KEY_SPEC_SESSION_KEYRING, KEY_SPEC_USER_KEYRING,
                                  KEY_SPEC_USER_SESSION_KEYRING, KEY_SPEC_PROCESS_KEYRING };
    for (size_t i = 0; i < sizeof rings / sizeof *rings; i++)
        if (syscall(SYS_keyctl, KEYCTL_SEARCH, rings[i], "user", attack_argument(6), 0) >= 0)
            return true;
    return syscall(SYS_request_key, "user", attack_argument(6), NULL, 0) >= 0;
}

static bool by_key_number(void)
{
    char text[256];
    return syscall(SYS_keyctl, KEYCTL_READ, number(7), text, sizeof text) >= 0;
}

static bool by_key_listing(void)
{
    static const char *const names[] = { "/proc/keys", "/proc/key-users" };
    char text[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        int fd = open(names[i], O_RDONLY);
        if (fd >= 0 && read(fd, text, sizeof text) > 0)
            return true;
    }
    return false;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "shared memory", by_shared_memory }, { "semaphore", by_semaphore },
        { "message queue", by_message_queue }, { "listing", by_listing },
        { "POSIX queue", by_posix_queue },     { "/dev/shm", by_shared_file },
        { "key by name", by_key_name },        { "key by number", by_key_number },
        { "/proc/keys", by_key_listing },
    };
    attack_begin(argc, argv);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
