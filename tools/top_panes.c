/* SPDX-License-Identifier: BSD-2-Clause */
/* top_panes.c - what each pane of tarn top shows, of one look. See top.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <wctype.h>

#include <tarn/topic.h>

#include "figures.h"
#include "out_parts.h"
#include "top.h"

static const struct out_col region_cols[] = {
	{ "name", "REGION", OUT_TEXT, "its address", false },
	{ "state", "STATE", OUT_TEXT,
	  "ok, or why it could not be looked into: absent, denied, damaged, version or failed",
	  false },
	{ "member_count", "MEMBERS", OUT_COUNT, "members that are alive", false },
	{ "dead_count", "DEAD", OUT_COUNT, "members that have died, and whose places nobody took",
	  false },
	{ "object_count", "OBJECTS", OUT_COUNT, "objects", false },
	{ "used_bytes", "USED", OUT_SIZE, "what objects occupy", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "room for objects", false },
	{ "rate_hz", "MSG/S", OUT_REAL, "messages a second, on all its topics", false },
	{ "held_count", "HELD", OUT_COUNT, "locks that somebody has", false },
	{ "waiter_count", "WAITERS", OUT_COUNT, "threads that wait for a lock", false },
	{ "held_up_count", "HELD-UP", OUT_COUNT, "topics with a publisher that has no room",
	  false },
	{ 0 },
};

static const struct out_col member_cols[] = {
	{ "pid", "PID", OUT_SIGNED, "process, in its own PID namespace", false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "state", "STATE", OUT_TEXT, "alive or dead, by the kernel's lock", false },
	{ "region", "REGION", OUT_TEXT, "what it is a member of", false },
	{ "uid", "UID", OUT_COUNT, "user", false },
	{ "age_ns", "AGE", OUT_AGE, "for how long it has the region open", false },
	{ "holds", "HOLDS", OUT_LONG, "locks that its process has", false },
	{ "waits_for", "WAITS-FOR", OUT_LONG, "locks that its process waits for", false },
	{ "publishes", "PUBLISHES", OUT_LONG, "topics", OUT_IF_ROOM },
	{ "subscribes", "SUBSCRIBES", OUT_LONG, "topics", OUT_IF_ROOM },
	{ 0 },
};

static const struct out_col topic_cols[] = {
	{ "name", "TOPIC", OUT_TEXT, "REGION/TOPIC", false },
	{ "publisher_count", "PUBS", OUT_COUNT, "publishers that are alive", false },
	{ "subscriber_count", "SUBS", OUT_COUNT, "subscribers that are alive", false },
	{ "rate_hz", "MSG/S", OUT_REAL, "messages a second, of all publishers", false },
	{ "bytes_per_second", "BYTES/S", OUT_REAL, "of them, headers and padding too", false },
	{ "message_count", "MESSAGES", OUT_COUNT, "messages so far", false },
	{ "lag", "LAG", OUT_COUNT, "messages that are kept for the subscriber furthest behind",
	  false },
	{ "missed_count", "MISSED", OUT_COUNT, "messages that those who are there have missed",
	  false },
	{ "held_up", "HELD-UP", OUT_LONG, "which publisher has no room, and by whom", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "memory of the topic and of its lanes", OUT_IF_ROOM },
	{ 0 },
};

static const struct out_col subscriber_cols[] = {
	{ "topic", "TOPIC", OUT_TEXT, "REGION/TOPIC", false },
	{ "pid", "PID", OUT_SIGNED, "process, in its own PID namespace", false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "state", "STATE", OUT_TEXT, "alive or dead", false },
	{ "policy", "POLICY", OUT_TEXT, "lossless, lossy, latest, or coming: it is just opening",
	  false },
	{ "kept", "LAG", OUT_COUNT,
	  "messages that are kept for it: not taken yet, or held in place; counted by "
	  "thirty-seconds of a lane",
	  false },
	{ "missed", "MISSED", OUT_COUNT, "messages that it has missed", false },
	{ "missed_rate_hz", "MISSED/S", OUT_REAL, "of them, a second", false },
	{ 0 },
};

static const struct out_col lock_cols[] = {
	{ "name", "LOCK", OUT_TEXT, "REGION/OBJECT", false },
	{ "kind", "KIND", OUT_TEXT, "section, mutex, semaphore ...", false },
	{ "state", "STATE", OUT_TEXT, "as tarn locks has it", false },
	{ "pid", "PID", OUT_SIGNED, "process of its first holder", false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "held_ns", "HELD", OUT_AGE,
	  "for how long at least; not known where nobody has waited for it", false },
	{ "waiter_count", "WAITERS", OUT_COUNT, "threads that wait", false },
	{ "waiting_pids", "WHO-WAITS", OUT_LONG, "their processes", false },
	{ "deadlock", "DEADLOCK", OUT_COUNT, "number of the circle of waits that it is part of",
	  false },
	{ "recovered", "RECOVERED", OUT_COUNT, "deaths of owners that were noticed", OUT_IF_ROOM },
	{ 0 },
};

static const struct out_col counter_cols[] = {
	{ "object", "OBJECT", OUT_TEXT, "REGION/OBJECT", false },
	{ "metric", "METRIC", OUT_TEXT, "its name", false },
	{ "kind", "KIND", OUT_TEXT, "counter, gauge or histogram", false },
	{ "value", "VALUE", OUT_SIGNED,
	  "a counter's sum, what a gauge is, how many values a histogram has", false },
	{ "unit", "UNIT", OUT_TEXT, "of its values", false },
	{ "rate_hz", "RATE/S", OUT_REAL, "how much it goes up a second; of gauges not known",
	  false },
	{ "p99", "P99", OUT_COUNT, "of a histogram: 99 of 100 values are not above that", false },
	{ 0 },
};

static const struct out_col call_cols[] = {
	{ "name", "SERVICE", OUT_TEXT, "REGION/SERVICE", false },
	{ "server_count", "SERVERS", OUT_COUNT, "servers that are alive", false },
	{ "client_count", "CLIENTS", OUT_COUNT, "clients that are alive", false },
	{ "dead_count", "DEAD", OUT_COUNT, "of both, that have died", false },
	{ "requests", "OUTSTANDING", OUT_COUNT,
	  "calls whose requests lie in rings: not taken, or in use where they lie", false },
	{ "responses", "ANSWERS", OUT_COUNT, "that clients have not taken", false },
	{ "server_pids", "WHO-SERVES", OUT_LONG, "processes of servers", false },
	{ 0 },
};

const struct out_list top_region_list = { "regions", region_cols };
const struct out_list top_member_list = { "members", member_cols };
const struct out_list top_topic_list = { "topics", topic_cols };
const struct out_list top_subscriber_list = { "subscribers", subscriber_cols };
const struct out_list top_lock_list = { "locks", lock_cols };
const struct out_list top_counter_list = { "counters", counter_cols };
const struct out_list top_call_list = { "calls", call_cols };

const struct out_list *const top_lists[TOP_PANES] = {
	[TOP_REGIONS] = &top_region_list, [TOP_MEMBERS] = &top_member_list,
	[TOP_TOPICS] = &top_topic_list,   [TOP_SUBSCRIBERS] = &top_subscriber_list,
	[TOP_LOCKS] = &top_lock_list,     [TOP_COUNTERS] = &top_counter_list,
	[TOP_CALLS] = &top_call_list,
};

static const char *const sorts[TOP_PANES] = {
	[TOP_REGIONS] = "name",      [TOP_MEMBERS] = "region",      [TOP_TOPICS] = "-rate_hz",
	[TOP_SUBSCRIBERS] = "-kept", [TOP_LOCKS] = "-waiter_count", [TOP_COUNTERS] = "-rate_hz",
	[TOP_CALLS] = "-requests",
};

char top_pane_letter(enum top_pane pane)
{
	return "RMTSLCA"[pane];
}

const char *top_pane_sort(enum top_pane pane)
{
	return sorts[pane];
}

enum top_pane top_pane_find(const char *name)
{
	int pane = 0;

	while (pane < TOP_PANES && strcasecmp(name, top_lists[pane]->key) != 0 &&
	       (name[0] != top_pane_letter((enum top_pane)pane) || name[1] != '\0'))
		pane++;
	return (enum top_pane)pane;
}

/* --- rows ---------------------------------------------------------------------------------- */

static const struct top_region *region_at(const struct top *top, size_t at)
{
	return &((const struct top_region *)top->regions.at)[at];
}

/* Is what is called @name, REGION/OBJECT, in @region? Then the object's name, else NULL. */
static const char *object_in(const struct top_region *region, const char *name)
{
	size_t length = strlen(region->addr);

	return strncmp(name, region->addr, length) == 0 && name[length] == '/' ? name + length + 1
									       : NULL;
}

static void put_rate(struct top *top, struct out *out, const char *key, const char *what,
		     uint64_t value)
{
	double rate;

	if (top_rate(&top->memory, what, value, tarn_now(), &rate))
		out_real(out, key, rate);
}

/* Names apart by commas, as many as there is room for. */
struct names {
	char text[512];
	size_t used;
};

static void names_add(struct names *names, const char *name)
{
	size_t room = sizeof(names->text) - names->used;
	int n = snprintf(names->text + names->used, room, "%s%s", names->used > 0 ? "," : "", name);

	if (n > 0 && (size_t)n < room)
		names->used += (size_t)n;
	else
		names->text[names->used] = '\0'; /* not half a name */
}

static const char *names_text(const struct names *names)
{
	return names->used > 0 ? names->text : NULL;
}

static bool has_role(const struct rows *threads, size_t i, const char *a, const char *b)
{
	const char *role = rows_text(threads, i, "role");

	return role != NULL && (strcmp(role, a) == 0 || strcmp(role, b) == 0);
}

static void put_state(struct out *out, int error)
{
	int code = error == 0 ? CLI_OK : (int)cli_exit_of(error);

	out_text(out, "state",
		 code == CLI_OK        ? "ok"
		 : code == CLI_ABSENT  ? "absent"
		 : code == CLI_DENIED  ? "denied"
		 : code != CLI_CORRUPT ? "failed"
		 : error == -EPROTO    ? "version"
				       : "damaged");
}

/* Sums over the topics and locks of a region. */
struct sums {
	double rate;
	bool rate_known;
	uint64_t held, waiters, held_up;
};

/* @topics are the rows of that pane, which has the rates. */
static struct sums sums_of(const struct top *top, const struct top_region *region,
			   const struct rows *topics)
{
	struct sums sums = { .rate = 0 };

	for (size_t i = 0; topics != NULL && i < topics->count; i++) {
		const struct rows_cell *rate = rows_cell(topics, i, "rate_hz");
		double number;

		if (object_in(region, rows_text(topics, i, "name")) == NULL)
			continue;
		memcpy(&number, &rate->number, sizeof(number));
		sums.rate += rate->known ? number : 0;
		sums.rate_known |= rate->known;
		sums.held_up += rows_text(topics, i, "held_up") != NULL;
	}
	for (size_t i = 0; top->locks != NULL && i < top->locks->count; i++) {
		if (top->locks->records[i].child ||
		    object_in(region, rows_text(top->locks, i, "name")) == NULL)
			continue;
		sums.held += rows_cell(top->locks, i, "pid")->known;
		sums.waiters += rows_number(top->locks, i, "waiters");
	}
	return sums;
}

static void put_regions(struct top *top, struct out *out, const struct rows *topics)
{
	for (size_t i = 0; i < top->regions.count; i++) {
		const struct top_region *region = region_at(top, i);
		struct sums sums = sums_of(top, region, topics);

		out_row(out);
		out_text(out, "name", region->addr);
		put_state(out, region->error);
		if (region->error != 0)
			continue;
		out_number(out, "member_count", region->stat.member_count);
		out_number(out, "dead_count", region->dead);
		out_number(out, "object_count", region->stat.object_count);
		out_number(out, "used_bytes", region->stat.used);
		out_number(out, "size_bytes", region->stat.size);
		if (sums.rate_known)
			out_real(out, "rate_hz", sums.rate);
		out_number(out, "held_count", sums.held);
		out_number(out, "waiter_count", sums.waiters);
		out_number(out, "held_up_count", sums.held_up);
	}
}

/* The locks that process @pid has, or waits for. */
static void put_locks_of(const struct top *top, struct out *out, const struct top_region *region,
			 int32_t pid)
{
	struct names holds = { .used = 0 }, waits = { .used = 0 };

	for (size_t i = 0; top->locks != NULL && i < top->locks->count; i++) {
		const struct rows *threads = rows_cell(top->locks, i, "threads")->inner;
		const char *name;

		if (threads == NULL || threads->count == 0)
			continue;
		name = object_in(region, rows_text(top->locks, i, "name"));
		for (size_t k = 0; name != NULL && k < threads->count; k++) {
			if ((int32_t)rows_number(threads, k, "pid") != pid)
				continue;
			if (has_role(threads, k, "holds", "shares"))
				names_add(&holds, name);
			else if (has_role(threads, k, "waits", "waits"))
				names_add(&waits, name);
		}
	}
	out_text(out, "holds", names_text(&holds));
	out_text(out, "waits_for", names_text(&waits));
}

static void put_topics_of(const struct top *top, struct out *out, const struct top_region *region,
			  int32_t pid, const char *list)
{
	struct names names = { .used = 0 };

	for (size_t i = 0; top->topics != NULL && i < top->topics->count; i++) {
		const struct rows *users = rows_cell(top->topics, i, list)->inner;
		const char *name = object_in(region, rows_text(top->topics, i, "name"));

		for (size_t k = 0; name != NULL && users != NULL && k < users->count; k++) {
			const struct rows_cell *cell = rows_cell(users, k, "pid");

			if (cell->known && (int32_t)cell->number == pid)
				names_add(&names, name);
		}
	}
	out_text(out, strcmp(list, "publishers") == 0 ? "publishes" : "subscribes",
		 names_text(&names));
}

static void put_members(struct top *top, struct out *out)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	for (size_t i = 0; i < top->members.count; i++) {
		const struct top_member *member = &((struct top_member *)top->members.at)[i];
		const struct top_region *region = region_at(top, member->region);
		int64_t age =
			(int64_t)now.tv_sec * 1000000000 + now.tv_nsec - member->stat.joined_ns;

		out_row(out);
		out_number(out, "pid", (uint64_t)(int64_t)member->stat.pid);
		out_text(out, "command", member->stat.comm);
		out_text(out, "state", member->stat.alive ? "alive" : "dead");
		out_text(out, "region", region->addr);
		out_number(out, "uid", member->stat.uid);
		out_number(out, "age_ns", (uint64_t)age);
		put_locks_of(top, out, region, member->stat.pid);
		put_topics_of(top, out, region, member->stat.pid, "publishers");
		put_topics_of(top, out, region, member->stat.pid, "subscribers");
	}
}

/* A column that both lists have. */
static void copy(struct out *out, const struct rows *from, size_t row, const char *key,
		 const char *as)
{
	const struct rows_cell *cell = rows_cell(from, row, key);

	if (cell->known && cell->text != NULL)
		out_text(out, as, cell->text);
	else if (cell->known)
		out_number(out, as, cell->number);
}

/* What the topic called @name counts of itself as @metric. */
static const struct top_counter *find_counter(const struct top *top, const char *name,
					      const char *metric)
{
	for (size_t i = 0; i < top->counters.count; i++) {
		const struct top_counter *counter = &((struct top_counter *)top->counters.at)[i];
		const char *object = object_in(region_at(top, counter->region), name);

		if (object != NULL && strcmp(counter->object, object) == 0 &&
		    strcmp(counter->name, metric) == 0)
			return counter;
	}
	return NULL;
}

static void put_topic(struct top *top, struct out *out, size_t row)
{
	const struct rows *from = top->topics;
	const struct rows *subscribers = rows_cell(from, row, "subscribers")->inner;
	const struct top_counter *bytes;
	uint64_t lag = 0;
	char what[4400];

	out_row(out);
	copy(out, from, row, "name", "name");
	copy(out, from, row, "publisher_count", "publisher_count");
	copy(out, from, row, "subscriber_count", "subscriber_count");
	copy(out, from, row, "message_count", "message_count");
	copy(out, from, row, "missed_count", "missed_count");
	copy(out, from, row, "held_up", "held_up");
	copy(out, from, row, "size_bytes", "size_bytes");
	snprintf(what, sizeof(what), "t %s", rows_text(from, row, "name"));
	put_rate(top, out, "rate_hz", what, rows_number(from, row, "message_count"));
	bytes = find_counter(top, what + 2, "message_bytes_total");
	what[0] = 'b';
	if (bytes != NULL)
		put_rate(top, out, "bytes_per_second", what, bytes->value);
	for (size_t i = 0; subscribers != NULL && i < subscribers->count; i++)
		if (rows_number(subscribers, i, "kept") > lag)
			lag = rows_number(subscribers, i, "kept");
	out_number(out, "lag", lag);
}

static void put_subscribers(struct top *top, struct out *out, size_t row)
{
	const struct rows *from = rows_cell(top->topics, row, "subscribers")->inner;
	const char *topic = rows_text(top->topics, row, "name");
	char what[4500];

	for (size_t i = 0; from != NULL && i < from->count; i++) {
		out_row(out);
		out_text(out, "topic", topic);
		copy(out, from, i, "pid", "pid");
		copy(out, from, i, "command", "command");
		copy(out, from, i, "state", "state");
		copy(out, from, i, "policy", "policy");
		copy(out, from, i, "kept", "kept");
		copy(out, from, i, "missed", "missed");
		snprintf(what, sizeof(what), "s %" PRIu64 " %" PRIu64 " %s",
			 rows_number(from, i, "place"), rows_number(from, i, "pid"), topic);
		put_rate(top, out, "missed_rate_hz", what, rows_number(from, i, "missed"));
	}
}

static void put_locks(struct top *top, struct out *out)
{
	const struct rows *from = top->locks;

	for (size_t i = 0; from != NULL && i < from->count; i++) {
		const struct rows *threads = rows_cell(from, i, "threads")->inner;
		struct names waiters = { .used = 0 };
		char pid[16];

		if (from->records[i].child)
			continue;
		out_row(out);
		copy(out, from, i, "name", "name");
		copy(out, from, i, "kind", "kind");
		copy(out, from, i, "state", "state");
		copy(out, from, i, "pid", "pid");
		copy(out, from, i, "command", "command");
		copy(out, from, i, "held_ns", "held_ns");
		copy(out, from, i, "waiters", "waiter_count");
		copy(out, from, i, "deadlock", "deadlock");
		copy(out, from, i, "recovered", "recovered");
		for (size_t k = 0; threads != NULL && k < threads->count; k++) {
			if (!has_role(threads, k, "waits", "waits"))
				continue;
			snprintf(pid, sizeof(pid), "%" PRId32,
				 (int32_t)rows_number(threads, k, "pid"));
			names_add(&waiters, pid);
		}
		out_text(out, "waiting_pids", names_text(&waiters));
	}
}

static void put_counters(struct top *top, struct out *out)
{
	for (size_t i = 0; i < top->counters.count; i++) {
		const struct top_counter *counter = &((struct top_counter *)top->counters.at)[i];
		const char *unit = counter->metric.unit;
		bool histogram = counter->metric.kind == TARN_METRIC_HISTOGRAM;
		char name[4400], what[4500];

		if (!top->all && counter->kind != TARN_OBJECT_COUNTERS)
			continue;
		snprintf(name, sizeof(name), "%s/%s", region_at(top, counter->region)->addr,
			 counter->object);
		out_row(out);
		out_text(out, "object", name);
		out_text(out, "metric", counter->metric.name);
		out_text(out, "kind", figures_kind(&counter->metric));
		out_number(out, "value", counter->value);
		out_text(out, "unit", unit[0] != '\0' ? unit : NULL);
		out_number_if(out, "p99", counter->p99, histogram && counter->value > 0);
		snprintf(what, sizeof(what), "c %s %s", counter->metric.name, name);
		if (counter->metric.kind != TARN_METRIC_GAUGE)
			put_rate(top, out, "rate_hz", what, counter->value);
	}
}

static void put_calls(struct top *top, struct out *out)
{
	for (size_t i = 0; i < top->services.count; i++) {
		const struct top_service *service = &((struct top_service *)top->services.at)[i];
		char name[4400];

		snprintf(name, sizeof(name), "%s/%s", region_at(top, service->region)->addr,
			 service->name);
		out_row(out);
		out_text(out, "name", name);
		out_number(out, "server_count", service->servers);
		out_number(out, "client_count", service->clients);
		out_number(out, "dead_count", service->dead);
		out_number(out, "requests", service->requests);
		out_number(out, "responses", service->responses);
		out_text(out, "server_pids", service->pids[0] != '\0' ? service->pids : NULL);
	}
}

void top_panes_put(struct top *top, struct out outs[TOP_PANES])
{
	for (size_t i = 0; top->topics != NULL && i < top->topics->count; i++) {
		put_topic(top, &outs[TOP_TOPICS], i);
		put_subscribers(top, &outs[TOP_SUBSCRIBERS], i);
	}
	put_regions(top, &outs[TOP_REGIONS], outs[TOP_TOPICS].rows);
	put_members(top, &outs[TOP_MEMBERS]);
	put_locks(top, &outs[TOP_LOCKS]);
	put_counters(top, &outs[TOP_COUNTERS]);
	put_calls(top, &outs[TOP_CALLS]);
	top_rates_next(&top->memory);
}

/* --- for the eye --------------------------------------------------------------------------- */

static size_t count_where(const struct rows *rows, const char *key, const char * not )
{
	size_t count = 0;

	for (size_t i = 0; rows != NULL && i < rows->count; i++) {
		const char *text = rows_text(rows, i, key);

		count += text != NULL && strcmp(text, not ) != 0;
	}
	return count;
}

void top_headline(const struct top *top, char *text, size_t size)
{
	size_t regions = top->regions.count, members = top->members.count, waited = 0;
	size_t topics = top->topics != NULL ? top->topics->count : 0;
	int n;

	for (size_t i = 0; top->locks != NULL && i < top->locks->count; i++)
		waited +=
			!top->locks->records[i].child && rows_number(top->locks, i, "waiters") > 0;
	n = snprintf(text, size,
		     "%zu region%s, %zu member%s (%zu dead), %zu topic%s (%zu held up), "
		     "%zu lock%s waited for",
		     regions, regions == 1 ? "" : "s", members, members == 1 ? "" : "s",
		     count_where(top->panes[TOP_MEMBERS], "state", "alive"), topics,
		     topics == 1 ? "" : "s", count_where(top->panes[TOP_TOPICS], "held_up", ""),
		     waited, waited == 1 ? "" : "s");
	if (top->unreadable > 0 && n > 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, "; %" PRIu64 " not readable", top->unreadable);
}

const char *top_cell_text(const struct rows *rows, size_t row, int col, char buf[40])
{
	return out_cell_text(NULL, rows->list->cols[col].type, &rows->records[row].cells[col], buf);
}

size_t top_widen(const char *text, wchar_t *wide, size_t room)
{
	mbstate_t state = { 0 };
	size_t count = 0, left = strlen(text);

	while (left > 0 && count < room) {
		wchar_t c;
		size_t n = mbrtowc(&c, text, left, &state);

		if (n == (size_t)-1 || n == (size_t)-2 || n == 0) {
			state = (mbstate_t){ 0 };
			n = 1;
			c = L'?';
		}
		wide[count++] = iswprint((wint_t)c) && wcwidth(c) > 0 ? c : L'?';
		text += n;
		left -= n;
	}
	return count;
}

/* Is @filter, in any case, in what a column shows? */
static bool passes(const struct rows *rows, size_t row, const wchar_t *filter)
{
	wchar_t wide[1024];
	char buf[40];

	for (int col = 0; col < rows->col_count; col++) {
		size_t length = top_widen(top_cell_text(rows, row, col, buf), wide, 1023);

		wide[length] = L'\0';
		for (size_t i = 0; i + wcslen(filter) <= length; i++)
			if (wcsncasecmp(wide + i, filter, wcslen(filter)) == 0)
				return true;
	}
	return filter[0] == L'\0';
}

size_t *top_filter(const struct rows *rows, const wchar_t *filter, size_t *ret_count)
{
	size_t *places = calloc(rows->count + 1, sizeof(*places));

	*ret_count = 0;
	for (size_t i = 0; places != NULL && i < rows->count; i++)
		if (passes(rows, i, filter))
			places[(*ret_count)++] = i;
	return places;
}
