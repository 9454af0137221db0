/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * prims.c - victims that lock, wait, post and signal while a peer spoils the primitives that they
 * do it with. Nobody is promised that a lock excludes then; but each call comes back with an error
 * that its header names, within its deadline, and nothing else is touched.
 */
#include "victims.h"

static const int prim_open_errors[] = { ENOENT,  EEXIST, EPROTO,    ENOSPC, ENFILE, EINVAL,
					EUCLEAN, EIO,    ETIMEDOUT, EUSERS, 0 };
static const int prim_errors[] = { ETIMEDOUT, EAGAIN, EDEADLK,    EUCLEAN,         EIO,
				   EPERM,     ENOMEM, EOWNERDEAD, ENOTRECOVERABLE, EUSERS,
				   EOVERFLOW, EBUSY,  0 };
static const int latest_errors[] = { ENODATA,  ENOBUFS,   EAGAIN,     EUSERS,
				     EBUSY,    EUCLEAN,   EIO,        EPERM,
				     EMSGSIZE, ETIMEDOUT, EOPNOTSUPP, ENOTRECOVERABLE,
				     ENOMEM,   0 };
static const int stat_errors[] = { ENOENT, EPROTO, EUCLEAN, EIO, ETIMEDOUT, 0 };

struct prims {
	struct tarn_mutex *mutex;
	struct tarn_sem *counted, *owned;
	struct tarn_rwlock *rwlock;
	struct tarn_cond *cond;
	struct tarn_spin *spin;
	struct tarn_once *once;
	struct tarn_seqlock *seqlock;
	struct tarn_barrier *barrier;
	struct tarn_event *event;
	struct tarn_latest *latest, *frames;
};

static const struct tarn_mutex_opts mutex_opts;
static const struct tarn_sem_opts counted_opts = { .value = 2 };
static const struct tarn_sem_opts owned_opts = { .value = 3, .flags = TARN_SEM_OWNED };
static const struct tarn_rwlock_opts rwlock_opts = { .readers = 4 };
static const struct tarn_cond_opts cond_opts = { .waiters = 4 };
static const struct tarn_spin_opts spin_opts;
static const struct tarn_once_opts once_opts;
static const struct tarn_seqlock_opts seqlock_opts;
static const struct tarn_barrier_opts barrier_opts = { .count = 3 };
static const struct tarn_event_opts event_opts = { .flags = TARN_EVENT_AUTO };

enum { VALUE = 200, FRAME = 1000 };
static const struct tarn_latest_opts latest_opts = { .size = VALUE, .holders = 3 };
static const struct tarn_latest_opts frames_opts = { .size = FRAME,
						     .holders = 2,
						     .flags = TARN_LATEST_IN_PLACE };

void victims_make_prims(struct tarn_region *region)
{
	struct prims p;

	must("mutex", tarn_mutex_open(region, "mutex", &mutex_opts, &p.mutex));
	must("semaphore", tarn_sem_open(region, "counted", &counted_opts, &p.counted));
	must("semaphore", tarn_sem_open(region, "owned", &owned_opts, &p.owned));
	must("rwlock", tarn_rwlock_open(region, "rwlock", &rwlock_opts, &p.rwlock));
	must("condition variable", tarn_cond_open(region, "cond", &cond_opts, &p.cond));
	must("spin lock", tarn_spin_open(region, "spin", &spin_opts, &p.spin));
	must("once", tarn_once_open(region, "once", &once_opts, &p.once));
	must("sequence lock", tarn_seqlock_open(region, "seqlock", &seqlock_opts, &p.seqlock));
	must("barrier", tarn_barrier_open(region, "barrier", &barrier_opts, &p.barrier));
	must("event", tarn_event_open(region, "event", &event_opts, &p.event));
	must("latest value", tarn_latest_open(region, "latest", &latest_opts, &p.latest));
	must("latest value", tarn_latest_open(region, "frames", &frames_opts, &p.frames));
	tarn_mutex_close(p.mutex);
	tarn_sem_close(p.counted);
	tarn_sem_close(p.owned);
	tarn_rwlock_close(p.rwlock);
	tarn_cond_close(p.cond);
	tarn_spin_close(p.spin);
	tarn_once_close(p.once);
	tarn_seqlock_close(p.seqlock);
	tarn_barrier_close(p.barrier);
	tarn_event_close(p.event);
	tarn_latest_close(p.latest);
	tarn_latest_close(p.frames);
}

/* --- what they do ---------------------------------------------------------------------------- */

static bool has(int r)
{
	return r == 0 || r == -EOWNERDEAD;
}

static void use_mutex(struct victim *v, struct prims *p, uint64_t random)
{
	struct tarn_diag diag = { 0 };
	int64_t soon = tarn_deadline_after(SLICE_NS);
	int r;

	if (random % 2 == 0)
		r = CALL(v, tarn_mutex_lock(p->mutex, soon, &diag), prim_errors);
	else
		r = CALL(v, tarn_mutex_try(p->mutex, &diag), prim_errors);
	if (!has(r)) {
		if (diag.what[0] == '\0')
			hostile_lie(v->arena, "tarn_mutex_lock", "refused without a word", r);
		return;
	}
	if (random % 5 == 0)
		(void)CALL(v, tarn_cond_wait(p->cond, p->mutex, soon, NULL), prim_errors);
	if (random % 3 == 0)
		(void)CALL(v, tarn_mutex_consistent(p->mutex), prim_errors);
	(void)CALL(v, tarn_mutex_unlock(p->mutex), prim_errors);
}

static void use_sem(struct victim *v, struct tarn_sem *sem, uint64_t random)
{
	int64_t soon = tarn_deadline_after(SLICE_NS);

	if (random % 2 == 0)
		(void)CALL(v, tarn_sem_wait(sem, soon, NULL), prim_errors);
	else
		(void)CALL(v, tarn_sem_try(sem, NULL), prim_errors);
	if (random % 8 != 0)
		(void)CALL(v, tarn_sem_post(sem), prim_errors);
	v->sink += tarn_sem_value(sem);
}

static void use_rwlock(struct victim *v, struct prims *p, uint64_t random)
{
	int64_t soon = tarn_deadline_after(SLICE_NS);
	int r;

	switch (random % 4) {
	case 0:
		r = CALL(v, tarn_rwlock_read(p->rwlock, soon, NULL), prim_errors);
		break;
	case 1:
		r = CALL(v, tarn_rwlock_try_read(p->rwlock, NULL), prim_errors);
		break;
	case 2:
		r = CALL(v, tarn_rwlock_try_write(p->rwlock, NULL), prim_errors);
		break;
	default:
		r = CALL(v, tarn_rwlock_write(p->rwlock, soon, NULL), prim_errors);
		if (has(r) && random % 3 == 0)
			(void)CALL(v, tarn_rwlock_downgrade(p->rwlock), prim_errors);
		else if (has(r))
			(void)CALL(v, tarn_rwlock_consistent(p->rwlock), prim_errors);
		break;
	}
	if (has(r))
		(void)CALL(v, tarn_rwlock_unlock(p->rwlock), prim_errors);
}

static void signal_all(struct victim *v, struct prims *p, uint64_t random)
{
	if (random % 2 == 0)
		(void)CALL(v, tarn_cond_signal(p->cond), prim_errors);
	else
		(void)CALL(v, tarn_cond_broadcast(p->cond), prim_errors);
}

static void use_spin(struct victim *v, struct prims *p, uint64_t random)
{
	int r;

	if (random % 2 == 0)
		r = CALL(v, tarn_spin_lock(p->spin, tarn_deadline_after(SLICE_NS), NULL),
			 prim_errors);
	else
		r = CALL(v, tarn_spin_try(p->spin, NULL), prim_errors);
	if (r == -EOWNERDEAD)
		(void)CALL(v, tarn_spin_consistent(p->spin), prim_errors);
	if (has(r))
		(void)CALL(v, tarn_spin_unlock(p->spin), prim_errors);
}

static void use_once(struct victim *v, struct prims *p, uint64_t random)
{
	int r = CALL(v, tarn_once_begin(p->once, tarn_deadline_after(SLICE_NS), NULL), prim_errors);

	if (r > 0 && random % 16 == 0)
		(void)CALL(v, tarn_once_done(p->once), prim_errors);
	else if (r > 0)
		(void)CALL(v, tarn_once_fail(p->once), prim_errors);
}

/* Behind the handle's own words, in the region's last object. */
static void use_seqlock(struct victim *v, struct prims *p, uint64_t random)
{
	int64_t soon = tarn_deadline_after(SLICE_NS);
	uint64_t words[4] = { random };
	uint32_t version;
	void *data;

	if (CALL(v, tarn_object_open(v->region, "bytes-1", &data, NULL), object_errors) < 0)
		return;
	if (random % 2 == 0)
		(void)CALL(v,
			   tarn_seqlock_write(p->seqlock, data, words, sizeof(words), soon, NULL),
			   prim_errors);
	else
		(void)CALL(v, tarn_seqlock_read(p->seqlock, words, data, sizeof(words), soon),
			   prim_errors);
	if (CALL(v, tarn_seqlock_begin(p->seqlock, &version), prim_errors) == 0)
		v->sink += tarn_seqlock_valid(p->seqlock, version);
	v->sink += words[0];
	tarn_object_close(v->region, data);
}

static void use_barrier(struct victim *v, struct prims *p, uint64_t random)
{
	struct tarn_diag diag = { 0 };

	if (random % 8 == 0)
		(void)CALL(v, tarn_barrier_leave(p->barrier), prim_errors);
	else if (random % 8 == 1)
		(void)CALL(v, tarn_barrier_join(p->barrier, &diag), prim_errors);
	else
		(void)CALL(v, tarn_barrier_wait(p->barrier, tarn_deadline_after(SLICE_NS), &diag),
			   prim_errors);
}

static void use_event(struct victim *v, struct prims *p, uint64_t random)
{
	int64_t soon = tarn_deadline_after(SLICE_NS);

	if (random % 4 == 0)
		(void)CALL(v, tarn_event_reset(p->event), prim_errors);
	else if (random % 4 == 1)
		(void)CALL(v, tarn_event_wait(p->event, soon, NULL), prim_errors);
	else if (random % 4 == 2)
		(void)CALL(v, tarn_event_try(p->event), prim_errors);
	else
		(void)CALL(v, tarn_event_set(p->event), prim_errors);
	v->sink += tarn_event_is_set(p->event);
}

static void write_latest(struct victim *v, struct prims *p, uint64_t random)
{
	int64_t soon = tarn_deadline_after(SLICE_NS);
	unsigned char value[VALUE];
	void *data;

	if (random % 2 == 0) {
		memset(value, (int)random, sizeof(value));
		(void)CALL(v, tarn_latest_write(p->latest, value, random % VALUE, soon, NULL),
			   latest_errors);
		return;
	}
	if (CALL(v, tarn_latest_loan(p->frames, soon, &data, NULL), latest_errors) < 0)
		return;
	memset(data, (int)random, FRAME);
	if (random % 3 == 0)
		tarn_latest_abort(p->frames);
	else
		(void)CALL(v, tarn_latest_publish(p->frames, random % FRAME), latest_errors);
}

static void read_latest(struct victim *v, struct tarn_latest *latest, uint64_t random)
{
	unsigned char value[FRAME];
	const void *data;
	uint64_t number;
	size_t size;

	if (random % 3 == 0 &&
	    CALL(v, tarn_latest_read(latest, value, sizeof(value), &size, &number),
		 latest_errors) == 0)
		read_all(v, value, size);
	else if (random % 3 == 1 &&
		 CALL(v, tarn_latest_hold(latest, &data, &size, &number, NULL), latest_errors) == 0)
		read_all(v, data, size);
	else if (random % 64 == 2)
		(void)CALL(v,
			   tarn_latest_wait(latest, tarn_latest_number(latest),
					    tarn_deadline_after(SLICE_NS), &number),
			   latest_errors);
	if (random % 4 != 0)
		tarn_latest_release(latest);
}

static void use_latest(struct victim *v, struct prims *p, uint64_t random)
{
	struct tarn_latest_stat stat;

	if (random % 4 == 0)
		write_latest(v, p, random >> 16);
	else
		read_latest(v, random % 4 == 1 ? p->frames : p->latest, random >> 16);
	if (CALL(v, tarn_latest_stat(p->latest, &stat), latest_errors) == 0)
		v->sink += stat.number;
}

static void look(struct victim *v)
{
	static const char *const names[] = { "mutex", "counted", "owned",  "rwlock",
					     "cond",  "spin",    "once",   "seqlock",
					     "event", "barrier", "latest", "frames" };
	struct tarn_lock_who who[16];
	struct tarn_lock_stat stat;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (CALL(v, tarn_lock_stat(v->region, names[i], &stat, who, 16), stat_errors) == 0)
			read_all(v, who,
				 (stat.who_count < 16 ? stat.who_count : 16) * sizeof(*who));
	(void)CALL(v, tarn_region_check(v->region, NULL, NULL), look_errors);
	(void)CALL(v, tarn_section_recover(v->region, NULL, TARN_SECTION_FORCE, NULL), mend_errors);
}

static void act(struct victim *v, struct prims *p)
{
	uint64_t random = hostile_random(&v->random);

	switch ((random >> 8) % 11) {
	case 0:
		if (p->mutex != NULL && p->cond != NULL)
			use_mutex(v, p, random);
		break;
	case 1:
		if (p->counted != NULL)
			use_sem(v, p->counted, random);
		break;
	case 2:
		if (p->owned != NULL)
			use_sem(v, p->owned, random);
		break;
	case 3:
		if (p->rwlock != NULL)
			use_rwlock(v, p, random);
		break;
	case 4:
		if (p->cond != NULL)
			signal_all(v, p, random);
		break;
	case 5:
		if (p->spin != NULL)
			use_spin(v, p, random);
		break;
	case 6:
		if (p->once != NULL)
			use_once(v, p, random);
		break;
	case 7:
		if (p->barrier != NULL)
			use_barrier(v, p, random);
		break;
	case 8:
		if (p->event != NULL)
			use_event(v, p, random);
		break;
	case 9:
		if (p->latest != NULL && p->frames != NULL)
			use_latest(v, p, random);
		break;
	default:
		if (p->seqlock != NULL)
			use_seqlock(v, p, random);
		break;
	}
}

/* --- coming and going ------------------------------------------------------------------------ */

/* Each that can be had; as it is there, or made anew where it is gone. */
static void open_all(struct victim *v, struct prims *p)
{
	struct tarn_region *r = v->region;

	memset(p, 0, sizeof(*p));
	(void)CALL(v, tarn_mutex_open(r, "mutex", &mutex_opts, &p->mutex), prim_open_errors);
	(void)CALL(v, tarn_sem_open(r, "counted", &counted_opts, &p->counted), prim_open_errors);
	(void)CALL(v, tarn_sem_open(r, "owned", NULL, &p->owned), prim_open_errors);
	(void)CALL(v, tarn_rwlock_open(r, "rwlock", NULL, &p->rwlock), prim_open_errors);
	(void)CALL(v, tarn_cond_open(r, "cond", NULL, &p->cond), prim_open_errors);
	(void)CALL(v, tarn_spin_open(r, "spin", &spin_opts, &p->spin), prim_open_errors);
	(void)CALL(v, tarn_once_open(r, "once", &once_opts, &p->once), prim_open_errors);
	(void)CALL(v, tarn_seqlock_open(r, "seqlock", &seqlock_opts, &p->seqlock),
		   prim_open_errors);
	(void)CALL(v, tarn_barrier_open(r, "barrier", NULL, &p->barrier), prim_open_errors);
	(void)CALL(v, tarn_event_open(r, "event", &event_opts, &p->event), prim_open_errors);
	(void)CALL(v, tarn_latest_open(r, "latest", &latest_opts, &p->latest), prim_open_errors);
	(void)CALL(v, tarn_latest_open(r, "frames", &frames_opts, &p->frames), prim_open_errors);
}

static void close_all(struct victim *v, struct prims *p)
{
	hostile_enter(v->arena, v->index, "closing primitives");
	tarn_mutex_close(p->mutex);
	tarn_sem_close(p->counted);
	tarn_sem_close(p->owned);
	tarn_rwlock_close(p->rwlock);
	tarn_cond_close(p->cond);
	tarn_spin_close(p->spin);
	tarn_once_close(p->once);
	tarn_seqlock_close(p->seqlock);
	tarn_barrier_close(p->barrier);
	tarn_event_close(p->event);
	tarn_latest_close(p->latest);
	tarn_latest_close(p->frames);
}

void victim_locker(struct hostile_arena *arena, unsigned index)
{
	struct victim v = { .arena = arena, .index = index };
	struct prims prims;

	v.random = arena->seed * 53 + index + 1;
	while (!hostile_over(arena)) {
		if (enter_region(&v, 0) < 0)
			continue;
		open_all(&v, &prims);
		for (int i = 0; i < ROUND_CALLS / 4 && !hostile_over(arena); i++)
			act(&v, &prims);
		look(&v);
		close_all(&v, &prims);
		leave_region(&v);
	}
}

BEHIND_GUARD(locker)
