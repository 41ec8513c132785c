/* dagpt-serve - completions over HTTP. The main thread waits for signals. */
#include "http.h"
#include "steps.h"
#include "../tools/cli/sandbox.h"

#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { TICK_MS = 200, LAST_MS = 1000 }; /* for those to be told that are cut off */

static struct server server = {
    .lock = PTHREAD_MUTEX_INITIALIZER, .work = PTHREAD_COND_INITIALIZER, .last = &server.first};

/* ---- opening ---- */

static void check(enum dg_status st, const struct dg_error *err)
{
    if (st != DG_OK)
        serve_die((int)st, "%s", err->text);
}

/* That of a name, least ... most. */
static enum dg_precision precision(const char *name, enum dg_precision least,
                                   enum dg_precision most, const char *option, const char *expected)
{
    for (enum dg_precision p = least; p <= most; p++)
        if (strcmp(name, dg_precision_name(p)) == 0)
            return p;
    serve_die(DG_ERR_USAGE, "%s: got '%s', expected %s", option, name, expected);
}

static size_t longest_token(const struct dg_tokenizer *t)
{
    size_t longest = 1, n;

    for (uint32_t id = 0; id < dg_tokenizer_vocab(t); id++)
        if (dg_tokenizer_bytes(t, (int32_t)id, &n) && n > longest)
            longest = n;
    return longest;
}

static void open_tokenizer(struct server *s)
{
    const char *path = s->opt.vocab ? s->opt.vocab : s->opt.model;
    struct served *to = &s->served;
    struct dg_error err;

    check(s->opt.vocab ? dg_tokenizer_open(&to->tokenizer, path, &err)
                       : dg_tokenizer_of_model(&to->tokenizer, path, &err),
          &err);
    if (dg_tokenizer_vocab(to->tokenizer) != to->sizes.vocab)
        serve_die(DG_ERR_TOKEN, "%s: the tokenizer has %u tokens, expected the model's V = %u",
                  path, dg_tokenizer_vocab(to->tokenizer), to->sizes.vocab);
}

/* Its threads block the signals that are blocked here. */
static void open_team(struct server *s)
{
    struct dg_error err;

    check(dg_team_new(&s->team, (unsigned)s->opt.workers, 0, &err), &err);
    if (dg_team_workers(s->team) < s->opt.workers)
        fprintf(stderr, "dagpt-serve: workers: got %u, expected %u\n", dg_team_workers(s->team),
                (unsigned)s->opt.workers);
}

static void open_model(struct server *s)
{
    const struct dg_engine_options opt = {
        .size = sizeof opt,
        .cache_bytes = s->opt.cache << 20,
        .cache = precision(s->opt.held, DG_PRECISION_F32, DG_PRECISION_BF16, "--cache",
                           "f32, bf16 or a number of MiB"),
    };
    const enum dg_precision weights =
        precision(s->opt.weights, DG_PRECISION_AUTO, DG_PRECISION_INT8, "--weights",
                  "auto, f32, bf16 or int8");
    struct served *to = &s->served;
    struct dg_error err;

    check(dg_model_peek(s->opt.model, &to->sizes, &err), &err);
    open_tokenizer(s);
    check(dg_model_open_as(&s->model, s->opt.model, weights, s->team, &err), &err);
    check(dg_engine_new(&s->engine, s->model, s->team, &opt, &err), &err);
    to->name = s->opt.name;
    to->most_n = s->opt.parallel < MOST_CHOICES ? s->opt.parallel : MOST_CHOICES;
    to->most_ids = to->sizes.positions;
    if (s->opt.prompt && s->opt.prompt < to->most_ids)
        to->most_ids = s->opt.prompt;
    to->most_bytes = to->most_ids * longest_token(to->tokenizer);
}

/* The name stands in answers, which are JSON. */
static void check_name(const char *name)
{
    json_t *text = json_string(name);

    if (!text || strchr(name, '/'))
        serve_die(DG_ERR_USAGE, "--name: got '%s', expected UTF-8 without '/'", name);
    json_decref(text);
}

static char *read_keys(const char *path)
{
    FILE *f = fopen(path, "r");
    char text[65536];
    size_t n;

    if (!f)
        serve_die(DG_ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    n = fread(text, 1, sizeof text - 1, f);
    if (ferror(f) || !feof(f))
        serve_die(DG_ERR_IO, "%s: cannot read: %s", path,
                  ferror(f) ? strerror(errno) : "it has more than 65535 bytes");
    fclose(f);
    text[n] = '\0';
    if (strlen(text) != n || strspn(text, "\r\n") == n)
        serve_die(DG_ERR_IO, "%s: got no key, expected one a line", path);
    return strdup(text);
}

/* Each connection is a file. */
static void allow_files(uint64_t n)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= n + 64)
        return;
    limit.rlim_cur = limit.rlim_max < n + 64 ? limit.rlim_max : n + 64;
    setrlimit(RLIMIT_NOFILE, &limit);
}

static void warn_of_strangers(const struct server *s)
{
    if (!s->keys && strncmp(s->opt.listen, "127.", 4) != 0 && strcmp(s->opt.listen, "::1") != 0)
        fprintf(stderr, "dagpt-serve: %s: whoever reaches it is answered (--api-key-file)\n",
                s->opt.listen);
}

static void say_where(const struct server *s, unsigned port)
{
    const bool six = strchr(s->opt.listen, ':') != NULL;

    printf("listening on http://%s%s%s:%u\n", six ? "[" : "", s->opt.listen, six ? "]" : "", port);
    if (fflush(stdout) != 0)
        serve_die(DG_ERR_IO, "cannot write to standard output: %s", strerror(errno));
}

/* ---- ending ---- */

static bool answered(struct server *s)
{
    bool all;

    pthread_mutex_lock(&s->lock);
    all = s->n_jobs == 0;
    pthread_mutex_unlock(&s->lock);
    return all;
}

/* Until all is answered, so many milliseconds, or another signal. */
static void wait_for_answers(struct server *s, const sigset_t *signals, uint64_t ms)
{
    const struct timespec tick = {0, 20 * 1000000};
    const uint64_t end = now_ns() + ms * 1000000u;

    while (!answered(s) && now_ns() < end && sigtimedwait(signals, NULL, &tick) < 0)
        http_sweep(s);
}

static void end(struct server *s, const sigset_t *signals, pthread_t steps)
{
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    pthread_mutex_unlock(&s->lock);
    http_quiesce();
    wait_for_answers(s, signals, s->opt.grace * 1000);
    pthread_mutex_lock(&s->lock);
    s->stopping = true;
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    dg_team_cancel(s->team);
    pthread_join(steps, NULL);
    wait_for_answers(s, signals, LAST_MS);
    http_close();
}

static void close_all(struct server *s)
{
    steps_close();
    free(s->keys);
    dg_tokenizer_free(s->served.tokenizer);
    dg_engine_free(s->engine);
    dg_model_free(s->model);
    dg_team_free(s->team);
}

/* The model is open, and the socket listens: nothing is to be written, run or connected from now on. */
static void drop_rights(const struct server *s)
{
    const char *lacks = s->opt.no_sandbox ? NULL : sandbox_enter(NULL, 0);

    if (lacks)
        fprintf(stderr, "dagpt-serve: sandbox: of this kernel: %s\n", lacks);
}

static void serve(struct server *s, const sigset_t *signals)
{
    const struct timespec tick = {0, TICK_MS * 1000000};
    pthread_t steps;
    unsigned port;

    if (!steps_open(s) || pthread_create(&steps, NULL, steps_run, s) != 0)
        serve_die(DG_ERR_RESOURCE, "no memory or no thread to serve with");
    port = http_open(s);
    drop_rights(s);
    warn_of_strangers(s);
    say_where(s, port);
    while (sigtimedwait(signals, NULL, &tick) < 0)
        http_sweep(s);
    end(s, signals, steps);
}

int main(int argc, char **argv)
{
    sigset_t signals;

    options_read(&server.opt, argc, argv);
    check_name(server.opt.name);
    if (server.opt.key_file)
        server.keys = read_keys(server.opt.key_file);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    open_team(&server);
    pthread_sigmask(SIG_UNBLOCK, &signals, NULL); /* while the model is read they end all */
    open_model(&server);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    allow_files(server.opt.connections);
    server.since = (int64_t)time(NULL);
    server.opened = now_ns();
    serve(&server, &signals);
    close_all(&server);
    return 0;
}
