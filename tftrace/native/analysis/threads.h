/* Events of a part of the table, in Arrow's own memory, and which thread or stream of a device each is of. */
#include "columns.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 8 };

typedef struct {
    int64_t number; /* tid, or stream of a device */
    int32_t pid, host, device, on_device;
} tft_key;

typedef struct {
    tft_key *keys;
    int32_t *table; /* position in `keys` plus one, by hash */
    uint64_t mask;
    int64_t count, room;
    tft_key last;
    int64_t last_at;
} tft_threads;

typedef struct {
    int64_t rows;
    const int8_t *ranks;            /* by code of `layer`: position of the layer, or -1 */
    const int32_t *hosts, *devices; /* by code: the number that stands for the text in every part */
    tft_column layer, start_ns, dur_ns, stream, tid, pid, device, host;
} tft_part;

static inline int32_t numbered(const tft_column *column, int64_t row, const int32_t *numbers) {
    int32_t code = narrow(column, row, -1);
    return code < 0 ? -1 : numbers[code];
}

static inline int rank_of(const tft_part *part, int64_t row) {
    int32_t code = narrow(&part->layer, row, -1);
    return code < 0 ? -1 : part->ranks[code];
}

static inline int64_t length_of(const tft_part *part, int64_t row) {
    int64_t dur = wide(&part->dur_ns, row, 0);
    return dur > 0 ? dur : 0;
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

static int threads_grown(tft_threads *threads) {
    int64_t room = threads->room ? 2 * threads->room : 64;
    tft_key *keys = realloc(threads->keys, (size_t)room * sizeof *keys);
    if (!keys)
        return 0;
    threads->keys = keys;
    int32_t *table = calloc((size_t)room * 2, sizeof *table);
    if (!table)
        return 0;
    free(threads->table);
    threads->table = table;
    threads->mask = (uint64_t)room * 2 - 1;
    threads->room = room;
    for (int64_t at = 0; at < threads->count; at++) {
        uint64_t slot = hashed(&keys[at]) & threads->mask;
        while (table[slot])
            slot = (slot + 1) & threads->mask;
        table[slot] = (int32_t)at + 1;
    }
    return 1;
}

/* The number of the row's thread or stream, from 0 on by first appearance; -1 without memory. */
static inline int64_t thread_of(tft_threads *threads, const tft_part *part, int64_t row) {
    tft_key key = {.pid = narrow(&part->pid, row, 0), .host = numbered(&part->host, row, part->hosts)};
    if (has(&part->stream, row)) {
        key.number = narrow(&part->stream, row, 0);
        key.device = numbered(&part->device, row, part->devices);
        key.on_device = 1;
    } else
        key.number = wide(&part->tid, row, 0);
    if (threads->count && same(&key, &threads->last))
        return threads->last_at;
    if (threads->count == threads->room && !threads_grown(threads))
        return -1;
    threads->last = key;
    uint64_t slot = hashed(&key) & threads->mask;
    for (; threads->table[slot]; slot = (slot + 1) & threads->mask)
        if (same(&threads->keys[threads->table[slot] - 1], &key))
            return threads->last_at = threads->table[slot] - 1;
    threads->last_at = threads->count++;
    threads->keys[threads->last_at] = key;
    threads->table[slot] = (int32_t)threads->count;
    return threads->last_at;
}

static void threads_freed(tft_threads *threads) {
    free(threads->keys);
    free(threads->table);
}

/* `room` for at least `count` things of some size, in place of what is at `*things`; 0 without memory. */
static int made_room(void **things, int64_t *room, int64_t count, size_t size) {
    if (count <= *room)
        return 1;
    int64_t more = *room ? 2 * *room : 16;
    while (more < count)
        more *= 2;
    void *grown = realloc(*things, (size_t)more * size);
    if (!grown)
        return 0;
    memset((char *)grown + (size_t)*room * size, 0, (size_t)(more - *room) * size);
    *things = grown;
    *room = more;
    return 1;
}
