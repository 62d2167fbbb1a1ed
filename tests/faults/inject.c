// Faults of the file system, by LD_PRELOAD: the calls that change files below FAULT_UNDER are counted, and the one numbered
// FAULT_AT meets FAULT_KIND:
//
//   kill   half of a write is done, and the process is killed
//   eio    the call fails with EIO, once
//   full   half of a write is done, and from then on whatever needs room fails with ENOSPC
//   short  half of a write is done, and the rest of the run goes well
//
// With FAULT_LOG every counted call is a line of that file: its name and the path.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, KILL, EIO_ONCE, FULL, SHORT };
enum verdict { GO_ON, HALF, FAIL };

static enum kind kind;
static long at;
static char under[PATH_MAX];
static int log_fd = -1;
static atomic_long calls;
static atomic_int full;

static void *next(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) {
        static const char lacks[] = "inject: the C library lacks a function\n";
        syscall(SYS_write, 2, lacks, sizeof lacks - 1);
        _exit(99);
    }
    return found;
}

__attribute__((constructor)) static void read_environment(void) {
    const char *folder = getenv("FAULT_UNDER"), *name = getenv("FAULT_KIND"), *number = getenv("FAULT_AT");
    const char *log = getenv("FAULT_LOG");
    if (!folder || strlen(folder) >= sizeof under) return;
    strcpy(under, folder);
    if (name) {
        kind = !strcmp(name, "kill") ? KILL : !strcmp(name, "eio") ? EIO_ONCE : !strcmp(name, "full") ? FULL : SHORT;
    }
    at = number ? atol(number) : 0;
    if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

// The absolute path of `path` seen from the folder `dir`; with an empty `path` that of the open file `dir`.
static void locate(int dir, const char *path, char *out, size_t room) {
    char link[64];
    if (*path == '/') {
        snprintf(out, room, "%s", path);
        return;
    }
    if (dir == AT_FDCWD) {
        snprintf(link, sizeof link, "/proc/self/cwd");
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", dir);
    }
    ssize_t n = readlink(link, out, room - 1);
    if (n < 0) n = 0;
    out[n] = 0;
    if (*path) snprintf(out + n, room - (size_t)n, "/%s", path);
}

// What becomes of a call; `grows` where it needs room on the disk, `halves` where it is a write of more than one byte.
static enum verdict judge(const char *name, int dir, const char *path, int grows, int halves) {
    if (!*under) return GO_ON;
    int before = errno;
    char place[2 * PATH_MAX];
    locate(dir, path, place, sizeof place);
    size_t n = strlen(under);
    if (strncmp(place, under, n) || (place[n] && place[n] != '/')) {
        errno = before;
        return GO_ON;
    }
    long number = atomic_fetch_add(&calls, 1) + 1;
    if (log_fd >= 0) {
        char line[2 * PATH_MAX + 64];
        int length = snprintf(line, sizeof line, "%s %s\n", name, place);
        syscall(SYS_write, log_fd, line, (size_t)length);
    }
    errno = before;
    if (atomic_load(&full) && grows) {
        errno = ENOSPC;
        return FAIL;
    }
    if (number != at) return GO_ON;
    switch (kind) {
    case KILL:
        if (halves) return HALF;
        kill(getpid(), SIGKILL);
        for (;;) pause();
    case EIO_ONCE:
        errno = EIO;
        return FAIL;
    case FULL:
        atomic_store(&full, 1);
        if (halves) return HALF;
        errno = ENOSPC;
        return grows ? FAIL : GO_ON;
    case SHORT:
        return halves ? HALF : GO_ON;
    default:
        return GO_ON;
    }
}

// After half of a write.
static void end_if_killed(void) {
    if (kind == KILL) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

ssize_t write(int fd, const void *bytes, size_t n) {
    ssize_t (*real)(int, const void *, size_t) = next("write");
    switch (judge("write", fd, "", 1, n > 1)) {
    case FAIL: return -1;
    case HALF: n = (size_t)real(fd, bytes, n / 2); end_if_killed(); return (ssize_t)n;
    default: return real(fd, bytes, n);
    }
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = next("pwrite64");
    switch (judge("pwrite", fd, "", 1, n > 1)) {
    case FAIL: return -1;
    case HALF: n = (size_t)real(fd, bytes, n / 2, offset); end_if_killed(); return (ssize_t)n;
    default: return real(fd, bytes, n, offset);
    }
}

ssize_t writev(int fd, const struct iovec *parts, int n) {
    ssize_t (*real)(int, const struct iovec *, int) = next("writev");
    ssize_t done;
    switch (judge("writev", fd, "", 1, n > 0 && parts[0].iov_len > 1)) {
    case FAIL: return -1;
    case HALF: done = syscall(SYS_write, fd, parts[0].iov_base, parts[0].iov_len / 2); end_if_killed(); return done;
    default: return real(fd, parts, n);
    }
}

// A call that is done or fails.
#define WHOLE(result, name, parameters, arguments, dir, path, grows)                                     \
    result name parameters {                                                                             \
        result(*real) parameters = next(#name);                                                          \
        return judge(#name, dir, path, grows, 0) == FAIL ? (result)-1 : real arguments;                  \
    }

WHOLE(int, fsync, (int fd), (fd), fd, "", 1)
WHOLE(int, fdatasync, (int fd), (fd), fd, "", 1)
WHOLE(int, ftruncate64, (int fd, off64_t n), (fd, n), fd, "", 0)
WHOLE(int, rename, (const char *from, const char *to), (from, to), AT_FDCWD, to, 1)
WHOLE(int, renameat, (int d, const char *from, int e, const char *to), (d, from, e, to), e, to, 1)
WHOLE(int, link, (const char *from, const char *to), (from, to), AT_FDCWD, to, 1)
WHOLE(int, linkat, (int d, const char *from, int e, const char *to, int flags), (d, from, e, to, flags), e, to, 1)
WHOLE(int, mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD, path, 1)
WHOLE(int, unlink, (const char *path), (path), AT_FDCWD, path, 0)
WHOLE(int, unlinkat, (int dir, const char *path, int flags), (dir, path, flags), dir, path, 0)
WHOLE(int, rmdir, (const char *path), (path), AT_FDCWD, path, 0)
WHOLE(ssize_t, copy_file_range, (int a, off64_t *i, int b, off64_t *j, size_t n, unsigned flags), (a, i, b, j, n, flags), b, "", 1)

// Opening counts where it can make or empty a file.
static int opening(const char *name, int dir, const char *path, int flags) {
    return (flags & (O_CREAT | O_TRUNC)) && judge(name, dir, path, flags & O_CREAT, 0) == FAIL;
}

#define MODE(flags, last)                         \
    mode_t mode = 0;                              \
    if ((flags) & (O_CREAT | O_TMPFILE)) {        \
        va_list rest;                             \
        va_start(rest, last);                     \
        mode = (mode_t)va_arg(rest, unsigned);    \
        va_end(rest);                             \
    }

int open64(const char *path, int flags, ...) {
    MODE(flags, flags)
    int (*real)(const char *, int, ...) = next("open64");
    return opening("open", AT_FDCWD, path, flags) ? -1 : real(path, flags, mode);
}

int openat64(int dir, const char *path, int flags, ...) {
    MODE(flags, flags)
    int (*real)(int, const char *, int, ...) = next("openat64");
    return opening("openat", dir, path, flags) ? -1 : real(dir, path, flags, mode);
}
