/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * camera - raw video that is published once, and read in place by a display and by an encoder.
 *
 *     camera display REGION LOG [all|slow]
 *     camera encode REGION LOG | ffmpeg -f rawvideo -pix_fmt yuv420p -s 1920x1080 -i - film.mkv
 *     ffmpeg -f lavfi -i testsrc2=size=1920x1080:rate=30 -f rawvideo -pix_fmt yuv420p - |
 *         camera publish REGION LOG
 *     tarn pub REGION/frames over; tarn rm REGION
 *
 * each in a terminal of its own. For who has no ffmpeg, or wants to know what became of the frames:
 *
 *     camera picture FRAMES       writes a picture that moves
 *     camera digest LOG           reads frames, and shares nothing
 *
 * A frame has 3 MB. It is read straight into the lane, and not copied again: display and encoder
 * hold it where it lies, and the encoder's pipe is written from there.
 *
 * Each appends a line to LOG for each frame, its number and its digest; so a frame that was torn,
 * or written over while somebody held it, shows. Whoever is killed, at any moment, leaves the
 * others without a bad frame: half a frame was never published, what a dead reader holds is free
 * again, and the next camera goes on with the lane and its numbers. See run.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include <tarn/tarn.h>

enum {
	WIDTH = 1920,
	HEIGHT = 1080,
	LUMA = WIDTH * HEIGHT,
	FRAME = LUMA + LUMA / 2, /* yuv420p */
	LANE = 16 << 20,         /* five frames */
};

static struct tarn_region *region;
static struct tarn_diag diag;

static void must(const char *what, int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "camera: %s: %s\n", what, diag.what[0] != '\0' ? diag.what : strerror(-r));
	if (diag.hint[0] != '\0')
		fprintf(stderr, "hint: %s\n", diag.hint);
	exit(1);
}

/* Line by line, each by one write(): who is killed leaves whole ones. */
static FILE *open_log(const char *path)
{
	FILE *log = fopen(path, "a");

	if (log == NULL)
		must(path, -errno);
	setvbuf(log, NULL, _IOLBF, BUFSIZ);
	return log;
}

static void note(FILE *log, uint64_t number, const void *frame)
{
	fprintf(log, "%" PRIu64 " %016" PRIx64 "\n", number, (uint64_t)XXH3_64bits(frame, FRAME));
}

/* There is room for one lane, and so for one camera at a time: a second is told -ENOSPC. */
static void open_region(const char *name)
{
	const struct tarn_region_opts opts = {
		.size = LANE + (1 << 20),
		.flags = TARN_REGION_CREATE,
		.diag = &diag,
	};

	must(name, tarn_region_open(name, &opts, &region));
}

/* --- pipes ------------------------------------------------------------------------------------ */

/* FRAME, or less where the input ends. */
static size_t read_frame(unsigned char *frame)
{
	size_t got = 0;

	while (got < FRAME) {
		ssize_t n = read(STDIN_FILENO, frame + got, FRAME - got);

		if (n < 0)
			must("standard input", -errno);
		if (n == 0)
			break;
		got += (size_t)n;
	}
	return got;
}

/* It is copied into the pipe. vmsplice() would save that, and leave memory in the pipe which is
 * written over once the frame is released. */
static void write_frame(const unsigned char *frame)
{
	size_t put = 0;

	while (put < FRAME) {
		ssize_t n = write(STDOUT_FILENO, frame + put, FRAME - put);

		if (n < 0)
			must("standard output", -errno);
		put += (size_t)n;
	}
}

/* How the input ended. Return: 0, or 1: in the middle of a frame. */
static int tell_end(size_t got)
{
	if (got != 0)
		fprintf(stderr,
			"camera: the input ended with %zu bytes, and a frame has %d: left out\n",
			got, FRAME);
	return got != 0;
}

/* --- the camera ------------------------------------------------------------------------------- */

/* It waits for who is lossless, and so does its source. One whose pictures do not wait would give
 * loan_wait() the time of a frame, and let the next one go by where that is -ETIMEDOUT. */
static int publish(FILE *log)
{
	const struct tarn_topic_opts opts = { .lane_size = LANE, .diag = &diag };
	struct tarn_publisher *publisher;
	struct tarn_publisher_stat stat;
	size_t got = FRAME;
	void *frame;

	must("publisher", tarn_publisher_open(region, "frames", &opts, &publisher));
	must("stat", tarn_publisher_stat(publisher, &stat));
	fprintf(log, "# goes on after frame %" PRIu64 "\n", stat.number);
	for (uint64_t number = stat.number + 1;; number++) {
		must("loan", tarn_publisher_loan_wait(publisher, FRAME, TARN_FOREVER, &frame));
		got = read_frame(frame);
		if (got < FRAME)
			break;
		/* Before it is published, so that no frame is ever seen that is not noted. Of a
		 * camera that is killed in between, the successor notes that number once more. */
		note(log, number, frame);
		must("commit", tarn_publisher_commit(publisher, FRAME));
	}
	tarn_publisher_abort(publisher);
	tarn_publisher_close(publisher);
	return tell_end(got);
}

/* --- who looks -------------------------------------------------------------------------------- */

enum manner { SHOWS, SHOWS_SLOWLY, ENCODES };

/* Until a message comes that is no frame. The digest is taken when all else is done with the frame,
 * so that it tells of changes made to it meanwhile, too. */
static int watch(enum manner manner, FILE *log, const struct tarn_topic_opts *opts)
{
	const struct timespec while_shown = { .tv_nsec = 200000000 };
	struct tarn_subscriber *subscriber;
	struct tarn_subscriber_stat stat;
	struct tarn_message message;

	must("subscriber", tarn_subscriber_open(region, "frames", opts, &subscriber));
	fprintf(log, "# is there\n");
	for (;;) {
		must("hold", tarn_subscriber_hold_wait(subscriber, TARN_FOREVER, &message));
		if (message.size != FRAME)
			break;
		if (manner == ENCODES)
			write_frame(message.data);
		if (manner == SHOWS_SLOWLY)
			nanosleep(&while_shown, NULL);
		note(log, message.number, message.data);
		must("release", tarn_subscriber_release(subscriber, &message));
	}
	must("stat", tarn_subscriber_stat(subscriber, &stat));
	fprintf(stderr, "%s: %" PRIu64 " frames, missed %" PRIu64 "\n",
		manner == ENCODES ? "encoder" : "display", stat.taken - 1, stat.missed);
	tarn_subscriber_close(subscriber);
	return 0;
}

/* Who looks at a display wants to see what is now: the newest frame alone. So nobody ever waits for
 * it, but for the memory of the one frame that it holds. */
static int show(FILE *log)
{
	const struct tarn_topic_opts opts = { .flags = TARN_TOPIC_LATEST, .diag = &diag };

	return watch(SHOWS, log, &opts);
}

/* So slow that the camera has been round the lane meanwhile, and waits for that frame. */
static int show_slowly(FILE *log)
{
	const struct tarn_topic_opts opts = { .flags = TARN_TOPIC_LATEST, .diag = &diag };

	return watch(SHOWS_SLOWLY, log, &opts);
}

/* Lossless, for who wants the digest of each frame. */
static int show_all(FILE *log)
{
	const struct tarn_topic_opts opts = { .diag = &diag };

	return watch(SHOWS, log, &opts);
}

/* A film without gaps: lossless, and the camera waits for it. One that takes over from a dead one
 * begins with the oldest frame that is still there. */
static int encode(FILE *log)
{
	const struct tarn_topic_opts opts = { .history = UINT32_MAX, .diag = &diag };

	return watch(ENCODES, log, &opts);
}

/* --- without Tarn ----------------------------------------------------------------------------- */

static unsigned char own[FRAME]; /* of this process alone */

/* Stripes that move, in a colour that changes. */
static int picture(unsigned long frames)
{
	for (unsigned long n = 0; n < frames; n++) {
		for (unsigned long y = 0; y < HEIGHT; y++)
			for (unsigned long x = 0; x < WIDTH; x++)
				own[y * WIDTH + x] = (unsigned char)(x + 2 * y + 5 * n);
		memset(own + LUMA, (int)(n & 255), LUMA / 4);
		memset(own + LUMA + LUMA / 4, (int)(255 - (n & 255)), LUMA / 4);
		write_frame(own);
	}
	return 0;
}

static int digest(FILE *log)
{
	size_t got;

	for (uint64_t number = 1; (got = read_frame(own)) == FRAME; number++)
		note(log, number, own);
	return tell_end(got);
}

static int usage(void)
{
	fprintf(stderr, "usage: camera publish|encode REGION LOG\n"
			"       camera display REGION LOG [all|slow]\n"
			"       camera digest LOG\n"
			"       camera picture FRAMES\n");
	return 2;
}

static const struct {
	const char *what, *how; /* argv[1], argv[4] */
	int (*work)(FILE *log);
} works[] = {
	{ "publish", NULL, publish },   { "display", NULL, show },
	{ "display", "all", show_all }, { "display", "slow", show_slowly },
	{ "encode", NULL, encode },
};

static int share(const char *name, const char *path, int (*work)(FILE *log))
{
	FILE *log = open_log(path);
	int failed;

	open_region(name);
	failed = work(log);
	fclose(log);
	tarn_region_close(region);
	return failed;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "picture") == 0)
		return picture(strtoul(argv[2], NULL, 10));
	if (argc == 3 && strcmp(argv[1], "digest") == 0)
		return digest(open_log(argv[2]));
	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++)
		if (argc == (works[i].how != NULL ? 5 : 4) && strcmp(argv[1], works[i].what) == 0 &&
		    (works[i].how == NULL || strcmp(argv[4], works[i].how) == 0))
			return share(argv[2], argv[3], works[i].work);
	return usage();
}
