#include "loop.h"

enum { TAG = 17, ACK_TAG = 18, WINDOW = 64 };

static void stream(int rank, char *send, char *receive, int size_bytes, long iterations, int64_t *stamps)
{
    MPI_Request requests[WINDOW];
    int peer = 1 - rank;
    stamps[0] = now_ns();
    for (long index = 0; index < iterations; index++) {
        if (rank == 0) {
            for (int message = 0; message < WINDOW; message++)
                MPI_Isend(send, size_bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &requests[message]);
            MPI_Waitall(WINDOW, requests, MPI_STATUSES_IGNORE);
            MPI_Recv(receive, 0, MPI_BYTE, peer, ACK_TAG, MPI_COMM_WORLD, MPI_STATUS_IGNORE);
        } else {
            for (int message = 0; message < WINDOW; message++)
                MPI_Irecv(receive, size_bytes, MPI_BYTE, peer, TAG, MPI_COMM_WORLD, &requests[message]);
            MPI_Waitall(WINDOW, requests, MPI_STATUSES_IGNORE);
            MPI_Send(send, 0, MPI_BYTE, peer, ACK_TAG, MPI_COMM_WORLD);
        }
        stamps[index + 1] = now_ns();
    }
}

int main(int argc, char **argv)
{
    return run(argc, argv, stream);
}
