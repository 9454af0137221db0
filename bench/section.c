/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-section - a section beside the process-shared mutexes of the C library, in one run.
 *
 * What is compared is measured in turns within each round, and ratios are taken within the round.
 * Alone: one process, nobody waits. Contended: so many processes, each entering, changing a
 * word and leaving for a fixed time; the sum of their passes. Owner killed: a waiter sleeps,
 * the owner is killed, the waiter stamps the moment it is inside; the time runs from before
 * kill(). Across PID namespaces both are process 1 of one of their own.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { ROUND_MAX = 32, WORDS = 4096, KILLS = 15, PROCESS_MAX = 8 };

enum lock { SECTION, SHARED, ROBUST, LOCK_COUNT };
static const char *const lock_names[] = { "section", "shared mutex", "robust mutex" };

struct words {
	pthread_mutex_t shared, robust;
	_Atomic uint32_t go, stop, inside;
	_Atomic int64_t stamp;
	_Atomic uint64_t passes[PROCESS_MAX];
	uint64_t data[WORDS];
};

static struct tarn_region *region;
static struct tarn_section *section;
static struct words *words;
static bool json;

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-section: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void make_mutex(pthread_mutex_t *mutex, bool robust)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	if (robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(mutex, &attr);
}

static void make_all(void)
{
	const struct tarn_region_opts region_opts = { .size = 1 << 20 };
	const struct tarn_section_opts opts = { .journal_size = 4096 };
	void *data;

	must("region", tarn_region_create("anon:", &region_opts, &region));
	must("section", tarn_section_open(region, "section", &opts, &section));
	must("words", tarn_object_create(region, "words", sizeof(*words), &data, NULL));
	words = data;
	make_mutex(&words->shared, false);
	make_mutex(&words->robust, true);
}

/* --- alone --------------------------------------------------------------------------------- */

static pthread_mutex_t *mutex_of(enum lock lock)
{
	return lock == SHARED ? &words->shared : &words->robust;
}

/* Plain stores that the compiler may not leave out. */
static inline void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static void pass_section(uint64_t i, int count)
{
	uint64_t *data = words->data;
	struct tarn_tx *tx;

	if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		abort();
	for (int k = 0; k < count; k++)
		tarn_tx_set64(tx, &data[(i * 16 + (uint64_t)k * 7) % WORDS], i);
	if (tarn_section_leave(section) < 0)
		abort();
}

static void pass_mutex(pthread_mutex_t *mutex, uint64_t i, int count)
{
	uint64_t *data = words->data;

	pthread_mutex_lock(mutex);
	for (int k = 0; k < count; k++)
		store(&data[(i * 16 + (uint64_t)k * 7) % WORDS], i);
	pthread_mutex_unlock(mutex);
}

/* ns a pass with @count words, the best of a few blocks. */
static double alone(enum lock lock, int count)
{
	enum { BLOCKS = 20, BLOCK = 20000 };
	double best = 1e18;

	for (int b = 0; b < BLOCKS; b++) {
		int64_t begin = tarn_now();
		double ns;

		for (uint64_t i = 0; i < BLOCK; i++) {
			if (lock == SECTION)
				pass_section(i, count);
			else
				pass_mutex(mutex_of(lock), i, count);
		}
		ns = (double)(tarn_now() - begin) / BLOCK;
		best = ns < best ? ns : best;
	}
	return best;
}

static double read_64(void)
{
	enum { BLOCKS = 20, BLOCK = 20000 };
	double best = 1e18;
	uint64_t to[8];

	for (int b = 0; b < BLOCKS; b++) {
		int64_t begin = tarn_now();
		double ns;

		for (int i = 0; i < BLOCK; i++)
			must("read",
			     tarn_section_read(section, to, words->data, sizeof(to), TARN_FOREVER));
		ns = (double)(tarn_now() - begin) / BLOCK;
		best = ns < best ? ns : best;
	}
	return best;
}

/* --- contended ----------------------------------------------------------------------------- */

static void contend(enum lock lock, int n)
{
	uint64_t i = 0;

	if (lock == SECTION)
		pass_section(0, 1); /* a member of its own */
	atomic_fetch_add(&words->inside, 1);
	while (atomic_load(&words->go) == 0)
		sched_yield();
	for (; atomic_load_explicit(&words->stop, memory_order_relaxed) == 0; i++) {
		if (lock == SECTION)
			pass_section(i, 1);
		else
			pass_mutex(mutex_of(lock), i, 1);
	}
	words->passes[n] = i;
	_exit(0);
}

/* Passes a microsecond. */
static double contended(enum lock lock, int processes)
{
	const struct timespec span = { .tv_nsec = 60000000 };
	uint64_t sum = 0;
	int64_t begin;

	atomic_store(&words->go, 0);
	atomic_store(&words->stop, 0);
	atomic_store(&words->inside, 0);
	for (int n = 0; n < processes; n++)
		if (fork() == 0)
			contend(lock, n);
	while (atomic_load(&words->inside) < (uint32_t)processes)
		sched_yield();
	begin = tarn_now();
	atomic_store(&words->go, 1);
	nanosleep(&span, NULL);
	atomic_store(&words->stop, 1);
	begin = tarn_now() - begin;
	while (wait(NULL) > 0)
		;
	for (int n = 0; n < processes; n++)
		sum += words->passes[n];
	return (double)sum * 1e3 / (double)begin;
}

/* --- the owner killed ------------------------------------------------------------------------ */

/* A child; as process 1 of a PID namespace of its own if so wanted. 0 in it, -1 if it cannot be. */
static pid_t fork_apart(bool apart)
{
	pid_t outer;

	if (!apart)
		return fork();
	outer = fork();
	if (outer != 0)
		return outer;
	if (unshare(CLONE_NEWPID) < 0)
		_exit(77);
	pid_t inner = fork();

	if (inner == 0)
		return 0;
	/* dies with the inner one; killing this one kills that too, as it is told to */
	int status = 0;

	waitpid(inner, &status, 0);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 0);
}

static void hold(void)
{
	struct tarn_tx *tx;

	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	tarn_tx_set64(tx, &words->data[0], 77);
	atomic_store(&words->inside, 1);
	while (atomic_load(&words->stop) == 0)
		;
	/* killed here, by itself: nobody outside knows its process id in every namespace */
	atomic_store(&words->stamp, tarn_now());
	raise(SIGKILL);
	kill(getpid(), SIGKILL); /* process 1 is spared its own signals */
	_exit(0);
}

static void take_over(void)
{
	struct tarn_tx *tx;
	int64_t now;

	atomic_store(&words->go, 1);
	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	now = tarn_now();
	if (words->data[0] == 77)
		_exit(2); /* not undone */
	must("leave", tarn_section_leave(section));
	atomic_store(&words->stamp, now - atomic_load(&words->stamp));
	_exit(0);
}

static bool ended_well(pid_t pid)
{
	int status = 0;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* us from the owner's death to the waiter's being inside; < 0: it cannot be measured here. */
static double killed(bool apart)
{
	const struct timespec a_while = { .tv_nsec = 3000000 };
	pid_t owner, waiter;

	atomic_store(&words->go, 0);
	atomic_store(&words->stop, 0);
	atomic_store(&words->inside, 0);
	owner = fork_apart(apart);
	if (owner == 0)
		hold();
	while (atomic_load(&words->inside) == 0) {
		int status;

		if (waitpid(owner, &status, WNOHANG) == owner)
			return -1;
		sched_yield();
	}
	waiter = fork_apart(apart);
	if (waiter == 0)
		take_over();
	while (atomic_load(&words->go) == 0)
		sched_yield();
	nanosleep(&a_while, NULL); /* until it must be asleep */
	atomic_store(&words->stop, 1);
	if (!ended_well(waiter)) {
		fprintf(stderr, "bench-section: the waiter did not find it undone\n");
		exit(1);
	}
	waitpid(owner, NULL, 0);
	return (double)atomic_load(&words->stamp) / 1e3;
}

/* --- printing ------------------------------------------------------------------------------ */

static int order(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, int count)
{
	qsort(values, (size_t)count, sizeof(*values), order);
	return values[count / 2];
}

static void row(const char *test, const char *who, const char *unit, double *values, int count,
		const double *of)
{
	double ratios[ROUND_MAX * KILLS], middle, ratio = 0;

	for (int i = 0; of != NULL && i < count; i++)
		ratios[i] = values[i] / of[i];
	if (of != NULL)
		ratio = median(ratios, count);
	middle = median(values, count);
	if (json) {
		printf("{\"schema\":\"tarn.bench\",\"version\":1,\"test\":\"%s\",\"transport\":"
		       "\"%s\",\"%s\":%.4g,\"%s_min\":%.4g,\"%s_max\":%.4g",
		       test, who, unit, middle, unit, values[0], unit, values[count - 1]);
		if (of != NULL)
			printf(",\"ratio_shared_mutex\":%.4g", ratio);
		printf("}\n");
		return;
	}
	printf("  %-34s %-13s %9.2f %-14s [%.2f..%.2f]", test, who, middle, unit, values[0],
	       values[count - 1]);
	if (of != NULL)
		printf("   %.2f of a shared mutex", ratio);
	printf("\n");
}

static void bench_alone(int rounds, const char *test, int count)
{
	double ns[LOCK_COUNT][ROUND_MAX], shared[ROUND_MAX];

	for (int i = 0; i < rounds; i++)
		for (int lock = 0; lock < LOCK_COUNT; lock++)
			ns[lock][i] = alone((enum lock)lock, count);
	memcpy(shared, ns[SHARED], sizeof(shared));
	for (int lock = 0; lock < LOCK_COUNT; lock++)
		row(test, lock_names[lock], "ns", ns[lock], rounds, lock != SHARED ? shared : NULL);
}

static void bench_contended(int rounds, int processes)
{
	double rate[LOCK_COUNT][ROUND_MAX], shared[ROUND_MAX];
	char test[64];

	snprintf(test, sizeof(test), "contended, %d processes, 1 word", processes);
	for (int i = 0; i < rounds; i++)
		for (int lock = 0; lock < LOCK_COUNT; lock++)
			rate[lock][i] = contended((enum lock)lock, processes);
	memcpy(shared, rate[SHARED], sizeof(shared));
	for (int lock = 0; lock < LOCK_COUNT; lock++)
		row(test, lock_names[lock], "passes_per_us", rate[lock], rounds,
		    lock != SHARED ? shared : NULL);
}

static void bench_killed(bool apart)
{
	double us[KILLS];
	const char *test = apart ? "owner killed, two PID namespaces" : "owner killed";

	for (int i = 0; i < KILLS; i++) {
		us[i] = killed(apart);
		if (us[i] < 0) {
			if (!json)
				printf("  %s: no PID namespace can be made here\n", test);
			return;
		}
	}
	row(test, "section", "us", us, KILLS, NULL);
}

int main(int argc, char **argv)
{
	int opt, rounds = 7;
	double ns[ROUND_MAX];

	while ((opt = getopt(argc, argv, "Jr:")) != -1) {
		if (opt == 'J')
			json = true;
		else if (opt == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
		if (opt == '?' || rounds < 1 || rounds > ROUND_MAX) {
			fprintf(stderr, "usage: bench-section [-J] [-r ROUNDS]\n");
			return 2;
		}
	}
	make_all();
	if (!json)
		printf("A section beside mutexes; median of %d rounds [smallest..largest]\n",
		       rounds);
	fflush(stdout);
	bench_alone(rounds, "enter and leave, alone", 0);
	bench_alone(rounds, "with 12 words changed, alone", 12);
	for (int i = 0; i < rounds; i++)
		ns[i] = read_64();
	row("read 64 bytes without entering", "section", "ns", ns, rounds, NULL);
	fflush(stdout);
	for (int processes = 2; processes <= PROCESS_MAX; processes *= 2)
		bench_contended(rounds, processes);
	fflush(stdout);
	bench_killed(false);
	bench_killed(true);
	return 0;
}
