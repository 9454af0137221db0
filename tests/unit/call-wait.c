/* SPDX-License-Identifier: BSD-2-Clause */
/* Calls: who waits is woken, by an answer, a request, room, or a death, in another process. */
#include <poll.h>

#include <tarn/call.h>
#include <tarn/waiter.h>

#include "prim.h"

enum { SHOUT = 1, DIE = 2, STREAM = 3, SLEEP = 4, FAIL = 5 };

static struct tarn_client *client;
static pid_t servers[4];
static const struct tarn_call_opts plain = { .request_capacity = 1024, .response_capacity = 1024 };
static const struct tarn_call_opts asleep = { .request_capacity = 1024,
					      .response_capacity = 1024,
					      .flags = TARN_CALL_NO_SPIN };

static int64_t surely(void)
{
	return tarn_deadline_after(SURELY_NS);
}

/* Answers of 8 bytes, and room for two dozen of them. */
static int stream(struct tarn_service *service, const struct tarn_request *request, uint64_t count)
{
	for (uint64_t n = 0; n < count; n++) {
		void *data;
		int r = tarn_service_reserve_wait(service, request, 8, surely(), &data);

		if (r < 0)
			return r;
		memcpy(data, &n, 8);
		r = tarn_service_commit(service, request, 8,
					n + 1 < count ? TARN_RESPONSE_MORE : TARN_RESPONSE_LAST, 0);
		if (r < 0)
			return r;
	}
	return 0;
}

static int serve_one(struct tarn_service *service)
{
	struct tarn_request request;
	uint64_t order[2];
	int r = tarn_service_take_wait(service, surely(), &request);

	if (r < 0)
		return r;
	memcpy(order, request.data, sizeof(order));
	if (order[0] == DIE)
		raise(SIGKILL);
	if (order[0] == SLEEP)
		pause_us(INT64_C(60000000));
	if (order[0] == FAIL)
		return tarn_service_fail(service, &request, 11, "why", 4);
	if (order[0] == STREAM) {
		r = stream(service, &request, order[1]);
		if (r == -ECANCELED || r == -EPIPE)
			atomic_store(&flags[9], (uint32_t)-r);
		return r == -ECANCELED || r == -EPIPE ? 0 : r;
	}
	order[1]++;
	/* what was cancelled may still fill the ring */
	return tarn_service_respond_wait(service, &request, &order[1], 8, surely());
}

static int serve(void *arg)
{
	struct tarn_service *service;
	int r = tarn_service_open(region, "sums", arg != NULL ? &asleep : &plain, &service);

	atomic_fetch_add(&flags[0], 1);
	while (r == 0)
		r = serve_one(service);
	return 1;
}

static void start_server(int i, bool sleeps)
{
	uint32_t before = atomic_load(&flags[0]);

	servers[i] = start(serve, sleeps ? servers : NULL);
	while (atomic_load(&flags[0]) == before)
		pause_us(200);
}

static int make(void **state)
{
	memset(servers, 0, sizeof(servers));
	if (make_region(state) < 0 || tarn_client_open(region, "sums", &plain, &client) < 0)
		return -1;
	start_server(0, false);
	return 0;
}

static int make_asleep(void **state)
{
	memset(servers, 0, sizeof(servers));
	if (make_region(state) < 0 || tarn_client_open(region, "sums", &asleep, &client) < 0)
		return -1;
	start_server(0, true);
	return 0;
}

static void end_server(int i)
{
	end(servers[i]);
	servers[i] = 0;
}

static int drop(void **state)
{
	for (int i = 0; i < 4; i++)
		if (servers[i] != 0)
			end_server(i);
	tarn_client_close(client);
	return drop_region(state);
}

static int call(uint64_t order, uint64_t value, uint64_t *ret_value)
{
	const uint64_t orders[2] = { order, value };
	size_t size;
	int r = tarn_client_call(client, orders, sizeof(orders), ret_value, 8, surely(), &size);

	if (r == 0)
		assert_int_equal(size, 8);
	return r;
}

static uint64_t begin(uint64_t order, uint64_t value)
{
	const uint64_t orders[2] = { order, value };
	uint64_t number;

	assert_int_equal(tarn_client_begin(client, orders, sizeof(orders), TARN_FOREVER, &number),
			 0);
	return number;
}

/* --- answers ------------------------------------------------------------------------------- */

static void who_calls_is_answered(void **state)
{
	uint64_t got = 0;

	(void)state;
	for (uint64_t n = 0; n < 300; n++) {
		if (n % 100 == 50)
			pause_us(3000); /* they sleep */
		assert_int_equal(call(SHOUT, n, &got), 0);
		assert_int_equal(got, n + 1);
	}
}

static void what_the_answer_can_be(void **state)
{
	const uint64_t orders[2] = { SHOUT, 5 }, fail[2] = { FAIL, 0 };
	char text[2] = "";
	size_t size = 0;
	uint64_t got;

	(void)state;
	assert_int_equal(tarn_client_call(client, orders, 16, text, 2, surely(), &size), -ENOBUFS);
	assert_int_equal(size, 8);
	assert_int_equal(tarn_client_call(client, fail, 16, text, 1, surely(), &size), -EREMOTEIO);
	assert_int_equal(size, 4);
	assert_int_equal(text[0], 'w');
	assert_int_equal(tarn_client_code(client), 11);
	assert_int_equal(call(STREAM, 3, &got), -EPROTO);
	assert_int_equal(call(SHOUT, 7, &got), 0);
	assert_int_equal(got, 8);
}

static void a_stream_waits_for_who_takes_it(void **state)
{
	uint64_t number = begin(STREAM, 500);
	struct tarn_response response;

	(void)state;
	for (uint64_t n = 0; n < 500; n++) {
		uint64_t got;

		if (n % 100 == 0)
			pause_us(2000);
		assert_int_equal(tarn_client_take_wait(client, number, surely(), &response), 0);
		memcpy(&got, response.data, 8);
		assert_int_equal(got, n);
		assert_int_equal(response.kind, n < 499 ? TARN_RESPONSE_MORE : TARN_RESPONSE_LAST);
	}
}

static void who_is_cancelled_does_not_wait_for_room(void **state)
{
	uint64_t number = begin(STREAM, 500), got;

	(void)state;
	pause_us(20000);
	assert_int_equal(tarn_client_cancel(client, number), 0);
	assert_int_equal(call(SHOUT, 1, &got), 0);
	assert_int_equal(got, 2);
	assert_int_equal(atomic_load(&flags[9]), ECANCELED);
}

static int stream_and_die(void *arg)
{
	const uint64_t orders[2] = { STREAM, 500 };
	uint64_t number;

	(void)arg;
	if (tarn_client_open(region, "sums", NULL, &client) < 0 ||
	    tarn_client_begin(client, orders, 16, TARN_FOREVER, &number) < 0)
		return 1;
	pause_us(20000);
	return 0;
}

static void whose_client_dies_does_not_wait_for_room(void **state)
{
	uint64_t got;

	(void)state;
	run_dead(stream_and_die, NULL);
	assert_int_equal(call(SHOUT, 1, &got), 0);
	assert_int_equal(atomic_load(&flags[9]), EPIPE);
}

/* --- deaths -------------------------------------------------------------------------------- */

static void a_death_ends_the_call(void **state)
{
	uint64_t got;

	(void)state;
	assert_int_equal(call(DIE, 0, &got), -EPIPE);
	await_death(servers[0]);
	servers[0] = 0;
	assert_int_equal(call(SHOUT, 0, &got), -ENOTCONN);
	assert_int_equal(tarn_client_wait_server(client, tarn_deadline_after(SOON_NS)), -ETIMEDOUT);
	start_server(1, false);
	assert_int_equal(tarn_client_wait_server(client, surely()), 0);
	assert_int_equal(call(SHOUT, 0, &got), 0);
}

struct killer {
	pid_t pid;
	int64_t at;
};

static void *kill_soon(void *arg)
{
	struct killer *killer = arg;

	pause_us(5000);
	killer->at = tarn_now();
	kill(killer->pid, SIGKILL);
	return NULL;
}

/* Nanoseconds from the kill to -EPIPE. */
static int64_t time_to_hear(bool many)
{
	struct killer killer = { .pid = servers[0] };
	uint64_t number = begin(SLEEP, 0), other = many ? begin(SLEEP, 0) : 0;
	struct tarn_response response;
	pthread_t thread;
	int64_t heard;

	assert_int_equal(pthread_create(&thread, NULL, kill_soon, &killer), 0);
	assert_int_equal(tarn_client_take_wait(client, many ? 0 : number, surely(), &response),
			 -EPIPE);
	heard = tarn_now();
	assert_true(response.call == number || response.call == other);
	pthread_join(thread, NULL);
	await_death(servers[0]);
	servers[0] = 0;
	return heard - killer.at;
}

static void who_sleeps_hears_of_a_death(void **state)
{
	(void)state;
	for (int i = 0; i < 5; i++) {
		int64_t ns = time_to_hear(false);

		print_message("# -EPIPE %lld us after the kill\n", (long long)ns / 1000);
		start_server(0, true);
	}
}

static void who_sleeps_on_several_hears_of_a_death(void **state)
{
	int64_t ns;

	(void)state;
	start_server(1, true);
	ns = time_to_hear(true);
	print_message("# -EPIPE %lld us after the kill\n", (long long)ns / 1000);
}

static void the_next_call_goes_to_another(void **state)
{
	uint64_t got;

	(void)state;
	start_server(1, false);
	for (int i = 0; i < 4; i++)
		assert_int_equal(call(SHOUT, 1, &got), 0);
	end_server(0);
	for (int i = 0; i < 4; i++) /* it was dead before they began */
		assert_int_equal(call(SHOUT, 1, &got), 0);
}

static int ask_and_die(void *arg)
{
	const uint64_t orders[2] = { SHOUT, 1 };
	uint64_t number;

	(void)arg;
	if (tarn_client_open(region, "mute", NULL, &client) < 0)
		return 1;
	for (int i = 0; i < 2; i++)
		if (tarn_client_begin(client, orders, 16, TARN_FOREVER, &number) < 0)
			return 1;
	return 0;
}

static void what_the_dead_asked_is_dropped(void **state)
{
	struct tarn_service_stat stat;
	struct tarn_service *service;
	struct tarn_request request;

	(void)state;
	assert_int_equal(tarn_service_open(region, "mute", &plain, &service), 0);
	for (int i = 0; i < 10; i++) {
		run_dead(ask_and_die, NULL);
		assert_int_equal(tarn_service_take(service, &request), -EAGAIN);
	}
	tarn_service_stat(service, &stat);
	assert_int_equal(stat.taken, 0);
	assert_true(stat.clients <= 1);
	tarn_service_close(service);
}

/* --- waiters ------------------------------------------------------------------------------- */

static void poll_once(struct tarn_waiter *waiter, const void *expected)
{
	struct pollfd fd = { .events = POLLIN };
	void *tags[4];
	size_t count;

	assert_int_equal(tarn_waiter_fd(waiter, &fd.fd), 0);
	for (;;) {
		int r = tarn_waiter_wait(waiter, 0, tags, 4, &count);

		if (r == 0)
			break;
		assert_int_equal(r, -ETIMEDOUT);
		assert_int_equal(poll(&fd, 1, 20000), 1);
	}
	assert_int_equal(count, 1);
	assert_ptr_equal(tags[0], expected);
}

static void a_waiter_tells_of_answers_and_deaths(void **state)
{
	struct tarn_response response;
	struct tarn_waiter *waiter;
	void *tags[2];
	size_t count;
	uint64_t number;

	(void)state;
	assert_int_equal(tarn_waiter_open(NULL, &waiter), 0);
	assert_int_equal(tarn_waiter_add_client(waiter, client, NULL), 0);
	assert_int_equal(tarn_waiter_add_client(waiter, client, NULL), -EEXIST);
	assert_int_equal(tarn_waiter_wait(waiter, tarn_deadline_after(SOON_NS), tags, 2, &count),
			 -ETIMEDOUT);
	number = begin(SHOUT, 1);
	assert_int_equal(tarn_waiter_wait(waiter, surely(), tags, 2, &count), 0);
	assert_ptr_equal(tags[0], client);
	assert_int_equal(tarn_client_take(client, number, &response), 0);
	number = begin(SHOUT, 1);
	poll_once(waiter, client);
	assert_int_equal(tarn_client_take(client, 0, &response), 0);
	number = begin(DIE, 1);
	poll_once(waiter, client);
	assert_int_equal(tarn_client_take(client, 0, &response), -EPIPE);
	assert_int_equal(response.call, number);
	await_death(servers[0]);
	servers[0] = 0;
	start_server(0, true);
	number = begin(DIE, 1);
	assert_int_equal(tarn_waiter_wait(waiter, surely(), tags, 2, &count), 0);
	assert_int_equal(tarn_client_take(client, number, &response), -EPIPE);
	await_death(servers[0]);
	servers[0] = 0;
	tarn_waiter_close(waiter);
}

static int ask_thrice(void *arg)
{
	const uint64_t orders[2] = { SHOUT, 1 };

	(void)arg;
	if (tarn_client_open(region, "polled", NULL, &client) < 0)
		return 1;
	for (int i = 0; i < 3; i++) {
		uint64_t got;
		size_t size;

		pause_us(3000);
		if (tarn_client_call(client, orders, 16, &got, 8, surely(), &size) < 0)
			return 1;
	}
	return 0;
}

static void a_waiter_tells_of_requests(void **state)
{
	struct tarn_service *service;
	struct tarn_waiter *waiter;
	int served = 0;
	pid_t pid;

	(void)state;
	assert_int_equal(tarn_service_open(region, "polled", &plain, &service), 0);
	assert_int_equal(tarn_waiter_open(NULL, &waiter), 0);
	assert_int_equal(tarn_waiter_add_service(waiter, service, service), 0);
	pid = start(ask_thrice, NULL);
	while (served < 3) {
		struct tarn_request request;
		int r;

		if (served == 1) {
			void *tags[1];
			size_t count;

			assert_int_equal(tarn_waiter_wait(waiter, surely(), tags, 1, &count), 0);
		} else {
			poll_once(waiter, service);
		}
		while ((r = tarn_service_take(service, &request)) == 0) {
			assert_int_equal(tarn_service_respond(service, &request, request.data, 8),
					 0);
			served++;
		}
		assert_int_equal(r, -EAGAIN);
	}
	await_death(pid);
	tarn_waiter_close(waiter);
	tarn_service_close(service);
}

int main(void)
{
#define TEST(f)   cmocka_unit_test_setup_teardown(f, make, drop)
#define ASLEEP(f) cmocka_unit_test_setup_teardown(f, make_asleep, drop)
	const struct CMUnitTest tests[] = {
		TEST(who_calls_is_answered),
		ASLEEP(who_calls_is_answered),
		TEST(what_the_answer_can_be),
		TEST(a_stream_waits_for_who_takes_it),
		ASLEEP(a_stream_waits_for_who_takes_it),
		TEST(who_is_cancelled_does_not_wait_for_room),
		TEST(whose_client_dies_does_not_wait_for_room),
		TEST(a_death_ends_the_call),
		ASLEEP(a_death_ends_the_call),
		ASLEEP(who_sleeps_hears_of_a_death),
		ASLEEP(who_sleeps_on_several_hears_of_a_death),
		TEST(the_next_call_goes_to_another),
		TEST(what_the_dead_asked_is_dropped),
		TEST(a_waiter_tells_of_answers_and_deaths),
		ASLEEP(a_waiter_tells_of_answers_and_deaths),
		TEST(a_waiter_tells_of_requests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
