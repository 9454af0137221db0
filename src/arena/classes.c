/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * classes.c - the sizes of blocks that are cut out of slabs.
 *
 * Steps of 16 bytes to 256, then eight to the doubling to 2048, then what divides a few pages
 * well: a block is at most an eighth larger than what was asked for, beyond 256 bytes and up to
 * 2720. A slab is the shortest run of pages, up to 8, that loses less than 4 in 100 to its end;
 * what 16 bytes lose is their tags. Slabs have two blocks or more; those with up to 32 keep their
 * tags in the meta, smaller ones in the slab itself. tests/unit/arena.c counts all that.
 */
#include "arena/arena.h"

/* Bits of word @word where there are @slots blocks. */
#define FULL(slots, word)                                                                          \
	((slots) >= 64 * (word) + 64 ? UINT64_MAX                                                  \
	 : (slots) <= 64 * (word)    ? 0                                                           \
				     : (UINT64_C(1) << ((slots) % 64)) - 1)

#define ROW(class, size, pages, slots)                                                             \
	{                                                                                          \
		(size), (pages), (slots), (uint32_t)(((UINT64_C(1) << 32) + (size)-1) / (size)),   \
			(uint64_t)(pages) << 32 | (class) << 8 | KIND_SLAB,                        \
			{ FULL(slots, 0), FULL(slots, 1), FULL(slots, 2), FULL(slots, 3) },        \
			(class) < IN_SLAB_CLASSES ? PAGE - (slots)                                 \
						  : offsetof(struct meta_shm, tags),               \
			0                                                                          \
	}

/* clang-format off */
const struct size_class tarn__classes[CLASSES] = {
	ROW(0, 16, 1, 240), ROW(1, 32, 1, 124), ROW(2, 48, 1, 83), ROW(3, 64, 1, 63),
	ROW(4, 80, 1, 50), ROW(5, 96, 1, 42), ROW(6, 112, 1, 36), ROW(7, 128, 1, 31),
	ROW(8, 144, 1, 28), ROW(9, 160, 1, 25), ROW(10, 176, 1, 23), ROW(11, 192, 1, 21),
	ROW(12, 208, 1, 19), ROW(13, 224, 1, 18), ROW(14, 240, 1, 17), ROW(15, 256, 1, 16),
	ROW(16, 288, 1, 14), ROW(17, 320, 2, 25), ROW(18, 352, 2, 23), ROW(19, 384, 2, 21),
	ROW(20, 416, 3, 29), ROW(21, 448, 1, 9), ROW(22, 480, 2, 17), ROW(23, 512, 1, 8),
	ROW(24, 576, 1, 7), ROW(25, 640, 3, 19), ROW(26, 704, 3, 17), ROW(27, 768, 3, 16),
	ROW(28, 832, 5, 24), ROW(29, 896, 2, 9), ROW(30, 960, 4, 17), ROW(31, 1024, 1, 4),
	ROW(32, 1152, 2, 7), ROW(33, 1280, 5, 16), ROW(34, 1408, 6, 17), ROW(35, 1536, 3, 8),
	ROW(36, 1664, 5, 12), ROW(37, 1792, 4, 9), ROW(38, 1920, 8, 17), ROW(39, 2048, 1, 2),
	ROW(40, 2304, 4, 7), ROW(41, 2560, 5, 8), ROW(42, 2720, 2, 3), ROW(43, 3072, 3, 4),
	ROW(44, 3264, 4, 5), ROW(45, 5120, 5, 4), ROW(46, 6144, 3, 2), ROW(47, 7168, 7, 4),
};

/* One page is best had as one. */
const uint8_t tarn__class_index[SMALL_MAX / 16 + 1] = {
	0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 16, 17, 17, 18, 18, 19,
	19, 20, 20, 21, 21, 22, 22, 23, 23, 24, 24, 24, 24, 25, 25, 25, 25, 26, 26, 26, 26, 27,
	27, 27, 27, 28, 28, 28, 28, 29, 29, 29, 29, 30, 30, 30, 30, 31, 31, 31, 31, 32, 32, 32,
	32, 32, 32, 32, 32, 33, 33, 33, 33, 33, 33, 33, 33, 34, 34, 34, 34, 34, 34, 34, 34, 35,
	35, 35, 35, 35, 35, 35, 35, 36, 36, 36, 36, 36, 36, 36, 36, 37, 37, 37, 37, 37, 37, 37,
	37, 38, 38, 38, 38, 38, 38, 38, 38, 39, 39, 39, 39, 39, 39, 39, 39, 40, 40, 40, 40, 40,
	40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41, 41,
	41, 41, 41, 41, 41, 42, 42, 42, 42, 42, 42, 42, 42, 42, 42, 43, 43, 43, 43, 43, 43, 43,
	43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 43, 44, 44, 44, 44, 44, 44, 44,
	44, 44, 44, 44, 44, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48,
	48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48,
	48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 45, 45, 45, 45, 45, 45, 45, 45, 45,
	45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45,
	45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45,
	45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 45, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46,
	46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46,
	46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46, 46,
	46, 46, 46, 46, 46, 46, 46, 46, 46, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47,
	47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47,
	47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47, 47,
	47, 47, 47, 47, 47, 47, 47,
};
/* clang-format on */

uint32_t tarn__class_of(uint64_t size, uint32_t align)
{
	uint32_t class;

	if (size < align)
		size = align;
	if (size > SMALL_MAX)
		return CLASSES;
	class = tarn__class_index[(size + 15) / 16];
	/* blocks begin at multiples of their size in a page */
	while (class < CLASSES && (tarn__classes[class].size & (align - 1)) != 0)
		class ++;
	return class;
}
