/* SPDX-License-Identifier: BSD-2-Clause */
/* host.c - the tables of a picture: filled, gone through, freed. See host.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

enum { CHAINS_MIN = 256 };

/* Room for one more of @size bytes in the array at @at. */
static bool make_room(void **at, uint32_t count, uint32_t *room, size_t size)
{
	if (count < *room)
		return true;

	uint32_t more = *room == 0 ? 64 : *room * 2;
	void *grown = more > *room ? realloc(*at, (size_t)more * size) : NULL;

	if (grown == NULL)
		return false;
	*at = grown;
	*room = more;
	return true;
}

char *tarn__copy(const char *text, bool plain)
{
	char *copy = strdup(text);

	if (copy != NULL && plain)
		tarn__plain(copy);
	return copy;
}

int tarn__host_path(struct tarn_host *host, const char *format, ...)
{
	int root = snprintf(host->path, sizeof(host->path), "%s", host->root);
	va_list ap;

	if (root < 0 || (size_t)root >= sizeof(host->path))
		return -ENAMETOOLONG;
	va_start(ap, format);
	int n = vsnprintf(host->path + root, sizeof(host->path) - (size_t)root, format, ap);
	va_end(ap);
	return n < 0 || (size_t)n >= sizeof(host->path) - (size_t)root ? -ENAMETOOLONG : 0;
}

void tarn__unreadable(struct tarn_host *host, int error)
{
	if (error == -EACCES || error == -EPERM)
		host->stat.unreadable_count++;
}

/* --- segments -------------------------------------------------------------------------------- */

static uint32_t chain_of(const struct tarn_host *host, uint64_t domain, uint64_t dev,
			 uint64_t inode)
{
	uint64_t words[3] = { domain, dev, inode };

	return tarn__fnv32(words, sizeof(words), TARN__FNV32_BASIS) & (host->chain_count - 1);
}

struct tarn__seg *tarn__seg_find(const struct tarn_host *host, uint64_t domain, uint64_t dev,
				 uint64_t inode)
{
	struct tarn__seg *seg;

	if (host->chain_count == 0)
		return NULL;
	seg = host->chains[chain_of(host, domain, dev, inode)];
	while (seg != NULL &&
	       (seg->domain != domain || seg->pub.dev != dev || seg->pub.inode != inode))
		seg = seg->next;
	return seg;
}

void tarn__seg_chain(struct tarn_host *host, struct tarn__seg *seg)
{
	uint32_t at = chain_of(host, seg->domain, seg->pub.dev, seg->pub.inode);

	seg->next = host->chains[at];
	host->chains[at] = seg;
}

/* Twice as many chains, so that they stay short. */
static bool rehash(struct tarn_host *host)
{
	uint32_t count = host->chain_count == 0 ? CHAINS_MIN : host->chain_count * 2;
	struct tarn__seg **chains = calloc(count, sizeof(struct tarn__seg *));

	if (chains == NULL)
		return false;
	free(host->chains);
	host->chains = chains;
	host->chain_count = count;
	for (uint32_t i = 0; i < host->seg_count; i++)
		tarn__seg_chain(host, host->segs[i]);
	return true;
}

static void seg_init(struct tarn__seg *seg)
{
	struct tarn_host_segment *pub = &seg->pub;

	pub->touched = pub->swap = TARN_HOST_UNKNOWN;
	pub->pss = pub->dirty = pub->locked = TARN_HOST_UNKNOWN;
	pub->uid = pub->gid = pub->cuid = pub->cgid = UINT32_MAX;
	pub->mode = pub->seals = UINT32_MAX;
	pub->id = -1;
	seg->open_fd = -1;
	seg->member_count = -1;
}

struct tarn__seg *tarn__seg_get(struct tarn_host *host, uint64_t domain, uint64_t dev,
				uint64_t inode)
{
	struct tarn__seg *seg = tarn__seg_find(host, domain, dev, inode);

	if (seg != NULL)
		return seg;
	if (host->seg_count >= host->chain_count && !rehash(host))
		return NULL;
	if (!make_room((void **)&host->segs, host->seg_count, &host->seg_room, sizeof(*host->segs)))
		return NULL;
	seg = calloc(1, sizeof(*seg));
	if (seg == NULL)
		return NULL;
	seg_init(seg);
	seg->domain = domain;
	seg->pub.dev = dev;
	seg->pub.inode = inode;

	tarn__seg_chain(host, seg);
	host->segs[host->seg_count++] = seg;
	return seg;
}

int64_t tarn__latest_time(const struct stat *st)
{
	const struct timespec times[] = { st->st_atim, st->st_mtim, st->st_ctim };
	int64_t latest = 0;

	for (int i = 0; i < 3; i++) {
		int64_t ns = (int64_t)times[i].tv_sec * 1000000000 + times[i].tv_nsec;

		latest = ns > latest ? ns : latest;
	}
	return latest;
}

void tarn__seg_fill(struct tarn_host *host, struct tarn__seg *seg, const struct stat *st,
		    const char *path)
{
	struct tarn_host_segment *pub = &seg->pub;
	int64_t birth;

	if (seg->fact)
		return;
	seg->fact = true;
	pub->size = (uint64_t)st->st_size;
	pub->touched = (uint64_t)st->st_blocks * 512;
	pub->uid = pub->cuid = st->st_uid;
	pub->gid = pub->cgid = st->st_gid;
	pub->mode = st->st_mode & 07777;
	pub->used_ns = tarn__latest_time(st);
	pub->created_ns = (int64_t)st->st_ctim.tv_sec * 1000000000 + st->st_ctim.tv_nsec;
	if (tarn__plat_birth(path, &birth) == 0)
		pub->created_ns = birth;
	if (host->no_swap && pub->kind != TARN_SEGMENT_FILE)
		pub->swap = 0;
}

int tarn__seg_open(const struct tarn__seg *seg, int flags)
{
	struct stat st;
	int path_fd, fd;

	if (!seg->stray)
		return tarn__plat_open(seg->path, flags | O_NOFOLLOW | O_NONBLOCK, 0);
	/* A folder on the way may be anybody's, and lead elsewhere by now: to a device, say, which
	 * opening does things to. */
	path_fd = tarn__plat_open(seg->path, O_PATH | O_NOFOLLOW, 0);
	if (path_fd < 0)
		return path_fd;
	if (tarn__plat_fstat(path_fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (uint64_t)st.st_dev == seg->pub.dev && (uint64_t)st.st_ino == seg->pub.inode)
		fd = tarn__plat_reopen(path_fd, flags | O_NONBLOCK);
	else
		fd = -ENOENT;
	tarn__plat_close(path_fd);
	return fd;
}

const struct tarn__fs *tarn__fs_of(const struct tarn_host *host, uint64_t dev)
{
	for (uint32_t i = 0; i < host->fs_count; i++)
		if (host->fs[i].dev == dev)
			return &host->fs[i];
	return NULL;
}

/* --- processes, mappings, uses --------------------------------------------------------------- */

struct tarn__proc *tarn__proc_new(struct tarn_host *host, int32_t pid)
{
	struct tarn__proc *proc;

	if (!make_room((void **)&host->procs, host->proc_count, &host->proc_room,
		       sizeof(*host->procs)))
		return NULL;
	proc = calloc(1, sizeof(*proc));
	if (proc == NULL)
		return NULL;
	proc->pub.pid = pid;
	proc->pub.uid = UINT32_MAX;
	host->procs[host->proc_count++] = proc;
	return proc;
}

struct tarn_host_mapping *tarn__mapping_new(struct tarn_host *host)
{
	struct tarn_host_mapping *map;

	if (!make_room((void **)&host->maps, host->map_count, &host->map_room, sizeof(*host->maps)))
		return NULL;
	map = &host->maps[host->map_count++];
	*map = (struct tarn_host_mapping){
		.rss = TARN_HOST_UNKNOWN,
		.pss = TARN_HOST_UNKNOWN,
		.dirty = TARN_HOST_UNKNOWN,
		.locked = TARN_HOST_UNKNOWN,
		.swap = TARN_HOST_UNKNOWN,
	};
	return map;
}

struct tarn_host_use *tarn__use_get(struct tarn_host *host, struct tarn__seg *seg,
				    struct tarn__proc *proc)
{
	struct tarn_host_use *use;

	/* Processes are read one after the other: the last use of the segment is by this one, or
	 * this one has none yet. */
	if (seg->use_count > 0 && host->uses[seg->use_last].process == &proc->pub)
		return &host->uses[seg->use_last];
	if (!make_room((void **)&host->uses, host->use_count, &host->use_room, sizeof(*host->uses)))
		return NULL;
	seg->use_last = host->use_count;
	use = &host->uses[host->use_count++];
	*use = (struct tarn_host_use){ .segment = &seg->pub, .process = &proc->pub, .fd = -1 };
	seg->use_count++;
	seg->pub.process_count++;
	proc->pub.segment_count++;
	return use;
}

/* --- public ---------------------------------------------------------------------------------- */

void tarn_host_free(struct tarn_host *host)
{
	if (host == NULL)
		return;
	for (uint32_t i = 0; i < host->seg_count; i++) {
		struct tarn__seg *seg = host->segs[i];

		free(seg->path);
		free(seg->name);
		free((char *)(uintptr_t)seg->pub.addr);
		free((char *)(uintptr_t)seg->pub.label);
		free((char *)(uintptr_t)seg->pub.proof);
		free((uint64_t *)(uintptr_t)seg->pub.node_bytes);
		free(seg);
	}
	for (uint32_t i = 0; i < host->proc_count; i++)
		free(host->procs[i]);
	for (uint32_t i = 0; i < host->fs_count; i++)
		free(host->fs[i].dir);
	free(host->segs);
	free(host->chains);
	free(host->procs);
	free(host->maps);
	free(host->uses);
	free(host->by_use);
	free(host->by_use_first);
	free(host->by_proc);
	free(host->root);
	free(host);
}

void tarn_host_stat(const struct tarn_host *host, struct tarn_host_stat *ret_stat)
{
	*ret_stat = host->stat;
	ret_stat->segment_count = host->seg_count;
	ret_stat->process_count = host->proc_count;
	ret_stat->complete =
		host->stat.unreadable_count == 0 && (!host->stat.hidden || host->only_pid != 0);
}
