/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn ps [PID...] - which shared memory processes use: a row a process and segment. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/host.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "segments.h"
#include "watch.h"

static const struct cli_opt ps_opts[] = {
	{ 't', "type", "TYPE",
	  "only segments of these types, apart by commas: posix, sysv, memfd, huge, anon, file; "
	  "region for what is Tarn's own" },
	{ 'u', "user", "USER", "only processes of this user" },
	{ 0, "files", NULL, "also files on disk that are mapped to be shared" },
	{ 0, "root", "DIR",
	  "read the host's proc, sys and dev under DIR, as a container has them mounted" },
	{ 0 },
};

static const struct out_col use_cols[] = {
	{ "pid", "PID", OUT_SIGNED, "process", false },
	{ "user", "USER", OUT_TEXT, "its effective user, by name if there is one", false },
	{ "command", "COMMAND", OUT_TEXT, "name of its program", false },
	{ "type", "TYPE", OUT_TEXT, "posix, sysv, memfd, huge, anon or file", false },
	{ "name", "NAME", OUT_LONG, "address of the segment, which other verbs accept", false },
	{ "label", "LABEL", OUT_LONG, "the name it has for the eye, where the address has none",
	  OUT_IF_ROOM },
	{ "size_bytes", "SIZE", OUT_SIZE, "size of the segment", false },
	{ "mapped_bytes", "MAPPED", OUT_SIZE, "what the process has of it in its address space",
	  false },
	{ "rights", "RIGHTS", OUT_TEXT,
	  "of its mappings together, as /proc/PID/maps has them, such as rw-s", false },
	{ "mappings", "ADDRESS", OUT_LIST, "where it is mapped", false },
	{ "fd_count", "FDS", OUT_COUNT, "how many descriptors of the process lead to it", false },
	{ "fd", "FD", OUT_SIGNED, "the lowest of these", true },
	{ "rss_bytes", "RSS", OUT_SIZE,
	  "what the process has touched of it and is in memory; null unless asked for by -o or -s, "
	  "or in JSON by PID, as finding out takes time",
	  true },
	{ "pss_bytes", "PSS", OUT_SIZE, "the process's share of that; likewise", true },
	{ "dirty_bytes", "DIRTY", OUT_SIZE, "changed since it was last written out; likewise",
	  true },
	{ "locked_bytes", "LOCKED", OUT_SIZE, "locked into memory; likewise", true },
	{ "swap_bytes", "SWAP", OUT_SIZE, "in swap; likewise", true },
	{ "uid", "UID", OUT_COUNT, "effective user, by number", true },
	{ "started_ns", "STARTED", OUT_TIME, "when the process was started", true },
	{ "state", "STATE", OUT_TEXT, "of the segment, as tarn ls has it", true },
	{ "inode", "INODE", OUT_COUNT, "of the segment; of System V the identifier", true },
	{ "device", "DEVICE", OUT_HEX, "st_dev, which with the inode tells it from all others",
	  true },
	{ 0 },
};
static const struct out_list use_list = { "items", use_cols };

static const struct out_col mapping_cols[] = {
	{ "address", NULL, OUT_HEX, "of its first byte, in the process", false },
	{ "size_bytes", NULL, OUT_SIZE, "its length", false },
	{ "offset_bytes", NULL, OUT_OFFSET, "of its first byte, in the segment", false },
	{ "rights", NULL, OUT_TEXT, "as /proc/PID/maps has them", false },
	{ "rss_bytes", NULL, OUT_SIZE, "as above", false },
	{ "pss_bytes", NULL, OUT_SIZE, "as above", false },
	{ "dirty_bytes", NULL, OUT_SIZE, "as above", false },
	{ "locked_bytes", NULL, OUT_SIZE, "as above", false },
	{ "swap_bytes", NULL, OUT_SIZE, "as above", false },
	{ 0 },
};
static const struct out_list mapping_list = { "mappings", mapping_cols };

static const struct out_list *const ps_lists[] = { &use_list, &mapping_list, NULL };

struct ps {
	struct cli *cli;
	struct tarn_host_opts opts;
	uint32_t types; /* 0 = all */
	uint32_t user;  /* UINT32_MAX = any */

	/* Of the look at hand. */
	struct out out;
	const struct tarn_host *host;
};

/* --- one use ------------------------------------------------------------------------------- */

/* Sums over the mappings of one process; UNKNOWN as soon as one is. */
struct sums {
	struct out *out;
	uint64_t first; /* address */
	uint32_t count;
	uint64_t mapped, rss, pss, dirty, locked, swap;
};

static void add(uint64_t *sum, uint64_t value)
{
	if (*sum != TARN_HOST_UNKNOWN)
		*sum = value != TARN_HOST_UNKNOWN ? *sum + value : value;
}

static void put_size(struct out *out, const char *key, uint64_t size)
{
	out_number_if(out, key, size, size != TARN_HOST_UNKNOWN);
}

static void put_usage(struct out *out, uint64_t rss, uint64_t pss, uint64_t dirty, uint64_t locked,
		      uint64_t swap)
{
	put_size(out, "rss_bytes", rss);
	put_size(out, "pss_bytes", pss);
	put_size(out, "dirty_bytes", dirty);
	put_size(out, "locked_bytes", locked);
	put_size(out, "swap_bytes", swap);
}

static int put_mapping(const struct tarn_host_mapping *mapping, void *arg)
{
	struct sums *sums = arg;
	struct out *out = sums->out;
	char rights[8];

	if (sums->count++ == 0)
		sums->first = mapping->address;
	sums->mapped += mapping->size;
	add(&sums->rss, mapping->rss);
	add(&sums->pss, mapping->pss);
	add(&sums->dirty, mapping->dirty);
	add(&sums->locked, mapping->locked);
	add(&sums->swap, mapping->swap);
	out_row(out);
	out_number(out, "address", mapping->address);
	out_number(out, "size_bytes", mapping->size);
	out_number(out, "offset_bytes", mapping->off);
	out_text(out, "rights", segments_rights(mapping->rights, rights));
	put_usage(out, mapping->rss, mapping->pss, mapping->dirty, mapping->locked, mapping->swap);
	return 0;
}

static void put_mappings(struct ps *ps, const struct tarn_host_use *use)
{
	struct sums sums = { .out = &ps->out };
	char text[48] = "", rights[8];

	out_inner(&ps->out, "mappings");
	(void)tarn_host_mappings(ps->host, use->segment, use->process, put_mapping, &sums);
	if (sums.count == 1)
		snprintf(text, sizeof(text), "0x%llx", (unsigned long long)sums.first);
	else if (sums.count > 1)
		snprintf(text, sizeof(text), "0x%llx +%u", (unsigned long long)sums.first,
			 sums.count - 1);
	out_inner_end(&ps->out, text);
	out_number(&ps->out, "mapped_bytes", sums.mapped);
	if (sums.count == 0)
		return;
	out_text(&ps->out, "rights", segments_rights(use->rights, rights));
	put_usage(&ps->out, sums.rss, sums.pss, sums.dirty, sums.locked, sums.swap);
}

static int put_use(const struct tarn_host_use *use, void *arg)
{
	struct ps *ps = arg;
	struct out *out = &ps->out;
	const struct tarn_host_process *process = use->process;
	const struct tarn_host_segment *segment = use->segment;

	if (ps->types != 0 && !segments_type_among(segment, ps->types))
		return 0;
	out_row(out);
	out_number(out, "pid", (uint64_t)process->pid);
	out_text(out, "user", segments_user(process->uid));
	out_number_if(out, "uid", process->uid, process->uid != UINT32_MAX);
	out_text(out, "command", process->command);
	out_number_if(out, "started_ns", (uint64_t)process->started_ns, process->started_ns != 0);
	out_text(out, "type", segments_type(segment->kind));
	out_text(out, "name", segment->addr);
	out_text(out, "label", segment->label);
	out_text(out, "state", segments_state(segment->state));
	out_number(out, "inode", segment->inode);
	out_number(out, "device", segment->dev);
	put_size(out, "size_bytes", segment->size);
	put_mappings(ps, use);
	out_number(out, "fd_count", use->fd_count);
	out_number_if(out, "fd", (uint64_t)(int64_t)use->fd, use->fd >= 0);
	return 0;
}

static int put_process(const struct tarn_host_process *process, void *arg)
{
	struct ps *ps = arg;

	if (ps->user != UINT32_MAX && process->uid != ps->user)
		return 0;
	return tarn_host_uses(ps->host, NULL, process, put_use, ps);
}

/* --- which processes ----------------------------------------------------------------------- */

/* @pid: 0 = all. @note: of what is missing. */
static int list_processes(struct ps *ps, int32_t pid, char note[160])
{
	struct tarn_host *host = NULL;
	int r;

	ps->opts.pid = pid;
	r = tarn_host_scan(&ps->opts, &host);
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&ps->out);
	if (r < 0)
		return segments_fail(ps->cli, &ps->opts, r);
	ps->host = host;
	segments_partial(&ps->out, host, note);
	(void)tarn_host_processes(host, put_process, ps);
	tarn_host_free(host);
	return CLI_OK;
}

/* Untouched and with a message where @text is no process id. */
static bool take_pid(struct cli *cli, const char *text, int32_t *ret_pid)
{
	char *end;
	long pid = strtol(text, &end, 10);

	if (text[0] < '0' || text[0] > '9' || *end != '\0' || pid < 1 || pid > INT32_MAX) {
		cli_usage(cli, "'%s' is no process id", text);
		return false;
	}
	*ret_pid = (int32_t)pid;
	return true;
}

static int look(struct cli *cli, void *arg)
{
	struct ps *ps = arg;
	char note[160];
	int code = out_begin(&ps->out, cli), worst = CLI_OK;

	if (code >= 0)
		return code;
	out_list(&ps->out, &use_list);
	if (cli->argc == 0)
		worst = list_processes(ps, 0, note);
	for (int i = 0; i < cli->argc; i++) {
		int32_t pid = 0;

		if (take_pid(cli, cli->argv[i], &pid))
			worst = cli_worse(worst, list_processes(ps, pid, note));
	}
	return out_end(&ps->out, worst);
}

static uint32_t scan_flags(const struct cli *cli, uint32_t types)
{
	static const char *const costly[] = { "rss_bytes", "pss_bytes", "dirty_bytes",
					      "locked_bytes", "swap_bytes" };
	uint32_t flags = 0;

	if (cli_given(cli, "files") || types & 1u << TARN_SEGMENT_FILE)
		flags |= TARN_HOST_FILES;
	if (cli->argc > 0 && cli_given(cli, "json"))
		flags |= TARN_HOST_USAGE;
	for (unsigned i = 0; i < sizeof(costly) / sizeof(costly[0]); i++) {
		if (out_wants(cli, costly[i]))
			flags |= TARN_HOST_USAGE;
	}
	return flags;
}

static int ps_run(struct cli *cli)
{
	struct ps ps = { .cli = cli, .user = UINT32_MAX };
	int32_t pid;

	if (!segments_types(cli, &ps.types) || !cli_user(cli, "user", &ps.user))
		return CLI_USAGE;
	for (int i = 0; i < cli->argc; i++) {
		if (!take_pid(cli, cli->argv[i], &pid))
			return CLI_USAGE;
	}
	ps.opts = (struct tarn_host_opts){
		.flags = scan_flags(cli, ps.types),
		.root = cli_value(cli, "root"),
		.diag = &cli->diag,
	};
	return watch_run(cli, look, &ps);
}

static const struct cli_example ps_examples[] = {
	{ "tarn ps", "who uses which shared memory" },
	{ "tarn ps 4711 -o +rss,pss -s -rss", "what one process has of it in memory" },
	{ "tarn ps -J | jq '.items[] | select(.type == \"memfd\") | .pid'", "for a script" },
	{ 0 },
};

static const struct cli_exit_note ps_exits[] = {
	{ 3, "there is no such process" },
	{ 4, "not every process could be read: what these use is missing" },
	{ 0 },
};

const struct cli_cmd cmd_ps = {
	.name = "ps",
	.args = "[PID...]",
	.summary = "list processes and the shared memory that they use",
	.about = "The reverse of tarn ls: a row for each process and each segment that it has "
		 "mapped or "
		 "open, with its rights and its addresses; of all processes, or of those named.\n\n"
		 "A segment that a process has open without having it mapped has no address. Where "
		 "it is mapped more than once the lowest address is shown and how many more there "
		 "are; JSON has them all.",
	.opts = ps_opts,
	.schema = "tarn.ps/1",
	.lists = ps_lists,
	.examples = ps_examples,
	.exits = ps_exits,
	.groups = CLI_GROUP_LIST | CLI_GROUP_WATCH,
	.arg_max = -1,
	.run = ps_run,
};
