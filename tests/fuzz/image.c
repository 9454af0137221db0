/* SPDX-License-Identifier: BSD-2-Clause */
/* image.c - make the image, and walk through the calls. See image.h. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/tarn.h>

#include "image.h"

enum { RING_CAPACITY = 4096, ROUNDS = 64 };

static void must(const char *what, int r)
{
	if (r < 0) {
		fprintf(stderr, "fuzz: %s: %s\n", what, strerror(-r));
		abort();
	}
}

/* --- the image ------------------------------------------------------------------------------- */

static void fill(struct tarn_region *region)
{
	const struct tarn_ring_opts opts = { .capacity = RING_CAPACITY };
	struct tarn_ring *ring;
	void *data;

	must("ring", tarn_ring_open(region, "ring", TARN_RING_PRODUCER, &opts, &ring));
	for (size_t i = 0; i < 30; i++)
		must("push", tarn_ring_push(ring, "0123456789abcdefghijklmnopqrstuvwxyz", i));
	tarn_ring_close(ring);
	must("bytes", tarn_object_create(region, "bytes", 100, &data, NULL));
	memset(data, 'x', 100);
	tarn_object_close(region, data);
	must("gone", tarn_object_create(region, "gone", 200, &data, NULL));
	must("gone", tarn_object_remove(region, "gone")); /* held until this process ends */
}

/* Filled by a process that dies in the middle of its membership. */
static int make_file(void)
{
	const struct tarn_region_opts opts = {
		.size = IMAGE_HEAP,
		.member_max = IMAGE_MEMBERS,
		.object_max = IMAGE_OBJECTS,
	};
	struct tarn_region *region;
	int fd, status;

	must("region", tarn_region_create("memfd:fuzz", &opts, &region));
	fd = dup(tarn_segment_fd(tarn_region_segment(region)));
	tarn_region_close(region);

	pid_t child = fork();

	if (child == 0) {
		must("join", tarn_region_open_fd(fd, NULL, &region));
		fill(region);
		kill(getpid(), SIGKILL);
	}
	if (child < 0 || waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		abort();
	return fd;
}

static size_t find_ring(const unsigned char *bytes)
{
	for (size_t off = IMAGE_HEAP_OFF; off < IMAGE_SIZE; off += 64) {
		if (memcmp(bytes + off, "Ring", 4) == 0)
			return off;
	}
	abort();
}

void image_make(struct image *ret_image)
{
	int fd = make_file();

	if (lseek(fd, 0, SEEK_END) != IMAGE_SIZE ||
	    pread(fd, ret_image->bytes, IMAGE_SIZE, 0) != IMAGE_SIZE)
		abort();
	close(fd);
	ret_image->ring_off = find_ring(ret_image->bytes);
	ret_image->entry_used = 3;
}

int image_file(void)
{
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	if (fd < 0 || fchmod(fd, 0600) != 0 || ftruncate(fd, IMAGE_SIZE) != 0)
		abort();
	return fd;
}

void image_store(int fd, const void *bytes, size_t size)
{
	if (ftruncate(fd, (off_t)size) != 0 || pwrite(fd, bytes, size, 0) != (ssize_t)size)
		abort();
}

/* --- the walk -------------------------------------------------------------------------------- */

static const int documented[] = { ENOENT,  EINVAL,  EEXIST,    EBUSY,    EPROTO,    ENOSPC, ENFILE,
				  EPERM,   EUCLEAN, EUSERS,    EMSGSIZE, EAGAIN,    EPIPE,  ENODATA,
				  ENOBUFS, ENOMEM,  ETIMEDOUT, EIO,      EOPNOTSUPP };

/* Any other error ends the test where it is. */
static int judge(int r)
{
	if (r >= 0)
		return r;
	for (size_t i = 0; i < sizeof(documented) / sizeof(*documented); i++) {
		if (-r == documented[i])
			return r;
	}
	fprintf(stderr, "fuzz: error %d, which no header names\n", r);
	abort();
}

static uint64_t sink;

static void read_all(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		sink += bytes[i];
}

static int see_member(const struct tarn_member_stat *stat, void *arg)
{
	(void)arg;
	sink += strlen(stat->comm);
	return 0;
}

static int see_object(const struct tarn_object_stat *stat, void *arg)
{
	(void)arg;
	sink += strlen(stat->name);
	return 0;
}

static void see_finding(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	sink += strlen(finding->where) + strlen(finding->field) + strlen(finding->rule);
}

static void consume(struct tarn_region *region)
{
	struct tarn_ring *ring;
	struct tarn_buf bufs[4];
	char buf[64];
	size_t size, count;

	if (judge(tarn_ring_open(region, "ring", TARN_RING_CONSUMER, NULL, &ring)) < 0)
		return;
	if (judge(tarn_ring_peek_batch(ring, bufs, 4, &count)) == 0) {
		for (size_t i = 0; i < count; i++)
			read_all(bufs[i].data, bufs[i].size);
		(void)judge(tarn_ring_release(ring, 1));
	}
	for (int i = 0; i < ROUNDS; i++) {
		if (judge(tarn_ring_pop(ring, buf, sizeof(buf), &size)) < 0)
			break;
		read_all(buf, size);
	}
	(void)judge(tarn_ring_pop_wait(ring, buf, sizeof(buf), 0, &size));
	tarn_ring_close(ring);
}

static int produce(struct tarn_region *region)
{
	struct tarn_ring_stat stat;
	struct tarn_ring *ring;
	void *data;
	int r = judge(tarn_ring_open(region, "ring", TARN_RING_PRODUCER, NULL, &ring));

	if (r < 0)
		return r;
	for (int i = 0; i < ROUNDS; i++) {
		if (judge(tarn_ring_push(ring, "a record for the ring", 21)) < 0)
			break;
	}
	if (judge(tarn_ring_reserve(ring, 300, &data)) == 0) {
		memset(data, 'r', 300);
		(void)judge(tarn_ring_commit(ring, 150));
	}
	(void)judge(tarn_ring_push_wait(ring, "late", 4, 0));
	(void)judge(tarn_ring_stat(ring, &stat));
	tarn_ring_close(ring);
	return 0;
}

static void use_bytes(struct tarn_region *region)
{
	struct tarn_diag diag;
	uint64_t size;
	void *data;

	if (judge(tarn_object_open(region, "bytes", &data, &size)) == 0) {
		read_all(data, size);
		memset(data, 'y', size);
		tarn_object_close(region, data);
	}
	if (judge(tarn_object_create(region, "new", 500, &data, &diag)) == 0) {
		read_all(data, 500);
		tarn_object_close(region, data);
	}
	(void)judge(tarn_object_remove(region, "bytes"));
}

static void look_round(struct tarn_region *region)
{
	struct tarn_region_stat stat;

	(void)judge(tarn_region_stat(region, &stat));
	(void)judge(tarn_region_members(region, see_member, NULL));
	(void)judge(tarn_region_objects(region, see_object, NULL));
}

int image_open(int fd, bool observe, struct tarn_diag *diag)
{
	const struct tarn_region_opts opts = {
		.flags = observe ? TARN_REGION_OBSERVE : 0,
		.diag = diag,
	};
	struct tarn_region *region;
	int r = judge(tarn_region_open_fd(fd, &opts, &region));

	if (r == 0)
		tarn_region_close(region);
	return r;
}

static void observe(int fd, struct walk *walk)
{
	const struct tarn_region_opts opts = {
		.flags = TARN_REGION_OBSERVE,
		.diag = &walk->diag,
	};
	struct tarn_region *region;
	struct tarn_ring_stat stat;
	struct tarn_ring *ring;

	walk->observed = judge(tarn_region_open_fd(fd, &opts, &region));
	if (walk->observed < 0)
		return;
	look_round(region);
	(void)judge(tarn_region_check(region, see_finding, NULL));
	if (judge(tarn_ring_open(region, "ring", TARN_RING_OBSERVER, NULL, &ring)) == 0) {
		(void)judge(tarn_ring_stat(ring, &stat));
		tarn_ring_close(ring);
	}
	tarn_region_close(region);
}

void image_walk(int fd, struct walk *ret_walk)
{
	const struct tarn_region_opts opts = { .diag = &ret_walk->diag };
	struct tarn_region *region;

	memset(ret_walk, 0, sizeof(*ret_walk));
	observe(fd, ret_walk);
	ret_walk->opened = judge(tarn_region_open_fd(fd, &opts, &region));
	if (ret_walk->opened < 0)
		return;
	ret_walk->checked = judge(tarn_region_check(region, see_finding, NULL));
	look_round(region);
	use_bytes(region);
	ret_walk->ring_opened = produce(region);
	consume(region);
	(void)judge(tarn_region_gc(region, NULL));
	(void)judge(tarn_region_grow(region, IMAGE_HEAP + 4096, NULL));
	(void)judge(tarn_region_check(region, see_finding, NULL));
	tarn_region_close(region);
}
