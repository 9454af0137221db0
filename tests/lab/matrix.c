/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exercise 3 as learners write it: right, and wrong in one way that the argument names.
 *
 *     matrix right | three | short-rows | private | three-workers | zero
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { N = 200, WORKERS = 4 };

static const char *how;
static double (*a)[N], (*b)[N], (*c)[N];

static int is(const char *word)
{
	return strcmp(how, word) == 0;
}

static void *get(size_t size, int flags)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
}

static void map_matrices(void)
{
	size_t size = sizeof(double[N][N]);

	if (is("three")) {
		a = get(size, MAP_SHARED);
		b = get(size, MAP_SHARED);
		c = get(size, MAP_SHARED);
		return;
	}

	char *at = get(64 + 3 * size, is("private") ? MAP_PRIVATE : MAP_SHARED);

	a = (double(*)[N])(void *)(at + 64);
	b = (double(*)[N])(void *)(at + 64 + size);
	c = (double(*)[N])(void *)(at + 64 + 2 * size);
}

static void compute(int from, int to)
{
	for (int row = from; row < to; row++) {
		for (int col = 0; col < N; col++) {
			double sum = 0;

			for (int k = 0; k < N; k++)
				sum += a[row][k] * b[k][col];
			c[row][col] = sum;
		}
	}
}

int main(int argc, char **argv)
{
	struct timespec begin, end;

	how = argc > 1 ? argv[1] : "right";
	map_matrices();
	for (int i = 0; i < N * N && !is("zero"); i++) {
		a[0][i] = rand() % 100;
		b[0][i] = rand() % 100;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (int i = 0; i < (is("three-workers") ? 3 : WORKERS); i++) {
		int from = i * N / WORKERS, to = from + N / WORKERS;

		if (fork() == 0) {
			compute(from, is("short-rows") ? to - 1 : to);
			printf("Process %d: rows %d-%d done\n", i, from, to - 1);
			fflush(stdout);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		continue;
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("Computation complete in %.3f seconds\n",
	       (double)(end.tv_sec - begin.tv_sec) + 1e-9 * (double)(end.tv_nsec - begin.tv_nsec));
	return 0;
}
