/* The bytes that ranks send: word k of the pattern (seed, rank, iteration) is mix(base(seed, iteration, rank) + k g).
 *
 * Adding an odd constant k times and mixing are both bijective, so no two words of a buffer are equal, and equal words
 * of two patterns at the same offset would need equal bases, which differ by a strong mix of rank and iteration.
 * The word's mix is one multiplication between two folds: half of what a hash of good repute does, and enough that
 * every byte of it looks random at any distance, while it keeps up with memcpy (kernels/README.md).
 */
#ifndef NETPROBE_PATTERN_H
#define NETPROBE_PATTERN_H

#include "tiles.h"

#define GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd: steps that stay far apart */

/* The finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014). */
static inline uint64_t mix_strongly(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* What the patterns of all ranks in one iteration have in common. */
static inline uint64_t pattern_key(uint64_t seed, uint64_t iteration)
{
    return mix_strongly(mix_strongly(seed + GOLDEN) + iteration);
}

static inline uint64_t pattern_base(uint64_t key, uint64_t rank)
{
    return mix_strongly(key + (rank + 1) * GOLDEN);
}

/* Write words `first_word`... of a base's pattern. Named in full: compilers cannot hide what the loader chooses. */
void netprobe_pattern_words(uint64_t base, uint64_t first_word, size_t count, uint64_t *words);

PyObject *py_pattern_fill(PyObject *module, PyObject *args);
PyObject *py_pattern_verify(PyObject *module, PyObject *args);

#endif
