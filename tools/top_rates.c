/* SPDX-License-Identifier: BSD-2-Clause */
/* top_rates.c - how fast figures go up from one look to the next. See top.h. */

#include <stdlib.h>
#include <string.h>

#include "top.h"

struct seen {
	char *key;
	uint64_t value;
	int64_t at_ns;
};

static int by_key(const void *a, const void *b)
{
	return strcmp(((const struct seen *)a)->key, ((const struct seen *)b)->key);
}

bool top_rate(struct top_memory *memory, const char *key, uint64_t value, int64_t at_ns,
	      double *ret_rate)
{
	const struct seen wanted = { .key = (char *)key };
	const struct seen *before = memory->before.count > 0
					    ? bsearch(&wanted, memory->before.at,
						      memory->before.count, sizeof(wanted), by_key)
					    : NULL;
	struct seen *seen = top_array_add(&memory->now, sizeof(*seen));

	if (seen != NULL) {
		*seen = (struct seen){ strdup(key), value, at_ns };
		memory->now.count -= seen->key == NULL;
	}
	if (before == NULL || value < before->value || at_ns <= before->at_ns)
		return false;
	*ret_rate = (double)(value - before->value) * 1e9 / (double)(at_ns - before->at_ns);
	return true;
}

static void forget(struct top_array *array)
{
	for (size_t i = 0; i < array->count; i++)
		free(((struct seen *)array->at)[i].key);
	array->count = 0;
}

void top_rates_next(struct top_memory *memory)
{
	struct top_array before = memory->before;

	forget(&before);
	memory->before = memory->now;
	memory->now = before;
	if (memory->before.count > 1)
		qsort(memory->before.at, memory->before.count, sizeof(struct seen), by_key);
}

void top_memory_free(struct top_memory *memory)
{
	forget(&memory->before);
	forget(&memory->now);
	free(memory->before.at);
	free(memory->now.at);
	*memory = (struct top_memory){ .before.count = 0 };
}
