/* SPDX-License-Identifier: BSD-2-Clause */
/* out_cols.c - columns by their names: which to show (-o), and which to sort by (-s). */

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "cli.h"
#include "out_parts.h"

int out_col_find(const struct out_list *list, const char *word, size_t length)
{
	for (int i = 0; list->cols[i].key != NULL; i++) {
		const struct out_col *col = &list->cols[i];

		if (col->head != NULL && strlen(col->head) == length &&
		    strncasecmp(col->head, word, length) == 0)
			return i;
		if (strlen(col->key) == length && strncasecmp(col->key, word, length) == 0)
			return i; /* the JSON key will do as well */
	}
	return -1;
}

/* --- words of -o and -s -------------------------------------------------------------------- */

struct word {
	const char *text;
	size_t length;
	bool down; /* "-COLUMN" */
};

/* The next word of @list, which is moved behind it; false at the end. */
static bool word_next(const char **list, struct word *ret_word)
{
	const char *text = *list;

	if (text == NULL || *text == '\0')
		return false;
	*ret_word = (struct word){ .down = *text == '-' };
	text += ret_word->down;
	ret_word->text = text;
	ret_word->length = strcspn(text, ",");
	text += ret_word->length;
	*list = text + (*text == ',');
	return true;
}

static const char *output_words(const struct cli *cli)
{
	const char *words = cli_value_if(cli, "output");

	return words != NULL && *words == '+' ? words + 1 : words;
}

static int column_unknown(const struct cli *cli, const struct word *word)
{
	char known[512] = "";
	size_t used = 0;

	for (int i = 0; cli->cmd->lists[i] != NULL; i++) {
		for (const struct out_col *col = cli->cmd->lists[i]->cols; col->key != NULL;
		     col++) {
			if (col->head != NULL && used < sizeof(known))
				used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%s",
							 used > 0 ? "," : "", col->head);
		}
	}
	cli_error(cli, "there is no column '%.*s'", (int)word->length, word->text);
	cli_hint("the columns are %s", known);
	return CLI_USAGE;
}

static bool column_known(const struct cli *cli, const struct word *word)
{
	for (int i = 0; cli->cmd->lists[i] != NULL; i++) {
		int at = out_col_find(cli->cmd->lists[i], word->text, word->length);

		if (at >= 0 && cli->cmd->lists[i]->cols[at].head != NULL)
			return true;
	}
	return false;
}

/* Every word must be a column of some list of the verb. */
static int columns_check(const struct cli *cli, const char *words)
{
	struct word word;

	while (word_next(&words, &word)) {
		if (!column_known(cli, &word))
			return column_unknown(cli, &word);
	}
	return -1;
}

static void columns_help(const struct cli *cli)
{
	for (int i = 0; cli->cmd->lists[i] != NULL; i++) {
		for (const struct out_col *col = cli->cmd->lists[i]->cols; col->key != NULL;
		     col++) {
			if (col->head != NULL)
				printf("%-10s %c %s\n", col->head, col->extra == true ? ' ' : '*',
				       col->help);
		}
	}
	puts("\n* shown without -o");
}

int out_check(const struct cli *cli)
{
	const char *words = cli_value_if(cli, "output");
	int code;

	if (words != NULL && strcmp(words, "help") == 0) {
		columns_help(cli);
		return CLI_OK;
	}
	code = columns_check(cli, output_words(cli));
	return code >= 0 ? code : columns_check(cli, cli_value_if(cli, "sort"));
}

/* --- the choice ---------------------------------------------------------------------------- */

static void columns_default(struct out *out)
{
	out->order_count = 0;
	for (int i = 0; out->list->cols[i].key != NULL; i++) {
		if (out->list->cols[i].head != NULL && out->list->cols[i].extra != true)
			out->order[out->order_count++] = i;
	}
}

void out_cols_choose(struct out *out)
{
	const char *value = cli_value_if(out->cli, "output");
	const char *words = output_words(out->cli);
	struct word word;

	columns_default(out);
	if (value != NULL && value == words)
		out->order_count = 0;
	while (word_next(&words, &word)) {
		int i = out_col_find(out->list, word.text, word.length);

		if (i >= 0 && out->list->cols[i].head != NULL && out->order_count < OUT_COL_MAX)
			out->order[out->order_count++] = i;
	}
}

int out_cols_sort(const struct out *out, struct rows_key ret_keys[OUT_COL_MAX])
{
	const char *words = cli_value_if(out->cli, "sort");
	struct word word;
	int count = 0;

	while (count < OUT_COL_MAX && word_next(&words, &word)) {
		int i = out_col_find(out->list, word.text, word.length);

		if (i >= 0)
			ret_keys[count++] = (struct rows_key){ .col = i, .down = word.down };
	}
	return count;
}

static bool column_among(const struct out_list *list, const char *words, int col)
{
	struct word word;

	while (word_next(&words, &word)) {
		if (out_col_find(list, word.text, word.length) == col)
			return true;
	}
	return false;
}

bool out_wants(const struct cli *cli, const char *key)
{
	const struct out_list *list = cli->cmd->lists[0];
	int col = out_col_find(list, key, strlen(key));

	return column_among(list, output_words(cli), col) ||
	       column_among(list, cli_value_if(cli, "sort"), col);
}
