/* SPDX-License-Identifier: BSD-2-Clause */
/* prim_check.c - test the invariants of a primitive (prim.h), tell who has it; changing nothing. */
#include <errno.h>

#include <tarn/lock.h>
#include <tarn/sem.h>

#include "sync/prim.h"

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: loads stay in the order written, so a word that did not move proves the rest */
	return atomic_load_explicit(word, memory_order_acquire);
}

/* --- check --------------------------------------------------------------------------------- */

static bool is_member(const struct prim *prim, uint32_t id)
{
	return id == 0 || tarn__id_slot(id) < prim->sec.region->member_max;
}

static void check_lock(struct tarn__audit *a, struct prim *prim)
{
	struct section_shm *shm = prim->sec.shm;
	uint32_t lock = load(&shm->lock), owner = lock & ~TARN__ID_FLAG, seq = load(&shm->seq);

	if (owner == LOCK_ASIDE)
		tarn__audit_mendable(a, "lock", "is not set aside (tarn_section_recover)", lock, 0);
	else if (!is_member(prim, owner)) /* I2 */
		tarn__audit_mendable(a, "lock", "names a member slot", tarn__id_slot(owner),
				     prim->sec.region->member_max - 1);
	else if (owner == 0 && (seq & 1) != 0 && load(&shm->lock) == lock &&
		 load(&shm->seq) == seq) /* I3 */
		tarn__audit_mendable(a, "seq", "is even while nobody has the lock", seq, seq + 1);
}

static bool may_be_aside(uint32_t kind)
{
	return kind == TARN_OBJECT_COND || kind == TARN_OBJECT_BARRIER;
}

/* May a seat be that of a member which has left it to others, as bit 0 says? */
static bool may_have_left(uint32_t kind)
{
	return kind == TARN_OBJECT_COUNTERS;
}

/* The invariants of cond.c and barrier.c. */
static bool value_fits(const struct prim *prim, uint32_t at, uint32_t id)
{
	uint32_t value = load(&prim->seats[at].value);

	if (!may_be_aside(prim->kind))
		return true;
	if (id == 0 && value != 0 && load(&prim->seats[at].id) == id)
		return false;
	return prim->kind == TARN_OBJECT_COND || (value & 0xff8) == 0;
}

static void check_seats(struct tarn__audit *a, const struct prim *prim)
{
	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id);

		if (id == LOCK_ASIDE && may_be_aside(prim->kind))
			continue;
		if (!is_member(prim, id) ||
		    ((id & TARN__ID_FLAG) != 0 && !may_have_left(prim->kind))) { /* I2 */
			(tarn__seats_mendable(prim->kind) ? tarn__audit_mendable
							  : tarn__audit_report)(
				a, "seat", "names a member slot", tarn__id_slot(id),
				prim->sec.region->member_max - 1);
			return;
		}
		if (!value_fits(prim, at, id)) {
			tarn__audit_report(a, "seat", "says what it can say", at, 0);
			return;
		}
	}
}

int tarn__prim_check(struct tarn_region *region, const struct tarn__object *object, uint32_t kind,
		     const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct prim prim;
	uint32_t state;

	if (tarn__prim_handle(region, object, kind, "", &prim, NULL) < 0) {
		tarn__audit_report(&audit, "header", "is as the creator wrote it", 1, 0);
		return audit.r;
	}
	check_lock(&audit, &prim);
	check_seats(&audit, &prim);
	state = load(&prim.sec.shm->state);
	if (kind == TARN_OBJECT_SEM && state > TARN_SEM_MAX)
		tarn__audit_report(&audit, "state", "is a number of permits", state, TARN_SEM_MAX);
	if (kind == TARN_OBJECT_ONCE && state > 1)
		tarn__audit_report(&audit, "state", "is undone or done", state, 1);
	if (kind == TARN_OBJECT_RWLOCK && state > prim.seat_count)
		tarn__audit_mendable(&audit, "state", "is a number of seats", state,
				     prim.seat_count);
	return audit.r;
}

/* --- who ----------------------------------------------------------------------------------- */

struct list {
	struct tarn_lock_who *who;
	uint32_t max;
	uint32_t count;
};

static void add(struct list *list, const struct tarn_section_who *who, uint32_t role)
{
	if (list->count < list->max)
		list->who[list->count] = (struct tarn_lock_who){ .pid = who->pid,
								 .tid = who->tid,
								 .slot = who->slot,
								 .role = role,
								 .alive = who->alive };
	list->count++;
}

static uint32_t role_of(const struct prim *prim, uint32_t value)
{
	uint32_t round = load(&prim->sec.shm->state);

	switch (prim->kind) {
	case TARN_OBJECT_RWLOCK:
		return TARN_LOCK_SHARES;
	case TARN_OBJECT_COND:
		return TARN_LOCK_WAITS;
	case TARN_OBJECT_LATEST: /* 2: it holds a value */
		return (value & 3) == 2 ? TARN_LOCK_SHARES : TARN_LOCK_SITS;
	case TARN_OBJECT_TOPIC:    /* a publisher or a subscriber */
	case TARN_OBJECT_COUNTERS: /* who adds */
		return TARN_LOCK_SITS;
	case TARN_OBJECT_BARRIER:
		return (value & 2) != 0 && value >> 12 == round >> 12 ? TARN_LOCK_WAITS
								      : TARN_LOCK_SITS;
	default:
		return TARN_LOCK_HOLDS;
	}
}

static void add_seats(struct list *list, struct prim *prim, struct tarn_lock_stat *stat)
{
	struct tarn_section_who who;

	for (uint32_t at = 0; at < prim->seat_count; at++) {
		uint32_t id = load(&prim->seats[at].id), tid = load(&prim->seats[at].tid);

		if (id == 0) {
			stat->value += prim->kind == TARN_OBJECT_SEM;
			continue;
		}
		if ((id & TARN__ID_FLAG) != 0 && may_have_left(prim->kind))
			continue;
		tarn__section_who(&prim->sec, id, tid, &who);
		add(list, &who, role_of(prim, load(&prim->seats[at].value)));
	}
}

static void read_prim(struct prim *prim, struct list *list, struct tarn_lock_stat *stat)
{
	struct section_shm *shm = prim->sec.shm;
	uint32_t state = load(&shm->state);

	stat->seats = prim->seat_count;
	stat->value = prim->kind == TARN_OBJECT_SEM && prim->seat_count != 0 ? 0 : state;
	if (prim->kind == TARN_OBJECT_BARRIER)
		stat->value = state >> 12;
	if (prim->kind == TARN_OBJECT_EVENT || prim->kind == TARN_OBJECT_ONCE)
		stat->value = state & 1;
	if (prim->kind == TARN_OBJECT_RWLOCK)
		stat->value = 0;
	if (prim->kind == TARN_OBJECT_RWLOCK)
		stat->damaged |= state > prim->seat_count;
	stat->recover_count += load(&shm->aborted);
	stat->owner_died = load(&shm->inconsistent) != 0;
	add_seats(list, prim, stat);
}

/* A writer that waits for readers to leave has the lock by then; it is one who waits. */
static bool drains(const struct prim *prim, const struct tarn_section_stat *found)
{
	const struct tarn_section_who *owner = &found->owner;

	if (prim == NULL || prim->kind != TARN_OBJECT_RWLOCK || !found->held || !owner->alive)
		return false;
	for (uint32_t i = 0; i < found->waiter_count; i++)
		if (found->waiters[i].slot == owner->slot && found->waiters[i].tid == owner->tid)
			return true;
	return false;
}

/* Of a section, and of the lock and the waiters that every primitive has. */
static void read_lock(struct tarn_section *section, struct prim *prim, struct list *list,
		      struct tarn_lock_stat *stat)
{
	struct tarn_section_stat found;

	tarn__section_read_stat(section, &found);
	stat->wait_count = found.wait_count;
	stat->recover_count = found.recover_count;
	stat->set_aside = found.set_aside;
	stat->damaged = found.damaged;
	stat->more_waiters = found.waiter_count == TARN_SECTION_WAITERS;
	if (drains(prim, &found)) {
		found.held = false;
	} else if (found.held) {
		stat->since_ns = found.since_ns;
		stat->version = prim == NULL || prim->kind != TARN_OBJECT_SPIN ? found.version : 0;
	}
	if (found.held)
		add(list, &found.owner, TARN_LOCK_HOLDS);
	if (prim != NULL)
		read_prim(prim, list, stat);
	/* Who waits at a barrier was shown with its seat. */
	for (uint32_t i = 0; i < found.waiter_count && stat->kind != TARN_OBJECT_BARRIER; i++)
		add(list, &found.waiters[i], TARN_LOCK_WAITS);
}

/* The object that has the name now. */
static int find(struct tarn_region *region, const char *name, struct tarn__object *ret_object,
		uint32_t *ret_kind)
{
	struct entry entry;

	for (uint32_t i = 0; i < region->object_max; i++) {
		uint32_t state = tarn__entry_read(region, i, &entry);

		if ((state & 3u) != TARN__ENTRY_LIVE || strcmp(entry.name, name) != 0 ||
		    tarn__entry_fault(region, i, &entry) != NULL)
			continue;
		*ret_object = (struct tarn__object){ .index = i,
						     .state = state,
						     .off = entry.off,
						     .size = entry.size,
						     .base = region->base + entry.off };
		*ret_kind = entry.kind;
		return 0;
	}
	return -ENOENT;
}

static int look(struct tarn_region *region, const char *name, struct tarn_lock_stat *stat,
		struct tarn_lock_who *who, uint32_t who_max)
{
	struct list list = { .who = who, .max = who_max };
	struct tarn__object object;
	struct tarn_section section;
	struct prim prim;
	int r;

	memset(stat, 0, sizeof(*stat));
	r = find(region, name, &object, &stat->kind);
	if (r < 0)
		return r;
	if (stat->kind == TARN_OBJECT_SECTION) {
		r = object.size < sizeof(struct section_shm)
			    ? -EUCLEAN
			    : tarn__section_handle(region, &object, name, &section, NULL);
		if (r == 0)
			read_lock(&section, NULL, &list, stat);
	} else if (tarn__prim_noun(stat->kind) != NULL) {
		r = tarn__prim_handle(region, &object, stat->kind, name, &prim, NULL);
		if (r == 0)
			read_lock(&prim.sec, &prim, &list, stat);
	} else {
		return -EPROTO;
	}
	stat->who_count = list.count;
	return r;
}

int tarn_lock_stat(struct tarn_region *region, const char *name, struct tarn_lock_stat *ret_stat,
		   struct tarn_lock_who *who, uint32_t who_max)
{
	struct tarn_lock_stat stat;
	int r = tarn__region_enter(region);

	if (r < 0)
		return r;
	r = tarn_segment_damaged(region->seg) ? -EIO : look(region, name, &stat, who, who_max);
	tarn__region_leave(region);
	if (r == 0)
		*ret_stat = stat;
	return r;
}
