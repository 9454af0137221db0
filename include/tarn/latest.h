/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/latest.h - the newest whole value: written as often as one likes, read at any time, never
 * torn.
 *
 *     r = tarn_latest_write(latest, &pose, sizeof(pose), TARN_FOREVER, NULL);
 *     r = tarn_latest_read(latest, &pose, sizeof(pose), &size, &number);
 *
 * or in place, without a copy, and as long as one likes:
 *
 *     r = tarn_latest_hold(latest, &frame, &size, &number, NULL);
 *     if (r == 0) {
 *             show(frame, size);
 *             tarn_latest_release(latest);
 *     }
 *
 * Values may be of a described type (tarn/type.h): its description is kept with them, so who knows
 * another one is told which field is where, here and there, and any tool prints the fields by name.
 *
 * There are two buffers more than handles that may hold one at a time, so a writer always finds one
 * that nobody reads; who holds one keeps that value, and others go on to newer ones.
 *
 * Callers:   a handle belongs to one thread at a time. Several writers exclude each other as with a
 *            mutex. Readers may have a region that is only looked on; they copy. A child of fork()
 *            holds nothing.
 * Progress:  read and hold are wait-free, whatever writers do; on a region that is only looked on,
 *            reading is tried a thousand times beside a writer that never rests. Writing is
 *            wait-free as long as nobody else writes. No system call while nobody waits.
 * Crash:     a writer killed anywhere leaves the last whole value; a dead reader keeps its buffer
 *            until another handle needs its place, and nobody waits for it.
 * Memory:    384 bytes, 16 for each that may hold, size + 64 for each buffer, the description.
 * Trust:     members may write what they like, whenever they like: then values may be torn, and
 *            damage is -EUCLEAN, never an access outside of the object.
 */
#ifndef TARN_LATEST_H
#define TARN_LATEST_H

#include <stddef.h>

#include <tarn/base.h>
#include <tarn/region.h>

TARN_BEGIN_DECLS

struct tarn_latest; /* this process's handle */
struct tarn_type;   /* <tarn/type.h> */

#define TARN_LATEST_HOLDERS_MAX 62u
#define TARN_LATEST_SIZE_MAX    (UINT32_C(1) << 30) /* bytes */

/* tarn_latest_opts.flags */
enum {
	/* Writers may fill a value in place: tarn_latest_loan(). To read a copy then takes a hold,
	 * but where the region is only looked on. */
	TARN_LATEST_IN_PLACE = 1u << 0,
};

/* All zero means: the default of each. */
struct tarn_latest_opts {
	uint32_t size;    /* bytes of the largest value, 1 .. TARN_LATEST_SIZE_MAX */
	uint32_t holders; /* handles that may hold a value at a time, 1 .. TARN_LATEST_HOLDERS_MAX;
	                     0 = 8 */
	uint32_t flags;   /* TARN_LATEST_IN_PLACE; 0 with 0 holders: as it is, if it exists */
	uint32_t pad;     /* zero */
	/* What each value is, all of it: size is that of the type then, or 0. NULL: bytes; of an
	 * existing one: whatever they are. */
	const struct tarn_type *type;
	struct tarn_diag *diag; /* also where it is opened, and its type is a later version */
	uint64_t reserved[2];   /* zero */
};

struct tarn_latest_stat {
	uint64_t number; /* of the newest value: so many were written; 0 = none yet */
	uint32_t size;   /* bytes, of the newest value */
	uint32_t size_max;
	uint32_t holders_max;
	uint32_t holders; /* that hold one now, or died with one */
	uint32_t flags;
	uint32_t pad;
};

/**
 * tarn_latest_open - open latest value @name of @region.
 * @opts:       it is created if it is absent; size or type is needed then. 0 for an existing one:
 *              as it is. NULL: it must exist.
 * @ret_latest: handle on success, untouched on failure; tarn_latest_close() it
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL, or the region is only looked on, and there is no such latest value
 *   -EINVAL   name, type or @opts out of range; diag says what
 *   -EEXIST   it exists with another size, holders or flags than @opts asks; diag has both
 *   -EPROTO   the object is no latest value, or of another version; or what it holds is of another
 *             type, of an earlier version of it, or of none: diag names the first field that
 *             differs
 *   -ENOSPC, -ENFILE, -ENOMEM  no room to create it
 *   -EUCLEAN  its header or description is damaged
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_open(struct tarn_region *region, const char *name,
					     const struct tarn_latest_opts *opts,
					     struct tarn_latest **ret_latest);

/**
 * tarn_latest_close - release what is held, abort what is being written, give the handle up.
 * Accepts NULL.
 * Since: 0.1
 */
TARN_API void tarn_latest_close(struct tarn_latest *latest);

/**
 * tarn_latest_write - make a copy of @size bytes the newest value. Where others know a later
 * version of its type the fields that were added keep what they were.
 * @deadline: until when to wait for another writer
 * Return: 0, or
 *   -EMSGSIZE   @size is larger than the object's, or not that of its type; diag has both
 *   -ETIMEDOUT  another writer was at it until @deadline; diag tells who
 *   -EDEADLK    this thread is writing already, by tarn_latest_loan()
 *   -EPERM      the region was opened to look on
 *   -EUCLEAN, -ENOTRECOVERABLE, -EIO  as tarn_mutex_lock(); nothing was written
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_write(struct tarn_latest *latest, const void *data,
					      size_t size, int64_t deadline,
					      struct tarn_diag *diag);

/**
 * tarn_latest_write_if - as tarn_latest_write(), if value @seen (0: none) is still the newest. So
 * what was read can be changed in part, and no other writer's value is lost.
 * Return: as tarn_latest_write(), and -EAGAIN: there is a newer one; nothing was written.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_write_if(struct tarn_latest *latest, const void *data,
						 size_t size, uint64_t seen, int64_t deadline,
						 struct tarn_diag *diag);

/**
 * tarn_latest_loan - memory for the next value, to be filled in place by this thread; other writers
 * wait meanwhile.
 * @ret_data: as many bytes as the object's size, 64-byte aligned, with what some older value was;
 *            until tarn_latest_publish() or tarn_latest_abort()
 * Return: as tarn_latest_write(), and -EOPNOTSUPP: it was created without TARN_LATEST_IN_PLACE.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_loan(struct tarn_latest *latest, int64_t deadline,
					     void **ret_data, struct tarn_diag *diag);

/**
 * tarn_latest_publish - make the first @size bytes of the loan the newest value.
 * Return: 0, -EPERM (this thread has no loan), -EMSGSIZE (as in writing; the loan stays).
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_publish(struct tarn_latest *latest, size_t size);

/** tarn_latest_abort - give the loan back; the newest value stays. Since: 0.1 */
TARN_API void tarn_latest_abort(struct tarn_latest *latest);

/**
 * tarn_latest_read - a copy of the newest value.
 * @ret_size:   its size in bytes; on -ENOBUFS too. Of a later version of the type so much as this
 *              handle's has
 * @ret_number: which one it is, counted from 1; may be NULL
 * Return: 0, or
 *   -ENODATA  nothing was written yet
 *   -ENOBUFS  it is larger than @buf_size
 *   -EAGAIN   the writer was faster a thousand times in a row, and no hold can be had: the region
 *             is only looked on, this handle holds a value, or as many hold one as may
 *   -EUSERS   of a value that is filled in place (TARN_LATEST_IN_PLACE), which takes a hold: as
 *             many hold one as may; diag of tarn_latest_hold() tells who
 *   -EBUSY    of such a value: this handle holds one; release it first
 *   -EUCLEAN  the object's words contradict each other
 *   -EIO      the file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_read(struct tarn_latest *latest, void *buf, size_t buf_size,
					     size_t *ret_size, uint64_t *ret_number);

/**
 * tarn_latest_hold - the newest value, in place; what this handle held before is released.
 * @ret_data: 64-byte aligned; stays as it is until tarn_latest_release() or close
 * Return: as tarn_latest_read(); -EUSERS: as many handles hold one as may, and diag tells of one;
 *   -EPERM: the region was opened to look on.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_hold(struct tarn_latest *latest, const void **ret_data,
					     size_t *ret_size, uint64_t *ret_number,
					     struct tarn_diag *diag);

/** tarn_latest_release - let go of what is held, if anything is. Since: 0.1 */
TARN_API void tarn_latest_release(struct tarn_latest *latest);

/** tarn_latest_number - which value is the newest, counted from 1; 0 = none yet. Since: 0.1 */
TARN_API uint64_t tarn_latest_number(const struct tarn_latest *latest);

/**
 * tarn_latest_wait - wait until the newest value is another one than @seen.
 * @ret_number: which it is then
 * Return: 0, -ETIMEDOUT, -EIO. On a region that is only looked on it is seen within a millisecond.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_wait(struct tarn_latest *latest, uint64_t seen,
					     int64_t deadline, uint64_t *ret_number);

/**
 * tarn_latest_describe - what its values consist of, whoever made it.
 * @ret_type: a copy; tarn_type_free() it
 * Return: 0, -ENOENT (bytes: it has no type), -EUCLEAN, -ENOMEM.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_latest_describe(const struct tarn_latest *latest,
						 struct tarn_type **ret_type);

/** tarn_latest_stat - facts, see the struct. Return: 0, -EUCLEAN. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_latest_stat(const struct tarn_latest *latest,
					     struct tarn_latest_stat *ret_stat);

TARN_END_DECLS

#endif /* TARN_LATEST_H */
