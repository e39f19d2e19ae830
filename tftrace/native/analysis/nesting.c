/* What stands above what, and what each event spends itself: the same as analysis/own_time.py says with arrays.

   The events come in the order of their start, part by part, and for each thread stands what runs on it. */
#include "threads.h"

typedef struct {
    int64_t end, dur, taken; /* `taken`: what those inside cover of it, so far */
    int32_t row;
} tft_running;

typedef struct {
    int64_t dur;
    int32_t row;
    int8_t layer;
} tft_begun;

typedef struct {
    tft_running *running; /* each in the one before */
    int64_t depth, running_room;
    tft_begun *begun; /* what began last, together: which of them is outside is known when there are no more */
    int64_t start, count, begun_room;
} tft_thread;

typedef struct {
    int64_t row, own;
} tft_long;

typedef struct {
    int64_t longs; /* of `longer` */
    tft_long *longer; /* own times of more than 32 bits; in their place stands LONGER */
    int64_t long_room;
    tft_threads threads;
    tft_thread *lines;
    int64_t line_room;
    int64_t rows, until;
} tft_nest;

static const int32_t LONGER = INT32_MIN;

/* What is told of each event, by row. */
typedef struct {
    int8_t *layer;   /* LAYERS where it has none */
    int32_t *inside; /* the innermost event of the same thread in which it begins, -1 for none */
    int32_t *own;
    uint64_t *later; /* a bit for each that begins later than the one in front of it */
} tft_told;

tft_nest *tft_nest_new(void) { return calloc(1, sizeof(tft_nest)); }

void tft_nest_free(tft_nest *nest) {
    if (nest) {
        for (int64_t at = 0; at < nest->line_room; at++) {
            free(nest->lines[at].running);
            free(nest->lines[at].begun);
        }
        threads_freed(&nest->threads);
        free(nest->lines);
        free(nest->longer);
        free(nest);
    }
}

/* Events that begin together: the longest first, of equal ones that of the upper layer, then as the table has them. */
static int outer_first(const void *one, const void *other) {
    const tft_begun *a = one, *b = other;
    if (a->dur != b->dur)
        return a->dur > b->dur ? -1 : 1;
    if (a->layer != b->layer)
        return a->layer < b->layer ? -1 : 1;
    return a->row < b->row ? -1 : a->row > b->row;
}

static int ended(tft_nest *nest, const tft_running *event, const tft_told *told) {
    int64_t own = event->dur - event->taken;
    told->own[event->row] = own > INT32_MIN && own <= INT32_MAX ? (int32_t)own : LONGER;
    if (told->own[event->row] != LONGER)
        return 1;
    if (!made_room((void **)&nest->longer, &nest->long_room, nest->longs + 1, sizeof *nest->longer))
        return 0;
    nest->longer[nest->longs++] = (tft_long){event->row, own};
    return 1;
}

/* Puts what began together into its place. */
static int placed(tft_nest *nest, tft_thread *line, const tft_told *told) {
    if (line->count > 1)
        qsort(line->begun, (size_t)line->count, sizeof *line->begun, outer_first);
    if (!made_room((void **)&line->running, &line->running_room, line->depth + line->count, sizeof *line->running))
        return 0;
    int64_t start = line->start;
    for (int64_t at = 0; at < line->count; at++) {
        const tft_begun *event = line->begun + at;
        int64_t end = start + event->dur;
        while (line->depth && line->running[line->depth - 1].end <= start)
            if (!ended(nest, &line->running[--line->depth], told))
                return 0;
        told->inside[event->row] = -1;
        if (line->depth) {
            tft_running *above = line->running + line->depth - 1;
            told->inside[event->row] = above->row;
            above->taken += (end < above->end ? end : above->end) - start;
        }
        line->running[line->depth++] = (tft_running){end, event->dur, 0, event->row};
    }
    line->count = 0;
    return 1;
}

/* 0: added; 1: a row begins before the one in front of it; 2: no memory. After the last two the nest is of no use. */
int tft_nest_add(tft_nest *nest, const tft_part *part, const tft_told *told) {
    for (int64_t at = 0; at < part->rows; at++) {
        int64_t row = nest->rows, start = wide(&part->start_ns, at, 0), thread = thread_of(&nest->threads, part, at);
        if (row && start < nest->until)
            return 1;
        if (thread < 0 || !made_room((void **)&nest->lines, &nest->line_room, thread + 1, sizeof *nest->lines))
            return 2;
        tft_thread *line = nest->lines + thread;
        if (line->count && line->start != start && !placed(nest, line, told))
            return 2;
        if (!made_room((void **)&line->begun, &line->begun_room, line->count + 1, sizeof *line->begun))
            return 2;
        int rank = rank_of(part, at);
        told->layer[row] = (int8_t)(rank < 0 ? LAYERS : rank);
        told->later[row >> 6] |= (uint64_t)(row && start != nest->until) << (row & 63);
        line->start = start;
        line->begun[line->count++] = (tft_begun){length_of(part, at), (int32_t)row, told->layer[row]};
        nest->until = start;
        nest->rows++;
    }
    return 0;
}

/* After the last part. 0 without memory. */
int tft_nest_end(tft_nest *nest, const tft_told *told) {
    for (int64_t at = 0; at < nest->threads.count; at++) {
        tft_thread *line = nest->lines + at;
        if (!placed(nest, line, told))
            return 0;
        while (line->depth)
            if (!ended(nest, &line->running[--line->depth], told))
                return 0;
    }
    return 1;
}

/* Rows by their start, equal ones with the same number: how many of `later` stand up to each, by word of it. */
void tft_starts(int64_t words, const uint64_t *later, int32_t *before) {
    int32_t count = 0;
    for (int64_t at = 0; at < words; at++) {
        before[at] = count;
        count += __builtin_popcountll(later[at]);
    }
}

static inline int32_t begun_at(int64_t row, const uint64_t *later, const int32_t *before) {
    return before[row >> 6] + __builtin_popcountll(later[row >> 6] << (63 - (row & 63)));
}

/* For each link in turn: the parent of a child is that of the strongest evidence, then the one that began last, then
   the last. `above` begins as -1 all over. */
void tft_link(int64_t links, const int64_t *child, const int64_t *parent, const int8_t *weak, const uint64_t *later,
              const int32_t *before, int64_t count, int32_t *above, int8_t *strength) {
    for (int64_t at = 0; at < links; at++) {
        int64_t of = child[at], to = parent[at];
        if (of < 0 || to < 0 || of >= count || to >= count || of == to)
            continue;
        if (above[of] < 0 || weak[at] < strength[of] ||
            (weak[at] == strength[of] && begun_at(to, later, before) >= begun_at(above[of], later, before))) {
            above[of] = (int32_t)to;
            strength[of] = weak[at];
        }
    }
}

/* `above`, what each is linked to, becomes its parent: that counts for those inside nothing, or of one layer; all
   others have what they are inside of, and so has what is in a circle, or below one. `state` begins as zeros. */
void tft_parents(int64_t count, const int32_t *inside, const int8_t *layer, int8_t linked, int32_t *above, uint8_t *state) {
    enum { NEW, ON_THE_WAY, FINE, CIRCLE };
    for (int64_t row = 0; row < count; row++)
        if (above[row] < 0 || (inside[row] >= 0 && layer[row] != linked))
            above[row] = inside[row];
    for (int64_t row = 0; row < count; row++) {
        int64_t at = row;
        while (at >= 0 && state[at] == NEW) {
            state[at] = ON_THE_WAY;
            at = above[at];
        }
        uint8_t found = at < 0 || state[at] == FINE ? FINE : CIRCLE;
        for (at = row; at >= 0 && state[at] == ON_THE_WAY; at = above[at])
            state[at] = found;
    }
    for (int64_t row = 0; row < count; row++)
        if (state[row] == CIRCLE)
            above[row] = inside[row];
}

/* The call of an event: that with the largest share in it, of equal ones the last row of calls. */
void tft_shares(int64_t members, const int64_t *event, const int64_t *call, const float *share, int64_t count,
                int32_t *found, float *most) {
    for (int64_t at = 0; at < members; at++) {
        int64_t of = event[at];
        if (of < 0 || of >= count || call[at] < 0)
            continue;
        float here = share[at] != share[at] ? 1 : share[at];
        if (found[of] < 0 || here > most[of] || (here == most[of] && call[at] > found[of])) {
            found[of] = (int32_t)call[at];
            most[of] = here;
        }
    }
}

/* What has none gets what it runs inside has. */
void tft_inherit(int64_t count, const int32_t *inside, int32_t *found) {
    for (int64_t row = 0; row < count; row++) {
        int64_t at = row, steps = 0;
        while (found[at] == -1 && inside[at] >= 0) {
            at = inside[at];
            steps++;
        }
        int32_t call = found[at] == -1 ? -2 : found[at]; /* none, for good */
        found[at] = call;
        for (int64_t back = row; steps > 0; back = inside[back], steps--)
            found[back] = call;
    }
    for (int64_t row = 0; row < count; row++)
        if (found[row] == -2)
            found[row] = -1;
}
