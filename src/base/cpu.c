/* An instruction set counts as there when the CPU and the operating system have all that its file
 * of kernels is compiled with (Makefile), since the compiler may use any of it there.
 *
 * Usable CPUs are the affinity mask's, and no more than the cgroup's quota: a container of 2 CPUs
 * on a machine of 64 often sees all 64 in its mask, and when that many workers spin, the system
 * stops all of them for most of each period. Quotas are parsed from strings, below a root that is
 * given, so that tests need no cgroup. */
#include "cpu.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <cpuid.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#elif defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

enum { MOST_CPUS = 1 << 20 }; /* of an affinity mask; Linux is built for 8,192 at most */

static const char *const isa_names[DG_N_ISA] = {
    [DG_ISA_BEST] = "best",         [DG_ISA_SCALAR] = "scalar",
    [DG_ISA_AVX2] = "avx2",         [DG_ISA_AVX_VNNI] = "avx-vnni",
    [DG_ISA_AVX512] = "avx512",     [DG_ISA_AVX512_VNNI] = "avx512-vnni",
    [DG_ISA_AMX] = "amx",           [DG_ISA_NEON] = "neon",
    [DG_ISA_NEON_DOT] = "neon-dot",
};

/* dg_isa_built() is whether this architecture has it; is_here(), which it implies, whether this CPU does. AVX-VNNI
 * and AVX-512 come each without the other. */
#if defined(__x86_64__)
bool dg_isa_built(enum dg_isa isa)
{
    return isa >= DG_ISA_SCALAR && isa <= DG_ISA_AMX;
}

static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
}

/* Leaf 7, part 1, eax, bit 4: not every compiler's __builtin_cpu_supports() knows its name. */
static bool has_avx_vnni(void)
{
    unsigned a = 0, b, c, d;

    return has_avx2() && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a >> 4 & 1);
}

static bool has_avx512_vnni(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512vnni");
}

/* Leaf 7, part 0, edx, bits 24 and 25: tiles, and their products of bytes. Linux grants a process their registers when
 * it asks: ARCH_REQ_XCOMP_PERM for XTILEDATA. DG_NO_AMX: the compiler had no instructions for them. */
#if defined(__linux__) && !defined(DG_NO_AMX)
static bool has_amx(void)
{
    unsigned a = 0, b, c, d = 0;

    if (!has_avx512_vnni() || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || (d >> 24 & 3) != 3)
        return false;
    return syscall(SYS_arch_prctl, 0x1023, 18) == 0;
}
#else
static bool has_amx(void)
{
    return false;
}
#endif

static bool is_here(enum dg_isa isa)
{
    __builtin_cpu_init();
    if (isa == DG_ISA_AVX2)
        return has_avx2();
    if (isa == DG_ISA_AVX_VNNI)
        return has_avx_vnni();
    if (isa == DG_ISA_AVX512)
        return has_avx512();
    if (isa == DG_ISA_AVX512_VNNI)
        return has_avx512_vnni();
    if (isa == DG_ISA_AMX)
        return has_amx();
    return isa == DG_ISA_SCALAR;
}
#elif defined(__aarch64__)
bool dg_isa_built(enum dg_isa isa)
{
    return isa == DG_ISA_SCALAR || isa == DG_ISA_NEON || isa == DG_ISA_NEON_DOT;
}

#if defined(__linux__)
static bool has_dot(void)
{
    return getauxval(AT_HWCAP) >> 20 & 1; /* HWCAP_ASIMDDP */
}
#else
static bool has_dot(void)
{
    return false;
}
#endif

/* NEON is part of the architecture. */
static bool is_here(enum dg_isa isa)
{
    return isa == DG_ISA_NEON_DOT ? has_dot() : dg_isa_built(isa);
}
#else
bool dg_isa_built(enum dg_isa isa)
{
    return isa == DG_ISA_SCALAR;
}

static bool is_here(enum dg_isa isa)
{
    return isa == DG_ISA_SCALAR;
}
#endif

enum dg_isa dg_isa_cap(enum dg_isa isa)
{
    const bool tiles = isa == DG_ISA_AMX; /* nobody else asks the system for them */

    if (isa == DG_ISA_BEST)
        isa = DG_N_ISA - 1;
    while ((isa == DG_ISA_AMX && !tiles) || !is_here(isa))
        isa--;
    return isa;
}

enum dg_isa dg_isa_best(void)
{
    return dg_isa_cap(DG_ISA_BEST);
}

enum dg_isa dg_isa_next(enum dg_isa isa)
{
    while ((int)++isa < DG_N_ISA)
        if (is_here(isa))
            return isa;
    return DG_ISA_BEST;
}

const char *dg_isa_name(enum dg_isa isa)
{
    return (unsigned)isa < DG_N_ISA ? isa_names[isa] : "unknown";
}

static unsigned quota(long long quota_us, long long period_us)
{
    uint64_t cpus;

    if (quota_us <= 0 || period_us <= 0)
        return 0;
    cpus = (uint64_t)(quota_us / period_us) + (quota_us % period_us != 0);
    return cpus < UINT_MAX ? (unsigned)cpus : UINT_MAX;
}

unsigned dg_quota_v2(const char *cpu_max)
{
    long long q, p;

    return sscanf(cpu_max, "%lld %lld", &q, &p) == 2 ? quota(q, p) : 0;
}

unsigned dg_quota_v1(const char *quota_us, const char *period_us)
{
    return quota(strtoll(quota_us, NULL, 10), strtoll(period_us, NULL, 10));
}

/* The start of a small file, as a string; empty when there is none. */
static void read_text(const char *path, char *buf, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n = 0;

    if (f) {
        n = fread(buf, 1, size - 1, f);
        fclose(f);
    }
    buf[n] = '\0';
}

static unsigned smaller(unsigned a, unsigned b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* The quota of one group folder, v2 or v1. */
static unsigned folder_quota(const char *folder, bool v2)
{
    char path[4352], a[64], b[64];

    if (v2) {
        snprintf(path, sizeof path, "%s/cpu.max", folder);
        read_text(path, a, sizeof a);
        return dg_quota_v2(a);
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", folder);
    read_text(path, a, sizeof a);
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", folder);
    read_text(path, b, sizeof b);
    return dg_quota_v1(a, b);
}

/* The smallest quota from mount/group up to mount: a limit on a group binds those below it. In a
 * container the path may name a group that is not visible; its folders then read as empty. */
static unsigned walk_up(const char *mount, const char *group, bool v2)
{
    char folder[4224];
    const size_t stop = strlen(mount);
    unsigned cpus = 0;
    char *slash;

    snprintf(folder, sizeof folder, "%s%s", mount, group);
    for (;;) {
        cpus = smaller(cpus, folder_quota(folder, v2));
        slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < stop)
            break;
        *slash = '\0';
    }
    return cpus;
}

/* True when the comma-separated list holds the word. */
static bool lists(const char *list, const char *word)
{
    const size_t n = strlen(word);

    for (const char *at = list; (at = strstr(at, word)); at += n)
        if ((at == list || at[-1] == ',') && (at[n] == '\0' || at[n] == ','))
            return true;
    return false;
}

/* One line of /proc/self/cgroup is ID:CONTROLLERS:PATH. v2 has ID 0 and no controllers and is
 * mounted at /sys/fs/cgroup (or, beside v1, at /sys/fs/cgroup/unified); v1's cpu controller is at
 * /sys/fs/cgroup/cpu. */
unsigned dg_cgroup_cpus(const char *root)
{
    char line[4096], mount[256];
    unsigned cpus = 0;
    FILE *f;

    snprintf(line, sizeof line, "%s/proc/self/cgroup", root);
    f = fopen(line, "re");
    if (!f)
        return 0;
    while (fgets(line, sizeof line, f)) {
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;

        if (!group)
            continue;
        *controllers++ = '\0';
        *group++ = '\0';
        group[strcspn(group, "\n")] = '\0';
        if (strcmp(line, "0") == 0 && *controllers == '\0') {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup", root);
            cpus = smaller(cpus, walk_up(mount, group, true));
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/unified", root);
            cpus = smaller(cpus, walk_up(mount, group, true));
        } else if (lists(controllers, "cpu")) {
            snprintf(mount, sizeof mount, "%s/sys/fs/cgroup/cpu", root);
            cpus = smaller(cpus, walk_up(mount, group, false));
        }
    }
    fclose(f);
    return cpus;
}

/* What Linux or glibc alone can say, and what stands for it elsewhere. */
#if defined(__linux__)
/* The kernel refuses a set with less room than its own has: that of every CPU that there could be. */
unsigned dg_affinity_cpus(void)
{
    unsigned cpus = 0;
    bool more = true;

    for (size_t room = CPU_SETSIZE; more && room <= MOST_CPUS; room *= 2) {
        const size_t bytes = CPU_ALLOC_SIZE(room);
        cpu_set_t *set = CPU_ALLOC(room);
        const bool known = set && sched_getaffinity(0, bytes, set) == 0;

        more = set && !known && errno == EINVAL;
        if (known)
            cpus = (unsigned)CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
    }
    return cpus;
}
#else
unsigned dg_affinity_cpus(void)
{
    return 0;
}
#endif

unsigned dg_usable_cpus(void)
{
    const unsigned allowed = dg_affinity_cpus();
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    const unsigned cpus = allowed ? allowed : online > 0 ? (unsigned)online : 1;

    return smaller(cpus, dg_cgroup_cpus(""));
}

size_t dg_cpu_cache_bytes(void)
{
#if defined(_SC_LEVEL3_CACHE_SIZE)
    const long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);

    return bytes > 0 ? (size_t)bytes : 0;
#else
    return 0;
#endif
}
