/* What a tokenizer is asked: its size, its ids and their bytes. vocabulary.c makes one. */
#include "tokenizer.h"
#include "../base/arena.h"

void dg_tokenizer_free(struct dg_tokenizer *t)
{
    if (t)
        dg_arena_free(t->arena); /* t itself lies in it */
}

uint32_t dg_tokenizer_vocab(const struct dg_tokenizer *t)
{
    return t ? t->n : 0;
}

int32_t dg_tokenizer_end(const struct dg_tokenizer *t)
{
    return t ? t->end : -1;
}

int32_t dg_tokenizer_begin(const struct dg_tokenizer *t)
{
    return t ? t->begin : -1;
}

const char *dg_tokenizer_bytes(const struct dg_tokenizer *t, int32_t id, size_t *n)
{
    uint32_t token;

    if (!t || !n || id < 0 || (uint32_t)id >= t->n)
        return NULL;
    token = t->token[id];
    *n = t->start[token + 1] - t->start[token];
    return t->bytes + t->start[token];
}
