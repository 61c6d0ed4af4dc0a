/* Opens and lookups below SLOW_DISK wait as long as the file SLOW_DISK_HELD is there, a disk that does not answer;
   SLOW_DISK_HELD.waiting is made as soon as one waits. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

static void wait_for_the_disk(const char *path) {
    const char *slow = getenv("SLOW_DISK"), *held = getenv("SLOW_DISK_HELD");
    if (!slow || !held || strncmp(path, slow, strlen(slow))) return;
    while (access(held, F_OK) == 0) {
        char told[4096];
        if (snprintf(told, sizeof told, "%s.waiting", held) < (int)sizeof told) {
            int (*create)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
            int file = create(told, O_CREAT | O_WRONLY, 0600);
            if (file >= 0) close(file);
        }
        usleep(10000);
    }
}

#define OPENS(name)                                                 \
    int name(const char *path, int flags, ...) {                    \
        static int (*real)(const char *, int, ...);                 \
        mode_t mode = 0;                                            \
        if (flags & (O_CREAT | __O_TMPFILE)) {                      \
            va_list more;                                           \
            va_start(more, flags);                                  \
            mode = va_arg(more, mode_t);                            \
            va_end(more);                                           \
        }                                                           \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        wait_for_the_disk(path);                                    \
        return real(path, flags, mode);                             \
    }

OPENS(open)
OPENS(open64)

#define LOOKS_UP(name)                                              \
    int name(const char *path, void *found) {                       \
        static int (*real)(const char *, void *);                   \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        wait_for_the_disk(path);                                    \
        return real(path, found);                                   \
    }

LOOKS_UP(stat)
LOOKS_UP(stat64)
LOOKS_UP(lstat)
LOOKS_UP(lstat64)

#define LOOKS_UP_AT(name)                                           \
    int name(int folder, const char *path, void *found, int flags) {\
        static int (*real)(int, const char *, void *, int);         \
        if (!real) real = dlsym(RTLD_NEXT, #name);                  \
        wait_for_the_disk(path);                                    \
        return real(folder, path, found, flags);                    \
    }

LOOKS_UP_AT(fstatat)
LOOKS_UP_AT(fstatat64)

ssize_t readlink(const char *path, char *into, size_t most) {
    static ssize_t (*real)(const char *, char *, size_t);
    if (!real) real = dlsym(RTLD_NEXT, "readlink");
    wait_for_the_disk(path);
    return real(path, into, most);
}
