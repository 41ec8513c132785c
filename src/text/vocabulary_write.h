/* vocabulary_write.h - a tokenizer as files have it, so that who reads them makes the same one again.
 * Threads: none. */
#ifndef DG_TEXT_VOCABULARY_WRITE_H
#define DG_TEXT_VOCABULARY_WRITE_H

#include "vocabulary.h"

#include <stdio.h>

/* What dg_vocabulary_of_lists() takes. */
struct dg_vocabulary_lists {
    const struct dg_tokenizer *t;
    struct dg_token_text
        *tokens; /* [t->n] by id; all in GPT-2's printable characters, those that are special or
                                   * added, too: their bytes are dg_tokenizer_bytes(). None is DG_TOKEN_UNUSED. */
    struct dg_merge_text *merges; /* [t->n_merges] by rank */
    struct dg_arena *arena;
};

/* The tokenizer must last as long as its lists. DG_ERR_RESOURCE. */
enum dg_status dg_vocabulary_lists(struct dg_vocabulary_lists *out, const struct dg_tokenizer *t,
                                   struct dg_error *err);
void dg_vocabulary_lists_free(struct dg_vocabulary_lists *l); /* takes zeroes */

/* Can JSON have the tokens? DG_ERR_TOKEN: a special one is not UTF-8. `name` is the tokenizer's, for the error. */
enum dg_status dg_vocabulary_check_json(const struct dg_tokenizer *t, const char *name,
                                        struct dg_error *err);

/* Files of a Hugging Face folder, byte for byte as the tokenizers library writes them. Errors are left to
 * ferror(to). */
void dg_vocabulary_write_merges(const struct dg_vocabulary_lists *l, FILE *to); /* merges.txt */
void dg_vocabulary_write_vocab(const struct dg_vocabulary_lists *l, FILE *to);  /* vocab.json */
void dg_vocabulary_write_json(const struct dg_vocabulary_lists *l, FILE *to);   /* tokenizer.json */

#endif
