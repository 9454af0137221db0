/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Damaged images: the bytes of superblock, directory, member table, and the words of ring,
 * section, journal, arena and struct, set to 0, to 0xff, with one bit flipped, and to anything.
 * The open refuses with -EUCLEAN or -EPROTO, in words, and leaves every byte as it was; or it
 * works, and so does all that follows, without a stray access (dev/test builds this suite under
 * ASan and UBSan).
 *
 *     fuzz-mutate [ROUNDS]    1 by default; more repeat the random values with other seeds, and
 *                             take each bit, and each byte of what nobody looks at
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "image.h"

static struct image image;
static unsigned rounds = 1;
static int file;

/* Where the test is, for one that does not come back. */
static struct {
	size_t off;
	unsigned value;
} at;

static void say_where(int sig)
{
	char text[80];
	int n = snprintf(text, sizeof(text), "# byte %zu set to 0x%02x: signal %d\n", at.off,
			 at.value, sig);

	(void)!write(2, text, (size_t)n);
	_exit(1);
}

static uint64_t random_of(uint64_t seed)
{
	seed = (seed ^ seed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	seed = (seed ^ seed >> 27) * UINT64_C(0x94d049bb133111eb);
	return seed ^ seed >> 31;
}

static int setup(void **state)
{
	(void)state;
	image_make(&image);
	file = image_file();
	signal(SIGALRM, say_where);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close(file);
	return 0;
}

/* --- one case -------------------------------------------------------------------------------- */

static bool file_is(const unsigned char *bytes)
{
	static unsigned char now[IMAGE_SIZE];

	return lseek(file, 0, SEEK_END) == IMAGE_SIZE &&
	       pread(file, now, IMAGE_SIZE, 0) == IMAGE_SIZE && memcmp(now, bytes, IMAGE_SIZE) == 0;
}

struct tally {
	unsigned cases, refused, checked, ring_refused;
};

static void judge_refusal(int r, const struct tarn_diag *diag)
{
	if (r != -EUCLEAN && r != -EPROTO)
		fail_msg("byte %zu set to 0x%02x: error %d", at.off, at.value, r);
	if (strstr(diag->what, "expected") == NULL || strstr(diag->what, "superblock") == NULL)
		fail_msg("byte %zu set to 0x%02x: says only \"%s\"", at.off, at.value, diag->what);
}

static void try_value(size_t off, unsigned char value, struct tally *tally)
{
	static unsigned char mutant[IMAGE_SIZE];
	struct walk walk;

	if (image.bytes[off] == value)
		return;
	at.off = off;
	at.value = value;
	memcpy(mutant, image.bytes, IMAGE_SIZE);
	mutant[off] = value;
	image_store(file, mutant, IMAGE_SIZE);
	alarm(30);
	image_walk(file, &walk);
	tally->cases++;
	tally->refused += walk.opened < 0;
	tally->checked += walk.opened == 0 && walk.checked < 0;
	tally->ring_refused += walk.ring_opened < 0;
	if (walk.opened == -ENOENT && off >= 132 && off < 136)
		return; /* state says closed: the last member has gone, there is nothing to open */
	if (walk.opened < 0) {
		judge_refusal(walk.opened, &walk.diag);
		if (!file_is(mutant))
			fail_msg("byte %zu set to 0x%02x: refused, and written to", off, value);
	}
}

/* Of each byte every other bit, as if on a board of chess, unless more rounds are asked for. */
static bool has_turn(size_t off, unsigned bit)
{
	return rounds > 1 || (off + bit) % 2 == 0;
}

/* Padding and what is free, where nobody is to look: each fifth byte, unless more rounds are asked
 * for, so that each byte of a word has its turn. */
static void try_bytes(const char *name, size_t from, size_t to, bool every_bit)
{
	size_t step = every_bit || rounds > 1 ? 1 : 5;
	struct tally tally = { 0 };

	for (size_t off = from; off < to; off += step) {
		unsigned char was = image.bytes[off];

		try_value(off, 0, &tally);
		try_value(off, 0xff, &tally);
		for (unsigned bit = 0; bit < 8; bit++) {
			if (every_bit ? has_turn(off, bit) : bit == off % 8)
				try_value(off, was ^ (unsigned char)(1u << bit), &tally);
		}
		for (unsigned i = 0; i < rounds; i++)
			try_value(off, (unsigned char)random_of(off * 1000 + i), &tally);
	}
	alarm(0);
	print_message(
		"# %s: %u images, %u refused; of the others the checker found %u, and the ring "
		"refused %u\n",
		name, tally.cases, tally.refused, tally.checked, tally.ring_refused);
}

/* --- tests ----------------------------------------------------------------------------------- */

static void the_image_itself_is_sound(void **state)
{
	struct walk walk;

	(void)state;
	image_store(file, image.bytes, IMAGE_SIZE);
	image_walk(file, &walk);
	assert_int_equal(walk.observed, 0);
	assert_int_equal(walk.opened, 0);
	assert_int_equal(walk.checked, 0);
	assert_int_equal(walk.ring_opened, 0);
}

static void a_damaged_superblock_is_refused_or_harmless(void **state)
{
	(void)state;
	try_bytes("superblock, constant", 0, IMAGE_SUPER_STATIC, true);
	try_bytes("superblock, changing", IMAGE_SUPER_STATIC, IMAGE_SUPER_STATIC + 28, true);
	try_bytes("superblock, padding", IMAGE_SUPER_STATIC + 28, IMAGE_DIRECTORY, false);
}

static void a_damaged_directory_is_harmless(void **state)
{
	size_t used = IMAGE_DIRECTORY + image.entry_used * IMAGE_ENTRY_SIZE;

	(void)state;
	try_bytes("directory, used", IMAGE_DIRECTORY, used, true);
	try_bytes("directory, free", used, IMAGE_MEMBER_PAGE, false);
}

static void a_damaged_member_table_is_harmless(void **state)
{
	(void)state;
	try_bytes("members, words", IMAGE_MEMBER_PAGE, IMAGE_MEMBER_PAGE + 256, true);
	try_bytes("members, second", IMAGE_MEMBER_PAGE + 960, IMAGE_MEMBER_PAGE + 960 + 64, true);
	try_bytes("members, beacons", IMAGE_MEMBER_PAGE + 4080, IMAGE_MEMBER_PAGE + 4096, true);
}

static void a_damaged_ring_is_harmless(void **state)
{
	(void)state;
	try_bytes("ring, header", image.ring_off, image.ring_off + IMAGE_RING_HEADER, true);
	try_bytes("ring, records", image.ring_off + IMAGE_RING_HEADER,
		  image.ring_off + IMAGE_RING_HEADER + 256, true);
}

static void what_the_dead_left_damaged_is_harmless(void **state)
{
	(void)state;
	try_bytes("section", image.section_off, image.section_off + 192, true);
	try_bytes("journal", image.section_off + 384, image.section_off + 384 + 160, true);
	try_bytes("arena", image.arena_off, image.arena_off + 192, true);
	try_bytes("arena, lists", image.arena_off + 640, image.arena_off + 1152 + 448, true);
	try_bytes("struct", image.struct_off, image.struct_off + 768, true);
}

static void damaged_counters_are_harmless(void **state)
{
	(void)state;
	try_bytes("counters", image.counters_off, image.counters_off + 128, true);
	try_bytes("counters, metrics", image.counters_off + 128 + 224,
		  image.counters_off + 128 + 256, true);
}

/* Every other length of file than the right one. */
static void a_truncated_image_is_refused(void **state)
{
	unsigned refused = 0;

	(void)state;
	for (size_t size = 0; size < IMAGE_SIZE; size += size < 256 ? 1 : 509) {
		struct tarn_diag diag = { 0 };

		image_store(file, image.bytes, size);
		int r = image_open(file, size % 2 == 0, &diag);

		if (r != -EUCLEAN && !(size == 0 && r < 0))
			fail_msg("cut to %zu bytes: %d", size, r);
		assert_true(diag.what[0] != '\0');
		assert_int_equal(lseek(file, 0, SEEK_END), size);
		refused++;
	}
	print_message("# %u lengths, all refused\n", refused);
}

static bool is_refusal(int r)
{
	return r == -EUCLEAN || r == -EPROTO;
}

static bool flip_is_refused(size_t off, unsigned bit)
{
	static unsigned char mutant[IMAGE_SIZE];
	struct tarn_diag diag;

	memcpy(mutant, image.bytes, IMAGE_SIZE);
	mutant[off] ^= (unsigned char)(1u << bit);
	image_store(file, mutant, IMAGE_SIZE);
	return is_refusal(image_open(file, false, &diag)) &&
	       is_refusal(image_open(file, true, &diag));
}

static void no_flipped_bit_of_the_superblock_goes_unseen(void **state)
{
	unsigned seen = 0;

	(void)state;
	for (size_t off = 0; off < IMAGE_SUPER_STATIC; off++) {
		for (unsigned bit = 0; bit < 8; bit++)
			seen += flip_is_refused(off, bit);
	}
	print_message("# %u of %u flips refused\n", seen, IMAGE_SUPER_STATIC * 8u);
	assert_int_equal(seen, IMAGE_SUPER_STATIC * 8);
}

static bool flip_is_found(size_t off, unsigned bit)
{
	static unsigned char mutant[IMAGE_SIZE];
	struct walk walk;

	memcpy(mutant, image.bytes, IMAGE_SIZE);
	mutant[off] ^= (unsigned char)(1u << bit);
	image_store(file, mutant, IMAGE_SIZE);
	image_walk(file, &walk);
	return is_refusal(walk.opened) || (walk.opened == 0 && walk.checked == -EUCLEAN);
}

/* All of an entry but its state word, which is no more than "free", "live" or "removed", and a
 * count of the entry's uses. */
static void no_flipped_bit_of_an_entry_goes_unseen(void **state)
{
	unsigned seen = 0, flips = 0;

	(void)state;
	for (size_t i = 0; i < image.entry_used; i++) {
		for (size_t off = 4; off < IMAGE_ENTRY_SIZE; off++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				if (!has_turn(off, bit))
					continue;
				flips++;
				seen += flip_is_found(IMAGE_DIRECTORY + i * IMAGE_ENTRY_SIZE + off,
						      bit);
			}
		}
	}
	print_message("# %u of %u flips found\n", seen, flips);
	assert_int_equal(seen, flips);
}

/* A reader without a checksum, as a seeded fault: the sweep must find flips that it misses. */
static bool naive_accepts(const unsigned char *bytes)
{
	uint32_t version;

	memcpy(&version, bytes + 12, sizeof(version));
	return memcmp(bytes, "TARN", 4) == 0 && version == 1;
}

static void a_reader_without_a_checksum_is_seen_to_miss_flips(void **state)
{
	unsigned missed = 0;

	(void)state;
	for (size_t off = 0; off < IMAGE_SUPER_STATIC; off++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			unsigned char super[IMAGE_SUPER_STATIC];

			memcpy(super, image.bytes, sizeof(super));
			super[off] ^= (unsigned char)(1u << bit);
			missed += naive_accepts(super);
		}
	}
	print_message("# %u of %u flips missed\n", missed, IMAGE_SUPER_STATIC * 8u);
	assert_true(missed > 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_image_itself_is_sound),
		cmocka_unit_test(a_truncated_image_is_refused),
		cmocka_unit_test(no_flipped_bit_of_the_superblock_goes_unseen),
		cmocka_unit_test(a_reader_without_a_checksum_is_seen_to_miss_flips),
		cmocka_unit_test(no_flipped_bit_of_an_entry_goes_unseen),
		cmocka_unit_test(a_damaged_superblock_is_refused_or_harmless),
		cmocka_unit_test(a_damaged_directory_is_harmless),
		cmocka_unit_test(a_damaged_member_table_is_harmless),
		cmocka_unit_test(a_damaged_ring_is_harmless),
		cmocka_unit_test(what_the_dead_left_damaged_is_harmless),
		cmocka_unit_test(damaged_counters_are_harmless),
	};

	if (argc > 1)
		rounds = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, setup, teardown);
}
