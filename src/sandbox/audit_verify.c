#include "sandbox/audit-int.h"

#include "base/buf.h"
#include "sandbox/audit.h"

#include <errno.h>
#include <sodium.h>

/* The state between two lines. */
struct walk {
    unsigned char prev[AUDIT_HASH]; /* of the line before */
    bool torn_before;               /* that line was no record */
    struct audit_verdict *out;
};

/* One line without its newline. 1 = a line, 0 = end, -1 = longer than any record; *whole is false when
 * the file ends without a newline. */
static int read_line(FILE *in, struct buf *line, bool *whole)
{
    buf_empty(line);
    for (int c; (c = getc_unlocked(in)) != EOF;) {
        if (c == '\n') {
            *whole = true;
            return 1;
        }
        if (line->n >= AUDIT_RECORD_MAX)
            return -1;
        buf_add_byte(line, (char)c);
    }
    *whole = false;
    return line->n ? 1 : 0;
}

/* The record's kind: it stands where the writer puts it, behind the number. */
static struct str kind_of(struct str line)
{
    const char *at = memmem(line.p, line.n, "\",\"run\":\"", 9);
    at = at ? memmem(at, (size_t)(line.p + line.n - at), "\",\"seq\":", 8) : NULL;
    at = at ? memmem(at, (size_t)(line.p + line.n - at), ",\"kind\":\"", 9) : NULL;
    struct str rest = { at ? at + 9 : NULL, at ? (size_t)(line.p + line.n - at - 9) : 0 };
    struct str kind = { NULL, 0 };
    str_cut(&rest, '"', &kind);
    return kind;
}

static int broken(struct walk *w, struct err *e, const char *why)
{
    w->out->line = w->out->records + w->out->torn + 1;
    return err_set(e, E_CONFLICT, 0, "line %llu: %s", (unsigned long long)w->out->line, why);
}

/* Hash of the previous line as this one has it. */
static bool names_previous(const struct walk *w, struct str line)
{
    char hex[2 * AUDIT_HASH + 1];
    sodium_bin2hex(hex, sizeof hex, w->prev, AUDIT_HASH);
    struct str end = str_skip(line, line.n - AUDIT_PREV_SIZE + sizeof AUDIT_PREV - 1);
    return str_starts(end, (struct str){ hex, 2 * AUDIT_HASH });
}

/* A record behind a torn line says so itself, right before its hash. */
static bool says_torn(struct str line)
{
    struct str before = { line.p, line.n - AUDIT_PREV_SIZE };
    return str_ends(before, STR(AUDIT_TORN));
}

static int check_line(struct walk *w, struct str line, struct err *e)
{
    if (!audit_is_record(line)) {
        if (w->torn_before || !line.n)
            return broken(w, e, "is no audit record");
        w->torn_before = true; /* forgiven only when the next line names it */
        crypto_hash_sha256(w->prev, (const unsigned char *)line.p, line.n);
        return 0;
    }
    if (w->torn_before && !says_torn(line))
        return broken(w, e, "is no audit record");
    if (w->torn_before)
        w->out->torn++;
    if (!names_previous(w, line))
        return broken(w, e,
                      w->out->records == 0 && !w->torn_before
                          ? "does not begin a log: records before it are missing"
                          : "does not follow from the line before it: something was changed, "
                            "removed or moved");
    w->torn_before = false;
    crypto_hash_sha256(w->prev, (const unsigned char *)line.p, line.n);
    struct str kind = kind_of(line);
    w->out->records++;
    w->out->starts += str_eq(kind, STR("start"));
    w->out->ends += str_eq(kind, STR("end"));
    return 0;
}

int audit_verify(FILE *in, struct audit_verdict *out, struct err *e)
{
    *out = (struct audit_verdict){ 0 };
    struct walk w = { .out = out };
    AUTO_BUF line = { 0 };
    bool whole = true;
    int got;
    while ((got = read_line(in, &line, &whole)) > 0) {
        if (!whole)
            return broken(&w, e, "is cut off: the end of the log is missing");
        if (check_line(&w, buf_str(&line), e) < 0)
            return -1;
    }
    if (ferror(in)) {
        out->line = out->records + out->torn + 1;
        return err_set(e, E_IO, errno, "line %llu: cannot be read", (unsigned long long)out->line);
    }
    if (got < 0)
        return broken(&w, e, "is longer than any record");
    if (w.torn_before)
        return broken(&w, e, "is no audit record");
    if (out->records == 0)
        return broken(&w, e, "there are no records");
    return 0;
}
