/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * stream.c - move a file between two processes, by `tarn send` and `tarn recv` and by what a user
 * would take instead, and time it.
 *
 * Every way has the same shape: a program that reads the file as its standard input and hands
 * it on, and one that takes it and writes it to /dev/null; both are started anew each time,
 * and the clock runs from before the first is started until both have ended. For pipe and
 * socket the programs are this one, called with -c: read() into a buffer, write() from it. Ways
 * are interleaved round by round; ratios are taken within a round.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUND_MAX = 32, ROUND_MIN = 3, BUDGET_SECONDS = 20, WATCHDOG_SECONDS = 600 };

enum way_kind { WAY_TARN, WAY_PIPE, WAY_SOCKET };

struct way {
	const char *name;
	enum way_kind kind;
	int pipe_size;      /* bytes, 0 = as the kernel makes it */
	bool cat;           /* `cat`, not this program */
	const char *verify; /* option for tarn, or NULL */
};

static const struct way ways[] = {
	{ "tarn", WAY_TARN, 0, false, NULL },
	{ "tarn --verify", WAY_TARN, 0, false, "--verify" },
	{ "pipe", WAY_PIPE, 0, false, NULL },
	{ "pipe of 1 MiB", WAY_PIPE, 1 << 20, false, NULL },
	{ "cat | cat", WAY_PIPE, 0, true, NULL },
	{ "UNIX socket", WAY_SOCKET, 0, false, NULL },
};
enum {
	WAY_COUNT = sizeof(ways) / sizeof(*ways),
	WAY_OF_TARN = 0,
	WAY_OF_PIPE = 2,
	WAY_OF_SOCKET = 5
};

static struct {
	const char *self, *tarn, *file;
	char buffer[32]; /* bytes, as text */
	int round_count;
	bool json;
	double seconds[WAY_COUNT][ROUND_MAX];
	double bytes;
} stream = { .buffer = "65536", .round_count = 5 };

static void die(const char *what)
{
	fprintf(stderr, "bench-stream: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* --- the program at both ends of a pipe ------------------------------------------------------ */

static int copy(size_t size)
{
	char *buffer = malloc(size);
	ssize_t n;

	if (buffer == NULL)
		die("malloc");
	while ((n = read(0, buffer, size)) > 0) {
		for (ssize_t done = 0, w; done < n; done += w) {
			w = write(1, buffer + done, (size_t)(n - done));
			if (w < 0)
				die("write");
		}
	}
	if (n < 0)
		die("read");
	free(buffer);
	return 0;
}

/* --- starting and timing --------------------------------------------------------------------- */

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(path);
	return fd;
}

/* Start @argv with standard input and output @in and @out, or /dev/null for -1. */
static pid_t start(char *const argv[], int in, int out)
{
	pid_t parent = getpid(), child = fork();

	if (child < 0)
		die("fork");
	if (child > 0)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	dup2(in >= 0 ? in : open_or_die("/dev/null", O_RDONLY), 0);
	dup2(out >= 0 ? out : open_or_die("/dev/null", O_WRONLY), 1);
	execvp(argv[0], argv);
	die(argv[0]);
	return -1;
}

static void finish(pid_t child, const char *name)
{
	int status = 0;

	if (waitpid(child, &status, 0) != child || status != 0) {
		fprintf(stderr, "bench-stream: %s ended with status 0x%x\n", name,
			(unsigned)status);
		exit(1);
	}
}

static void make_link(const struct way *way, int fds[2])
{
	if (way->kind == WAY_SOCKET ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)
				    : pipe2(fds, O_CLOEXEC))
		die("pipe");
	if (way->pipe_size > 0 && fcntl(fds[1], F_SETPIPE_SZ, way->pipe_size) < 0)
		die("F_SETPIPE_SZ");
}

static void move_by_kernel(const struct way *way, int file)
{
	char *cat[] = { (char *)"cat", NULL };
	char *self[] = { (char *)stream.self, (char *)"-c", stream.buffer, NULL };
	char **argv = way->cat ? cat : self;
	int fds[2];

	make_link(way, fds);
	pid_t sink = start(argv, fds[0], -1);
	pid_t source = start(argv, file, fds[1]);

	close(fds[0]);
	close(fds[1]);
	finish(source, way->name);
	finish(sink, way->name);
}

static void move_by_tarn(const struct way *way, int file)
{
	char name[64], path[96];
	char *send[] = { (char *)stream.tarn, (char *)"send", name, (char *)way->verify, NULL };
	char *recv[] = { (char *)stream.tarn, (char *)"recv", name, (char *)way->verify, NULL };

	snprintf(name, sizeof(name), "bench-stream-%d", (int)getpid());
	pid_t sink = start(recv, -1, -1);
	pid_t source = start(send, file, -1);

	finish(source, "tarn send");
	finish(sink, "tarn recv");
	snprintf(path, sizeof(path), "/dev/shm/%s", name);
	if (access(path, F_OK) == 0) {
		fprintf(stderr, "bench-stream: %s was left behind\n", path);
		exit(1);
	}
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double time_way(const struct way *way)
{
	int file = open_or_die(stream.file, O_RDONLY);
	double begin = now();

	if (way->kind == WAY_TARN)
		move_by_tarn(way, file);
	else
		move_by_kernel(way, file);
	double seconds = now() - begin;

	close(file);
	return seconds;
}

/* --- printing -------------------------------------------------------------------------------- */

struct spread {
	double median, min, max;
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static struct spread spread_of(double *values)
{
	int n = stream.round_count;

	qsort(values, (size_t)n, sizeof(*values), compare);
	return (struct spread){ n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2,
				values[0], values[n - 1] };
}

/* GB/s of @way. */
static struct spread rate_of(int way)
{
	double values[ROUND_MAX];

	for (int i = 0; i < stream.round_count; i++)
		values[i] = stream.bytes / stream.seconds[way][i] * 1e-9;
	return spread_of(values);
}

/* How many times as fast as @other, round by round. */
static struct spread ratio_of(int way, int other)
{
	double values[ROUND_MAX];

	for (int i = 0; i < stream.round_count; i++)
		values[i] = stream.seconds[other][i] / stream.seconds[way][i];
	return spread_of(values);
}

static void print_table(void)
{
	printf("%-16s  %-28s  OF PIPE (%d rounds)\n", "", "GB/s", stream.round_count);
	for (int way = 0; way < WAY_COUNT; way++) {
		struct spread rate = rate_of(way), ratio = ratio_of(way, WAY_OF_PIPE);
		char text[64];

		snprintf(text, sizeof(text), "%.2f [%.2f..%.2f]", rate.median, rate.min, rate.max);
		printf("%-16s  %-28s  %.2f [%.2f..%.2f]\n", ways[way].name, text, ratio.median,
		       ratio.min, ratio.max);
	}
	printf("tarn moves %.2f GB/s: %.1f times a pipe (%.2f GB/s), %.1f times a UNIX socket "
	       "(%.2f GB/s)\n",
	       rate_of(WAY_OF_TARN).median, ratio_of(WAY_OF_TARN, WAY_OF_PIPE).median,
	       rate_of(WAY_OF_PIPE).median, ratio_of(WAY_OF_TARN, WAY_OF_SOCKET).median,
	       rate_of(WAY_OF_SOCKET).median);
}

static void print_json(void)
{
	for (int way = 0; way < WAY_COUNT; way++) {
		struct spread rate = rate_of(way), ratio = ratio_of(way, WAY_OF_PIPE);

		printf("{\"schema\":\"tarn.bench\",\"version\":1,\"test\":\"file\","
		       "\"transport\":\"%s\",\"size_bytes\":%.0f,\"buffer_bytes\":%s,"
		       "\"rounds\":%d,\"bytes_per_ns\":%.4g,\"bytes_per_ns_min\":%.4g,"
		       "\"bytes_per_ns_max\":%.4g,\"ratio_pipe\":%.4g,\"ratio_pipe_min\":%.4g,"
		       "\"ratio_pipe_max\":%.4g}\n",
		       ways[way].name, stream.bytes, stream.buffer, stream.round_count, rate.median,
		       rate.min, rate.max, ratio.median, ratio.min, ratio.max);
	}
}

static void usage(void)
{
	fprintf(stderr, "usage: bench-stream [-J] [-r ROUNDS] [-b BYTES] TARN FILE\n"
			"       bench-stream -c BYTES\n"
			"  -J  one JSON object a row\n"
			"  -r  rounds, 1 .. 32 (5)\n"
			"  -b  buffer of the pipe's and the socket's programs (65536)\n"
			"  -c  be one of those programs: copy input to output\n");
	exit(2);
}

static void parse(int argc, char **argv)
{
	int opt;

	while ((opt = getopt(argc, argv, "Jr:b:c:")) != -1) {
		if (opt == 'J')
			stream.json = true;
		else if (opt == 'r')
			stream.round_count = (int)strtol(optarg, NULL, 10);
		else if (opt == 'b')
			snprintf(stream.buffer, sizeof(stream.buffer), "%lu",
				 strtoul(optarg, NULL, 10));
		else if (opt == 'c')
			exit(copy(strtoul(optarg, NULL, 10)));
		else
			usage();
	}
	if (argc - optind != 2 || stream.round_count < 1 || stream.round_count > ROUND_MAX ||
	    strcmp(stream.buffer, "0") == 0)
		usage();
	stream.self = "/proc/self/exe";
	stream.tarn = argv[optind];
	stream.file = argv[optind + 1];
}

int main(int argc, char **argv)
{
	struct stat st;

	parse(argc, argv);
	if (stat(stream.file, &st) != 0)
		die(stream.file);
	stream.bytes = (double)st.st_size;
	alarm(WATCHDOG_SECONDS);
	double began = now();

	for (int round = 0; round < stream.round_count; round++) {
		/* On a machine that is that busy, what there is must do. */
		if (round >= ROUND_MIN && now() - began > BUDGET_SECONDS) {
			stream.round_count = round;
			break;
		}
		for (int way = 0; way < WAY_COUNT; way++)
			stream.seconds[way][round] = time_way(&ways[way]);
	}
	stream.json ? print_json() : print_table();
	return 0;
}
