/* SPDX-License-Identifier: BSD-2-Clause */
/* bench_svg.c - see bench_svg.h. All lengths are in units of the picture. */

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench_svg.h"
#include "buffer.h"
#include "cli.h"

enum {
	WIDTH = 1200,
	TOP = 118,    /* of the panels */
	BOTTOM = 560, /* of them */
	HEIGHT = 640,
	GUTTER = 196,  /* for labels */
	LINE_MAX = 48, /* lines a panel */
	POINT_MAX = 24,
	LABEL_GAP = 15,
};

/* Kinds of contestants: a colour and a mark each. */
enum family { TARN, HAND, PEER, PIPES, SOCKETS, QUEUES, OTHERS, FAMILY_COUNT };

static const struct {
	const char *name, *light, *dark;
} families[FAMILY_COUNT] = {
	[TARN] = { "shared memory: Tarn", "#0a5bd0", "#6db3ff" },
	[HAND] = { "shared memory, by hand", "#0e7c86", "#4fd1d9" },
	[PEER] = { "other libraries", "#6b7280", "#a9b1bd" },
	[PIPES] = { "pipes", "#c2410c", "#ff9a5c" },
	[SOCKETS] = { "sockets", "#15803d", "#5fd38a" },
	[QUEUES] = { "message queues", "#a21caf", "#ec8cf5" },
	[OTHERS] = { "other calls of the kernel", "#7a5c00", "#dcbf5e" },
};

struct line {
	const struct bench_result *points[POINT_MAX]; /* by size */
	int count;
	enum family family;
	int nth; /* of its family */
	char label[64];
	double wanted, y; /* of the label */
};

struct panel {
	const struct bench_file *file;
	bool rate;               /* bandwidth; else latency */
	double left, right;      /* of the area with the lines */
	double low, high;        /* logarithms to 10 of what it shows */
	double smallest, widest; /* logarithms to 2 of the sizes */
	struct line lines[LINE_MAX];
	int line_count;
	double limits[POINT_MAX], limit_sizes[POINT_MAX]; /* by size */
	int limit_count;
};

/* --- what is shown ------------------------------------------------------------------------- */

static bool has_word(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strstr(text, *words) != NULL)
			return true;
	}
	return false;
}

static enum family family_of(const struct bench_result *row)
{
	static const char *const pipes[] = { "pipe", "fifo", "vmsplice", NULL };
	static const char *const sockets[] = { "socket",    "stream", "dgram", "datagram",
					       "seqpacket", "tcp",    "udp",   "unix",
					       "TCP",       "UNIX",   NULL };
	static const char *const queues[] = { "queue", "sysv", "message", NULL };

	if (strcmp(row->group, "tarn") == 0)
		return TARN;
	if (strcmp(row->group, "hand") == 0)
		return HAND;
	if (strcmp(row->group, "peer") == 0)
		return PEER;
	return has_word(row->contestant, pipes)     ? PIPES
	       : has_word(row->contestant, queues)  ? QUEUES
	       : has_word(row->contestant, sockets) ? SOCKETS
						    : OTHERS;
}

static double value_of(const struct panel *p, const struct bench_result *row)
{
	return p->rate ? row->bytes_per_ns.median : row->ns.median;
}

/* Is it of this panel: a message of some size, in the usual place? */
static bool belongs(const struct panel *p, const struct bench_result *row)
{
	return row->failed == NULL && row->size > 0 && row->pinned &&
	       strcmp(row->measure, p->rate ? "one-way" : "round-trip") == 0 &&
	       strcmp(row->heat, "cold") != 0 &&
	       (row->pages[0] == '\0' || strcmp(row->pages, "4k") == 0) && value_of(p, row) > 0;
}

/* What the kernel offers is used by who sleeps; where that was measured it stands alone. */
static bool is_shown(const struct panel *p, const struct bench_result *row)
{
	if (!belongs(p, row) || strcmp(row->group, "limit") == 0)
		return false;
	if (strcmp(row->group, "kernel") != 0 || strcmp(row->mode, "busy") != 0)
		return true;
	for (size_t i = 0; i < p->file->row_count; i++) {
		const struct bench_result *other = &p->file->rows[i];

		if (belongs(p, other) && strcmp(other->contestant, row->contestant) == 0 &&
		    strcmp(other->mode, "blocking") == 0)
			return false;
	}
	return true;
}

static struct line *line_of(struct panel *p, const struct bench_result *row)
{
	struct line *line = NULL;

	for (int i = 0; i < p->line_count && line == NULL; i++) {
		const struct bench_result *first = p->lines[i].points[0];

		if (strcmp(first->contestant, row->contestant) == 0 &&
		    strcmp(first->mode, row->mode) == 0)
			line = &p->lines[i];
	}
	if (line != NULL || p->line_count == LINE_MAX)
		return line;
	line = &p->lines[p->line_count++];
	line->family = family_of(row);
	for (int i = 0; i < p->line_count - 1; i++)
		line->nth += p->lines[i].family == line->family;
	return line;
}

static void add_point(struct panel *p, const struct bench_result *row)
{
	struct line *line = line_of(p, row);
	int at;

	if (line == NULL || line->count == POINT_MAX)
		return;
	at = line->count++;
	for (; at > 0 && line->points[at - 1]->size > row->size; at--)
		line->points[at] = line->points[at - 1];
	line->points[at] = row;
}

/* The limit of each size: the least time of a cache line, the greatest rate of memcpy(). */
static void add_limit(struct panel *p, const struct bench_result *row)
{
	double value = p->rate ? row->limit_bytes_per_ns : row->bounce_ns;
	double size = log2((double)row->size);
	int at = 0;

	if (value <= 0)
		return;
	while (at < p->limit_count && p->limit_sizes[at] < size)
		at++;
	if (at < p->limit_count && p->limit_sizes[at] == size) {
		if (p->rate ? value > p->limits[at] : value < p->limits[at])
			p->limits[at] = value;
		return;
	}
	if (p->limit_count == POINT_MAX)
		return;
	for (int i = p->limit_count++; i > at; i--) {
		p->limits[i] = p->limits[i - 1];
		p->limit_sizes[i] = p->limit_sizes[i - 1];
	}
	p->limits[at] = value;
	p->limit_sizes[at] = size;
}

/* A mode is said where the contestant has several. */
static void name_lines(struct panel *p)
{
	for (int i = 0; i < p->line_count; i++) {
		struct line *line = &p->lines[i];
		const struct bench_result *first = line->points[0];
		bool several = line->family == TARN;

		for (int k = 0; k < p->line_count; k++)
			several |= k != i && strcmp(p->lines[k].points[0]->contestant,
						    first->contestant) == 0;
		snprintf(line->label, sizeof(line->label), "%s%s%s", first->contestant,
			 several && first->mode[0] != '\0' ? ", " : "", several ? first->mode : "");
	}
}

static void widen(double value, double *least, double *most)
{
	*least = value < *least ? value : *least;
	*most = value > *most ? value : *most;
}

/* The least round trip of a cache line that was seen anywhere bounds all latencies. */
static void level_limit(struct panel *p)
{
	double least = INFINITY;

	for (size_t i = 0; i < p->file->row_count; i++) {
		if (p->file->rows[i].bounce_ns > 0)
			least = fmin(least, p->file->rows[i].bounce_ns);
	}
	for (int i = 0; i < p->limit_count; i++)
		p->limits[i] = least;
}

/* All that is shown, with room beyond the limit for what it is called. */
static void scale(struct panel *p)
{
	p->low = p->smallest = INFINITY;
	p->high = p->widest = -INFINITY;
	for (int i = 0; i < p->line_count; i++) {
		for (int k = 0; k < p->lines[i].count; k++) {
			const struct bench_result *row = p->lines[i].points[k];

			widen(log2((double)row->size), &p->smallest, &p->widest);
			widen(log10(value_of(p, row)), &p->low, &p->high);
		}
	}
	for (int i = 0; i < p->limit_count; i++)
		widen(log10(p->limits[i]), &p->low, &p->high);
	p->low -= p->rate ? 0.1 : 0.3;
	p->high += p->rate ? 0.3 : 0.1;
	if (p->widest == p->smallest)
		p->widest++;
}

static void collect(struct panel *p, const struct bench_file *file)
{
	p->file = file;
	for (size_t i = 0; i < file->row_count; i++) {
		if (is_shown(p, &file->rows[i]))
			add_point(p, &file->rows[i]);
		if (belongs(p, &file->rows[i]))
			add_limit(p, &file->rows[i]);
	}
	if (!p->rate)
		level_limit(p);
	name_lines(p);
	if (p->line_count > 0)
		scale(p);
}

/* --- words ---------------------------------------------------------------------------------- */

static void put_escaped(FILE *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
			fprintf(to, "&#%d;", *text);
		else if ((unsigned char)*text >= 0x20)
			putc(*text, to);
	}
}

/* Three digits and a unit. */
static const char *short_text(double value, bool rate, char buf[32])
{
	static const char *const times[] = { "ns", "µs", "ms", "s" };
	static const char *const rates[] = { "kB/s", "MB/s", "GB/s", "TB/s" };
	double scaled = rate ? value * 1e6 : value;
	int unit = 0;

	while (scaled >= 999.5 && unit < 3) {
		scaled /= 1000;
		unit++;
	}
	snprintf(buf, 32, "%.*f %s", scaled < 9.995 && (rate || unit > 0) ? 1 : 0, scaled,
		 rate ? rates[unit] : times[unit]);
	return buf;
}

static const char *decade_text(double decade, bool rate, char buf[32])
{
	short_text(pow(10, decade), rate, buf);
	/* "1.0 ms" is a round number here. */
	if (buf[1] == '.')
		memmove(buf + 1, buf + 3, strlen(buf + 3) + 1);
	return buf;
}

static double x_at(const struct panel *p, double log_size)
{
	return p->left +
	       (log_size - p->smallest) / (p->widest - p->smallest) * (p->right - p->left);
}

static double y_at(const struct panel *p, double value)
{
	double part = (log10(value) - p->low) / (p->high - p->low);

	return BOTTOM - part * (BOTTOM - TOP);
}

static double x_of(const struct panel *p, const struct bench_result *row)
{
	return x_at(p, log2((double)row->size));
}

/* --- drawing -------------------------------------------------------------------------------- */

static void put_style(FILE *to)
{
	fputs("<style>\n"
	      "text{font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:12px;"
	      "fill:#1f2328}\n"
	      ".paper{fill:#ffffff}.grid{stroke:#d6dae0;stroke-width:1}"
	      ".limit{fill:#8b949e;fill-opacity:.22}.edge{stroke:#6e7681;stroke-width:1.2}\n"
	      ".quiet{fill:#59636e}.title{font-size:19px;font-weight:600}"
	      ".head{font-size:14px;font-weight:600}.strong{font-weight:700}\n"
	      ".line{fill:none;stroke-width:1.5}.thick{stroke-width:3}"
	      ".lead{fill:none;stroke-width:.8;stroke-opacity:.55}"
	      ".range{stroke-width:4;stroke-opacity:.22}\n",
	      to);
	for (int i = 0; i < FAMILY_COUNT; i++)
		fprintf(to, ".s%d{stroke:%s}.f%d{fill:%s}\n", i, families[i].light, i,
			families[i].light);
	fputs("@media (prefers-color-scheme:dark){\n"
	      "text{fill:#e6edf3}.paper{fill:#0d1117}.grid{stroke:#2b323b}"
	      ".limit{fill:#8b949e;fill-opacity:.28}.edge{stroke:#9aa4af}.quiet{fill:#9aa4af}\n",
	      to);
	for (int i = 0; i < FAMILY_COUNT; i++)
		fprintf(to, ".s%d{stroke:%s}.f%d{fill:%s}\n", i, families[i].dark, i,
			families[i].dark);
	fputs("}\n</style>\n", to);
}

/* Decades, with their values on the side that the labels of the lines are not on. */
static void put_decades(FILE *to, const struct panel *p)
{
	char buf[32];

	for (double decade = ceil(p->low); decade <= p->high; decade++) {
		double y = y_at(p, pow(10, decade));

		fprintf(to,
			"<path class=\"grid\" d=\"M%.1f %.1fH%.1f\"/>"
			"<text class=\"quiet\" x=\"%.1f\" y=\"%.1f\"%s>%s</text>\n",
			p->left, y, p->right, p->rate ? p->left - 6 : p->right + 6, y + 4,
			p->rate ? " text-anchor=\"end\"" : "", decade_text(decade, p->rate, buf));
	}
}

static bool has_size(const struct panel *p, int log_size)
{
	for (int i = 0; i < p->line_count; i++) {
		for (int k = 0; k < p->lines[i].count; k++) {
			if (p->lines[i].points[k]->size == UINT64_C(1) << log_size)
				return true;
		}
	}
	return false;
}

/* The sizes that were measured, where they are powers of two, as far as they have room. */
static void put_sizes(FILE *to, const struct panel *p)
{
	double last = -INFINITY;
	char buf[24];

	for (int n = 0; n < 63; n++) {
		double x = x_at(p, n);

		if (!has_size(p, n))
			continue;
		fprintf(to, "<path class=\"grid\" d=\"M%.1f %dV%d\"/>", x, TOP, BOTTOM);
		if (x - last < 38)
			continue;
		last = x;
		fprintf(to,
			"<text class=\"quiet\" x=\"%.1f\" y=\"%d\" "
			"text-anchor=\"middle\">%s</text>\n",
			x, BOTTOM + 17, text_size(UINT64_C(1) << n, buf));
	}
	fprintf(to,
		"<text class=\"quiet\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">size of a "
		"message</text>\n",
		(p->left + p->right) / 2, BOTTOM + 35);
}

static void put_limit(FILE *to, const struct panel *p)
{
	double edge = p->rate ? TOP : BOTTOM;
	int last = p->limit_count - 1;

	if (p->limit_count == 0)
		return;
	fprintf(to, "<path class=\"limit\" d=\"M%.1f %.1f", x_at(p, p->limit_sizes[0]), edge);
	for (int i = 0; i <= last; i++)
		fprintf(to, "L%.1f %.1f", x_at(p, p->limit_sizes[i]), y_at(p, p->limits[i]));
	fprintf(to, "L%.1f %.1fZ\"/>\n<path class=\"edge line\" d=\"",
		x_at(p, p->limit_sizes[last]), edge);
	for (int i = 0; i <= last; i++)
		fprintf(to, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_at(p, p->limit_sizes[i]),
			y_at(p, p->limits[i]));
	fputs("\"/>\n", to);
	if (p->rate)
		fprintf(to,
			"<text class=\"quiet\" x=\"%.1f\" y=\"%d\" text-anchor=\"end\">faster than "
			"memcpy()</text>\n",
			p->right - 6, TOP + 15);
	else
		fprintf(to,
			"<text class=\"quiet\" x=\"%.1f\" y=\"%d\" text-anchor=\"end\">faster than "
			"a bare cache line</text>\n",
			p->right - 6, BOTTOM - 7);
}

static void put_mark(FILE *to, enum family family, double x, double y)
{
	switch (family) {
	case PIPES:
		fprintf(to, "<path class=\"f%d\" d=\"M%.1f %.1fh6v6h-6z\"/>", family, x - 3, y - 3);
		break;
	case SOCKETS:
		fprintf(to, "<path class=\"f%d\" d=\"M%.1f %.1fl3.6 6.4h-7.2z\"/>", family, x,
			y - 4);
		break;
	case QUEUES:
		fprintf(to, "<path class=\"f%d\" d=\"M%.1f %.1fl4 4-4 4-4-4z\"/>", family, x,
			y - 4);
		break;
	case TARN:
	case HAND:
	case PEER:
	case OTHERS:
	case FAMILY_COUNT:
		fprintf(to, "<circle class=\"f%d\" cx=\"%.1f\" cy=\"%.1f\" r=\"%s\"/>", family, x,
			y, family == TARN ? "3.4" : "2.6");
		break;
	}
}

static void put_line(FILE *to, const struct panel *p, const struct line *line)
{
	static const char *const dashes[] = { "", "7 3", "2.5 2.5", "9 3 2 3", "12 4", "1 3" };
	const char *dash = dashes[line->nth % 6];

	for (int i = 0; i < line->count; i++) {
		const struct bench_span *span =
			p->rate ? &line->points[i]->bytes_per_ns : &line->points[i]->ns;

		if (span->min < span->max)
			fprintf(to, "<path class=\"range s%d\" d=\"M%.1f %.1fV%.1f\"/>",
				line->family, x_of(p, line->points[i]),
				fmin(BOTTOM, y_at(p, span->min)), fmax(TOP, y_at(p, span->max)));
	}
	fprintf(to, "\n<path class=\"line s%d%s\"", line->family,
		line->family == TARN ? " thick" : "");
	if (*dash != '\0')
		fprintf(to, " stroke-dasharray=\"%s\"", dash);
	fputs(" d=\"", to);
	for (int i = 0; i < line->count; i++)
		fprintf(to, "%c%.1f %.1f", i == 0 ? 'M' : 'L', x_of(p, line->points[i]),
			y_at(p, value_of(p, line->points[i])));
	fputs("\"/>\n", to);
	for (int i = 0; i < line->count; i++)
		put_mark(to, line->family, x_of(p, line->points[i]),
			 y_at(p, value_of(p, line->points[i])));
	fputs("\n", to);
}

/* --- labels ---------------------------------------------------------------------------------- */

/* The end of the line that its label stands at. */
static const struct bench_result *end_of(const struct panel *p, const struct line *line)
{
	return line->points[p->rate ? line->count - 1 : 0];
}

static int by_wanted(const void *a, const void *b)
{
	const struct line *const *x = a, *const *y = b;

	return ((*x)->wanted > (*y)->wanted) - ((*x)->wanted < (*y)->wanted);
}

/* Each as near to its line as the others let it: pushed down, then up from below. */
static double place_labels(struct panel *p, struct line *order[LINE_MAX])
{
	double gap = LABEL_GAP, bottom = BOTTOM + 6;

	for (int i = 0; i < p->line_count; i++) {
		order[i] = &p->lines[i];
		order[i]->wanted = order[i]->y = y_at(p, value_of(p, end_of(p, order[i])));
	}
	qsort(order, (size_t)p->line_count, sizeof(struct line *), by_wanted);
	if (gap * p->line_count > BOTTOM - TOP + 12)
		gap = (BOTTOM - TOP + 12.0) / p->line_count;
	/* Half of a crowd goes up, half of it down. */
	for (int pass = 0; pass < 200; pass++) {
		for (int i = 0; i + 1 < p->line_count; i++) {
			double lack = gap - (order[i + 1]->y - order[i]->y);

			if (lack <= 0)
				continue;
			order[i]->y -= lack / 2;
			order[i + 1]->y += lack / 2;
		}
	}
	for (int i = 0; i < p->line_count; i++)
		order[i]->y = fmax(order[i]->y, i == 0 ? TOP - 6 : order[i - 1]->y + gap);
	for (int i = p->line_count - 1; i >= 0; i--)
		order[i]->y =
			fmin(order[i]->y, i == p->line_count - 1 ? bottom : order[i + 1]->y - gap);
	return gap;
}

static void put_labels(FILE *to, struct panel *p)
{
	struct line *order[LINE_MAX];
	double gap = place_labels(p, order), edge = p->rate ? p->right : p->left;
	double side = p->rate ? 1 : -1;
	char buf[32];

	for (int i = 0; i < p->line_count; i++) {
		const struct line *line = order[i];
		const struct bench_result *end = end_of(p, line);

		fprintf(to,
			"<path class=\"lead s%d\" d=\"M%.1f %.1fH%.1fL%.1f %.1f\"/>"
			"<text class=\"f%d%s\"%s x=\"%.1f\" y=\"%.1f\"%s>",
			line->family, x_of(p, end) + side * 5, line->wanted, edge + side * 6,
			edge + side * 20, line->y, line->family,
			line->family == TARN ? " strong" : "",
			gap < 12 ? " style=\"font-size:10px\"" : "", edge + side * 24, line->y + 4,
			p->rate ? "" : " text-anchor=\"end\"");
		put_escaped(to, line->label);
		fprintf(to, "  %s</text>\n", short_text(value_of(p, end), p->rate, buf));
	}
}

/* --- the whole ------------------------------------------------------------------------------- */

static void put_panel(FILE *to, struct panel *p)
{
	static const enum family order[] = { PEER, OTHERS, QUEUES, SOCKETS, PIPES, HAND, TARN };

	fprintf(to, "<text class=\"head\" x=\"%.1f\" y=\"%d\">%s</text>\n", p->left, TOP - 30,
		p->rate ? "Bandwidth, one way: higher is better"
			: "Latency, there and back: lower is better");
	if (p->line_count == 0) {
		fprintf(to, "<text class=\"quiet\" x=\"%.1f\" y=\"%d\">not measured</text>\n",
			p->left, TOP + 20);
		return;
	}
	put_limit(to, p);
	put_decades(to, p);
	put_sizes(to, p);
	for (size_t k = 0; k < sizeof(order) / sizeof(*order); k++) {
		for (int i = 0; i < p->line_count; i++) {
			if (p->lines[i].family == order[k])
				put_line(to, p, &p->lines[i]);
		}
	}
	put_labels(to, p);
}

static bool has_family(const struct panel *p, enum family family)
{
	for (int i = 0; i < p->line_count; i++) {
		if (p->lines[i].family == family)
			return true;
	}
	return false;
}

static void put_legend(FILE *to, const struct panel *a, const struct panel *b)
{
	double x = 24;

	for (enum family i = TARN; i < FAMILY_COUNT; i++) {
		if (!has_family(a, i) && !has_family(b, i))
			continue;
		fprintf(to, "<path class=\"line s%d%s\" d=\"M%.1f 58h22\"/>", i,
			i == TARN ? " thick" : "", x);
		put_mark(to, i, x + 11, 58);
		fprintf(to, "<text class=\"f%d%s\" x=\"%.1f\" y=\"62\">%s</text>\n", i,
			i == TARN ? " strong" : "", x + 28, families[i].name);
		x += 52 + (i == TARN ? 7.4 : 6.6) * (double)strlen(families[i].name);
	}
	fprintf(to,
		"<path class=\"limit\" d=\"M%.1f 51h22v13h-22z\"/>"
		"<text class=\"quiet\" x=\"%.1f\" y=\"62\">beyond the machine</text>\n",
		x, x + 28);
}

static void put_foot(FILE *to, const struct bench_file *file)
{
	const char *cpu = bench_file_fact(file, "cpu"), *kernel = bench_file_fact(file, "kernel");
	const char *hypervisor = bench_file_fact(file, "hypervisor");
	time_t seconds = (time_t)(file->time_ns / 1000000000);
	struct tm day;
	char text[32] = "";

	if (file->time_ns > 0 && gmtime_r(&seconds, &day) != NULL)
		strftime(text, sizeof(text), "%Y-%m-%d", &day);
	fprintf(to, "<text class=\"quiet\" x=\"24\" y=\"%d\">", HEIGHT - 16);
	put_escaped(to, cpu != NULL ? cpu : "processor not known");
	if (hypervisor != NULL && strcmp(hypervisor, "none") != 0) {
		fputs(", virtual (", to);
		put_escaped(to, hypervisor);
		fputs(")", to);
	}
	if (kernel != NULL) {
		fputs(" · Linux ", to);
		put_escaped(to, kernel);
	}
	if (text[0] != '\0')
		fprintf(to, " · %s", text);
	fputs(" · two pinned processes, every message checked, medians of the rounds; bars: "
	      "smallest "
	      "and largest</text>\n",
	      to);
}

bool bench_svg(FILE *to, const struct bench_file *file)
{
	struct panel *panels = calloc(2, sizeof(*panels));
	bool any;

	if (panels == NULL)
		return false;
	panels[0].left = GUTTER + 4;
	panels[0].right = panels[0].left + 330;
	panels[1].rate = true;
	panels[1].right = WIDTH - GUTTER - 4;
	panels[1].left = panels[1].right - 330;
	collect(&panels[0], file);
	collect(&panels[1], file);
	any = panels[0].line_count + panels[1].line_count > 0;
	if (any) {
		fprintf(to,
			"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" "
			"width=\"%d\" "
			"height=\"%d\" role=\"img\">\n<title>Messages between two processes: "
			"latency "
			"and bandwidth by size</title>\n",
			WIDTH, HEIGHT, WIDTH, HEIGHT);
		put_style(to);
		fprintf(to,
			"<rect class=\"paper\" width=\"%d\" height=\"%d\"/>\n<text class=\"title\" "
			"x=\"24\" y=\"32\">From one process to another</text>\n",
			WIDTH, HEIGHT);
		put_legend(to, &panels[0], &panels[1]);
		put_panel(to, &panels[0]);
		put_panel(to, &panels[1]);
		put_foot(to, file);
		fputs("</svg>\n", to);
	}
	free(panels);
	return any;
}

static int write_out(struct cli *cli, const struct buffer *buffer, const char *to)
{
	FILE *file = fopen(to, "we");
	bool lost = file == NULL || fwrite(buffer->text, 1, buffer->size, file) != buffer->size;
	int error = errno;

	if (file != NULL && fclose(file) != 0) {
		error = lost ? error : errno;
		lost = true;
	}
	return lost ? cli_fail(cli, to, -error) : CLI_OK;
}

/* Nothing is written before the picture is whole. */
int bench_picture_of(struct cli *cli, const struct bench_file *file, const char *to)
{
	struct buffer buffer = { 0 };
	FILE *stream = buffer_open(&buffer);
	bool any = stream != NULL && bench_svg(stream, file);
	int code = CLI_OK;

	if (stream == NULL || !buffer_close(&buffer, stream)) {
		code = cli_error(cli, "out of memory");
	} else if (!any) {
		code = cli_error(cli, "%s: there is nothing in it to draw", file->path);
		cli_hint("the picture is of the measures round-trip and one-way");
	} else if (to == NULL || strcmp(to, "-") == 0) {
		fwrite(buffer.text, 1, buffer.size, stdout);
	} else {
		code = write_out(cli, &buffer, to);
	}
	buffer_free(&buffer);
	return code;
}

int bench_picture(struct cli *cli, const char *from, const char *to)
{
	struct bench_file file;
	int code = bench_file_read(cli, from, &file);

	if (code != CLI_OK)
		return code;
	code = bench_picture_of(cli, &file, to);
	bench_file_free(&file);
	return code;
}
