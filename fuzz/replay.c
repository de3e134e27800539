/* Feeds every file of the directories in the arguments to a fuzz target. */
#include "fuzz.h"

#include "base/mem.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The input lies in a block of exactly its size, so that a sanitizer sees a read beyond its end. */
static void replay_file(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    CHECK(fd >= 0 && fstat(fd, &st) == 0);
    size_t n = (size_t)st.st_size;
    uint8_t *bytes = mem_get(n);
    CHECK(read(fd, bytes, n) == (ssize_t)n);
    close(fd);
    LLVMFuzzerTestOneInput(bytes, n);
    free(bytes);
}

static unsigned replay_directory(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    CHECK(dir);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        if (entry->d_type != DT_REG)
            continue;
        printf("%s/%s\n", path, entry->d_name);
        fflush(stdout); /* the last line names the file that stopped us */
        replay_file(dirfd(dir), entry->d_name);
        count++;
    }
    closedir(dir);
    return count;
}

int main(int argc, char **argv)
{
    unsigned count = 0;
    for (int i = 1; i < argc; i++)
        count += replay_directory(argv[i]);
    printf("%u inputs\n", count);
    return count ? 0 : 1;
}
