/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * huge.c - huge pages: where hugetlbfs is mounted, whether transparent ones can be had, and how
 * large the pages of a mapping are.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/bits.h"
#include "base/diag.h"
#include "plat/plat.h"
#include "segment/parts.h"

#define SIZE_2M (UINT64_C(2) << 20)
#define SIZE_1G (UINT64_C(1) << 30)

uint64_t tarn__huge_size(uint32_t pages)
{
	switch (pages) {
	case TARN_PAGES_2M:
		return SIZE_2M;
	case TARN_PAGES_1G:
		return SIZE_1G;
	default:
		return 0;
	}
}

uint32_t tarn__pages_of(uint64_t page_size)
{
	if (page_size == SIZE_2M)
		return TARN_PAGES_2M;
	if (page_size == SIZE_1G)
		return TARN_PAGES_1G;
	return TARN_PAGES_DEFAULT;
}

/* --- hugetlbfs ------------------------------------------------------------------------------- */

/* From best to worst: has a file of that name, has the host's default size, was found. */
enum { RANK_NONE, RANK_FOUND, RANK_DEFAULT, RANK_HAS_NAME };

struct mount_search {
	const char *name;
	uint64_t page_size;    /* wanted; 0 = any */
	uint64_t default_size; /* of the host */
	int rank;              /* of what is in @dir */
	char dir[3840];
};

/* "pagesize=2M" among mount options. */
static uint64_t page_size_option(const char *options)
{
	const char *text = strstr(options, "pagesize=");
	uint64_t n = 0;

	if (text == NULL)
		return 0;
	for (text += 9; *text >= '0' && *text <= '9' && n < UINT32_MAX; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	if (*text == 'K')
		n <<= 10;
	else if (*text == 'M')
		n <<= 20;
	else if (*text == 'G')
		n <<= 30;
	return n;
}

static int rank_of(const struct mount_search *search, const char *dir, uint64_t page_size)
{
	char path[4096 + 256];
	struct stat st;

	if (search->page_size != 0 && search->page_size != page_size)
		return RANK_NONE;
	snprintf(path, sizeof(path), "%s/%s", dir, search->name);
	if (tarn__plat_stat(path, false, &st) == 0)
		return RANK_HAS_NAME;
	return page_size == search->default_size ? RANK_DEFAULT : RANK_FOUND;
}

/* A line of mountinfo: "36 35 98:0 /root /dir options tags - type source super-options". */
static int match_mount(char *line, void *arg)
{
	struct mount_search *search = arg;
	const char *tail = strstr(line, " - hugetlbfs ");
	char dir[sizeof(search->dir)];
	int rank;

	if (tail == NULL || tarn__line_field(line, 4, dir, sizeof(dir)) < 0)
		return 0;
	rank = rank_of(search, dir, page_size_option(tail));
	if (rank > search->rank) {
		search->rank = rank;
		memcpy(search->dir, dir, sizeof(dir));
	}
	return 0;
}

int tarn__huge_path(const char *name, uint64_t page_size, char *buf, size_t size,
		    struct tarn_diag *diag)
{
	struct mount_search search = { .name = name, .page_size = page_size };
	int n;
	int r;

	if (tarn__read_field("/proc/meminfo", "Hugepagesize:", &search.default_size) == 0)
		search.default_size <<= 10;
	r = tarn__each_line("/proc/self/mountinfo", match_mount, &search);
	if (r < 0)
		return tarn__refused(diag, r, "reading", "/proc/self/mountinfo");
	if (search.rank == RANK_NONE && page_size != 0) {
		tarn__diag(diag, -EOPNOTSUPP, "no hugetlbfs with pages of %u MiB is mounted",
			   (unsigned)(page_size >> 20));
		tarn__diag_hint(diag,
				"mkdir -p /dev/hugepages%uM && mount -t hugetlbfs -o pagesize=%uM "
				"none /dev/hugepages%uM",
				(unsigned)(page_size >> 20), (unsigned)(page_size >> 20),
				(unsigned)(page_size >> 20));
		return -EOPNOTSUPP;
	}
	if (search.rank == RANK_NONE) {
		tarn__diag(diag, -EOPNOTSUPP, "no hugetlbfs is mounted on this host");
		tarn__diag_hint(diag, "mkdir -p /dev/hugepages && mount -t hugetlbfs none "
				      "/dev/hugepages");
		return -EOPNOTSUPP;
	}
	n = snprintf(buf, size, "%s/%s", search.dir, name);
	return n < 0 || (size_t)n >= size ? -ENAMETOOLONG : 0;
}

/* --- transparent huge pages ------------------------------------------------------------------ */

#define SHMEM_ENABLED "/sys/kernel/mm/transparent_hugepage/shmem_enabled"

/* The choice in force stands in brackets: "always within_size advise [never] deny force". */
static bool thp_for_shmem(char *choice, size_t size)
{
	char text[128];
	char *open, *close;

	if (tarn__plat_read_text(SHMEM_ENABLED, text, sizeof(text)) < 0 ||
	    (open = strchr(text, '[')) == NULL || (close = strchr(open, ']')) == NULL) {
		snprintf(choice, size, "absent");
		return false;
	}
	*close = '\0';
	snprintf(choice, size, "%s", open + 1);
	return strcmp(choice, "never") != 0 && strcmp(choice, "deny") != 0;
}

static bool in_shmem(const struct tarn_segment *seg)
{
	struct tarn_plat_fs fs;

	if (seg->addr.kind == TARN_SEGMENT_SYSV)
		return true;
	return tarn__plat_fstatfs(seg->fd, &fs) == 0 && fs.type == TARN__TMPFS_MAGIC;
}

int tarn__thp_ask(struct tarn_segment *seg, bool must, struct tarn_diag *diag)
{
	char choice[32] = "";
	bool shmem = in_shmem(seg);
	bool on = shmem && tarn__pages_of(seg->page_size) == TARN_PAGES_DEFAULT &&
		  thp_for_shmem(choice, sizeof(choice));
	int r = on ? tarn__plat_madvise(seg->base, (size_t)seg->map_size, MADV_HUGEPAGE) : 0;

	if (on && r == 0) {
		seg->pages = TARN_PAGES_THP;
		return 0;
	}
	if (!must)
		return 0;
	if (!shmem || choice[0] == '\0')
		return tarn__diag(diag, -EOPNOTSUPP,
				  "this kind of segment has no transparent huge pages");
	tarn__diag(diag, -EOPNOTSUPP, "transparent huge pages were asked, " SHMEM_ENABLED " is %s",
		   choice);
	tarn__diag_hint(diag, "echo advise > " SHMEM_ENABLED);
	return -EOPNOTSUPP;
}

/* --- how large are the pages of a mapping? --------------------------------------------------- */

struct page_search {
	uint64_t base;
	uint64_t page_size;
	bool inside; /* of the mapping at base */
};

static int match_page(char *line, void *arg)
{
	struct page_search *search = arg;
	uint64_t start, end, size;

	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
		search->inside = start == search->base;
	else if (search->inside && sscanf(line, "KernelPageSize: %" SCNu64, &size) == 1)
		search->page_size = size << 10;
	return search->page_size != 0 ? 1 : 0;
}

uint64_t tarn__page_size_at(const void *base)
{
	struct page_search search = { .base = (uintptr_t)base };

	/* huge pages are aligned to their size, so most mappings need no search */
	if (search.base % SIZE_2M != 0)
		return tarn__plat_page_size();
	(void)tarn__each_line("/proc/self/smaps", match_page, &search);
	return search.page_size;
}
