/* SPDX-License-Identifier: BSD-2-Clause */
/* look.c - see look.h. */

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <tarn/segment.h>

#include "look.h"
#include "rows.h"
#include "scan.h"

struct near {
	struct cli_near near;
	char name[280];
};

bool look_opts(struct cli *cli, struct tarn_region_opts *ret_opts)
{
	*ret_opts = (struct tarn_region_opts){ .flags = TARN_REGION_OBSERVE };
	if (!cli_open_opts(cli, ret_opts))
		return false;
	if (!cli_given(cli, "mode"))
		ret_opts->flags |= TARN_SEGMENT_ANY_MODE;
	return true;
}

static int offer(const char *addr, void *arg)
{
	struct near *near = arg;
	const char *best = near->near.best;

	cli_near_offer(&near->near, addr);
	if (near->near.best != best)
		snprintf(near->name, sizeof(near->name), "%s", addr);
	near->near.best = near->near.best != NULL ? near->name : NULL;
	return 0;
}

int look_fail(struct cli *cli, const char *name, int error)
{
	struct near near = { .near = { .word = name } };

	/* A directory that is not there is the library's to explain. */
	if (error != -ENOENT || strchr(name, '/') != NULL || scan_regions(offer, &near, NULL) < 0)
		return cli_fail(cli, name, error);
	snprintf(cli->diag.what, sizeof(cli->diag.what), "there is no such region");
	cli->diag.hint[0] = '\0';
	if (near.near.best != NULL)
		snprintf(cli->diag.hint, sizeof(cli->diag.hint), "did you mean '%.200s'?",
			 near.name);
	return cli_fail(cli, name, error);
}

/* Does @text begin with a kind whose rest is a path? */
static bool is_path_kind(const char *text)
{
	return strncmp(text, "file:", 5) == 0 ||
	       (strncmp(text, "sysv:", 5) == 0 && strchr(text, ',') != NULL);
}

static char *object_of_path(char *text)
{
	char *slash = strrchr(text, '/');
	struct stat st;

	if (slash == NULL)
		return NULL;
	if (strncmp(text, "sysv:", 5) == 0)
		return strchr(slash, ',') == NULL ? slash : NULL; /* sysv:PATH,ID/OBJECT */
	*slash = '\0';

	bool below_a_file = stat(text + 5, &st) == 0 && S_ISREG(st.st_mode);

	*slash = '/';
	return below_a_file ? slash : NULL;
}

bool look_name(const char *text, struct look_name *ret_name)
{
	int n = snprintf(ret_name->region, sizeof(ret_name->region), "%s", text);

	if (n < 0 || (size_t)n >= sizeof(ret_name->region))
		return false;

	char *slash = is_path_kind(text) ? object_of_path(ret_name->region)
					 : strchr(ret_name->region, '/');

	/* "/name" is how shm_open() writes a name; it is left to the library to refuse. */
	if (slash == ret_name->region)
		slash = NULL;
	ret_name->object = NULL;
	if (slash != NULL) {
		*slash = '\0';
		ret_name->object = slash + 1;
	}
	return true;
}

const char *look_kind(uint32_t kind)
{
	switch ((enum tarn_object_kind)kind) {
	case TARN_OBJECT_BYTES:
		return "bytes";
	case TARN_OBJECT_RING:
		return "ring";
	case TARN_OBJECT_SECTION:
		return "section";
	case TARN_OBJECT_ARENA:
		return "arena";
	case TARN_OBJECT_EXTENT:
		return "extent";
	case TARN_OBJECT_CHANGES:
		return "changes";
	case TARN_OBJECT_DIRTY:
		return "dirty";
	case TARN_OBJECT_STRUCT:
		return "struct";
	case TARN_OBJECT_MUTEX:
		return "mutex";
	case TARN_OBJECT_RWLOCK:
		return "rwlock";
	case TARN_OBJECT_SEM:
		return "semaphore";
	case TARN_OBJECT_COND:
		return "cond";
	case TARN_OBJECT_BARRIER:
		return "barrier";
	case TARN_OBJECT_EVENT:
		return "event";
	case TARN_OBJECT_ONCE:
		return "once";
	case TARN_OBJECT_SPIN:
		return "spin";
	case TARN_OBJECT_SEQLOCK:
		return "seqlock";
	case TARN_OBJECT_LATEST:
		return "latest";
	case TARN_OBJECT_TOPIC:
		return "topic";
	case TARN_OBJECT_LANE:
		return "lane";
	case TARN_OBJECT_COUNTERS:
		return "counters";
	case TARN_OBJECT_SERVICE:
		return "service";
	case TARN_OBJECT_BUNDLE:
		return "bundle";
	case TARN_OBJECT_TRACE:
		return "trace";
	}
	return "unknown";
}

bool look_tells_deaths(uint32_t kind)
{
	return kind == TARN_OBJECT_MUTEX || kind == TARN_OBJECT_RWLOCK ||
	       kind == TARN_OBJECT_SPIN || kind == TARN_OBJECT_SEQLOCK;
}

static int count_member(const struct tarn_member_stat *stat, void *arg)
{
	struct look_members *members = arg;
	size_t used = strlen(members->who);

	members->alive += stat->alive;
	members->dead += !stat->alive;
	if (stat->alive && used < sizeof(members->who))
		snprintf(members->who + used, sizeof(members->who) - used, "%spid %d (%s)",
			 used > 0 ? ", " : "", stat->pid, stat->comm);
	return 0;
}

int look_members(struct tarn_region *region, struct look_members *ret_members)
{
	struct look_members members = { 0 };
	int r = tarn_region_members(region, count_member, &members);

	if (r < 0)
		return r;
	/* One that holds its lock, and has not yet said who it is, is in no slot that is taken. */
	*ret_members = members;
	return 0;
}

const char *look_proof(const struct tarn_region_stat *stat, char buf[120])
{
	snprintf(buf, 120, "no live member: the kernel holds no lock on slots 0-%u",
		 stat->member_max - 1);
	return buf;
}

void look_take(struct rows *rows, void *arg)
{
	struct rows **taken = arg;

	rows_free(*taken);
	*taken = rows;
}

int look_through(const struct cli *cli, const struct cli_cmd *cmd, const char *option, int argc,
		 char **argv, struct rows **ret_rows)
{
	struct cli_cmd as = *cmd;
	struct cli eyes;

	as.name = cli->cmd->name;
	cli_borrow(&eyes, &as, cli);
	eyes.take = look_take;
	eyes.take_arg = ret_rows;
	eyes.argc = argc;
	eyes.argv = argv;
	if (option != NULL)
		cli_give(&eyes, option, "");
	return cmd->run(&eyes);
}
