/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * pages.c - the pages of a segment as each process has them: which are in its page table, and with
 * the right to see it, in which frame of memory.
 *
 * Two processes whose pages have one frame share that memory, whatever their addresses. A block of
 * pages is read of all mappings, then handed over page by page, so that one page's rows stand
 * together. Of huge pages each base page within has a frame of its own.
 */
#include <stdlib.h>

#include "host/reach.h"

enum {
	BLOCK_MAX = 4096,     /* pages read at once, of one mapping ... */
	ENTRIES_MAX = 262144, /* ... and of all together, unless that is less than ... */
	BLOCK_MIN = 16,
};

struct paging {
	const struct tarn_host *host;
	int (*fn)(const struct tarn_host_page *page, void *arg);
	void *arg;
	uint64_t page;
	struct tarn__views views;
	struct tarn__pagemap pagemap;
	uint32_t block;    /* pages */
	uint64_t *entries; /* block of each view */
	uint32_t read, denied;
};

/* The entries that @view has of the @count pages from @off on. Pages that it has not keep what was
 * there. Return: 1, 0 where it has none, or an error. */
static int read_view(struct paging *paging, const struct tarn__view *view, uint64_t off,
		     uint32_t count, uint64_t *ret_entries)
{
	uint64_t end = off + count * paging->page;
	uint64_t from = view->off > off ? view->off : off;
	uint64_t to = view->off + view->size < end ? view->off + view->size : end;

	if (from >= to)
		return 0;

	int r = tarn__pagemap(paging->host, &paging->pagemap, view->process->pid,
			      view->address + (from - view->off),
			      (uint32_t)((to - from) / paging->page),
			      ret_entries + (from - off) / paging->page);

	return r < 0 ? r : 1;
}

/* Of a page that its view has not, or that could not be read; the kernel never sets all bits. */
#define NO_ENTRY UINT64_MAX

static int read_block(struct paging *paging, uint64_t off, uint32_t count)
{
	for (uint32_t v = 0; v < paging->views.count; v++) {
		uint64_t *entries = paging->entries + (size_t)v * paging->block;
		int r;

		for (uint32_t i = 0; i < count; i++)
			entries[i] = NO_ENTRY;
		r = read_view(paging, &paging->views.at[v], off, count, entries);
		if (r == -EMFILE || r == -ENOMEM)
			return r;
		if (r < 0)
			for (uint32_t i = 0; i < count; i++)
				entries[i] = NO_ENTRY;
		paging->read += r > 0;
		paging->denied += r == -EACCES;
	}
	return 0;
}

static int hand_over(const struct paging *paging, const struct tarn__view *view, uint64_t off,
		     uint64_t entry)
{
	bool present = (entry & TARN__PAGE_PRESENT) != 0;
	bool swapped = (entry & TARN__PAGE_SWAPPED) != 0;
	uint64_t frame = present ? entry & TARN__PAGE_FRAME : 0;
	struct tarn_host_page page = {
		.off = off,
		.address = view->address + (off - view->off),
		.frame = frame != 0 ? frame : TARN_HOST_UNKNOWN,
		.process = view->process,
		.present = present,
		.swapped = swapped,
		.copied = (present || swapped) && (entry & TARN__PAGE_FILE) == 0,
	};

	return paging->fn(&page, paging->arg);
}

static int go_through(struct paging *paging, uint64_t off, uint64_t end)
{
	int r = 0;

	while (off < end && r == 0) {
		uint64_t left = (end - off + paging->page - 1) / paging->page;
		uint32_t count = left < paging->block ? (uint32_t)left : paging->block;

		r = read_block(paging, off, count);
		for (uint32_t i = 0; i < count && r == 0; i++, off += paging->page) {
			for (uint32_t v = 0; v < paging->views.count && r == 0; v++) {
				uint64_t entry = paging->entries[(size_t)v * paging->block + i];

				if (entry != NO_ENTRY)
					r = hand_over(paging, &paging->views.at[v], off, entry);
			}
		}
	}
	return r;
}

static int prepare(struct paging *paging)
{
	uint32_t count = paging->views.count, block = BLOCK_MAX;

	if (count == 0)
		return paging->views.denied > 0 ? -EACCES : -ENOENT;
	if (block > ENTRIES_MAX / count)
		block = ENTRIES_MAX / count;
	paging->block = block > BLOCK_MIN ? block : BLOCK_MIN;
	paging->entries = malloc((size_t)count * paging->block * sizeof(uint64_t));
	return paging->entries != NULL ? 0 : -ENOMEM;
}

static int explain(const struct tarn_host_segment *segment, int r, struct tarn_diag *diag)
{
	if (r == -ENOENT)
		tarn__diag(diag, r, "%.200s: nobody has it mapped", segment->addr);
	if (r == -EACCES) {
		tarn__diag(diag, r, "%.200s: who has it mapped may not be looked into",
			   segment->addr);
		tarn__diag_hint(diag, "be root, or the user that they run as");
	}
	return r;
}

int tarn_host_pages(const struct tarn_host *host, const struct tarn_host_segment *segment,
		    uint64_t off, uint64_t size,
		    int (*fn)(const struct tarn_host_page *page, void *arg), void *arg,
		    struct tarn_diag *diag)
{
	struct paging paging = {
		.host = host, .fn = fn, .arg = arg, .page = tarn__plat_page_size()
	};
	int r;

	if (off % paging.page != 0 || off > segment->size || size > segment->size - off)
		return tarn__diag(diag, -EINVAL,
				  "the range of pages begins off a page or ends beyond the end");
	if (size == 0)
		size = segment->size - off;
	r = tarn__views(host, segment, &paging.views);
	if (r == 0)
		r = prepare(&paging);
	if (r == 0)
		r = go_through(&paging, off, off + size);
	if (r == 0 && paging.read == 0 && size > 0)
		r = paging.denied > 0 || paging.views.denied > 0 ? -EACCES : 0;
	free(paging.entries);
	tarn__pagemap_close(&paging.pagemap);
	tarn__views_free(&paging.views);
	return r < 0 ? explain(segment, r, diag) : r;
}
