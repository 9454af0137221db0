/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Types: a list of fields is a struct and its description; who has another one is told which field
 * differs.
 */
#include <errno.h>
#include <setjmp.h>
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
	assert_true(strlen(diag.hint) > 0 || strstr(words, "version") != NULL);
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

/* The same with the checksum made right: whatever a description says, it is safe to use. */
static void a_forged_description_leads_nowhere(void **state)
{
	unsigned char bytes[2048];
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
		head->check = tarn__fnv32(bytes + 20, size - 20,
					  tarn__fnv32(bytes, 16, TARN__FNV32_BASIS));
		if (tarn__type_read(bytes, size, &type, &fault) < 0)
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
		TEST(bytes_are_no_struct),
		TEST(the_field_that_differs_is_named),
		TEST(an_earlier_program_opens_a_later_struct_and_not_the_reverse),
		TEST(a_type_that_breaks_the_rules_is_refused),
		TEST(fields_are_found_by_path),
		TEST(damage_is_told),
		TEST(a_forged_description_leads_nowhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
