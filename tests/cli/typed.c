/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * typed.c - a region with structs, for get, put, watch and locks.
 *
 *     typed REGION make      section "lock" and struct "kitchen" that it guards, struct "loose"
 *                            that nothing guards, struct "lost.and.found" whose section is not
 *                            there, object "raw"
 *     typed REGION write     change kitchen for ever: in each state of it all numbers are the same
 *     typed REGION step      the same once
 *     typed REGION hold      be half through a change until killed; prints its pid. SIGUSR1: end it
 *     typed REGION die       be killed half through a change
 *
 *     typed REGION latest    a region with latest values: "pose" of type point, "none" of the same
 *                            and never written, "blob" without a type, "frame" filled in place
 *     typed REGION rewrite   write pose and frame for ever: all that they consist of is the same
 *     typed REGION count     add one to pose.y for ever, and lose nobody else's value
 *     typed REGION keep      hold pose until killed; prints its pid
 *     typed REGION lend      make "lent", of type point and filled in place, and be at writing it,
 *                            7 8, until SIGUSR1; prints its pid
 *
 *     typed REGION topic     a region with topics: "pose" of type point, with a message 3 -4, and
 *                            "kitchen" of type sensor, with none
 *     typed REGION silent    make topic "silent", whose messages do not say when they were
 *                            published, and publish for ever
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "bounded.h"

#define POINT(ROW)                                                                                 \
	ROW(VALUE, int32_t, x, "mm", "to the right")                                               \
	ROW(VALUE, int64_t, y, "mm", "up")
TARN_TYPE(point, 1, POINT);

#define SENSOR(ROW)                                                                                \
	ROW(VALUE, double, temperature, "degC", "of the air")                                      \
	ROW(VALUE, uint64_t, time, "ns", "CLOCK_REALTIME")                                         \
	ROW(ENUM, uint8_t, state, "off=0 on=1 broken=2", "is it measuring")                        \
	ROW(FLAGS, uint16_t, alarms, "hot=1 wet=2 old=8", "what is wrong")                         \
	ROW(ARRAY, float, samples, 20, "V", "the last ones")                                       \
	ROW(TEXT, place, 12, "where it stands")                                                    \
	ROW(STRUCTS, point, corners, 2, "of the room")                                             \
	ROW(REF, next, sensor, "another one")                                                      \
	ROW(VALUE, int8_t, trim, "", "")
TARN_TYPE(sensor, 3, SENSOR);

static struct tarn_region *region;
static struct tarn_section *section;
static struct sensor *kitchen;
static struct tarn_tx *tx;

static int make(const char *name)
{
	const struct tarn_struct_opts guarded = { .section = "lock" }, loose = { .flags = 0 },
				      lost = { .section = "nowhere" };
	void *p;

	if (tarn_region_create(name, &(struct tarn_region_opts){ .size = 1 << 20 }, &region) < 0 ||
	    tarn_section_open(region, "lock", &(struct tarn_section_opts){ 0 }, &section) < 0 ||
	    tarn_struct_open(region, "kitchen", sensor_type(), &guarded, &p) < 0 ||
	    tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	kitchen = p;
	TARN_SET(tx, &kitchen->temperature, 21.5);
	TARN_SET(tx, &kitchen->time, UINT64_MAX);
	TARN_SET(tx, &kitchen->state, 1);
	TARN_SET(tx, &kitchen->alarms, 9);
	TARN_SET(tx, &kitchen->samples[3], 0.1F);
	TARN_SET_TEXT(tx, kitchen->place, "by the \"sea\"");
	TARN_SET(tx, &kitchen->corners[1].x, -7);
	TARN_SET(tx, &kitchen->next, UINT64_C(8192));
	TARN_SET(tx, &kitchen->trim, -128);
	return tarn_section_leave(section) < 0 ||
	       tarn_struct_open(region, "loose", point_type(), &loose, &p) < 0 ||
	       tarn_struct_open(region, "lost.and.found", point_type(), &lost, &p) < 0 ||
	       tarn_object_create(region, "raw", 64, &p, NULL) < 0;
}

static int end_change(uint64_t number)
{
	for (int i = 10; i < 20; i++)
		TARN_SET(tx, &kitchen->samples[i], (float)number);
	TARN_SET(tx, &kitchen->temperature, (double)number);
	return tarn_section_leave(section) < 0;
}

static int change(uint64_t number, bool half)
{
	if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	TARN_SET(tx, &kitchen->time, number);
	for (int i = 0; i < 10; i++)
		TARN_SET(tx, &kitchen->samples[i], (float)number);
	return half ? 0 : end_change(number);
}

static void say_pid(void)
{
	printf("%d\n", (int)getpid());
	fflush(stdout);
}

/* SIGUSR1 is blocked since the start. */
static void await_signal(void)
{
	sigset_t set;
	int which;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &which);
}

static int act(const char *what)
{
	int r = 0;

	if (strcmp(what, "step") == 0)
		return change((kitchen->time + 1) % 1000, false);
	if (strcmp(what, "write") == 0)
		for (uint64_t i = 1; r == 0; i = (i + 1) % (1 << 20)) {
			r = change(i, false);
			nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
		}
	else
		r = change(500, true);
	if (r == 0 && strcmp(what, "die") == 0)
		raise(SIGKILL);
	say_pid();
	if (r == 0) {
		await_signal();
		r = end_change(500);
	}
	return r;
}

/* --- latest values ------------------------------------------------------------------------- */

static struct tarn_latest *pose, *frame;

static int make_latests(const char *name)
{
	const struct tarn_latest_opts points = { .type = point_type() };
	const struct tarn_latest_opts bytes = { .size = 40 };
	const struct tarn_latest_opts frames = { .size = 64, .flags = TARN_LATEST_IN_PLACE };
	const struct point first = { .x = 3, .y = -4 };
	struct tarn_latest *blob, *none;

	return tarn_region_create(name, &(struct tarn_region_opts){ .size = 1 << 20 }, &region) <
		       0 ||
	       tarn_latest_open(region, "pose", &points, &pose) < 0 ||
	       tarn_latest_open(region, "none", &points, &none) < 0 ||
	       tarn_latest_open(region, "blob", &bytes, &blob) < 0 ||
	       tarn_latest_open(region, "frame", &frames, &frame) < 0 ||
	       tarn_latest_write(pose, &first, sizeof(first), TARN_FOREVER, NULL) < 0 ||
	       tarn_latest_write(frame, "frame", 5, TARN_FOREVER, NULL) < 0 ||
	       tarn_latest_write(blob, "hello, world", 12, TARN_FOREVER, NULL) < 0;
}

static int rewrite(void)
{
	void *data;
	int r = 0;

	for (int32_t i = 1; r == 0; i = (i + 1) % (1 << 20)) {
		const struct point next = { .x = i, .y = i };

		r = tarn_latest_write(pose, &next, sizeof(next), TARN_FOREVER, NULL);
		if (r == 0)
			r = tarn_latest_loan(frame, TARN_FOREVER, &data, NULL);
		if (r < 0)
			break;
		memset(data, i, 64);
		r = tarn_latest_publish(frame, 64);
		nanosleep(&(struct timespec){ .tv_nsec = 20000 }, NULL);
	}
	return r != 0;
}

static int count(void)
{
	struct point next;
	uint64_t number;
	size_t size;
	int r = 0;

	while (r == 0 || r == -EAGAIN) {
		r = tarn_latest_read(pose, &next, sizeof(next), &size, &number);
		next.y++;
		if (r == 0)
			r = tarn_latest_write_if(pose, &next, sizeof(next), number, TARN_FOREVER,
						 NULL);
	}
	return r != 0;
}

static int lend(void)
{
	const struct tarn_latest_opts opts = { .type = point_type(),
					       .flags = TARN_LATEST_IN_PLACE };
	const struct point next = { .x = 7, .y = 8 };
	struct tarn_latest *lent;
	void *data;

	if (tarn_latest_open(region, "lent", &opts, &lent) < 0 ||
	    tarn_latest_loan(lent, TARN_FOREVER, &data, NULL) < 0)
		return 1;
	say_pid();
	await_signal();
	memcpy(data, &next, sizeof(next));
	return tarn_latest_publish(lent, sizeof(next)) < 0;
}

static int act_latest(const char *name, const char *what)
{
	const void *data;
	size_t size;

	if (strcmp(what, "latest") == 0)
		return make_latests(name);
	if (tarn_region_open(name, NULL, &region) < 0 ||
	    tarn_latest_open(region, "pose", NULL, &pose) < 0 ||
	    tarn_latest_open(region, "frame", NULL, &frame) < 0)
		return 1;
	if (strcmp(what, "rewrite") == 0)
		return rewrite();
	if (strcmp(what, "count") == 0)
		return count();
	if (strcmp(what, "lend") == 0)
		return lend();
	if (tarn_latest_hold(pose, &data, &size, NULL, NULL) < 0)
		return 1;
	say_pid();
	for (;;)
		pause();
}

static bool of_latest(const char *what)
{
	static const char *const those[] = { "latest", "rewrite", "count", "keep", "lend" };

	for (size_t i = 0; i < sizeof(those) / sizeof(those[0]); i++)
		if (strcmp(what, those[i]) == 0)
			return true;
	return false;
}

/* --- topics -------------------------------------------------------------------------------- */

static int make_topics(const char *name)
{
	const struct tarn_topic_opts points = { .lane_size = 1 << 16, .type = point_type() };
	const struct tarn_topic_opts sensors = { .lane_size = 1 << 16, .type = sensor_type() };
	const struct point first = { .x = 3, .y = -4 };
	struct tarn_publisher *pose_publisher, *kitchen_publisher;

	if (tarn_region_create(name, &(struct tarn_region_opts){ .size = 1 << 20 }, &region) < 0 ||
	    tarn_publisher_open(region, "pose", &points, &pose_publisher) < 0 ||
	    tarn_publisher_open(region, "kitchen", &sensors, &kitchen_publisher) < 0 ||
	    tarn_publisher_publish(pose_publisher, &first, sizeof(first)) < 0)
		return 1;
	tarn_publisher_close(pose_publisher);
	tarn_publisher_close(kitchen_publisher);
	return 0;
}

static int silent(const char *name)
{
	const struct tarn_region_opts opts = { .size = 1 << 20, .flags = TARN_REGION_CREATE };
	const struct tarn_topic_opts topic = { .lane_size = 4096, .flags = TARN_TOPIC_NO_TIME };
	struct tarn_publisher *publisher;
	int r = tarn_region_open(name, &opts, &region);

	if (r == 0)
		r = tarn_publisher_open(region, "silent", &topic, &publisher);
	while (r == 0) {
		r = tarn_publisher_publish_wait(publisher, "hush", 4, TARN_FOREVER);
		nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	}
	return r != 0;
}

int main(int argc, char **argv)
{
	sigset_t set;
	void *p;

	be_bounded();
	if (argc != 3)
		return 2;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (of_latest(argv[2]))
		return act_latest(argv[1], argv[2]);
	if (strcmp(argv[2], "topic") == 0)
		return make_topics(argv[1]);
	if (strcmp(argv[2], "silent") == 0)
		return silent(argv[1]);
	if (strcmp(argv[2], "make") == 0)
		return make(argv[1]);
	if (tarn_region_open(argv[1], NULL, &region) < 0 ||
	    tarn_section_open(region, "lock", NULL, &section) < 0 ||
	    tarn_struct_open(region, "kitchen", sensor_type(), NULL, &p) < 0)
		return 1;
	kitchen = p;
	return act(argv[2]);
}
