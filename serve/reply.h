/* reply.h - answers as OpenAI's API has them, and the pages of figures. */
#ifndef DG_SERVE_REPLY_H
#define DG_SERVE_REPLY_H

#include "job.h"

/* What is new of the text since the last call, and its end, as an event of a stream. Nothing where nothing is. */
void reply_event(struct bytes *to, struct job *j, struct text *t);

/* The end of a stream: usage where it is asked for, and the mark. */
void reply_end_of_stream(struct bytes *to, const struct job *j);

/* All of the answer that is no stream. */
void reply_whole(struct bytes *to, struct job *j);

/* One model, or the list of them. */
void reply_model(struct bytes *to, const struct served *s, int64_t since, bool list);

#endif
