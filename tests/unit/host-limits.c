/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Limits and findings, on made-up hosts: a healthy one has no finding, each seeded fault is found,
 * and nothing else is; what cannot be read is unknown; garbage harms nobody.
 */
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/shm.h>

#include "fakeroot.h"

enum { NOT_PERMITTED = 77 };

/* Checks whose outcome is of the process and kernel that run the test. */
static bool of_this_process(const char *check)
{
	static const char *const names[] = { "memlock",       "rlimit-fsize", "descriptors",
					     "address-space", "kernel",       "shm-used",
					     "shm-inodes" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(names[i], check) == 0)
			return true;
	return false;
}

static void examine(const char *root, struct kept *kept)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_host_opts opts = { .root = root, .diag = &diag };

	kept->count = 0;
	assert_int_equal(tarn_host_findings(NULL, &opts, keep, kept), 0);
	assert_string_equal(diag.what, "");
}

/* A memory cgroup with little in it is less than /dev/shm holds, too. */
static bool follows(const char *check, const char *from)
{
	return strcmp(check, "shm-over-memory") == 0 && strncmp(from, "cgroup-memory", 13) == 0;
}

/* How many findings but @but, and what follows from it, are not OK; says which. */
static unsigned wrong_but(const struct kept *kept, const char *but)
{
	unsigned count = 0;

	for (size_t i = 0; i < kept->count; i++) {
		const struct kept_finding *finding = &kept->all[i];

		if (finding->severity == TARN_SEVERITY_OK || of_this_process(finding->check) ||
		    strcmp(finding->check, but) == 0 || follows(finding->check, but))
			continue;
		print_message("# besides: %s %u: %s\n", finding->check, finding->severity,
			      finding->what);
		count++;
	}
	return count;
}

static void a_healthy_host_has_no_finding(void **state)
{
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	examine(root, &kept);
	assert_int_equal(wrong_but(&kept, ""), 0);
	assert_true(kept.count > 30);
	for (size_t i = 0; i < kept.count; i++)
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(kept.all[i].check, kept.all[j].check);
	fake_end(root);
}

/* --- one fault at a time --------------------------------------------------------------------- */

#define POOL   "sys/kernel/mm/hugepages/hugepages-2048kB/"
#define CGROUP "sys/fs/cgroup/user/app/"
#define NODE1  "sys/devices/system/node/node1/"
#define OK     TARN_SEVERITY_OK
#define WARN   TARN_SEVERITY_WARNING
#define CRIT   TARN_SEVERITY_CRITICAL
#define DUNNO  TARN_SEVERITY_UNKNOWN

static const struct seed {
	const char *check;
	uint32_t severity;
	struct fake_file files[3]; /* text "->x": a link to x */
	const char *word;          /* in what, breaks or fix */
} seeds[] = {
	{ "sysv-shmmax", WARN, { { "proc/sys/kernel/shmmax", "33554432\n" } }, "32 MiB" },
	{ "sysv-shmmax", OK, { { "proc/sys/kernel/shmmax", "268435456\n" } }, "256 MiB" },
	{ "sysv-shmmax", DUNNO, { { "proc/sys/kernel/shmmax", "plenty\n" } }, "no sense" },
	{ "sysv-shmmax", DUNNO, { { "proc/sys/kernel/shmmax", "" } }, "no sense" },
	{ "sysv-shmmax",
	  OK,
	  { { "proc/sys/kernel/shmmax", "99999999999999999999999\n" } },
	  "no limit" },
	{ "sysv-shmall", WARN, { { "proc/sys/kernel/shmall", "8192\n" } }, "kernel.shmall=" },
	{ "sysv-shmall", CRIT, { { "proc/sys/kernel/shmall", "4\n" } }, "16 KiB of 16 KiB" },
	{ "sysv-shmmni", CRIT, { { "proc/sys/kernel/shmmni", "2\n" } }, "2 of 2 used" },
	{ "sysv-shmmni", CRIT, { { "proc/sys/kernel/shmmni", "1\n" } }, "whatever the size" },
	{ "sysv-shmmni", OK, { { "proc/sys/kernel/shmmni", "3\n" } }, "2 of 3" },
	{ "sysv-rmid-forced",
	  WARN,
	  { { "proc/sys/kernel/shm_rmid_forced", "1\n" } },
	  "shm_rmid_forced=0" },
	{ "sem-sets", CRIT, { { "proc/sys/kernel/sem", "32000 32000 500 1\n" } }, "semget()" },
	{ "sem-count", WARN, { { "proc/sys/kernel/sem", "32000 27 500 128\n" } }, "25 of 27" },
	{ "sem-count", DUNNO, { { "proc/sys/kernel/sem", "32000 -1 500 128\n" } }, "no sense" },
	{ "msg-queues",
	  CRIT,
	  { { "proc/sys/kernel/msgmni", "1\n" }, { "proc/sysvipc/msg", "key\n0 1 600\n" } },
	  "msgget()" },
	{ "protected-files",
	  WARN,
	  { { "proc/sys/fs/protected_regular", "0\n" } },
	  "sysctl -w fs.protected_regular=1" },
	{ "ptrace-scope",
	  WARN,
	  { { "proc/sys/kernel/yama/ptrace_scope", "3\n" } },
	  "not even root" },
	{ "ptrace-scope", OK, { { "proc/sys/kernel/yama/ptrace_scope", "2\n" } }, "is 2" },
	{ "map-count", WARN, { { "proc/sys/vm/max_map_count", "4000\n" } }, "max_map_count=" },
	{ "realtime", WARN, { { "proc/sys/kernel/sched_rt_runtime_us", "-1\n" } }, "950000" },
	{ "commit",
	  CRIT,
	  { { "proc/sys/vm/overcommit_memory", "2\n" },
	    { "proc/meminfo", "MemTotal: 4294967296 kB\nMemFree: 2147483648 kB\n"
			      "MemAvailable: 3221225472 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n"
			      "CommitLimit: 1000000 kB\nCommitted_AS: 990000 kB\n" } },
	  "ENOMEM" },
	{ "commit", OK, { { "proc/sys/vm/overcommit_memory", "2\n" } }, "1 GiB of 2 TiB" },
	{ "memory",
	  CRIT,
	  { { "proc/meminfo", "MemTotal: 4294967296 kB\nMemFree: 1000000 kB\n"
			      "MemAvailable: 1000000 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB\n" } },
	  "OOM" },
	{ "memory", DUNNO, { { "proc/meminfo", "nothing\n" } }, "/proc/meminfo" },
	{ "huge-fragmented",
	  WARN,
	  { { "proc/buddyinfo",
	      "Node 0, zone   Normal  90000000 10 10 10 10 10 10 10 10 10 10\n" } },
	  "compact_memory" },
	{ "cgroup-memory-0", WARN, { { CGROUP "memory.max", "22000000\n" } }, "memory.max" },
	{ "cgroup-memory-0", CRIT, { { CGROUP "memory.max", "20000000\n" } }, "OOM" },
	{ "cgroup-memory-1",
	  CRIT,
	  { { "sys/fs/cgroup/user/memory.current", "1099511627000\n" } },
	  "/user/memory.max" },
	{ "cgroup-high-0", WARN, { { CGROUP "memory.high", "50000001\n" } }, "slowed" },
	{ "cgroup-kills-0", OK, { { CGROUP "memory.events", "oom_kill 3\n" } }, "memory: 3" },
	{ "cgroup-kills-0",
	  WARN,
	  { { CGROUP "memory.events", "oom_kill 3\n" }, { CGROUP "memory.max", "900000000000\n" } },
	  "memory: 3" },
	{ "cgroup-huge-0-2M", WARN, { { CGROUP "hugetlb.2MB.max", "0\n" } }, "echo max >" },
	{ "huge-pages-2M",
	  OK,
	  { { POOL "nr_hugepages", "0\n" }, { POOL "free_hugepages", "0\n" } },
	  "2M: 0" },
	{ "huge-pages-2M", WARN, { { POOL "free_hugepages", "10\n" } }, "MAP_HUGETLB" },
	{ "huge-pages-2M",
	  OK,
	  { { POOL "free_hugepages", "10\n" }, { POOL "nr_overcommit_hugepages", "5\n" } },
	  "5 more on demand" },
	{ "huge-pages-2M", DUNNO, { { POOL "nr_hugepages", "x\n" } }, "nr_hugepages" },
	{ "huge-pages-2M", DUNNO, { { POOL "free_hugepages", "65\n" } }, "no sense" },
	{ "huge-asked-2M", WARN, { { "etc/sysctl.conf", "vm.nr_hugepages = 512\n" } }, "512" },
	{ "huge-asked-2M", WARN, { { "etc/sysctl.d/10-x.conf", "vm.nr_hugepages=65\n" } }, "10-x" },
	{ "huge-asked-2M",
	  WARN,
	  { { "proc/cmdline", "ro hugepagesz=1G hugepages=2 hugepagesz=2M "
			      "hugepages=128\n" } },
	  "128" },
	{ "huge-asked-2M", OK, { { "proc/cmdline", "hugepages=64\n" } }, "64 there" },
	{ "huge-nodes-2M",
	  WARN,
	  { { NODE1 "hugepages/hugepages-2048kB/nr_hugepages", "0\n" } },
	  "node1" },
	{ "huge-mount",
	  WARN,
	  { { "proc/self/mountinfo", "22 28 0:20 / /proc rw - proc proc rw\n"
				     "30 28 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n" } },
	  "mount -t hugetlbfs" },
	{ "thp-shmem",
	  WARN,
	  { { "sys/kernel/mm/transparent_hugepage/shmem_enabled",
	      "always advise never [deny]\n" } },
	  "echo advise" },
	{ "thp-shmem",
	  WARN,
	  { { "sys/kernel/mm/transparent_hugepage/shmem_enabled", "never [force]\n" } },
	  "512" },
	{ "thp-shmem",
	  OK,
	  { { "sys/kernel/mm/transparent_hugepage/shmem_enabled", "[never] force\n" } },
	  "never" },
	{ "numa",
	  WARN,
	  { { NODE1 "meminfo", "Node 1 MemTotal: 1000000 kB\nNode 1 MemFree: 10 kB\n" } },
	  "node 1" },
	{ "ipc-namespace", WARN, { { "proc/self/ns/ipc", "->ipc:[4026532999]" } }, "--ipc=host" },
	{ "ipc-namespace", DUNNO, { { "proc/self/ns/ipc", "->nonsense" } }, "ns/ipc" },
	{ "ipc-namespace", DUNNO, { { "proc/self/ns/ipc", NULL } }, "ns/ipc" },
	{ "pid-namespace", WARN, { { "proc/self/ns/pid", "->pid:[4026532998]" } }, "--pid=host" },
	{ "pid-namespace",
	  WARN,
	  { { "proc/self/ns/pid", "->pid:[4026532998]" }, { "proc/1/cgroup", "0::/kubepods/x\n" } },
	  "hostPID: true" },
	{ "user-namespace", OK, { { "proc/self/ns/user", "->user:[4026532997]" } }, "private" },
	{ "container", OK, { { ".dockerenv", "" } }, "docker" },
	{ "container", OK, { { "run/.containerenv", "" } }, "podman" },
	{ "hidepid",
	  WARN,
	  { { "proc/self/mountinfo", "22 28 0:20 / /proc rw - proc proc rw,hidepid=invisible\n"
				     "31 28 0:26 / /dev/hugepages rw - hugetlbfs none rw\n" } },
	  "hidepid=0" },
	{ "hidepid",
	  OK,
	  { { "proc/self/mountinfo", "22 28 0:20 / /proc rw - proc proc rw,hidepid=2\n"
				     "31 28 0:26 / /dev/hugepages rw - hugetlbfs none rw\n" },
	    { "proc/self/status", "CapEff:\t0000000000080000\n" } },
	  "hidepid=2" },
};

static void seed_files(const char *root, const struct seed *seed)
{
	for (size_t i = 0; i < 3 && seed->files[i].path != NULL; i++) {
		const char *text = seed->files[i].text;

		if (text != NULL && strncmp(text, "->", 2) == 0)
			fake_link(root, seed->files[i].path, text + 2);
		else
			fake_put(root, seed->files[i].path, text);
	}
}

static bool has_word(const struct kept_finding *finding, const char *word)
{
	return strstr(finding->what, word) != NULL || strstr(finding->breaks, word) != NULL ||
	       strstr(finding->fix, word) != NULL;
}

/* sem has one file for two checks, meminfo one for many. */
static bool shares_its_file(const struct seed *seed)
{
	return seed->severity == DUNNO &&
	       (strcmp(seed->check, "memory") == 0 || strcmp(seed->check, "sem-count") == 0);
}

static unsigned check_seed(const struct seed *seed)
{
	const char *root = fake_begin();
	const struct kept_finding *found;
	unsigned failures = 0;
	struct kept kept;

	seed_files(root, seed);
	examine(root, &kept);
	found = kept_find(&kept, seed->check);
	if (found == NULL || found->severity != seed->severity || !has_word(found, seed->word)) {
		print_message("# %s: wanted %u with '%s', found %u: %s; %s; %s\n", seed->check,
			      seed->severity, seed->word, found ? found->severity : 99,
			      found ? found->what : "-", found ? found->breaks : "-",
			      found ? found->fix : "-");
		failures++;
	}
	/* a warning says what breaks, and how to mend it */
	if (found != NULL && (seed->severity == WARN || seed->severity == CRIT) &&
	    (found->breaks[0] == '\0' || found->fix[0] == '\0')) {
		print_message("# %s: no consequence, or no fix\n", seed->check);
		failures++;
	}
	if (!shares_its_file(seed))
		failures += wrong_but(&kept, seed->check);
	fake_end(root);
	return failures;
}

static void each_seeded_fault_is_found_and_nothing_else(void **state)
{
	unsigned failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(seeds) / sizeof(seeds[0]); i++)
		failures += check_seed(&seeds[i]);
	assert_int_equal(failures, 0);
}

/* --- logind ---------------------------------------------------------------------------------- */

/* As a user who is not of the system; the test's own files are its for that time. */
static int as_user(void *arg)
{
	const char *const *args = arg; /* root, severity as a digit, word */
	struct kept kept;
	const struct kept_finding *found;

	if (geteuid() == 0 && setresuid(12345, 12345, 12345) < 0)
		return NOT_PERMITTED;
	if (geteuid() != 12345)
		return NOT_PERMITTED;
	examine(args[0], &kept);
	found = kept_find(&kept, "remove-ipc");
	if (found == NULL || found->severity != (uint32_t)(args[1][0] - '0') ||
	    !has_word(found, args[2])) {
		fprintf(stderr, "# remove-ipc: %s; %s\n", found ? found->what : "-",
			found ? found->fix : "-");
		return 1;
	}
	return 0;
}

static void logind_says(const char *root, const char *severity, const char *word)
{
	const char *args[] = { root, severity, word };
	int r = in_child(as_user, args);

	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("needs root, to be another user");
	assert_int_equal(r, 0);
}

static void remove_ipc_is_read_as_systemd_reads_it(void **state)
{
	const char *root = fake_begin();
	const char *conf = "etc/systemd/logind.conf";

	(void)state;
	fake_put(root, "etc/passwd", "root:x:0:0::/:/bin/sh\nana:x:12345:100::/home/ana:/bin/sh\n");
	logind_says(root, "0", "RemoveIPC=no");
	fake_put(root, conf, "[Login]\n  RemoveIPC = yes\n");
	logind_says(root, "1", "loginctl enable-linger ana");
	fake_put(root, conf, NULL);
	logind_says(root, "1", "(/etc/systemd/logind.conf (default))");
	/* what a distribution calls its default */
	fake_put(root, "usr/lib/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n");
	logind_says(root, "0", "RemoveIPC=no");
	/* drop-ins win over the file, later names over earlier ones, /etc over /usr/lib */
	fake_put(root, "usr/lib/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC=yes\n");
	logind_says(root, "1", "50-a.conf");
	fake_put(root, "etc/systemd/logind.conf.d/50-a.conf", "[Login]\nRemoveIPC=no\n");
	logind_says(root, "0", "RemoveIPC=no");
	fake_put(root, "run/systemd/logind.conf.d/90-b.conf", "RemoveIPC=1\n");
	logind_says(root, "1", "90-b.conf");
	fake_put(root, "var/lib/systemd/linger/ana", "");
	logind_says(root, "0", "lingers: yes");
	fake_put(root, "var/lib/systemd/linger/ana", NULL);
	fake_put(root, "etc/login.defs", "SYS_UID_MIN 100\nSYS_UID_MAX\t20000\n");
	logind_says(root, "0", "a system user");
	fake_end(root);
}

static void without_systemd_nothing_is_removed_at_logout(void **state)
{
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	fake_put(root, "run/systemd/system/x", NULL);
	assert_int_equal(rmdir(fake_path(root, "run/systemd/system")), 0);
	examine(root, &kept);
	assert_null(kept_find(&kept, "remove-ipc"));
	fake_end(root);
}

/* --- /dev/shm -------------------------------------------------------------------------------- */

struct shm_case {
	const char *root;
	const char *options; /* of the mount; NULL = none */
	const char *check;
	uint32_t severity;
	const char *word;
	uint64_t fill; /* bytes */
};

static int in_own_shm(void *arg)
{
	const struct shm_case *test = arg;
	const char *dir = fake_path(test->root, "dev/shm");
	const struct kept_finding *found;
	struct kept kept;
	int fd;

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", dir, "tmpfs", 0, test->options) < 0)
		return NOT_PERMITTED;
	fd = open(fake_path(test->root, "dev/shm/fill"), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 || (test->fill > 0 && posix_fallocate(fd, 0, (off_t)test->fill) != 0))
		return NOT_PERMITTED;
	close(fd);
	if (strcmp(test->check, "shm-mount") == 0 &&
	    mount(NULL, dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return NOT_PERMITTED;
	examine(test->root, &kept);
	found = kept_find(&kept, test->check);
	if (found != NULL && found->severity == test->severity && has_word(found, test->word))
		return 0;
	fprintf(stderr, "# %s: %s; %s\n", test->check, found ? found->what : "-",
		found ? found->fix : "-");
	return 1;
}

static void a_dev_shm_that_is_small_full_or_closed_is_found(void **state)
{
	const char *root = fake_begin();
	const struct shm_case cases[] = {
		{ root, "size=64m,mode=1777", "shm-size", WARN, "PyTorch", 0 },
		{ root, "size=65m,mode=1777", "shm-size", OK, "65 MiB", 0 },
		{ root, "size=80m,mode=1777", "shm-used", WARN, "73 MiB of 80 MiB", 73 * MIB },
		{ root, "size=80m,mode=1777", "shm-used", CRIT, "SIGBUS", 79 * MIB },
		{ root, "size=80m,mode=1777", "shm-used", OK, "50 MiB of 80 MiB", 50 * MIB },
		{ root, "nr_inodes=2,mode=1777", "shm-inodes", CRIT, "nr_inodes=", 0 },
		{ root, "mode=0777", "shm-mode", WARN, "chmod 1777", 0 },
		{ root, "mode=0755", "shm-mode", WARN, "EACCES", 0 },
		{ root, "size=80m,mode=1777", "shm-mount", CRIT, "remount,rw", 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int r = in_child(in_own_shm, (void *)(uintptr_t)&cases[i]);

		if (r == NOT_PERMITTED) {
			fake_end(root);
			SKIP_BECAUSE("needs root, for mounts of its own");
		}
		assert_int_equal(r, 0);
	}
	fake_end(root);
}

static void a_dev_shm_that_is_absent_or_on_disk_is_found(void **state)
{
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	assert_int_equal(rmdir(fake_path(root, "dev/shm")), 0);
	examine(root, &kept);
	assert_int_equal(kept_find(&kept, "shm-mount")->severity, CRIT);
	assert_true(has_word(kept_find(&kept, "shm-mount"), "mount -t tmpfs"));
	fake_link(root, "dev/shm", "/tmp");
	examine(root, &kept);
	if (strstr(kept_find(&kept, "shm-mount")->what, "tmpfs") == NULL)
		assert_int_equal(kept_find(&kept, "shm-mount")->severity, WARN);
	fake_end(root);
}

static void a_container_is_told_its_own_way_to_a_larger_dev_shm(void **state)
{
	const char *root = fake_begin();
	struct shm_case test = { root, "size=64m,mode=1777", "shm-size", WARN, "", 0 };
	static const struct fake_file kinds[] = {
		{ ".dockerenv", "docker run --shm-size=1g" },
		{ "run/.containerenv", "podman run --shm-size=1g" },
	};
	int r = 0;

	(void)state;
	for (size_t i = 0; r == 0 && i < 2; i++) {
		fake_put(root, kinds[i].path, "");
		test.word = kinds[i].text;
		r = in_child(in_own_shm, &test);
		fake_put(root, kinds[i].path, NULL);
	}
	fake_put(root, "proc/1/cgroup", "1:name=systemd:/kubepods/burstable/pod1\n");
	test.word = "emptyDir";
	if (r == 0)
		r = in_child(in_own_shm, &test);
	fake_end(root);
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("needs root, for mounts of its own");
	assert_int_equal(r, 0);
}

static void a_dev_shm_larger_than_its_memory_is_found(void **state)
{
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	fake_put(root, CGROUP "memory.max", "33554432\n");
	examine(root, &kept);
	assert_int_equal(kept_find(&kept, "shm-over-memory")->severity, WARN);
	assert_true(has_word(kept_find(&kept, "shm-over-memory"), "cgroup's limit 32 MiB"));
	assert_true(has_word(kept_find(&kept, "shm-over-memory"), "size=16m"));
	fake_end(root);
}

/* --- limits of the process ------------------------------------------------------------------- */

static int with_limits(void *arg)
{
	static const struct {
		int resource;
		rlim_t value;
		const char *check, *word;
	} cases[] = {
		{ RLIMIT_MEMLOCK, 65536, "memlock", "ulimit -l" },
		{ RLIMIT_FSIZE, 1 << 20, "rlimit-fsize", "SIGXFSZ" },
		{ RLIMIT_NOFILE, 200, "descriptors", "EMFILE" },
		{ RLIMIT_AS, 1 << 29, "address-space", "ulimit -v" },
	};
	struct kept kept;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kept_finding *found;
		struct rlimit before;

		if (!UNSANITIZED && cases[i].resource == RLIMIT_AS)
			continue; /* it maps terabytes itself */
		if (getrlimit(cases[i].resource, &before) < 0 ||
		    setrlimit(cases[i].resource,
			      &(struct rlimit){ cases[i].value, before.rlim_max }) < 0)
			return NOT_PERMITTED;
		examine(arg, &kept);
		setrlimit(cases[i].resource, &before);
		found = kept_find(&kept, cases[i].check);
		if (found == NULL || found->severity != WARN || !has_word(found, cases[i].word)) {
			fprintf(stderr, "# %s: %s\n", cases[i].check, found ? found->what : "-");
			return 1;
		}
	}
	/* root may lock what it likes */
	fake_put(arg, "proc/self/status", "CapEff:\t0000000000004000\n");
	setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 65536, 65536 });
	examine(arg, &kept);
	return kept_find(&kept, "memlock")->severity == OK ? 0 : 2;
}

static void limits_of_the_process_are_found(void **state)
{
	const char *root = fake_begin();
	int r = in_child(with_limits, (void *)(uintptr_t)root);

	(void)state;
	fake_end(root);
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("this process may not lower its limits");
	assert_int_equal(r, 0);
}

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

static unsigned calls, fail_at;
static int fail_with;

static int fail_one(enum tarn_plat_call call)
{
	(void)call;
	return calls++ == fail_at ? fail_with : 0;
}

static int count_name(const char *name, void *arg)
{
	(void)name;
	++*(int *)arg;
	return 0;
}

static int descriptors(void)
{
	int count = 0;

	assert_int_equal(tarn__plat_listdir("/proc/self/fd", count_name, &count), 0);
	return count;
}

static void each_call_may_fail(void **state)
{
	static const int errors[] = { EMFILE, EACCES, ENOENT, EIO };
	const char *root = fake_begin();
	const struct tarn_host_opts opts = { .root = root };
	int before = descriptors();
	struct kept kept;

	(void)state;
	for (size_t e = 0; e < sizeof(errors) / sizeof(errors[0]); e++) {
		fail_with = errors[e];
		for (fail_at = 0, calls = 1; calls > fail_at || fail_at < 2; fail_at++) {
			int r;

			kept.count = 0;
			calls = 0;
			tarn__plat_fault = fail_one;
			r = tarn_host_findings(NULL, &opts, keep, &kept);
			tarn__plat_fault = NULL;
			if (r != 0 && (r != -ENOENT || fail_at != 0))
				fail_msg("call %u with %d: %d", fail_at, fail_with, r);
			assert_int_equal(descriptors(), before);
		}
		assert_true(fail_at > 100);
	}
	fake_end(root);
}

/* --- leftovers ------------------------------------------------------------------------------- */

/* Made, used, and left without a user; the child dies. */
static int leave_segment(void *arg)
{
	int *id = arg;
	char *base;

	*id = shmget(IPC_PRIVATE, 1 * MIB, IPC_CREAT | 0600);
	if (*id < 0)
		return 1;
	base = shmat(*id, NULL, 0);
	if (base == (void *)-1)
		return 1;
	memset(base, 1, 1 * MIB);
	return shmdt(base) == 0 ? 0 : 1;
}

static void examine_host(struct kept *kept)
{
	struct tarn_host *host = NULL;

	kept->count = 0;
	assert_int_equal(tarn_host_scan(NULL, &host), 0);
	assert_int_equal(tarn_host_findings(host, NULL, keep, kept), 0);
	tarn_host_free(host);
}

static void leftovers_of_the_dead_are_found_with_their_bytes(void **state)
{
	int *id = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kept kept;
	char addr[32];
	uint64_t with;

	(void)state;
	assert_true(id != MAP_FAILED);
	assert_int_equal(in_child(leave_segment, id), 0);
	snprintf(addr, sizeof(addr), "sysv:#%d", *id);
	examine_host(&kept);
	shmctl(*id, IPC_RMID, NULL);
	assert_int_equal(kept_find(&kept, "orphans")->severity, WARN);
	assert_true(has_word(kept_find(&kept, "orphans"), "tarn gc --foreign"));
	with = kept_find(&kept, "orphans")->bytes;
	assert_true(with >= 1 * MIB);
	/* where the host is shared others may have left more than the list holds */
	if (with < 2 * MIB)
		assert_true(has_word(kept_find(&kept, "orphans"), addr));
	examine_host(&kept);
	assert_false(has_word(kept_find(&kept, "orphans"), addr));
	munmap(id, 4096);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_healthy_host_has_no_finding),
		cmocka_unit_test(each_seeded_fault_is_found_and_nothing_else),
		cmocka_unit_test(remove_ipc_is_read_as_systemd_reads_it),
		cmocka_unit_test(without_systemd_nothing_is_removed_at_logout),
		cmocka_unit_test(a_dev_shm_that_is_small_full_or_closed_is_found),
		cmocka_unit_test(a_dev_shm_that_is_absent_or_on_disk_is_found),
		cmocka_unit_test(a_container_is_told_its_own_way_to_a_larger_dev_shm),
		cmocka_unit_test(a_dev_shm_larger_than_its_memory_is_found),
		cmocka_unit_test(limits_of_the_process_are_found),
		cmocka_unit_test(each_limit_has_its_value_use_source_and_command),
		cmocka_unit_test(cgroups_of_version_1_are_walked_to_their_mount),
		cmocka_unit_test(what_the_callback_returns_ends_it),
		cmocka_unit_test(roots_without_proc_are_refused_in_words),
		cmocka_unit_test(what_is_not_there_is_counted),
		cmocka_unit_test(garbage_in_any_file_harms_nobody),
		cmocka_unit_test(what_may_not_be_read_is_unknown),
		cmocka_unit_test(each_call_may_fail),
		cmocka_unit_test(leftovers_of_the_dead_are_found_with_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
