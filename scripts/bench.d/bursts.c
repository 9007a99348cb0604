#include "loop.h"

/* As netprobe_side.py has it: some 0.3 ms of arithmetic before each all-reduce. */
enum { WORK = 1 << 18 };

static void bursts(int rank, char *send, char *receive, int size_bytes, long iterations, int64_t *stamps)
{
    volatile uint64_t sink = (uint64_t)rank + 1;
    stamps[0] = now_ns();
    for (long index = 0; index < iterations; index++) {
        uint64_t x = sink;
        for (long step = 0; step < WORK; step++)
            x = x * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        sink = x;
        MPI_Allreduce(send, receive, size_bytes / (int)sizeof(float), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        stamps[index + 1] = now_ns();
    }
}

int main(int argc, char **argv)
{
    return run(argc, argv, bursts);
}
