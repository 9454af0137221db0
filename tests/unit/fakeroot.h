/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * fakeroot.h - a made-up host: proc, sys, etc and dev in a directory, as opts->root takes it.
 *
 * It lies in /dev/shm, so that its own dev/shm is a tmpfs without rights to mount one.
 */
#ifndef TESTS_UNIT_FAKEROOT_H
#define TESTS_UNIT_FAKEROOT_H

#include <ftw.h>

#include <tarn/host.h>

#include "segment.h"

struct fake_file {
	const char *path, *text;
};

/* A host with which nothing is wrong. */
static const struct fake_file healthy[] = {
	{ "proc/sys/kernel/shmmax", "18446744073692774399\n" },
	{ "proc/sys/kernel/shmall", "18446744073692774399\n" },
	{ "proc/sys/kernel/shmmni", "4096\n" },
	{ "proc/sys/kernel/shm_rmid_forced", "0\n" },
	{ "proc/sysvipc/shm",
	  "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid\n"
	  "         0          5   600                 10000    77    78      1     0     0     0\n"
	  "      4660          6   600                  4096    77    78      0     0     0     "
	  "0\n" },
	{ "proc/sys/kernel/sem", "32000\t1024000000\t500\t32000\n" },
	{ "proc/sysvipc/sem", "       key      semid perms      nsems\n"
			      "         0          1   600         25\n" },
	{ "proc/sys/kernel/msgmax", "8192\n" },
	{ "proc/sys/kernel/msgmnb", "16384\n" },
	{ "proc/sys/kernel/msgmni", "32000\n" },
	{ "proc/sysvipc/msg", "       key      msqid perms      cbytes\n" },
	{ "proc/sys/fs/mqueue/queues_max", "256\n" },
	{ "proc/sys/fs/mqueue/msg_max", "10\n" },
	{ "proc/sys/fs/mqueue/msgsize_max", "8192\n" },
	{ "proc/sys/fs/protected_regular", "2\n" },
	{ "proc/sys/vm/max_map_count", "65530\n" },
	{ "proc/sys/vm/overcommit_memory", "0\n" },
	{ "proc/sys/vm/overcommit_ratio", "50\n" },
	{ "proc/sys/kernel/yama/ptrace_scope", "1\n" },
	{ "proc/sys/kernel/sched_rt_runtime_us", "950000\n" },
	{ "proc/sys/kernel/osrelease", "6.1.0\n" },
	{ "proc/sys/kernel/numa_balancing", "1\n" },
	{ "proc/meminfo", "MemTotal:       4294967296 kB\n"
			  "MemFree:        2147483648 kB\n"
			  "MemAvailable:   3221225472 kB\n"
			  "SwapTotal:      1048576 kB\n"
			  "SwapFree:       1048576 kB\n"
			  "CommitLimit:    2147483648 kB\n"
			  "Committed_AS:   1048576 kB\n"
			  "Hugepagesize:      2048 kB\n" },
	{ "proc/buddyinfo", "Node 0, zone   Normal  10 10 10 10 10 10 10 10 10 100000 400000\n" },
	{ "proc/cmdline", "ro quiet\n" },
	{ "proc/self/stat", "1 (x) S\n" },
	{ "proc/self/status", "VmSize:\t 4096 kB\nVmLck:\t 4 kB\nCapEff:\t0000000000000000\n" },
	{ "proc/self/maps", "1000-2000 r--p 00000000 00:00 0\n" },
	{ "proc/self/cgroup", "0::/user/app\n" },
	{ "proc/self/mountinfo",
	  "22 28 0:20 / /proc rw,nosuid - proc proc rw\n"
	  "30 28 0:25 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n"
	  "31 28 0:26 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M\n" },
	{ "proc/1/cgroup", "0::/init.scope\n" },
	{ "sys/fs/cgroup/user/app/memory.max", "max\n" },
	{ "sys/fs/cgroup/user/app/memory.high", "max\n" },
	{ "sys/fs/cgroup/user/app/memory.current", "50000000\n" },
	{ "sys/fs/cgroup/user/app/memory.stat", "anon 1\ninactive_file 30000000\n" },
	{ "sys/fs/cgroup/user/app/memory.events", "low 0\noom 0\noom_kill 0\n" },
	{ "sys/fs/cgroup/user/app/hugetlb.2MB.max", "max\n" },
	{ "sys/fs/cgroup/user/app/hugetlb.2MB.current", "0\n" },
	{ "sys/fs/cgroup/user/memory.max", "1099511627776\n" },
	{ "sys/fs/cgroup/user/memory.current", "100000000\n" },
	{ "sys/fs/cgroup/user/memory.swap.max", "max\n" },
	{ "sys/fs/cgroup/user/memory.swap.current", "0\n" },
	{ "sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n" },
	{ "sys/kernel/mm/transparent_hugepage/shmem_enabled",
	  "always within_size [advise] never deny force\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "64\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "60\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages", "10\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/nr_overcommit_hugepages", "0\n" },
	{ "sys/kernel/mm/hugepages/hugepages-2048kB/surplus_hugepages", "0\n" },
	{ "sys/devices/system/node/node0/meminfo",
	  "Node 0 MemTotal:       1000000 kB\nNode 0 MemFree:         500000 kB\n" },
	{ "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages", "32\n" },
	{ "sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages", "30\n" },
	{ "sys/devices/system/node/node1/meminfo",
	  "Node 1 MemTotal:       1000000 kB\nNode 1 MemFree:         400000 kB\n" },
	{ "sys/devices/system/node/node1/hugepages/hugepages-2048kB/nr_hugepages", "32\n" },
	{ "sys/devices/system/node/node1/hugepages/hugepages-2048kB/free_hugepages", "30\n" },
	{ "run/systemd/system/x", "" },
	{ "run/systemd/seats/x", "" },
	{ "etc/systemd/logind.conf", "[Login]\n#KillUserProcesses=no\nRemoveIPC=no\n" },
	{ "etc/passwd", "root:x:0:0:root:/root:/bin/sh\n" },
	{ "etc/sysctl.conf", "# nothing\n" },
};
#define HEALTHY_COUNT (sizeof(healthy) / sizeof(healthy[0]))

/* Where its namespaces' links lead. */
static const struct fake_file healthy_links[] = {
	{ "proc/self/ns/ipc", "ipc:[4026531839]" },
	{ "proc/self/ns/pid", "pid:[4026531836]" },
	{ "proc/self/ns/user", "user:[4026531837]" },
};

static inline const char *fake_path(const char *root, const char *path)
{
	static char full[2][600];
	static unsigned turn;
	char *text = full[turn++ % 2];

	snprintf(text, sizeof(full[0]), "%s/%s", root, path);
	return text;
}

static inline void fake_parents(const char *full)
{
	char dir[600];

	snprintf(dir, sizeof(dir), "%s", full);
	for (char *slash = strchr(dir + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		(void)mkdir(dir, 0755);
		*slash = '/';
	}
}

/* A file with @size bytes of @bytes in it; what was there goes. */
static inline void fake_bytes(const char *root, const char *path, const void *bytes, size_t size)
{
	const char *full = fake_path(root, path);
	int fd;

	fake_parents(full);
	if (unlink(full) < 0)
		(void)rmdir(full);
	fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	close(fd);
}

/* NULL text: it is not there. */
static inline void fake_put(const char *root, const char *path, const char *text)
{
	if (text != NULL)
		fake_bytes(root, path, text, strlen(text));
	else if (unlink(fake_path(root, path)) < 0)
		(void)rmdir(fake_path(root, path));
}

static inline void fake_link(const char *root, const char *path, const char *to)
{
	const char *full = fake_path(root, path);

	fake_parents(full);
	(void)unlink(full);
	assert_int_equal(symlink(to, full), 0);
}

/* A healthy host; fake_end() it. */
static inline const char *fake_begin(void)
{
	static char root[96];
	static unsigned count;

	snprintf(root, sizeof(root), "/dev/shm/tarn-unit-%d-root%u", (int)getpid(), count++);
	for (size_t i = 0; i < HEALTHY_COUNT; i++)
		fake_put(root, healthy[i].path, healthy[i].text);
	for (size_t i = 0; i < sizeof(healthy_links) / sizeof(healthy_links[0]); i++)
		fake_link(root, healthy_links[i].path, healthy_links[i].text);
	fake_parents(fake_path(root, "dev/shm/"));
	fake_parents(fake_path(root, "proc/self/fd/"));
	assert_int_equal(chmod(fake_path(root, "dev/shm"), 01777), 0);
	return root;
}

static inline int fake_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void fake_end(const char *root)
{
	assert_int_equal(nftw(root, fake_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

/* --- findings, kept -------------------------------------------------------------------------- */

struct kept {
	struct kept_finding {
		char check[48], what[500], breaks[420], fix[600];
		uint32_t severity;
		uint64_t bytes;
	} all[128];
	size_t count;
};

static inline int keep(const struct tarn_host_finding *finding, void *arg)
{
	struct kept *kept = arg;
	struct kept_finding *to = &kept->all[kept->count++];

	assert_true(kept->count < 128);
	assert_non_null(finding->check);
	assert_non_null(finding->what);
	assert_true(finding->what[0] != '\0');
	snprintf(to->check, sizeof(to->check), "%s", finding->check);
	snprintf(to->what, sizeof(to->what), "%s", finding->what);
	snprintf(to->breaks, sizeof(to->breaks), "%s", finding->breaks ? finding->breaks : "");
	snprintf(to->fix, sizeof(to->fix), "%s", finding->fix ? finding->fix : "");
	to->severity = finding->severity;
	to->bytes = finding->bytes;
	return 0;
}

static inline const struct kept_finding *kept_find(const struct kept *kept, const char *check)
{
	for (size_t i = 0; i < kept->count; i++)
		if (strcmp(kept->all[i].check, check) == 0)
			return &kept->all[i];
	return NULL;
}

static inline void examine(const char *root, struct kept *kept)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_host_opts opts = { .root = root, .diag = &diag };

	kept->count = 0;
	assert_int_equal(tarn_host_findings(NULL, &opts, keep, kept), 0);
	assert_string_equal(diag.what, "");
}

static inline bool has_word(const struct kept_finding *finding, const char *word)
{
	return strstr(finding->what, word) != NULL || strstr(finding->breaks, word) != NULL ||
	       strstr(finding->fix, word) != NULL;
}

#endif /* TESTS_UNIT_FAKEROOT_H */
