/* Whether user namespaces are granted here, and whom to ask when they are not: the first question of
 * every machine (contract 11). */
#include "sandbox/layers_try.h"

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/brake.h"
#include "sandbox/host_facts.h"
#include "sandbox/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/wait.h>

#define SECCOMP_PROFILE "seccomp-postern.json"
#define STANDIN_CURE "run as an unprivileged user, or give the container CAP_SETFCAP"

static void say_refused(struct layer_report *r, int os)
{
    struct host_facts f;
    host_facts_read(&f);
    if (f.max_user_namespaces == 0 || os == ENOSPC || os == EUSERS) {
        layer_say(r, LAYER_OFF, "user.max_user_namespaces is %ld", f.max_user_namespaces);
        layer_cure(r, "sudo sysctl -w user.max_user_namespaces=15000 (and the same line in a file "
                      "of /etc/sysctl.d)");
    } else if (f.unprivileged_userns_clone == 0 && !f.is_root) {
        layer_say(r, LAYER_OFF, "kernel.unprivileged_userns_clone is 0");
        layer_cure(r, "sudo sysctl -w kernel.unprivileged_userns_clone=1 (and the same line in a "
                      "file of /etc/sysctl.d)");
    } else if (f.apparmor_restrict_userns == 1 && !f.is_root) {
        layer_say(r, LAYER_OFF,
                  "AppArmor takes the rights away from new user namespaces "
                  "(kernel.apparmor_restrict_unprivileged_userns=1)");
        layer_cure(r, "install a profile for this program: postern doctor --apparmor | sudo tee "
                      "/etc/apparmor.d/postern; sudo apparmor_parser -r /etc/apparmor.d/postern");
    } else if (f.is_filtered) {
        layer_say(r, LAYER_OFF, "a seccomp filter refuses new namespaces%s%s: %s",
                  f.container ? " in " : "", f.container ? f.container : "", strerrordesc_np(os));
        layer_cure(r, "start the container with --security-opt seccomp=" SECCOMP_PROFILE
                      " (deploy/ in the sources, share/postern when installed)");
    } else {
        layer_say(r, LAYER_OFF, "new user namespaces are refused: %s", strerrordesc_np(os));
        layer_cure(r, "a kernel with CONFIG_USER_NS, and no chroot or policy that refuses them");
    }
}

static int write_text(const char *path, const char *text)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -1;
}

static bool map_own(struct layer_report *r, uid_t uid, gid_t gid)
{
    char uids[64], gids[64];
    snprintf(uids, sizeof uids, "%u %u 1", uid, uid);
    snprintf(gids, sizeof gids, "%u %u 1", gid, gid);
    if (write_text("/proc/self/setgroups", "deny") == 0 &&
        write_text("/proc/self/uid_map", uids) == 0 && write_text("/proc/self/gid_map", gids) == 0)
        return true;
    say_refused(r, errno);
    return false;
}

bool enter_namespaces(struct layer_report *r, int flags)
{
    const bool by_standin = standin_is_needed();
    struct standin standin;
    struct err e;
    if (by_standin && standin_put_on(&standin, &e) < 0) {
        layer_say(r, LAYER_OFF, "%s", e.text);
        layer_cure(r, STANDIN_CURE);
        return false;
    }
    uid_t uid = geteuid();
    gid_t gid = getegid();
    if (unshare(CLONE_NEWUSER | flags) < 0) {
        say_refused(r, errno);
        return false;
    }
    if (!map_own(r, uid, gid))
        return false;
    if (by_standin && standin_keep(&e) < 0) {
        layer_say(r, LAYER_OFF, "%s", e.text);
        return false;
    }
    return true;
}

void try_namespaces(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_NAMESPACES];
    const bool by_standin = standin_is_needed();
    struct err e;
    if (!enter_namespaces(r, CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS |
                                 CLONE_NEWCGROUP))
        return;
    pid_t pid = fork();
    if (pid == 0)
        _exit(getpid() == 1 ? 0 : 1);
    int status = 0;
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        layer_say(r, LAYER_OFF, "no process in the new pid namespace: %s", strerrordesc_np(errno));
    } else if (status != 0) {
        layer_say(r, LAYER_OFF, "the new pid namespace does not count from 1");
    } else if (by_standin) {
        layer_say(r, LAYER_DEGRADED, STANDIN_WHY);
        layer_cure(r, STANDIN_CURE);
    } else if (brake_put_on(&e) < 0) {
        layer_say(r, LAYER_DEGRADED, brake_is_out_of_reach(&e) ? BRAKE_WHY : "%s", e.text);
        layer_cure(r, "start the container with --security-opt systempaths=unconfined");
    } else {
        r->state = LAYER_ON;
    }
}
