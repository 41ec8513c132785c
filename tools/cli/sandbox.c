/* The kernel's interfaces are written out here, since not every C library comes with its headers. seccomp answers by the
 * number of a call and the numbers that it is given, and knows no paths; Landlock knows paths, and is younger (Linux 5.13).
 *
 * The filter is a list of what is refused. A list of what is allowed would be shorter in rights and longer in trouble: each
 * C library, sanitizer and version of them has calls of its own. */
#include "sandbox.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* ---- seccomp ---- */

#if defined __x86_64__
#define MACHINE 0xC000003Eu
#elif defined __aarch64__
#define MACHINE 0xC00000B7u
#elif defined __i386__
#define MACHINE 0x40000003u
#elif defined __arm__
#define MACHINE 0x40000028u
#endif

/* linux/filter.h: one instruction of the filter, and what it reads of struct seccomp_data. */
struct instruction {
    uint16_t code;
    uint8_t yes, no; /* instructions to jump over */
    uint32_t k;
};

struct program {
    uint16_t n;
    const struct instruction *list;
};

enum { LOAD = 0x20, EQUAL = 0x15, ANY_BIT = 0x45, AT_LEAST = 0x35, RETURN = 0x06 };
enum {
    DATA_NUMBER = 0,
    DATA_MACHINE = 4,
    DATA_ARGUMENTS = 16
}; /* a little-endian argument's low half */

#define ALLOW  0x7FFF0000u
#define REFUSE (0x00050000u | EPERM)

enum { SECCOMP_FILTER = 1, SECCOMP_ALL_THREADS = 1 };

#ifdef MACHINE

static const uint16_t refused[] = {
    SYS_execve,
    SYS_execveat,
    SYS_socket,
    SYS_socketpair,
    SYS_connect,
    SYS_bind,
    SYS_listen,
#ifdef SYS_socketcall
    SYS_socketcall,
#endif
#if !defined __SANITIZE_ADDRESS__ && !defined __SANITIZE_THREAD__
    SYS_ptrace, /* a sanitizer looks for leaks by it */
#endif
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_reboot,
    SYS_swapon,
    SYS_swapoff,
    SYS_setuid,
    SYS_setgid,
    SYS_setgroups,
    SYS_setreuid,
    SYS_setregid,
    SYS_setresuid,
    SYS_setresgid,
    SYS_sethostname,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_open_by_handle_at,
    SYS_quotactl,
    SYS_acct,
    425,
    426,
    427, /* io_uring: its calls pass no filter */
};

/* Refused too, where no file is to be written. */
static const uint16_t changing[] = {
    SYS_truncate,     SYS_unlinkat,  SYS_linkat,    SYS_symlinkat, SYS_mkdirat,   SYS_mknodat,
    SYS_fchmodat,     SYS_fchownat,  SYS_utimensat, SYS_setxattr,  SYS_lsetxattr, SYS_removexattr,
    SYS_lremovexattr, SYS_renameat2, 437, /* openat2: its flags lie in memory, which no filter reads */
#ifdef SYS_renameat
    SYS_renameat,
#endif
#ifdef SYS_rename
    SYS_rename,       SYS_unlink,    SYS_link,      SYS_symlink,   SYS_mkdir,     SYS_rmdir,
    SYS_mknod,        SYS_creat,     SYS_chmod,     SYS_chown,     SYS_lchown,
#endif
};

struct filter {
    struct instruction list[256];
    uint16_t n;
};

static void put(struct filter *f, uint16_t code, uint32_t k, uint8_t yes, uint8_t no)
{
    f->list[f->n++] = (struct instruction){code, yes, no, k};
}

/* With a call's number loaded: refuses it. */
static void refuse(struct filter *f, uint32_t call)
{
    put(f, EQUAL, call, 0, 1);
    put(f, RETURN, REFUSE, 0, 0);
}

/* The same, where argument `i` has one of those bits; the number is loaded anew. */
static void refuse_bits(struct filter *f, uint32_t call, unsigned i, uint32_t bits)
{
    put(f, EQUAL, call, 0, 4);
    put(f, LOAD, DATA_ARGUMENTS + 8 * i, 0, 0);
    put(f, ANY_BIT, bits, 0, 1);
    put(f, RETURN, REFUSE, 0, 0);
    put(f, LOAD, DATA_NUMBER, 0, 0);
}

static void make_filter(struct filter *f, bool writes)
{
    const uint32_t to_write = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC;

    f->n = 0;
    put(f, LOAD, DATA_MACHINE, 0, 0);
    put(f, EQUAL, MACHINE, 1, 0);
    put(f, RETURN, REFUSE, 0, 0);
    put(f, LOAD, DATA_NUMBER, 0, 0);
#ifdef __x86_64__
    put(f, AT_LEAST, 0x40000000, 0, 1); /* x32's calls */
    put(f, RETURN, REFUSE, 0, 0);
#endif
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        refuse(f, refused[i]);
    for (size_t i = 0; i < sizeof changing / sizeof *changing && !writes; i++)
        refuse(f, changing[i]);
    if (!writes) {
        refuse_bits(f, SYS_openat, 2, to_write);
#ifdef SYS_open
        refuse_bits(f, SYS_open, 1, to_write);
#endif
    }
    put(f, RETURN, ALLOW, 0, 0);
}

static bool enter_seccomp(bool writes)
{
    struct filter f;
    const struct program program = {(make_filter(&f, writes), f.n), f.list};

    return syscall(SYS_seccomp, SECCOMP_FILTER, SECCOMP_ALL_THREADS, &program) == 0;
}

#else

static bool enter_seccomp(bool writes)
{
    (void)writes;
    return false;
}

#endif

/* ---- Landlock ---- */

enum { CREATE_RULESET = 444, ADD_RULE, RESTRICT_SELF }; /* the same numbers on every machine */
enum { VERSION = 1, PATH_BENEATH = 1 };

/* linux/landlock.h: rights to files. */
enum {
    EXECUTE = 1 << 0,
    WRITE_FILE = 1 << 1,
    REMOVE_DIR = 1 << 4,
    REMOVE_FILE = 1 << 5,
    MAKE_CHAR = 1 << 6,
    MAKE_DIR = 1 << 7,
    MAKE_REG = 1 << 8,
    MAKE_SOCK = 1 << 9,
    MAKE_FIFO = 1 << 10,
    MAKE_BLOCK = 1 << 11,
    MAKE_SYM = 1 << 12,
    REFER = 1 << 13,    /* from version 2 */
    TRUNCATE = 1 << 14, /* from version 3 */
};

struct ruleset {
    uint64_t files;
};

struct beneath {
    uint64_t allowed;
    int32_t folder;
} __attribute__((packed));

static uint64_t handled(long version)
{
    return EXECUTE | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_CHAR | MAKE_DIR | MAKE_REG |
           MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK | MAKE_SYM | (version >= 2 ? REFER : 0) |
           (version >= 3 ? TRUNCATE : 0);
}

/* The folder of `path`, opened; -1: there is none. */
static int open_folder(const char *path)
{
    size_t n = strlen(path);
    char *folder;
    int fd;

    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    folder = strndup(n ? path : ".", n ? n : 1);
    fd = folder ? open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    free(folder);
    return fd;
}

/* A folder that is not there can have no file made in it, which who makes it will say. */
static void allow_beside(int ruleset, const char *path, uint64_t rights)
{
    struct beneath rule = {rights, open_folder(path)};

    if (rule.folder < 0)
        return;
    syscall(ADD_RULE, ruleset, PATH_BENEATH, &rule, 0);
    close(rule.folder);
}

static bool enter_landlock(const char *const *out, size_t n)
{
    const long version = syscall(CREATE_RULESET, NULL, 0, VERSION);
    const uint64_t rights = handled(version) & ~(uint64_t)(EXECUTE | MAKE_CHAR | MAKE_BLOCK |
                                                           MAKE_SOCK | MAKE_FIFO | MAKE_SYM);
    struct ruleset set = {handled(version)};
    bool ok;
    int fd;

    if (version < 1)
        return false;
    fd = (int)syscall(CREATE_RULESET, &set, sizeof set, 0);
    if (fd < 0)
        return false;
    for (size_t i = 0; i < n; i++)
        allow_beside(fd, out[i], rights);
    ok = syscall(RESTRICT_SELF, fd, 0) == 0;
    close(fd);
    return ok;
}

const char *sandbox_enter(const char *const *out, size_t n)
{
    bool landlock, seccomp;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return "it has neither Landlock nor seccomp: nothing is taken";
    landlock = enter_landlock(out, n);
    seccomp = enter_seccomp(n > 0);
    if (!landlock && !seccomp)
        return "it has neither Landlock nor seccomp: nothing is taken";
    if (!seccomp)
        return "it has no seccomp: sockets can be made, and other processes read";
    if (!landlock && n > 0)
        return "it has no Landlock: any file can be written";
    return NULL;
}

#else

const char *sandbox_enter(const char *const *out, size_t n)
{
    (void)out;
    (void)n;
    return "it is not Linux's: nothing is taken";
}

#endif
