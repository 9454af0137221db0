/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn create NAME - make a region. */

#include <stdio.h>
#include <string.h>

#include <tarn/region.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"

static const struct cli_opt create_opts[] = {
	{ 's', "size", "SIZE", "bytes for objects, such as 64M; 1M if not given" },
	{ 0, "max-size", "SIZE", "how large it may ever grow; as --size if not given" },
	{ 0, "mode", "MODE", "permission bits in octal, whatever the umask; 0600 if not given" },
	{ 0, "members", "N", "how many processes may be in it at once; 256 if not given" },
	{ 0, "objects", "N", "how many objects it may hold; 256 if not given" },
	{ 0, "pages", "2M|1G|thp",
	  "huge pages, or failure: explicit ones with huge:NAME, "
	  "sysv:... and memfd:NAME; transparent ones with all" },
	{ 0, "try", NULL, "take ordinary pages where those of --pages cannot be had" },
	{ 0, "ephemeral", NULL, "it goes when the last process that has opened it leaves" },
	{ 'q', "quiet", NULL, "do not say what was made" },
	{ 'J', "json", NULL, "print JSON, see tarn-json(5)" },
	{ 0 },
};

static const struct out_col create_cols[] = {
	{ "name", "NAME", OUT_TEXT, "the address under which it can be opened", false },
	{ "size_bytes", "SIZE", OUT_SIZE, "room for objects", false },
	{ "max_size_bytes", "MAX", OUT_SIZE, "room for objects after all growth", false },
	{ "total_bytes", "TOTAL", OUT_SIZE, "memory that is reserved for it", false },
	{ "page_bytes", "PAGE", OUT_SIZE, "size of its pages", false },
	{ "mode", "MODE", OUT_TEXT, "permission bits, octal", false },
	{ 0 },
};
static const struct out_list create_list = { "items", create_cols };
static const struct out_list *const create_lists[] = { &create_list, NULL };

static bool take_pages(struct cli *cli, struct tarn_region_opts *opts)
{
	const char *pages = cli_value(cli, "pages");

	if (pages == NULL)
		return true;
	opts->pages = strcmp(pages, "2M") == 0   ? TARN_PAGES_2M
		      : strcmp(pages, "1G") == 0 ? TARN_PAGES_1G
						 : TARN_PAGES_THP;
	if (!cli_given(cli, "try"))
		opts->flags |= TARN_SEGMENT_PAGES_MUST;
	return true;
}

static bool take_opts(struct cli *cli, struct tarn_region_opts *opts)
{
	uint64_t members = 0, objects = 0;

	if (!cli_size(cli, "size", &opts->size) || !cli_size(cli, "max-size", &opts->max_size) ||
	    !cli_mode(cli, "mode", &opts->mode) || !cli_number(cli, "members", 1, 1000, &members) ||
	    !cli_number(cli, "objects", 1, 1024, &objects) || !take_pages(cli, opts))
		return false;
	if (cli_given(cli, "size") && opts->size == 0) {
		cli_usage(cli, "--size must be more than nothing");
		return false;
	}
	if (cli_given(cli, "max-size") && opts->size != 0 && opts->max_size < opts->size) {
		cli_usage(cli, "--max-size %s is smaller than --size %s",
			  cli_value(cli, "max-size"), cli_value(cli, "size"));
		return false;
	}
	opts->member_max = (uint32_t)members;
	opts->object_max = (uint32_t)objects;
	if (cli_given(cli, "ephemeral"))
		opts->flags |= TARN_REGION_EPHEMERAL;
	opts->diag = &cli->diag;
	return true;
}

/* sysv:private has no name that could be opened; its identifier has. */
static const char *address(const struct cli *cli, const struct tarn_segment_stat *seg, char buf[32])
{
	if (seg->kind != TARN_SEGMENT_SYSV || seg->key != 0)
		return cli->argv[0];
	snprintf(buf, 32, "sysv:#%d", seg->id);
	return buf;
}

static int say(struct cli *cli, const char *name, const struct tarn_region_stat *stat,
	       const struct tarn_segment_stat *seg)
{
	char size[24], total[24], page[24], mode[8];
	struct out out;

	snprintf(mode, sizeof(mode), "%04o", seg->mode);
	if (!cli_given(cli, "json")) {
		if (!cli_given(cli, "quiet"))
			printf("%s: room for %s, %s in all, pages of %s, mode %s\n", name,
			       text_size(stat->size, size), text_size(stat->total_size, total),
			       text_size(seg->page_size, page), mode);
		return CLI_OK;
	}

	int code = out_begin(&out, cli);

	if (code >= 0)
		return code;
	out_list(&out, &create_list);
	out_row(&out);
	out_text(&out, "name", name);
	out_number(&out, "size_bytes", stat->size);
	out_number(&out, "max_size_bytes", stat->max_size);
	out_number(&out, "total_bytes", stat->total_size);
	out_number(&out, "page_bytes", seg->page_size);
	out_text(&out, "mode", mode);
	return out_end(&out, CLI_OK);
}

static int create_run(struct cli *cli)
{
	struct tarn_region_opts opts = { 0 };
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;
	struct tarn_segment_stat seg;
	char buf[32];

	if (!take_opts(cli, &opts))
		return CLI_USAGE;
	if (strncmp(cli->argv[0], "memfd:", 6) == 0 || strncmp(cli->argv[0], "anon:", 5) == 0)
		return cli_usage(cli, "'%s' would go with this command", cli->argv[0]);

	int r = tarn_region_create(cli->argv[0], &opts, &region);

	if (r == 0)
		r = tarn_region_stat(region, &stat);
	if (r == 0)
		r = tarn_segment_stat(tarn_region_segment(region), &seg);
	if (r < 0)
		return cli_fail(cli, cli->argv[0], r);

	int code = say(cli, address(cli, &seg, buf), &stat, &seg);

	/* Leaving an ephemeral region would remove it. This process is not its user, only its
	 * maker: it goes without leaving, as one that was killed, and the region waits. */
	if (!stat.ephemeral)
		tarn_region_close(region);
	return code;
}

static const struct cli_example create_examples[] = {
	{ "tarn create frames --size 64M", "make a region with room for 64 MiB of objects" },
	{ "tarn create frames --size 64M --max-size 1G", "the same, that may grow to 1 GiB" },
	{ "tarn create huge:frames --size 1G --pages 2M", "on huge pages" },
	{ 0 },
};

static const struct cli_exit_note create_exits[] = {
	{ 1, "there is not enough memory, or the name is taken" },
	{ 2, "the name or an option cannot be used" },
	{ 4, "permission denied" },
	{ 0 },
};

const struct cli_cmd cmd_create = {
	.name = "create",
	.args = "NAME",
	.summary = "make a region",
	.about =
		"Makes the region NAME, which must not exist. All of its memory is reserved before "
		"the name appears; if there is not enough, the command says what is short and "
		"leaves nothing behind.\n\n"
		"An ephemeral region waits for its first user, and goes when its last one leaves. "
		"If "
		"nobody ever comes, or the last one is killed, tarn gc removes it.",
	.opts = create_opts,
	.schema = "tarn.create/1",
	.lists = create_lists,
	.examples = create_examples,
	.exits = create_exits,
	.arg_min = 1,
	.arg_max = 1,
	.run = create_run,
};
