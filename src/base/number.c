/* strtod() is right to the last bit, but takes the point of the thread's locale, and rounds as the thread does;
 * both are set for the call. A number with a point has no other meaning in any locale, and what strtod() takes
 * beside is kept from it by the grammar. */
#include "number.h"

#include <fenv.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>

enum { SHORT = 64 }; /* characters, with the end: those of a double have 24 */

static size_t digits(const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && text[i] >= '0' && text[i] <= '9')
        i++;
    return i;
}

/* Of an exponent at text[0]; 0: there is none. */
static size_t exponent(const char *text, size_t n)
{
    const size_t sign = n > 1 && (text[1] == '+' || text[1] == '-'), before = 1 + sign;
    size_t more;

    if (n == 0 || (text[0] != 'e' && text[0] != 'E') || n < before)
        return 0;
    more = digits(text + before, n - before);
    return more > 0 ? before + more : 0;
}

size_t dg_number_length(const char *text, size_t n)
{
    const size_t sign = n > 0 && text[0] == '-', whole = digits(text + sign, n - sign);
    size_t at = sign + whole, part = 0;

    if (at < n && text[at] == '.') {
        part = digits(text + at + 1, n - at - 1);
        at += 1 + part;
    }
    return whole + part > 0 ? at + exponent(text + at, n - at) : 0;
}

/* The "C" locale is always there: no memory is taken. */
static double read_plainly(const char *text)
{
    const locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    const locale_t callers = uselocale(plain);
    const int rounding = fegetround();
    double value;

    if (rounding != FE_TONEAREST)
        fesetround(FE_TONEAREST);
    value = strtod(text, NULL);
    if (rounding != FE_TONEAREST)
        fesetround(rounding);
    uselocale(callers);
    freelocale(plain);
    return value;
}

bool dg_number_read(const char *text, size_t n, double *out)
{
    char small[SHORT], *copy = n < SHORT ? small : malloc(n + 1);

    if (!copy)
        return false;
    memcpy(copy, text, n);
    copy[n] = '\0';
    *out = read_plainly(copy);
    if (copy != small)
        free(copy);
    return true;
}
