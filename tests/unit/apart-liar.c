/* SPDX-License-Identifier: BSD-2-Clause */
/* Topics in a directory of sockets, with publishers that lie. Subscribers: apart-hostile.c. */
#include "apart-bare.h"

/* --- publishers ---------------------------------------------------------------------------- */

static int listener;
static char liar_path[128];

/* A socket where subscribers will look. */
static void listen_bare(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(liar_path, sizeof(liar_path), "%s/news:00000000deadbeef", dir);
	memcpy(addr.sun_path, liar_path, strlen(liar_path) + 1);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(listen(listener, 64), 0);
}

static void unlisten(void)
{
	close(listener);
	unlink(liar_path);
}

static int sealed(uint64_t size, unsigned seals)
{
	int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(fallocate(fd, 0, 0, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, (int)seals), 0);
	return fd;
}

enum { SIZE_SEALS = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL, FUTURE = 0x10 };

/* Let one subscriber in, with @hello, and @fds. */
static int lie_to_one(const struct hello_shm *hello, size_t size, const int *fds, unsigned count)
{
	int sock = accept(listener, NULL, NULL);

	assert_true(sock >= 0);
	(void)tarn__plat_send_fds(sock, hello, size, fds, count);
	return sock;
}

static uint32_t check_of(const struct hello_shm *hello)
{
	return tarn__packet_check(&(struct packet){ .hello = *hello, .size = sizeof(*hello) });
}

/* What the socket of listen_bare() would say. */
static struct hello_shm proper(uint32_t type_size)
{
	struct hello_shm hello = { .magic = HELLO_MAGIC,
				   .version = HELLO_VERSION,
				   .type_size = type_size,
				   .token = 0xdeadbeef,
				   .name = "news" };

	hello.check = check_of(&hello);
	return hello;
}

struct lie {
	struct hello_shm hello;
	size_t size;
	int fds[4];
	unsigned count;
};

static void *tell_lie(void *arg)
{
	const struct lie *lie = arg;

	return (void *)(intptr_t)lie_to_one(&lie->hello, lie->size, lie->fds, lie->count);
}

/* A lane of 4096 bytes as a publisher makes it, @extra bytes behind it. */
static int sound_lane(size_t extra, unsigned seals)
{
	const size_t bytes = sizeof(struct lane_shm) + 4096 + extra;
	int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *lane;

	assert_int_equal(fallocate(fd, 0, 0, (off_t)bytes), 0);
	lane = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(lane != MAP_FAILED);
	tarn__lane_init(lane, 4096);
	munmap(lane, bytes);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, (int)seals), 0);
	return fd;
}

static struct lie sound_lie(void)
{
	return (struct lie){ .hello = proper(0),
			     .size = sizeof(struct hello_shm),
			     .fds = { sound_lane(0, SIZE_SEALS | FUTURE),
				      sealed(4096, SIZE_SEALS | FUTURE), sealed(4096, SIZE_SEALS) },
			     .count = APART_FDS };
}

static void drop_lie(const struct lie *lie)
{
	for (unsigned i = 0; i < APART_FDS; i++)
		close(lie->fds[i]);
}

/* How many publishers a subscriber then believes in. */
static uint32_t believed(struct lie *lie)
{
	struct tarn_subscriber_stat stat;
	pthread_t thread;
	void *sock;

	listen_bare();
	assert_int_equal(pthread_create(&thread, NULL, tell_lie, lie), 0);
	open_subscriber(0, 0);
	assert_int_equal(pthread_join(thread, &sock), 0);
	assert_int_equal(tarn_subscriber_stat(subscriber, &stat), 0);
	tarn_subscriber_close(subscriber);
	subscriber = NULL;
	close((int)(intptr_t)sock);
	unlisten();
	drop_lie(lie);
	return stat.publishers;
}

static void replace(struct lie *lie, int at, int fd)
{
	close(lie->fds[at]);
	lie->fds[at] = fd;
}

static void recheck(struct lie *lie)
{
	lie->hello.check = check_of(&lie->hello);
}

static void nothing_comes_along(struct lie *lie)
{
	lie->count = 0;
}

static void too_little_comes_along(struct lie *lie)
{
	lie->count = 2;
}

static void half_a_packet(struct lie *lie)
{
	lie->size = 5;
}

static void another_magic(struct lie *lie)
{
	lie->hello.magic++;
	recheck(lie);
}

static void another_check(struct lie *lie)
{
	lie->hello.check++;
}

static void another_version(struct lie *lie)
{
	lie->hello.version++;
	recheck(lie);
}

static void another_token(struct lie *lie) /* as by another name for somebody's socket */
{
	lie->hello.token++;
	recheck(lie);
}

static void another_topic(struct lie *lie)
{
	memcpy(lie->hello.name, "other", 6);
	recheck(lie);
}

static void no_memory(struct lie *lie)
{
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	close(pipes[1]);
	replace(lie, 0, pipes[0]);
}

static void a_lane_that_may_be_written(struct lie *lie)
{
	replace(lie, 0, sound_lane(0, SIZE_SEALS));
}

static void a_lane_that_may_shrink(struct lie *lie)
{
	replace(lie, 0, sound_lane(0, F_SEAL_GROW | FUTURE));
}

static void a_bell_that_may_grow(struct lie *lie)
{
	replace(lie, 1, sealed(4096, F_SEAL_SHRINK | FUTURE));
}

static void a_larger_ack(struct lie *lie)
{
	replace(lie, 2, sealed(8192, SIZE_SEALS));
}

static void an_ack_with_a_hole(struct lie *lie)
{
	int fd = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_int_equal(ftruncate(fd, 4096), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, SIZE_SEALS), 0);
	replace(lie, 2, fd);
}

static void a_type_larger_than_all_there_is(struct lie *lie)
{
	lie->hello = proper(UINT32_MAX);
}

static void a_type_larger_than_the_file(struct lie *lie)
{
	lie->hello = proper(64);
}

static void a_lane_of_zeros(struct lie *lie)
{
	replace(lie, 0, sealed(sizeof(struct lane_shm) + 4096, SIZE_SEALS | FUTURE));
}

static void what_is_no_lane_is_not_believed(void **state)
{
	static void (*const lies[])(struct lie * lie) = {
		nothing_comes_along,
		too_little_comes_along,
		half_a_packet,
		another_magic,
		another_check,
		another_version,
		another_token,
		another_topic,
		no_memory,
		a_lane_that_may_be_written,
		a_lane_that_may_shrink,
		a_bell_that_may_grow,
		a_larger_ack,
		an_ack_with_a_hole,
		a_type_larger_than_all_there_is,
		a_type_larger_than_the_file,
		a_lane_of_zeros,
	};
	struct lie lie = sound_lie();

	(void)state;
	assert_int_equal(believed(&lie), 1);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		lie = sound_lie();
		lies[i](&lie);
		assert_int_equal(believed(&lie), 0);
	}
}

static void who_does_not_answer_is_not_waited_for(void **state)
{
	int64_t before;

	(void)state;
	listen_bare(); /* and says nothing */
	open_publisher();
	before = tarn_now();
	open_subscriber(0, 0);
	assert_true(tarn_now() - before < SOON_NS);
	all_is_well(0, 100);
	unlisten();
}

/* More than the library sends or takes. */
static ssize_t send_many(int sock, const void *buf, size_t size, const int *fds, unsigned count)
{
	char control[CMSG_SPACE(32 * sizeof(int))] __attribute__((aligned(8))) = { 0 };
	struct iovec iov = { .iov_base = (void *)(uintptr_t)buf, .iov_len = size };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = CMSG_SPACE(count * sizeof(int)) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	return sendmsg(sock, &msg, MSG_NOSIGNAL);
}

/* A publisher that sends what may not be closed, and ends. */
static int send_lingering(void)
{
	const struct hello_shm hello = proper(0);
	int other, fds[20], sock;

	for (int i = 0; i < 19; i++)
		fds[i] = sealed(4096, SIZE_SEALS);
	fds[19] = lingering(&other);
	sock = accept(listener, NULL, NULL);
	(void)send_many(sock, &hello, sizeof(hello), fds, 20);
	close(fds[19]); /* the one on its way is the last one then ... */
	pause();        /* ... and has somebody to linger for */
	return 0;
}

static void what_a_publisher_sends_along_keeps_nobody(void **state)
{
	int64_t before = tarn_now();

	(void)state;
	open_publisher();
	for (uint64_t round = 0; round < 5; round++) {
		pid_t pid;
		int status;

		listen_bare();
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0)
			_exit(send_lingering());
		open_subscriber(0, 0);
		all_is_well(round * 100, 100);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		unlisten();
	}
	assert_true(tarn_now() - before < SOON_NS);
}

/* A sleeper says so to its publisher, and is woken by its bell. */
static void *take_one(void *arg)
{
	struct tarn_message message;
	uint64_t got;

	return (void *)(intptr_t)tarn_subscriber_take_wait(arg, &got, sizeof(got),
							   tarn_deadline_after(SOON_NS), &message);
}

static void a_sleeper_says_so(void **state)
{
	struct lie lie = sound_lie();
	struct ack_shm *ack = mmap(NULL, APART_PAGE, PROT_READ, MAP_SHARED, lie.fds[2], 0);
	int64_t deadline = tarn_deadline_after(SOON_NS);
	pthread_t teller, sleeper;
	void *sock, *result;
	uint32_t sleep;

	(void)state;
	assert_true(ack != MAP_FAILED);
	listen_bare();
	assert_int_equal(pthread_create(&teller, NULL, tell_lie, &lie), 0);
	open_subscriber(0, 0);
	pthread_join(teller, &sock);
	assert_int_equal(atomic_load(&ack->how), LOSSLESS);
	assert_int_equal(atomic_load(&ack->sleep) & SLEEPS, 0);
	assert_int_equal(pthread_create(&sleeper, NULL, take_one, subscriber), 0);
	while (((sleep = atomic_load(&ack->sleep)) & SLEEPS) == 0 && tarn_now() < deadline)
		;
	assert_int_equal(sleep & SLEEPS, SLEEPS);
	open_publisher(); /* another, whose message ends the wait */
	wait_subscribers(1);
	assert_int_equal(tarn_publisher_publish(publisher, "12345678", 8), 0);
	pthread_join(sleeper, &result);
	assert_null(result);
	assert_int_equal(atomic_load(&ack->sleep) & SLEEPS, 0);
	munmap(ack, APART_PAGE);
	close((int)(intptr_t)sock);
	drop_lie(&lie);
	unlisten();
}

/* Write all over a lane that was sound. */
static void *rewrite(void *arg)
{
	unsigned char *lane = arg;
	uint32_t seed = 7;

	while (!atomic_load(&stop)) {
		_Atomic uint64_t *words = (_Atomic uint64_t *)(void *)(lane + 64);
		size_t count = (sizeof(struct lane_shm) + 4096 - 64) / 8;

		seed = seed * 1664525 + 1013904223;
		atomic_store(&words[seed / 7 % count], (uint64_t)seed << (seed % 33));
		seed = seed * 1664525 + 1013904223;
		/* oldest and last, as if it were sound */
		atomic_store(&words[8], 4096 + seed % 128 * 32);
		atomic_store(&words[0], 4096 + seed / 128 % 128 * 32);
	}
	return NULL;
}

/* What is published honestly comes, whatever else does. */
static void comes_beside_lies(uint64_t n, bool hold)
{
	struct tarn_message message;
	bool found = false;
	uint64_t got[512];
	int r;

	assert_int_equal(tarn_publisher_publish(publisher, &n, sizeof(n)), 0);
	do {
		r = hold ? tarn_subscriber_hold(subscriber, &message)
			 : tarn_subscriber_take(subscriber, got, sizeof(got), &message);
		if (r == 0 && hold) {
			memcpy(got, message.data, message.size < 8 ? message.size : 8);
			(void)!tarn_subscriber_release(subscriber, &message);
		}
		assert_true(r == 0 || r == -EAGAIN || r == -EUCLEAN);
		found |= r == 0 && message.size == 8 && got[0] == n;
	} while (r != -EAGAIN && !found);
	assert_true(found);
}

static void what_a_publisher_writes_harms_itself(void **state)
{
	const size_t bytes = sizeof(struct lane_shm) + 4096;
	struct lie lie = { .hello = proper(0), .size = sizeof(struct hello_shm), .count = 3 };
	unsigned char *lane;
	pthread_t teller, writer;
	void *sock;
	uint64_t next = 0;

	(void)state;
	lie.fds[0] = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(fallocate(lie.fds[0], 0, 0, (off_t)bytes), 0);
	lane = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, lie.fds[0], 0);
	assert_true(lane != MAP_FAILED);
	tarn__lane_init(lane, 4096);
	assert_int_equal(fcntl(lie.fds[0], F_ADD_SEALS, SIZE_SEALS | FUTURE), 0);
	lie.fds[1] = sealed(4096, SIZE_SEALS | FUTURE);
	lie.fds[2] = sealed(4096, SIZE_SEALS);
	atomic_store(&stop, false);
	open_publisher();
	for (int round = 0; round < 20; round++) {
		int64_t until;

		listen_bare();
		memset(lane + 64, 0, bytes - 64);
		((struct lane_shm *)(void *)lane)->oldest = 4096;
		assert_int_equal(pthread_create(&teller, NULL, tell_lie, &lie), 0);
		atomic_store(&stop, false);
		assert_int_equal(pthread_create(&writer, NULL, rewrite, lane), 0);
		open_subscriber(0, 0);
		pthread_join(teller, &sock);
		until = tarn_deadline_after(20000000);
		for (uint64_t n = 0; tarn_now() < until; n++, next++)
			comes_beside_lies(next, n % 2 == 1);
		atomic_store(&stop, true);
		pthread_join(writer, NULL);
		tarn_subscriber_close(subscriber);
		subscriber = NULL;
		close((int)(intptr_t)sock);
		unlisten();
	}
	open_subscriber(0, 0);
	all_is_well(next, 100);
	munmap(lane, bytes);
	for (int i = 0; i < 3; i++)
		close(lie.fds[i]);
}

/* Message @number, which has nothing but a header, in a lane of 4096 bytes. */
static void publish_by_hand(struct lane_shm *lane, uint64_t number)
{
	uint64_t pos = 4096 + (number - 1) * MESSAGE_UNIT, next = pos + MESSAGE_UNIT;
	struct message_shm *message = (void *)(lane->messages + pos % 4096);
	struct message_shm *behind = (void *)(lane->messages + next % 4096);

	if (next > 2 * 4096)
		atomic_store(&lane->oldest, next + MESSAGE_UNIT - 4096);
	atomic_store(&behind->number, 0);
	atomic_store(&message->size, 0);
	atomic_store(&message->number, number);
}

static void who_says_that_much_is_there_keeps_others_for_a_lap(void **state)
{
	const size_t bytes = sizeof(struct lane_shm) + 4096;
	struct lie lie = sound_lie();
	struct tarn_message message;
	struct lane_shm *lane;
	pthread_t teller;
	uint64_t got = 0, count = 0;
	void *sock;

	(void)state;
	close(lie.fds[0]);
	lie.fds[0] = memfd_create("liar", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(fallocate(lie.fds[0], 0, 0, (off_t)bytes), 0);
	lane = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, lie.fds[0], 0);
	assert_true(lane != MAP_FAILED);
	tarn__lane_init((unsigned char *)lane, 4096);
	assert_int_equal(fcntl(lie.fds[0], F_ADD_SEALS, SIZE_SEALS | FUTURE), 0);
	listen_bare();
	assert_int_equal(pthread_create(&teller, NULL, tell_lie, &lie), 0);
	open_subscriber(0, 0);
	pthread_join(teller, &sock);
	atomic_store(&lane->last, UINT64_C(1) << 40); /* and so it has come before all others */
	atomic_store(&lane->counted, UINT64_C(1) << 35);
	open_publisher();
	wait_subscribers(1);
	assert_int_equal(publish(7), 0);
	while (got != 7 && count < 1000) {
		publish_by_hand(lane, ++count);
		assert_int_equal(tarn_subscriber_take(subscriber, &got, sizeof(got), &message), 0);
	}
	assert_int_equal(got, 7);
	assert_in_range(count, 2,
			4096 / MESSAGE_UNIT + 2); /* it may claim to be first, for a lap */
	munmap(lane, bytes);
	close((int)(intptr_t)sock);
	drop_lie(&lie);
	unlisten();
}

static void a_directory_full_of_names_is_no_matter(void **state)
{
	char path[128];

	(void)state;
	open_publisher();
	for (unsigned i = 0; i < 6000; i++) {
		snprintf(path, sizeof(path), "%s/news:%016x", dir, i);
		close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	}
	open_subscriber(0, 0);
	all_is_well(0, 100);
	for (unsigned i = 0; i < 6000; i++) {
		snprintf(path, sizeof(path), "%s/news:%016x", dir, i);
		unlink(path);
	}
}

/* --- who only looks ------------------------------------------------------------------------ */

static int state_of(const struct tarn_topic_socket *found, void *arg)
{
	assert_true(found->type == NULL && found->number == 0);
	*(uint32_t *)arg = found->state;
	return 0;
}

/* What a look makes of @lie; *@ret_ack: what it left in the page that it was given to write. */
static uint32_t looked_at(struct lie *lie, struct ack_shm *ret_ack)
{
	uint32_t found = 0;
	pthread_t thread;
	void *sock;

	listen_bare();
	assert_int_equal(pthread_create(&thread, NULL, tell_lie, lie), 0);
	assert_int_equal(tarn_topic_sockets("news", &opts, 0, state_of, &found), 0);
	assert_int_equal(pthread_join(thread, &sock), 0);
	close((int)(intptr_t)sock);
	unlisten();
	if (ret_ack != NULL)
		assert_int_equal(pread(lie->fds[2], ret_ack, sizeof(*ret_ack), 0),
				 sizeof(*ret_ack));
	drop_lie(lie);
	return found;
}

static void a_look_withdraws_and_believes_no_more_than_a_subscriber(void **state)
{
	struct lie lie = sound_lie();
	struct ack_shm ack = { .pad = { 0 } };

	(void)state;
	atomic_init(&ack.how, COMING);
	assert_int_equal(pwrite(lie.fds[2], &ack, sizeof(ack), 0), sizeof(ack));
	assert_int_equal(looked_at(&lie, &ack), TARN_SOCKET_ANSWERS);
	assert_int_equal(ack.how, SUBSCRIBES_NOT);
	assert_int_equal(ack.token, 1); /* whom it may have held up was told */
	lie = sound_lie();
	lie.hello.token++;
	recheck(&lie);
	assert_int_equal(looked_at(&lie, NULL), TARN_SOCKET_DAMAGED);
	lie = sound_lie();
	replace(&lie, 0, sound_lane(0, F_SEAL_SHRINK | F_SEAL_SEAL | FUTURE));
	assert_int_equal(looked_at(&lie, NULL), TARN_SOCKET_DAMAGED);
	lie = sound_lie();
	lie.hello.type_size = 8; /* ... which the file has no room for */
	recheck(&lie);
	assert_int_equal(looked_at(&lie, NULL), TARN_SOCKET_DAMAGED);
	lie = sound_lie();
	lie.count = 0;
	assert_int_equal(looked_at(&lie, NULL), TARN_SOCKET_DAMAGED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_dir, drop_dir)
	const struct CMUnitTest tests[] = {
		TEST(what_is_no_lane_is_not_believed),
		TEST(who_does_not_answer_is_not_waited_for),
		TEST(what_a_publisher_sends_along_keeps_nobody),
		TEST(what_a_publisher_writes_harms_itself),
		TEST(who_says_that_much_is_there_keeps_others_for_a_lap),
		TEST(a_directory_full_of_names_is_no_matter),
		TEST(a_look_withdraws_and_believes_no_more_than_a_subscriber),
		TEST(a_sleeper_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
