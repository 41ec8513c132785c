/* reference.h - the texts of tests/golden/tokens.jsonl, with the ids that GPT-2's reference tokenizer gives. */
#ifndef DG_TESTS_REFERENCE_H
#define DG_TESTS_REFERENCE_H

#include "support.h"
#include "../../src/dagpt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void expect_reference(const struct dg_tokenizer *t, const char *text, size_t n,
                              const int32_t *ids, size_t n_ids);

/* A line: {"hex":"6162","ids":[397]}. */
static inline void reference_line(const struct dg_tokenizer *t, expect_reference *expect,
                                  const char *line)
{
    const char *hex = strstr(line, "\"hex\":\""), *list = strstr(line, "\"ids\":[");
    char text[4096];
    int32_t ids[4096];
    size_t n = 0, n_ids = 0;
    unsigned byte;

    ck_assert_msg(hex && list && strlen(line) < sizeof text, "%s", line);
    for (hex += strlen("\"hex\":\""); sscanf(hex, "%2x", &byte) == 1; hex += 2)
        text[n++] = (char)byte;
    ck_assert_msg(*hex == '"', "%s", line);
    for (list += strlen("\"ids\":["); *list && *list != ']'; list += *list == ',')
        ids[n_ids++] = (int32_t)strtol(list, (char **)&list, 10);
    expect(t, text, n, ids, n_ids);
}

/* Calls expect for each text. */
static inline void for_each_reference(const struct dg_tokenizer *t, expect_reference *expect)
{
    FILE *f = fopen("tests/golden/tokens.jsonl", "r");
    size_t room = 0, lines = 0;
    char *line = NULL;

    ck_assert_ptr_nonnull(f);
    for (; getline(&line, &room, f) > 0; lines++)
        reference_line(t, expect, line);
    ck_assert_uint_eq(lines, 462);
    fclose(f);
    free(line);
}

#endif
