/* SPDX-License-Identifier: BSD-2-Clause */
/* segments.c - see segments.h. */

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "segments.h"

static const char *const types[] = {
	[TARN_SEGMENT_POSIX] = "posix", [TARN_SEGMENT_SYSV] = "sysv",
	[TARN_SEGMENT_FILE] = "file",   [TARN_SEGMENT_HUGE] = "huge",
	[TARN_SEGMENT_MEMFD] = "memfd", [TARN_SEGMENT_ANON] = "anon",
};
enum { TYPE_COUNT = sizeof(types) / sizeof(types[0]) };

const char *segments_type(uint32_t kind)
{
	return kind < TYPE_COUNT && types[kind] != NULL ? types[kind] : "unknown";
}

const char *segments_state(uint32_t state)
{
	switch ((enum tarn_host_state)state) {
	case TARN_STATE_LIVE:
		return "live";
	case TARN_STATE_IDLE:
		return "idle";
	case TARN_STATE_ORPHAN:
		return "orphan";
	case TARN_STATE_DELETED:
		return "deleted";
	case TARN_STATE_STALE:
		return "stale";
	case TARN_STATE_UNKNOWN:
		break;
	}
	return "unknown";
}

const char *segments_content(uint32_t content)
{
	switch ((enum tarn_host_content)content) {
	case TARN_CONTENT_REGION:
		return "region";
	case TARN_CONTENT_CONTROL:
		return "control";
	case TARN_CONTENT_TEMPORARY:
		return "temporary";
	case TARN_CONTENT_SEMAPHORE:
		return "semaphore";
	case TARN_CONTENT_UNKNOWN:
		break;
	}
	return NULL;
}

const char *segments_rights(uint32_t rights, char buf[8])
{
	snprintf(buf, 8, "%c%c%c%c", rights & TARN_HOST_READ ? 'r' : '-',
		 rights & TARN_HOST_WRITE ? 'w' : '-', rights & TARN_HOST_EXEC ? 'x' : '-',
		 rights & TARN_HOST_PRIVATE ? 'p' : 's');
	return buf;
}

/* Most of a host's memory belongs to few users, and each question may read a file. */
const char *segments_user(uint32_t uid)
{
	static struct {
		bool known;
		uint32_t uid;
		char name[40];
	} cache[16];
	unsigned at = uid % 16;

	if (uid == UINT32_MAX)
		return NULL;
	if (!cache[at].known || cache[at].uid != uid) {
		const struct passwd *user = getpwuid(uid);

		cache[at].known = true;
		cache[at].uid = uid;
		if (user != NULL)
			snprintf(cache[at].name, sizeof(cache[at].name), "%s", user->pw_name);
		else
			snprintf(cache[at].name, sizeof(cache[at].name), "%u", uid);
	}
	return cache[at].name;
}

const char *segments_seals(uint32_t seals, char buf[80])
{
	static const struct {
		uint32_t bit;
		const char *word;
	} words
		[] = {
			{ F_SEAL_SEAL, "seal" },  { F_SEAL_SHRINK, "shrink" },
			{ F_SEAL_GROW, "grow" },  { F_SEAL_WRITE, "write" },
			{ 0x10, "future_write" }, /* F_SEAL_FUTURE_WRITE of <linux/fcntl.h> */
			{ 0x20, "exec" },         /* F_SEAL_EXEC of the same */
		};
	size_t used = 0;

	buf[0] = '\0';
	for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (seals & words[i].bit)
			used += (size_t)snprintf(buf + used, 80 - used, "%s%s", used > 0 ? "," : "",
						 words[i].word);
	}
	return buf;
}

const char *segments_mode(uint32_t mode, char buf[8])
{
	if (mode == UINT32_MAX)
		return NULL;
	snprintf(buf, 8, "%04o", mode & 07777);
	return buf;
}

/* --- options ------------------------------------------------------------------------------- */

static uint32_t type_bit(const char *word, size_t length)
{
	if (length == 6 && strncmp(word, "region", 6) == 0)
		return SEGMENTS_REGIONS;
	for (uint32_t kind = 1; kind < TYPE_COUNT; kind++) {
		if (strlen(types[kind]) == length && strncmp(types[kind], word, length) == 0)
			return 1u << kind;
	}
	return 0;
}

bool segments_types(struct cli *cli, uint32_t *ret_types)
{
	const char *word = cli_value(cli, "type");
	uint32_t bits = 0;

	if (word == NULL)
		return true;
	do {
		size_t length = strcspn(word, ",");
		uint32_t bit = type_bit(word, length);

		if (bit == 0) {
			cli_usage(cli,
				  "'%.*s' is no type: they are posix, sysv, memfd, huge, anon, "
				  "file and region",
				  (int)length, word);
			return false;
		}
		bits |= bit;
		word += length + (word[length] == ',');
	} while (*word != '\0');
	*ret_types = bits;
	return true;
}

bool segments_type_among(const struct tarn_host_segment *segment, uint32_t bits)
{
	bool own = segment->content == TARN_CONTENT_REGION ||
		   segment->content == TARN_CONTENT_CONTROL ||
		   segment->content == TARN_CONTENT_TEMPORARY;

	return (bits & SEGMENTS_REGIONS && own) || (bits & 1u << segment->kind);
}

/* --- pictures ------------------------------------------------------------------------------ */

int segments_fail(struct cli *cli, const struct tarn_host_opts *opts, int error)
{
	char subject[40] = "/proc";

	if (opts->pid != 0)
		snprintf(subject, sizeof(subject), "process %d", opts->pid);
	/* What the library says names the process or file itself. */
	return cli_fail(cli, cli->diag.what[0] == '\0' ? subject : NULL, error);
}

static int offer(const struct tarn_host_segment *segment, void *arg)
{
	cli_near_offer(arg, segment->addr);
	return 0;
}

int segments_find(struct cli *cli, struct tarn_host *host, const char *name,
		  const struct tarn_host_segment **ret_segment)
{
	struct cli_near near = { .word = name };
	int r = tarn_host_find(host, name, ret_segment, &cli->diag);

	if (r == 0)
		return CLI_OK;
	if (r == -ENOENT && cli->diag.hint[0] == '\0') {
		(void)tarn_host_segments(host, offer, &near);
		if (near.best != NULL)
			snprintf(cli->diag.hint, sizeof(cli->diag.hint), "did you mean '%.200s'?",
				 near.best);
	}
	return cli_fail(cli, name, r);
}

struct users {
	char *buf;
	uint32_t count;
};

static int put_user(const struct tarn_host_use *use, void *arg)
{
	enum { SHOWN = 4 };
	struct users *users = arg;
	size_t used = strlen(users->buf);

	if (users->count++ < SHOWN)
		snprintf(users->buf + used, 160 - used, "%spid %d (%s)", used > 0 ? ", " : "",
			 use->process->pid, use->process->command);
	else if (users->count == SHOWN + 1)
		snprintf(users->buf + used, 160 - used, " and %u more",
			 use->segment->process_count - SHOWN);
	return 0;
}

const char *segments_users(const struct tarn_host *host, const struct tarn_host_segment *segment,
			   char buf[160])
{
	struct users users = { .buf = buf };

	buf[0] = '\0';
	(void)tarn_host_uses(host, segment, NULL, put_user, &users);
	return buf;
}

void segments_partial(struct out *out, const struct tarn_host *host, char buf[160])
{
	struct tarn_host_stat stat;

	tarn_host_stat(host, &stat);
	if (stat.enclosed && !out->as_json && isatty(STDERR_FILENO))
		cli_note(out->cli, "this is a PID namespace: who uses what outside it is not seen");
	if (stat.complete)
		return;
	if (stat.unreadable_count > 0)
		snprintf(buf, 160, "%u not readable, processes or files; counts are lower bounds",
			 stat.unreadable_count);
	else
		snprintf(buf, 160, "/proc hides processes from this user; counts are lower bounds");
	out_partial(out, stat.unreadable_count, buf);
}
