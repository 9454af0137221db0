/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * reserve.c - is there room? Asked before memory is taken. See room.h.
 *
 * fallocate() on tmpfs says -ENOSPC when the file system is full, but when a memory cgroup or the
 * host is full it ends in an OOM kill, not in an error. So what is wanted is compared first with
 * each limit on the way:
 *
 *     RLIMIT_FSIZE          else SIGXFSZ
 *     the file system       free blocks
 *     the host              MemAvailable + SwapFree
 *     its promises          CommitLimit - Committed_AS, where vm.overcommit_memory is 2
 *     each memory cgroup    from this process's own up to the root: limit - usage + what of the
 *                           usage is page cache that can go (inactive_file), and for version 2
 *                           what may be swapped
 *     huge pages            the pool, and each hugetlb cgroup
 *     System V              kernel.shmmax, shmmni, shmall; asked after a refusal when creating
 *
 * This is a look, not a promise: others may take the memory in between. What fallocate() then
 * refuses is reported as it says it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
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

/* --- telling --------------------------------------------------------------------------------- */

bool tarn__room_begin(struct tarn__room *room, const struct tarn__rooms *ask, const char *limit,
		      int error, uint64_t need, uint64_t left)
{
	room->limit = limit;
	room->need = need;
	room->left = left;
	room->error = left < need ? error : 0;
	room->unknown = false;
	room->words.what[0] = room->words.hint[0] = '\0';
	return room->error != 0 || ask->fn != NULL;
}

void tarn__room_say(struct tarn__room *room, const char *unit, const char *what, ...)
{
	char *text = room->words.what;
	size_t size = sizeof(room->words.what), used;
	va_list ap;

	va_start(ap, what);
	vsnprintf(text, size, what, ap);
	va_end(ap);
	used = strlen(text);
	if (room->error != 0 && unit != NULL)
		snprintf(text + used, size - used, ": %" PRIu64 "%s short", room->need - room->left,
			 unit);
}

int tarn__room_tell(const struct tarn__rooms *ask, const struct tarn__room *room)
{
	if (ask->fn != NULL)
		return ask->fn(room, ask->arg);
	if (room->error != 0 && ask->diag != NULL)
		*ask->diag = room->words;
	return room->error;
}

/* A limit that cannot be read stops nobody from trying. */
static int tell_unknown(const struct tarn__rooms *ask, const char *limit, const char *path)
{
	struct tarn__room room;

	if (!tarn__room_begin(&room, ask, limit, 0, 0, 0))
		return 0;
	room.unknown = true;
	tarn__room_say(&room, NULL, "%.200s cannot be read, or makes no sense", path);
	return tarn__room_tell(ask, &room);
}

/* "/proc/meminfo" under the root; the buffer is long enough for all that is read here. */
typedef char path_buf[TARN__ROOT_MAX + 128];

static const char *under(const struct tarn__rooms *ask, const char *name, path_buf buf)
{
	snprintf(buf, sizeof(path_buf), "%s%s", ask->root, name);
	return buf;
}

/* --- memory cgroups -------------------------------------------------------------------------- */

struct cgroup_ask {
	const struct tarn__rooms *ask;
	uint64_t need;
	uint64_t swap_free; /* of the host */
	uint64_t page_size; /* of huge pages */
};

static int check_cgroup(const struct tarn__cgroup *cgroup, void *arg)
{
	const struct cgroup_ask *with = arg;
	struct tarn__cgroup_memory memory;
	struct tarn__room room;
	char a[24], b[24], c[24];
	uint64_t swap, left;

	if (!tarn__cgroup_memory(cgroup, &memory) || memory.limit == UINT64_MAX)
		return 0;
	/* what of the usage may go to swap */
	swap = minus(memory.swap_limit, memory.swap_usage);
	left = plus(minus(memory.limit, memory.usage),
		    swap < with->swap_free ? swap : with->swap_free);
	if (!tarn__room_begin(&room, with->ask, "cgroup-memory", -ENOSPC, with->need, left))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s wanted, %s left of the memory cgroup's limit of %s (%.100s)",
		       tarn__size_text(with->need, a), tarn__size_text(left, b),
		       tarn__size_text(memory.limit, c), cgroup->name);
	if (room.error != 0)
		tarn__diag_hint(&room.words, "echo %" PRIu64 " > %.180s/%s",
				plus(memory.limit, with->need - left), cgroup->name,
				memory.limit_file);
	return tarn__room_tell(with->ask, &room);
}

static int check_huge_cgroup(const struct tarn__cgroup *cgroup, void *arg)
{
	const struct cgroup_ask *with = arg;
	struct tarn__room room;
	uint64_t limit, usage, left;
	char file[48], a[24], b[24], c[24];

	if (!tarn__cgroup_huge(cgroup, with->page_size, file, &limit, &usage) ||
	    limit == UINT64_MAX)
		return 0;
	left = minus(limit, usage);
	if (!tarn__room_begin(&room, with->ask, "cgroup-huge-pages", -ENOSPC, with->need, left))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s wanted, %s left of the hugetlb cgroup's limit of %s (%.100s)",
		       tarn__size_text(with->need, a), tarn__size_text(left, b),
		       tarn__size_text(limit, c), cgroup->name);
	if (room.error != 0)
		tarn__diag_hint(&room.words, "echo %" PRIu64 " > %.180s/%s",
				plus(limit, with->need - left), cgroup->name, file);
	return tarn__room_tell(with->ask, &room);
}

/* In both versions: a host may have one controller here and another there. */
static int check_cgroups(struct cgroup_ask *with, const char *controller,
			 int (*check)(const struct tarn__cgroup *cgroup, void *arg))
{
	int r = tarn__each_cgroup(with->ask->root, controller, false, check, with);

	if (r == 0)
		r = tarn__each_cgroup(with->ask->root, controller, true, check, with);
	if (r == -EMFILE || r == -ENFILE)
		return tarn__refused(with->ask->diag, r, "reading", "the memory cgroup's limit");
	return r;
}

/* --- the host, the file system --------------------------------------------------------------- */

static int check_host(const struct tarn__rooms *ask, uint64_t need, uint64_t swap_free)
{
	struct tarn__room room;
	uint64_t avail;
	path_buf path;
	char a[24], b[24];

	if (tarn__read_field(under(ask, "/proc/meminfo", path), "MemAvailable:", &avail) < 0)
		return tell_unknown(ask, "memory", path);
	avail = plus(avail << 10, swap_free);
	if (!tarn__room_begin(&room, ask, "memory", -ENOSPC, need, avail))
		return 0;
	tarn__room_say(&room, " bytes", "%s wanted, the host has %s of memory and swap available",
		       tarn__size_text(need, a), tarn__size_text(avail, b));
	if (room.error != 0)
		tarn__diag_hint(&room.words, "ask for less, stop something, or add swap: swapon");
	return tarn__room_tell(ask, &room);
}

/* Where the kernel promises no more than it has, shared memory counts as promised. */
static int check_promises(const struct tarn__rooms *ask, uint64_t need)
{
	struct tarn__room room;
	uint64_t mode, limit, promised, left;
	path_buf path;
	char a[24], b[24], c[24];

	if (tarn__read_number(under(ask, "/proc/sys/vm/overcommit_memory", path), &mode) < 0 ||
	    mode != 2 ||
	    tarn__read_field(under(ask, "/proc/meminfo", path), "CommitLimit:", &limit) < 0 ||
	    tarn__read_field(path, "Committed_AS:", &promised) < 0)
		return 0;
	left = minus(limit, promised) << 10;
	if (!tarn__room_begin(&room, ask, "commit", -ENOSPC, need, left))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s wanted, %s left of the %s that the kernel promises "
		       "(vm.overcommit_memory=2)",
		       tarn__size_text(need, a), tarn__size_text(left, b),
		       tarn__size_text(limit << 10, c));
	if (room.error != 0)
		tarn__diag_hint(&room.words,
				"sysctl -w vm.overcommit_memory=0, or raise vm.overcommit_ratio");
	return tarn__room_tell(ask, &room);
}

int tarn__room_in_memory(const struct tarn__rooms *ask, uint64_t bytes)
{
	struct cgroup_ask with = { .ask = ask, .need = with_overhead(bytes) };
	path_buf path;
	int r;

	if (tarn__read_field(under(ask, "/proc/meminfo", path), "SwapFree:", &with.swap_free) == 0)
		with.swap_free <<= 10;
	r = check_host(ask, with.need, with.swap_free);
	if (r == 0)
		r = check_promises(ask, with.need);
	return r != 0 ? r : check_cgroups(&with, "memory", check_cgroup);
}

int tarn__room_in_file_size(const struct tarn__rooms *ask, uint64_t end)
{
	struct tarn__room room;
	uint64_t limit;
	char a[24], b[24];

	if (tarn__plat_rlimit(RLIMIT_FSIZE, &limit) < 0 || limit == UINT64_MAX ||
	    !tarn__room_begin(&room, ask, "rlimit-fsize", -EFBIG, end, limit))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s wanted, files of this process may have %s (RLIMIT_FSIZE)",
		       tarn__size_text(end, a), tarn__size_text(limit, b));
	if (room.error != 0)
		tarn__diag_hint(&room.words, "ulimit -f %" PRIu64, end / 1024 + (end % 1024 != 0));
	return tarn__room_tell(ask, &room);
}

static bool in_dev_shm(const char *name)
{
	size_t size = strlen(TARN__SHM_DIR);

	return strncmp(name, TARN__SHM_DIR, size) == 0 && (name[size] == '/' || name[size] == '\0');
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
	else if (tarn__plat_readlink(link, name, sizeof(name)) > 0 && !in_dev_shm(name))
		tarn__diag_hint(diag, "mount -o remount,size=%" PRIu64 "k where df says %.100s is",
				size, name);
	else
		tarn__diag_hint(diag,
				"mount -o remount,size=%" PRIu64 "k " TARN__SHM_DIR
				" (in a container: --shm-size)",
				size);
}

static int check_file_system(const struct tarn__rooms *ask, int fd, const struct tarn_plat_fs *fs,
			     uint64_t need)
{
	struct tarn__room room;
	char a[24], b[24];

	/* size 0: not bounded, as the kernel's own mount for memfd */
	if (fs->size == 0 || !tarn__room_begin(&room, ask, "file-system", -ENOSPC, need, fs->avail))
		return 0;
	tarn__room_say(&room, " bytes", "%s wanted, the file system has %s free",
		       tarn__size_text(need, a), tarn__size_text(fs->avail, b));
	if (room.error != 0)
		hint_larger(fd, fs, need - fs->avail, &room.words);
	return tarn__room_tell(ask, &room);
}

int tarn__room_in_file(const struct tarn__rooms *ask, int fd, uint64_t bytes, uint64_t end)
{
	struct tarn_plat_fs fs;
	int r = tarn__plat_fstatfs(fd, &fs);

	if (r < 0)
		return tarn__refused(ask->diag, r, "asking", "the file system's size");
	r = tarn__room_in_file_size(ask, end);
	if (r != 0 || bytes == 0)
		return r;
	if (fs.type == TARN__HUGETLBFS_MAGIC)
		return tarn__room_in_pool(ask, bytes, fs.block_size);
	r = check_file_system(ask, fd, &fs, bytes);
	if (r == 0 && (fs.type == TARN__TMPFS_MAGIC || fs.type == TARN__RAMFS_MAGIC))
		r = tarn__room_in_memory(ask, bytes);
	return r;
}

/* --- huge pages ------------------------------------------------------------------------------ */

static uint64_t pool(const struct tarn__rooms *ask, uint64_t page_size, const char *file)
{
	char name[96];
	path_buf path;
	uint64_t n = 0;

	snprintf(name, sizeof(name), "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s",
		 page_size >> 10, file);
	return tarn__read_number(under(ask, name, path), &n) == 0 ? n : 0;
}

int tarn__room_in_pool(const struct tarn__rooms *ask, uint64_t bytes, uint64_t page_size)
{
	struct cgroup_ask with = { .ask = ask, .page_size = page_size };
	uint64_t wanted = bytes / page_size + (bytes % page_size != 0);
	uint64_t free_pages = minus(pool(ask, page_size, "free_hugepages"),
				    pool(ask, page_size, "resv_hugepages"));
	uint64_t more = minus(pool(ask, page_size, "nr_overcommit_hugepages"),
			      pool(ask, page_size, "surplus_hugepages"));
	uint64_t total = pool(ask, page_size, "nr_hugepages");
	struct tarn__room room;
	int r = 0;

	with.need = wanted * page_size;
	if (tarn__room_begin(&room, ask, "huge-pages", -ENOSPC, wanted, plus(free_pages, more))) {
		tarn__room_say(&room, "",
			       "%" PRIu64 " huge pages of %" PRIu64 " KiB wanted, %" PRIu64
			       " free and unreserved (HugePages_Free)",
			       wanted, page_size >> 10, free_pages);
		if (room.error != 0 && page_size == (2u << 20))
			tarn__diag_hint(&room.words, "sysctl -w vm.nr_hugepages=%" PRIu64,
					total + wanted - free_pages);
		else if (room.error != 0)
			tarn__diag_hint(&room.words,
					"echo %" PRIu64
					" > /sys/kernel/mm/hugepages/hugepages-%" PRIu64
					"kB/nr_hugepages",
					total + wanted - free_pages, page_size >> 10);
		r = tarn__room_tell(ask, &room);
	}
	return r != 0 ? r : check_cgroups(&with, "hugetlb", check_huge_cgroup);
}

/* --- System V -------------------------------------------------------------------------------- */

int tarn__room_in_shmmax(const struct tarn__rooms *ask, uint64_t size)
{
	struct tarn__room room;
	uint64_t max;
	path_buf path;
	char a[24], b[24];

	if (tarn__read_number(under(ask, "/proc/sys/kernel/shmmax", path), &max) < 0)
		return tell_unknown(ask, "sysv-shmmax", path);
	if (!tarn__room_begin(&room, ask, "sysv-shmmax", -ENOSPC, size, max))
		return 0;
	tarn__room_say(&room, " bytes",
		       "%s wanted, but one System V segment may have %s at most (kernel.shmmax)",
		       tarn__size_text(size, a), tarn__size_text(max, b));
	if (room.error != 0)
		tarn__diag_hint(&room.words, "sysctl -w kernel.shmmax=%" PRIu64, size);
	return tarn__room_tell(ask, &room);
}

static int add_usage(char *line, void *arg)
{
	struct tarn__sysv_usage *usage = arg;
	uint64_t size;
	int id, key;
	unsigned mode;

	if (sscanf(line, "%d %d %o %" SCNu64, &key, &id, &mode, &size) == 4) {
		usage->count++;
		usage->page_count +=
			size / tarn__plat_page_size() + (size % tarn__plat_page_size() != 0);
	}
	return 0;
}

int tarn__sysv_usage(const char *root, struct tarn__sysv_usage *ret_usage)
{
	struct tarn__sysv_usage usage = { 0 };
	char path[TARN__ROOT_MAX + 32];
	int r;

	snprintf(path, sizeof(path), "%s/proc/sysvipc/shm", root);
	r = tarn__each_line(path, add_usage, &usage);
	if (r == 0)
		*ret_usage = usage;
	return r;
}

int tarn__room_in_shmmni(const struct tarn__rooms *ask)
{
	struct tarn__sysv_usage usage = { 0 };
	struct tarn__room room;
	uint64_t shmmni = 0;
	path_buf path;

	(void)tarn__sysv_usage(ask->root, &usage);
	if (tarn__read_number(under(ask, "/proc/sys/kernel/shmmni", path), &shmmni) < 0)
		return tell_unknown(ask, "sysv-shmmni", path);
	if (!tarn__room_begin(&room, ask, "sysv-shmmni", -ENOSPC, 1, minus(shmmni, usage.count)))
		return 0;
	tarn__room_say(&room, NULL,
		       "the host has %" PRIu64 " System V segments, and may have %" PRIu64
		       " (kernel.shmmni)",
		       usage.count, shmmni);
	if (room.error != 0)
		tarn__diag_hint(&room.words,
				"remove some (ipcs -m, ipcrm -m), or sysctl -w "
				"kernel.shmmni=%" PRIu64,
				usage.count + 1);
	return tarn__room_tell(ask, &room);
}

int tarn__room_in_shmall(const struct tarn__rooms *ask, uint64_t size)
{
	uint64_t page = tarn__plat_page_size();
	uint64_t wanted = size / page + (size % page != 0);
	struct tarn__sysv_usage usage = { 0 };
	struct tarn__room room;
	uint64_t shmall = 0;
	path_buf path;

	(void)tarn__sysv_usage(ask->root, &usage);
	if (tarn__read_number(under(ask, "/proc/sys/kernel/shmall", path), &shmall) < 0)
		return tell_unknown(ask, "sysv-shmall", path);
	if (!tarn__room_begin(&room, ask, "sysv-shmall", -ENOSPC, wanted,
			      minus(shmall, usage.page_count)))
		return 0;
	tarn__room_say(&room, NULL,
		       "%" PRIu64 " pages wanted, %" PRIu64 " of %" PRIu64
		       " for System V segments are in use (kernel.shmall)",
		       wanted, usage.page_count, shmall);
	if (room.error != 0)
		tarn__diag_hint(&room.words, "sysctl -w kernel.shmall=%" PRIu64,
				usage.page_count + wanted);
	return tarn__room_tell(ask, &room);
}

/* --- what creating asks ---------------------------------------------------------------------- */

int tarn__room_for_file(int fd, uint64_t bytes, uint64_t end, struct tarn_diag *diag)
{
	const struct tarn__rooms ask = { .root = "", .diag = diag };

	return tarn__room_in_file(&ask, fd, bytes, end);
}

int tarn__room_for_memory(uint64_t bytes, struct tarn_diag *diag)
{
	const struct tarn__rooms ask = { .root = "", .diag = diag };

	return tarn__room_in_memory(&ask, bytes);
}

int tarn__room_for_huge(uint64_t bytes, uint64_t page_size, struct tarn_diag *diag)
{
	const struct tarn__rooms ask = { .root = "", .diag = diag };

	return tarn__room_in_pool(&ask, bytes, page_size);
}
