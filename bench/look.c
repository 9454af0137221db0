/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * bench-look - does a writer get slower while somebody looks on?
 *
 *     bench-look [-J] [-r ROUNDS] TARN
 *
 * One process changes a struct under its section as fast as it can, on one processor, and is
 * counted in each round: with nobody else about; while TARN get prints the struct ten times a
 * second; while that is run over and over on another processor, which is what a program costs its
 * neighbour there, whatever it does: so it is held against TARN get of the same struct in another
 * region, which nobody changes.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "crowd.h"
#include "rows.h"

#define SENSOR(ROW)                                                                                \
	ROW(VALUE, int32_t, temperature, "degC", "of the air")                                     \
	ROW(VALUE, int32_t, humidity, "%", "relative")                                             \
	ROW(VALUE, double, pressure, "hPa", "at the height of the sensor")                         \
	ROW(VALUE, uint64_t, time, "ns", "CLOCK_REALTIME of the measurement")                      \
	ROW(TEXT, location, 64, "where it stands")
TARN_TYPE(sensor, 1, SENSOR);

enum { SLICE_MS = 300, LOOKS_MAX = 5 };

struct shared {
	_Atomic uint64_t changes;
};

static struct shared *shared;
static const char *tarn;
static char region_name[64], other_name[64], struct_name[80], field_name[96], other_struct[80];
static double rates[LOOKS_MAX][ROUND_MAX], runs[LOOKS_MAX][ROUND_MAX];

static const struct {
	const char *who;
	const char *object; /* NULL: nobody looks */
	long pause_ms;      /* between two */
	int beside;         /* the row that it is held against; -1: none */
} looks[] = {
	{ "nobody", NULL, 0, -1 },
	{ "get, ten a second", struct_name, 100, 0 },
	{ "get of another", other_struct, 0, -1 },
	{ "get", struct_name, 0, 2 },
	{ "get of a field", field_name, 0, 2 },
};

static_assert(sizeof(looks) / sizeof(looks[0]) == LOOKS_MAX, "one each");

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "bench-look: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* --- the writer ------------------------------------------------------------------------------- */

static void change(struct tarn_section *section, struct sensor *sensor, uint64_t n)
{
	struct tarn_tx *tx;

	must("enter", tarn_section_enter(section, TARN_FOREVER, &tx, NULL));
	TARN_SET(tx, &sensor->temperature, (int32_t)(n % 40));
	TARN_SET(tx, &sensor->humidity, (int32_t)(n % 100));
	TARN_SET(tx, &sensor->time, n);
	must("leave", tarn_section_leave(section));
}

static void write_for_ever(struct tarn_region *region)
{
	const struct tarn_section_opts section_opts = { 0 };
	const struct tarn_struct_opts opts = { .section = TARN_SECTION_REGION };
	struct tarn_section *section;
	void *sensor;

	crowd_pin(0);
	must("section", tarn_section_open(region, NULL, &section_opts, &section));
	must("struct", tarn_struct_open(region, "sensor", sensor_type(), &opts, &sensor));
	for (uint64_t n = 1;; n++) {
		change(section, sensor, n);
		/* relaxed: a count */
		atomic_store_explicit(&shared->changes, n, memory_order_relaxed);
	}
}

static pid_t fork_writer(struct tarn_region *region)
{
	const struct timespec moment = { .tv_nsec = 1000000 };
	pid_t pid = fork();

	must("fork", pid < 0 ? -errno : 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		write_for_ever(region);
	}
	while (atomic_load(&shared->changes) == 0 && waitpid(pid, NULL, WNOHANG) == 0)
		nanosleep(&moment, NULL);
	return pid;
}

/* --- who looks on ----------------------------------------------------------------------------- */

static void run_once(int look)
{
	pid_t pid = vfork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

		dup2(null, STDOUT_FILENO);
		execl(tarn, "tarn", "get", looks[look].object, (char *)NULL);
		_exit(127);
	}
	must("vfork", pid < 0 ? -errno : 0);
	if (waitpid(pid, &status, 0) < 0 || status != 0) {
		fprintf(stderr, "bench-look: %s get %s: status %d\n", tarn, looks[look].object,
			status);
		exit(1);
	}
}

static void take(int look, int round)
{
	const struct timespec pause = { .tv_nsec = looks[look].pause_ms * 1000000 };
	int64_t begin = tarn_now(), end = begin + SLICE_MS * INT64_C(1000000);
	uint64_t before = atomic_load(&shared->changes), ran = 0;
	double ns;

	for (; tarn_now() < end && looks[look].object != NULL; ran++) {
		run_once(look);
		nanosleep(&pause, NULL);
	}
	if (ran == 0)
		nanosleep(&(struct timespec){ .tv_nsec = SLICE_MS * 1000000L }, NULL);
	ns = (double)(tarn_now() - begin);
	rates[look][round] = (double)(atomic_load(&shared->changes) - before) * 1e3 / ns;
	runs[look][round] = (double)ran * 1e9 / ns;
}

static void tell(int rounds)
{
	char words[96];

	for (int i = 0; i < LOOKS_MAX; i++) {
		int beside = looks[i].beside;

		row("changes beside", looks[i].who, "per us", rates[i], rounds,
		    beside >= 0 ? rates[beside] : NULL, beside >= 0 ? looks[beside].who : NULL);
	}
	for (int i = 1; i < LOOKS_MAX; i++)
		row("run", looks[i].who, "times/s", runs[i], rounds, NULL, NULL);
	for (int i = 0; i < LOOKS_MAX; i++) {
		int beside = looks[i].beside;

		if (beside < 0)
			continue;
		snprintf(words, sizeof(words), "changes beside %s / beside %s", looks[i].who,
			 looks[beside].who);
		claim(words, rows_median(rates[i], rates[beside], rounds), 0.95, true);
	}
}

/* A region of this name, with the struct in it. */
static struct tarn_region *make(char name[64], const char *which, char struct_of[80])
{
	const struct tarn_region_opts region_opts = { .flags = TARN_REGION_CREATE |
							       TARN_REGION_EPHEMERAL };
	const struct tarn_section_opts section_opts = { 0 };
	const struct tarn_struct_opts opts = { .section = TARN_SECTION_REGION };
	struct tarn_section *section;
	struct tarn_region *region;
	void *sensor;

	snprintf(name, 64, "shm:bench-look-%s-%d", which, (int)getpid());
	snprintf(struct_of, 80, "%s/sensor", name);
	must(name, tarn_region_open(name, &region_opts, &region));
	must("section", tarn_section_open(region, NULL, &section_opts, &section));
	must("struct", tarn_struct_open(region, "sensor", sensor_type(), &opts, &sensor));
	change(section, sensor, 1);
	tarn_struct_close(region, sensor);
	tarn_section_close(section);
	return region;
}

int main(int argc, char **argv)
{
	struct tarn_region *region, *other;
	int option, rounds = 9;
	pid_t writer;

	while ((option = getopt(argc, argv, "Jr:")) != -1) {
		if (option == 'J')
			rows_json = true;
		else if (option == 'r')
			rounds = (int)strtol(optarg, NULL, 10);
	}
	if (optind + 1 != argc || rounds < 1 || rounds > ROUND_MAX) {
		fprintf(stderr, "usage: bench-look [-J] [-r ROUNDS] TARN; 1 to %d rounds\n",
			ROUND_MAX);
		return 2;
	}
	tarn = argv[optind];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must("mmap", shared == MAP_FAILED ? -errno : 0);
	region = make(region_name, "a", struct_name);
	other = make(other_name, "b", other_struct);
	snprintf(field_name, sizeof(field_name), "%s.temperature", struct_name);
	writer = fork_writer(region);
	crowd_pin(1); /* whatever is run stays there, too */
	for (int round = 0; round < rounds; round++)
		for (int look = 0; look < LOOKS_MAX; look++)
			take(look, round);
	tell(rounds);
	kill(writer, SIGKILL);
	waitpid(writer, NULL, 0);
	tarn_region_close(region);
	tarn_region_close(other);
	return 0;
}
