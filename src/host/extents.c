/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * extents.c - what of a segment is in memory, in swap, set aside, or a hole.
 *
 * Nothing is faulted in. With a descriptor of the object:
 *
 *     lseek()      finds data and holes; memory that is set aside and unwritten is a hole to it
 *     cachestat()  counts the pages that are in memory, so that data in memory is told from data in
 *                  swap, and what is set aside from a hole; a stretch that has some is halved until
 *                  each part has all or none
 *     mincore()    the first of these two, page by page, where the kernel is older
 *
 * The two speak the truth only to the owner and to who may write. To others, data is in memory if
 * the host swaps nothing, and else only known to be there.
 *
 * hugetlbfs knows none of the three: there the block count says whether all or nothing is there,
 * and page tables say what is between (tables.c), as for what has no descriptor.
 */
#include <stdio.h>
#include <sys/mman.h>

#include "host/survey.h"

enum {
	HUGETLBFS_MAGIC = (int)0x958458f6,
	MINCORE_PAGES = 16384, /* that mincore() is asked about at once */
	NODE_PAGES = 128,
};

/* --- handing over ---------------------------------------------------------------------------- */

static int hand_over(struct tarn__survey *survey)
{
	struct tarn_host_extent extent = survey->last;

	survey->last.size = 0;
	return extent.size > 0 ? survey->fn(&extent, survey->arg) : 0;
}

static int put(struct tarn__survey *survey, uint64_t off, uint64_t end, uint32_t kind, int32_t node)
{
	struct tarn_host_extent *last = &survey->last;
	int r;

	if (last->size > 0 && last->kind == kind && last->node == node) {
		last->size += end - off;
		return 0;
	}
	r = hand_over(survey);
	*last = (struct tarn_host_extent){
		.off = off, .size = end - off, .kind = kind, .node = node
	};
	return r;
}

static int put_by_node(struct tarn__survey *survey, uint64_t off, uint64_t end)
{
	int32_t nodes[NODE_PAGES];
	int r = 0;

	while (off < end && r == 0) {
		uint64_t left = (end - off + survey->granule - 1) / survey->granule;
		uint32_t count = left < NODE_PAGES ? (uint32_t)left : NODE_PAGES;

		tarn__survey_nodes(survey, off, count, nodes);
		for (uint32_t i = 0; i < count && r == 0; i++) {
			uint64_t to = off + survey->granule < end ? off + survey->granule : end;

			r = put(survey, off, to, TARN_EXTENT_RESIDENT, nodes[i]);
			off = to;
		}
	}
	return r;
}

int tarn__survey_put(struct tarn__survey *survey, uint64_t off, uint64_t end,
		     enum tarn_host_extent_kind kind)
{
	end = end < survey->size ? end : survey->size;
	if (off >= end)
		return 0;
	if (kind != TARN_EXTENT_RESIDENT)
		return put(survey, off, end, kind, -1);
	if (survey->nodes)
		return put_by_node(survey, off, end);
	return put(survey, off, end, kind, survey->node);
}

/* --- a file ---------------------------------------------------------------------------------- */

struct file {
	struct tarn__survey *survey;
	const struct tarn__object *object;
	uint64_t page;
	bool counts;   /* cachestat() answers */
	bool no_swap;  /* and this is none of a disk */
	bool reserved; /* without cachestat(): every hole is set aside */
	bool unsure;   /* likewise: some are */
};

/* Is data in memory, or what is no data set aside? @some: the kind of what is, @none: of what is
 * not. */
static int split(struct file *file, uint64_t off, uint64_t end, enum tarn_host_extent_kind some,
		 enum tarn_host_extent_kind none)
{
	uint64_t pages = (end - off + file->page - 1) / file->page;
	uint64_t there = 0;
	int r = tarn__plat_cachestat(file->object->fd, off, pages * file->page, &there);

	if (r < 0)
		return tarn__survey_put(file->survey, off, end,
					some == TARN_EXTENT_RESIDENT ? TARN_EXTENT_TOUCHED
								     : TARN_EXTENT_UNKNOWN);
	if (there == 0 || there >= pages)
		return tarn__survey_put(file->survey, off, end, there == 0 ? none : some);
	r = split(file, off, off + pages / 2 * file->page, some, none);
	return r != 0 ? r : split(file, off + pages / 2 * file->page, end, some, none);
}

/* Page by page; nothing is touched by mapping it. */
static int by_mincore(struct file *file, uint64_t off, uint64_t end)
{
	unsigned char there[MINCORE_PAGES];
	int r = 0;

	while (off < end && r == 0) {
		uint64_t pages = (end - off + file->page - 1) / file->page;
		size_t count = pages < MINCORE_PAGES ? (size_t)pages : MINCORE_PAGES;
		size_t size = count * (size_t)file->page;
		void *map;

		r = tarn__plat_mmap(NULL, size, PROT_READ, MAP_SHARED, file->object->fd, off, &map);
		if (r < 0)
			return r;
		r = tarn__plat_mincore(map, size, there);
		tarn__plat_munmap(map, size);
		if (r < 0)
			return tarn__survey_put(file->survey, off, end, TARN_EXTENT_TOUCHED);
		for (size_t i = 0; i < count && r == 0; i++, off += file->page)
			r = tarn__survey_put(
				file->survey, off, off + file->page < end ? off + file->page : end,
				(there[i] & 1) != 0 ? TARN_EXTENT_RESIDENT : TARN_EXTENT_SWAPPED);
	}
	return r;
}

static int put_data(struct file *file, uint64_t off, uint64_t end)
{
	if (file->counts)
		return split(file, off, end, TARN_EXTENT_RESIDENT, TARN_EXTENT_SWAPPED);
	if (file->no_swap)
		return tarn__survey_put(file->survey, off, end, TARN_EXTENT_RESIDENT);
	if (file->object->owned)
		return by_mincore(file, off, end);
	return tarn__survey_put(file->survey, off, end, TARN_EXTENT_TOUCHED);
}

static int put_hole(struct file *file, uint64_t off, uint64_t end)
{
	if (file->survey->segment->kind == TARN_SEGMENT_FILE)
		return tarn__survey_put(file->survey, off, end, TARN_EXTENT_HOLE);
	if (file->counts)
		return split(file, off, end, TARN_EXTENT_RESERVED, TARN_EXTENT_HOLE);
	return tarn__survey_put(file->survey, off, end,
				file->reserved ? TARN_EXTENT_RESERVED
				: file->unsure ? TARN_EXTENT_UNKNOWN
					       : TARN_EXTENT_HOLE);
}

/* Call the two with each stretch in order; NULL @sum: put them, else add up the data. */
static int each_stretch(struct file *file, uint64_t *sum)
{
	uint64_t size = file->survey->size, off = 0;
	int r = 0;

	while (off < size && r == 0) {
		int64_t at = tarn__plat_seek_data(file->object->fd, off);
		uint64_t data = at < 0 || (uint64_t)at > size ? size : (uint64_t)at;
		uint64_t end = size;

		if (at < 0 && at != -ENXIO)
			return (int)at;
		if (data > off && sum == NULL)
			r = put_hole(file, off, data);
		if (data < size) {
			at = tarn__plat_seek_hole(file->object->fd, data);
			if (at < 0 && at != -ENXIO)
				return (int)at;
			/* gone meanwhile: what follows is a hole */
			end = at <= (int64_t)data   ? data
			      : (uint64_t)at < size ? (uint64_t)at
						    : size;
			if (sum != NULL)
				*sum += end - data;
			else if (r == 0)
				r = put_data(file, data, end);
			end = end > data ? end : data + file->page;
			if (r == 0 && sum == NULL && at <= (int64_t)data)
				r = put_hole(file, data, end);
		}
		off = end;
	}
	return r;
}

static bool swaps_nothing(const struct tarn_host *host)
{
	char path[TARN__HOST_PATH + 16];
	uint64_t total, left;

	snprintf(path, sizeof(path), "%s/proc/meminfo", host->root);
	return tarn__read_field(path, "SwapTotal:", &total) == 0 &&
	       tarn__read_field(path, "SwapFree:", &left) == 0 && total == left;
}

static int survey_file(struct tarn__survey *survey, const struct tarn__object *object)
{
	struct file file = { .survey = survey, .object = object, .page = tarn__plat_page_size() };
	uint64_t there, data = 0;
	int r;

	file.counts = tarn__plat_cachestat(object->fd, 0, file.page, &there) == 0;
	if (!file.counts && survey->segment->kind != TARN_SEGMENT_FILE) {
		uint64_t held = (uint64_t)object->st.st_blocks * 512;

		file.no_swap = swaps_nothing(survey->host);
		r = each_stretch(&file, &data);
		if (r < 0)
			return r;
		data = (data + file.page - 1) / file.page * file.page;
		file.unsure = held > data;
		file.reserved = file.unsure && held >= survey->size;
	}
	return each_stretch(&file, NULL);
}

/* --- hugetlbfs ------------------------------------------------------------------------------- */

static int survey_huge(struct tarn__survey *survey, const struct tarn__object *object)
{
	uint64_t held = (uint64_t)object->st.st_blocks * 512;
	int r;

	if (held == 0 || held >= survey->size)
		return tarn__survey_put(survey, 0, survey->size,
					held == 0 ? TARN_EXTENT_HOLE : TARN_EXTENT_RESIDENT);
	r = tarn__survey_tables(survey, held);
	if (r == -EACCES || r == -ENOENT) /* nobody maps it who can be read */
		r = tarn__survey_put(survey, 0, survey->size, TARN_EXTENT_UNKNOWN);
	return r;
}

static int survey_object(struct tarn__survey *survey, const struct tarn__object *object)
{
	struct tarn_plat_fs fs = { 0 };
	bool sysv = survey->segment->kind == TARN_SEGMENT_SYSV;

	/* The kernel rounds up what System V asked for. */
	if (!sysv || (uint64_t)object->st.st_size < survey->size)
		survey->size = (uint64_t)object->st.st_size;
	(void)tarn__plat_fstatfs(object->fd, &fs);
	if ((uint32_t)fs.type == (uint32_t)HUGETLBFS_MAGIC) {
		survey->granule = fs.block_size;
		return survey_huge(survey, object);
	}
	return survey_file(survey, object);
}

/* --- System V that nobody has attached ------------------------------------------------------- */

/* Without the right to a descriptor: mincore() of the attachment. What is not in memory is a hole
 * if none of it is in swap. */
static int survey_attached(struct tarn__survey *survey, void *addr)
{
	enum tarn_host_extent_kind none =
		survey->segment->swap == 0 ? TARN_EXTENT_HOLE : TARN_EXTENT_UNKNOWN;
	unsigned char there[MINCORE_PAGES];
	uint64_t page = tarn__plat_page_size();
	uint64_t off = 0;
	int r = 0;

	while (off < survey->size && r == 0) {
		uint64_t pages = (survey->size - off + page - 1) / page;
		size_t count = pages < MINCORE_PAGES ? (size_t)pages : MINCORE_PAGES;

		r = tarn__plat_mincore((char *)addr + off, count * (size_t)page, there);
		if (r < 0)
			return r;
		for (size_t i = 0; i < count && r == 0; i++, off += page)
			r = tarn__survey_put(survey, off, off + page,
					     (there[i] & 1) != 0 ? TARN_EXTENT_RESIDENT : none);
	}
	return r;
}

static int attach_and_survey(struct tarn__survey *survey)
{
	struct tarn__object object;
	void *addr;
	int r = tarn__reach_attach(survey->host, survey->segment, &addr);

	if (r < 0)
		return r;
	r = tarn__reach_attached(survey->segment, addr, &object);
	if (r == 0) {
		r = survey_object(survey, &object);
		tarn__plat_close(object.fd);
	} else {
		r = survey_attached(survey, addr);
	}
	(void)tarn__plat_shmdt(addr);
	return r;
}

/* --- all ------------------------------------------------------------------------------------- */

/* "0" or "0-1,8" */
static void know_nodes(struct tarn__survey *survey)
{
	char path[TARN__HOST_PATH + 64], text[64];
	const char *p = text;
	uint64_t node;

	survey->node = -1;
	snprintf(path, sizeof(path), "%s/sys/devices/system/node/has_memory", survey->host->root);
	if (tarn__plat_read_text(path, text, sizeof(text)) <= 0 ||
	    !tarn__parse_number(&p, 10, &node))
		return;
	survey->nodes = *p == '-' || *p == ',';
	if (!survey->nodes && node <= INT32_MAX)
		survey->node = (int32_t)node;
}

static int survey_all(struct tarn__survey *survey)
{
	const struct tarn_host_segment *segment = survey->segment;
	struct tarn__object object;
	uint64_t in_memory = TARN_HOST_UNKNOWN;
	int r = tarn__reach(survey->host, segment, &object), tried;

	if (r == 0) {
		r = survey_object(survey, &object);
		tarn__plat_close(object.fd);
		return r;
	}
	if (r == -EMFILE || r == -ENOMEM || r == -EAGAIN || segment->size == TARN_HOST_UNKNOWN)
		return r;
	if (!tarn__is_secret(segment) && segment->touched != TARN_HOST_UNKNOWN &&
	    segment->swap == 0)
		in_memory = segment->touched;
	tried = tarn__survey_tables(survey, in_memory);
	if (tried == -EACCES || tried == -ENOENT) {
		r = tarn__graver(r, tried);
		tried = attach_and_survey(survey);
	}
	return tried == -EOPNOTSUPP ? r : tried;
}

static int explain(const struct tarn_host_segment *segment, int r, struct tarn_diag *diag)
{
	if (r == -EACCES) {
		tarn__diag(diag, r, "%.200s: it may not be looked into", segment->addr);
		tarn__diag_hint(diag, "be root, or the user who owns it");
	} else if (r == -ENOENT) {
		tarn__diag(diag, r, "%.200s: it is gone", segment->addr);
	}
	return r;
}

int tarn_host_extents(const struct tarn_host *host, const struct tarn_host_segment *segment,
		      int (*fn)(const struct tarn_host_extent *extent, void *arg), void *arg,
		      struct tarn_diag *diag)
{
	struct tarn__survey survey = {
		.host = host,
		.segment = segment,
		.fn = fn,
		.arg = arg,
		.size = segment->size,
		.granule = segment->page_size != 0 ? segment->page_size : tarn__plat_page_size(),
	};
	int r;

	know_nodes(&survey);
	r = survey_all(&survey);
	if (r == 0)
		r = hand_over(&survey);
	tarn__views_free(&survey.views);
	tarn__pagemap_close(&survey.pagemap);
	return r < 0 ? explain(segment, r, diag) : r;
}
