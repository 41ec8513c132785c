/* completion.h - a text that the model goes on with: its ids, and the id that comes next.
 *
 * ids[0 ... n - 1] is what the model knows of the text, prompt and new ids; the engine has seen the first
 * of them, and sees the others before the next id is drawn. An id that was drawn is in the text, whatever
 * becomes of its bytes. */
#ifndef DG_TOOLS_COMPLETION_H
#define DG_TOOLS_COMPLETION_H

#include "engine.h"

enum finish {
    FINISH_NOT, /* there is a next id */
    FINISH_EOS,
    FINISH_STOP,
    FINISH_LENGTH,
    FINISH_POSITIONS,
    FINISH_INTERRUPTED,
};

struct completion {
    struct dg_sizes sizes;
    const struct dg_tokenizer *t;
    struct cli_engine *e;
    struct dg_sampler *sampler;
    size_t window;   /* ids that are read anew when the positions are used up; 0: that is the end */
    bool ignore_eos; /* go on after <|endoftext|> */

    int32_t *prompt, *ids; /* [positions], [positions + 1] */
    size_t n_prompt, n;
    uint64_t number; /* of the text, for ahead.h; completion_begin() counts on */
    size_t n_drawn;  /* since then */
    bool astray;     /* the engine has seen ids that this text does not have */
    size_t cut; /* ids that the prompt had before it was cut to the window; 0: it was not cut */

    /* What is to be evaluated for the next id, since somebody asked for it. */
    bool asked, windowed;
    size_t n_asked;
    double asked_at;

    /* Since completion_begin(). */
    size_t n_before,
        n_new;     /* ids before the first new one; new ones, but for an <|endoftext|> that ends */
    size_t n_read; /* of those before, evaluated for the first new one */
    size_t n_decoded, n_windows;
    double read_seconds, decode_seconds, window_seconds;
};

/* Takes room for the ids; sizes and window are set. Leaves with 2 when that window cannot be, and with 6
 * without memory. */
void completion_open(struct completion *c);
void completion_close(struct completion *c);

/* A new text begins with this prompt: any bytes; none are the beginning of a text. DG_ERR_TOKEN when it has
 * more ids than the model positions and there is no window, and the text before is then as it was. */
enum dg_status completion_prompt(struct completion *c, const char *bytes, size_t n,
                                 struct dg_error *err);

/* The text is its prompt again. The engine keeps what it has seen of that. */
void completion_rewind(struct completion *c);

/* From here on ids are counted and timed. */
void completion_begin(struct completion *c);

/* The ids that have to be evaluated before the next one is drawn, and those that can be ahead: (*ids)[0 ... *n - 1];
 * *n may be 0. May be asked again when some of them are. FINISH_NOT, or why there will be no next id. */
enum finish completion_wants(struct completion *c, const int32_t **ids, size_t *n);

/* The first n of them are evaluated next, and nothing else before that. Returns how many of these, the last, with
 * logits; 0: there are more to be evaluated before an id is drawn. */
size_t completion_takes(struct completion *c, size_t n);

/* Once they are: draws the next id. As completion_next(). */
enum finish completion_draw(struct completion *c, int32_t *id);

/* Both, with an eval between them. Draws the next id; FINISH_NOT, or why there is none. cli_logits() are those it was drawn from. Leaves
 * with 3 when they are not finite. */
enum finish completion_next(struct completion *c, int32_t *id);

#endif
