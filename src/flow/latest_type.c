/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * latest_type.c - latest values of a described type: who opens one with another is told so.
 *
 * Each value is a whole struct then, of the object's size. Who knows an earlier version of the type
 * reads its part of it, and writes its part; what was added since stays as it was, copied from the
 * newest value under the writers' lock.
 */
#include <errno.h>
#include <string.h>

#include "flow/latest.h"

int tarn_latest_describe(const struct tarn_latest *latest, struct tarn_type **ret_type)
{
	const unsigned char *at = latest->buffers + latest->count * latest->stride;
	struct tarn_type *type;
	const char *fault;
	int r = latest->type_size != 0 ? tarn__type_read(at, latest->type_size, &type, &fault)
				       : -ENOENT;

	if (r < 0)
		return r;
	if (type->size != latest->size) { /* I4 */
		tarn_type_free(type);
		return -EUCLEAN;
	}
	*ret_type = type;
	return 0;
}

int tarn__latest_fit(struct tarn_latest *latest, const struct tarn_type *type,
		     struct tarn_diag *diag)
{
	const char *name = latest->prim.sec.name;
	struct tarn_type *there;
	int r;

	latest->most = latest->size;
	latest->least = latest->type_size != 0 ? latest->size : 0;
	if (type == NULL)
		return 0;
	r = tarn_latest_describe(latest, &there);
	if (r == -ENOENT) {
		tarn__diag(diag, -EPROTO, "latest value %s has no type; asked was %s", name,
			   type->name);
		tarn__diag_hint(diag, "open it without a type, or remove it and create it anew");
		return -EPROTO;
	}
	if (r < 0)
		return tarn__diag(diag, r,
				  r == -EUCLEAN ? "latest value %s: its description is damaged"
						: "latest value %s: no memory for its description",
				  name);
	r = tarn_type_compare(type, there, diag);
	tarn_type_free(there);
	latest->least = latest->most = type->size;
	return r < 0 ? r : 0;
}

void tarn__latest_keep_rest(const struct tarn_latest *latest, struct buffer_shm *buffer,
			    const struct buffer_shm *newest)
{
	static const unsigned char zeros[TARN__CACHE_LINE];
	uint32_t at = latest->most, size;

	if (newest != NULL)
		tarn__store_bytes(buffer->value + at, newest->value + at, latest->size - at);
	for (; newest == NULL && at < latest->size; at += size) {
		size = latest->size - at < sizeof(zeros) ? latest->size - at : sizeof(zeros);
		tarn__store_bytes(buffer->value + at, zeros, size);
	}
}
