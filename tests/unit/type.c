/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types: a list of fields is a struct and its description; who has another one is told which field
 * differs.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "region/type.h"

#define POINT(ROW)                                                                                 \
	ROW(VALUE, int32_t, x, "mm", "to the right")                                               \
	ROW(VALUE, int64_t, y, "mm", "up")
TARN_TYPE(point, 1, POINT);

#define SENSOR(ROW)                                                                                \
	ROW(VALUE, double, temperature, "degC", "of the air")                                      \
	ROW(ENUM, uint8_t, state, "off=0 on=1", "is it measuring")                                 \
	ROW(VALUE, uint64_t, time, "ns", "CLOCK_REALTIME")                                         \
	ROW(FLAGS, uint16_t, alarms, "hot=1 wet=2", "what is wrong")                               \
	ROW(ARRAY, float, samples, 5, "V", "the last ones")                                        \
	ROW(TEXT, place, 13, "where it stands")                                                    \
	ROW(REF, next, sensor, "another one")                                                      \
	ROW(STRUCT, point, at, "on the map")                                                       \
	ROW(STRUCTS, point, corners, 4, "of the room")
TARN_TYPE(sensor, 3, SENSOR);

static uint32_t check_of(const unsigned char *bytes, uint32_t size)
{
	return tarn__fnv32(bytes + 20, size - 20, tarn__fnv32(bytes, 16, TARN__FNV32_BASIS));
}

/* A copy of sensor's description to be changed. */
struct changed {
	struct tarn_type type;
	struct tarn_field fields[32];
};

static struct changed *changed(void)
{
	static struct changed c;

	c.type = *sensor_type();
	memcpy(c.fields, c.type.fields, c.type.field_count * sizeof(c.fields[0]));
	c.type.fields = c.fields;
	return &c;
}

/* A copy of a struct's description, to be changed as well. */
static struct tarn_field inner_fields[3];

static struct changed *changed_inside(uint32_t index)
{
	static struct tarn_type inner;
	struct changed *c = changed();

	inner = *point_type();
	memcpy(inner_fields, inner.fields, 2 * sizeof(inner_fields[0]));
	inner.fields = inner_fields;
	c->fields[index].type = &inner;
	return c;
}

static struct tarn_region *region;
static struct tarn_diag diag;
static const struct tarn_struct_opts opts = { .diag = &diag };

static int make_region(void **state)
{
	(void)state;
	diag = (struct tarn_diag){ .what = "" };
	return tarn_region_create("anon:", NULL, &region);
}

static int drop_region(void **state)
{
	(void)state;
	tarn_region_close(region);
	return 0;
}

static void says(const char *words)
{
	if (strstr(diag.what, words) == NULL)
		fail_msg("'%s' is not in: %s", words, diag.what);
}

static void a_list_is_a_struct_of_one_layout_everywhere(void **state)
{
	const struct tarn_type *type = sensor_type();

	(void)state;
	assert_int_equal(offsetof(struct sensor, temperature), 0);
	assert_int_equal(offsetof(struct sensor, state), 8);
	assert_int_equal(offsetof(struct sensor, time), 16);
	assert_int_equal(offsetof(struct sensor, alarms), 24);
	assert_int_equal(offsetof(struct sensor, samples), 28);
	assert_int_equal(offsetof(struct sensor, place), 48);
	assert_int_equal(offsetof(struct sensor, next), 64);
	assert_int_equal(offsetof(struct sensor, at), 72);
	assert_int_equal(offsetof(struct sensor, corners), 88);
	assert_int_equal(sizeof(struct sensor), 152);
	assert_int_equal(type->field_count, 9);
	assert_int_equal(type->version, 3);
	assert_int_equal(type->size, 152);
	assert_int_equal(type->align, 8);
	assert_string_equal(type->fields[4].name, "samples");
	assert_int_equal(type->fields[4].length, 5);
	assert_int_equal(type->fields[4].kind, TARN_FIELD_F32);
	assert_ptr_equal(tarn_field_type(&type->fields[8]), point_type());
}

static void what_one_makes_another_opens(void **state)
{
	struct tarn_struct_stat stat;
	struct tarn_struct_opts guarded = { .section = "lock", .diag = &diag };
	struct tarn_type *type;
	void *data, *again;
	struct sensor *s;

	(void)state;
	assert_int_equal(tarn_struct_open(region, "kitchen", sensor_type(), NULL, &data), -ENOENT);
	assert_int_equal(tarn_struct_open(region, "kitchen", sensor_type(), &guarded, &data), 0);
	assert_int_equal((uintptr_t)data % 64, 0);
	s = data;
	assert_int_equal(s->time, 0);
	s->temperature = 21.5;
	assert_int_equal(tarn_struct_open(region, "kitchen", sensor_type(), NULL, &again), 0);
	assert_ptr_equal(data, again);
	tarn_struct_close(region, again);
	assert_int_equal(tarn_struct_describe(region, "kitchen", &type, &stat, NULL), 0);
	assert_string_equal(stat.type, "sensor");
	assert_string_equal(stat.section, "lock");
	assert_int_equal(stat.version, 3);
	assert_int_equal(stat.size, sizeof(struct sensor));
	assert_int_equal(tarn_type_compare(sensor_type(), type, &diag), 0);
	assert_int_equal(tarn_type_compare(type, sensor_type(), &diag), 0);
	assert_string_equal(type->fields[1].values, "off=0 on=1");
	assert_string_equal(type->fields[6].values, "sensor");
	assert_string_equal(tarn_field_type(&type->fields[7])->fields[1].name, "y");
	tarn_type_free(type);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	assert_int_equal(tarn_struct_describe(region, "none", &type, NULL, NULL), -ENOENT);
	tarn_struct_close(region, data);
	tarn_struct_close(region, NULL);
}

static void another_section_is_refused_and_both_are_named(void **state)
{
	struct tarn_struct_opts with = { .section = "lock", .diag = &diag };
	void *data, *again = NULL;

	(void)state;
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &with, &data), 0);
	with.section = "other";
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &with, &again), -EEXIST);
	assert_null(again);
	says("section lock guards it; asked was other");
	assert_string_equal(diag.hint, "name section lock, or none");
	for (int i = 0; i < 3; i++) {
		static const char *const fit[] = { "lock", NULL, "lock" };

		with.section = fit[i];
		assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &with, &again), 0);
		assert_string_equal(diag.what, "");
		tarn_struct_close(region, again);
	}
	tarn_struct_close(region, data);
	assert_int_equal(tarn_object_remove(region, "s"), 0);
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &opts, &data), 0);
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &with, &again), -EEXIST);
	says("no section guards it; asked was lock");
	tarn_struct_close(region, data);
	assert_int_equal(tarn_object_remove(region, "s"), 0); /* nothing holds it any more */
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &with, &data), 0);
	tarn_struct_close(region, data);
}

/* The numbers were found by a program of its own, from the text of design/format.md. */
static void a_hash_names_a_type_on_every_machine(void **state)
{
	struct changed *c = changed();
	const uint64_t hash = tarn_type_hash(sensor_type());
	struct tarn_field *f = c->fields;

	(void)state;
	assert_true(tarn_type_hash(point_type()) == UINT64_C(0xd111f56f748864b8));
	assert_true(hash == UINT64_C(0x849f55310f43317c));
	f[0].help = "another";
	c->type.version = 9;
	assert_true(tarn_type_hash(&c->type) == hash);
	c->type.name = "sensors";
	assert_true(tarn_type_hash(&c->type) != hash);
	c->type.version = 0;
	assert_true(tarn_type_hash(&c->type) == 0);
#define CHANGES(change)                                                                            \
	do {                                                                                       \
		(void)changed();                                                                   \
		change;                                                                            \
		assert_true(tarn_type_hash(&c->type) != hash && tarn_type_hash(&c->type) != 0);    \
	} while (0)
	CHANGES(f[0].name = "heat");
	CHANGES(f[0].unit = "K");
	CHANGES(f[0].kind = TARN_FIELD_U64);
	CHANGES(f[1].values = "off=0 on=2");
	CHANGES(f[1].look = TARN_LOOK_FLAGS; f[1].values = "on=1");
	CHANGES(f[3].offset = 26);
	CHANGES(f[4].length = 4);
	CHANGES(f[5].size = 12);
	CHANGES(c->type.field_count = 8);
	CHANGES(c->type.size = 160);
#undef CHANGES
	c = changed_inside(8);
	assert_true(tarn_type_hash(&c->type) == hash);
	inner_fields[1].unit = "m";
	assert_true(tarn_type_hash(&c->type) != hash);
}

static void a_hash_that_is_another_is_damage_and_equal_ones_open(void **state)
{
	alignas(8) unsigned char bytes[2048];
	struct description_shm *head = (struct description_shm *)(void *)bytes;
	const uint64_t hash = tarn_type_hash(sensor_type());
	struct tarn_type *type;
	const char *fault;
	uint32_t size;

	(void)state;
	assert_int_equal(tarn__type_measure(sensor_type(), &size, NULL), 0);
	tarn__type_write(sensor_type(), bytes, size);
	assert_true(head->hash == hash);
	assert_true(tarn__type_same(bytes, size, hash));
	assert_false(tarn__type_same(bytes, size, hash + 1));
	bytes[size - 2] ^= 1; /* damaged: the long way finds where */
	assert_false(tarn__type_same(bytes, size, hash));
	bytes[size - 2] ^= 1;
	head->hash++;
	head->check = check_of(bytes, size);
	assert_int_equal(tarn__type_read(bytes, size, &type, &fault), -EUCLEAN);
	assert_string_equal(fault, "its hash");
}

static void bytes_are_no_struct(void **state)
{
	struct tarn_type *type;
	void *data;

	(void)state;
	assert_int_equal(tarn_object_create(region, "bytes", 4096, &data, NULL), 0);
	assert_int_equal(tarn_struct_open(region, "bytes", sensor_type(), &opts, &data), -EPROTO);
	assert_int_equal(tarn_struct_describe(region, "bytes", &type, NULL, NULL), -EPROTO);
}

static void expect_refusal(const struct tarn_type *type, const char *words)
{
	void *data = NULL;

	assert_int_equal(tarn_struct_open(region, "s", type, &opts, &data), -EPROTO);
	assert_null(data);
	says(words);
	assert_true(strlen(diag.hint) > 0);
}

static void the_field_that_differs_is_named(void **state)
{
	struct changed *c = changed();
	void *data;

	(void)state;
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &opts, &data), 0);
	c->fields[3].offset = 26;
	expect_refusal(&c->type, "field alarms: offset 26 here, 24 there");
	c = changed();
	c->fields[2].kind = TARN_FIELD_I64;
	expect_refusal(&c->type, "field time: of kind 'int64_t' here, 'uint64_t' there");
	c = changed();
	c->fields[0].unit = "K";
	expect_refusal(&c->type, "field temperature: unit 'K' here, 'degC' there");
	c = changed();
	c->fields[5].name = "site";
	expect_refusal(&c->type, "field site: named 'site' here, 'place' there");
	c = changed();
	c->fields[4].length = 4;
	expect_refusal(&c->type, "field samples: length 4 here, 5 there");
	c = changed();
	c->fields[1].values = "on=0 off=1";
	expect_refusal(&c->type, "field state: values 'on=0 off=1' here");
	assert_int_equal(tarn_type_compare(point_type(), sensor_type(), &diag), -EPROTO);
	says("type point here, sensor there");
	tarn_struct_close(region, data);
}

static struct tarn_type *inner_of(struct changed *c, uint32_t index)
{
	return (struct tarn_type *)(uintptr_t)c->fields[index].type;
}

static void a_nested_field_is_named_by_its_path(void **state)
{
	struct changed *c = changed_inside(7);
	void *data;

	(void)state;
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &opts, &data), 0);
	inner_of(c, 7)->name = "spot";
	expect_refusal(&c->type, "type sensor, field at: of type 'spot' here, 'point' there");
	c = changed_inside(7);
	inner_fields[1].unit = "m";
	expect_refusal(&c->type, "type sensor, field at.y: unit 'm' here, 'mm' there");
	c = changed_inside(8);
	inner_fields[0].name = "left";
	expect_refusal(&c->type, "type sensor, field corners[].left: named 'left' here, 'x' there");
	c = changed_inside(8);
	inner_of(c, 8)->field_count = 1;
	expect_refusal(&c->type, "field corners[].y: there, in version 1, not here");
	assert_non_null(strstr(diag.hint, "outermost"));
	inner_of(c, 8)->version = 0; /* an earlier one, too, has them only at the very end */
	assert_int_equal(tarn_type_compare(&c->type, sensor_type(), &diag), -EPROTO);
	says("and it is nested");
	c = changed();
	c->fields[7].unit = "m";
	expect_refusal(&c->type, "type sensor, field at: unit 'm' here, '' there");
	c = changed_inside(8);
	c->fields[8].size = 24;
	inner_of(c, 8)->size = 24;
	inner_of(c, 8)->field_count = 3;
	inner_fields[2] = inner_fields[0];
	inner_fields[2].name = "z";
	inner_fields[2].offset = 16;
	c->fields[8].length = 2;
	expect_refusal(&c->type, "field corners[]: length 2 here, 4 there");
	tarn_struct_close(region, data);
	assert_int_equal(tarn_object_remove(region, "s"), 0);
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), 0);
	c = changed();
	c->fields[8].length = 2;
	expect_refusal(&c->type, "type sensor, field corners[].z: there, in version 1, not here");
	tarn_struct_close(region, data);
}

static void an_earlier_program_opens_a_later_struct_and_not_the_reverse(void **state)
{
	struct changed *earlier = changed();
	void *data, *again;

	(void)state;
	earlier->type.field_count = 7;
	earlier->type.size = 72;
	earlier->type.version = 2;
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &opts, &data), 0);
	assert_string_equal(diag.what, "");
	assert_int_equal(tarn_struct_open(region, "s", &earlier->type, &opts, &again), 0);
	says("version 3 there has more fields, from at on");
	tarn_struct_close(region, again);
	earlier->type.version = 3;
	expect_refusal(&earlier->type, "in version 3, which is not earlier");
	tarn_struct_close(region, data);
	assert_int_equal(tarn_object_remove(region, "s"), 0);
	earlier->type.version = 2;
	assert_int_equal(tarn_struct_open(region, "s", &earlier->type, &opts, &data), 0);
	expect_refusal(sensor_type(), "field at: here, in version 3, not there, in version 2");
	tarn_struct_close(region, data);
}

/* A program's struct is never larger than what is there, whatever the descriptions say. */
static void an_earlier_struct_that_is_larger_is_refused(void **state)
{
	struct changed *earlier = changed();
	void *data;

	(void)state;
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &opts, &data), 0);
	earlier->type.field_count = 7;
	earlier->type.version = 2;
	earlier->type.size = sensor_type()->size;
	assert_int_equal(tarn_type_compare(&earlier->type, sensor_type(), &diag), 1);
	earlier->type.size += 64;
	expect_refusal(&earlier->type, "bytes here, ");
	assert_int_equal(tarn_type_compare(&earlier->type, sensor_type(), &diag), -EPROTO);
	tarn_struct_close(region, data);
}

static void a_type_that_breaks_the_rules_is_refused(void **state)
{
	struct changed *c = changed();
	char longer[400];
	void *data;

	(void)state;
	memset(longer, 'x', sizeof(longer));
	longer[399] = '\0';
	c->fields[0].name = "two words";
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	says("no identifier");
	c = changed();
	c->fields[0].help = longer;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	c = changed();
	c->fields[8].length = 5;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	says("outside");
	c = changed();
	c->fields[0].look = TARN_LOOK_FLAGS;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	c = changed();
	c->fields[7].type = &c->type; /* which contains itself */
	c->fields[7].size = c->type.size;
	c->fields[7].offset = 0;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	c = changed();
	c->type.field_count = 0;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	assert_int_equal(tarn_struct_open(region, "a/b", sensor_type(), &opts, &data), -EINVAL);
}

static void expect_values(uint32_t index, const char *values, const char *words)
{
	struct changed *c = changed();
	void *data = NULL;

	c->fields[index].values = values;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	assert_null(data);
	says(c->fields[index].name);
	says(words);
	assert_int_equal(tarn_struct_open(region, "s", &c->type, NULL, &data), -EINVAL);
}

/* Fields 1 and 3 are of one byte and of two. */
static void a_list_of_values_is_checked_when_a_type_is_used(void **state)
{
	static const char *const good[] = { "off=0 on=255", "  off=0x0   on=0xFF ", "a=1" };
	struct changed *c;
	void *data;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		c = changed();
		c->fields[1].values = good[i];
		assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), 0);
		tarn_struct_close(region, data);
		assert_int_equal(tarn_object_remove(region, "s"), 0);
	}
	expect_values(1, "", "one at least");
	expect_values(1, "  ", "one at least");
	expect_values(1, "a b", "have 'a': a value is name=number");
	expect_values(1, "off=0 on=", "have 'on=': a value is name=number");
	expect_values(1, "=1", "the name an identifier");
	expect_values(1, "7up=1", "the name an identifier");
	expect_values(1, "a|b=1", "the name an identifier");
	expect_values(1, "a=-1", "have 'a=-1': a value is name=number: 10 or 0xa, no sign");
	expect_values(1, "a=1x", "have 'a=1x'");
	expect_values(1, "a=0x", "have 'a=0x'");
	expect_values(1, "a=010", "no 0 in front");
	expect_values(1, "a=1=2", "have 'a=1=2'");
	expect_values(1, "a=0 b=256", "have 'b=256': the number is beyond");
	expect_values(1, "a=18446744073709551616", "no sign");
	expect_values(1, "a=0 b=1 a=2", "have 'a=2': the name is there before");
	expect_values(1, "a=1f", "have 'a=1f'");
	expect_values(1, "a=16 b=0x10", "have 'b=0x10': the number is there before");
	expect_values(1, "a=1 b=0x1", "have 'b=0x1': the number is there before");
	expect_values(3, "ab=3", "have 'ab=3': a flag is one bit");
	expect_values(3, "none=0", "have 'none=0': a flag is one bit");
	expect_values(3, "a=65536", "beyond");
	expect_values(3, "a=1 b=2 c=1", "have 'c=1'");
	c = changed();
	c->fields[1].kind = TARN_FIELD_I8;
	c->fields[1].values = "a=128";
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	says("beyond");
}

static void versions_count_from_1(void **state)
{
	struct changed *c = changed();
	void *data;

	(void)state;
	c->type.version = 0;
	assert_int_equal(tarn_struct_open(region, "s", &c->type, &opts, &data), -EINVAL);
	says("version is 0");
}

/* What a program with another idea of the rules has written. */
static void a_description_with_other_values_is_damaged(void **state)
{
	alignas(8) unsigned char bytes[2048];
	struct description_shm *head = (struct description_shm *)(void *)bytes;
	struct tarn_type *type;
	const char *fault;
	uint32_t size;
	char *at;

	(void)state;
	assert_int_equal(tarn__type_measure(sensor_type(), &size, NULL), 0);
	tarn__type_write(sensor_type(), bytes, size);
	at = memmem(bytes, size, "off=0 on=1", 10);
	assert_non_null(at);
	at[9] = '0';
	head->check = check_of(bytes, size);
	assert_int_equal(tarn__type_read(bytes, size, &type, &fault), -EUCLEAN);
	assert_string_equal(fault, "a field's values");
}

static void expect_place(const char *path, uint64_t offset, uint32_t length)
{
	struct tarn_place place;

	assert_int_equal(tarn_type_find(sensor_type(), path, &place, &diag), 0);
	assert_int_equal(place.offset, offset);
	assert_int_equal(place.length, length);
}

static void fields_are_found_by_path(void **state)
{
	struct tarn_place place;

	(void)state;
	expect_place("time", 16, 0);
	expect_place("samples", 28, 5);
	expect_place("samples[4]", 44, 0);
	expect_place("at.y", 80, 0);
	expect_place("corners[3]", 136, 0);
	expect_place("corners[3].y", 144, 0);
	assert_int_equal(tarn_type_find(sensor_type(), "nothing", &place, &diag), -ENOENT);
	assert_int_equal(tarn_type_find(sensor_type(), "", &place, &diag), -ENOENT);
	assert_int_equal(tarn_type_find(sensor_type(), "samples[5]", &place, &diag), -ERANGE);
	assert_int_equal(
		tarn_type_find(sensor_type(), "samples[99999999999999999999]", &place, &diag),
		-ERANGE);
	assert_int_equal(tarn_type_find(sensor_type(), "samples[-1]", &place, &diag), -EINVAL);
	assert_int_equal(tarn_type_find(sensor_type(), "samples[1", &place, &diag), -EINVAL);
	assert_int_equal(tarn_type_find(sensor_type(), "time[0]", &place, &diag), -EINVAL);
	assert_int_equal(tarn_type_find(sensor_type(), "time.x", &place, &diag), -EINVAL);
	assert_int_equal(tarn_type_find(sensor_type(), "corners.x", &place, &diag), -EINVAL);
	assert_int_equal(tarn_type_find(sensor_type(), "at.", &place, &diag), -ENOENT);
}

static void expect_no_place(const char *path, int error, const char *words)
{
	struct tarn_place place;

	assert_int_equal(tarn_type_find(sensor_type(), path, &place, &diag), error);
	assert_string_equal(diag.what, words);
	assert_true(strlen(diag.hint) > 0);
}

static void an_index_is_told_with_the_bounds(void **state)
{
	(void)state;
	expect_no_place("samples[5]", -ERANGE, "field samples has [0] to [4]; found [5]");
	expect_no_place("corners[17].y", -ERANGE, "field corners has [0] to [3]; found [17]");
	expect_no_place("corners[1x].y", -EINVAL, "field corners has [0] to [3]; found [1x]");
	expect_no_place("corners[1", -EINVAL, "field corners has [0] to [3]; found [1");
	expect_no_place("samples[18446744073709551616]", -ERANGE,
			"field samples has [0] to [4]; found [18446744073709551616]");
	expect_no_place("time[0]", -EINVAL, "field time is no array: [0] cannot follow");
	assert_string_equal(diag.hint, "name it without an index");
}

static void look_for_findings(const struct tarn_finding *finding, void *arg)
{
	(void)finding;
	++*(int *)arg;
}

/* Each byte of header and description, with each bit turned: told as damage, and never believed. */
static void damage_is_told(void **state)
{
	unsigned char *data;
	struct tarn_type *type;
	uint32_t size;
	int found = 0;
	void *p;

	(void)state;
	assert_int_equal(tarn_struct_open(region, "s", sensor_type(), &opts, &p), 0);
	assert_int_equal(tarn__type_measure(sensor_type(), &size, NULL), 0);
	data = p;
	for (int64_t i = -128; i < 192 + (int64_t)size; i++) {
		if ((i >= -44 && i < 192)) /* padding, and the struct itself */
			continue;
		for (int bit = 0; bit < 8; bit++) {
			data[i] ^= (unsigned char)(1 << bit);

			int r = tarn_struct_describe(region, "s", &type, NULL, NULL);

			assert_true(r == -EUCLEAN || r == -EPROTO);
			assert_int_equal(tarn_region_check(region, look_for_findings, &found),
					 -EUCLEAN);
			data[i] ^= (unsigned char)(1 << bit);
		}
	}
	assert_true(found > 0);
	assert_int_equal(tarn_region_check(region, NULL, NULL), 0);
	tarn_struct_close(region, p);
}

static uint64_t hash_words(uint64_t hash, const uint32_t *words, int count)
{
	for (int i = 0; i < count; i++) {
		const uint64_t word = words[i];

		hash = tarn__fnv64(&word, sizeof(word), hash);
	}
	return hash;
}

/* As design/format.md has it, of a description that is sound but for it. */
static uint64_t hash_of_bytes(const unsigned char *bytes)
{
	const struct description_shm *head = (const struct description_shm *)(const void *)bytes;
	const struct type_shm *types = (const struct type_shm *)(const void *)(head + 1);
	const struct field_shm *fields =
		(const struct field_shm *)(const void *)(types + head->type_count);
	const char *text = (const char *)(fields + head->field_count);
	uint64_t hashes[TARN_TYPE_NESTED] = { 0 }, hash = 0;

	for (uint32_t t = 0; t < head->type_count; t++) {
		const char *name = text + types[t].name;

		hash = tarn__fnv64(name, strlen(name) + 1, TARN__FNV64_BASIS);
		hash = hash_words(hash, &types[t].size, 1);
		for (uint32_t i = 0; i < types[t].field_count; i++) {
			const struct field_shm *f = &fields[types[t].first_field + i];
			const uint32_t strings[] = { f->name, f->unit, f->values };
			const uint64_t nested = f->type != UINT32_MAX ? hashes[f->type] : 0;

			for (int k = 0; k < 3; k++)
				hash = tarn__fnv64(text + strings[k], strlen(text + strings[k]) + 1,
						   hash);
			hash = hash_words(hash, &f->kind, 5); /* look, offset, size, length */
			hash = tarn__fnv64(&nested, sizeof(nested), hash);
		}
		hashes[t] = hash;
	}
	return hash;
}

/* With checksum and hash made right: whatever a description says, it is safe to use. */
static void a_forged_description_leads_nowhere(void **state)
{
	alignas(8) unsigned char bytes[2048];
	uint32_t size, accepted = 0;
	uint32_t random = 1;

	(void)state;
	assert_int_equal(tarn__type_measure(sensor_type(), &size, NULL), 0);
	assert_true(size <= sizeof(bytes));
	for (int i = 0; i < 20000; i++) {
		struct description_shm *head = (struct description_shm *)(void *)bytes;
		struct tarn_type *type;
		const char *fault;

		tarn__type_write(sensor_type(), bytes, size);
		for (int n = 0; n < 1 + i % 3; n++) {
			random = random * 1103515245 + 12345;
			uint32_t at = 4 + (random >> 8) % (size - 4);

			random = random * 1103515245 + 12345;
			bytes[at] = (unsigned char)(random >> 20);
		}
		head->check = check_of(bytes, size);

		int r = tarn__type_read(bytes, size, &type, &fault);

		if (r < 0 && strcmp(fault, "its hash") == 0) {
			head->hash = hash_of_bytes(bytes);
			head->check = check_of(bytes, size);
			r = tarn__type_read(bytes, size, &type, &fault);
			assert_int_equal(r, 0);
		}
		if (r < 0)
			continue;
		accepted++;
		(void)!tarn_type_compare(sensor_type(), type, NULL);
		for (uint32_t f = 0; f < type->field_count; f++) {
			const struct tarn_field *field = &type->fields[f];
			uint64_t length = field->length != 0 ? field->length : 1;

			assert_true(field->offset + field->size * length <= type->size);
		}
		tarn_type_free(type);
	}
	assert_true(accepted > 0 && accepted < 20000);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_region, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(a_list_is_a_struct_of_one_layout_everywhere),
		TEST(what_one_makes_another_opens),
		TEST(another_section_is_refused_and_both_are_named),
		TEST(a_hash_names_a_type_on_every_machine),
		TEST(a_hash_that_is_another_is_damage_and_equal_ones_open),
		TEST(bytes_are_no_struct),
		TEST(the_field_that_differs_is_named),
		TEST(a_nested_field_is_named_by_its_path),
		TEST(an_earlier_program_opens_a_later_struct_and_not_the_reverse),
		TEST(an_earlier_struct_that_is_larger_is_refused),
		TEST(a_type_that_breaks_the_rules_is_refused),
		TEST(a_list_of_values_is_checked_when_a_type_is_used),
		TEST(versions_count_from_1),
		TEST(a_description_with_other_values_is_damaged),
		TEST(fields_are_found_by_path),
		TEST(an_index_is_told_with_the_bounds),
		TEST(damage_is_told),
		TEST(a_forged_description_leads_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
