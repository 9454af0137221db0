/* SPDX-License-Identifier: BSD-2-Clause */
/* seen.c - a hash set with linear probing, doubled when it is half full. */
#include <err.h>
#include <stdlib.h>
#include <string.h>

#include "seen.h"

enum { ROOM_FIRST = 1 << 14, ROOM_MAX = 1 << 25 };

static uint64_t find(const struct seen *seen, uint64_t key)
{
	uint64_t i = key & (seen->room - 1);

	while (seen->keys[i] != 0 && seen->keys[i] != key)
		i = (i + 1) & (seen->room - 1);
	return i;
}

static void grow(struct seen *seen)
{
	struct seen old = *seen;

	seen->room = old.room != 0 ? 2 * old.room : ROOM_FIRST;
	seen->keys = calloc(seen->room, sizeof(*seen->keys));
	seen->used = calloc(seen->room, sizeof(*seen->used));
	if (seen->keys == NULL || seen->used == NULL)
		err(2, "memory for states");
	for (uint64_t i = 0; i < old.room; i++) {
		if (old.keys[i] == 0)
			continue;

		uint64_t to = find(seen, old.keys[i]);

		seen->keys[to] = old.keys[i];
		seen->used[to] = old.used[i];
	}
	free(old.keys);
	free(old.used);
}

bool seen_before(struct seen *seen, uint64_t key, int preemptions, int kills)
{
	uint64_t i;

	key |= key == 0;
	if (2 * seen->count >= seen->room && seen->room < ROOM_MAX)
		grow(seen);
	i = find(seen, key);
	for (int p = 0; p <= preemptions; p++)
		for (int k = 0; k <= kills; k++)
			if ((seen->used[i] >> (3 * p + k) & 1) != 0)
				return true;
	if (seen->keys[i] == 0 && seen->count > seen->room - seen->room / 8)
		return false;
	seen->count += seen->keys[i] == 0;
	seen->keys[i] = key;
	seen->used[i] = (uint16_t)(seen->used[i] | 1u << (3 * preemptions + kills));
	return false;
}

void seen_free(struct seen *seen)
{
	free(seen->keys);
	free(seen->used);
	memset(seen, 0, sizeof(*seen));
}
