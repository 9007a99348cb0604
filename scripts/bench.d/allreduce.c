#include "loop.h"

static void allreduce(int rank, char *send, char *receive, int size_bytes, long iterations, int64_t *stamps)
{
    (void)rank;
    stamps[0] = now_ns();
    for (long index = 0; index < iterations; index++) {
        MPI_Allreduce(send, receive, size_bytes / (int)sizeof(float), MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD);
        stamps[index + 1] = now_ns();
    }
}

int main(int argc, char **argv)
{
    return run(argc, argv, allreduce);
}
