/* text.h - one text that is being made: its ids, and what is known of it and was not told yet. Belongs to the thread
 * that runs the steps. */
#ifndef DG_SERVE_TEXT_H
#define DG_SERVE_TEXT_H

#include "../tools/cli/stream.h"
#include "bytes.h"
#include "request.h"

#include <jansson.h>

enum finish { FINISH_NOT, FINISH_STOP, FINISH_LENGTH };

struct job;

struct text {
    struct job *job;
    const struct request *r;
    const struct prompt *prompt;
    const struct served *s;
    unsigned index; /* of the request's texts */

    struct dg_sequence *sequence; /* NULL: it does not run, or waits for the prompt of `first` */
    struct text *first;           /* the one that reads the prompt for it; NULL: itself */
    struct dg_sampler *sampler;
    int32_t *ids;    /* [n], prompt and new ones; the engine has seen the first of them */
    size_t n, n_new; /* new ones, but for one that ends the text */
    bool is_new;     /* it has come on in the step at hand */
    enum finish finish;
    struct stream out;
    struct bytes told;                                /* text that was released */
    json_t *tokens, *logprobs, *candidates, *offsets; /* of it, where they are asked for */
    size_t n_chars;                                   /* before the next token */
    uint64_t last_at; /* nanoseconds; of the last token; 0: there was none */
};

/* A text of a prompt; it cannot run yet. */
void text_init(struct text *t, struct job *job, const struct request *r, const struct served *s,
               const struct prompt *p, unsigned index);

/* Takes what it needs to run; the sequence is set by the caller. False: no memory. */
bool text_open(struct text *t);

/* Gives all of that back; what was not told stays. */
void text_close(struct text *t);
void text_free(struct text *t);

/* Are the logits of the prompt's ids asked for? */
bool text_wants_prompt(const struct text *t);

/* Notes the ids of the prompt behind first ... first + n - 1, by the logits [n][vocab] of those. */
void text_note_prompt(struct text *t, size_t first, size_t n, const float *logits);

/* The notes of a text of the same prompt. */
void text_copy_notes(struct text *t, const struct text *from);

/* The next id, drawn from its logits. The text may be at its end then: t->finish. */
enum dg_status text_draw(struct text *t, const float *logits, struct dg_error *err);

/* The text is at its end. */
void text_end(struct text *t, enum finish finish);

/* Did memory run out? What was told is then not whole. */
bool text_failed(const struct text *t);

#endif
