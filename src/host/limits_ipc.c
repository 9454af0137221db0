/* SPDX-License-Identifier: BSD-2-Clause */
/* limits_ipc.c - /dev/shm, System V, POSIX message queues. See limits.h. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "host/limits.h"
#include "plat/lines.h"
#include "plat/plat.h"

/* f_type of statfs(), from <linux/magic.h> */
#define TMPFS 0x01021994u
#define RAMFS 0x858458f6u

#define DEV_SHM "/dev/shm"

/* --- /dev/shm -------------------------------------------------------------------------------- */

static const char *fs_name(uint64_t type, char buf[24])
{
	switch (type) {
	case TMPFS:
		return "tmpfs";
	case RAMFS:
		return "ramfs";
	case 0xef53:
		return "ext4";
	case 0x58465342:
		return "xfs";
	case 0x9123683e:
		return "btrfs";
	case 0x794c7630:
		return "overlay";
	default:
		snprintf(buf, 24, "type 0x%" PRIx64, type);
		return buf;
	}
}

static void add_shm(struct tarn__limits *limits, const struct tarn_plat_fs *fs, uint32_t mode)
{
	struct tarn__limit *limit;
	char buf[24];

	limit = tarn__limit_add(limits, TARN_UNIT_BYTES, "size of " DEV_SHM, "shm.size");
	limit->pub.value = fs->size == 0 ? UINT64_MAX : fs->size;
	if (fs->size != 0)
		limit->pub.used = fs->size > fs->avail ? fs->size - fs->avail : 0;
	tarn__limit_source(limit, "statfs " DEV_SHM);
	tarn__limit_raise(limit, "mount -o remount,size=SIZE " DEV_SHM
				 " (in a container: docker run --shm-size=SIZE)");

	limit = tarn__limit_add(limits, TARN_UNIT_COUNT, "files that fit in " DEV_SHM,
				"shm.inodes");
	limit->pub.value = fs->files == 0 ? UINT64_MAX : fs->files;
	if (fs->files != 0)
		limit->pub.used = fs->files > fs->files_free ? fs->files - fs->files_free : 0;
	tarn__limit_source(limit, "statfs " DEV_SHM);
	tarn__limit_raise(limit, "mount -o remount,nr_inodes=N " DEV_SHM);

	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "file system of " DEV_SHM, "shm.type");
	tarn__limit_source(limit, "statfs " DEV_SHM);
	tarn__limit_text(limit, "%s%s", fs_name(fs->type, buf), fs->read_only ? ", read-only" : "");

	limit = tarn__limit_add(limits, TARN_UNIT_WORD, "mode of " DEV_SHM, "shm.mode");
	tarn__limit_source(limit, "stat " DEV_SHM);
	tarn__limit_text(limit, "%04o", mode & 07777u);
	tarn__limit_raise(limit, "chmod 1777 " DEV_SHM);
}

void tarn__limits_of_shm(struct tarn__limits *limits)
{
	struct tarn_plat_fs fs;
	struct stat st;
	tarn__path path;
	int fd = tarn__plat_open(tarn__under(limits, path, DEV_SHM), O_PATH | O_DIRECTORY, 0);
	int r = fd < 0 ? fd : tarn__plat_fstatfs(fd, &fs);

	if (r == 0)
		r = tarn__plat_fstat(fd, &st);
	tarn__plat_close(fd);
	if (r == 0) {
		add_shm(limits, &fs, st.st_mode);
		return;
	}

	struct tarn__limit *limit =
		tarn__limit_add(limits, TARN_UNIT_BYTES, "size of " DEV_SHM, "shm.size");

	limit->error = r;
	tarn__limit_source(limit, "statfs " DEV_SHM);
}

/* --- System V -------------------------------------------------------------------------------- */

static uint64_t pages_to_bytes(uint64_t pages)
{
	uint64_t bytes;

	return __builtin_mul_overflow(pages, (uint64_t)tarn__plat_page_size(), &bytes) ? UINT64_MAX
										       : bytes;
}

/* SHMMAX of the kernel: what it takes for no limit. */
#define SHMMAX_NONE (UINT64_MAX - (UINT64_C(1) << 24))

static void shared_memory(struct tarn__limits *limits)
{
	struct tarn__sysv_usage usage = { 0 };
	bool known = tarn__sysv_usage(limits->root, &usage) == 0;
	struct tarn__limit *limit;

	limit = tarn__limit_sysctl(limits, TARN_UNIT_BYTES, "sysv.shmmax", "kernel/shmmax",
				   "one System V segment");
	if (limit != NULL) {
		if (limit->pub.value >= SHMMAX_NONE)
			limit->pub.value = UINT64_MAX;
		tarn__limit_raise(limit, "sysctl -w kernel.shmmax=BYTES");
	}
	limit = tarn__limit_sysctl(limits, TARN_UNIT_BYTES, "sysv.shmall", "kernel/shmall",
				   "all System V segments together");
	if (limit != NULL) {
		limit->pub.value = pages_to_bytes(limit->pub.value);
		limit->pub.used = known ? pages_to_bytes(usage.page_count) : TARN_HOST_UNKNOWN;
		tarn__limit_raise(limit, "sysctl -w kernel.shmall=PAGES");
	}
	limit = tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "sysv.shmmni", "kernel/shmmni",
				   "number of System V segments");
	if (limit != NULL && known)
		limit->pub.used = usage.count;
	(void)tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "sysv.rmid_forced",
				 "kernel/shm_rmid_forced",
				 "1: a segment goes with its last user, asked or not");
}

static int add_semaphores(char *line, void *arg)
{
	uint64_t *counts = arg, n;

	/* key semid perms nsems ... */
	if (sscanf(line, "%*d %*d %*o %" SCNu64, &n) == 1) {
		counts[0]++;
		counts[1] += n;
	}
	return 0;
}

static struct tarn__limit *semaphore(struct tarn__limits *limits, int error, const char *name,
				     const char *what, uint64_t value)
{
	struct tarn__limit *limit = tarn__limit_add(limits, TARN_UNIT_COUNT, what, "sem.%s", name);

	limit->error = error;
	limit->pub.value = value;
	tarn__limit_source(limit, "/proc/sys/kernel/sem");
	tarn__limit_raise(limit, "sysctl -w kernel.sem=\"SEMMSL SEMMNS SEMOPM SEMMNI\"");
	return limit;
}

static void semaphores(struct tarn__limits *limits)
{
	uint64_t v[4] = { 0 }, used[2] = { 0 };
	struct tarn__limit *limit;
	tarn__path path;
	char text[128];
	int r = tarn__first_line(tarn__under(limits, path, "/proc/sys/kernel/sem"), text,
				 sizeof(text));
	bool known;

	if (r == -ENOENT && !limits->no_sysctl)
		return;
	for (char *c = text; r == 0 && *c != '\0'; c++)
		if (*c == '?') /* the tabs between the numbers */
			*c = ' ';
	if (r == 0 && (strchr(text, '-') != NULL ||
		       sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64, &v[0], &v[1],
			      &v[2], &v[3]) != 4))
		r = -EINVAL;
	known = tarn__each_line(tarn__under(limits, path, "/proc/sysvipc/sem"), add_semaphores,
				used) == 0;
	(void)semaphore(limits, r, "semmsl", "semaphores in one System V set", v[0]);
	limit = semaphore(limits, r, "semmns", "System V semaphores together", v[1]);
	limit->pub.used = known ? used[1] : TARN_HOST_UNKNOWN;
	(void)semaphore(limits, r, "semopm", "operations in one semop()", v[2]);
	limit = semaphore(limits, r, "semmni", "number of System V semaphore sets", v[3]);
	limit->pub.used = known ? used[0] : TARN_HOST_UNKNOWN;
}

static void messages(struct tarn__limits *limits)
{
	struct tarn__limit *limit;
	tarn__path path;
	uint64_t lines = 0;

	(void)tarn__limit_sysctl(limits, TARN_UNIT_BYTES, "msg.msgmax", "kernel/msgmax",
				 "one System V message");
	(void)tarn__limit_sysctl(limits, TARN_UNIT_BYTES, "msg.msgmnb", "kernel/msgmnb",
				 "one System V message queue");
	limit = tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "msg.msgmni", "kernel/msgmni",
				   "number of System V message queues");
	/* the first line is the heading */
	if (limit != NULL &&
	    tarn__count_lines(tarn__under(limits, path, "/proc/sysvipc/msg"), &lines) == 0)
		limit->pub.used = lines > 0 ? lines - 1 : 0;
}

static int count_name(const char *name, void *arg)
{
	(void)name;
	++*(uint64_t *)arg;
	return 0;
}

/* /dev/mqueue is an empty directory where the file system is not mounted on it. */
static bool count_queues(const struct tarn__limits *limits, uint64_t *ret_count)
{
	struct stat dev, queues;
	tarn__path path;
	uint64_t count = 0;

	if (tarn__plat_stat(tarn__under(limits, path, "/dev"), true, &dev) < 0 ||
	    tarn__plat_stat(tarn__under(limits, path, "/dev/mqueue"), true, &queues) < 0 ||
	    dev.st_dev == queues.st_dev || tarn__plat_listdir(path, count_name, &count) < 0)
		return false;
	*ret_count = count;
	return true;
}

static void posix_queues(struct tarn__limits *limits)
{
	struct tarn__limit *limit;
	uint64_t count;

	limit = tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "mqueue.queues_max",
				   "fs/mqueue/queues_max", "number of POSIX message queues");
	if (limit != NULL && count_queues(limits, &count))
		limit->pub.used = count;
	(void)tarn__limit_sysctl(limits, TARN_UNIT_COUNT, "mqueue.msg_max", "fs/mqueue/msg_max",
				 "messages in one POSIX queue");
	(void)tarn__limit_sysctl(limits, TARN_UNIT_BYTES, "mqueue.msgsize_max",
				 "fs/mqueue/msgsize_max", "one message of a POSIX queue");
}

void tarn__limits_of_sysv(struct tarn__limits *limits)
{
	shared_memory(limits);
	semaphores(limits);
	messages(limits);
	posix_queues(limits);
}
