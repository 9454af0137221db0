/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * hello - a text in shared memory of any kind, by one address.
 *
 *     hello write ADDRESS TEXT     makes a segment of 4096 bytes
 *     hello read ADDRESS           prints the text
 *     hello remove ADDRESS
 *
 * where ADDRESS is shm:NAME, sysv:PATH,ID (as ftok()), sysv:0xKEY, file:PATH, or huge:NAME.
 *
 * There is no header in a segment: plain.c, which calls shm_open() or shmget(), reads what this has
 * written, and the other way round. Memory is reserved before the name appears, the mode is
 * 0600 whatever the umask, and what belongs to another user, or may be written by others, is
 * refused with a hint, unless it is asked for.
 */
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

static int write_text(const char *addr, const char *text, struct tarn_diag *diag)
{
	const struct tarn_segment_opts opts = { .size = 4096, .diag = diag };
	struct tarn_segment *seg;
	int r = tarn_segment_create(addr, &opts, &seg);

	if (r < 0)
		return r;
	snprintf(tarn_segment_data(seg), tarn_segment_size(seg), "%s", text);
	tarn_segment_close(seg);
	return 0;
}

static int read_text(const char *addr, struct tarn_diag *diag)
{
	const struct tarn_segment_opts opts = { .flags = TARN_SEGMENT_READ_ONLY, .diag = diag };
	struct tarn_segment *seg;
	int r = tarn_segment_open(addr, &opts, &seg);

	if (r < 0)
		return r;
	/* Whoever wrote it may have left out the NUL: the size bounds what is printed. */
	printf("%.*s\n", (int)tarn_segment_size(seg), (const char *)tarn_segment_data(seg));
	tarn_segment_close(seg);
	return 0;
}

int main(int argc, char **argv)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_segment_opts opts = { .diag = &diag };
	int r;

	if (argc == 4 && strcmp(argv[1], "write") == 0)
		r = write_text(argv[2], argv[3], &diag);
	else if (argc == 3 && strcmp(argv[1], "read") == 0)
		r = read_text(argv[2], &diag);
	else if (argc == 3 && strcmp(argv[1], "remove") == 0)
		r = tarn_segment_remove(argv[2], &opts);
	else
		return fprintf(stderr, "usage: hello write|read|remove ADDRESS [TEXT]\n"), 2;
	if (r < 0)
		fprintf(stderr, "hello: %s (%s)\nhint: %s\n", diag.what, strerror(-r), diag.hint);
	return r < 0;
}
