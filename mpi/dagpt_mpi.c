/* dagpt-mpi - complete, tokens and score on several ranks: rank 0 is the command, and has the whole say; the others run
 * their pieces of its steps.
 *
 * All have the same command line, which is compared first, and parse it. Rank 0 then goes the command's way, on an
 * engine that has joined the others; the others leave it behind the options, open the same model and follow. Ids travel
 * with each step; sampling is rank 0's. Until they follow, what is wrong on another rank is rank 0's to say, once. */
#include "agree.h"
#include "frames.h"
#include "keeper.h"
#include "restart.h"
#include "talk.h"
#include "tracing.h"
#include "transport.h"
#include "world.h"
#include "../src/base/status.h"
#include "../src/runtime/team.h"
#include "../tools/cli/engine.h"
#include "../tools/cli/leaving.h"
#include "../tools/cli/options.h"
#include "../tools/cli/recording.h"
#include "../tools/cli/sampling.h"
#include "../tools/cli/signals.h"
#include "../tools/cli/writing.h"
#include "../tools/command/commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE = 60 }; /* seconds, with ranks that only say where they are */

static struct {
    enum dg_placing placing;
    double timeout;
    bool restarts;       /* --on-failure restart */
    const char *launch;  /* --launch */
    uint64_t supervised; /* by a process that starts ranks again: its clock; 0: by none */
    int command;         /* where it stands in argv */
    char wrong[200];     /* with the options before it, or "" */
    bool joined, over;   /* ranks run steps together; the others are known to leave, too */
    char words[sizeof((struct dg_error *)0)->text]; /* the last, of a rank but the first */
    struct dg_transport transport;
} own = {.timeout = 5, .launch = MPI_LAUNCH};

/* ---- before the first step ---- */

/* Rank 0 says a line itself, unless the watch has the word already. */
static void say(const char *text)
{
    if (world.rank > 0)
        snprintf(own.words, sizeof own.words, "%s", text);
    else if (world_has_word())
        fprintf(stderr, "dagpt: %s\n", text);
}

/* Leaves with all others where ranks do not agree. */
static void leave_unless(enum verdict v, const struct dg_error *err)
{
    if (v == AGREED)
        return;
    own.over = true;
    if (world.rank == 0)
        cli_die(err->status, "%s", err->text);
    cli_leave(0);
}

static void compare_programs(int argc, char **argv)
{
    struct word w = word_of_program(argc, argv);
    struct dg_error err;
    const enum verdict v = agree(&w, DG_ERR_USAGE, &err);

    free(w.text);
    leave_unless(v, &err);
}

/* Files that are not the same file may still have the same contents. */
static void compare_models(const struct dg_model *m)
{
    enum verdict v = DIFFERENT;
    struct dg_error err;

    for (int contents = 0; contents < 2 && v == DIFFERENT; contents++) {
        struct word w = word_of_model(m, contents);

        v = agree(&w, DG_ERR_MODEL, &err);
        free(w.text);
    }
    leave_unless(v, &err);
}

/* The workers of all ranks together. */
static uint32_t count_workers(const struct dg_team *team)
{
    const int mine = (int)dg_team_awake(team);
    uint32_t all = 0;
    MPI_Request request;

    world_lock();
    world_check(
        MPI_Iallgather(&mine, 1, MPI_INT, world.workers, 1, MPI_INT, MPI_COMM_WORLD, &request));
    world_unlock();
    world_wait(&request);
    for (int r = 0; r < world.ranks; r++)
        all += (uint32_t)world.workers[r];
    return all;
}

static bool has_failed(void)
{
    bool failed;

    world_lock();
    failed = talk_failed();
    world_unlock();
    return failed;
}

/* What rank 0 has recorded, and the others with it. */
static struct dg_trace *join_traces(struct dg_trace *trace, struct trace_facts *facts)
{
    if (world.rank > 0)
        return NULL;
    if (!own.joined)
        return own.over ? NULL : trace;
    return has_failed() ? NULL : tracing_join(trace, facts);
}

/* A trace has so many lanes. All ranks know that it is asked for. */
static void check_lanes(uint32_t workers)
{
    struct dg_error err;

    if (workers <= DG_MAX_WORKERS || !cli_given(cli_trace_options[0].target))
        return;
    dg_fail(&err, DG_ERR_USAGE, "--trace: got %u workers on %d ranks together, expected at most %d",
            workers, world.ranks, DG_MAX_WORKERS);
    leave_unless(DIFFERENT, &err);
}

/* The others do not come back. */
static void join(struct cli_engine *e)
{
    struct dg_error err;
    uint32_t workers;

    compare_models(e->model);
    workers = count_workers(e->team);
    check_lanes(workers);
    own.transport = mpi_transport();
    cli_check(dg_engine_join(e->engine, own.placing, (uint32_t)world.rank, (uint32_t)world.ranks,
                             workers, &own.transport, &err),
              &err);
    world_lock();
    world.waited_for = mpi_waited_for;
    world_unlock();
    own.joined = true;
    if (world.rank == 0)
        return;
    tracing_is(dg_team_trace(e->team));
    talk_follow(e, &mpi_sent, tracing_answer);
    cli_leave(0);
}

/* The options are read: who follows needs no more of them. */
static void part_ways(void)
{
    cli_records_elsewhere = world.rank > 0;
    cli_when_recorded = join_traces;
    mpi_tracing = world.rank == 0 && cli_given(cli_trace_options[0].target);
    if (world.rank == 0)
        return;
    cli_model.chunk = 0; /* a step that is told is a whole one */
    cli_engine_open(NULL, 0, 0);
    abort(); /* join() does not come back */
}

/* ---- the end ---- */

static void print_traffic(void)
{
    const double steps = (double)(mpi_sent.steps ? mpi_sent.steps : 1);

    if (cli_model.stats && cli_exit_code() == 0)
        fprintf(stderr, "ranks        %9d      by %s: %.1f messages, %.1f kB a step\n", world.ranks,
                dg_placing_name(own.placing),
                (double)(mpi_sent.messages + mpi_sent_elsewhere.messages) / steps,
                1e-3 * (double)(mpi_sent.bytes + mpi_sent_elsewhere.bytes) / steps);
}

/* Nobody else knows that this rank leaves. */
static void say_that_it_leaves(void)
{
    const int code = cli_exit_code();
    const struct word w = {code ? (enum dg_status)code : (enum dg_status)LEAVES, own.words,
                           strlen(own.words)};
    struct dg_error err;

    agree(&w, DG_ERR_USAGE, &err);
}

/* To whoever starts ranks again: it need not. */
static void say_all(void)
{
    if (own.supervised && world.rank == 0)
        frames_end(cli_exit_code());
}

static void leave_world(void)
{
    if (!own.joined && !own.over)
        say_that_it_leaves();
    if (own.joined && world.rank == 0) {
        if (has_failed()) {
            say_all();
            world_abandon(cli_exit_code());
        }
        talk_bye();
        print_traffic();
    }
    say_all();
    world_end(cli_exit_code());
}

/* ---- the command ---- */

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {{"complete", cmd_complete}, {"tokens", cmd_tokens}, {"score", cmd_score}};

static void print_usage(FILE *to)
{
    fputs(
        "dagpt-mpi " DG_VERSION ": one model on several processes, with MPI; the same bits\n\n"
        "usage: mpirun [MPI'S OPTION]... dagpt-mpi [OPTION OF THESE]... COMMAND [OPTION]...\n"
        "              [ARGUMENT]...\n\n"
        "  complete, tokens, score: as dagpt's\n"
        "  --place HOW          layers (default), columns or both: which process computes what\n"
        "  --timeout S          a process of which nothing is heard for S seconds is given up (5)\n"
        "  --on-failure HOW     stop (default), or restart: go on with those that are left\n"
        "  --launch COMMAND     what --on-failure restart starts them with (" MPI_LAUNCH ")\n",
        to);
}

static bool read_placing(const char *text)
{
    for (own.placing = 0; own.placing < DG_N_PLACINGS; own.placing++)
        if (strcmp(text, dg_placing_name(own.placing)) == 0)
            return true;
    own.placing = DG_PLACE_LAYERS;
    return false;
}

static bool read_timeout(const char *text)
{
    char *end;
    const double seconds = strtod(text, &end);

    if (end == text || *end || !(seconds >= 0.1 && seconds <= 3600))
        return false;
    own.timeout = seconds;
    return true;
}

static bool read_failure(const char *text)
{
    own.restarts = strcmp(text, "restart") == 0;
    return own.restarts || strcmp(text, "stop") == 0;
}

static bool read_launch(const char *text)
{
    own.launch = text;
    return text[strspn(text, " ")] != '\0';
}

static bool read_supervised(const char *text)
{
    return cli_number(text, &own.supervised) && own.supervised > 0;
}

/* Takes the options before the command. What is wrong is kept: nobody is there yet who would say it once. */
static void parse(int argc, char **argv)
{
    static const struct {
        const char *name;
        bool (*read)(const char *text);
        const char *expected;
    } options[] = {{"--place", read_placing, "layers, columns or both"},
                   {"--timeout", read_timeout, "seconds, 0.1 to 3600"},
                   {"--on-failure", read_failure, "stop or restart"},
                   {"--launch", read_launch, "a command"},
                   {"--supervised", read_supervised, "a time"}}; /* restart.c's */
    size_t o;

    for (own.command = 1; own.command < argc; own.command++) {
        const char *arg = argv[own.command], *value;
        size_t n;

        for (o = 0; o < sizeof options / sizeof *options; o++) {
            n = strlen(options[o].name);
            if (strncmp(arg, options[o].name, n) == 0 && (arg[n] == '\0' || arg[n] == '='))
                break;
        }
        if (o == sizeof options / sizeof *options)
            return;
        value = arg[n] == '=' ? arg + n + 1 : argv[own.command + 1] ? argv[++own.command] : "";
        if (!own.wrong[0] && !options[o].read(value))
            snprintf(own.wrong, sizeof own.wrong, "%s: got '%s', expected %s", options[o].name,
                     value, options[o].expected);
    }
}

static int run(int argc, char **argv)
{
    const char *name = argv[own.command];

    if (own.wrong[0])
        cli_die(DG_ERR_USAGE, "%s", own.wrong);
    if (!name) {
        if (world.rank == 0)
            print_usage(stderr);
        return DG_ERR_USAGE;
    }
    if (!strcmp(name, "--help") || !strcmp(name, "-h")) {
        print_usage(stdout);
        return 0;
    }
    cli_when_parsed = part_ways;
    cli_when_opened = join;
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc - own.command, argv + own.command);
    cli_die(DG_ERR_USAGE, "unknown command '%s'; 'dagpt-mpi --help' lists them", name);
}

/* The ranks only say where they are, and leave; rank 0 starts others. */
_Noreturn static void supervise(int argc, char **argv)
{
    struct restart r = {.launch = own.launch, .ranks = world.ranks, .argc = argc, .argv = argv};
    struct timespec now;

    r.hosts = calloc((size_t)world.ranks, sizeof *r.hosts);
    if (!r.hosts)
        abort(); /* some bytes: this rank is missed, and the others leave */
    world_hosts(r.hosts);
    own.over = true;
    if (world.rank > 0)
        cli_leave(0);
    world_end(0);
    alarm(0);
    clock_gettime(CLOCK_REALTIME, &now);
    r.clock = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    exit(restart_run(&r));
}

/* Rank 0 says all itself, or to whoever starts ranks again. */
static void open_output(void)
{
    int failed;

    if (!own.supervised) {
        cli_write_stdout();
        return;
    }
    cli_seed_clock = own.supervised;
    failed = frames_begin();
    if (failed)
        cli_die(dg_status_of(failed, DG_ERR_IO), "--supervised: cannot read what is known: %s",
                strerror(failed));
}

int main(int argc, char **argv)
{
    bool starts;

    parse(argc, argv);
    starts = own.restarts && !own.supervised;
    if (!starts)
        keeper_begin(own.timeout);
    world.exit = cli_signals_end;
    if (!world_begin(starts && own.timeout < PATIENCE ? PATIENCE : own.timeout))
        return DG_ERR_RESOURCE;
    cli_signals_begin();
    if (world.rank > 0 && !freopen("/dev/null", "w", stdout)) /* rank 0 speaks */
        return DG_ERR_IO;
    starts &= world.ranks > 1;
    if (world.rank == 0 && !starts)
        open_output();
    cli_last_words = say;
    cli_on_leaving(leave_world);
    compare_programs(argc, argv);
    if (starts)
        supervise(argc, argv);
    cli_leave(run(argc, argv));
}
