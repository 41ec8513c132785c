/* gguf.h - numbers of GGUF files, for their reader (gguf.c) and who writes them. */
#ifndef DG_MODEL_FORMATS_GGUF_H
#define DG_MODEL_FORMATS_GGUF_H

enum dg_gguf_type {
    DG_GGUF_U8,
    DG_GGUF_I8,
    DG_GGUF_U16,
    DG_GGUF_I16,
    DG_GGUF_U32,
    DG_GGUF_I32,
    DG_GGUF_F32,
    DG_GGUF_BOOL,
    DG_GGUF_STRING,
    DG_GGUF_ARRAY,
    DG_GGUF_U64,
    DG_GGUF_I64,
    DG_GGUF_F64,
    DG_GGUF_TYPES
};

enum dg_ggml_type { DG_GGML_F32 = 0, DG_GGML_F16 = 1, DG_GGML_Q8_0 = 8, DG_GGML_BF16 = 30 };

/* tokenizer.ggml.token_type */
enum { DG_GGUF_NORMAL = 1, DG_GGUF_CONTROL = 3, DG_GGUF_USER_DEFINED = 4 };

#endif
