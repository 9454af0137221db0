/* SPDX-License-Identifier: BSD-2-Clause */
/* call_check.c - test the invariants of a service and of its rings (call.h), changing nothing. */
#include <errno.h>

#include "flow/call.h"

uint32_t tarn__service_header_check(const struct service_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct service_shm, check), TARN__FNV32_BASIS);
}

uint32_t tarn__bundle_header_check(const struct bundle_shm *shm)
{
	return tarn__fnv32(shm, offsetof(struct bundle_shm, check), TARN__FNV32_BASIS);
}

uint64_t tarn__service_size(uint32_t clients)
{
	return sizeof(struct service_shm) +
	       ((uint64_t)TARN_SERVICE_SERVERS_MAX + clients) * sizeof(struct party_shm);
}

uint64_t tarn__pair_size(uint64_t request_capacity, uint64_t response_capacity)
{
	return sizeof(struct pair_shm) + request_capacity + response_capacity;
}

static bool is_capacity(uint32_t capacity)
{
	return tarn__is_pow2(capacity) && capacity >= 1024;
}

const char *tarn__service_fault(const struct service_shm *shm, uint64_t size)
{
	if (shm->magic != SERVICE_MAGIC)
		return "magic";
	if (shm->check != tarn__service_header_check(shm))
		return "check";
	if (shm->version != SERVICE_VERSION)
		return "version";
	if (shm->servers != TARN_SERVICE_SERVERS_MAX)
		return "servers"; /* I1 */
	if (shm->clients == 0 || shm->clients > TARN_SERVICE_CLIENTS_MAX ||
	    size < tarn__service_size(shm->clients))
		return "clients"; /* I1 */
	if (!is_capacity(shm->request_capacity))
		return "request_capacity"; /* I1 */
	return is_capacity(shm->response_capacity) ? NULL : "response_capacity";
}

const char *tarn__bundle_fault(const struct bundle_shm *shm, uint64_t size)
{
	if (shm->magic != BUNDLE_MAGIC)
		return "magic";
	if (shm->check != tarn__bundle_header_check(shm))
		return "check";
	if (shm->version != SERVICE_VERSION)
		return "version";
	if (!is_capacity(shm->request_capacity))
		return "request_capacity"; /* I1 */
	if (!is_capacity(shm->response_capacity) ||
	    (size - sizeof(*shm)) / BUNDLE_PAIRS <
		    tarn__pair_size(shm->request_capacity, shm->response_capacity))
		return "response_capacity"; /* I1 */
	return NULL;
}

void tarn__pair_parts(struct pair_shm *pair, uint32_t request_capacity, uint32_t response_capacity,
		      struct ring_parts *ret_requests, struct ring_parts *ret_responses)
{
	*ret_requests = (struct ring_parts){
		.records = pair->records,
		.capacity = request_capacity / RING_UNIT,
		.record_max = tarn__ring_record_max(request_capacity),
		.tail = &pair->request_tail,
		.head = &pair->request_head,
		.producer = &pair->client.side,
	};
	*ret_responses = (struct ring_parts){
		.records = pair->records + request_capacity,
		.capacity = response_capacity / RING_UNIT,
		.record_max = tarn__ring_record_max(response_capacity),
		.tail = &pair->response_tail,
		.head = &pair->response_head,
		.producer = &pair->server,
	};
}

static uint32_t load(const _Atomic uint32_t *word)
{
	/* acquire: loads stay in the order written */
	return atomic_load_explicit(word, memory_order_acquire);
}

int tarn__service_check(struct tarn_region *region, const struct tarn__object *object,
			const char *where, tarn_report_fn *fn, void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct service_shm *shm = (struct service_shm *)(void *)object->base;
	const char *fault =
		object->size < sizeof(*shm) ? "size" : tarn__service_fault(shm, object->size);
	uint32_t clients;

	if (fault != NULL) {
		tarn__audit_report(&audit, fault, "is as the creator wrote it", 1, 0);
		return audit.r;
	}
	clients = shm->clients;
	if (tarn__service_size(clients) > object->size)
		return 0;                                         /* it changed under our eyes */
	if (load(&shm->server_places) > TARN_SERVICE_SERVERS_MAX) /* I2 */
		tarn__audit_report(&audit, "server_places", "is a number of places",
				   load(&shm->server_places), TARN_SERVICE_SERVERS_MAX);
	if (load(&shm->client_places) > clients)
		tarn__audit_report(&audit, "client_places", "is a number of places",
				   load(&shm->client_places), clients);
	for (uint32_t i = 0; i < TARN_SERVICE_SERVERS_MAX + clients; i++) {
		uint32_t owner = load(&shm->places[i].side.owner);

		if (owner != 0 && tarn__id_slot(owner) >= region->member_max) { /* I2 */
			tarn__audit_report(&audit, "owner", "names a member slot",
					   tarn__id_slot(owner), region->member_max - 1);
			break;
		}
	}
	return audit.r;
}

int tarn__bundle_check(const struct tarn__object *object, const char *where, tarn_report_fn *fn,
		       void *arg)
{
	struct tarn__audit audit = { .where = where, .fn = fn, .arg = arg };
	struct bundle_shm *shm = (struct bundle_shm *)(void *)object->base;
	const char *fault =
		object->size < sizeof(*shm) ? "size" : tarn__bundle_fault(shm, object->size);
	uint32_t requests_size, responses_size;
	uint64_t size;

	if (fault != NULL) {
		tarn__audit_report(&audit, fault, "is as the creator wrote it", 1, 0);
		return audit.r;
	}
	requests_size = shm->request_capacity;
	responses_size = shm->response_capacity;
	size = tarn__pair_size(requests_size, responses_size);
	if (!is_capacity(requests_size) || !is_capacity(responses_size) ||
	    sizeof(*shm) + BUNDLE_PAIRS * size > object->size)
		return 0; /* it changed under our eyes */
	for (uint32_t i = 0; i < BUNDLE_PAIRS; i++) {
		struct pair_shm *pair = (struct pair_shm *)(void *)(shm->pairs + i * size);
		struct ring_parts requests, responses;

		tarn__pair_parts(pair, requests_size, responses_size, &requests, &responses);
		tarn__ring_check_parts(&audit, &requests); /* I3 */
		tarn__ring_check_parts(&audit, &responses);
	}
	return audit.r;
}
