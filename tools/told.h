/* SPDX-License-Identifier: BSD-2-Clause */
/* told.h - events of a trace in words, for `tarn trace` and `tarn autopsy`. */
#ifndef TARN_TOOLS_TOLD_H
#define TARN_TOOLS_TOLD_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/trace.h>

/* Who had which slot, as far as it is known: from the slots, and from events that said so. */
struct told_who {
	uint32_t slot, generation;
	int32_t pid;
	char comm[16];
};

struct told {
	struct told_who *list;
	uint32_t count;
};

#define TOLD_SIZE 320

/* Those who are in slots now, the dead included. */
void told_members(struct told *told, struct tarn_region *region);
/* What @event says of who somebody is, before it is put in words. */
void told_learn(struct told *told, const struct tarn_trace_event *event);
/* NULL: not known. */
const struct told_who *told_find(const struct told *told, uint32_t slot, uint32_t generation);
/* "pid 4711 (sensor)", or "slot 3.7" of one who is not known. */
const char *told_name(const struct told *told, uint32_t slot, uint32_t generation, char buf[64]);
/* The one that @event is about, where it is about one; false: it is about none. */
bool told_whom(const struct tarn_trace_event *event, uint32_t *ret_slot, uint32_t *ret_generation);
/* "waits for mutex door, which pid 4711 (sensor) has" */
void told_words(const struct told *told, const struct tarn_trace_event *event, char buf[TOLD_SIZE]);
const char *told_kind(uint32_t kind); /* "wait" */
const char *told_part(uint64_t part); /* "publisher" */
void told_free(struct told *told);

#endif /* TARN_TOOLS_TOLD_H */
