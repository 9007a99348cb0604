// A load on the GPU's arithmetic of any length, to overlap with communication and to make traffic come in bursts.
//
// Each value is stepped by a linear congruential generator (Knuth's MMIX), whose steps wait for each other; the last one
// is written, so that it can be compared and no compiler leaves steps out. Fewer threads than values take several each.
#include "words.cuh"

extern "C" __global__ void spin(u64 *last_values, u64 values, u64 seed, u64 steps)
{
    for (u64 value = own_thread(); value < values; value += all_threads()) {
        u64 x = seed + value;
        for (u64 step = 0; step < steps; step++)
            x = x * 6364136223846793005ull + 1442695040888963407ull;
        last_values[value] = x;
    }
}
