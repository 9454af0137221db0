/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn hexdump ADDRESS - the bytes of shared memory for the eye, as hexdump -C has them. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "cmds.h"
#include "target.h"

enum { LINE = 16, CHUNK = 1 << 20 };

static const struct cli_opt hexdump_opts[] = {
	{ 0, "offset", "OFFSET", "begin there, as 4096, 64K or 0x1000; 0 if not given" },
	{ 0, "length", "LENGTH", "so many bytes at most; to the end if not given" },
	{ 'v', "no-squeezing", NULL, "print every line, those too that are like the one before" },
	{ 0 },
};

/* A stretch that reads as zeros. */
struct hole {
	uint64_t off, end; /* of the segment */
};

struct dump {
	struct cli *cli;
	struct tarn_host *host;
	struct target target;
	bool all; /* squeeze nothing */
	unsigned char *buf;
	unsigned char before[LINE]; /* the line before */
	bool repeating;             /* "*" stands for lines like it */
	bool begun;
	struct hole *holes;
	size_t hole_count, hole_room;
};

static void print_line(uint64_t off, const unsigned char *bytes, size_t count)
{
	static const char digits[] = "0123456789abcdef";
	char text[3 * LINE + 2], plain[LINE + 1];
	char *p = text;

	for (size_t i = 0; i < LINE; i++) {
		if (i == LINE / 2)
			*p++ = ' ';
		*p++ = ' ';
		*p++ = i < count ? digits[bytes[i] >> 4] : ' ';
		*p++ = i < count ? digits[bytes[i] & 15] : ' ';
	}
	*p = '\0';
	for (size_t i = 0; i < count; i++)
		plain[i] = bytes[i] >= 0x20 && bytes[i] < 0x7f ? (char)bytes[i] : '.';
	plain[count] = '\0';
	printf("%08" PRIx64 " %s  |%s|\n", off, text, plain);
}

static void put_line(struct dump *dump, uint64_t off, const unsigned char *bytes, size_t count)
{
	if (!dump->all && dump->begun && count == LINE && memcmp(bytes, dump->before, LINE) == 0) {
		if (!dump->repeating)
			puts("*");
		dump->repeating = true;
		return;
	}
	dump->repeating = false;
	dump->begun = true;
	memcpy(dump->before, bytes, count);
	print_line(off, bytes, count);
}

/* --- holes --------------------------------------------------------------------------------- */

static int add_hole(const struct tarn_host_extent *extent, void *arg)
{
	struct dump *dump = arg;

	if (extent->kind != TARN_EXTENT_HOLE && extent->kind != TARN_EXTENT_RESERVED)
		return 0;
	if (dump->hole_count == dump->hole_room) {
		size_t room = dump->hole_room == 0 ? 64 : dump->hole_room * 2;
		struct hole *grown = realloc(dump->holes, room * sizeof(*grown));

		if (grown == NULL)
			return 1; /* then the rest is read */
		dump->holes = grown;
		dump->hole_room = room;
	}
	dump->holes[dump->hole_count++] =
		(struct hole){ .off = extent->off, .end = extent->off + extent->size };
	return 0;
}

/* Where reading goes on behind @off, of which lines of zeros were the last: behind the hole that it
 * lies in, in whole lines. */
static uint64_t skip_hole(const struct dump *dump, uint64_t off, uint64_t end)
{
	static const unsigned char zeros[LINE];
	uint64_t at = dump->target.off + off, to = off;

	if (dump->all || !dump->repeating || memcmp(dump->before, zeros, LINE) != 0)
		return off;
	for (size_t i = 0; i < dump->hole_count; i++)
		if (at >= dump->holes[i].off && at < dump->holes[i].end)
			to = dump->holes[i].end - dump->target.off;
	to = to < end ? to : end;
	return off + (to - off) / LINE * LINE;
}

/* --- all ----------------------------------------------------------------------------------- */

static int dump_range(struct dump *dump, const char *text, uint64_t off, uint64_t end)
{
	uint64_t first = off;

	while (off < end && !ferror(stdout)) {
		uint64_t want = end - off < CHUNK ? end - off : CHUNK;
		int64_t n = tarn_host_read(dump->host, dump->target.segment, dump->target.off + off,
					   dump->buf, want, &dump->cli->diag);

		if (n < 0)
			return cli_fail(dump->cli, text, (int)n);
		for (uint64_t i = 0; i < (uint64_t)n; i += LINE)
			put_line(dump, off + i, dump->buf + i,
				 (uint64_t)n - i < LINE ? (size_t)((uint64_t)n - i) : LINE);
		off += (uint64_t)n;
		if ((uint64_t)n < want) {
			printf("%08" PRIx64 "\n", off);
			return cli_error(dump->cli,
					 "%s: it was made shorter meanwhile, and ends at 0x%" PRIx64
					 " instead of 0x%" PRIx64,
					 text, off, end);
		}
		off = skip_hole(dump, off, end);
	}
	if (end > first)
		printf("%08" PRIx64 "\n", end);
	return CLI_OK;
}

static int hexdump_run(struct cli *cli)
{
	struct dump dump = { .cli = cli, .all = cli_given(cli, "no-squeezing") };
	const char *text = cli->argv[0];
	struct tarn_region_opts opts;
	struct target_range range;
	uint64_t off, end;
	int code;

	if (!look_opts(cli, &opts) || !target_range(cli, &range))
		return CLI_USAGE;
	dump.buf = malloc(CHUNK);
	if (dump.buf == NULL)
		return cli_error(cli, "out of memory");
	code = target_scan(cli, 0, &dump.host);
	if (code == CLI_OK)
		code = target_find(cli, dump.host, text, &opts, &dump.target);
	if (code == CLI_OK && !target_cut(cli, text, &dump.target, &range, &off, &end))
		code = CLI_FAILURE;
	else if (code == CLI_OK) {
		/* only to be quicker: without it everything is read */
		if (!dump.all && end - off > CHUNK)
			(void)!tarn_host_extents(dump.host, dump.target.segment, add_hole, &dump,
						 NULL);
		code = dump_range(&dump, text, off, end);
	}
	tarn_host_free(dump.host);
	free(dump.holes);
	free(dump.buf);
	return code;
}

static const struct cli_example hexdump_examples[] = {
	{ "tarn hexdump shm:frames --length 256", "its first bytes" },
	{ "tarn hexdump frames/config", "an object of a region" },
	{ "tarn hexdump map:4711:0x7f3a10c00000 --offset 0x1000 --length 4K",
	  "a page of what process 4711 has mapped there" },
	{ 0 },
};

static const struct cli_exit_note hexdump_exits[] = {
	{ 1, "it was made shorter while it was read, or ends before --offset" },
	{ 3, "there is no such segment or object" },
	{ 4, "it may not be read" },
	{ 0 },
};

const struct cli_cmd cmd_hexdump = {
	.name = "hexdump",
	.args = "ADDRESS[/OBJECT]",
	.summary = "show the bytes of shared memory in hexadecimal",
	.about = "Prints what hexdump -C prints: the offset, 16 bytes, and what of them is text; * "
		 "stands for lines like the one before. Offsets count from the first byte of the "
		 "segment, or of the object.\n\n"
		 "Reading is as safe as with tarn cat. Holes are not read, so that a large sparse "
		 "segment takes no longer than what it holds.",
	.operand = "region",
	.opts = hexdump_opts,
	.examples = hexdump_examples,
	.exits = hexdump_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = 1,
	.run = hexdump_run,
};
