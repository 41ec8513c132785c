/* Which table a CPU gets. */
#include "kernels.h"
#include "../../base/cpu.h"

#include <assert.h>

const struct dg_kernels *dg_kernels_for(enum dg_isa isa)
{
    static const struct dg_kernels *const tables[DG_N_ISA] = {
        [DG_ISA_SCALAR] = &dg_kernels_scalar,
#if defined(__x86_64__)
        [DG_ISA_AVX2] = &dg_kernels_avx2,
        [DG_ISA_AVX_VNNI] = &dg_kernels_avx_vnni,
        [DG_ISA_AVX512] = &dg_kernels_avx512,
        [DG_ISA_AVX512_VNNI] = &dg_kernels_avx512_vnni,
        [DG_ISA_AMX] = &dg_kernels_amx,
#elif defined(__aarch64__)
        [DG_ISA_NEON] = &dg_kernels_neon,
        [DG_ISA_NEON_DOT] = &dg_kernels_neon_dot,
#endif
    };
    const struct dg_kernels *table = tables[dg_isa_cap(isa)];

    assert(table);
    return table;
}
