/* Makes the Nth call of some kinds fail, for files below one directory. Preloaded into ekvsnap by the tests:
 * FAULT_UNDER        the directory
 * FAULT_KIND         write, create, rename, sync, remove or read, or several of them
 * FAULT_NTH          the call that fails, counted from 1; with FAULT_STICKY all after it fail as well
 * FAULT_ERRNO        as which error; 0: the process is killed before the call
 * FAULT_MARK         a file that is made when a call has failed
 * FAULT_NO_EXCHANGE  two names cannot be exchanged on this file system
 * FAULT_SYNCED       a directory that gets a copy of every file that is synced, and a file `syncfs` */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static int calls;

static int is_under(const char *path) {
    const char *under = getenv("FAULT_UNDER");
    return under && strncmp(path, under, strlen(under)) == 0;
}

/* False if it has none. */
static int path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlink, link, path, PATH_MAX - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return 1;
}

static int descriptor_is_under(int fd) {
    char path[PATH_MAX];
    return path_of(fd, path) && is_under(path);
}

static int at_is_under(int fd, const char *path) {
    return path[0] == '/' || fd == AT_FDCWD ? is_under(path) : descriptor_is_under(fd);
}

/* Counts a call, and says whether it fails. */
static int fails(const char *kind) {
    const char *wanted = getenv("FAULT_KIND");
    if (!wanted || !strstr(wanted, kind)) return 0;
    int nth = atoi(getenv("FAULT_NTH")), call = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (call < nth || (call > nth && !getenv("FAULT_STICKY"))) return 0;
    int mark = syscall(SYS_openat, AT_FDCWD, getenv("FAULT_MARK"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (mark >= 0) syscall(SYS_close, mark);
    errno = atoi(getenv("FAULT_ERRNO"));
    if (errno == 0) syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    return 1;
}

/* What a power cut cannot take away any more. */
static void keep_synced(int fd, const char *name) {
    const char *folder = getenv("FAULT_SYNCED");
    struct stat status;
    char path[PATH_MAX], copy[PATH_MAX], bytes[65536];
    if (!folder) return;
    if (!name) {
        if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || !path_of(fd, path)) return;
        name = strrchr(path, '/') + 1;
    }
    if (snprintf(copy, sizeof copy, "%s/%s", folder, name) >= (int)sizeof copy) return;
    int to = syscall(SYS_openat, AT_FDCWD, copy, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
    off_t offset = 0;
    for (ssize_t n; fd >= 0 && (n = syscall(SYS_pread64, fd, bytes, sizeof bytes, offset)) > 0; offset += n)
        if (syscall(SYS_write, to, bytes, n) != n) abort();
    syscall(SYS_close, to);
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OF_FD(kind, type, name, parameters, arguments)                  \
    type name parameters {                                              \
        if (descriptor_is_under(fd) && fails(kind)) return -1;          \
        return REAL(name) arguments;                                    \
    }
#define OF_PATH(kind, name, parameters, arguments, at)                  \
    int name parameters {                                               \
        if (at_is_under(at, path) && fails(kind)) return -1;            \
        return REAL(name) arguments;                                    \
    }
#define SYNC(name, kept, as)                                            \
    int name(int fd) {                                                  \
        if (descriptor_is_under(fd) && fails("sync")) return -1;        \
        int result = REAL(name)(fd);                                    \
        if (result == 0 && descriptor_is_under(fd)) keep_synced(kept, as); \
        return result;                                                  \
    }

OF_FD("write", ssize_t, write, (int fd, const void *b, size_t n), (fd, b, n))
OF_FD("write", ssize_t, pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
OF_FD("write", ssize_t, pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
OF_FD("read", ssize_t, read, (int fd, void *b, size_t n), (fd, b, n))
OF_FD("read", ssize_t, pread, (int fd, void *b, size_t n, off_t o), (fd, b, n, o))
OF_FD("read", ssize_t, pread64, (int fd, void *b, size_t n, off64_t o), (fd, b, n, o))
SYNC(fsync, fd, NULL)
SYNC(fdatasync, fd, NULL)
SYNC(syncfs, -1, "syncfs")
OF_PATH("create", mkdir, (const char *path, mode_t mode), (path, mode), AT_FDCWD)
OF_PATH("create", mkdirat, (int fd, const char *path, mode_t mode), (fd, path, mode), fd)
OF_PATH("remove", unlink, (const char *path), (path), AT_FDCWD)
OF_PATH("remove", rmdir, (const char *path), (path), AT_FDCWD)
OF_PATH("remove", unlinkat, (int fd, const char *path, int flags), (fd, path, flags), fd)
OF_PATH("rename", rename, (const char *path, const char *to), (path, to), AT_FDCWD)
OF_PATH("rename", renameat, (int fd, const char *path, int t, const char *to), (fd, path, t, to), fd)

int renameat2(int fd, const char *path, int t, const char *to, unsigned flags) {
    if (at_is_under(fd, path) && fails("rename")) return -1;
    if ((flags & RENAME_EXCHANGE) && getenv("FAULT_NO_EXCHANGE")) {
        errno = EINVAL;
        return -1;
    }
    return REAL(renameat2)(fd, path, t, to, flags);
}

ssize_t copy_file_range(int in, off64_t *from, int fd, off64_t *to, size_t n, unsigned flags) {
    if (descriptor_is_under(fd) && fails("write")) return -1;
    return REAL(copy_file_range)(in, from, fd, to, n, flags);
}

static mode_t mode_of(int flags, va_list more) {
    return flags & O_CREAT ? (mode_t)va_arg(more, int) : 0;
}

#define OPEN(name)                                                                     \
    int name(const char *path, int flags, ...) {                                       \
        va_list more;                                                                  \
        va_start(more, flags);                                                         \
        mode_t mode = mode_of(flags, more);                                            \
        va_end(more);                                                                  \
        if ((flags & O_CREAT) && is_under(path) && fails("create")) return -1;         \
        return REAL(name)(path, flags, mode);                                          \
    }
#define OPENAT(name)                                                                   \
    int name(int fd, const char *path, int flags, ...) {                               \
        va_list more;                                                                  \
        va_start(more, flags);                                                         \
        mode_t mode = mode_of(flags, more);                                            \
        va_end(more);                                                                  \
        if ((flags & O_CREAT) && at_is_under(fd, path) && fails("create")) return -1;  \
        return REAL(name)(fd, path, flags, mode);                                      \
    }
OPEN(open)
OPEN(open64)
OPENAT(openat)
OPENAT(openat64)
