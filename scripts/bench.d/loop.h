/* What the plain C programs of scripts/bench share: as a careful programmer would write them for one MPI. */
#ifndef LOOP_H
#define LOOP_H

#define _POSIX_C_SOURCE 200809L

#include <mpi.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static inline int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Page-aligned and written once, so that no page is the kernel's shared page of zeros. */
static inline void *touched(size_t bytes)
{
    size_t pages = (bytes + 4095) / 4096;
    void *memory = aligned_alloc(4096, pages * 4096);
    if (memory == NULL)
        MPI_Abort(MPI_COMM_WORLD, 1);
    memset(memory, 1, pages * 4096);
    return memory;
}

static int by_value(const void *a, const void *b)
{
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return (left > right) - (left < right);
}

/* Print a size and its median iteration; overwrites the stamps. */
static inline void print_median(long size_bytes, int64_t *stamps, long iterations)
{
    for (long index = 0; index < iterations; index++)
        stamps[index] = stamps[index + 1] - stamps[index];
    qsort(stamps, (size_t)iterations, sizeof *stamps, by_value);
    double median = (stamps[(iterations - 1) / 2] + stamps[iterations / 2]) / 2.0;
    printf("%ld %.1f\n", size_bytes, median);
}

typedef void (*series)(int rank, char *send, char *receive, int size_bytes, long iterations, int64_t *stamps);

/* Each argument is SIZE:ITERATIONS; the series runs once for a tenth of them to warm up, and once to be timed. */
static inline int run(int argc, char **argv, series series)
{
    int rank;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    for (int argument = 1; argument < argc; argument++) {
        long size_bytes, iterations;
        if (sscanf(argv[argument], "%ld:%ld", &size_bytes, &iterations) != 2)
            MPI_Abort(MPI_COMM_WORLD, 2);
        char *send = touched((size_t)size_bytes), *receive = touched((size_t)size_bytes);
        int64_t *stamps = touched((size_t)(iterations + 1) * sizeof *stamps);
        series(rank, send, receive, (int)size_bytes, 1 + iterations / 10, stamps);
        MPI_Barrier(MPI_COMM_WORLD);
        series(rank, send, receive, (int)size_bytes, iterations, stamps);
        if (rank == 0)
            print_median(size_bytes, stamps, iterations);
        free(send);
        free(receive);
        free(stamps);
    }
    return MPI_Finalize();
}

#endif
