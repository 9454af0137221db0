/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn cat ADDRESS... - the bytes of shared memory, as they are. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli.h"
#include "cmds.h"
#include "target.h"

enum { CHUNK = 1 << 20 };

static const struct cli_opt cat_opts[] = {
	{ 0, "offset", "OFFSET", "begin there, as 4096, 64K or 0x1000; 0 if not given" },
	{ 0, "length", "LENGTH", "so many bytes at most; to the end if not given" },
	{ 0, "force", NULL, "write to a terminal too" },
	{ 0 },
};

struct cat {
	struct cli *cli;
	struct tarn_host *host;
	struct tarn_region_opts opts;
	struct target_range range;
	char *buf; /* CHUNK bytes */
};

static int copy(struct cat *cat, const char *text, const struct target *target, uint64_t off,
		uint64_t end)
{
	while (off < end) {
		uint64_t want = end - off < CHUNK ? end - off : CHUNK;
		int64_t n = tarn_host_read(cat->host, target->segment, target->off + off, cat->buf,
					   want, &cat->cli->diag);

		if (n < 0)
			return cli_fail(cat->cli, text, (int)n);
		if (n > 0 && fwrite(cat->buf, 1, (size_t)n, stdout) != (size_t)n)
			return CLI_FAILURE; /* cli_finish() says why */
		off += (uint64_t)n;
		if ((uint64_t)n < want && off < end)
			return cli_error(cat->cli,
					 "%s: it was made shorter meanwhile, and ends at 0x%" PRIx64
					 " instead of 0x%" PRIx64,
					 text, off, end);
	}
	return CLI_OK;
}

static int cat_one(struct cat *cat, const char *text)
{
	struct target target;
	uint64_t off, end;
	int code = target_find(cat->cli, cat->host, text, &cat->opts, &target);

	if (code != CLI_OK)
		return code;
	if (!target_cut(cat->cli, text, &target, &cat->range, &off, &end))
		return CLI_FAILURE;
	return copy(cat, text, &target, off, end);
}

static int cat_run(struct cli *cli)
{
	struct cat cat = { .cli = cli };
	int worst;

	if (!look_opts(cli, &cat.opts) || !target_range(cli, &cat.range))
		return CLI_USAGE;
	if (isatty(STDOUT_FILENO) && !cli_given(cli, "force")) {
		cli_error(cli, "standard output is a terminal, which these bytes may upset");
		cli_hint("send them to a file or a pipe, look with tarn hexdump, or say --force");
		return CLI_USAGE;
	}
	cat.buf = malloc(CHUNK);
	if (cat.buf == NULL)
		return cli_error(cli, "out of memory");
	worst = target_scan(cli, 0, &cat.host);
	for (int i = 0; i < cli->argc && cat.host != NULL && !ferror(stdout); i++)
		worst = cli_worse(worst, cat_one(&cat, cli->argv[i]));
	tarn_host_free(cat.host);
	free(cat.buf);
	return worst;
}

static const struct cli_example cat_examples[] = {
	{ "tarn cat shm:frames >frames.bin", "the whole of it, into a file" },
	{ "tarn cat sysv:#5 --offset 64K --length 4K | xxd", "a part" },
	{ "tarn cat memfd:4711:5 | sha256sum", "what another process has open without a name" },
	{ 0 },
};

static const struct cli_exit_note cat_exits[] = {
	{ 1, "it was made shorter while it was read, or ends before --offset" },
	{ 2, "the command line is wrong, or standard output is a terminal" },
	{ 3, "there is no such segment or object" },
	{ 4, "it may not be read" },
	{ 0 },
};

const struct cli_cmd cmd_cat = {
	.name = "cat",
	.args = "ADDRESS[/OBJECT]...",
	.summary = "write the bytes of shared memory to standard output",
	.about =
		"Copies the bytes of each segment, whatever its kind and whoever made it, or of an "
		"object of a region. They are read through the kernel, so that a process that "
		"makes the segment shorter meanwhile is an error and no crash; what others write "
		"meanwhile may be there in part.\n\n"
		"Nothing is changed. A System V segment that no process has attached which this "
		"user may look into is attached for the time of reading; to read a hole of memory "
		"that only mappings lead to gives it a page.",
	.operand = "region",
	.opts = cat_opts,
	.examples = cat_examples,
	.exits = cat_exits,
	.groups = CLI_GROUP_OPEN,
	.arg_min = 1,
	.arg_max = -1,
	.run = cat_run,
};
