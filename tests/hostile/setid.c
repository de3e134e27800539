/* hostile-setid DIRECTORY - leaves something behind that gives rights to who uses it later (T23).
 *
 * Set-id bits by every call that takes a mode, devices, file capabilities, attributes of overlays and
 * of security modules. DIRECTORY is writable by the attacker.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

static char path[PATH_MAX];

/* A fresh plain file at `path`; its descriptor. */
static int fresh(void)
{
    unlink(path);
    rmdir(path);
    return open(path, O_RDWR | O_CREAT | O_EXCL, 0755);
}

/* Does `path` carry a set-id bit now? Whatever a call said, this is what counts. */
static bool carries(void)
{
    int os = errno;
    struct stat st;
    bool is = stat(path, &st) == 0 && (st.st_mode & (S_ISUID | S_ISGID));
    if (is)
        attack_note("mode %o", st.st_mode & 07777);
    unlink(path);
    rmdir(path);
    errno = os ? os : EPERM;
    return is;
}

static bool by_chmod(void)
{
    fresh();
    chmod(path, 04755);
    return carries();
}

static bool by_group_bit(void)
{
    fresh();
    chmod(path, 02755);
    return carries();
}

static bool by_fchmod(void)
{
    fchmod(fresh(), 06755);
    return carries();
}

static bool by_fchmodat(void)
{
    fresh();
    return fchmodat(AT_FDCWD, path, 04755, 0) == 0 && carries();
}

static bool by_fchmodat2(void)
{
    fresh();
    raw_call(452, (unsigned long)AT_FDCWD, (unsigned long)path, 04755, 0, 0, 0);
    return carries();
}

static bool by_fchmodat2_empty(void)
{
    int fd = fresh();
    raw_call(452, (unsigned long)fd, (unsigned long)"", 04755, AT_EMPTY_PATH, 0, 0);
    return carries();
}

static bool by_high_bits(void)
{
    fresh();
    raw_call(SYS_chmod, (unsigned long)path, 04755 | 0xffff00000000ul, 0, 0, 0, 0);
    return carries();
}

static bool by_open(void)
{
    unlink(path);
    close(open(path, O_WRONLY | O_CREAT, 04755));
    return carries();
}

static bool by_creat(void)
{
    unlink(path);
    close(creat(path, 04755));
    return carries();
}

static bool by_openat2(void)
{
    struct open_how how = { .flags = O_WRONLY | O_CREAT, .mode = 04755 };
    unlink(path);
    close((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how));
    return carries();
}

static bool by_tmpfile(void)
{
    char directory[PATH_MAX], name[PATH_MAX], from[64];
    attack_split(path, directory, name);
    unlink(path);
    int fd = open(directory, O_TMPFILE | O_RDWR, 04755);
    snprintf(from, sizeof from, "/proc/self/fd/%d", fd);
    return linkat(AT_FDCWD, from, AT_FDCWD, path, AT_SYMLINK_FOLLOW) == 0 && carries();
}

static bool by_mknod(void)
{
    unlink(path);
    mknod(path, S_IFREG | 04755, 0);
    return carries();
}

static bool by_mkdir(void)
{
    unlink(path);
    mkdir(path, 02755);
    return carries();
}

static bool by_proc_name(void)
{
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fresh());
    chmod(name, 04755);
    return carries();
}

static bool by_device(void)
{
    static const struct {
        mode_t kind;
        unsigned major, minor;
    } devices[] = { { S_IFBLK, 254, 0 },
                    { S_IFBLK, 8, 0 },
                    { S_IFCHR, 1, 1 },
                    { S_IFCHR, 1, 3 },
                    { S_IFCHR, 0, 0 } };
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        unlink(path);
        dev_t device = makedev(devices[i].major, devices[i].minor);
        if (mknod(path, devices[i].kind | 0666, device) == 0 ||
            mknodat(AT_FDCWD, path, devices[i].kind | 0666, device) == 0) {
            unlink(path);
            attack_note("device %u:%u", devices[i].major, devices[i].minor);
            return true;
        }
    }
    return false;
}

static bool sets(const char *name, const void *value, size_t size)
{
    int fd = fresh();
    bool worked = setxattr(path, name, value, size, 0) == 0 ||
                  lsetxattr(path, name, value, size, 0) == 0 ||
                  fsetxattr(fd, name, value, size, 0) == 0;
    int os = errno;
    unlink(path);
    errno = os;
    return worked;
}

static bool by_capability(void)
{
    /* Revision 2 and 3 of the kernel's vfs_cap_data: every capability, effective. */
    static const uint32_t two[5] = { 0x02000001, 0xffffffff, 0, 0x1ff, 0 };
    static const uint32_t three[6] = { 0x03000001, 0xffffffff, 0, 0x1ff, 0, 0 };
    return sets("security.capability", two, sizeof two) ||
           sets("security.capability", three, sizeof three);
}

static bool by_security_attribute(void)
{
    return sets("security.hostile", "1", 1) || sets("security.selinux", "unconfined", 10) ||
           sets("security.ima", "\4", 1) || sets("trusted.overlay.opaque", "y", 1);
}

static bool by_overlay_attribute(void)
{
    return sets("user.overlay.opaque", "y", 1) || sets("user.overlay.redirect", "/etc", 4) ||
           sets("user.overlay.metacopy", "", 0);
}

static bool by_user_attribute(void)
{
    return sets("user.hostile", "1", 1);
}

/* A descriptor opened for writing keeps working when set-id bits come later through another name. */
static bool by_changing_the_owner(void)
{
    fresh();
    return chown(path, 0, 0) == 0 && getuid() != 0;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "chmod", by_chmod },
        { "chmod of the group bit", by_group_bit },
        { "fchmod", by_fchmod },
        { "fchmodat", by_fchmodat },
        { "fchmodat2", by_fchmodat2 },
        { "fchmodat2 of a descriptor", by_fchmodat2_empty },
        { "chmod with high bits", by_high_bits },
        { "open", by_open },
        { "creat", by_creat },
        { "openat2", by_openat2 },
        { "O_TMPFILE", by_tmpfile },
        { "mknod", by_mknod },
        { "mkdir", by_mkdir },
        { "chmod by /proc/self/fd", by_proc_name },
        { "device", by_device },
        { "file capability", by_capability },
        { "security attribute", by_security_attribute },
        { "overlay attribute", by_overlay_attribute },
        { "user attribute", by_user_attribute },
        { "chown", by_changing_the_owner },
    };
    attack_begin(argc, argv);
    umask(0);
    snprintf(path, sizeof path, "%s/set-id", attack_argument(1));
    return attack_run(ways, sizeof ways / sizeof *ways);
}
