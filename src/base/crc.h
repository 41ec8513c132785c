/* crc.h - CRC-32 as zlib, PNG and Ethernet have it: polynomial 0xEDB88320, reflected, begun and ended with all
 * ones. It finds damage, and is no protection against forgery. */
#ifndef DG_BASE_CRC_H
#define DG_BASE_CRC_H

#include <stddef.h>
#include <stdint.h>

/* What a sum is computed with; dg_crc_tables() fills it, in some microseconds. */
struct dg_crc {
    uint32_t table[8][256];
};

void dg_crc_tables(struct dg_crc *crc);

/* The sum of what has the sum `before` (0: of nothing) and data[0 ... n - 1] behind it. */
uint32_t dg_crc(const struct dg_crc *crc, uint32_t before, const void *data, size_t n);

#endif
