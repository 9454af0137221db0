/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * read.c - bytes of a segment, whatever its processes do to it meanwhile.
 *
 * By a descriptor with pread(); else out of the memory of a process that maps it, through
 * /proc/PID/mem; else, System V that nobody has attached, out of an attachment of one's own, by a
 * system call. In each of them the kernel copies, so that what was truncated is a short read, and
 * never a signal. Nothing is kept: a next call finds its way anew.
 */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>

#include "host/reach.h"

struct reading {
	const struct tarn_host *host;
	const struct tarn_host_segment *segment;
	uint64_t off, size; /* what is wanted, within the segment */
	char *buf;
};

static int64_t read_fd(int fd, uint64_t off, char *buf, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		uint64_t left = size - done;
		size_t want = left < (1u << 30) ? (size_t)left : 1u << 30;
		ssize_t n = tarn__plat_pread(fd, buf + done, want, off + done);

		if (n < 0)
			return done > 0 ? (int64_t)done : n;
		if (n == 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

/* Of System V the kernel may round the size up. */
static uint64_t size_of(const struct reading *reading, const struct tarn__object *object)
{
	uint64_t size = (uint64_t)object->st.st_size;

	return reading->segment->kind == TARN_SEGMENT_SYSV && reading->segment->size < size
		       ? reading->segment->size
		       : size;
}

static int64_t read_object(const struct reading *reading, const struct tarn__object *object)
{
	uint64_t end = size_of(reading, object);

	if (reading->off >= end)
		return 0;
	return read_fd(object->fd, reading->off, reading->buf,
		       reading->size < end - reading->off ? reading->size : end - reading->off);
}

/* --- out of a process ------------------------------------------------------------------------ */

/* What @view has at the place, at most @size. -EIO: nothing lies there any more. */
static int64_t read_view(const struct reading *reading, const struct tarn__view *view, uint64_t off,
			 char *buf, uint64_t size)
{
	uint64_t within = off - view->off;
	char path[TARN__HOST_PATH + 32];
	int64_t n;
	int fd;

	if (size > view->size - within)
		size = view->size - within;
	snprintf(path, sizeof(path), "%s/proc/%d/mem", reading->host->root, view->process->pid);
	fd = tarn__plat_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd == -EPERM ? -EACCES : fd;
	n = read_fd(fd, view->address + within, buf, size);
	tarn__plat_close(fd);
	return n;
}

static bool has(const struct tarn__view *view, uint64_t off)
{
	return (view->rights & TARN_HOST_PRIVATE) == 0 && off >= view->off &&
	       off - view->off < view->size;
}

static int64_t read_views(const struct reading *reading)
{
	struct tarn__views views;
	uint64_t done = 0;
	int64_t n = tarn__views(reading->host, reading->segment, &views);
	bool denied = views.denied > 0, there = false;

	for (uint32_t i = 0; i < views.count && n >= 0 && done < reading->size;) {
		if (!has(&views.at[i], reading->off + done)) {
			i++;
			continue;
		}
		n = read_view(reading, &views.at[i], reading->off + done, reading->buf + done,
			      reading->size - done);
		there |= n >= 0 || n == -EIO;
		denied |= n == -EACCES;
		if (n > 0) {
			done += (uint64_t)n;
			i = 0; /* another may go on from there */
		} else {
			n = n == -EMFILE ? n : 0;
			i++;
		}
	}
	tarn__views_free(&views);
	if (n < 0)
		return n;
	if (done > 0 || there)
		return (int64_t)done;
	return denied ? -EACCES : -ENOENT;
}

/* --- System V that nobody has attached ------------------------------------------------------- */

/* A page that is not in memory, of a segment that is not in swap, is a hole: to read it through the
 * mapping would give it memory. */
static bool is_hole(const struct reading *reading, char *addr, uint64_t off)
{
	unsigned char there;

	return reading->segment->swap == 0 &&
	       tarn__plat_mincore(addr + off, tarn__plat_page_size(), &there) == 0 &&
	       (there & 1) == 0;
}

static int64_t read_mapped(const struct reading *reading, char *addr)
{
	uint64_t page = tarn__plat_page_size(), done = 0;

	while (done < reading->size) {
		uint64_t off = reading->off + done;
		uint64_t part = page - off % page;
		ssize_t n;

		if (part > reading->size - done)
			part = reading->size - done;
		if (is_hole(reading, addr, off / page * page)) {
			memset(reading->buf + done, 0, (size_t)part);
			n = (ssize_t)part;
		} else {
			n = tarn__plat_copy(reading->buf + done, addr + off, (size_t)part);
		}
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return (int64_t)done;
}

static int64_t read_attached(const struct reading *reading)
{
	struct tarn__object object;
	void *addr;
	int64_t n = tarn__reach_attach(reading->host, reading->segment, &addr);

	if (n < 0)
		return n;
	if (tarn__reach_attached(reading->segment, addr, &object) == 0) {
		n = read_object(reading, &object);
		tarn__plat_close(object.fd);
	} else {
		n = read_mapped(reading, addr);
	}
	(void)tarn__plat_shmdt(addr);
	return n;
}

/* --- all ------------------------------------------------------------------------------------- */

static int64_t read_any(struct reading *reading)
{
	struct tarn__object object;
	int64_t n = tarn__reach(reading->host, reading->segment, &object), tried;

	if (n == 0) {
		n = read_object(reading, &object);
		tarn__plat_close(object.fd);
		return n;
	}
	if (n == -EMFILE || n == -ENOMEM || n == -EAGAIN)
		return n;
	if (reading->off >= reading->segment->size)
		return 0;
	if (reading->size > reading->segment->size - reading->off)
		reading->size = reading->segment->size - reading->off;
	tried = read_views(reading);
	if (tried == -EACCES || tried == -ENOENT) {
		n = tarn__graver((int)n, (int)tried);
		tried = read_attached(reading);
	}
	return tried == -EOPNOTSUPP ? n : tried;
}

static int explain(const struct tarn_host_segment *segment, int r, struct tarn_diag *diag)
{
	if (r == -EACCES && tarn__is_secret(segment))
		tarn__diag(diag, r,
			   "%.200s: it is secret memory, which its processes alone can read",
			   segment->addr);
	else if (r == -EACCES) {
		tarn__diag(diag, r, "%.200s: it may not be read", segment->addr);
		tarn__diag_hint(diag, "be root, or the user who owns it");
	} else if (r == -ENOENT)
		tarn__diag(diag, r, "%.200s: it is gone", segment->addr);
	return r;
}

int64_t tarn_host_read(const struct tarn_host *host, const struct tarn_host_segment *segment,
		       uint64_t off, void *buf, uint64_t size, struct tarn_diag *diag)
{
	struct reading reading = { .host = host, .segment = segment, .off = off, .buf = buf };
	int64_t n;

	reading.size = size < SSIZE_MAX ? size : SSIZE_MAX;
	if (tarn__is_secret(segment))
		return explain(segment, -EACCES, diag);
	if (size == 0)
		return 0;
	n = read_any(&reading);
	return n < 0 ? explain(segment, (int)n, diag) : n;
}
