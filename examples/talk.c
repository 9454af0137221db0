/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * talk - read lines and send each as a record to whoever runs `listen` on the same name.
 *
 *     talk NAME <lines
 *
 * Either may start first. Kill the listener and start another: it goes on where the dead one
 * stopped, and talk waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

static int complain(const char *what, int r, const struct tarn_diag *diag)
{
	fprintf(stderr, "talk: %s: %s\n", what, diag->what[0] != '\0' ? diag->what : strerror(-r));
	if (diag->hint[0] != '\0')
		fprintf(stderr, "hint: %s\n", diag->hint);
	return 1;
}

/* Send until the input ends. A dead listener is no error: the next one takes over. */
static int talk(struct tarn_ring *ring)
{
	char line[1024];

	while (fgets(line, sizeof(line), stdin) != NULL) {
		int r;

		while ((r = tarn_ring_push_wait(ring, line, strlen(line), TARN_FOREVER)) ==
		       -EPIPE) {
			r = tarn_ring_wait_peer(ring, TARN_FOREVER);
			if (r < 0)
				return r;
		}
		if (r < 0)
			return r;
	}
	return tarn_ring_finish(ring);
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
		fprintf(stderr, "usage: talk NAME\n");
		return 2;
	}
	r = tarn_region_open(argv[1], &region_opts, &region);
	if (r < 0)
		return complain(argv[1], r, &diag);
	r = tarn_ring_open(region, "lines", TARN_RING_PRODUCER, &ring_opts, &ring);
	if (r == 0)
		r = tarn_ring_wait_peer(ring, TARN_FOREVER);
	if (r == 0)
		r = talk(ring);
	tarn_ring_close(ring);
	tarn_region_close(region);
	return r < 0 ? complain("lines", r, &diag) : 0;
}
