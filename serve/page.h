/* page.h - the page at /: a prompt, its texts, and the workers' lanes. */
#ifndef DG_SERVE_PAGE_H
#define DG_SERVE_PAGE_H

#include <stddef.h>

/* [*n], for good. */
const void *page_html(size_t *n);

/* The value of Content-Security-Policy: its own style and script, and requests to its own server alone. */
const char *page_policy(void);

#endif
