/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tx.c - one pass through a section: enter, logged stores, commit, abort.
 *
 * The fast paths are the first lines of tarn_section_enter() and tarn_section_leave(), and the
 * stores of <tarn/section.h>, which see only pub: a limit of 0 sends them here. A tx that was
 * refused a store goes on refusing, and is undone when it is left.
 *
 *     take()     the lock is ours
 *     start()    seq odd: from now on the journal, which is empty, counts
 *     stores     entry, count, store
 *     settle()   seq even, and the journal empty: committed, or undone
 *     let_go()   private state is reset; the lock is given back
 *
 * Where the thread is inside of one section only, which is nearly always, the handle's tx is left
 * in the state that the next one finds it in: depth 1, simple, no error, no followers.
 */
#include <errno.h>

#include "sync/section.h"

/* --- begin and end ------------------------------------------------------------------------- */

static inline void open_tx(struct tarn_section *section, struct thread *me, uint32_t seq)
{
	struct tx *tx = &section->tx;

	tx->pub.mark = section->mark | ((seq << 3) & TAG_MASK);
	tx->pub.limit = section->units;
	me->open = tx;
}

static inline void let_go(struct tarn_section *section, uint32_t value)
{
	struct section_shm *shm = section->shm;

	/* relaxed: published by unlock(); if we die before, by whoever takes our place */
	atomic_store_explicit(&shm->tid, 0, memory_order_relaxed);
	unlock(shm, value);
}

static inline void commit(struct section_shm *shm)
{
	/* relaxed: written under the lock, which is ours */
	settle(shm, atomic_load_explicit(&shm->seq, memory_order_relaxed) | 1);
}

/* Reset what the handle knows; when the lock is given back other threads may use it. */
static void close_tx(struct tx *tx)
{
	struct tx **p = &tarn__self.open;

	while (*p != NULL && *p != tx)
		p = &(*p)->next_open;
	if (*p == tx)
		*p = tx->next_open;
	tx->pub.limit = 0;
	tx->next_open = NULL;
	tx->followers = NULL;
	tx->depth = 1;
	tx->error = 0;
	tx->simple = true;
	tx->leader->left = false;
}

/* Let all sections go. @value: 0 when the tx is final or undone, or LOCK_ASIDE. */
static void end_tx(struct tx *tx, uint32_t value)
{
	struct tarn_section *leader = tx->leader, *follower = tx->followers, *next;

	if (value == 0)
		commit(leader->shm); /* rule 2: the one store */
	if (value == 0 && tarn__listened(leader->shm))
		tarn__listen_publish(leader);
	close_tx(tx);
	for (; follower != NULL; follower = next) {
		next = follower->next_follower;
		follower->in = NULL;
		follower->left = false;
		if (value == 0) {
			commit(follower->shm);
			if (tarn__listened(follower->shm))
				tarn__listen_publish(follower);
			/* relaxed: as in let_go() */
			atomic_store_explicit(&follower->shm->leader, place_of(follower),
					      memory_order_relaxed);
		}
		let_go(follower, value);
	}
	if (value == 0)
		let_go(leader, 0);
	else
		unlock(leader->shm, value); /* with its journal */
}

static uint32_t used_of(const struct tx *tx)
{
	/* relaxed: written under the lock, which is ours; whoever uses it checks it */
	return atomic_load_explicit(&tx->leader->shm->count, memory_order_relaxed);
}

int tarn__tx_abort(struct tx *tx)
{
	struct section_shm *shm = tx->leader->shm;
	/* relaxed: written under the lock, which is ours */
	uint32_t seq = atomic_load_explicit(&shm->seq, memory_order_relaxed);
	int r = tarn__journal_undo(tx->leader, used_of(tx), seq);

	if (r == 0 && tarn__tx_listened(tx))
		tarn__listen_undone(tx->leader, used_of(tx), seq, true);
	/* relaxed: for the eye */
	atomic_store_explicit(&shm->aborted,
			      atomic_load_explicit(&shm->aborted, memory_order_relaxed) + 1,
			      memory_order_relaxed);
	end_tx(tx, r < 0 ? LOCK_ASIDE : 0);
	return r < 0 ? -ENOTRECOVERABLE : 0;
}

/* --- enter --------------------------------------------------------------------------------- */

/* The tx of this thread in the region of @section. */
static struct tx *tx_in(const struct tarn_section *section)
{
	struct tx *tx = tarn__self.open;

	while (tx != NULL && tx->leader->region != section->region)
		tx = tx->next_open;
	return tx;
}

/* Is @section one of @tx, by this handle? */
static bool is_in(const struct tarn_section *section, const struct tx *tx)
{
	return tx->leader == section || section->in == tx;
}

bool tarn__tx_under_way(const struct tarn_region *region)
{
	const struct tx *tx = tarn__self.open;

	while (tx != NULL && tx->leader->region != region)
		tx = tx->next_open;
	return tx != NULL;
}

bool tarn__tx_inside(const struct tarn_section *section)
{
	const struct tx *tx = tx_in(section);

	return tx != NULL && is_in(section, tx);
}

static int check_order(const struct tx *tx, const struct tarn_section *section, bool wait,
		       struct tarn_diag *diag)
{
	const struct tarn_section *held = tx->followers;

	for (;; held = held->next_follower) {
		if (held == NULL)
			held = tx->leader;
		if (held->shm == section->shm)
			return tarn__diag(diag, -EDEADLK,
					  "this thread is inside section %s already", held->name);
		if (wait && held->object.off > section->object.off) {
			tarn__diag(diag, -EDEADLK,
				   "this thread is inside section %s, and %s comes before it",
				   held->name, section->name);
			tarn__diag_hint(diag, "enter %s first, then %s; or tarn_section_try()",
					section->name, held->name);
			return -EDEADLK;
		}
		if (held == tx->leader)
			return 0;
	}
}

/* Make @section, whose lock is ours, one of the tx. */
static int follow(struct tx *tx, struct tarn_section *section)
{
	struct section_shm *shm = section->shm, *leader = tx->leader->shm;
	uint32_t seq;

	/* relaxed, all: published by seq in start() */
	atomic_store_explicit(&shm->leader, place_of(tx->leader), memory_order_relaxed);
	atomic_store_explicit(&shm->leader_seq,
			      atomic_load_explicit(&leader->seq, memory_order_relaxed),
			      memory_order_relaxed);
	if (!tarn__section_start(shm, &tarn__self, &seq)) {
		atomic_store_explicit(&shm->leader, place_of(section), memory_order_relaxed);
		return -EUCLEAN;
	}
	section->next_follower = tx->followers;
	section->left = false;
	section->in = tx;
	tx->followers = section;
	tx->depth++;
	tx->simple = false;
	return 0;
}

static int lead(struct tarn_section *section, struct tx **ret_tx)
{
	struct thread *me = &tarn__self;
	uint32_t seq;

	if (!tarn__section_start(section->shm, me, &seq))
		return -EUCLEAN;
	section->tx.next_open = me->open;
	open_tx(section, me, seq);
	*ret_tx = &section->tx;
	return 0;
}

/* The thread was inside before, in this tx, and has left: it is still its own. */
static bool come_back(struct tarn_section *section, struct tx *tx)
{
	if (tx == NULL || !is_in(section, tx) || !section->left)
		return false;
	section->left = false;
	tx->depth++;
	return true;
}

static int enter_locked(struct tarn_section *section, struct tx **tx, struct tarn_diag *diag)
{
	int r = *tx == NULL ? lead(section, tx) : follow(*tx, section);

	if (r < 0) {
		unlock(section->shm, 0);
		tarn__diag(diag, r, "section %s is free, and its version says that it is not",
			   section->name);
		tarn__diag_hint(diag, "tarn_section_recover(), or tarn recover");
	}
	return r;
}

__attribute__((noinline)) static int enter_slowly(struct tarn_section *section, int64_t deadline,
						  bool wait, struct tarn_tx **ret_tx,
						  struct tarn_diag *diag)
{
	int r = id_of(section) == 0 ? tarn__section_rejoin(section, diag) : 0;
	struct tx *tx;

	if (r < 0)
		return r;
	r = tarn__thread_begin();
	if (r < 0)
		return tarn__diag(diag, r, "section %s: %s", section->name, strerror(-r));
	tx = tx_in(section);
	if (!come_back(section, tx)) {
		if (tx != NULL)
			r = check_order(tx, section, wait, diag);
		if (r == 0)
			r = tarn__section_lock(section, deadline, wait, diag);
		if (r == 0)
			r = enter_locked(section, &tx, diag);
	}
	if (r == 0)
		*ret_tx = &tx->pub;
	return r;
}

/* Free, and its version says that it is not: where that is so the second time, it is told. */
__attribute__((noinline)) static int enter_anew(struct tarn_section *section, int64_t deadline,
						struct tarn_tx **ret_tx, struct tarn_diag *diag)
{
	unlock(section->shm, 0);
	return enter_slowly(section, deadline, true, ret_tx, diag);
}

int tarn_section_enter(struct tarn_section *section, int64_t deadline, struct tarn_tx **ret_tx,
		       struct tarn_diag *diag)
{
	struct thread *me = &tarn__self;
	uint32_t seq, id = id_of(section);

	if (TARN__LIKELY(me->tid != 0 && me->open == NULL && id != 0) &&
	    TARN__LIKELY(take(section->shm, 0, id))) {
		if (TARN__LIKELY(tarn__section_start(section->shm, me, &seq))) {
			open_tx(section, me, seq);
			*ret_tx = &section->tx.pub;
			return 0;
		}
		return enter_anew(section, deadline, ret_tx, diag);
	}
	return enter_slowly(section, deadline, true, ret_tx, diag);
}

int tarn_section_try(struct tarn_section *section, struct tarn_tx **ret_tx, struct tarn_diag *diag)
{
	return enter_slowly(section, INT64_MIN, false, ret_tx, diag);
}

/* --- leave --------------------------------------------------------------------------------- */

/* Not in line: the fast path keeps no registers for it. */
__attribute__((noinline)) static int leave_slowly(struct tarn_section *section)
{
	struct tx *tx = tx_in(section);
	int r;

	if (tx == NULL || !is_in(section, tx) || section->left)
		return -EPERM;
	section->left = true;
	if (--tx->depth > 0)
		return 0;
	r = tx->error;
	if (r == 0) {
		if (tarn__tx_listened(tx))
			tarn__listen_commit(tx->leader, tx->followers);
		end_tx(tx, 0);
	} else if (tarn__tx_abort(tx) < 0) {
		r = -ENOTRECOVERABLE;
	}
	return r;
}

int tarn_section_leave(struct tarn_section *section)
{
	struct thread *me = &tarn__self;
	struct tx *tx = &section->tx;

	if (TARN__UNLIKELY(me->open != tx || !tx->simple || tx->next_open != NULL ||
			   tarn__listened(section->shm)))
		return leave_slowly(section);
	commit(section->shm); /* rule 2: the one store */
	tx->pub.limit = 0;
	me->open = NULL;
	let_go(section, 0);
	return 0;
}

int tarn_section_abort(struct tarn_section *section)
{
	struct tx *tx = tx_in(section);

	return tx == NULL || !is_in(section, tx) ? -EPERM : tarn__tx_abort(tx);
}

/* --- stores -------------------------------------------------------------------------------- */

/* From now on the fast path refuses, too. */
static int fail(struct tx *tx, int error)
{
	tx->error = error;
	tx->simple = false;
	tx->pub.limit = 0;
	return error;
}

/* Is @tx this thread's, and under way? */
static int check_open(const struct tx *tx)
{
	const struct tx *open = tarn__self.open;

	while (open != NULL && open != tx)
		open = open->next_open;
	return tx == NULL || open == NULL ? -EPERM : tx->error;
}

/* May @size bytes at @at be stored, with @units free in the journal? The first of them goes to
 * @ret_unit. */
static int prepare(struct tx *tx, const void *at, uint64_t size, uint64_t units, uint32_t *ret_unit)
{
	struct tarn_section *leader = tx->leader;
	uint64_t off = (uint64_t)((uintptr_t)at - (uintptr_t)tx->pub.heap);
	uint64_t own = leader->object.off - leader->region->heap_off;

	if (TARN__UNLIKELY(!tarn__inside(off, size, tx->pub.span))) {
		/* The region may have grown since. */
		tx->pub.span = tarn__heap_size(leader->region);
		if (!tarn__inside(off, size, tx->pub.span))
			return fail(tx, -EINVAL);
	}
	if (off < own + leader->object.size && off + size > own)
		return fail(tx, -EINVAL);
	*ret_unit = used_of(tx);
	if (*ret_unit > leader->units)
		return fail(tx, -EUCLEAN); /* I4 */
	return leader->units - *ret_unit < units ? fail(tx, -ENOSPC) : 0;
}

int tarn_tx_store(struct tarn_tx *pub, void *word, uint64_t value, size_t size)
{
	struct tx *tx = (struct tx *)pub;
	uint64_t code = size == 8 ? 3 : size / 2;
	uint32_t unit;
	int r = check_open(tx);

	if (TARN__UNLIKELY(r < 0))
		return r;
	if (size > 8 || !tarn__is_pow2(size) || (uintptr_t)word % size != 0)
		return fail(tx, -EINVAL);
	r = prepare(tx, word, size, 1, &unit);
	if (TARN__UNLIKELY(r < 0))
		return r;
	tarn__tx_log(pub, unit, word, code, tarn__load_word(word, code));
	tarn__store_word(word, code, value);
	return 0;
}

/* Save a range: its bytes first, then the entry that says so, then the count. */
static int log_range(struct tx *tx, const void *at, size_t size)
{
	uint64_t data = size / SECTION_UNIT + (size % SECTION_UNIT != 0);
	uint32_t unit;
	int r = check_open(tx);

	if (r == 0)
		r = prepare(tx, at, size, data + 1, &unit);
	if (r < 0)
		return r;
	memcpy(&tx->pub.journal[unit], at, size);
	tarn__tx_log(&tx->pub, unit + (uint32_t)data, at, CODE_RANGE, size);
	return 0;
}

int tarn_tx_write(struct tarn_tx *pub, void *to, const void *from, size_t size)
{
	int r = log_range((struct tx *)pub, to, size);

	if (r == 0)
		tarn__store_bytes(to, from, size);
	return r;
}

int tarn_tx_text(struct tarn_tx *pub, char *to, size_t size, const char *text)
{
	size_t length = text != NULL ? strnlen(text, size) : 0;
	int r = check_open((struct tx *)pub);

	if (r == 0 && text == NULL)
		return fail((struct tx *)pub, -EINVAL);
	if (r == 0 && length == size && text[length] != '\0')
		return fail((struct tx *)pub, -EMSGSIZE);
	return r < 0 ? r : tarn_tx_write(pub, to, text, length < size ? length + 1 : length);
}

int tarn__tx_touch(struct tarn_tx *pub, const void *at, uint64_t size)
{
	struct tx *tx = (struct tx *)pub;
	uint32_t unit;
	int r = check_open(tx);

	if (r == 0)
		r = prepare(tx, at, size, 1, &unit);
	if (r == 0)
		tarn__tx_log(pub, unit, at, CODE_TOUCH, size);
	return r;
}

int tarn_tx_log(struct tarn_tx *pub, void *at, size_t size)
{
	int r = log_range((struct tx *)pub, at, size);

	/* release: the stores that follow are the caller's, plain ones; they stay behind the entry,
	 * and behind the odd seq that readers look at */
	atomic_thread_fence(memory_order_release); /* style: no operation here to put it on */
	return r;
}
