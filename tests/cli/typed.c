/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * typed.c - a region with structs, for get, put, watch and locks.
 *
 *     typed REGION make      section "lock" and struct "kitchen" that it guards, struct "loose"
 *                            that nothing guards, struct "lost.and.found" whose section is not
 *                            there, object "raw"
 *     typed REGION write     change kitchen for ever: in each state of it all numbers are the same
 *     typed REGION step      the same once
 *     typed REGION hold      be half through a change until killed; prints its pid
 *     typed REGION die       be killed half through a change
 */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

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

static int change(uint64_t number, bool half)
{
	if (tarn_section_enter(section, TARN_FOREVER, &tx, NULL) < 0)
		return 1;
	TARN_SET(tx, &kitchen->time, number);
	for (int i = 0; i < (half ? 10 : 20); i++)
		TARN_SET(tx, &kitchen->samples[i], (float)number);
	if (half)
		return 0;
	TARN_SET(tx, &kitchen->temperature, (double)number);
	return tarn_section_leave(section) < 0;
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
	printf("%d\n", (int)getpid());
	fflush(stdout);
	while (r == 0)
		pause();
	return r;
}

int main(int argc, char **argv)
{
	void *p;

	if (argc != 3)
		return 2;
	if (strcmp(argv[2], "make") == 0)
		return make(argv[1]);
	if (tarn_region_open(argv[1], NULL, &region) < 0 ||
	    tarn_section_open(region, "lock", NULL, &section) < 0 ||
	    tarn_struct_open(region, "kitchen", sensor_type(), NULL, &p) < 0)
		return 1;
	kitchen = p;
	return act(argv[2]);
}
