/* SPDX-License-Identifier: BSD-2-Clause */
/* latest.h - the bytes of a latest value, behind those of its primitive, and its handle.
 * See tests/model/latest.pml, and of who waits for a change tests/model/bell.pml. */
#ifndef TARN_FLOW_LATEST_H
#define TARN_FLOW_LATEST_H

#include <tarn/latest.h>

#include "region/type.h"
#include "sync/prim.h"

#define LATEST_MAGIC 0x7473614cu /* "Last" */

enum {
	INDEX_BITS = 6,
	INDEX_MASK = (1 << INDEX_BITS) - 1,
};

/* seat_shm.value, bits 0 and 1 */
enum { SEAT_NONE = 0, SEAT_ASKS = 1, SEAT_HOLDS = 2, SEAT_HOW = 3 };

struct latest_shm {
	uint32_t magic;
	uint32_t size;      /* bytes of the largest value */
	uint32_t type_size; /* bytes of the description behind the buffers; 0: there is none */
	uint32_t check;     /* FNV-1a of the three words before it */
	uint8_t pad[48];
};

struct buffer_shm {
	_Atomic uint64_t number;
	_Atomic uint32_t size; /* bytes of this value */
	uint8_t pad[52];
	unsigned char value[];
};

static_assert(offsetof(struct latest_shm, size) == 4, "layout");
static_assert(offsetof(struct latest_shm, type_size) == 8, "layout");
static_assert(offsetof(struct latest_shm, check) == 12, "layout");
static_assert(sizeof(struct latest_shm) == TARN__CACHE_LINE, "layout");
static_assert(offsetof(struct buffer_shm, size) == 8, "layout");
static_assert(offsetof(struct buffer_shm, value) == TARN__CACHE_LINE, "layout");
static_assert(TARN_LATEST_HOLDERS_MAX + 2 <= 1u << INDEX_BITS, "an index is 6 bits");

struct tarn_latest {
	struct prim prim;
	unsigned char *buffers;
	uint64_t stride; /* bytes from one buffer to the next */
	uint32_t size;
	uint32_t type_size;
	uint32_t least, most; /* bytes of a value as this handle knows it: an earlier version of its
				 type has fewer than size */
	uint32_t count;       /* buffers: seats + 2 */
	uint32_t loan;      /* the buffer that this handle's thread fills, while it has the lock */
	uint32_t seat;      /* of this handle, where it has one */
	bool seated, holds; /* it has a seat; it holds a value there */
};

static inline struct buffer_shm *buffer_at(const struct tarn_latest *latest, uint32_t index)
{
	return (struct buffer_shm *)(void *)(latest->buffers + index * latest->stride);
}

/* What the header says, read once, and checked as it was read (I1). 0, -EUCLEAN; -EEXIST: @opts ask
 * for another size. */
int tarn__latest_geometry(struct tarn_latest *latest, const struct tarn_latest_opts *opts,
			  struct tarn_diag *diag);
/* --- latest_type.c */

/* Say how large values are as a handle knows them that wants them to be of @type (NULL: does not
 * say). 0; -EPROTO: they are of another; -EUCLEAN, -ENOMEM. */
int tarn__latest_fit(struct tarn_latest *latest, const struct tarn_type *type,
		     struct tarn_diag *diag);
/* In the next value, its buffer, what lies behind the part that this handle knows is as in the
 * value @newest; NULL: zero. */
void tarn__latest_keep_rest(const struct tarn_latest *latest, struct buffer_shm *buffer,
			    const struct buffer_shm *newest);

/* --- latest_check.c */

int tarn__latest_check(struct tarn_region *region, const struct tarn__object *object,
		       const char *where, tarn_report_fn *fn, void *arg);

#endif /* TARN_FLOW_LATEST_H */
