/* Which kind of file a tokenizer is in. */
#include "../base/kind.h"
#include "vocabulary.h"

#include <stdlib.h>

static enum dg_status refuse(const char *name, const struct dg_kind *kind, struct dg_error *err)
{
    return dg_fail(err, DG_ERR_TOKEN, "%s: kind of file: got %s, expected a tokenizer%s%s", name,
                   kind->name, kind->advice ? "; " : "", kind->advice ? kind->advice : "");
}

enum dg_status dg_tokenizer_parse(struct dg_tokenizer **out, const char *data, size_t n,
                                  const char *name, struct dg_error *err)
{
    const struct dg_kind *kind;

    if (!dg_is_place(out, err) || (n > 0 && !dg_is_given(data, "data", err)) ||
        !dg_is_given(name, "name", err))
        return DG_ERR_USAGE;
    kind = dg_kind_of(n > 0 ? data : "", n);
    if (kind && kind->id == DG_KIND_LLMC_TOKENIZER)
        return dg_tokenizer_of_llmc(out, data, n, name, err);
    if (kind && kind->id == DG_KIND_JSON)
        return dg_tokenizer_of_json(out, data, n, name, err);
    if (!kind || kind->id == DG_KIND_TEXT)
        return dg_tokenizer_of_merges(out, data, n, name, err);
    return refuse(name, kind, err);
}

/* An empty text has no merges; an empty file is a download that failed. */
enum dg_status dg_tokenizer_open(struct dg_tokenizer **out, const char *path, struct dg_error *err)
{
    enum dg_status st;
    char *text;
    size_t n;

    if (!dg_is_place(out, err) || !dg_is_given(path, "path", err))
        return DG_ERR_USAGE;
    st = dg_vocabulary_load(&text, &n, path, err);
    if (st != DG_OK)
        return st;
    st = n > 0 ? dg_tokenizer_parse(out, text, n, path, err) : refuse(path, dg_kind_of("", 0), err);
    free(text);
    return st;
}
