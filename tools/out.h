/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * out.h - the one renderer: records with typed columns, as a table (libsmartcols) or as JSON.
 *
 * A verb declares its columns once. The table's heading, the JSON key and the manual come from
 * that. In tables sizes are IEC and times are local; in JSON all are numbers in base units, the
 * unit in the key, and what is not known is null.
 *
 *     out_begin(&out, cli);
 *     out_list(&out, &check_list);
 *     out_row(&out);
 *     out_text(&out, "name", name);
 *     out_number(&out, "size_bytes", size);
 *     return out_end(&out, code);
 *
 * Rows are kept until the list ends, so that --sort can put them in order. A column of type
 * OUT_LIST is a list inside a row: an array of objects in JSON, a short text in tables.
 *
 *     out_inner(&out, "processes");
 *     out_row(&out);
 *     out_number(&out, "pid", pid);
 *     out_inner_end(&out, "17,19");
 *
 * Both lists stand in the lists of the verb, and so in its manual page and in tarn-json(5).
 *
 * A verb with an option --csv prints its rows as comma-separated values where that is given: the
 * keys first, then a line a row, all columns of the list, and no facts.
 *
 * JSON: { "schema": ..., "complete": ..., "unreadable": ..., "items": [ ... ] }. A verb with
 * one list has its rows as items. A verb that gives facts first (out_item(), out_fact_*) has one
 * item a thing, with its lists inside.
 */
#ifndef TARN_TOOLS_OUT_H
#define TARN_TOOLS_OUT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "json.h"

enum out_type {
	OUT_TEXT,
	OUT_COUNT,
	OUT_SIZE, /* bytes; IEC in tables */
	OUT_WORD, /* a number of any meaning: hexadecimal in tables once it is large */
	OUT_TIME, /* nanoseconds of CLOCK_REALTIME; local time in tables */
	OUT_BOOL,
	OUT_SIGNED,
	OUT_OFFSET, /* bytes; hexadecimal in tables */
	OUT_AGE,    /* nanoseconds; "40s", "3m", "2d" in tables */
	OUT_LONG,   /* text that a table cuts where the terminal is too narrow for it */
	OUT_HEX,    /* a number; hexadecimal in tables */
	OUT_VALUE,  /* text; in JSON a number where out_value() says so */
	OUT_LIST,   /* a list of the verb whose key is that of the column */
	OUT_REAL,   /* a number that is no whole one, and not below 0; "12.3 M" in tables */
	OUT_NS,     /* the same, in nanoseconds; "12.3 us" in tables */
};

struct out_col {
	const char *key;  /* NULL ends the list; in JSON */
	const char *head; /* in tables; NULL = in JSON only */
	enum out_type type;
	const char *help;
	unsigned extra; /* true = in tables only when asked for by -o; or OUT_IF_ROOM */
};

/* A column that is left out where a terminal is too narrow for it, the last first, unless -o says
 * what to show. */
#define OUT_IF_ROOM 2u

struct out_list {
	const char *key; /* "items", or where it stands inside an item */
	const struct out_col *cols;
};

#define OUT_COL_MAX 48

struct buffer;
struct cli;
struct rows;

struct out {
	const struct cli *cli;
	FILE *to; /* stdout, or what --watch collects a screen in */
	bool as_json, as_csv, bytes, noheadings, raw, notruncate, names_only;
	bool complete;
	uint64_t unreadable;
	const char *note; /* says so, for the eye; NULL = the usual words */
	bool in_item, in_list;
	bool said; /* facts of the item at hand, in text */
	struct json json;
	struct buffer *items; /* JSON of the items so far; NULL without --json */
	const struct out_list *list;
	int order[OUT_COL_MAX]; /* indices into cols, as the table shows them */
	int order_count;
	struct rows *rows;  /* of the list at hand */
	struct rows *inner; /* of the list inside its last row, between out_inner() and its end */
	int inner_col;
	int tree; /* column that draws the tree; -1 = no tree */
	uint64_t row_count;
	bool failed; /* out of memory */
	bool printed;
};

/* Are -o and -s of @cli columns of the verb? Answers "-o help". Returns -1 to go on, else the exit
 * code; out_begin() does it too. */
int out_check(const struct cli *cli);
/* Does -o or -s name the column @key of the verb's first list? For what costs to find out. */
bool out_wants(const struct cli *cli, const char *key);
/* Takes the options of CLI_GROUP_LIST from @cli. Returns -1 to go on, else the exit code. */
int out_begin(struct out *out, const struct cli *cli);
/* Begin an item that has lists inside; @title heads it in text, @key and @name lead it in JSON. */
void out_item(struct out *out);
/* A fact of the item: "label: value" in text. */
void out_fact_text(struct out *out, const char *key, const char *label, const char *value);
void out_fact_number(struct out *out, const char *key, const char *label, enum out_type type,
		     uint64_t value);
void out_item_end(struct out *out);

void out_list(struct out *out, const struct out_list *list);
void out_list_end(struct out *out); /* prints the table */
/* A list whose rows are there already, as cli.h's take had them; frees them. */
void out_rows(struct out *out, struct rows *rows);
void out_row(struct out *out);
/* A column not given in a row is null, and "-" in the table. */
void out_text(struct out *out, const char *key, const char *text);
void out_value(struct out *out, const char *key, const char *text, bool is_number);
void out_number(struct out *out, const char *key, uint64_t number);
void out_real(struct out *out, const char *key, double number);
void out_number_if(struct out *out, const char *key, uint64_t number, bool known);
void out_bool(struct out *out, const char *key, bool value);

/* The list in column @key of the row: the rows until out_inner_end() are its. @text: in tables. */
void out_inner(struct out *out, const char *key);
void out_inner_end(struct out *out, const char *text);

/* Draw a tree, in column @key, of rows and those that out_child() puts below the last of them.
 * Trees are for the eye: JSON leaves the children out. */
void out_tree(struct out *out, const char *key);
void out_child(struct out *out);

/* Something could not be read: the answer is not complete. */
void out_unreadable(struct out *out);
/* The same of @count things, told in the words of @note, which must outlive @out. */
void out_partial(struct out *out, uint64_t count, const char *note);
/* Ends what is open, prints, frees. Returns the exit code: @code, or worse. */
int out_end(struct out *out, int code);

/* A cell of comma-separated values (RFC 4180): in quotes where it has to be. */
void out_csv_text(FILE *to, const char *text);
/* One line of NDJSON on @to, for verbs that stream. */
struct json out_line_begin(FILE *to, const char *schema);
void out_line_end(struct json *json);

#endif /* TARN_TOOLS_OUT_H */
