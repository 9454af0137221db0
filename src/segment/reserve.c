/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reserve.c - is there room? Asked before memory is taken.
 *
 * fallocate() on tmpfs says -ENOSPC when the file system is full, but when a memory cgroup or the
 * host is full it ends in an OOM kill, not in an error. So what is wanted is compared first with
 * each limit on the way:
 *
 *     RLIMIT_FSIZE          else SIGXFSZ
 *     the file system       free blocks
 *     the host              MemAvailable + SwapFree
 *     each memory cgroup    from this process's own up to the root: limit - usage + what of the
 *                           usage is page cache that can go (inactive_file), and for version 2
 *                           what may be swapped
 *
 * This is a look, not a promise: others may take the memory in between. What fallocate() then
 * refuses is reported as it says it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

/* What the kernel charges beside the pages themselves: page tables and the file's index, each
 * 8 bytes a page and their own inner nodes; rounded up generously. */
static uint64_t with_overhead(uint64_t bytes)
{
	return bytes + bytes / 128 + (256u << 10);
}

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t plus(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* --- memory cgroups -------------------------------------------------------------------------- */

/* Names of the files, by version of the interface. */
static const struct cgroup_files {
	const char *limit;
	const char *usage;
	const char *cache; /* key in memory.stat */
	const char *swap_limit;
	const char *swap_usage;
} files_v1 = {
	.limit = "memory.limit_in_bytes",
	.usage = "memory.usage_in_bytes",
	.cache = "total_inactive_file ",
}, files_v2 = {
	.limit = "memory.max",
	.usage = "memory.current",
	.cache = "inactive_file ",
	.swap_limit = "memory.swap.max",
	.swap_usage = "memory.swap.current",
};

struct cgroup_search {
	bool v2; /* which hierarchy is looked for */
	bool found_path;
	bool found_mount;
	char path[1024];  /* of this process, in the hierarchy */
	char root[1024];  /* what of the hierarchy is mounted ... */
	char mount[1024]; /* ... here */
};

/* Is "memory" one of comma-separated @list, of @size bytes? */
static bool has_memory(const char *list, size_t size)
{
	while (size > 0) {
		const char *comma = memchr(list, ',', size);
		size_t len = comma != NULL ? (size_t)(comma - list) : size;

		if (len == 6 && memcmp(list, "memory", 6) == 0)
			return true;
		if (comma == NULL)
			return false;
		size -= len + 1;
		list = comma + 1;
	}
	return false;
}

/* A line of /proc/self/cgroup: "4:memory:/path", or "0::/path" of version 2. */
static int match_cgroup(char *line, void *arg)
{
	struct cgroup_search *search = arg;
	char *names = strchr(line, ':');
	char *path = names != NULL ? strchr(names + 1, ':') : NULL;
	size_t size;

	if (path == NULL)
		return 0;
	size = (size_t)(path - names) - 1;
	if (search->v2 ? size != 0 : !has_memory(names + 1, size))
		return 0;
	snprintf(search->path, sizeof(search->path), "%s", path + 1);
	search->found_path = true;
	return 1;
}

/* Is @path @root, or below it? Says what follows then. */
static const char *below(const char *path, const char *root)
{
	size_t size = strlen(root);

	if (strcmp(root, "/") == 0)
		return path;
	if (strncmp(path, root, size) == 0 && (path[size] == '/' || path[size] == '\0'))
		return path + size;
	return NULL;
}

static int match_cgroup_mount(char *line, void *arg)
{
	struct cgroup_search *search = arg;
	const char *tail = strstr(line, search->v2 ? " - cgroup2 " : " - cgroup ");
	const char *options = tail != NULL ? strrchr(tail, ' ') + 1 : NULL;
	char root[sizeof(search->root)], mount[sizeof(search->mount)];

	if (tail == NULL || (!search->v2 && !has_memory(options, strlen(options))))
		return 0;
	if (tarn__line_field(line, 3, root, sizeof(root)) < 0 ||
	    tarn__line_field(line, 4, mount, sizeof(mount)) < 0)
		return 0;
	/* of several mounts the one that shows the most ancestors */
	if (search->found_mount &&
	    (below(search->path, root) == NULL || strlen(root) >= strlen(search->root)))
		return 0;
	memcpy(search->root, root, sizeof(root));
	memcpy(search->mount, mount, sizeof(mount));
	search->found_mount = true;
	return 0;
}

static int read_at(const char *dir, const char *file, uint64_t *ret_number)
{
	char path[2200];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return tarn__read_number(path, ret_number);
}

/* What of the usage may go to swap. */
static uint64_t swap_room(const char *dir, const struct cgroup_files *files, uint64_t swap_free)
{
	uint64_t limit, usage;

	if (files->swap_limit == NULL || read_at(dir, files->swap_limit, &limit) < 0 ||
	    read_at(dir, files->swap_usage, &usage) < 0)
		return 0;
	return minus(limit, usage) < swap_free ? minus(limit, usage) : swap_free;
}

static int check_cgroup(const char *dir, const struct cgroup_files *files, uint64_t need,
			uint64_t swap_free, struct tarn_diag *diag)
{
	uint64_t limit, usage, cache = 0, left;
	char path[2200], a[24], b[24], c[24];

	if (read_at(dir, files->limit, &limit) < 0 || limit == UINT64_MAX ||
	    read_at(dir, files->usage, &usage) < 0)
		return 0;
	snprintf(path, sizeof(path), "%s/memory.stat", dir);
	(void)tarn__read_field(path, files->cache, &cache);
	left = plus(minus(limit, minus(usage, cache)), swap_room(dir, files, swap_free));
	if (left >= need)
		return 0;
	tarn__diag(diag, -ENOSPC,
		   "%s wanted, %s left of the memory cgroup's limit of %s (%.100s): %" PRIu64
		   " bytes short",
		   tarn__size_text(need, a), tarn__size_text(left, b), tarn__size_text(limit, c),
		   dir, need - left);
	tarn__diag_hint(diag, "echo %" PRIu64 " > %.180s/%s", plus(limit, need - left), dir,
			files->limit);
	return -ENOSPC;
}

/* This process's cgroup and each above it. */
static int check_cgroups(bool v2, uint64_t need, uint64_t swap_free, struct tarn_diag *diag)
{
	struct cgroup_search search = { .v2 = v2 };
	const struct cgroup_files *files = v2 ? &files_v2 : &files_v1;
	const char *rest;
	char dir[2100];
	size_t floor;
	int r;

	r = tarn__each_line("/proc/self/cgroup", match_cgroup, &search);
	if (r >= 0 && search.found_path)
		r = tarn__each_line("/proc/self/mountinfo", match_cgroup_mount, &search);
	if (r == -EMFILE || r == -ENFILE)
		return tarn__refused(diag, r, "reading", "the memory cgroup's limit");
	/* without /proc or without cgroups there is no limit to be seen */
	if (!search.found_mount)
		return 0;
	/* in a container the path may be the host's, and what is mounted one's own cgroup */
	rest = below(search.path, search.root);
	if (rest == NULL || strstr(rest, "/..") != NULL)
		rest = "";
	floor = strlen(search.mount);
	snprintf(dir, sizeof(dir), "%s%s", search.mount, strcmp(rest, "/") == 0 ? "" : rest);
	for (r = 0; r == 0;) {
		r = check_cgroup(dir, files, need, swap_free, diag);
		char *slash = strrchr(dir, '/');

		if (strlen(dir) <= floor || slash == NULL || (size_t)(slash - dir) < floor)
			break;
		*slash = '\0';
	}
	return r;
}

/* --- the host, the file system --------------------------------------------------------------- */

static int check_host(uint64_t need, uint64_t swap_free, struct tarn_diag *diag)
{
	uint64_t avail;
	char a[24], b[24];

	if (tarn__read_field("/proc/meminfo", "MemAvailable:", &avail) < 0)
		return 0;
	avail = plus(avail << 10, swap_free);
	if (avail >= need)
		return 0;
	tarn__diag(diag, -ENOSPC,
		   "%s wanted, the host has %s of memory and swap available: %" PRIu64
		   " bytes short",
		   tarn__size_text(need, a), tarn__size_text(avail, b), need - avail);
	tarn__diag_hint(diag, "ask for less, stop something, or add swap: swapon");
	return -ENOSPC;
}

int tarn__room_for_memory(uint64_t bytes, struct tarn_diag *diag)
{
	uint64_t need = with_overhead(bytes);
	uint64_t swap_free = 0;
	int r;

	if (tarn__read_field("/proc/meminfo", "SwapFree:", &swap_free) == 0)
		swap_free <<= 10;
	r = check_host(need, swap_free, diag);
	if (r == 0)
		r = check_cgroups(false, need, swap_free, diag);
	if (r == 0)
		r = check_cgroups(true, need, swap_free, diag);
	return r;
}

static int check_file_size(uint64_t end, struct tarn_diag *diag)
{
	uint64_t limit;
	char a[24], b[24];

	if (tarn__plat_rlimit(RLIMIT_FSIZE, &limit) < 0 || end <= limit)
		return 0;
	tarn__diag(diag, -EFBIG,
		   "%s wanted, files of this process may have %s (RLIMIT_FSIZE): %" PRIu64
		   " bytes short",
		   tarn__size_text(end, a), tarn__size_text(limit, b), end - limit);
	tarn__diag_hint(diag, "ulimit -f %" PRIu64, end / 1024 + (end % 1024 != 0));
	return -EFBIG;
}

/* What makes the file system of @fd larger. */
static void hint_larger(int fd, const struct tarn_plat_fs *fs, uint64_t more,
			struct tarn_diag *diag)
{
	uint64_t size = (fs->size + more + 1023) / 1024;
	char link[32], name[4096];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (fs->type != TARN__TMPFS_MAGIC)
		tarn__diag_hint(diag, "free some: df -h");
	else if (tarn__plat_readlink(link, name, sizeof(name)) > 0 &&
		 strncmp(name, TARN__SHM_DIR "/", strlen(TARN__SHM_DIR) + 1) != 0)
		tarn__diag_hint(diag, "mount -o remount,size=%" PRIu64 "k where df says %.100s is",
				size, name);
	else
		tarn__diag_hint(diag,
				"mount -o remount,size=%" PRIu64 "k " TARN__SHM_DIR
				" (in a container: --shm-size)",
				size);
}

static int check_file_system(int fd, const struct tarn_plat_fs *fs, uint64_t need,
			     struct tarn_diag *diag)
{
	char a[24], b[24];

	/* size 0: not bounded, as the kernel's own mount for memfd */
	if (fs->size == 0 || fs->avail >= need)
		return 0;
	tarn__diag(diag, -ENOSPC, "%s wanted, the file system has %s free: %" PRIu64 " bytes short",
		   tarn__size_text(need, a), tarn__size_text(fs->avail, b), need - fs->avail);
	hint_larger(fd, fs, need - fs->avail, diag);
	return -ENOSPC;
}

int tarn__room_for_file(int fd, uint64_t bytes, uint64_t end, struct tarn_diag *diag)
{
	struct tarn_plat_fs fs;
	int r = tarn__plat_fstatfs(fd, &fs);

	if (r < 0)
		return tarn__refused(diag, r, "asking", "the file system's size");
	r = check_file_size(end, diag);
	if (r < 0 || bytes == 0)
		return r;
	if (fs.type == TARN__HUGETLBFS_MAGIC)
		return tarn__room_for_huge(bytes, fs.block_size, diag);
	r = check_file_system(fd, &fs, bytes, diag);
	if (r == 0 && (fs.type == TARN__TMPFS_MAGIC || fs.type == TARN__RAMFS_MAGIC))
		r = tarn__room_for_memory(bytes, diag);
	return r;
}

/* --- huge pages ------------------------------------------------------------------------------ */

static uint64_t pool(uint64_t page_size, const char *file)
{
	char path[96];
	uint64_t n = 0;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
		 page_size >> 10, file);
	return tarn__read_number(path, &n) == 0 ? n : 0;
}

int tarn__room_for_huge(uint64_t bytes, uint64_t page_size, struct tarn_diag *diag)
{
	uint64_t wanted = bytes / page_size + (bytes % page_size != 0);
	uint64_t free_pages =
		minus(pool(page_size, "free_hugepages"), pool(page_size, "resv_hugepages"));
	uint64_t more = minus(pool(page_size, "nr_overcommit_hugepages"),
			      pool(page_size, "surplus_hugepages"));
	uint64_t total = pool(page_size, "nr_hugepages");

	if (plus(free_pages, more) >= wanted)
		return 0;
	tarn__diag(diag, -ENOSPC,
		   "%" PRIu64 " huge pages of %" PRIu64 " KiB wanted, %" PRIu64
		   " free and unreserved (HugePages_Free): %" PRIu64 " short",
		   wanted, page_size >> 10, free_pages, wanted - free_pages);
	if (page_size == (2u << 20))
		tarn__diag_hint(diag, "sysctl -w vm.nr_hugepages=%" PRIu64,
				total + wanted - free_pages);
	else
		tarn__diag_hint(diag,
				"echo %" PRIu64 " > /sys/kernel/mm/hugepages/hugepages-%" PRIu64
				"kB/nr_hugepages",
				total + wanted - free_pages, page_size >> 10);
	return -ENOSPC;
}
