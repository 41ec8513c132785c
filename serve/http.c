/* A connection that waits for an answer, or for more of one, is suspended, and costs nothing; job_wake() resumes it.
 * The body of a request is always read to its end, so that a client that only then reads gets its answer. */
#include "http.h"
#include "lanes.h"
#include "page.h"
#include "reply.h"
#include "steps.h"

#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Bytes of a body that is refused that are read for its client's sake. */
#define MOST_SKIPPED ((size_t)16 << 20)

struct exchange;

struct route {
    const char *method, *path;
    bool open; /* without a key */
    enum MHD_Result (*answer)(struct exchange *x);
};

/* A request and its answer. */
struct exchange {
    struct server *s;
    struct MHD_Connection *connection;
    struct visit *visit;
    const struct route *route;
    const char *path;
    bool old; /* HTTP/1.0 */
    struct bytes body;
    size_t n_skipped;
    size_t n_held;      /* bytes of an answer that server.m.held has */
    struct refusal why; /* status 0: none so far */
    struct job *job;
};

static struct MHD_Daemon *http;
static int listening = -1;

/* ---- connections ---- */

static uint64_t later(const struct server *s)
{
    return now_ns() + s->opt.timeout * 1000000000u;
}

static struct visit *visit_of(struct MHD_Connection *c)
{
    return MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
}

static void begin_visit(struct server *s, struct MHD_Connection *c, void **context)
{
    const int fd = MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    struct visit *v = calloc(1, sizeof *v);

    *context = v;
    if (!v) {
        shutdown(fd, SHUT_RDWR);
        return;
    }
    *v = (struct visit){fd, true, later(s), s->visits, &s->visits};
    if (v->next)
        v->next->link = &v->next;
    s->visits = v;
    s->m.connections++;
}

static void end_visit(struct server *s, struct visit *v)
{
    if (!v)
        return;
    *v->link = v->next;
    if (v->next)
        v->next->link = v->link;
    s->m.connections--;
    free(v);
}

static void connection_changed(void *arg, struct MHD_Connection *c, void **context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct server *s = arg;

    pthread_mutex_lock(&s->lock);
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        begin_visit(s, c, context);
    else
        end_visit(s, *context);
    pthread_mutex_unlock(&s->lock);
}

/* A request that does not come in gets a word, and MHD has none for it; nothing else is sent meanwhile. */
static void say_late(struct server *s, const struct visit *v)
{
    struct bytes body = {0}, all = {0};
    struct refusal late;

    refuse(&late, 408, "invalid_request_error", NULL, "timeout",
           "the request did not come in within %llu s", (unsigned long long)s->opt.timeout);
    refusal_write(&body, &late, false);
    bytes_print(&all,
                "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
                "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n",
                body.n);
    bytes_add(&all, body.at, body.n);
    if (!body.failed && !all.failed && send(v->fd, all.at, all.n, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        s->m.answers[408]++;
    bytes_free(&body);
    bytes_free(&all);
}

void http_sweep(struct server *s)
{
    const uint64_t now = now_ns();

    pthread_mutex_lock(&s->lock);
    for (struct visit *v = s->visits; v; v = v->next) {
        if (v->deadline == 0 || now < v->deadline)
            continue;
        if (v->reading)
            say_late(s, v);
        shutdown(v->fd, SHUT_RDWR);
        v->deadline = 0;
    }
    pthread_mutex_unlock(&s->lock);
}

/* ---- answers ---- */

static enum MHD_Result send_response(struct exchange *x, unsigned status, struct MHD_Response *r,
                                     const char *type)
{
    struct server *s = x->s;
    enum MHD_Result ok;

    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Type", type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    if (status == 401)
        MHD_add_response_header(r, "WWW-Authenticate", "Bearer");
    if (status == 405)
        MHD_add_response_header(r, "Allow", x->route->method);
    if (status == 503)
        MHD_add_response_header(r, "Retry-After", "1");
    pthread_mutex_lock(&s->lock);
    s->m.answers[status]++;
    if (!x->job)
        x->visit->deadline = later(s);
    x->visit->reading = false;
    if (s->draining)
        MHD_add_response_header(r, "Connection", "close");
    pthread_mutex_unlock(&s->lock);
    ok = MHD_queue_response(x->connection, status, r);
    MHD_destroy_response(r);
    return ok;
}

/* Takes the bytes over. */
static enum MHD_Result send_bytes(struct exchange *x, unsigned status, struct bytes *b,
                                  const char *type)
{
    if (b->failed) {
        bytes_free(b);
        return MHD_NO;
    }
    return send_response(x, status,
                         MHD_create_response_from_buffer(b->n, b->at, MHD_RESPMEM_MUST_FREE), type);
}

static enum MHD_Result send_refusal(struct exchange *x, const struct refusal *why)
{
    struct bytes b = {0};

    refusal_write(&b, why, false);
    return send_bytes(x, why->status, &b, "application/json");
}

/* What there is of a stream. */
static ssize_t read_stream(void *arg, uint64_t pos, char *to, size_t most)
{
    struct job *j = arg;
    ssize_t n = 0;

    (void)pos;
    pthread_mutex_lock(&j->server->lock);
    if (j->n_sent < j->out.n) {
        n = (ssize_t)(j->out.n - j->n_sent < most ? j->out.n - j->n_sent : most);
        memcpy(to, j->out.at + j->n_sent, (size_t)n);
        j->n_sent += (size_t)n;
    } else if (j->done) {
        n = MHD_CONTENT_READER_END_OF_STREAM;
    } else if (j->gone || j->out.failed) {
        n = MHD_CONTENT_READER_END_WITH_ERROR;
    }
    if (n > 0 && j->n_sent == j->out.n) {
        j->server->m.held -= j->out.n;
        j->n_sent = j->out.n = 0;
    }
    if (n == 0) {
        j->connection = j->waiting;
        MHD_suspend_connection(j->waiting);
    }
    pthread_mutex_unlock(&j->server->lock);
    return n;
}

static enum MHD_Result answer_stream(struct exchange *x)
{
    x->job->waiting = x->connection;
    return send_response(
        x, 200,
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16384, read_stream, x->job, NULL),
        "text/event-stream");
}

/* The job of a connection that was resumed is done, or nobody is there. It outlives the response. */
static enum MHD_Result answer_job(struct exchange *x)
{
    struct job *j = x->job;
    bool done;

    pthread_mutex_lock(&x->s->lock);
    done = j->done && !j->out.failed;
    pthread_mutex_unlock(&x->s->lock);
    if (!done)
        return MHD_NO;
    if (j->why.status)
        return send_refusal(x, &j->why);
    return send_response(
        x, 200, MHD_create_response_from_buffer(j->out.n, j->out.at, MHD_RESPMEM_PERSISTENT),
        "application/json");
}

static bool submit(struct exchange *x, struct job *j)
{
    struct server *s = x->s;
    bool ok;

    pthread_mutex_lock(&s->lock);
    j->visit = x->visit;
    j->old = x->old;
    ok = steps_submit(j, &x->why);
    if (ok) {
        x->job = j;
        s->n_jobs++;
        x->visit->deadline = 0;
        x->visit->reading = false;
    } else {
        job_release(j);
    }
    if (ok && !j->r.stream) {
        j->connection = x->connection;
        MHD_suspend_connection(x->connection);
    }
    pthread_mutex_unlock(&s->lock);
    return ok;
}

static enum MHD_Result answer_completion(struct exchange *x)
{
    struct request r;
    struct job *j;
    bool stream;

    if (!request_read(&r, &x->s->served, x->body.at ? x->body.at : "", x->body.n, &x->why))
        return send_refusal(x, &x->why);
    stream = r.stream;
    j = job_new(x->s, &r);
    if (!j)
        refuse(&x->why, 503, "server_error", NULL, NULL, "out of memory for a request");
    if (!j || !submit(x, j))
        return send_refusal(x, &x->why);
    return stream ? answer_stream(x) : MHD_YES;
}

static enum MHD_Result answer_models(struct exchange *x)
{
    struct bytes b = {0};

    reply_model(&b, &x->s->served, x->s->since, true);
    return send_bytes(x, 200, &b, "application/json");
}

static enum MHD_Result answer_model(struct exchange *x)
{
    struct bytes b = {0};

    if (strcmp(strrchr(x->path, '/') + 1, x->s->served.name) != 0) {
        refuse(&x->why, 404, "invalid_request_error", "model", "model_not_found",
               "there is no model but '%s'", x->s->served.name);
        return send_refusal(x, &x->why);
    }
    reply_model(&b, &x->s->served, x->s->since, false);
    return send_bytes(x, 200, &b, "application/json");
}

static enum MHD_Result answer_health(struct exchange *x)
{
    struct bytes b = {0};
    bool draining;

    pthread_mutex_lock(&x->s->lock);
    draining = x->s->draining;
    pthread_mutex_unlock(&x->s->lock);
    bytes_print(&b, "{\"status\":\"%s\"}\n", draining ? "draining" : "ok");
    return send_bytes(x, draining ? 503 : 200, &b, "application/json");
}

static enum MHD_Result answer_metrics(struct exchange *x)
{
    struct bytes b = {0};

    pthread_mutex_lock(&x->s->lock);
    metrics_write(&b, &x->s->m);
    pthread_mutex_unlock(&x->s->lock);
    return send_bytes(x, 200, &b, "text/plain; version=0.0.4; charset=utf-8");
}

/* The number behind which the steps are to be. */
static bool read_after(const struct exchange *x, uint64_t *after)
{
    const char *text = MHD_lookup_connection_value(x->connection, MHD_GET_ARGUMENT_KIND, "after");
    const size_t n = text ? strlen(text) : 0;

    *after = text ? strtoull(text, NULL, 10) : 0;
    return !text || (n > 0 && n < 20 && strspn(text, "0123456789") == n);
}

static enum MHD_Result answer_trace(struct exchange *x)
{
    struct server *s = x->s;
    struct bytes b = {0};
    uint64_t after;

    if (!read_after(x, &after)) {
        REFUSE(&x->why, "after", NULL, "after: expected the number of a step");
        return send_refusal(x, &x->why);
    }
    pthread_mutex_lock(&s->lock);
    if (s->m.held < MOST_HELD)
        lanes_write(&b, s, after);
    else
        refuse(&x->why, 503, "server_error", NULL, "overloaded", "no memory for an answer");
    s->m.held += x->n_held = b.n;
    pthread_mutex_unlock(&s->lock);
    if (x->why.status)
        return send_refusal(x, &x->why);
    return send_bytes(x, 200, &b, "application/json");
}

static enum MHD_Result answer_page(struct exchange *x)
{
    size_t n;
    const void *page = page_html(&n);
    struct MHD_Response *r =
        MHD_create_response_from_buffer(n, (void *)page, MHD_RESPMEM_PERSISTENT);

    if (!r)
        return MHD_NO;
    MHD_add_response_header(r, "Content-Security-Policy", page_policy());
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(r, "Referrer-Policy", "no-referrer");
    return send_response(x, 200, r, "text/html; charset=utf-8");
}

/* ---- requests ---- */

/* A path that ends in "/", but for the page's, stands for one more name behind it. */
static const struct route routes[] = {
    {"GET", "/", true, answer_page},
    {"GET", "/trace", false, answer_trace},
    {"POST", "/v1/completions", false, answer_completion},
    {"GET", "/v1/models", false, answer_models},
    {"GET", "/v1/models/", false, answer_model},
    {"GET", "/health", true, answer_health},
    {"GET", "/metrics", false, answer_metrics},
};

static bool leads_to(const struct route *r, const char *path)
{
    const size_t n = strlen(r->path);

    if (n == 1 || r->path[n - 1] != '/')
        return strcmp(r->path, path) == 0;
    return strncmp(r->path, path, n) == 0 && path[n] && !strchr(path + n, '/');
}

static const struct route *find_route(const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof *routes; i++)
        if (leads_to(&routes[i], path))
            return &routes[i];
    return NULL;
}

static const char *header(const struct exchange *x, const char *name)
{
    return MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, name);
}

/* In a time that does not tell how far they are alike. */
static bool is_key(const char *key, size_t n, const char *got)
{
    unsigned differ = 0;

    if (n == 0 || strlen(got) != n)
        return false;
    for (size_t i = 0; i < n; i++)
        differ |= (unsigned)(key[i] ^ got[i]);
    return differ == 0;
}

static bool has_key(const struct exchange *x)
{
    const char *got = header(x, "Authorization"), *at = x->s->keys;

    if (!at)
        return true;
    if (!got || strncasecmp(got, "Bearer ", 7) != 0)
        return false;
    got += 7 + strspn(got + 7, " ");
    while (*at) {
        const size_t n = strcspn(at, "\r\n");

        if (is_key(at, n, got))
            return true;
        at += n + strspn(at + n, "\r\n");
    }
    return false;
}

static bool is_json(const struct exchange *x)
{
    static const char json[] = "application/json";
    const char *type = header(x, "Content-Type");

    return type && strncasecmp(type, json, sizeof json - 1) == 0 &&
           strchr("; \t", type[sizeof json - 1]); /* or its end */
}

static bool is_draining(struct server *s)
{
    bool draining;

    pthread_mutex_lock(&s->lock);
    draining = s->draining;
    pthread_mutex_unlock(&s->lock);
    return draining;
}

static size_t header_size(const struct exchange *x)
{
    return MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE)
        ->header_size;
}

/* What is known before the body. */
static void look(struct exchange *x, const char *method)
{
    const struct route *r = x->route;
    const bool post = r && strcmp(r->method, "POST") == 0;

    if (header_size(x) > x->s->opt.header << 10)
        refuse(&x->why, 431, "invalid_request_error", NULL, NULL,
               "the header is too large, expected at most %llu KiB",
               (unsigned long long)x->s->opt.header);
    else if (!r)
        REFUSE(&x->why, NULL, "not_found", "there is no such path"), x->why.status = 404;
    else if (!r->open && !has_key(x))
        refuse(&x->why, 401, "invalid_request_error", NULL, "invalid_api_key",
               "expected a key that this server knows: Authorization: Bearer KEY");
    else if (strcmp(method, r->method) != 0 && (post || strcmp(method, "HEAD") != 0))
        refuse(&x->why, 405, "invalid_request_error", NULL, NULL, "expected %s", r->method);
    else if (post && !is_json(x))
        refuse(&x->why, 415, "invalid_request_error", NULL, NULL,
               "expected Content-Type: application/json");
    else if (post && is_draining(x->s))
        refuse(&x->why, 503, "server_error", NULL, "shutting_down", "the server ends");
}

static void too_large(struct exchange *x)
{
    refuse(&x->why, 413, "invalid_request_error", NULL, NULL,
           "the body is too large, expected at most %llu KiB", (unsigned long long)x->s->opt.body);
}

static enum MHD_Result begin(struct server *s, struct MHD_Connection *c, const char *path,
                             const char *method, const char *version, void **context)
{
    struct exchange *x = calloc(1, sizeof *x);
    const char *length;

    if (!x || !visit_of(c)) {
        free(x);
        return MHD_NO;
    }
    *x = (struct exchange){.s = s,
                           .connection = c,
                           .visit = visit_of(c),
                           .path = path,
                           .old = strcmp(version, "HTTP/1.1") != 0};
    x->route = find_route(path);
    *context = x;
    pthread_mutex_lock(&s->lock);
    x->visit->deadline = later(s);
    pthread_mutex_unlock(&s->lock);
    look(x, method);
    length = header(x, "Content-Length");
    if (!x->why.status && length && strtoull(length, NULL, 10) > s->opt.body << 10)
        too_large(x);
    if (x->why.status && header(x, "Expect"))
        return send_refusal(x, &x->why); /* the body is not on its way */
    return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *x, const char *more, size_t n)
{
    struct server *s = x->s;
    const size_t before = x->body.n;

    if (x->why.status)
        return (x->n_skipped += n) < MOST_SKIPPED ? MHD_YES : MHD_NO;
    bytes_add(&x->body, more, n);
    pthread_mutex_lock(&s->lock);
    s->m.held += x->body.n - before;
    if (x->body.failed || s->m.held > MOST_HELD)
        refuse(&x->why, 503, "server_error", NULL, "overloaded", "no memory for a request");
    pthread_mutex_unlock(&s->lock);
    if (x->body.n > s->opt.body << 10)
        too_large(x);
    return MHD_YES;
}

static enum MHD_Result answer(void *arg, struct MHD_Connection *c, const char *path,
                              const char *method, const char *version, const char *body, size_t *n,
                              void **context)
{
    struct exchange *x = *context;
    enum MHD_Result ok;

    if (!x)
        return begin(arg, c, path, method, version, context);
    if (*n > 0) {
        ok = take_body(x, body, *n);
        *n = 0;
        return ok;
    }
    x->path = path;
    if (x->job)
        return answer_job(x);
    return x->why.status ? send_refusal(x, &x->why) : x->route->answer(x);
}

/* The answer was taken, or nobody is there any more. */
static void completed(void *arg, struct MHD_Connection *c, void **context,
                      enum MHD_RequestTerminationCode code)
{
    struct server *s = arg;
    struct exchange *x = *context;

    (void)c;
    if (!x)
        return;
    pthread_mutex_lock(&s->lock);
    s->m.held -= x->body.n + x->n_held;
    x->visit->reading = true;
    x->visit->deadline = later(s);
    if (x->job) {
        if (code != MHD_REQUEST_TERMINATED_COMPLETED_OK && !x->job->gone)
            s->m.left++;
        x->job->gone = true;
        x->job->visit = NULL;
        x->job->connection = NULL;
        s->n_jobs--;
        job_release(x->job);
    }
    pthread_mutex_unlock(&s->lock);
    bytes_free(&x->body);
    free(x);
    *context = NULL;
}

/* ---- listening ---- */

static void cannot_listen(const struct server *s, const char *why)
{
    serve_die(DG_ERR_IO, "%s port %u: cannot listen: %s", s->opt.listen, (unsigned)s->opt.port,
              why);
}

static int listen_at(const struct server *s, struct addrinfo *a)
{
    const int one = 1;
    const int fd = socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) != 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) != 0 || listen(fd, 1024) != 0)
        cannot_listen(s, strerror(errno));
    return fd;
}

static int listen_socket(const struct server *s)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *a;
    char port[8];
    int fd, why;

    snprintf(port, sizeof port, "%u", (unsigned)s->opt.port);
    why = getaddrinfo(s->opt.listen, port, &hints, &a);
    if (why != 0)
        cannot_listen(s, gai_strerror(why));
    fd = listen_at(s, a);
    freeaddrinfo(a);
    return fd;
}

static unsigned port_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof a;
    char port[8] = "0";

    getsockname(fd, (struct sockaddr *)&a, &n);
    getnameinfo((struct sockaddr *)&a, n, NULL, 0, port, sizeof port, NI_NUMERICSERV);
    return (unsigned)atoi(port);
}

/* MHD answers a header that has no room with a page of its own. What is somewhat too large has room. */
static size_t connection_memory(const struct server *s)
{
    return 2 * ((size_t)s->opt.header << 10);
}

unsigned http_open(struct server *s)
{
    listening = listen_socket(s);
    http = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                            answer, s, MHD_OPTION_LISTEN_SOCKET, listening,
                            MHD_OPTION_NOTIFY_COMPLETED, completed, s, MHD_OPTION_NOTIFY_CONNECTION,
                            connection_changed, s, MHD_OPTION_CONNECTION_LIMIT,
                            (unsigned)s->opt.connections, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
                            connection_memory(s), MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_END);
    if (!http)
        cannot_listen(s, "no thread for it");
    return port_of(listening);
}

void http_quiesce(void)
{
    MHD_quiesce_daemon(http);
    close(listening);
}

void http_close(void)
{
    MHD_stop_daemon(http);
}
