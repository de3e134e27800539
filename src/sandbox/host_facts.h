/* host_facts.h - what this machine is: kernel, distribution, and the settings that decide about user
 * namespaces (contract 11). Looks, changes nothing, needs no right. */
#pragma once

#include <stdbool.h>

struct host_facts {
    char kernel[65], machine[65];
    char distribution[96]; /* PRETTY_NAME of os-release; "unknown" */
    bool is_root;
    bool proc_mounted;
    bool wsl1, wsl2;
    bool is_filtered;      /* a seccomp filter already holds for us, as in containers */
    const char *container; /* "docker", "podman", "systemd-nspawn" ...; NULL = none that we know */
    /* sysctls; -1 = this kernel has no such setting */
    long max_user_namespaces, unprivileged_userns_clone;
    long apparmor_restrict_userns, apparmor_restrict_unconfined;
    long io_uring_disabled;
};

void host_facts_read(struct host_facts *f);
