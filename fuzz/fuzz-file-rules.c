/* File rules: the input is an operation byte and a path. What is refused stays refused in capitals, at
 * any depth, beneath what was refused, and when it arrives by a move. */
#include "fuzz.h"

#include "core/filerules.h"

#include <stdio.h>

enum { PATH_ROOM = 2048 };

static const struct file_rule_path roots[] = { { "/w", "root" }, { "/w/.vscode/ext", "inner" } };
static const struct file_rule_path private_roots[] = { { "/w/private", "private" } };
static const struct file_rules rules = { .write_roots = roots,
                                         .write_root_count = 2,
                                         .private_roots = private_roots,
                                         .private_root_count = 1 };

static bool is_refused(const char *path, enum file_operation operation, bool directory)
{
    struct file_facts facts = { .is_directory = directory };
    struct file_verdict v = file_rules_judge(&rules, str_of(path), operation, &facts);
    CHECK(v.kind == FILE_ALLOWED || v.rule);
    return v.kind != FILE_ALLOWED;
}

/* The input as the kernel would give it back: no NUL, no empty, "." or ".." component. */
static size_t tidy(struct str bytes, char *out)
{
    struct str part;
    size_t n = 0;
    bytes.n = strnlen(bytes.p, bytes.n);
    while (str_cut(&bytes, '/', &part)) {
        if (part.n == 0 || part.n > 255 || str_eq(part, STR(".")) || str_eq(part, STR("..")) ||
            n + part.n + 2 > PATH_ROOM / 2)
            continue;
        out[n++] = '/';
        memcpy(out + n, part.p, part.n);
        n += part.n;
    }
    out[n] = '\0';
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    char relative[PATH_ROOM], path[PATH_ROOM + 64], other[PATH_ROOM + 64];
    if (n < 2 || !tidy((struct str){ (const char *)bytes + 1, n - 1 }, relative))
        return 0;
    enum file_operation operation = bytes[0] % (FILE_LINK_TO + 1);
    bool directory = bytes[0] & 0x80;
    snprintf(path, sizeof path, "/w%s", relative);
    bool refused = is_refused(path, operation, directory);
    if (path_is_beneath(str_of(path), STR("/w/private"))) {
        CHECK(!refused || strcmp(path, "/w/private") == 0);
        return 0;
    }

    for (size_t i = 0; path[i]; i++)
        other[i] = i > 2 && path[i] >= 'a' && path[i] <= 'z' ? (char)(path[i] - 32) : path[i];
    other[strlen(path)] = '\0';
    CHECK(!refused || is_refused(other, operation, directory));

    snprintf(other, sizeof other, "/w/a/b%s", relative);
    CHECK(!refused || is_refused(other, operation, directory));

    snprintf(other, sizeof other, "%s/x", path);
    CHECK(!is_refused(path, FILE_MKDIR, true) || is_refused(other, FILE_CREATE, false));

    CHECK(is_refused(path, FILE_CREATE, false) ==
          (file_rules_judge_moved(&rules, STR("/w"), str_of(relative + 1)) != NULL));
    return 0;
}
