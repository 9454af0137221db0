/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * counting.c - a region with counters, for stat, metrics and get.
 *
 *     counting REGION make   "web" with metrics of each kind, to which one adds who has died since;
 *                            "empty" with one that nobody has added to; object "raw"
 *     counting REGION run    add to them 1000 times a second until killed
 *     counting REGION clash  "other", whose requests_total is a gauge
 *     counting REGION objects  ring "frames" that three records went into; mutex "lock" that was
 *                            locked three times, once by one who died
 *     counting REGION spoil  damage the header of "frames"
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { REQUESTS, BUSY, SENT, TOOK, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[REQUESTS] = { "requests_total", "", "requests answered", TARN_METRIC_COUNTER, 0, 0 },
	[BUSY] = { "busy", "", "being answered now: \"one\" a worker", TARN_METRIC_GAUGE, 0, 0 },
	[SENT] = { "sent_total", "bytes", "of answers", TARN_METRIC_COUNTER, 0, 0 },
	[TOOK] = { "took_ns", "ns", "from a request to its answer", TARN_METRIC_HISTOGRAM, 0, 0 },
};
static const struct tarn_metric hits = { "hits_total", "", "", TARN_METRIC_COUNTER, 0, 0 };
static const struct tarn_metric clash = { "requests_total", "", "", TARN_METRIC_GAUGE, 0, 0 };

static struct tarn_region *region;
static struct tarn_counters *web, *empty;

static void add(void)
{
	tarn_counter_add(web, REQUESTS, 1);
	tarn_gauge_set(web, BUSY, 2);
	tarn_counter_add(web, SENT, 1000);
	tarn_histogram_record(web, TOOK, 1000000);
}

static int make(const char *name)
{
	const struct tarn_counters_opts of_web = { .metrics = metrics,
						   .count = METRICS,
						   .slots = 4 };
	const struct tarn_counters_opts of_empty = { .metrics = &hits, .count = 1, .slots = 1 };
	int status = 0;
	void *raw;
	pid_t pid;

	if (tarn_region_create(name, NULL, &region) < 0 ||
	    tarn_counters_open(region, "web", &of_web, &web) < 0 ||
	    tarn_counters_open(region, "empty", &of_empty, &empty) < 0 ||
	    tarn_object_create(region, "raw", 64, &raw, NULL) < 0)
		return 1;
	pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 42; i++)
			add();
		raise(SIGKILL);
	}
	return pid < 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status);
}

static void run(void)
{
	for (;;) {
		add();
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
}

/* Locked, by one who is killed then. */
static int die_locked(void)
{
	struct tarn_mutex *lock;
	int status = 0;
	pid_t pid = fork();

	if (pid == 0 && tarn_mutex_open(region, "lock", NULL, &lock) == 0 &&
	    tarn_mutex_lock(lock, TARN_FOREVER, NULL) == 0)
		raise(SIGKILL);
	return pid <= 0 || waitpid(pid, &status, 0) != pid || !WIFSIGNALED(status);
}

static int objects(void)
{
	const struct tarn_ring_opts of_frames = { .capacity = 4096 };
	const struct tarn_mutex_opts of_lock = { 0 };
	struct tarn_ring *frames;
	struct tarn_mutex *lock;
	char text[24] = "";

	if (tarn_ring_open(region, "frames", TARN_RING_PRODUCER, &of_frames, &frames) < 0 ||
	    tarn_mutex_open(region, "lock", &of_lock, &lock) < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		if (tarn_ring_push(frames, text, sizeof(text)) < 0)
			return 1;
	if (tarn_mutex_lock(lock, TARN_FOREVER, NULL) < 0 || tarn_mutex_unlock(lock) < 0 ||
	    die_locked() != 0 || tarn_mutex_lock(lock, TARN_FOREVER, NULL) != -EOWNERDEAD ||
	    tarn_mutex_consistent(lock) < 0 || tarn_mutex_unlock(lock) < 0)
		return 1;
	tarn_ring_close(frames);
	tarn_mutex_close(lock);
	tarn_region_close(region);
	return 0;
}

static int spoil_frames(const struct tarn_object_stat *object, void *arg)
{
	const int fd = tarn_segment_fd(tarn_region_segment(region));

	(void)arg;
	return strcmp(object->name, "frames") == 0 &&
	       pwrite(fd, "spoilt", 6, (off_t)object->off + 8) == 6;
}

int main(int argc, char **argv)
{
	const struct tarn_counters_opts other = { .metrics = &clash, .count = 1, .slots = 1 };

	if (argc != 3)
		return 2;
	if (strcmp(argv[2], "make") == 0)
		return make(argv[1]);
	if (tarn_region_open(argv[1], NULL, &region) < 0)
		return 1;
	if (strcmp(argv[2], "objects") == 0)
		return objects();
	if (strcmp(argv[2], "spoil") == 0)
		return tarn_region_objects(region, spoil_frames, NULL) != 1;
	if (strcmp(argv[2], "clash") == 0)
		return tarn_counters_open(region, "other", &other, &web) < 0;
	if (tarn_counters_open(region, "web", NULL, &web) == 0)
		run();
	return 1;
}
