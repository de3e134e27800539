#include "sandbox/layers_try.h"

#include "base/buf.h"
#include "base/fd.h"
#include "sandbox/capabilities.h"
#include "sandbox/cgroup.h"
#include "sandbox/engine_path.h"
#include "sandbox/keyring.h"
#include "sandbox/landlock.h"
#include "sandbox/mount_calls.h"
#include "sandbox/mount_classic.h"
#include "sandbox/netns.h"
#include "sandbox/rlimits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <poll.h>
#include <signal.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* The newest Landlock that adds a right whose lack is felt: before it, only mounts and the warden stop
 * a cut by truncate(2). What later ones add is held by another layer as well (doctor lists it). */
enum { LANDLOCK_WANTED = 3, ANSWER_MS = 2000 };

static void on(struct layer_report *r)
{
    r->state = LAYER_ON;
    r->why[0] = r->cure[0] = '\0';
}

void try_net(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_NET];
    struct netns_listener listeners[NETNS_LISTENERS_MAX];
    const struct netns_options options = { .proxy = true };
    size_t count = 0;
    struct err e;
    if (!enter_namespaces(r, CLONE_NEWNET))
        return;
    if (netns_build(&options, listeners, &count, &e) < 0)
        layer_say(r, LAYER_OFF, "%s", e.text);
    else
        on(r);
}

/* A connection to an address that only the redirect can lead to our listener. */
static bool is_redirected(const struct netns_listener *set, size_t count)
{
    AUTO_FD client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const struct sockaddr_in to = { .sin_family = AF_INET,
                                    .sin_port = htons(443),
                                    .sin_addr = { htonl(0xc6120001) } }; /* 198.18.0.1 */
    if (client < 0 ||
        (connect(client, (const struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS))
        return false;
    for (size_t i = 0; i < count; i++) {
        struct pollfd ready = { .fd = set[i].fd, .events = POLLIN };
        if (set[i].kind == LISTENER_TRANSPARENT)
            return poll(&ready, 1, ANSWER_MS) == 1;
    }
    return false;
}

void try_transparent(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_TRANSPARENT];
    struct netns_listener listeners[NETNS_LISTENERS_MAX];
    const struct netns_options options = { .proxy = true, .transparent = true, .resolver = true };
    CLEANUP(netns_control_drop) struct netns_control control = { -1, -1 };
    size_t count = 0;
    struct err e;
    if (!enter_namespaces(r, CLONE_NEWNET))
        return;
    if (netns_build(&options, listeners, &count, &e) < 0 || netns_control_open(&control, &e) < 0 ||
        netns_redirect(&options, listeners, count, &control, &e) < 0)
        layer_say(r, LAYER_DEGRADED, "%s; proxy variables only", e.text);
    else if (!is_redirected(listeners, count))
        layer_say(r, LAYER_DEGRADED,
                  "the redirect is accepted but leads nowhere; proxy variables only");
    else
        on(r);
    if (r->state != LAYER_ON)
        layer_cure(
            r,
            "sudo modprobe -a nf_tables nft_tproxy nft_reject_ipv4 (and their names in a file of "
            "/etc/modules-load.d)");
}

/* One of the calls that a run needs has failed. */
static void say_no_mount(struct layer_report *r, const char *what)
{
    int os = errno;
    layer_say(r, LAYER_OFF, "%s: %s", what, strerrordesc_np(os));
    if (os == ENOSYS)
        layer_cure(r, "Linux 5.9 or newer");
}

/* In the new pid namespace: everything a run does with mounts, once. */
static void mount_inside(struct layer_report *r)
{
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
        layer_say(r, LAYER_OFF, "mounts cannot be made private: %s", strerrordesc_np(errno));
        return;
    }
    AUTO_FD root = path_open("/");
    AUTO_FD copy = root < 0 ? -1 : tree_copy(root, true);
    if (copy < 0) {
        say_no_mount(r, root < 0 ? "the tree cannot be opened (openat2)"
                                 : "no copy of the tree (open_tree)");
        return;
    }
    bool classic = tree_set(copy, MOUNT_ATTR_RDONLY, true) < 0;
    if (classic && (!classic_is_needed() || classic_set(root, MOUNT_ATTR_RDONLY, true, -1) < 0)) {
        layer_say(r, LAYER_OFF, "the tree cannot be made read-only (%s): %s",
                  classic_is_needed() ? "mount" : "mount_setattr", strerrordesc_np(errno));
        return;
    }
    AUTO_FD private = tree_make("tmpfs", (const char *const[]){ "mode=0700", NULL }, 0);
    AUTO_FD place = path_open("/proc");
    if (private < 0 || place < 0 || tree_attach(private, place) < 0) {
        say_no_mount(r, private < 0 ? "no tmpfs (fsopen)" : "no tmpfs on /proc (move_mount)");
        return;
    }
    AUTO_FD proc =
        tree_make("proc", (const char *const[]){ "hidepid=invisible", NULL }, MOUNT_ATTR_NOEXEC);
    if (proc < 0) {
        layer_say(r, LAYER_DEGRADED, "a fresh /proc is refused (this /proc is masked): %s",
                  strerrordesc_np(errno));
        layer_cure(r, "start the container with --security-opt systempaths=unconfined, or set "
                      "enableWeakerNestedSandbox");
        return;
    }
    if (!classic) {
        on(r);
        return;
    }
    layer_say(r, LAYER_DEGRADED,
              "classic calls: no mount_setattr, so mounts are made read-only one by "
              "one");
    layer_cure(r,
               "Linux 5.12 or newer (in a container: a profile that lets mount_setattr through)");
}

void try_mount(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_MOUNT];
    if (!enter_namespaces(r, CLONE_NEWNS | CLONE_NEWPID))
        return;
    pid_t pid = fork();
    if (pid == 0) {
        mount_inside(r);
        _exit(0);
    }
    if (pid < 0 || waitpid(pid, NULL, 0) < 0)
        layer_say(r, LAYER_OFF, "no process in the new pid namespace: %s", strerrordesc_np(errno));
}

/* Everything readable, nothing writable; then a file is opened for writing. */
static bool landlock_refuses(int abi, struct err *e)
{
    const struct landlock_wants wants = { .files = LL_READ | LL_WRITE };
    AUTO_FD set = landlock_ruleset(abi, wants, e);
    AUTO_FD root = path_open("/");
    if (set < 0 || root < 0 || landlock_allow_path(set, abi, root, LL_READ, e) < 0 ||
        prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || landlock_enter(set, 0, e) < 0)
        return false;
    AUTO_FD fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 || errno != EACCES) {
        err_set(e, E_SANDBOX, 0, "a rule set is accepted but does not hold");
        return false;
    }
    return true;
}

void try_landlock(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_LANDLOCK];
    struct err e = { .text = "no root directory" };
    l->landlock_abi = landlock_abi();
    if (l->landlock_abi == 0) {
        layer_say(r, LAYER_OFF, "this kernel has no Landlock, or it is not in lsm=");
        layer_cure(r, "Linux 5.13 or newer with CONFIG_SECURITY_LANDLOCK, and landlock in the lsm= "
                      "list of the kernel's command line");
    } else if (!landlock_refuses(l->landlock_abi, &e)) {
        layer_say(r, LAYER_OFF, "%s", e.text);
    } else if (l->landlock_abi < LANDLOCK_WANTED) {
        layer_say(r, LAYER_DEGRADED,
                  "ABI %d: cutting files short is stopped by mounts and by name only",
                  l->landlock_abi);
        layer_cure(r, "Linux 6.2 or newer");
    } else {
        on(r);
    }
}

void try_capabilities(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_CAPABILITIES], refused = { 0 };
    struct err e;
    enter_namespaces(&refused, 0); /* as in a run; without one the caller's own are dropped */
    if (capabilities_drop(0, &e) < 0)
        layer_say(r, LAYER_OFF, "%s", e.text);
    else
        on(r);
}

static void say_placement(struct layers *l, const struct cgroup *c)
{
    AUTO_BUF text = { 0 }, can = { 0 };
    for (int i = 0; i < CGROUP_PLACES && c->dirs[i]; i++) {
        const char *slash = strrchr(c->dirs[i], '/');
        buf_addf(&text, "%s%.*s", i ? ", " : "", (int)(slash - c->dirs[i]), c->dirs[i]);
    }
    buf_addf(&can, "%s%s%s%s", c->v2 ? " kill" : "", c->memory ? " memory" : "",
             c->pids ? " pids" : "", c->cpu ? " cpu" : "");
    buf_addf(&text, " (%s)", can.n ? can.p + 1 : "");
    snprintf(l->placement, sizeof l->placement, "%s", buf_text(&text));
}

void try_cgroup(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_CGROUP];
    const struct cgroup_limits limits = { .memory = 1 << 30, .pids = 1024, .cpu_percent = 100 };
    char name[64];
    struct cgroup c;
    struct err e;
    snprintf(name, sizeof name, CGROUP_PREFIX "%d.doctor", getpid());
    if (cgroup_make(&c, name, &limits, &e) < 0) {
        layer_say(r, LAYER_DEGRADED, "%s", e.text);
        return;
    }
    if (c.dirs[0])
        say_placement(l, &c);
    pid_t pid = fork();
    if (pid == 0) {
        pause();
        _exit(0);
    }
    if (pid < 0 || cgroup_enter(&c, pid, &e) < 0)
        layer_say(r, LAYER_DEGRADED, "%s", pid < 0 ? "no process to put into a group" : e.text);
    else if (c.memory && c.pids)
        on(r);
    else
        layer_say(r, LAYER_DEGRADED, "no control group for%s%s: limits hold for each process alone",
                  c.memory ? "" : " memory", c.pids ? "" : " pids");
    if (pid > 0) {
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
    }
    cgroup_remove(&c);
    if (r->state != LAYER_ON)
        layer_cure(r, "with cgroup v2 and a systemd of the user's own: set x.limits.useSystemd, or "
                      "start it with: systemd-run --user --scope -p Delegate=yes postern run ...; "
                      "else as root");
}

void try_rlimit(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_RLIMIT];
    const struct settings_limits defaults = { 0 };
    const struct cgroup_limits totals = { .memory = 1 << 30,
                                          .pids = 1024,
                                          .cpu_percent = UINT64_MAX };
    struct err e;
    if (rlimits_apply(&defaults, &totals, (struct rlimits_instead){ true, true, false }, &e) < 0)
        layer_say(r, LAYER_OFF, "%s", e.text);
    else
        on(r);
}

void try_keyring(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_KEYRING];
    struct err e;
    if (keyring_renew(&e) < 0)
        layer_say(r, LAYER_OFF, "%s", e.text);
    else
        on(r);
}

/* The proxy's listeners need the network namespace; its program must lie where `run` looks for it. */
void try_proxy(struct layers *l)
{
    struct layer_report *r = &l->of[LAYER_PROXY];
    char self[PATH_MAX], engine[PATH_MAX];
    struct err e;
    if (own_program_path(self, &e) == 0 && engine_path(self, engine, &e) == 0) {
        on(r);
        return;
    }
    layer_say(r, LAYER_OFF, "postern-engine is not beside this program");
    layer_cure(r, "install it again, both programs together");
}
