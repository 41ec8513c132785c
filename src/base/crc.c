/* Eight bytes at a time, each through a table of its own: table[i][b] is what byte b does to the sum when i more
 * bytes follow it. A table alone, byte by byte, takes four times as long: a second for GPT-2. */
#include "crc.h"
#include "platform.h"

#include <string.h>

#define POLYNOMIAL 0xEDB88320u

void dg_crc_tables(struct dg_crc *crc)
{
    for (uint32_t b = 0; b < 256; b++) {
        uint32_t sum = b;

        for (int bit = 0; bit < 8; bit++)
            sum = sum >> 1 ^ (sum & 1 ? POLYNOMIAL : 0);
        crc->table[0][b] = sum;
    }
    for (int i = 1; i < 8; i++)
        for (uint32_t b = 0; b < 256; b++) {
            const uint32_t sum = crc->table[i - 1][b];

            crc->table[i][b] = sum >> 8 ^ crc->table[0][sum & 0xff];
        }
}

uint32_t dg_crc(const struct dg_crc *crc, uint32_t before, const void *data, size_t n)
{
    const unsigned char *at = data;
    uint32_t sum = ~before;

    for (; n >= 8; n -= 8, at += 8) {
        uint32_t low, high;

        memcpy(&low, at, 4);
        memcpy(&high, at + 4, 4);
        low ^= sum;
        sum = crc->table[7][low & 0xff] ^ crc->table[6][low >> 8 & 0xff] ^
              crc->table[5][low >> 16 & 0xff] ^ crc->table[4][low >> 24] ^
              crc->table[3][high & 0xff] ^ crc->table[2][high >> 8 & 0xff] ^
              crc->table[1][high >> 16 & 0xff] ^ crc->table[0][high >> 24];
    }
    for (; n > 0; n--, at++)
        sum = sum >> 8 ^ crc->table[0][(sum ^ *at) & 0xff];
    return ~sum;
}
