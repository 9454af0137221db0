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

#define ROW(size, pages, slots)                                                                    \
	{                                                                                          \
		(size), (pages), (slots), (uint32_t)(((UINT64_C(1) << 32) + (size)-1) / (size)),   \
		{                                                                                  \
			FULL(slots, 0), FULL(slots, 1), FULL(slots, 2), FULL(slots, 3)             \
		}                                                                                  \
	}

/* clang-format off */
const struct size_class tarn__classes[CLASSES] = {
	ROW(16, 1, 240), ROW(32, 1, 124), ROW(48, 1, 83), ROW(64, 1, 63), ROW(80, 1, 50),
	ROW(96, 1, 42), ROW(112, 1, 36), ROW(128, 1, 31), ROW(144, 1, 28), ROW(160, 1, 25),
	ROW(176, 1, 23), ROW(192, 1, 21), ROW(208, 1, 19), ROW(224, 1, 18), ROW(240, 1, 17),
	ROW(256, 1, 16), ROW(288, 1, 14), ROW(320, 2, 25), ROW(352, 2, 23), ROW(384, 2, 21),
	ROW(416, 3, 29), ROW(448, 1, 9), ROW(480, 2, 17), ROW(512, 1, 8), ROW(576, 1, 7),
	ROW(640, 3, 19), ROW(704, 3, 17), ROW(768, 3, 16), ROW(832, 5, 24), ROW(896, 2, 9),
	ROW(960, 4, 17), ROW(1024, 1, 4), ROW(1152, 2, 7), ROW(1280, 5, 16), ROW(1408, 6, 17),
	ROW(1536, 3, 8), ROW(1664, 5, 12), ROW(1792, 4, 9), ROW(1920, 8, 17), ROW(2048, 1, 2),
	ROW(2304, 4, 7), ROW(2560, 5, 8), ROW(2720, 2, 3), ROW(3072, 3, 4), ROW(3264, 4, 5),
	ROW(5120, 5, 4), ROW(6144, 3, 2), ROW(7168, 7, 4),
};

/* The class of (size + 15) / 16; 48: whole pages. One page is best had as one. */
static const uint8_t class_index[7168 / 16 + 1] = {
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
	if (size > tarn__classes[CLASSES - 1].size)
		return CLASSES;
	class = class_index[(size + 15) / 16];
	/* blocks begin at multiples of their size in a page */
	while (class < CLASSES && (tarn__classes[class].size & (align - 1)) != 0)
		class ++;
	return class;
}
