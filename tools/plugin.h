/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.h - programs named tarn-VERB on PATH are verbs too. */
#ifndef TARN_TOOLS_PLUGIN_H
#define TARN_TOOLS_PLUGIN_H

/* Become tarn-@verb with @argv, whose first word is replaced; returns if there is none. */
void plugin_run(const char *verb, char **argv);

/* Call @fn with the verb of each plug-in on PATH; one may come twice. */
void plugin_each(void (*fn)(const char *verb, void *arg), void *arg);

#endif /* TARN_TOOLS_PLUGIN_H */
