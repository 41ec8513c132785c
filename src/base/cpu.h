/* cpu.h - what this machine offers: instruction sets, and CPUs that may be used.
 * The public calls are in dagpt.h; here are the parts that tests feed with text of their own. */
#ifndef DG_BASE_CPU_H
#define DG_BASE_CPU_H

#include "../dagpt.h"

enum { DG_N_ISA = DG_ISA_NEON_DOT + 1 }; /* for tables by enum dg_isa, whose place 0 is empty */

/* Has this processor architecture kernels for it? */
bool dg_isa_built(enum dg_isa isa);

/* The next stronger one that this build and this CPU have, or DG_ISA_BEST, which is 0: no other. So
 *     for (enum dg_isa isa = DG_ISA_SCALAR; isa; isa = dg_isa_next(isa))
 * visits all of them. */
enum dg_isa dg_isa_next(enum dg_isa isa);

/* The strongest that this CPU and this build have, but none above `isa`; DG_ISA_BEST: no cap. DG_ISA_AMX only where
 * `isa` is it. */
enum dg_isa dg_isa_cap(enum dg_isa isa);

/* CPUs that a cgroup quota allows, rounded up, or 0 for "no limit" (and for text that is not one).
 * v2: the contents of cpu.max, "QUOTA PERIOD" or "max PERIOD" in microseconds.
 * v1: the contents of cpu.cfs_quota_us (-1: no limit) and cpu.cfs_period_us. */
unsigned dg_quota_v2(const char *cpu_max);
unsigned dg_quota_v1(const char *quota_us, const char *period_us);

/* The smallest quota of a process's cgroup and the groups above it. `root` is put in front of
 * every path ("" for the machine itself): it reads root/proc/self/cgroup and the files below
 * root/sys/fs/cgroup. 0: no limit. */
unsigned dg_cgroup_cpus(const char *root);

/* CPUs in the calling thread's affinity mask, however many; 0 where the system does not say. */
unsigned dg_affinity_cpus(void);

/* Bytes of the last-level cache, or 0 where the C library cannot say (glibc's can, on x86-64). */
size_t dg_cpu_cache_bytes(void);

#endif
