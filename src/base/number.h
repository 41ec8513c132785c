/* number.h - decimal numbers in text, read alike whatever the caller's locale and rounding mode are.
 * A number is digits, then a point and digits, then an exponent; `.5` and `1.` are none of JSON's, and are for
 * who reads those to refuse. No blanks, no plus in front, no hexadecimal digits, inf or nan. */
#ifndef DG_BASE_NUMBER_H
#define DG_BASE_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

/* The length of the number that text[0 ... n - 1] begins with; 0: none. */
size_t dg_number_length(const char *text, size_t n);

/* The value of a number of n characters, all of them, to the nearest double; infinite where it is larger than any.
 * False: no memory for a copy, of more than 64. */
bool dg_number_read(const char *text, size_t n, double *out);

#endif
