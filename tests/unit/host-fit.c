/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Would a segment fit? Each limit on the way, made just too small and just large enough on a
 * made-up host; and on this host the answer is what creating then finds.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>

#include "failing.h"
#include "fakeroot.h"

enum { NOT_PERMITTED = 77 };

#define POOL   "sys/kernel/mm/hugepages/hugepages-2048kB/"
#define CGROUP "sys/fs/cgroup/user/app/"
#define MEMORY(avail, swap, commit)                                                                \
	"MemTotal: 4294967296 kB\nMemFree: 100 kB\nMemAvailable: " avail " kB\nSwapTotal: 0 kB\n"  \
	"SwapFree: " swap " kB\nCommitLimit: " commit " kB\nCommitted_AS: 0 kB\n"                  \
	"Hugepagesize: 2048 kB\n"

/* A limit that is in the way of 64 MiB. */
static const struct shortage {
	const char *addr;
	uint32_t pages, flags;
	struct fake_file files[2];
	const char *check, *word, *hint;
} shortages[] = {
	{ "shm:x",
	  0,
	  0,
	  { { "proc/meminfo", MEMORY("60000", "0", "99999999") } },
	  "memory",
	  "the host has 58.5 MiB",
	  "swapon" },
	{ "anon:",
	  0,
	  0,
	  { { "proc/meminfo", MEMORY("30000", "30000", "99999999") } },
	  "memory",
	  "the host has 58.5 MiB",
	  "swapon" },
	{ "sysv:0x1234",
	  0,
	  0,
	  { { "proc/meminfo", MEMORY("60000", "0", "99999999") } },
	  "memory",
	  "the host has 58.5 MiB",
	  "swapon" },
	{ "memfd:x",
	  0,
	  0,
	  { { "proc/meminfo", MEMORY("9999999", "0", "50000") },
	    { "proc/sys/vm/overcommit_memory", "2\n" } },
	  "commit",
	  "48.8 MiB",
	  "overcommit_memory=0" },
	{ "shm:",
	  0,
	  0,
	  { { CGROUP "memory.max", "80000000\n" } },
	  "cgroup-memory",
	  "57.2 MiB left",
	  "> /sys/fs/cgroup/user/app/memory.max" },
	{ NULL,
	  0,
	  0,
	  { { "sys/fs/cgroup/user/memory.max", "150000000\n" },
	    { "sys/fs/cgroup/user/memory.swap.max", "0\n" } },
	  "cgroup-memory",
	  "47.6 MiB left",
	  "> /sys/fs/cgroup/user/memory.max" },
	{ "sysv:",
	  0,
	  0,
	  { { "proc/sys/kernel/shmmax", "67108863\n" } },
	  "sysv-shmmax",
	  "1 bytes short",
	  "kernel.shmmax=67108864" },
	{ "sysv:private",
	  0,
	  0,
	  { { "proc/sys/kernel/shmmni", "2\n" } },
	  "sysv-shmmni",
	  "has 2 System V segments, and may have 2",
	  "kernel.shmmni=3" },
	{ "sysv:",
	  0,
	  0,
	  { { "proc/sys/kernel/shmall", "16387\n" } },
	  "sysv-shmall",
	  "16384 pages wanted, 4 of 16387",
	  "kernel.shmall=16388" },
	{ "memfd:",
	  TARN_PAGES_2M,
	  TARN_SEGMENT_PAGES_MUST,
	  { { POOL "free_hugepages", "41\n" } },
	  "huge-pages",
	  "32 huge pages of 2048 KiB wanted, 31 free",
	  "vm.nr_hugepages=65" },
	{ "sysv:",
	  TARN_PAGES_2M,
	  TARN_SEGMENT_PAGES_MUST,
	  { { POOL "resv_hugepages", "29\n" } },
	  "huge-pages",
	  "31 free",
	  "vm.nr_hugepages=65" },
	{ "huge:x",
	  0,
	  0,
	  { { POOL "free_hugepages", "0\n" } },
	  "huge-pages",
	  "32 huge pages",
	  "vm.nr_hugepages=" },
	{ "huge:",
	  TARN_PAGES_2M,
	  0,
	  { { CGROUP "hugetlb.2MB.max", "10485760\n" } },
	  "cgroup-huge-pages",
	  "10 MiB left of the hugetlb cgroup",
	  "hugetlb.2MB.max" },
	{ "huge:",
	  TARN_PAGES_1G,
	  TARN_SEGMENT_PAGES_MUST,
	  { { NULL, NULL } },
	  "hugetlbfs",
	  "no hugetlbfs with pages of 1 GiB",
	  "pagesize=1G" },
	{ "huge:",
	  0,
	  0,
	  { { "proc/self/mountinfo", "22 28 0:20 / /proc rw - proc proc rw\n" } },
	  "hugetlbfs",
	  "no hugetlbfs is mounted",
	  "mount -t hugetlbfs" },
	{ "memfd:",
	  0,
	  TARN_SEGMENT_LOCK,
	  { { NULL, NULL } },
	  "memlock",
	  "64 MiB to be locked, 1020 KiB left of the 1 MiB",
	  "ulimit -l" },
};

/* The same host with one more page, or one more of what is counted. */
static const struct fake_file enough[] = {
	{ "proc/meminfo", MEMORY("66400", "0", "99999999") },
	{ "proc/meminfo", MEMORY("33200", "33200", "99999999") },
	{ "proc/meminfo", MEMORY("66400", "0", "99999999") },
	{ "proc/meminfo", MEMORY("9999999", "0", "66400") },
	{ CGROUP "memory.max", "88000000\n" },
	{ "sys/fs/cgroup/user/memory.max", "168000000\n" },
	{ "proc/sys/kernel/shmmax", "67108864\n" },
	{ "proc/sys/kernel/shmmni", "3\n" },
	{ "proc/sys/kernel/shmall", "16388\n" },
	{ POOL "free_hugepages", "42\n" },
	{ POOL "resv_hugepages", "28\n" },
	{ POOL "free_hugepages", "42\n" },
	{ CGROUP "hugetlb.2MB.max", "67108864\n" },
	{ "proc/self/mountinfo", "31 28 0:26 / /d rw - hugetlbfs none rw,pagesize=1024M\n" },
	{ "proc/self/mountinfo", "31 28 0:26 / /dev/hugepages rw - hugetlbfs none rw\n" },
	{ "proc/self/status", "VmSize:\t4096 kB\nVmLck:\t 4 kB\nCapEff:\t0000000000004000\n" },
};

static void put_files(const char *root, const struct fake_file *files, size_t count)
{
	for (size_t i = 0; i < count && files[i].path != NULL; i++)
		fake_put(root, files[i].path, files[i].text);
}

static const struct kept_finding *first_short(const struct kept *kept)
{
	for (size_t i = 0; i < kept->count; i++)
		if (kept->all[i].severity == TARN_SEVERITY_CRITICAL)
			return &kept->all[i];
	return NULL;
}

static int check_shortage(const struct shortage *s, const struct fake_file *mend)
{
	const char *root = fake_begin();
	struct tarn_diag diag = { "", "" };
	const struct tarn_host_opts opts = { .root = root, .diag = &diag };
	const struct tarn_segment_opts want = { .size = 64 * MIB,
						.pages = s->pages,
						.flags = s->flags };
	const struct kept_finding *found;
	struct kept kept = { .count = 0 };
	int r, failures = 0;

	put_files(root, s->files, 2);
	r = tarn_host_fit(s->addr, &want, &opts, keep, &kept);
	found = first_short(&kept);
	if (r != -ENOSPC || found == NULL || strcmp(found->check, s->check) != 0 ||
	    strstr(found->what, s->word) == NULL || strstr(found->fix, s->hint) == NULL ||
	    found->breaks[0] == '\0' || strcmp(diag.what, found->what) != 0) {
		fprintf(stderr, "# %s %s: %d %s: %s (%s)\n", s->addr ? s->addr : "-", s->check, r,
			found ? found->check : "-", found ? found->what : diag.what,
			found ? found->fix : "");
		failures++;
	}
	/* with a pool of pages that large it is this mount that was missing */
	fake_put(root, "sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "1\n");
	fake_put(root, "sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages", "1\n");
	fake_put(root, mend->path, mend->text);
	kept.count = 0;
	r = tarn_host_fit(s->addr, &want, &opts, keep, &kept);
	if (r != 0 || first_short(&kept) != NULL || kept.count == 0) {
		found = first_short(&kept);
		fprintf(stderr, "# %s %s, mended: %d %s\n", s->addr ? s->addr : "-", s->check, r,
			found ? found->what : "-");
		failures++;
	}
	fake_end(root);
	return failures;
}

static int all_shortages(void *arg)
{
	int failures = 0;

	(void)arg;
	if (setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 1 * MIB, 1 * MIB }) < 0)
		return NOT_PERMITTED;
	for (size_t i = 0; i < sizeof(shortages) / sizeof(shortages[0]); i++)
		failures += check_shortage(&shortages[i], &enough[i]);
	return failures > 0 ? 1 : 0;
}

static void each_limit_in_the_way_is_named_and_one_more_is_enough(void **state)
{
	int r = in_child(all_shortages, NULL);

	(void)state;
	assert_int_equal(sizeof(shortages) / sizeof(shortages[0]),
			 sizeof(enough) / sizeof(enough[0]));
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this process may not lock 1 MiB");
	assert_int_equal(r, 0);
}

static int with_limits(void *arg)
{
	const struct tarn_host_opts opts = { .root = arg };
	struct tarn_segment_opts want = { .size = 64 * MIB };
	struct kept kept = { .count = 0 };

	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 64 * MIB, RLIM_INFINITY });
	if (tarn_host_fit("memfd:", &want, &opts, keep, &kept) != 0)
		return 1;
	want.size++;
	if (tarn_host_fit("memfd:", &want, &opts, keep, &kept) != -ENOSPC ||
	    strcmp(first_short(&kept)->check, "rlimit-fsize") != 0)
		return 2;
	/* it bounds files, and System V segments are none */
	if (tarn_host_fit("sysv:", &want, &opts, NULL, NULL) != 0)
		return 3;
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ RLIM_INFINITY, RLIM_INFINITY });
	if (!UNSANITIZED)
		return 0;
	/* the made-up process has 4 MiB of it */
	setrlimit(RLIMIT_AS, &(struct rlimit){ 4 * MIB + 512 * MIB, RLIM_INFINITY });
	want.size = 64 * MIB;
	want.max_size = 512 * MIB;
	kept.count = 0;
	if (tarn_host_fit("memfd:", &want, &opts, keep, &kept) != 0)
		return 4;
	want.max_size++;
	if (tarn_host_fit("memfd:", &want, &opts, keep, &kept) != -ENOSPC ||
	    strcmp(first_short(&kept)->check, "address-space") != 0)
		return 5;
	return 0;
}

static void limits_of_the_process_count(void **state)
{
	const char *root = fake_begin();

	(void)state;
	assert_int_equal(in_child(with_limits, (void *)(uintptr_t)root), 0);
	fake_end(root);
}

/* --- what is asked --------------------------------------------------------------------------- */

static void huge_pages_not_insisted_on_are_a_warning(void **state)
{
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	struct tarn_segment_opts want = { .size = 64 * MIB, .pages = TARN_PAGES_2M };
	struct kept kept = { .count = 0 };

	(void)state;
	fake_put(root, POOL "free_hugepages", "3\n");
	assert_int_equal(tarn_host_fit("memfd:", &want, &opts, keep, &kept), 0);
	assert_int_equal(kept_find(&kept, "huge-pages")->severity, TARN_SEVERITY_WARNING);
	assert_int_equal(kept_find(&kept, "memory")->severity, TARN_SEVERITY_OK);
	/* a file of hugetlbfs has no others */
	assert_int_equal(tarn_host_fit("huge:", &want, &opts, keep, &kept), -ENOSPC);
	/* rounded up to whole pages */
	fake_put(root, POOL "free_hugepages", "42\n");
	want.size = 62 * MIB + 1;
	want.flags = TARN_SEGMENT_PAGES_MUST;
	assert_int_equal(tarn_host_fit("memfd:", &want, &opts, NULL, NULL), 0);
	want.size = 64 * MIB + 1;
	assert_int_equal(tarn_host_fit("memfd:", &want, &opts, NULL, NULL), -ENOSPC);
	fake_end(root);
}

static void sparse_segments_want_address_space_alone(void **state)
{
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	struct tarn_segment_opts want = { .size = 1024 * MIB };

	(void)state;
	fake_put(root, "proc/meminfo", MEMORY("60000", "0", "99999999"));
	assert_int_equal(tarn_host_fit("memfd:", &want, &opts, NULL, NULL), -ENOSPC);
	want.flags = TARN_SEGMENT_LAZY;
	assert_int_equal(tarn_host_fit("memfd:", &want, &opts, NULL, NULL), 0);
	fake_end(root);
}

static void what_makes_no_sense_is_refused_in_words(void **state)
{
	static const struct {
		const char *addr;
		struct tarn_segment_opts want;
		int error;
	} cases[] = {
		{ NULL, { .size = 0 }, -EINVAL },
		{ NULL, { .size = UINT64_MAX }, -EINVAL },
		{ NULL, { .size = 4096, .max_size = 1 }, -EINVAL },
		{ NULL, { .size = 4096, .flags = 1u << 30 }, -EINVAL },
		{ NULL, { .size = 4096, .flags = TARN_SEGMENT_READ_ONLY }, -EINVAL },
		{ "nosuch:x", { .size = 4096 }, -EINVAL },
		{ "", { .size = 4096 }, -EINVAL },
		{ "shm:a/b", { .size = 4096 }, -EINVAL },
		{ "shm:x",
		  { .size = 4096, .pages = TARN_PAGES_2M, .flags = TARN_SEGMENT_PAGES_MUST },
		  -EOPNOTSUPP },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct tarn_diag diag = { "", "" };
		const struct tarn_host_opts opts = { .diag = &diag };

		assert_int_equal(tarn_host_fit(cases[i].addr, &cases[i].want, &opts, NULL, NULL),
				 cases[i].error);
		assert_string_not_equal(diag.what, "");
	}
}

static int stop(const struct tarn_host_finding *finding, void *arg)
{
	(void)finding;
	return ++*(int *)arg == 2 ? 17 : 0;
}

static void what_the_callback_returns_ends_it(void **state)
{
	struct tarn_segment_opts want = { .size = 4096 };
	int count = 0;

	(void)state;
	assert_int_equal(tarn_host_fit("sysv:", &want, NULL, stop, &count), 17);
	assert_int_equal(count, 2);
}

static void a_directory_that_is_not_there_or_closed_is_in_the_way(void **state)
{
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	struct tarn_segment_opts want = { .size = 4096 };
	struct kept kept = { .count = 0 };

	(void)state;
	assert_int_equal(tarn_host_fit("file:/nowhere/x", &want, &opts, keep, &kept), -ENOSPC);
	assert_non_null(strstr(first_short(&kept)->what, "no directory /nowhere"));
	assert_int_equal(tarn_host_fit("file:x", &want, &opts, NULL, NULL), 0);
	assert_int_equal(tarn_host_fit("file:/x", &want, &opts, NULL, NULL), 0);
	assert_int_equal(rmdir(fake_path(root, "dev/shm")), 0);
	kept.count = 0;
	assert_int_equal(tarn_host_fit(NULL, &want, &opts, keep, &kept), -ENOSPC);
	assert_non_null(strstr(first_short(&kept)->fix, "mount -t tmpfs"));
	fake_end(root);
}

/* --- what cannot be read --------------------------------------------------------------------- */

static void what_cannot_be_read_is_unknown_and_in_nobodys_way(void **state)
{
	static const char *const files[][2] = {
		{ "proc/meminfo", "memory" },
		{ "proc/sys/kernel/shmmax", "sysv-shmmax" },
		{ "proc/sys/kernel/shmmni", "sysv-shmmni" },
		{ "proc/sys/kernel/shmall", "sysv-shmall" },
	};
	struct tarn_segment_opts want = { .size = 4096 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		const char *root = fake_begin();
		const struct tarn_host_opts opts = { .root = root };
		struct kept kept = { .count = 0 };

		fake_put(root, files[i][0], "what?\n");
		assert_int_equal(tarn_host_fit("sysv:", &want, &opts, keep, &kept), 0);
		assert_int_equal(kept_find(&kept, files[i][1])->severity, TARN_SEVERITY_UNKNOWN);
		assert_non_null(strstr(kept_find(&kept, files[i][1])->what, files[i][0]));
		fake_end(root);
	}
}

static void each_call_may_fail(void **state)
{
	static const int errors[] = { EMFILE, EACCES, ENOENT, EIO };
	static const char *const addrs[] = { "shm:", "sysv:", "memfd:", "huge:" };
	const struct tarn_segment_opts want = { .size = 4096, .flags = TARN_SEGMENT_LOCK };
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	int before = descriptors();

	(void)state;
	for (size_t i = 0; i < 16; i++) {
		failing.with = errors[i / 4];
		failing.at = 0;
		do {
			struct kept kept = { .count = 0 };
			int r;

			failing.calls = 0;
			tarn__plat_fault = fail_one;
			r = tarn_host_fit(addrs[i % 4], &want, &opts, keep, &kept);
			tarn__plat_fault = NULL;
			/* no: a limit is named; none: an error of the call that failed */
			if (r == -ENOSPC ? first_short(&kept) == NULL
					 : r != 0 && r != -failing.with)
				fail_msg("%s, call %u with %d: %d", addrs[i % 4], failing.at,
					 failing.with, r);
			assert_int_equal(descriptors(), before);
		} while (failing.calls > failing.at++); /* until no call was left to fail */
		assert_true(failing.at > 10);
	}
	fake_end(root);
}

/* --- the answer is what creating finds ------------------------------------------------------- */

static int agrees(const char *addr, uint64_t size, uint32_t flags, unsigned *counts)
{
	struct tarn_segment_opts want = { .size = size, .flags = flags };
	struct tarn_segment *seg = NULL;
	int fits = tarn_host_fit(addr, &want, NULL, NULL, NULL);
	int made = tarn_segment_create(addr, &want, &seg);

	if (made == 0) {
		tarn_segment_close(seg);
		if (strncmp(addr, "shm:", 4) == 0 && tarn_segment_remove(addr, NULL) < 0)
			return 1;
	}
	counts[made == 0]++;
	if ((fits == 0) == (made == 0))
		return 0;
	fprintf(stderr, "# %s of %llu: fit says %d, create %d\n", addr, (unsigned long long)size,
		fits, made);
	return 1;
}

static int in_small_shm(void *arg)
{
	const char *addr = own_name("shm:", "fit");
	unsigned counts[2] = { 0, 0 };

	(void)arg;
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", "/dev/shm", "tmpfs", 0, "size=16m") < 0)
		return NOT_PERMITTED;
	for (uint64_t size = 4096; size < 64 * MIB; size += size / 3 + 1)
		if (agrees(addr, size, 0, counts) != 0)
			return 1;
	for (uint64_t off = 0; off <= 16384; off += 1024)
		if (agrees(addr, 16 * MIB - 8192 + off, 0, counts) != 0)
			return 2;
	setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 3 * MIB, 3 * MIB });
	for (uint64_t off = 0; off <= 2; off++)
		if (agrees("memfd:fit", 3 * MIB - 1 + off, 0, counts) != 0 ||
		    agrees(addr, 3 * MIB - 1 + off, 0, counts) != 0)
			return 3;
	/* both answers were seen */
	return counts[0] > 5 && counts[1] > 5 ? 0 : 4;
}

static int locked(void *arg)
{
	unsigned counts[2] = { 0, 0 };

	(void)arg;
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 64 * KIB, 64 * KIB });
	if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
		return NOT_PERMITTED;
	for (uint64_t size = 16 * KIB; size <= 128 * KIB; size += 16 * KIB)
		if (agrees("memfd:fit", size, TARN_SEGMENT_LOCK, counts) != 0)
			return 1;
	return counts[0] > 0 && counts[1] > 0 ? 0 : 2;
}

static void it_says_what_creating_then_finds(void **state)
{
	int r = in_child(in_small_shm, NULL);

	(void)state;
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("needs root, for a /dev/shm of its own");
	assert_int_equal(r, 0);
	if (UNSANITIZED)
		assert_int_equal(in_child(locked, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit_in_the_way_is_named_and_one_more_is_enough),
		cmocka_unit_test(limits_of_the_process_count),
		cmocka_unit_test(huge_pages_not_insisted_on_are_a_warning),
		cmocka_unit_test(sparse_segments_want_address_space_alone),
		cmocka_unit_test(what_makes_no_sense_is_refused_in_words),
		cmocka_unit_test(what_the_callback_returns_ends_it),
		cmocka_unit_test(a_directory_that_is_not_there_or_closed_is_in_the_way),
		cmocka_unit_test(what_cannot_be_read_is_unknown_and_in_nobodys_way),
		cmocka_unit_test(each_call_may_fail),
		cmocka_unit_test(it_says_what_creating_then_finds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
