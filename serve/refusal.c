#include "refusal.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void refuse(struct refusal *why, unsigned status, const char *type, const char *param,
            const char *code, const char *format, ...)
{
    va_list args;

    *why = (struct refusal){.status = status, .type = type, .param = param, .code = code};
    va_start(args, format);
    vsnprintf(why->text, sizeof why->text, format, args);
    va_end(args);
}

void json_write(struct bytes *to, json_t *all, const char *before, const char *behind)
{
    bytes_add(to, before, strlen(before));
    if (!all || json_dump_callback(all, bytes_take, to, JSON_COMPACT | JSON_REAL_PRECISION(9)) != 0)
        to->failed = true;
    bytes_add(to, behind, strlen(behind));
    json_decref(all);
}

/* Bodies that are no UTF-8 leave their traces in messages. */
static json_t *message(const char *text)
{
    char plain[sizeof((struct refusal *)0)->text];
    json_t *m = json_string(text);

    if (m)
        return m;
    snprintf(plain, sizeof plain, "%s", text);
    for (char *c = plain; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return json_string(plain);
}

void refusal_write(struct bytes *to, const struct refusal *why, bool event)
{
    json_t *all = json_pack("{s:{s:o, s:s, s:s?, s:s?}}", "error", "message", message(why->text),
                            "type", why->type, "param", why->param, "code", why->code);

    json_write(to, all, event ? "data: " : "", event ? "\n\n" : "\n");
}
