/* ipcops.h - shared objects that have no path: System V memory, semaphores and queues, POSIX queues.
 *
 * The command reaches those that it has made, and no other: a second time what its ipc namespace says.
 * What makes an object is done by the warden, so that it knows the number or the name; calls on a known
 * number go on in the kernel, because nothing is judged but that number.
 */
#pragma once

#include "sandbox/warden-int.h"

int ipcop_shmget(struct request *q, const uint64_t args[6]);
int ipcop_semget(struct request *q, const uint64_t args[6]);
int ipcop_msgget(struct request *q, const uint64_t args[6]);

/* shmat, semop, msgsnd and the like: the object's number is the first argument. */
int ipcop_shm(struct request *q, const uint64_t args[6]);
int ipcop_sem(struct request *q, const uint64_t args[6]);
int ipcop_msg(struct request *q, const uint64_t args[6]);

int ipcop_shmctl(struct request *q, const uint64_t args[6]);
int ipcop_semctl(struct request *q, const uint64_t args[6]);
int ipcop_msgctl(struct request *q, const uint64_t args[6]);

int ipcop_mq_open(struct request *q, const uint64_t args[6]);
int ipcop_mq_unlink(struct request *q, const uint64_t args[6]);

void ipcops_free(struct warden *w);
