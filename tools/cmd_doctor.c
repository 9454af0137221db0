/* SPDX-License-Identifier: BSD-2-Clause */
/* tarn doctor - what will hurt programs that share memory here, and the command that mends it. */

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/host.h>

#include "cli.h"
#include "cmds.h"
#include "doctor.h"
#include "out.h"

static const struct cli_opt doctor_opts[] = {
	{ 'f', "format", "text|json|nagios|prometheus", "how to print it; text if not given" },
	{ 'J', "json", NULL, "the same as --format=json, see tarn-json(5)" },
	{ 'v', "all", NULL, "show what is in order too" },
	{ 0, "for", "SIZE", "will a segment of that size fit, and if not, why?" },
	{ 0, "as", "ADDRESS",
	  "with --for: of which kind; shm, sysv, memfd, anon, huge, or an address such as "
	  "file:PATH; "
	  "shm if not given" },
	{ 0, "pages", "2M|1G", "with --for: in huge pages" },
	{ 0, "lock", NULL, "with --for: locked in memory" },
	{ 0, "root", "DIR",
	  "read the host's proc, sys and dev under DIR, as a container has them mounted" },
	{ 0 },
};

static const struct out_col doctor_cols[] = {
	{ "check", "CHECK", OUT_TEXT, "what was looked at; the name stays", false },
	{ "severity", "SEVERITY", OUT_TEXT, "ok, warning, critical or unknown", false },
	{ "what", "WHAT", OUT_TEXT, "what was found, with its figures", false },
	{ "breaks", "BREAKS", OUT_TEXT, "what goes wrong because of it; null: nothing", false },
	{ "fix", "FIX", OUT_TEXT, "the command that mends it; null: there is none", false },
	{ "bytes", "BYTES", OUT_COUNT,
	  "bytes of a shortage or of leftovers; of what is counted, how many", false },
	{ 0 },
};
static const struct out_list doctor_list = { "items", doctor_cols };
static const struct out_list *const doctor_lists[] = { &doctor_list, NULL };

/* --- collecting ---------------------------------------------------------------------------- */

static char *copy(struct doctor *doctor, const char *text)
{
	char *own = text != NULL ? strdup(text) : NULL;

	doctor->failed |= text != NULL && own == NULL;
	return own;
}

/* Room for one more of @size bytes each; false with doctor->failed. */
static bool room(struct doctor *doctor, void **array, size_t count, size_t *room, size_t size)
{
	size_t more = *room == 0 ? 64 : *room * 2;
	void *larger;

	if (count < *room)
		return true;
	larger = realloc(*array, more * size);
	if (larger == NULL) {
		doctor->failed = true;
		return false;
	}
	*array = larger;
	*room = more;
	return true;
}

static int keep_finding(const struct tarn_host_finding *finding, void *arg)
{
	struct doctor *doctor = arg;

	if (!room(doctor, (void **)&doctor->findings, doctor->finding_count, &doctor->finding_room,
		  sizeof(*doctor->findings)))
		return -ENOMEM;
	doctor->findings[doctor->finding_count++] = (struct doctor_finding){
		.check = copy(doctor, finding->check),
		.what = copy(doctor, finding->what),
		.breaks = copy(doctor, finding->breaks),
		.fix = copy(doctor, finding->fix),
		.severity = finding->severity,
		.bytes = finding->bytes,
	};
	return doctor->failed ? -ENOMEM : 0;
}

static int keep_limit(const struct tarn_host_limit *limit, void *arg)
{
	struct doctor *doctor = arg;

	if (!room(doctor, (void **)&doctor->limits, doctor->limit_count, &doctor->limit_room,
		  sizeof(*doctor->limits)))
		return -ENOMEM;
	doctor->limits[doctor->limit_count++] = (struct doctor_limit){
		.name = copy(doctor, limit->name),
		.text = copy(doctor, limit->text),
		.unit = limit->unit,
		.value = limit->value,
		.used = limit->used,
	};
	return doctor->failed ? -ENOMEM : 0;
}

static void forget(struct doctor *doctor)
{
	for (size_t i = 0; i < doctor->finding_count; i++) {
		free(doctor->findings[i].check);
		free(doctor->findings[i].what);
		free(doctor->findings[i].breaks);
		free(doctor->findings[i].fix);
	}
	for (size_t i = 0; i < doctor->limit_count; i++) {
		free(doctor->limits[i].name);
		free(doctor->limits[i].text);
	}
	free(doctor->findings);
	free(doctor->limits);
}

/* --- what is asked ------------------------------------------------------------------------- */

/* The host as it is. */
static int examine(struct doctor *doctor)
{
	const struct tarn_host_opts opts = { .root = doctor->root, .diag = &doctor->cli->diag };
	struct tarn_host *host = NULL;
	struct tarn_host_stat stat = { 0 };
	uint32_t unreadable = 0;
	int r = tarn_host_scan(&opts, &host);

	if (r < 0)
		return r;
	tarn_host_stat(host, &stat);
	r = tarn_host_findings(host, &opts, keep_finding, doctor);
	tarn_host_free(host);
	if (r == 0)
		r = tarn_host_limits(&opts, keep_limit, doctor, &unreadable);
	doctor->unreadable = (uint64_t)stat.unreadable_count + unreadable;
	return r;
}

/* "shm" means "shm:", any of that kind. */
static const char *address(const struct cli *cli)
{
	static const char *const kinds[][2] = {
		{ "shm", "shm:" },     { "posix", "shm:" }, { "sysv", "sysv:" },
		{ "memfd", "memfd:" }, { "anon", "anon:" }, { "huge", "huge:" },
	};
	const char *as = cli_value(cli, "as");

	if (as == NULL)
		return cli_given(cli, "pages") ? "memfd:" : "shm:";
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i][0], as) == 0)
			return kinds[i][1];
	return as;
}

/* Would it fit? The answer comes first. */
static int fit(struct doctor *doctor, uint64_t size)
{
	struct cli *cli = doctor->cli;
	const struct tarn_host_opts opts = { .root = doctor->root, .diag = &cli->diag };
	const char *pages = cli_value(cli, "pages");
	struct tarn_segment_opts want = { .size = size };
	struct tarn_host_finding answer = { .check = "fit", .severity = TARN_SEVERITY_OK };
	struct doctor_finding last;
	char what[160], a[24];
	int r;

	if (pages != NULL) {
		want.pages = pages[0] == '2' ? TARN_PAGES_2M : TARN_PAGES_1G;
		want.flags |= TARN_SEGMENT_PAGES_MUST;
	}
	if (cli_given(cli, "lock"))
		want.flags |= TARN_SEGMENT_LOCK;
	r = tarn_host_fit(address(cli), &want, &opts, keep_finding, doctor);
	if (r < 0 && r != -ENOSPC)
		return r;
	cli->diag = (struct tarn_diag){ 0 };
	answer.severity = r == 0 ? TARN_SEVERITY_OK : TARN_SEVERITY_CRITICAL;
	snprintf(what, sizeof(what), "%s: %s (%" PRIu64 " bytes) %s as %.60s",
		 r == 0 ? "yes" : "no", text_size(size, a), size, r == 0 ? "fit" : "do not fit",
		 address(cli));
	answer.what = what;
	r = keep_finding(&answer, doctor);
	if (r < 0)
		return r;
	last = doctor->findings[doctor->finding_count - 1];
	memmove(doctor->findings + 1, doctor->findings, (doctor->finding_count - 1) * sizeof(last));
	doctor->findings[0] = last;
	return 0;
}

/* --- telling ------------------------------------------------------------------------------- */

static void put_json(struct doctor *doctor)
{
	struct out out;

	if (out_begin(&out, doctor->cli) >= 0) {
		doctor->failed = true;
		return;
	}
	out_list(&out, &doctor_list);
	for (size_t i = 0; i < doctor->finding_count; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		out_row(&out);
		out_text(&out, "check", finding->check);
		out_text(&out, "severity", doctor_severity(finding->severity));
		out_text(&out, "what", finding->what);
		out_text(&out, "breaks", finding->breaks);
		out_text(&out, "fix", finding->fix);
		out_number(&out, "bytes", finding->bytes);
	}
	if (doctor->unreadable > 0)
		out_partial(&out, doctor->unreadable, "what they use is missing");
	/* its exit code is of lists; here the findings decide */
	(void)out_end(&out, CLI_OK);
	doctor->failed |= out.failed;
}

/* --format json is what -J is to the renderer. */
static bool wants_json(struct cli *cli, const char *format)
{
	for (int i = 0; i < cli->opt_count; i++)
		if (strcmp(cli->opts[i]->name, "json") == 0 && strcmp(format, "json") == 0)
			cli->values[i] = "";
	return cli_given(cli, "json");
}

static int tell(struct doctor *doctor)
{
	static const int codes[] = { 0, 1, 2, 3 }; /* by severity */
	const char *format = cli_value(doctor->cli, "format");

	if (format == NULL)
		format = "text";
	if (wants_json(doctor->cli, format))
		put_json(doctor);
	else if (strcmp(format, "nagios") == 0)
		doctor_nagios(doctor);
	else if (strcmp(format, "prometheus") == 0)
		doctor_prometheus(doctor);
	else
		doctor_text(doctor, doctor->fitting || cli_given(doctor->cli, "all"));
	if (doctor->failed)
		return cli_fail(doctor->cli, NULL, -ENOMEM);
	return codes[doctor_worst(doctor)];
}

static bool check_usage(struct cli *cli, uint64_t *ret_size)
{
	static const char *const with_for[] = { "as", "pages", "lock" };
	bool fitting = cli_given(cli, "for");

	for (size_t i = 0; i < 3; i++)
		if (!fitting && cli_given(cli, with_for[i])) {
			(void)cli_usage(cli, "--%s says more about --for SIZE, which is missing",
					with_for[i]);
			return false;
		}
	if (!cli_size(cli, "for", ret_size))
		return false;
	if (fitting && *ret_size == 0) {
		(void)cli_usage(cli, "--for must be more than nothing");
		return false;
	}
	return true;
}

static int doctor_run(struct cli *cli)
{
	struct doctor doctor = { .cli = cli, .root = cli_value(cli, "root") };
	uint64_t size = 0;
	int code, r;

	if (!check_usage(cli, &size))
		return CLI_USAGE;
	doctor.fitting = size > 0;
	r = doctor.fitting ? fit(&doctor, size) : examine(&doctor);
	if (r < 0)
		code = cli_fail(cli, doctor.fitting ? address(cli) : doctor.root, r);
	else
		code = tell(&doctor);
	forget(&doctor);
	return code;
}

static const struct cli_example doctor_examples[] = {
	{ "tarn doctor", "what will hurt, the worst first" },
	{ "tarn doctor --for 1G", "will a segment of 1 GiB fit into /dev/shm?" },
	{ "tarn doctor --for 512M --as memfd --pages 2M", "the same, in huge pages" },
	{ "tarn doctor --format nagios", "one line for a monitor, with its exit codes" },
	{ "tarn doctor --format prometheus > /var/lib/node_exporter/tarn.prom",
	  "for node_exporter's textfile collector" },
	{ 0 },
};

static const struct cli_exit_note doctor_exits[] = {
	{ 0, "all is in order; with --for: it fits" },
	{ 1, "the gravest finding is a warning" },
	{ 2,
	  "a finding is critical; with --for: it does not fit; also: the command line is wrong" },
	{ 3,
	  "nothing is worse than unknown: a check could not be made; also: there is no proc under "
	  "--root" },
	{ 0 },
};

const struct cli_cmd cmd_doctor = {
	.name = "doctor",
	.args = "",
	.summary = "what will hurt shared memory here, and how to mend it",
	.about = "Looks at the limits and settings of the host, of this container and of this "
		 "process that programs with shared memory run into, and at what dead processes "
		 "left "
		 "behind. Each finding says what was found, what it breaks, and the command that "
		 "mends it; nothing is changed. What is in order is shown with --all.\n\n"
		 "With --for SIZE it answers instead whether a segment of that size would fit now: "
		 "yes or no first, then each limit on the way and what it has left. Nothing is "
		 "made.",
	.opts = doctor_opts,
	.schema = "tarn.doctor/1",
	.lists = doctor_lists,
	.examples = doctor_examples,
	.exits = doctor_exits,
	.run = doctor_run,
};
