/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table of limits, on made-up hosts: values, what cannot be read, garbage, calls that fail.
 */
#include "failing.h"
#include "fakeroot.h"

enum { NOT_PERMITTED = 77 };

#define DUNNO TARN_SEVERITY_UNKNOWN
#define CRIT  TARN_SEVERITY_CRITICAL

/* --- the table of limits --------------------------------------------------------------------- */

struct rows {
	size_t count;
	const char *name; /* looked for */
	bool found;
	uint32_t unit;
	uint64_t value, used;
	char text[200], raise[450], source[450];
};

static int take_row(const struct tarn_host_limit *limit, void *arg)
{
	struct rows *rows = arg;

	rows->count++;
	assert_true(limit->name[0] != '\0' && limit->what[0] != '\0' && limit->source[0] != '\0');
	assert_in_range(limit->unit, TARN_UNIT_COUNT, TARN_UNIT_WORD);
	if (limit->unit == TARN_UNIT_WORD)
		assert_non_null(limit->text);
	if (rows->name == NULL || strcmp(rows->name, limit->name) != 0)
		return 0;
	assert_false(rows->found); /* once */
	rows->found = true;
	rows->unit = limit->unit;
	rows->value = limit->value;
	rows->used = limit->used;
	snprintf(rows->text, sizeof(rows->text), "%s", limit->text ? limit->text : "");
	snprintf(rows->raise, sizeof(rows->raise), "%s", limit->raise ? limit->raise : "");
	snprintf(rows->source, sizeof(rows->source), "%s", limit->source);
	return 0;
}

static void each_limit_has_its_value_use_source_and_command(void **state)
{
	static const struct {
		const char *name;
		uint64_t value, used;
		const char *text, *source, *raise;
	} wanted[] = {
#define NONE    UINT64_MAX
#define UNKNOWN TARN_HOST_UNKNOWN
		{ "sysv.shmmni", 4096, 2, "", "/proc/sys/kernel/shmmni", "kernel.shmmni=" },
		{ "sysv.shmall", NONE, 4 * 4096, "", "/proc/sys/kernel/shmall", "shmall=PAGES" },
		{ "sem.semmns", 1024000000, 25, "", "/proc/sys/kernel/sem", "kernel.sem=" },
		{ "sem.semmni", 32000, 1, "", "/proc/sys/kernel/sem", "kernel.sem=" },
		{ "msg.msgmni", 32000, 0, "", "/proc/sys/kernel/msgmni", "kernel.msgmni=" },
		{ "mqueue.queues_max", 256, UNKNOWN, "", "/proc/sys/fs/mqueue/", "fs.mqueue." },
		{ "memory.total", 4294967296u * 1024, 1073741824u * UINT64_C(1024), "",
		  "/proc/meminfo", "" },
		{ "memory.commit", 2147483648u * UINT64_C(1024), 1048576u * UINT64_C(1024), "",
		  "/proc/meminfo", "overcommit_ratio" },
		{ "thp.shmem", 0, UNKNOWN, "advise", "shmem_enabled", "echo advise" },
		{ "cgroup.0.memory", NONE, 20000000, "", "/sys/fs/cgroup/user/app/memory.max",
		  "echo BYTES > /sys/fs/cgroup/user/app/memory.max" },
		{ "cgroup.1.memory", 1099511627776u, 100000000, "",
		  "/sys/fs/cgroup/user/memory.max", "echo" },
		{ "cgroup.0.oom_kills", 0, UNKNOWN, "", "memory.events", "" },
		{ "huge.2M.pages", 64, 4, "", "nr_hugepages", "echo N >" },
		{ "huge.2M.reserved", 10, UNKNOWN, "", "resv_hugepages", "" },
		{ "huge.2M.node1", 32, 2, "", "node1/hugepages", "echo N >" },
		{ "hugetlbfs.2M", 0, UNKNOWN, "/dev/hugepages", "mountinfo", "" },
		{ "numa.node1.memory", 1000000 * KIB, 600000 * KIB, "", "node1/meminfo", "" },
		{ "vm.max_map_count", 65530, 1, "", "max_map_count", "vm.max_map_count=" },
		{ "logind.remove_ipc", 0, UNKNOWN, "no", "/etc/systemd/logind.conf", "RemoveIPC" },
		{ "ns.ipc", 0, UNKNOWN, "the host's", "/proc/self/ns/ipc", "" },
		{ "proc.hidepid", 0, UNKNOWN, "0", "mountinfo", "hidepid=0" },
	};
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	uint32_t unreadable = 99;

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		struct rows rows = { .name = wanted[i].name };

		assert_int_equal(tarn_host_limits(&opts, take_row, &rows, &unreadable), 0);
		assert_int_equal(unreadable, 0);
		if (!rows.found || (rows.unit != TARN_UNIT_WORD && rows.value != wanted[i].value) ||
		    rows.used != wanted[i].used || strcmp(rows.text, wanted[i].text) != 0 ||
		    strstr(rows.source, wanted[i].source) == NULL ||
		    strstr(rows.raise, wanted[i].raise) == NULL)
			fail_msg("%s: %d %llu %llu '%s' '%s' '%s'", wanted[i].name, rows.found,
				 (unsigned long long)rows.value, (unsigned long long)rows.used,
				 rows.text, rows.source, rows.raise);
	}
	fake_end(root);
}

/* Version 1, several controllers in one hierarchy, its mount showing a part, and none at all. */
static void cgroups_of_version_1_are_walked_to_their_mount(void **state)
{
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	struct rows rows = { .name = "cgroup.1.memory" };

	(void)state;
	fake_put(root, "proc/self/cgroup", "5:cpu:/x\n4:cpuset,memory:/docker/abc/def\n0::/x\n");
	fake_put(root, "proc/self/mountinfo",
		 "22 28 0:20 / /proc rw - proc proc rw\n"
		 "40 28 0:40 /docker /sys/fs/cgroup/a\\040b rw - cgroup cgroup rw,cpuset,memory\n"
		 "41 28 0:41 /elsewhere /sys/fs/cgroup/other rw - cgroup cgroup rw,memory\n");
	fake_put(root, "sys/fs/cgroup/a b/abc/memory.limit_in_bytes", "33554432\n");
	fake_put(root, "sys/fs/cgroup/a b/abc/memory.usage_in_bytes", "30000000\n");
	fake_put(root, "sys/fs/cgroup/a b/abc/memory.stat", "total_inactive_file 10000000\n");
	fake_put(root, "sys/fs/cgroup/a b/abc/def/memory.limit_in_bytes", "9223372036854771712\n");
	fake_put(root, "sys/fs/cgroup/a b/abc/def/memory.usage_in_bytes", "1\n");
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), 0);
	assert_true(rows.found);
	assert_int_equal(rows.value, 33554432);
	assert_int_equal(rows.used, 20000000);
	assert_string_equal(rows.source, "/sys/fs/cgroup/a b/abc/memory.limit_in_bytes");
	rows = (struct rows){ .name = "cgroup.0.memory" };
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), 0);
	assert_int_equal(rows.value, UINT64_MAX);
	fake_put(root, "proc/self/cgroup", NULL);
	rows = (struct rows){ .name = "cgroup.0.memory" };
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), 0);
	assert_false(rows.found);
	fake_end(root);
}

static int stop(const struct tarn_host_limit *limit, void *arg)
{
	(void)limit;
	return ++*(int *)arg == 3 ? 42 : 0;
}

static int stop_finding(const struct tarn_host_finding *finding, void *arg)
{
	(void)finding;
	return ++*(int *)arg == 3 ? 43 : 0;
}

static void what_the_callback_returns_ends_it(void **state)
{
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	int count = 0;

	(void)state;
	assert_int_equal(tarn_host_limits(&opts, stop, &count, NULL), 42);
	assert_int_equal(count, 3);
	count = 0;
	assert_int_equal(tarn_host_findings(NULL, &opts, stop_finding, &count), 43);
	assert_int_equal(count, 3);
	fake_end(root);
}

static void roots_without_proc_are_refused_in_words(void **state)
{
	struct tarn_diag diag = { "", "" };
	struct tarn_host_opts opts = { .root = "/nowhere", .diag = &diag };
	struct rows rows = { 0 };
	char *long_root = calloc(1, 5000);

	(void)state;
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), -ENOENT);
	assert_non_null(strstr(diag.what, "/nowhere/proc"));
	assert_int_equal(tarn_host_findings(NULL, &opts, keep, NULL), -ENOENT);
	opts.root = "";
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), -EINVAL);
	memset(long_root, 'a', 4999);
	opts.root = long_root;
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), -EINVAL);
	free(long_root);
	assert_int_equal(rows.count, 0);
	/* slashes at the end do not matter */
	opts.root = "///";
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, NULL), 0);
	assert_int_equal(tarn_host_limits(NULL, take_row, &rows, NULL), 0);
	assert_true(rows.count > 60);
}

/* Only an empty proc: much is unknown, and that is said. */
static void what_is_not_there_is_counted(void **state)
{
	char root[96];
	struct tarn_host_opts opts = { .root = root };
	struct rows rows = { 0 };
	uint32_t unreadable = 0;
	struct kept kept;

	(void)state;
	snprintf(root, sizeof(root), "/dev/shm/tarn-unit-%d-empty", (int)getpid());
	fake_parents(fake_path(root, "proc/"));
	assert_int_equal(tarn_host_limits(&opts, take_row, &rows, &unreadable), 0);
	assert_in_range(unreadable, 15, 40);
	examine(root, &kept);
	assert_int_equal(kept_find(&kept, "sysv-shmmni")->severity, DUNNO);
	assert_int_equal(kept_find(&kept, "memory")->severity, DUNNO);
	assert_int_equal(kept_find(&kept, "ipc-namespace")->severity, DUNNO);
	assert_int_equal(kept_find(&kept, "shm-mount")->severity, CRIT);
	fake_end(root);
}

/* --- garbage --------------------------------------------------------------------------------- */

enum { GARBAGE_KINDS = 9 };

static void put_garbage(const char *root, const char *path, unsigned kind)
{
	static char large[20000];
	static const unsigned char binary[] = "\xff\xfe\0\1\2\x1b[31m\x80\n\n\0 9";

	switch (kind) {
	case 0:
		fake_put(root, path, "");
		break;
	case 1:
		fake_put(root, path, "184467440737095516169999 kB 184467440737095516169999\n");
		break;
	case 2:
		fake_put(root, path, "-1\n");
		break;
	case 3:
		fake_bytes(root, path, binary, sizeof(binary) - 1);
		break;
	case 4:
		fake_put(root, path, NULL);
		break;
	case 5:
		memset(large, '9', sizeof(large));
		fake_bytes(root, path, large, sizeof(large));
		break;
	case 6: /* a directory */
		fake_put(root, path, NULL);
		assert_int_equal(mkdir(fake_path(root, path), 0700), 0);
		break;
	case 7: /* a pipe that nobody writes to */
		fake_put(root, path, NULL);
		assert_int_equal(mkfifo(fake_path(root, path), 0600), 0);
		break;
	default:
		fake_put(root, path,
			 ":::\n0::/../../..\n4:memory:\n - cgroup2 \n - hugetlbfs \n"
			 "Node 0 MemTotal: 18446744073709551615 kB\n[[[]\n");
		break;
	}
}

static int nothing(const struct tarn_host_limit *limit, void *arg)
{
	(void)arg;
	/* what is printed is text */
	for (const char *c = limit->source; *c != '\0'; c++)
		assert_true((unsigned char)*c >= 0x20);
	for (const char *c = limit->text; c != NULL && *c != '\0'; c++)
		assert_true((unsigned char)*c >= 0x20);
	return 0;
}

static void garbage_in_any_file_harms_nobody(void **state)
{
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	const struct tarn_segment_opts want = { .size = 4 * MIB, .flags = TARN_SEGMENT_LOCK };
	const char *const addrs[] = { NULL, "sysv:", "memfd:", "huge:" };
	struct kept kept;

	(void)state;
	for (size_t i = 0; i < HEALTHY_COUNT; i++) {
		for (unsigned kind = 0; kind < GARBAGE_KINDS; kind++) {
			put_garbage(root, healthy[i].path, kind);
			examine(root, &kept);
			assert_int_equal(tarn_host_limits(&opts, nothing, NULL, NULL), 0);
			for (size_t a = 0; a < 4; a++) {
				int r = tarn_host_fit(addrs[a], &want, &opts, NULL, NULL);

				if (r != 0 && r != -ENOSPC)
					fail_msg("%s, garbage %u: fit says %d", healthy[i].path,
						 kind, r);
			}
		}
		fake_put(root, healthy[i].path, NULL);
		fake_put(root, healthy[i].path, healthy[i].text);
	}
	fake_end(root);
}

static int as_nobody(void *arg)
{
	struct rows rows = { 0 };
	const struct tarn_host_opts opts = { .root = arg };
	uint32_t unreadable = 0;
	struct kept kept;

	if (geteuid() != 0 || setresuid(65534, 65534, 65534) < 0)
		return NOT_PERMITTED;
	if (tarn_host_limits(&opts, take_row, &rows, &unreadable) != 0 || unreadable != 1)
		return 1;
	examine(arg, &kept);
	return kept_find(&kept, "sysv-shmmni")->severity == DUNNO &&
			       has_word(kept_find(&kept, "sysv-shmmni"), "permission denied")
		       ? 0
		       : 2;
}

static void what_may_not_be_read_is_unknown(void **state)
{
	const char *root = fake_begin();
	int r;

	(void)state;
	assert_int_equal(chmod(fake_path(root, "proc/sys/kernel/shmmni"), 0), 0);
	r = in_child(as_nobody, (void *)(uintptr_t)root);
	fake_end(root);
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("needs root, to be nobody");
	assert_int_equal(r, 0);
}

/* --- calls that fail ------------------------------------------------------------------------- */

static void each_call_may_fail(void **state)
{
	static const int errors[] = { EMFILE, EACCES, ENOENT, EIO };
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	int before = descriptors();
	struct kept kept;

	(void)state;
	for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		failing.with = errors[e];
		failing.at = 0;
		do {
			int r;

			kept.count = 0;
			failing.calls = 0;
			tarn__plat_fault = fail_one;
			r = tarn_host_findings(NULL, &opts, keep, &kept);
			tarn__plat_fault = NULL;
			if (r != 0 && (r != -ENOENT || failing.at != 0))
				fail_msg("call %u with %d: %d", failing.at, failing.with, r);
			assert_int_equal(descriptors(), before);
		} while (failing.calls > failing.at++); /* until no call was left to fail */
		assert_true(failing.at > 100);
	}
	fake_end(root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit_has_its_value_use_source_and_command),
		cmocka_unit_test(cgroups_of_version_1_are_walked_to_their_mount),
		cmocka_unit_test(what_the_callback_returns_ends_it),
		cmocka_unit_test(roots_without_proc_are_refused_in_words),
		cmocka_unit_test(what_is_not_there_is_counted),
		cmocka_unit_test(garbage_in_any_file_harms_nobody),
		cmocka_unit_test(what_may_not_be_read_is_unknown),
		cmocka_unit_test(each_call_may_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
