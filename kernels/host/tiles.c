#include "tiles.h"

#include <stdalign.h>
#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    LINE_BYTES = 64,
    AHEAD_TILES = 2,
    BEYOND_CACHES_BYTES = 32 << 20, /* nobody finds what is filled in a cache; memcpy goes past them as well */
};

/* The part of a tile that belongs to the slice. */
struct piece {
    const unsigned char *bytes;
    size_t size_bytes;
};

static struct piece next_piece(const struct source *source, uint64_t at_byte, size_t left_bytes, union tile *tile)
{
    size_t skipped = at_byte % BLOCK_BYTES;
    size_t size_bytes = left_bytes < TILE_BYTES - skipped ? left_bytes : TILE_BYTES - skipped;
    source->generate(source->what, at_byte / BLOCK_BYTES, (skipped + size_bytes + BLOCK_BYTES - 1) / BLOCK_BYTES, tile);
    return (struct piece){tile->lane1 + skipped, size_bytes};
}

#ifdef __SSE2__
/* Write past the caches: a line that is overwritten whole then need not be read first. */
static void copy_past_caches(unsigned char *to, const unsigned char *from, size_t size_bytes)
{
    const size_t vector_bytes = sizeof(__m128i);
    size_t head = (vector_bytes - (uintptr_t)to % vector_bytes) % vector_bytes, done = 0;
    if (head > size_bytes)
        head = size_bytes;
    memcpy(to, from, head);
    for (done = head; done + vector_bytes <= size_bytes; done += vector_bytes)
        _mm_stream_si128((__m128i *)(to + done), _mm_loadu_si128((const __m128i *)(from + done)));
    memcpy(to + done, from + done, size_bytes - done);
}
#else
#define copy_past_caches memcpy
#define _mm_sfence() ((void)0)
#endif

/* A processor fetches ahead what is read in a row, and loses the row while a tile is made: ask for what comes next. */
static void fetch_ahead(const unsigned char *memory, size_t size_bytes)
{
    for (size_t at = 0; at < size_bytes; at += LINE_BYTES)
        __builtin_prefetch(memory + at, 0, 2); /* to be read, into the second-level cache */
}

void tiles_fill(const struct source *source, uint64_t offset_bytes, unsigned char *memory, size_t size_bytes)
{
    alignas(BLOCK_BYTES) union tile tile;
    for (size_t done = 0; done < size_bytes;) {
        struct piece piece = next_piece(source, offset_bytes + done, size_bytes - done, &tile);
        if (size_bytes < BEYOND_CACHES_BYTES)
            memcpy(memory + done, piece.bytes, piece.size_bytes);
        else
            copy_past_caches(memory + done, piece.bytes, piece.size_bytes);
        done += piece.size_bytes;
    }
    _mm_sfence(); /* whoever reads it next sees it */
}

/* Only ever called on a piece that differs, so it need not be fast. */
static void note_differences(struct mismatch *mismatch, struct piece expected, const unsigned char *memory, size_t done,
                             uint64_t at_byte)
{
    for (size_t index = 0; index < expected.size_bytes; index++) {
        uint64_t wrong_bits = expected.bytes[index] ^ memory[done + index];
        if (wrong_bits == 0)
            continue;
        if (mismatch->wrong_bytes++ == 0)
            mismatch->first_offset_bytes = done + index;
        uint64_t *counts = &mismatch->bit_counts[8 * ((at_byte + index) % WORD_BYTES)];
        for (int bit = 0; bit < 8; bit++)
            counts[bit] += wrong_bits >> bit & 1;
    }
}

struct mismatch tiles_compare(const struct source *source, uint64_t offset_bytes, const unsigned char *memory,
                              size_t size_bytes)
{
    alignas(BLOCK_BYTES) union tile tile;
    struct mismatch mismatch = {0};
    for (size_t done = 0; done < size_bytes;) {
        if (done + (AHEAD_TILES + 1) * TILE_BYTES <= size_bytes)
            fetch_ahead(memory + done + AHEAD_TILES * TILE_BYTES, TILE_BYTES);
        struct piece piece = next_piece(source, offset_bytes + done, size_bytes - done, &tile);
        if (memcmp(memory + done, piece.bytes, piece.size_bytes) != 0)
            note_differences(&mismatch, piece, memory, done, offset_bytes + done);
        done += piece.size_bytes;
    }
    return mismatch;
}

/* What matters of a lane is which of its own bits are wrong, whichever lane of the word it is. */
static PyObject *counts_by_lane(const uint64_t *bit_counts, int lane_bits)
{
    PyObject *counts = PyTuple_New(lane_bits);
    for (int bit = 0; counts != NULL && bit < lane_bits; bit++) {
        unsigned long long count = 0;
        for (int lane = 0; lane < WORD_BITS; lane += lane_bits)
            count += bit_counts[lane + bit];
        PyObject *number = PyLong_FromUnsignedLongLong(count);
        if (number == NULL || PyTuple_SetItem(counts, bit, number) < 0)
            Py_CLEAR(counts);
    }
    return counts;
}

PyObject *tiles_outcome(const struct mismatch *mismatch, int lane_bytes)
{
    if (mismatch->wrong_bytes == 0)
        Py_RETURN_NONE;
    PyObject *counts = counts_by_lane(mismatch->bit_counts, 8 * lane_bytes);
    if (counts == NULL)
        return NULL;
    return Py_BuildValue("(nnN)", (Py_ssize_t)mismatch->first_offset_bytes, (Py_ssize_t)mismatch->wrong_bytes, counts);
}
