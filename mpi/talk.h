/* talk.h - what rank 0 tells the others, and what they answer.
 * A step: its rows, each with the text that it is of, its position and its id. Each other rank runs the same step, and
 * answers when it is over, or cannot be. What texts begin with others, and which are gone, is told, too. */
#ifndef DG_MPI_TALK_H
#define DG_MPI_TALK_H

#include "../tools/cli/engine.h"
#include "../src/graph/op.h"
#include "../src/model/overflow.h"

/* What was sent from rank to rank, in so many steps. */
struct traffic {
    uint64_t steps, messages, bytes;
};

/* ---- rank 0 ---- */

/* Tells a step, whose answers are expected from now on, and that it is watched. */
enum dg_status talk_step(const struct dg_step *step, const int32_t *ids, uint32_t n_logits,
                         bool watched, struct dg_error *err);

/* dg_transport's. Between steps. */
void talk_text(const struct dg_sequence *s, const struct dg_sequence *from);

/* During the step, with world_lock held: has another rank said that it cannot run it? Then what is waited for may never
 * come. */
bool talk_failed(void);

/* After it: waits for all answers, unless one cannot run it. What was wrong with one is *err, what one
 * has found before what is there, *watched, where that is not NULL. */
enum dg_status talk_answers(struct traffic *sum, struct dg_overflow *watched, struct dg_error *err);

/* Asks another for what it is that answers (talk_follow()). Between steps. */
enum { TALK_CLOCK = -16, TALK_TRACE = -17 };
void talk_ask(int rank, int32_t what);

void talk_bye(void); /* there are no more steps; not after talk_failed() */

/* ---- the others ---- */

/* Runs the steps that are told, until there are no more; answer(what) what is asked. *sent: what this rank's transport
 * counts. */
void talk_follow(struct cli_engine *e, const struct traffic *sent, void (*answer)(int32_t what));

#endif
