/* SPDX-License-Identifier: BSD-2-Clause */
/* told.c - see told.h. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "look.h"
#include "told.h"

static const char *const kinds[] = {
	[TARN_TRACE_NOTE] = "note",
	[TARN_TRACE_ON] = "on",
	[TARN_TRACE_OFF] = "off",
	[TARN_TRACE_JOIN] = "join",
	[TARN_TRACE_LEAVE] = "leave",
	[TARN_TRACE_DEATH] = "death",
	[TARN_TRACE_CREATE] = "create",
	[TARN_TRACE_OPEN] = "open",
	[TARN_TRACE_CLOSE] = "close",
	[TARN_TRACE_REMOVE] = "remove",
	[TARN_TRACE_GROW] = "grow",
	[TARN_TRACE_WAIT] = "wait",
	[TARN_TRACE_GOT] = "got",
	[TARN_TRACE_TIMEOUT] = "timeout",
	[TARN_TRACE_OWNER_DEAD] = "owner-dead",
	[TARN_TRACE_ROLLBACK] = "rollback",
	[TARN_TRACE_ASIDE] = "aside",
	[TARN_TRACE_COME] = "come",
	[TARN_TRACE_GO] = "go",
	[TARN_TRACE_GONE] = "gone",
	[TARN_TRACE_MISSED] = "missed",
	[TARN_TRACE_DAMAGED] = "damaged",
};

const char *told_kind(uint32_t kind)
{
	return kind < sizeof(kinds) / sizeof(kinds[0]) && kinds[kind] != NULL ? kinds[kind]
									      : "unknown";
}

const char *told_part(uint64_t part)
{
	static const char *const parts[] = {
		[TARN_TRACE_PUBLISHER] = "publisher", [TARN_TRACE_SUBSCRIBER] = "subscriber",
		[TARN_TRACE_SERVER] = "server",       [TARN_TRACE_CLIENT] = "client",
		[TARN_TRACE_PRODUCER] = "producer",   [TARN_TRACE_CONSUMER] = "consumer",
	};

	return part < sizeof(parts) / sizeof(parts[0]) && parts[part] != NULL
		       ? parts[part]
		       : "part of a later version";
}

/* --- who ----------------------------------------------------------------------------------- */

const struct told_who *told_find(const struct told *told, uint32_t slot, uint32_t generation)
{
	for (uint32_t i = told->count; i > 0; i--)
		if (told->list[i - 1].slot == slot && told->list[i - 1].generation == generation)
			return &told->list[i - 1];
	return NULL;
}

static void learn(struct told *told, uint32_t slot, uint32_t generation, int32_t pid,
		  const char *comm)
{
	struct told_who *list;

	if (told_find(told, slot, generation) != NULL)
		return;
	list = realloc(told->list, (told->count + 1) * sizeof(*list));
	if (list == NULL)
		return; /* then it is not known */
	told->list = list;
	list += told->count++;
	*list = (struct told_who){ .slot = slot, .generation = generation, .pid = pid };
	snprintf(list->comm, sizeof(list->comm), "%.15s", comm);
}

static int each_member(const struct tarn_member_stat *stat, void *arg)
{
	learn(arg, stat->slot, stat->generation, stat->pid, stat->comm);
	return 0;
}

void told_members(struct told *told, struct tarn_region *region)
{
	(void)!tarn_region_members(region, each_member, told);
}

bool told_whom(const struct tarn_trace_event *event, uint32_t *ret_slot, uint32_t *ret_generation)
{
	switch (event->kind) {
	case TARN_TRACE_DEATH:
	case TARN_TRACE_WAIT:
	case TARN_TRACE_GOT:
	case TARN_TRACE_TIMEOUT:
	case TARN_TRACE_OWNER_DEAD:
	case TARN_TRACE_ROLLBACK:
	case TARN_TRACE_ASIDE:
		tarn_trace_member(event->a, ret_slot, ret_generation);
		return event->a != 0;
	default:
		return false;
	}
}

void told_learn(struct told *told, const struct tarn_trace_event *event)
{
	uint32_t slot, generation;

	if (event->kind == TARN_TRACE_JOIN)
		learn(told, event->slot, event->generation, (int32_t)event->a, event->text);
	if (event->kind == TARN_TRACE_DEATH && told_whom(event, &slot, &generation))
		learn(told, slot, generation, (int32_t)event->b, event->text);
}

static void printable(const char *text, char *buf, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size && text[i] != '\0'; i++)
		buf[i] = (unsigned char)text[i] >= ' ' && (unsigned char)text[i] < 0x7f ? text[i]
											: '?';
	buf[i] = '\0';
}

const char *told_name(const struct told *told, uint32_t slot, uint32_t generation, char buf[64])
{
	const struct told_who *who = told_find(told, slot, generation);
	char comm[16];

	if (who == NULL) {
		snprintf(buf, 64, "slot %" PRIu32 ".%" PRIu32, slot, generation);
		return buf;
	}
	printable(who->comm, comm, sizeof(comm));
	snprintf(buf, 64, "pid %" PRId32 " (%s)", who->pid, comm);
	return buf;
}

void told_free(struct told *told)
{
	free(told->list);
	*told = (struct told){ 0 };
}

/* --- words --------------------------------------------------------------------------------- */

struct words {
	const struct tarn_trace_event *event;
	char object[TARN_OBJECT_NAME_MAX + 32]; /* "mutex door" */
	char whom[64];                          /* empty: nobody */
	char text[TARN_TRACE_TEXT_MAX + 1];
	char took[24];
};

static void fill(struct words *w, const struct told *told, const struct tarn_trace_event *event)
{
	char name[TARN_OBJECT_NAME_MAX + 1];
	uint32_t slot, generation;

	*w = (struct words){ .event = event };
	printable(event->object, name, sizeof(name));
	printable(event->text, w->text, sizeof(w->text));
	if (event->object_kind != 0)
		snprintf(w->object, sizeof(w->object), "%s %s", look_kind(event->object_kind),
			 name);
	else
		snprintf(w->object, sizeof(w->object), "an object that is gone");
	if (told_whom(event, &slot, &generation))
		(void)told_name(told, slot, generation, w->whom);
	(void)text_duration((int64_t)(event->b & INT64_MAX), w->took);
}

static void say_object(const struct words *w, char buf[TOLD_SIZE])
{
	const struct tarn_trace_event *event = w->event;
	char size[24];

	switch (event->kind) {
	case TARN_TRACE_CREATE:
		snprintf(buf, TOLD_SIZE, "made %s%s%s, %s", look_kind((uint32_t)event->b), " ",
			 event->object_kind != 0 ? event->object : w->text,
			 text_size(event->a, size));
		break;
	case TARN_TRACE_OPEN:
		snprintf(buf, TOLD_SIZE, "opened %s", w->object);
		break;
	case TARN_TRACE_CLOSE:
		snprintf(buf, TOLD_SIZE, "closed %s", w->object);
		break;
	case TARN_TRACE_REMOVE:
		snprintf(buf, TOLD_SIZE, "removed %s", w->text);
		break;
	case TARN_TRACE_DAMAGED:
		snprintf(buf, TOLD_SIZE, "found damage: %s", w->text);
		break;
	case TARN_TRACE_GROW:
		snprintf(buf, TOLD_SIZE, "let the region grow to %s", text_size(event->a, size));
		break;
	case TARN_TRACE_MISSED:
		snprintf(buf, TOLD_SIZE, "missed %" PRIu64 " messages of %s", event->b, w->object);
		break;
	default:
		snprintf(buf, TOLD_SIZE, "event %" PRIu32 " of a later version", event->kind);
	}
}

static void say_lock(const struct words *w, char buf[TOLD_SIZE])
{
	const char *whom = w->whom[0] != '\0' ? w->whom : "somebody";
	bool region = w->event->object_kind == 0 && w->event->object[0] == '\0';
	const char *lock = region ? "the region's lock" : w->object;

	switch (w->event->kind) {
	case TARN_TRACE_WAIT:
		snprintf(buf, TOLD_SIZE, "waits for %s%s%s%s", w->object,
			 w->whom[0] != '\0' ? ", which " : "", w->whom,
			 w->whom[0] != '\0' ? " has" : "");
		break;
	case TARN_TRACE_GOT:
		snprintf(buf, TOLD_SIZE, "has %s after %s", w->object, w->took);
		break;
	case TARN_TRACE_TIMEOUT:
		snprintf(buf, TOLD_SIZE, "gave up %s after %s%s%s", w->object, w->took,
			 w->whom[0] != '\0' ? ", for " : "", w->whom);
		break;
	case TARN_TRACE_OWNER_DEAD:
		snprintf(buf, TOLD_SIZE, "found that %s, who had %s, is dead", whom, lock);
		break;
	case TARN_TRACE_ROLLBACK:
		snprintf(buf, TOLD_SIZE, "undid what %s had begun in %s: %" PRIu64 " units",
			 w->whom[0] != '\0' ? w->whom : "a dead one", w->object, w->event->b);
		break;
	default:
		snprintf(buf, TOLD_SIZE, "set %s aside: what a dead one left could not be undone",
			 w->object);
	}
}

static void say_part(const struct words *w, char buf[TOLD_SIZE])
{
	const struct tarn_trace_event *event = w->event;
	const char *part = told_part(event->a);

	switch (event->kind) {
	case TARN_TRACE_COME:
		snprintf(buf, TOLD_SIZE, "comes to %s as %s %" PRIu64, w->object, part, event->b);
		break;
	case TARN_TRACE_GO:
		snprintf(buf, TOLD_SIZE, "leaves %s as %s %" PRIu64, w->object, part, event->b);
		break;
	default:
		snprintf(buf, TOLD_SIZE, "found that %s %" PRIu64 " of %s is gone", part, event->b,
			 w->object);
	}
}

void told_words(const struct told *told, const struct tarn_trace_event *event, char buf[TOLD_SIZE])
{
	struct words w;

	fill(&w, told, event);
	switch (event->kind) {
	case TARN_TRACE_NOTE:
		snprintf(buf, TOLD_SIZE, "note %" PRIu32 ": %" PRIu64 " %" PRIu64 "%s%s",
			 event->code, event->a, event->b, w.text[0] != '\0' ? " " : "", w.text);
		return;
	case TARN_TRACE_ON:
	case TARN_TRACE_OFF:
		snprintf(buf, TOLD_SIZE, "switched the trace %s", told_kind(event->kind));
		return;
	case TARN_TRACE_JOIN:
		snprintf(buf, TOLD_SIZE, event->b != 0 ? "is a member" : "joined");
		return;
	case TARN_TRACE_LEAVE:
		snprintf(buf, TOLD_SIZE, "left");
		return;
	case TARN_TRACE_DEATH:
		snprintf(buf, TOLD_SIZE, "found %s dead, and freed its slot", w.whom);
		return;
	case TARN_TRACE_WAIT:
	case TARN_TRACE_GOT:
	case TARN_TRACE_TIMEOUT:
	case TARN_TRACE_OWNER_DEAD:
	case TARN_TRACE_ROLLBACK:
	case TARN_TRACE_ASIDE:
		say_lock(&w, buf);
		return;
	case TARN_TRACE_COME:
	case TARN_TRACE_GO:
	case TARN_TRACE_GONE:
		say_part(&w, buf);
		return;
	default:
		say_object(&w, buf);
	}
}
