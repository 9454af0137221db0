/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program that knows of Tarn what is installed, and nothing else: it sends itself one record
 * through a ring, and prints the version it was compiled with and the one it runs with.
 */
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

static int round_trip(struct tarn_region *region)
{
	const struct tarn_ring_opts opts = { .capacity = 4096 };
	struct tarn_ring *producer = NULL, *consumer = NULL;
	char text[16];
	size_t size = 0;
	int r = tarn_ring_open(region, "words", TARN_RING_PRODUCER, &opts, &producer);

	if (r == 0)
		r = tarn_ring_open(region, "words", TARN_RING_CONSUMER, NULL, &consumer);
	if (r == 0)
		r = tarn_ring_push(producer, "hello", 6);
	if (r == 0)
		r = tarn_ring_pop(consumer, text, sizeof(text), &size);
	if (r == 0 && (size != 6 || strcmp(text, "hello") != 0))
		r = -1;
	tarn_ring_close(consumer);
	tarn_ring_close(producer);
	return r;
}

int main(void)
{
	struct tarn_region *region = NULL;
	int r = tarn_region_create("anon:", NULL, &region);

	if (r == 0)
		r = round_trip(region);
	tarn_region_close(region);
	if (r != 0) {
		fprintf(stderr, "consumer: %d\n", r);
		return 1;
	}
	printf("%s %s\n", TARN_VERSION, tarn_version());
	return 0;
}
