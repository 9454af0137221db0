/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_machine.c - see bench_machine.h. */

#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>
#endif

#include "bench_machine.h"
#include "bench_parts.h"

#define LOAD_MAX  0.5  /* of other work, beyond which it is told */
#define STEAL_MAX 0.01 /* of the time, that the host gave to others */

/* --- keeping --------------------------------------------------------------------------- */

static struct bench_fact *fact_add(struct bench_machine *m, const char *name)
{
	struct bench_fact *fact = &m->facts[m->fact_count];

	if (m->fact_count == BENCH_FACT_MAX)
		return &m->facts[BENCH_FACT_MAX - 1];
	m->fact_count++;
	fact->name = name;
	return fact;
}

/* Nothing is kept of what is not known. */
static void fact_text(struct bench_machine *m, const char *name, const char *value)
{
	if (value != NULL && *value != '\0')
		snprintf(fact_add(m, name)->value, sizeof(m->facts[0].value), "%.95s", value);
}

__attribute__((format(printf, 3, 4))) static void
fact_number(struct bench_machine *m, const char *name, const char *format, ...)
{
	struct bench_fact *fact = fact_add(m, name);
	va_list args;

	va_start(args, format);
	vsnprintf(fact->value, sizeof(fact->value), format, args);
	va_end(args);
	fact->is_number = true;
}

void bench_machine_warn(struct bench_machine *m, const char *name, const char *hint,
			const char *format, ...)
{
	struct bench_warning *warning = &m->warnings[m->warning_count];
	va_list args;

	if (m->warning_count == BENCH_WARNING_MAX)
		return;
	m->warning_count++;
	warning->name = name;
	warning->hint = hint;
	va_start(args, format);
	vsnprintf(warning->what, sizeof(warning->what), format, args);
	va_end(args);
}

const char *bench_machine_fact(const struct bench_machine *m, const char *name)
{
	for (int i = 0; i < m->fact_count; i++) {
		if (strcmp(m->facts[i].name, name) == 0)
			return m->facts[i].value;
	}
	return NULL;
}

/* --- reading --------------------------------------------------------------------------- */

static FILE *open_below(const struct bench_machine *m, const char *path)
{
	char full[512];

	if (snprintf(full, sizeof(full), "%s%s", m->root, path) >= (int)sizeof(full))
		return NULL;
	return fopen(full, "re");
}

/* The first line of a file without its end; NULL if there is none. */
static char *read_line(const struct bench_machine *m, const char *path, char buf[128])
{
	FILE *file = open_below(m, path);
	bool got = file != NULL && fgets(buf, 128, file) != NULL;

	if (file != NULL)
		fclose(file);
	if (!got)
		return NULL;
	buf[strcspn(buf, "\n")] = '\0';
	return buf;
}

/* What follows @key and a colon, or a space, in the lines of @path. */
static char *read_key(const struct bench_machine *m, const char *path, const char *key,
		      char buf[256])
{
	FILE *file = open_below(m, path);
	size_t length = strlen(key);
	char line[4096], *found = NULL;

	while (file != NULL && found == NULL && fgets(line, sizeof(line), file) != NULL) {
		char *rest = line + length;

		if (strncmp(line, key, length) != 0 || strchr("\t :", *rest) == NULL)
			continue;
		rest += strspn(rest, "\t :");
		rest[strcspn(rest, "\n")] = '\0';
		snprintf(buf, 256, "%s", rest);
		found = buf;
	}
	if (file != NULL)
		fclose(file);
	return found;
}

/* Does the list "0,2-5" hold @cpu? */
static bool list_holds(const char *list, unsigned cpu)
{
	while (*list != '\0') {
		char *end;
		long first = strtol(list, &end, 10), last = first;

		if (end == list)
			return false;
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		if ((long)cpu >= first && (long)cpu <= last)
			return true;
		list = *end == ',' ? end + 1 : end;
	}
	return false;
}

static long list_count(const char *list)
{
	long count = 0;

	while (*list != '\0') {
		char *end;
		long first = strtol(list, &end, 10), last = first;

		if (end == list)
			break;
		if (*end == '-')
			last = strtol(end + 1, &end, 10);
		count += last - first + 1;
		list = *end == ',' ? end + 1 : end;
	}
	return count;
}

/* The word in brackets: "always [madvise] never". */
static const char *bracketed(char *line)
{
	char *word = line != NULL ? strchr(line, '[') : NULL;

	if (word == NULL)
		return NULL;
	word[strcspn(word, "]")] = '\0';
	return word + 1;
}

/* --- the processors --------------------------------------------------------------------- */

/* The first two processors that this process may run on, or that another host has; one twice if
 * there is but one. */
static void choose_cpus(struct bench_machine *m)
{
	char online[128] = "";
	cpu_set_t may;
	int count = 0;

	if (sched_getaffinity(0, sizeof(may), &may) < 0)
		return;
	if (m->root[0] != '\0')
		(void)read_line(m, "/sys/devices/system/cpu/online", online);
	for (int cpu = 0; cpu < CPU_SETSIZE && count < 2; cpu++) {
		if (online[0] != '\0' ? list_holds(online, (unsigned)cpu)
				      : CPU_ISSET((size_t)cpu, &may))
			m->cpus[count++] = (unsigned)cpu;
	}
	if (count == 1)
		m->cpus[1] = m->cpus[0];
}

static void look_model(struct bench_machine *m)
{
	static const char *const keys[] = { "model name", "Model", "CPU part", NULL };
	char buf[256], model[256], family[256], stepping[256], text[96];
	struct utsname name;

	for (int i = 0; keys[i] != NULL; i++) {
		if (read_key(m, "/proc/cpuinfo", keys[i], buf) != NULL) {
			fact_text(m, "cpu", buf);
			break;
		}
	}
	if (read_key(m, "/proc/cpuinfo", "cpu family", family) != NULL &&
	    read_key(m, "/proc/cpuinfo", "model", model) != NULL &&
	    read_key(m, "/proc/cpuinfo", "stepping", stepping) != NULL) {
		snprintf(text, sizeof(text), "family %.8s, model %.8s, stepping %.8s", family,
			 model, stepping);
		fact_text(m, "cpu_id", text);
	}
	if (read_key(m, "/proc/cpuinfo", "cpu MHz", buf) != NULL)
		fact_number(m, "cpu_mhz", "%.0f", strtod(buf, NULL));
	if (m->root[0] == '\0' && uname(&name) == 0)
		fact_text(m, "machine", name.machine);
}

static uint64_t cache_size(const char *text)
{
	char *end;
	uint64_t size = strtoull(text, &end, 10);

	return *end == 'K' ? size << 10 : *end == 'M' ? size << 20 : size;
}

/* Caches of the first processor; and is the second one beside it in the last level? */
static void look_caches(struct bench_machine *m)
{
	char path[128], buf[128], level[128], last[128] = "";
	uint64_t sizes[5] = { 0 };

	for (int i = 0; i < 8; i++) {
		int where = snprintf(path, sizeof(path),
				     "/sys/devices/system/cpu/cpu%u/cache/index%d/", m->cpus[0], i);
		char *name = path + where;
		size_t room = sizeof(path) - (size_t)where;
		int n;

		snprintf(name, room, "level");
		if (read_line(m, path, level) == NULL)
			break;
		snprintf(name, room, "type");
		if (read_line(m, path, buf) == NULL || strcmp(buf, "Instruction") == 0)
			continue;
		n = level[0] - '0';
		snprintf(name, room, "size");
		if (n > 0 && n < 5 && read_line(m, path, buf) != NULL)
			sizes[n] = cache_size(buf);
		snprintf(name, room, "shared_cpu_list");
		if (read_line(m, path, buf) != NULL)
			memcpy(last, buf, sizeof(last));
	}
	static const char *const names[] = { NULL, "l1d_bytes", "l2_bytes", "l3_bytes",
					     "l4_bytes" };

	for (int n = 1; n < 5; n++) {
		if (sizes[n] > 0)
			fact_number(m, names[n], "%" PRIu64, sizes[n]);
	}
	if (last[0] == '\0')
		return;
	fact_text(m, "last_cache", list_holds(last, m->cpus[1]) ? "shared" : "apart");
	if (!list_holds(last, m->cpus[1]))
		bench_machine_warn(m, "far", "taskset -c A,B tarn bench run: on others",
				   "processors %u and %u share no cache: what goes from one to the "
				   "other takes several times as long",
				   m->cpus[0], m->cpus[1]);
}

static void look_siblings(struct bench_machine *m)
{
	char path[128], buf[128], text[32];

	snprintf(text, sizeof(text), "%u,%u", m->cpus[0], m->cpus[1]);
	fact_text(m, "cpus", text);
	if (m->cpus[0] == m->cpus[1]) {
		bench_machine_warn(m, "one-cpu", NULL,
				   "there is one processor for both sides: they run by turns, "
				   "and no figure says what two of them could do");
		return;
	}
	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/topology/thread_siblings_list",
		 m->cpus[0]);
	if (read_line(m, path, buf) == NULL)
		return;
	fact_text(m, "smt", list_holds(buf, m->cpus[1]) ? "siblings" : "apart");
	if (list_holds(buf, m->cpus[1]))
		bench_machine_warn(m, "siblings", "taskset -c A,B tarn bench run: on others",
				   "processors %u and %u are two threads of one core: they share "
				   "its caches, and take turns in computing",
				   m->cpus[0], m->cpus[1]);
}

static void look_cpus(struct bench_machine *m)
{
	char buf[128];

	if (read_line(m, "/sys/devices/system/cpu/online", buf) != NULL)
		fact_number(m, "cpu_count", "%ld", list_count(buf));
	if (read_line(m, "/sys/devices/system/node/online", buf) != NULL)
		fact_number(m, "node_count", "%ld", list_count(buf));
	look_siblings(m);
	look_caches(m);
}

/* --- what moves under the figures ------------------------------------------------------- */

/* The name that a hypervisor gives itself, by the processor. */
static bool hypervisor_signature(char ret_name[16])
{
#if defined(__x86_64__) || defined(__i386__)
	uint32_t a, b, c, d;

	__cpuid(1, a, b, c, d);
	if ((c & 1u << 31) == 0)
		return false;
	__cpuid(0x40000000, a, b, c, d);
	memcpy(ret_name, &b, 4);
	memcpy(ret_name + 4, &c, 4);
	memcpy(ret_name + 8, &d, 4);
	ret_name[12] = '\0';
	return true;
#else
	(void)ret_name;
	return false;
#endif
}

static void look_hypervisor(struct bench_machine *m)
{
	static const struct {
		const char *signature, *name;
	} known[] = { { "KVMKVMKVM", "KVM" },           { "Microsoft Hv", "Hyper-V" },
		      { "VMwareVMware", "VMware" },     { "XenVMMXenVMM", "Xen" },
		      { "TCGTCGTCGTCG", "QEMU (TCG)" }, { "bhyve bhyve ", "bhyve" } };
	char flags[256], signature[16] = "", type[128];
	bool there = m->root[0] == '\0' && hypervisor_signature(signature);
	const char *name = signature;

	/* Flags may be cut off: the kernel writes this one near the front of its own words. */
	if (m->root[0] != '\0')
		there = read_key(m, "/proc/cpuinfo", "flags", flags) != NULL &&
			strstr(flags, "hypervisor") != NULL;
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		if (strcmp(signature, known[i].signature) == 0)
			name = known[i].name;
	}
	if (*name == '\0')
		name = read_line(m, "/sys/hypervisor/type", type);
	there |= name != NULL && *name != '\0';
	fact_text(m, "hypervisor", !there ? "none" : name != NULL ? name : "unknown");
	if (there)
		bench_machine_warn(
			m, "virtual", "measure on the bare machine",
			"this is a virtual machine (%s): the host may move its processors, or give "
			"their time to others; what was seen to move is discarded or set aside",
			name != NULL ? name : "unknown");
}

static void look_frequency(struct bench_machine *m)
{
	char path[128], buf[128];
	const char *line;

	snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%u/cpufreq/scaling_governor",
		 m->cpus[0]);
	line = read_line(m, path, buf);
	fact_text(m, "governor", line);
	if (line != NULL && strcmp(line, "performance") != 0)
		bench_machine_warn(m, "governor", "cpupower frequency-set -g performance",
				   "the frequency follows the load (governor %s)", line);
	if ((line = read_line(m, "/sys/devices/system/cpu/intel_pstate/no_turbo", buf)) != NULL)
		line = line[0] == '0' ? "on" : "off";
	else if ((line = read_line(m, "/sys/devices/system/cpu/cpufreq/boost", buf)) != NULL)
		line = line[0] == '1' ? "on" : "off";
	fact_text(m, "turbo", line);
	if (line != NULL && strcmp(line, "on") == 0)
		bench_machine_warn(m, "turbo",
				   "echo 1 >/sys/devices/system/cpu/intel_pstate/no_turbo, or "
				   "echo 0 >/sys/devices/system/cpu/cpufreq/boost",
				   "the frequency depends on heat and on the other cores (turbo)");
}

static void look_idle(struct bench_machine *m)
{
	char buf[128];
	const char *line = read_line(m, "/sys/devices/system/cpu/cpuidle/current_driver", buf);

	fact_text(m, "idle_driver", line);
	line = read_line(m, "/sys/devices/system/cpu/cpuidle/current_governor_ro", buf);
	if (line == NULL)
		line = read_line(m, "/sys/devices/system/cpu/cpuidle/current_governor", buf);
	fact_text(m, "idle_governor", line);
	fact_text(m, "haltpoll", line != NULL && strcmp(line, "haltpoll") == 0 ? "on" : "off");
	line = read_line(m, "/sys/devices/system/clocksource/clocksource0/current_clocksource",
			 buf);
	fact_text(m, "clock", line);
}

static void look_memory(struct bench_machine *m)
{
	char buf[256], line[128];

	if (read_key(m, "/proc/meminfo", "MemTotal", buf) != NULL)
		fact_number(m, "memory_bytes", "%llu", strtoull(buf, NULL, 10) << 10);
	fact_text(m, "thp",
		  bracketed(read_line(m, "/sys/kernel/mm/transparent_hugepage/enabled", line)));
	fact_text(
		m, "thp_shmem",
		bracketed(read_line(m, "/sys/kernel/mm/transparent_hugepage/shmem_enabled", line)));
	if (read_line(m, "/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", line) != NULL)
		fact_number(m, "huge_pages", "%ld", strtol(line, NULL, 10));
}

/* --- other work -------------------------------------------------------------------------- */

/* Ticks of all processors together since the boot, and those that the host gave to others. */
static bool read_ticks(const struct bench_machine *m, uint64_t *ret_ticks, uint64_t *ret_stolen)
{
	char buf[256], *at = read_key(m, "/proc/stat", "cpu", buf);
	uint64_t sum = 0, value = 0;

	if (at == NULL)
		return false;
	for (int i = 0; i < 8; i++) {
		value = strtoull(at, &at, 10);
		sum += value;
	}
	*ret_ticks = sum;
	*ret_stolen = value;
	return true;
}

static void look_load(struct bench_machine *m)
{
	char buf[128], *line = read_line(m, "/proc/loadavg", buf);
	double load = line != NULL ? strtod(line, NULL) : 0;

	if (line == NULL)
		return;
	fact_number(m, "load_1m", "%.2f", load);
	if (load > LOAD_MAX)
		bench_machine_warn(m, "load", "repeat when the machine is idle",
				   "other work runs on this machine (load %.2f in the last minute)",
				   load);
	if (!read_ticks(m, &m->ticks, &m->stolen))
		m->ticks = m->stolen = 0;
}

/* A limit on processor time, of this process's control group or one above it. */
static void look_quota(struct bench_machine *m)
{
	char group[256], path[300], line[128], *rest;

	if (read_key(m, "/proc/self/cgroup", "0:", group) == NULL)
		return;
	for (;;) {
		snprintf(path, sizeof(path), "/sys/fs/cgroup%s/cpu.max", group);
		if (read_line(m, path, line) != NULL && strtoull(line, &rest, 10) > 0) {
			double cpus = strtod(line, NULL) / strtod(rest, NULL);

			fact_number(m, "cpu_quota", "%.2f", cpus);
			bench_machine_warn(
				m, "quota", "run it outside of the control group",
				"processor time is limited to %.2f processors: two that poll "
				"are halted in turns",
				cpus);
			return;
		}
		rest = strrchr(group, '/');
		if (rest == NULL || group[0] == '\0')
			return;
		*rest = '\0';
	}
}

static void look_build(struct bench_machine *m)
{
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	fact_text(m, "build", "optimised");
#else
	fact_text(m, "build", "not optimised");
	bench_machine_warn(m, "build", "make bench builds one for measuring",
			   "this tarn is built for finding faults, and slow");
#endif
}

void bench_machine_look(struct bench_machine *m, const char *root)
{
	char buf[128];

	memset(m, 0, sizeof(*m));
	m->root = root != NULL ? root : "";
	choose_cpus(m);
	look_model(m);
	look_cpus(m);
	look_memory(m);
	fact_text(m, "kernel", read_line(m, "/proc/sys/kernel/osrelease", buf));
	look_hypervisor(m);
	look_frequency(m);
	look_idle(m);
	look_quota(m);
	look_build(m);
	look_load(m);
}

void bench_machine_after(struct bench_machine *m)
{
	uint64_t ticks, stolen;
	double share;

	if (m->ticks == 0 || !read_ticks(m, &ticks, &stolen) || ticks <= m->ticks)
		return;
	share = (double)(stolen - m->stolen) / (double)(ticks - m->ticks);
	fact_number(m, "stolen_share", "%.4f", share);
	if (share > STEAL_MAX)
		bench_machine_warn(m, "stolen", "measure on a host of one's own",
				   "the host gave %.1f %% of the processors' time to others while "
				   "this ran",
				   share * 100);
}

/* --- telling ------------------------------------------------------------------------------ */

static const struct out_col machine_cols[] = {
	{ "name", "FACT", OUT_TEXT,
	  "cpu, cpu_id, cpu_mhz, machine; cpu_count: that are online; node_count: NUMA nodes; "
	  "cpus: "
	  "the two that were measured on; smt: are these threads of one core; last_cache: do they "
	  "share one; l1d_bytes, l2_bytes, l3_bytes; memory_bytes; thp, thp_shmem: transparent "
	  "huge "
	  "pages; huge_pages: of 2 MiB, set aside; kernel; hypervisor; governor, turbo: of the "
	  "frequency; idle_driver, idle_governor, haltpoll: what a processor does that has nothing "
	  "to "
	  "do; clock; cpu_quota: limit on processor time; build; load_1m: before; stolen_share: of "
	  "the time, that the host gave to others. What is not known is left out",
	  false },
	{ "value", "VALUE", OUT_VALUE, "a number or text", false },
	{ 0 },
};
const struct out_list bench_facts = { "facts", machine_cols };

static const struct out_col warning_cols[] = {
	{ "name", "WARNING", OUT_TEXT,
	  "one-cpu, siblings, far, virtual, governor, turbo, quota, build, load, stolen; or what "
	  "the "
	  "measurement itself found",
	  false },
	{ "what", "WHAT", OUT_LONG, "what spoils the figures", false },
	{ "hint", NULL, OUT_TEXT, "what mends it", false },
	{ 0 },
};
const struct out_list bench_warnings = { "warnings", warning_cols };

void bench_put_facts(struct out *out, const struct bench_machine *m)
{
	out_list(out, &bench_facts);
	for (int i = 0; i < m->fact_count; i++) {
		out_row(out);
		out_text(out, "name", m->facts[i].name);
		out_value(out, "value", m->facts[i].value, m->facts[i].is_number);
	}
}

void bench_put_warnings(struct out *out, const struct bench_machine *m)
{
	out_list(out, &bench_warnings);
	for (int i = 0; i < m->warning_count; i++) {
		out_row(out);
		out_text(out, "name", m->warnings[i].name);
		out_text(out, "what", m->warnings[i].what);
		out_text(out, "hint", m->warnings[i].hint);
	}
}

int bench_machine_verb(struct cli *cli)
{
	struct bench_machine m;
	struct out out;
	int code = out_begin(&out, cli);

	if (code >= 0)
		return code;
	bench_machine_look(&m, cli_value(cli, "root"));
	bench_put_no_facts(&out);
	bench_put_facts(&out, &m);
	bench_put_warnings(&out, &m);
	return out_end(&out, CLI_OK);
}
