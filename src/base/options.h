/* options.h - how a public options struct is read: its first field is a size_t, its size as the caller
 * was compiled with. It has no padding at its end: a later field would lie in bytes there that older
 * callers leave unset. DG_NO_PADDING_AFTER asserts that. */
#ifndef DG_BASE_OPTIONS_H
#define DG_BASE_OPTIONS_H

#include "status.h"

#define DG_NO_PADDING_AFTER(type, last)                                                            \
    _Static_assert(offsetof(type, last) + sizeof(((type *)0)->last) == sizeof(type),               \
                   "an options struct has no padding at its end")

/* Fills to[0 ... n - 1], the struct as this library knows it, from the caller's, which may be NULL, older
 * and shorter, or newer and longer: what is missing is zero, what is not known here must be. `first` is
 * the struct's size in the version that brought it, which a size of 0 stands for. DG_ERR_USAGE for another
 * size; `what` names the struct. */
enum dg_status dg_options_read(void *to, size_t n, size_t first, const void *from, const char *what,
                               struct dg_error *err);

#endif
