/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn_region.c - see tarn_region.h. */
#include <unistd.h>

#include "tarn_region.h"

static int region_fd = -1;
static struct tarn_region *joined;

static uint32_t pages_of(const struct bench *b)
{
	static const uint32_t pages[] = { TARN_PAGES_DEFAULT, TARN_PAGES_THP, TARN_PAGES_2M };

	return pages[b->cell->pages];
}

void tarn_region_make(struct bench *b, size_t size)
{
	struct tarn_diag diag = { 0 };
	struct tarn_region_opts opts = {
		.size = size,
		.flags = TARN_SEGMENT_POPULATE |
			 (b->cell->pages != BENCH_4K ? TARN_SEGMENT_PAGES_MUST : 0),
		.pages = pages_of(b),
		.diag = &diag,
	};
	struct tarn_region *made;
	int r = tarn_region_create("memfd:tarn-bench", &opts, &made);

	if (r < 0)
		bench_fail(b, diag.what[0] != '\0' ? diag.what : "tarn_region_create",
			   diag.what[0] != '\0' ? 0 : r);
	region_fd = dup(tarn_segment_fd(tarn_region_segment(made)));
	if (region_fd < 0)
		bench_fail(b, "dup", errno);
	tarn_region_close(made);
}

struct tarn_region *tarn_region_join(struct bench *b)
{
	struct tarn_region_opts opts = { .flags = TARN_SEGMENT_POPULATE, .pages = pages_of(b) };

	tarn_must(b, "tarn_region_open_fd", tarn_region_open_fd(region_fd, &opts, &joined));
	if (b->cell->pages == BENCH_THP)
		bench_must_be_huge(b, tarn_segment_data(tarn_region_segment(joined)));
	return joined;
}

void tarn_region_leave(void)
{
	tarn_region_close(joined);
	close(region_fd);
}
