#include "loop.h"

enum { TAG = 17 };

static void pingpong(int rank, char *send, char *receive, int size_bytes, long iterations, int64_t *stamps)
{
    int peer = 1 - rank;
    stamps[0] = now_ns();
    for (long index = 0; index < iterations; index++) {
        if (rank == 0) {
            MPI_Send(send, size_bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD);
            MPI_Recv(receive, size_bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            MPI_Recv(receive, size_bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
            MPI_Send(send, size_bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD);
        }
        stamps[index + 1] = now_ns();
    }
}

int main(int argc, char **argv)
{
    return run(argc, argv, pingpong);
}
