#include "sandbox/fileops.h"

#include "sandbox/disk_quota.h"
#include "sandbox/gitpointer.h"
#include "sandbox/look.h"
#include "sandbox/tracee.h"
#include "sandbox/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The name in `at` is taken away by `flags` of unlinkat; with the disk quota told of it. 0 or errno. */
static int take_away(struct request *q, const struct place *at, const struct pathname *path,
                     int flags)
{
    struct disk_quota_leaver leaver;
    const bool counts = warden_counts(q->w, pathname_str(path));
    if (counts)
        disk_quota_leaves(q->w->quota, at->parent, at->name, &leaver);
    int os = unlinkat(at->parent, at->name, flags) < 0 ? errno : 0;
    if (counts)
        disk_quota_left(q->w->quota, &leaver, !os);
    return os;
}

int fileop_unlink(struct request *q, int dirfd, uint64_t address, int flags)
{
    char path[PATH_MAX];
    AUTO_PLACE at = PLACE_NONE;
    if (flags & ~AT_REMOVEDIR)
        return EINVAL;
    int os = tracee_read_path(q, address, path);
    if (os || (os = place_find_parent(q, dirfd, path, &at)) != 0)
        return os;
    struct deed d = { .operation = FILE_REMOVE,
                      .place = &at,
                      .facts.is_directory = flags & AT_REMOVEDIR };
    if (at.is_plain && (os = deed_judge(q, &d)) != 0)
        return os;
    if (at.is_plain && d.verdict.kind != FILE_ALLOWED && !gitpointer_may_remove(q, &d)) {
        struct stat st;
        if (fstatat(at.parent, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno;
        return deed_refuse(q, &d, d.verdict.rule);
    }
    os = take_away(q, &at, &d.path, flags);
    if (!os)
        deed_done(q, &d);
    return os;
}

/* One side of a rename. */
struct side {
    struct place place;
    struct stat st;
    bool exists;
};

static void side_release(struct side *s)
{
    place_release(&s->place);
}

static int find_side(struct request *q, int dirfd, uint64_t address, struct side *s)
{
    char path[PATH_MAX];
    int os = tracee_read_path(q, address, path);
    if (os || (os = place_find_parent(q, dirfd, path, &s->place)) != 0)
        return os;
    /* The name itself: with its slash, a link would be followed. */
    struct str name = place_name(&s->place);
    char plain[NAME_MAX + 2];
    snprintf(plain, sizeof plain, "%.*s", STR_ARGS(name));
    s->exists = fstatat(s->place.parent, plain, &s->st, AT_SYMLINK_NOFOLLOW) == 0;
    return s->exists || errno == ENOENT ? 0 : errno;
}

/* A rename as the rules see it: `what` gets the name of `to`. An exchange is two of these. */
struct move {
    struct side *what, *to;
    struct deed leave, arrive;
};

static bool has_component(struct str path, bool (*matches)(struct str part))
{
    struct str part;
    while (str_cut(&path, '/', &part))
        if (matches(part))
            return true;
    return false;
}

static bool is_node_modules(struct str part)
{
    return str_eq(part, STR("node_modules"));
}

static bool is_directory(const struct side *s)
{
    return S_ISDIR(s->st.st_mode);
}

/* Contract 3.4.5: a directory that holds a denied name stays. The names in it would be judged under
 * their new path as well, so what is too large to be looked at, or a package manager's, may go. */
static const char *held_in_place(struct request *q, const struct move *m)
{
    const char *rule;
    struct str path = pathname_str(&m->leave.path);
    if (!is_directory(m->what) || q->w->options.rules->disabled ||
        file_rules_place(q->w->options.rules, path) == FILE_IN_PRIVATE_ROOT ||
        has_component(path, is_node_modules))
        return NULL;
    look_beneath(q->w->options.rules, m->what->place.parent, m->what->place.name, path, true,
                 &rule);
    return rule;
}

/* Would the directory bring a denied name to its new place? Here what cannot be seen is refused. */
static const char *brings_denied(struct request *q, const struct move *m, const struct place *now)
{
    const struct file_rules *rules = q->w->options.rules;
    const char *rule;
    struct str path = pathname_str(&m->arrive.path);
    bool may = rules->write_deny_pattern_count || has_component(path, file_rules_is_holder);
    if (!is_directory(m->what) || rules->disabled || !may)
        return NULL;
    switch (look_beneath(rules, now->parent, now->name, path, false, &rule)) {
    case LOOK_CLEAN:
        return NULL;
    case LOOK_DENIED:
        return rule;
    case LOOK_TOO_MUCH:
        return "mandatory: too much to look at on its way to a dangerous name";
    case LOOK_BLIND:
        return "mandatory: a directory that cannot be read, on its way to a dangerous name";
    }
    return NULL;
}

static int judge_move(struct request *q, struct move *m)
{
    m->leave = (struct deed){ .operation = FILE_RENAME_FROM, .place = &m->what->place };
    m->arrive = (struct deed){ .operation = FILE_RENAME_TO, .place = &m->to->place };
    m->leave.facts.is_directory = m->arrive.facts.is_directory = is_directory(m->what);
    m->leave.facts.device = m->what->st.st_dev;
    m->leave.facts.inode = m->what->st.st_ino;
    int leave = deed_ask(q, &m->leave), arrive = deed_ask(q, &m->arrive);
    if (leave && leave != EACCES)
        return leave;
    if (arrive && arrive != EACCES)
        return arrive;
    /* From outside to inside is another mount to the kernel; programs copy then. */
    if (leave && !arrive &&
        file_rules_place(q->w->options.rules, pathname_str(&m->leave.path)) == FILE_OUTSIDE)
        return EXDEV;
    if (leave)
        return deed_refuse(q, &m->leave, m->leave.verdict.rule);
    if (arrive || m->arrive.verdict.kind != FILE_ALLOWED)
        return deed_refuse(q, &m->arrive, m->arrive.verdict.rule);
    const char *rule = held_in_place(q, m);
    if (rule)
        return deed_refuse(q, &m->leave, rule);
    rule = brings_denied(q, m, &m->what->place);
    return rule ? deed_refuse(q, &m->arrive, rule) : 0;
}

/* After the deed: both names where they were judged, and nothing put into a directory meanwhile. */
static bool move_stands(struct request *q, struct move *m)
{
    return deed_still_stands(q, &m->leave) && deed_still_stands(q, &m->arrive) &&
           !brings_denied(q, m, &m->to->place);
}

static int act(const struct side *from, const struct side *to, unsigned flags)
{
    return renameat2(from->place.parent, from->place.name, to->place.parent, to->place.name,
                     flags) < 0
               ? errno
               : 0;
}

/* The same, with the disk quota told of what loses its name to `from`. Two names of one file both stay. */
static int replace(struct request *q, const struct move *m, unsigned flags)
{
    const struct side *from = m->what, *to = m->to;
    struct disk_quota_leaver leaver;
    const bool same = from->st.st_ino == to->st.st_ino && from->st.st_dev == to->st.st_dev;
    const bool counts = to->exists && !(flags & RENAME_EXCHANGE) && !same &&
                        warden_counts(q->w, pathname_str(&m->arrive.path));
    if (counts)
        disk_quota_leaves(q->w->quota, to->place.parent, to->place.name, &leaver);
    int os = act(from, to, flags);
    if (counts)
        disk_quota_left(q->w->quota, &leaver, !os);
    return os;
}

int fileop_rename(struct request *q, int old_dirfd, uint64_t old_path, int new_dirfd,
                  uint64_t new_path, unsigned flags)
{
    CLEANUP(side_release) struct side from = { .place = PLACE_NONE };
    CLEANUP(side_release) struct side to = { .place = PLACE_NONE };
    const bool exchange = flags & RENAME_EXCHANGE;
    if (flags & ~(unsigned)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return flags & RENAME_WHITEOUT ? EPERM : EINVAL;
    if (exchange && (flags & RENAME_NOREPLACE))
        return EINVAL;
    int os = find_side(q, old_dirfd, old_path, &from);
    if (os || (os = find_side(q, new_dirfd, new_path, &to)) != 0)
        return os;
    if (!from.place.is_plain || !to.place.is_plain)
        return act(&from, &to, flags); /* fails, the kernel says how */
    if (!from.exists || (exchange && !to.exists))
        return ENOENT;
    if (to.exists && (flags & RENAME_NOREPLACE))
        return EEXIST;
    struct move there = { .what = &from, .to = &to }, back = { .what = &to, .to = &from };
    if ((os = judge_move(q, &there)) != 0 || (exchange && (os = judge_move(q, &back)) != 0))
        return os;
    if ((os = replace(q, &there, flags)) != 0)
        return os;
    if (!move_stands(q, &there) || (exchange && !move_stands(q, &back))) {
        act(&to, &from, exchange ? RENAME_EXCHANGE : RENAME_NOREPLACE);
        return deed_refuse(q, &there.arrive, there.arrive.verdict.rule);
    }
    deed_done(q, &there.arrive);
    return 0;
}
