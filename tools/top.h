/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h - what the files of tarn top share: one look at regions, as a list of rows a pane.
 *
 * A look (top_look.c) asks the verbs that know: what `tarn topics` and `tarn locks` would print is
 * taken as rows (cli.h, take), regions are walked for members, objects and counters. Panes
 * (top_panes.c) are made of that: columns as any verb has them, and rates against the look before.
 * Order and filter are of rows. So what a terminal shows (top_view.c draws it as text, top_screen.c
 * alone knows curses), tables and JSON are one and the same.
 */
#ifndef TARN_TOOLS_TOP_H
#define TARN_TOOLS_TOP_H

#include <stdbool.h>
#include <stdint.h>
#include <wchar.h>

#include <tarn/counters.h>
#include <tarn/region.h>

#include "buffer.h"
#include "cli.h"
#include "out.h"
#include "rows.h"

enum top_pane {
	TOP_REGIONS,
	TOP_MEMBERS,
	TOP_TOPICS,
	TOP_SUBSCRIBERS,
	TOP_LOCKS,
	TOP_COUNTERS,
	TOP_CALLS,
	TOP_PANES
};

struct top_region {
	char *addr;
	int error; /* 0, or why it could not be looked into */
	struct tarn_region_stat stat;
	uint32_t dead; /* members */
};
struct top_member {
	size_t region;
	struct tarn_member_stat stat;
};
struct top_service {
	size_t region;
	char name[TARN_OBJECT_NAME_MAX + 1];
	uint32_t servers, clients, dead;
	uint64_t requests, responses; /* that lie in their rings */
	char pids[64];                /* of servers */
};
struct top_counter {
	size_t region;
	char object[TARN_OBJECT_NAME_MAX + 1];
	uint32_t kind;             /* of the object */
	struct tarn_metric metric; /* its texts are one copy, in name */
	char *name;
	uint64_t value, p99;
};

/* An array that grows. */
struct top_array {
	void *at;
	size_t count, room;
};

/* What is remembered of a look, for the rates of the next one: top_rates.c. */
struct top_memory {
	struct top_array before; /* in the order of keys */
	struct top_array now;
};

struct top {
	struct cli *cli;
	struct tarn_region_opts opts;
	const char *filter; /* NULL: none */
	bool all;           /* what all objects count of themselves */
	uint64_t looks;
	int64_t interval_ns; /* from the look before to this one; 0: there was none */
	int64_t last_ns;
	uint64_t unreadable;
	/* Of the look at hand. */
	struct top_array regions, members, services, counters;
	struct rows *topics, *locks; /* as these verbs print them; NULL: they could not */
	struct rows *panes[TOP_PANES];
	struct top_memory memory;
};

/* top_look.c: look again. CLI_OK or an exit code with a message; what could be seen is there in
 * any case. */
int top_look(struct top *top);
void top_free(struct top *top);
/* Room for one more of @size bytes, all zero; NULL: out of memory. */
void *top_array_add(struct top_array *array, size_t size);

/* top_rates.c: how much a second @value, known by @key, has gone up since the look before, at which
 * it was looked at @at_ns. False: it was not there, or has gone down. */
bool top_rate(struct top_memory *memory, const char *key, uint64_t value, int64_t at_ns,
	      double *ret_rate);
void top_rates_next(struct top_memory *memory); /* the look is over */
void top_memory_free(struct top_memory *memory);

/* top_panes.c: the pane of a letter or name; TOP_PANES = none. */
extern const struct out_list top_region_list, top_member_list, top_topic_list, top_subscriber_list,
	top_lock_list, top_counter_list, top_call_list;
extern const struct out_list *const top_lists[TOP_PANES]; /* these */
enum top_pane top_pane_find(const char *name);
char top_pane_letter(enum top_pane pane);
const char *top_pane_sort(enum top_pane pane); /* as -s has it */
void top_panes_put(struct top *top, struct out outs[TOP_PANES]);
/* "3 regions, 7 members (1 dead), 2 topics, 0 locks waited for" */
void top_headline(const struct top *top, char *text, size_t size);
/* The places in @rows of what the filter lets pass, in order; NULL: out of memory. */
size_t *top_filter(const struct rows *rows, const wchar_t *filter, size_t *ret_count);
/* What a cell shows: as in tables. */
const char *top_cell_text(const struct rows *rows, size_t row, int col, char buf[40]);
/* A text for the eye: at most @room wide characters, those that cannot be printed replaced. */
size_t top_widen(const char *text, wchar_t *wide, size_t room);

/* top_screen.c: until it is left, or @count looks (0: no end) were shown. */
int top_screen_run(struct top *top, enum top_pane pane, int64_t interval_ns, uint64_t count);

/* --- the view: top_view.c ------------------------------------------------------------------ */

enum { TOP_FILTER_MAX = 60, TOP_INTERVALS = 10 };

/* Keys without a character. */
enum top_key {
	TOP_KEY_UP = 0x110000,
	TOP_KEY_DOWN,
	TOP_KEY_LEFT,
	TOP_KEY_RIGHT,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_BACK_TAB,
	TOP_KEY_BACKSPACE,
	TOP_KEY_ESCAPE,
};

enum top_action { TOP_NOTHING, TOP_DRAW, TOP_SORT, TOP_LOOK, TOP_QUIT };

/* How one pane is shown. */
struct top_shown {
	struct rows_key key; /* what it is sorted by */
	size_t first;        /* row at the top of the screen */
	size_t cursor;       /* row that is marked */
	int left;            /* columns to the left of the screen, behind the first */
};

struct top_view {
	enum top_pane pane;
	struct top_shown shown[TOP_PANES];
	wchar_t filter[TOP_FILTER_MAX + 1];
	bool typing; /* the filter */
	bool paused, help, detail;
	int64_t interval_ns;
	size_t row_count; /* of the pane, after the filter, when it was last drawn */
	int page;         /* rows that there was room for */
};

/* Text as it stands on the screen. */
enum top_style { TOP_PLAIN, TOP_BOLD, TOP_REVERSE };
struct top_line {
	wchar_t *text; /* as wide as the screen, or less */
	enum top_style style;
};
struct top_canvas {
	int width, height;
	struct top_line *lines;
};

void top_view_init(struct top_view *view, enum top_pane pane, int64_t interval_ns,
		   const char *filter, const char *sort);
enum top_action top_view_key(struct top_view *view, wint_t key);
bool top_view_sort(const struct top_view *view, struct top *top); /* false: out of memory */
/* @said: what went wrong in the last look, or NULL. False: out of memory. */
bool top_view_draw(struct top_view *view, const struct top *top, const char *said,
		   struct top_canvas *canvas);

#endif /* TARN_TOOLS_TOP_H */
