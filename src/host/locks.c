/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * locks.c - the locks on the file behind a segment, by /proc/locks:
 *
 *     1: POSIX  ADVISORY  WRITE 4242 00:1a:17 0 EOF
 *     1: -> POSIX  ADVISORY  READ 4243 00:1a:17 0 99       waits for the one above
 *     2: OFDLCK ADVISORY  READ -1 00:1a:17 0 0
 *     3: LEASE  ACTIVE    WRITE 4242 00:1a:17 0 EOF
 */
#include <stdio.h>
#include <sys/sysmacros.h>

#include "host/reach.h"

struct matching {
	const struct tarn_host_segment *segment;
	int (*fn)(const struct tarn_host_lock *lock, void *arg);
	void *arg;
};

/* The next word of @text into @buf; false where there is none, or none that fits. */
static bool word(const char **text, char *buf, size_t size)
{
	const char *p = *text;
	size_t used = 0;

	while (*p == ' ')
		p++;
	while (*p != '\0' && *p != ' ') {
		if (used + 1 >= size)
			return false;
		buf[used++] = *p++;
	}
	buf[used] = '\0';
	*text = p;
	return used > 0;
}

/* "00:1a:17" */
static bool identity(const char *text, uint64_t *ret_dev, uint64_t *ret_inode)
{
	uint64_t major, minor;

	if (!tarn__parse_number(&text, 16, &major) || *text++ != ':' ||
	    !tarn__parse_number(&text, 16, &minor) || *text++ != ':')
		return false;
	*ret_dev = (uint64_t)makedev((unsigned)major, (unsigned)minor);
	return tarn__parse_number(&text, 10, ret_inode);
}

static bool range(const char *start, const char *end, struct tarn_host_lock *lock)
{
	lock->end = UINT64_MAX;
	return tarn__parse_number(&start, 10, &lock->start) &&
	       (strcmp(end, "EOF") == 0 || tarn__parse_number(&end, 10, &lock->end));
}

static int found_lock(char *line, void *arg)
{
	const struct matching *matching = arg;
	struct tarn_host_lock lock = { 0 };
	char number[24], kind[16], pid[16], id[64], start[24], end[24];
	const char *p = line;
	uint64_t dev, inode, owner;

	if (!word(&p, number, sizeof(number)))
		return 0;
	while (*p == ' ')
		p++;
	lock.waiting = p[0] == '-' && p[1] == '>';
	p += lock.waiting ? 2 : 0;
	if (!word(&p, lock.type, sizeof(lock.type)) || !word(&p, kind, sizeof(kind)) ||
	    !word(&p, lock.access, sizeof(lock.access)) || !word(&p, pid, sizeof(pid)) ||
	    !word(&p, id, sizeof(id)) || !word(&p, start, sizeof(start)) ||
	    !word(&p, end, sizeof(end)) || !identity(id, &dev, &inode) || !range(start, end, &lock))
		return 0;
	if (dev != matching->segment->dev || inode != matching->segment->inode)
		return 0;
	p = pid;
	if (tarn__parse_number(&p, 10, &owner) && owner <= INT32_MAX)
		lock.pid = (int32_t)owner;
	return matching->fn(&lock, matching->arg);
}

int tarn_host_locks(const struct tarn_host *host, const struct tarn_host_segment *segment,
		    int (*fn)(const struct tarn_host_lock *lock, void *arg), void *arg)
{
	struct matching matching = { .segment = segment, .fn = fn, .arg = arg };
	char path[TARN__HOST_PATH + 16];
	int r;

	if (segment->kind == TARN_SEGMENT_SYSV)
		return 0; /* there is no file to lock, and its inode is another count */
	snprintf(path, sizeof(path), "%s/proc/locks", host->root);
	r = tarn__each_line(path, found_lock, &matching);
	return r == -EPERM ? -EACCES : r;
}
