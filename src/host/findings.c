/* SPDX-License-Identifier: BSD-2-Clause */
/* findings.c - the judge: runs the checks, and looks for leftovers of the dead. See findings.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"
#include "host/findings.h"
#include "segment/segment.h"

/* --- the verdict ----------------------------------------------------------------------------- */

static void put_words(char *buf, size_t size, const char *format, va_list ap)
{
	vsnprintf(buf, size, format, ap);
	tarn__plain(buf);
}

void tarn__what(struct tarn__judge *judge, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_words(judge->what, sizeof(judge->what), format, ap);
	va_end(ap);
}

void tarn__breaks(struct tarn__judge *judge, uint32_t severity, const char *format, ...)
{
	va_list ap;

	if (severity > judge->severity)
		judge->severity = severity;
	va_start(ap, format);
	put_words(judge->breaks, sizeof(judge->breaks), format, ap);
	va_end(ap);
}

void tarn__fix(struct tarn__judge *judge, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	put_words(judge->fix, sizeof(judge->fix), format, ap);
	va_end(ap);
}

void tarn__verdict_begin(struct tarn__judge *judge, const char *name, ...)
{
	va_list ap;

	va_start(ap, name);
	put_words(judge->check, sizeof(judge->check), name, ap);
	va_end(ap);
	judge->severity = TARN_SEVERITY_OK;
	judge->bytes = 0;
	judge->unknown = false;
	judge->what[0] = judge->breaks[0] = judge->fix[0] = '\0';
}

void tarn__verdict_end(struct tarn__judge *judge)
{
	const struct tarn_host_finding finding = {
		.check = judge->check,
		.severity = judge->severity,
		.what = judge->what,
		.breaks = judge->breaks[0] != '\0' ? judge->breaks : NULL,
		.fix = judge->fix[0] != '\0' ? judge->fix : NULL,
		.bytes = judge->bytes,
	};

	if (judge->stopped == 0)
		judge->stopped = judge->fn(&finding, judge->arg);
}

/* --- rows ------------------------------------------------------------------------------------ */

const struct tarn__limit *tarn__need(struct tarn__judge *judge, const char *name)
{
	const struct tarn__limit *limit = tarn__limit_find(judge->limits, "%s", name);
	struct tarn_diag diag = { "", "" };

	if (limit == NULL || limit->error == 0)
		return limit;
	if (limit->error == -EINVAL)
		tarn__diag(&diag, -EINVAL, "%s makes no sense", limit->source);
	else
		(void)tarn__refused(&diag, limit->error, "reading", limit->source);
	tarn__what(judge, "%s", diag.what);
	judge->severity = TARN_SEVERITY_UNKNOWN;
	judge->unknown = true;
	return NULL;
}

const struct tarn__limit *tarn__may(const struct tarn__judge *judge, const char *format, ...)
{
	const struct tarn__limit *limit;
	char name[64];
	va_list ap;

	va_start(ap, format);
	vsnprintf(name, sizeof(name), format, ap);
	va_end(ap);
	limit = tarn__limit_find(judge->limits, "%s", name);
	return limit != NULL && limit->error == 0 ? limit : NULL;
}

bool tarn__says(const struct tarn__judge *judge, const char *name, const char *word)
{
	const struct tarn__limit *limit = tarn__may(judge, "%s", name);

	return limit != NULL && strcmp(limit->text, word) == 0;
}

unsigned tarn__percent(const struct tarn__limit *limit)
{
	uint64_t value = limit->pub.value, used = limit->pub.used;

	if (value == UINT64_MAX || used == TARN_HOST_UNKNOWN)
		return 0;
	if (used >= value)
		return 100; /* nothing of nothing is used up too */
	return (unsigned)(value > UINT64_MAX / 100 ? used / (value / 100) : used * 100 / value);
}

const char *tarn__value_text(const struct tarn__limit *limit, uint64_t value, char buf[24])
{
	if (value == UINT64_MAX)
		return "no limit";
	if (limit->pub.unit == TARN_UNIT_BYTES)
		return tarn__size_text(value, buf);
	snprintf(buf, 24, "%" PRIu64, value);
	return buf;
}

bool tarn__judge_full(struct tarn__judge *judge, const struct tarn__limit *limit, unsigned critical)
{
	unsigned percent = tarn__percent(limit);
	uint64_t value = limit->pub.value, used = limit->pub.used;
	char a[24], b[24];

	if (value == UINT64_MAX || used == TARN_HOST_UNKNOWN)
		tarn__what(judge, "%s: %s", limit->what, tarn__value_text(limit, value, a));
	else
		tarn__what(judge, "%s: %s of %s used (%u%%)", limit->what,
			   tarn__value_text(limit, used, a), tarn__value_text(limit, value, b),
			   percent);
	if (percent < 90)
		return false;
	judge->severity = percent >= critical ? TARN_SEVERITY_CRITICAL : TARN_SEVERITY_WARNING;
	judge->bytes = value > used ? value - used : 0;
	return true;
}

/* --- leftovers of the dead ------------------------------------------------------------------- */

struct leftovers {
	const struct tarn_host *host;
	uint32_t state; /* which are counted */
	uint64_t count, bytes;
	char names[300];
};

static void add(struct leftovers *left, const char *name, uint64_t bytes)
{
	size_t used = strlen(left->names);

	left->count++;
	left->bytes += bytes;
	if (used + strlen(name) + 2 < sizeof(left->names) - 8)
		snprintf(left->names + used, sizeof(left->names) - used, "%s%s",
			 used > 0 ? ", " : "", name);
	else if (used > 0 && left->names[used - 1] != '.')
		snprintf(left->names + used, sizeof(left->names) - used, " ...");
}

static int add_segment(const struct tarn_host_segment *segment, void *arg)
{
	struct leftovers *left = arg;

	if (segment->state == left->state)
		add(left, segment->addr,
		    segment->touched != TARN_HOST_UNKNOWN ? segment->touched : segment->size);
	return 0;
}

static void say_leftovers(struct tarn__judge *judge, const struct leftovers *left,
			  const char *whose, const char *fix)
{
	char a[24];

	judge->bytes = left->bytes;
	if (left->count == 0) {
		tarn__what(judge, "nothing of %s is left behind", whose);
		return;
	}
	tarn__what(judge, "%" PRIu64 " left behind by dead processes of %s, %s: %s", left->count,
		   whose, tarn__size_text(left->bytes, a), left->names);
	tarn__breaks(judge, TARN_SEVERITY_WARNING,
		     "they keep memory until they are removed or the host restarts");
	tarn__fix(judge, "%s", fix);
}

void tarn__judge_leftovers(struct tarn__judge *judge)
{
	struct leftovers own = { .host = judge->host, .state = TARN_STATE_STALE };
	struct leftovers foreign = { .host = judge->host, .state = TARN_STATE_ORPHAN };

	if (judge->host == NULL)
		return;
	if (tarn_host_segments(judge->host, add_segment, &own) != 0 ||
	    tarn_host_segments(judge->host, add_segment, &foreign) != 0)
		return; /* never: add_segment() returns 0 */
	tarn__verdict_begin(judge, "leftovers");
	say_leftovers(judge, &own, "Tarn's own", "tarn gc --yes");
	tarn__verdict_end(judge);
	tarn__verdict_begin(judge, "orphans");
	say_leftovers(judge, &foreign, "other programs", "tarn gc --foreign --yes");
	tarn__verdict_end(judge);
}

/* --- all of it ------------------------------------------------------------------------------- */

int tarn_host_findings(const struct tarn_host *host, const struct tarn_host_opts *opts,
		       int (*fn)(const struct tarn_host_finding *finding, void *arg), void *arg)
{
	static const struct tarn__check *const tables[] = { tarn__checks_ipc, tarn__checks_memory,
							    tarn__checks_host };
	struct tarn__limits limits;
	struct tarn__judge judge = { .limits = &limits, .host = host, .fn = fn, .arg = arg };
	int r = tarn__limits_read(opts, &limits);

	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (const struct tarn__check *check = tables[i];
		     check->name != NULL && judge.stopped == 0; check++) {
			tarn__verdict_begin(&judge, "%s", check->name);
			if (check->fn(&judge))
				tarn__verdict_end(&judge);
		}
	tarn__judge_leftovers(&judge);
	tarn__limits_free(&limits);
	return judge.stopped;
}
