/* doctor.c - `postern doctor`: what this machine can enforce, and how to fix what it can't
 * (sandbox contract 11). */
#include "base/buf.h"
#include "base/log.h"
#include "cmd/commands.h"
#include "proto/json_write.h"
#include "sandbox/host_facts.h"
#include "sandbox/landlock_audit.h"
#include "sandbox/layers.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_WEAKER = 1, EXIT_USAGE = 2, EXIT_UNUSABLE = 125 };

/* What came with each Landlock ABI, and what does its work on kernels before. */
static const struct gap {
    int abi;
    const char *linux_version, *right, *instead;
} gaps[] = {
    { 2, "5.19", "moves between directories", "they fail with EXDEV, and programs copy instead" },
    { 3, "6.2", "cutting files short", "read-only mounts; truncate is judged by name" },
    { 4, "6.7", "TCP ports", "a network namespace without a way out" },
    { 5, "6.10", "ioctl on devices", "a /dev of harmless devices; the filter refuses the others" },
    { 6, "6.12", "abstract sockets and signals", "network and pid namespaces" },
    { 7, "6.15", "log of denials", "the warden's own reports" },
    { 8, "7.0", "all threads at once", "the domain is entered before there are threads" },
    { 9, "7.1", "unix sockets by path", "connect, send and bind are judged by name" },
};
enum { GAPS = sizeof gaps / sizeof *gaps };

static void help(FILE *out)
{
    fputs(
        "Usage: postern doctor [--json | --apparmor]\n\n"
        "Tries every layer of the sandbox on this machine and says what is missing and how to get\n"
        "it. Changes nothing.\n\n"
        "  --json      as one JSON object\n"
        "  --apparmor  print an AppArmor profile that lets this program make user namespaces\n"
        "  -h, --help  this text\n\n"
        "Exit status: 0 usable (grade A or B), 1 weaker (C), 2 usage, 125 unusable (F).\n",
        out);
}

/* Lets our program make user namespaces, and nothing else changes for it. */
static int print_profile(void)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n <= 0) {
        log_error("cannot find our own program: is /proc mounted?");
        return EXIT_UNUSABLE;
    }
    self[n] = '\0';
    if (strpbrk(self, "\"*?[]{}^\\\n")) {
        log_error("the path of this program cannot stand in a profile: '%s'", self);
        return EXIT_UNUSABLE;
    }
    printf("abi <abi/4.0>,\n"
           "include <tunables/global>\n\n"
           "profile postern \"%s\" flags=(unconfined) {\n"
           "  userns,\n"
           "  include if exists <local/postern>\n"
           "}\n",
           self);
    return 0;
}

/* Remarks that belong to no single layer; one line each. */
static void collect_notes(const struct host_facts *f, struct buf *notes)
{
    char here[PATH_MAX];
    const char *home = getenv("HOME");
    if (!f->proc_mounted)
        buf_addf(notes, "/proc is not mounted: no run is possible (mount -t proc proc /proc)\n");
    if (f->wsl1)
        buf_addf(notes,
                 "WSL 1 is no Linux kernel: no run is possible (wsl --set-version NAME 2)\n");
    if (f->wsl2)
        buf_addf(notes, "WSL 2: paths below /mnt/c are slow, and rights on them mean little\n");
    if (f->io_uring_disabled == 0)
        buf_addf(notes,
                 "io_uring is on (kernel.io_uring_disabled=0); inside the filter refuses it\n");
    if (f->apparmor_restrict_unconfined == 1)
        buf_addf(notes,
                 "AppArmor also restricts unconfined programs: the profile of postern doctor "
                 "--apparmor is the way\n");
    if (f->is_filtered)
        buf_addf(notes, "a seccomp filter already holds for this process%s%s\n",
                 f->container ? ", in " : "", f->container ? f->container : "");
    if (!getcwd(here, sizeof here) || here[0] != '/')
        buf_addf(notes, "the working directory is gone: a run from here is refused\n");
    if (!home || home[0] != '/')
        buf_addf(notes, "HOME is not an absolute path: ~ means the passwd entry\n");
}

/* Whether an audit log of a run would hold what Landlock refused. */
static void ask_landlock_audit(char state[LANDLOCK_AUDIT_STATE_MAX])
{
    struct landlock_audit *l = landlock_audit_new(state);
    if (l)
        landlock_audit_is_on(l, state);
    landlock_audit_free(l);
}

static void print_text(const struct host_facts *f, const struct layers *l, const char *audit,
                       const struct buf *notes)
{
    const char *term = getenv("TERM");
    bool colour = isatty(STDOUT_FILENO) && !getenv("NO_COLOR") && term && strcmp(term, "dumb") != 0;
    printf("Postern " POSTERN_VERSION " on Linux %s, %s, %s%s%s%s\n\n", f->kernel, f->machine,
           f->distribution, f->container ? ", in " : "", f->container ? f->container : "",
           f->is_root ? ", as root" : "");
    layers_print(l, stdout, colour);
    if (l->landlock_abi)
        printf("\nLandlock ABI %d.%s\n", l->landlock_abi,
               l->landlock_abi < gaps[GAPS - 1].abi ? " What it lacks, and what does its work:"
                                                    : "");
    for (size_t i = 0; i < GAPS; i++)
        if (l->landlock_abi && gaps[i].abi > l->landlock_abi)
            printf("  %-30s (Linux %s)  %s\n", gaps[i].right, gaps[i].linux_version,
                   gaps[i].instead);
    printf("Landlock audit: %s\n", audit);
    printf("Control groups: %s\n", l->placement[0] ? l->placement : "none may be made here");
    struct str rest = buf_str(notes), line;
    for (bool first = true; str_cut(&rest, '\n', &line) && line.n; first = false)
        printf("%s- %.*s\n", first ? "\n" : "", STR_ARGS(line));
}

static void add_setting(struct buf *b, const char *name, long value)
{
    if (value < 0) {
        json_write_key(b, str_of(name));
        json_write_null(b);
    } else {
        json_member_i64(b, name, value);
    }
}

static void add_host(struct buf *b, const struct host_facts *f)
{
    json_write_key(b, STR("host"));
    json_write_object(b);
    json_member_text(b, "kernel", f->kernel);
    json_member_text(b, "machine", f->machine);
    json_member_text(b, "distribution", f->distribution);
    json_member_text(b, "container", f->container);
    json_member_bool(b, "root", f->is_root);
    json_member_bool(b, "procMounted", f->proc_mounted);
    json_member_bool(b, "filtered", f->is_filtered);
    json_member_text(b, "wsl", f->wsl1 ? "1" : f->wsl2 ? "2" : NULL);
    json_write_key(b, STR("settings"));
    json_write_object(b);
    add_setting(b, "user.max_user_namespaces", f->max_user_namespaces);
    add_setting(b, "kernel.unprivileged_userns_clone", f->unprivileged_userns_clone);
    add_setting(b, "kernel.apparmor_restrict_unprivileged_userns", f->apparmor_restrict_userns);
    add_setting(b, "kernel.apparmor_restrict_unprivileged_unconfined",
                f->apparmor_restrict_unconfined);
    add_setting(b, "kernel.io_uring_disabled", f->io_uring_disabled);
    json_write_object_end(b);
    json_write_object_end(b);
}

static void print_json(const struct host_facts *f, const struct layers *l, const char *audit,
                       const struct buf *notes)
{
    AUTO_BUF b = { 0 };
    json_write_object(&b);
    json_member_text(&b, "version", POSTERN_VERSION);
    add_host(&b, f);
    json_write_key(&b, STR("landlockLacks"));
    json_write_array(&b);
    for (size_t i = 0; i < GAPS; i++) {
        if (gaps[i].abi <= l->landlock_abi)
            continue;
        json_write_object(&b);
        json_member_i64(&b, "abi", gaps[i].abi);
        json_member_text(&b, "linux", gaps[i].linux_version);
        json_member_text(&b, "right", gaps[i].right);
        json_member_text(&b, "instead", l->landlock_abi ? gaps[i].instead : NULL);
        json_write_object_end(&b);
    }
    json_write_array_end(&b);
    json_member_text(&b, "landlockAudit", audit);
    json_write_key(&b, STR("notes"));
    json_write_array(&b);
    struct str rest = buf_str(notes), line;
    while (str_cut(&rest, '\n', &line))
        if (line.n)
            json_write_str(&b, line);
    json_write_array_end(&b);
    json_write_key(&b, STR("check"));
    fputs(buf_text(&b), stdout);
    layers_print_json(l, stdout);
    fputs("}\n", stdout);
}

static int verdict(const struct host_facts *f, const struct layers *l)
{
    if (l->grade == 'F' || f->wsl1 || !f->proc_mounted)
        return EXIT_UNUSABLE;
    return l->grade == 'C' ? EXIT_WEAKER : 0;
}

int cmd_doctor(int argc, char **argv)
{
    bool json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (strcmp(argv[i], "--apparmor") == 0) {
            return print_profile();
        } else if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0) {
            help(stdout);
            return 0;
        } else {
            log_error("doctor: unknown argument '%s'; see postern doctor --help", argv[i]);
            return EXIT_USAGE;
        }
    }
    struct host_facts facts;
    struct layers layers;
    AUTO_BUF notes = { 0 };
    char audit[LANDLOCK_AUDIT_STATE_MAX];
    host_facts_read(&facts);
    layers_check(&layers);
    ask_landlock_audit(audit);
    collect_notes(&facts, &notes);
    if (json)
        print_json(&facts, &layers, audit, &notes);
    else
        print_text(&facts, &layers, audit, &notes);
    if (fflush(stdout) != 0) {
        log_error("doctor: the report could not be written");
        return EXIT_UNUSABLE;
    }
    return verdict(&facts, &layers);
}
