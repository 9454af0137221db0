/* SPDX-License-Identifier: BSD-2-Clause */
/* seeds_work.c - the texts' programs that print or mean a time: matrices, and a flag polled with
 * sleeps beside two semaphores. */
#include <errno.h>
#include <semaphore.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <tarn/base.h>

#include "seeds_cache.h"

/* --- matrices ------------------------------------------------------------------------------ */

enum { N = 200, WORKERS = 4 };

struct matrices {
	int32_t a[N][N], b[N][N], c[N][N];
};

static void rows(struct matrices *m, int from, int to)
{
	for (int row = from; row < to; row++) {
		for (int column = 0; column < N; column++) {
			m->c[row][column] = 0;
			for (int k = 0; k < N; k++)
				m->c[row][column] += m->a[row][k] * m->b[k][column];
		}
	}
}

static void multiply(struct matrices *m)
{
	pid_t children[WORKERS];

	for (int i = 0; i < WORKERS; i++) {
		children[i] = seeds_fork();
		if (children[i] == 0) {
			rows(m, N * i / WORKERS, N * (i + 1) / WORKERS);
			_exit(0);
		}
	}
	for (int i = 0; i < WORKERS; i++)
		seeds_wait(children[i]);
}

static void verify(const struct matrices *m)
{
	for (int i = 0; i < N * N; i++) {
		int32_t sum = 0;

		for (int k = 0; k < N; k++)
			sum += m->a[i / N][k] * m->b[k][i % N];
		if (m->c[i / N][i % N] != sum)
			seeds_die("the product is wrong", 0);
	}
}

void seeds_matrix(struct seeds_run *run)
{
	struct matrices *m = seeds_map(sizeof(*m));
	uint64_t state = 1;

	for (uint32_t round = 0; round < run->rounds; round++) {
		for (int i = 0; i < N * N; i++) {
			m->a[i / N][i % N] = (int32_t)(seeds_random(&state) % 10);
			m->b[i / N][i % N] = (int32_t)(seeds_random(&state) % 10);
		}
		clock_t ticks = clock();
		int64_t began = tarn_now();

		multiply(m);
		seeds_put(run, SEEDS_FIG_MATRIX_WALL, (double)(tarn_now() - began));
		seeds_put(run, SEEDS_FIG_MATRIX_CLOCK,
			  (double)(clock() - ticks) * 1e9 / CLOCKS_PER_SEC);
		verify(m);
	}
}

/* --- a flag polled with sleeps ------------------------------------------------------------- */

enum { POLL_NS = 100000000, TURNS = 200 };

struct flagged {
	alignas(128) _Atomic uint64_t data;
	_Atomic bool ready;
	alignas(128) sem_t reader, writer;
};

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = POLL_NS }, NULL);
}

static double cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void wait_for(sem_t *sem)
{
	while (sem_wait(sem) != 0)
		if (errno != EINTR)
			seeds_die("sem_wait", errno);
}

/* The reader of the text: as many values as there are rounds, by the flag, then the others by
 * semaphores. */
static void read_all(struct flagged *f, uint32_t count)
{
	for (uint64_t i = 1; i <= count; i++) {
		while (!atomic_load(&f->ready))
			nap();
		if (atomic_load(&f->data) != i)
			seeds_die("what arrived is not what was sent", 0);
		atomic_store(&f->ready, false);
	}
	for (uint64_t i = 1; i <= TURNS; i++) {
		wait_for(&f->reader);
		if (atomic_load(&f->data) != i)
			seeds_die("what arrived is not what was sent", 0);
		if (sem_post(&f->writer) != 0)
			seeds_die("sem_post", errno);
	}
}

/* Each returns ns until the writer knows that the value has been read. */
static double by_flag(struct flagged *f, uint64_t i)
{
	int64_t began = tarn_now();

	atomic_store(&f->data, i);
	atomic_store(&f->ready, true);
	while (atomic_load(&f->ready))
		nap();
	return (double)(tarn_now() - began);
}

static double by_semaphores(struct flagged *f)
{
	int64_t began = tarn_now();

	for (uint64_t i = 1; i <= TURNS; i++) {
		atomic_store(&f->data, i);
		if (sem_post(&f->reader) != 0)
			seeds_die("sem_post", errno);
		wait_for(&f->writer);
	}
	return (double)(tarn_now() - began) / TURNS;
}

void seeds_flag(struct seeds_run *run)
{
	uint32_t count = run->rounds < 5 ? run->rounds : 5;
	struct flagged *f = seeds_map(sizeof(*f));
	double ns[SEEDS_ROUND_MAX];

	if (sem_init(&f->reader, 1, 0) != 0 || sem_init(&f->writer, 1, 0) != 0)
		seeds_die("sem_init", errno);
	pid_t child = seeds_fork();

	if (child == 0) {
		read_all(f, count);
		_exit(0);
	}
	for (uint32_t i = 0; i < count; i++) {
		double before = cpu_ns();

		ns[i] = by_flag(f, i + 1);
		seeds_put(run, SEEDS_FIG_FLAG_NS, ns[i]);
		seeds_put(run, SEEDS_FIG_FLAG_CPU, (cpu_ns() - before) / ns[i]);
	}
	double semaphores = by_semaphores(f);

	seeds_wait(child);
	seeds_put(run, SEEDS_FIG_FLAG_SEM, semaphores);
	for (uint32_t i = 0; i < count; i++)
		seeds_put(run, SEEDS_FIG_FLAG_RATIO, ns[i] / semaphores);
}
