/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * listen - print the lines that `talk` sends under the same name, read in place, without a copy.
 *
 *     listen NAME
 *
 * Ends with 0 when talk has come to the end of its input, with 1 when it was killed.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

static int listen_to(struct tarn_ring *ring)
{
	for (;;) {
		const void *line;
		size_t size;
		int r = tarn_ring_peek_wait(ring, TARN_FOREVER, &line, &size);

		if (r < 0)
			return r;
		fwrite(line, 1, size, stdout);
		fflush(stdout);
		r = tarn_ring_release(ring, 1);
		if (r < 0)
			return r;
	}
}

int main(int argc, char **argv)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts region_opts = {
		.size = 128 << 10,
		.flags = TARN_REGION_CREATE | TARN_REGION_EPHEMERAL,
		.diag = &diag,
	};
	const struct tarn_ring_opts ring_opts = { .capacity = 64 << 10, .diag = &diag };
	struct tarn_region *region = NULL;
	struct tarn_ring *ring = NULL;
	int r;

	if (argc != 2) {
		fprintf(stderr, "usage: listen NAME\n");
		return 2;
	}
	r = tarn_region_open(argv[1], &region_opts, &region);
	if (r == 0)
		r = tarn_ring_open(region, "lines", TARN_RING_CONSUMER, &ring_opts, &ring);
	if (r == 0)
		r = tarn_ring_wait_peer(ring, TARN_FOREVER);
	if (r == 0)
		r = listen_to(ring);
	tarn_ring_close(ring);
	tarn_region_close(region);
	if (r == -ENODATA)
		return 0; /* the end of the stream */
	if (r == -EPIPE)
		fprintf(stderr, "listen: the talker died\n");
	else
		fprintf(stderr, "listen: %s\n", diag.what[0] != '\0' ? diag.what : strerror(-r));
	return 1;
}
