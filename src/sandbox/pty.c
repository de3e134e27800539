#include "sandbox/pty.h"

#include "base/bufq.h"
#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>

enum { QUEUE = 65536 };
enum { AT_IN, AT_OUT, AT_MASTER };

struct pty {
    int in, out;         /* borrowed descriptors of the caller */
    int own_in, own_out; /* owned: the same open anew and non-blocking, or -1 */
    int master;          /* owned; -1 after its end */
    struct bufq typed, printed;
    struct termios before;
    bool is_terminal; /* `in` is one: modes are kept in `before` */
    bool raw, held;
    bool in_ended;    /* nothing more comes from `in` */
    bool end_due;     /* Ctrl-D still has to be typed inside */
    bool mid_line;    /* the last byte of `in` was no newline */
    bool out_gone;    /* what is printed is dropped */
    bool hang_up_due; /* to be said once */
    bool quoted;      /* the next byte of `in` is text, whatever it is */
    unsigned interrupts;
};

/* In the background tcsetattr and read would stop us. */
static bool in_foreground(const struct pty *p)
{
    pid_t group = tcgetpgrp(p->in);
    return group < 0 || group == getpgrp();
}

static void go_raw(struct pty *p)
{
    if (!p->is_terminal || p->raw || !in_foreground(p))
        return;
    if (tcgetattr(p->in, &p->before) < 0)
        return;
    struct termios raw = p->before;
    cfmakeraw(&raw);
    p->raw = tcsetattr(p->in, TCSANOW, &raw) == 0;
}

static void restore(struct pty *p)
{
    if (p->raw && in_foreground(p))
        tcsetattr(p->in, TCSANOW, &p->before);
    p->raw = false;
}

/* O_NONBLOCK belongs to the open file, which the caller's shell shares: ours is opened anew. What
 * cannot be (a socket, another user's terminal) is used as it is, after poll. */
static int open_anew(int fd, int how)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return isatty(fd) ? open(path, how | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
}

/* The inner terminal starts as the outer one is: erase character, UTF-8, speed. */
static void copy_modes(const struct pty *p)
{
    struct termios modes;
    if (p->is_terminal && tcgetattr(p->in, &modes) == 0)
        tcsetattr(p->master, TCSANOW, &modes);
}

int pty_new(int in, int out, int master, struct pty **result, struct err *e)
{
    int flags = fcntl(master, F_GETFL);
    if (flags < 0 || fcntl(master, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_set(e, E_IO, errno, "the pty master");
    struct pty *p = mem_get(sizeof *p);
    p->in = in;
    p->out = out;
    p->master = master;
    p->is_terminal = isatty(in);
    p->own_in = open_anew(in, O_RDONLY);
    p->own_out = open_anew(out, O_WRONLY);
    bufq_init(&p->typed, QUEUE);
    bufq_init(&p->printed, QUEUE);
    copy_modes(p);
    pty_resize(p);
    go_raw(p);
    *result = p;
    return 0;
}

void pty_free(struct pty *p)
{
    if (!p)
        return;
    restore(p);
    fd_drop(&p->own_in);
    fd_drop(&p->own_out);
    fd_drop(&p->master);
    bufq_release(&p->typed);
    bufq_release(&p->printed);
    free(p);
}

void pty_resize(struct pty *p)
{
    struct winsize size;
    if (p->master < 0)
        return;
    if (ioctl(p->out, TIOCGWINSZ, &size) == 0 || ioctl(p->in, TIOCGWINSZ, &size) == 0)
        ioctl(p->master, TIOCSWINSZ, &size);
}

void pty_hold(struct pty *p, bool hold)
{
    p->held = hold;
}

void pty_suspend(struct pty *p)
{
    restore(p);
}

void pty_resume(struct pty *p)
{
    go_raw(p);
    pty_resize(p);
}

/* All interest comes from the queues, here. */
void pty_polls(const struct pty *p, struct pollfd polls[PTY_POLLS])
{
    bool may_read = !p->is_terminal || p->raw; /* not raw: in the background, or stopped */
    bool reads_in =
        !p->held && !p->in_ended && may_read && p->master >= 0 && bufq_room(&p->typed) > 0;
    bool writes_out = !p->held && !p->out_gone && p->printed.len > 0;
    bool typing = p->typed.len > 0 || p->end_due;
    short master = (short)((bufq_room(&p->printed) > 0 ? POLLIN : 0) | (typing ? POLLOUT : 0));
    int in = p->own_in >= 0 ? p->own_in : p->in, out = p->own_out >= 0 ? p->own_out : p->out;
    polls[AT_IN] = (struct pollfd){ .fd = reads_in ? in : -1, .events = POLLIN };
    polls[AT_OUT] = (struct pollfd){ .fd = writes_out ? out : -1, .events = POLLOUT };
    polls[AT_MASTER] = (struct pollfd){ .fd = master ? p->master : -1, .events = master };
}

/* The end of the caller's input: a terminal that is gone, or a pipe that is used up. */
static void end_input(struct pty *p)
{
    p->in_ended = true;
    p->hang_up_due = p->is_terminal;
    p->end_due = !p->is_terminal;
}

/* As the inner terminal will read it; a queue in front of a command that reads nothing must not keep
 * the person's wish to end it from us. */
static void count_interrupts(struct pty *p, struct str typed)
{
    struct termios modes;
    const bool known = tcgetattr(p->master, &modes) == 0;
    if (!known || !(modes.c_lflag & ISIG) || !(modes.c_lflag & ICANON)) {
        p->quoted = false;
        return;
    }
    const cc_t interrupt = modes.c_cc[VINTR], quote = modes.c_cc[VLNEXT];
    for (size_t i = 0; i < typed.n; i++) {
        const cc_t byte = (cc_t)typed.p[i];
        if (p->quoted || byte == _POSIX_VDISABLE) {
            p->quoted = false;
            continue;
        }
        p->interrupts += byte == interrupt;
        p->quoted = byte == quote && byte != interrupt && (modes.c_lflag & IEXTEN);
    }
}

unsigned pty_interrupts(struct pty *p, pid_t *group)
{
    unsigned counted = p->interrupts;
    p->interrupts = 0;
    *group = counted ? tcgetpgrp(p->master) : -1;
    return counted;
}

static void read_in(struct pty *p, int fd)
{
    size_t room;
    char *at = bufq_space(&p->typed, &room);
    ssize_t got = read(fd, at, room);
    if (got > 0) {
        p->mid_line = at[got - 1] != '\n';
        count_interrupts(p, (struct str){ at, (size_t)got });
        bufq_filled(&p->typed, (size_t)got);
    } else if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
        end_input(p);
    }
}

static void write_out(struct pty *p, int fd)
{
    struct str run = bufq_peek(&p->printed);
    /* A descriptor that may block gets no more than it takes at once. */
    size_t n = p->own_out >= 0 || run.n < 512 ? run.n : 512;
    ssize_t sent = write(fd, run.p, n);
    if (sent > 0)
        bufq_skip(&p->printed, (size_t)sent);
    else if (sent < 0 && errno != EAGAIN && errno != EINTR)
        p->out_gone = true;
}

/* Ctrl-D as the inner terminal spells it; only where it means the end of input. In the middle of a
 * line the first one only hands the line over. */
static void type_end(struct pty *p)
{
    struct termios modes;
    p->end_due = false;
    if (tcgetattr(p->master, &modes) < 0 || !(modes.c_lflag & ICANON))
        return;
    char end[] = { (char)modes.c_cc[VEOF], (char)modes.c_cc[VEOF] };
    bufq_put(&p->typed, (struct str){ end, p->mid_line ? 2 : 1 });
}

static void write_master(struct pty *p)
{
    if (p->typed.len == 0 && p->end_due)
        type_end(p);
    struct str run = bufq_peek(&p->typed);
    ssize_t sent = run.n ? write(p->master, run.p, run.n) : 0;
    if (sent > 0)
        bufq_skip(&p->typed, (size_t)sent);
}

/* EIO is how a master says that the other side is closed and everything has been read. */
static void read_master(struct pty *p)
{
    size_t room;
    char *at = bufq_space(&p->printed, &room);
    if (room == 0)
        return;
    ssize_t got = read(p->master, at, room);
    if (got > 0)
        bufq_filled(&p->printed, (size_t)got);
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        fd_drop(&p->master);
}

static void drop_unwanted(struct pty *p)
{
    while (p->out_gone && p->printed.len)
        bufq_skip(&p->printed, bufq_peek(&p->printed).n);
}

enum pty_state pty_ready(struct pty *p, const struct pollfd polls[PTY_POLLS])
{
    if (polls[AT_IN].revents)
        read_in(p, polls[AT_IN].fd);
    if (polls[AT_MASTER].revents & POLLOUT)
        write_master(p);
    if (polls[AT_MASTER].revents & (POLLIN | POLLHUP | POLLERR))
        read_master(p);
    if (polls[AT_OUT].revents)
        write_out(p, polls[AT_OUT].fd);
    drop_unwanted(p);
    if (p->hang_up_due) {
        p->hang_up_due = false;
        return PTY_HUNG_UP;
    }
    return p->master < 0 && p->printed.len == 0 ? PTY_DONE : PTY_ON;
}

bool pty_drained(struct pty *p)
{
    if (p->master >= 0)
        read_master(p);
    drop_unwanted(p);
    return p->master < 0 && p->printed.len == 0;
}
