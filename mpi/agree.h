/* agree.h - before the first step: have all ranks the same, and is nothing wrong with any of them? */
#ifndef DG_MPI_AGREE_H
#define DG_MPI_AGREE_H

#include "../src/model/model.h"

/* What a rank says of itself: with status DG_OK facts, else what is wrong. */
struct word {
    enum dg_status status;
    char *text; /* facts: "what: value", a line each, of which all ranks must have the same */
    size_t n;
};

/* LEAVES: the rank ends without an error, and so all do. */
enum { LEAVES = -1 };

/* AGREED: all have the same. DIFFERENT: they have not, on rank 0 *err, of status `differs`, says what and on which rank.
 * OVER: one leaves, and so all are to; on rank 0, if it is another, *err is what is wrong there. */
enum verdict { AGREED, DIFFERENT, OVER };

/* All ranks call it, and have the same verdict. After OVER none calls it any more. */
enum verdict agree(const struct word *own, enum dg_status differs, struct dg_error *err);

/* The facts of a program, and of a model: of its files where they lie, or of what they contain. The caller's to
 * free(). */
struct word word_of_program(int argc, char **argv);
struct word word_of_model(const struct dg_model *m, bool contents);

#endif
