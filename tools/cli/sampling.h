/* sampling.h - how ids are drawn: the options as they were given, and the defaults of the others. */
#ifndef DG_TOOLS_SAMPLING_H
#define DG_TOOLS_SAMPLING_H

#include "options.h"
#include "../../src/dagpt.h"

extern const struct cli_option cli_sampling_options[];

/* Both leave with 2 where two that were given contradict each other. */
const char *cli_sampling_given(void); /* the name of one that was given, or NULL */
struct dg_sampling cli_sampling(void);

/* Where another program than dagpt has set it, not 0: what the clock tells --seed. */
extern uint64_t cli_seed_clock;

/* A sampler; leaves when there can be none. It is freed when the program leaves, or asks for the next. */
struct dg_sampler *cli_sampler(uint32_t vocab, const struct dg_sampling *how);

#endif
