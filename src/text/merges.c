/* A merges file (merges.txt, vocab.bpe): a merge a line. GPT-2's vocabulary follows from it alone: ids
 * 0 ... 255 are the bytes, each line joins two tokens to the one with the next id, and <|endoftext|> is the
 * last. So no vocabulary file is read, and none can disagree with the merges. */
#include "vocabulary.h"

#include <string.h>

struct lines {
    const char *at, *end;
    uint32_t number; /* of the line last read, from 1 */
};

/* The next line, without its end. False: there is none. */
static bool next_line(struct lines *l, const char **line, size_t *n)
{
    const char *end;

    if (l->at == l->end)
        return false;
    end = memchr(l->at, '\n', (size_t)(l->end - l->at));
    *line = l->at;
    *n = (size_t)((end ? end : l->end) - l->at);
    l->at = end ? end + 1 : l->end;
    if (*n > 0 && (*line)[*n - 1] == '\r')
        (*n)--;
    l->number++;
    return true;
}

static size_t count_lines(const char *text, size_t n)
{
    size_t lines = 1;

    for (const char *end = text + n; (text = memchr(text, '\n', (size_t)(end - text))); text++)
        lines++;
    return lines;
}

/* Ids are the tokens' numbers. */
static enum dg_status number(struct dg_tokenizer *t, const char *name, struct dg_error *err)
{
    const uint32_t end = dg_vocabulary_other(t, DG_END_OF_TEXT, sizeof DG_END_OF_TEXT - 1);

    for (uint32_t i = 0; i < t->n; i++) {
        const enum dg_status st = dg_vocabulary_id(t, name, i, i, err);

        if (st != DG_OK)
            return st;
    }
    dg_vocabulary_special(t, end, false);
    t->begin = t->end = (int32_t)end;
    return dg_vocabulary_end(t, name, err);
}

static enum dg_status read_merges(struct dg_tokenizer *t, const char *merges, size_t n,
                                  const char *name, struct dg_error *err)
{
    static const char version[] = "#version:";
    struct lines l = {merges, merges + n, 0};
    enum dg_status st = DG_OK;
    const char *line;
    size_t length;

    while (st == DG_OK && next_line(&l, &line, &length)) {
        const bool header = l.number == 1 && length >= sizeof version - 1 &&
                            memcmp(line, version, sizeof version - 1) == 0;

        if (!header && (length > 0 || l.at < l.end)) /* the last line may be empty */
            st = dg_vocabulary_merge_line(t, (struct dg_spot){name, "line", l.number}, line, length,
                                          err);
    }
    return st == DG_OK ? number(t, name, err) : st;
}

enum dg_status dg_tokenizer_of_merges(struct dg_tokenizer **out, const char *merges, size_t n,
                                      const char *name, struct dg_error *err)
{
    const size_t lines = n > 0 ? count_lines(merges, n) : 0;
    struct dg_tokenizer *t;
    enum dg_status st;

    if (lines > DG_MOST_TOKENS)
        return dg_fail(err, DG_ERR_TOKEN, "%s: got %zu lines, expected at most %d", name, lines,
                       DG_MOST_TOKENS);
    /* a token's bytes are at most its line's */
    st = dg_vocabulary_new(&t, lines, 1, n + sizeof DG_END_OF_TEXT, err);
    if (st != DG_OK)
        return st;
    st = read_merges(t, n > 0 ? merges : "", n, name, err);
    if (st == DG_OK)
        *out = t;
    else
        dg_tokenizer_free(t);
    return st;
}
