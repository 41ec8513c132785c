/* libedit by its own interface: readline()'s, which it has too, keeps its state in globals and
 * prompts on standard output. */
#include "lines.h"
#include "reading.h"
#include "leaving.h"
#include "signals.h"

#include <errno.h>
#include <histedit.h>
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct lines {
    const char *prompt;
    EditLine *edit; /* NULL: standard input is no terminal */
    History *history;
};

static char *prompt_of(EditLine *edit)
{
    struct lines *l;

    el_get(edit, EL_CLIENTDATA, &l);
    return (char *)l->prompt; /* libedit does not write to it */
}

struct lines *lines_new(const char *prompt)
{
    struct lines *l = calloc(1, sizeof *l);
    HistEvent event;

    if (!l)
        return NULL;
    l->prompt = prompt;
    if (!isatty(STDIN_FILENO))
        return l;
    setlocale(LC_CTYPE, ""); /* libedit drops characters that the locale does not have */
    if (strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    l->edit = el_init("dagpt", stdin, stderr, stderr);
    l->history = history_init();
    if (!l->edit || !l->history) {
        lines_free(l);
        return NULL;
    }
    history(l->history, &event, H_SETSIZE, 1000);
    history(l->history, &event, H_SETUNIQUE, 1);
    el_set(l->edit, EL_CLIENTDATA, l);
    el_set(l->edit, EL_PROMPT, prompt_of);
    el_set(l->edit, EL_EDITOR, "emacs");
    el_set(l->edit, EL_SIGNAL, 1); /* Ctrl-C leaves the terminal as it was */
    el_set(l->edit, EL_HIST, history, l->history);
    el_source(l->edit, NULL); /* ~/.editrc, if there is one */
    return l;
}

bool lines_next(struct lines *l, struct text *line)
{
    HistEvent event;
    const char *typed;
    int n = 0;

    if (!l->edit)
        return text_line(&(struct text_source){cli_stdin(), "standard input"}, line);
    typed = el_gets(l->edit, &n);
    if (!typed && n < 0 && !cli_signal()) /* which interrupts a read, and ends the input */
        cli_die(DG_ERR_IO, "standard input: cannot read: %s", strerror(errno));
    if (!typed || n == 0)
        return false;
    *line = (struct text){malloc((size_t)n + 1), (size_t)n};
    if (!line->bytes)
        cli_die(DG_ERR_RESOURCE, "out of memory for a line of %d bytes", n);
    memcpy(line->bytes, typed, (size_t)n);
    line->bytes[n] = '\0';
    text_trim(line);
    if (line->n > 0)
        history(l->history, &event, H_ENTER, line->bytes);
    return true;
}

void lines_free(struct lines *l)
{
    if (!l)
        return;
    if (l->edit)
        el_end(l->edit);
    if (l->history)
        history_end(l->history);
    free(l);
}
