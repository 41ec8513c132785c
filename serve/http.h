/* http.h - the thread that reads requests and sends answers. */
#ifndef DG_SERVE_HTTP_H
#define DG_SERVE_HTTP_H

#include "job.h"

/* Listens, and answers from now on. Leaves with 5 where it cannot. Returns the port. */
unsigned http_open(struct server *s);

/* No new connections. */
void http_quiesce(void);

/* Closes all connections. No job is under way. */
void http_close(void);

/* Ends connections whose time is over; to be called some times a second. */
void http_sweep(struct server *s);

#endif
