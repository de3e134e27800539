/* `postern audit verify [FILE|-] [--json]`: is this log whole? Exit status: 0 whole, 1 broken or not
 * readable, 2 wrong usage. */
#include "base/log.h"
#include "cmd/commands.h"
#include "proto/json_write.h"
#include "sandbox/audit.h"

#include <errno.h>
#include <stdio.h>

static const char usage[] =
    "Usage: postern audit verify [--json] [FILE|-]\n\n"
    "Checks the hash chain of an audit log (of standard input without FILE).\n"
    "Exit status: 0 the chain is whole, 1 it is broken or cannot be read, 2 wrong usage.\n";

static void print_json(const struct audit_verdict *v, bool whole, const char *problem)
{
    AUTO_BUF out = { 0 };
    json_write_object(&out);
    json_member_bool(&out, "whole", whole);
    json_member_u64(&out, "records", v->records);
    json_member_u64(&out, "runs_started", v->starts);
    json_member_u64(&out, "runs_ended", v->ends);
    json_member_u64(&out, "torn_lines", v->torn);
    if (v->line)
        json_member_u64(&out, "line", v->line);
    if (problem)
        json_member_text(&out, "problem", problem);
    json_write_object_end(&out);
    puts(buf_text(&out));
}

static void print_text(const struct audit_verdict *v, bool whole, const char *name,
                       const char *problem)
{
    if (!whole) {
        printf("%s: broken: %s\n", name, problem);
        printf("The %llu records before it are whole.\n", (unsigned long long)v->records);
        return;
    }
    printf("%s: whole: %llu records, %llu runs\n", name, (unsigned long long)v->records,
           (unsigned long long)v->starts);
    if (v->torn)
        printf("%llu lines were cut off while they were written; the chain goes on behind them.\n",
               (unsigned long long)v->torn);
    if (v->ends < v->starts)
        printf("%llu runs have no end: they still run, were killed, or the log lost its tail.\n",
               (unsigned long long)(v->starts - v->ends));
}

static int verify(const char *name, bool json)
{
    bool standard = strcmp(name, "-") == 0;
    FILE *in = standard ? stdin : fopen(name, "re");
    if (!in) {
        log_error("open '%s': %s", name, strerrordesc_np(errno));
        return 1;
    }
    struct audit_verdict verdict;
    struct err e = { 0 };
    bool whole = audit_verify(in, &verdict, &e) == 0;
    if (!standard)
        fclose(in);
    if (json)
        print_json(&verdict, whole, whole ? NULL : e.text);
    else
        print_text(&verdict, whole, standard ? "standard input" : name, e.text);
    if (fflush(stdout) != 0) {
        log_error("write: %s", strerrordesc_np(errno));
        return 1;
    }
    return whole ? 0 : 1;
}

int cmd_audit(int argc, char **argv)
{
    bool json = false, options = true;
    const char *file = NULL;
    int operands = 0;
    for (int i = 1; i < argc; i++) {
        if (options && strcmp(argv[i], "--") == 0) {
            options = false;
        } else if (options && strcmp(argv[i], "--json") == 0) {
            json = true;
        } else if (options && (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)) {
            fputs(usage, stdout);
            return 0;
        } else if (options && argv[i][0] == '-' && argv[i][1]) {
            log_error("audit: unknown option '%s'", argv[i]);
            return 2;
        } else if (operands++ == 0) {
            if (strcmp(argv[i], "verify") != 0) {
                log_error("audit: '%s' is unknown; there is 'postern audit verify'", argv[i]);
                return 2;
            }
        } else if (operands == 2) {
            file = argv[i];
        } else {
            log_error("audit: one log at a time");
            return 2;
        }
    }
    if (operands == 0) {
        fputs(usage, stderr);
        return 2;
    }
    return verify(file ? file : "-", json);
}
