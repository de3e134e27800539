#include "sandbox/settings_profile.h"

#include <stdlib.h>

static const struct settings_profile profiles[] = {
    { .name = "read-only", .text = "{\"filesystem\":{\"allowWrite\":[]}}", .no_writes = true },
    { .name = "workspace",
      /* Work in this directory; the usual places of keys are hidden. */
      .text = "{\"filesystem\":{\"allowWrite\":[\".\"],\"denyRead\":["
              "\"~/.ssh\",\"~/.gnupg\",\"~/.aws\",\"~/.azure\",\"~/.config/gcloud\","
              "\"~/.config/gh\",\"~/.kube\",\"~/.docker/config.json\",\"~/.netrc\","
              "\"~/.git-credentials\",\"~/.pypirc\"]}}" },
    { .name = "no-network",
      .text = "{\"network\":{\"deniedDomains\":[\"*\"],\"strictAllowlist\":true}}",
      .no_network = true },
};

const struct settings_profile *profile_find(const char *name)
{
    for (size_t i = 0; i < sizeof profiles / sizeof *profiles; i++)
        if (strcmp(profiles[i].name, name) == 0)
            return &profiles[i];
    return NULL;
}

static void warn_at(struct settings_check *c, const char *key, const char *name)
{
    size_t was = check_enter_key(c, str_of(key));
    check_warn(c, "ignored, because the profile %s is in force", name);
    check_leave(c, was);
}

static void refuse_at(struct settings_check *c, const char *key, const char *name)
{
    size_t was = check_enter_key(c, str_of(key));
    check_problem(c, "cannot be combined with the profile %s", name);
    check_leave(c, was);
}

static void enforce_no_writes(struct settings_check *c, const char *name)
{
    struct settings *s = c->s;
    if (s->filesystem_disabled)
        refuse_at(c, "filesystem.disabled", name);
    if (s->allow_write.count)
        warn_at(c, "filesystem.allowWrite", name);
    if (s->unix_binds.count)
        warn_at(c, "x.unixSockets", name);
    s->allow_write = s->unix_binds = (struct settings_list){ 0 };
}

static void enforce_no_network(struct settings_check *c, const char *name)
{
    struct egress_policy *p = &c->s->egress;
    if (p->http_proxy_port)
        refuse_at(c, "network.httpProxyPort", name); /* that proxy would do the filtering */
    if (p->socks_proxy_port)
        refuse_at(c, "network.socksProxyPort", name);
    if (c->s->ports_out_count)
        refuse_at(c, "x.network.ports.out", name);
    if (p->allowed.count)
        warn_at(c, "network.allowedDomains", name);
    for (size_t i = 0; i < p->allowed.count; i++)
        domain_pattern_release(&p->allowed.items[i]);
    free(p->allowed.items);
    p->allowed = (struct domain_patterns){ 0 };
    p->strict_allowlist = true;
}

void profile_enforce(struct settings_check *c, const struct settings_profile *profile)
{
    if (profile->no_writes)
        enforce_no_writes(c, profile->name);
    if (profile->no_network)
        enforce_no_network(c, profile->name);
}
