/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leftover.c - what creators that were killed left in /dev/shm.
 *
 *   .tarn-tmp.*   a file on its way to its name, where the file system has no O_TMPFILE: nobody's
 *                 once nobody has it open, which a write lease proves (it is granted only then)
 *   tarn.sysv.*   a control file: see control.c
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "region/region.h"

#define DIR_PATH    "/dev/shm"
#define TEMP_PREFIX ".tarn-tmp."

struct search {
	uint32_t flags;
	int (*fn)(const struct tarn_leftover *leftover, void *arg);
	void *arg;
};

static int reclaim_temp(int fd, const char *path, bool remove, struct tarn_leftover *leftover)
{
	struct stat st;

	if (!tarn__plat_leased(fd) || tarn__plat_fstat(fd, &st) < 0)
		return -EBUSY;
	leftover->id = -1;
	leftover->size = (uint64_t)st.st_blocks * 512;
	snprintf(leftover->proof, sizeof(leftover->proof), "no process has it open");
	return remove ? tarn__plat_unlink(path) : 0;
}

static int look_at(const char *name, void *arg)
{
	const struct search *search = arg;
	struct tarn_leftover leftover = { .id = -1 };
	bool temp = strncmp(name, TEMP_PREFIX, strlen(TEMP_PREFIX)) == 0;
	bool control = strncmp(name, TARN__CONTROL_PREFIX, strlen(TARN__CONTROL_PREFIX)) == 0;
	bool remove = (search->flags & TARN_LEFTOVER_REMOVE) != 0;
	struct stat st;
	int fd, r;

	if ((!temp && !control) || strlen(name) > 255)
		return 0;
	snprintf(leftover.path, sizeof(leftover.path), DIR_PATH "/%.255s", name);
	fd = tarn__plat_open(leftover.path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return 0;
	r = tarn__plat_fstat(fd, &st);
	if (r < 0 || !S_ISREG(st.st_mode) || st.st_uid != tarn__plat_euid())
		r = -EBUSY;
	else if (temp)
		r = reclaim_temp(fd, leftover.path, remove, &leftover);
	else
		r = tarn__control_reclaim(fd, leftover.path, remove, &leftover);
	tarn__plat_close(fd);
	return r == 0 && search->fn != NULL ? search->fn(&leftover, search->arg) : 0;
}

int tarn_leftovers(uint32_t flags, int (*fn)(const struct tarn_leftover *leftover, void *arg),
		   void *arg)
{
	struct search search = { .flags = flags, .fn = fn, .arg = arg };

	if ((flags & ~TARN_LEFTOVER_REMOVE) != 0)
		return -EINVAL;
	return tarn__plat_listdir(DIR_PATH, look_at, &search);
}
