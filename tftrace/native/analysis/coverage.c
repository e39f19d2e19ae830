/* How much time events cover by layer, overlaps on one thread or stream counted once.

   The same as `_Sweep` of analysis/coverage.py says with arrays: the events come in the order of their start, and for
   each thread stands how far each layer covers it, and it and all below. Columns are Arrow's own memory. */
#include "columns.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 8 };
static const int64_t NEVER = -((int64_t)1 << 62);

typedef struct {
    int64_t number; /* tid, or stream of a device */
    int32_t pid, host, device, on_device;
} tft_key;

typedef struct {
    tft_key key;
    int64_t alone[LAYERS], below[LAYERS]; /* covered up to here by the layer, and by it and all below */
} tft_thread;

typedef struct {
    int64_t events[LAYERS], own[LAYERS], from_here[LAYERS];
    int64_t until;
    tft_thread *threads;
    int32_t *table; /* position in `threads` plus one, by hash */
    uint64_t mask;
    int64_t count, room;
} tft_sweep;

typedef struct {
    int64_t rows;
    const int8_t *ranks;            /* by code of `layer`: position of the layer, or -1 */
    const int32_t *hosts, *devices; /* by code: the number that stands for the text in every part */
    const uint8_t *kept;            /* a byte for each row, or all of them */
    tft_column layer, start_ns, dur_ns, stream, tid, pid, device, host;
} tft_part;

static inline int32_t numbered(const tft_column *column, int64_t row, const int32_t *numbers) {
    int32_t code = narrow(column, row, -1);
    return code < 0 ? -1 : numbers[code];
}

static inline int same(const tft_key *one, const tft_key *other) {
    return one->number == other->number && one->pid == other->pid && one->host == other->host &&
           one->device == other->device && one->on_device == other->on_device;
}

static uint64_t hashed(const tft_key *key) {
    uint64_t h = (uint64_t)key->number * 0x9E3779B97F4A7C15u;
    h = (h ^ (h >> 32)) + (uint32_t)key->pid * (uint64_t)0xBF58476D1CE4E5B9u;
    h = (h ^ (h >> 29)) + ((uint64_t)(uint32_t)key->host << 33 ^ (uint64_t)(uint32_t)key->device << 1 ^ (uint32_t)key->on_device);
    h *= 0x94D049BB133111EBu;
    return h ^ (h >> 31);
}

static int grow(tft_sweep *sweep) {
    int64_t room = sweep->room ? 2 * sweep->room : 64;
    tft_thread *threads = realloc(sweep->threads, (size_t)room * sizeof *threads);
    if (!threads)
        return 0;
    sweep->threads = threads;
    int32_t *table = calloc((size_t)room * 2, sizeof *table);
    if (!table)
        return 0;
    free(sweep->table);
    sweep->table = table;
    sweep->mask = (uint64_t)room * 2 - 1;
    sweep->room = room;
    for (int64_t at = 0; at < sweep->count; at++) {
        uint64_t slot = hashed(&threads[at].key) & sweep->mask;
        while (table[slot])
            slot = (slot + 1) & sweep->mask;
        table[slot] = (int32_t)at + 1;
    }
    return 1;
}

static tft_thread *found(tft_sweep *sweep, const tft_key *key) {
    if (sweep->count == sweep->room && !grow(sweep))
        return NULL;
    uint64_t slot = hashed(key) & sweep->mask;
    for (; sweep->table[slot]; slot = (slot + 1) & sweep->mask) {
        tft_thread *known = &sweep->threads[sweep->table[slot] - 1];
        if (same(&known->key, key))
            return known;
    }
    tft_thread *made = &sweep->threads[sweep->count++];
    sweep->table[slot] = (int32_t)sweep->count;
    made->key = *key;
    for (int rank = 0; rank < LAYERS; rank++)
        made->alone[rank] = made->below[rank] = NEVER;
    return made;
}

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
        free(sweep->threads);
        free(sweep->table);
        free(sweep);
    }
}

static inline tft_key key_of(const tft_part *part, int64_t row) {
    tft_key key = {.pid = narrow(&part->pid, row, 0), .host = numbered(&part->host, row, part->hosts)};
    if (has(&part->stream, row)) {
        key.number = narrow(&part->stream, row, 0);
        key.device = numbered(&part->device, row, part->devices);
        key.on_device = 1;
    } else
        key.number = wide(&part->tid, row, 0);
    return key;
}

/* The number of each row's thread or stream. Returns how many there are so far, -1 without memory. */
int64_t tft_sweep_number(tft_sweep *sweep, const tft_part *part, int32_t *number) {
    tft_thread *thread = NULL;
    tft_key last;
    for (int64_t row = 0; row < part->rows; row++) {
        tft_key key = key_of(part, row);
        if (!thread || !same(&key, &last)) {
            if (!(thread = found(sweep, &key)))
                return -1;
            last = key;
        }
        number[row] = (int32_t)(thread - sweep->threads);
    }
    return sweep->count;
}

/* 0: added; 1: a row begins before the one in front of it; 2: no memory. After the last two the sweep is of no use. */
int tft_sweep_add(tft_sweep *sweep, const tft_part *part) {
    tft_thread *thread = NULL;
    tft_key last;
    for (int64_t row = 0; row < part->rows; row++) {
        int64_t start = wide(&part->start_ns, row, 0);
        if (start < sweep->until)
            return 1;
        sweep->until = start;
        int32_t code = narrow(&part->layer, row, -1);
        int rank = code < 0 ? -1 : part->ranks[code];
        if (rank < 0 || (part->kept && !part->kept[row]))
            continue;
        tft_key key = key_of(part, row);
        if (!thread || !same(&key, &last)) {
            if (!(thread = found(sweep, &key)))
                return 2;
            last = key;
        }
        int64_t dur = wide(&part->dur_ns, row, 0);
        int64_t end = (int64_t)((uint64_t)start + (uint64_t)(dur > 0 ? dur : 0));
        sweep->events[rank]++;
        cover(&sweep->own[rank], &thread->alone[rank], start, end);
        for (int above = rank; above >= 0; above--)
            cover(&sweep->from_here[above], &thread->below[above], start, end);
    }
    return 0;
}
