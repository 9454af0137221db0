/* SPDX-License-Identifier: BSD-2-Clause */
/* find.c - the segment that an address names. See <tarn/host.h>. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "host/host.h"
#include "segment/segment.h"

static int absent(struct tarn_diag *diag, const char *addr)
{
	return tarn__diag(diag, -ENOENT, "%.200s: there is no such shared memory", addr);
}

/* Is its address to the letter what it is called, with nothing replaced? */
static bool to_the_letter(const struct tarn__seg *seg)
{
	const char *raw = seg->path != NULL ? seg->path : seg->name, *base;
	size_t size = strlen(seg->pub.addr), end;

	if (raw == NULL || seg->path == NULL)
		return true;
	base = strrchr(raw, '/') + 1;
	end = strlen(base);
	return size >= end && strcmp(seg->pub.addr + size - end, base) == 0;
}

/* An address as the picture itself writes it. Several odd names may look the same in it; the one
 * that really is called so comes first, and among others none is meant. */
static struct tarn__seg *by_addr(const struct tarn_host *host, const char *addr,
				 unsigned *ret_count)
{
	struct tarn__seg *found = NULL;

	*ret_count = 0;
	for (uint32_t i = 0; i < host->seg_count; i++) {
		if (strcmp(host->segs[i]->pub.addr, addr) != 0)
			continue;
		found = host->segs[i];
		(*ret_count)++;
		if (to_the_letter(found)) {
			*ret_count = 1;
			break;
		}
	}
	return found;
}

static bool denied(const char *path)
{
	int fd = tarn__plat_open(path, O_RDONLY, 0);

	tarn__plat_close(fd);
	return fd == -EACCES || fd == -EPERM;
}

/* --- map:PID:0xADDRESS ----------------------------------------------------------------------- */

static int by_mapping(const struct tarn_host *host, const char *addr,
		      const struct tarn_host_segment **ret_segment, struct tarn_diag *diag)
{
	const char *p = addr + strlen("map:");
	uint64_t pid, address;
	struct stat st;
	char path[64];

	if (!tarn__parse_number(&p, 10, &pid) || pid == 0 || pid > INT32_MAX || *p++ != ':' ||
	    strncmp(p, "0x", 2) != 0 || (p += 2, !tarn__parse_number(&p, 16, &address)) ||
	    *p != '\0')
		return tarn__diag(diag, -EINVAL, "'%.100s' is not map:PID:0xADDRESS", addr);
	for (uint32_t i = 0; i < host->map_count; i++) {
		const struct tarn_host_mapping *map = &host->maps[i];

		if (map->process->pid == (int32_t)pid && address >= map->address &&
		    address - map->address < map->size) {
			*ret_segment = map->segment;
			return 0;
		}
	}
	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (host->root[0] == '\0' && tarn__plat_stat(path, true, &st) < 0)
		return tarn__diag(diag, -ENOENT, "%.100s: there is no process %d", addr, (int)pid);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	if (host->root[0] == '\0' && denied(path))
		return tarn__diag(diag, -EACCES, "%.100s: process %d may not be looked into", addr,
				  (int)pid);
	return tarn__diag(diag, -ENOENT, "%.100s: process %d has no shared memory mapped there",
			  addr, (int)pid);
}

/* --- memfd:PID:FD and memfd:NAME ------------------------------------------------------------- */

static int by_descriptor(struct tarn_host *host, const struct tarn__addr *parsed, const char *addr,
			 const struct tarn_host_segment **ret_segment, struct tarn_diag *diag)
{
	struct tarn__seg *seg;
	struct stat st;
	int r = tarn__host_path(host, "/proc/%d/fd/%d", parsed->pid, parsed->id);

	if (r == 0)
		r = tarn__plat_stat(host->path, true, &st);
	if (r == -EACCES || r == -EPERM) {
		tarn__diag(diag, -EACCES, "%.100s: process %d may not be looked into", addr,
			   parsed->pid);
		tarn__diag_hint(diag, "be root, or the user that it runs as");
		return -EACCES;
	}
	seg = r == 0 ? tarn__seg_find(host, 0, (uint64_t)st.st_dev, (uint64_t)st.st_ino) : NULL;
	if (seg == NULL)
		return absent(diag, addr);
	*ret_segment = &seg->pub;
	return 0;
}

static int by_label(const struct tarn_host *host, const char *label, const char *addr,
		    const struct tarn_host_segment **ret_segment, struct tarn_diag *diag)
{
	const struct tarn_host_segment *found = NULL;
	char list[200] = "";
	size_t used = 0;
	unsigned count = 0;

	for (uint32_t i = 0; i < host->seg_count; i++) {
		const struct tarn_host_segment *pub = &host->segs[i]->pub;

		if (pub->kind != TARN_SEGMENT_MEMFD || pub->label == NULL ||
		    strcmp(pub->label, label) != 0)
			continue;
		found = pub;
		count++;
		if (used < sizeof(list))
			used += (size_t)snprintf(list + used, sizeof(list) - used, "%s%s",
						 used > 0 ? ", " : "", pub->addr);
	}
	if (count == 0)
		return absent(diag, addr);
	if (count > 1) {
		tarn__diag(diag, -ENOTUNIQ, "%.100s: %u memfds have that name", addr, count);
		tarn__diag_hint(diag, "name one of them: %s", list);
		return -ENOTUNIQ;
	}
	*ret_segment = found;
	return 0;
}

/* --- files ----------------------------------------------------------------------------------- */

/* A file that exists, whoever uses it: added to the picture if it is not there. */
static int by_file(struct tarn_host *host, const char *path, enum tarn_segment_kind kind,
		   const char *addr, const struct tarn_host_segment **ret_segment,
		   struct tarn_diag *diag)
{
	const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	struct tarn__seg *seg;
	struct stat st;
	int r = tarn__plat_stat(path, true, &st);

	if (r == -EACCES)
		return tarn__diag(diag, r, "%.200s: it may not be looked at", addr);
	if (r < 0)
		return absent(diag, addr);
	if (!S_ISREG(st.st_mode))
		return tarn__diag(diag, -EINVAL, "%.200s: it is no plain file", addr);
	seg = tarn__seg_find(host, 0, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
	if (seg == NULL) {
		seg = tarn__seg_get(host, 0, (uint64_t)st.st_dev, (uint64_t)st.st_ino);
		if (seg == NULL)
			return tarn__diag(diag, -ENOMEM, "out of memory");
		seg->pub.kind = kind;
		seg->pub.page_size = tarn__plat_page_size();
		seg->pub.index = host->seg_count - 1;
		seg->pub.state = TARN_STATE_IDLE;
		seg->use_first = host->use_count;
		seg->stray = true;
		tarn__seg_fill(host, seg, &st, path);
		seg->path = tarn__copy(path, false);
		seg->name = tarn__copy(path, false);
		if (seg->path == NULL || seg->name == NULL)
			return tarn__diag(diag, -ENOMEM, "out of memory");
		tarn__seg_inside(host, seg, base);
		if (tarn__seg_dress(host, seg) < 0)
			return tarn__diag(diag, -ENOMEM, "out of memory");
	} else if (seg->pub.kind == TARN_SEGMENT_FILE && seg->path != NULL) {
		tarn__seg_inside(host, seg, base);
	}
	*ret_segment = &seg->pub;
	return 0;
}

/* --- System V -------------------------------------------------------------------------------- */

static int by_key_or_id(const struct tarn_host *host, const struct tarn__addr *parsed,
			const char *addr, const struct tarn_host_segment **ret_segment,
			struct tarn_diag *diag)
{
	for (uint32_t i = 0; i < host->seg_count; i++) {
		const struct tarn_host_segment *pub = &host->segs[i]->pub;

		if (pub->kind == TARN_SEGMENT_SYSV && !pub->elsewhere &&
		    (parsed->id >= 0 ? pub->id == parsed->id
				     : parsed->key != 0 && pub->key == parsed->key)) {
			*ret_segment = pub;
			return 0;
		}
	}
	return absent(diag, addr);
}

int tarn_host_find(struct tarn_host *host, const char *addr,
		   const struct tarn_host_segment **ret_segment, struct tarn_diag *diag)
{
	struct tarn__addr parsed;
	unsigned count;
	struct tarn__seg *seg = by_addr(host, addr, &count);
	int r;

	if (count > 1) {
		tarn__diag(diag, -ENOTUNIQ, "%.100s: %u odd names look like that", addr, count);
		tarn__diag_hint(diag, "ls -bi tells them apart; rm -i removes one");
		return -ENOTUNIQ;
	}
	if (seg != NULL) {
		*ret_segment = &seg->pub;
		return 0;
	}
	if (strncmp(addr, "map:", 4) == 0)
		return by_mapping(host, addr, ret_segment, diag);
	if (addr[0] == '/')
		return by_file(host, addr, TARN_SEGMENT_FILE, addr, ret_segment, diag);
	r = tarn__addr_parse_there(addr, &parsed, diag);
	if (r < 0)
		return r;
	switch (parsed.kind) {
	case TARN_SEGMENT_SYSV:
		return by_key_or_id(host, &parsed, addr, ret_segment, diag);
	case TARN_SEGMENT_MEMFD:
		if (parsed.pid != 0)
			return by_descriptor(host, &parsed, addr, ret_segment, diag);
		return by_label(host, parsed.path, addr, ret_segment, diag);
	case TARN_SEGMENT_POSIX:
	case TARN_SEGMENT_FILE:
	case TARN_SEGMENT_HUGE:
		return by_file(host, parsed.path, parsed.kind, addr, ret_segment, diag);
	case TARN_SEGMENT_ANON:
		break;
	}
	return tarn__diag(diag, -EINVAL, "%.200s: it names no memory that exists", addr);
}
