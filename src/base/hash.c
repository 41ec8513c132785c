/* SipHash-2-4, by the paper of Aumasson and Bernstein ("SipHash: a fast short-input PRF", 2012), whose names of
 * the four words these are. */
#include "hash.h"

#include <string.h>
#include <time.h>
#include <unistd.h>

struct state {
    uint64_t v0, v1, v2, v3;
};

struct dg_hash_key dg_hash_new_key(void)
{
    struct dg_hash_key key;

    /* Where the system has no random numbers, at least no two tables' are alike. */
    if (getentropy(&key, sizeof key) != 0)
        key = (struct dg_hash_key){{(uint64_t)(uintptr_t)&key, (uint64_t)clock()}};
    return key;
}

static uint64_t turn(uint64_t x, int bits)
{
    return x << bits | x >> (64 - bits);
}

static void mix(struct state *s, int rounds)
{
    while (rounds-- > 0) {
        s->v0 += s->v1;
        s->v2 += s->v3;
        s->v1 = turn(s->v1, 13) ^ s->v0;
        s->v3 = turn(s->v3, 16) ^ s->v2;
        s->v0 = turn(s->v0, 32);
        s->v2 += s->v1;
        s->v0 += s->v3;
        s->v1 = turn(s->v1, 17) ^ s->v2;
        s->v3 = turn(s->v3, 21) ^ s->v0;
        s->v2 = turn(s->v2, 32);
    }
}

static void take(struct state *s, uint64_t word)
{
    s->v3 ^= word;
    mix(s, 2);
    s->v0 ^= word;
}

uint64_t dg_hash(const struct dg_hash_key *key, const void *bytes, size_t n)
{
    const uint64_t k0 = key->half[0], k1 = key->half[1];
    struct state s = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d, k0 ^ 0x6c7967656e657261,
                      k1 ^ 0x7465646279746573};
    const char *at = bytes;
    uint64_t word = 0;

    for (size_t left = n; left >= sizeof word; left -= sizeof word, at += sizeof word) {
        memcpy(&word, at, sizeof word);
        take(&s, word);
    }
    word = 0;
    if (n % sizeof word > 0)
        memcpy(&word, at, n % sizeof word);
    take(&s, word | (uint64_t)n << 56);
    s.v2 ^= 0xff;
    mix(&s, 4);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}
