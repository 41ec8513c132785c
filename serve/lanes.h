/* lanes.h - the last steps as each worker ran its tiles, for the page. Steps are recorded while somebody looks, and two
 * seconds longer; else a step costs a look at the clock. What is kept is bounded, whoever looks and however slowly. */
#ifndef DG_SERVE_LANES_H
#define DG_SERVE_LANES_H

#include "server.h"
#include "text.h"

/* Under the lock: somebody looks. Adds {"since", "workers", "steps": [...]} with the steps behind number `after` that
 * are kept, at most 32 and 1 MiB, each as
 *   {"step": its number, "start", "took": ns, "rows": n, "texts": [request, text, rows, ...],
 *    "ops": [[name, type, layer], ...], "tiles": [worker, op, tile, r0, r1, wait, took, ...]}
 * "since" tells one run of the server from another, and start counts from there. "texts" says whose the rows are, from
 * the first on. Tiles come worker by worker, each in the order in which it ran them; `wait` is since the tile before
 * it, of the first since the step began. r0 ... r1 - 1 are rows of the op's output: where that has fewer than the
 * step, they are its last ones. */
void lanes_write(struct bytes *to, struct server *s, uint64_t after);

/* ---- of the thread that runs the steps, around an eval ---- */

/* The eval's step is recorded, if somebody looks. */
void lanes_begin(struct server *s);

/* The eval is done: its step is kept under that number, which is above all before it. `owners`: the texts of the
 * parts. One that the engine made in several steps, as it does with more rows than positions, is not kept. */
void lanes_end(struct server *s, uint64_t number, const struct dg_part *parts,
               struct text *const *owners, size_t n_parts);

/* Gives all of it back. */
void lanes_close(void);

#endif
