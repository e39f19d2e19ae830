/* The ways of a flame graph: from a root down to events of one layer and name. The same as `_by_levels` of
   analysis/flame.py says with arrays. */
#include "columns.h"

#include <stdlib.h>

typedef struct {
    int32_t above, depth; /* the way that it goes on from, -1 at the top */
    int32_t name, first;  /* `first`: the first row that goes this way */
    int32_t layer;
} tft_way;

typedef struct {
    int64_t count;
    tft_way *ways;
    int64_t room;
    int32_t *table; /* number of a way plus one, by hash */
    uint64_t mask;
} tft_ways;

typedef struct {
    const int32_t *name;
    const int8_t *layer;
    const uint8_t *kept; /* a byte for each row, or all of them */
} tft_rows;

tft_ways *tft_ways_new(void) { return calloc(1, sizeof(tft_ways)); }

void tft_ways_free(tft_ways *ways) {
    if (ways) {
        free(ways->ways);
        free(ways->table);
        free(ways);
    }
}

static uint64_t hashed(int32_t above, int32_t layer, int32_t name) {
    uint64_t h = ((uint64_t)(uint32_t)above << 32 | (uint32_t)name) * 0x9E3779B97F4A7C15u;
    h = (h ^ h >> 29 ^ (uint32_t)layer) * 0xBF58476D1CE4E5B9u;
    return h ^ h >> 32;
}

static int grown(tft_ways *ways) {
    int64_t room = ways->room ? 2 * ways->room : 1024;
    tft_way *more = realloc(ways->ways, (size_t)room * sizeof *more);
    if (!more)
        return 0;
    ways->ways = more;
    int32_t *table = calloc((size_t)room * 2, sizeof *table);
    if (!table)
        return 0;
    free(ways->table);
    ways->table = table;
    ways->mask = (uint64_t)room * 2 - 1;
    ways->room = room;
    for (int64_t at = 0; at < ways->count; at++) {
        uint64_t slot = hashed(more[at].above, more[at].layer, more[at].name) & ways->mask;
        while (table[slot])
            slot = (slot + 1) & ways->mask;
        table[slot] = (int32_t)at + 1;
    }
    return 1;
}

/* The number of the way of a row that goes on from another; -1 without memory. */
static int32_t way_of(tft_ways *ways, const tft_rows *rows, int32_t row, int32_t above) {
    if (ways->count == ways->room && !grown(ways))
        return -1;
    int32_t layer = rows->layer[row], name = rows->name[row];
    uint64_t slot = hashed(above, layer, name) & ways->mask;
    for (; ways->table[slot]; slot = (slot + 1) & ways->mask) {
        tft_way *known = ways->ways + ways->table[slot] - 1;
        if (known->above == above && known->layer == layer && known->name == name) {
            if (row < known->first)
                known->first = row;
            return ways->table[slot] - 1;
        }
    }
    int32_t depth = above < 0 ? 0 : ways->ways[above].depth + 1;
    ways->ways[ways->count] = (tft_way){above, depth, name, row, layer};
    ways->table[slot] = (int32_t)++ways->count;
    return (int32_t)ways->count - 1;
}

/* `parent`, of which none is in a circle, becomes the number of each row's way, -1 for one that is not kept. A row whose
   parent is not kept is a root. Returns 0 without memory. */
int tft_ways_found(tft_ways *ways, int64_t count, const tft_rows *rows, int32_t *parent) {
    enum { NOT_KEPT = INT32_MIN, KNOWN = -2 }; /* way w is known as KNOWN - w */
    int32_t *below = NULL;
    int64_t room = 0;
    int ok = 1;
    if (rows->kept)
        for (int64_t row = 0; row < count; row++)
            if (!rows->kept[row])
                parent[row] = NOT_KEPT;
    for (int64_t row = 0; row < count && ok; row++) {
        int64_t depth = 0;
        int32_t at = (int32_t)row;
        while (at >= 0 && parent[at] >= -1) { /* up to what is known, or a root */
            if (depth == room) {
                room = room ? 2 * room : 256;
                int32_t *more = realloc(below, (size_t)room * sizeof *more);
                if (!more) {
                    ok = 0;
                    break;
                }
                below = more;
            }
            below[depth++] = at;
            at = parent[at];
        }
        int32_t above = at < 0 || parent[at] == NOT_KEPT ? -1 : KNOWN - parent[at];
        while (depth > 0 && ok) {
            at = below[--depth];
            ok = (above = way_of(ways, rows, at, above)) >= 0;
            parent[at] = KNOWN - above;
        }
    }
    free(below);
    for (int64_t row = 0; row < count && ok; row++)
        parent[row] = parent[row] == NOT_KEPT ? -1 : KNOWN - parent[row];
    return ok;
}

/* Sums by way, whose place is `place`. */
typedef struct {
    const int32_t *place;
    int64_t *events, *longest;
    double *total, *own;
} tft_sums;

/* Adds some rows: their ways, lengths and own times. */
void tft_ways_add(int64_t count, const int32_t *way, const tft_column *dur_ns, const int64_t *own, const tft_sums *sums) {
    for (int64_t row = 0; row < count; row++) {
        if (way[row] < 0)
            continue;
        int32_t at = sums->place[way[row]];
        int64_t dur = wide(dur_ns, row, 0);
        dur = dur > 0 ? dur : 0;
        sums->events[at]++;
        sums->total[at] += (double)dur;
        sums->own[at] += (double)own[row];
        if (dur > sums->longest[at])
            sums->longest[at] = dur;
    }
}
