/* SPDX-License-Identifier: BSD-2-Clause */
#include <time.h>
#include <tarn/tarn.h>

#define SENSOR(ROW)                                                                                \
	ROW(VALUE, double, temperature, "degC", "of the air")                                      \
	ROW(VALUE, uint64_t, time, "ns", "when it was measured")                                   \
	ROW(ENUM, uint32_t, state, "off=0 on=1 broken=2", "is it measuring")                       \
	ROW(TEXT, place, 32, "where it stands")
TARN_TYPE(sensor, 1, SENSOR);

int main(int argc, char **argv)
{
	const struct tarn_region_opts create = { .flags = TARN_REGION_CREATE };
	const struct tarn_struct_opts guarded = { .section = "lock" };
	struct timespec now, nap = { .tv_nsec = 100000000 };
	struct tarn_region *region;
	struct tarn_section *lock;
	struct tarn_tx *tx;
	void *data;

	if (argc != 2 || tarn_region_open(argv[1], &create, &region) < 0 ||
	    tarn_section_open(region, "lock", &(struct tarn_section_opts){ 0 }, &lock) < 0 ||
	    tarn_struct_open(region, "kitchen", sensor_type(), &guarded, &data) < 0)
		return 1;
	for (struct sensor *s = data;; nanosleep(&nap, NULL)) {
		clock_gettime(CLOCK_REALTIME, &now);
		if (tarn_section_enter(lock, TARN_FOREVER, &tx, NULL) < 0) return 1;
		TARN_SET(tx, &s->temperature, 20 + (double)(now.tv_sec % 60) / 10);
		TARN_SET(tx, &s->time, (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
		TARN_SET(tx, &s->state, 1);
		TARN_SET_TEXT(tx, s->place, "by the window");
		if (tarn_section_leave(lock) < 0) return 1;
	}
}
