/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-section - a section beside the process-shared mutexes of the C library and of
 * Boost.Interprocess, in one run.
 *
 *     bench-section [-J] [-r ROUNDS]
 *
 * What is compared is measured in turns within each round, and ratios are taken within the round.
 * Alone: one process, nobody waits; processor time. Contended: so many processes, pinned to the
 * processors by turns, each entering, changing a word and leaving for a fixed time; the sum of
 * their passes. Owner killed: a waiter sleeps, the owner dies by SIGKILL, the waiter stamps the
 * moment it is inside; the time runs from before the kill. Across PID namespaces each of the two
 * is in one of its own.
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

#include "boost.h"
#include "crowd.h"
#include "rows.h"

enum { WORDS = 4096, KILLS = 15 };

enum lock {
	SECTION,
	SHARED,
	ROBUST,
#ifdef BENCH_BOOST
	BOOST,
#endif
	LOCK_COUNT,
};
static const char *const lock_names[] = { "section", "shared mutex", "robust mutex",
					  "Boost's mutex" };

struct words {
	_Alignas(128) pthread_mutex_t shared;
	_Alignas(128) pthread_mutex_t robust;
	_Alignas(128) unsigned char boost[BOOST_MUTEX_SIZE];
	_Atomic uint32_t go, stop, inside;
	_Atomic int64_t stamp;
	struct crowd crowd;
	uint64_t data[WORDS];
};

static struct tarn_region *region;
static struct tarn_section *section;
static struct words *words;

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
#ifdef BENCH_BOOST
	boost_mutex_make(words->boost);
#endif
}

/* --- alone --------------------------------------------------------------------------------- */

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

static inline void pass(enum lock lock, uint64_t i, int count)
{
	switch (lock) {
	case SECTION:
		pass_section(i, count);
		break;
	case SHARED:
		pass_mutex(&words->shared, i, count);
		break;
	case ROBUST:
		pass_mutex(&words->robust, i, count);
		break;
	default:
#ifdef BENCH_BOOST
		boost_pass(words->boost, words->data, WORDS, i, count);
#endif
		break;
	}
}

enum { BLOCKS = 40, BLOCK = 5000 };

static void least(double *ns, int64_t begin)
{
	double now = (double)(crowd_processor_ns() - begin) / BLOCK;

	if (*ns == 0 || now < *ns)
		*ns = now;
}

/* ns a pass with @count words for each lock, the best of a few blocks, by turns. */
static void alone(int count, double ns[LOCK_COUNT])
{
	for (int b = 0; b < BLOCKS; b++)
		for (int lock = 0; lock < LOCK_COUNT; lock++) {
			int64_t begin = crowd_processor_ns();

			for (uint64_t i = 0; i < BLOCK; i++)
				pass((enum lock)lock, i, count);
			least(&ns[lock], begin);
		}
}

static double read_64(void)
{
	double ns = 0;
	uint64_t to[8];

	for (int b = 0; b < BLOCKS; b++) {
		int64_t begin = crowd_processor_ns();

		for (int i = 0; i < BLOCK; i++)
			must("read",
			     tarn_section_read(section, to, words->data, sizeof(to), TARN_FOREVER));
		least(&ns, begin);
	}
	return ns;
}

/* --- contended ----------------------------------------------------------------------------- */

#define ONE_WORD(name, lock)                                                                       \
	static void name(uint64_t i)                                                               \
	{                                                                                          \
		pass(lock, i, 1);                                                                  \
	}

ONE_WORD(one_section, SECTION)
ONE_WORD(one_shared, SHARED)
ONE_WORD(one_robust, ROBUST)
#ifdef BENCH_BOOST
ONE_WORD(one_boost, BOOST)
#endif

static crowd_pass *const passes[LOCK_COUNT] = {
	one_section,
	one_shared,
	one_robust,
#ifdef BENCH_BOOST
	one_boost,
#endif
};

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

/* --- tables -------------------------------------------------------------------------------- */

static double values[LOCK_COUNT][ROUND_MAX];

static void rows(const char *test, const char *unit, int rounds)
{
	for (int lock = 0; lock < LOCK_COUNT; lock++)
		row(test, lock_names[lock], unit, values[lock], rounds,
		    lock != SHARED ? values[SHARED] : NULL, "shared mutex");
}

static void bench_alone(int rounds, const char *test, int count)
{
	for (int i = 0; i < rounds; i++) {
		double ns[LOCK_COUNT] = { 0 };

		alone(count, ns);
		for (int lock = 0; lock < LOCK_COUNT; lock++)
			values[lock][i] = ns[lock];
	}
	rows(test, "ns", rounds);
	claim("section / shared mutex", rows_median(values[SECTION], values[SHARED], rounds),
	      count == 0 ? 1.0 : 2.5, false);
	if (count == 0)
		claim("section / robust mutex",
		      rows_median(values[SECTION], values[ROBUST], rounds), 1.0, false);
}

static void bench_read(int rounds)
{
	for (int i = 0; i < rounds; i++)
		values[0][i] = read_64();
	row("read 64 bytes without entering", "section", "ns", values[0], rounds, NULL, NULL);
	claim("ns to read 64 bytes", rows_median(values[0], NULL, rounds), 10, false);
}

static void bench_contended(int rounds, int processes)
{
	char test[64];

	snprintf(test, sizeof(test), "contended, %d processes, 1 word", processes);
	for (int i = 0; i < rounds; i++)
		for (int lock = 0; lock < LOCK_COUNT; lock++)
			values[lock][i] = crowd_run(&words->crowd, passes[lock], processes);
	rows(test, "passes/us", rounds);
	claim("passes, section / robust mutex",
	      rows_median(values[SECTION], values[ROBUST], rounds), 1.0, true);
#ifdef BENCH_BOOST
	claim("passes, section / Boost's mutex",
	      rows_median(values[SECTION], values[BOOST], rounds), 1.0, true);
#endif
}

static void bench_killed(bool apart)
{
	const char *test = apart ? "owner killed, two PID namespaces" : "owner killed";
	double us[ROUND_MAX];

	for (int i = 0; i < KILLS; i++) {
		us[i] = killed(apart);
		if (us[i] >= 0)
			continue;
		if (!rows_json)
			printf("  %s: not measured, no PID namespace can be made here\n", test);
		return;
	}
	row(test, "section", "us", us, KILLS, NULL, NULL);
	claim(apart ? "us to own it, across PID namespaces" : "us to own it",
	      rows_median(us, NULL, KILLS), apart ? 10000 : 1000, false);
}

/* --- memory -------------------------------------------------------------------------------- */

static int add_section(const struct tarn_object_stat *stat, void *arg)
{
	if (stat->kind == TARN_OBJECT_SECTION && strcmp(stat->name, "section") == 0)
		*(uint64_t *)arg = stat->size;
	return 0;
}

static uint64_t tables_of(uint32_t members)
{
	const struct tarn_region_opts opts = { .size = 1 << 20, .member_max = members };
	struct tarn_region *one;
	struct tarn_region_stat st;

	must("region", tarn_region_create("anon:", &opts, &one));
	must("region", tarn_region_stat(one, &st));
	tarn_region_close(one);
	return st.total_size;
}

static void print_memory(void)
{
	struct tarn_section_stat st;
	uint64_t size = 0;

	must("section", tarn_section_stat(section, &st));
	must("objects", tarn_region_objects(region, add_section, &size));
	memory("a section, without its journal", (double)(size - st.journal_size));
	memory("its journal, if nothing else is asked for", 4096);
	memory("an entry of it: a word", sizeof(struct tarn_tx_entry));
	memory("a range of 64 bytes", sizeof(struct tarn_tx_entry) + 64);
	memory("a member's slot", (double)(tables_of(512) - tables_of(256)) / 256);
	memory("a process-shared mutex of the C library", sizeof(pthread_mutex_t));
}

int main(int argc, char **argv)
{
	int opt, count = 7;

	while ((opt = getopt(argc, argv, "Jr:")) != -1) {
		if (opt == 'J')
			rows_json = true;
		else if (opt == 'r')
			count = (int)strtol(optarg, NULL, 10);
		if (opt == '?' || count < 1 || count > ROUND_MAX / 3) {
			fprintf(stderr, "usage: bench-section [-J] [-r ROUNDS]\n");
			return 2;
		}
	}
	make_all();
	if (!rows_json)
		printf("A section beside mutexes; median of %d rounds [smallest..largest]\n",
		       count);
	fflush(stdout);
	bench_alone(count, "enter and leave, alone", 0);
	bench_alone(count, "with 12 words changed, alone", 12);
	bench_read(count);
	for (int processes = 2; processes <= CROWD_MAX; processes *= 2)
		bench_contended(3 * count, processes);
	bench_killed(false);
	bench_killed(true);
	print_memory();
#ifndef BENCH_BOOST
	if (!rows_json)
		printf("\nBoost's mutex is not measured: its headers (libboost-dev) or a C++ "
		       "compiler were not there when this was built.\n");
#endif
	return 0;
}
