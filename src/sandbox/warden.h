/* warden.h - performs file and socket calls in the command's place, after judging them by name.
 *
 * One thread per sandbox: it serialises every change of names that the command
 * makes, so that a judgement and the deed cannot be torn apart by the command itself. It lives in
 * the sandbox's namespaces, inside the outer Landlock domain (reads minus hidden paths, writes only
 * beneath the allowed roots), holds CAP_SYS_PTRACE towards the sandbox and nothing else, is not
 * dumpable, and reads paths from the command's memory as hostile bytes.
 *
 * How a call is done: read the arguments (process_vm_readv), check that the notification is still
 * valid, walk the path from /proc/PID/root or the given descriptor with O_PATH, component by
 * component, substituting the caller's own "self" and "thread-self", keep the parent as a descriptor,
 * judge its real path plus the last name (core/filerules.h), act relative to that descriptor, look
 * again whether the parent still has the judged path and undo when it has not, answer with the result
 * or the new descriptor (ADDFD). umask, O_NOFOLLOW, O_EXCL, AT_ flags and errno come out as the
 * kernel's own.
 */
#pragma once

#include "base/err.h"
#include "core/filerules.h"
#include "sandbox/netns.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* What the warden tells the supervisor about one judged call. Fixed size, one SEQPACKET message, so
 * that a flood costs the sandbox and nobody else (a full queue drops and counts). */
struct warden_report {
    uint32_t pid;     /* inside */
    int32_t os;       /* errno handed to the command, 0 = allowed */
    uint32_t lost;    /* reports dropped before this one */
    char call[16];    /* "openat", "renameat2", "connect" */
    char rule[96];    /* which entry decided, "" when none */
    char argv0[64];   /* /proc/PID/comm */
    char object[512]; /* path as judged, cut; bytes */
    uint8_t warn_only;
};

/* The command has added more than x.limits.diskQuota allows; said once, on the same socket. */
struct warden_excess {
    uint64_t added, limit; /* bytes */
};

struct settings_port_forward;

struct warden_options {
    const struct file_rules *rules;
    /* Unix sockets that may be reached outside the write roots (canonical paths), contract 3.7. */
    const struct file_rule_path *unix_connect, *unix_bind;
    size_t unix_connect_count, unix_bind_count;
    bool all_unix_sockets;
    /* Landlock watches datagram sockets (ABI 9, RESOLVE_UNIX) in the command's domain. Otherwise the
     * filter hands sends over, and they are done by the warden once there are such sockets. */
    bool unix_datagrams;
    bool foreign_proc; /* /proc is of another pid namespace than ours (enableWeakerNestedSandbox) */
    bool unseen_datagrams; /* they can be made without the warden's knowledge (x.seccomp.allow) */
    /* The network is the host's: TCP connections go to these ports of 127.0.0.1 and nowhere else,
     * servers stay on loopback, and names in the abstract namespace are refused. */
    bool host_network;
    /* What leads out of the sandbox's network namespace, judged here as well as there: addresses that
     * are redirected to the proxy, and on loopback, of TCP, ports that somebody inside listens on. NULL
     * = addresses are not judged. */
    const struct netns_options *network;
    const struct settings_port_forward *forwards; /* their inner ports lead out, too */
    size_t forward_count;
    uint16_t proxy_ports[2];
    /* Whose other end makes the redirect when it gets a byte, and answers with one; -1 = it stands already, or
     * there is none. Owned. */
    int redirect;
    /* A directory over which an overlay of ours lies, and a descriptor of the host's; NULL = none. */
    const char *covered;
    int covered_fd;
    /* Every open comes here, and those that only read are judged too (x.filesystem.strictHide,
     * x.ask.files). What lies on one of our own file systems is left to its modes: covers of hidden
     * places, private directories. 0 = none. */
    bool judge_reads;
    /* What may be asked about is wished for on `report`, and answers come there (x.ask.files). */
    bool ask_files;
    dev_t own_devices[2];
    bool nested_user_namespaces; /* the command may have changed its root */
    bool no_setid;               /* strip nothing: refuse modes with set-id bits */
    uint64_t disk_quota;         /* bytes; 0 = none (disk_quota.h) */
    int report;                  /* SEQPACKET socket to the supervisor, non-blocking; -1 = none */
    bool report_allowed; /* also report allowed write-intent calls (audit in observe mode) */
};

struct warden;

/* Opens what the warden needs beneath /proc. *options and what it points to stay the caller's and
 * must outlive the warden. */
int warden_new(const struct warden_options *options, struct warden **out, struct err *e);

/* A command is about to be started with this descriptor, which may be a datagram socket already, or a file
 * that counts against the disk quota. -1: it must not be started. */
int warden_note_descriptor(struct warden *w, int fd, struct err *e);

/* A command is about to be started by this thread: it gets the umask with which the warden began, not the
 * one of whoever made the last file. */
void warden_make_ready(struct warden *w);

/* Takes over a seccomp notification descriptor; it is closed when no process is left behind it. */
int warden_add(struct warden *w, int listener, struct err *e);

/* Serves the listeners until each of them has no process left, then returns 0. When there is none at
 * the start, it serves for ever. `wake` is a descriptor that, when readable, makes the function call
 * `on_wake(w, ctx)`; the callback may add a listener with warden_add. -1 as wake = none. No other
 * thread may share the calling one's umask and working directory (CLONE_FS): they are the warden's. */
int warden_run(struct warden *w, int wake, void (*on_wake)(struct warden *w, void *ctx), void *ctx,
               struct err *e);
void warden_free(struct warden *w);
