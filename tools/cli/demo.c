/* The assembler copies the files: a C array of 6 MB would take the compiler a minute. */
#include "demo.h"

#define EMBED(name, path)                                                                          \
    __asm__(".section .rodata\n"                                                                   \
            ".balign 64\n"                                                                         \
            ".global " #name "\n" #name ":\n"                                                      \
            ".incbin \"" path "\"\n"                                                               \
            ".global " #name "_end\n" #name "_end:\n"                                              \
            ".previous\n")

EMBED(demo_model, "models/demo/demo.bin");
EMBED(demo_merges, "models/demo/merges.txt");
