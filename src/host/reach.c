/* SPDX-License-Identifier: BSD-2-Clause */
/* reach.c - see reach.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/shm.h>

#include "host/reach.h"

enum { PATH_ROOM = TARN__HOST_PATH + 64 };

static int plain_error(int r)
{
	switch (r) {
	case -EPERM:
	case -EACCES:
		return -EACCES;
	case -EMFILE:
	case -ENFILE:
		return -EMFILE;
	case -ENOMEM:
	case -EAGAIN: /* a lease on it is just being taken back */
		return r;
	default:
		return -ENOENT; /* gone, or another thing has that name by now */
	}
}

static bool fatal(int r)
{
	return r == -EMFILE || r == -ENOMEM;
}

/* --- a descriptor ---------------------------------------------------------------------------- */

/* System V of huge pages lies on another device than others: there the link says what it is. */
static bool same(const struct tarn_host_segment *segment, const struct stat *st)
{
	return S_ISREG(st->st_mode) && (uint64_t)st->st_ino == segment->inode &&
	       (segment->kind == TARN_SEGMENT_SYSV || (uint64_t)st->st_dev == segment->dev);
}

/* To look is not to have read: the access time stays, where the kernel lets this user say so. */
static int open_quietly(const char *path, int flags, bool *ret_owned)
{
	int fd = tarn__plat_open(path, O_RDONLY | O_NONBLOCK | O_NOATIME | flags, 0);

	*ret_owned = fd >= 0;
	return fd == -EPERM ? tarn__plat_open(path, O_RDONLY | O_NONBLOCK | flags, 0) : fd;
}

int tarn__reach_path(const struct tarn_host_segment *segment, const char *path, bool follow,
		     struct tarn__object *ret_object)
{
	struct tarn__object object;
	int r = tarn__plat_stat(path, follow, &object.st);

	if (r < 0)
		return plain_error(r);
	if (!same(segment, &object.st))
		return -ENOENT;
	object.fd = open_quietly(path, follow ? 0 : O_NOFOLLOW, &object.owned);
	if (object.fd < 0)
		return plain_error(object.fd);
	r = tarn__plat_fstat(object.fd, &object.st);
	if (r == 0 && same(segment, &object.st)) {
		*ret_object = object;
		return 0;
	}
	tarn__plat_close(object.fd);
	return r < 0 ? plain_error(r) : -ENOENT;
}

static int by_descriptor(const struct tarn_host *host, const struct tarn_host_segment *segment,
			 struct tarn__object *ret_object)
{
	const struct tarn__seg *seg = tarn__seg_of(segment);
	char path[PATH_ROOM];
	int worst = -ENOENT;

	for (uint32_t i = seg->use_first; i < seg->use_first + seg->use_count; i++) {
		const struct tarn_host_use *use = &host->uses[i];
		int r;

		if (use->fd < 0)
			continue;
		snprintf(path, sizeof(path), "%s/proc/%d/fd/%d", host->root, use->process->pid,
			 use->fd);
		r = tarn__reach_path(segment, path, true, ret_object);
		if (r == 0 || fatal(r))
			return r;
		worst = tarn__graver(worst, r);
	}
	return worst;
}

static int by_mapping(const struct tarn_host *host, const struct tarn_host_segment *segment,
		      struct tarn__object *ret_object)
{
	struct tarn__views views;
	char path[PATH_ROOM];
	int r = tarn__views(host, segment, &views);

	if (r == 0)
		r = views.denied > 0 ? -EACCES : -ENOENT; /* until one leads there */
	for (uint32_t i = 0; i < views.count && r != 0 && !fatal(r); i++) {
		const struct tarn__view *view = &views.at[i];
		int got;

		snprintf(path, sizeof(path), "%s/proc/%d/map_files/%llx-%llx", host->root,
			 view->process->pid, (unsigned long long)view->address,
			 (unsigned long long)(view->address + view->size));
		got = tarn__reach_path(segment, path, true, ret_object);
		r = got == 0 || fatal(got) ? got : tarn__graver(r, got);
		if (got == -EACCES)
			break; /* a capability is missing: so it is for all */
	}
	tarn__views_free(&views);
	return r;
}

int tarn__reach(const struct tarn_host *host, const struct tarn_host_segment *segment,
		struct tarn__object *ret_object)
{
	const struct tarn__seg *seg = tarn__seg_of(segment);
	int worst = -ENOENT, r;

	if (tarn__is_secret(segment))
		return -EACCES;
	if (seg->path != NULL) {
		r = tarn__reach_path(segment, seg->path, false, ret_object);
		if (r == 0 || fatal(r))
			return r;
		worst = r;
	}
	r = by_descriptor(host, segment, ret_object);
	if (r == 0 || fatal(r))
		return r;
	worst = tarn__graver(worst, r);
	r = by_mapping(host, segment, ret_object);
	return r == 0 || fatal(r) ? r : tarn__graver(worst, r);
}

/* --- views ----------------------------------------------------------------------------------- */

struct viewing {
	struct tarn__views *views;
	const struct tarn_host_segment *segment;
	const struct tarn_host_process *process;
};

static bool views_room(struct tarn__views *views)
{
	uint32_t more = views->room == 0 ? 16 : views->room * 2;
	struct tarn__view *grown;

	if (views->count < views->room)
		return true;
	grown = more > views->room ? realloc(views->at, more * sizeof(*grown)) : NULL;
	if (grown == NULL)
		return false;
	views->at = grown;
	views->room = more;
	return true;
}

static int found_view(char *text, void *arg)
{
	struct viewing *viewing = arg;
	const struct tarn_host_segment *segment = viewing->segment;
	struct tarn__map_line line;

	if (!tarn__parse_map(text, &line) || line.inode != segment->inode)
		return 0;
	if (segment->kind == TARN_SEGMENT_SYSV ? strncmp(line.path, "/SYSV", 5) != 0
					       : line.dev != segment->dev)
		return 0;
	if (!views_room(viewing->views))
		return -ENOMEM;
	viewing->views->at[viewing->views->count++] = (struct tarn__view){
		.process = viewing->process,
		.address = line.start,
		.size = line.end - line.start,
		.off = line.off,
		.rights = line.rights,
	};
	return 0;
}

int tarn__views(const struct tarn_host *host, const struct tarn_host_segment *segment,
		struct tarn__views *ret_views)
{
	const struct tarn__seg *seg = tarn__seg_of(segment);
	struct viewing viewing = { .views = ret_views, .segment = segment };
	char path[PATH_ROOM];

	*ret_views = (struct tarn__views){ 0 };
	for (uint32_t i = seg->use_first; i < seg->use_first + seg->use_count; i++) {
		const struct tarn_host_use *use = &host->uses[i];
		int r;

		if (use->mapping_count == 0)
			continue;
		viewing.process = use->process;
		snprintf(path, sizeof(path), "%s/proc/%d/maps", host->root, use->process->pid);
		r = tarn__each_line(path, found_view, &viewing);
		if (r < 0 && fatal(plain_error(r)))
			return plain_error(r);
		ret_views->denied += r == -EACCES || r == -EPERM;
	}
	return 0;
}

void tarn__views_free(struct tarn__views *views)
{
	free(views->at);
	*views = (struct tarn__views){ 0 };
}

/* --- an attachment --------------------------------------------------------------------------- */

int tarn__reach_attach(const struct tarn_host *host, const struct tarn_host_segment *segment,
		       void **ret_addr)
{
	int r;

	if (segment->kind != TARN_SEGMENT_SYSV || segment->elsewhere || host->root[0] != '\0')
		return -EOPNOTSUPP;
	r = tarn__plat_shmat(segment->id, NULL, SHM_RDONLY, ret_addr);
	if (r == -EINVAL || r == -EIDRM)
		return -ENOENT;
	return r < 0 ? plain_error(r) : 0;
}

int tarn__reach_attached(const struct tarn_host_segment *segment, const void *addr,
			 struct tarn__object *ret_object)
{
	uint64_t page = segment->page_size != 0 ? segment->page_size : tarn__plat_page_size();
	uint64_t start = (uint64_t)(uintptr_t)addr;
	char path[96];

	snprintf(path, sizeof(path), "/proc/self/map_files/%llx-%llx", (unsigned long long)start,
		 (unsigned long long)(start + (segment->size + page - 1) / page * page));
	return tarn__reach_path(segment, path, true, ret_object);
}

/* --- pagemap --------------------------------------------------------------------------------- */

void tarn__pagemap_close(struct tarn__pagemap *pagemap)
{
	if (pagemap->pid != 0)
		tarn__plat_close(pagemap->fd);
	pagemap->pid = 0;
}

static int pagemap_open(const struct tarn_host *host, struct tarn__pagemap *pagemap, int32_t pid)
{
	char path[PATH_ROOM];

	if (pagemap->pid == pid)
		return 0;
	tarn__pagemap_close(pagemap);
	snprintf(path, sizeof(path), "%s/proc/%d/pagemap", host->root, pid);
	pagemap->fd = tarn__plat_open(path, O_RDONLY | O_NONBLOCK, 0);
	if (pagemap->fd < 0)
		return plain_error(pagemap->fd);
	pagemap->pid = pid;
	return 0;
}

int tarn__pagemap(const struct tarn_host *host, struct tarn__pagemap *pagemap, int32_t pid,
		  uint64_t addr, uint32_t count, uint64_t *ret_entries)
{
	uint64_t off = addr / tarn__plat_page_size() * sizeof(uint64_t);
	size_t size = count * sizeof(uint64_t), used = 0;
	int r = pagemap_open(host, pagemap, pid);

	if (r < 0)
		return r;
	while (used < size) {
		ssize_t n = tarn__plat_pread(pagemap->fd, (char *)ret_entries + used, size - used,
					     off + used);

		if (n < 0)
			return plain_error((int)n);
		if (n == 0)
			return -ENOENT; /* the process ended */
		used += (size_t)n;
	}
	return 0;
}
