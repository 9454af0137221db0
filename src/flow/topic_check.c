/* SPDX-License-Identifier: BSD-2-Clause */
/* topic_check.c - test the invariants of a topic and of a lane (topic.h), changing nothing. */
#include <errno.h>

#include "flow/topic.h"

int tarn__topic_check(struct tarn_region *region, const struct tarn__object *object,
		      const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct topic topic = { .seat = UINT32_MAX };
	struct tarn_type *type = NULL;
	int r = tarn__prim_check(region, object, TARN_OBJECT_TOPIC, where, fn, arg);

	if (tarn__prim_handle(region, object, TARN_OBJECT_TOPIC, "", &topic.prim, NULL) < 0)
		return r;
	if (tarn__topic_header(&topic, NULL) < 0)
		tarn__audit_report(&audit, "type_size", "is as the creator wrote it",
				   topic.type_size, TARN__TYPE_SIZE_MAX);
	else if (tarn__topic_describe(&topic, &type) == -EUCLEAN)
		tarn__audit_report(&audit, "description", "is as the creator wrote it", 1, 0);
	tarn_type_free(type);
	return r < 0 ? r : audit.r;
}

/* How many bytes of the lane lie from @oldest to the header that says 0; more than all: it says
 * none. *@faulty is where something else lies. */
static uint64_t walk(const struct lane *lane, uint64_t oldest, uint64_t last, uint64_t *faulty,
		     bool *seen)
{
	uint64_t pos = oldest, number = 0;

	*faulty = 0;
	while (pos - oldest <= lane->capacity) {
		struct sight sight;

		if (tarn__message_see(lane, pos, &sight) < 0 ||
		    (sight.number != 0 && number != 0 && sight.number != number)) {
			*faulty = pos;
			return pos - oldest;
		}
		if (sight.number == 0)
			break;
		*seen |= pos == last;
		number = sight.number + !sight.skip;
		pos = sight.end;
	}
	return pos - oldest;
}

int tarn__lane_check(const struct tarn__object *object, const char *where, tarn_report_fn *fn,
		     void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	uint64_t oldest, last, bytes, faulty;
	bool seen = false;
	struct lane lane;

	if (tarn__lane_at(object, &lane) < 0) { /* I1 */
		tarn__audit_report(&audit, "capacity", "is as the creator wrote it", 1, 0);
		return audit.r;
	}
	/* acquire, all: of the order in which they are stored */
	oldest = atomic_load_explicit(&lane.shm->oldest, memory_order_acquire);
	last = atomic_load_explicit(&lane.shm->last, memory_order_acquire);
	if (!is_position(&lane, oldest)) {
		tarn__audit_report(&audit, "oldest", "is a position", oldest, lane.capacity);
		return audit.r;
	}
	bytes = walk(&lane, oldest, last, &faulty, &seen);
	if (atomic_load_explicit(&lane.shm->oldest, memory_order_acquire) != oldest)
		return 0; /* it is written over by now */
	if (faulty != 0)  /* I2, I3 */
		tarn__audit_report(&audit, "messages", "lie one behind another, numbered", faulty,
				   oldest);
	else if (bytes > lane.capacity) /* I2 */
		tarn__audit_report(&audit, "messages", "end", bytes, lane.capacity);
	else if (last >= oldest && !seen) /* I2 */
		tarn__audit_report(&audit, "last", "is a message", last, oldest);
	return audit.r;
}
