/* Notes every change of files below EVENKEEL_POWER_DIR in EVENKEEL_POWER_LOG, in the order in which they happen: loaded
 * into a process by LD_PRELOAD, in front of the C library. A change and its note are made under one lock.
 *
 * While the file exists that EVENKEEL_POWER_BARRED names, every change fails as on a file system that has become read-only
 * under a process: also of what is open. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

struct note {
    uint8_t what;
    uint8_t pad[7];
    uint64_t inode;
    uint64_t offset;
    uint32_t first;  /* bytes of the first part that follows, */
    uint32_t second; /* and of the second */
};

enum { SLOTS = 1 << 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t known[SLOTS]; /* inodes of what was opened below the directory */
static dev_t device;
static char dir[PATH_MAX];
static size_t dir_len;
static int log_fd = -1;
static const char *bar;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void start(void) {
    const char *root = getenv("EVENKEEL_POWER_DIR"), *log = getenv("EVENKEEL_POWER_LOG");
    struct stat about;
    if (!root || !log || stat(root, &about) != 0)
        return;
    bar = getenv("EVENKEEL_POWER_BARRED");
    device = about.st_dev;
    dir_len = (size_t)snprintf(dir, sizeof dir, "%s", root);
    log_fd = REAL(open)(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int barred(void) {
    if (!bar || access(bar, F_OK) != 0)
        return 0;
    errno = EROFS;
    return 1;
}

static void tell(char what, uint64_t inode, uint64_t offset, const struct iovec *parts, int count, const char *second) {
    struct note note = {.what = (uint8_t)what, .inode = inode, .offset = offset};
    struct iovec all[18];
    int n = 0;
    all[n++] = (struct iovec){&note, sizeof note};
    for (int i = 0; i < count; i++) {
        note.first += (uint32_t)parts[i].iov_len;
        all[n++] = parts[i];
    }
    if (second) {
        note.second = (uint32_t)strlen(second);
        all[n++] = (struct iovec){(void *)second, note.second};
    }
    ssize_t want = (ssize_t)(sizeof note + note.first + note.second);
    if (REAL(writev)(log_fd, all, n) != want)
        abort(); /* half a log proves nothing */
}

static void tell_path(char what, uint64_t inode, uint64_t offset, const char *path, const char *second) {
    struct iovec part = {(void *)path, strlen(path)};
    tell(what, inode, offset, &part, 1, second);
}

static int slot(uint64_t inode) {
    int at = (int)(inode * 11400714819323198485u >> 48) & (SLOTS - 1);
    while (known[at] && known[at] != inode)
        at = (at + 1) & (SLOTS - 1);
    return at;
}

static int watched_path(const char *path) {
    return log_fd >= 0 && strncmp(path, dir, dir_len) == 0 && (path[dir_len] == '/' || path[dir_len] == 0);
}

static int watched_fd(int fd, struct stat *about) {
    if (log_fd < 0 || fstat(fd, about) != 0 || about->st_dev != device)
        return 0;
    if (!S_ISREG(about->st_mode) && !S_ISDIR(about->st_mode))
        return 0;
    return known[slot(about->st_ino)] != 0;
}

/* Makes a path whole that is told from a directory that is open. */
static const char *whole(int at, const char *path, char *out) {
    char link[64];
    if (path[0] == '/' || at == AT_FDCWD)
        return path;
    snprintf(link, sizeof link, "/proc/self/fd/%d", at);
    ssize_t len = readlink(link, out, PATH_MAX - 1);
    if (len < 0)
        return path;
    snprintf(out + len, (size_t)(PATH_MAX - len), "/%s", path);
    return out;
}

static int opened(int at, const char *path, int flags, mode_t mode) {
    char room[PATH_MAX];
    const char *full = whole(at, path, room);
    if (!watched_path(full))
        return REAL(openat)(at, path, flags, mode);
    int changes = (flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC);
    if ((changes || ((flags & O_CREAT) && access(full, F_OK) != 0)) && barred())
        return -1;
    pthread_mutex_lock(&lock);
    struct stat before, after;
    int was = stat(full, &before) == 0;
    int fd = REAL(openat)(at, path, flags, mode);
    int saved = errno;
    if (fd >= 0 && fstat(fd, &after) == 0) {
        known[slot(after.st_ino)] = after.st_ino;
        if (!was)
            tell_path('C', after.st_ino, 0, full, NULL);
        else if ((flags & O_TRUNC) && before.st_size > 0)
            tell('T', after.st_ino, 0, NULL, 0, NULL);
    }
    pthread_mutex_unlock(&lock);
    errno = saved;
    return fd;
}

#define MODE(flags, mode)                       \
    mode_t mode = 0;                            \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {    \
        va_list more;                           \
        va_start(more, flags);                  \
        mode = va_arg(more, mode_t);            \
        va_end(more);                           \
    }

int open(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags, mode) return opened(AT_FDCWD, path, flags, mode); }
int openat(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags, mode) return opened(at, path, flags, mode); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }

/* Runs a call that writes, and notes as much as was written. */
#define WRITES(fd, call, at, parts, count)                              \
    struct stat about;                                                  \
    if (!watched_fd(fd, &about))                                        \
        return call;                                                    \
    if (barred())                                                       \
        return -1;                                                      \
    pthread_mutex_lock(&lock);                                          \
    uint64_t from = (uint64_t)(at);                                     \
    ssize_t done = call;                                                \
    int saved = errno;                                                  \
    if (done > 0) {                                                     \
        struct iovec left[16];                                          \
        size_t rest = (size_t)done;                                     \
        int n = 0;                                                      \
        for (int i = 0; i < (count) && i < 16 && rest > 0; i++) {       \
            size_t len = (parts)[i].iov_len < rest ? (parts)[i].iov_len : rest; \
            left[n++] = (struct iovec){(parts)[i].iov_base, len};       \
            rest -= len;                                                \
        }                                                               \
        if (rest > 0)                                                   \
            abort();                                                    \
        tell('W', about.st_ino, from, left, n, NULL);                   \
    }                                                                   \
    pthread_mutex_unlock(&lock);                                        \
    errno = saved;                                                      \
    return done;

static off_t place(int fd) {
    struct stat about;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &about) == 0)
        return about.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

ssize_t write(int fd, const void *data, size_t len) {
    struct iovec part = {(void *)data, len};
    WRITES(fd, REAL(write)(fd, data, len), place(fd), &part, 1)
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    WRITES(fd, REAL(writev)(fd, parts, count), place(fd), parts, count)
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t at) {
    struct iovec part = {(void *)data, len};
    WRITES(fd, REAL(pwrite)(fd, data, len, at), at, &part, 1)
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t at) {
    struct iovec part = {(void *)data, len};
    WRITES(fd, REAL(pwrite)(fd, data, len, at), at, &part, 1)
}

/* Runs a call on an open file and notes it when it went well. */
#define NOTES(fd, call, what, offset)           \
    struct stat about;                          \
    if (!watched_fd(fd, &about))                \
        return call;                            \
    pthread_mutex_lock(&lock);                  \
    int done = call, saved = errno;             \
    if (done == 0)                              \
        tell(what, about.st_ino, offset, NULL, 0, NULL); \
    pthread_mutex_unlock(&lock);                \
    errno = saved;                              \
    return done;

static int cut(int fd, off_t len) {
    struct stat there;
    if (watched_fd(fd, &there) && barred())
        return -1;
    NOTES(fd, REAL(ftruncate)(fd, len), 'T', (uint64_t)len)
}

int ftruncate(int fd, off_t len) { return cut(fd, len); }
int ftruncate64(int fd, off_t len) { return cut(fd, len); }
int fsync(int fd) { NOTES(fd, REAL(fsync)(fd), 'S', 0) }
int fdatasync(int fd) { NOTES(fd, REAL(fdatasync)(fd), 'S', 0) }

/* Runs a call on names and notes it when it went well. */
#define NAMES(watched, call, note)              \
    if (!(watched))                             \
        return call;                            \
    if (barred())                               \
        return -1;                              \
    pthread_mutex_lock(&lock);                  \
    int done = call, saved = errno;             \
    if (done == 0)                              \
        note;                                   \
    pthread_mutex_unlock(&lock);                \
    errno = saved;                              \
    return done;

int rename(const char *from, const char *to) {
    NAMES(watched_path(from) || watched_path(to), REAL(rename)(from, to), tell_path('R', 0, 0, from, to))
}

int unlink(const char *path) {
    NAMES(watched_path(path), REAL(unlink)(path), tell_path('U', 0, 0, path, NULL))
}

int rmdir(const char *path) {
    NAMES(watched_path(path), REAL(rmdir)(path), tell_path('U', 0, 0, path, NULL))
}

int unlinkat(int at, const char *path, int flags) {
    char room[PATH_MAX];
    const char *full = whole(at, path, room);
    NAMES(watched_path(full), REAL(unlinkat)(at, path, flags), tell_path('U', 0, 0, full, NULL))
}

static void tell_dir(const char *path) {
    struct stat about;
    if (stat(path, &about) != 0)
        abort();
    known[slot(about.st_ino)] = about.st_ino;
    tell_path('D', about.st_ino, 0, path, NULL);
}

int mkdir(const char *path, mode_t mode) {
    NAMES(watched_path(path), REAL(mkdir)(path, mode), tell_dir(path))
}

/* What would change files in ways that are not noted ends the process: half a log proves nothing. */
static int refuse(const char *what) {
    if (log_fd < 0)
        return 0;
    fprintf(stderr, "power shim: %s is not noted\n", what);
    abort();
}

int linkat(int a, const char *from, int b, const char *to, int flags) {
    if (watched_path(to))
        refuse("linkat");
    return REAL(linkat)(a, from, b, to, flags);
}

int link(const char *from, const char *to) {
    if (watched_path(to))
        refuse("link");
    return REAL(link)(from, to);
}

int renameat(int a, const char *from, int b, const char *to) {
    if (log_fd >= 0)
        refuse("renameat");
    return REAL(renameat)(a, from, b, to);
}

ssize_t copy_file_range(int in, off64_t *from, int out, off64_t *to, size_t len, unsigned flags) {
    struct stat about;
    if (watched_fd(out, &about))
        refuse("copy_file_range");
    return REAL(copy_file_range)(in, from, out, to, len, flags);
}
