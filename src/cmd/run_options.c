#include "cmd/run_options.h"

#include "base/buf.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/control.h"
#include "sandbox/part.h"

#include <stdio.h>
#include <string.h>

/* One option's value; false when it means nothing. */
typedef bool take_value(struct run_options *o, struct str value, const char *text);

struct option_row {
    const char *letter, *name,
        *value; /* value NULL = a switch; "=" in front: only as --name=VALUE */
    const char *help;
    take_value *take;
};

static bool read_fd(struct str value, int *out)
{
    uint64_t n;
    if (value.n > 7 || !str_to_u64(value, &n) || n < 3)
        return false;
    *out = (int)n;
    return true;
}

static bool take_settings(struct run_options *o, struct str value, const char *text)
{
    o->settings = text;
    return value.n > 0;
}

static bool take_shell(struct run_options *o, struct str value, const char *text)
{
    (void)value;
    o->shell = text;
    return true;
}

static bool take_debug(struct run_options *o, struct str value, const char *text)
{
    (void)value, (void)text;
    return o->debug = true;
}

static bool take_strict(struct run_options *o, struct str value, const char *text)
{
    (void)value, (void)text;
    return o->strict = true;
}

static bool take_help(struct run_options *o, struct str value, const char *text)
{
    (void)value, (void)text;
    return o->help = true;
}

static bool take_version(struct run_options *o, struct str value, const char *text)
{
    (void)value, (void)text;
    return o->version = true;
}

static bool take_control(struct run_options *o, struct str value, const char *text)
{
    struct err e;
    (void)value;
    return control_parse(text, &o->control_fd, &e) == 0;
}

static bool take_ask_fd(struct run_options *o, struct str value, const char *text)
{
    (void)text;
    return read_fd(value, &o->ask_fd);
}

static bool take_audit_fd(struct run_options *o, struct str value, const char *text)
{
    (void)text;
    return read_fd(value, &o->audit_fd);
}

static bool take_audit_file(struct run_options *o, struct str value, const char *text)
{
    o->audit_file = text;
    return value.n > 0;
}

static bool take_profile(struct run_options *o, struct str value, const char *text)
{
    o->profile = text;
    return str_eq(value, STR("read-only")) || str_eq(value, STR("workspace")) ||
           str_eq(value, STR("no-network"));
}

static bool take_ask(struct run_options *o, struct str value, const char *text)
{
    o->ask = text;
    return value.n > 0;
}

/* The place of `value` in a list of words, or -1. */
static int word_of(struct str value, const char *const *words, int count)
{
    for (int i = 0; i < count; i++)
        if (str_eq(value, str_of(words[i])))
            return i;
    return -1;
}

static bool take_explain(struct run_options *o, struct str value, const char *text)
{
    static const char *const words[] = { "", "text", "json", "seatbelt" };
    static const enum explain means[] = { EXPLAIN_TEXT, EXPLAIN_TEXT, EXPLAIN_JSON,
                                          EXPLAIN_SEATBELT };
    int at = word_of(value, words, 4);
    (void)text;
    if (at >= 0)
        o->explain = means[at];
    return at >= 0;
}

static bool take_tty(struct run_options *o, struct str value, const char *text)
{
    static const char *const words[] = { "auto", "yes", "no" };
    int at = word_of(value, words, 3);
    (void)text;
    if (at >= 0)
        o->tty = (enum tty_choice)at;
    return at >= 0;
}

static bool take_backend(struct run_options *o, struct str value, const char *text)
{
    static const char *const words[] = { "native", "bwrap" };
    int at = word_of(value, words, 2);
    (void)text;
    if (at >= 0)
        o->backend = (enum backend)at;
    return at >= 0;
}

static bool take_violations(struct run_options *o, struct str value, const char *text)
{
    struct err e;
    (void)value;
    return violations_target_parse(text, &o->violations, &e) == 0;
}

static bool take_layers(bool *of, struct str value)
{
    struct str one;
    while (str_cut(&value, ',', &one)) {
        char name[32];
        if (one.n == 0 || one.n >= sizeof name)
            return false;
        memcpy(name, one.p, one.n);
        name[one.n] = '\0';
        int layer = layer_find(name);
        if (layer < 0)
            return false;
        of[layer] = true;
    }
    return true;
}

static bool take_accepted(struct run_options *o, struct str value, const char *text)
{
    (void)text;
    return take_layers(o->accepted, value);
}

static bool take_required(struct run_options *o, struct str value, const char *text)
{
    (void)text;
    return take_layers(o->required, value);
}

#ifdef POSTERN_DEBUG_LAYERS
static bool take_disabled(struct run_options *o, struct str value, const char *text)
{
    (void)text;
    struct str one;
    while (str_cut(&value, ',', &one)) {
        AUTO_FREE char *name = str_dup(one);
        if (!part_switch_off(name) && !take_layers(o->disabled, one))
            return false;
    }
    return true;
}
#endif

static const struct option_row rows[] = {
    { "-s", "--settings", "PATH", "settings file (default: ~/.srt-settings.json)", take_settings },
    { "-c", NULL, "STRING", "run STRING with the shell", take_shell },
    { "-d", "--debug", NULL, "debug lines on stderr", take_debug },
    { NULL, "--profile", "NAME", "preset under the file: read-only, workspace, no-network",
      take_profile },
    { NULL, "--strict", NULL, "an unknown settings key is an error", take_strict },
    { NULL, "--explain", "=text|json|seatbelt", "print the plan, run nothing", take_explain },
    { NULL, "--backend", "native|bwrap", "bwrap: files and processes only, for comparison",
      take_backend },
    { NULL, "--tty", "auto|yes|no", "give the command a terminal of its own", take_tty },
    { NULL, "--ask", "tty|none|PATH", "who answers permission prompts; PATH is a unix socket",
      take_ask },
    { NULL, "--ask-fd", "N", "permission prompts as JSON lines on descriptor N", take_ask_fd },
    { NULL, "--control-fd", "N", "live settings updates from descriptor N", take_control },
    { NULL, "--audit-file", "PATH", "append the audit log to PATH", take_audit_file },
    { NULL, "--audit-fd", "N", "write the audit log to descriptor N", take_audit_fd },
    { NULL, "--violations", "stderr|none|fd:N",
      "where refused things are listed at exit (N open for writing)", take_violations },
    { NULL, "--require", "LAYER,...", "refuse to run unless these layers are active",
      take_required },
    { NULL, "--allow-degraded", "LAYER,...", "run although these layers are missing",
      take_accepted },
#ifdef POSTERN_DEBUG_LAYERS
    { NULL, "--disable-layer", "LAYER,...", "switch layers off (debug builds only)",
      take_disabled },
#endif
    { "-V", "--version", NULL, "print the version", take_version },
    { "-h", "--help", NULL, "print this text", take_help },
};
enum { ROWS = sizeof rows / sizeof *rows };

static const struct option_row *find_row(struct str name)
{
    for (size_t i = 0; i < ROWS; i++)
        if ((rows[i].name && str_eq(name, str_of(rows[i].name))) ||
            (rows[i].letter && str_eq(name, str_of(rows[i].letter))))
            return &rows[i];
    return NULL;
}

static int bad_value(const struct option_row *row, struct str value, int *exit_status,
                     struct err *e)
{
    const char *name = row->name ? row->name : row->letter;
    struct violations_target target;
    int fd;
    if (row->take == take_control) {
        *exit_status = 1; /* contract 1.2: the one usage error with srt's status */
        return control_parse(value.p, &fd, e);
    }
    if (row->take == take_violations)
        return violations_target_parse(value.p, &target, e);
    AUTO_BUF names = { 0 };
    if (row->take == take_profile)
        buf_add(&names, STR(": read-only, workspace or no-network"));
    for (int i = 0; i < LAYERS && str_starts(str_of(row->value), STR("LAYER")); i++)
        buf_addf(&names, "%s%s", i ? ", " : ": ", layer_name((enum layer)i));
    return err_set(e, E_INPUT, 0, "%s takes %s, not '%.*s'%s", name,
                   row->value[0] == '=' ? row->value + 1 : row->value,
                   value.n < 100 ? (int)value.n : 100, value.p ? value.p : "", buf_text(&names));
}

/* One option at argv[*at]; steps over what it uses. */
static int take_option(int argc, char **argv, int *at, struct run_options *o, int *exit_status,
                       struct err *e)
{
    struct str word = str_of(argv[*at]), value = { NULL, 0 };
    const char *text = NULL;
    struct str name = word;
    ptrdiff_t equals = str_starts(word, STR("--")) ? str_index(word, '=') : -1;
    if (equals >= 0) {
        name.n = (size_t)equals;
        text = word.p + equals + 1;
    }
    const struct option_row *row = find_row(name);
    if (!row)
        return err_set(
            e, E_INPUT, 0,
            "unknown option '%.*s' (put -- in front of a command that begins with a dash)",
            STR_ARGS(name));
    if (row->value && row->value[0] != '=' && !text) {
        if (*at + 1 >= argc)
            return err_set(e, E_INPUT, 0, "%.*s needs a value: %s", STR_ARGS(name), row->value);
        text = argv[++*at];
    }
    if (!row->value && text)
        return err_set(e, E_INPUT, 0, "%.*s takes no value", STR_ARGS(name));
    value = str_of(text);
    return row->take(o, value, text) ? 0 : bad_value(row, value, exit_status, e);
}

int run_options_parse(int argc, char **argv, struct run_options *out, int *exit_status,
                      struct err *e)
{
    *out = (struct run_options){ .control_fd = -1, .ask_fd = -1, .audit_fd = -1 };
    *exit_status = 2;
    if (violations_target_parse(NULL, &out->violations, e) < 0)
        return -1;
    int at = 1;
    for (; at < argc; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        /* Options stand only before the first operand (contract 1.1). */
        if (argv[at][0] != '-' || argv[at][1] == '\0')
            break;
        if (take_option(argc, argv, &at, out, exit_status, e) < 0)
            return -1;
    }
    out->command = argv + at;
    return 0;
}

void run_options_help(void)
{
    printf(
        "Usage: postern run [OPTIONS] [--] COMMAND [ARGUMENTS]\n"
        "       postern run [OPTIONS] -c 'SHELL STRING' [ARGUMENTS]\n\n"
        "Runs a command in a sandbox: it reads what the settings leave visible, writes only where\n"
        "they allow, and reaches only the hosts they name.\n\nOptions:\n");
    for (size_t i = 0; i < ROWS; i++) {
        char left[64];
        const char *value = rows[i].value ? rows[i].value : "";
        bool may_lack = value[0] == '='; /* only as --name=VALUE */
        snprintf(left, sizeof left, "%s%s%s%s%s%s%s", rows[i].letter ? rows[i].letter : "   ",
                 rows[i].name && rows[i].letter ? "," : "", rows[i].name ? " " : "",
                 rows[i].name ? rows[i].name : "",
                 may_lack        ? "["
                 : rows[i].value ? " "
                                 : "",
                 value, may_lack ? "]" : "");
        printf("  %-42s %s\n", left, rows[i].help);
    }
    printf(
        "\nExit status: the command's own; 128+N when signal N ended it; 126/127 when it cannot "
        "be\n"
        "executed or found; 1 bad settings; 2 bad usage; 124 time limit; 125 the sandbox cannot\n"
        "be built (the message names the layer).\n"
        "\nLayers: namespaces net mount landlock seccomp capabilities cgroup rlimit proxy\n"
        "        transparent keyring\n"
        "Manual: man postern-run. Settings: docs/settings.md.\n");
}
