/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn ls [NAME...] - every piece of shared memory of the host, and who uses it. */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <tarn/host.h>

#include "cli.h"
#include "cmds.h"
#include "out.h"
#include "segments.h"
#include "watch.h"

static const struct cli_opt ls_opts[] = {
	{ 't', "type", "TYPE",
	  "only these types, apart by commas: posix, sysv, memfd, huge, anon, file; region for "
	  "what "
	  "is Tarn's own" },
	{ 'u', "user", "USER", "only what this user owns" },
	{ 'p', "pid", "PID", "only what this process has mapped or open" },
	{ 0, "leaked", NULL, "only what the dead left behind: states orphan and stale" },
	{ 0, "min-size", "SIZE", "only what is at least so large" },
	{ 0, "files", NULL, "also files on disk that are mapped to be shared" },
	{ 0, "check", NULL, "exit with 1 if something that is listed was left by the dead" },
	{ 0, "tree", NULL, "below each segment its processes, with rights and addresses" },
	{ '0', "null", NULL, "names only, each ended by a zero byte, for xargs -0" },
	{ 0, "root", "DIR",
	  "read the host's proc, sys and dev under DIR, as a container has them mounted" },
	{ 0 },
};

static const struct out_col segment_cols[] = {
	{ "type", "TYPE", OUT_TEXT, "posix, sysv, memfd, huge, anon or file", false },
	{ "name", "NAME", OUT_LONG, "its address, which other verbs accept", false },
	{ "label", "LABEL", OUT_LONG, "the name it has for the eye, where the address has none",
	  OUT_IF_ROOM },
	{ "size_bytes", "SIZE", OUT_SIZE, "its size", false },
	{ "touched_bytes", "TOUCHED", OUT_SIZE, "how much of it is in memory or swap", false },
	{ "swap_bytes", "SWAP", OUT_SIZE, "how much of that is in swap", OUT_IF_ROOM },
	{ "page_bytes", "PAGE", OUT_SIZE, "size of its pages", OUT_IF_ROOM },
	{ "owner", "OWNER", OUT_TEXT, "user who owns it, by name if there is one", false },
	{ "mode", "MODE", OUT_TEXT, "permission bits, octal", OUT_IF_ROOM },
	{ "attach_count", "NATT", OUT_COUNT,
	  "System V: attachments, by the kernel's count; else the mappings seen", false },
	{ "processes", "PIDS", OUT_LIST, "the processes seen that have it mapped or open", false },
	{ "state", "STATE", OUT_TEXT,
	  "live: a process has it mapped or open; idle: none has; orphan: none has, and its "
	  "creator is dead; deleted: no name leads to it, it goes with the last who has it; stale: "
	  "a region whose members are all dead; unknown: not every process could be read",
	  false },
	{ "age_ns", "AGE", OUT_AGE, "since it was made", false },
	{ "creator", "CREATOR", OUT_TEXT, "the program that made it, if it is alive", OUT_IF_ROOM },
	{ "key", "KEY", OUT_HEX, "System V: the key, 0 if it is private", true },
	{ "id", "ID", OUT_SIGNED, "System V: the identifier", true },
	{ "inode", "INODE", OUT_COUNT, "inode; of System V the identifier", true },
	{ "device", "DEVICE", OUT_HEX, "st_dev, which with the inode tells it from all others",
	  true },
	{ "seals", "SEALS", OUT_TEXT,
	  "memfd: words apart by commas of seal, shrink, grow, write, future_write and exec; empty "
	  "if there is none",
	  true },
	{ "content", "CONTENT", OUT_TEXT,
	  "region, control (of a System V region) or temporary, which are Tarn's; semaphore: a "
	  "named one of POSIX",
	  true },
	{ "uid", "UID", OUT_COUNT, "owner, by number", true },
	{ "gid", "GID", OUT_COUNT, "group, by number", true },
	{ "creator_uid", "CUID", OUT_COUNT, "user who made it; only System V keeps that", true },
	{ "creator_pid", "CPID", OUT_SIGNED, "process that made it, of System V and regions",
	  true },
	{ "last_pid", "LASTPID", OUT_SIGNED, "System V: process that attached or detached last",
	  true },
	{ "created_ns", "CREATED", OUT_TIME,
	  "when it was made, or its owner or mode last changed where that is all the kernel "
	  "keeps",
	  true },
	{ "attached_ns", "ATTACHED", OUT_TIME, "System V: last attached", true },
	{ "detached_ns", "DETACHED", OUT_TIME, "System V: last detached", true },
	{ "used_ns", "USED", OUT_TIME, "the latest of all times that the kernel keeps of it",
	  true },
	{ "locked_bytes", "LOCKED", OUT_SIZE,
	  "locked into memory; but for System V null unless asked for by -o or -s", true },
	{ "numa", "NUMA", OUT_LIST,
	  "on which nodes it lies; null unless asked for by -o or -s, as finding out takes time",
	  true },
	{ "dirty_bytes", "DIRTY", OUT_SIZE, "changed since it was last written out; likewise",
	  true },
	{ "pss_bytes", "PSS", OUT_SIZE,
	  "what its mappings add up to when each page counts for its share; likewise", true },
	{ "removed", "REMOVED", OUT_BOOL, "no name leads to it any more", true },
	{ "elsewhere", "ELSEWHERE", OUT_BOOL,
	  "of another IPC or mount namespace: its own name means nothing here", true },
	{ "proof", "PROOF", OUT_LONG, "why it is known that nobody alive needs it", true },
	{ 0 },
};
static const struct out_list segment_list = { "items", segment_cols };

static const struct out_col process_cols[] = {
	{ "pid", NULL, OUT_SIGNED, "process", false },
	{ "uid", NULL, OUT_COUNT, "its effective user, by number", false },
	{ "command", NULL, OUT_TEXT, "name of its program", false },
	{ "mapping_count", NULL, OUT_COUNT, "how many times it has it mapped", false },
	{ "fd_count", NULL, OUT_COUNT, "how many of its descriptors lead to it", false },
	{ "fd", NULL, OUT_SIGNED, "the lowest of these", false },
	{ "rights", NULL, OUT_TEXT,
	  "of its mappings together, as /proc/PID/maps has them, such as rw-s; null if it has "
	  "none mapped",
	  false },
	{ 0 },
};
static const struct out_list process_list = { "processes", process_cols };

static const struct out_col node_cols[] = {
	{ "node", NULL, OUT_COUNT, "NUMA node", false },
	{ "size_bytes", NULL, OUT_SIZE, "how much of it lies there", false },
	{ 0 },
};
static const struct out_list node_list = { "numa", node_cols };

static const struct out_list *const ls_lists[] = { &segment_list, &process_list, &node_list, NULL };

struct ls {
	struct cli *cli;
	struct tarn_host_opts opts;
	uint32_t types; /* 0 = all */
	uint32_t user;  /* UINT32_MAX = any */
	uint64_t pid;   /* 0 = any */
	uint64_t min_size;
	bool leaked, tree;

	/* Of the look at hand. */
	struct out out;
	const struct tarn_host *host;
	const struct tarn_host_process *process; /* with that pid */
	int64_t now_ns;
	bool found_leaked;
};

/* --- one segment --------------------------------------------------------------------------- */

/* "17,19,23 +4": what a table has room for. */
struct pids {
	struct out *out;
	char text[64];
	unsigned count;
};

static int put_process(const struct tarn_host_use *use, void *arg)
{
	struct pids *pids = arg;
	struct out *out = pids->out;
	size_t used = strlen(pids->text);
	char rights[8];

	if (pids->count++ < 3)
		snprintf(pids->text + used, sizeof(pids->text) - used, "%s%d", used > 0 ? "," : "",
			 use->process->pid);
	out_row(out);
	out_number(out, "pid", (uint64_t)use->process->pid);
	out_number_if(out, "uid", use->process->uid, use->process->uid != UINT32_MAX);
	out_text(out, "command", use->process->command);
	out_number(out, "mapping_count", use->mapping_count);
	out_number(out, "fd_count", use->fd_count);
	out_number_if(out, "fd", (uint64_t)(int64_t)use->fd, use->fd >= 0);
	out_text(out, "rights",
		 use->mapping_count > 0 ? segments_rights(use->rights, rights) : NULL);
	return 0;
}

static void put_processes(struct ls *ls, const struct tarn_host_segment *segment)
{
	struct pids pids = { .out = &ls->out };

	out_inner(&ls->out, "processes");
	(void)tarn_host_uses(ls->host, segment, NULL, put_process, &pids);

	size_t used = strlen(pids.text);

	if (pids.count > 3)
		snprintf(pids.text + used, sizeof(pids.text) - used, " +%u", pids.count - 3);
	out_inner_end(&ls->out, pids.text);
}

static void put_nodes(struct out *out, const struct tarn_host_segment *segment)
{
	char text[160] = "", size[24];
	size_t used = 0;

	out_inner(out, "numa");
	for (uint32_t node = 0; node < segment->node_count; node++) {
		uint64_t bytes = segment->node_bytes[node];

		if (bytes == 0)
			continue;
		out_row(out);
		out_number(out, "node", node);
		out_number(out, "size_bytes", bytes);
		if (used < sizeof(text))
			used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%u: %s",
						 used > 0 ? ", " : "", node,
						 text_size(bytes, size));
	}
	out_inner_end(out, text);
}

static void put_size(struct out *out, const char *key, uint64_t size)
{
	out_number_if(out, key, size, size != TARN_HOST_UNKNOWN);
}

static void put_time(struct out *out, const char *key, int64_t ns)
{
	out_number_if(out, key, (uint64_t)ns, ns != 0);
}

static void put_owner(struct out *out, const struct tarn_host_segment *segment)
{
	char mode[8];

	out_text(out, "owner", segments_user(segment->uid));
	out_text(out, "mode", segments_mode(segment->mode, mode));
	out_number_if(out, "uid", segment->uid, segment->uid != UINT32_MAX);
	out_number_if(out, "gid", segment->gid, segment->gid != UINT32_MAX);
	out_text(out, "creator", segment->creator[0] != '\0' ? segment->creator : NULL);
	out_number_if(out, "creator_pid", (uint64_t)segment->creator_pid,
		      segment->creator_pid != 0);
}

static void put_sysv(struct out *out, const struct tarn_host_segment *segment)
{
	if (segment->kind != TARN_SEGMENT_SYSV)
		return;
	out_number_if(out, "key", (uint32_t)segment->key, !segment->elsewhere);
	out_number(out, "id", (uint64_t)(int64_t)segment->id);
	out_number_if(out, "creator_uid", segment->cuid, segment->cuid != UINT32_MAX);
	out_number_if(out, "last_pid", (uint64_t)segment->last_pid, segment->last_pid != 0);
	put_time(out, "attached_ns", segment->attached_ns);
	put_time(out, "detached_ns", segment->detached_ns);
}

static void put_segment(struct ls *ls, const struct tarn_host_segment *segment)
{
	struct out *out = &ls->out;
	char seals[80];

	out_row(out);
	out_text(out, "type", segments_type(segment->kind));
	out_text(out, "name", segment->addr);
	out_text(out, "label", segment->label);
	put_size(out, "size_bytes", segment->size);
	put_size(out, "touched_bytes", segment->touched);
	put_size(out, "swap_bytes", segment->swap);
	out_number_if(out, "page_bytes", segment->page_size, segment->page_size != 0);
	put_owner(out, segment);
	out_number(out, "attach_count", segment->attach_count);
	put_processes(ls, segment);
	out_text(out, "state", segments_state(segment->state));
	out_number_if(out, "age_ns", (uint64_t)(ls->now_ns - segment->created_ns),
		      segment->created_ns != 0);
	put_sysv(out, segment);
	out_number(out, "inode", segment->inode);
	out_number(out, "device", segment->dev);
	if (segment->seals != UINT32_MAX)
		out_text(out, "seals", segments_seals(segment->seals, seals));
	out_text(out, "content", segments_content(segment->content));
	put_time(out, "created_ns", segment->created_ns);
	put_time(out, "used_ns", segment->used_ns);
	put_size(out, "locked_bytes", segment->locked);
	put_size(out, "dirty_bytes", segment->dirty);
	put_size(out, "pss_bytes", segment->pss);
	if (ls->opts.flags & TARN_HOST_NODES)
		put_nodes(out, segment);
	out_bool(out, "removed", segment->removed);
	out_bool(out, "elsewhere", segment->elsewhere);
	out_text(out, "proof", segment->proof);
}

/* --- the tree ------------------------------------------------------------------------------ */

static int put_mapping(const struct tarn_host_mapping *mapping, void *arg)
{
	struct out *out = arg;
	char text[96], rights[8];

	snprintf(text, sizeof(text), "%d %s  %s 0x%llx", mapping->process->pid,
		 mapping->process->command, segments_rights(mapping->rights, rights),
		 (unsigned long long)mapping->address);
	out_child(out);
	out_text(out, "name", text);
	out_number(out, "size_bytes", mapping->size);
	out_text(out, "owner", segments_user(mapping->process->uid));
	return 0;
}

static int put_branch(const struct tarn_host_use *use, void *arg)
{
	struct ls *ls = arg;
	char text[96];

	if (use->mapping_count > 0)
		return tarn_host_mappings(ls->host, use->segment, use->process, put_mapping,
					  &ls->out);
	snprintf(text, sizeof(text), "%d %s  descriptor %d", use->process->pid,
		 use->process->command, use->fd);
	out_child(&ls->out);
	out_text(&ls->out, "name", text);
	out_text(&ls->out, "owner", segments_user(use->process->uid));
	return 0;
}

/* --- which segments ------------------------------------------------------------------------ */

static bool is_leaked(const struct tarn_host_segment *segment)
{
	return segment->state == TARN_STATE_ORPHAN || segment->state == TARN_STATE_STALE;
}

static int found(const struct tarn_host_use *use, void *arg)
{
	(void)use;
	(void)arg;
	return 1;
}

static bool is_wanted(const struct ls *ls, const struct tarn_host_segment *segment)
{
	if (ls->types != 0 && !segments_type_among(segment, ls->types))
		return false;
	if (ls->user != UINT32_MAX && segment->uid != ls->user)
		return false;
	if (ls->leaked && !is_leaked(segment))
		return false;
	if (segment->size < ls->min_size)
		return false;
	return ls->pid == 0 || (ls->process != NULL &&
				tarn_host_uses(ls->host, segment, ls->process, found, NULL) != 0);
}

static int list_one(const struct tarn_host_segment *segment, void *arg)
{
	struct ls *ls = arg;

	if (!is_wanted(ls, segment))
		return 0;
	ls->found_leaked |= is_leaked(segment);
	put_segment(ls, segment);
	if (ls->tree && !ls->out.as_json)
		(void)tarn_host_uses(ls->host, segment, NULL, put_branch, ls);
	return 0;
}

static int find_process(const struct tarn_host_process *process, void *arg)
{
	struct ls *ls = arg;

	if ((uint64_t)process->pid == ls->pid)
		ls->process = process;
	return ls->process != NULL;
}

/* A process that uses nothing is in no picture of the host; one of its own tells whether it is
 * there, and may be read. */
static int ask_for_process(struct ls *ls)
{
	struct tarn_host_opts opts = ls->opts;
	struct tarn_host *host = NULL;
	int r;

	ls->process = NULL;
	if (ls->pid == 0 || tarn_host_processes(ls->host, find_process, ls) != 0)
		return CLI_OK;
	opts.pid = (int32_t)ls->pid;
	r = tarn_host_scan(&opts, &host);
	tarn_host_free(host);
	if (r == -EACCES || r == -EPERM)
		out_unreadable(&ls->out);
	return r < 0 ? segments_fail(ls->cli, &opts, r) : CLI_OK;
}

static int list_named(struct ls *ls, struct tarn_host *host)
{
	int worst = CLI_OK;

	for (int i = 0; i < ls->cli->argc; i++) {
		const struct tarn_host_segment *segment = NULL;
		int code = segments_find(ls->cli, host, ls->cli->argv[i], &segment);

		if (code == CLI_OK)
			(void)list_one(segment, ls);
		worst = cli_worse(worst, code);
	}
	return worst;
}

static int look(struct cli *cli, void *arg)
{
	struct ls *ls = arg;
	struct tarn_host *host = NULL;
	struct tarn_host_stat stat;
	char note[160];
	int code = out_begin(&ls->out, cli);
	int r;

	if (code >= 0)
		return code;
	r = tarn_host_scan(&ls->opts, &host);
	if (r < 0)
		return out_end(&ls->out, segments_fail(cli, &ls->opts, r));
	tarn_host_stat(host, &stat);
	ls->host = host;
	ls->now_ns = stat.taken_ns;
	ls->found_leaked = false;
	out_list(&ls->out, &segment_list);
	if (ls->tree)
		out_tree(&ls->out, "name");
	segments_partial(&ls->out, host, note);
	code = ask_for_process(ls);
	if (code == CLI_OK && cli->argc > 0)
		code = list_named(ls, host);
	else if (code == CLI_OK)
		(void)tarn_host_segments(host, list_one, ls);
	if (ls->found_leaked && cli_given(cli, "check"))
		code = cli_worse(code, CLI_FAILURE);
	code = out_end(&ls->out, code);
	tarn_host_free(host);
	return code;
}

/* What costs time is found out only if it is asked for. */
static uint32_t scan_flags(const struct cli *cli, uint32_t types)
{
	uint32_t flags = 0;

	if (cli_given(cli, "files") || types & 1u << TARN_SEGMENT_FILE)
		flags |= TARN_HOST_FILES;
	if (out_wants(cli, "pss_bytes") || out_wants(cli, "dirty_bytes") ||
	    out_wants(cli, "locked_bytes"))
		flags |= TARN_HOST_USAGE;
	if (out_wants(cli, "numa"))
		flags |= TARN_HOST_NODES;
	return flags;
}

static int ls_run(struct cli *cli)
{
	struct ls ls = {
		.cli = cli,
		.user = UINT32_MAX,
		.leaked = cli_given(cli, "leaked"),
		.tree = cli_given(cli, "tree"),
	};

	if (!segments_types(cli, &ls.types) || !cli_user(cli, "user", &ls.user) ||
	    !cli_number(cli, "pid", 1, INT32_MAX, &ls.pid) ||
	    !cli_size(cli, "min-size", &ls.min_size))
		return CLI_USAGE;
	ls.opts = (struct tarn_host_opts){
		.flags = scan_flags(cli, ls.types),
		.root = cli_value(cli, "root"),
		.diag = &cli->diag,
	};
	return watch_run(cli, look, &ls);
}

static const struct cli_example ls_examples[] = {
	{ "tarn ls", "all shared memory of the host" },
	{ "tarn ls -s -size -t posix,sysv", "the largest first" },
	{ "tarn ls --tree -p 4711", "what a process shares, with whom, and where" },
	{ "tarn ls --leaked -0 | xargs -0r tarn gc --foreign", "what the dead left behind" },
	{ "tarn ls -J | jq '.items[] | select(.size_bytes > 1e9)'", "for a script" },
	{ 0 },
};

static const struct cli_exit_note ls_exits[] = {
	{ 1, "with --check: something that is listed was left by the dead" },
	{ 3, "there is no such segment or process" },
	{ 4, "not every process could be read: what only these use is missing" },
	{ 0 },
};

const struct cli_cmd cmd_ls = {
	.name = "ls",
	.args = "[NAME...]",
	.summary = "list every piece of shared memory, and who uses it",
	.about = "Lists POSIX shared memory, System V segments, memfds, files of hugetlbfs and "
		 "shared "
		 "anonymous memory, with --files also files on disk that are mapped to be shared, "
		 "or "
		 "only what is named. It looks only: nothing is attached, and no page is "
		 "touched.\n\n"
		 "A process is seen to use a segment by its mappings and descriptors. Those of "
		 "other users can be read by root only; what is missing for want of that is told, "
		 "and "
		 "counts are then lower bounds.\n\n"
		 "What a page costs in memory is counted once however many share it: TOUCHED is of "
		 "the "
		 "segment, PSS of the mappings. PSS, DIRTY, LOCKED and NUMA take long to find out, "
		 "and "
		 "are only found out if -o or -s names them, in JSON too. Columns that a terminal "
		 "is "
		 "too narrow for are left out unless -o asks for them.",
	.operand = "segment",
	.opts = ls_opts,
	.schema = "tarn.ls/1",
	.lists = ls_lists,
	.examples = ls_examples,
	.exits = ls_exits,
	.groups = CLI_GROUP_LIST | CLI_GROUP_WATCH,
	.arg_max = -1,
	.run = ls_run,
};
