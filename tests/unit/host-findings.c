/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Findings, on made-up hosts: a healthy one has none, each seeded fault is found, and nothing else.
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
	{ "container", OK, { { "run/secrets/kubernetes.io/token", "" } }, "kubepods" },
	{ "container", OK, { { "proc/1/cgroup", "1:name=x:/lxc/web\n" } }, "lxc" },
	{ "shm-namespace", WARN, { { "proc/1/root/dev/shm/x", "" } }, "nsenter" },
	{ "shm-namespace", OK, { { "proc/1/root", "->../.." } }, "that of process 1" },
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
	fake_put(root, "etc/passwd", "root:x:0:0::/:/bin/sh\nana:x:12345:100::/:/bin/sh\n");
	logind_says(root, "0", "RemoveIPC=no");
	fake_put(root, conf, "[Login]\n  RemoveIPC = yes\n");
	logind_says(root, "1", "loginctl enable-linger ana");
	fake_put(root, conf, NULL);
	logind_says(root, "1", "(/etc/systemd/logind.conf (default))");
	/* what a distribution calls its default */
	fake_put(root, "usr/lib/systemd/logind.conf", "[Login]\n#RemoveIPC=no\n");
	logind_says(root, "0", "RemoveIPC=no (logind.conf, default as its comment says)");
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
	const struct kept_finding *mount;
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	assert_int_equal(rmdir(fake_path(root, "dev/shm")), 0);
	examine(root, &kept);
	assert_int_equal(kept_find(&kept, "shm-mount")->severity, CRIT);
	assert_true(has_word(kept_find(&kept, "shm-mount"), "mount -t tmpfs"));
	fake_link(root, "dev/shm", "/tmp");
	examine(root, &kept);
	mount = kept_find(&kept, "shm-mount");
	assert_non_null(mount);
	if (!has_word(mount, "tmpfs"))
		assert_int_equal(mount->severity, WARN);
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

#ifdef __GLIBC__
typedef __rlimit_resource_t resource_type;
#else
typedef int resource_type;
#endif

static int with_limits(void *arg)
{
	static const struct {
		resource_type resource;
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

/* --- what the tables above leave out --------------------------------------------------------- */

static int no_futex_waitv(enum tarn_plat_call call)
{
	return call == TARN_PLAT_FUTEX_WAITV ? ENOSYS : 0;
}

static void a_kernel_that_lacks_a_call_is_found(void **state)
{
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	tarn__plat_fault = no_futex_waitv;
	examine(root, &kept);
	tarn__plat_fault = NULL;
	assert_int_equal(kept_find(&kept, "kernel")->severity, WARN);
	assert_true(has_word(kept_find(&kept, "kernel"), "futex_waitv() is not there"));
	fake_end(root);
}

static int with_queues(void *arg)
{
	const char *root = arg;
	struct kept kept;

	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("mqueue", fake_path(root, "dev/mqueue"), "mqueue", 0, NULL) < 0)
		return NOT_PERMITTED;
	examine(root, &kept);
	if (kept_find(&kept, "mqueue-queues")->severity != OK)
		return 1;
	close(open(fake_path(root, "dev/mqueue/one"), O_CREAT | O_RDWR | O_CLOEXEC, 0600));
	fake_put(root, "proc/sys/fs/mqueue/queues_max", "1\n");
	examine(root, &kept);
	return kept_find(&kept, "mqueue-queues")->severity == CRIT ? 0 : 2;
}

static void queues_that_are_used_up_are_found(void **state)
{
	const char *root = fake_begin();
	int r;

	(void)state;
	fake_parents(fake_path(root, "dev/mqueue/"));
	r = in_child(with_queues, (void *)(uintptr_t)root);
	fake_end(root);
	if (r == NOT_PERMITTED)
		SKIP_BECAUSE("needs root, for mounts of its own, and POSIX queues in the kernel");
	assert_int_equal(r, 0);
}

/* A check that nothing makes complain could as well be left out. */
static void each_check_has_a_fault_seeded(void **state)
{
	static const char *const elsewhere[] = {
		"shm-mount",
		"shm-mode",
		"shm-size",
		"shm-used",
		"shm-inodes",
		"memlock",
		"rlimit-fsize",
		"descriptors",
		"address-space",
		"remove-ipc",
		"mqueue-queues",
		"shm-over-memory",
		"kernel",
		"cgroup-kills-1",
		/* these only tell */
		"user-namespace",
		"container",
		"proc-mount",
	};
	const char *root = fake_begin();
	struct kept kept;

	(void)state;
	examine(root, &kept);
	fake_end(root);
	for (size_t i = 0; i < kept.count; i++) {
		bool seeded = false;

		for (size_t j = 0; j < sizeof(seeds) / sizeof(seeds[0]); j++)
			seeded |= strcmp(seeds[j].check, kept.all[i].check) == 0 &&
				  seeds[j].severity != OK;
		for (size_t j = 0; j < sizeof(elsewhere) / sizeof(elsewhere[0]); j++)
			seeded |= strcmp(elsewhere[j], kept.all[i].check) == 0;
		if (!seeded)
			fail_msg("no fault is seeded for %s", kept.all[i].check);
	}
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
		cmocka_unit_test(a_kernel_that_lacks_a_call_is_found),
		cmocka_unit_test(queues_that_are_used_up_are_found),
		cmocka_unit_test(each_check_has_a_fault_seeded),
		cmocka_unit_test(leftovers_of_the_dead_are_found_with_their_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
