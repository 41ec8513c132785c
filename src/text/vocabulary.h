/* vocabulary.h - makes a tokenizer of what a file says: the 256 bytes are tokens, then come those that merges
 * make, in their order, then others, and then each gets its id.
 * Memory:  everything is in the tokenizer's arena; texts are copied.
 * Threads: none, until the tokenizer is made. */
#ifndef DG_TEXT_VOCABULARY_H
#define DG_TEXT_VOCABULARY_H

#include "tokenizer.h"

enum { DG_MOST_TOKENS = 1 << 24 };

#define DG_MOST_TOKENIZER (256u << 20) /* bytes of a file */

/* What an error is about: "merges.txt", "line", 12. */
struct dg_spot {
    const char *name, *unit;
    uint64_t number;
};

/* A tokenizer of the 256 bytes, with room for so many merges and others, whose texts have so many bytes in
 * the file, all together. */
enum dg_status dg_vocabulary_new(struct dg_tokenizer **out, size_t merges, size_t others,
                                 size_t bytes, struct dg_error *err);

/* The next merge, of a line "left right": two tokens, in GPT-2's printable characters. DG_ERR_TOKEN: one of the
 * two is not there yet, or the merge is. All merges come before all others. */
enum dg_status dg_vocabulary_merge_line(struct dg_tokenizer *t, struct dg_spot spot,
                                        const char *line, size_t n, struct dg_error *err);

/* The next merge is that of two tokens, which had none. */
void dg_vocabulary_join(struct dg_tokenizer *t, uint32_t left, uint32_t right);

/* The character that GPT-2 writes for a byte; below U+0800. */
uint32_t dg_vocabulary_character(unsigned byte);

#define DG_NO_TOKEN UINT32_MAX

/* The token of a text in GPT-2's printable characters; if they are not that, of these bytes; DG_NO_TOKEN: there
 * is none. room[n] is written over. */
uint32_t dg_vocabulary_find_written(const struct dg_tokenizer *t, const char *text, size_t n,
                                    char *room);

/* The id of the token of these bytes; UINT64_MAX: there is none. */
uint64_t dg_vocabulary_id_of(const struct dg_tokenizer *t, const char *bytes, size_t n);

/* A token that no merge makes. It is found by its bytes, unless another is. */
uint32_t dg_vocabulary_other(struct dg_tokenizer *t, const char *bytes, size_t n);

/* A text is read as that token where that is asked for, or always. */
void dg_vocabulary_special(struct dg_tokenizer *t, uint32_t token, bool always);

/* Each token gets one id, and no two the same. dg_vocabulary_end() refuses what is left without, or an id
 * that is not below the number of tokens. */
enum dg_status dg_vocabulary_id(struct dg_tokenizer *t, const char *name, uint32_t token,
                                uint64_t id, struct dg_error *err);
enum dg_status dg_vocabulary_end(struct dg_tokenizer *t, const char *name, struct dg_error *err);

/* The ids that begin and end a text, where they are ids of it: the others stay. */
void dg_vocabulary_ends(struct dg_tokenizer *t, int32_t begin, int32_t end);

/* ---- all at once ---- */

enum dg_token_kind {
    DG_TOKEN_PLAIN,   /* in GPT-2's printable characters */
    DG_TOKEN_SPECIAL, /* bytes, from here on: a text is read as it where that is asked for */
    DG_TOKEN_ADDED,   /* in any text */
    DG_TOKEN_UNUSED,  /* never */
};

struct dg_token_text {
    const char *text;
    size_t n;
    uint64_t id;
    enum dg_token_kind kind;
};

struct dg_merge_text {
    const char *left, *right;
    size_t n_left, n_right;
};

/* A tokenizer of a list of tokens, in any order, and the merges in theirs. A token may be in the list twice,
 * with one id: then all but a plain one count. It ends with <|endoftext|>, where there is such a
 * token. DG_ERR_TOKEN. */
enum dg_status dg_vocabulary_of_lists(struct dg_tokenizer **out, const char *name,
                                      const struct dg_token_text *tokens, size_t n_tokens,
                                      const struct dg_merge_text *merges, size_t n_merges,
                                      struct dg_error *err);

#define DG_END_OF_TEXT "<|endoftext|>"

/* *t, made anew with those tokens more, or of another kind; on errors it stays. DG_ERR_TOKEN. */
enum dg_status dg_vocabulary_extend(struct dg_tokenizer **t, const struct dg_token_text *tokens,
                                    size_t n, const char *name, struct dg_error *err);

/* The same with a token for each of a model's `vocab` ids, where that needs no more than this: ids that have none
 * get one that no text is read as, "[PAD300]", as GGUF files name them; special and added tokens whose ids are
 * beyond the model's go. */
enum dg_status dg_vocabulary_fit(struct dg_tokenizer **t, uint32_t vocab, const char *name,
                                 struct dg_error *err);

/* ---- files ---- */

/* All of the file, which is the caller's to free(). DG_ERR_TOKEN where it is none, or larger than
 * DG_MOST_TOKENIZER. */
enum dg_status dg_vocabulary_load(char **text, size_t *n, const char *path, struct dg_error *err);

/* Each makes a tokenizer of a file's bytes; `name` stands for it in errors. DG_ERR_TOKEN. */
enum dg_status dg_tokenizer_of_merges(struct dg_tokenizer **out, const char *data, size_t n,
                                      const char *name, struct dg_error *err);
enum dg_status dg_tokenizer_of_llmc(struct dg_tokenizer **out, const char *data, size_t n,
                                    const char *name, struct dg_error *err);

/* The same of what dg_tokenizer_pack() makes of a tokenizer, which is the caller's to free(): the section of a
 * packed file (docs/formats/packed.md). NULL: out of memory. */
enum dg_status dg_tokenizer_of_packed(struct dg_tokenizer **out, const char *data, size_t n,
                                      const char *name, struct dg_error *err);
char *dg_tokenizer_pack(const struct dg_tokenizer *t, size_t *n);

/* vocab.json at `path`, {"token": id, ...}, must have the tokens of *t, with their ids; those that a text is read as
 * where that is asked for may be missing. DG_ERR_TOKEN. */
enum dg_status dg_vocabulary_agrees(struct dg_tokenizer **t, const char *path,
                                    struct dg_error *err);

/* *t as the files beside it complete it, which may make it anew; on errors it stays. added_tokens.json at `path`,
 * {"token": id, ...}, has further tokens, which are read in any text. special_tokens_map.json or tokenizer_config.json
 * names tokens that are special, where there are such, and among them those that begin and end a text. DG_ERR_TOKEN. */
enum dg_status dg_vocabulary_added(struct dg_tokenizer **t, const char *path, struct dg_error *err);
enum dg_status dg_vocabulary_named(struct dg_tokenizer **t, const char *path, struct dg_error *err);

enum dg_status dg_tokenizer_of_json(struct dg_tokenizer **out, const char *data, size_t n,
                                    const char *name, struct dg_error *err);

#endif
