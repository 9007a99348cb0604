// Filling and comparing memory with generated words, at any address, offset and length.
//
// Each thread takes chunks of 16 bytes where memory is aligned to them, which is what a GPU moves best. Where the
// stream's words do not fall on the chunk's, a chunk is put together from three of them. The first and the last chunk
// may lie partly outside the slice; they go byte by byte.
#pragma once

#include "words.cuh"

enum { CHUNK_BYTES = 16 };

struct __align__(16) chunk {
    u64 low, high;
};

// What differs; as it lies in memory: first offset (all ones: none), wrong bytes, how often each bit of a word.
struct report {
    u64 first_offset_bytes;
    u64 wrong_bytes;
    u64 bit_counts[64];
};

// 16 bytes of the stream from any byte on; bytes before its start are never used.
template <class Source> __device__ inline chunk stream_chunk(const Source &source, long long at_byte)
{
    u64 word = (u64)(at_byte >> 3);
    int shift = 8 * (int)(at_byte & 7);
    u64 first = source.word(word), second = source.word(word + 1);
    if (shift == 0)
        return chunk{first, second};
    u64 third = source.word(word + 2);
    return chunk{first >> shift | second << (64 - shift), second >> shift | third << (64 - shift)};
}

__device__ inline u8 byte_of(const chunk &value, int index)
{
    return (u8)((index < 8 ? value.low : value.high) >> (8 * (index & 7)));
}

template <class Source> __device__ void fill(const Source &source, u64 first_byte, u8 *memory, u64 size_bytes)
{
    const u64 lead = (u64)memory % CHUNK_BYTES;
    const u64 chunks = (lead + size_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (u64 index = own_thread(); index < chunks; index += all_threads()) {
        const long long at = (long long)(index * CHUNK_BYTES) - (long long)lead;
        const chunk value = stream_chunk(source, (long long)first_byte + at);
        if (at >= 0 && (u64)at + CHUNK_BYTES <= size_bytes) {
            *(chunk *)(memory + at) = value;
            continue;
        }
        for (int byte = 0; byte < CHUNK_BYTES; byte++)
            if (at + byte >= 0 && (u64)(at + byte) < size_bytes)
                memory[at + byte] = byte_of(value, byte);
    }
}

// Only where something differs, so it need not be fast.
__device__ inline void note(report *found, u64 first_byte, long long at, const chunk &differing)
{
    for (int byte = 0; byte < CHUNK_BYTES; byte++) {
        const u8 wrong = byte_of(differing, byte);
        if (wrong == 0)
            continue;
        atomicMin(&found->first_offset_bytes, (u64)(at + byte));
        atomicAdd(&found->wrong_bytes, 1ull);
        u64 *counts = found->bit_counts + 8 * ((first_byte + (u64)(at + byte)) & 7);
        for (int bit = 0; bit < 8; bit++)
            if (wrong >> bit & 1)
                atomicAdd(counts + bit, 1ull);
    }
}

__device__ inline chunk found_chunk(const u8 *memory, u64 size_bytes, long long at, const chunk &expected)
{
    if (at >= 0 && (u64)at + CHUNK_BYTES <= size_bytes)
        return *(const chunk *)(memory + at);
    chunk found = expected; // what lies outside the slice is right
    for (int byte = 0; byte < CHUNK_BYTES; byte++) {
        if (at + byte < 0 || (u64)(at + byte) >= size_bytes)
            continue;
        u64 &half = byte < 8 ? found.low : found.high;
        half ^= (u64)(u8)(byte_of(expected, byte) ^ memory[at + byte]) << (8 * (byte & 7));
    }
    return found;
}

template <class Source>
__device__ void compare(const Source &source, u64 first_byte, const u8 *memory, u64 size_bytes, report *found)
{
    const u64 lead = (u64)memory % CHUNK_BYTES;
    const u64 chunks = (lead + size_bytes + CHUNK_BYTES - 1) / CHUNK_BYTES;
    for (u64 index = own_thread(); index < chunks; index += all_threads()) {
        const long long at = (long long)(index * CHUNK_BYTES) - (long long)lead;
        const chunk expected = stream_chunk(source, (long long)first_byte + at);
        const chunk here = found_chunk(memory, size_bytes, at, expected);
        const chunk differing = {here.low ^ expected.low, here.high ^ expected.high};
        if (differing.low | differing.high)
            note(found, first_byte, at, differing);
    }
}
