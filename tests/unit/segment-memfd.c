/* SPDX-License-Identifier: BSD-2-Clause */
/* memfds: seals, looking at another process's, and handing segments over sockets. */
#include <sys/socket.h>
#include <sys/un.h>

#include "segment.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static const struct tarn_segment_opts small = { .size = 10000 };

enum { SHUT = F_SEAL_SHRINK | F_SEAL_GROW };

/* --- seals ----------------------------------------------------------------------------------- */

static void seals_are_in_force_from_the_start(void **state)
{
	struct tarn_segment_opts opts = { .size = 4096,
					  .max_size = 8192,
					  .seals = SHUT | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL };
	struct tarn_segment *seg = created(own_name("memfd:", "sealed"), &opts);
	struct tarn_segment_stat stat;
	struct tarn_diag diag;

	(void)state;
	*(char *)tarn_segment_data(seg) = 1; /* the mapping of before goes on */
	assert_int_equal(ftruncate(tarn_segment_fd(seg), 0), -1);
	assert_int_equal(tarn_segment_grow(seg, 8192, &diag), -EPERM);
	assert_non_null(strstr(diag.what, "F_SEAL_GROW"));
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, tarn_segment_fd(seg), 0),
			 MAP_FAILED);
	assert_int_equal(tarn_segment_seal(seg, F_SEAL_WRITE), -EPERM);
	assert_int_equal(tarn_segment_stat(seg, &stat), 0);
	assert_int_equal(stat.seals & opts.seals, opts.seals);
	tarn_segment_close(seg);
}

static void seals_can_be_added_where_they_fit(void **state)
{
	struct tarn_segment *seg = created("anon:", &small), *shm;

	(void)state;
	assert_int_equal(tarn_segment_seal(seg, F_SEAL_WRITE), -EBUSY);
	assert_int_equal(tarn_segment_seal(seg, SHUT), 0);
	assert_int_equal(tarn_segment_seal(seg, 0), -EINVAL);
	assert_int_equal(tarn_segment_seal(seg, 0x40), -EINVAL);
	tarn_segment_close(seg);
	shm = created(own_name("shm:", "noseal"), &small);
	assert_int_equal(tarn_segment_seal(shm, SHUT), -EINVAL);
	assert_int_equal(tarn__segment_unname(shm), 0);
	tarn_segment_close(shm);
	create_fails(own_name("shm:", "noseal"),
		     &(struct tarn_segment_opts){ .size = 1, .seals = SHUT }, -EINVAL, "memfd");
	/* what cannot be sealed as asked is not there at all */
	create_fails("anon:", &(struct tarn_segment_opts){ .size = 1, .seals = F_SEAL_WRITE },
		     -EBUSY, "F_SEAL_WRITE");
}

/* --- by descriptor --------------------------------------------------------------------------- */

static struct tarn_segment *adopted(int fd, const struct tarn_segment_opts *opts, int error)
{
	struct tarn_segment_opts with = *opts;
	struct tarn_diag diag = { "", "" };
	struct tarn_segment *seg = NULL;
	int r;

	with.diag = &diag;
	r = tarn_segment_open_fd(fd, &with, &seg);
	if (r != error)
		fail_msg("%d, not %d; %s (%s)", r, error, diag.what, diag.hint);
	assert_true((r == 0) == (seg != NULL));
	return seg;
}

static void descriptors_are_duplicated_and_their_kind_is_known(void **state)
{
	const char *addr[] = { own_name("shm:", "fd"), own_name("file:/tmp/", "fd"),
			       own_name("memfd:", "fd") };
	static const uint32_t kinds[] = { TARN_SEGMENT_POSIX, TARN_SEGMENT_FILE,
					  TARN_SEGMENT_MEMFD };

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		struct tarn_segment *seg = created(addr[i], &small);
		struct tarn_segment *view = adopted(tarn_segment_fd(seg), &small, 0);
		struct tarn_segment_stat stat;

		assert_int_not_equal(tarn_segment_fd(view), tarn_segment_fd(seg));
		assert_true((fcntl(tarn_segment_fd(view), F_GETFD) & FD_CLOEXEC) != 0);
		assert_int_equal(tarn_segment_stat(view, &stat), 0);
		assert_int_equal(stat.kind, kinds[i]);
		assert_int_equal(tarn__segment_unname(view), -ENOENT);
		(void)!tarn__segment_unname(seg);
		tarn_segment_close(seg);
		*(char *)tarn_segment_data(view) = 1;
		tarn_segment_close(view);
	}
}

static void descriptors_that_are_no_memory_are_refused(void **state)
{
	int fds[2], fd;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	adopted(fds[0], &small, -EINVAL);
	adopted(-1, &small, -EBADF);
	adopted(9999, &small, -EBADF);
	close(fds[0]);
	close(fds[1]);
	fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	adopted(fd, &small, -EINVAL);
	close(fd);
	fd = open("/dev/zero", O_RDWR);
	adopted(fd, &small, -EINVAL);
	close(fd);
}

static void seals_can_be_demanded(void **state)
{
	struct tarn_segment_opts demand = { .seals = SHUT };
	struct tarn_segment *seg = created("anon:", &small);

	(void)state;
	adopted(tarn_segment_fd(seg), &demand, -EPERM);
	assert_int_equal(tarn_segment_seal(seg, F_SEAL_SHRINK), 0);
	adopted(tarn_segment_fd(seg), &demand, -EPERM);
	assert_int_equal(tarn_segment_seal(seg, F_SEAL_GROW), 0);
	tarn_segment_close(adopted(tarn_segment_fd(seg), &demand, 0));
	tarn_segment_close(seg);
}

static void another_processes_memfd_can_be_looked_at(void **state)
{
	struct tarn_segment *seg = created(own_name("memfd:", "look"), &small), *view;
	struct tarn_segment_stat stat;
	char addr[64];

	(void)state;
	snprintf(tarn_segment_data(seg), 32, "see");
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), tarn_segment_fd(seg));
	view = opened(addr, NULL);
	assert_string_equal(tarn_segment_data(view), "see");
	assert_int_equal(tarn_segment_stat(view, &stat), 0);
	assert_true(stat.read_only);
	assert_int_equal(tarn_segment_protect(view, 0, 0, true), -EACCES);
	assert_int_equal(mprotect(tarn_segment_data(view), 4096, PROT_WRITE), -1);
	tarn_segment_close(view);
	tarn_segment_close(seg);
	open_fails(addr, NULL, -ENOENT, "/proc/");
	open_fails("memfd:2147483647:0", NULL, -ENOENT, "/proc/");
}

static void a_processes_pipe_is_not_looked_at(void **state)
{
	char addr[64];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	snprintf(addr, sizeof(addr), "memfd:%d:%d", (int)getpid(), fds[0]);
	open_fails(addr, NULL, -EINVAL, "not shared memory");
	close(fds[0]);
	close(fds[1]);
}

/* --- over sockets ---------------------------------------------------------------------------- */

static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET };

static void segments_cross_sockets_with_the_senders_credentials(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct tarn_segment *seg = created("anon:", &small), *got = NULL;
		struct tarn_peer peer = { 0 };
		int pair[2];

		assert_int_equal(socketpair(AF_UNIX, types[i], 0, pair), 0);
		assert_int_equal(tarn_segment_send(pair[0], seg, false), 0);
		/* what follows on the stream stays there */
		assert_int_equal(write(pair[0], "after", 5), 5);
		assert_int_equal(tarn_segment_recv(pair[1], &small, &got, &peer), 0);
		assert_int_equal(peer.pid, getpid());
		assert_int_equal(peer.uid, geteuid());
		assert_int_equal(peer.gid, getegid());
		*(char *)tarn_segment_data(got) = 'x';
		assert_int_equal(*(char *)tarn_segment_data(seg), 'x');
		char buf[8];

		assert_int_equal(read(pair[1], buf, sizeof(buf)), 5);
		tarn_segment_close(got);
		tarn_segment_close(seg);
		close(pair[0]);
		close(pair[1]);
	}
}

static void read_only_descriptors_cannot_be_mapped_for_writing(void **state)
{
	struct tarn_segment_opts look = { .flags = TARN_SEGMENT_READ_ONLY };
	struct tarn_segment *seg = created("anon:", &small), *got = NULL;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(tarn_segment_send(pair[0], seg, true), 0);
	assert_int_equal(tarn_segment_recv(pair[1], &small, &got, NULL), -EACCES);
	assert_null(got);
	assert_int_equal(tarn_segment_send(pair[0], seg, true), 0);
	assert_int_equal(tarn_segment_recv(pair[1], &look, &got, NULL), 0);
	assert_int_equal(fcntl(tarn_segment_fd(got), F_GETFL) & O_ACCMODE, O_RDONLY);
	assert_ptr_equal(mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, tarn_segment_fd(got), 0),
			 MAP_FAILED);
	assert_int_equal(mprotect(tarn_segment_data(got), 4096, PROT_READ | PROT_WRITE), -1);
	*(char *)tarn_segment_data(seg) = 'y';
	assert_int_equal(*(char *)tarn_segment_data(got), 'y');
	tarn_segment_close(got);
	tarn_segment_close(seg);
	close(pair[0]);
	close(pair[1]);
}

/* Send one byte and @count descriptors of @fd, as a plain program would. */
static void send_fds(int sock, int fd, int count)
{
	union {
		char buf[CMSG_SPACE(8 * sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct iovec iov = { .iov_base = (char[]){ "plain" }, .iov_len = 5 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (count > 0) {
		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
		CMSG_FIRSTHDR(&msg)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&msg)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&msg)->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
		for (int i = 0; i < count; i++)
			memcpy(CMSG_DATA(CMSG_FIRSTHDR(&msg)) + (size_t)i * sizeof(int), &fd,
			       sizeof(int));
	}
	assert_int_equal(sendmsg(sock, &msg, 0), 5);
}

static void plain_senders_and_surplus_descriptors_are_taken_well(void **state)
{
	struct tarn_segment *seg = created("anon:", &small), *got = NULL;
	int pair[2], next;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	send_fds(pair[0], tarn_segment_fd(seg), 8);
	next = dup(0);
	close(next);
	assert_int_equal(tarn_segment_recv(pair[1], &small, &got, NULL), 0);
	assert_int_equal(tarn_segment_fd(got), next); /* the first of the eight */
	assert_int_equal(dup(0), next + 1);           /* and the only one left open */
	close(next + 1);
	tarn_segment_close(got);
	tarn_segment_close(seg);
	close(pair[0]);
	close(pair[1]);
}

static void messages_without_a_segment_are_refused(void **state)
{
	struct tarn_segment *got = NULL;
	int pair[2], zero = open("/dev/zero", O_RDWR);

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(tarn_segment_recv(pair[1], NULL, &got, NULL), -EAGAIN);
	send_fds(pair[0], -1, 0);
	assert_int_equal(tarn_segment_recv(pair[1], NULL, &got, NULL), -EPROTO);
	send_fds(pair[0], zero, 1);
	assert_int_equal(tarn_segment_recv(pair[1], NULL, &got, NULL), -EINVAL);
	close(pair[0]);
	assert_int_equal(tarn_segment_recv(pair[1], NULL, &got, NULL), -EPIPE);
	assert_int_equal(tarn_segment_recv(zero, NULL, &got, NULL), -ENOTSOCK);
	assert_null(got);
	close(pair[1]);
	close(zero);
}

static void demands_are_checked_after_receipt(void **state)
{
	struct tarn_segment_opts demand = { .seals = SHUT };
	struct tarn_segment *seg = created("anon:", &small), *got = NULL;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(tarn_segment_send(pair[0], seg, false), 0);
	assert_int_equal(tarn_segment_recv(pair[1], &demand, &got, NULL), -EPERM);
	demand = (struct tarn_segment_opts){ .size = 10001 };
	assert_int_equal(tarn_segment_send(pair[0], seg, false), 0);
	assert_int_equal(tarn_segment_recv(pair[1], &demand, &got, NULL), -EMSGSIZE);
	assert_int_equal(fchmod(tarn_segment_fd(seg), 0666), 0);
	assert_int_equal(tarn_segment_send(pair[0], seg, false), 0);
	assert_int_equal(tarn_segment_recv(pair[1], &small, &got, NULL), -EPERM);
	assert_null(got);
	tarn_segment_close(seg);
	close(pair[0]);
	assert_int_equal(tarn_segment_recv(pair[1], &small, &got, NULL), -EPIPE);
	close(pair[1]);
}

static void sending_to_nobody_is_an_error_not_a_signal(void **state)
{
	struct tarn_segment *seg = created("anon:", &small);
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[1]);
	assert_int_equal(tarn_segment_send(pair[0], seg, false), -EPIPE);
	assert_int_equal(tarn_segment_send(-1, seg, false), -EBADF);
	close(pair[0]);
	tarn_segment_close(seg);
}

/* A child of another user connects to the listening socket @arg and sends. */
static int send_as_stranger(void *arg)
{
	const struct sockaddr_un *name = arg;
	struct tarn_segment *seg = NULL;
	int sock = socket(AF_UNIX, SOCK_STREAM, 0);

	if (setresgid(12345, 12345, 12345) < 0 || setresuid(12345, 12345, 12345) < 0)
		return 1;
	if (connect(sock, (const struct sockaddr *)name, sizeof(*name)) < 0)
		return 2;
	if (tarn_segment_create("anon:", &small, &seg) < 0)
		return 3;
	return tarn_segment_send(sock, seg, false) == 0 ? 0 : 4;
}

static void strangers_segments_are_taken_only_where_they_are_named(void **state)
{
	struct tarn_segment_opts named = { .flags = TARN_SEGMENT_OWNER, .owner = 12345 };
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	struct tarn_segment *got = NULL;
	struct tarn_peer peer = { 0 };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), sock;

	(void)state;
	if (geteuid() != 0)
		SKIP_BECAUSE("only root can become another user");
	snprintf(name.sun_path, sizeof(name.sun_path), "%.100s", own_name("/tmp/", "sock"));
	assert_int_equal(bind(listener, (struct sockaddr *)&name, sizeof(name)), 0);
	assert_int_equal(chmod(name.sun_path, 0666), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(in_child(send_as_stranger, &name), 0);
	sock = accept(listener, NULL, NULL);
	assert_int_equal(tarn_segment_recv(sock, NULL, &got, &peer), -EPERM);
	assert_int_equal(peer.uid, 0);
	/* nothing was taken: it is still there for who names the sender */
	assert_int_equal(tarn_segment_recv(sock, &named, &got, &peer), 0);
	assert_int_equal(peer.uid, 12345);
	tarn_segment_close(got);
	close(sock);
	close(listener);
	unlink(name.sun_path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(seals_are_in_force_from_the_start),
		cmocka_unit_test(seals_can_be_added_where_they_fit),
		cmocka_unit_test(descriptors_are_duplicated_and_their_kind_is_known),
		cmocka_unit_test(descriptors_that_are_no_memory_are_refused),
		cmocka_unit_test(seals_can_be_demanded),
		cmocka_unit_test(another_processes_memfd_can_be_looked_at),
		cmocka_unit_test(a_processes_pipe_is_not_looked_at),
		cmocka_unit_test(segments_cross_sockets_with_the_senders_credentials),
		cmocka_unit_test(read_only_descriptors_cannot_be_mapped_for_writing),
		cmocka_unit_test(plain_senders_and_surplus_descriptors_are_taken_well),
		cmocka_unit_test(messages_without_a_segment_are_refused),
		cmocka_unit_test(demands_are_checked_after_receipt),
		cmocka_unit_test(sending_to_nobody_is_an_error_not_a_signal),
		cmocka_unit_test(strangers_segments_are_taken_only_where_they_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
