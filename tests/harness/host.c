/* SPDX-License-Identifier: BSD-2-Clause */
/* host.c - a private /dev/shm and System V namespace, and what lies in them. See harness.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness.h"

static bool isolated;
static pid_t run_pid; /* of the process that asked first: children keep its prefix */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, text, strlen(text)) < 0)
		perror(path);
	close(fd);
}

/* In a user namespace of one's own: the same user and group ids inside as outside. */
static bool enter_user_namespace(void)
{
	unsigned uid = geteuid();
	unsigned gid = getegid();
	char line[64];

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWIPC) < 0)
		return false;
	write_file("/proc/self/setgroups", "deny");
	snprintf(line, sizeof(line), "%u %u 1", uid, uid);
	write_file("/proc/self/uid_map", line);
	snprintf(line, sizeof(line), "%u %u 1", gid, gid);
	write_file("/proc/self/gid_map", line);
	return true;
}

bool harness_isolate(void)
{
	harness_prefix();
	if (isolated)
		return true;
	if (getenv("TARN_TEST_SHARED_HOST") != NULL)
		return false;
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC) < 0 && !enter_user_namespace())
		return false;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	if (mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777,size=512m") < 0)
		return false;
	isolated = true;
	return true;
}

bool harness_isolated(void)
{
	return isolated;
}

const char *harness_prefix(void)
{
	static char prefix[40];

	if (run_pid == 0) {
		run_pid = getpid();
		snprintf(prefix, sizeof(prefix), "tarn-proof-%d-", (int)run_pid);
	}
	return prefix;
}

int32_t harness_sysv_key(uint32_t n)
{
	harness_prefix();
	return (int32_t)(0x54000000u | (((unsigned)run_pid & 0xffffu) << 8) | (n & 0xffu));
}

static int counts(const struct dirent *entry)
{
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	if (isolated || strstr(entry->d_name, harness_prefix()) != NULL)
		return 1;

	/* the control files of this run's System V segments are named by key */
	char keys[16];

	snprintf(keys, sizeof(keys), ".%06x", (unsigned)harness_sysv_key(0) >> 8);
	return strstr(entry->d_name, keys) != NULL;
}

int harness_names(const char *dir, void (*fn)(const char *name, void *arg), void *arg)
{
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, counts, alphasort);

	for (int i = 0; i < n; i++) {
		if (entries[i]->d_type != DT_DIR)
			fn(entries[i]->d_name, arg);
		free(entries[i]);
	}
	free(entries);
	return n < 0 ? -errno : 0;
}

static int all_sysv_ids(int *ret_ids, int max)
{
	struct shm_info info;
	int top = shmctl(0, SHM_INFO, (struct shmid_ds *)&info);
	int n = 0;

	for (int i = 0; i <= top && n < max; i++) {
		struct shmid_ds ds;
		int id = shmctl(i, SHM_STAT, &ds);

		if (id >= 0 && (ds.shm_perm.mode & SHM_DEST) == 0)
			ret_ids[n++] = id;
	}
	return n;
}

int harness_sysv_ids(int32_t key, int *ret_ids, int max)
{
	if (isolated)
		return all_sysv_ids(ret_ids, max);

	int id = key != 0 ? shmget(key, 0, 0) : -1;

	if (id < 0 || max < 1)
		return 0;
	ret_ids[0] = id;
	return 1;
}

static void unlink_in(const char *name, void *arg)
{
	char path[4352];

	snprintf(path, sizeof(path), "%s/%s", (const char *)arg, name);
	unlink(path);
}

void harness_sweep_away(const char *dir, int32_t key)
{
	int ids[256];

	if (dir != NULL)
		harness_names(dir, unlink_in, (void *)(uintptr_t)dir);
	for (int n = harness_sysv_ids(key, ids, 256); n > 0; n--)
		shmctl(ids[n - 1], IPC_RMID, NULL);
}
