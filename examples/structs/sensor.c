/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sensor - a struct in shared memory, declared once, written by one and read by others by name.
 *
 *     sensor write NAME SECONDS &     measures a hundred times a second
 *     sensor read NAME
 *
 * The second prints, with the time since 1970:
 *
 *     Temperature: 25 degC
 *     Humidity: 60 %
 *     Pressure: 1013.25 hPa
 *     Location: Room 101
 *     Measured at: 1764072000.123 s
 *
 * The list of fields is the struct, its layout on every machine, and a description that travels
 * with the region: a program with another list is refused (mismatch.c), and `tarn get NAME/sensor`
 * prints its fields. The section makes each measurement whole, and no reader holds the writer up.
 * The region goes when the last who has it open leaves.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <tarn/tarn.h>

#define SENSOR(ROW)                                                                                \
	ROW(VALUE, int32_t, temperature, "degC", "of the air")                                     \
	ROW(VALUE, int32_t, humidity, "%", "relative")                                             \
	ROW(VALUE, double, pressure, "hPa", "at the height of the sensor")                         \
	ROW(VALUE, uint64_t, time, "ns", "CLOCK_REALTIME of the measurement")                      \
	ROW(TEXT, location, 64, "where it stands")
TARN_TYPE(sensor, 1, SENSOR);

static int measure(struct tarn_section *section, struct sensor *shared)
{
	struct timespec at;
	struct tarn_tx *tx;
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	if (r < 0)
		return r;
	clock_gettime(CLOCK_REALTIME, &at);
	TARN_SET(tx, &shared->temperature, 25);
	TARN_SET(tx, &shared->humidity, 60);
	TARN_SET(tx, &shared->pressure, 1013.25);
	TARN_SET(tx, &shared->time, (uint64_t)at.tv_sec * 1000000000 + (uint64_t)at.tv_nsec);
	TARN_SET_TEXT(tx, shared->location, "Room 101");
	return tarn_section_leave(section);
}

static int show(struct tarn_section *section, const struct sensor *shared)
{
	struct sensor s;
	int r = tarn_section_read(section, &s, shared, sizeof(s), tarn_deadline_after(1000000000));

	if (r < 0)
		return r;
	printf("Temperature: %d degC\nHumidity: %d %%\n", s.temperature, s.humidity);
	printf("Pressure: %.2f hPa\nLocation: %.64s\n", s.pressure, s.location);
	printf("Measured at: %.3f s\n", (double)s.time / 1e9);
	return 0;
}

int main(int argc, char **argv)
{
	bool writes = argc == 4 && strcmp(argv[1], "write") == 0;
	struct tarn_diag diag = { "", "" };
	struct tarn_region_opts region_opts = { .flags = TARN_REGION_OBSERVE, .diag = &diag };
	const struct tarn_section_opts lock = { .diag = &diag };
	const struct tarn_struct_opts opts = { .section = TARN_SECTION_REGION, .diag = &diag };
	struct tarn_region *region = NULL;
	struct tarn_section *section = NULL;
	void *sensor = NULL;

	if (!writes && (argc != 3 || strcmp(argv[1], "read") != 0))
		return fprintf(stderr, "usage: sensor write NAME SECONDS, or read NAME\n"), 2;
	if (writes)
		region_opts.flags = TARN_REGION_CREATE | TARN_REGION_EPHEMERAL;
	int r = tarn_region_open(argv[2], &region_opts, &region);

	if (r == 0)
		r = tarn_section_open(region, NULL, writes ? &lock : NULL, &section);
	if (r == 0)
		r = tarn_struct_open(region, "sensor", sensor_type(), &opts, &sensor);
	for (long n = writes ? 100 * strtol(argv[3], NULL, 10) : 0; r == 0 && n > 0; n--) {
		r = measure(section, sensor);
		nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
	}
	if (r == 0 && !writes)
		r = show(section, sensor);
	if (r < 0)
		fprintf(stderr, "sensor: %s: %s %s\n", argv[2], strerror(-r), diag.what);
	tarn_struct_close(region, sensor);
	tarn_section_close(section);
	tarn_region_close(region);
	return r < 0;
}
