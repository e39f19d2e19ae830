/* What stands above what, over whole columns: the same as analysis/own_time.py says with arrays, in one pass each. */
#include <stdint.h>
#include <stdlib.h>

typedef struct {
    const int64_t *start, *dur;
    const int8_t *layer;
} tft_events;

/* Events that begin together: the longest first, of equal ones that of the upper layer, then as the table has them. */
static int outer_first(const tft_events *events, int32_t one, int32_t other) {
    if (events->start[one] != events->start[other])
        return events->start[one] < events->start[other] ? -1 : 1;
    if (events->dur[one] != events->dur[other])
        return events->dur[one] > events->dur[other] ? -1 : 1;
    if (events->layer[one] != events->layer[other])
        return events->layer[one] < events->layer[other] ? -1 : 1;
    return one < other ? -1 : one > other;
}

/* Merges the runs that stand in order already, until there is one. */
static void merged(const tft_events *events, int32_t *rows, int32_t *spare, int64_t count) {
    for (int64_t runs = 2; runs > 1;) {
        runs = 0;
        for (int64_t at = 0; at < count;) {
            int64_t middle = at + 1, end;
            while (middle < count && outer_first(events, rows[middle - 1], rows[middle]) < 0)
                middle++;
            runs++;
            if (middle == count)
                break;
            for (end = middle + 1; end < count && outer_first(events, rows[end - 1], rows[end]) < 0;)
                end++;
            int64_t left = at, right = middle, to = at;
            while (left < middle && right < end)
                spare[to++] = outer_first(events, rows[left], rows[right]) < 0 ? rows[left++] : rows[right++];
            while (left < middle)
                spare[to++] = rows[left++];
            while (right < end)
                spare[to++] = rows[right++];
            for (int64_t i = at; i < end; i++)
                rows[i] = spare[i];
            at = end;
        }
    }
}

/* Puts the outer ones first. The table has events in the order of their start: then only those that begin together are
   in question. */
static void ordered(const tft_events *events, int32_t *rows, int32_t *spare, int64_t count) {
    for (int64_t at = 1; at < count; at++)
        if (events->start[rows[at]] < events->start[rows[at - 1]]) {
            merged(events, rows, spare, count);
            return;
        }
    for (int64_t at = 0, end; at < count; at = end) {
        for (end = at + 1; end < count && events->start[rows[end]] == events->start[rows[at]];)
            end++;
        if (end - at > 1)
            merged(events, rows + at, spare, end - at);
    }
}

/* `inside` becomes the innermost event of the same line in which each begins, -1 for none; `taken` what those inside an
   event cover of it. Returns 0 without memory. */
int tft_nest(int64_t count, const int32_t *line, int64_t lines, const tft_events *events, int32_t *inside, int64_t *taken) {
    int64_t *first = calloc((size_t)lines + 1, sizeof *first);
    int32_t *rows = malloc((size_t)(count + 1) * sizeof *rows), *running = malloc((size_t)(count + 1) * sizeof *running);
    int ok = first && rows && running;
    if (ok) {
        for (int64_t row = 0; row < count; row++)
            first[line[row] + 1]++;
        for (int64_t at = 0; at < lines; at++)
            first[at + 1] += first[at];
        for (int64_t row = 0; row < count; row++)
            rows[first[line[row]]++] = (int32_t)row; /* now each says where the next line begins */
        for (int64_t at = 0; at < lines; at++) {
            int64_t begin = at ? first[at - 1] : 0, depth = 0;
            ordered(events, rows + begin, running, first[at] - begin);
            for (int64_t i = begin; i < first[at]; i++) {
                int32_t row = rows[i];
                int64_t start = events->start[row], end = start + events->dur[row];
                while (depth && events->start[running[depth - 1]] + events->dur[running[depth - 1]] <= start)
                    depth--;
                inside[row] = depth ? running[depth - 1] : -1;
                if (depth) {
                    int64_t limit = events->start[inside[row]] + events->dur[inside[row]];
                    taken[inside[row]] += (end < limit ? end : limit) - start;
                }
                running[depth++] = row;
            }
        }
    }
    free(first);
    free(rows);
    free(running);
    return ok;
}

/* For each link in turn: the parent of a child is that of the strongest evidence, then the one that began last, then
   the last. `strength` begins as high as it goes. */
void tft_link(int64_t links, const int64_t *child, const int64_t *parent, const int8_t *weak, const int64_t *start,
              int64_t count, int32_t *above, int8_t *strength) {
    for (int64_t at = 0; at < links; at++) {
        int64_t of = child[at], to = parent[at];
        if (of < 0 || to < 0 || of >= count || to >= count || of == to)
            continue;
        if (above[of] < 0 || weak[at] < strength[of] ||
            (weak[at] == strength[of] && start[to] >= start[above[of]])) {
            above[of] = (int32_t)to;
            strength[of] = weak[at];
        }
    }
}

/* How many stand above each, -1 in a circle or below one; `depth` begins as -2 all over. */
void tft_depths(int64_t count, const int32_t *parent, int32_t *depth) {
    for (int64_t row = 0; row < count; row++) {
        int64_t at = row;
        int32_t steps = 0;
        while (at >= 0 && depth[at] == -2) {
            depth[at] = -3; /* on the way */
            steps++;
            at = parent[at];
        }
        int32_t known = at < 0 ? -1 : depth[at];
        int circle = at >= 0 && known < 0;
        for (int64_t back = row; steps > 0; back = parent[back], steps--)
            depth[back] = circle ? -1 : known + steps;
    }
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
