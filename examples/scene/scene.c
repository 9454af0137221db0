/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * scene - physics, rendering and sound of a game as three processes, one of which is killed now and
 * then.
 *
 *     scene [FRAMES [HZ]]     600 frames at 60 Hz if not said; HZ 0: as fast as it goes
 *     scene plain             with a double buffer as it is usually shown, until a torn world is
 *                             seen, 10 s at most
 *
 * prints, with other numbers where they depend on when who was killed:
 *
 *     scene: 600 frames of 596 worlds at 60 Hz; killed 3 physics, 3 render, 6 audio
 *     render: 0 torn, 0 from before; 11 worlds were not drawn, 17 frames showed the same one again
 *     render: a world is 1.8 ms old when it is drawn, 99 in 100 are not above 16.6 ms
 *     to have the newest world takes 1.5 us, 99 in 100 times not above 13.6 us
 *     audio: 580 blocks with 2013 sounds; 0 missed, 0 without room
 *     physics: the last world is what 596 steps lead to
 *     the others went on, each time
 *
 * The world is a latest value: physics fills the next one in place, whoever draws or mixes holds
 * the newest one in place for as long as it likes. There is always a buffer that nobody reads, so
 * nobody waits for anybody: render draws the same world again while physics is dead or stopped.
 * Sounds are messages of a topic, since each of them is to be heard once, and not the newest alone.
 *
 * Each world has a digest of all its bytes, and is a function of the one before. So a torn one is
 * seen, and so is one that was lost or made twice when physics was killed in the middle of a step.
 * Some victims are stopped for some frames before they are killed. What is counted is counted in
 * shared counters, where what the dead have added stays: `tarn top` shows it.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { BODIES = 128, BOX = 1 << 20, SOUNDS_MAX = 2 * BODIES, BLOCK = 735, KILLS = 12 };
enum who { PHYSICS, RENDER, AUDIO, ACTORS };

struct body {
	int32_t at[2], speed[2];
};
/* One state of everything, whole if its digest says so. */
struct world {
	uint64_t number; /* steps from the first */
	uint64_t sounds; /* that there were, until this one */
	int64_t time_ns;
	struct body bodies[BODIES];
	uint64_t digest; /* of what is above but time_ns, which no step can know */
};
struct sound {
	uint64_t number;
	uint32_t body, loudness;
};

enum {
	STEPS,
	FRAMES,
	BLOCKS,
	TORN,
	OLDER,
	UNDRAWN,
	AGAIN,
	HEARD,
	MISSED,
	UNSENT,
	AGE,
	ASK,
	METRICS
};
static const struct tarn_metric metrics[METRICS] = {
	[STEPS] = { "steps_total", "", "of physics", TARN_METRIC_COUNTER, 0, 0 },
	[FRAMES] = { "frames_total", "", "drawn", TARN_METRIC_COUNTER, 0, 0 },
	[BLOCKS] = { "blocks_total", "", "of sound, mixed", TARN_METRIC_COUNTER, 0, 0 },
	[TORN] = { "torn_total", "", "worlds that were not whole", TARN_METRIC_COUNTER, 0, 0 },
	[OLDER] = { "older_total", "", "worlds older than one before", TARN_METRIC_COUNTER, 0, 0 },
	[UNDRAWN] = { "undrawn_total", "", "worlds not drawn", TARN_METRIC_COUNTER, 0, 0 },
	[AGAIN] = { "again_total", "", "frames of a world drawn before", TARN_METRIC_COUNTER, 0,
		    0 },
	[HEARD] = { "heard_total", "", "sounds that were mixed", TARN_METRIC_COUNTER, 0, 0 },
	[MISSED] = { "missed_total", "", "sounds that were missed", TARN_METRIC_COUNTER, 0, 0 },
	[UNSENT] = { "unsent_total", "", "sounds without room", TARN_METRIC_COUNTER, 0, 0 },
	[AGE] = { "age_ns", "ns", "of a world when drawn", TARN_METRIC_HISTOGRAM, 0, 0 },
	[ASK] = { "ask_ns", "ns", "to have the newest world", TARN_METRIC_HISTOGRAM, 0, 0 },
};
/* By which it is seen that one goes on. */
static const uint32_t progress[ACTORS] = { STEPS, FRAMES, BLOCKS };

static struct tarn_region *region;
static struct tarn_latest *latest;
static struct tarn_counters *counts;
static int64_t period_ns;

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "scene: %s: %s\n", what, strerror(r == -1 ? errno : -r));
	_exit(1);
}

/* --- the world -------------------------------------------------------------------------------- */

/* FNV-1a, by words. */
static uint64_t digest_of(const struct world *world)
{
	uint64_t digest = 0xcbf29ce484222325u ^ world->number;

	digest = (digest ^ world->sounds) * 0x100000001b3u;
	for (int i = 0; i < BODIES; i++)
		for (int axis = 0; axis < 2; axis++) {
			const struct body *body = &world->bodies[i];

			digest = (digest ^ (uint32_t)body->at[axis]) * 0x100000001b3u;
			digest = (digest ^ (uint32_t)body->speed[axis]) * 0x100000001b3u;
		}
	return digest;
}

static void first_world(struct world *world)
{
	uint32_t random = 1;

	*world = (struct world){ .number = 0 };
	for (int i = 0; i < BODIES; i++)
		for (int axis = 0; axis < 2; axis++) {
			random = random * 1664525u + 1013904223u;
			world->bodies[i].at[axis] = (int32_t)(random >> 12);
			world->bodies[i].speed[axis] = (int32_t)(random >> 3 & 0xffff) - 0x8000;
		}
	world->digest = digest_of(world);
}

/* From @from to @to. @sounds: NULL, or where those that bounce are put. Returns how many do. */
static uint64_t step(const struct world *from, struct world *to, struct sound *sounds)
{
	uint64_t count = 0;

	to->number = from->number + 1;
	for (int i = 0; i < BODIES; i++) {
		struct body body = from->bodies[i];

		for (int axis = 0; axis < 2; axis++) {
			int32_t next = body.at[axis] + body.speed[axis];

			if (next < 0 || next >= BOX) {
				body.speed[axis] = -body.speed[axis];
				next = body.at[axis];
				if (sounds != NULL)
					sounds[count] =
						(struct sound){ from->sounds + count + 1,
								(uint32_t)i,
								(uint32_t)abs(body.speed[axis]) };
				count++;
			}
			body.at[axis] = next;
		}
		to->bodies[i] = body;
	}
	to->sounds = from->sounds + count;
	to->digest = digest_of(to);
	return count;
}

/* --- the three -------------------------------------------------------------------------------- */

static void sleep_until(int64_t *next)
{
	struct timespec time;

	if (period_ns == 0)
		return;
	*next += period_ns;
	if (*next < tarn_now()) /* late: not to catch up in a burst */
		*next = tarn_now();
	time = (struct timespec){ .tv_sec = *next / 1000000000, .tv_nsec = *next % 1000000000 };
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, NULL);
}

/* The newest world, in place until the next call. */
static const struct world *newest(void)
{
	const void *data = NULL;
	int64_t asked = tarn_now();
	size_t size;

	must("hold", tarn_latest_hold(latest, &data, &size, NULL, NULL));
	tarn_histogram_record(counts, ASK, (uint64_t)(tarn_now() - asked));
	return data;
}

/* Goes on from the newest world, whoever made that. */
static void simulate(void)
{
	const struct tarn_topic_opts opts = { .lane_size = 1 << 16 };
	struct tarn_publisher *publisher;
	struct sound sounds[SOUNDS_MAX];
	int64_t next = tarn_now();

	must("publisher", tarn_publisher_open(region, "sounds", &opts, &publisher));
	for (;;) {
		void *loan = NULL;
		struct world *to;
		uint64_t count;

		must("loan", tarn_latest_loan(latest, TARN_FOREVER, &loan, NULL));
		to = loan;
		count = step(newest(), to, sounds);
		to->time_ns = tarn_now();
		must("publish", tarn_latest_publish(latest, sizeof(*to)));
		tarn_latest_release(latest);
		tarn_counter_add(counts, STEPS, 1);
		/* audio may be stopped, and hold what lies in the way: not to be waited for */
		for (uint64_t i = 0; i < count; i++) {
			int r = tarn_publisher_publish(publisher, &sounds[i], sizeof(*sounds));

			tarn_counter_add(counts, UNSENT, r == -EAGAIN);
			must("sound", r == -EAGAIN ? 0 : r);
		}
		sleep_until(&next);
	}
}

static void draw(char image[24][80], const struct world *world)
{
	memset(image, ' ', 24 * 80);
	for (int i = 0; i < BODIES; i++)
		image[world->bodies[i].at[1] * 24LL / BOX][world->bodies[i].at[0] * 80LL / BOX] =
			'o';
}

static void render(void)
{
	uint64_t shown = 0, drawn = 0;
	int64_t next = tarn_now();
	char image[24][80];

	for (;;) {
		const struct world *world = newest();
		uint64_t number = world->number;

		tarn_histogram_record(counts, AGE, (uint64_t)(tarn_now() - world->time_ns));
		draw(image, world);
		/* last, so that what was drawn is what is judged */
		tarn_counter_add(counts, TORN, world->digest != digest_of(world));
		tarn_counter_add(counts, OLDER, number < shown);
		tarn_counter_add(counts, AGAIN, drawn > 0 && number == shown);
		tarn_counter_add(counts, UNDRAWN,
				 drawn > 0 && number > shown ? number - shown - 1 : 0);
		tarn_latest_release(latest);
		tarn_counter_add(counts, FRAMES, 1);
		shown = number;
		drawn++;
		sleep_until(&next);
	}
}

/* Mixes what has sounded since, from where things are now. */
static void mix(void)
{
	const struct tarn_topic_opts opts = { .flags = TARN_TOPIC_LOSSY, .lane_size = 1 << 16 };
	struct tarn_subscriber *subscriber;
	int64_t next = tarn_now();
	int64_t block[BLOCK]; /* any number of sounds */

	must("subscriber", tarn_subscriber_open(region, "sounds", &opts, &subscriber));
	for (;;) {
		const struct world *world = newest();
		struct tarn_message message;
		struct sound sound;

		memset(block, 0, sizeof(block));
		while (tarn_subscriber_take(subscriber, &sound, sizeof(sound), &message) == 0) {
			int32_t pan = world->bodies[sound.body % BODIES].at[0] / (BOX / 16);

			for (int i = 0; i < BLOCK; i++)
				block[i] += (int64_t)sound.loudness * (i % 64 - 32) / (1 + pan);
			tarn_counter_add(counts, HEARD, 1);
			tarn_counter_add(counts, MISSED, message.missed);
		}
		tarn_counter_add(counts, TORN, world->digest != digest_of(world));
		tarn_latest_release(latest);
		tarn_counter_add(counts, BLOCKS, 1);
		sleep_until(&next);
	}
}

/* --- who kills them --------------------------------------------------------------------------- */

static void (*const works[ACTORS])(void) = { simulate, render, mix };
static pid_t actors[ACTORS];
static int killed[ACTORS];

static void start(enum who who)
{
	actors[who] = fork();
	must("fork", actors[who]);
	if (actors[who] > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	works[who]();
	_exit(1);
}

static uint64_t count_of(uint32_t metric)
{
	uint64_t values[METRICS];

	must("read", tarn_counters_read(counts, values, METRICS));
	return values[metric];
}

/* Until @who has gone on by @more. False: it has ended, or stands for 20 s. */
static bool goes_on(enum who who, uint64_t more)
{
	const struct timespec nap = { .tv_nsec = 500000 };
	uint64_t wanted = count_of(progress[who]) + more;
	int64_t until = tarn_now() + 20000000000;

	while (count_of(progress[who]) < wanted) {
		if (waitpid(actors[who], NULL, WNOHANG) != 0 || tarn_now() > until)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

/* Kill one, see the others go on without it, and it and them with it again. */
static bool strike(unsigned random)
{
	enum who victim = (enum who)(random >> 8) % ACTORS;
	struct timespec nap = { .tv_nsec = random >> 4 & 0x7fffff };
	bool went_on = true;

	nanosleep(&nap, NULL); /* anywhere in a frame */
	if ((random >> 16 & 1) != 0) {
		kill(actors[victim], SIGSTOP);
		for (int who = PHYSICS; who < ACTORS; who++)
			went_on = went_on && (who == (int)victim || goes_on((enum who)who, 2));
	}
	kill(actors[victim], SIGKILL);
	waitpid(actors[victim], NULL, 0);
	killed[victim]++;
	for (int who = PHYSICS; who < ACTORS; who++)
		went_on = went_on && (who == (int)victim || goes_on((enum who)who, 2));
	start(victim);
	for (int who = PHYSICS; who < ACTORS; who++)
		went_on = went_on && goes_on((enum who)who, 2);
	return went_on;
}

static void tell_times(const struct tarn_sample *sample, uint32_t metric, const char *format,
		       double unit)
{
	printf(format, (double)tarn_sample_quantile(sample, metric, 0.5) / unit,
	       (double)tarn_sample_quantile(sample, metric, 0.99) / unit);
}

/* Is the last world what so many steps from the first lead to? */
static bool tell_physics(void)
{
	const struct world *last = newest();
	struct world worlds[2];
	bool same;

	first_world(&worlds[0]);
	for (uint64_t i = 0; i < last->number; i++)
		step(&worlds[i % 2], &worlds[(i + 1) % 2], NULL);
	same = worlds[last->number % 2].digest == last->digest && digest_of(last) == last->digest;
	printf("physics: the last world is %swhat %llu steps lead to\n", same ? "" : "NOT ",
	       (unsigned long long)last->number);
	return same;
}

static int tell(bool went_on, long hz)
{
	struct tarn_sample *sample = NULL;
	unsigned long long n[METRICS];
	bool good;

	must("sample", tarn_sample_new(counts, &sample));
	must("sample", tarn_sample_take(sample, counts));
	for (uint32_t i = 0; i < METRICS; i++)
		n[i] = (unsigned long long)tarn_sample_value(sample, i);
	printf("scene: %llu frames of %llu worlds at %ld Hz; killed %d physics, %d render, %d "
	       "audio\n",
	       n[FRAMES], (unsigned long long)tarn_latest_number(latest) - 1, hz, killed[PHYSICS],
	       killed[RENDER], killed[AUDIO]);
	printf("render: %llu torn, %llu from before; %llu worlds were not drawn, %llu frames "
	       "showed "
	       "the same one again\n",
	       n[TORN], n[OLDER], n[UNDRAWN], n[AGAIN]);
	tell_times(sample, AGE,
		   "render: a world is %.1f ms old when it is drawn, 99 in 100 are not above %.1f "
		   "ms\n",
		   1e6);
	tell_times(sample, ASK,
		   "to have the newest world takes %.1f us, 99 in 100 times not above %.1f us\n",
		   1e3);
	printf("audio: %llu blocks with %llu sounds; %llu missed, %llu without room\n", n[BLOCKS],
	       n[HEARD], n[MISSED], n[UNSENT]);
	tarn_sample_free(sample);
	good = tell_physics() && n[TORN] == 0 && n[OLDER] == 0 && went_on;
	printf("the others %s\n", went_on ? "went on, each time" : "DID NOT go on");
	return !good;
}

static int play(uint64_t frames, long hz)
{
	const struct tarn_latest_opts opts = { .size = sizeof(struct world),
					       .flags = TARN_LATEST_IN_PLACE };
	const struct tarn_counters_opts counters = { .metrics = metrics, .count = METRICS };
	const struct timespec nap = { .tv_nsec = 1000000 };
	struct world world;
	unsigned random = 1;
	bool went_on = true;
	int strikes = 0;

	alarm(100); /* nobody waits for ever */
	must("region", tarn_region_create("anon:", NULL, &region));
	must("world", tarn_latest_open(region, "world", &opts, &latest));
	must("counters", tarn_counters_open(region, "scene", &counters, &counts));
	first_world(&world);
	must("write", tarn_latest_write(latest, &world, sizeof(world), TARN_FOREVER, NULL));
	for (int who = PHYSICS; who < ACTORS; who++)
		start((enum who)who);
	while (went_on && (strikes < KILLS || count_of(FRAMES) < frames)) {
		if (strikes >= KILLS || count_of(FRAMES) < frames * (uint64_t)strikes / KILLS) {
			nanosleep(&nap, NULL);
			continue;
		}
		random = random * 1664525u + 1013904223u;
		went_on = strike(random);
		strikes++;
	}
	for (int who = PHYSICS; who < ACTORS; who++) {
		kill(actors[who], SIGKILL);
		waitpid(actors[who], NULL, 0);
	}
	return tell(went_on, hz);
}

/* --- as it is usually shown ------------------------------------------------------------------- */

enum { WORDS = sizeof(struct world) / sizeof(uint64_t) };
struct doubled {
	_Atomic uint32_t active;
	_Atomic uint64_t buffers[2][WORDS];
};

/* Word by word, as atomics, so that the race is none in the eyes of C. */
static void store(struct doubled *d, uint32_t at, const struct world *world)
{
	uint64_t words[WORDS];

	memcpy(words, world, sizeof(words));
	for (int i = 0; i < WORDS; i++)
		atomic_store_explicit(&d->buffers[at][i], words[i], memory_order_relaxed);
	atomic_store_explicit(&d->active, at, memory_order_release);
}

static void load(struct doubled *d, struct world *world)
{
	uint32_t at = atomic_load_explicit(&d->active, memory_order_acquire);
	uint64_t words[WORDS];

	for (int i = 0; i < WORDS; i++)
		words[i] = atomic_load_explicit(&d->buffers[at][i], memory_order_relaxed);
	memcpy(world, words, sizeof(words));
}

static void simulate_plain(struct doubled *d, struct world worlds[2])
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (uint64_t i = 0;; i++) {
		step(&worlds[i % 2], &worlds[(i + 1) % 2], NULL);
		store(d, !atomic_load(&d->active), &worlds[(i + 1) % 2]);
	}
}

static int play_plain(void)
{
	struct doubled *d =
		mmap(NULL, sizeof(*d), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	time_t until = time(NULL) + 10;
	unsigned long long frames = 0, torn = 0;
	struct world worlds[2], world;
	pid_t physics;

	must("mmap", d == MAP_FAILED ? -1 : 0);
	first_world(&worlds[0]);
	store(d, 0, &worlds[0]);
	physics = fork();
	must("fork", physics);
	if (physics == 0)
		simulate_plain(d, worlds);
	while (torn == 0 && time(NULL) < until) {
		load(d, &world);
		torn += world.digest != digest_of(&world);
		frames++;
	}
	kill(physics, SIGKILL);
	waitpid(physics, NULL, 0);
	printf("plain: %llu torn of %llu frames\n", torn, frames);
	return torn != 0;
}

int main(int argc, char **argv)
{
	bool plain = argc == 2 && strcmp(argv[1], "plain") == 0;
	long frames = argc > 1 ? strtol(argv[1], NULL, 10) : 600;
	long hz = argc > 2 ? strtol(argv[2], NULL, 10) : 60;

	if (plain)
		return play_plain();
	if (frames < 1 || hz < 0 || hz > 10000 || argc > 3) {
		fprintf(stderr, "usage: scene [FRAMES [HZ]] | scene plain\n");
		return 2;
	}
	period_ns = hz > 0 ? 1000000000 / hz : 0;
	return play((uint64_t)frames, hz);
}
