/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * world.h - all that a survivor can see of a dead process: names, and the bytes under them.
 *
 * The world of a sweep is every file of one directory and every System V segment that counts
 * (harness.h says which). An image is a copy of it. A process that dies leaves nothing else:
 * its locks, its descriptors and its unnamed files go with it, so an image put back as new
 * files, with no lock on them, is what the others find after a death at that point.
 */
#ifndef TESTS_KILL_WORLD_H
#define TESTS_KILL_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { WORLD_ITEMS = 16, WORLD_NAME = 128 };

struct kill_world {
	char dir[64];       /* its files */
	int32_t key;        /* of its System V segment, for ops that use one */
	char addr[160];     /* for the op's own use: the address of the region */
	char addr2[160];    /* another */
	uint64_t heap, max; /* bytes of the region, and at most; 0: as survivor.h has it */
	/* Not 0: the operation goes by who has a thing open or attached, so nothing is, to look at
	 * it; all is taken to hold this byte, and only real kills tell whether it does. */
	unsigned char untouched;
	int fate_a, fate_b; /* in a survivor of two: what became of each; pairs.h */
	void *shared;       /* 4 KiB that every process of a sweep shares, not part of the image */
};

/* One file, or one segment (name empty). */
struct kill_item {
	char name[WORLD_NAME];
	int32_t key;
	pid_t creator; /* of the segment */
	uint32_t mode;
	size_t size;
	unsigned char *data;
};

struct kill_image {
	int count;
	uint64_t hash;
	struct kill_item items[WORLD_ITEMS];
};

void kill_image_free(struct kill_image *image);
bool kill_image_equal(const struct kill_image *a, const struct kill_image *b);
void kill_image_hash(struct kill_image *image);

/*
 * Make the world what @image says, in new files and segments. False if a segment could not be
 * given the creator it had: then what the kernel says about it is not what a survivor would see.
 */
bool kill_world_put(const struct kill_world *world, const struct kill_image *image);
void kill_world_clear(const struct kill_world *world);
/* A copy of the world as it is; nobody changes it meanwhile. */
struct kill_image *kill_world_take(const struct kill_world *world);

/* The living world, looked at again and again while a process is stepped through it. */
struct kill_view;
struct kill_view *kill_view_open(const struct kill_world *world);
void kill_view_close(struct kill_view *view);
/* Names and sizes may have changed: look at them again. After each system call. */
void kill_view_rescan(struct kill_view *view);
/* Does the world still look like @image? Bytes only, unless rescanned. */
bool kill_view_matches(struct kill_view *view, const struct kill_image *image);
struct kill_image *kill_view_copy(struct kill_view *view);

/*
 * What the kernel does to futex words when process @pid, now stopped, dies: each word on its
 * robust list that holds its thread id is marked. Done to @image, where the words lie in it.
 */
void kill_image_robust(struct kill_image *image, const struct kill_view *view, pid_t pid);

#endif /* TESTS_KILL_WORLD_H */
