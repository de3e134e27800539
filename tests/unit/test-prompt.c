/* The fronts that show questions: JSON lines, and the caller's terminal (contract 8, T26). */
#include "base/fd.h"
#include "proto/json.h"
#include "sandbox/prompt.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>
#include <cmocka.h>

static struct {
    char answers[100]; /* by waiter: 0, 'y', 'n' */
    char reason[600];
    unsigned answered;
    enum question_scope scope;
} seen;
static struct egress_policy policy;
static struct prompt *prompt;
static int ours; /* our end of the channel */

static void on_decided(void *ctx, uint64_t waiter, bool allow, const char *reason)
{
    seen.answers[waiter] = allow ? 'y' : 'n';
    snprintf(seen.reason, sizeof seen.reason, "%s", reason);
}

static void on_answered(void *ctx, const struct question *question, bool allow,
                        enum question_scope scope, const char *reason)
{
    seen.answered++;
    seen.scope = scope;
}

static void make(struct project_rules *rules)
{
    struct prompt_options options = { .run_id = "run",
                                      .rules = rules,
                                      .hooks = { on_decided, on_answered, NULL } };
    memset(&seen, 0, sizeof seen);
    egress_policy_init(&policy);
    prompt = prompt_new(&options);
}

static int start_json(void **state)
{
    int ends[2];
    struct err e;
    make(NULL);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(prompt_use_fd(prompt, ends[1], &e), 0);
    assert_int_equal(prompt_use_tty(prompt, ends[0], &e), -1); /* one front */
    ours = ends[0];
    return 0;
}

static int stop(void **state)
{
    prompt_free(prompt);
    fd_drop(&ours);
    egress_policy_release(&policy);
    return 0;
}

/* Lets the prompt do all it can do now. */
static void turn(int64_t now)
{
    for (int i = 0; i < 100; i++) {
        struct pollfd one = { prompt_fd(prompt), prompt_events(prompt), 0 };
        int64_t due = prompt_deadline(prompt);
        bool ticks = due >= 0 && due <= now;
        if (ticks)
            prompt_tick(prompt, now);
        int n = one.fd >= 0 ? poll(&one, 1, 0) : 0;
        if (n > 0)
            prompt_ready(prompt, one.revents, now);
        if (n <= 0 && !ticks)
            return;
    }
}

static enum questions_result ask_as(const struct question *question, uint64_t waiter, int64_t now)
{
    const char *reason;
    return prompt_ask(prompt, question, &policy, waiter, now, &reason);
}

static enum questions_result ask(const char *host, uint64_t waiter, int64_t now)
{
    struct question question = { .kind = QUESTION_NETWORK,
                                 .host = host,
                                 .port = 443,
                                 .method = "connect",
                                 .pid = 7,
                                 .argv0 = "curl",
                                 .text = "curl -s x",
                                 .tree = "sh (3) / curl (7)" };
    return ask_as(&question, waiter, now);
}

static void say(const char *text)
{
    assert_true(write(ours, text, strlen(text)) == (ssize_t)strlen(text));
    turn(10);
}

static void read_all(struct buf *out)
{
    turn(10);
    struct pollfd one = { ours, POLLIN, 0 };
    while (poll(&one, 1, 0) > 0) {
        ssize_t got = read(ours, buf_room(out, 65536), 65536);
        if (got <= 0)
            return;
        buf_grew(out, (size_t)got);
    }
}

static struct json *request(void)
{
    AUTO_BUF line = { 0 };
    struct json *parsed = NULL;
    struct err e;
    read_all(&line);
    assert_true(line.n > 1 && line.p[line.n - 1] == '\n');
    assert_int_equal(json_parse((struct str){ line.p, line.n - 1 }, &parsed, &e), 0);
    return parsed;
}

static void text_of(const struct json *o, const char *key, char *out, size_t room)
{
    struct str got = { 0 };
    assert_true(json_to_str(json_get(o, key), &got));
    snprintf(out, room, "%s", got.p);
}

static void assert_text(const struct json *o, const char *key, const char *want)
{
    char got[8192];
    text_of(o, key, got, sizeof got);
    assert_string_equal(got, want);
}

static void a_request_has_the_fields_of_the_contract(void **state)
{
    int64_t n;
    assert_int_equal(ask("a.example", 1, 0), QUESTIONS_WAIT);
    AUTO_JSON r = request();
    assert_true(json_to_i64(json_get(r, "v"), &n) && n == 1);
    assert_text(r, "kind", "network");
    assert_text(r, "host", "a.example");
    assert_true(json_to_i64(json_get(r, "port"), &n) && n == 443);
    assert_true(json_to_i64(json_get(r, "deadline_ms"), &n) && n == 120000);
    const struct json *command = json_get(r, "command");
    assert_text(command, "argv0", "curl");
    assert_text(command, "text", "curl -s x");
    assert_text(command, "tree", "sh (3) / curl (7)");
    assert_true(json_to_i64(json_get(command, "pid"), &n) && n == 7);
    assert_int_equal(json_count(json_get(r, "suggest")), 3);
    assert_text(json_at(json_get(r, "suggest"), 2), "rule", "a.example:443");
    assert_text(json_at(json_get(r, "suggest"), 2), "scope", "project");
}

static void hostile_names_do_not_reach_a_person(void **state)
{
    AUTO_BUF huge = { 0 };
    for (int i = 0; i < 100000; i++)
        buf_add(&huge, STR("\xe2\x80\xae\n\x1b[2J<b>"));
    struct question q = { .kind = QUESTION_FILE_READ,
                          .path = buf_text(&huge),
                          .argv0 = "a\nb",
                          .text = buf_text(&huge),
                          .tree = "\x1b]52;c;x\a" };
    assert_int_equal(ask_as(&q, 1, 0), QUESTIONS_WAIT);
    AUTO_BUF line = { 0 };
    read_all(&line);
    assert_true(line.n < 60000);
    assert_null(strstr(line.p, "\xe2\x80\xae"));
    assert_null(strstr(line.p, "\\u001b"));
    assert_null(strstr(line.p, "\\n"));
    assert_ptr_equal(strchr(line.p, '\n'), line.p + line.n - 1);
}

/* Asks, answers with `fmt` into which the id goes, and gives what came out. */
static char answer(const char *fmt)
{
    static int number;
    char host[32], id[64], text[512];
    snprintf(host, sizeof host, "h%d.example", ++number);
    seen.answers[1] = 0;
    assert_int_equal(ask(host, 1, 0), QUESTIONS_WAIT);
    AUTO_JSON r = request();
    text_of(r, "id", id, sizeof id);
    const char *at = strstr(fmt, "ID");
    if (at)
        snprintf(text, sizeof text, "%.*s%s%s\n", (int)(at - fmt), fmt, id, at + 2);
    else
        snprintf(text, sizeof text, "%s\n", fmt);
    say(text);
    char got = seen.answers[1];
    prompt_cancel(prompt, 1);
    return got;
}

static void only_the_json_value_true_allows(void **state)
{
    static const struct {
        const char *text;
        char want;
    } rows[] = {
        { "{\"id\":\"ID\",\"allow\":true}", 'y' },
        { "{\"id\":\"ID\",\"allow\":true,\"scope\":\"once\"}\r", 'y' },
        { "{\"id\":\"ID\",\"allow\":true,\"scope\":\"run\",\"reason\":\"fine\"}", 'y' },
        { "{\"id\":\"ID\",\"allow\":false,\"scope\":\"once\"}", 'n' },
        { "{\"id\":\"ID\",\"allow\":\"true\"}", 'n' },
        { "{\"id\":\"ID\",\"allow\":1}", 'n' },
        { "{\"id\":\"ID\",\"allow\":null}", 'n' },
        { "{\"id\":\"ID\"}", 'n' },
        { "{\"id\":\"ID\",\"allow\":true,\"scope\":\"for ever\"}", 'n' },
        { "{\"id\":\"ID\",\"allow\":true,\"scope\":1}", 'n' },
        { "{\"id\":\"ID\",\"allow\":true,\"reason\":1}", 'n' },
        { "{\"id\":\"ID\",\"allow\":false,\"allow\":true}", 'n' },
        { "{\"id\":\"ID\",\"allow\":true} x", 'n' },
        { "{\"allow\":true}", 'n' },
        { "{\"id\":1,\"allow\":true}", 'n' },
        { "true", 'n' },
        { "[]", 'n' },
        { "", 'n' },
        { "y", 'n' },
        { "{\"id\":\"ID\",\"allow\":tr", 'n' },
        { "\xff", 'n' },
        { "{\"id\":\"other\",\"allow\":true,\"scope\":\"run\"}", 'n' },
        { "{\"id\":\"\",\"allow\":true}", 'n' },
        { "{\"id\":\"ID \",\"allow\":true}", 'n' },
        { "{\"id\":\"ID0\",\"allow\":true}", 'n' },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (answer(rows[i].text) != rows[i].want)
            fail_msg("%s", rows[i].text);
}

static void a_late_answer_leaves_open_questions_alone(void **state)
{
    char id[64], text[128];
    ask("late.example", 1, 0);
    {
        AUTO_JSON r = request();
        text_of(r, "id", id, sizeof id);
    }
    prompt_cancel(prompt, 1);
    ask("open.example", 2, 0);
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"allow\":true}\n", id);
    say(text);
    assert_int_equal(seen.answers[2], 0);
    say("{\"id\":\"other\",\"allow\":true}\n");
    assert_int_equal(seen.answers[2], 'n');
}

static void an_answer_may_come_in_any_cut(void **state)
{
    char id[64], text[128];
    ask("a.example", 1, 0);
    AUTO_JSON r = request();
    text_of(r, "id", id, sizeof id);
    snprintf(text, sizeof text, "{\"id\":\"%s\",\"allow\":true}\n", id);
    for (size_t i = 0; text[i]; i++) {
        assert_int_equal(seen.answers[1], 0);
        say((char[]){ text[i], '\0' });
    }
    assert_int_equal(seen.answers[1], 'y');
}

static void an_endless_answer_is_malformed(void **state)
{
    ask("a.example", 1, 0);
    AUTO_BUF flood = { 0 };
    for (int i = 0; i < 3000; i++)
        buf_add_byte(&flood, 'x');
    for (int i = 0; i < 30; i++)
        say(buf_text(&flood));
    assert_int_equal(seen.answers[1], 'n');
    ask("b.example", 2, 0);
    say("y\n"); /* still the rest of that line */
    assert_int_equal(seen.answers[2], 0);
    assert_true(prompt_fd(prompt) >= 0);
}

static void a_closed_channel_denies_for_good(void **state)
{
    ask("a.example", 1, 0);
    fd_drop(&ours);
    turn(10);
    assert_int_equal(seen.answers[1], 'n');
    assert_int_equal(prompt_fd(prompt), -1);
    assert_int_equal(ask("b.example", 2, 0), QUESTIONS_DENIED);
}

static void a_silent_channel_denies_at_the_deadline(void **state)
{
    ask("a.example", 1, 1000);
    assert_int_equal(prompt_deadline(prompt), 121000);
    prompt_tick(prompt, 121000);
    assert_int_equal(seen.answers[1], 'n');
    assert_int_equal(seen.answered, 1); /* and it is on record */
}

static void a_reader_that_takes_nothing_costs_bounded_memory(void **state)
{
    char host[32];
    for (int i = 0; i < 100000; i++) {
        int64_t now = (int64_t)i * 130000;
        snprintf(host, sizeof host, "h%d.example", i);
        if (ask(host, 1, now) == QUESTIONS_DENIED)
            break;
        prompt_tick(prompt, now + 120000);
    }
    assert_int_equal(prompt_fd(prompt), -1); /* given up */
}

static void what_the_policy_decides_is_not_asked(void **state)
{
    policy.strict_allowlist = true;
    assert_int_equal(ask("a.example", 1, 0), QUESTIONS_DENIED);
    policy.strict_allowlist = false;
    assert_int_equal(ask("a b", 1, 0), QUESTIONS_DENIED);
    AUTO_BUF line = { 0 };
    read_all(&line);
    assert_int_equal(line.n, 0);
}

static void without_a_front_everything_is_denied(void **state)
{
    make(NULL);
    assert_int_equal(ask("a.example", 1, 0), QUESTIONS_DENIED);
    assert_int_equal(prompt_fd(prompt), -1);
    prompt_free(prompt);
    prompt_free(NULL);
}

static void a_descriptor_must_go_both_ways(void **state)
{
    int ends[2];
    struct err e;
    make(NULL);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(prompt_use_fd(prompt, ends[0], &e), -1);
    assert_int_equal(prompt_use_fd(prompt, ends[1], &e), -1);
    assert_int_equal(prompt_use_fd(prompt, 9999, &e), -1);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(prompt_use_socket(prompt, "/no/such.sock", &e), -1);
    assert_non_null(strstr(e.text, "/no/such.sock"));
    prompt_free(prompt);
}

static void a_socket_may_ask(void **state)
{
    char dir[] = "/tmp/test-prompt-XXXXXX";
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct err e;
    assert_non_null(mkdtemp(dir));
    snprintf(at.sun_path, sizeof at.sun_path, "%s/s", dir);
    AUTO_FD listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(listener, 1), 0);
    make(NULL);
    assert_int_equal(prompt_use_socket(prompt, at.sun_path, &e), 0);
    ours = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    unlink(at.sun_path);
    rmdir(dir);
    assert_int_equal(answer("{\"id\":\"ID\",\"allow\":true}"), 'y');
    stop(NULL);
}

static int keep_folder(char folder[64], struct project_rules **rules)
{
    snprintf(folder, 64, "/tmp/test-prompt-XXXXXX");
    assert_non_null(mkdtemp(folder));
    struct project_rules_options o = { .folder = folder, .project = "/p" };
    struct err e;
    return project_rules_open(&o, rules, &e);
}

static void an_answer_for_the_project_is_kept(void **state)
{
    char folder[64], file[128];
    struct project_rules *rules;
    assert_int_equal(keep_folder(folder, &rules), 0);
    int ends[2];
    struct err e;
    for (int run = 0; run < 2; run++) {
        make(rules);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
        assert_int_equal(prompt_use_fd(prompt, ends[1], &e), 0);
        ours = ends[0];
        if (run == 0) {
            char id[64], text[128];
            ask("kept.example", 1, 0);
            AUTO_JSON r = request();
            text_of(r, "id", id, sizeof id);
            snprintf(text, sizeof text, "{\"id\":\"%s\",\"allow\":true,\"scope\":\"project\"}\n",
                     id);
            say(text);
            assert_int_equal(seen.scope, QUESTION_PROJECT);
        } else {
            assert_int_equal(ask("kept.example", 1, 0), QUESTIONS_ALLOWED);
        }
        stop(NULL);
    }
    project_rules_free(rules);
    snprintf(file, sizeof file, "%s/p-00d74baf.json", folder);
    assert_int_equal(unlink(file), 0);
    assert_int_equal(rmdir(folder), 0);
}

/* The terminal of the caller: `ours` is the person's side. */
static struct termios before;

static int start_tty(void **state)
{
    int slave;
    struct err e;
    make(NULL);
    assert_int_equal(openpty(&ours, &slave, NULL, NULL, NULL), 0);
    assert_int_equal(tcgetattr(slave, &before), 0);
    before.c_lflag &= ~(tcflag_t)(ICANON | ECHO | ISIG); /* as the pty relay leaves it */
    assert_int_equal(tcsetattr(slave, TCSANOW, &before), 0);
    fcntl(slave, F_SETFL, O_NONBLOCK);
    assert_int_equal(prompt_use_tty(prompt, slave, &e), 0);
    return 0;
}

static void assert_modes_as_before(void)
{
    struct termios now;
    assert_int_equal(tcgetattr(ours, &now), 0);
    assert_int_equal(now.c_lflag, before.c_lflag);
    assert_int_equal(now.c_iflag, before.c_iflag);
    assert_int_equal(now.c_oflag, before.c_oflag);
}

static void screen(struct buf *out, int64_t now)
{
    turn(now);
    struct pollfd one = { ours, POLLIN, 0 };
    while (poll(&one, 1, 0) > 0) {
        ssize_t got = read(ours, buf_room(out, 4096), 4096);
        if (got <= 0)
            return;
        buf_grew(out, (size_t)got);
    }
    buf_add(out, STR(""));
}

static void type(const char *keys, int64_t now)
{
    assert_true(write(ours, keys, strlen(keys)) == (ssize_t)strlen(keys));
    turn(now);
}

static void the_terminal_shows_who_wants_what(void **state)
{
    ask("a.example", 1, 0);
    AUTO_BUF shown = { 0 };
    screen(&shown, 0);
    assert_true(prompt_has_terminal(prompt));
    assert_non_null(strstr(buf_text(&shown), "curl (process 7) wants to connect to a.example:443"));
    assert_non_null(strstr(buf_text(&shown), "command: curl -s x"));
    assert_non_null(strstr(buf_text(&shown), "started by: sh (3) / curl (7)"));
    assert_null(strstr(buf_text(&shown), "[y]"));
    screen(&shown, 500);
    assert_non_null(
        strstr(buf_text(&shown), "[y] once  [r] for this run  [p] for this project  [n] no"));
}

static void one_key_answers(void **state)
{
    static const struct {
        const char *keys;
        char want;
        enum question_scope scope;
    } rows[] = {
        { "y", 'y', QUESTION_ONCE },      { "r", 'y', QUESTION_RUN },
        { "p", 'y', QUESTION_PROJECT },   { "n", 'n', QUESTION_ONCE },
        { "\r", 'n', QUESTION_ONCE },     { "\n", 'n', QUESTION_ONCE },
        { "\x1b[A", 'n', QUESTION_ONCE }, { "Y\n", 'y', QUESTION_ONCE },
        { "ny", 'n', QUESTION_ONCE },
    };
    char host[32];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t now = (int64_t)i * 10000;
        snprintf(host, sizeof host, "h%zu.example", i);
        seen.answers[1] = 0;
        ask(host, 1, now);
        turn(now);
        turn(now + 500);
        type("x", now + 500); /* no key of ours */
        assert_int_equal(seen.answers[1], 0);
        type(rows[i].keys, now + 501);
        assert_int_equal(seen.answers[1], rows[i].want);
        assert_int_equal(seen.scope, rows[i].scope);
        assert_false(prompt_has_terminal(prompt));
        assert_modes_as_before();
    }
}

static void keys_typed_before_they_are_offered_are_no_answer(void **state)
{
    type("yyyy", 0);
    ask("a.example", 1, 0);
    turn(0);
    type("y", 400);
    type("yy", 499);
    assert_int_equal(seen.answers[1], 0);
    turn(500);
    assert_int_equal(seen.answers[1], 0);
    type("n", 600);
    assert_int_equal(seen.answers[1], 'n');
}

static void questions_take_turns_on_the_terminal(void **state)
{
    AUTO_BUF shown = { 0 };
    ask("a.example", 1, 0);
    ask("b.example", 2, 0);
    screen(&shown, 500);
    screen(&shown, 1000);
    assert_null(strstr(buf_text(&shown), "b.example"));
    type("y", 1000);
    screen(&shown, 1001);
    assert_non_null(strstr(buf_text(&shown), "b.example"));
    type("y", 1002); /* typed for the first one, twice */
    assert_int_equal(seen.answers[2], 0);
    screen(&shown, 1600);
    type("y", 1601);
    assert_int_equal(seen.answers[2], 'y');
    assert_modes_as_before();
}

static void a_question_that_runs_out_leaves_the_terminal_as_it_was(void **state)
{
    ask("a.example", 1, 0);
    turn(0);
    turn(500);
    assert_true(prompt_has_terminal(prompt));
    turn(120000);
    assert_int_equal(seen.answers[1], 'n');
    assert_false(prompt_has_terminal(prompt));
    assert_modes_as_before();
}

static void a_stop_gives_the_terminal_back_and_asks_again(void **state)
{
    AUTO_BUF shown = { 0 };
    ask("a.example", 1, 0);
    screen(&shown, 500);
    prompt_suspend(prompt);
    assert_modes_as_before();
    screen(&shown, 5000);
    assert_false(prompt_has_terminal(prompt));
    buf_empty(&shown);
    prompt_resume(prompt, 6000);
    screen(&shown, 6000);
    assert_non_null(strstr(buf_text(&shown), "a.example"));
    turn(6500);
    type("y", 6501);
    assert_int_equal(seen.answers[1], 'y');
    prompt_suspend(prompt); /* with nothing asked */
    prompt_resume(prompt, 7000);
    turn(7000);
    ask("b.example", 2, 7000);
    screen(&shown, 7000);
    assert_true(prompt_has_terminal(prompt));
}

static void a_terminal_that_hangs_up_denies(void **state)
{
    ask("a.example", 1, 0);
    turn(0);
    turn(500);
    fd_drop(&ours);
    turn(600);
    assert_int_equal(seen.answers[1], 'n');
    assert_int_equal(ask("b.example", 2, 700), QUESTIONS_DENIED);
    ours = open("/dev/null", O_RDWR | O_CLOEXEC);
}

static void hostile_names_do_not_drive_the_terminal(void **state)
{
    AUTO_BUF huge = { 0 };
    for (int i = 0; i < 10000; i++)
        buf_add(&huge, STR("\x1b[2J\nallow? [y]\xe2\x80\xae"));
    struct question q = { .kind = QUESTION_FILE_WRITE,
                          .path = "/a\x1b[1A\nb",
                          .argv0 = buf_text(&huge),
                          .text = buf_text(&huge),
                          .tree = buf_text(&huge),
                          .reason = buf_text(&huge) };
    ask_as(&q, 1, 0);
    AUTO_BUF shown = { 0 };
    screen(&shown, 0);
    assert_true(shown.n < 4000);
    int lines = 0, escapes = 0;
    for (size_t i = 0; i < shown.n; i++) {
        lines += shown.p[i] == '\n';
        escapes += shown.p[i] == '\x1b';
    }
    assert_int_equal(lines, 5);
    assert_int_equal(escapes, 2); /* ours, in front */
    assert_null(strstr(buf_text(&shown), "\xe2\x80\xae"));
}

static void a_long_host_shows_its_end_and_a_foreign_one_is_pointed_out(void **state)
{
    char host[256] = "www.bank.example.";
    while (strlen(host) < 200)
        snprintf(host + strlen(host), sizeof host - strlen(host), "aaaaaaaaa.");
    snprintf(host + strlen(host), sizeof host - strlen(host), "xn--evil-abc.example");
    ask(host, 1, 0);
    AUTO_BUF shown = { 0 };
    screen(&shown, 0);
    assert_null(strstr(buf_text(&shown), "www.bank.example"));
    assert_non_null(strstr(buf_text(&shown), "xn--evil-abc.example:443"));
    assert_non_null(strstr(buf_text(&shown), "characters in all"));
    assert_non_null(strstr(buf_text(&shown), "look twice"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_request_has_the_fields_of_the_contract, start_json, stop),
        cmocka_unit_test_setup_teardown(hostile_names_do_not_reach_a_person, start_json, stop),
        cmocka_unit_test_setup_teardown(only_the_json_value_true_allows, start_json, stop),
        cmocka_unit_test_setup_teardown(a_late_answer_leaves_open_questions_alone, start_json,
                                        stop),
        cmocka_unit_test_setup_teardown(an_answer_may_come_in_any_cut, start_json, stop),
        cmocka_unit_test_setup_teardown(an_endless_answer_is_malformed, start_json, stop),
        cmocka_unit_test_setup_teardown(a_closed_channel_denies_for_good, start_json, stop),
        cmocka_unit_test_setup_teardown(a_silent_channel_denies_at_the_deadline, start_json, stop),
        cmocka_unit_test_setup_teardown(a_reader_that_takes_nothing_costs_bounded_memory,
                                        start_json, stop),
        cmocka_unit_test_setup_teardown(what_the_policy_decides_is_not_asked, start_json, stop),
        cmocka_unit_test(without_a_front_everything_is_denied),
        cmocka_unit_test(a_descriptor_must_go_both_ways),
        cmocka_unit_test(a_socket_may_ask),
        cmocka_unit_test(an_answer_for_the_project_is_kept),
        cmocka_unit_test_setup_teardown(the_terminal_shows_who_wants_what, start_tty, stop),
        cmocka_unit_test_setup_teardown(one_key_answers, start_tty, stop),
        cmocka_unit_test_setup_teardown(keys_typed_before_they_are_offered_are_no_answer, start_tty,
                                        stop),
        cmocka_unit_test_setup_teardown(questions_take_turns_on_the_terminal, start_tty, stop),
        cmocka_unit_test_setup_teardown(a_question_that_runs_out_leaves_the_terminal_as_it_was,
                                        start_tty, stop),
        cmocka_unit_test_setup_teardown(a_stop_gives_the_terminal_back_and_asks_again, start_tty,
                                        stop),
        cmocka_unit_test_setup_teardown(a_terminal_that_hangs_up_denies, start_tty, stop),
        cmocka_unit_test_setup_teardown(hostile_names_do_not_drive_the_terminal, start_tty, stop),
        cmocka_unit_test_setup_teardown(a_long_host_shows_its_end_and_a_foreign_one_is_pointed_out,
                                        start_tty, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
