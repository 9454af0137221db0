/* SPDX-License-Identifier: BSD-2-Clause */
/* Primitives used by two threads: what one does before it gives something back, the other sees. */
#include <errno.h>

#include "duet.h"

enum { ROUNDS = 5000 };

static struct tarn_mutex *mutex;
static struct tarn_sem *permit, *to, *fro;
static struct tarn_rwlock *rwlock;
static struct tarn_cond *cond;
static struct tarn_spin *spin;
static struct tarn_once *once;
static struct tarn_seqlock *seqlock;
static uint64_t *words; /* in the region; plain */

static void raise_words(void)
{
	expect("whole", words[0] == words[1]);
	words[0]++;
	words[1]++;
}

static void *lock(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		must("lock", tarn_mutex_lock(mutex, TARN_FOREVER, NULL));
		raise_words();
		must("unlock", tarn_mutex_unlock(mutex));
	}
	return arg;
}

static void *try_lock(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		int r = tarn_mutex_try(mutex, NULL);

		expect("try", r == 0 || r == -EAGAIN);
		if (r != 0)
			continue;
		raise_words();
		must("unlock", tarn_mutex_unlock(mutex));
	}
	return arg;
}

/* Each ends with the mutex locked, now and then: the next one is told. */
static void *lock_and_end(void *arg)
{
	int r = tarn_mutex_lock(mutex, TARN_FOREVER, NULL);

	expect("lock", r == 0 || r == -EOWNERDEAD);
	words[0]++;
	words[1]++;
	return arg;
}

static void *take_permit(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		must("wait", tarn_sem_wait(permit, TARN_FOREVER, NULL));
		raise_words();
		must("post", tarn_sem_post(permit));
	}
	return arg;
}

static void *make_one(void *arg)
{
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		words[0] = n;
		must("post", tarn_sem_post(to));
		must("wait", tarn_sem_wait(fro, TARN_FOREVER, NULL));
		expect("its answer", words[1] == n);
	}
	return arg;
}

static void *take_one(void *arg)
{
	for (uint64_t n = 1; n <= ROUNDS; n++) {
		must("wait", tarn_sem_wait(to, TARN_FOREVER, NULL));
		expect("its word", words[0] == n);
		words[1] = n;
		must("post", tarn_sem_post(fro));
	}
	return arg;
}

static void *write_words(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		must("write", tarn_rwlock_write(rwlock, TARN_FOREVER, NULL));
		raise_words();
		must("unlock", tarn_rwlock_unlock(rwlock));
	}
	return arg;
}

static void *read_words(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		must("read", tarn_rwlock_read(rwlock, TARN_FOREVER, NULL));
		expect("whole", words[0] == words[1]);
		must("unlock", tarn_rwlock_unlock(rwlock));
	}
	return arg;
}

static void *lock_spinning(void *arg)
{
	for (int n = 0; n < ROUNDS; n++) {
		must("lock", tarn_spin_lock(spin, TARN_FOREVER, NULL));
		raise_words();
		must("unlock", tarn_spin_unlock(spin));
	}
	return arg;
}

static int raise_once(void *arg, bool again)
{
	(void)arg, (void)again;
	raise_words();
	return 0;
}

static void *run_once(void *arg)
{
	must("once", tarn_once_run(once, TARN_FOREVER, raise_once, NULL, NULL));
	expect("done", words[0] == 1 && words[1] == 1);
	return arg;
}

static void *write_value(void *arg)
{
	for (uint64_t n = 0; n < ROUNDS; n++) {
		const uint64_t pair[2] = { n, n };

		must("write",
		     tarn_seqlock_write(seqlock, words, pair, sizeof(pair), TARN_FOREVER, NULL));
	}
	return arg;
}

static void *read_value(void *arg)
{
	uint64_t pair[2];

	for (int n = 0; n < ROUNDS; n++) {
		must("read", tarn_seqlock_read(seqlock, pair, words, sizeof(pair), TARN_FOREVER));
		expect("whole", pair[0] == pair[1]);
	}
	return arg;
}

/* By turns: whose turn it is says word 0. */
static void take_turns(uint64_t me)
{
	for (int n = 0; n < ROUNDS / 4; n++) {
		must("lock", tarn_mutex_lock(mutex, TARN_FOREVER, NULL));
		while (words[0] % 2 != me)
			must("cond", tarn_cond_wait(cond, mutex, TARN_FOREVER, NULL));
		words[0]++;
		must("signal", tarn_cond_signal(cond));
		must("unlock", tarn_mutex_unlock(mutex));
	}
}

static void *even(void *arg)
{
	take_turns(0);
	return arg;
}

static void *odd(void *arg)
{
	take_turns(1);
	return arg;
}

static const struct duet cases[] = {
	{ "mutex", lock, lock },
	{ "mutex, tried", lock, try_lock },
	{ "mutex, left by the ending", lock_and_end, lock_and_end },
	{ "semaphore with an owner", take_permit, take_permit },
	{ "semaphore to and fro", make_one, take_one },
	{ "rwlock", write_words, read_words },
	{ "rwlock, two writers", write_words, write_words },
	{ "condition variable", even, odd },
	{ "spin lock", lock_spinning, lock_spinning },
	{ "once", run_once, run_once },
	{ "sequence lock", write_value, read_value },
};

int main(int argc, char **argv)
{
	const struct tarn_mutex_opts mutex_opts = { .type = TARN_MUTEX_NORMAL };
	const struct tarn_sem_opts one = { .value = 1, .flags = TARN_SEM_OWNED };
	const struct tarn_sem_opts none = { .value = 0 };
	const struct tarn_rwlock_opts rwlock_opts = { .readers = 4 };
	const struct tarn_cond_opts cond_opts = { .waiters = 4 };
	const struct tarn_spin_opts spin_opts = { 0 };
	const struct tarn_once_opts once_opts = { 0 };
	const struct tarn_seqlock_opts seqlock_opts = { 0 };
	size_t i = duet_begin(argc, argv, cases, sizeof(cases) / sizeof(cases[0]));
	void *data;

	must("mutex", tarn_mutex_open(region, "mutex", &mutex_opts, &mutex));
	must("permit", tarn_sem_open(region, "permit", &one, &permit));
	must("to", tarn_sem_open(region, "to", &none, &to));
	must("fro", tarn_sem_open(region, "fro", &none, &fro));
	must("rwlock", tarn_rwlock_open(region, "rwlock", &rwlock_opts, &rwlock));
	must("cond", tarn_cond_open(region, "cond", &cond_opts, &cond));
	must("spin", tarn_spin_open(region, "spin", &spin_opts, &spin));
	must("once", tarn_once_open(region, "once", &once_opts, &once));
	must("seqlock", tarn_seqlock_open(region, "seqlock", &seqlock_opts, &seqlock));
	must("words", tarn_object_create(region, "words", 64, &data, NULL));
	words = data;
	duet_run(&cases[i]);
	tarn_seqlock_close(seqlock);
	tarn_once_close(once);
	tarn_spin_close(spin);
	tarn_cond_close(cond);
	tarn_rwlock_close(rwlock);
	tarn_sem_close(fro);
	tarn_sem_close(to);
	tarn_sem_close(permit);
	tarn_mutex_close(mutex);
	duet_end();
	return 0;
}
