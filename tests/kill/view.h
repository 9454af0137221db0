/* SPDX-License-Identifier: BSD-2-Clause */
/* view.h - inside of struct kill_view, for world.c and robust.c. */
#ifndef TESTS_KILL_VIEW_H
#define TESTS_KILL_VIEW_H

#include "world.h"

struct view_item {
	struct kill_item file; /* data unused */
	uint64_t inode;        /* of the file; a segment's identifier */
	bool segment;
	unsigned char *map; /* of the file or the segment, read-only */
	bool made_up;       /* map is memory that holds what it is taken to hold */
};

struct kill_view {
	const struct kill_world *world;
	int count;
	struct view_item items[WORLD_ITEMS];
};

#endif /* TESTS_KILL_VIEW_H */
