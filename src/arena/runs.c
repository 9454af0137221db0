/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * runs.c - runs of pages: find, take, give back, and the lists they stand in.
 *
 * Pages are taken from the end of a free run, so that what remains keeps its place and, mostly, its
 * bin. A run that is given back is joined with free neighbours (A4). Lists are rings: the
 * neighbours of a run are checked to name it before it is taken out, so a bent link is found
 * before it is followed any further.
 *
 * Everything that is found damaged makes the tx fail: it will be undone, whatever was stored.
 */
#include "arena/arena.h"

/* --- lists ----------------------------------------------------------------------------------- */

/* The run at @page, which must be of @kind. */
static bool node_at(struct tarn_arena *arena, uint32_t page, uint32_t kind, struct run *ret_run)
{
	return run_at(arena, page, ret_run) && info_kind(ret_run->info) == kind;
}

void tarn__list_add(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t *list, uint32_t kind,
		    uint32_t page)
{
	struct run first, last, node;
	uint32_t head = load32(list);
	uint64_t link;

	if (!run_at(arena, page, &node)) {
		(void)tx_fail(tx, -EUCLEAN);
		return;
	}
	if (head == 0) {
		tarn_tx_set64(tx, &node.meta->link, link_of(page, page));
		tarn_tx_set32(tx, list, page);
		return;
	}
	if (!node_at(arena, head, kind, &first) || head == page) {
		(void)tx_fail(tx, -EUCLEAN);
		return;
	}
	link = load64(&first.meta->link);
	if (!node_at(arena, link_prev(link), kind, &last) ||
	    link_next(load64(&last.meta->link)) != head || last.page == page) {
		(void)tx_fail(tx, -EUCLEAN);
		return;
	}
	tarn_tx_set64(tx, &node.meta->link, link_of(head, last.page));
	if (last.page == head) {
		tarn_tx_set64(tx, &first.meta->link, link_of(page, page));
	} else {
		tarn_tx_set64(tx, &last.meta->link,
			      link_of(page, link_prev(load64(&last.meta->link))));
		tarn_tx_set64(tx, &first.meta->link, link_of(link_next(link), page));
	}
	tarn_tx_set32(tx, list, page);
}

void tarn__list_del(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t *list, uint32_t kind,
		    uint32_t page)
{
	struct run node, next, prev;
	uint32_t head = load32(list);
	uint64_t link;

	if (head == 0 || !node_at(arena, page, kind, &node)) {
		(void)tx_fail(tx, -EUCLEAN);
		return;
	}
	link = load64(&node.meta->link);
	if (!node_at(arena, link_next(link), kind, &next) ||
	    !node_at(arena, link_prev(link), kind, &prev) ||
	    link_prev(load64(&next.meta->link)) != page ||
	    link_next(load64(&prev.meta->link)) != page ||
	    (next.page == page) != (prev.page == page) || (next.page == page && head != page)) {
		(void)tx_fail(tx, -EUCLEAN);
		return;
	}
	if (next.page == page) {
		tarn_tx_set32(tx, list, 0);
		return;
	}
	if (next.page == prev.page) {
		tarn_tx_set64(tx, &next.meta->link, link_of(next.page, next.page));
	} else {
		tarn_tx_set64(tx, &next.meta->link,
			      link_of(link_next(load64(&next.meta->link)), prev.page));
		tarn_tx_set64(tx, &prev.meta->link,
			      link_of(next.page, link_prev(load64(&prev.meta->link))));
	}
	if (head == page)
		tarn_tx_set32(tx, list, next.page);
}

uint32_t tarn__list_last(struct tarn_arena *arena, const uint32_t *list, uint32_t kind)
{
	struct run first, last;
	uint32_t head = load32(list);

	if (head == 0 || !node_at(arena, head, kind, &first) ||
	    !node_at(arena, link_prev(load64(&first.meta->link)), kind, &last))
		return 0;
	return last.page;
}

/* --- bins ------------------------------------------------------------------------------------ */

/* Runs of 1 to 32 pages have a bin each; then there are two to the doubling. */
uint32_t tarn__bin_of(uint32_t len)
{
	uint32_t log, bin;

	if (len <= 32)
		return len - 1;
	log = 31 - (uint32_t)__builtin_clz(len);
	bin = 32 + (log - 5) * 2 + (len >> (log - 1) & 1);
	return bin < BINS ? bin : BINS - 1;
}

static uint32_t *bin_list(struct tarn_arena *arena, uint32_t len)
{
	return &arena->shm->bins[tarn__bin_of(len)];
}

/* A run is free from now on, or has another length: put it in its bin. */
static void put_free(struct tarn_arena *arena, struct tarn_tx *tx, struct meta_shm *meta,
		     uint32_t page, uint32_t len)
{
	tarn_tx_set64(tx, &meta->info, info_of(KIND_FREE, 0, 0, len));
	tarn__list_add(arena, tx, bin_list(arena, len), KIND_FREE, page);
}

/* The free run has another length from now on. */
static void resize_free(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run,
			uint32_t len)
{
	bool moves = tarn__bin_of(run_len(run)) != tarn__bin_of(len);

	if (moves)
		tarn__list_del(arena, tx, bin_list(arena, run_len(run)), KIND_FREE, run->page);
	tarn_tx_set64(tx, &run->meta->info, info_of(KIND_FREE, 0, 0, len));
	if (moves)
		tarn__list_add(arena, tx, bin_list(arena, len), KIND_FREE, run->page);
}

void tarn__head_set(struct tarn_tx *tx, const struct span *span, uint32_t page, bool on)
{
	uint32_t at = page - span_first(span);
	uint64_t *word = &span->heads[at / 64], bit = UINT64_C(1) << (at % 64);
	uint64_t old = load64(word);

	tarn_tx_set64(tx, word, on ? old | bit : old & ~bit);
}

/* --- find ------------------------------------------------------------------------------------ */

/* The first run in @bin that has @len pages and not the mark @but (0: any). 1, 0 or -EUCLEAN. */
static int search_bin(struct tarn_arena *arena, uint32_t bin, uint32_t len, uint32_t but,
		      uint32_t *steps, struct run *ret_run)
{
	uint32_t head = load32(&arena->shm->bins[bin]), page = head;

	if (head == 0)
		return 0;
	do {
		if (!node_at(arena, page, KIND_FREE, ret_run) ||
		    tarn__bin_of(run_len(ret_run)) != bin || (*steps)-- == 0)
			return -EUCLEAN;
		if (run_len(ret_run) >= len && (but == 0 || load32(&ret_run->meta->mark) != but))
			return 1;
		page = link_next(load64(&ret_run->meta->link));
	} while (page != head);
	return 0;
}

static int search(struct tarn_arena *arena, uint32_t len, uint32_t but, struct run *ret_run)
{
	uint32_t steps = 0;
	int r = 0;

	/* no list is longer than the arena has pages: those that were checked, for what its word
	 * pages says may be anything */
	for (uint32_t i = 0; i < span_count(arena); i++)
		steps += span_pages(&arena->spans[i]);
	for (uint32_t bin = tarn__bin_of(len); bin < BINS && r == 0; bin++)
		r = search_bin(arena, bin, len, but, &steps, ret_run);
	return r;
}

int tarn__run_look(struct tarn_arena *arena, uint32_t len)
{
	struct run run;

	return search(arena, len, 0, &run);
}

/* Take @len pages from the end of the free run @run. */
static uint32_t carve(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run,
		      uint32_t len)
{
	uint32_t rest = run_len(run) - len, page = run->page + rest;

	if (rest == 0) {
		tarn__list_del(arena, tx, bin_list(arena, len), KIND_FREE, page);
		return page;
	}
	resize_free(arena, tx, run, rest);
	/* It was no head before, so nobody reads the meta; mark is never logged. */
	run->meta[rest].mark = load32(&run->meta->mark);
	tarn__head_set(tx, run->span, page, true);
	return page;
}

/* A run that the tx has freed something in, for want of another: an abort may need its bytes. */
static int take_logged(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t len,
		       uint32_t *ret_page)
{
	struct run run;
	int r = search(arena, len, 0, &run);
	uint64_t units = (uint64_t)len * (PAGE / SECTION_UNIT) + 1;

	if (r < 0)
		return tx_fail(tx, r);
	if (r == 0 || units + TARN_ARENA_UNITS > tx_room(tx))
		return -ENOMEM;
	*ret_page = carve(arena, tx, &run, len);
	if (tx_result(tx) < 0)
		return tx_result(tx);
	return tarn_tx_log(tx, page_data(arena, *ret_page), (size_t)len * PAGE);
}

/* No run is long enough: give empty slabs back, then grow. 0: look again. */
static int make_room(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t len, int *dropped)
{
	enum { DROPS = 2 }; /* before growing: the journal is not for one call alone */
	bool room = tx_room(tx) >= 2 * TARN_ARENA_UNITS;
	int r, dropped_now;

	if (room && (*dropped)++ < DROPS) {
		r = tarn__slab_drop_empty(arena, tx);
		if (r != 0)
			return r < 0 ? r : 0;
	}
	r = tarn__arena_grow(arena, tx, len);
	if (!is_full(r) || !room)
		return r;
	dropped_now = tarn__slab_drop_empty(arena, tx);
	return dropped_now == 0 ? r : dropped_now < 0 ? dropped_now : 0;
}

int tarn__run_take(struct tarn_arena *arena, struct tarn_tx *tx, uint32_t len, bool fresh,
		   uint32_t *ret_page)
{
	struct run run;
	int r, dropped = 0;

	for (;;) {
		r = search(arena, len, fresh ? mark_of(tx) : 0, &run);
		if (r < 0)
			return tx_fail(tx, r);
		if (r == 1)
			break;
		r = make_room(arena, tx, len, &dropped);
		if (is_full(r) && fresh) {
			int logged = take_logged(arena, tx, len, ret_page);

			return logged == -ENOMEM ? r : logged;
		}
		if (r < 0)
			return r;
	}
	*ret_page = carve(arena, tx, &run, len);
	return tx_result(tx);
}

/* --- release --------------------------------------------------------------------------------- */

bool tarn__run_around(struct tarn_arena *arena, uint32_t page, struct run *ret_run)
{
	struct span *span = span_at(arena, page);
	uint32_t at, word;
	uint64_t bits;

	if (span == NULL)
		return false;
	at = page - span_first(span);
	word = at / 64;
	bits = load64(&span->heads[word]) & (UINT64_MAX >> (63 - at % 64));
	while (bits == 0 && word > 0)
		bits = load64(&span->heads[--word]);
	if (bits == 0)
		return false;
	at = word * 64 + 63 - (uint32_t)__builtin_clzll(bits);
	return run_at(arena, span_first(span) + at, ret_run) &&
	       page - ret_run->page < run_len(ret_run);
}

/* Join what lies behind, if it is free; the length of both. */
static uint32_t join_next(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run)
{
	uint32_t len = run_len(run), page = run->page + len;
	struct run next;

	if (page - span_first(run->span) == span_pages(run->span))
		return len;
	if (!run_at(arena, page, &next)) {
		(void)tx_fail(tx, -EUCLEAN); /* A3 */
		return len;
	}
	if (info_kind(next.info) != KIND_FREE)
		return len;
	tarn__list_del(arena, tx, bin_list(arena, run_len(&next)), KIND_FREE, page);
	tarn__head_set(tx, next.span, page, false);
	return len + run_len(&next);
}

void tarn__run_release(struct tarn_arena *arena, struct tarn_tx *tx, const struct run *run)
{
	uint32_t len = join_next(arena, tx, run);
	struct run prev;

	if (run->page == span_first(run->span)) {
		put_free(arena, tx, run->meta, run->page, len);
		run->meta->mark = mark_of(tx);
		return;
	}
	if (!tarn__run_around(arena, run->page - 1, &prev) || prev.span != run->span ||
	    run_len(&prev) != run->page - prev.page) {
		(void)tx_fail(tx, -EUCLEAN); /* A3 */
		return;
	}
	if (info_kind(prev.info) == KIND_FREE) {
		resize_free(arena, tx, &prev, run_len(&prev) + len);
		tarn__head_set(tx, run->span, run->page, false);
		prev.meta->mark = mark_of(tx);
		return;
	}
	put_free(arena, tx, run->meta, run->page, len);
	run->meta->mark = mark_of(tx);
}
