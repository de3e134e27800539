/* settings_profile.h - the presets of --profile, merged under the file.
 *
 * A profile is a settings text of ours that is read first. The file's values then replace the
 * profile's, but deny lists are joined, and what a profile is for (no writes, no network) cannot be
 * given back by the file.
 */
#pragma once

#include "sandbox/settings_check.h"

struct settings_profile {
    const char *name;
    const char *text; /* JSON */
    bool no_writes, no_network;
};

/* NULL for an unknown name. */
const struct settings_profile *profile_find(const char *name);

/* After the file has been read: takes back what the profile rules out, each with a warning, and
 * reports what contradicts it as a problem. */
void profile_enforce(struct settings_check *c, const struct settings_profile *profile);
