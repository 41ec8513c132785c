/* json.h - reads JSON text strictly (RFC 8259), value by value, without building a tree.
 *
 *     dg_json_open(&j, text, n);
 *     if (dg_json_object(&j))
 *         while (dg_json_key(&j, key, sizeof key))
 *             if (!strcmp(key, "steps") && dg_json_array(&j))
 *                 while (dg_json_item(&j))
 *                     dg_json_number(&j, &x);
 *             else
 *                 dg_json_skip(&j);
 *     dg_json_end(&j);
 *
 * Every value must be read or skipped. The first error sticks: each call after it returns false, so
 * that a reader may look at j.error once, at its end. Names and strings are UTF-8, and \\u escapes of
 * surrogates come in pairs; anything else is an error.
 * Memory:  borrows the text. Threads: none. */
#ifndef DG_BASE_JSON_H
#define DG_BASE_JSON_H

#include "names.h"
#include "status.h"

#include <stdbool.h>

enum { DG_JSON_DEPTH = 64 }; /* objects and arrays inside each other */

struct dg_json {
    const char *text, *at, *end;
    const char *value; /* where what was read last begins; after an error, what is wrong */
    const char *error; /* what was expected there, or NULL */
    bool no_memory;    /* that was memory */
    unsigned depth;
    bool first;    /* no member or item of the innermost one was read yet */
    size_t length; /* bytes of the string or name that was read last, also of what was cut */

    struct dg_names *names; /* of all members so far, by object; NULL: a name may stand twice */
    uint32_t objects;       /* entered so far */
    uint32_t object[DG_JSON_DEPTH + 1]; /* by depth: which one it is */
};

void dg_json_open(struct dg_json *j, const char *text, size_t n);

/* From here on it is an error that an object has two members of one name. *names must be empty, is filled
 * while the text is read, and is the caller's to free. */
void dg_json_unique(struct dg_json *j, struct dg_names *names);

/* Enters an object or array; false: the next value is none. */
bool dg_json_object(struct dg_json *j);
bool dg_json_array(struct dg_json *j);

/* The next member's name, or the next item; false at the end, which is then left, or on error. A
 * name that does not fit is cut short. */
bool dg_json_key(struct dg_json *j, char *name, size_t size);
bool dg_json_item(struct dg_json *j);

bool dg_json_number(struct dg_json *j, double *out);

/* An integer without sign, point and exponent, exact up to 2^64 - 1; all else is an error. */
bool dg_json_integer(struct dg_json *j, uint64_t *out);

/* The text of a string, in UTF-8; cut short where it does not fit. size 0: out may be NULL. It is never
 * longer than what is left of the file. */
bool dg_json_string(struct dg_json *j, char *out, size_t size);

bool dg_json_boolean(struct dg_json *j, bool *out);

bool dg_json_null(struct dg_json *j); /* true, and read, if the next value is null; else no error */
bool dg_json_true(struct dg_json *j); /* the same of true */
bool dg_json_skip(struct dg_json *j); /* any value */
bool dg_json_end(struct dg_json *j);  /* nothing but blanks follows */

/* Makes an error of the reader's own, at the value that was read last. Returns false. */
bool dg_json_fail(struct dg_json *j, const char *expected);

/* The same where there is no memory for what was read. */
bool dg_json_fail_memory(struct dg_json *j);

/* The error, with the place and what stands there, of the text called `name`. Of status `wrong`, or
 * DG_ERR_RESOURCE. */
enum dg_status dg_json_refuse(const struct dg_json *j, const char *name, enum dg_status wrong,
                              struct dg_error *err);

/* Of an error: the line, from 1; the byte, from 0; and what stands there, in the text's own words: a string with
 * its quotes, a number, "an object". */
enum { DG_JSON_GOT = 64 };
size_t dg_json_line(const struct dg_json *j);
size_t dg_json_byte(const struct dg_json *j);
void dg_json_got(const struct dg_json *j, char text[DG_JSON_GOT]);

#endif
