/* Which kind of file a tokenizer is in. */
#include "../base/file.h"
#include "../base/kind.h"
#include "vocabulary.h"

#include <stdlib.h>
#include <string.h>

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
    return dg_fail(err, DG_ERR_TOKEN, "%s: kind of file: got %s, expected a tokenizer%s%s", name,
                   kind->name, kind->advice ? "; " : "", kind->advice ? kind->advice : "");
}

enum dg_status dg_tokenizer_open(struct dg_tokenizer **out, const char *path, struct dg_error *err)
{
    struct dg_file file;
    enum dg_status st;
    char *text;
    int failed;

    if (!dg_is_place(out, err) || !dg_is_given(path, "path", err))
        return DG_ERR_USAGE;
    st = dg_file_open(&file, path, err);
    if (st != DG_OK) {
        if (err)
            err->status = DG_ERR_TOKEN;
        return DG_ERR_TOKEN;
    }
    text = file.bytes < SIZE_MAX ? malloc(file.bytes + 1) : NULL;
    if (!text) {
        dg_file_close(&file);
        return dg_fail_memory(err, path, file.bytes);
    }
    failed = dg_file_read(&file, 0, text, file.bytes);
    dg_file_close(&file);
    if (failed)
        st = dg_fail(err, DG_ERR_IO, "%s: cannot read: %s", path, strerror(failed));
    else
        st = dg_tokenizer_parse(out, text, file.bytes, path, err);
    free(text);
    return st;
}
