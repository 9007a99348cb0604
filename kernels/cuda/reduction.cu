// What each rank adds to a reduction, and its one right result: kernels/host/reduce.c explains the values.
#include "chunks.cuh"

// Numbers as netprobe.buffers.cuda passes them.
enum { SUM, PROD, MAX, MIN };
enum { INTEGER, FLOAT16, BFLOAT16, FLOAT32, FLOAT64 };
enum { BLOCK_WORDS = 8 };

struct reduction {
    u64 key;
    u64 ranks;
    u64 active;
    u64 first_active;
    u64 pattern_mask;
    u64 active_word; // added to the masked pattern
    u64 other_word;  // of a rank that is not active
    u64 others_word; // all ranks that are not active, reduced
    int op;
    int encoding;
    int lane_bits;

    __device__ u64 leader_of(u64 word) const
    {
        return (first_active + word / BLOCK_WORDS % ranks * active) % ranks;
    }

    __device__ u64 active_value(u64 rank, u64 word) const
    {
        return (pattern_word(pattern_base(key, rank), word) & pattern_mask) + active_word;
    }

    __device__ u64 lane_mask() const { return ~0ull >> (64 - lane_bits); }

    __device__ u64 combined_lane(u64 a, u64 b) const
    {
        switch (op) {
        case PROD:
            return a * b & lane_mask();
        case MAX:
            return a > b ? a : b;
        default:
            return a < b ? a : b;
        }
    }

    // Sums never carry from one lane into the next.
    __device__ u64 combined(u64 a, u64 b) const
    {
        if (op == SUM)
            return a + b;
        u64 word = 0;
        for (int lane = 0; lane < 64; lane += lane_bits)
            word |= combined_lane(a >> lane & lane_mask(), b >> lane & lane_mask()) << lane;
        return word;
    }

    __device__ u64 encoded_lane(u64 value) const
    {
        const u32 bits = __float_as_uint((float)value); // exact in all that are narrower than a double
        switch (encoding) {
        case FLOAT16: // the exponent's bias is 127 in a float and 15 in a half
            return value == 0 ? 0 : (bits - ((127u - 15u) << 23)) >> 13;
        case BFLOAT16:
            return bits >> 16;
        case FLOAT32:
            return bits;
        default:
            return (u64)__double_as_longlong((double)value);
        }
    }

    __device__ u64 encoded(u64 word) const
    {
        if (encoding == INTEGER)
            return word;
        u64 result = 0;
        for (int lane = 0; lane < 64; lane += lane_bits)
            result |= encoded_lane(word >> lane & lane_mask()) << lane;
        return result;
    }
};

struct contribution {
    reduction of;
    u64 rank;

    __device__ u64 word(u64 index) const
    {
        const u64 after_leader = (rank + of.ranks - of.leader_of(index)) % of.ranks;
        return of.encoded(after_leader < of.active ? of.active_value(rank, index) : of.other_word);
    }
};

struct outcome {
    reduction of;

    __device__ u64 word(u64 index) const
    {
        u64 total = of.others_word;
        for (u64 place = 0; place < of.active; place++)
            total = of.combined(total, of.active_value((of.leader_of(index) + place) % of.ranks, index));
        return of.encoded(total);
    }
};

#define REDUCTION                                                                                                     \
    u64 seed, u64 iteration, u64 ranks, u64 active, u64 pattern_mask, u64 active_word, u64 other_word,                \
        u64 others_word, u64 op, u64 encoding, u64 lane_bits

#define AS_REDUCTION                                                                                                  \
    reduction                                                                                                         \
    {                                                                                                                 \
        pattern_key(seed, iteration), ranks, active, pattern_base(pattern_key(seed, iteration), ranks) % ranks,       \
            pattern_mask, active_word, other_word, others_word, (int)op, (int)encoding, (int)lane_bits                \
    }

extern "C" __global__ void contribution_fill(u8 *memory, u64 size_bytes, u64 rank, REDUCTION)
{
    fill(contribution{AS_REDUCTION, rank}, 0, memory, size_bytes);
}

extern "C" __global__ void reduction_verify(const u8 *memory, report *found, u64 size_bytes, u64 first_byte, REDUCTION)
{
    compare(outcome{AS_REDUCTION}, first_byte, memory, size_bytes, found);
}
