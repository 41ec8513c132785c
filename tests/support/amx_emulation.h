/* amx_emulation.h - in place of AMX's instructions, calls of check_amx.c's functions: gcc -include puts it before
 * src/ops/kernels/amx.c, and the compiler need not know them. */
#ifndef TESTS_SUPPORT_AMX_EMULATION_H
#define TESTS_SUPPORT_AMX_EMULATION_H

#include <immintrin.h>

void emulated_load_config(const void *memory);
void emulated_release(void);
void emulated_zero(int t);
void emulated_load(int t, const void *memory, long stride);
void emulated_store(int t, void *memory, long stride);
void emulated_multiply(int c, int a, int b);

#undef DG_NO_AMX
#undef _tile_loadconfig
#undef _tile_release
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbsud
#define _tile_loadconfig emulated_load_config
#define _tile_release    emulated_release
#define _tile_zero       emulated_zero
#define _tile_loadd      emulated_load
#define _tile_stored     emulated_store
#define _tile_dpbsud     emulated_multiply
#define dg_matmul_amx    emulated_matmul

#endif
