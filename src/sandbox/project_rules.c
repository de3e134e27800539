#include "sandbox/project_rules.h"

#include "base/fd.h"
#include "core/filerules.h"
#include "proto/json.h"
#include "proto/json_write.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { FILES_MAX = 256, FILE_MAX = 1 << 20, RULES_MAX = 1000, FOLDER_MODE = 0700 };

struct rule {
    struct question question; /* kind, host, port, path; texts owned */
    bool allow;
    char *date, *command; /* owned, or NULL */
    bool own;             /* stands in the file that we write */
};

struct project_rules {
    char *folder, *project, *file; /* owned; `file` is a name in the folder */
    struct rule *rules;            /* owned */
    size_t count;
    char refusal[300];
};

void project_rules_folder(struct buf *out, const char *xdg_config_home, const char *home)
{
    if (xdg_config_home && xdg_config_home[0] == '/')
        buf_addf(out, "%s/postern/rules.d", xdg_config_home);
    else
        buf_addf(out, "%s/.config/postern/rules.d", home);
}

static void rule_release(struct rule *rule)
{
    free((char *)rule->question.host);
    free((char *)rule->question.path);
    free(rule->date);
    free(rule->command);
}

void project_rules_free(struct project_rules *r)
{
    if (!r)
        return;
    for (size_t i = 0; i < r->count; i++)
        rule_release(&r->rules[i]);
    free(r->rules);
    free(r->folder);
    free(r->project);
    free(r->file);
    free(r);
}

const char *project_rules_refusal(const struct project_rules *r)
{
    return r->refusal[0] ? r->refusal : NULL;
}

void project_rules_each(const struct project_rules *r,
                        void (*each)(void *ctx, const struct question *question, bool allow),
                        void *ctx)
{
    for (size_t i = 0; i < r->count; i++)
        each(ctx, &r->rules[i].question, r->rules[i].allow);
}

/* Where the path really is: the part that exists resolved, the rest as written. */
static void real_path(struct buf *out, const char *path)
{
    AUTO_BUF rest = { 0 };
    AUTO_FREE char *part = str_dup(str_of(path));
    char real[PATH_MAX];
    while (!realpath(part, real)) {
        char *slash = strrchr(part, '/');
        if (!slash || slash == part) {
            real[0] = '\0';
            break;
        }
        AUTO_BUF longer = { 0 };
        buf_addf(&longer, "%s%s", slash, buf_text(&rest));
        buf_empty(&rest);
        buf_add(&rest, buf_str(&longer));
        *slash = '\0';
    }
    buf_addf(out, "%s%s", strcmp(real, "/") == 0 ? "" : real, buf_text(&rest));
}

/* Only the owner may write it, and the owner is the caller or root. */
static bool is_trusted(const struct stat *st)
{
    return (st->st_uid == geteuid() || st->st_uid == 0) && !(st->st_mode & 022);
}

/* Fills `refusal` when the folder cannot be trusted. */
static void judge_folder(struct project_rules *r, const struct project_rules_options *o)
{
    AUTO_BUF real = { 0 };
    struct stat st;
    real_path(&real, o->folder);
    for (size_t i = 0; i < o->write_root_count; i++)
        if (path_is_beneath(buf_str(&real), str_of(o->write_roots[i])))
            snprintf(r->refusal, sizeof r->refusal,
                     "answers for the project are not kept: '%.120s' lies in '%.80s', which the "
                     "command may write",
                     o->folder, o->write_roots[i]);
    if (!r->refusal[0] && stat(o->folder, &st) == 0 && !(S_ISDIR(st.st_mode) && is_trusted(&st)))
        snprintf(r->refusal, sizeof r->refusal,
                 "answers for the project are not kept: '%.120s' must be a directory that only you "
                 "can write",
                 o->folder);
}

/* "app-1a2b3c4d.json": readable, and unlike that of another project of the same name. */
static char *file_name(const char *project)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    char hex[9];
    crypto_hash_sha256(hash, (const unsigned char *)project, strlen(project));
    sodium_bin2hex(hex, sizeof hex, hash, 4);
    struct str path = str_of(project);
    struct str name = str_skip(path, (size_t)(str_last_index(path, '/') + 1));
    AUTO_BUF out = { 0 };
    for (size_t i = 0; i < name.n && i < 40; i++) {
        char c = name.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '_' || (c == '.' && i > 0);
        buf_add_byte(&out, plain ? c : '-');
    }
    buf_addf(&out, "%s%s.json", out.n ? "-" : "", hex);
    return buf_take(&out);
}

static int unknown_key(const struct json *object, const char *const *known, struct err *e)
{
    for (struct json_member m = json_first(object); m.value; m = json_next(object, m)) {
        bool found = false;
        for (size_t i = 0; known[i]; i++)
            found |= str_eq(m.key, str_of(known[i]));
        if (!found)
            return err_set(e, E_INPUT, 0, "unknown key '%.60s'", m.key.p);
    }
    return 0;
}

/* Reads kind, host, port and path; the host in canonical form. */
static int read_question(const struct json *v, struct rule *rule, struct err *e)
{
    struct str text;
    uint64_t port = 0;
    int kind = json_to_str(json_get(v, "kind"), &text) ? question_kind_find(text) : -1;
    if (kind < 0 || kind == QUESTION_REQUEST || kind == QUESTION_LIMIT)
        return err_set(e, E_INPUT, 0, "'kind' is network, file-read, file-write or unix-socket");
    rule->question.kind = (enum question_kind)kind;
    if (kind != QUESTION_NETWORK) {
        if (!json_to_str(json_get(v, "path"), &text) || text.n == 0 || text.p[0] != '/')
            return err_set(e, E_INPUT, 0, "'path' is an absolute path");
        rule->question.path = str_dup(text);
        return 0;
    }
    struct host host;
    if (!json_to_str(json_get(v, "host"), &text) || host_parse(text, &host, e) < 0)
        return err_set(e, E_INPUT, 0, "'host' is a host name or an address");
    if (!json_to_u64(json_get(v, "port"), &port) || port < 1 || port > 65535)
        return err_set(e, E_INPUT, 0, "'port' is a number from 1 to 65535");
    rule->question.host = str_dup(str_of(host.text));
    rule->question.port = (uint16_t)port;
    return 0;
}

static int read_rule(struct project_rules *r, const struct json *v, bool own, struct err *e)
{
    static const char *const known[] = { "allow", "kind", "host",    "port",
                                         "path",  "date", "command", NULL };
    struct rule rule = { .own = own };
    struct str text;
    if (json_kind_of(v) != JSON_IS_OBJECT)
        return err_set(e, E_INPUT, 0, "a rule is an object");
    if (unknown_key(v, known, e) < 0)
        return -1;
    if (!json_to_bool(json_get(v, "allow"), &rule.allow))
        return err_set(e, E_INPUT, 0, "'allow' is true or false");
    if (r->count >= RULES_MAX)
        return err_set(e, E_BUSY, 0, "more than %d rules for this project", RULES_MAX);
    if (json_to_str(json_get(v, "date"), &text))
        rule.date = str_dup(text);
    if (json_to_str(json_get(v, "command"), &text))
        rule.command = str_dup(text);
    if (read_question(v, &rule, e) < 0) {
        rule_release(&rule);
        return -1;
    }
    r->rules = mem_grow(r->rules, (r->count + 1) * sizeof *r->rules);
    r->rules[r->count++] = rule;
    return 0;
}

static int read_text(struct project_rules *r, struct str text, bool own, struct err *e)
{
    static const char *const known[] = { "project", "rules", NULL };
    AUTO_JSON root = NULL;
    struct str project;
    if (json_parse(text, &root, e) < 0)
        return -1;
    if (json_kind_of(root) != JSON_IS_OBJECT)
        return err_set(e, E_INPUT, 0, "not an object");
    if (unknown_key(root, known, e) < 0)
        return -1;
    const struct json *rules = json_get(root, "rules");
    if (!json_to_str(json_get(root, "project"), &project) || project.p[0] != '/')
        return err_set(e, E_INPUT, 0, "'project' is an absolute path");
    if (!rules || json_kind_of(rules) != JSON_IS_ARRAY)
        return err_set(e, E_INPUT, 0, "'rules' is a list");
    if (own && !str_eq(project, str_of(r->project)))
        return err_set(e, E_INPUT, 0, "'project' is another one; give the file another name");
    for (size_t i = 0; str_eq(project, str_of(r->project)) && i < json_count(rules); i++)
        if (read_rule(r, json_at(rules, i), own, e) < 0)
            return err_while(e, "rules[%zu]", i);
    return 0;
}

static int read_file(struct project_rules *r, int folder, const char *name, struct err *e)
{
    AUTO_BUF text = { 0 };
    struct stat st;
    AUTO_FD fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) < 0)
        return err_set(e, E_IO, errno, "open it");
    if (!S_ISREG(st.st_mode) || !is_trusted(&st))
        return err_set(e, E_DENIED, 0, "must be a regular file that only you can write");
    while (text.n <= FILE_MAX) {
        ssize_t got = read(fd, buf_room(&text, 65536), 65536);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_set(e, E_IO, errno, "read it");
        if (got == 0)
            return read_text(r, buf_str(&text), strcmp(name, r->file) == 0, e);
        buf_grew(&text, (size_t)got);
    }
    return err_set(e, E_INPUT, 0, "is larger than 1 MiB");
}

static void dir_drop(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

static int read_folder(struct project_rules *r, struct err *e)
{
    CLEANUP(dir_drop) DIR *dir = opendir(r->folder);
    if (!dir)
        return errno == ENOENT ? 0 : err_set(e, E_IO, errno, "open '%s'", r->folder);
    size_t files = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.' || !str_ends(str_of(entry->d_name), STR(".json")))
            continue;
        if (++files > FILES_MAX)
            return err_set(e, E_BUSY, 0, "'%s' holds more than %d files", r->folder, FILES_MAX);
        if (read_file(r, dirfd(dir), entry->d_name, e) < 0)
            return err_while(e, "'%s/%s'", r->folder, entry->d_name);
    }
    return 0;
}

int project_rules_open(const struct project_rules_options *o, struct project_rules **out,
                       struct err *e)
{
    struct project_rules *r = mem_get(sizeof *r);
    r->folder = str_dup(str_of(o->folder));
    r->project = str_dup(str_of(o->project));
    r->file = file_name(o->project);
    judge_folder(r, o);
    if (!r->refusal[0] && read_folder(r, e) < 0) {
        project_rules_free(r);
        e->kind = E_INPUT; /* whatever failed: the caller has to look at the file */
        return err_while(e, "kept answers");
    }
    *out = r;
    return 0;
}

static void write_rule(struct buf *text, const struct rule *rule)
{
    const struct question *q = &rule->question;
    json_write_object(text);
    json_member_bool(text, "allow", rule->allow);
    json_member_text(text, "kind", question_kind_name(q->kind));
    if (q->host) {
        json_member_text(text, "host", q->host);
        json_member_u64(text, "port", q->port);
    }
    if (q->path)
        json_member_text(text, "path", q->path);
    if (rule->date)
        json_member_text(text, "date", rule->date);
    if (rule->command)
        json_member_text(text, "command", rule->command);
    json_write_object_end(text);
}

/* One rule a line, so that a person can strike one out. */
static void write_text(const struct project_rules *r, struct buf *text)
{
    AUTO_BUF project = { 0 };
    json_escape(&project, str_of(r->project));
    buf_addf(text, "{ \"project\": \"%s\",\n  \"rules\": [", buf_text(&project));
    for (size_t i = 0, written = 0; i < r->count; i++) {
        if (!r->rules[i].own)
            continue;
        AUTO_BUF line = { 0 };
        write_rule(&line, &r->rules[i]);
        buf_addf(text, "%s\n    %s", written++ ? "," : "", buf_text(&line));
    }
    buf_add(text, STR("\n  ] }\n"));
}

/* mkdir -p; what exists is left as it is. */
static int make_folder(const char *path, struct err *e)
{
    AUTO_FREE char *part = str_dup(str_of(path));
    for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (mkdir(part, FOLDER_MODE) < 0 && errno != EEXIST)
            return err_set(e, E_IO, errno, "make '%s'", part);
        *slash = '/';
    }
    if (mkdir(part, FOLDER_MODE) < 0 && errno != EEXIST)
        return err_set(e, E_IO, errno, "make '%s'", part);
    return 0;
}

/* A new file beside the old one, then one rename: a reader sees the one or the other. */
static int replace_file(const struct project_rules *r, struct str text, struct err *e)
{
    AUTO_FD folder = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return err_set(e, E_IO, errno, "open '%s'", r->folder);
    char temporary[64];
    snprintf(temporary, sizeof temporary, ".new-%d-%llx", (int)getpid(),
             (unsigned long long)randombytes_random());
    AUTO_FD fd =
        openat(folder, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_set(e, E_IO, errno, "make a file in '%s'", r->folder);
    bool good = true;
    while (text.n && good) {
        ssize_t sent = write(fd, text.p, text.n);
        good = sent > 0 || (sent < 0 && errno == EINTR);
        text = str_skip(text, sent > 0 ? (size_t)sent : 0);
    }
    if (!good || fsync(fd) < 0 || renameat(folder, temporary, folder, r->file) < 0) {
        err_set(e, E_IO, errno, "write '%s/%s'", r->folder, r->file);
        unlinkat(folder, temporary, 0);
        return -1;
    }
    return 0;
}

/* Rules that another run has added to our file since we read it. */
static int refresh(struct project_rules *r, struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < r->count; i++) {
        if (r->rules[i].own)
            rule_release(&r->rules[i]);
        else
            r->rules[n++] = r->rules[i];
    }
    r->count = n;
    AUTO_FD folder = open(r->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (folder < 0)
        return err_set(e, E_IO, errno, "open '%s'", r->folder);
    if (faccessat(folder, r->file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT)
        return 0;
    return read_file(r, folder, r->file, e);
}

int project_rules_add(struct project_rules *r, const struct question *q, bool allow, time_t now,
                      struct err *e)
{
    struct tm utc = { 0 };
    char date[32];
    if (r->refusal[0])
        return err_set(e, E_DENIED, 0, "%s", r->refusal);
    /* JSON cannot spell every path; a rule for a similar one would be another rule. */
    if (q->kind == QUESTION_REQUEST || q->kind == QUESTION_LIMIT || (!q->host && !q->path) ||
        !str_is_utf8(str_of(q->path)))
        return err_set(e, E_INPUT, 0, "an answer of this kind cannot be kept for the project");
    if (make_folder(r->folder, e) < 0 || refresh(r, e) < 0)
        return err_while(e, "keep the answer");
    if (r->count >= RULES_MAX)
        return err_set(e, E_BUSY, 0, "more than %d rules for this project", RULES_MAX);
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", &utc);
    r->rules = mem_grow(r->rules, (r->count + 1) * sizeof *r->rules);
    struct rule *rule = &r->rules[r->count++];
    *rule = (struct rule){ .allow = allow, .own = true, .date = str_dup(str_of(date)) };
    rule->question.kind = q->kind;
    rule->question.port = q->port;
    rule->question.host = q->host ? str_dup(str_of(q->host)) : NULL;
    rule->question.path = q->path ? str_dup(str_of(q->path)) : NULL;
    rule->command = q->text ? str_dup(str_of(q->text)) : NULL;
    AUTO_BUF text = { 0 };
    write_text(r, &text);
    return replace_file(r, buf_str(&text), e) < 0 ? err_while(e, "keep the answer") : 0;
}
