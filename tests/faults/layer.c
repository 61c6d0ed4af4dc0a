/* A layer between a process and its file system: the n-th operations below a folder fail, or kill the process. The wall
 * clock can be set, too.
 *
 * LD_PRELOADed. What fails is said by a file that is mapped into every process of a test (FAULTS_PAGE names it), so a
 * test steers a daemon and its engine while they run. A write that fails has written half of its bytes, as on a disk
 * that is full in the middle of one. `layer.py` has the other side of `struct control`.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPEN = 1, WRITE = 2, SYNC = 4, RENAME = 8, REMOVE = 16, READ = 32 };

struct control {
    _Atomic int64_t first; /* the first operation that fails, from 1 on; 0: none does, and none is counted */
    _Atomic int64_t last;
    _Atomic int64_t kinds; /* of the enumeration above, which count */
    _Atomic int64_t error; /* an errno; 0: the process is killed */
    _Atomic int64_t count; /* operations so far */
    _Atomic int64_t hits;  /* of them failed */
    _Atomic int64_t shift; /* seconds that the wall clock is ahead */
    char below[4040];      /* a folder's real path; "" is nowhere */
};

static struct control *control;

#define REAL(name) \
    static __typeof__(&name) real; \
    if (!real) real = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void begin(void) {
    const char *file = getenv("FAULTS_PAGE");
    if (!file) return;
    REAL(open);
    int fd = real(file, O_RDWR | O_CLOEXEC);
    if (fd < 0) return;
    void *found = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (found != MAP_FAILED) control = found;
}

static int is_below(const char *path) {
    size_t length = strlen(control->below);
    return length && !strncmp(path, control->below, length) && (path[length] == '/' || !path[length]);
}

/* Whether this operation fails; errno says how. */
static int fails(int64_t kind, const char *path, int fd) {
    if (!control || !control->first || !(control->kinds & kind)) return 0;
    int before = errno;
    char name[4096], link[64];
    if (!path) {
        snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(link, name, sizeof name - 1);
        if (length < 0) { errno = before; return 0; }
        name[length] = 0;
        path = name;
    }
    errno = before;
    if (path[0] != '/' || !is_below(path)) return 0;
    int64_t number = ++control->count;
    if (number < control->first || number > control->last) return 0;
    control->hits++;
    errno = (int)control->error;
    return 1;
}

static void die_if_asked(void) {
    if (!control->error) kill(getpid(), SIGKILL);
}

/* A path relative to a folder's descriptor, as /proc would say it. */
static const char *at(int folder, const char *path, char *into, size_t size) {
    if (!path || path[0] == '/' || folder == AT_FDCWD) return path ? path : "";
    char link[64];
    int before = errno;
    snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
    ssize_t length = readlink(link, into, size - 1);
    errno = before;
    if (length < 0) return path;
    snprintf(into + length, size - (size_t)length, "/%s", path);
    return into;
}

#define FAIL_IF(kind, path, fd) \
    do { if (fails(kind, path, fd)) { die_if_asked(); return -1; } } while (0)

static int64_t opening(int flags) {
    return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) ? OPEN : READ;
}

#define MODE(flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list more; va_start(more, flags); mode = va_arg(more, mode_t); va_end(more); }

int open(const char *path, int flags, ...) {
    MODE(flags) REAL(open); FAIL_IF(opening(flags), path, -1); return real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    MODE(flags) REAL(open64); FAIL_IF(opening(flags), path, -1); return real(path, flags, mode);
}
int openat(int folder, const char *path, int flags, ...) {
    char name[4096];
    MODE(flags) REAL(openat); FAIL_IF(opening(flags), at(folder, path, name, sizeof name), -1);
    return real(folder, path, flags, mode);
}
int openat64(int folder, const char *path, int flags, ...) {
    char name[4096];
    MODE(flags) REAL(openat64); FAIL_IF(opening(flags), at(folder, path, name, sizeof name), -1);
    return real(folder, path, flags, mode);
}
int mkdir(const char *path, mode_t mode) { REAL(mkdir); FAIL_IF(OPEN, path, -1); return real(path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) {
    char name[4096];
    REAL(mkdirat); FAIL_IF(OPEN, at(folder, path, name, sizeof name), -1); return real(folder, path, mode);
}

ssize_t write(int fd, const void *data, size_t size) {
    REAL(write);
    if (fails(WRITE, NULL, fd)) {
        int error = errno;
        if (size > 1) (void)!real(fd, data, size / 2);
        die_if_asked();
        errno = error;
        return -1;
    }
    return real(fd, data, size);
}
#define PWRITE(name, offset_type) \
    ssize_t name(int fd, const void *data, size_t size, offset_type offset) { \
        REAL(name); \
        if (fails(WRITE, NULL, fd)) { \
            int error = errno; \
            if (size > 1) (void)!real(fd, data, size / 2, offset); \
            die_if_asked(); \
            errno = error; \
            return -1; \
        } \
        return real(fd, data, size, offset); \
    }
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)
ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(writev);
    if (fails(WRITE, NULL, fd)) {
        int error = errno;
        if (count > 1) (void)!real(fd, parts, count / 2);
        die_if_asked();
        errno = error;
        return -1;
    }
    return real(fd, parts, count);
}
ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t size, unsigned flags) {
    REAL(copy_file_range); FAIL_IF(WRITE, NULL, to); return real(from, from_at, to, to_at, size, flags);
}
int ftruncate(int fd, off_t size) { REAL(ftruncate); FAIL_IF(WRITE, NULL, fd); return real(fd, size); }
int ftruncate64(int fd, off64_t size) { REAL(ftruncate64); FAIL_IF(WRITE, NULL, fd); return real(fd, size); }

int fsync(int fd) { REAL(fsync); FAIL_IF(SYNC, NULL, fd); return real(fd); }
int fdatasync(int fd) { REAL(fdatasync); FAIL_IF(SYNC, NULL, fd); return real(fd); }

int rename(const char *from, const char *to) { REAL(rename); FAIL_IF(RENAME, to, -1); return real(from, to); }
int renameat(int a, const char *from, int b, const char *to) {
    char name[4096];
    REAL(renameat); FAIL_IF(RENAME, at(b, to, name, sizeof name), -1); return real(a, from, b, to);
}
int renameat2(int a, const char *from, int b, const char *to, unsigned flags) {
    char name[4096];
    REAL(renameat2); FAIL_IF(RENAME, at(b, to, name, sizeof name), -1); return real(a, from, b, to, flags);
}
int link(const char *from, const char *to) { REAL(link); FAIL_IF(RENAME, to, -1); return real(from, to); }
int linkat(int a, const char *from, int b, const char *to, int flags) {
    char name[4096];
    REAL(linkat); FAIL_IF(RENAME, at(b, to, name, sizeof name), -1); return real(a, from, b, to, flags);
}

int unlink(const char *path) { REAL(unlink); FAIL_IF(REMOVE, path, -1); return real(path); }
int rmdir(const char *path) { REAL(rmdir); FAIL_IF(REMOVE, path, -1); return real(path); }
int unlinkat(int folder, const char *path, int flags) {
    char name[4096];
    REAL(unlinkat); FAIL_IF(REMOVE, at(folder, path, name, sizeof name), -1); return real(folder, path, flags);
}

DIR *opendir(const char *path) {
    REAL(opendir);
    if (fails(READ, path, -1)) { die_if_asked(); return NULL; }
    return real(path);
}
ssize_t read(int fd, void *data, size_t size) { REAL(read); FAIL_IF(READ, NULL, fd); return real(fd, data, size); }
ssize_t pread(int fd, void *data, size_t size, off_t offset) {
    REAL(pread); FAIL_IF(READ, NULL, fd); return real(fd, data, size, offset);
}
ssize_t pread64(int fd, void *data, size_t size, off64_t offset) {
    REAL(pread64); FAIL_IF(READ, NULL, fd); return real(fd, data, size, offset);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    REAL(clock_gettime);
    int result = real(clock, now);
    if (control && !result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->shift;
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*real)(struct timeval *restrict, void *restrict);
    if (!real) real = (int (*)(struct timeval *restrict, void *restrict))dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (control && !result) now->tv_sec += control->shift;
    return result;
}
time_t time(time_t *into) {
    REAL(time);
    time_t now = real(NULL) + (control ? (time_t)control->shift : 0);
    if (into) *into = now;
    return now;
}
