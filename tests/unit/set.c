/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Typed logged stores: each type stores what it says and is undone whole; fields are read as what
 * they are right behind, so a store that the compiler takes for one to other memory is seen. What
 * does not compile is the business of tests/check/setters.
 */
#include <errno.h>
#include <float.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <tarn/section.h>
#include <tarn/set.h>
#include <tarn/type.h>

#define POINT(ROW)                                                                                 \
	ROW(VALUE, int32_t, x, "mm", "to the right")                                               \
	ROW(VALUE, int64_t, y, "mm", "up")
TARN_TYPE(point, 1, POINT);

#define THING(ROW)                                                                                 \
	ROW(VALUE, int8_t, i8, "", "")                                                             \
	ROW(VALUE, uint8_t, u8, "", "")                                                            \
	ROW(VALUE, int16_t, i16, "", "")                                                           \
	ROW(VALUE, uint16_t, u16, "", "")                                                          \
	ROW(VALUE, int32_t, i32, "", "")                                                           \
	ROW(VALUE, uint32_t, u32, "", "")                                                          \
	ROW(VALUE, int64_t, i64, "", "")                                                           \
	ROW(VALUE, uint64_t, u64, "", "")                                                          \
	ROW(VALUE, float, f32, "", "")                                                             \
	ROW(VALUE, double, f64, "", "")                                                            \
	ROW(TEXT, text, 9, "")                                                                     \
	ROW(ARRAY, float, samples, 3, "", "")                                                      \
	ROW(STRUCT, point, at, "")                                                                 \
	ROW(REF, next, thing, "")
TARN_TYPE(thing, 1, THING);

enum colour { RED, GREEN = 7 };
struct own {
	enum colour colour;
	bool set;
	char letter;
};

static struct tarn_region *region;
static struct tarn_section *section;
static struct tarn_tx *tx;
static struct thing *thing;
static struct own *own;

static int set_up(void **state)
{
	const struct tarn_struct_opts opts = { .section = "lock" };
	void *data;

	(void)state;
	assert_int_equal(tarn_region_create("anon:", NULL, &region), 0);
	assert_int_equal(
		tarn_section_open(region, "lock", &(struct tarn_section_opts){ 0 }, &section), 0);
	assert_int_equal(tarn_struct_open(region, "thing", thing_type(), &opts, &data), 0);
	thing = data;
	assert_int_equal(tarn_object_create(region, "own", sizeof(*own), &data, NULL), 0);
	own = data;
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	tarn_section_close(section);
	tarn_struct_close(region, thing);
	tarn_object_close(region, own);
	tarn_region_close(region);
	return 0;
}

static void set_all(struct thing *to)
{
	const float volts[3] = { 1.5F, -2.5F, 3.5F };
	const struct point there = { -4, INT64_MIN };

	assert_int_equal(TARN_SET(tx, &to->i8, INT8_MIN), 0);
	assert_int_equal(TARN_SET(tx, &to->u8, UINT8_MAX), 0);
	assert_int_equal(TARN_SET(tx, &to->i16, INT16_MIN), 0);
	assert_int_equal(TARN_SET(tx, &to->u16, UINT16_MAX), 0);
	assert_int_equal(TARN_SET(tx, &to->i32, INT32_MIN), 0);
	assert_int_equal(TARN_SET(tx, &to->u32, UINT32_MAX), 0);
	assert_int_equal(TARN_SET(tx, &to->i64, INT64_MIN), 0);
	assert_int_equal(TARN_SET(tx, &to->u64, UINT64_MAX), 0);
	assert_int_equal(TARN_SET(tx, &to->f32, -FLT_MIN), 0);
	assert_int_equal(TARN_SET(tx, &to->f64, DBL_MAX), 0);
	assert_int_equal(TARN_SET(tx, &to->next, UINT64_C(4096)), 0);
	assert_int_equal(TARN_SET_TEXT(tx, to->text, "all nine!"), 0);
	assert_int_equal(TARN_COPY(tx, &to->samples, &volts), 0);
	assert_int_equal(TARN_SET(tx, &to->samples[1], 9.25F), 0);
	assert_int_equal(TARN_COPY(tx, &to->at, &there), 0);
}

static void each_type_is_stored_as_it_is(void **state)
{
	(void)state;
	set_all(thing);
	assert_int_equal(tarn_section_leave(section), 0);
	assert_true(thing->i8 == INT8_MIN && thing->u8 == UINT8_MAX);
	assert_true(thing->i16 == INT16_MIN && thing->u16 == UINT16_MAX);
	assert_true(thing->i32 == INT32_MIN && thing->u32 == UINT32_MAX);
	assert_true(thing->i64 == INT64_MIN && thing->u64 == UINT64_MAX);
	assert_memory_equal(&thing->f32, &(float){ -FLT_MIN }, sizeof(float));
	assert_memory_equal(&thing->f64, &(double){ DBL_MAX }, sizeof(double));
	assert_memory_equal(thing->text, "all nine!", 9);
	assert_memory_equal(thing->samples, ((const float[3]){ 1.5F, 9.25F, 3.5F }), 12);
	assert_true(thing->at.x == -4 && thing->at.y == INT64_MIN && thing->next == 4096);
}

static void an_abort_puts_each_type_back(void **state)
{
	struct thing before;

	(void)state;
	memset(thing, 0x5a, sizeof(*thing));
	memcpy(&before, thing, sizeof(before));
	set_all(thing);
	assert_memory_not_equal(thing, &before, sizeof(before));
	assert_int_equal(tarn_section_abort(section), 0);
	assert_memory_equal(thing, &before, sizeof(before));
}

static void enumerations_bools_and_chars_are_stored(void **state)
{
	(void)state;
	assert_int_equal(TARN_SET(tx, &own->colour, GREEN), 0);
	assert_int_equal(TARN_SET(tx, &own->set, 2 > 1), 0);
	assert_int_equal(TARN_SET(tx, &own->letter, 'x'), 0);
	assert_true(own->colour == GREEN && own->set && own->letter == 'x');
	assert_int_equal(TARN_SET(tx, &own->set, 256), 0); /* is true, and not its low byte */
	assert_int_equal(*(const uint8_t *)&own->set, 1);
	assert_int_equal(tarn_section_abort(section), 0);
	assert_true(own->colour == RED && !own->set && own->letter == 0);
}

/* Would a compiler that takes a double and a word for different memory see the old one? */
__attribute__((noinline)) static double sum_beside(struct thing *to, uint64_t *word)
{
	double sum = 0;

	for (int i = 1; i <= 3; i++) {
		to->f64 = i;
		TARN_SET(tx, &to->f64, to->f64 * 10);
		sum += to->f64;
		tarn_tx_set64(tx, word, 0);
		sum += to->f64;
	}
	return sum;
}

__attribute__((noinline)) static float sum_floats(struct thing *to, float *same)
{
	to->f32 = 1;
	TARN_SET(tx, same, 2.0F);
	TARN_SET(tx, same, *same + to->f32);
	return to->f32;
}

static void what_is_stored_is_seen_by_the_next_line(void **state)
{
	(void)state;
	assert_true(sum_beside(thing, (uint64_t *)(void *)&thing->f64) == 60);
	assert_true(sum_floats(thing, &thing->f32) == 4);
	assert_int_equal(tarn_section_abort(section), 0);
}

static void each_argument_is_looked_at_once(void **state)
{
	float *at = thing->samples;
	int calls = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		assert_int_equal(TARN_SET(tx, at++, (float)++calls), 0);
	assert_int_equal(calls, 3);
	assert_memory_equal(thing->samples, ((const float[3]){ 1, 2, 3 }), 12);
	assert_int_equal(tarn_section_leave(section), 0);
}

static void a_text_is_whole_or_refused(void **state)
{
	const char *longer = "ten bytes!", *shorter = "two";

	(void)state;
	assert_int_equal(TARN_SET_TEXT(tx, thing->text, "all nine!"), 0);
	assert_int_equal(TARN_SET_TEXT(tx, thing->text, shorter), 0);
	assert_string_equal(thing->text, "two");
	assert_int_equal(TARN_SET_TEXT(tx, thing->text, ""), 0);
	assert_string_equal(thing->text, "");
	assert_int_equal(TARN_SET_TEXT(tx, thing->text, longer), -EMSGSIZE);
	assert_int_equal(TARN_SET(tx, &thing->u8, 1), -EMSGSIZE); /* the tx is bound to be undone */
	assert_int_equal(tarn_section_leave(section), -EMSGSIZE);
	assert_memory_equal(thing->text, "\0\0\0\0\0\0\0\0\0", 9);
	assert_int_equal(tarn_section_enter(section, TARN_FOREVER, &tx, NULL), 0);
	assert_int_equal(TARN_SET_TEXT(tx, thing->text, (const char *)NULL), -EINVAL);
	assert_int_equal(tarn_section_leave(section), -EINVAL);
	assert_int_equal(TARN_SET_TEXT(tx, thing->text, "x"), -EPERM);
	assert_int_equal(TARN_SET_TEXT(NULL, thing->text, "x"), -EPERM);
	assert_int_equal(TARN_SET(NULL, &thing->f64, 1.0), -EPERM);
}

static void what_lies_outside_is_refused(void **state)
{
	struct thing mine = { .f64 = 1 };

	(void)state;
	assert_int_equal(TARN_SET(tx, &mine.f64, 2.0), -EINVAL);
	assert_true(mine.f64 == 1);
	assert_int_equal(tarn_section_leave(section), -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(each_type_is_stored_as_it_is),
		TEST(an_abort_puts_each_type_back),
		TEST(enumerations_bools_and_chars_are_stored),
		TEST(what_is_stored_is_seen_by_the_next_line),
		TEST(each_argument_is_looked_at_once),
		TEST(a_text_is_whole_or_refused),
		TEST(what_lies_outside_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
