/* SPDX-License-Identifier: BSD-2-Clause */
/* Latest value of a described type: who knows another is told; who knows less keeps the rest. */
#include <stdlib.h>

#include <tarn/latest.h>
#include <tarn/type.h>

#include "prim.h"

#include "flow/latest.h"

#define POSE(ROW)                                                                                  \
	ROW(VALUE, double, x, "m", "to the right")                                                 \
	ROW(VALUE, double, y, "m", "ahead")                                                        \
	ROW(ENUM, uint8_t, state, "off=0 on=1", "is it known")
TARN_TYPE(pose, 1, POSE);

/* As it may grow: what is added lies behind. */
#define LATER(ROW)                                                                                 \
	POSE(ROW)                                                                                  \
	ROW(ARRAY, uint64_t, marks, 20, "", "seen since")                                          \
	ROW(TEXT, where, 5, "")
TARN_TYPE(later, 2, LATER);

static struct tarn_diag diag;
static struct tarn_type grown; /* later_type(), by the name of pose */

static int make_poses(void **state)
{
	diag = (struct tarn_diag){ .what = "" };
	grown = *later_type();
	grown.name = "pose";
	return make_region(state);
}

static int open_as(const struct tarn_type *type, struct tarn_latest **ret_latest)
{
	const struct tarn_latest_opts opts = { .type = type, .diag = &diag };

	return tarn_latest_open(region, "pose", &opts, ret_latest);
}

static int write_pose(struct tarn_latest *latest, double x)
{
	const struct pose pose = { .x = x, .y = -x, .state = 1 };

	return tarn_latest_write(latest, &pose, sizeof(pose), TARN_FOREVER, NULL);
}

static void its_description_is_kept_with_it(void **state)
{
	struct tarn_latest *writer, *other;
	struct tarn_type *type;
	struct pose pose;
	size_t size;

	(void)state;
	assert_int_equal(open_as(pose_type(), &writer), 0);
	assert_int_equal(write_pose(writer, 3), 0);
	assert_int_equal(tarn_latest_open(region, "pose", NULL, &other), 0);
	assert_int_equal(tarn_latest_describe(other, &type), 0);
	assert_int_equal(tarn_type_compare(pose_type(), type, NULL), 0);
	assert_string_equal(type->fields[0].unit, "m");
	assert_string_equal(type->fields[2].values, "off=0 on=1");
	tarn_type_free(type);
	assert_int_equal(tarn_latest_read(other, &pose, sizeof(pose), &size, NULL), 0);
	assert_int_equal(size, sizeof(pose));
	assert_true(pose.x == 3 && pose.y == -3 && pose.state == 1);
	tarn_latest_close(other);
	tarn_latest_close(writer);
	assert_int_equal(open_as(pose_type(), &writer), 0);
	tarn_latest_close(writer);
}

static void another_type_is_refused_and_the_field_named(void **state)
{
	struct tarn_field fields[3];
	struct tarn_type other = *pose_type();
	struct tarn_latest *writer, *none = NULL;

	(void)state;
	memcpy(fields, other.fields, sizeof(fields));
	other.fields = fields;
	fields[1].unit = "mm";
	assert_int_equal(open_as(pose_type(), &writer), 0);
	assert_int_equal(open_as(&other, &none), -EPROTO);
	assert_non_null(strstr(diag.what, "field y"));
	assert_non_null(strstr(diag.what, "'mm' here"));
	assert_non_null(strstr(diag.what, "'m' there"));
	assert_null(none);
	tarn_latest_close(writer);
}

static void bytes_are_of_no_type(void **state)
{
	const struct tarn_latest_opts bytes = { .size = sizeof(struct pose), .diag = &diag };
	struct tarn_latest *writer, *none = NULL;
	struct tarn_type *type = NULL;

	(void)state;
	assert_int_equal(tarn_latest_open(region, "pose", &bytes, &writer), 0);
	assert_int_equal(tarn_latest_describe(writer, &type), -ENOENT);
	assert_null(type);
	assert_int_equal(open_as(pose_type(), &none), -EPROTO);
	assert_non_null(strstr(diag.what, "pose has no type"));
	assert_null(none);
	tarn_latest_close(writer);
}

static void values_are_whole_structs(void **state)
{
	const struct tarn_latest_opts opts = { .type = pose_type(), .flags = TARN_LATEST_IN_PLACE };
	struct tarn_latest *writer, *other;
	char bytes[sizeof(struct pose)] = "";
	void *data;

	(void)state;
	assert_int_equal(tarn_latest_open(region, "pose", &opts, &writer), 0);
	assert_int_equal(tarn_latest_open(region, "pose", NULL, &other), 0);
	for (size_t size = 0; size < sizeof(bytes); size++) {
		assert_int_equal(tarn_latest_write(writer, bytes, size, TARN_FOREVER, &diag),
				 -EMSGSIZE);
		assert_int_equal(tarn_latest_write(other, bytes, size, TARN_FOREVER, &diag),
				 -EMSGSIZE);
	}
	assert_non_null(strstr(diag.what, "24 bytes, not 23"));
	assert_int_equal(tarn_latest_loan(writer, TARN_FOREVER, &data, NULL), 0);
	memset(data, 0, sizeof(bytes));
	assert_int_equal(tarn_latest_publish(writer, sizeof(bytes) - 1), -EMSGSIZE);
	assert_int_equal(tarn_latest_publish(writer, sizeof(bytes)), 0);
	assert_int_equal(tarn_latest_write(other, bytes, sizeof(bytes), TARN_FOREVER, NULL), 0);
	assert_int_equal(tarn_latest_number(writer), 2);
	tarn_latest_close(other);
	tarn_latest_close(writer);
}

/* A value of the later version, read by one who knows that. */
static void expect_later(struct tarn_latest *latest, double x, uint64_t mark, const char *where)
{
	struct later value;
	size_t size;

	assert_int_equal(tarn_latest_read(latest, &value, sizeof(value), &size, NULL), 0);
	assert_int_equal(size, sizeof(value));
	assert_true(value.x == x && value.y == -x && value.state == 1);
	for (int i = 0; i < 20; i++)
		assert_int_equal(value.marks[i], mark);
	assert_int_equal(strncmp(value.where, where, sizeof(value.where)), 0);
}

static void who_knows_an_earlier_version_leaves_the_rest(void **state)
{
	struct later value = { .x = 5, .y = -5, .state = 1, .where = "where" };
	struct tarn_latest *new, *old;
	const void *held;
	struct pose pose;
	size_t size;

	(void)state;
	assert_int_equal(open_as(&grown, &new), 0);
	assert_int_equal(open_as(pose_type(), &old), 0);
	assert_non_null(strstr(diag.what, "from marks on"));
	for (int i = 0; i < 4; i++) /* whatever the buffer had */
		memset(buffer_at(new, (uint32_t)i)->value, 0xee, sizeof(value));
	assert_int_equal(write_pose(old, 1), 0);
	expect_later(new, 1, 0, "");
	for (int i = 0; i < 20; i++)
		value.marks[i] = 77;
	assert_int_equal(tarn_latest_write(new, &value, sizeof(value), TARN_FOREVER, NULL), 0);
	for (int i = 2; i < 30; i++) {
		assert_int_equal(write_pose(old, i), 0);
		expect_later(new, i, 77, "where");
		assert_int_equal(tarn_latest_read(old, &pose, sizeof(pose), &size, NULL), 0);
		assert_int_equal(size, sizeof(pose));
		assert_true(pose.x == i);
		assert_int_equal(tarn_latest_hold(old, &held, &size, NULL, NULL), 0);
		assert_int_equal(size, sizeof(pose));
		tarn_latest_release(old);
	}
	assert_int_equal(tarn_latest_write(old, &value, sizeof(value), TARN_FOREVER, NULL),
			 -EMSGSIZE);
	tarn_latest_close(old);
	tarn_latest_close(new);
}

static void an_earlier_version_there_is_refused(void **state)
{
	struct tarn_latest *old, *none = NULL;

	(void)state;
	assert_int_equal(open_as(pose_type(), &old), 0);
	assert_int_equal(open_as(&grown, &none), -EPROTO);
	assert_non_null(strstr(diag.what, "field marks: here, in version 2, not there"));
	tarn_latest_close(old);
}

static void what_is_no_type_makes_nothing(void **state)
{
	struct tarn_latest_opts opts = { .type = pose_type(), .size = 23, .diag = &diag };
	struct tarn_type wrong = *pose_type();
	struct tarn_latest *none = NULL;

	(void)state;
	assert_int_equal(tarn_latest_open(region, "pose", &opts, &none), -EINVAL);
	assert_non_null(strstr(diag.what, "23"));
	assert_non_null(strstr(diag.what, "24"));
	wrong.align = 3;
	assert_int_equal(open_as(&wrong, &none), -EINVAL);
	assert_int_equal(tarn_latest_open(region, "pose", NULL, &none), -ENOENT);
	assert_null(none);
}

static void a_damaged_description_is_told(void **state)
{
	struct tarn_latest *writer, *none = NULL;
	struct tarn_type *type = NULL;
	unsigned char *at;

	(void)state;
	assert_int_equal(open_as(pose_type(), &writer), 0);
	at = writer->buffers + writer->count * writer->stride;
	at[40] ^= 1;
	assert_int_equal(tarn_latest_describe(writer, &type), -EUCLEAN);
	assert_int_equal(open_as(pose_type(), &none), -EUCLEAN);
	assert_int_equal(tarn_region_check(region, NULL, NULL), -EUCLEAN);
	assert_int_equal(write_pose(writer, 1), 0);
	at[40] ^= 1;
	assert_int_equal(open_as(pose_type(), &none), 0);
	tarn_latest_close(none);
	tarn_latest_close(writer);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, make_poses, drop_region)
	const struct CMUnitTest tests[] = {
		TEST(its_description_is_kept_with_it),
		TEST(another_type_is_refused_and_the_field_named),
		TEST(bytes_are_of_no_type),
		TEST(values_are_whole_structs),
		TEST(who_knows_an_earlier_version_leaves_the_rest),
		TEST(an_earlier_version_there_is_refused),
		TEST(what_is_no_type_makes_nothing),
		TEST(a_damaged_description_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
