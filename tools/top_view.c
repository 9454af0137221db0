/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_view.c - the screen of tarn top as lines of text, and what keys do to it. See top.h.
 *
 *     tarn top  2 regions, 5 members ...          what there is
 *     1 regions 2  3 TOPICS 12  ...               panes; the one at hand in capitals
 *     TOPIC          PUBS SUBS  v MSG/S           headings; v or ^ before what it is sorted by
 *     ...                                         rows
 *     ? help ...                                  filter, messages, keys
 *
 * Where there is little height the first of these lines go one after another, and the last row of
 * all stays. Nothing here knows a terminal.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wctype.h>

#include "out_parts.h"
#include "top.h"

enum { CELL_MAX = 60, WIDE_MAX = 1024 };

static const int64_t intervals[TOP_INTERVALS] = {
	INT64_C(100000000),   INT64_C(200000000),   INT64_C(500000000),  INT64_C(1000000000),
	INT64_C(2000000000),  INT64_C(3000000000),  INT64_C(5000000000), INT64_C(10000000000),
	INT64_C(30000000000), INT64_C(60000000000),
};

static const char *const help[] = {
	"R M T S L C A, 1-7, Tab   panes",
	"arrows, PageUp, PageDown, Home, End   rows; left and right: columns",
	"s   sort by the next column",
	"r   the other way round",
	"/   only rows with this text; Enter ends it, Escape removes it",
	"Enter   all of a row, one column a line",
	"space   pause",
	"+ -   look more often, less often",
	"q   leave",
	"",
	"rates are of the last interval; LAG is what is kept for a subscriber",
};

/* --- state --------------------------------------------------------------------------------- */

static bool is_shown(const struct out_list *list, int col)
{
	return list->cols[col].head != NULL;
}

/* What -s or a pane's own order says; untouched where the pane has no such column. */
static void take_sort(struct rows_key *key, const struct out_list *list, const char *word)
{
	bool down = *word == '-';
	int col = out_col_find(list, word + down, strlen(word + down));

	if (col >= 0)
		*key = (struct rows_key){ .col = col, .down = down };
}

void top_view_init(struct top_view *view, enum top_pane pane, int64_t interval_ns,
		   const char *filter, const char *sort)
{
	size_t length;

	*view = (struct top_view){ .pane = pane, .interval_ns = interval_ns, .page = 1 };
	for (int i = 0; i < TOP_PANES; i++) {
		take_sort(&view->shown[i].key, top_lists[i], top_pane_sort((enum top_pane)i));
		if (sort != NULL)
			take_sort(&view->shown[i].key, top_lists[i], sort);
	}
	length = top_widen(filter != NULL ? filter : "", view->filter, TOP_FILTER_MAX);
	view->filter[length] = L'\0';
}

bool top_view_sort(const struct top_view *view, struct top *top)
{
	bool done = true;

	for (int i = 0; i < TOP_PANES; i++)
		done &= top->panes[i] != NULL && rows_sort(top->panes[i], &view->shown[i].key, 1);
	return done;
}

static enum top_action type_key(struct top_view *view, wint_t key)
{
	size_t length = wcslen(view->filter);

	if (key == L'\n' || key == L'\r') {
		view->typing = false;
	} else if (key == TOP_KEY_ESCAPE) {
		view->typing = false;
		view->filter[0] = L'\0';
	} else if (key == TOP_KEY_BACKSPACE) {
		view->filter[length - (length > 0)] = L'\0';
	} else if (key < TOP_KEY_UP && iswprint(key) && length < TOP_FILTER_MAX) {
		view->filter[length] = (wchar_t)key;
		view->filter[length + 1] = L'\0';
	}
	view->shown[view->pane].cursor = 0;
	return TOP_DRAW;
}

static void move(struct top_view *view, wint_t key)
{
	struct top_shown *shown = &view->shown[view->pane];
	size_t last = view->row_count > 0 ? view->row_count - 1 : 0;
	size_t page = (size_t)view->page, at = shown->cursor;

	if (key == TOP_KEY_UP)
		at -= at > 0;
	else if (key == TOP_KEY_DOWN)
		at++;
	else if (key == TOP_KEY_PAGE_UP)
		at -= at < page ? at : page;
	else if (key == TOP_KEY_PAGE_DOWN)
		at += page;
	else if (key == TOP_KEY_HOME)
		at = 0;
	else
		at = last;
	shown->cursor = at < last ? at : last;
}

static void sort_next(struct top_view *view)
{
	const struct out_list *list = top_lists[view->pane];
	struct rows_key *key = &view->shown[view->pane].key;

	do {
		key->col++;
		if (list->cols[key->col].key == NULL)
			key->col = 0;
	} while (!is_shown(list, key->col));
	/* numbers are looked at from the largest, names from the first */
	key->down = list->cols[key->col].type != OUT_TEXT && list->cols[key->col].type != OUT_LONG;
}

static void turn(struct top_view *view, int by)
{
	int next = ((int)view->pane + by + TOP_PANES) % TOP_PANES;

	view->pane = (enum top_pane)next;
	view->detail = false;
}

static void change_interval(struct top_view *view, bool faster)
{
	int i = 0;

	if (faster) {
		for (i = TOP_INTERVALS - 1; i > 0 && intervals[i] >= view->interval_ns; i--)
			;
		if (intervals[i] < view->interval_ns)
			view->interval_ns = intervals[i];
		return;
	}
	while (i < TOP_INTERVALS - 1 && intervals[i] <= view->interval_ns)
		i++;
	if (intervals[i] > view->interval_ns)
		view->interval_ns = intervals[i];
}

static enum top_action pane_key(struct top_view *view, wint_t key)
{
	char name[2] = { key < 128 ? (char)key : '\0', '\0' };
	enum top_pane pane = top_pane_find(name);

	if (key >= L'1' && key < L'1' + TOP_PANES)
		pane = (enum top_pane)(key - L'1');
	if (pane == TOP_PANES)
		return TOP_NOTHING;
	view->pane = pane;
	view->detail = false;
	return TOP_DRAW;
}

static enum top_action move_key(struct top_view *view, wint_t key)
{
	struct top_shown *shown = &view->shown[view->pane];

	switch (key) {
	case TOP_KEY_UP:
	case TOP_KEY_DOWN:
	case TOP_KEY_PAGE_UP:
	case TOP_KEY_PAGE_DOWN:
	case TOP_KEY_HOME:
	case TOP_KEY_END:
		move(view, key);
		return TOP_DRAW;
	case TOP_KEY_LEFT:
		shown->left -= shown->left > 0;
		return TOP_DRAW;
	case TOP_KEY_RIGHT:
		/* one column at least stays, behind the first */
		if (top_lists[view->pane]->cols[shown->left + 2].key != NULL)
			shown->left++;
		return TOP_DRAW;
	default:
		return pane_key(view, key);
	}
}

enum top_action top_view_key(struct top_view *view, wint_t key)
{
	if (view->typing)
		return type_key(view, key);
	if (view->help) {
		view->help = false;
		return key == L'q' ? TOP_QUIT : TOP_DRAW;
	}
	switch (key) {
	case L'q':
		return TOP_QUIT;
	case L'?':
	case L'h':
		view->help = true;
		return TOP_DRAW;
	case L'/':
		view->typing = true;
		return TOP_DRAW;
	case L' ':
		view->paused = !view->paused;
		return view->paused ? TOP_DRAW : TOP_LOOK;
	case L'+':
	case L'-':
		change_interval(view, key == L'+');
		return TOP_DRAW;
	case L'\t':
	case TOP_KEY_BACK_TAB:
		turn(view, key == L'\t' ? 1 : -1);
		return TOP_DRAW;
	case L's':
		sort_next(view);
		return TOP_SORT;
	case L'r':
		view->shown[view->pane].key.down ^= true;
		return TOP_SORT;
	case L'\n':
	case L'\r':
		view->detail = !view->detail;
		return TOP_DRAW;
	case TOP_KEY_ESCAPE:
		view->detail = false;
		view->filter[0] = L'\0';
		return TOP_DRAW;
	default:
		return move_key(view, key);
	}
}

/* --- drawing ------------------------------------------------------------------------------- */

/* Where the next text goes. */
struct pen {
	struct top_canvas *canvas;
	int line;
	int column;  /* of the screen */
	size_t used; /* characters of the line */
};

static void put_wide(struct pen *pen, const wchar_t *text, size_t length)
{
	wchar_t *line = pen->canvas->lines[pen->line].text;

	for (size_t i = 0; i < length; i++) {
		int width = wcwidth(text[i]);

		if (pen->column + width > pen->canvas->width)
			return;
		line[pen->used++] = text[i];
		pen->column += width;
	}
	line[pen->used] = L'\0';
}

static void put(struct pen *pen, const char *text)
{
	wchar_t wide[WIDE_MAX];

	put_wide(pen, wide, top_widen(text, wide, WIDE_MAX));
}

static void put_blanks(struct pen *pen, int count)
{
	for (int i = 0; i < count; i++)
		put_wide(pen, L" ", 1);
}

/* As many columns of the screen as fit into @room. */
static int cut(const wchar_t *wide, size_t *length, int room)
{
	int width = 0;

	for (size_t i = 0; i < *length; i++) {
		if (width + wcwidth(wide[i]) > room) {
			*length = i;
			break;
		}
		width += wcwidth(wide[i]);
	}
	return width;
}

static bool is_right(enum out_type type)
{
	return type != OUT_TEXT && type != OUT_LONG && type != OUT_BOOL;
}

/* A text in a cell of @width columns; the last one of a row is not filled up. */
static void put_cell(struct pen *pen, const char *text, int width, bool right, bool last)
{
	wchar_t wide[WIDE_MAX];
	size_t length = top_widen(text, wide, WIDE_MAX);
	int used = cut(wide, &length, last && !right ? pen->canvas->width : width);

	if (right)
		put_blanks(pen, width - used);
	put_wide(pen, wide, length);
	if (!right && !last)
		put_blanks(pen, width - used);
}

static int text_width(const char *text)
{
	wchar_t wide[WIDE_MAX];
	size_t length = top_widen(text, wide, WIDE_MAX);

	return cut(wide, &length, CELL_MAX);
}

struct table {
	struct top_view *view;
	const struct rows *rows;
	size_t *places; /* that the filter lets pass */
	size_t count;
	int order[OUT_COL_MAX], width[OUT_COL_MAX]; /* columns as they stand */
	int columns;
};

static int column_width(const struct table *t, int col)
{
	/* room for the mark of the order */
	int width = (int)strlen(t->rows->list->cols[col].head) +
		    2 * (t->view->shown[t->view->pane].key.col == col);
	char buf[40];

	for (size_t i = 0; i < t->count; i++) {
		int one = text_width(top_cell_text(t->rows, t->places[i], col, buf));

		width = one > width ? one : width;
	}
	return width;
}

/* The first column stays; what is left of the screen is left out, and what finds no room. */
static void choose_columns(struct table *t)
{
	const struct out_list *list = t->rows->list;
	int left = t->view->shown[t->view->pane].left;

	t->columns = 0;
	for (int col = 0; list->cols[col].key != NULL; col++) {
		if (!is_shown(list, col) || (col > 0 && col <= left))
			continue;
		t->order[t->columns] = col;
		t->width[t->columns++] = column_width(t, col);
	}
}

static void put_headings(const struct table *t, struct pen *pen)
{
	const struct rows_key *key = &t->view->shown[t->view->pane].key;

	for (int i = 0; i < t->columns; i++) {
		const struct out_col *col = &t->rows->list->cols[t->order[i]];
		char text[64];

		snprintf(text, sizeof(text), "%s%s",
			 key->col != t->order[i] ? ""
			 : key->down             ? "v "
						 : "^ ",
			 col->head);
		put_cell(pen, text, t->width[i], is_right(col->type), i + 1 == t->columns);
		put_blanks(pen, 1);
	}
	pen->canvas->lines[pen->line].style = TOP_REVERSE;
}

static void put_row(const struct table *t, size_t row, struct pen *pen)
{
	char buf[40];

	for (int i = 0; i < t->columns; i++) {
		put_cell(pen, top_cell_text(t->rows, row, t->order[i], buf), t->width[i],
			 is_right(t->rows->list->cols[t->order[i]].type), i + 1 == t->columns);
		put_blanks(pen, 1);
	}
}

/* All columns of the row that is marked. */
static void put_detail(const struct table *t, struct pen *pen, int end)
{
	const struct out_list *list = t->rows->list;
	size_t row = t->places[t->view->shown[t->view->pane].cursor];
	char buf[40], text[16];

	for (int col = 0; list->cols[col].key != NULL && pen->line < end; col++) {
		snprintf(text, sizeof(text), "%-12s ", list->cols[col].head);
		put(pen, text);
		put(pen, top_cell_text(t->rows, row, col, buf));
		*pen = (struct pen){ pen->canvas, pen->line + 1, 0, 0 };
	}
}

static void put_rows(struct table *t, struct pen *pen, int end)
{
	struct top_shown *shown = &t->view->shown[t->view->pane];
	size_t page = (size_t)t->view->page;

	if (shown->cursor >= t->count)
		shown->cursor = t->count > 0 ? t->count - 1 : 0;
	if (shown->first > shown->cursor)
		shown->first = shown->cursor;
	if (shown->cursor - shown->first >= page)
		shown->first = shown->cursor - page + 1;
	if (t->view->detail && t->count > 0) {
		put_detail(t, pen, end);
		return;
	}
	for (size_t i = shown->first; i < t->count && pen->line < end; i++) {
		put_row(t, t->places[i], pen);
		if (i == shown->cursor)
			pen->canvas->lines[pen->line].style = TOP_BOLD;
		*pen = (struct pen){ pen->canvas, pen->line + 1, 0, 0 };
	}
}

static void put_help(struct pen *pen, int end)
{
	for (size_t i = 0; i < sizeof(help) / sizeof(help[0]) && pen->line < end; i++) {
		put(pen, help[i]);
		*pen = (struct pen){ pen->canvas, pen->line + 1, 0, 0 };
	}
}

/* Those around the one at hand that there is room for. */
static void put_tabs(const struct top_view *view, const struct top *top, struct pen *pen)
{
	char texts[TOP_PANES][40];
	int sum = 0, first = 0;

	for (int i = 0; i < TOP_PANES; i++) {
		snprintf(texts[i], sizeof(texts[i]), "%s%c %s %zu%s ",
			 i == (int)view->pane ? "[" : " ", top_pane_letter((enum top_pane)i),
			 top_lists[i]->key, top->panes[i] != NULL ? top->panes[i]->count : 0,
			 i == (int)view->pane ? "]" : " ");
		sum += i <= (int)view->pane ? (int)strlen(texts[i]) : 0;
	}
	while (sum > pen->canvas->width && first < (int)view->pane)
		sum -= (int)strlen(texts[first++]);
	for (int i = first; i < TOP_PANES; i++)
		put(pen, texts[i]);
}

static void put_status(const struct top_view *view, const char *said, struct pen *pen)
{
	char text[80];

	if (view->typing || view->filter[0] != L'\0') {
		put(pen, "/");
		put_wide(pen, view->filter, wcslen(view->filter));
		put(pen, view->typing ? "_" : "  ");
		if (view->typing)
			return;
	}
	if (view->paused)
		put(pen, "paused  ");
	if (said != NULL)
		put(pen, said);
	snprintf(text, sizeof(text), "every %g s  ? help  q leave",
		 (double)view->interval_ns / 1e9);
	if (said == NULL)
		put(pen, text);
}

static void put_top(const struct top_view *view, const struct top *top, struct pen *pen)
{
	char text[200];

	if (pen->canvas->height >= 5) {
		top_headline(top, text, sizeof(text));
		put(pen, "tarn top  ");
		put(pen, text);
		pen->canvas->lines[pen->line].style = TOP_BOLD;
		*pen = (struct pen){ pen->canvas, pen->line + 1, 0, 0 };
	}
	if (pen->canvas->height >= 4) {
		put_tabs(view, top, pen);
		*pen = (struct pen){ pen->canvas, pen->line + 1, 0, 0 };
	}
}

bool top_view_draw(struct top_view *view, const struct top *top, const char *said,
		   struct top_canvas *canvas)
{
	struct pen pen = { .canvas = canvas };
	struct table t = { .view = view, .rows = top->panes[view->pane] };
	int end = canvas->height - (canvas->height >= 2);

	for (int i = 0; i < canvas->height; i++) {
		canvas->lines[i].text[0] = L'\0';
		canvas->lines[i].style = TOP_PLAIN;
	}
	if (t.rows == NULL)
		return false;
	t.places = top_filter(t.rows, view->filter, &t.count);
	if (t.places == NULL)
		return false;
	view->row_count = t.count;
	put_top(view, top, &pen);
	if (view->help) {
		put_help(&pen, end);
	} else {
		choose_columns(&t);
		if (canvas->height >= 3 && !view->detail) {
			put_headings(&t, &pen);
			pen = (struct pen){ canvas, pen.line + 1, 0, 0 };
		}
		view->page = end > pen.line ? end - pen.line : 1;
		put_rows(&t, &pen, end);
	}
	free(t.places);
	pen = (struct pen){ canvas, canvas->height - 1, 0, 0 };
	if (canvas->height >= 2)
		put_status(view, said, &pen);
	return true;
}
