/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_look.c - one look: regions, who is in them, and what other verbs see there. See top.h.
 *
 * Each look opens and closes what it looks at. So regions and objects come and go as they like,
 * and one that is damaged or was made anew is told as what it is then.
 */

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/call.h>

#include "cmds.h"
#include "figures.h"
#include "look.h"
#include "scan.h"
#include "top.h"

void *top_array_add(struct top_array *array, size_t size)
{
	size_t room = array->room > 0 ? array->room * 2 : 16;

	if (array->count == array->room) {
		void *grown = realloc(array->at, room * size);

		if (grown == NULL)
			return NULL;
		array->at = grown;
		array->room = room;
	}
	return memset((char *)array->at + array->count++ * size, 0, size);
}

static void forget(struct top *top)
{
	for (size_t i = 0; i < top->regions.count; i++)
		free(((struct top_region *)top->regions.at)[i].addr);
	for (size_t i = 0; i < top->counters.count; i++)
		free(((struct top_counter *)top->counters.at)[i].name);
	top->regions.count = top->members.count = 0;
	top->services.count = top->counters.count = 0;
	rows_free(top->topics);
	rows_free(top->locks);
	top->topics = top->locks = NULL;
	for (int i = 0; i < TOP_PANES; i++) {
		rows_free(top->panes[i]);
		top->panes[i] = NULL;
	}
}

/* --- one region ---------------------------------------------------------------------------- */

struct walk {
	struct top *top;
	struct tarn_region *region;
	size_t at; /* of the region, in top->regions */
	int code;  /* of what is in it */
};

static struct top_region *region_of(const struct walk *walk)
{
	return &((struct top_region *)walk->top->regions.at)[walk->at];
}

static int each_member(const struct tarn_member_stat *stat, void *arg)
{
	struct walk *walk = arg;
	struct top_member *member = top_array_add(&walk->top->members, sizeof(*member));

	if (member == NULL)
		return -ENOMEM;
	*member = (struct top_member){ walk->at, *stat };
	region_of(walk)->dead += !stat->alive;
	return 0;
}

static int add_counter(struct walk *walk, const struct figures_set *set, uint32_t kind,
		       uint32_t number)
{
	const struct tarn_metric *metric = tarn_counters_describe(set->counters, number);
	size_t length = strlen(metric->name) + 1;
	const char *unit = metric->unit != NULL ? metric->unit : "";
	struct top_counter *counter = top_array_add(&walk->top->counters, sizeof(*counter));

	if (counter == NULL)
		return -ENOMEM;
	counter->region = walk->at;
	counter->kind = kind;
	memcpy(counter->object, set->object, sizeof(counter->object));
	counter->metric = (struct tarn_metric){ .kind = metric->kind };
	counter->value = tarn_sample_value(set->now, number);
	counter->p99 = tarn_sample_quantile(set->now, number, 0.99);
	counter->name = malloc(length + strlen(unit) + 1);
	if (counter->name == NULL)
		return -ENOMEM;
	counter->metric.name = memcpy(counter->name, metric->name, length);
	counter->metric.unit = memcpy(counter->name + length, unit, strlen(unit) + 1);
	return 0;
}

static int read_counters(struct walk *walk, const struct tarn_object_stat *object)
{
	struct figures figures;
	int r = 0, code = figures_open_in(walk->top->cli, walk->region, region_of(walk)->addr,
					  object->name, &figures);

	if (code == CLI_OK) {
		code = figures_take(&figures);
		for (uint32_t i = 0;
		     code == CLI_OK && r == 0 && i < tarn_counters_count(figures.sets[0].counters);
		     i++)
			r = add_counter(walk, &figures.sets[0], object->kind, i);
		figures.region = NULL; /* it is the walk's */
		figures_close(&figures);
	}
	walk->code = cli_worse(walk->code, code);
	return r;
}

static int each_party(const struct tarn_call_user *user, void *arg)
{
	struct top_service *service = arg;
	size_t used = strlen(service->pids);

	service->dead += !user->alive;
	service->responses += user->role == TARN_CALL_SERVES ? user->responses : 0;
	service->requests += user->role == TARN_CALL_SERVES ? user->requests : 0;
	if (!user->alive)
		return 0;
	if (user->role != TARN_CALL_SERVES) {
		service->clients++;
		return 0;
	}
	service->servers++;
	if (used + 13 < sizeof(service->pids)) /* not half a number */
		snprintf(service->pids + used, sizeof(service->pids) - used, "%s%" PRId32,
			 used > 0 ? "," : "", user->pid);
	return 0;
}

static int look_at_service(struct walk *walk, const char *name)
{
	struct top_service *service = top_array_add(&walk->top->services, sizeof(*service));
	int r;

	if (service == NULL)
		return -ENOMEM;
	service->region = walk->at;
	memcpy(service->name, name, strnlen(name, TARN_OBJECT_NAME_MAX));
	r = tarn_service_users(walk->region, name, each_party, service);
	if (r == 0 || r == -ENOENT) /* it went since it was found */
		return 0;
	walk->code = cli_worse(walk->code, cli_fail(walk->top->cli, name, r));
	return r == -ENOMEM ? r : 0;
}

static int each_object(const struct tarn_object_stat *stat, void *arg)
{
	struct walk *walk = arg;
	int r = 0;

	if (stat->removed)
		return 0;
	if (stat->kind == TARN_OBJECT_SERVICE)
		r = look_at_service(walk, stat->name);
	if (r == 0 && (walk->top->all || stat->kind == TARN_OBJECT_COUNTERS ||
		       stat->kind == TARN_OBJECT_TOPIC))
		r = read_counters(walk, stat);
	return r;
}

/* 0, or why it could not be looked into. */
static int walk_region(struct walk *walk, const char *addr)
{
	struct top *top = walk->top;
	struct tarn_region_stat stat;
	int r = tarn_region_open(addr, &top->opts, &walk->region);

	if (r < 0)
		return r;
	r = tarn_region_stat(walk->region, &stat);
	if (r == 0) {
		region_of(walk)->stat = stat;
		r = tarn_region_members(walk->region, each_member, walk);
	}
	if (r == 0)
		r = tarn_region_objects(walk->region, each_object, walk);
	tarn_region_close(walk->region);
	return r;
}

static int add_region(struct walk *walk, const char *addr)
{
	struct top *top = walk->top;
	struct top_region *region = top_array_add(&top->regions, sizeof(*region));

	walk->at = top->regions.count - 1;
	if (region == NULL || (region->addr = strdup(addr)) == NULL) {
		top->regions.count -= region != NULL;
		return -ENOMEM;
	}
	region_of(walk)->error = walk_region(walk, addr);
	return region_of(walk)->error == -ENOMEM ? -ENOMEM : 0;
}

/* --- all of them --------------------------------------------------------------------------- */

static int add_found(const char *addr, void *arg)
{
	struct walk *walk = arg;
	struct top *top = walk->top;
	int r = add_region(walk, addr), error = r == 0 ? region_of(walk)->error : 0;

	top->cli->diag = (struct tarn_diag){ 0 };
	if (error == -EACCES || error == -EPERM)
		top->unreadable++;
	if (error == -ENOENT || error == -EACCES || error == -EPERM) {
		/* it went since it was found, or is counted */
		free(region_of(walk)->addr);
		top->regions.count--;
	}
	return r;
}

static int walk_all(struct top *top)
{
	struct cli *cli = top->cli;
	struct walk walk = { .top = top, .code = CLI_OK };
	uint64_t unreadable = 0;
	int r = 0;

	top->unreadable = 0;
	if (cli->argc == 0)
		r = scan_regions(add_found, &walk, &unreadable);
	for (int i = 0; i < cli->argc && r == 0; i++) {
		r = add_region(&walk, cli->argv[i]);
		if (r == 0 && region_of(&walk)->error != 0)
			walk.code = cli_worse(
				walk.code, look_fail(cli, cli->argv[i], region_of(&walk)->error));
	}
	top->unreadable += unreadable;
	return r < 0 ? cli_fail(cli, NULL, r) : walk.code;
}

/* --- through the eyes of other verbs ------------------------------------------------------- */

/* What verb @cmd prints of the regions that could be looked into. */
static int ask(struct top *top, const struct cli_cmd *cmd, const char *option,
	       struct rows **ret_rows)
{
	const struct top_region *regions = top->regions.at;
	char **argv = calloc(top->regions.count + 1, sizeof(*argv));
	int argc = 0, code;

	if (argv == NULL)
		return cli_error(top->cli, "out of memory");
	for (size_t i = 0; i < top->regions.count; i++)
		if (regions[i].error == 0)
			argv[argc++] = regions[i].addr;
	/* no operand would mean all */
	code = argc > 0 ? look_through(top->cli, cmd, option, argc, argv, ret_rows) : CLI_OK;
	free(argv);
	return code;
}

/* Of regions that nobody has named one may go while it is looked at. */
static int ask_all(struct top *top)
{
	int code = ask(top, &cmd_topics, NULL, &top->topics);

	code = cli_worse(code, ask(top, &cmd_locks, "all", &top->locks));
	return code == CLI_ABSENT && top->cli->argc == 0 ? CLI_OK : code;
}

static void put_panes(struct top *top, struct cli *cli)
{
	struct out outs[TOP_PANES];

	for (int i = 0; i < TOP_PANES; i++) {
		(void)out_begin(&outs[i], cli);
		out_list(&outs[i], top_lists[i]);
	}
	top_panes_put(top, outs);
	for (int i = 0; i < TOP_PANES; i++) {
		cli->take_arg = &top->panes[i];
		(void)out_end(&outs[i], CLI_OK);
	}
}

int top_look(struct top *top)
{
	struct cli cli = { .cmd = top->cli->cmd, .take = look_take };
	int64_t now = tarn_now();
	int code;

	forget(top);
	top->interval_ns = top->looks > 0 ? now - top->last_ns : 0;
	top->last_ns = now;
	top->looks++;
	code = walk_all(top);
	code = cli_worse(code, ask_all(top));
	put_panes(top, &cli);
	for (int i = 0; i < TOP_PANES; i++)
		if (top->panes[i] == NULL) /* out_end() has said it */
			return CLI_FAILURE;
	return code;
}

void top_free(struct top *top)
{
	forget(top);
	free(top->regions.at);
	free(top->members.at);
	free(top->services.at);
	free(top->counters.at);
	top_memory_free(&top->memory);
}
