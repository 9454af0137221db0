/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * limits_host.c - cgroups, logind, namespaces, and settings of the kernel that shared memory meets.
 * See limits.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/limits.h"
#include "plat/lines.h"
#include "plat/plat.h"

/* --- cgroups --------------------------------------------------------------------------------- */

static struct tarn__limit *cgroup_row(struct tarn__limits *limits,
				      const struct tarn__cgroup *cgroup, const char *name,
				      const char *what, const char *file)
{
	struct tarn__limit *limit =
		tarn__limit_add(limits, TARN_UNIT_BYTES, what, "cgroup.%u.%s", cgroup->up, name);

	tarn__limit_source(limit, "%s/%s", cgroup->name, file);
	tarn__limit_raise(limit, "echo BYTES > %s/%s", cgroup->name, file);
	return limit;
}

/* A further number of the cgroup; no row where it has no such file. */
static struct tarn__limit *cgroup_file(struct tarn__limits *limits,
				       const struct tarn__cgroup *cgroup, const char *name,
				       const char *what, const char *file, const char *used)
{
	struct tarn__limit *limit;
	char path[4096];
	uint64_t value;

	snprintf(path, sizeof(path), "%s/%s", cgroup->dir, file);
	if (tarn__read_number(path, &value) < 0)
		return NULL;
	limit = cgroup_row(limits, cgroup, name, what, file);
	limit->pub.value = value >= UINT64_C(1) << 62 ? UINT64_MAX : value;
	snprintf(path, sizeof(path), "%s/%s", cgroup->dir, used != NULL ? used : "");
	if (used != NULL)
		(void)tarn__read_number(path, &limit->pub.used);
	return limit;
}

static void cgroup_kills(struct tarn__limits *limits, const struct tarn__cgroup *cgroup)
{
	const char *file = cgroup->v2 ? "memory.events" : "memory.oom_control";
	struct tarn__limit *limit;
	char path[4096];
	uint64_t kills;

	snprintf(path, sizeof(path), "%s/%s", cgroup->dir, file);
	if (tarn__read_field(path, "oom_kill ", &kills) < 0)
		return;
	limit = cgroup_row(limits, cgroup, "oom_kills", "processes killed for want of memory",
			   file);
	limit->pub.unit = TARN_UNIT_COUNT;
	limit->pub.raise = NULL;
	limit->pub.value = kills;
}

static int memory_cgroup(const struct tarn__cgroup *cgroup, void *arg)
{
	struct tarn__limits *limits = arg;
	struct tarn__cgroup_memory memory;
	struct tarn__limit *limit;

	/* the root of version 2, or a hierarchy without the controller */
	if (!tarn__cgroup_memory(cgroup, &memory))
		return 0;
	limit = cgroup_row(limits, cgroup, "memory",
			   "memory of the cgroup; used: less cache that can go", memory.limit_file);
	limit->pub.value = memory.limit;
	limit->pub.used = memory.usage;
	if (cgroup->v2) {
		(void)cgroup_file(limits, cgroup, "high",
				  "memory of the cgroup before it is slowed", "memory.high",
				  "memory.current");
		(void)cgroup_file(limits, cgroup, "swap", "swap of the cgroup", "memory.swap.max",
				  "memory.swap.current");
	} else {
		(void)cgroup_file(limits, cgroup, "memory_and_swap",
				  "memory and swap of the cgroup", "memory.memsw.limit_in_bytes",
				  "memory.memsw.usage_in_bytes");
	}
	cgroup_kills(limits, cgroup);
	return 0;
}

static int huge_cgroup(const struct tarn__cgroup *cgroup, void *arg)
{
	static const uint64_t sizes[] = { UINT64_C(64) << 10, UINT64_C(2) << 20, UINT64_C(32) << 20,
					  UINT64_C(1) << 30 };
	struct tarn__limits *limits = arg;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct tarn__limit *limit;
		uint64_t value, used;
		char file[48], name[32], word[24];

		if (!tarn__cgroup_huge(cgroup, sizes[i], file, &value, &used))
			continue;
		snprintf(name, sizeof(name), "huge.%s", tarn__page_word(sizes[i], word));
		limit = cgroup_row(limits, cgroup, name, "huge pages of the cgroup", file);
		limit->pub.value = value;
		limit->pub.used = used;
	}
	return 0;
}

void tarn__limits_of_cgroups(struct tarn__limits *limits)
{
	(void)tarn__each_cgroup(limits->root, "memory", false, memory_cgroup, limits);
	(void)tarn__each_cgroup(limits->root, "memory", true, memory_cgroup, limits);
	(void)tarn__each_cgroup(limits->root, "hugetlb", false, huge_cgroup, limits);
	(void)tarn__each_cgroup(limits->root, "hugetlb", true, huge_cgroup, limits);
}

/* --- logind ---------------------------------------------------------------------------------- */

enum { DROP_IN_MAX = 64 };

struct logind {
	const struct tarn__limits *limits;
	const char *dir; /* of the drop-ins being listed */
	char names[DROP_IN_MAX][64];
	unsigned count;
	bool main_file;  /* is being read */
	bool in_comment; /* it says the default so: "#RemoveIPC=yes" */
	bool set;        /* by a line that counts */
	bool value;
	char source[160];
	char file[160]; /* being read */
};

static bool is_true(const char *word)
{
	return strncmp(word, "yes", 3) == 0 || strncmp(word, "true", 4) == 0 ||
	       strncmp(word, "on", 2) == 0 || word[0] == '1';
}

static int match_remove_ipc(char *line, void *arg)
{
	struct logind *logind = arg;
	bool comment = line[0] == '#';
	const char *key = line + (comment ? 1 : 0);
	const char *value;

	key += strspn(key, " \t");
	if (strncmp(key, "RemoveIPC", 9) != 0)
		return 0;
	value = key + 9 + strspn(key + 9, " \t");
	if (*value != '=' || (comment && (!logind->main_file || logind->set || logind->in_comment)))
		return 0;
	value += 1 + strspn(value + 1, " \t");
	logind->value = is_true(value);
	if (comment) {
		logind->in_comment = true;
		return 0;
	}
	logind->set = true;
	memcpy(logind->source, logind->file, sizeof(logind->source));
	return 0;
}

static int collect_drop_in(const char *name, void *arg)
{
	struct logind *logind = arg;
	size_t size = strlen(name);

	if (size < 6 || size >= sizeof(logind->names[0]) || logind->count == DROP_IN_MAX ||
	    strcmp(name + size - 5, ".conf") != 0)
		return 0;
	for (unsigned i = 0; i < logind->count; i++)
		if (strcmp(logind->names[i], name) == 0)
			return 0;
	memcpy(logind->names[logind->count++], name, size + 1);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* The first of the directories that has the file wins, as systemd has it. */
static bool read_first(struct logind *logind, const char *name)
{
	static const char *const dirs[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib" };
	tarn__path path;

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		snprintf(logind->file, sizeof(logind->file), "%s/systemd/%s", dirs[i], name);
		if (tarn__each_line(tarn__under(logind->limits, path, "%s", logind->file),
				    match_remove_ipc, logind) != -ENOENT)
			return true;
	}
	return false;
}

static void read_settings(struct logind *logind)
{
	static const char *const dirs[] = { "/etc", "/run", "/usr/local/lib", "/usr/lib", "/lib" };
	tarn__path path;

	logind->main_file = true;
	(void)read_first(logind, "logind.conf");
	logind->main_file = false;
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		(void)tarn__plat_listdir(
			tarn__under(logind->limits, path, "%s/systemd/logind.conf.d", dirs[i]),
			collect_drop_in, logind);
	qsort(logind->names, logind->count, sizeof(logind->names[0]), by_name);
	for (unsigned i = 0; i < logind->count; i++) {
		char name[96];

		snprintf(name, sizeof(name), "logind.conf.d/%s", logind->names[i]);
		(void)read_first(logind, name);
	}
}

static bool there(const struct tarn__limits *limits, const char *name)
{
	struct stat st;
	tarn__path path;

	return tarn__plat_stat(tarn__under(limits, path, "%s", name), true, &st) == 0;
}

/* systemd is what started this host, and its logind is installed or has run. */
static bool logind_there(const struct tarn__limits *limits)
{
	return there(limits, "/run/systemd/system") &&
	       (there(limits, "/run/systemd/seats") ||
		there(limits, "/usr/lib/systemd/systemd-logind") ||
		there(limits, "/lib/systemd/systemd-logind"));
}

struct user {
	uint32_t uid;
	char name[64];
};

/* "name:x:1000:..." */
static int match_user(char *line, void *arg)
{
	struct user *user = arg;
	unsigned uid;

	if (sscanf(line, "%*[^:]:%*[^:]:%u:", &uid) != 1 || uid != user->uid)
		return 0;
	line[strcspn(line, ":")] = '\0';
	if (strchr(line, '/') == NULL)
		snprintf(user->name, sizeof(user->name), "%.63s", line);
	return 1;
}

/* Do the user's processes outlive the session? System users' IPC objects are left alone anyway. */
static void linger(struct tarn__limits *limits)
{
	struct user user = { .uid = tarn__plat_euid() };
	struct tarn__limit *limit = tarn__limit_add(
		limits, TARN_UNIT_WORD, "is this user there without a session", "logind.linger");
	tarn__path path;
	char file[96];
	uint64_t system_max = 999;

	(void)tarn__each_line(tarn__under(limits, path, "/etc/passwd"), match_user, &user);
	(void)tarn__read_field(tarn__under(limits, path, "/etc/login.defs"), "SYS_UID_MAX",
			       &system_max);
	if (user.name[0] == '\0')
		snprintf(user.name, sizeof(user.name), "%u", user.uid);
	snprintf(file, sizeof(file), "/var/lib/systemd/linger/%s", user.name);
	tarn__limit_source(limit, "%s", file);
	tarn__limit_raise(limit, "loginctl enable-linger %s", user.name);
	if (user.uid <= system_max || user.uid == 65534)
		tarn__limit_text(limit, "a system user");
	else
		tarn__limit_text(limit, "%s", there(limits, file) ? "yes" : "no");
}

void tarn__limits_of_logind(struct tarn__limits *limits)
{
	struct logind *logind;
	struct tarn__limit *limit;

	if (!logind_there(limits))
		return;
	logind = calloc(1, sizeof(*logind));
	if (logind == NULL) {
		limits->failed = true;
		return;
	}
	logind->limits = limits;
	logind->value = true;
	read_settings(logind);
	limit = tarn__limit_add(limits, TARN_UNIT_WORD,
				"are a user's IPC objects removed at logout", "logind.remove_ipc");
	tarn__limit_text(limit, "%s", logind->value ? "yes" : "no");
	tarn__limit_source(limit, "%s",
			   logind->set          ? logind->source
			   : logind->in_comment ? "logind.conf, default as its comment says"
						: "/etc/systemd/logind.conf (default)");
	tarn__limit_raise(limit, "RemoveIPC=no in /etc/systemd/logind.conf, then systemctl "
				 "restart systemd-logind");
	linger(limits);
	free(logind);
}

/* --- namespaces ------------------------------------------------------------------------------ */

/* Inode numbers of the first namespaces, fixed by the kernel; 0 = not before Linux 6.18. */
static const struct {
	const char *name;
	uint64_t first;
	const char *what;
} namespaces[] = {
	{ "ipc", 0xEFFFFFFF, "IPC namespace: System V, POSIX queues" },
	{ "pid", 0xEFFFFFFC, "PID namespace: which processes are seen" },
	{ "user", 0xEFFFFFFD, "user namespace: whose ids these are" },
};

static void add_namespace(struct tarn__limits *limits, const char *name, uint64_t first,
			  const char *what)
{
	struct tarn__limit *limit = tarn__limit_add(limits, TARN_UNIT_WORD, what, "ns.%s", name);
	tarn__path path;
	char link[64];
	uint64_t inode;
	int r = tarn__plat_readlink(tarn__under(limits, path, "/proc/self/ns/%s", name), link,
				    sizeof(link));

	tarn__limit_source(limit, "/proc/self/ns/%s", name);
	if (r >= 0 && sscanf(link, "%*[a-z]:[%" SCNu64 "]", &inode) == 1)
		tarn__limit_text(limit, "%s", inode == first ? "the host's" : "private");
	else
		limit->error = r < 0 ? r : -EINVAL;
}

/* Does pid 1 see the same /dev/shm? Telling needs the right to look into its root. */
static void shm_view(struct tarn__limits *limits)
{
	struct stat here, there;
	struct tarn__limit *limit;
	tarn__path path;

	if (tarn__plat_stat(tarn__under(limits, path, "/dev/shm"), true, &here) < 0 ||
	    tarn__plat_stat(tarn__under(limits, path, "/proc/1/root/dev/shm"), true, &there) < 0)
		return;
	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "whose /dev/shm this is", "ns.shm");
	tarn__limit_source(limit, "/proc/1/root/dev/shm");
	tarn__limit_text(limit, "%s",
			 here.st_dev == there.st_dev && here.st_ino == there.st_ino
				 ? "that of process 1"
				 : "private");
}

static int match_container(char *line, void *arg)
{
	static const char *const words[] = { "docker", "kubepods", "libpod", "lxc", "containerd" };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strstr(line, words[i]) != NULL) {
			*(const char **)arg = words[i];
			return 1;
		}
	return 0;
}

/* What runs a container leaves marks in it; where there are none its cgroup may tell. */
static const struct {
	const char *file, *kind;
} marks[] = {
	{ "/.dockerenv", "docker" },
	{ "/run/.containerenv", "podman" },
	{ "/run/secrets/kubernetes.io", "kubepods" },
	{ "/var/run/secrets/kubernetes.io", "kubepods" },
	{ "/run/host/container-manager", "nspawn" },
	{ "/dev/.lxc", "lxc" },
};

static void container(struct tarn__limits *limits)
{
	struct tarn__limit *limit =
		tarn__limit_add(limits, TARN_UNIT_WORD, "is this a container", "host.container");
	const char *kind = NULL, *source = "/proc/1/cgroup";
	tarn__path path;

	for (size_t i = 0; kind == NULL && i < sizeof(marks) / sizeof(marks[0]); i++)
		if (there(limits, marks[i].file)) {
			kind = marks[i].kind;
			source = marks[i].file;
		}
	if (kind == NULL)
		(void)tarn__each_line(tarn__under(limits, path, "%s", source), match_container,
				      &kind);
	tarn__limit_source(limit, "%s", source);
	tarn__limit_text(limit, "%s", kind != NULL ? kind : "no");
}

/* --- proc and the kernel --------------------------------------------------------------------- */

struct proc_mount {
	const char *root;
	char hidepid[16];
};

static int match_proc(char *line, void *arg)
{
	struct proc_mount *proc = arg;
	const char *tail = strstr(line, " - proc ");
	const char *option = tail != NULL ? strstr(tail, "hidepid=") : NULL;
	size_t skip = strlen(proc->root);
	char dir[256];

	if (tail == NULL || tarn__line_field(line, 4, dir, sizeof(dir)) < 0)
		return 0;
	if (skip > 0 && strncmp(dir, proc->root, skip) == 0)
		memmove(dir, dir + skip, strlen(dir + skip) + 1);
	/* the last one mounted there is the one that is seen */
	if (strcmp(dir, "/proc") == 0)
		snprintf(proc->hidepid, sizeof(proc->hidepid), "%.*s",
			 option != NULL ? (int)strcspn(option + 8, ", ") & 15 : 1,
			 option != NULL ? option + 8 : "0");
	return 0;
}

static void proc_mounted(struct tarn__limits *limits)
{
	struct proc_mount proc = { .root = limits->root };
	struct tarn__limit *limit;
	struct tarn_plat_fs fs;
	tarn__path path;
	int fd = tarn__plat_open(tarn__under(limits, path, "/proc"), O_PATH | O_DIRECTORY, 0);
	int r = fd < 0 ? fd : tarn__plat_fstatfs(fd, &fs);

	tarn__plat_close(fd);
	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "can settings be changed here",
				"proc.mount");
	limit->error = r;
	tarn__limit_source(limit, "statfs /proc");
	tarn__limit_text(limit, "%s", r == 0 && fs.read_only ? "read-only" : "writable");
	if (tarn__each_line(tarn__under(limits, path, "/proc/self/mountinfo"), match_proc, &proc) <
		    0 ||
	    proc.hidepid[0] == '\0')
		return;
	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "are others' processes hidden",
				"proc.hidepid");
	tarn__limit_source(limit, "/proc/self/mountinfo");
	tarn__limit_text(limit, "%s", proc.hidepid);
	tarn__limit_raise(limit, "mount -o remount,hidepid=0 /proc");
}

static void feature(struct tarn__limits *limits, const char *name, const char *what, bool there_is)
{
	struct tarn__limit *limit =
		tarn__limit_add(limits, TARN_UNIT_WORD, what, "kernel.%s", name);

	tarn__limit_source(limit, "%s()", name);
	tarn__limit_text(limit, "%s", there_is ? "yes" : "no");
}

/* Asked of the kernel itself: a filter (seccomp) may forbid what it knows. */
static void features(struct tarn__limits *limits)
{
	_Atomic uint32_t word = 0;
	const struct tarn__futex other = tarn__futex_of(&word, 1);
	int fd = tarn__plat_memfd("tarn-probe", 0);
	unsigned seals = 0;

	feature(limits, "futex_waitv", "waiting for two things at once",
		tarn__plat_futex_waitv(&other, 1, 0) == -EAGAIN);
	feature(limits, "membarrier", "barriers that cost the waiting side alone",
		tarn__plat_membarrier_there());
	feature(limits, "memfd_create", "sealed memory without a name",
		fd >= 0 && tarn__plat_seals_get(fd, &seals) == 0);
	tarn__plat_close(fd);
}

static void signed_sysctl(struct tarn__limits *limits, const char *name, const char *file,
			  const char *what)
{
	struct tarn__limit *limit;
	tarn__path path;
	char text[64];
	int r = tarn__first_line(tarn__under(limits, path, "/proc/sys/%s", file), text,
				 sizeof(text));

	if (r == -ENOENT && !limits->no_sysctl)
		return;
	limit = tarn__limit_add(limits, TARN_UNIT_COUNT, what, "%s", name);
	limit->error = r;
	tarn__limit_source(limit, "/proc/sys/%s", file);
	tarn__limit_raise(limit, "sysctl -w kernel.sched_rt_runtime_us=N");
	if (r == 0 && strcmp(text, "-1") == 0)
		limit->pub.value = UINT64_MAX;
	else if (r == 0 && sscanf(text, "%" SCNu64, &limit->pub.value) != 1)
		limit->error = -EINVAL;
}

void tarn__limits_of_kernel(struct tarn__limits *limits)
{
	static const char *const protected[] = { "regular", "fifos", "hardlinks", "symlinks" };
	struct tarn__limit *limit;
	tarn__path path;
	char text[128];

	for (size_t i = 0; i < sizeof(protected) / sizeof(protected[0]); i++) {
		char name[40], file[40];

		snprintf(name, sizeof(name), "fs.protected_%s", protected[i]);
		snprintf(file, sizeof(file), "fs/protected_%s", protected[i]);
		(void)tarn__limit_sysctl(limits, TARN_UNIT_COUNT, name, file,
					 "care with others' files in sticky directories");
	}
	/* absent where the kernel has no Yama */
	if (there(limits, "/proc/sys/kernel/yama"))
		(void)tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "yama.ptrace_scope",
					 "kernel/yama/ptrace_scope",
					 "who may look into a process's memory");
	signed_sysctl(limits, "kernel.sched_rt_runtime_us", "kernel/sched_rt_runtime_us",
		      "time of a second for real-time tasks, us");
	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "release of the kernel", "kernel.release");
	tarn__limit_source(limit, "/proc/sys/kernel/osrelease");
	limit->error = tarn__first_line(tarn__under(limits, path, "/proc/sys/kernel/osrelease"),
					text, sizeof(text));
	if (limit->error == 0)
		tarn__limit_text(limit, "%.100s", text);
	features(limits);
}

void tarn__limits_of_namespaces(struct tarn__limits *limits)
{
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		add_namespace(limits, namespaces[i].name, namespaces[i].first, namespaces[i].what);
	shm_view(limits);
	container(limits);
	proc_mounted(limits);
}
