/* run.c - `postern run`: from the command line to a supervised command. */
#include "base/pages.h"
#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/run_options.h"
#include "role/supervisor.h"
#include "sandbox/backend_bwrap.h"
#include "sandbox/backend_seatbelt.h"
#include "sandbox/engine_path.h"
#include "sandbox/env.h"
#include "sandbox/flat.h"
#include "sandbox/part.h"
#include "sandbox/plan.h"
#include "sandbox/project_rules.h"
#include "sandbox/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

extern char **environ;

/* Everything that lives as long as the run. */
struct run {
    struct run_options options;
    struct settings settings;
    struct plan plan;
    struct env env;
    struct flat flat;
    bool has_settings, has_plan, has_env, has_flat;
    char self[PATH_MAX], engine[PATH_MAX];
    char *own_files[8]; /* heap, owned */
    size_t own_file_count;
    char **search_path; /* heap, owned, with its strings */
    struct buf rules_directory, default_file;
    char token[ENV_TOKEN_ROOM];
};

static void run_release(struct run *r)
{
    if (r->has_env)
        env_release(&r->env);
    if (r->has_flat)
        flat_release(&r->flat);
    if (r->has_plan)
        plan_release(&r->plan);
    if (r->has_settings)
        settings_release(&r->settings);
    for (size_t i = 0; r->search_path && r->search_path[i]; i++)
        free(r->search_path[i]);
    free(r->search_path);
    buf_release(&r->rules_directory);
    buf_release(&r->default_file);
    for (size_t i = 0; i < r->own_file_count; i++)
        free(r->own_files[i]);
    mem_wipe(r->token, sizeof r->token);
}

static void warn_line(void *ctx, const char *text)
{
    (void)ctx;
    log_warn("%s", text);
}

static void say_refused(const char *problems)
{
    fprintf(stderr, "Error: %s\n", problems);
    fprintf(stderr, "Refusing to run with the defaults: that would drop the file's rules.\n");
}

static int load_settings(struct run *r, struct err *e)
{
    AUTO_BUF problems = { 0 };
    struct settings_options how = { .profile = r->options.profile,
                                    .strict = r->options.strict,
                                    .warning = warn_line,
                                    .environment = environ };
    if (settings_load(r->options.settings, getenv("HOME"), &how, &r->settings, &problems, e) == 0) {
        r->has_settings = true;
        return 0;
    }
    say_refused(problems.n ? buf_text(&problems) : e->text);
    return -1;
}

/* x.filesystem.create: the one thing that a run may make on the host, because the file asks for it. */
static void create_directories(const struct settings *s)
{
    for (size_t i = 0; i < s->allow_write.count; i++) {
        const struct settings_entry *entry = &s->allow_write.items[i];
        AUTO_BUF path = { 0 };
        const char *home = getenv("HOME");
        bool of_home = entry->path[0] == '~' && entry->path[1] == '/' && home;
        if (!entry->create_dir)
            continue;
        buf_addf(&path, "%s%s", of_home ? home : "", of_home ? entry->path + 1 : entry->path);
        if (mkdir(buf_text(&path), 0777) < 0 && errno != EEXIST)
            log_warn("%s: cannot make '%s': %s", entry->where, buf_text(&path),
                     strerrordesc_np(errno));
    }
}

static char *absolute(const char *path)
{
    char here[PATH_MAX];
    AUTO_BUF whole = { 0 };
    if (path[0] != '/' && getcwd(here, sizeof here))
        buf_addf(&whole, "%s/", here);
    buf_add(&whole, str_of(path));
    return buf_take(&whole);
}

/* What the command may never write, whatever the settings say (T24); the default settings file also
 * when it does not exist, or the command would write the next run's rules. */
static void list_own_files(struct run *r)
{
    const char *home = getenv("HOME");
    project_rules_folder(&r->rules_directory, getenv("XDG_CONFIG_HOME"), home);
    if (home && home[0] == '/')
        buf_addf(&r->default_file, "%s/.srt-settings.json", home);
    const char *const files[] = {
        r->options.settings, buf_text(&r->default_file),    r->self,
        r->engine,           buf_text(&r->rules_directory), r->options.audit_file
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (files[i] && files[i][0])
            r->own_files[r->own_file_count++] = absolute(files[i]);
}

static bool is_listed(char *const *list, size_t count, struct str what)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_of(list[i]), what))
            return true;
    return false;
}

static void split_search_path(struct run *r)
{
    struct str rest = str_of(getenv("PATH")), part;
    size_t n = 0;
    r->search_path = mem_array(rest.n + 2, sizeof *r->search_path);
    while (str_cut(&rest, ':', &part))
        if (part.n && !is_listed(r->search_path, n, part))
            r->search_path[n++] = str_dup(part);
}

static bool can_ask(const struct run *r)
{
    const struct run_options *o = &r->options;
    if (o->ask_fd >= 0)
        return true;
    if (o->ask)
        return strcmp(o->ask, "none") != 0;
    return isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

/* What a switched off layer takes out of the plan; the rest asks disabled_layers where it builds. */
static void switch_off_parts(struct plan *p)
{
    bool no_proxy = p->disabled_layers[LAYER_PROXY];
    p->netns.proxy &= !no_proxy;
    p->transparent &= !no_proxy && !p->disabled_layers[LAYER_TRANSPARENT];
    p->netns.transparent = p->transparent;
    p->resolver &= p->transparent;
    p->netns.resolver = p->resolver;
    p->seccomp.notify &= !part_is_off(PART_WARDEN);
    p->seccomp.no_setid &= !part_is_off(PART_MODE_RULES);
}

static int make_plan(struct run *r, struct err *e)
{
    const char *wanted = env_wanted_tmpdir(environ);
    struct plan_request request = {
        .settings = &r->settings,
        .home_variable = getenv("HOME"),
        .caller_tmpdir = wanted,
        .own_tmpdir = getenv("TMPDIR"),
        .search_path = r->search_path,
        .own_files = (const char *const *)r->own_files,
        .own_file_count = r->own_file_count,
        .helper = r->self,
        .can_ask = can_ask(r),
        .warn = warn_line,
    };
    /* Looked at with the eyes of who will run. Where root cannot become that, there are no namespaces. */
    struct standin standin;
    struct err why;
    const bool by_standin = standin_is_needed() && standin_put_on(&standin, &why) == 0;
    int result = plan_build(&r->plan, &request, e);
    if (by_standin)
        standin_take_off(&standin);
    if (result < 0)
        return -1;
    r->has_plan = true;
    r->plan.audited = r->options.audit_file || r->options.audit_fd >= 0;
    for (int i = 0; i < LAYERS; i++) {
        r->plan.accepted[i] |= r->options.accepted[i];
        r->plan.required[i] = r->options.required[i];
        r->plan.disabled_layers[i] = r->options.disabled[i];
    }
    switch_off_parts(&r->plan);
    return 0;
}

/* The shell of -c: from a fixed list, never from the caller's PATH (T1). */
static const char *find_shell(void)
{
    static const char *const shells[] = { "/usr/local/bin/bash", "/usr/bin/bash", "/bin/bash" };
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++)
        if (access(shells[i], X_OK) == 0)
            return shells[i];
    return "/bin/sh";
}

/* The words of the command: those of the command line, or the shell's with what stands behind -c STRING,
 * which becomes $0, $1 and so on as for sh. `shell_argv` is heap, owned by the caller. */
static void command_words(const struct run *r, char ***shell_argv, struct command *c,
                          struct buf *text)
{
    char *const *words = r->options.command;
    size_t n = 0;
    while (words[n])
        n++;
    c->argv = r->options.command;
    if (r->options.shell) {
        char **argv = *shell_argv = mem_array(n + 4, sizeof *argv);
        argv[0] = (char *)find_shell();
        argv[1] = (char *)"-c";
        argv[2] = (char *)r->options.shell;
        for (size_t i = 0; i < n; i++)
            argv[3 + i] = words[i];
        c->argv = argv;
        buf_add(text, str_of(r->options.shell));
        return;
    }
    for (size_t i = 0; i < n && text->n < 4096; i++)
        buf_addf(text, "%s%s", i ? " " : "", words[i]);
}

/* `postern run "echo hi"` is one word, as for srt; say what was probably meant. */
static void hint(const struct run *r, int status)
{
    char **words = r->options.command;
    if (status == 127 && !r->options.shell && words[0] && !words[1] && strchr(words[0], ' '))
        fprintf(stderr, "postern: '%s' is one word; did you mean -c?\n", words[0]);
}

static bool wants_terminal(const struct run *r)
{
    if (r->options.tty != TTY_AUTO)
        return r->options.tty == TTY_YES;
    if (r->settings.allow_pty != SETTING_UNSET)
        return r->settings.allow_pty == SETTING_ON && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    return isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
}

static int start(struct run *r, struct err *e)
{
    AUTO_FREE char **shell_argv = NULL;
    AUTO_BUF text = { 0 };
    struct command command = { .stdio = { -1, -1, -1 } };
    command_words(r, &shell_argv, &command, &text);
    struct env_request wants = { .settings = &r->settings,
                                 .caller = environ,
                                 .token = r->token,
                                 .attribution = buf_str(&text),
                                 .tmpdir = r->plan.tmpdir,
                                 .java_agent_jar = r->plan.java_agent_jar,
                                 .postern = r->self,
                                 .http_port = r->plan.http_port,
                                 .socks_port = r->plan.socks_port,
                                 .debug = log_is_debug() };
    if (env_new_token(r->token, e) < 0 || env_build(&wants, &r->env, e) < 0)
        return -1;
    r->has_env = true;
    command.environment = r->env.items;
    if (r->options.backend == BACKEND_BWRAP)
        return bwrap_execute(&r->plan, command.argv, r->env.items, e);
    const char *ask = r->options.ask, *compat = getenv("SRT_COMPAT_EXIT");
    bool ask_named = ask && strcmp(ask, "tty") != 0 && strcmp(ask, "none") != 0;
    bool ask_tty = ask ? strcmp(ask, "tty") == 0 : r->options.ask_fd < 0 && can_ask(r);
    struct supervision s = {
        .plan = &r->plan,
        .flat = r->has_flat ? &r->flat : NULL,
        .command = &command,
        .command_text = buf_text(&text),
        .settings_text = r->settings.text.p,
        .settings_length = r->settings.text.n,
        .profile = r->options.profile,
        .strict = r->options.strict,
        .environment = environ,
        .token = r->token,
        .engine = r->engine,
        .terminal = wants_terminal(r),
        .audit_file = r->options.audit_file,
        .audit_fd = r->options.audit_fd,
        .control_fd = r->options.control_fd,
        .ask_fd = r->options.ask_fd,
        .ask_socket = ask_named ? ask : NULL,
        .ask_tty = ask_tty,
        .violations = r->options.violations,
        .compat_exit = compat && strcmp(compat, "1") == 0,
        .rules_directory = r->rules_directory.n ? r->rules_directory.p : NULL,
    };
    return supervise(&s, e);
}

static bool is_open(int fd, int access_mode)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && ((flags & O_ACCMODE) == O_RDWR || (flags & O_ACCMODE) == access_mode);
}

/* Descriptors named on the command line are checked before anything is built (contract 6). */
static int check_descriptors(const struct run_options *o)
{
    if (o->ask_fd >= 0 && !is_open(o->ask_fd, O_RDWR)) {
        fprintf(stderr, "Error: --ask-fd %d is not open for reading and writing\n", o->ask_fd);
        return -1;
    }
    if (o->audit_fd >= 0 && !is_open(o->audit_fd, O_WRONLY)) {
        fprintf(stderr, "Error: --audit-fd %d is not open for writing\n", o->audit_fd);
        return -1;
    }
    return 0;
}

/* Standard descriptors that the caller closed become /dev/null, so that no file of ours takes their
 * numbers and is handed to the command as its output (T40). */
static int fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd < 3);
    if (fd < 0)
        return -1;
    close(fd);
    return 0;
}

static int explain(const struct run *r)
{
    AUTO_BUF profile = { 0 };
    switch (r->options.explain) {
    case EXPLAIN_JSON:
        plan_print_json(&r->plan, stdout);
        break;
    case EXPLAIN_SEATBELT:
        seatbelt_profile(&r->plan, NETNS_HTTP_PORT, &profile);
        fputs(buf_text(&profile), stdout);
        break;
    case EXPLAIN_NO:
    case EXPLAIN_TEXT:
        plan_print(&r->plan, stdout);
        break;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

/* The log must lie where the command cannot write it. */
static int check_audit_file(const struct run *r, struct err *e)
{
    const struct file_rules *rules = &r->plan.rules;
    if (!r->options.audit_file)
        return 0;
    AUTO_FREE char *path = absolute(r->options.audit_file);
    char *slash = strrchr(path, '/');
    char real[PATH_MAX];
    *slash = '\0';
    if (!realpath(*path ? path : "/", real))
        return err_set(e, E_INPUT, errno, "--audit-file: the directory '%s'", path);
    for (size_t i = 0; i < rules->write_root_count; i++)
        if (path_is_beneath(str_of(real), str_of(rules->write_roots[i].path)))
            return err_set(
                e, E_INPUT, 0,
                "--audit-file: '%s' lies inside the allowed write path '%s'; put the log "
                "where the command cannot write",
                r->options.audit_file, rules->write_roots[i].path);
    return 0;
}

static int run_planned(struct run *r)
{
    struct err e = { 0 };
    if (own_program_path(r->self, &e) < 0 || engine_path(r->self, r->engine, &e) < 0 ||
        load_settings(r, &e) < 0)
        return e.kind == E_SANDBOX ? (log_error("%s", e.text), 125) : 1;
    create_directories(&r->settings);
    list_own_files(r);
    split_search_path(r);
    const bool planned = make_plan(r, &e) == 0;
    if (!planned && e.kind == E_INPUT) { /* a value that only this machine shows to be wrong */
        err_while(&e, "settings '%s'", r->settings.source);
        return say_refused(e.text), 1;
    }
    if (!planned || check_audit_file(r, &e) < 0) {
        log_error("%s", e.text);
        return err_exit_code(e.kind) == 125 ? 125 : 1;
    }
    log_debug("settings: %s; %zu mounts; network %s", r->settings.source, r->plan.mount_count,
              r->plan.network ? "by rules" : "none");
    if (r->options.explain != EXPLAIN_NO)
        return explain(r);
    r->has_flat = r->options.backend != BACKEND_BWRAP && flat_is_needed(&r->plan, &r->flat);
    int status = r->has_flat && flat_prepare(&r->flat, &r->plan, &e) < 0 ? -1 : start(r, &e);
    if (status < 0) {
        log_error("%s", e.text);
        return err_exit_code(e.kind);
    }
    hint(r, status);
    return status;
}

static __attribute__((noinline)) int run_command(int argc, char **argv)
{
    CLEANUP(run_release) struct run r = { 0 };
    struct err e = { 0 };
    int status;
    if (fill_standard_descriptors() < 0)
        return 125;
    if (run_options_parse(argc, argv, &r.options, &status, &e) < 0) {
        fprintf(stderr, "postern run: %s\n", e.text);
        return status;
    }
    if (r.options.help) {
        run_options_help();
        return 0;
    }
    if (r.options.version) {
        puts("postern " POSTERN_VERSION);
        return 0;
    }
    const char *debug = getenv("SRT_DEBUG");
    log_set_debug(r.options.debug || (debug && *debug));
    if (!r.options.command[0] && !r.options.shell && r.options.explain == EXPLAIN_NO) {
        fprintf(stderr, "Error: No command specified. Give a command, or -c 'shell string'.\n");
        return 1;
    }
    return check_descriptors(&r.options) < 0 ? 1 : run_planned(&r);
}

int cmd_run(int argc, char **argv)
{
    pages_take(); /* before the large frame */
    return run_command(argc, argv);
}
