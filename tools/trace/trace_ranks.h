/* trace_ranks.h - what if there were several processes: a step of a trace on the pieces that a plan is cut into, each
 * with workers of its own, and links between them.
 *
 * An op keeps its distance from the machine's limits, as in trace_replay.h: what it took in the trace, all layers
 * together, beside the least that it could have taken, is what its tiles take beside their least. So the plan need not
 * be that of the trace, nor the model the same. What caches do with less to hold is not predicted, nor how long ranks
 * that share CPUs wait for each other.
 *
 * A message leaves when its sender's link is free of those before, and comes a latency after its last byte. Either side
 * spends `message_ns` of a worker on it. Rank 0 tells of a step, and hears when it is done: two latencies. */
#ifndef DG_TOOLS_TRACE_RANKS_H
#define DG_TOOLS_TRACE_RANKS_H

#include "trace_file.h"
#include "trace_replay.h"
#include "../../src/graph/whole.h"

struct ranks_link {
    double latency_ns, bytes_per_ns, message_ns;
};

/* What ops took beside their least, by their names without a layer. */
struct ranks_costs;

/* Of all steps that are of plans of `rows` rows with logits for `logits_rows` of them, and count. False: out of memory. */
bool ranks_costs_new(struct ranks_costs **out, const struct trace_file *t, uint32_t rows,
                     uint32_t logits_rows);
void ranks_costs_free(struct ranks_costs *c); /* takes NULL */

struct ranks_time {
    uint64_t ns;
    uint64_t busy; /* with tiles, of the rank whose workers have most to do, for each of them */
    uint64_t messages, bytes;
};

/* A step of those pieces, with `past` positions before it, on `workers` workers each, of machines of which one has
 * `sharing` of the ranks. False: out of memory. */
bool ranks_replay(struct ranks_time *out, const struct dg_whole *whole, uint32_t ranks,
                  uint32_t past, const struct ranks_costs *costs, unsigned workers,
                  unsigned sharing, const struct ranks_link *link);

#endif
