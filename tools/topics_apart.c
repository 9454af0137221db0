/* SPDX-License-Identifier: BSD-2-Clause */
/* topics_apart.c - see topics_apart.h. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <tarn/type.h>

#include "segments.h"
#include "topics_apart.h"

static const struct out_col socket_cols[] = {
	{ "token", "PUBLISHER", OUT_TEXT, "its socket is DIR/TOPIC:TOKEN", false },
	{ "pid", "PID", OUT_SIGNED, "its process, as the kernel says it here", false },
	{ "uid", NULL, OUT_COUNT,
	  "its user, as the kernel says it; of a name that was left, that of the name", false },
	{ "user", "USER", OUT_TEXT, "the same by name", false },
	{ "command", "COMMAND", OUT_TEXT, "the name of its program", false },
	{ "state", "STATE", OUT_TEXT,
	  "alive; waits (it sleeps until there is room); dead (nobody listens: one that was killed "
	  "has left its name) or removed, with --remove-dead; silent (it has not answered within "
	  "100 ms: it may be stopped); refuses (it does not let this user in, or has no place "
	  "left); denied (permission denied); stranger (its user is not one of --peers, so nothing "
	  "was taken of it); or damaged (what it shows contradicts itself, or is of another "
	  "version)",
	  false },
	{ "type", "TYPE", OUT_TEXT, "of its messages; none: they are bytes, or not known", false },
	{ "message_count", "MESSAGES", OUT_COUNT, "the number of its last message", false },
	{ "kept", "KEPT", OUT_COUNT, "messages that are still there, for who comes late", false },
	{ "lane_bytes", "LANE", OUT_SIZE, "room for messages", false },
	{ "rate_hz", "RATE", OUT_REAL, "messages a second, by the times of those that are kept",
	  false },
	{ "last_age_ns", "LAST", OUT_AGE, "since its last message", false },
	{ 0 },
};
const struct out_list socket_list = { "sockets", socket_cols };

struct socket_row {
	char topic[TARN_TOPIC_NAME_MAX + 1];
	char type[TARN_OBJECT_NAME_MAX + 1];
	uint64_t type_size;
	struct tarn_topic_socket said; /* its pointers mean nothing any more */
};

struct found {
	const char *wanted; /* NULL: all */
	struct socket_row *rows;
	size_t count, room;
	uint64_t denied;
};

/* --- names and options --------------------------------------------------------------------- */

static bool is_directory(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool topics_apart_name(const char *text, struct look_name *ret_name)
{
	static const char scheme[] = "unix:";
	const char *path = text + sizeof(scheme) - 1;

	if (strncmp(text, scheme, sizeof(scheme) - 1) != 0 ||
	    strlen(path) >= sizeof(ret_name->region))
		return false;
	if (!is_directory(path) && apart_name(text, ret_name))
		return true;
	memcpy(ret_name->region, path, strlen(path) + 1);
	ret_name->object = NULL;
	return true;
}

bool topics_apart_opts(struct topics_apart *t)
{
	struct look_name name;
	bool any = false;

	for (int i = 0; i < t->cli->argc; i++)
		any |= topics_apart_name(t->cli->argv[i], &name);
	if (!any && (cli_given(t->cli, "peers") || cli_given(t->cli, "remove-dead"))) {
		cli_usage(t->cli, "--peers and --remove-dead are of what is named unix:DIR or "
				  "unix:DIR/TOPIC");
		return false;
	}
	t->opts.diag = &t->cli->diag;
	return apart_peers(t->cli, &t->apart, &t->opts);
}

/* --- collect ------------------------------------------------------------------------------- */

static int remember(const struct tarn_topic_socket *said, void *arg)
{
	struct found *found = arg;
	struct socket_row *row;

	if (found->count == found->room) {
		size_t room = found->room != 0 ? 2 * found->room : 16;

		row = realloc(found->rows, room * sizeof(*row));
		if (row == NULL)
			return -ENOMEM;
		found->rows = row;
		found->room = room;
	}
	row = &found->rows[found->count++];
	*row = (struct socket_row){ .said = *said };
	snprintf(row->topic, sizeof(row->topic), "%s", said->name);
	if (said->type != NULL) {
		snprintf(row->type, sizeof(row->type), "%s", said->type->name);
		row->type_size = said->type->size;
	}
	found->denied += said->state == TARN_SOCKET_DENIED || said->state == TARN_SOCKET_REFUSES;
	return 0;
}

/* By topic; publishers before names that were left. */
static int in_order(const void *one, const void *other)
{
	const struct socket_row *a = one, *b = other;
	int order = strcmp(a->topic, b->topic);

	if (order == 0)
		order = (a->said.state > b->said.state) - (a->said.state < b->said.state);
	return order != 0 ? order
			  : (a->said.token > b->said.token) - (a->said.token < b->said.token);
}

/* --- show ---------------------------------------------------------------------------------- */

static const char *state_text(const struct tarn_topic_socket *said)
{
	static const char *const words[] = {
		[TARN_SOCKET_ANSWERS] = "alive",   [TARN_SOCKET_DEAD] = "dead",
		[TARN_SOCKET_SILENT] = "silent",   [TARN_SOCKET_REFUSES] = "refuses",
		[TARN_SOCKET_DENIED] = "denied",   [TARN_SOCKET_STRANGER] = "stranger",
		[TARN_SOCKET_DAMAGED] = "damaged",
	};

	return said->removed                                    ? "removed"
	       : said->waits                                    ? "waits"
	       : said->state < sizeof(words) / sizeof(words[0]) ? words[said->state]
								: NULL;
}

/* NULL: not known. */
static const char *command_of(int32_t pid, char buf[64])
{
	char path[40];
	FILE *file;
	bool got;

	snprintf(path, sizeof(path), "/proc/%" PRId32 "/comm", pid);
	file = pid > 0 ? fopen(path, "re") : NULL;
	got = file != NULL && fgets(buf, 64, file) != NULL;
	if (file != NULL)
		fclose(file);
	if (got)
		buf[strcspn(buf, "\n")] = '\0';
	return got ? buf : NULL;
}

static void put_times(struct out *out, const struct tarn_topic_socket *said)
{
	int64_t span = said->newest_ns - said->oldest_ns, now = tarn_now();

	if (said->newest_ns == 0)
		return;
	if (said->oldest_ns != 0 && span > 0 && said->kept > 1)
		out_real(out, "rate_hz", (double)(said->kept - 1) * 1e9 / (double)span);
	out_number(out, "last_age_ns",
		   said->newest_ns < now ? (uint64_t)(now - said->newest_ns) : 0);
}

static void put_socket(struct out *out, const struct socket_row *row)
{
	const struct tarn_topic_socket *said = &row->said;
	bool answers = said->state == TARN_SOCKET_ANSWERS;
	char token[20], command[64];

	snprintf(token, sizeof(token), "%016" PRIx64, said->token);
	out_row(out);
	out_text(out, "token", token);
	out_number_if(out, "pid", (uint64_t)(int64_t)said->who.pid, said->who.pid > 0);
	out_number(out, "uid", said->who.uid);
	out_text(out, "user", segments_user(said->who.uid));
	out_text(out, "command", command_of(said->who.pid, command));
	out_text(out, "state", state_text(said));
	out_text(out, "type", row->type[0] != '\0' ? row->type : NULL);
	out_number_if(out, "message_count", said->number, answers);
	out_number_if(out, "kept", said->kept, answers);
	out_number_if(out, "lane_bytes", said->lane_size, answers);
	if (answers)
		put_times(out, said);
}

/* What the rows of one topic come to. */
struct sum {
	uint64_t alive, answer, messages, bytes, waiting;
	const struct socket_row *waits; /* the first one that does */
	const char *type;               /* of all; NULL: bytes, or not known */
	uint64_t type_size;
};

static struct sum add_up(const struct socket_row *rows, size_t count)
{
	struct sum sum = { .alive = 0 };

	for (size_t i = 0; i < count; i++) {
		const struct tarn_topic_socket *said = &rows[i].said;

		sum.alive += said->state != TARN_SOCKET_DEAD;
		if (said->state != TARN_SOCKET_ANSWERS)
			continue;
		if (sum.answer++ == 0 && rows[i].type[0] != '\0') {
			sum.type = rows[i].type;
			sum.type_size = rows[i].type_size;
		} else if (sum.type != NULL && strcmp(sum.type, rows[i].type) != 0) {
			sum.type = "several";
			sum.type_size = 0;
		}
		sum.messages += said->number;
		sum.bytes += said->size;
		if (said->waits && sum.waiting++ == 0)
			sum.waits = &rows[i];
	}
	return sum;
}

static const char *held_up_text(const struct sum *sum, char buf[80])
{
	char command[64];

	if (sum->waiting == 0)
		return NULL;
	if (command_of(sum->waits->said.who.pid, command) == NULL)
		snprintf(command, sizeof(command), "%s", segments_user(sum->waits->said.who.uid));
	snprintf(buf, 80, "%" PRId32 " (%.30s)", sum->waits->said.who.pid, command);
	if (sum->waiting > 1)
		snprintf(buf + strlen(buf), 80 - strlen(buf), ", and %" PRIu64 " more",
			 sum->waiting - 1);
	return buf;
}

static void put_pids(struct out *out, const struct socket_row *rows, size_t count)
{
	char pids[1024] = "";
	size_t used = 0;

	out_inner(out, "sockets");
	for (size_t i = 0; i < count; i++)
		put_socket(out, &rows[i]);
	for (size_t i = 0; i < count && used < sizeof(pids) - 16; i++)
		if (rows[i].said.who.pid > 0)
			used += (size_t)snprintf(pids + used, sizeof(pids) - used, "%s%" PRId32,
						 used > 0 ? "," : "", rows[i].said.who.pid);
	out_inner_end(out, pids);
	out_inner(out, "publishers");
	out_inner_end(out, pids);
	out_inner(out, "subscribers");
	out_inner_end(out, "");
}

static void put_row(struct out *out, const char *dir, const struct socket_row *rows, size_t count)
{
	const struct sum sum = add_up(rows, count);
	char name[4400], held_up[80];

	snprintf(name, sizeof(name), "unix:%s/%s", dir, rows->topic);
	out_row(out);
	out_text(out, "name", name);
	name[strlen("unix:") + strlen(dir)] = '\0';
	out_text(out, "region", name);
	out_text(out, "topic", rows->topic);
	out_text(out, "type", sum.type);
	out_number_if(out, "type_size_bytes", sum.type_size, sum.type_size != 0);
	out_number(out, "publisher_count", sum.alive);
	out_number_if(out, "message_count", sum.messages, sum.answer > 0);
	out_number_if(out, "size_bytes", sum.bytes, sum.answer > 0);
	out_number_if(out, "lane_count", sum.answer, sum.answer > 0);
	out_text(out, "held_up", held_up_text(&sum, held_up));
	put_pids(out, rows, count);
}

/* Anybody may have named a socket anything. */
static void make_plain(char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
}

static void put_all(struct out *out, const char *dir, const struct socket_row *rows, size_t count)
{
	const struct sum sum = add_up(rows, count);
	char name[4400], held_up[80];

	snprintf(name, sizeof(name), "unix:%s/%s", dir, rows->topic);
	make_plain(name);
	out_item(out);
	out_fact_text(out, "name", "topic", name);
	if (sum.type != NULL)
		out_fact_text(out, "type", "type", sum.type);
	if (sum.type_size != 0)
		out_fact_number(out, "type_size_bytes", "message", OUT_SIZE, sum.type_size);
	if (sum.answer > 0) {
		out_fact_number(out, "message_count", "messages", OUT_COUNT, sum.messages);
		out_fact_number(out, "size_bytes", "size", OUT_SIZE, sum.bytes);
	}
	if (sum.waiting > 0)
		out_fact_text(out, "held_up", "held up", held_up_text(&sum, held_up));
	out_list(out, &socket_list);
	for (size_t i = 0; i < count; i++)
		put_socket(out, &rows[i]);
	out_item_end(out);
}

static void show(struct topics_apart *t, const char *dir, const struct socket_row *rows,
		 size_t count)
{
	bool waits = add_up(rows, count).waiting > 0;

	t->held_up += waits;
	if (!waits && cli_given(t->cli, "held-up"))
		return;
	t->shown++;
	if (t->verbose)
		put_all(t->out, dir, rows, count);
	else
		put_row(t->out, dir, rows, count);
}

/* --- look ---------------------------------------------------------------------------------- */

/* How many rows from @at on are of the same topic. */
static size_t of_topic(const struct found *found, size_t at)
{
	size_t end = at;

	while (end < found->count && strcmp(found->rows[end].topic, found->rows[at].topic) == 0)
		end++;
	return end - at;
}

static bool is_wanted(const struct found *found, size_t at)
{
	return found->wanted == NULL || strcmp(found->rows[at].topic, found->wanted) == 0;
}

/* No publisher has that name: one that has another may have been meant. */
static int no_topic(struct topics_apart *t, const char *text, const struct found *found,
		    const char *dir)
{
	struct cli_near near = { .word = found->wanted };
	struct tarn_diag *diag = &t->cli->diag;

	for (size_t i = 0; i < found->count; i++)
		cli_near_offer(&near, found->rows[i].topic);
	snprintf(diag->what, sizeof(diag->what),
		 "there is no socket %.60s:TOKEN in the directory: no publisher is there",
		 found->wanted);
	if (near.best != NULL)
		snprintf(diag->hint, sizeof(diag->hint), "did you mean 'unix:%.100s/%s'?", dir,
			 near.best);
	else if (found->count > 0)
		snprintf(diag->hint, sizeof(diag->hint),
			 "tarn topics unix:%.100s lists those of it", dir);
	else
		snprintf(diag->hint, sizeof(diag->hint),
			 "tarn pub %.100s begins one; such a topic goes with its last publisher",
			 text);
	return cli_fail(t->cli, text, -ENOENT);
}

/* What is neither a directory nor the name of a topic in one, but there. */
static int no_directory(struct cli *cli, const char *text)
{
	snprintf(cli->diag.what, sizeof(cli->diag.what),
		 "it is a file or a socket, and a directory of sockets is wanted, or DIR/TOPIC");
	snprintf(cli->diag.hint, sizeof(cli->diag.hint),
		 "the publisher of a socket DIR/TOPIC:TOKEN is among those of unix:DIR/TOPIC");
	return cli_fail(cli, text, -ENOTDIR);
}

static int collect(struct topics_apart *t, const char *text, const struct look_name *name,
		   struct found *found)
{
	uint32_t flags = cli_given(t->cli, "remove-dead") ? TARN_SOCKETS_REMOVE_DEAD : 0;
	int r;

	t->opts.socket_dir = name->region;
	r = tarn_topic_sockets(name->object, &t->opts, flags, remember, found);
	if (r == 0 && found->count == 0 && name->object != NULL) /* for names that are near */
		r = tarn_topic_sockets(NULL, &t->opts, 0, remember, found);
	if (r == -EACCES)
		out_unreadable(t->out);
	if (r < 0)
		return cli_fail(t->cli, text, r);
	t->cli->diag = (struct tarn_diag){ 0 };
	return CLI_OK;
}

int topics_apart_look(struct topics_apart *t, const char *text)
{
	struct found found = { .wanted = NULL };
	struct look_name name;
	struct stat st;
	int code;
	bool any = false;

	if (!topics_apart_name(text, &name))
		return cli_fail(t->cli, text, -ENAMETOOLONG);
	found.wanted = name.object;
	code = collect(t, text, &name, &found);
	if (found.count > 0 && code == CLI_OK)
		qsort(found.rows, found.count, sizeof(*found.rows), in_order);
	for (size_t at = 0, count; code == CLI_OK && at < found.count; at += count) {
		count = of_topic(&found, at);
		if (!is_wanted(&found, at))
			continue;
		any = true;
		show(t, name.region, &found.rows[at], count);
	}
	if (code == CLI_OK && !any && name.object != NULL)
		code = lstat(text + strlen("unix:"), &st) == 0
			       ? no_directory(t->cli, text)
			       : no_topic(t, text, &found, name.region);
	else if (found.denied != 0)
		out_partial(t->out, found.denied, NULL);
	free(found.rows);
	return code;
}
