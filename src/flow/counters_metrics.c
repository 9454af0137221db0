/* SPDX-License-Identifier: BSD-2-Clause */
/* counters_metrics.c - what metrics are: wanted, as they stand in the region (counters.h), and as a
 * handle or a sample has them, checked. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/bits.h"
#include "flow/counters.h"

enum { BITS = 4 };
#define MOST ((UINT64_C(1) << 40) - 1)

static const char *const kind_words[] = {
	[TARN_METRIC_COUNTER] = "counter",
	[TARN_METRIC_GAUGE] = "gauge",
	[TARN_METRIC_HISTOGRAM] = "histogram",
};

static bool is_kind(uint32_t kind)
{
	return kind >= TARN_METRIC_COUNTER && kind <= TARN_METRIC_HISTOGRAM;
}

static bool is_word(const char *text)
{
	for (; *text != '\0'; text++) {
		bool letter = (*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z');

		if (!letter && *text != '_' && !(*text >= '0' && *text <= '9'))
			return false;
	}
	return true;
}

static bool is_name(const char *text)
{
	return *text != '\0' && !(*text >= '0' && *text <= '9') && is_word(text);
}

static bool is_help(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

static const char *text_of(const char *text)
{
	return text != NULL ? text : "";
}

/* With the defaults in place. */
static struct tarn_metric settled(const struct tarn_metric *wanted)
{
	struct tarn_metric metric = *wanted;

	metric.name = text_of(metric.name);
	metric.unit = text_of(metric.unit);
	metric.help = text_of(metric.help);
	if (metric.kind == TARN_METRIC_HISTOGRAM) {
		metric.bits = metric.bits != 0 ? metric.bits : BITS;
		metric.most = metric.most != 0 ? metric.most : MOST;
	}
	return metric;
}

/* What is wrong with it, in words; or NULL. */
static const char *fault_of(const struct tarn_metric *metric)
{
	if (strnlen(metric->name, TARN_METRIC_NAME_MAX + 1) > TARN_METRIC_NAME_MAX ||
	    !is_name(metric->name))
		return "its name is wanted as 1 to 63 letters, digits and _, no digit first";
	if (strnlen(metric->unit, TARN_METRIC_UNIT_MAX + 1) > TARN_METRIC_UNIT_MAX ||
	    !is_word(metric->unit))
		return "its unit is wanted as up to 31 letters, digits and _";
	if (strnlen(metric->help, TARN_METRIC_HELP_MAX + 1) > TARN_METRIC_HELP_MAX ||
	    !is_help(metric->help))
		return "its help is wanted as up to 135 bytes without control characters";
	if (!is_kind(metric->kind))
		return "its kind is none of counter (1), gauge (2) and histogram (3)";
	if (metric->kind != TARN_METRIC_HISTOGRAM && (metric->bits | metric->most) != 0)
		return "bits and most are of histograms alone";
	if (metric->kind == TARN_METRIC_HISTOGRAM &&
	    (metric->bits == 0 || metric->bits > TARN_METRIC_BITS_MAX || metric->most == 0))
		return "its bits are wanted as 1 to 7";
	return NULL;
}

static uint32_t buckets_of(const struct tarn_metric *metric)
{
	return metric->kind == TARN_METRIC_HISTOGRAM ? bucket_of(metric->bits, metric->most) + 1
						     : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* A name that is there twice; or NULL. -ENOMEM. */
static int find_twice(const struct tarn_metric *list, uint32_t count, const char **ret_name)
{
	const char **names = malloc(count * sizeof(*names));

	*ret_name = NULL;
	if (names == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		names[i] = list[i].name;
	qsort(names, count, sizeof(*names), by_name);
	for (uint32_t i = 1; i < count && *ret_name == NULL; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			*ret_name = names[i];
	free(names);
	return 0;
}

int tarn__metrics_check(const char *name, const struct tarn_metric *list, uint32_t count,
			uint32_t *ret_cells, struct tarn_diag *diag)
{
	uint64_t cells = count;
	const char *twice;
	int r;

	if (count == 0 || count > TARN_METRICS_MAX)
		return tarn__diag(diag, -EINVAL,
				  "counters %s: %" PRIu32 " metrics: 1 to %u are possible", name,
				  count, TARN_METRICS_MAX);
	for (uint32_t i = 0; i < count; i++) {
		struct tarn_metric metric = settled(&list[i]);
		const char *fault = fault_of(&metric);

		if (fault != NULL)
			return tarn__diag(diag, -EINVAL,
					  "counters %s: metric %" PRIu32 " (%.63s): %s", name, i,
					  metric.name, fault);
		cells += buckets_of(&metric);
	}
	if (cells > TARN_COUNTERS_CELLS_MAX)
		return tarn__diag(diag, -EINVAL,
				  "counters %s: metrics and buckets are %" PRIu64
				  " words a slot, and %u are possible: fewer bits, or a lower most",
				  name, cells, TARN_COUNTERS_CELLS_MAX);
	r = find_twice(list, count, &twice);
	if (r == 0 && twice != NULL)
		return tarn__diag(diag, -EINVAL, "counters %s: two metrics have the name %s", name,
				  twice);
	*ret_cells = (uint32_t)cells;
	return r;
}

void tarn__metrics_write(struct metric_shm *to, const struct tarn_metric *list, uint32_t count)
{
	uint32_t cell = count;

	for (uint32_t i = 0; i < count; i++, to++) {
		struct tarn_metric metric = settled(&list[i]);

		memset(to, 0, sizeof(*to));
		memcpy(to->name, metric.name, strlen(metric.name));
		memcpy(to->unit, metric.unit, strlen(metric.unit));
		memcpy(to->help, metric.help, strlen(metric.help));
		to->kind = metric.kind;
		to->bits = metric.bits;
		to->most = metric.most;
		to->cell = cell;
		to->buckets = buckets_of(&metric);
		cell += to->buckets;
	}
}

uint64_t tarn__counters_bytes(uint32_t count, uint32_t cells, uint32_t slots)
{
	uint64_t stride = ((uint64_t)cells * 8 + CELL_ALIGN - 1) & ~(uint64_t)(CELL_ALIGN - 1);

	return sizeof(struct counters_shm) + (uint64_t)count * sizeof(struct metric_shm) +
	       ((uint64_t)slots + 2) * stride;
}

uint32_t tarn__counters_sum(uint32_t count, uint32_t cells, const struct metric_shm *metrics)
{
	const struct counters_shm header = {
		.magic = COUNTERS_MAGIC, .version = COUNTERS_VERSION, .count = count, .cells = cells
	};
	uint32_t sum =
		tarn__fnv32(&header, offsetof(struct counters_shm, check), TARN__FNV32_BASIS);

	return tarn__fnv32(metrics, count * sizeof(*metrics), sum);
}

/* --- checked copies ------------------------------------------------------------------------ */

/* A block with room for @count metrics and what they point to. */
static int make(struct metrics *of, uint32_t count, struct metric_shm **ret_texts)
{
	size_t each = sizeof(struct metric_shm) + sizeof(struct tarn_metric) +
		      sizeof(struct tarn_counters_place) + sizeof(uint32_t);
	struct metric_shm *texts = calloc(count, each);

	memset(of, 0, sizeof(*of));
	if (texts == NULL)
		return -ENOMEM;
	of->places = (struct tarn_counters_place *)(void *)(texts + count);
	of->list = (struct tarn_metric *)(void *)(of->places + count);
	of->buckets = (uint32_t *)(void *)(of->list + count);
	of->count = count;
	*ret_texts = texts;
	return 0;
}

/* What the places of @of are, once its texts are there. False: a rule is broken. */
static bool settle_places(struct metrics *of, const struct metric_shm *texts)
{
	uint32_t cell = of->count;

	for (uint32_t i = 0; i < of->count; i++) {
		const struct metric_shm *text = &texts[i];
		struct tarn_metric *metric = &of->list[i];

		if (memchr(text->name, '\0', sizeof(text->name)) == NULL ||
		    memchr(text->unit, '\0', sizeof(text->unit)) == NULL ||
		    memchr(text->help, '\0', sizeof(text->help)) == NULL)
			return false;
		*metric = (struct tarn_metric){ text->name, text->unit, text->help,
						text->kind, text->bits, text->most };
		of->buckets[i] = fault_of(metric) == NULL ? buckets_of(metric) : UINT32_MAX;
		if (of->buckets[i] != text->buckets || of->buckets[i] > of->cells - cell ||
		    (of->buckets[i] != 0 && text->cell != cell))
			return false;
		/* Whoever records in what is no histogram raises its own word. */
		of->places[i] =
			(struct tarn_counters_place){ .cell = of->buckets[i] != 0 ? cell : i,
						      .bits = text->bits,
						      .most = text->most };
		cell += of->buckets[i];
		of->gauges += text->kind == TARN_METRIC_GAUGE;
	}
	return cell == of->cells;
}

int tarn__metrics_read(const struct counters_shm *shm, uint32_t count, uint32_t cells,
		       struct metrics *ret)
{
	struct metric_shm *texts;
	int r = make(ret, count, &texts);

	if (r < 0)
		return r;
	ret->cells = cells;
	memcpy(texts, shm->metrics, count * sizeof(*texts));
	if (shm->check == tarn__counters_sum(count, cells, texts) && settle_places(ret, texts))
		return 0;
	tarn__metrics_free(ret);
	return -EUCLEAN;
}

int tarn__metrics_of(const struct tarn_metric *list, uint32_t count, struct metrics *ret)
{
	struct metric_shm *texts;
	int r = make(ret, count, &texts);

	if (r < 0)
		return r;
	ret->cells = count;
	tarn__metrics_write(texts, list, count);
	(void)settle_places(ret, texts); /* they are fit */
	return 0;
}

int tarn__metrics_copy(const struct metrics *of, struct metrics *ret)
{
	struct metric_shm *texts;
	int r = make(ret, of->count, &texts);

	if (r < 0)
		return r;
	ret->cells = of->cells;
	memcpy(texts, (const struct metric_shm *)(const void *)of->places - of->count,
	       of->count * sizeof(*texts));
	(void)settle_places(ret, texts); /* they were fit */
	return 0;
}

void tarn__metrics_free(struct metrics *of)
{
	if (of->places != NULL)
		free((struct metric_shm *)(void *)of->places - of->count);
	memset(of, 0, sizeof(*of));
}

/* --- compare ------------------------------------------------------------------------------- */

/* The first field that differs, in words; NULL: none does, or help alone. */
static const char *difference(const struct tarn_metric *a, const struct tarn_metric *b)
{
	return strcmp(a->name, b->name) != 0   ? "name"
	       : a->kind != b->kind            ? "kind"
	       : strcmp(a->unit, b->unit) != 0 ? "unit"
	       : a->bits != b->bits            ? "bits"
	       : a->most != b->most            ? "most"
					       : NULL;
}

enum { WORDS_SIZE = 128 }; /* of what is said of a metric */

/* "histogram took_ns of ns, 4 bits up to 1099511627775" */
static const char *words_of(const struct tarn_metric *metric, char text[WORDS_SIZE])
{
	char more[48] = "", unit[TARN_METRIC_UNIT_MAX + 5] = "";

	if (metric->kind == TARN_METRIC_HISTOGRAM)
		snprintf(more, sizeof(more), ", %" PRIu32 " bits up to %" PRIu64, metric->bits,
			 metric->most);
	if (metric->unit[0] != '\0')
		snprintf(unit, sizeof(unit), " of %.31s", metric->unit);
	snprintf(text, WORDS_SIZE, "%s %.40s%.20s%s",
		 is_kind(metric->kind) ? kind_words[metric->kind] : "no metric", metric->name, unit,
		 more);
	return text;
}

int tarn__metrics_compare(const char *name, const struct metrics *of,
			  const struct tarn_metric *list, uint32_t count, struct tarn_diag *diag)
{
	char there[WORDS_SIZE], wanted[WORDS_SIZE];

	for (uint32_t i = 0; i < count; i++) {
		struct tarn_metric metric = settled(&list[i]);

		if (i >= of->count) {
			tarn__diag(diag, -EEXIST, "counters %.24s have no metric %" PRIu32 ", %s",
				   name, i, words_of(&metric, wanted));
			tarn__diag_hint(diag, "whoever made them knew fewer metrics: remove them, "
					      "and start that anew, too");
			return -EEXIST;
		}
		if (difference(&of->list[i], &metric) != NULL)
			return tarn__diag(diag, -EEXIST,
					  "counters %.24s: metric %" PRIu32 " is %s; wanted was %s",
					  name, i, words_of(&of->list[i], there),
					  words_of(&metric, wanted));
	}
	return 0;
}

bool tarn__metrics_same(const struct metrics *a, const struct metrics *b)
{
	if (a->count != b->count || a->cells != b->cells)
		return false;
	for (uint32_t i = 0; i < a->count; i++)
		if (difference(&a->list[i], &b->list[i]) != NULL)
			return false;
	return true;
}
