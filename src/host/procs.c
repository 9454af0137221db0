/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * procs.c - what processes have mapped and open.
 *
 * For each process two things are read: /proc/PID/maps, and the links in /proc/PID/fd. A link is
 * followed only if its text looks like shared memory, since most do not. A process that uses none
 * costs no more than that.
 *
 * What a path says is checked by the device where that can be: anybody may name a file
 * "/memfd:x (deleted)". Kernel threads and zombies have no memory (ESRCH); a process that ended
 * meanwhile is passed over; one that may not be looked into is counted as unreadable, once.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "host/host.h"

#define DELETED " (deleted)"

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

static bool has_suffix(const char *text, const char *suffix)
{
	size_t size = strlen(text), end = strlen(suffix);

	return size >= end && strcmp(text + size - end, suffix) == 0;
}

/* One process while it is read. */
struct reading {
	struct tarn_host *host;
	int32_t pid;
	int32_t task;            /* the thread whose files are read: pid, if that has not ended */
	uint32_t lines;          /* of maps */
	struct tarn__proc *proc; /* NULL until it is found to use something */
};

/* --- what is it? ----------------------------------------------------------------------------- */

/* The kind of the thing at @path on @dev; 0 = no shared memory. */
static enum tarn_segment_kind kind_of(const struct tarn_host *host, uint64_t dev, const char *path,
				      uint32_t rights)
{
	const struct tarn__fs *fs = tarn__fs_of(host, dev);
	bool anon = host->anon_dev != 0 ? dev == host->anon_dev : dev == 1;
	bool internal = anon || (fs != NULL && fs->internal);

	if (internal && has_prefix(path, "/SYSV"))
		return TARN_SEGMENT_SYSV;
	if (internal && has_prefix(path, "/memfd:"))
		return TARN_SEGMENT_MEMFD;
	if (has_prefix(path, "/secretmem"))
		return TARN_SEGMENT_MEMFD;
	if (internal) /* /dev/zero, /anon_hugepage, and what drivers take from the same place */
		return (rights & TARN_HOST_PRIVATE) != 0 ? 0 : TARN_SEGMENT_ANON;
	if (fs != NULL)
		return TARN_SEGMENT_HUGE;
	if (dev == host->shm_dev || has_prefix(path, "/dev/shm/"))
		return TARN_SEGMENT_POSIX;
	if ((host->flags & TARN_HOST_FILES) == 0 || (rights & TARN_HOST_PRIVATE) != 0 ||
	    path[0] != '/' || has_prefix(path, "/dev/") || has_prefix(path, "/[aio]") ||
	    has_prefix(path, "/dmabuf:"))
		return 0;
	return TARN_SEGMENT_FILE;
}

/* A mapping of a device is none of a file. */
static bool plain_file(struct tarn_host *host, const char *path, uint64_t inode)
{
	struct stat st;

	if (has_suffix(path, DELETED))
		return true;
	return tarn__host_path(host, "%s", path) == 0 &&
	       tarn__plat_stat(host->path, true, &st) == 0 && S_ISREG(st.st_mode) &&
	       (uint64_t)st.st_ino == inode;
}

/* The last part of a path, or what stands behind "/memfd:", without " (deleted)". */
static char *label_of(enum tarn_segment_kind kind, const char *path)
{
	size_t size = strlen(path);
	char *label;

	if (kind == TARN_SEGMENT_MEMFD && has_prefix(path, "/memfd:"))
		path += strlen("/memfd:");
	if (has_suffix(path, DELETED))
		size = strlen(path) - strlen(DELETED);
	else
		size = strlen(path);
	label = malloc(size + 1);
	if (label != NULL) {
		memcpy(label, path, size);
		label[size] = '\0';
	}
	return label;
}

/* A segment that has no name here, or one that got it since the names were read. */
static int seg_nameless(struct tarn_host *host, struct tarn__seg *seg, enum tarn_segment_kind kind,
			const char *path)
{
	const struct tarn__fs *fs = tarn__fs_of(host, seg->pub.dev);
	bool internal = kind == TARN_SEGMENT_MEMFD || kind == TARN_SEGMENT_ANON;
	struct stat st;

	seg->pub.kind = kind;
	seg->pub.page_size =
		fs != NULL && fs->page_size != 0 ? fs->page_size : tarn__plat_page_size();
	seg->name = label_of(kind, path);
	if (seg->name == NULL)
		return -ENOMEM;
	/* The path of a System V segment says "(deleted)" always; that it is marked for removal
	 * stands in /proc/sysvipc/shm of its namespace alone. */
	if (internal || kind == TARN_SEGMENT_SYSV)
		return 0;
	if (tarn__host_path(host, "%s", path) < 0 || tarn__plat_stat(host->path, false, &st) < 0 ||
	    (uint64_t)st.st_ino != seg->pub.inode || !S_ISREG(st.st_mode)) {
		seg->pub.elsewhere = !has_suffix(path, DELETED);
		seg->pub.removed = !seg->pub.elsewhere;
		return 0;
	}
	seg->pub.removed = false;
	seg->stray = true; /* its address is its path */
	seg->path = tarn__copy(host->path, false);
	tarn__seg_fill(host, seg, &st, host->path);
	return seg->path != NULL ? 0 : -ENOMEM;
}

static int proc_needed(struct reading *reading);

/* The segment of that identity, for the process being read; *ret_seg NULL = none of interest. */
static int seg_used(struct reading *reading, uint64_t dev, uint64_t inode, const char *path,
		    uint32_t rights, struct tarn__seg **ret_seg)
{
	struct tarn_host *host = reading->host;
	enum tarn_segment_kind kind = kind_of(host, dev, path, rights);
	struct tarn__seg *seg =
		kind != TARN_SEGMENT_SYSV ? tarn__seg_find(host, 0, dev, inode) : NULL;
	uint64_t domain = 0;
	int r;

	*ret_seg = NULL;
	if (kind == 0 && seg == NULL)
		return 0;
	if (seg == NULL && kind == TARN_SEGMENT_FILE && !plain_file(host, path, inode))
		return 0;
	r = proc_needed(reading);
	if (r < 0)
		return r;
	if (kind == TARN_SEGMENT_SYSV) {
		const struct tarn__fs *fs = tarn__fs_of(host, dev);

		domain = reading->proc->ipc != 0 ? reading->proc->ipc : host->ipc;
		seg = tarn__seg_get(host, domain, host->anon_dev, inode);
		if (seg != NULL && fs != NULL)
			seg->pub.page_size = fs->page_size;
	}
	if (seg == NULL)
		seg = tarn__seg_get(host, domain, dev, inode);
	if (seg == NULL)
		return -ENOMEM;
	r = seg->pub.kind == 0 ? seg_nameless(host, seg, kind, path) : 0;
	if (domain != 0 && domain != host->ipc) {
		seg->pub.elsewhere = true;
		seg->pub.id = (int32_t)inode;
	}
	*ret_seg = seg;
	return r;
}

/* --- the process ----------------------------------------------------------------------------- */

static uint64_t ns_of(struct tarn_host *host, int32_t pid, const char *name)
{
	struct stat st;

	if (tarn__host_path(host, "/proc/%d/ns/%s", pid, name) < 0 ||
	    tarn__plat_stat(host->path, true, &st) < 0)
		return 0;
	return (uint64_t)st.st_ino;
}

/* "Uid: real effective saved fs"; the folder's owner would be root for some. */
static int uid_line(char *line, void *arg)
{
	const char *p = line + strlen("Uid:");
	uint64_t uid;

	if (!has_prefix(line, "Uid:"))
		return 0;
	for (int i = 0; i < 2; i++) {
		p += strspn(p, " \t");
		if (!tarn__parse_number(&p, 10, &uid))
			return 0;
	}
	*(uint32_t *)arg = (uint32_t)uid;
	return 1;
}

static void proc_facts(struct tarn_host *host, struct tarn__proc *proc)
{
	struct tarn__stat_line line;
	char text[1024];
	struct stat st;

	if (tarn__host_path(host, "/proc/%d/stat", proc->pub.pid) == 0 &&
	    tarn__plat_read_text(host->path, text, sizeof(text)) > 0 &&
	    tarn__parse_stat(text, &line)) {
		memcpy(proc->pub.command, line.comm, sizeof(proc->pub.command));
		proc->pub.started_ns =
			host->boot_ns +
			(int64_t)(line.start *
				  (UINT64_C(1000000000) / (uint64_t)tarn__plat_ticks_per_second()));
	}
	if (tarn__host_path(host, "/proc/%d/status", proc->pub.pid) == 0)
		(void)tarn__each_line(host->path, uid_line, &proc->pub.uid);
	if (tarn__host_path(host, "/proc/%d", proc->pub.pid) == 0 && proc->pub.uid == UINT32_MAX &&
	    tarn__plat_stat(host->path, true, &st) == 0)
		proc->pub.uid = st.st_uid;
}

static int proc_needed(struct reading *reading)
{
	if (reading->proc != NULL)
		return 0;
	reading->proc = tarn__proc_new(reading->host, reading->pid);
	if (reading->proc == NULL)
		return -ENOMEM;
	proc_facts(reading->host, reading->proc);
	reading->proc->ipc = ns_of(reading->host, reading->task, "ipc");
	return 0;
}

static int found_map(char *text, void *arg)
{
	struct reading *reading = arg;
	struct tarn__map_line line;
	struct tarn_host_mapping *map;
	struct tarn_host_use *use;
	struct tarn__seg *seg;
	int r;

	reading->lines++;
	if (!tarn__parse_map(text, &line) || line.path[0] != '/')
		return 0;
	r = seg_used(reading, line.dev, line.inode, line.path, line.rights, &seg);
	if (r < 0 || seg == NULL)
		return r;
	use = tarn__use_get(reading->host, seg, reading->proc);
	map = use != NULL ? tarn__mapping_new(reading->host) : NULL;
	if (map == NULL)
		return -ENOMEM;
	use->mapping_count++;
	use->rights |= line.rights;
	map->segment = &seg->pub;
	map->process = &reading->proc->pub;
	map->address = line.start;
	map->size = line.end - line.start;
	map->off = line.off;
	map->rights = line.rights;
	if (map->off + map->size > seg->reach)
		seg->reach = map->off + map->size;
	if (seg->map_pid == 0) {
		seg->map_pid = reading->task;
		seg->map_start = line.start;
		seg->map_end = line.end;
	}
	return 0;
}

/* Does the text of a link look like shared memory? */
static bool promising(const struct tarn_host *host, const char *text)
{
	if (has_prefix(text, "/memfd:") || has_prefix(text, "/dev/shm/") ||
	    has_prefix(text, "/SYSV") || has_prefix(text, "/secretmem") ||
	    has_prefix(text, "/dev/zero" DELETED))
		return true;
	for (uint32_t i = 0; i < host->fs_count; i++)
		if (host->fs[i].dir != NULL && has_prefix(text, host->fs[i].dir))
			return true;
	return false;
}

static int found_fd(const char *name, void *arg)
{
	struct reading *reading = arg;
	struct tarn_host *host = reading->host;
	char text[TARN__HOST_PATH];
	struct tarn_host_use *use;
	struct tarn__seg *seg;
	struct stat st;
	uint64_t fd;
	int r;

	if (!tarn__parse_number(&name, 10, &fd) || fd > INT32_MAX ||
	    tarn__host_path(host, "/proc/%d/fd/%d", reading->task, (int)fd) < 0)
		return 0;
	if (tarn__plat_readlink(host->path, text, sizeof(text)) < 0 || !promising(host, text) ||
	    tarn__plat_stat(host->path, true, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	r = seg_used(reading, (uint64_t)st.st_dev, (uint64_t)st.st_ino, text, 0, &seg);
	if (r < 0 || seg == NULL)
		return r;
	(void)tarn__host_path(host, "/proc/%d/fd/%d", reading->task, (int)fd);
	tarn__seg_fill(host, seg, &st, host->path);
	use = tarn__use_get(host, seg, reading->proc);
	if (use == NULL)
		return -ENOMEM;
	use->fd_count++;
	if (use->fd < 0 || use->fd > (int32_t)fd)
		use->fd = (int32_t)fd;
	if (seg->open_pid == 0 || (seg->open_pid == reading->task && seg->open_fd > (int32_t)fd)) {
		seg->open_pid = reading->task;
		seg->open_fd = (int32_t)fd;
	}
	return 0;
}

/* A thread of the kernel's has no memory, a zombie no more; who may not look into one misses
 * nothing. */
static bool without_memory(struct tarn_host *host, int32_t pid, bool *ret_threads_left)
{
	struct tarn__stat_line line;
	char text[1024];

	*ret_threads_left = false;
	if (tarn__host_path(host, "/proc/%d/stat", pid) < 0 ||
	    tarn__plat_read_text(host->path, text, sizeof(text)) <= 0 ||
	    !tarn__parse_stat(text, &line))
		return false;
	*ret_threads_left = line.state == 'Z' && line.threads > 1;
	return (line.flags & TARN__PF_KTHREAD) != 0 || tarn__stat_ended(&line);
}

/* What @reading->task has mapped and open. */
static int read_task(struct reading *reading)
{
	struct tarn_host *host = reading->host;
	char path[TARN__HOST_PATH]; /* host->path is used while this is read */
	int maps, fds;

	if (snprintf(path, sizeof(path), "%s/proc/%d/maps", host->root, reading->task) >=
	    (int)sizeof(path))
		return -ENAMETOOLONG;
	maps = tarn__each_line(path, found_map, reading);
	if (maps == -ENOMEM || maps == -EMFILE)
		return maps;
	snprintf(path, sizeof(path), "%s/proc/%d/fd", host->root, reading->task);
	fds = maps == -ESRCH ? 0 : tarn__plat_listdir(path, found_fd, reading);
	if (fds == -ENOMEM || fds == -EMFILE)
		return fds;
	return maps == -EACCES || maps == -EPERM ? maps : fds;
}

/* The first that has memory is as good as any: they share it. */
static int found_task(const char *name, void *arg)
{
	struct reading *reading = arg;
	uint64_t task;
	int r;

	if (!tarn__parse_number(&name, 10, &task) || *name != '\0' || task > INT32_MAX ||
	    (int32_t)task == reading->pid)
		return 0;
	reading->task = (int32_t)task;
	r = read_task(reading);
	return r < 0 ? r : reading->lines > 0;
}

/* The first thread has ended, others have not: /proc/PID shows nothing, theirs do. */
static int read_other_task(struct reading *reading)
{
	char path[TARN__HOST_PATH];

	snprintf(path, sizeof(path), "%s/proc/%d/task", reading->host->root, reading->pid);
	return tarn__plat_listdir(path, found_task, reading);
}

static int read_proc(struct tarn_host *host, int32_t pid)
{
	struct reading reading = { .host = host, .pid = pid, .task = pid };
	bool threads_left;
	int r;

	host->stat.seen_count++;
	r = read_task(&reading);
	if (r == -ENOMEM || r == -EMFILE || r == -ENAMETOOLONG)
		return r;
	if (reading.lines == 0 && !without_memory(host, pid, &threads_left)) {
		if (threads_left)
			r = read_other_task(&reading);
		if (r == -ENOMEM || r == -EMFILE)
			return r;
		tarn__unreadable(host, r);
	} else if (reading.lines > 0) {
		tarn__unreadable(host, r);
	}
	return 0;
}

static int found_proc(const char *name, void *arg)
{
	struct tarn_host *host = arg;
	uint64_t pid;

	if (!tarn__parse_number(&name, 10, &pid) || *name != '\0' || pid > INT32_MAX)
		return 0;
	return read_proc(host, (int32_t)pid);
}

/* --- what the kernel did not give a link for ------------------------------------------------- */

/* The file behind a mapping, by its link, which needs rights; the path is left in host->path. */
static bool stat_mapped(struct tarn_host *host, const struct tarn__seg *seg, struct stat *ret_st)
{
	return seg->map_pid != 0 &&
	       tarn__host_path(host, "/proc/%d/map_files/%llx-%llx", seg->map_pid,
			       (unsigned long long)seg->map_start,
			       (unsigned long long)seg->map_end) == 0 &&
	       tarn__plat_stat(host->path, true, ret_st) == 0 &&
	       (uint64_t)ret_st->st_ino == seg->pub.inode;
}

/* Since Linux 6.7 /proc/sysvipc/shm multiplies a System V segment of huge pages by the size of
 * these twice; the file behind it knows better. */
static void correct_huge(struct tarn_host *host, struct tarn__seg *seg)
{
	struct tarn_host_segment *pub = &seg->pub;
	struct stat st;

	if (!seg->listed || pub->page_size == tarn__plat_page_size() || pub->touched == 0 ||
	    (pub->page_size == 0 && pub->touched - 1 <= (pub->size | (tarn__plat_page_size() - 1))))
		return;
	pub->touched = TARN_HOST_UNKNOWN;
	if (stat_mapped(host, seg, &st))
		pub->touched = (uint64_t)st.st_blocks * 512;
}

/* Facts of what is only mapped: by the link of the mapping, else as far as its mappings reach. */
static void fill_mapped(struct tarn_host *host, struct tarn__seg *seg)
{
	struct stat st;

	if (seg->fact || seg->map_pid == 0)
		return;
	if (stat_mapped(host, seg, &st)) {
		tarn__seg_fill(host, seg, &st, host->path);
		return;
	}
	if (seg->reach > seg->pub.size)
		seg->pub.size = seg->reach;
}

static void fill_seals(struct tarn_host *host, struct tarn__seg *seg)
{
	unsigned seals;
	int fd;

	if (seg->pub.kind != TARN_SEGMENT_MEMFD || seg->open_pid == 0 ||
	    tarn__host_path(host, "/proc/%d/fd/%d", seg->open_pid, seg->open_fd) < 0)
		return;
	fd = tarn__plat_open(host->path, O_RDONLY | O_NONBLOCK, 0);
	if (fd < 0)
		return;
	if (tarn__plat_seals_get(fd, &seals) == 0)
		seg->pub.seals = seals;
	tarn__plat_close(fd);
}

int tarn__host_procs(struct tarn_host *host)
{
	char path[TARN__HOST_PATH];
	int r;

	if (host->only_pid != 0) {
		r = read_proc(host, host->only_pid);
	} else {
		snprintf(path, sizeof(path), "%s/proc", host->root);
		r = tarn__plat_listdir(path, found_proc, host);
	}
	if (r < 0)
		return r;
	for (uint32_t i = 0; i < host->seg_count; i++) {
		fill_mapped(host, host->segs[i]);
		correct_huge(host, host->segs[i]);
		fill_seals(host, host->segs[i]);
	}
	return 0;
}
