/* sequence.h - what can be known of a sequence before there is one. */
#ifndef DG_MODEL_SEQUENCE_H
#define DG_MODEL_SEQUENCE_H

#include "../dagpt.h"

/* Memory for the keys and values of one sequence of a model of those sizes; 0: it cannot be addressed. */
size_t dg_sequence_cache_bytes(const struct dg_sizes *sizes);

#endif
