/* tokenizer.h - a vocabulary and its merges, as src/text and its tests see them: vocabulary.c makes them of
 * what a file says, encode.c applies them. The public calls are in dagpt.h.
 * Threads: read-only once made. */
#ifndef DG_TEXT_TOKENIZER_H
#define DG_TEXT_TOKENIZER_H

#include "../base/hash.h"
#include "../base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { DG_N_BYTES = 256 }; /* values of a byte */

#define DG_NO_MERGE UINT32_MAX /* a rank behind all others */

/* Tokens have numbers, by which merges name them, and ids, which are the file's. */
struct dg_merge {
    uint32_t left, right;
    uint32_t rank; /* + 1: how many merges stand before it in the file; 0: an empty place */
};

struct dg_tokenizer {
    struct dg_arena *arena; /* holds the tokenizer itself, too */
    uint32_t n;             /* tokens: the 256 bytes, those of merges in their order, others */
    uint32_t n_merges;
    uint32_t room;                /* for so many */
    char *bytes;                  /* of all tokens, one after the other */
    size_t *start;                /* [n + 1] where in bytes each begins */
    int32_t *id;                  /* [n] of each token */
    uint32_t *token;              /* [n] of each id */
    int32_t begin, end;           /* ids; -1: there is none */
    uint32_t of_byte[DG_N_BYTES]; /* the token of each byte */
    struct dg_merge *merges;      /* [mask + 1] by hash of left and right */
    uint32_t *made;               /* [n_merges] by rank: the token that the two become */
    uint32_t *special; /* [n_special] tokens that text is read as where that is asked for */
    uint32_t n_special, n_always; /* the first n_always: in any text */
    uint32_t *sorted, *within; /* [n_special] special.c's index: places in `special` by the tokens'
                                      * bytes; the longest other one, in that order, that it begins with */
    bool starts_special[DG_N_BYTES]; /* with this byte one of those begins */
    uint32_t *strings;      /* [mask + 1] by hash of a token's bytes: its number + 1, or 0 */
    size_t mask;            /* a power of 2, minus 1; at most half of the places are taken */
    struct dg_hash_key key; /* half[0] is odd */
};

/* The place of that merge, or the empty one where it would be. In the header since encoding asks it
 * of each pair of neighbours. */
static inline struct dg_merge *dg_merge_at(const struct dg_tokenizer *t, uint32_t left,
                                           uint32_t right)
{
    const uint64_t key = (uint64_t)left << 32 | right;

    /* An odd factor that is not known beforehand: no two merges meet more often than by chance. */
    for (size_t i = (size_t)((key * t->key.half[0]) >> 32);; i++) {
        struct dg_merge *m = &t->merges[i & t->mask];

        if (m->rank == 0 || (m->left == left && m->right == right))
            return m;
    }
}

/* The rank of two neighbours' merge; DG_NO_MERGE: they have none. */
static inline uint32_t dg_merge_rank(const struct dg_tokenizer *t, uint32_t left, uint32_t right)
{
    return dg_merge_at(t, left, right)->rank - 1;
}

/* The tokens of s[0 ... n - 1], 1 <= n <= DG_BPE_MOST, as one piece, to token[n]; their number. */
enum { DG_BPE_MOST = 256 };
uint32_t dg_bpe(const struct dg_tokenizer *t, const char *s, uint32_t n, uint32_t *token);

/* dg_tokenizer_encode with another window: pieces longer than `window` bytes (>= 1) are encoded in
 * parts of so many. The ids do not depend on it. */
enum dg_status dg_tokenizer_encode_by(const struct dg_tokenizer *t, size_t window, const char *text,
                                      size_t n, int32_t **ids, size_t *n_ids, struct dg_error *err);

/* Bytes at the beginning of text[0 ... n - 1] that have the same ids whatever follows the n: these
 * bytes' ids and then those of all behind them are the ids of the whole. 0: none have, yet. With
 * `special`, as dg_tokenizer_encode_special() reads text. Time: proportional to n. */
size_t dg_tokenizer_border(const struct dg_tokenizer *t, const char *text, size_t n, bool special);

#endif
