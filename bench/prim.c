/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-prim - each primitive beside those of the C library and the kernel that do the same, in one
 * run.
 *
 *     bench-prim [-J] [-r ROUNDS] [TEXT]       only tests with TEXT in their name
 *
 * One row a contestant, in groups; the first of each group is Tarn's, and the claim of the group is
 * that it takes at most 1.2 times as long as the fastest of the others. Alone: one process,
 * processor time, by turns in blocks. Contended: two processes and four, passes in a fixed time.
 * To and fro: two processes wake each other up in turns; the time of a round.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>

#include <tarn/tarn.h>

#include "crowd.h"
#include "rows.h"

#define LINE _Alignas(128)

static struct shared {
	struct crowd crowd;
	LINE pthread_mutex_t mutex;
	LINE pthread_mutex_t robust;
	LINE sem_t sem;
	LINE sem_t sems[2];
	LINE pthread_rwlock_t rwlock; /* style: what ours is beside */
	LINE pthread_spinlock_t spin;
	LINE pthread_cond_t cond; /* style: as above */
	LINE pthread_barrier_t barrier;
	LINE pthread_barrier_t alone;
	LINE pthread_mutex_t recursive;
	LINE unsigned char bytes[64];
	LINE uint64_t word;
	LINE uint64_t rounds;
} * shared;

static struct tarn_region *region;
static struct tarn_mutex *mutex, *recursive;
static struct tarn_sem *counted, *owned, *turn[2];
static struct tarn_rwlock *rwlock;
static struct tarn_spin *spin;
static struct tarn_cond *cond;
static struct tarn_barrier *barrier, *barrier_alone;
static struct tarn_event *automatic, *gate;
static struct tarn_once *once;
static struct tarn_seqlock *seqlock;
static int sysv = -1; /* a lock, and two to hand over */

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-prim: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* --- set up -------------------------------------------------------------------------------- */

static void make_mutex(pthread_mutex_t *m, bool robust, int type)
{
	pthread_mutexattr_t attr;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_settype(&attr, type);
	if (robust)
		pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(m, &attr);
}

static void drop_sysv(void)
{
	if (sysv >= 0)
		(void)semctl(sysv, 0, IPC_RMID);
}

static void make_sysv(void)
{
	union {
		int val;
	} one = { 1 };

	sysv = semget(IPC_PRIVATE, 3, 0600); /* 0 at first */
	must("semget", sysv < 0 ? -errno : 0);
	must("semctl", semctl(sysv, 0, SETVAL, one) < 0 ? -errno : 0);
	atexit(drop_sysv);
}

static void make_pthread(void)
{
	pthread_rwlockattr_t rwlock_attr;
	pthread_condattr_t cond_attr;
	pthread_barrierattr_t barrier_attr;

	make_mutex(&shared->mutex, false, PTHREAD_MUTEX_NORMAL);
	make_mutex(&shared->robust, true, PTHREAD_MUTEX_NORMAL);
	make_mutex(&shared->recursive, false, PTHREAD_MUTEX_RECURSIVE);
	pthread_rwlockattr_init(&rwlock_attr);
	pthread_rwlockattr_setpshared(&rwlock_attr, PTHREAD_PROCESS_SHARED);
	pthread_rwlock_init(&shared->rwlock, &rwlock_attr);
	pthread_condattr_init(&cond_attr);
	pthread_condattr_setpshared(&cond_attr, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&shared->cond, &cond_attr);
	pthread_barrierattr_init(&barrier_attr);
	pthread_barrierattr_setpshared(&barrier_attr, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &barrier_attr, 2);
	pthread_barrier_init(&shared->alone, &barrier_attr, 1);
	pthread_spin_init(&shared->spin, PTHREAD_PROCESS_SHARED);
}

static void make_tarn(void)
{
	const struct tarn_rwlock_opts rwlock_opts = { .readers = 8 };
	const struct tarn_spin_opts spin_opts = { 0 };
	const struct tarn_cond_opts cond_opts = { .waiters = 8 };
	const struct tarn_barrier_opts barrier_opts = { .count = 2 };

	const struct tarn_barrier_opts alone_opts = { .count = 1 };
	const struct tarn_event_opts event_opts = { .flags = TARN_EVENT_AUTO };
	const struct tarn_event_opts gate_opts = { .flags = TARN_EVENT_AUTO, .set = 1 };
	const struct tarn_once_opts once_opts = { 0 };
	const struct tarn_seqlock_opts seqlock_opts = { 0 };

	const struct tarn_mutex_opts normal = { .type = TARN_MUTEX_NORMAL };
	const struct tarn_mutex_opts again = { .type = TARN_MUTEX_RECURSIVE };
	const struct tarn_sem_opts one = { .value = 1 }, none = { .value = 0 };
	const struct tarn_sem_opts owner = { .value = 1, .flags = TARN_SEM_OWNED };

	must("mutex", tarn_mutex_open(region, "mutex", &normal, &mutex));
	must("semaphore", tarn_sem_open(region, "counted", &one, &counted));
	must("semaphore", tarn_sem_open(region, "owned", &owner, &owned));
	must("semaphore", tarn_sem_open(region, "to", &none, &turn[0]));
	must("semaphore", tarn_sem_open(region, "fro", &none, &turn[1]));
	must("rwlock", tarn_rwlock_open(region, "rwlock", &rwlock_opts, &rwlock));
	must("spin lock", tarn_spin_open(region, "spin", &spin_opts, &spin));
	must("condition variable", tarn_cond_open(region, "cond", &cond_opts, &cond));
	must("barrier", tarn_barrier_open(region, "barrier", &barrier_opts, &barrier));
	must("barrier", tarn_barrier_open(region, "alone", &alone_opts, &barrier_alone));
	must("mutex", tarn_mutex_open(region, "recursive", &again, &recursive));
	must("event", tarn_event_open(region, "event", &event_opts, &automatic));
	must("event", tarn_event_open(region, "gate", &gate_opts, &gate));
	must("once", tarn_once_open(region, "once", &once_opts, &once));
	must("sequence lock", tarn_seqlock_open(region, "seqlock", &seqlock_opts, &seqlock));
}

static void make_all(void)
{
	const struct tarn_region_opts opts = { .size = 1 << 20 };
	void *data;

	must("region", tarn_region_create("anon:", &opts, &region));
	must("words", tarn_object_create(region, "words", sizeof(*shared), &data, NULL));
	shared = data;
	make_pthread();
	sem_init(&shared->sem, 1, 1);
	sem_init(&shared->sems[0], 1, 0);
	sem_init(&shared->sems[1], 1, 0);
	make_sysv();
	make_tarn();
}

/* --- one pass each ------------------------------------------------------------------------- */

static inline void change(uint64_t i)
{
	__atomic_store_n(&shared->word, i, __ATOMIC_RELAXED);
}

/* What each says is looked at, ours and theirs. */
static inline void check(int r)
{
	if (r < 0)
		must("a pass", r);
}

static void pass_mutex(uint64_t i)
{
	check(tarn_mutex_lock(mutex, TARN_FOREVER, NULL));
	change(i);
	check(tarn_mutex_unlock(mutex));
}

static void pass_pthread(uint64_t i)
{
	check(-pthread_mutex_lock(&shared->mutex));
	change(i);
	check(-pthread_mutex_unlock(&shared->mutex));
}

static void pass_robust(uint64_t i)
{
	check(-pthread_mutex_lock(&shared->robust));
	change(i);
	check(-pthread_mutex_unlock(&shared->robust));
}

static void pass_counted(uint64_t i)
{
	check(tarn_sem_wait(counted, TARN_FOREVER, NULL));
	change(i);
	check(tarn_sem_post(counted));
}

static void pass_owned(uint64_t i)
{
	check(tarn_sem_wait(owned, TARN_FOREVER, NULL));
	change(i);
	check(tarn_sem_post(owned));
}

static void pass_posix(uint64_t i)
{
	while (sem_wait(&shared->sem) < 0)
		;
	change(i);
	check(sem_post(&shared->sem));
}

static void by_sysv(uint64_t i, short flags)
{
	struct sembuf down = { .sem_op = -1, .sem_flg = flags },
		      up = { .sem_op = 1, .sem_flg = flags };

	while (semop(sysv, &down, 1) < 0)
		;
	change(i);
	semop(sysv, &up, 1);
}

static void pass_sysv(uint64_t i)
{
	by_sysv(i, 0);
}

static void pass_sysv_undo(uint64_t i)
{
	by_sysv(i, SEM_UNDO);
}

static void pass_read(uint64_t i)
{
	(void)i;
	check(tarn_rwlock_read(rwlock, TARN_FOREVER, NULL));
	(void)__atomic_load_n(&shared->word, __ATOMIC_RELAXED);
	check(tarn_rwlock_unlock(rwlock));
}

static void pass_pthread_read(uint64_t i)
{
	(void)i;
	check(-pthread_rwlock_rdlock(&shared->rwlock));
	(void)__atomic_load_n(&shared->word, __ATOMIC_RELAXED);
	check(-pthread_rwlock_unlock(&shared->rwlock));
}

static void pass_write(uint64_t i)
{
	check(tarn_rwlock_write(rwlock, TARN_FOREVER, NULL));
	change(i);
	check(tarn_rwlock_unlock(rwlock));
}

static void pass_pthread_write(uint64_t i)
{
	check(-pthread_rwlock_wrlock(&shared->rwlock));
	change(i);
	check(-pthread_rwlock_unlock(&shared->rwlock));
}

static void pass_spin(uint64_t i)
{
	check(tarn_spin_lock(spin, TARN_FOREVER, NULL));
	change(i);
	check(tarn_spin_unlock(spin));
}

static void pass_pthread_spin(uint64_t i)
{
	check(-pthread_spin_lock(&shared->spin));
	change(i);
	check(-pthread_spin_unlock(&shared->spin));
}

/* Twice, as whoever asks for such a lock does. */
static void pass_recursive(uint64_t i)
{
	check(tarn_mutex_lock(recursive, TARN_FOREVER, NULL));
	check(tarn_mutex_lock(recursive, TARN_FOREVER, NULL));
	change(i);
	check(tarn_mutex_unlock(recursive));
	check(tarn_mutex_unlock(recursive));
}

static void pass_pthread_recursive(uint64_t i)
{
	check(-pthread_mutex_lock(&shared->recursive));
	check(-pthread_mutex_lock(&shared->recursive));
	change(i);
	check(-pthread_mutex_unlock(&shared->recursive));
	check(-pthread_mutex_unlock(&shared->recursive));
}

static void pass_signal(uint64_t i)
{
	change(i);
	check(tarn_cond_signal(cond));
}

static void pass_pthread_signal(uint64_t i)
{
	change(i);
	check(-pthread_cond_signal(&shared->cond));
}

static void pass_barrier(uint64_t i)
{
	change(i);
	check(tarn_barrier_wait(barrier_alone, TARN_FOREVER, NULL));
}

static void pass_pthread_barrier(uint64_t i)
{
	change(i);
	pthread_barrier_wait(&shared->alone);
}

static void pass_event(uint64_t i)
{
	check(tarn_event_set(automatic));
	change(i);
	check(tarn_event_wait(automatic, TARN_FOREVER, NULL));
}

static void posix_as_event(uint64_t i)
{
	check(sem_post(&shared->sem));
	change(i);
	while (sem_wait(&shared->sem) < 0)
		;
}

/* As a lock: set while nobody has it. */
static void pass_event_lock(uint64_t i)
{
	check(tarn_event_wait(gate, TARN_FOREVER, NULL));
	change(i);
	check(tarn_event_set(gate));
}

static int nothing_to_do(void *arg, bool again)
{
	(void)arg, (void)again;
	return 0;
}

static void pass_once(uint64_t i)
{
	check(tarn_once_run(once, TARN_FOREVER, nothing_to_do, NULL, NULL));
	change(i);
}

static void do_nothing(void)
{
}

/* There is none for processes. */
static void pass_pthread_once(uint64_t i)
{
	static pthread_once_t done = PTHREAD_ONCE_INIT;

	pthread_once(&done, do_nothing);
	change(i);
}

static void pass_seq_read(uint64_t i)
{
	unsigned char copy[sizeof(shared->bytes)];

	check(tarn_seqlock_read(seqlock, copy, shared->bytes, sizeof(copy), TARN_FOREVER));
	change(i + copy[0]);
}

static void pass_locked_read(uint64_t i)
{
	unsigned char copy[sizeof(shared->bytes)];

	check(-pthread_rwlock_rdlock(&shared->rwlock));
	memcpy(copy, shared->bytes, sizeof(copy));
	check(-pthread_rwlock_unlock(&shared->rwlock));
	change(i + copy[0]);
}

static void pass_seq_write(uint64_t i)
{
	unsigned char bytes[sizeof(shared->bytes)] = { (unsigned char)i };

	check(tarn_seqlock_write(seqlock, shared->bytes, bytes, sizeof(bytes), TARN_FOREVER, NULL));
}

static void pass_locked_write(uint64_t i)
{
	unsigned char bytes[sizeof(shared->bytes)] = { (unsigned char)i };

	check(-pthread_mutex_lock(&shared->mutex));
	memcpy(shared->bytes, bytes, sizeof(bytes));
	check(-pthread_mutex_unlock(&shared->mutex));
}

static void pass_robust_write(uint64_t i)
{
	unsigned char bytes[sizeof(shared->bytes)] = { (unsigned char)i };

	check(-pthread_mutex_lock(&shared->robust));
	memcpy(shared->bytes, bytes, sizeof(bytes));
	check(-pthread_mutex_unlock(&shared->robust));
}

/* --- to and fro ---------------------------------------------------------------------------- */

/* What each of two does in a round; one of them begins, and what is left over is taken away. */
struct duet {
	const char *who;
	void (*step)(int me);
	void (*start)(void);
	void (*stop)(void);  /* the first one, at the end */
	void (*leave)(void); /* the second one */
};

static void nothing(void)
{
}

static void sem_step(int me)
{
	check(tarn_sem_wait(turn[me], TARN_FOREVER, NULL));
	check(tarn_sem_post(turn[!me]));
}

static void sem_start(void)
{
	check(tarn_sem_post(turn[0]));
}

static void sem_stop(void)
{
	check(tarn_sem_wait(turn[0], TARN_FOREVER, NULL));
}

static void posix_step(int me)
{
	while (sem_wait(&shared->sems[me]) < 0)
		;
	check(sem_post(&shared->sems[!me]));
}

static void posix_start(void)
{
	check(sem_post(&shared->sems[0]));
}

static void posix_stop(void)
{
	while (sem_wait(&shared->sems[0]) < 0)
		;
}

static void sysv_by(int which, short by)
{
	struct sembuf op = { .sem_num = (unsigned short)(1 + which), .sem_op = by };

	while (semop(sysv, &op, 1) < 0)
		;
}

static void sysv_step(int me)
{
	sysv_by(me, -1);
	sysv_by(!me, 1);
}

static void sysv_start(void)
{
	sysv_by(0, 1);
}

static void sysv_stop(void)
{
	sysv_by(0, -1);
}

/* By turns: whose it is says a word, and each waits until it is its own. */
static void cond_step(int me)
{
	check(tarn_mutex_lock(mutex, TARN_FOREVER, NULL));
	while (shared->rounds % 2 != (unsigned)me)
		check(tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL));
	shared->rounds++;
	check(tarn_cond_signal(cond));
	check(tarn_mutex_unlock(mutex));
}

static void pthread_cond_step(int me)
{
	check(-pthread_mutex_lock(&shared->mutex));
	while (shared->rounds % 2 != (unsigned)me)
		check(-pthread_cond_wait(&shared->cond, &shared->mutex));
	shared->rounds++;
	check(-pthread_cond_signal(&shared->cond));
	check(-pthread_mutex_unlock(&shared->mutex));
}

static void barrier_step(int me)
{
	(void)me;
	check(tarn_barrier_wait(barrier, TARN_FOREVER, NULL));
}

/* Who dies as a party breaks a round. */
static void barrier_leave(void)
{
	check(tarn_barrier_leave(barrier));
}

static void pthread_barrier_step(int me)
{
	(void)me;
	pthread_barrier_wait(&shared->barrier);
}

/* us a round */
static double to_and_fro(const struct duet *duet)
{
	enum { ROUNDS = 2000 };
	pid_t pid = fork();
	int64_t begin;

	if (pid == 0) {
		crowd_pin(1);
		for (int i = 0; i < ROUNDS; i++)
			duet->step(1);
		duet->leave();
		_exit(0);
	}
	crowd_pin(0);
	duet->start();
	begin = tarn_now();
	for (int i = 0; i < ROUNDS; i++)
		duet->step(0);
	begin = tarn_now() - begin;
	waitpid(pid, NULL, 0);
	duet->stop();
	return (double)begin / 1e3 / ROUNDS;
}

/* --- groups -------------------------------------------------------------------------------- */

enum { WHO_MAX = 6, BLOCKS = 20, BLOCK = 5000 };

struct contestant {
	const char *who;
	crowd_pass *pass;
	bool slow; /* a system call each: fewer passes */
};

static const struct group {
	const char *test;
	int tarn;  /* so many of them are Tarn's, the first ones */
	bool lone; /* not contended: it makes no sense, or is another test */
	struct contestant of[WHO_MAX];
} groups[] = {
	{ "mutex",
	  1,
	  false,
	  { { "mutex", pass_mutex, false },
	    { "shared mutex", pass_pthread, false },
	    { "robust mutex", pass_robust, false },
	    { "POSIX semaphore", pass_posix, false },
	    { "System V semaphore", pass_sysv, true },
	    { "System V, undo", pass_sysv_undo, true } } },
	{ "mutex, locked twice",
	  1,
	  false,
	  { { "recursive mutex", pass_recursive, false },
	    { "shared recursive mutex", pass_pthread_recursive, false } } },
	{ "semaphore",
	  2,
	  false,
	  { { "counted", pass_counted, false },
	    { "owned", pass_owned, false },
	    { "POSIX", pass_posix, false },
	    { "System V", pass_sysv, true },
	    { "System V, undo", pass_sysv_undo, true } } },
	{ "rwlock, reading",
	  1,
	  false,
	  { { "rwlock", pass_read, false }, { "shared rwlock", pass_pthread_read, false } } },
	{ "rwlock, writing",
	  1,
	  false,
	  { { "rwlock", pass_write, false }, { "shared rwlock", pass_pthread_write, false } } },
	{ "spin lock",
	  1,
	  false,
	  { { "spin lock", pass_spin, false }, { "shared spin lock", pass_pthread_spin, false } } },
	{ "signal, nobody waits",
	  1,
	  true,
	  { { "cond", pass_signal, false }, { "shared cond", pass_pthread_signal, false } } },
	{ "barrier of one",
	  1,
	  true,
	  { { "barrier", pass_barrier, false },
	    { "shared barrier", pass_pthread_barrier, false } } },
	{ "event, set and waited for",
	  1,
	  true,
	  { { "automatic event", pass_event, false },
	    { "POSIX semaphore", posix_as_event, false } } },
	{ "event, as a lock",
	  1,
	  false,
	  { { "automatic event", pass_event_lock, false },
	    { "POSIX semaphore", pass_posix, false } } },
	{ "once, done already",
	  1,
	  true,
	  { { "once", pass_once, false },
	    { "pthread_once (threads)", pass_pthread_once, false } } },
	{ "64 bytes, read",
	  1,
	  false,
	  { { "sequence lock", pass_seq_read, false },
	    { "shared rwlock", pass_locked_read, false } } },
	{ "64 bytes, written",
	  1,
	  false,
	  { { "sequence lock", pass_seq_write, false },
	    { "shared mutex", pass_locked_write, false },
	    { "robust mutex", pass_robust_write, false } } },
};

static double values[WHO_MAX][ROUND_MAX];

static int count_of(const struct group *group)
{
	int n = 0;

	while (n < WHO_MAX && group->of[n].who != NULL)
		n++;
	return n;
}

/* Rows of a group, and what is claimed of each of Tarn's. @most: more is better. */
static void tell(const struct group *group, const char *test, const char *unit, int rounds,
		 bool most)
{
	double best[ROUND_MAX];
	char words[96];
	int n = count_of(group);

	for (int i = 0; i < rounds; i++) {
		best[i] = values[group->tarn][i];
		for (int w = group->tarn; w < n; w++)
			if (most ? values[w][i] > best[i] : values[w][i] < best[i])
				best[i] = values[w][i];
	}
	for (int w = 0; w < n; w++)
		row(test, group->of[w].who, unit, values[w], rounds, w < group->tarn ? best : NULL,
		    "the best of the others");
	for (int w = 0; w < group->tarn; w++) {
		snprintf(words, sizeof(words), "%s, %s / best of the others", test,
			 group->of[w].who);
		claim(words, rows_median(values[w], best, rounds), most ? 1 / 1.2 : 1.2, most);
	}
}

static void alone(const struct group *group, int round)
{
	int n = count_of(group);

	for (int w = 0; w < n; w++)
		values[w][round] = 0;
	for (int b = 0; b < BLOCKS; b++)
		for (int w = 0; w < n; w++) {
			uint64_t passes = group->of[w].slow ? BLOCK / 50 : BLOCK;
			int64_t begin = crowd_processor_ns();
			double ns;

			for (uint64_t i = 0; i < passes; i++)
				group->of[w].pass(i);
			ns = (double)(crowd_processor_ns() - begin) / (double)passes;
			if (b == 0 || ns < values[w][round])
				values[w][round] = ns;
		}
}

static void bench_group(const struct group *group, int rounds)
{
	char test[64];

	for (int i = 0; i < rounds; i++)
		alone(group, i);
	snprintf(test, sizeof(test), "%s, alone", group->test);
	tell(group, test, "ns", rounds, false);
	for (int processes = 2; processes <= 4 && !group->lone; processes *= 2) {
		for (int i = 0; i < rounds; i++)
			for (int w = 0; w < count_of(group); w++)
				values[w][i] =
					crowd_run(&shared->crowd, group->of[w].pass, processes);
		snprintf(test, sizeof(test), "%s, %d processes", group->test, processes);
		tell(group, test, "passes/us", rounds, true);
	}
}

enum { DUETS = 3 };

static void bench_duet(const char *test, const struct duet duets[DUETS], int rounds)
{
	struct group group = { .test = test, .tarn = 1 };

	for (int w = 0; w < DUETS; w++)
		group.of[w].who = duets[w].who;
	for (int i = 0; i < rounds; i++)
		for (int w = 0; w < count_of(&group); w++)
			values[w][i] = to_and_fro(&duets[w]);
	tell(&group, test, "us", rounds, false);
}

static const struct {
	const char *test;
	struct duet duets[DUETS];
} turns[] = {
	{ "semaphore, to and fro",
	  { { "counted", sem_step, sem_start, sem_stop, nothing },
	    { "POSIX", posix_step, posix_start, posix_stop, nothing },
	    { "System V", sysv_step, sysv_start, sysv_stop, nothing } } },
	{ "condition variable, by turns",
	  { { "cond", cond_step, nothing, nothing, nothing },
	    { "shared cond", pthread_cond_step, nothing, nothing, nothing } } },
	{ "barrier, two parties",
	  { { "barrier", barrier_step, nothing, nothing, barrier_leave },
	    { "shared barrier", pthread_barrier_step, nothing, nothing, nothing } } },
};

int main(int argc, char **argv)
{
	const char *only = "";
	int option, rounds = 5;

	while ((option = getopt(argc, argv, "Jr:")) != -1) {
		if (option == 'J')
			rows_json = true;
		else if (option == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind < argc)
		only = argv[optind];
	if (rounds < 1 || rounds > ROUND_MAX) {
		fprintf(stderr, "bench-prim: -r %d: 1 to %d rounds are possible\n", rounds,
			ROUND_MAX);
		return 2;
	}
	make_all();
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (strstr(groups[i].test, only) != NULL)
			bench_group(&groups[i], rounds);
	for (size_t i = 0; i < sizeof(turns) / sizeof(turns[0]); i++)
		if (strstr(turns[i].test, only) != NULL)
			bench_duet(turns[i].test, turns[i].duets, rounds);
	memory("a primitive", 384);
	memory("a seat: a permit, a reader, a party", 16);
	return 0;
}
