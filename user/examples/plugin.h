/* SPDX-License-Identifier: LGPL-2.1-or-later OR MIT */
/* What plugin_host.c and plugin.c have agreed on: the operations of either side's callback. */
#ifndef PLUGIN_H
#define PLUGIN_H

/* Of the host */
#define HOST_SUBSCRIBE	1	/* brings a stub: from now on lines go there */
#define HOST_SAY	2	/* a text for the user */

/* Of the plugin */
#define PLUGIN_LINE	1	/* a line that the user typed */

#define PLUGIN_PATIENCE	5000	/* milliseconds that one waits for the other */

#endif /* PLUGIN_H */
