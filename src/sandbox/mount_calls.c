#include "sandbox/mount_calls.h"

#include "base/fd.h"
#include "base/str.h"
#include "sandbox/mount_classic.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

int path_open_at(int dir, const char *path)
{
    struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_NO_SYMLINKS };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

int path_open(const char *path)
{
    return path_open_at(AT_FDCWD, path);
}

int tree_copy(int fd, bool deep)
{
    unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
    return (int)syscall(SYS_open_tree, fd, "", flags | (deep ? AT_RECURSIVE : 0));
}

int tree_copy_at(int dir, const char *path)
{
    return (int)syscall(SYS_open_tree, dir, path,
                        OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW);
}

int tree_set(int fd, uint64_t attributes, bool deep)
{
    struct mount_attr attr = { .attr_set = attributes };
    return (int)syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH | (deep ? AT_RECURSIVE : 0), &attr,
                        sizeof attr);
}

int tree_attach(int tree, int onto)
{
    return (int)syscall(SYS_move_mount, tree, "", onto, "",
                        MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH);
}

int tree_attach_at(int tree, int dir, const char *path)
{
    return (int)syscall(SYS_move_mount, tree, "", dir, path, MOVE_MOUNT_F_EMPTY_PATH);
}

int tree_place(int tree, int onto, uint64_t attributes, bool deep, int proc)
{
    bool set = tree_set(tree, attributes, deep) == 0;
    if (!set && !classic_is_needed())
        return -1;
    if (tree_attach(tree, onto) < 0)
        return -1;
    return set ? 0 : classic_set(tree, attributes, deep, proc);
}

int tree_set_placed(int fd, uint64_t attributes, bool deep, int proc)
{
    if (tree_set(fd, attributes, deep) == 0)
        return 0;
    return classic_is_needed() ? classic_set(fd, attributes, deep, proc) : -1;
}

static int configure(int context, const char *option)
{
    char key[32];
    struct str text = str_of(option);
    ptrdiff_t equals = str_index(text, '=');
    if (equals < 0)
        return (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_FLAG, option, NULL, 0);
    if ((size_t)equals >= sizeof key)
        return errno = EINVAL, -1;
    memcpy(key, option, (size_t)equals);
    key[equals] = '\0';
    return (int)syscall(SYS_fsconfig, context, FSCONFIG_SET_STRING, key, option + equals + 1, 0);
}

int tree_make(const char *type, const char *const *options, uint64_t attributes)
{
    AUTO_FD context = (int)syscall(SYS_fsopen, type, FSOPEN_CLOEXEC);
    if (context < 0)
        return -1;
    for (size_t i = 0; options && options[i]; i++)
        if (configure(context, options[i]) < 0)
            return -1;
    if (syscall(SYS_fsconfig, context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
        return -1;
    return (int)syscall(SYS_fsmount, context, FSMOUNT_CLOEXEC, attributes);
}
