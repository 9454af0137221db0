/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tables.c - what the page tables of those who map a segment say of it. See survey.h.
 *
 * A page that is in a table is in memory. One that is in none may be a hole, or in memory unmapped,
 * or in swap: only where it is known how much is in memory, and that much was seen, is it a hole.
 */
#include <string.h>

#include "host/survey.h"

enum {
	WINDOW = 16384, /* granules looked at together */
	BATCH = 512,    /* entries read at once */
};

static int look_for_views(struct tarn__survey *survey)
{
	if (survey->viewed)
		return 0;
	survey->viewed = true;
	return tarn__views(survey->host, survey->segment, &survey->views);
}

/* The address at which @view has the granule at @off. False: it has not. */
static bool address_in(const struct tarn__view *view, uint64_t off, uint64_t *ret_addr)
{
	if (off < view->off || off - view->off >= view->size)
		return false;
	*ret_addr = view->address + (off - view->off);
	return true;
}

static bool is_there(uint64_t entry)
{
	return (entry & TARN__PAGE_PRESENT) != 0 && (entry & TARN__PAGE_FILE) != 0;
}

/* The part of @view in the @count granules from @off on: [*ret_first, *ret_end). */
static bool overlap(const struct tarn__survey *survey, const struct tarn__view *view, uint64_t off,
		    uint32_t count, uint32_t *ret_first, uint32_t *ret_end)
{
	uint64_t granule = survey->granule;
	uint64_t end = view->off + view->size;
	uint64_t first = view->off > off ? (view->off - off + granule - 1) / granule : 0;
	uint64_t last = end > off ? (end - off) / granule : 0;

	if (first >= count || first >= last)
		return false;
	*ret_first = (uint32_t)first;
	*ret_end = last < count ? (uint32_t)last : count;
	return true;
}

/* Mark what is in the table behind @view of the @count granules from @off on. Return: 1, 0 where it
 * has none of them, or an error. */
static int mark(struct tarn__survey *survey, const struct tarn__view *view, uint64_t off,
		uint32_t count, bool *seen)
{
	bool base = survey->granule == tarn__plat_page_size();
	uint64_t entries[BATCH], addr;
	uint32_t i, end;

	if (!overlap(survey, view, off, count, &i, &end))
		return 0;
	while (i < end && address_in(view, off + i * survey->granule, &addr)) {
		uint32_t n = base ? BATCH : 1; /* of a huge page the first stands for all */
		int r;

		n = n < end - i ? n : end - i;
		r = tarn__pagemap(survey->host, &survey->pagemap, view->process->pid, addr, n,
				  entries);
		if (r < 0)
			return r;
		for (uint32_t k = 0; k < n; k++)
			seen[i + k] |= is_there(entries[k]);
		i += n;
	}
	return 1;
}

/* Which of the granules of a window are in a table. *@read: some table could be read; *@denied:
 * one could not. */
static int look_at_window(struct tarn__survey *survey, uint64_t off, uint32_t count, bool *seen,
			  bool *read, bool *denied)
{
	memset(seen, 0, count * sizeof(*seen));
	for (uint32_t i = 0; i < survey->views.count; i++) {
		int r = mark(survey, &survey->views.at[i], off, count, seen);

		if (r == -EMFILE || r == -ENOMEM)
			return r;
		*read |= r > 0;
		*denied |= r == -EACCES;
	}
	return 0;
}

struct pass {
	uint64_t found; /* bytes seen in tables, by the first pass */
	bool put;       /* the second */
	enum tarn_host_extent_kind rest;
	bool read, denied;
};

static int go_through(struct tarn__survey *survey, struct pass *pass)
{
	bool seen[WINDOW];
	uint64_t off = 0;
	int r = 0;

	while (off < survey->size && r == 0) {
		uint64_t left = (survey->size - off + survey->granule - 1) / survey->granule;
		uint32_t count = left < WINDOW ? (uint32_t)left : WINDOW;

		r = look_at_window(survey, off, count, seen, &pass->read, &pass->denied);
		for (uint32_t i = 0; i < count && r == 0; i++, off += survey->granule) {
			if (pass->put)
				r = tarn__survey_put(survey, off, off + survey->granule,
						     seen[i] ? TARN_EXTENT_RESIDENT : pass->rest);
			else
				pass->found += seen[i] ? survey->granule : 0;
		}
	}
	return r;
}

int tarn__survey_tables(struct tarn__survey *survey, uint64_t in_memory)
{
	struct pass pass = { .rest = TARN_EXTENT_UNKNOWN };
	int r = look_for_views(survey);

	if (r < 0)
		return r;
	if (survey->views.count == 0)
		return survey->views.denied > 0 ? -EACCES : -ENOENT;
	r = go_through(survey, &pass);
	if (r < 0)
		return r;
	if (!pass.read)
		return pass.denied ? -EACCES : -ENOENT;
	if (in_memory != TARN_HOST_UNKNOWN && pass.found >= in_memory)
		pass.rest = TARN_EXTENT_HOLE;
	pass.put = true;
	return go_through(survey, &pass);
}

/* --- nodes ----------------------------------------------------------------------------------- */

static void ask_view(struct tarn__survey *survey, const struct tarn__view *view, uint64_t off,
		     uint32_t count, int32_t *ret_nodes)
{
	int32_t nodes[BATCH];
	uint64_t addr;
	uint32_t i, end;

	if (!overlap(survey, view, off, count, &i, &end) ||
	    !address_in(view, off + i * survey->granule, &addr) || end - i > BATCH ||
	    tarn__plat_nodes_in(view->process->pid, addr, survey->granule, end - i, nodes) < 0)
		return;
	for (uint32_t k = i; k < end; k++)
		if (ret_nodes[k] < 0 && nodes[k - i] >= 0)
			ret_nodes[k] = nodes[k - i];
}

void tarn__survey_nodes(struct tarn__survey *survey, uint64_t off, uint32_t count,
			int32_t *ret_nodes)
{
	for (uint32_t i = 0; i < count; i++)
		ret_nodes[i] = -1;
	if (survey->host->pids_foreign || look_for_views(survey) < 0)
		return;
	for (uint32_t i = 0; i < survey->views.count; i++)
		ask_view(survey, &survey->views.at[i], off, count, ret_nodes);
}
