/* One process, without threads: it waits for what the ranks print, for its own input, and for signals.
 *
 * What was printed is known as so many lines, and bytes of the one that is not whole. In a line there may be how long
 * something took, so that the same line has not always as many bytes. */
#include "restart.h"
#include "frames.h"
#include "../src/dagpt.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    MOST_WAITING = 1 << 16, /* bytes of standard input that the ranks have not taken yet */
    LOOK_MS = 1000,
    PATIENCE = 10, /* looks, once all is said */
    NOT_STARTED = 127,
};

enum { HOST = RESTART_HOST };

struct bytes {
    char *at; /* [n] of room */
    size_t n, room;
};

/* Of standard output or error. */
struct printed {
    uint64_t lines, bytes;           /* whole ones, and of the one that is not */
    uint64_t skip_lines, skip_bytes; /* that come once more */
};

/* What starts the ranks at hand. */
struct job {
    pid_t pid;
    int in, out, err;    /* pipes; -1: closed */
    struct bytes frames; /* not yet whole */
    struct bytes line;   /* of its standard error, not yet whole */
    struct bytes head;   /* before standard input */
    size_t fed;          /* of head and input */
    int lost;            /* the rank that somebody missed, or -1, */
    char host[HOST];     /* and where it was */
    bool over;           /* all is said, */
    int code;            /* and this is the exit code */
    int looks;           /* since then */
    bool ended;
    int status; /* waitpid()'s */
};

static struct bytes input, known; /* standard input so far; ids that were drawn, as struct drawn */
static bool input_over;
static struct printed printed[2]; /* on standard output, on standard error */
static volatile sig_atomic_t signalled, child = -1;

/* What starts the ranks tells them. */
static void on_signal(int number)
{
    signalled = number;
    if (child > 0)
        kill((pid_t)child, number == SIGPIPE ? SIGTERM : number);
}

/* ---- bytes ---- */

static void add(struct bytes *b, const void *bytes, size_t n)
{
    if (b->n + n > b->room) {
        const size_t room = 2 * (b->n + n);
        char *more = realloc(b->at, room);

        if (!more) {
            fprintf(stderr, "dagpt-mpi: out of memory for %zu bytes\n", room);
            if (child > 0)
                kill((pid_t)child, SIGTERM);
            _exit(DG_ERR_RESOURCE);
        }
        b->at = more;
        b->room = room;
    }
    if (n > 0)
        memcpy(b->at + b->n, bytes, n);
    b->n += n;
}

static void drop(struct bytes *b, size_t n)
{
    memmove(b->at, b->at + n, b->n - n);
    b->n -= n;
}

/* False: nobody reads it any more. */
static bool write_all(int fd, const char *bytes, size_t n)
{
    while (n > 0) {
        const ssize_t some = write(fd, bytes, n);

        if (some < 0 && errno == EAGAIN)
            poll(&(struct pollfd){.fd = fd, .events = POLLOUT}, 1, -1);
        else if (some < 0 && errno != EINTR)
            return false;
        if (some > 0)
            bytes += some, n -= (size_t)some;
    }
    return true;
}

/* How many of n bytes come once more. */
static size_t count_known(struct printed *p, const char *bytes, size_t n)
{
    size_t i = 0;

    for (; i < n && p->skip_lines > 0; i++)
        p->skip_lines -= bytes[i] == '\n';
    if (p->skip_lines > 0 || p->skip_bytes < n - i) {
        i += p->skip_lines > 0 ? 0 : (size_t)p->skip_bytes;
        p->skip_bytes = p->skip_lines > 0 ? p->skip_bytes : 0;
        return i;
    }
    p->skip_bytes -= n - i;
    return n;
}

static void print(int fd, const char *bytes, size_t n)
{
    struct printed *p = &printed[fd - 1];
    const size_t known_already = count_known(p, bytes, n);

    for (size_t i = known_already; i < n; i++) {
        p->bytes = bytes[i] == '\n' ? 0 : p->bytes + 1;
        p->lines += bytes[i] == '\n';
    }
    if (!write_all(fd, bytes + known_already, n - known_already) && fd == STDOUT_FILENO)
        on_signal(SIGPIPE);
}

/* ---- what the ranks say ---- */

static void take_frame(struct job *j, uint32_t kind, const char *bytes, size_t n)
{
    if (kind == FRAME_OUT || kind == FRAME_ERR)
        print(kind == FRAME_OUT ? STDOUT_FILENO : STDERR_FILENO, bytes, n);
    if (kind == FRAME_ID)
        add(&known, bytes, n);
    if (kind == FRAME_CODE && n == sizeof j->code) {
        memcpy(&j->code, bytes, n);
        j->over = true;
    }
}

static void take_frames(struct job *j)
{
    struct frame f;
    size_t at = 0;

    while (j->frames.n - at >= sizeof f) {
        memcpy(&f, j->frames.at + at, sizeof f);
        if (f.n > FRAME_MOST) { /* of one that was ended in it, and what came behind */
            at = j->frames.n;
            break;
        }
        if (j->frames.n - at - sizeof f < f.n)
            break;
        take_frame(j, f.kind, j->frames.at + at + sizeof f, f.n);
        at += sizeof f + f.n;
    }
    drop(&j->frames, at);
}

/* What ranks say past their rank 0, and mpirun: as it is. A line may be that which says who is lost. */
static void take_lines(struct job *j)
{
    const char *end;

    while ((end = memchr(j->line.at, '\n', j->line.n))) {
        const size_t n = (size_t)(end - j->line.at) + 1;

        j->line.at[n - 1] = '\0';
        if (j->lost < 0)
            sscanf(j->line.at, "dagpt-mpi: rank %d on %63[^:]", &j->lost, j->host);
        j->line.at[n - 1] = '\n';
        write_all(STDERR_FILENO, j->line.at, n);
        drop(&j->line, n);
    }
}

static void close_pipe(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Some bytes that are there; closes where there are no more. */
static void read_some(int *fd, struct bytes *to)
{
    char bytes[1 << 14];
    const ssize_t n = read(*fd, bytes, sizeof bytes);

    if (n > 0)
        add(to, bytes, (size_t)n);
    if (n > 0 || (n < 0 && (errno == EINTR || errno == EAGAIN)))
        return;
    close_pipe(fd);
}

/* ---- what they hear ---- */

static void feed(struct job *j)
{
    const size_t head = j->head.n;
    const char *from = j->fed < head ? j->head.at + j->fed : input.at + (j->fed - head);
    const size_t n = j->fed < head ? head - j->fed : input.n - (j->fed - head);
    const ssize_t some = n > 0 ? write(j->in, from, n) : 0;

    if (some > 0)
        j->fed += (size_t)some;
    if ((some < 0 && errno != EAGAIN && errno != EINTR) || (input_over && j->fed == head + input.n))
        close_pipe(&j->in);
}

static void write_head(struct job *j)
{
    const uint64_t n = known.n / sizeof(struct drawn);

    add(&j->head, &n, sizeof n);
    add(&j->head, known.at, known.n);
}

/* Something of it may have been left behind, and hold its pipes. */
static void look_after(struct job *j)
{
    if (!j->ended)
        j->ended = waitpid(j->pid, &j->status, WNOHANG) == j->pid;
    if (j->over && !j->ended && j->looks++ == PATIENCE)
        kill(j->pid, SIGKILL);
    if (j->ended) {
        close_pipe(&j->out);
        close_pipe(&j->err);
    }
}

static void wait_for_something(struct job *j)
{
    const bool waits = j->fed < j->head.n + input.n || input_over;
    const bool room = !input_over && input.n + j->head.n - j->fed < MOST_WAITING;
    int own = STDIN_FILENO;
    struct pollfd p[] = {{.fd = j->out, .events = POLLIN},
                         {.fd = j->err, .events = POLLIN},
                         {.fd = waits ? j->in : -1, .events = POLLOUT},
                         {.fd = room ? own : -1, .events = POLLIN}};

    const int n = poll(p, sizeof p / sizeof *p, LOOK_MS);

    if (n == 0)
        look_after(j);
    if (n <= 0)
        return;
    if (p[0].revents)
        read_some(&j->out, &j->frames), take_frames(j);
    if (p[1].revents)
        read_some(&j->err, &j->line), take_lines(j);
    if (p[2].revents)
        feed(j);
    if (p[3].revents)
        read_some(&own, &input), input_over = own < 0;
}

/* ---- starting them ---- */

/* What an mpirun has told this process of itself is not for the next one. */
static bool is_mpiruns(const char *variable)
{
    static const char *const theirs[] = {"OMPI_COMM",
                                         "OMPI_MCA_orte",
                                         "OMPI_MCA_ess",
                                         "OMPI_MCA_initial",
                                         "OMPI_MCA_mpi_over",
                                         "OMPI_MCA_shmem_",
                                         "OMPI_UNIVERSE",
                                         "OMPI_FIRST",
                                         "OMPI_NUM_APP",
                                         "OMPI_APP_CTX",
                                         "OMPI_FILE",
                                         "PMIX_",
                                         "PMI_",
                                         "PRTE_",
                                         "HYDI_",
                                         "MPI_LOCAL",
                                         "MPIR_CVAR_CH3_INTERFACE_HOSTNAME"};

    for (size_t i = 0; i < sizeof theirs / sizeof *theirs; i++)
        if (strncmp(variable, theirs[i], strlen(theirs[i])) == 0)
            return true;
    return false;
}

static void clear_environment(void)
{
    size_t kept = 0;

    for (size_t i = 0; environ[i]; i++)
        if (!is_mpiruns(environ[i]))
            environ[kept++] = environ[i];
    environ[kept] = NULL;
    if (geteuid() == 0) { /* who started this was allowed to */
        setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
        setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
    }
}

/* "HOST:N,HOST:N"; where all are this one, it need not have a name that others know. */
static void write_hosts(const struct restart *r, struct bytes *to)
{
    char text[HOST + 32], here[HOST] = "";
    bool local = true;
    int n;

    gethostname(here, sizeof here - 1);
    for (int i = 0; i < r->ranks; i++)
        local &= strcmp(r->hosts[i], here) == 0;
    for (int i = 0; i < r->ranks; i += n) {
        for (n = 1; i + n < r->ranks && strcmp(r->hosts[i], r->hosts[i + n]) == 0; n++)
            ;
        snprintf(text, sizeof text, "%s%s:%d", i > 0 ? "," : "", local ? "localhost" : r->hosts[i],
                 n);
        add(to, text, strlen(text));
    }
    add(to, "", 1);
}

/* Ranks of one host stand together, as they are started. */
static void sort_hosts(struct restart *r)
{
    char host[HOST];

    for (int i = 1; i < r->ranks; i++)
        for (int k = i; k < r->ranks; k++)
            if (strcmp(r->hosts[k], r->hosts[i - 1]) == 0) {
                memcpy(host, r->hosts[k], sizeof host);
                memmove(r->hosts[i + 1], r->hosts[i], (size_t)(k - i) * sizeof host);
                memcpy(r->hosts[i], host, sizeof host);
                break;
            }
}

static void add_word(struct bytes *words, const char *word)
{
    add(words, &word, sizeof word);
}

/* An option's value. */
__attribute__((format(printf, 2, 3))) static void add_number(struct bytes *words,
                                                             const char *format, ...)
{
    char *text = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&text, format, args) >= 0)
        add_word(words, text);
    va_end(args);
}

/* LAUNCH -n N --host HOSTS env DAGPT_...=... PROGRAM --supervised CLOCK ARGUMENTS. In the child, which is gone then. */
_Noreturn static void start_ranks(const struct restart *r)
{
    struct bytes words = {0}, hosts = {0};
    char *launch = strdup(r->launch), program[4096] = "";

    write_hosts(r, &hosts);
    for (char *word = launch ? strtok(launch, " ") : NULL; word; word = strtok(NULL, " "))
        add_word(&words, word);
    add_word(&words, "-n");
    add_number(&words, "%d", r->ranks);
    add_word(&words, "--host");
    add_word(&words, hosts.at);
    add_word(&words, "env"); /* of other machines' ranks, too */
    for (size_t i = 0; environ[i]; i++)
        if (strncmp(environ[i], "DAGPT_", 6) == 0)
            add_word(&words, environ[i]);
    add_word(&words,
             readlink("/proc/self/exe", program, sizeof program - 1) > 0 ? program : r->argv[0]);
    add_word(&words, "--supervised");
    add_number(&words, "%" PRIu64, r->clock);
    for (int i = 1; i < r->argc; i++)
        add_word(&words, r->argv[i]);
    add_word(&words, NULL);
    execvp(((char **)(void *)words.at)[0], (char **)(void *)words.at);
    fprintf(stderr, "dagpt-mpi: --launch: cannot start '%s': %s\n", r->launch, strerror(errno));
    _exit(NOT_STARTED);
}

/* What is the child's: its ends of the pipes, signals as they were, and nothing that an mpirun has left open. */
_Noreturn static void become_job(const struct restart *r, int in[2], int out[2], int err[2],
                                 pid_t parent)
{
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGPIPE};

    setpgid(0, 0);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(DG_ERR_RESOURCE);
    dup2(in[0], STDIN_FILENO);
    dup2(out[1], STDOUT_FILENO);
    dup2(err[1], STDERR_FILENO);
    for (int fd = 3; fd < 1024; fd++)
        close(fd);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], SIG_DFL);
    start_ranks(r);
}

static bool start(struct job *j, const struct restart *r)
{
    const pid_t parent = getpid();
    int in[2], out[2], err[2];

    *j = (struct job){.lost = -1};
    if (pipe(in) != 0 || pipe(out) != 0 || pipe(err) != 0 || (j->pid = fork()) < 0) {
        fprintf(stderr, "dagpt-mpi: cannot start %d ranks: %s\n", r->ranks, strerror(errno));
        return false;
    }
    if (j->pid == 0)
        become_job(r, in, out, err, parent);
    child = j->pid;
    if (signalled)
        kill(j->pid, SIGTERM);
    close(in[0]), close(out[1]), close(err[1]);
    fcntl(in[1], F_SETFL, O_NONBLOCK);
    j->in = in[1], j->out = out[0], j->err = err[0];
    write_head(j);
    for (size_t i = 0; i < 2; i++)
        printed[i].skip_lines = printed[i].lines, printed[i].skip_bytes = printed[i].bytes;
    return true;
}

/* Until its mpirun has ended. */
static void serve(struct job *j)
{
    while (j->out >= 0 || j->err >= 0)
        wait_for_something(j);
    close_pipe(&j->in);
    while (!j->ended && waitpid(j->pid, &j->status, 0) < 0 && errno == EINTR)
        ;
    child = -1;
    write_all(STDERR_FILENO, j->line.at, j->line.n);
    free(j->frames.at);
    free(j->line.at);
    free(j->head.at);
}

/* ---- again ---- */

/* The one that was lost; where nobody has said which, the last. */
static void leave_out(struct restart *r, const struct job *j)
{
    int i = j->lost >= 0 && j->lost < r->ranks ? j->lost : r->ranks - 1;

    for (int k = 0; k < r->ranks; k++)
        if (j->host[0] && strcmp(r->hosts[k], j->host) == 0 && strcmp(r->hosts[i], j->host) != 0)
            i = k;
    r->ranks--;
    memmove(r->hosts[i], r->hosts[i + 1], (size_t)(r->ranks - i) * sizeof *r->hosts);
}

static void take_signals(void)
{
    const struct sigaction action = {.sa_handler = on_signal};

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
}

/* Has it come to an end that is not for others to go on from? */
static bool is_end(const struct job *j, int *code)
{
    const bool not_started = WIFEXITED(j->status) && WEXITSTATUS(j->status) == NOT_STARTED;

    *code = j->over       ? j->code
            : signalled   ? 128 + signalled
            : not_started ? DG_ERR_USAGE
                          : DG_ERR_RESOURCE;
    return j->over || signalled || not_started;
}

int restart_run(struct restart *r)
{
    struct job j;
    int code;

    take_signals();
    clear_environment();
    sort_hosts(r);
    for (;;) {
        if (!start(&j, r))
            return DG_ERR_RESOURCE;
        serve(&j);
        if (is_end(&j, &code))
            return code;
        leave_out(r, &j);
        if (r->ranks == 0)
            return DG_ERR_RESOURCE;
        fprintf(stderr, "dagpt-mpi: starts again on %d rank%s\n", r->ranks,
                r->ranks > 1 ? "s" : "");
    }
}
