/* Filling and comparing memory with generated words, a tile at a time, at any address, offset and length.
 *
 * A source generates words of an endless stream in blocks of 64 bytes, always from a block's start; this file cuts out
 * the slice that is wanted. The tile stays in the first-level cache, and memcpy and memcmp are as fast as the C library
 * makes them on this processor.
 */
#ifndef NETPROBE_TILES_H
#define NETPROBE_TILES_H

#include "arguments.h"

#include <stddef.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "patterns are little-endian words, and so must be the host's"
#endif

enum {
    WORD_BYTES = 8,
    WORD_BITS = 8 * WORD_BYTES,
    BLOCK_WORDS = 8,
    BLOCK_BYTES = BLOCK_WORDS * WORD_BYTES,
    TILE_BYTES = 4096, /* small against any first-level cache, large against the cost of a call */
};

/* Memory as lanes of every width, and as what the wider ones can hold. */
union tile {
    uint64_t lane8[TILE_BYTES / 8];
    uint32_t lane4[TILE_BYTES / 4];
    uint16_t lane2[TILE_BYTES / 2];
    uint8_t lane1[TILE_BYTES];
    float single[TILE_BYTES / 4];
    double twice[TILE_BYTES / 8];
};

/* Writes blocks `first_block`... of the stream to the start of a tile. */
struct source {
    void (*generate)(const void *what, uint64_t first_block, size_t blocks, union tile *tile);
    const void *what;
};

/* Bytes that differ; `wrong_bytes` is 0 when none does. */
struct mismatch {
    size_t first_offset_bytes;
    size_t wrong_bytes;
    uint64_t bit_counts[WORD_BITS]; /* how often each bit of a word of the stream was wrong */
};

/* Both take bytes `offset_bytes`... of the stream; the caller may hold no lock on Python. */
void tiles_fill(const struct source *source, uint64_t offset_bytes, unsigned char *memory, size_t size_bytes);
struct mismatch tiles_compare(const struct source *source, uint64_t offset_bytes, const unsigned char *memory,
                              size_t size_bytes);

/* Return None, or the mismatch as a tuple. Its bits are counted by lane of `lane_bytes`. */
PyObject *tiles_outcome(const struct mismatch *mismatch, int lane_bytes);

#endif
