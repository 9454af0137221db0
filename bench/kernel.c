/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * kernel.c - what a program would use instead: a pipe and a UNIX stream socket, polled for the
 * busy rows and blocking for the others; and the bare calls that blocking and opening cannot do
 * without: a pair of futex words, and a mapping of a shared memory object.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

enum { OPEN_SIZE = 8 << 20, FUTEX_LIMIT_COUNT = 200, WAKE_LIMIT_COUNT = 10, DEATH_COUNT = 5 };

struct channel {
	int read_fd, write_fd;
};

static struct channel pipes[2], sockets[2];

static void make_channel(struct channel *channel, bool socket)
{
	int fds[2];

	if (socket ? socketpair(AF_UNIX, SOCK_STREAM, 0, fds) : pipe(fds))
		duo_die(socket ? "socketpair" : "pipe", errno);
	channel->read_fd = fds[0];
	channel->write_fd = fds[1];
	if (!socket)
		(void)fcntl(fds[0], F_SETPIPE_SZ, 1 << 20); /* a user's best; refused is no error */
}

void kernel_open(void)
{
	for (int i = 0; i < 2; i++) {
		make_channel(&pipes[i], false);
		make_channel(&sockets[i], true);
	}
}

static void set_nonblocking(const struct channel *channels, bool on)
{
	for (int i = 0; i < 2; i++) {
		(void)fcntl(channels[i].read_fd, F_SETFL, on ? O_NONBLOCK : 0);
		(void)fcntl(channels[i].write_fd, F_SETFL, on ? O_NONBLOCK : 0);
	}
}

static unsigned char block[BENCH_MESSAGE_MAX];

/* Whole message or none of the call's time spent asleep: a polled descriptor says EAGAIN. */
BENCH_INLINE void fd_send(int fd, size_t size, uint64_t number)
{
	size_t done = 0;

	message_make(block, size, number);
	while (done < size) {
		ssize_t n = write(fd, block + done, size - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			duo_die("write", errno);
	}
}

BENCH_INLINE void fd_recv(int fd, size_t size, uint64_t number)
{
	size_t done = 0;

	while (done < size) {
		ssize_t n = read(fd, block + done, size - done);

		if (n > 0)
			done += (size_t)n;
		else if (n == 0)
			duo_die("read: end of file", EPIPE);
		else if (errno != EAGAIN && errno != EINTR)
			duo_die("read", errno);
	}
	message_check(block, size, number);
}

BENCH_INLINE void pipe_send(unsigned channel, size_t size, uint64_t number)
{
	fd_send(pipes[channel].write_fd, size, number);
}

BENCH_INLINE void pipe_recv(unsigned channel, size_t size, uint64_t number)
{
	fd_recv(pipes[channel].read_fd, size, number);
}

BENCH_INLINE void socket_send(unsigned channel, size_t size, uint64_t number)
{
	fd_send(sockets[channel].write_fd, size, number);
}

BENCH_INLINE void socket_recv(unsigned channel, size_t size, uint64_t number)
{
	fd_recv(sockets[channel].read_fd, size, number);
}

static void pipe_busy(struct duo *duo, const struct bench_case *c)
{
	set_nonblocking(pipes, true);
	duo_meet(duo);
	BENCH_BY_SIZE(loop_round_trip, duo, c, pipe_send, pipe_recv)
	duo_meet(duo);
	set_nonblocking(pipes, false);
}

static void socket_busy(struct duo *duo, const struct bench_case *c)
{
	set_nonblocking(sockets, true);
	duo_meet(duo);
	BENCH_BY_SIZE(loop_round_trip, duo, c, socket_send, socket_recv)
	duo_meet(duo);
	set_nonblocking(sockets, false);
}

static void pipe_blocking(struct duo *duo, const struct bench_case *c)
{
	loop_round_trip(duo, c->count, c->size, pipe_send, pipe_recv);
}

static void socket_blocking(struct duo *duo, const struct bench_case *c)
{
	loop_round_trip(duo, c->count, c->size, socket_send, socket_recv);
}

static void pipe_one_way(struct duo *duo, const struct bench_case *c)
{
	loop_one_way(duo, c->count, c->size, pipe_send, pipe_recv);
}

static void socket_one_way(struct duo *duo, const struct bench_case *c)
{
	loop_one_way(duo, c->count, c->size, socket_send, socket_recv);
}

static void pipe_wake(struct duo *duo, const struct bench_case *c)
{
	loop_wake(duo, c->count, pipe_send, pipe_recv);
}

/* --- futex pair ---------------------------------------------------------------------------- */

static struct duo_shm *futex_shm;

static long futex(_Atomic uint32_t *word, int op, uint32_t value)
{
	return syscall(SYS_futex, word, op, value, NULL, NULL, 0);
}

static void futex_send(unsigned channel, size_t size, uint64_t number)
{
	_Atomic uint32_t *word = &futex_shm->futex_word[channel][0];

	(void)size;
	atomic_store(word, (uint32_t)number + 1);
	futex(word, FUTEX_WAKE, 1);
}

static void futex_recv(unsigned channel, size_t size, uint64_t number)
{
	_Atomic uint32_t *word = &futex_shm->futex_word[channel][0];
	uint32_t now;

	(void)size;
	while ((now = atomic_load(word)) != (uint32_t)number + 1)
		futex(word, FUTEX_WAIT, now);
}

static void futex_reset(struct duo *duo)
{
	futex_shm = duo->shm;
	duo_meet(duo);
	atomic_store(&duo->shm->futex_word[0][0], 0);
	atomic_store(&duo->shm->futex_word[1][0], 0);
	duo_meet(duo);
}

static void futex_round_trip(struct duo *duo, const struct bench_case *c)
{
	futex_reset(duo);
	loop_round_trip(duo, c->count, 8, futex_send, futex_recv);
}

static void futex_wake_run(struct duo *duo, const struct bench_case *c)
{
	futex_reset(duo);
	loop_wake(duo, c->count, futex_send, futex_recv);
}

static struct bench_value futex_measure(struct duo *duo, const struct bench_case *c)
{
	(void)c;
	futex_reset(duo);
	loop_round_trip(duo, FUTEX_LIMIT_COUNT, 8, futex_send, futex_recv);
	return bench_collect(duo, FUTEX_LIMIT_COUNT);
}

static struct bench_value futex_wake_measure(struct duo *duo, const struct bench_case *c)
{
	(void)c;
	futex_reset(duo);
	loop_wake(duo, WAKE_LIMIT_COUNT, futex_send, futex_recv);
	return bench_collect(duo, WAKE_LIMIT_COUNT);
}

const struct bench_limit bench_futex = { "futex pair", futex_measure };
const struct bench_limit bench_futex_wake = { "futex wake", futex_wake_measure };

/* --- opening ------------------------------------------------------------------------------- */

/* The calls without which nothing can be mapped, on the descriptor's name in /proc. */
static void open_by_hand(struct duo *duo, uint64_t count)
{
	char path[64];
	int fd = memfd_create("bench-open", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, OPEN_SIZE) != 0)
		duo_die("memfd_create", errno);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (uint64_t i = 0; i < count; i++) {
		uint64_t start = duo_ticks();
		struct stat st;
		int again = open(path, O_RDWR | O_CLOEXEC);

		if (again < 0 || fstat(again, &st) != 0)
			duo_die(path, errno);
		void *data = mmap(NULL, OPEN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, again, 0);

		if (data == MAP_FAILED)
			duo_die("mmap", errno);
		atomic_store((_Atomic unsigned char *)data, 1);
		munmap(data, OPEN_SIZE);
		close(again);
		duo_sample(duo, i, duo_ticks() - start);
	}
	close(fd);
}

static struct bench_value mmap_measure(struct duo *duo, const struct bench_case *c)
{
	duo_meet(duo);
	if (duo->side == DUO_A)
		open_by_hand(duo, c->count);
	return bench_collect(duo, c->count);
}

const struct bench_limit bench_mmap = { "open and mmap", mmap_measure };

/* --- death --------------------------------------------------------------------------------- */

/* B reads from a pipe whose other end only a victim has; A kills the victim. */
static void pipe_death_wait(struct duo *duo, uint64_t i)
{
	int fds[2];
	char byte;

	if (pipe(fds) != 0)
		duo_die("pipe", errno);
	pid_t victim = duo_fork();

	if (victim == 0) {
		for (;;)
			pause();
	}
	close(fds[1]);
	atomic_store(&duo->shm->victim, victim);
	duo_meet(duo);
	if (read(fds[0], &byte, 1) != 0)
		duo_die("read of a dead writer's pipe", errno);
	duo_sample(duo, i, duo_ticks() - atomic_load(&duo->shm->stamp));
	close(fds[0]);
	waitpid(victim, NULL, 0);
}

static void pipe_death(struct duo *duo, const struct bench_case *c)
{
	for (uint64_t i = 0; i < c->count; i++) {
		duo_meet(duo);
		if (duo->side == DUO_B) {
			pipe_death_wait(duo, i);
			continue;
		}
		duo_meet(duo);
		nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
		atomic_store(&duo->shm->stamp, duo_ticks());
		kill(atomic_load(&duo->shm->victim), SIGKILL);
	}
}

const struct bench_case kernel_cases[] = {
	{ "round trip, busy", "pipe", 8, 10000, BENCH_LATENCY, &bench_bounce, pipe_busy },
	{ "round trip, busy", "UNIX socket", 8, 5000, BENCH_LATENCY, &bench_bounce, socket_busy },
	{ "round trip, busy", "pipe", 64, 10000, BENCH_LATENCY, &bench_bounce, pipe_busy },
	{ "round trip, busy", "UNIX socket", 64, 5000, BENCH_LATENCY, &bench_bounce, socket_busy },
	{ "one way", "pipe", 8, 100000, BENCH_RATE, &bench_memcpy, pipe_one_way },
	{ "one way", "UNIX socket", 8, 50000, BENCH_RATE, &bench_memcpy, socket_one_way },
	{ "one way", "pipe", 64, 100000, BENCH_RATE, &bench_memcpy, pipe_one_way },
	{ "one way", "UNIX socket", 64, 50000, BENCH_RATE, &bench_memcpy, socket_one_way },
	{ "one way", "pipe", 4096, 20000, BENCH_RATE, &bench_memcpy, pipe_one_way },
	{ "one way", "UNIX socket", 4096, 20000, BENCH_RATE, &bench_memcpy, socket_one_way },
	{ "round trip, blocking", "futex pair", 8, 1000, BENCH_LATENCY, &bench_futex,
	  futex_round_trip },
	{ "round trip, blocking", "pipe", 8, 1000, BENCH_LATENCY, &bench_futex, pipe_blocking },
	{ "round trip, blocking", "UNIX socket", 8, 1000, BENCH_LATENCY, &bench_futex,
	  socket_blocking },
	{ "wake a sleeper", "futex pair", 8, 20, BENCH_LATENCY, &bench_futex_wake, futex_wake_run },
	{ "wake a sleeper", "pipe", 8, 20, BENCH_LATENCY, &bench_futex_wake, pipe_wake },
	{ "peer's death seen", "pipe", 0, DEATH_COUNT, BENCH_LATENCY, NULL, pipe_death },
	{ 0 },
};
