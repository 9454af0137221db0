/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * workers - processes that answer requests, count them in shared counters, and are killed at
 * random.
 *
 *     workers [REQUESTS]      50000 if not said
 *
 * prints, with other numbers where they depend on when who was killed:
 *
 *     workers: 50000 answers by 4 workers at a time, of whom 100 were killed
 *     requests_total 50087: all 50087 that were counted to the end, and 0 of 0 that one died in
 *     sent_bytes_total 3205568: 64 for each, but for 0 that one died in
 *     took_ns: 50087 values, half of them not above 1504 ns
 *     busy: 0, now that all workers are gone
 *     read 5001 times meanwhile: no sum ever went back
 *
 * A worker inherits the counters over fork(), and has a slot of its own with its first add. What it
 * has counted stays when it is killed. To know that without the counters each worker also says, in
 * memory of the parent's, what it is about to count and what it has counted: between the two lies
 * one request, of which nobody else can know whether it was.
 *
 * A worker that is killed takes a request with it; it is sent again.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { WORKERS = 4, WINDOW = 32, ANSWER = 64, KILLS = 100 };
enum { REQUESTS, SENT, TOOK, BUSY, METRICS };

static const struct tarn_metric metrics[METRICS] = {
	[REQUESTS] = { "requests_total", "", "requests answered", TARN_METRIC_COUNTER, 0, 0 },
	[SENT] = { "sent_bytes_total", "bytes", "of answers", TARN_METRIC_COUNTER, 0, 0 },
	[TOOK] = { "took_ns", "ns", "from a request to its answer", TARN_METRIC_HISTOGRAM, 0, 0 },
	[BUSY] = { "busy", "", "workers that answer", TARN_METRIC_GAUGE, 0, 0 },
};

/* What a worker says of itself; one a worker that there ever was. */
struct ledger {
	uint64_t begun, done;
};

static struct tarn_counters *web;
static struct ledger *ledgers;
static pid_t workers[WORKERS];
static int started, sockets[2]; /* the client's end, the workers' */
static uint64_t before[METRICS], reads, backwards;

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "workers: %s: %s\n", what, strerror(r == -1 ? errno : -r));
	exit(1);
}

/* --- a worker --------------------------------------------------------------------------------- */

static void count(struct ledger *ledger, int64_t ns)
{
	tarn_atomic_store64(&ledger->begun, ledger->begun + 1);
	tarn_counter_add(web, REQUESTS, 1);
	tarn_atomic_store64(&ledger->done, ledger->done + 1);
	tarn_counter_add(web, SENT, ANSWER);
	tarn_histogram_record(web, TOOK, (uint64_t)ns);
}

static void work(struct ledger *ledger)
{
	char request[ANSWER], answer[ANSWER] = "an answer";

	while (recv(sockets[1], request, sizeof(request), 0) > 0) {
		int64_t since = tarn_now();

		tarn_gauge_set(web, BUSY, 1);
		for (int i = 1; i < ANSWER; i++)
			answer[i] ^= request[i];
		count(ledger, tarn_now() - since);
		if (send(sockets[1], answer, sizeof(answer), 0) < 0)
			break;
		tarn_gauge_set(web, BUSY, 0);
	}
}

static void start(int which)
{
	struct ledger *ledger = &ledgers[started++];

	workers[which] = fork();
	must("fork", workers[which]);
	if (workers[which] > 0)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	close(sockets[0]);
	work(ledger);
	_exit(0);
}

static void end(int which)
{
	kill(workers[which], SIGKILL);
	waitpid(workers[which], NULL, 0);
}

/* --- the client, and who looks ---------------------------------------------------------------- */

static void look(void)
{
	uint64_t now[METRICS];

	must("read", tarn_counters_read(web, now, METRICS));
	reads++;
	for (int i = 0; i < BUSY; i++)
		backwards += now[i] < before[i];
	memcpy(before, now, sizeof(now));
}

/* Send requests until so many answers have come; kill workers meanwhile. */
static void ask(int requests)
{
	int answers = 0, waiting = 0, kills = 0;
	unsigned random = 1;
	char bytes[ANSWER] = "a request";

	while (answers < requests) {
		struct pollfd ready = { .fd = sockets[0], .events = POLLIN };

		for (; waiting < WINDOW; waiting++)
			must("send", (int)send(sockets[0], bytes, sizeof(bytes), 0));
		if (poll(&ready, 1, 5) == 0) { /* the dead have taken them */
			waiting = 0;
			continue;
		}
		must("recv", (int)recv(sockets[0], bytes, sizeof(bytes), 0));
		waiting -= waiting > 0;
		if (++answers % 10 == 0)
			look();
		if (kills < KILLS && answers >= (int)((int64_t)requests * kills / KILLS)) {
			random = random * 1664525u + 1013904223u;
			end((int)(random >> 16) % WORKERS);
			start((int)(random >> 16) % WORKERS);
			kills++;
		}
	}
	printf("workers: %d answers by %d workers at a time, of whom %d were killed\n", answers,
	       WORKERS, kills);
}

/* The counters, beside what the workers have said. */
static int tell(void)
{
	uint64_t done = 0, doubt = 0, sum;
	struct tarn_sample *sample = NULL;

	for (int i = 0; i < started; i++) {
		done += ledgers[i].done;
		doubt += ledgers[i].begun - ledgers[i].done;
	}
	must("sample", tarn_sample_new(web, &sample));
	must("sample", tarn_sample_take(sample, web));
	sum = tarn_sample_value(sample, REQUESTS);
	printf("requests_total %llu: all %llu that were counted to the end, and %lld of %llu that "
	       "one died in\n",
	       (unsigned long long)sum, (unsigned long long)done, (long long)(sum - done),
	       (unsigned long long)doubt);
	printf("sent_bytes_total %llu: %d for each, but for %llu that one died in\n",
	       (unsigned long long)tarn_sample_value(sample, SENT), ANSWER,
	       (unsigned long long)(sum - tarn_sample_value(sample, SENT) / ANSWER));
	printf("took_ns: %llu values, half of them not above %llu ns\n",
	       (unsigned long long)tarn_sample_value(sample, TOOK),
	       (unsigned long long)tarn_sample_quantile(sample, TOOK, 0.5));
	printf("busy: %lld, now that all workers are gone\n",
	       (long long)tarn_sample_value(sample, BUSY));
	printf("read %llu times meanwhile: %s\n", (unsigned long long)reads,
	       backwards == 0 ? "no sum ever went back" : "a sum went back");
	/* of what each worker died in the later figures may lack one more */
	doubt = sum < done || sum > done + doubt || backwards != 0 ||
		tarn_sample_value(sample, BUSY) != 0 ||
		tarn_sample_value(sample, SENT) + (uint64_t)started * ANSWER < sum * ANSWER ||
		tarn_sample_value(sample, TOOK) + (uint64_t)started < sum;
	tarn_sample_free(sample);
	return (int)doubt;
}

int main(int argc, char **argv)
{
	const struct tarn_counters_opts opts = { .metrics = metrics,
						 .count = METRICS,
						 .slots = WORKERS + 2 };
	int requests = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 50000, wrong;
	struct tarn_region *region;

	must("region", tarn_region_create("anon:", NULL, &region));
	must("counters", tarn_counters_open(region, "web", &opts, &web));
	ledgers = mmap(NULL, (WORKERS + KILLS) * sizeof(*ledgers), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	must("mmap", ledgers == MAP_FAILED ? -1 : 0);
	must("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets));
	for (int i = 0; i < WORKERS; i++)
		start(i);
	ask(requests);
	for (int i = 0; i < WORKERS; i++)
		end(i);
	wrong = tell();
	tarn_counters_close(web);
	tarn_region_close(region);
	return wrong;
}
