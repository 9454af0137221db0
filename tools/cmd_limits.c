/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn limits - what bounds shared memory on this host, and how to raise it. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tarn/host.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"

static const struct cli_opt limits_opts[] = {
	{ 0, "root", "DIR",
	  "read the host's proc, sys and dev under DIR, as a container has them mounted" },
	{ 0 },
};

/* In JSON a value is a number, in tables words: its unit is another in each row. */
static const struct out_col limits_cols[] = {
	{ "name", "LIMIT", OUT_TEXT, "its name, which stays", false },
	{ "what", "WHAT", OUT_TEXT, "what it bounds", true },
	{ "unit", "UNIT", OUT_TEXT, "bytes, count or word: of value and used", true },
	{ "value", NULL, OUT_COUNT, "the limit; null: there is none, or it is a word", false },
	{ "unlimited", NULL, OUT_BOOL, "there is no limit", false },
	{ "used", NULL, OUT_COUNT, "how much of it is in use; null: not known", false },
	{ "value_text", "VALUE", OUT_TEXT, "value for the eye; a setting in words", false },
	{ "used_text", "USED", OUT_TEXT, "used for the eye", false },
	{ "note", "NOTE", OUT_TEXT, "what is to be said of it", true },
	{ "source", "SOURCE", OUT_LONG, "the file, call or option that it was read from", false },
	{ "raise", "RAISE", OUT_LONG, "the command that changes it; null: it cannot be", false },
	{ 0 },
};
static const struct out_list limits_list = { "items", limits_cols };
static const struct out_list *const limits_lists[] = { &limits_list, NULL };

static const char *value_text(const struct out *out, uint32_t unit, uint64_t value, char buf[24])
{
	if (value == UINT64_MAX)
		return "unlimited";
	if (unit == TARN_UNIT_BYTES && !out->bytes)
		return text_size(value, buf);
	snprintf(buf, 24, "%" PRIu64, value);
	return buf;
}

static int put_limit(const struct tarn_host_limit *limit, void *arg)
{
	static const char *const units[] = {
		[TARN_UNIT_COUNT] = "count",
		[TARN_UNIT_BYTES] = "bytes",
		[TARN_UNIT_WORD] = "word",
	};
	struct out *out = arg;
	bool word = limit->unit == TARN_UNIT_WORD;
	bool known = !word && limit->used != TARN_HOST_UNKNOWN;
	char buf[24];

	out_row(out);
	out_text(out, "name", limit->name);
	out_text(out, "what", limit->what);
	out_text(out, "unit", limit->unit <= TARN_UNIT_WORD ? units[limit->unit] : NULL);
	out_number_if(out, "value", limit->value, !word && limit->value != UINT64_MAX);
	out_bool(out, "unlimited", !word && limit->value == UINT64_MAX);
	out_number_if(out, "used", limit->used, known);
	out_text(out, "value_text",
		 word ? limit->text : value_text(out, limit->unit, limit->value, buf));
	if (known)
		out_text(out, "used_text", value_text(out, limit->unit, limit->used, buf));
	out_text(out, "note", word ? NULL : limit->text);
	out_text(out, "source", limit->source);
	out_text(out, "raise", limit->raise);
	return 0;
}

static int limits_run(struct cli *cli)
{
	const struct tarn_host_opts opts = { .root = cli_value(cli, "root"), .diag = &cli->diag };
	uint32_t unreadable = 0;
	struct out out;
	int code = out_begin(&out, cli);
	int r;

	if (code >= 0)
		return code;
	code = CLI_OK;
	out_list(&out, &limits_list);
	r = tarn_host_limits(&opts, put_limit, &out, &unreadable);
	if (r < 0)
		code = cli_fail(cli, opts.root != NULL ? opts.root : "/proc", r);
	if (unreadable > 0)
		out_partial(&out, unreadable, "these limits are left out");
	return out_end(&out, code);
}

static const struct cli_example limits_examples[] = {
	{ "tarn limits", "every limit, what is used of it, and how to raise it" },
	{ "tarn limits -J | jq '.items[] | select(.name == \"shm.size\").value'",
	  "the size of /dev/shm in bytes" },
	{ "tarn limits --root /host", "the limits of the host, from a container" },
	{ 0 },
};

static const struct cli_exit_note limits_exits[] = {
	{ 3, "there is no proc under --root" },
	{ 4, "a limit could not be read" },
	{ 0 },
};

const struct cli_cmd cmd_limits = {
	.name = "limits",
	.args = "",
	.summary = "what bounds shared memory here, and how to raise it",
	.about =
		"Lists the size of /dev/shm, the limits of System V shared memory, semaphores and "
		"messages, POSIX message queues, the limits of a process, memory and swap, huge "
		"pages, the memory cgroups up to the root, NUMA nodes, namespaces, and the "
		"settings "
		"of the kernel and of systemd-logind that shared memory meets.\n\n"
		"Limits of a process and namespaces are those of this command, and so of the shell "
		"it was started from. In the column RAISE, N, BYTES, KIB, PAGES and SIZE stand for "
		"a number.",
	.opts = limits_opts,
	.schema = "tarn.limits/1",
	.lists = limits_lists,
	.examples = limits_examples,
	.exits = limits_exits,
	.groups = CLI_GROUP_LIST,
	.run = limits_run,
};
