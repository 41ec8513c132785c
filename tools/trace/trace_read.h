/* trace_read.h - what the parts of trace_file.c share: a place in the text, and how values are read there.
 *
 * Every function that reads stops at the first error, which stays in r->j.error. */
#ifndef DG_TOOLS_TRACE_READ_H
#define DG_TOOLS_TRACE_READ_H

#include "../../src/base/json.h"
#include "../../src/base/status.h"

struct trace_file;
struct trace_plan;

struct trace_reader {
    struct trace_file *t; /* that is being filled */
    const char *name;     /* for errors */
    struct dg_json j;
    size_t bytes; /* of the text */
    size_t slice_room;
    uint32_t version; /* of the format */
};

/* Room for element n of a list; what is new is zeroed. */
bool trace_grow(struct trace_reader *r, void *list, size_t n, size_t *room, size_t size);

/* A whole number from `least` to `most`. */
bool trace_read_count(struct trace_reader *r, double least, double most, double *out);
bool trace_read_u32(struct trace_reader *r, uint32_t most, uint32_t *out);
bool trace_read_u64(struct trace_reader *r, uint64_t *out);

/* A string of any length instead of *out, which is freed. */
bool trace_read_text(struct trace_reader *r, char **out);

/* Microseconds to ns. */
bool trace_read_time(struct trace_reader *r, uint64_t *out);

/* ---- the parts, in the order in which they are read ---- */

void trace_read_facts(struct trace_reader *r); /* plans and steps are among them */
void trace_read_plans(struct trace_reader *r);

/* Are plans and steps what trace_file.h promises? Makes room for what ran in each step. */
enum dg_status trace_check_facts(struct trace_reader *r, struct dg_error *err);
/* *wrong: NULL, or what is wrong. False: out of memory. */
bool trace_check_plan(struct trace_plan *p, const char **wrong);

void trace_read_events(struct trace_reader *r);

/* Sorts the slices and gives each visit its own; each tile of each step has one. */
enum dg_status trace_place_slices(struct trace_reader *r, struct dg_error *err);

#endif
