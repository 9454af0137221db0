/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * image.h - a small, valid region as bytes, and a walk through every public call on whatever a
 * file holds. The walk may meet any error that the headers name, and must come back.
 */
#ifndef FUZZ_IMAGE_H
#define FUZZ_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tarn/base.h>

enum {
	IMAGE_MEMBERS = 4,
	IMAGE_OBJECTS = 32,
	IMAGE_HEAP = 72 << 10,
	/* where design/format.md puts things for these numbers */
	IMAGE_DIRECTORY = 4096,
	IMAGE_MEMBER_PAGE = 8192,
	IMAGE_HEAP_OFF = 12288,
	IMAGE_SIZE = IMAGE_HEAP_OFF + IMAGE_HEAP,
	IMAGE_ENTRY_SIZE = 128,
	IMAGE_SUPER_STATIC = 128,
	IMAGE_RING_HEADER = 320,
};

struct image {
	unsigned char bytes[IMAGE_SIZE];
	size_t ring_off;     /* of ring "ring", its header's first byte */
	size_t section_off;  /* of section "section", which a dead one was inside of */
	size_t arena_off;    /* of arena "arena", which it was changing */
	size_t struct_off;   /* of struct "typed" */
	size_t counters_off; /* of counters "counters", behind their seats */
	size_t entry_used;   /* entries from the first on that are not free */
};

/* A region with a ring that holds records, objects of bytes, a section with an arena, a struct and
 * counters, and a dead member who was inside of the section, had a slot of the counters, and holds
 * an object that is removed. */
void image_make(struct image *ret_image);

/* A file to put images in. */
int image_file(void);
void image_store(int fd, const void *bytes, size_t size);

/* What the walk saw. */
struct walk {
	int opened;            /* what tarn_region_open_fd() returned to a member */
	int observed;          /* and to an observer */
	int checked;           /* what tarn_region_check() returned; 0 if it did not come to it */
	int ring_opened;       /* what tarn_ring_open() returned; 0 if it did not come to it */
	struct tarn_diag diag; /* of the first refusal */
};

/* Called before the walk writes a byte: on images that the open refused, never. */
void image_walk(int fd, struct walk *ret_walk);

/* Open, and nothing else. */
int image_open(int fd, bool observe, struct tarn_diag *diag);

#endif /* FUZZ_IMAGE_H */
