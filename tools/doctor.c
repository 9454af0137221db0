/* SPDX-License-Identifier: BSD-2-Clause */
/* doctor.c - findings as text, as a line for Nagios, and as metrics for Prometheus. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

/* From bad to good, as they are listed. */
static const uint32_t by_gravity[] = { TARN_SEVERITY_CRITICAL, TARN_SEVERITY_WARNING,
				       TARN_SEVERITY_UNKNOWN, TARN_SEVERITY_OK };

const char *doctor_severity(uint32_t severity)
{
	static const char *const words[] = { "ok", "warning", "critical", "unknown" };

	return severity < 4 ? words[severity] : "unknown";
}

size_t doctor_count(const struct doctor *doctor, uint32_t severity)
{
	size_t count = 0;

	for (size_t i = 0; i < doctor->finding_count; i++)
		count += doctor->findings[i].severity == severity;
	return count;
}

uint32_t doctor_worst(const struct doctor *doctor)
{
	for (size_t i = 0; i < 3; i++)
		if (doctor_count(doctor, by_gravity[i]) > 0)
			return by_gravity[i];
	return TARN_SEVERITY_OK;
}

/* --- text ---------------------------------------------------------------------------------- */

static void put_finding(const struct doctor_finding *finding, bool color)
{
	static const char *const colors[] = { "\033[32m", "\033[33m", "\033[31m", "\033[35m" };
	static const char *const heads[] = { "ok       ", "WARNING  ", "CRITICAL ", "unknown  " };
	uint32_t severity = finding->severity < 4 ? finding->severity : TARN_SEVERITY_UNKNOWN;
	char line[700];

	printf("%s%s%s", color ? colors[severity] : "", heads[severity], color ? "\033[0m" : "");
	snprintf(line, sizeof(line), "%s: %s", finding->check, finding->what);
	cli_wrap(line, 9, 9);
	if (severity == TARN_SEVERITY_OK)
		return;
	if (finding->breaks != NULL)
		cli_wrap(finding->breaks, printf("         breaks: "), 17);
	/* in one line, so that it can be copied */
	if (finding->fix != NULL)
		printf("         fix:    %s\n", finding->fix);
}

void doctor_text(const struct doctor *doctor, bool all)
{
	bool color = cli_color(STDOUT_FILENO);
	size_t shown = 0;

	for (size_t g = 0; g < (all ? 4u : 3u); g++)
		for (size_t i = 0; i < doctor->finding_count; i++)
			if (doctor->findings[i].severity == by_gravity[g]) {
				put_finding(&doctor->findings[i], color);
				shown++;
			}
	if (doctor->fitting)
		return; /* the answer stands at the top */
	printf("%s%zu critical, %zu warnings, %zu unknown, %zu in order\n", shown > 0 ? "\n" : "",
	       doctor_count(doctor, TARN_SEVERITY_CRITICAL),
	       doctor_count(doctor, TARN_SEVERITY_WARNING),
	       doctor_count(doctor, TARN_SEVERITY_UNKNOWN), doctor_count(doctor, TARN_SEVERITY_OK));
	if (doctor->unreadable > 0)
		cli_note(doctor->cli,
			 "%" PRIu64 " processes or limits not readable; leftovers that they may "
			 "use are not counted",
			 doctor->unreadable);
}

/* --- Nagios -------------------------------------------------------------------------------- */

/* What ends the text, and what ends a line, must not be in it. */
static void put_nagios_text(const char *text)
{
	for (; *text != '\0'; text++)
		putchar(*text == '|' || *text == '\n' ? '/' : *text);
}

static void put_perfdata(const struct doctor *doctor)
{
	static const char *const wanted[] = { "shm.size",    "shm.inodes",   "sysv.shmall",
					      "sysv.shmmni", "sem.semmni",   "memory.total",
					      "memory.swap", "huge.2M.pages" };
	bool begun = false;

	for (size_t i = 0; i < doctor->limit_count; i++) {
		const struct doctor_limit *limit = &doctor->limits[i];
		bool is = false;

		for (size_t w = 0; w < sizeof(wanted) / sizeof(wanted[0]); w++)
			is |= strcmp(limit->name, wanted[w]) == 0;
		if (!is || limit->used == TARN_HOST_UNKNOWN)
			continue;
		printf("%s%s=%" PRIu64 "%s;;;0;", begun ? " " : " | ", limit->name, limit->used,
		       limit->unit == TARN_UNIT_BYTES ? "B" : "");
		if (limit->value != UINT64_MAX)
			printf("%" PRIu64, limit->value);
		begun = true;
	}
}

void doctor_nagios(const struct doctor *doctor)
{
	static const char *const words[] = { "OK", "WARNING", "CRITICAL", "UNKNOWN" };
	uint32_t worst = doctor_worst(doctor);
	size_t told = 0;

	printf("TARN %s - ", words[worst]);
	for (size_t g = 0; g < 3; g++)
		for (size_t i = 0; i < doctor->finding_count; i++) {
			const struct doctor_finding *finding = &doctor->findings[i];

			if (finding->severity != by_gravity[g])
				continue;
			printf("%s", told++ > 0 ? "; " : "");
			put_nagios_text(finding->check);
			printf(": ");
			put_nagios_text(finding->what);
		}
	if (told == 0)
		printf("%zu checks in order", doctor->finding_count);
	put_perfdata(doctor);
	putchar('\n');
}

/* --- Prometheus ---------------------------------------------------------------------------- */

/* {KEY="@text"}, escaped as the text format wants it. */
static void put_label(const char *key, const char *text)
{
	printf("%s=\"", key);
	for (; *text != '\0'; text++) {
		if (*text == '\\' || *text == '"')
			putchar('\\');
		if (*text == '\n')
			printf("\\n");
		else
			putchar(*text);
	}
	putchar('"');
}

static void put_head(const char *name, const char *help)
{
	printf("# HELP %s %s\n# TYPE %s gauge\n", name, help, name);
}

static void put_checks(const struct doctor *doctor)
{
	put_head("tarn_host_check_severity",
		 "Outcome of a check: 0 ok, 1 warning, 2 critical, 3 unknown.");
	for (size_t i = 0; i < doctor->finding_count; i++) {
		printf("tarn_host_check_severity{");
		put_label("check", doctor->findings[i].check);
		printf("} %u\n", doctor->findings[i].severity);
	}
}

/* The limits of one unit, or what is used of them. */
static void put_limits(const struct doctor *doctor, const char *name, const char *help,
		       uint32_t unit, bool used)
{
	bool begun = false;

	for (size_t i = 0; i < doctor->limit_count; i++) {
		const struct doctor_limit *limit = &doctor->limits[i];

		if (limit->unit != unit || (used && limit->used == TARN_HOST_UNKNOWN))
			continue;
		if (!begun)
			put_head(name, help);
		begun = true;
		printf("%s{", name);
		put_label("limit", limit->name);
		if (!used && limit->value == UINT64_MAX)
			printf("} +Inf\n");
		else
			printf("} %" PRIu64 "\n", used ? limit->used : limit->value);
	}
}

static void put_settings(const struct doctor *doctor)
{
	bool begun = false;

	for (size_t i = 0; i < doctor->limit_count; i++) {
		const struct doctor_limit *limit = &doctor->limits[i];

		if (limit->unit != TARN_UNIT_WORD || limit->text == NULL)
			continue;
		if (!begun)
			put_head("tarn_host_setting_info", "A setting in words; always 1.");
		begun = true;
		printf("tarn_host_setting_info{");
		put_label("setting", limit->name);
		putchar(',');
		put_label("value", limit->text);
		printf("} 1\n");
	}
}

static void put_leftovers(const struct doctor *doctor)
{
	static const char *const owners[][2] = { { "leftovers", "tarn" }, { "orphans", "others" } };
	bool begun = false;

	for (size_t i = 0; i < doctor->finding_count; i++)
		for (size_t o = 0; o < 2; o++) {
			if (strcmp(doctor->findings[i].check, owners[o][0]) != 0)
				continue;
			if (!begun)
				put_head("tarn_host_leftover_bytes",
					 "Memory that dead processes left behind.");
			begun = true;
			printf("tarn_host_leftover_bytes{owner=\"%s\"} %" PRIu64 "\n", owners[o][1],
			       doctor->findings[i].bytes);
		}
}

void doctor_prometheus(const struct doctor *doctor)
{
	put_checks(doctor);
	put_limits(doctor, "tarn_host_limit_bytes", "A limit, in bytes.", TARN_UNIT_BYTES, false);
	put_limits(doctor, "tarn_host_limit_used_bytes", "What is used of a limit, in bytes.",
		   TARN_UNIT_BYTES, true);
	put_limits(doctor, "tarn_host_limit", "A limit or setting that is a number.",
		   TARN_UNIT_COUNT, false);
	put_limits(doctor, "tarn_host_limit_used", "What is used of a limit.", TARN_UNIT_COUNT,
		   true);
	put_settings(doctor);
	put_leftovers(doctor);
	put_head("tarn_host_unreadable", "Processes and limits that could not be read.");
	printf("tarn_host_unreadable %" PRIu64 "\n", doctor->unreadable);
}
