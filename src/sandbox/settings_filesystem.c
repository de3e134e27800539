/* `filesystem` (contract 3.4). */
#include "sandbox/settings_rows.h"

#define AT(field) offsetof(struct settings, field)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct settings_row rows[] = {
    { "denyRead", &KIND_ENTRIES, AT(deny_read), ROW_REQUIRED | ROW_DENY_LIST },
    { "allowRead", &KIND_ENTRIES, AT(allow_read) },
    { "allowWrite", &KIND_ENTRIES, AT(allow_write), ROW_REQUIRED },
    { "denyWrite", &KIND_ENTRIES, AT(deny_write), ROW_REQUIRED | ROW_DENY_LIST },
    { "allowGitConfig", &KIND_BOOL, AT(allow_git_config) },
    { "disabled", &KIND_BOOL, AT(filesystem_disabled) },
};

const struct settings_table settings_filesystem_table = { rows, COUNT(rows), false };
