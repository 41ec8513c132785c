/* faults.c - makes calls of a program fail: to be loaded before it (LD_PRELOAD). tests/hostile/faults.py drives it.
 *
 * FAULT=KIND:N     call N of that kind (from 1) fails; N+: that and all later ones; 0: none
 * FAULT_LOG=FILE   at the end gets "CALLS BLOCKS THREADS": how many calls of the kind there were, how many blocks of
 *                  memory were not freed, and how many threads were made, of each of which libc keeps a block
 *
 * Kinds: memory (ENOMEM), thread (EAGAIN), open (EMFILE), read (EIO), short (a read or write takes one byte), again (a
 * read, write or poll is interrupted, EINTR), write (ENOSPC), file (what asks for, makes, moves, maps or locks files: EIO
 * and others), truncate (the file that is read is cut to nothing, and the read goes on). */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t alignment, size_t n);
void __libc_free(void *p);

static char kind[16];
static unsigned long first; /* 0: no call fails */
static bool from_then_on;
static atomic_ulong calls;
static atomic_long blocks, threads;

__attribute__((constructor)) static void begin(void)
{
    const char *fault = getenv("FAULT"), *colon = fault ? strchr(fault, ':') : NULL;

    if (!colon || (size_t)(colon - fault) >= sizeof kind)
        return;
    first = strtoul(colon + 1, NULL, 10);
    from_then_on = strchr(colon, '+');
    memcpy(kind, fault, (size_t)(colon - fault)); /* calls count from here on */
}

__attribute__((destructor)) static void end(void)
{
    const char *log = getenv("FAULT_LOG");
    const int fd =
        log ? (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    char line[64];

    if (fd >= 0) {
        const int n = snprintf(line, sizeof line, "%lu %ld %ld\n", (unsigned long)calls,
                               (long)blocks, (long)threads);

        syscall(SYS_write, fd, line, n);
        syscall(SYS_close, fd);
    }
}

/* Is this call of that kind to fail? */
static bool fails(const char *of)
{
    unsigned long n;

    if (strcmp(kind, of) != 0)
        return false;
    n = ++calls;
    return first && (n == first || (from_then_on && n > first));
}

static bool failed(const char *of, int error)
{
    if (!fails(of))
        return false;
    errno = error;
    return true;
}

/* ---- memory ---- */

static void *counted(void *p)
{
    blocks += p != NULL;
    return p;
}

void *malloc(size_t n)
{
    return failed("memory", ENOMEM) ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
    return failed("memory", ENOMEM) ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
    void *q = failed("memory", ENOMEM) ? NULL : __libc_realloc(p, n);

    blocks += !p && q;
    return q;
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return failed("memory", ENOMEM) ? NULL : counted(__libc_memalign(alignment, n));
}

void free(void *p)
{
    blocks -= p != NULL;
    __libc_free(p);
}

void *mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (failed(fd < 0 ? "memory" : "file", ENOMEM))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}

void *mmap64(void *at, size_t n, int protection, int flags, int fd, off_t offset)
    __attribute__((alias("mmap")));

/* ---- threads ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                   void *arg)
{
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

    if (fails("thread"))
        return EAGAIN;
    threads++;
    *(void **)&real = dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, run, arg);
}

/* ---- files ---- */

static int opened(int folder, const char *path, int flags, mode_t mode)
{
    return failed("open", EMFILE) ? -1 : (int)syscall(SYS_openat, folder, path, flags, mode);
}

int open(const char *path, int flags, ...)
{
    va_list args;
    mode_t mode;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);
    return opened(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) __attribute__((alias("open")));

int openat(int folder, const char *path, int flags, ...)
{
    return opened(folder, path, flags, 0);
}

int openat64(int folder, const char *path, int flags, ...) __attribute__((alias("openat")));

static ssize_t get(int fd, void *to, size_t n, off_t at)
{
    if (failed("read", EIO) || failed("again", EINTR))
        return -1;
    if (fails("short") && n > 1)
        n = 1;
    if (fails("truncate")) {
        char path[64];

        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        (void)!truncate(path, 0);
    }
    return at < 0 ? syscall(SYS_read, fd, to, n) : syscall(SYS_pread64, fd, to, n, at);
}

ssize_t read(int fd, void *to, size_t n)
{
    return get(fd, to, n, -1);
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    return get(fd, to, n, at);
}

ssize_t pread64(int fd, void *to, size_t n, off_t at) __attribute__((alias("pread")));

static ssize_t read_stream(void *cookie, char *to, size_t n)
{
    ssize_t got;

    while ((got = get((int)(intptr_t)cookie, to, n, -1)) < 0 && errno == EINTR)
        ; /* as libc's own streams do not, and SA_RESTART does for them */
    return got;
}

static int close_stream(void *cookie)
{
    return close((int)(intptr_t)cookie);
}

/* To read: libc's own stream would read past what stands here. */
FILE *fopen(const char *path, const char *mode)
{
    const cookie_io_functions_t functions = {.read = read_stream, .close = close_stream};
    const int fd = opened(AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
    FILE *file = fd >= 0 ? fopencookie((void *)(intptr_t)fd, mode, functions) : NULL;

    if (fd >= 0 && !file)
        close(fd);
    return file;
}

FILE *fopen64(const char *path, const char *mode) __attribute__((alias("fopen")));

ssize_t write(int fd, const void *from, size_t n)
{
    if (fd != STDERR_FILENO && (failed("write", ENOSPC) || failed("again", EINTR)))
        return -1;
    if (fails("short") && n > 1)
        n = 1;
    return syscall(SYS_write, fd, from, n);
}

int poll(struct pollfd *list, nfds_t n, int ms)
{
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

    return failed("again", EINTR)
               ? -1
               : (int)syscall(SYS_ppoll, list, n, ms < 0 ? NULL : &time, NULL, 0);
}

int fstat(int fd, struct stat *st)
{
    return failed("file", EIO) ? -1 : (int)syscall(SYS_newfstatat, fd, "", st, AT_EMPTY_PATH);
}

int fstat64(int fd, struct stat64 *st) __attribute__((alias("fstat")));

static int status_of(int folder, const char *path, struct stat *st, int flags)
{
    return failed("file", EIO) ? -1 : (int)syscall(SYS_newfstatat, folder, path, st, flags);
}

int stat(const char *path, struct stat *st)
{
    return status_of(AT_FDCWD, path, st, 0);
}

int stat64(const char *path, struct stat64 *st) __attribute__((alias("stat")));

int lstat(const char *path, struct stat *st)
{
    return status_of(AT_FDCWD, path, st, AT_SYMLINK_NOFOLLOW);
}

int lstat64(const char *path, struct stat64 *st) __attribute__((alias("lstat")));

int fstatat(int folder, const char *path, struct stat *st, int flags)
{
    return status_of(folder, path, st, flags);
}

int fstatat64(int folder, const char *path, struct stat64 *st, int flags)
    __attribute__((alias("fstatat")));

int access(const char *path, int mode)
{
    return failed("file", EIO) ? -1 : (int)syscall(SYS_faccessat, AT_FDCWD, path, mode, 0);
}

int mkdir(const char *path, mode_t mode)
{
    return failed("file", EIO) ? -1 : (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
}

int rename(const char *from, const char *to)
{
    return failed("file", EIO) ? -1 : (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int dup(int fd)
{
    return failed("file", EMFILE) ? -1 : (int)syscall(SYS_dup, fd);
}

int flock(int fd, int how)
{
    return failed("file", ENOLCK) ? -1 : (int)syscall(SYS_flock, fd, how);
}

int fchmod(int fd, mode_t mode)
{
    return failed("file", EPERM) ? -1 : (int)syscall(SYS_fchmod, fd, mode);
}

int fchown(int fd, uid_t user, gid_t group)
{
    return failed("file", EPERM) ? -1 : (int)syscall(SYS_fchown, fd, user, group);
}

char *realpath(const char *path, char *to)
{
    char *(*real)(const char *, char *);

    if (failed("file", EIO))
        return NULL;
    *(void **)&real = dlsym(RTLD_NEXT, "realpath");
    return real(path, to);
}

off_t lseek(int fd, off_t at, int whence)
{
    return failed("file", EIO) ? -1 : syscall(SYS_lseek, fd, at, whence);
}

off_t lseek64(int fd, off_t at, int whence) __attribute__((alias("lseek")));
