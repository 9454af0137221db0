/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * serving - three servers, each with one epoll set for its calls, a socket and a timer, answer
 * fifty clients; servers and clients are killed at random, and started again.
 *
 *     serving [CALLS]         30000 if not said
 *
 * prints, with other numbers where they depend on when who was killed:
 *
 *     serving: 32318 calls of 50 clients at a time answered right by 3 servers at a time
 *     killed: 60 servers, with 1107 calls, of each of which its client was told; 60 clients
 *     wrong 0, answered twice 0, never heard of 0
 *     the servers' own sockets were asked 61 times, their timers went off 816 times
 *
 * Each server takes turns between what is ready: requests (the waiter's descriptor), somebody who
 * connects to its socket to ask how it is doing, and a timer, with which it answers every 16th
 * request later than those behind. Each client asks four at a time, and knows of each what has
 * become of it: it was answered, or its server died (-EPIPE). A call that was lost is asked
 * anew, as another call.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum {
	SERVERS = 3,
	CLIENTS = 50,
	KILLS = 60,
	WINDOW = 4,
	LATER = 64,
	EVERY = 16,
	TICK_MS = 5,
	PAUSE_MS = 4
};
#define PATIENCE_NS INT64_C(20000000000)

struct question {
	int32_t pid; /* who asks */
	uint32_t zero;
	uint64_t value;
};

/* What a client says of itself; one a client that there ever was. */
struct ledger {
	uint64_t right, lost, wrong, twice, unheard;
};

struct shared {
	uint64_t stop;
	uint64_t ticks;
	struct ledger ledgers[CLIENTS + KILLS];
};

static struct tarn_region *region;
static struct shared *shared;
static pid_t servers[SERVERS], clients[CLIENTS], parent;
static int ledger_count, socket_asked;

static void must(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "serving: %s: %s\n", what, strerror(r == -1 ? errno : -r));
	exit(1);
}

static void nap_ms(long ms)
{
	nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

static uint64_t mix(uint64_t value)
{
	value ^= value >> 31;
	return value * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

/* --- a server ------------------------------------------------------------------------------- */

struct server {
	struct tarn_service *service;
	struct tarn_waiter *waiter;
	int epoll, requests, listener, timer;
	uint64_t answered;
	struct tarn_request later[LATER];
	struct question questions[LATER];
	int later_count;
	int over;
};

/* The socket of server @which: a name that goes with it. */
static socklen_t name_of(int which, struct sockaddr_un *name)
{
	*name = (struct sockaddr_un){ .sun_family = AF_UNIX };
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
			   (size_t)snprintf(name->sun_path + 1, sizeof(name->sun_path) - 1,
					    "tarn-serving.%d.%d", (int)parent, which));
}

static void answer(struct server *s, const struct tarn_request *request,
		   const struct question *question)
{
	uint64_t value = mix(question->value);
	struct tarn_call_peer peer;
	int r = tarn_service_peer(s->service, request, &peer);

	if (r == 0 && peer.pid != question->pid)
		r = tarn_service_fail(s->service, request, 1, NULL, 0); /* it is another */
	else if (r == 0)
		r = tarn_service_respond_wait(s->service, request, &value, sizeof(value),
					      tarn_deadline_after(PATIENCE_NS));
	s->answered += r == 0;
	if (r < 0) /* its caller has died, or wants it no more */
		tarn_service_release(s->service, request);
}

static void serve(struct server *s)
{
	struct tarn_request request;
	struct question question;

	for (int i = 0; i < 256 && tarn_service_take(s->service, &request) == 0; i++) {
		memcpy(&question, request.data, sizeof(question));
		if (question.value % EVERY != 0 || s->later_count == LATER) {
			answer(s, &request, &question);
			continue;
		}
		s->questions[s->later_count] = question;
		s->later[s->later_count++] = request;
		tarn_service_release(s->service, &request);
	}
}

/* It is readable until a look has found nothing. */
static void look(struct server *s)
{
	size_t count;
	void *tag;
	int r;

	while ((r = tarn_waiter_wait(s->waiter, 0, &tag, 1, &count)) == 0)
		serve(s);
	must("wait", r == -ETIMEDOUT ? 0 : r);
}

static void tick(struct server *s)
{
	uint64_t times = 0;

	if (read(s->timer, &times, sizeof(times)) < 0)
		return;
	(void)tarn_atomic_fetch_add64(&shared->ticks, times);
	while (s->later_count > 0) {
		s->later_count--;
		answer(s, &s->later[s->later_count], &s->questions[s->later_count]);
	}
}

/* Somebody asks how it goes, or that it ends. */
static void tell(struct server *s)
{
	int fd = accept(s->listener, NULL, NULL);
	char word[8] = "";

	if (fd < 0)
		return;
	if (recv(fd, word, sizeof(word) - 1, 0) > 0) {
		s->over = strcmp(word, "stop") == 0;
		(void)!send(fd, &s->answered, sizeof(s->answered), MSG_NOSIGNAL);
	}
	close(fd);
}

static void add(const struct server *s, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	must("epoll_ctl", epoll_ctl(s->epoll, EPOLL_CTL_ADD, fd, &event));
}

static void come(struct server *s, int which)
{
	const struct tarn_call_opts opts = { .request_capacity = 1024,
					     .response_capacity = 1024,
					     .clients = CLIENTS + 14 };
	const struct itimerspec every = { { 0, TICK_MS * 1000000 }, { 0, TICK_MS * 1000000 } };
	struct sockaddr_un name;
	socklen_t size = name_of(which, &name);

	must("service", tarn_service_open(region, "squares", &opts, &s->service));
	must("waiter", tarn_waiter_open(NULL, &s->waiter));
	must("waiter", tarn_waiter_add_service(s->waiter, s->service, NULL));
	must("descriptor", tarn_waiter_fd(s->waiter, &s->requests));
	s->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	must("bind", bind(s->listener, (struct sockaddr *)&name, size));
	must("listen", listen(s->listener, 8));
	s->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	must("timer", timerfd_settime(s->timer, 0, &every, NULL));
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	must("epoll", s->epoll);
	add(s, s->requests);
	add(s, s->listener);
	add(s, s->timer);
}

static void run_server(int which)
{
	struct epoll_event events[4];
	struct server s = { .over = 0 };

	come(&s, which);
	while (!s.over) {
		int count = epoll_wait(s.epoll, events, 4, -1);

		for (int i = 0; i < count; i++) {
			if (events[i].data.fd == s.requests)
				look(&s);
			else if (events[i].data.fd == s.listener)
				tell(&s);
			else
				tick(&s);
		}
	}
	tarn_waiter_close(s.waiter);
	tarn_service_close(s.service);
}

/* --- a client ------------------------------------------------------------------------------- */

struct pending {
	uint64_t call, value; /* call 0: none */
};

static struct pending *find(struct pending *all, uint64_t call)
{
	for (int i = 0; i < WINDOW; i++)
		if (all[i].call == call)
			return &all[i];
	return NULL;
}

static int is_idle(const struct pending *all)
{
	for (int i = 0; i < WINDOW; i++)
		if (all[i].call != 0)
			return 0;
	return 1;
}

static int fill(struct tarn_client *client, struct pending *all, uint64_t *random)
{
	struct question question = { .pid = getpid() };
	struct pending *one;

	if (!is_idle(all))
		return 0;
	nap_ms(PAUSE_MS); /* there are fifty of us */
	while (tarn_atomic_load64(&shared->stop) == 0 && (one = find(all, 0)) != NULL) {
		int r;

		*random = mix(*random);
		question.value = *random >> 8;
		r = tarn_client_begin(client, &question, sizeof(question),
				      tarn_deadline_after(PATIENCE_NS), &one->call);
		if (r == -ENOTCONN)
			r = tarn_client_wait_server(client, tarn_deadline_after(PATIENCE_NS));
		else if (r == 0)
			one->value = question.value;
		if (r < 0)
			return r == -EAGAIN ? 0 : r;
	}
	return 0;
}

/* One call is over. */
static void settle(struct ledger *ledger, struct pending *all, int r,
		   const struct tarn_response *response)
{
	struct pending *one = find(all, response->call);
	uint64_t value = 0;

	if (one == NULL) {
		(void)tarn_atomic_fetch_add64(&ledger->twice, 1);
		return;
	}
	if (r == 0 && response->size == sizeof(value))
		memcpy(&value, response->data, sizeof(value));
	(void)tarn_atomic_fetch_add64(r == -EPIPE                ? &ledger->lost
				      : value == mix(one->value) ? &ledger->right
								 : &ledger->wrong,
				      1);
	one->call = 0;
}

static int run_client(struct ledger *ledger)
{
	struct pending all[WINDOW] = { { .call = 0 } };
	uint64_t random = (uint64_t)getpid();
	struct tarn_response response;
	struct tarn_client *client;
	int r;

	must("client", tarn_client_open(region, "squares", NULL, &client));
	do {
		r = fill(client, all, &random);
		if (r < 0)
			break;
		r = tarn_client_take_wait(client, 0, tarn_deadline_after(PATIENCE_NS), &response);
		if (r == 0 || r == -EPIPE)
			settle(ledger, all, r, &response);
	} while (r == 0 || r == -EPIPE || (r == -ENOENT && shared->stop == 0));
	for (int i = 0; i < WINDOW; i++)
		if (all[i].call != 0)
			(void)tarn_atomic_fetch_add64(&ledger->unheard, 1);
	tarn_client_close(client);
	return r == -ENOENT ? 0 : r;
}

/* --- who starts and kills them -------------------------------------------------------------- */

static pid_t start(void)
{
	pid_t pid = fork();

	must("fork", pid);
	if (pid == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void start_server(int which)
{
	servers[which] = start();
	if (servers[which] != 0)
		return;
	run_server(which);
	_exit(0);
}

static void start_client(int which)
{
	struct ledger *ledger = &shared->ledgers[ledger_count++];

	clients[which] = start();
	if (clients[which] == 0)
		_exit(run_client(ledger) < 0);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* By its own socket. False: it does not listen yet. */
static int ask(int which, const char *word)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	struct sockaddr_un name;
	socklen_t size = name_of(which, &name);
	uint64_t answered = 0;
	int said;

	must("socket", fd);
	said = connect(fd, (struct sockaddr *)&name, size) == 0 &&
	       send(fd, word, strlen(word), MSG_NOSIGNAL) > 0 &&
	       recv(fd, &answered, sizeof(answered), 0) == sizeof(answered);
	close(fd);
	socket_asked += said;
	return said;
}

static struct ledger sum(void)
{
	struct ledger all = { 0 };

	for (int i = 0; i < ledger_count; i++) {
		const struct ledger *one = &shared->ledgers[i];

		all.right += tarn_atomic_load64(&one->right);
		all.lost += one->lost;
		all.wrong += one->wrong;
		all.twice += one->twice;
		all.unheard += one->unheard;
	}
	return all;
}

/* Until so many were answered; kill one of each kind now and then. */
static void watch_over(uint64_t calls)
{
	unsigned random = 1, kills = 0;

	for (;;) {
		uint64_t right = sum().right;

		if (right >= calls && kills == KILLS)
			return;
		if (kills < KILLS && right >= calls * kills / KILLS) {
			int server, client;

			random = random * 1664525u + 1013904223u;
			server = (int)(random >> 16) % SERVERS;
			client = (int)(random >> 8) % CLIENTS;
			(void)ask(server, "well?");
			end(servers[server]);
			end(clients[client]);
			start_server(server);
			start_client(client);
			kills++;
		}
		nap_ms(1);
	}
}

static int finish(void)
{
	int failed = 0, status;
	struct ledger all;

	tarn_atomic_store64(&shared->stop, 1);
	for (int i = 0; i < CLIENTS; i++)
		failed += waitpid(clients[i], &status, 0) < 0 || status != 0;
	for (int i = 0; i < SERVERS; i++) {
		for (int tries = 0; tries < 2000 && !ask(i, "stop"); tries++)
			nap_ms(5);
		failed += waitpid(servers[i], &status, 0) < 0 || status != 0;
	}
	all = sum();
	printf("serving: %llu calls of %d clients at a time answered right by %d servers at a "
	       "time\n",
	       (unsigned long long)all.right, CLIENTS, SERVERS);
	printf("killed: %d servers, with %llu calls, of each of which its client was told; %d "
	       "clients\n",
	       KILLS, (unsigned long long)all.lost, KILLS);
	printf("wrong %llu, answered twice %llu, never heard of %llu\n",
	       (unsigned long long)all.wrong, (unsigned long long)all.twice,
	       (unsigned long long)all.unheard);
	printf("the servers' own sockets were asked %d times, their timers went off %llu times\n",
	       socket_asked, (unsigned long long)shared->ticks);
	if (failed != 0)
		printf("%d processes failed\n", failed);
	return failed != 0 || all.wrong + all.twice + all.unheard != 0;
}

int main(int argc, char **argv)
{
	const struct tarn_region_opts opts = { .flags = TARN_REGION_EPHEMERAL,
					       .size = UINT64_C(8) << 20,
					       .member_max = 128 };
	uint64_t calls = argc > 1 ? strtoull(argv[1], NULL, 10) : 30000;
	char name[32];
	int wrong;

	parent = getpid();
	snprintf(name, sizeof(name), "serving%d", (int)parent);
	must("region", tarn_region_create(name, &opts, &region));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	must("mmap", shared == MAP_FAILED ? -1 : 0);
	for (int i = 0; i < SERVERS; i++)
		start_server(i);
	while (!ask(0, "well?"))
		nap_ms(1);
	for (int i = 0; i < CLIENTS; i++)
		start_client(i);
	watch_over(calls);
	wrong = finish();
	tarn_region_close(region);
	return wrong;
}
