/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A libFuzzer target: the input is the file of a region; whoever opens it must come back unharmed
 * from every call (image.h).
 *
 * Most bytes of a region are padding, and most changes to the others break a checksum, so inputs
 * from a mutator that knows nothing would end at the first test. This one aims at words
 * that matter and, mostly, mends the checksums afterwards, as a hostile peer can.
 *
 * With FUZZ_SEEDED in the environment the target has a fault, which the fuzzer must find: it
 * trusts the length of the first record.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arena/arena.h"
#include "base/bits.h"
#include "flow/ring.h"
#include "image.h"
#include "region/type.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

static int file = -1;
static bool seeded;
static size_t ring_off, section_off, arena_off, struct_off;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct image image;

	(void)argc;
	(void)argv;
	image_make(&image);
	ring_off = image.ring_off;
	section_off = image.section_off;
	arena_off = image.arena_off;
	struct_off = image.struct_off;
	file = image_file();
	seeded = getenv("FUZZ_SEEDED") != NULL;
	return 0;
}

/* Believes what the first record says of its size. */
static void trust_record(const uint8_t *data, size_t size)
{
	size_t off = ring_off + sizeof(struct ring_shm);
	unsigned char *copy, payload[64];
	uint32_t word;

	if (size != IMAGE_SIZE)
		return;
	memcpy(&word, data + off, sizeof(word));
	copy = malloc(size);
	if (copy == NULL)
		return;
	memcpy(copy, data, size);
	memcpy(payload, copy + off + 8, word >> 2);
	__asm__ volatile("" ::"r"(payload) : "memory");
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct walk walk;

	if (size > 2 * IMAGE_SIZE)
		return 0;
	image_store(file, data, size);
	image_walk(file, &walk);
	if (seeded)
		trust_record(data, size);
	return 0;
}

/* --- the mutator ------------------------------------------------------------------------------ */

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525u + 1013904223u;
	return *state >> 8;
}

static size_t choose_offset(uint32_t *random)
{
	uint32_t r = next_random(random);

	switch (next_random(random) % (seeded ? 6 : 12)) { /* the fault is in the ring */
	case 0:
		return r % 148;
	case 1:
		return IMAGE_DIRECTORY + r % (4 * IMAGE_ENTRY_SIZE);
	case 2:
		return IMAGE_MEMBER_PAGE + r % 4096;
	case 3:
		return ring_off + r % sizeof(struct ring_shm);
	case 4:
		return ring_off + sizeof(struct ring_shm) + r % 256;
	case 5:
		return section_off + r % sizeof(struct section_shm);
	case 6:
		return section_off + sizeof(struct section_shm) + r % 512; /* the journal */
	case 7:
	case 8:
		return arena_off + r % sizeof(struct arena_shm);
	case 9:
		return arena_off + sizeof(struct arena_shm) + r % 640; /* heads and metas */
	case 10:
		return struct_off + r % 1024;
	default:
		return r % IMAGE_SIZE;
	}
}

static uint64_t choose_value(uint32_t *random, uint64_t was)
{
	uint64_t r = next_random(random);

	switch (next_random(random) % 7) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX;
	case 2:
		return was + 1;
	case 3:
		return was - 1;
	case 4:
		return was ^ UINT64_C(1) << r % 64;
	case 5:
		return UINT64_C(1) << r % 64;
	default:
		return r << 32 | next_random(random);
	}
}

static void aim(uint8_t *data, uint32_t *random)
{
	for (uint32_t n = 1 + next_random(random) % 4; n > 0; n--) {
		size_t width = (size_t)1 << next_random(random) % 4;
		size_t off = choose_offset(random) & ~(width - 1);
		uint64_t value = 0;

		memcpy(&value, data + off, width);
		value = choose_value(random, value);
		memcpy(data + off, &value, width);
	}
}

static void mend_guarded(uint8_t *data)
{
	uint8_t *description = data + struct_off + sizeof(struct struct_shm) + 64;
	struct section_shm section;
	struct arena_shm arena;
	struct struct_shm typed;
	uint32_t check;

	memcpy(&section, data + section_off, sizeof(section));
	check = tarn__section_header_check(&section);
	memcpy(data + section_off + offsetof(struct section_shm, check), &check, 4);
	memcpy(&arena, data + arena_off, sizeof(arena));
	check = tarn__arena_header_check(&arena);
	memcpy(data + arena_off + offsetof(struct arena_shm, check), &check, 4);
	memcpy(&typed, data + struct_off, sizeof(typed));
	check = tarn__fnv32(&typed, offsetof(struct struct_shm, check), TARN__FNV32_BASIS);
	memcpy(data + struct_off + offsetof(struct struct_shm, check), &check, 4);
	if (typed.type_size < 32 || typed.type_size > 2048)
		return;
	check = tarn__fnv32(description + 20, typed.type_size - 20,
			    tarn__fnv32(description, 16, TARN__FNV32_BASIS));
	memcpy(description + offsetof(struct description_shm, check), &check, 4);
}

/* As one who knows the format would leave it. */
static void mend_checksums(uint8_t *data)
{
	struct super_shm super;
	struct ring_shm ring;

	memcpy(&super, data, sizeof(super));
	super.checksum = tarn__super_checksum(&super);
	memcpy(data + offsetof(struct super_shm, checksum), &super.checksum, 4);
	for (size_t i = 0; i < IMAGE_OBJECTS; i++) {
		uint8_t *entry = data + IMAGE_DIRECTORY + i * IMAGE_ENTRY_SIZE;
		uint32_t check = tarn__fnv32(entry + 8, IMAGE_ENTRY_SIZE - 8, TARN__FNV32_BASIS);

		memcpy(entry + 4, &check, 4);
	}
	memcpy(&ring, data + ring_off, sizeof(ring));
	ring.check = tarn__ring_header_check(&ring);
	memcpy(data + ring_off + offsetof(struct ring_shm, check), &ring.check, 4);
	mend_guarded(data);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t random = seed;

	if (size != IMAGE_SIZE || next_random(&random) % 8 == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	aim(data, &random);
	if (next_random(&random) % 8 != 0)
		mend_checksums(data);
	return size;
}
