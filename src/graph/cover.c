/* What is covered above and left of a point is a sum over the corners of the boxes there: a corner at (r0, c0) adds
 * (r - r0) * (c - c0) at (r, c), as the upper left and the lower right of a box do, and the two others take as much
 * away. A box is the difference of its own four corners. So points and corners are walked by rows, and a tree of sums
 * by columns (Fenwick's) has the corners so far. Sums may wrap around: what is left in the end fits. */
#include "cover.h"

#include <stdlib.h>

/* Of a box that covers, or, with a box number, of one that is asked about. */
struct corner {
    uint32_t row, col;
    bool minus, asks;
    size_t box;
};

/* Over corners: 1, row, col, row * col. */
struct sums {
    uint64_t of[4];
};

struct sweep {
    struct corner *corners; /* [n] */
    size_t n;
    uint32_t *cols;    /* [n_cols] where boxes that cover have corners, ascending */
    struct sums *tree; /* [n_cols + 1] */
    size_t n_cols;
};

static void add_corners(struct sweep *s, struct dg_box b, bool asks, size_t box)
{
    s->corners[s->n++] = (struct corner){b.r0, b.c0, false, asks, box};
    s->corners[s->n++] = (struct corner){b.r0, b.c1, true, asks, box};
    s->corners[s->n++] = (struct corner){b.r1, b.c0, true, asks, box};
    s->corners[s->n++] = (struct corner){b.r1, b.c1, false, asks, box};
}

static int by_row(const void *a, const void *b)
{
    const struct corner *x = a, *y = b;

    return (x->row > y->row) - (x->row < y->row);
}

static int by_col(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static void list_cols(struct sweep *s, const struct dg_box *by, size_t n)
{
    size_t all = 0;

    for (size_t i = 0; i < n; i++) {
        s->cols[all++] = by[i].c0;
        s->cols[all++] = by[i].c1;
    }
    qsort(s->cols, all, sizeof *s->cols, by_col);
    for (size_t i = 0; i < all; i++)
        if (i == 0 || s->cols[i] != s->cols[s->n_cols - 1])
            s->cols[s->n_cols++] = s->cols[i];
}

/* How many of the columns are at most that one. */
static size_t count_cols(const struct sweep *s, uint32_t col)
{
    size_t low = 0, high = s->n_cols;

    while (low < high) {
        const size_t middle = low + (high - low) / 2;

        if (s->cols[middle] <= col)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void put(struct sweep *s, const struct corner *c)
{
    const uint64_t one = c->minus ? (uint64_t)-1 : 1;
    const uint64_t add[] = {one, one * c->row, one * c->col, one * c->row * c->col};

    for (size_t i = count_cols(s, c->col); i <= s->n_cols; i += i & -i)
        for (int k = 0; k < 4; k++)
            s->tree[i].of[k] += add[k];
}

static uint64_t covered_before(const struct sweep *s, uint64_t row, uint32_t col)
{
    uint64_t sum = 0;

    for (size_t i = count_cols(s, col); i > 0; i -= i & -i) {
        const uint64_t *of = s->tree[i].of;

        sum += row * col * of[0] - col * of[1] - row * of[2] + of[3];
    }
    return sum;
}

bool dg_cover(const struct dg_box *by, size_t n, const struct dg_box *of, size_t m,
              uint64_t *covered)
{
    struct sweep s = {.corners = calloc(4 * (n + m) + 1, sizeof *s.corners),
                      .cols = calloc(2 * n + 1, sizeof *s.cols),
                      .tree = calloc(2 * n + 1, sizeof *s.tree)};
    const bool ok = s.corners && s.cols && s.tree;

    for (size_t i = 0; ok && i < n; i++)
        add_corners(&s, by[i], false, i);
    for (size_t i = 0; ok && i < m; i++) {
        add_corners(&s, of[i], true, i);
        covered[i] = 0;
    }
    if (ok) {
        list_cols(&s, by, n);
        qsort(s.corners, s.n, sizeof *s.corners, by_row);
    }
    for (size_t i = 0; i < s.n; i++) {
        const struct corner *c = &s.corners[i];
        const uint64_t area = c->asks ? covered_before(&s, c->row, c->col) : 0;

        if (c->asks)
            covered[c->box] += c->minus ? 0 - area : area;
        else
            put(&s, c);
    }
    free(s.corners);
    free(s.cols);
    free(s.tree);
    return ok;
}
