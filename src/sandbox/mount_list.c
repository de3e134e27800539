#include "sandbox/mount_list.h"

#include "base/mem.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

char *mount_list_unescape(struct str text)
{
    char *out = mem_get(text.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned byte = 0;
        bool escaped = text.p[i] == '\\' && i + 3 < text.n;
        for (size_t k = 1; escaped && k <= 3; k++) {
            escaped = text.p[i + k] >= '0' && text.p[i + k] <= '7';
            byte = byte * 8 + (unsigned)(text.p[i + k] - '0');
        }
        out[n++] = escaped ? (char)byte : text.p[i];
        i += escaped ? 3 : 0;
    }
    out[n] = '\0';
    return out;
}

static unsigned long flags_of(struct str options)
{
    static const struct {
        const char *name;
        unsigned long flag;
    } known[] = { { "ro", MS_RDONLY },
                  { "nosuid", MS_NOSUID },
                  { "nodev", MS_NODEV },
                  { "noexec", MS_NOEXEC },
                  { "nosymfollow", MS_NOSYMFOLLOW } };
    unsigned long flags = 0;
    struct str option;
    while (str_cut(&options, ',', &option))
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            if (str_eq(option, str_of(known[i].name)))
                flags |= known[i].flag;
    return flags;
}

/* "36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/root rw": both ids, place and options. */
static void take_line(struct mount_list *l, struct str line)
{
    enum { ID, PARENT, DEVICE, ROOT, PLACE, OPTIONS, FIELDS };
    struct str fields[FIELDS];
    uint64_t id, parent;
    for (int i = 0; i < FIELDS; i++)
        if (!str_cut(&line, ' ', &fields[i]))
            return;
    if (!str_to_u64(fields[ID], &id) || !str_to_u64(fields[PARENT], &parent) || id > UINT_MAX ||
        parent > UINT_MAX)
        return;
    if (l->count == l->room) {
        l->room = l->room ? l->room * 2 : 64;
        l->lines = mem_grow(l->lines, l->room * sizeof *l->lines);
    }
    l->lines[l->count++] = (struct mount_line){ .id = (unsigned)id,
                                                .parent_id = (unsigned)parent,
                                                .parent = MOUNT_NONE,
                                                .path = mount_list_unescape(fields[PLACE]),
                                                .flags = flags_of(fields[OPTIONS]) };
}

void mount_list_take(struct mount_list *l, struct str mountinfo)
{
    struct str line;
    *l = (struct mount_list){ 0 };
    while (str_cut(&mountinfo, '\n', &line))
        take_line(l, line);
    for (size_t i = 0; i < l->count; i++)
        if (l->lines[i].parent_id != l->lines[i].id)
            l->lines[i].parent = mount_list_find(l, l->lines[i].parent_id);
}

void mount_list_release(struct mount_list *l)
{
    for (size_t i = 0; i < l->count; i++)
        free(l->lines[i].path);
    free(l->lines);
    *l = (struct mount_list){ 0 };
}

int mount_list_find(const struct mount_list *l, unsigned id)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->lines[i].id == id)
            return (int)i;
    return MOUNT_NONE;
}

bool mount_list_is_on(const struct mount_list *l, int index, int top)
{
    /* Bounded: a list that was read in pieces while mounts changed might hold a circle. */
    for (size_t steps = 0; index != MOUNT_NONE && steps <= l->count; steps++) {
        if (index == top)
            return true;
        index = l->lines[index].parent;
    }
    return false;
}

/* Is `above` a directory on the way to `path`? */
static bool leads_to(const char *above, const char *path)
{
    size_t n = strlen(above);
    if (n == 1)
        return path[1] != '\0'; /* the root */
    return strncmp(above, path, n) == 0 && path[n] == '/';
}

/* The way to `step` goes through its parent; a mount on that parent may stand in between. */
static bool is_step_covered(const struct mount_list *l, int step)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->lines[i].parent == l->lines[step].parent && (int)i != step &&
            leads_to(l->lines[i].path, l->lines[step].path))
            return true;
    return false;
}

bool mount_list_is_covered(const struct mount_list *l, int index)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->lines[i].parent == index && strcmp(l->lines[i].path, l->lines[index].path) == 0)
            return true; /* on its very root */
    size_t steps = 0;
    for (int at = index; l->lines[at].parent != MOUNT_NONE && steps <= l->count; steps++) {
        if (is_step_covered(l, at))
            return true;
        at = l->lines[at].parent;
    }
    return false;
}
