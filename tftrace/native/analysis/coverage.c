/* How much time events cover by layer, overlaps on one thread or stream counted once.

   The same as `_Sweep` of analysis/coverage.py says with arrays: the events come in the order of their start, and for
   each thread stands how far each layer covers it, and it and all below. */
#include "threads.h"

static const int64_t NEVER = -((int64_t)1 << 62);

typedef struct {
    int64_t alone[LAYERS], below[LAYERS]; /* covered up to here by the layer, and by it and all below */
} tft_reach;

typedef struct {
    int64_t events[LAYERS], own[LAYERS], from_here[LAYERS];
    int64_t until;
    tft_threads threads;
    tft_reach *reach; /* by thread */
    int64_t known, room;
} tft_sweep;

static inline void cover(int64_t *sum, int64_t *reach, int64_t start, int64_t end) {
    if (end > *reach) {
        *sum += end - (start > *reach ? start : *reach);
        *reach = end;
    }
}

tft_sweep *tft_sweep_new(void) {
    tft_sweep *sweep = calloc(1, sizeof *sweep);
    if (sweep)
        sweep->until = NEVER;
    return sweep;
}

void tft_sweep_free(tft_sweep *sweep) {
    if (sweep) {
        threads_freed(&sweep->threads);
        free(sweep->reach);
        free(sweep);
    }
}

static tft_reach *reach_of(tft_sweep *sweep, const tft_part *part, int64_t row) {
    int64_t at = thread_of(&sweep->threads, part, row);
    if (at < 0 || !made_room((void **)&sweep->reach, &sweep->room, at + 1, sizeof *sweep->reach))
        return NULL;
    for (; sweep->known <= at; sweep->known++)
        for (int rank = 0; rank < LAYERS; rank++)
            sweep->reach[sweep->known].alone[rank] = sweep->reach[sweep->known].below[rank] = NEVER;
    return sweep->reach + at;
}

/* Adds the rows of a part, of which `kept` has a byte for each, or all. 0: added; 1: a row begins before the one in
   front of it; 2: no memory. After the last two the sweep is of no use. */
int tft_sweep_add(tft_sweep *sweep, const tft_part *part, const uint8_t *kept) {
    for (int64_t row = 0; row < part->rows; row++) {
        int64_t start = wide(&part->start_ns, row, 0);
        if (start < sweep->until)
            return 1;
        sweep->until = start;
        int rank = rank_of(part, row);
        if (rank < 0 || (kept && !kept[row]))
            continue;
        tft_reach *reach = reach_of(sweep, part, row);
        if (!reach)
            return 2;
        int64_t end = (int64_t)((uint64_t)start + (uint64_t)length_of(part, row));
        sweep->events[rank]++;
        cover(&sweep->own[rank], &reach->alone[rank], start, end);
        for (int above = rank; above >= 0; above--)
            cover(&sweep->from_here[above], &reach->below[above], start, end);
    }
    return 0;
}
