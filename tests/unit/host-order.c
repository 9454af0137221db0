/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Going through a picture: what is asked of a segment, a process or both is what going through
 * everything gives, in the same order.
 */
#include "host.h"

enum { HOLDERS = 4, SEGMENTS = 6 };

static int fds[SEGMENTS];

/* Holder i maps segment j if (i + j) is no multiple of 3, twice if j is odd, and has all open. */
static void map_some(void *arg)
{
	uintptr_t i = (uintptr_t)arg;

	for (uintptr_t j = 0; j < SEGMENTS; j++) {
		for (uintptr_t n = 0; (i + j) % 3 != 0 && n <= j % 2; n++)
			if (mmap(NULL, 8192, PROT_READ, MAP_SHARED, fds[j], 0) == MAP_FAILED)
				_exit(1);
	}
}

struct collected {
	const void *items[65536];
	size_t count;
	/* what is wanted of all */
	const struct tarn_host_segment *segment;
	const struct tarn_host_process *process;
};

static int collect_mapping(const struct tarn_host_mapping *mapping, void *arg)
{
	struct collected *all = arg;

	assert_true(all->count < 65536);
	all->items[all->count++] = mapping;
	return 0;
}

static int collect_use(const struct tarn_host_use *use, void *arg)
{
	struct collected *all = arg;

	assert_true(all->count < 65536);
	all->items[all->count++] = use;
	return 0;
}

static struct collected every, got;

static void expect_mappings(const struct tarn_host *host, const struct tarn_host_segment *segment,
			    const struct tarn_host_process *process)
{
	size_t at = 0;

	got.count = 0;
	assert_int_equal(tarn_host_mappings(host, segment, process, collect_mapping, &got), 0);
	for (size_t i = 0; i < every.count; i++) {
		const struct tarn_host_mapping *map = every.items[i];

		if ((segment != NULL && map->segment != segment) ||
		    (process != NULL && map->process != process))
			continue;
		assert_true(at < got.count);
		assert_ptr_equal(got.items[at++], map);
	}
	assert_int_equal(at, got.count);
}

static void expect_uses(const struct tarn_host *host, const struct tarn_host_segment *segment,
			const struct tarn_host_process *process)
{
	size_t at = 0;

	got.count = 0;
	assert_int_equal(tarn_host_uses(host, segment, process, collect_use, &got), 0);
	for (size_t i = 0; i < every.count; i++) {
		const struct tarn_host_use *use = every.items[i];

		if ((segment != NULL && use->segment != segment) ||
		    (process != NULL && use->process != process))
			continue;
		assert_true(at < got.count);
		assert_ptr_equal(got.items[at++], use);
	}
	assert_int_equal(at, got.count);
}

/* Every pair, and none of either. */
static void for_each_pair(const struct tarn_host *host,
			  void (*expect)(const struct tarn_host *, const struct tarn_host_segment *,
					 const struct tarn_host_process *))
{
	for (uint32_t s = 0; s <= host->seg_count; s++) {
		for (uint32_t p = 0; p <= host->proc_count; p++)
			expect(host, s < host->seg_count ? &host->segs[s]->pub : NULL,
			       p < host->proc_count ? &host->procs[p]->pub : NULL);
	}
}

static void what_is_asked_of_one_is_what_going_through_all_gives(void **state)
{
	pid_t pids[HOLDERS];
	struct tarn_host *host;
	uint32_t own = 0;

	(void)state;
	for (int j = 0; j < SEGMENTS; j++) {
		fds[j] = memfd_create("order", MFD_CLOEXEC);
		assert_true(fds[j] >= 0);
		assert_int_equal(ftruncate(fds[j], 8192), 0);
	}
	for (uintptr_t i = 0; i < HOLDERS; i++)
		pids[i] = holder(map_some, (void *)i);
	host = picture(0);
	for (int j = 0; j < SEGMENTS; j++) {
		char addr[40];

		snprintf(addr, sizeof(addr), "memfd:%d:%d", getpid(), fds[j]);
		own += (uint32_t)found(host, addr)->attach_count;
	}
	assert_int_equal(own, 24); /* of the rule above, or there is nothing to compare */
	every.count = 0;
	assert_int_equal(tarn_host_mappings(host, NULL, NULL, collect_mapping, &every), 0);
	for_each_pair(host, expect_mappings);
	every.count = 0;
	assert_int_equal(tarn_host_uses(host, NULL, NULL, collect_use, &every), 0);
	for_each_pair(host, expect_uses);
	tarn_host_free(host);
	for (int i = 0; i < HOLDERS; i++)
		end(pids[i]);
	for (int j = 0; j < SEGMENTS; j++)
		close(fds[j]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_of_one_is_what_going_through_all_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
