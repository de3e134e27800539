#include "proto/kernel_audit.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>

enum field {
    F_DOMAIN,
    F_BLOCKERS,
    F_PATH,
    F_NAME,
    F_SADDR,
    F_SRC,
    F_DADDR,
    F_DEST,
    F_OPID,
    F_OCOMM,
    F_STATUS,
    F_PID,
    F_SUCCESS,
    F_EXIT,
    F_COMM,
    F_EXE,
    FIELDS
};

static const char *const field_names[FIELDS] = {
    [F_DOMAIN] = "domain",   [F_BLOCKERS] = "blockers", [F_PATH] = "path",     [F_NAME] = "name",
    [F_SADDR] = "saddr",     [F_SRC] = "src",           [F_DADDR] = "daddr",   [F_DEST] = "dest",
    [F_OPID] = "opid",       [F_OCOMM] = "ocomm",       [F_STATUS] = "status", [F_PID] = "pid",
    [F_SUCCESS] = "success", [F_EXIT] = "exit",         [F_COMM] = "comm",     [F_EXE] = "exe",
};

struct value {
    struct str text; /* without the quotes; p = NULL: not given */
    bool quoted;
};

static int malformed(struct err *e, const char *what)
{
    return err_set(e, E_INPUT, 0, "kernel audit record: %s", what);
}

static bool is_number(struct str s, uint64_t max, uint64_t *out)
{
    return str_to_u64(s, out) && *out <= max;
}

/* "audit(1732186800.349:44): " in front. */
static int cut_stamp(struct str *rest, struct kernel_audit *out, struct err *e)
{
    const struct str start = STR("audit(");
    struct str stamp, seconds;
    uint64_t s, ms;
    if (!str_starts(*rest, start))
        return malformed(e, "no stamp");
    *rest = str_skip(*rest, start.n);
    if (!str_cut(rest, ')', &stamp) || !rest->n || rest->p[0] != ':' ||
        !str_cut(&stamp, '.', &seconds) || !is_number(seconds, UINT32_MAX, &s))
        return malformed(e, "bad stamp");
    *rest = str_skip(*rest, 1);
    struct str millis;
    if (!str_cut(&stamp, ':', &millis) || !is_number(millis, 999, &ms) ||
        !is_number(stamp, UINT64_MAX, &out->serial))
        return malformed(e, "bad stamp");
    out->time_ms = s * 1000 + ms;
    return 0;
}

/* What stands in quotes is printable ASCII without blanks and quotes; the rest comes as digits. */
static bool is_plain(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < 0x21 || s.p[i] > 0x7e || s.p[i] == '"')
            return false;
    return true;
}

/* Takes one "key=value" off. A word without a key gives an empty one. */
static int cut_field(struct str *rest, struct str *key, struct value *value, struct err *e)
{
    size_t n = 0;
    while (n < rest->n && rest->p[n] != '=' && rest->p[n] != ' ')
        n++;
    *key = (struct str){ rest->p, n };
    *value = (struct value){ { rest->p, n }, false };
    if (n == rest->n || rest->p[n] == ' ') {
        key->n = 0;
        *rest = str_skip(*rest, n);
        return is_plain(value->text) ? 0 : malformed(e, "not a word");
    }
    *rest = str_skip(*rest, n + 1);
    value->quoted = rest->n && rest->p[0] == '"';
    if (value->quoted)
        *rest = str_skip(*rest, 1);
    for (n = 0; n < rest->n && rest->p[n] != (value->quoted ? '"' : ' ');)
        n++;
    value->text = (struct str){ rest->p, n };
    if (value->quoted && n == rest->n)
        return malformed(e, "a quote is open");
    *rest = str_skip(*rest, value->quoted ? n + 1 : n);
    if (!is_plain(value->text) || !is_plain(*key) || (rest->n && rest->p[0] != ' '))
        return malformed(e, "a value that the kernel would not write");
    return 0;
}

static int keep_field(struct str key, struct value value, struct value values[FIELDS],
                      struct err *e)
{
    for (int i = 0; i < FIELDS; i++) {
        if (!str_eq(key, str_of(field_names[i])))
            continue;
        if (values[i].text.p)
            return malformed(e, "a key twice");
        values[i] = value;
    }
    return 0;
}

/* Words without a key stand only in the label of an AppArmor profile: "subj=name (enforce)". */
static int cut_fields(struct str rest, bool words, struct value values[FIELDS], struct err *e)
{
    while (rest.n) {
        struct str key;
        struct value value;
        if (rest.p[0] == ' ') {
            rest = str_skip(rest, 1);
            continue;
        }
        if (cut_field(&rest, &key, &value, e) < 0)
            return -1;
        if (!key.n && !words)
            return malformed(e, "a word without a key");
        if (keep_field(key, value, values, e) < 0)
            return -1;
    }
    return 0;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

enum { CUT = 1, NUL_AS_AT = 2 };

/* A name that a program chose. What is too long fails, or is cut. */
static int read_name(struct value v, char *out, size_t room, int how, struct err *e)
{
    const size_t n = v.quoted ? v.text.n : v.text.n / 2;
    out[0] = '\0';
    if (!v.text.p || (!v.quoted && str_eq(v.text, STR("(null)"))))
        return 0;
    if ((!v.quoted && v.text.n % 2) || (n >= room && !(how & CUT)))
        return malformed(e, "a name of a wrong length");
    for (size_t i = 0; i < n && i < room - 1; i++) {
        int high = 0, low = v.text.p[i];
        if (!v.quoted) {
            high = digit(v.text.p[2 * i]);
            low = digit(v.text.p[2 * i + 1]);
        }
        if (high < 0 || low < 0)
            return malformed(e, "a name that is no hexadecimal number");
        out[i] = (char)(high * 16 + low);
        if (!out[i] && !(how & NUL_AS_AT))
            return malformed(e, "a name with a NUL");
        if (!out[i])
            out[i] = '@';
        out[i + 1] = '\0';
    }
    return 0;
}

static int read_domain(struct value v, uint64_t *out, struct err *e)
{
    *out = 0;
    if (v.quoted || v.text.n == 0 || v.text.n > 16)
        return malformed(e, "no domain");
    for (size_t i = 0; i < v.text.n; i++) {
        const char c = v.text.p[i];
        const bool is_letter = c >= 'a' && c <= 'f';
        if (!is_letter && (c < '0' || c > '9'))
            return malformed(e, "a domain that is no number");
        *out = *out << 4 | (uint64_t)(is_letter ? c - 'a' + 10 : c - '0');
    }
    return 0;
}

static int read_pid(struct value v, int *out, struct err *e)
{
    uint64_t pid;
    if (v.quoted || !is_number(v.text, INT_MAX, &pid))
        return malformed(e, "no pid");
    *out = (int)pid;
    return 0;
}

static int read_blockers(struct value v, struct kernel_audit *out, struct err *e)
{
    if (v.quoted || v.text.n == 0 || v.text.n >= sizeof out->blockers)
        return malformed(e, "no blockers");
    for (size_t i = 0; i < v.text.n; i++) {
        const char c = v.text.p[i];
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '.' && c != ',')
            return malformed(e, "blockers that are no words");
    }
    memcpy(out->blockers, v.text.p, v.text.n);
    out->blockers[v.text.n] = '\0';
    return 0;
}

static int read_address(struct value address, struct value port, struct kernel_audit *out,
                        struct err *e)
{
    uint64_t number;
    if (port.quoted || address.quoted || !is_number(port.text, UINT16_MAX, &number) ||
        address.text.n > 64)
        return malformed(e, "no address");
    for (size_t i = 0; i < address.text.n; i++)
        if (!memchr("0123456789abcdef:.", address.text.p[i], 18))
            return malformed(e, "an address that is none");
    const bool brackets = address.text.n && str_index(address.text, ':') >= 0;
    snprintf(out->object, sizeof out->object, brackets ? "[%.*s]:%u" : "%.*s:%u",
             STR_ARGS(address.text), (unsigned)number);
    return 0;
}

static int read_process(const struct value *v, struct kernel_audit *out, struct err *e)
{
    int pid = 0;
    char comm[sizeof out->comm];
    if (read_pid(v[F_OPID], &pid, e) < 0 || read_name(v[F_OCOMM], comm, sizeof comm, 0, e) < 0)
        return -1;
    snprintf(out->object, sizeof out->object, comm[0] ? "pid %d (%s)" : "pid %d", pid, comm);
    return 0;
}

static int read_access(const struct value *v, struct kernel_audit *out, struct err *e)
{
    if (read_domain(v[F_DOMAIN], &out->domain, e) < 0 || read_blockers(v[F_BLOCKERS], out, e) < 0)
        return -1;
    const bool is_socket = strncmp(out->blockers, "scope.abstract", 14) == 0;
    const int nul = is_socket ? NUL_AS_AT : 0;
    if (v[F_PATH].text.p)
        return read_name(v[F_PATH], out->object, sizeof out->object, nul, e);
    if (v[F_NAME].text.p)
        return read_name(v[F_NAME], out->object, sizeof out->object, 0, e);
    if (v[F_DEST].text.p)
        return read_address(v[F_DADDR], v[F_DEST], out, e);
    if (v[F_SRC].text.p)
        return read_address(v[F_SADDR], v[F_SRC], out, e);
    return v[F_OPID].text.p ? read_process(v, out, e) : 0;
}

static int read_status(const struct value *v, struct kernel_audit *out, struct err *e)
{
    if (read_domain(v[F_DOMAIN], &out->domain, e) < 0)
        return -1;
    out->allocated = str_eq(v[F_STATUS].text, STR("allocated"));
    if (out->allocated)
        return read_pid(v[F_PID], &out->pid, e);
    return str_eq(v[F_STATUS].text, STR("deallocated")) ? 0 : malformed(e, "an unknown status");
}

/* "exit=-13"; the value of a call that succeeded is of no interest. */
static int read_call(const struct value *v, struct kernel_audit *out, struct err *e)
{
    const struct str result = v[F_EXIT].text;
    uint64_t number;
    if (read_pid(v[F_PID], &out->pid, e) < 0 ||
        read_name(v[F_COMM], out->comm, sizeof out->comm, CUT, e) < 0 ||
        read_name(v[F_EXE], out->exe, sizeof out->exe, CUT, e) < 0)
        return -1;
    if (!str_starts(result, STR("-")))
        return 0;
    if (!is_number(str_skip(result, 1), INT64_MAX, &number))
        return malformed(e, "no result");
    out->os = number < 4096 ? (int)number : 0; /* an address, not an errno */
    return 0;
}

int kernel_audit_parse(unsigned type, struct str text, struct kernel_audit *out, struct err *e)
{
    struct value values[FIELDS] = { 0 };
    if (type != KERNEL_AUDIT_ACCESS && type != KERNEL_AUDIT_DOMAIN &&
        type != KERNEL_AUDIT_SYSCALL && type != KERNEL_AUDIT_EVENT_END)
        return malformed(e, "another type");
    out->type = (enum kernel_audit_type)type;
    out->domain = 0;
    out->allocated = false;
    out->pid = out->os = 0;
    out->comm[0] = out->exe[0] = out->blockers[0] = out->object[0] = '\0';
    if (cut_stamp(&text, out, e) < 0 ||
        cut_fields(text, type == KERNEL_AUDIT_SYSCALL, values, e) < 0)
        return -1;
    switch (out->type) {
    case KERNEL_AUDIT_ACCESS:
        return read_access(values, out, e);
    case KERNEL_AUDIT_DOMAIN:
        return read_status(values, out, e);
    case KERNEL_AUDIT_SYSCALL:
        return read_call(values, out, e);
    case KERNEL_AUDIT_EVENT_END:
        return 0;
    }
    return malformed(e, "another type");
}

int kernel_audit_errno(const char *blockers)
{
    if (strcmp(blockers, "fs.refer") == 0)
        return EXDEV;
    const bool is_right = strncmp(blockers, "fs.", 3) == 0 || strncmp(blockers, "net.", 4) == 0;
    return is_right && strcmp(blockers, "fs.change_topology") != 0 ? EACCES : EPERM;
}
