/* limits.h - what this machine can do at most, measured: read bandwidth and the peak of fused
 * multiply-adds, by as many workers as a team has awake.
 *
 * A probe takes as long as it is told, a few milliseconds, so that it can stand right before and
 * after what is compared with it: a shared machine's speed moves from second to second.
 * Threads: the one that made the team. */
#ifndef DG_TOOLS_LIMITS_H
#define DG_TOOLS_LIMITS_H

#include "../../src/dagpt.h"

struct limits {
    unsigned workers;  /* awake at a time */
    double read_gbps;  /* 10^9 bytes a second, from memory */
    double fma_gflops; /* 10^9 float operations a second; a multiply-add is two */
};

/* As many numbers of workers as 1, 2, 4, ... CPUs can be. */
enum { LIMITS_MOST = 16 };

/* Measures both, alternately, for about `seconds` (at least three times), and gives the medians.
 * Touching as many bytes of memory comes on top of `seconds`. */
enum dg_status limits_measure_in(size_t bytes, struct dg_team *team, enum dg_isa isa,
                                 double seconds, struct limits *out, struct dg_error *err);

/* The same in memory that there is, at least a page of it. Ends soon with DG_ERR_CANCELLED when stop() is
 * not 0. */
enum dg_status limits_measure_on(const void *memory, size_t bytes, struct dg_team *team,
                                 enum dg_isa isa, double seconds, int (*stop)(void),
                                 struct limits *out, struct dg_error *err);

/* Bytes that no cache holds: twice the last-level cache that the system reports, 256 MiB to 1 GiB. */
size_t limits_beyond_caches(void);

struct limits_probe;

/* A probe that reads `bytes` bytes (rounded up to pages) round and round: as many as some work reads
 * gives the bandwidth of the caches, or of the memory, that this work reads from. Borrows the team. */
enum dg_status limits_probe_new(struct limits_probe **out, struct dg_team *team, enum dg_isa isa,
                                size_t bytes, struct dg_error *err);
void limits_probe_free(struct limits_probe *p); /* takes NULL */

/* One measurement of `seconds`: GB/s, GFLOP/s. */
double limits_read(struct limits_probe *p, double seconds);
double limits_fma(struct limits_probe *p, double seconds);

/* The median of n >= 1 numbers, which are put in order. */
double limits_median(double *values, size_t n);

#endif
