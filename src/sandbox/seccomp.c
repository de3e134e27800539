#include "sandbox/seccomp.h"

#include "base/check.h"
#include "base/mem.h"
#include "sandbox/seccomp_rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool names_any(const char *const *list)
{
    return list && *list;
}

int seccomp_program_get(const struct seccomp_choice *choice, struct seccomp_program *out,
                        struct err *e)
{
    CHECK(choice->preset >= 0 && choice->preset < SECCOMP_PRESETS);
    if (choice->without_namespaces || names_any(choice->allow) || names_any(choice->deny)) {
        struct sock_filter *filter;
        if (seccomp_rules_compile(choice, &filter, &out->count, e) < 0)
            return -1;
        out->filter = filter;
        out->owned = true;
        return 0;
    }
    const struct seccomp_built *built = &seccomp_built[seccomp_built_index(choice)];
    *out = (struct seccomp_program){ .filter = built->filter, .count = built->count };
    return 0;
}

void seccomp_program_release(struct seccomp_program *p)
{
    if (p->owned)
        free((void *)p->filter);
    *p = (struct seccomp_program){ 0 };
}

/* The program with the way for `pass` in front. */
static void add_pass(struct sock_fprog *program, uint64_t pass)
{
    enum { HEAD = 9, HIGH = __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 4 : 0 };
    const uint32_t halves[] = { (uint32_t)(pass >> 32), (uint32_t)pass };
    const uint32_t flags = offsetof(struct seccomp_data, args[2]) + HIGH;
    const struct sock_filter head[HEAD] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_OUR_ARCH, 0, 7),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sendmsg, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + HIGH),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, halves[0], 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, flags),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, halves[1], 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_filter *whole = mem_array((size_t)program->len + HEAD, sizeof *whole);
    memcpy(whole, head, sizeof head);
    memcpy(whole + HEAD, program->filter, program->len * sizeof *whole);
    program->filter = whole;
    program->len += HEAD;
}

static int load(const struct sock_fprog *program, int *listener, struct err *e)
{
    unsigned long flags = 0;
    if (listener) {
        *listener = -1;
        flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    }
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program);
    /* Before 5.19: a signal that comes while the warden works makes the call start again. */
    if (result < 0 && errno == EINVAL && listener)
        result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                         program);
    if (result < 0 && errno == EBUSY)
        return err_set(e, E_SANDBOX, 0,
                       "layer seccomp: already inside a sandbox that holds the notification "
                       "listener; a second one cannot be nested");
    if (result < 0)
        return err_set(e, E_SANDBOX, errno, "layer seccomp: load the filter");
    if (listener)
        *listener = (int)result;
    return 0;
}

int seccomp_program_load(const struct seccomp_program *p, uint64_t pass, int *listener,
                         struct err *e)
{
    struct sock_fprog program = { .len = p->count, .filter = (struct sock_filter *)p->filter };
    if (pass)
        add_pass(&program, pass);
    int result = load(&program, listener, e);
    if (pass) {
        mem_wipe(program.filter, program.len * sizeof *program.filter);
        free(program.filter);
    }
    return result;
}
