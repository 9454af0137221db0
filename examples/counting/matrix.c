/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * matrix - exercise 3: two matrices of 200 x 200 multiplied by 4 processes, 50 rows each.
 *
 *     matrix [WORKERS]
 *
 * prints, with another time:
 *
 *     Computing 200x200 matrix multiplication with 4 processes...
 *     Process 0: rows 0-49 done
 *     Process 1: rows 50-99 done
 *     Process 2: rows 100-149 done
 *     Process 3: rows 150-199 done
 *     Computation complete in 0.012 seconds
 *     Verified: 200 rows are right
 *
 * No lock: A and B do not change any more, and each row of C has one writer. wait() orders what
 * the children wrote before what the parent reads. If one of them dies, its rows are computed
 * anew, which harms nothing, since a row depends on nothing that the row before it wrote. Time is
 * read from a clock of the wall: clock() counts the processor time of the parent, which only waits
 * here.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { N = 200, WORKERS_MAX = 50 };

struct matrices {
	int32_t a[N][N], b[N][N], c[N][N];
};

static int32_t cell(const struct matrices *m, int row, int column)
{
	int32_t sum = 0;

	for (int k = 0; k < N; k++)
		sum += m->a[row][k] * m->b[k][column];
	return sum;
}

static pid_t start(struct matrices *m, int from, int to)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	for (int row = from; row < to; row++)
		for (int column = 0; column < N; column++)
			m->c[row][column] = cell(m, row, column);
	_exit(0);
}

int main(int argc, char **argv)
{
	int workers = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 4, wrong = 0;
	const struct tarn_segment_opts opts = { .size = sizeof(struct matrices) };
	struct tarn_segment *seg = NULL;
	pid_t pids[WORKERS_MAX];

	if (workers < 1 || workers > WORKERS_MAX || tarn_segment_create("anon:", &opts, &seg) < 0)
		return 1;
	struct matrices *m = tarn_segment_data(seg);

	for (int i = 0; i < N * N; i++) {
		m->a[i / N][i % N] = rand() % 10;
		m->b[i / N][i % N] = rand() % 10;
	}
	printf("Computing %dx%d matrix multiplication with %d processes...\n", N, N, workers);
	fflush(stdout);
	int64_t began = tarn_now();

	for (int w = 0; w < workers; w++)
		pids[w] = start(m, N * w / workers, N * (w + 1) / workers);
	for (int w = 0; w < workers; w++) {
		int status = -1, from = N * w / workers, to = N * (w + 1) / workers;

		while (pids[w] > 0 && waitpid(pids[w], &status, 0) == pids[w] && status != 0)
			pids[w] = start(m, from, to);
		if (status != 0)
			return 1;
		printf("Process %d: rows %d-%d done\n", w, from, to - 1);
	}
	printf("Computation complete in %.3f seconds\n", (double)(tarn_now() - began) / 1e9);
	for (int i = 0; i < N * N; i++)
		wrong += m->c[i / N][i % N] != cell(m, i / N, i % N);
	printf(wrong == 0 ? "Verified: %d rows are right\n" : "Wrong among %d rows\n", N);
	return wrong != 0;
}
