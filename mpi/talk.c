/* A step's rows are told as the parts of an eval that has these rows: a text's ids are at positions one after the
 * other, and those with logits are the last ones. */
#include "talk.h"
#include "world.h"
#include "../src/base/status.h"
#include "../src/model/sequence.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WORDS_OF_ERROR = 400 };

/* A part, in what is told: n_parts, those, and the ids of each. n_parts 0: there are no more steps; below 0: something
 * else is asked. */
struct told_part {
    int32_t position, n, n_logits;
};

struct answer {
    int32_t status; /* 0: the step is done */
    uint64_t messages, bytes;
    char text[WORDS_OF_ERROR]; /* what is wrong */
};

/* ---- rank 0 ---- */

static struct answer *answers; /* [ranks] of the step at hand */
static MPI_Request *requests;  /* [ranks]; rank 0's is null */
static bool one_failed;        /* with the lock held */

static bool expect_answers(void)
{
    if (!answers) {
        answers = calloc((size_t)world.ranks, sizeof *answers);
        requests = calloc((size_t)world.ranks, sizeof(MPI_Request));
        if (!answers || !requests)
            return false;
        for (int r = 0; r < world.ranks; r++)
            requests[r] = MPI_REQUEST_NULL;
    }
    world_lock();
    for (int r = 1; r < world.ranks; r++)
        MPI_Irecv(&answers[r], sizeof *answers, MPI_BYTE, r, WORLD_DONE, MPI_COMM_WORLD,
                  &requests[r]);
    world_unlock();
    return true;
}

enum dg_status talk_step(const struct dg_step *step, const int32_t *ids, uint32_t n_logits,
                         struct dg_error *err)
{
    const size_t bytes = sizeof(int32_t) + sizeof(struct told_part) + step->rows * sizeof *ids;
    const struct told_part part = {(int32_t)step->row[0].position, (int32_t)step->rows,
                                   (int32_t)n_logits};
    const int32_t n_parts = 1;
    char *told = malloc(bytes);

    for (uint32_t r = 1; r < step->rows; r++)
        if (step->row[r].cache != step->row[0].cache) {
            free(told);
            return dg_fail(err, DG_ERR_USAGE, "texts in a step: got several, expected one");
        }
    if (!told || !expect_answers()) {
        free(told);
        return dg_fail_memory(err, "a step", bytes);
    }
    memcpy(told, &n_parts, sizeof n_parts);
    memcpy(told + sizeof n_parts, &part, sizeof part);
    memcpy(told + sizeof n_parts + sizeof part, ids, step->rows * sizeof *ids);
    for (int r = 1; r < world.ranks; r++)
        world_send(r, WORLD_STEP, told, bytes);
    free(told);
    return DG_OK;
}

bool talk_failed(void)
{
    int which, done;

    if (one_failed || !requests)
        return one_failed;
    MPI_Testany(world.ranks, requests, &which, &done, MPI_STATUS_IGNORE);
    one_failed = done && which != MPI_UNDEFINED && answers[which].status != DG_OK;
    return one_failed;
}

enum dg_status talk_answers(struct traffic *sum, struct dg_error *err)
{
    for (int r = 1; r < world.ranks && !one_failed; r++)
        world_wait(&requests[r]);
    for (int r = 1; r < world.ranks; r++) {
        sum->messages += answers[r].messages;
        sum->bytes += answers[r].bytes;
        if (answers[r].status != DG_OK)
            return dg_fail(err, (enum dg_status)answers[r].status, "rank %d on %s: %s", r,
                           world_host(r), answers[r].text);
    }
    return DG_OK;
}

void talk_ask(int rank, int32_t what)
{
    world_send(rank, WORLD_STEP, &what, sizeof what);
}

void talk_bye(void)
{
    const int32_t none = 0;

    for (int r = 1; r < world.ranks; r++)
        world_send(r, WORLD_STEP, &none, sizeof none);
    free(answers);
    free(requests);
}

/* ---- the others ---- */

static enum dg_status run_told(struct cli_engine *e, const char *told, struct dg_error *err)
{
    struct told_part part;
    int32_t *ids;
    enum dg_status st;

    memcpy(&part, told + sizeof(int32_t), sizeof part);
    ids = malloc((size_t)part.n * sizeof *ids);
    if (!ids)
        return dg_fail_memory(err, "ids", (size_t)part.n * sizeof *ids);
    memcpy(ids, told + sizeof(int32_t) + sizeof part, (size_t)part.n * sizeof *ids);
    dg_sequence_rewind(e->sequence, (size_t)part.position);
    st = dg_sequence_eval(e->sequence, ids, (size_t)part.n, (size_t)part.n_logits, err);
    free(ids);
    return st;
}

void talk_follow(struct cli_engine *e, const struct traffic *sent, void (*answer)(int32_t what))
{
    for (;;) {
        const struct traffic before = *sent;
        struct answer a = {0};
        struct dg_error err;
        int32_t n_parts;
        size_t n;
        char *told = world_receive(0, WORLD_STEP, &n);

        memcpy(&n_parts, told, sizeof n_parts);
        if (n_parts > 0)
            a.status = (int32_t)run_told(e, told, &err);
        free(told);
        if (n_parts == 0)
            return;
        if (n_parts < 0) {
            answer(n_parts);
            continue;
        }
        if (a.status != DG_OK)
            snprintf(a.text, sizeof a.text, "%.*s", (int)sizeof a.text - 1, err.text);
        a.messages = sent->messages - before.messages;
        a.bytes = sent->bytes - before.bytes;
        world_send(0, WORLD_DONE, &a, sizeof a);
    }
}
