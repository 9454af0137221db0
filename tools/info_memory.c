/* SPDX-License-Identifier: BSD-2-Clause */
/* info_memory.c - what of a segment is in memory, on which nodes, in which frames. See info.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "info.h"

static const struct out_col node_cols[] = {
	{ "node", "NODE", OUT_COUNT, "NUMA node; null: not known", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "how much of it lies there", false },
	{ 0 },
};
const struct out_list info_node_list = { "nodes", node_cols };

static const struct out_col extent_cols[] = {
	{ "offset_bytes", "OFFSET", OUT_OFFSET, "of its first byte, in the segment", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "its length", false },
	{ "extent", "EXTENT", OUT_TEXT,
	  "resident: in memory; swapped: has contents, not in memory; reserved: memory is set "
	  "aside; hole: takes no memory; touched: has contents, where is not known; unknown: "
	  "perhaps a hole",
	  false },
	{ "node", "NODE", OUT_SIGNED, "NUMA node of what is in memory; null: not known", false },
	{ 0 },
};
const struct out_list info_extent_list = { "extents", extent_cols };

static const struct out_col frame_cols[] = {
	{ "offset_bytes", "OFFSET", OUT_OFFSET, "of the page, in the segment", false },
	{ "frame", "FRAME", OUT_HEX,
	  "number of the page of physical memory that holds it; equal in two processes: they "
	  "share it. null: this user may not see it, or it is swapped out",
	  false },
	{ "pid", "PID", OUT_SIGNED, "process that has touched it", false },
	{ "command", "COMMAND", OUT_TEXT, "name of its program", false },
	{ "address", "ADDRESS", OUT_HEX, "virtual address at which the process has it", false },
	{ "page", "PAGE", OUT_TEXT,
	  "shared; copied: its own copy, made by a copy-on-write mapping; swapped: that copy in "
	  "swap",
	  false },
	{ 0 },
};
const struct out_list info_frame_list = { "frames", frame_cols };

static const char *extent_word(uint32_t kind)
{
	static const char *const words[] = { "unknown", "resident", "swapped", "reserved",
					     "hole",    "touched",  "unknown" };

	return words[kind <= TARN_EXTENT_UNKNOWN ? kind : 0];
}

/* The part of @extent in the range at hand; false: none. */
static bool within(const struct info *info, const struct tarn_host_extent *extent,
		   uint64_t *ret_off, uint64_t *ret_end)
{
	uint64_t end = extent->off + extent->size;

	*ret_off = extent->off > info->off ? extent->off : info->off;
	*ret_end = end < info->end ? end : info->end;
	return *ret_off < *ret_end;
}

static int add_extent(const struct tarn_host_extent *extent, void *arg)
{
	struct info *info = arg;
	struct info_sums *sums = &info->sums;
	uint64_t off, end;

	if (!within(info, extent, &off, &end))
		return 0;
	if (extent->kind <= TARN_EXTENT_UNKNOWN)
		sums->bytes[extent->kind] += end - off;
	sums->stretches += extent->kind == TARN_EXTENT_RESIDENT ||
			   extent->kind == TARN_EXTENT_SWAPPED ||
			   extent->kind == TARN_EXTENT_TOUCHED;
	if (extent->kind != TARN_EXTENT_RESIDENT)
		return 0;
	if (extent->node >= 0 && extent->node < INFO_NODES)
		sums->node[extent->node] += end - off;
	else
		sums->node_unknown += end - off;
	return 0;
}

int info_survey(struct info *info)
{
	const struct tarn_host_segment *segment = info->target.segment;
	int r;

	/* Looking into it would attach it, which its times and its last pid would show: evidence of
	 * who used it last. Only where that is asked for. */
	if (segment->kind == TARN_SEGMENT_SYSV && segment->process_count == 0 && !info->extents)
		return 0;
	r = tarn_host_extents(info->host, segment, add_extent, info, &info->cli->diag);
	info->sums.known = r == 0;
	return r;
}

void info_nodes(struct info *info)
{
	struct out *out = &info->out;

	out_list(out, &info_node_list);
	for (unsigned i = 0; i < INFO_NODES; i++) {
		if (info->sums.node[i] == 0)
			continue;
		out_row(out);
		out_number(out, "node", i);
		out_number(out, "size_bytes", info->sums.node[i]);
	}
	if (info->sums.node_unknown > 0) {
		out_row(out);
		out_number(out, "size_bytes", info->sums.node_unknown);
	}
}

/* --- extents ------------------------------------------------------------------------------- */

static int put_extent(const struct tarn_host_extent *extent, void *arg)
{
	struct info *info = arg;
	struct out *out = &info->out;
	uint64_t off, end;

	if (!within(info, extent, &off, &end))
		return 0;
	out_row(out);
	out_number(out, "offset_bytes", off);
	out_number(out, "size_bytes", end - off);
	out_text(out, "extent", extent_word(extent->kind));
	out_number_if(out, "node", (uint64_t)extent->node, extent->node >= 0);
	return 0;
}

int info_extents(struct info *info)
{
	out_list(&info->out, &info_extent_list);
	return tarn_host_extents(info->host, info->target.segment, put_extent, info,
				 &info->cli->diag);
}

/* --- frames -------------------------------------------------------------------------------- */

struct paging {
	struct info *info;
	uint64_t off;      /* of the last page shown; UINT64_MAX = none yet */
	uint64_t pages;    /* shown */
	uint64_t unknown;  /* rows without a frame */
	uint64_t together; /* pages that two have, ... */
	uint64_t one;      /* ... of these with one frame in all */
	uint64_t frame;    /* of the page at hand; UNKNOWN = none, or not to be seen */
	uint32_t rows;     /* of the page at hand, of those that share it */
	bool differ;
	bool cut;
	int error;
};

static void end_page(struct paging *paging)
{
	paging->together += paging->rows > 1;
	paging->one += paging->rows > 1 && !paging->differ && paging->frame != TARN_HOST_UNKNOWN;
	paging->rows = 0;
	paging->differ = false;
	paging->frame = TARN_HOST_UNKNOWN;
}

static int put_page(const struct tarn_host_page *page, void *arg)
{
	struct paging *paging = arg;
	struct out *out = &paging->info->out;

	if (!page->present && !page->swapped)
		return 0;
	if (page->off != paging->off) {
		end_page(paging);
		paging->cut = !paging->info->all && paging->pages >= INFO_PAGES;
		if (paging->cut)
			return 1;
		paging->off = page->off;
		paging->pages++;
	}
	if (!page->copied) {
		paging->differ |= paging->rows > 0 && page->frame != paging->frame;
		paging->frame = page->frame;
		paging->rows++;
	}
	paging->unknown += page->present && page->frame == TARN_HOST_UNKNOWN;
	out_row(out);
	out_number(out, "offset_bytes", page->off);
	out_number_if(out, "frame", page->frame, page->frame != TARN_HOST_UNKNOWN);
	out_number(out, "pid", (uint64_t)page->process->pid);
	out_text(out, "command", page->process->command);
	out_number(out, "address", page->address);
	out_text(out, "page", page->swapped ? "swapped" : page->copied ? "copied" : "shared");
	return 0;
}

/* Holes are nobody's: a large sparse segment is gone through by what it has. */
static int put_pages_of(const struct tarn_host_extent *extent, void *arg)
{
	struct paging *paging = arg;
	struct info *info = paging->info;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), off, end;

	if (extent->kind == TARN_EXTENT_HOLE || extent->kind == TARN_EXTENT_RESERVED ||
	    !within(info, extent, &off, &end))
		return 0;
	off = off / page * page;
	/* two objects may lie in one page, which then is not shown twice */
	if (paging->off != UINT64_MAX && off <= paging->off)
		off = paging->off + page;
	if (off >= end)
		return 0;
	paging->error = tarn_host_pages(info->host, info->target.segment, off, end - off, put_page,
					paging, &info->cli->diag);
	return paging->error;
}

static void tell_frames(const struct paging *paging)
{
	struct cli *cli = paging->info->cli;

	if (paging->info->out.as_json)
		return;
	if (paging->cut)
		cli_note(cli,
			 "%s: the first %d touched pages are shown; --all shows the others, "
			 "--offset begins further on",
			 paging->info->name, INFO_PAGES);
	if (paging->together > 0 && paging->one == paging->together)
		cli_note(cli,
			 "%s: each page that several have is one frame: one memory at several "
			 "addresses",
			 paging->info->name);
}

int info_frames(struct info *info)
{
	struct paging paging = { .info = info, .off = UINT64_MAX, .frame = TARN_HOST_UNKNOWN };
	int r;

	out_list(&info->out, &info_frame_list);
	r = tarn_host_extents(info->host, info->target.segment, put_pages_of, &paging,
			      &info->cli->diag);
	end_page(&paging);
	out_list_end(&info->out);
	if (paging.error < 0)
		r = paging.error;
	if (r == -ENOENT) {
		info->cli->diag = (struct tarn_diag){ 0 };
		r = 0; /* nobody has it mapped: there is no row */
	}
	if (r < 0)
		return r;
	tell_frames(&paging);
	info->lacking |= paging.unknown > 0;
	if (paging.unknown > 0)
		out_partial(
			&info->out, 1,
			"frame numbers need CAP_SYS_ADMIN: run it as root, outside of containers");
	return 0;
}
