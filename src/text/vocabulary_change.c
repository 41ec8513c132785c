/* A tokenizer with other tokens. Its tables have their sizes, so it is made anew, of its own lists. */
#include "vocabulary_write.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { PAD_BYTES = 24 }; /* for "[PAD16777216]" */

/* Tokens of the lists as dg_vocabulary_of_lists() takes them: special ones and added ones by their bytes. */
static void unspell(struct dg_vocabulary_lists *l)
{
    for (uint32_t id = 0; id < l->t->n; id++)
        if (l->tokens[id].kind != DG_TOKEN_PLAIN)
            l->tokens[id].text = dg_tokenizer_bytes(l->t, (int32_t)id, &l->tokens[id].n);
}

/* *t of its tokens with ids below `kept`, and others, whose ids may be those of some of them, which they replace. */
static enum dg_status make_again(struct dg_tokenizer **t, uint32_t kept,
                                 const struct dg_token_text *others, size_t n, const char *name,
                                 struct dg_error *err)
{
    struct dg_vocabulary_lists l;
    struct dg_token_text *all = NULL;
    struct dg_tokenizer *again = NULL;
    enum dg_status st = dg_vocabulary_lists(&l, *t, err);
    size_t n_all = kept;

    if (st != DG_OK)
        return st;
    unspell(&l);
    all = malloc((n_all + n) * sizeof *all);
    if (!all) {
        st = dg_fail_memory(err, "a tokenizer", (n_all + n) * sizeof *all);
    } else {
        memcpy(all, l.tokens, n_all * sizeof *all);
        for (size_t i = 0; i < n; i++) {
            if (others[i].id < kept)
                all[others[i].id] = others[i];
            else
                all[n_all++] = others[i];
        }
        st = dg_vocabulary_of_lists(&again, name, all, n_all, l.merges, (*t)->n_merges, err);
    }
    free(all);
    dg_vocabulary_lists_free(&l);
    if (st != DG_OK)
        return st;
    dg_vocabulary_ends(again, (*t)->begin, (*t)->end);
    dg_tokenizer_free(*t);
    *t = again;
    return DG_OK;
}

enum dg_status dg_vocabulary_extend(struct dg_tokenizer **t, const struct dg_token_text *tokens,
                                    size_t n, const char *name, struct dg_error *err)
{
    return make_again(t, (*t)->n, tokens, n, name, err);
}

/* Are all ids from `vocab` on those of special or added tokens, which are no bytes and no merge makes? */
static bool may_go(const struct dg_tokenizer *t, uint32_t vocab)
{
    uint32_t may = 0;

    for (uint32_t i = 0; i < DG_N_BYTES; i++)
        if ((uint32_t)t->id[i] >= vocab)
            return false;
    for (uint32_t i = 0; i < t->n_merges; i++)
        if ((uint32_t)t->id[t->made[i]] >= vocab)
            return false;
    for (uint32_t i = 0; i < t->n_special; i++)
        may += (uint32_t)t->id[t->special[i]] >= vocab;
    return may == t->n - vocab;
}

enum dg_status dg_vocabulary_fit(struct dg_tokenizer **t, uint32_t vocab, const char *name,
                                 struct dg_error *err)
{
    const uint32_t n = (*t)->n, more = vocab > n && vocab <= DG_MOST_TOKENS ? vocab - n : 0;
    struct dg_token_text *pads;
    enum dg_status st;
    char *text;

    if (vocab < n)
        return may_go(*t, vocab) ? make_again(t, vocab, NULL, 0, name, err) : DG_OK;
    if (more == 0)
        return DG_OK;
    pads = malloc(more * (sizeof *pads + PAD_BYTES));
    if (!pads)
        return dg_fail_memory(err, "a tokenizer", more * (sizeof *pads + PAD_BYTES));
    text = (char *)(pads + more);
    for (uint32_t i = 0; i < more; i++, text += PAD_BYTES) {
        const int length = snprintf(text, PAD_BYTES, "[PAD%" PRIu32 "]", n + i);

        pads[i] = (struct dg_token_text){text, (size_t)length, n + i, DG_TOKEN_UNUSED};
    }
    st = dg_vocabulary_extend(t, pads, more, name, err);
    free(pads);
    return st;
}
