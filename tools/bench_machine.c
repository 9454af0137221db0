/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_machine.c - the machine that figures are of, and what spoils them here. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "engine.h"

#include "bench_parts.h"

static const struct out_col warning_cols[] = {
	{ "text", "WARNING", OUT_LONG, "what spoils the figures", false },
	{ 0 },
};
const struct out_list bench_warnings = { "warnings", warning_cols };

static const char *cpu_model(char buf[128])
{
	FILE *file = fopen("/proc/cpuinfo", "re");
	char line[256];
	bool found = false;

	while (file != NULL && !found && fgets(line, sizeof(line), file) != NULL) {
		const char *value = strstr(line, ": ");

		if (value == NULL || strncmp(line, "model name", 10) != 0)
			continue;
		snprintf(buf, 128, "%.*s", (int)strcspn(value + 2, "\n"), value + 2);
		found = true;
	}
	if (file != NULL)
		fclose(file);
	return found ? buf : NULL;
}

static const char *cpus_text(const struct bench_run *run, char buf[64])
{
	size_t used = 0;

	for (unsigned i = 0; run != NULL && i < run->cpu_count && used < 64; i++)
		used += (size_t)snprintf(buf + used, 64 - used, "%s%u", i > 0 ? "," : "",
					 run->cpus[i]);
	return used > 0 ? buf : NULL;
}

void bench_put_machine(struct out *out, const struct bench_run *run)
{
	struct utsname name = { .release = "" };
	char model[128], cpus[64];

	(void)uname(&name);
	out_fact_text(out, "cpu", run != NULL ? "Processor" : NULL, cpu_model(model));
	out_fact_text(out, "machine", NULL, name.machine);
	out_fact_text(out, "kernel", run != NULL ? "Kernel" : NULL, name.release);
	out_fact_text(out, "cpus", run != NULL ? "Used" : NULL, cpus_text(run, cpus));
}

static void put_warning(struct out *out, const char *text)
{
	if (!out->as_json) {
		cli_note(out->cli, "%s", text);
		return;
	}
	out_row(out);
	out_text(out, "text", text);
}

static void warn_of_load(struct out *out)
{
	FILE *file = fopen("/proc/loadavg", "re");
	double load = 0;
	char text[128];

	if (file == NULL)
		return;
	if (fscanf(file, "%lf", &load) == 1 && load >= 1) {
		snprintf(text, sizeof(text),
			 "other work runs here (load %.1f): figures may be of little worth", load);
		put_warning(out, text);
	}
	fclose(file);
}

void bench_put_warnings(struct out *out, const struct bench_run *run)
{
	char text[160];

	out_list(out, &bench_warnings);
	if (run->cpu_count < 2)
		put_warning(out, "one processor is all that may be used: nothing that polls is "
				 "measured, and what sleeps shares it");
	warn_of_load(out);
	if (run->discarded == 0)
		return;
	snprintf(text, sizeof(text),
		 "%u measurements were discarded: the host moved the processors meanwhile",
		 run->discarded);
	put_warning(out, text);
}
