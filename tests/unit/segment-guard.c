/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SIGBUS guard: a peer that truncates cannot kill who has asked for it, and every other SIGBUS
 * goes where it went before. Each case runs in a child, since handlers are the process's.
 */
#include <pthread.h>

#include "segment.h"

/* Two pages, the second of which a peer has cut off. */
static struct tarn_segment *cut(uint32_t flags)
{
	const char *addr = own_name("shm:", "cut");
	struct tarn_segment *maker = NULL, *seg = NULL;
	struct tarn_segment_opts opts = { .flags = flags };

	if (tarn_segment_create(addr, &(struct tarn_segment_opts){ .size = 2 * 4096 }, &maker) <
		    0 ||
	    tarn_segment_open(addr, &opts, &seg) < 0)
		_exit(99);
	memset(tarn_segment_data(maker), 'x', 2 * 4096);
	if (ftruncate(tarn_segment_fd(maker), 4096) < 0 || tarn__segment_unname(maker) < 0)
		_exit(98);
	tarn_segment_close(maker);
	return seg;
}

static int read_at(const struct tarn_segment *seg, size_t off)
{
	return ((const _Atomic unsigned char *)tarn_segment_data(seg))[off];
}

static int unguarded(void *arg)
{
	(void)arg;
	return read_at(cut(0), 4096);
}

static void without_the_guard_truncation_kills(void **state)
{
	(void)state;
	assert_int_equal(in_child(unguarded, NULL), 128 + SIGBUS);
}

static int guarded(void *arg)
{
	struct tarn_segment *seg = cut(*(uint32_t *)arg), *other = NULL;
	struct tarn_segment_stat stat;
	int r = tarn_segment_guard();

	if (r < 0 || tarn_segment_guard() < 0)
		return 1;
	if (tarn_segment_damaged(seg))
		return 2;
	errno = 77;
	if (read_at(seg, 4096) != 0 || errno != 77)
		return 3;
	if (read_at(seg, 4095) != 'x' || read_at(seg, 8191) != 0)
		return 4;
	if (!tarn_segment_damaged(seg) || seg->fault_count != 1)
		return 5;
	if (tarn_segment_stat(seg, &stat) != -EIO || tarn_segment_grow(seg, 1, NULL) != -EIO ||
	    tarn_segment_sync(seg, 0, 0, TARN_SYNC_WAIT) != -EIO ||
	    tarn_segment_advise(seg, 0, 0, TARN_ADVICE_COLD) != -EIO ||
	    tarn_segment_lock(seg, 0, 0, NULL) != -EIO ||
	    tarn_segment_protect(seg, 0, 0, false) != -EIO || tarn_segment_seal(seg, 1) != -EIO ||
	    tarn_segment_place(seg, 0, 0, TARN_NUMA_BIND, 1) != -EIO ||
	    tarn_segment_chmod(seg, 0600, UINT32_MAX, UINT32_MAX) != -EIO ||
	    tarn_segment_send(0, seg, false) != -EIO)
		return 6;
	/* another segment is none the worse */
	if (tarn_segment_create("anon:", &(struct tarn_segment_opts){ .size = 1 }, &other) < 0 ||
	    tarn_segment_stat(other, &stat) < 0)
		return 7;
	tarn_segment_close(other);
	tarn_segment_close(seg);
	return 0;
}

static void with_the_guard_truncation_is_an_error(void **state)
{
	static const uint32_t flags[] = { 0, TARN_SEGMENT_READ_ONLY, TARN_SEGMENT_PRIVATE };

	(void)state;
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(in_child(guarded, (void *)(uintptr_t)&flags[i]), 0);
}

static int store_guarded(void *arg)
{
	struct tarn_segment *seg = cut(0);
	unsigned char *data = tarn_segment_data(seg);

	(void)arg;
	if (tarn_segment_guard() < 0)
		return 1;
	memset(data, 'w', 2 * 4096);
	return data[8191] == 'w' && tarn_segment_damaged(seg) ? 0 : 2;
}

static void stores_beyond_the_end_are_survived_too(void **state)
{
	(void)state;
	assert_int_equal(in_child(store_guarded, NULL), 0);
}

/* --- chaining -------------------------------------------------------------------------------- */

/* A mapping of the program's own with nothing behind it. */
static unsigned char *foreign_hole(void)
{
	int fd = memfd_create("hole", MFD_CLOEXEC);
	unsigned char *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		_exit(97);
	return p;
}

static int foreign_fault(void *arg)
{
	(void)arg;
	if (tarn_segment_guard() < 0)
		return 1;
	return *(_Atomic unsigned char *)foreign_hole();
}

static int foreign_fault_ignored(void *arg)
{
	signal(SIGBUS, SIG_IGN);
	return foreign_fault(arg);
}

static int sent_signal(void *arg)
{
	(void)arg;
	if (tarn_segment_guard() < 0)
		return 1;
	raise(SIGBUS);
	return 2;
}

static int sent_signal_ignored(void *arg)
{
	(void)arg;
	signal(SIGBUS, SIG_IGN);
	if (tarn_segment_guard() < 0)
		return 1;
	raise(SIGBUS);
	return 0;
}

static int closed_mapping(void *arg)
{
	struct tarn_segment *seg = cut(0);
	void *base = tarn_segment_data(seg);
	int fd;

	(void)arg;
	if (tarn_segment_guard() < 0)
		return 1;
	tarn_segment_close(seg);
	/* what takes its place is not the guard's */
	fd = memfd_create("hole", MFD_CLOEXEC);
	if (mmap(base, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		return 2;
	return *(_Atomic unsigned char *)base;
}

static void other_faults_kill_as_before(void **state)
{
	(void)state;
	assert_int_equal(in_child(foreign_fault, NULL), 128 + SIGBUS);
	assert_int_equal(in_child(foreign_fault_ignored, NULL), 128 + SIGBUS);
	assert_int_equal(in_child(sent_signal, NULL), 128 + SIGBUS);
	assert_int_equal(in_child(sent_signal_ignored, NULL), 0);
	assert_int_equal(in_child(closed_mapping, NULL), 128 + SIGBUS);
}

static sigjmp_buf back;
static void *fault_addr;

static void old_plain(int sig)
{
	siglongjmp(back, sig);
}

static void old_with_info(int sig, siginfo_t *info, void *context)
{
	sigset_t now;

	(void)context;
	sigprocmask(SIG_BLOCK, NULL, &now);
	if (info->si_addr == fault_addr && sigismember(&now, SIGUSR1))
		siglongjmp(back, sig);
	_exit(96);
}

static int chained(void *arg)
{
	struct sigaction act = { 0 };
	unsigned char *hole = foreign_hole();
	struct tarn_segment *seg = cut(0);

	fault_addr = hole;
	if (arg != NULL) {
		act.sa_sigaction = old_with_info;
		act.sa_flags = SA_SIGINFO;
		sigaddset(&act.sa_mask, SIGUSR1);
	} else {
		act.sa_handler = old_plain;
	}
	sigaction(SIGBUS, &act, NULL);
	if (tarn_segment_guard() < 0)
		return 1;
	if (sigsetjmp(back, 1) == 0)
		return 2 + *(_Atomic unsigned char *)hole;
	/* its own are still its own */
	return read_at(seg, 4096);
}

static void the_handler_that_was_there_gets_what_is_not_the_guards(void **state)
{
	(void)state;
	assert_int_equal(in_child(chained, NULL), 0);
	assert_int_equal(in_child(chained, &fault_addr), 0);
}

static int never_a_ring(void *arg)
{
	struct sigaction ours, above = { 0 };

	(void)arg;
	if (tarn_segment_guard() < 0)
		return 1;
	above.sa_handler = old_plain;
	sigaction(SIGBUS, &above, &ours);
	if (tarn_segment_guard() < 0)
		return 2;
	sigaction(SIGBUS, NULL, &above);
	/* another's handler on top stays there; a default on top is replaced */
	if (above.sa_handler != old_plain)
		return 3;
	signal(SIGBUS, SIG_DFL);
	if (tarn_segment_guard() < 0)
		return 4;
	return read_at(cut(0), 4096);
}

static void the_guard_never_chains_in_a_ring(void **state)
{
	(void)state;
	assert_int_equal(in_child(never_a_ring, NULL), 0);
}

/* --- many ------------------------------------------------------------------------------------ */

static _Atomic int failures;

static void *open_and_close(void *arg)
{
	const struct tarn_segment_opts opts = { .size = 4096 };

	for (int i = 0; i < 300; i++) {
		struct tarn_segment *seg = NULL;

		if (tarn_segment_create("anon:", &opts, &seg) < 0)
			failures++;
		tarn_segment_close(seg);
	}
	return arg;
}

/* More mappings than one chunk of the list, while threads add and remove others. */
static int crowded(void *arg)
{
	enum { COUNT = 150 };
	struct tarn_segment *segs[COUNT];
	pthread_t threads[2];

	(void)arg;
	if (tarn_segment_guard() < 0)
		return 1;
	for (int i = 0; i < COUNT; i++)
		segs[i] = cut(0);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, open_and_close, NULL);
	for (int i = 0; i < COUNT; i++)
		if (read_at(segs[i], 4096) != 0 || segs[i]->fault_count != 1)
			return 2;
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < COUNT; i++)
		tarn_segment_close(segs[i]);
	return failures == 0 ? 0 : 3;
}

static void every_mapping_is_known_however_many(void **state)
{
	(void)state;
	assert_int_equal(in_child(crowded, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_guard_truncation_kills),
		cmocka_unit_test(with_the_guard_truncation_is_an_error),
		cmocka_unit_test(stores_beyond_the_end_are_survived_too),
		cmocka_unit_test(other_faults_kill_as_before),
		cmocka_unit_test(the_handler_that_was_there_gets_what_is_not_the_guards),
		cmocka_unit_test(the_guard_never_chains_in_a_ring),
		cmocka_unit_test(every_mapping_is_known_however_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
