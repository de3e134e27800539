#include "sandbox/layers.h"

#include "base/check.h"
#include "base/str.h"
#include "sandbox/layers_try.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { TRIAL_SECONDS = 10 };

/* What the lack of a layer means for the grade. */
enum weight {
    NEEDED, /* off: no run at all */
    SPACES, /* off: at most a run without namespaces (flat.h), which Landlock must hold */
    STRONG, /* not on: weaker, the owner must accept it */
    SOFT,   /* not on: only limits or convenience */
};

static const struct {
    const char *name;
    layer_trial *trial;
    enum weight weight;
} rows[LAYERS] = {
    [LAYER_NAMESPACES] = { "namespaces", try_namespaces, SPACES },
    [LAYER_NET] = { "net", try_net, SPACES },
    [LAYER_MOUNT] = { "mount", try_mount, SPACES },
    [LAYER_LANDLOCK] = { "landlock", try_landlock, STRONG },
    [LAYER_SECCOMP] = { "seccomp", try_seccomp, NEEDED },
    [LAYER_CAPABILITIES] = { "capabilities", try_capabilities, NEEDED },
    [LAYER_CGROUP] = { "cgroup", try_cgroup, SOFT },
    [LAYER_RLIMIT] = { "rlimit", try_rlimit, SOFT },
    [LAYER_PROXY] = { "proxy", try_proxy, STRONG },
    [LAYER_TRANSPARENT] = { "transparent", try_transparent, SOFT },
    [LAYER_KEYRING] = { "keyring", try_keyring, STRONG },
};

const char *layer_name(enum layer l)
{
    return rows[l].name;
}

int layer_find(const char *name)
{
    for (int i = 0; i < LAYERS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return i;
    return -1;
}

void layer_say(struct layer_report *r, enum layer_state state, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why, sizeof r->why, fmt, ap);
    va_end(ap);
    r->state = state;
}

void layer_cure(struct layer_report *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->cure, sizeof r->cure, fmt, ap);
    va_end(ap);
}

/* In a child of its own, because a trial confines itself for good; ended when it hangs, and with us. */
static void try_layer(struct layers *shared, enum layer layer)
{
    struct layer_report *r = &shared->of[layer];
    layer_say(r, LAYER_OFF, "the trial did not end");
    pid_t pid = fork();
    if (pid == 0) {
        struct sigaction normal = { .sa_handler = SIG_DFL };
        sigset_t alarm_only;
        sigemptyset(&alarm_only);
        sigaddset(&alarm_only, SIGALRM);
        sigaction(SIGALRM, &normal, NULL);
        sigprocmask(SIG_UNBLOCK, &alarm_only, NULL);
        alarm(TRIAL_SECONDS);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        rows[layer].trial(shared);
        if (r->state == LAYER_ON)
            r->why[0] = r->cure[0] = '\0';
        _exit(0);
    }
    if (pid < 0) {
        layer_say(r, LAYER_OFF, "no process for the trial: %s", strerrordesc_np(errno));
        return;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

static char grade_of(const struct layers *l, int layer)
{
    const bool off = l->of[layer].state == LAYER_OFF;
    if (l->of[layer].state == LAYER_ON)
        return 'A';
    switch (rows[layer].weight) {
    case SOFT:
        return 'B';
    case STRONG:
        return 'C';
    case SPACES:
        return off && l->of[LAYER_LANDLOCK].state == LAYER_OFF ? 'F' : 'C';
    case NEEDED:
        break;
    }
    return off ? 'F' : 'C';
}

static char grade(const struct layers *l)
{
    char worst = 'A';
    for (int i = 0; i < LAYERS; i++) {
        char g = grade_of(l, i);
        if (g > worst)
            worst = g;
    }
    return worst;
}

/* One cause is said once, with its cure, at the first layer that it takes away. */
static void fold_causes(struct layers *l)
{
    const struct layer_report *cause = &l->of[LAYER_NAMESPACES];
    if (cause->state == LAYER_ON)
        return;
    for (int i = LAYER_NAMESPACES + 1; i < LAYERS; i++) {
        struct layer_report *r = &l->of[i];
        if (r->state == LAYER_ON || strcmp(r->why, cause->why) != 0)
            continue;
        layer_say(r, r->state, "needs the layer '%s'", rows[LAYER_NAMESPACES].name);
        r->cure[0] = '\0';
    }
}

static struct layers *shared_new(void)
{
    void *shared = mmap(NULL, sizeof(struct layers), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(shared != MAP_FAILED);
    return shared;
}

void layer_check(enum layer layer, struct layer_report *out)
{
    struct layers *shared = shared_new();
    try_layer(shared, layer);
    *out = shared->of[layer];
    munmap(shared, sizeof *shared);
}

void layers_check(struct layers *out)
{
    struct layers *shared = shared_new();
    for (int i = 0; i < LAYERS; i++)
        try_layer(shared, i);
    *out = *shared;
    munmap(shared, sizeof *shared);
    fold_causes(out);
    out->grade = grade(out);
}
