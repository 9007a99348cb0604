#include "tiles.h"

#include <stdalign.h>
#include <string.h>

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

void tiles_fill(const struct source *source, uint64_t offset_bytes, unsigned char *memory, size_t size_bytes)
{
    alignas(BLOCK_BYTES) union tile tile;
    for (size_t done = 0; done < size_bytes;) {
        struct piece piece = next_piece(source, offset_bytes + done, size_bytes - done, &tile);
        memcpy(memory + done, piece.bytes, piece.size_bytes);
        done += piece.size_bytes;
    }
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
        mismatch->xor_mask |= wrong_bits << (8 * ((at_byte + index) % WORD_BYTES));
    }
}

struct mismatch tiles_compare(const struct source *source, uint64_t offset_bytes, const unsigned char *memory,
                              size_t size_bytes)
{
    alignas(BLOCK_BYTES) union tile tile;
    struct mismatch mismatch = {0, 0, 0};
    for (size_t done = 0; done < size_bytes;) {
        struct piece piece = next_piece(source, offset_bytes + done, size_bytes - done, &tile);
        if (memcmp(memory + done, piece.bytes, piece.size_bytes) != 0)
            note_differences(&mismatch, piece, memory, done, offset_bytes + done);
        done += piece.size_bytes;
    }
    return mismatch;
}

PyObject *tiles_outcome(struct mismatch mismatch)
{
    if (mismatch.wrong_bytes == 0)
        Py_RETURN_NONE;
    return Py_BuildValue("(nnK)", (Py_ssize_t)mismatch.first_offset_bytes, (Py_ssize_t)mismatch.wrong_bytes,
                         (unsigned long long)mismatch.xor_mask);
}
