/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * leftover.c - what those who were killed left in /dev/shm.
 *
 *   .tarn-tmp.*   a file on its way to its name, where the file system has no O_TMPFILE: nobody's
 *                 once nobody has it open, which a write lease proves (it is granted only then)
 *   tarn.sysv.*   a control file: see control.c
 *   .tarn-gc.*    a file on its way out, which tarn_host_reclaim() was removing:
 *
 *     .tarn-gc.RANDOM.NAME    RANDOM: 8 hex digits, NAME: what it was called; left out where all
 *                             together would be longer than a name can be
 *
 * Whoever removes a file holds a lease on it, which /proc/locks shows; such a one is left alone. Of
 * a dead remover's there are two kinds. Nobody opened it when that one died: then it goes, as it
 * would have. Or somebody did, who was waiting in open() for the lease to end: that process has the
 * file, or had it and may come back for it, so it gets its name again. That it was opened is seen
 * by the refusal of a lease; that it was opened and closed, by its times: mapping, reading or
 * writing it makes one of them later than the renaming did (mapping and reading do not where the
 * file system is mounted with noatime).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "plat/lines.h"
#include "region/region.h"

#define DIR_PATH    "/dev/shm"
#define TEMP_PREFIX ".tarn-tmp."

enum { RANDOM_DIGITS = 8, NAME_LIMIT = 255 };

struct search {
	uint32_t flags;
	int (*fn)(const struct tarn_leftover *leftover, void *arg);
	void *arg;
};

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

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

/* --- files on their way out ------------------------------------------------------------------ */

static const char *base_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

bool tarn__passing(const char *path)
{
	return has_prefix(base_of(path), TARN__PASSING_PREFIX);
}

int tarn__passing_path(const char *path, char **ret_path)
{
	const char *base = base_of(path);
	size_t room = strlen(path) + strlen(TARN__PASSING_PREFIX) + RANDOM_DIGITS + 2;
	bool fits = strlen(base) + strlen(TARN__PASSING_PREFIX) + RANDOM_DIGITS + 1 <= NAME_LIMIT;
	uint32_t random;
	char *text;
	int r = tarn__plat_random(&random, sizeof(random));

	if (r < 0)
		return r;
	text = malloc(room);
	if (text == NULL)
		return -ENOMEM;
	snprintf(text, room, "%.*s" TARN__PASSING_PREFIX "%08" PRIx32 "%s%s", (int)(base - path),
		 path, random, fits ? "." : "", fits ? base : "");
	*ret_path = text;
	return 0;
}

/* What the file at @path was called, in @buf; NULL if that is not on record. */
static const char *old_path(const char *path, char *buf, size_t size)
{
	const char *base = base_of(path);
	const char *name = base + strlen(TARN__PASSING_PREFIX) + RANDOM_DIGITS;

	if (strlen(base) <= strlen(TARN__PASSING_PREFIX) + RANDOM_DIGITS + 1 || *name++ != '.' ||
	    tarn__passing(name))
		return NULL;
	return snprintf(buf, size, "%.*s%s", (int)(base - path), path, name) < (int)size ? buf
											 : NULL;
}

struct lease_search {
	char file[64]; /* "00:1b:1234 " */
	bool found;
};

/* "1: LEASE  ACTIVE    WRITE 1234 00:1b:42 0 EOF" */
static int lock_line(char *line, void *arg)
{
	struct lease_search *search = arg;

	if (strstr(line, ": LEASE ") != NULL && strstr(line, search->file) != NULL)
		search->found = true;
	return search->found;
}

/* Does anybody hold a lease on it, as who is removing it does? To open it would disturb that. */
static bool leased_by_another(const struct stat *st)
{
	struct lease_search search = { .found = false };

	snprintf(search.file, sizeof(search.file), " %02x:%02x:%" PRIu64 " ", major(st->st_dev),
		 minor(st->st_dev), (uint64_t)st->st_ino);
	(void)tarn__each_line("/proc/locks", lock_line, &search);
	return search.found;
}

static bool not_before(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec >= b->tv_nsec);
}

/* The renaming has set its ctime. */
static bool used_since(const struct stat *st)
{
	return not_before(&st->st_atim, &st->st_ctim) || not_before(&st->st_mtim, &st->st_ctim);
}

/* It is of use to somebody: may its name be given back? Done with @remove. */
static bool put_back(const char *path, bool remove)
{
	char buf[4096];
	const char *old = old_path(path, buf, sizeof(buf));
	struct stat st;

	if (old == NULL)
		return false;
	if (remove)
		return tarn__plat_rename(path, old) == 0;
	return tarn__plat_stat(old, false, &st) == -ENOENT;
}

static int judge_passing(int fd, const char *path, bool remove, struct tarn_leftover *leftover)
{
	struct stat st;
	int leased = tarn__plat_lease(fd);
	int r = tarn__plat_fstat(fd, &st);

	if (leased == -EAGAIN)
		(void)put_back(path, remove);
	if (leased < 0 || r < 0)
		return -EBUSY;
	if (used_since(&st) && put_back(path, remove))
		return -EBUSY;
	leftover->id = -1;
	leftover->size = (uint64_t)st.st_blocks * 512;
	snprintf(leftover->proof, sizeof(leftover->proof),
		 "no process has it open, and who was removing it is dead");
	if (!remove)
		return 0;
	return tarn__plat_lease_wanted(fd) ? -EBUSY : tarn__plat_unlink(path);
}

int tarn__passing_reclaim(const char *path, bool remove, struct tarn_leftover *leftover)
{
	struct stat st, opened;
	int fd, r = tarn__plat_stat(path, false, &st);

	if (r < 0)
		return r;
	if (!S_ISREG(st.st_mode) || leased_by_another(&st))
		return -EBUSY;
	fd = tarn__plat_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
	if (fd < 0)
		return fd == -EAGAIN ? -EBUSY : fd;
	r = tarn__plat_fstat(fd, &opened);
	if (r == 0 && (opened.st_dev != st.st_dev || opened.st_ino != st.st_ino))
		r = -EBUSY;
	if (r == 0)
		r = judge_passing(fd, path, remove, leftover);
	tarn__plat_unlease(fd);
	tarn__plat_close(fd);
	return r;
}

/* --- the search ------------------------------------------------------------------------------ */

static int look_at(const char *name, void *arg)
{
	const struct search *search = arg;
	struct tarn_leftover leftover = { .id = -1 };
	bool temp = has_prefix(name, TEMP_PREFIX);
	bool passing = has_prefix(name, TARN__PASSING_PREFIX);
	bool control = has_prefix(name, TARN__CONTROL_PREFIX);
	bool remove = (search->flags & TARN_LEFTOVER_REMOVE) != 0;
	struct stat st;
	int fd, r;

	if ((!temp && !control && !passing) || strlen(name) > NAME_LIMIT)
		return 0;
	snprintf(leftover.path, sizeof(leftover.path), DIR_PATH "/%.255s", name);
	r = tarn__plat_stat(leftover.path, false, &st);
	/* What root was removing may be of any user. */
	if (r < 0 || !S_ISREG(st.st_mode) ||
	    (st.st_uid != tarn__plat_euid() && (!passing || tarn__plat_euid() != 0)))
		return 0;
	if (passing) {
		r = tarn__passing_reclaim(leftover.path, remove, &leftover);
		return r == 0 && search->fn != NULL ? search->fn(&leftover, search->arg) : 0;
	}
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
