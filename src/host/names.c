/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * names.c - the shared memory that has a name: System V, /dev/shm, hugetlbfs.
 *
 * Files are known by (dev, inode), so that a mapping seen later is matched to its name whatever
 * path the kernel prints for it. What lies in folders below /dev/shm is shared memory too: Aeron
 * and others put theirs there.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "host/host.h"
#include "region/region.h"

#define SHM_DIR     "/dev/shm"
#define TEMP_PREFIX ".tarn-"
#define SEM_PREFIX  "sem."

enum {
	DEPTH_MAX = 16,      /* folders within folders of /dev/shm */
	SEM_SIZE_64 = 32,    /* bytes of glibc's sem_t, 64-bit ... */
	SEM_SIZE_32 = 16,    /* ... and 32-bit programs */
	SHM_DESTROY = 01000, /* in the mode that /proc/sysvipc/shm shows: marked for removal ... */
	SHM_LOCKED_ = 02000, /* ... and locked in memory */
	HUGE_SHIFT = 26,     /* MFD_HUGE_SHIFT of <linux/memfd.h> */
};

static bool has_prefix(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* --- System V -------------------------------------------------------------------------------- */

enum { SYSV_FIELDS = 16 };

/* key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap */
static bool sysv_fields(const char *line, uint64_t ret_field[SYSV_FIELDS])
{
	for (int i = 0; i < SYSV_FIELDS; i++) {
		bool negative;

		while (*line == ' ')
			line++;
		negative = i == 0 && *line == '-';
		line += negative;
		if (!tarn__parse_number(&line, i == 2 ? 8 : 10, &ret_field[i])) {
			/* kernels before 2.6.35 print no rss and swap */
			ret_field[i] = TARN_HOST_UNKNOWN;
			if (i < 14)
				return false;
		}
		if (negative)
			ret_field[i] = -ret_field[i];
	}
	return true;
}

/* Of seconds that the kernel says, or whoever made up this /proc. */
static int64_t time_of(uint64_t seconds)
{
	const uint64_t second = 1000000000;

	return seconds <= INT64_MAX / second ? (int64_t)(seconds * second) : 0;
}

static int64_t max_time(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static void sysv_fill(struct tarn_host *host, struct tarn__seg *seg, const uint64_t *field)
{
	struct tarn_host_segment *pub = &seg->pub;

	seg->fact = true;
	seg->listed = true;
	pub->kind = TARN_SEGMENT_SYSV;
	pub->key = (int32_t)field[0];
	pub->id = (int32_t)field[1];
	pub->mode = field[2] & 0777;
	pub->removed = (field[2] & SHM_DESTROY) != 0;
	pub->size = field[3];
	pub->creator_pid = (int32_t)field[4];
	pub->last_pid = (int32_t)field[5];
	pub->attach_count = field[6];
	pub->uid = (uint32_t)field[7];
	pub->gid = (uint32_t)field[8];
	pub->cuid = (uint32_t)field[9];
	pub->cgid = (uint32_t)field[10];
	pub->attached_ns = time_of(field[11]);
	pub->detached_ns = time_of(field[12]);
	pub->created_ns = time_of(field[13]);
	pub->used_ns = max_time(pub->created_ns, max_time(pub->attached_ns, pub->detached_ns));
	pub->swap = field[15];
	if (field[14] != TARN_HOST_UNKNOWN && field[15] != TARN_HOST_UNKNOWN)
		pub->touched = field[14] + field[15];
	pub->locked = (field[2] & SHM_LOCKED_) != 0 ? pub->size : 0;
	/* Of huge pages or not, is seen only in who has it attached. */
	pub->page_size = host->huge_pages == 0 ? tarn__plat_page_size() : 0;
}

static int sysv_line(char *line, void *arg)
{
	struct tarn_host *host = arg;
	uint64_t field[SYSV_FIELDS];
	struct tarn__seg *seg;

	if (!sysv_fields(line, field))
		return 0; /* the heading */
	seg = tarn__seg_get(host, host->ipc, host->anon_dev, field[1]);
	if (seg == NULL)
		return -ENOMEM;
	sysv_fill(host, seg, field);
	return 0;
}

static int sysv_names(struct tarn_host *host)
{
	int r = tarn__host_path(host, "/proc/sysvipc/shm");

	if (r == 0)
		r = tarn__each_line(host->path, sysv_line, host);
	if (r == -ENOMEM)
		return r;
	tarn__unreadable(host, r);
	return 0; /* a kernel without System V has no such file */
}

/* --- what is in a file ----------------------------------------------------------------------- */

static struct tarn__seg *by_key(const struct tarn_host *host, uint64_t key)
{
	for (uint32_t i = 0; i < host->seg_count; i++) {
		struct tarn__seg *seg = host->segs[i];

		if (seg->pub.kind == TARN_SEGMENT_SYSV && key != 0 && (uint32_t)seg->pub.key == key)
			return seg;
	}
	return NULL;
}

/* Tarn's control file says which System V segment of which IPC namespace is a region: inside by its
 * identifier, and by its name, which has the key, before its creator has got to that. Anybody may
 * write such a file, so it is believed of the segments of @owner alone. */
static bool control_file(struct tarn_host *host, int fd, const char *base, uint32_t owner)
{
	const char *ipc = base + strlen(TARN__CONTROL_PREFIX);
	struct tarn__seg *seg;
	uint64_t ns, key;
	int32_t id;

	if (!has_prefix(base, TARN__CONTROL_PREFIX) || tarn__control_target(fd, &id) < 0)
		return false;
	if (!tarn__parse_number(&ipc, 10, &ns) || ns != host->ipc)
		return true;
	seg = tarn__seg_find(host, host->ipc, host->anon_dev, (uint64_t)(uint32_t)id);
	if (seg == NULL && *ipc++ == '.' && tarn__parse_number(&ipc, 16, &key) && *ipc == '\0')
		seg = by_key(host, key);
	if (seg != NULL && (owner == 0 || owner == seg->pub.uid || owner == seg->pub.cuid))
		seg->pub.content = TARN_CONTENT_REGION;
	return true;
}

void tarn__seg_inside(struct tarn_host *host, struct tarn__seg *seg, const char *base)
{
	unsigned char magic[8];
	int fd;

	if (has_prefix(base, SEM_PREFIX) &&
	    (seg->pub.size == SEM_SIZE_64 || seg->pub.size == SEM_SIZE_32))
		seg->pub.content = TARN_CONTENT_SEMAPHORE;
	if (has_prefix(base, TEMP_PREFIX))
		seg->pub.content = TARN_CONTENT_TEMPORARY;
	if (seg->pub.content != TARN_CONTENT_UNKNOWN)
		return;
	/* Its owner may read without a trace in its times. */
	fd = tarn__seg_open(seg, O_RDONLY | O_NOATIME);
	if (fd == -EPERM)
		fd = tarn__seg_open(seg, O_RDONLY);
	if (fd < 0)
		return;
	if (tarn__plat_pread(fd, magic, sizeof(magic), 0) == (ssize_t)sizeof(magic) &&
	    memcmp(magic, TARN__MAGIC, sizeof(magic)) == 0)
		seg->pub.content = TARN_CONTENT_REGION;
	if (control_file(host, fd, base, seg->pub.uid))
		seg->pub.content = TARN_CONTENT_CONTROL;
	tarn__plat_close(fd);
}

/* Who is in a region, by the kernel's locks. Damaged ones stay without a word. */
static void region_facts(struct tarn__seg *seg, const char *addr)
{
	struct tarn_region_opts opts = {
		.flags = TARN_REGION_OBSERVE | TARN_SEGMENT_OWNER | TARN_SEGMENT_ANY_MODE,
		.owner = seg->pub.uid,
	};
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;

	if (tarn_region_open(addr, &opts, &region) < 0)
		return;
	if (tarn_region_stat(region, &stat) == 0) {
		seg->member_count = (int32_t)stat.member_count;
		seg->ephemeral = stat.ephemeral;
		seg->pub.creator_pid = stat.creator_pid;
		seg->pub.created_ns = stat.created_ns;
	}
	tarn_region_close(region);
}

static void regions(struct tarn_host *host)
{
	char addr[TARN__HOST_PATH + 16];

	if (host->root[0] != '\0')
		return; /* their names mean nothing to the library there */
	for (uint32_t i = 0; i < host->seg_count; i++) {
		struct tarn__seg *seg = host->segs[i];
		bool sysv = seg->pub.kind == TARN_SEGMENT_SYSV;

		if (seg->pub.content != TARN_CONTENT_REGION || (sysv && seg->pub.attach_count > 0))
			continue;
		if (sysv)
			snprintf(addr, sizeof(addr), "sysv:#%d", seg->pub.id);
		else
			snprintf(addr, sizeof(addr), "file:%s", seg->path);
		region_facts(seg, addr);
	}
}

/* --- files with names ------------------------------------------------------------------------ */

struct walk {
	struct tarn_host *host;
	const struct tarn__fs *fs;
	enum tarn_segment_kind kind;
	const char *dir; /* with root */
	unsigned depth;
};

static int walk_dir(struct walk *walk);

static int found_file(struct walk *walk, const char *path, const char *base, const struct stat *st)
{
	struct tarn_host *host = walk->host;
	struct tarn__seg *seg = tarn__seg_get(host, 0, (uint64_t)st->st_dev, (uint64_t)st->st_ino);

	if (seg == NULL)
		return -ENOMEM;
	if (seg->path != NULL)
		return 0; /* a second name of the same file */
	seg->path = tarn__copy(path, false);
	/* the name within the file system */
	seg->name = tarn__copy(path + strlen(host->root) + strlen(walk->fs->dir) + 1, false);
	if (seg->path == NULL || seg->name == NULL)
		return -ENOMEM;
	seg->pub.kind = walk->kind;
	seg->pub.page_size =
		walk->fs->page_size != 0 ? walk->fs->page_size : tarn__plat_page_size();
	seg->stray = walk->depth > 0 || (walk->kind == TARN_SEGMENT_HUGE && !walk->fs->home);
	tarn__seg_fill(host, seg, st, path);
	tarn__seg_inside(host, seg, base);
	return 0;
}

static int found_entry(const char *name, void *arg)
{
	struct walk *walk = arg;
	size_t size = strlen(walk->dir) + strlen(name) + 2;
	char *path = malloc(size);
	struct stat st;
	int r;

	if (path == NULL)
		return -ENOMEM;
	snprintf(path, size, "%s/%s", walk->dir, name);
	r = tarn__plat_stat(path, false, &st);
	if (r == 0 && S_ISREG(st.st_mode)) {
		r = found_file(walk, path, name, &st);
	} else if (r == 0 && S_ISDIR(st.st_mode) && walk->depth < DEPTH_MAX) {
		struct walk below = *walk;

		below.dir = path;
		below.depth++;
		r = walk_dir(&below);
	}
	free(path);
	return r == -ENOMEM || r == -EMFILE ? r : 0; /* else gone again */
}

static int walk_dir(struct walk *walk)
{
	int r = tarn__plat_listdir(walk->dir, found_entry, walk);

	if (r == -ENOMEM || r == -EMFILE)
		return r;
	tarn__unreadable(walk->host, r);
	return 0;
}

static int walk_fs(struct tarn_host *host, const struct tarn__fs *fs, enum tarn_segment_kind kind)
{
	struct walk walk = { .host = host, .fs = fs, .kind = kind };
	char *dir;
	int r = tarn__host_path(host, "%s", fs->dir);

	if (r < 0)
		return 0;
	dir = tarn__copy(host->path, false);
	if (dir == NULL)
		return -ENOMEM;
	walk.dir = dir;
	r = walk_dir(&walk);
	free(dir);
	return r;
}

/* --- file systems ---------------------------------------------------------------------------- */

static struct tarn__fs *fs_new(struct tarn_host *host)
{
	if (host->fs_count == TARN__FS_MAX)
		return NULL;
	return &host->fs[host->fs_count++];
}

/* What a nameless file of kind @flags lies in; 0 unknown. */
static uint64_t internal_dev(unsigned flags)
{
	struct stat st;
	int fd = tarn__plat_memfd("tarn-host", flags);
	int r = fd < 0 ? fd : tarn__plat_fstat(fd, &st);

	tarn__plat_close(fd);
	return r < 0 ? 0 : (uint64_t)st.st_dev;
}

/* "hugepages-2048kB" */
static int found_pool(const char *name, void *arg)
{
	struct tarn_host *host = arg;
	const char *p = name + strlen("hugepages-");
	uint64_t kilobytes, pages;
	unsigned log2;

	if (!has_prefix(name, "hugepages-") || !tarn__parse_number(&p, 10, &kilobytes) ||
	    !tarn__is_pow2(kilobytes) || kilobytes > UINT64_MAX >> 10)
		return 0;
	if (tarn__host_path(host, "/sys/kernel/mm/hugepages/%s/nr_hugepages", name) == 0 &&
	    tarn__read_number(host->path, &pages) == 0)
		host->huge_pages += pages;
	log2 = (unsigned)__builtin_ctzll(kilobytes) + 10;

	uint64_t dev = internal_dev(MFD_HUGETLB | log2 << HUGE_SHIFT);
	struct tarn__fs *fs = dev != 0 ? fs_new(host) : NULL;

	if (fs != NULL)
		*fs = (struct tarn__fs){ .dev = dev,
					 .page_size = kilobytes << 10,
					 .internal = true };
	return 0;
}

/* "36 35 98:0 / /dev/hugepages rw ... - hugetlbfs hugetlbfs rw,pagesize=2M" */
static int found_mount(char *line, void *arg)
{
	struct tarn_host *host = arg;
	char dir[TARN__HOST_PATH];
	struct tarn__fs *fs;
	struct stat st;

	if (strstr(line, " - hugetlbfs ") == NULL ||
	    tarn__line_field(line, 4, dir, sizeof(dir)) < 0 ||
	    tarn__host_path(host, "%s", dir) < 0 || tarn__plat_stat(host->path, true, &st) < 0 ||
	    tarn__fs_of(host, (uint64_t)st.st_dev) != NULL)
		return 0;
	fs = fs_new(host);
	if (fs == NULL)
		return 0;
	*fs = (struct tarn__fs){ .dev = (uint64_t)st.st_dev, .page_size = (uint64_t)st.st_blksize };
	fs->dir = tarn__copy(dir, false);
	if (fs->dir == NULL) {
		host->fs_count--;
		return -ENOMEM;
	}
	return 0;
}

static int find_file_systems(struct tarn_host *host)
{
	struct tarn__addr home;
	int r = 0;

	host->anon_dev = internal_dev(0);
	if (tarn__host_path(host, "/sys/kernel/mm/hugepages") == 0)
		(void)tarn__plat_listdir(host->path, found_pool, host);
	if (tarn__host_path(host, "/proc/%s/mountinfo", host->root[0] == '\0' ? "self" : "1") == 0)
		r = tarn__each_line(host->path, found_mount, host);
	if (r == -ENOMEM)
		return r;
	/* Of several, the one in which huge:NAME is looked for. */
	if (tarn__addr_parse("huge:a", &home, NULL) == 0)
		home.path[strlen(home.path) - 2] = '\0';
	else
		home.path[0] = '\0';
	for (uint32_t i = 0; i < host->fs_count; i++)
		if (host->fs[i].dir != NULL)
			host->fs[i].home =
				host->root[0] == '\0' && strcmp(host->fs[i].dir, home.path) == 0;
	return 0;
}

static int shm_names(struct tarn_host *host)
{
	char dir[] = SHM_DIR;
	const struct tarn__fs shm = { .dir = dir };
	struct stat st, above;

	if (tarn__host_path(host, SHM_DIR) < 0 || tarn__plat_stat(host->path, true, &st) < 0)
		return 0;
	/* Only where it is a file system of its own does the device say that a file is in it. */
	if (tarn__host_path(host, SHM_DIR "/..") == 0 &&
	    tarn__plat_stat(host->path, true, &above) == 0 && above.st_dev != st.st_dev)
		host->shm_dev = (uint64_t)st.st_dev;
	return walk_fs(host, &shm, TARN_SEGMENT_POSIX);
}

int tarn__host_names(struct tarn_host *host)
{
	int r = find_file_systems(host);

	if (r == 0)
		r = sysv_names(host);
	if (r == 0)
		r = shm_names(host);
	for (uint32_t i = 0; i < host->fs_count && r == 0; i++)
		if (host->fs[i].dir != NULL)
			r = walk_fs(host, &host->fs[i], TARN_SEGMENT_HUGE);
	if (r == 0)
		regions(host);
	return r;
}
