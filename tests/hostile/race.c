/* hostile-race WORKSPACE MILLISECONDS - can what is judged be changed before it is done?
 *
 * Several threads change what a call is about (the text of its path, a link on the way, the working
 * directory, a descriptor) while another makes the call again and again. Prepared by the caller in
 * WORKSPACE: directories .git/hooks and ok. Success is an entry that must not exist.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static const char *workspace;
static long duration;
static atomic_bool stop;

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

/* Runs `flip` in a second thread and `hit` here until the time is up or `goal` exists. */
static bool race(void *(*flip)(void *), void (*hit)(void), const char *goal)
{
    pthread_t thread;
    atomic_store(&stop, false);
    if (pthread_create(&thread, NULL, flip, NULL) != 0)
        return false;
    long end = attack_now() + duration;
    while (attack_now() < end && !exists(goal))
        hit();
    atomic_store(&stop, true);
    pthread_join(thread, NULL);
    bool worked = exists(goal);
    if (worked)
        remove(goal);
    errno = EACCES;
    return worked;
}

/* The text of the path changes between a harmless and a dangerous name of the same length. */
static char text[64];

static void *flip_text(void *unused)
{
    while (!atomic_load(&stop)) {
        memcpy(text, "ok/nothing", 10);
        memcpy(text, ".bashrc\0gg", 10);
    }
    return unused;
}

static void hit_open(void)
{
    int fd = open(text, O_WRONLY | O_CREAT, 0644);
    if (fd >= 0)
        close(fd);
}

static bool by_text_of_open(void)
{
    return race(flip_text, hit_open, ".bashrc");
}

static void hit_mkdir(void)
{
    if (mkdir(text, 0755) == 0)
        rmdir("ok/nothing");
}

static bool by_text_of_mkdir(void)
{
    return race(flip_text, hit_mkdir, ".bashrc");
}

static void hit_rename(void)
{
    int fd = open("ok/mine", O_WRONLY | O_CREAT, 0644);
    if (fd >= 0)
        close(fd);
    rename("ok/mine", text);
}

static bool by_text_of_rename(void)
{
    return race(flip_text, hit_rename, ".bashrc");
}

/* A link on the way leads to a harmless directory, then to .git/hooks. */
static void *flip_link(void *unused)
{
    while (!atomic_load(&stop))
        renameat2(AT_FDCWD, "way-a", AT_FDCWD, "way-b", RENAME_EXCHANGE);
    return unused;
}

static void hit_through_link(void)
{
    int fd = open("way-a/pre-commit", O_WRONLY | O_CREAT, 0755);
    if (fd >= 0)
        close(fd);
}

static bool by_link_on_the_way(void)
{
    unlink("way-a");
    unlink("way-b");
    if (symlink("ok", "way-a") < 0 || symlink(".git/hooks", "way-b") < 0)
        return false;
    return race(flip_link, hit_through_link, ".git/hooks/pre-commit");
}

/* A directory and a link to .git/hooks change places. */
static bool by_directory_and_link(void)
{
    unlink("way-a");
    unlink("way-b");
    if (mkdir("way-a", 0755) < 0 || symlink(".git/hooks", "way-b") < 0)
        return false;
    bool worked = race(flip_link, hit_through_link, ".git/hooks/pre-commit");
    unlink("way-a/pre-commit");
    unlink("way-b/pre-commit");
    rmdir("way-a");
    rmdir("way-b");
    unlink("way-a");
    unlink("way-b");
    return worked;
}

/* The last name is a link that leads to a harmless file, then to a dangerous one (absent). */
static void hit_last_link(void)
{
    int fd = open("way-a", O_WRONLY | O_CREAT, 0644);
    if (fd >= 0)
        close(fd);
}

static bool by_last_link(void)
{
    unlink("way-a");
    unlink("way-b");
    if (symlink("ok/nothing", "way-a") < 0 || symlink(".gitmodules", "way-b") < 0)
        return false;
    return race(flip_link, hit_last_link, ".gitmodules");
}

/* The working directory is shared between threads and changes under the call. */
static void *flip_directory(void *unused)
{
    char ok[PATH_MAX], hooks[PATH_MAX];
    snprintf(ok, sizeof ok, "%s/ok", workspace);
    snprintf(hooks, sizeof hooks, "%s/.git/hooks", workspace);
    while (!atomic_load(&stop))
        if (chdir(ok) < 0 || chdir(hooks) < 0)
            break;
    return unused;
}

static void hit_relative(void)
{
    int fd = open("post-merge", O_WRONLY | O_CREAT, 0755);
    if (fd >= 0)
        close(fd);
}

static bool by_working_directory(void)
{
    char goal[PATH_MAX];
    snprintf(goal, sizeof goal, "%s/.git/hooks/post-merge", workspace);
    bool worked = race(flip_directory, hit_relative, goal);
    return chdir(workspace) == 0 && worked;
}

/* The descriptor that a name is relative to changes under the call. */
static int ok_directory, hooks_directory, flipped_directory;

static void *flip_descriptor(void *unused)
{
    while (!atomic_load(&stop)) {
        dup2(ok_directory, flipped_directory);
        dup2(hooks_directory, flipped_directory);
    }
    return unused;
}

static void hit_descriptor(void)
{
    int fd = openat(flipped_directory, "pre-push", O_WRONLY | O_CREAT, 0755);
    if (fd >= 0)
        close(fd);
}

static bool by_descriptor(void)
{
    ok_directory = open("ok", O_RDONLY | O_DIRECTORY);
    hooks_directory = open(".git/hooks", O_RDONLY | O_DIRECTORY);
    flipped_directory = dup(ok_directory);
    return hooks_directory >= 0 && race(flip_descriptor, hit_descriptor, ".git/hooks/pre-push");
}

/* While a directory is looked through and moved to a dangerous name, its content changes. */
static void *flip_content(void *unused)
{
    while (!atomic_load(&stop)) {
        mkdir("grow/hooks", 0755);
        rmdir("grow/hooks");
    }
    return unused;
}

static void hit_moving(void)
{
    mkdir("grow", 0755);
    if (rename("grow", "ok/.git") == 0 && !exists("ok/.git/hooks"))
        rename("ok/.git", "grow");
}

static bool by_growing_directory(void)
{
    bool worked = race(flip_content, hit_moving, "ok/.git/hooks");
    rmdir("ok/.git/hooks");
    rmdir("ok/.git");
    rmdir("grow/hooks");
    rmdir("grow");
    return worked;
}

/* The parent of the name is moved away and a link to .git stands in its place. */
static void *flip_parent(void *unused)
{
    while (!atomic_load(&stop)) {
        if (rename("stay", "gone") == 0 && symlink(".git", "stay") == 0)
            unlink("stay");
        rename("gone", "stay");
    }
    return unused;
}

static void hit_parent(void)
{
    int fd = open("stay/hooks/post-checkout", O_WRONLY | O_CREAT, 0755);
    if (fd >= 0)
        close(fd);
}

static bool by_parent_moved(void)
{
    if (mkdir("stay", 0755) < 0 || mkdir("stay/hooks", 0755) < 0)
        return false;
    bool worked = race(flip_parent, hit_parent, ".git/hooks/post-checkout");
    unlink("stay/hooks/post-checkout");
    unlink("gone/hooks/post-checkout");
    rmdir("stay/hooks");
    rmdir("stay");
    return worked;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "text of open", by_text_of_open },
        { "text of mkdir", by_text_of_mkdir },
        { "text of rename", by_text_of_rename },
        { "link on the way", by_link_on_the_way },
        { "directory and link", by_directory_and_link },
        { "last link", by_last_link },
        { "working directory", by_working_directory },
        { "descriptor", by_descriptor },
        { "growing directory", by_growing_directory },
        { "parent moved", by_parent_moved },
    };
    attack_begin(argc, argv);
    workspace = attack_argument(1);
    duration = strtol(attack_argument(2), NULL, 10);
    if (chdir(workspace) < 0 || !exists("ok") || !exists(".git/hooks"))
        attack_cannot("'%s' is not prepared", workspace);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
