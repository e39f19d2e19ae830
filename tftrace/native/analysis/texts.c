/* What few of many texts say, in Arrow's own memory: those of some rows, each different one once; and which rows hold
   one within them. */
#define _GNU_SOURCE
#include "columns.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t count, room, size, space; /* texts, those there is room for; their bytes, those there is room for */
    int64_t *ends;
    uint64_t *hashes;
    char *bytes;
    int32_t *table; /* position plus one, by hash */
    uint64_t mask;
} tft_texts;

tft_texts *tft_texts_new(void) { return calloc(1, sizeof(tft_texts)); }

void tft_texts_free(tft_texts *texts) {
    if (texts) {
        free(texts->ends);
        free(texts->hashes);
        free(texts->bytes);
        free(texts->table);
        free(texts);
    }
}

static uint64_t hashed(const char *text, int64_t length) {
    uint64_t h = (uint64_t)length * 0x9E3779B97F4A7C15u, word;
    for (; length >= 8; text += 8, length -= 8) {
        memcpy(&word, text, 8);
        h = (h ^ word) * 0xBF58476D1CE4E5B9u;
        h ^= h >> 29;
    }
    word = 0;
    memcpy(&word, text, (size_t)length);
    h = (h ^ word) * 0x94D049BB133111EBu;
    return h ^ (h >> 32);
}

static int grow(tft_texts *texts) {
    int64_t room = texts->room ? 2 * texts->room : 256;
    int64_t *ends = realloc(texts->ends, (size_t)room * sizeof *ends);
    if (ends)
        texts->ends = ends;
    uint64_t *hashes = realloc(texts->hashes, (size_t)room * sizeof *hashes);
    if (hashes)
        texts->hashes = hashes;
    int32_t *table = calloc((size_t)room * 2, sizeof *table);
    if (!ends || !hashes || !table || room > INT32_MAX / 2) {
        free(table);
        return 0;
    }
    free(texts->table);
    texts->table = table;
    texts->mask = (uint64_t)room * 2 - 1;
    texts->room = room;
    for (int64_t at = 0; at < texts->count; at++) {
        uint64_t slot = hashes[at] & texts->mask;
        while (table[slot])
            slot = (slot + 1) & texts->mask;
        table[slot] = (int32_t)at + 1;
    }
    return 1;
}

/* The position of a text, which is put at the end where it is new; -1 without memory. */
static int64_t position(tft_texts *texts, const char *text, int64_t length) {
    if (texts->count == texts->room && !grow(texts))
        return -1;
    uint64_t hash = hashed(text, length), slot = hash & texts->mask;
    for (; texts->table[slot]; slot = (slot + 1) & texts->mask) {
        int64_t at = texts->table[slot] - 1, begin = at ? texts->ends[at - 1] : 0;
        if (texts->hashes[at] == hash && texts->ends[at] - begin == length && !memcmp(texts->bytes + begin, text, (size_t)length))
            return at;
    }
    if (texts->space - texts->size < length) {
        int64_t space = 2 * texts->space + length + 4096;
        char *bytes = realloc(texts->bytes, (size_t)space);
        if (!bytes)
            return -1;
        texts->bytes = bytes;
        texts->space = space;
    }
    if (length)
        memcpy(texts->bytes + texts->size, text, (size_t)length);
    texts->size += length;
    texts->ends[texts->count] = texts->size;
    texts->hashes[texts->count] = hash;
    texts->table[slot] = (int32_t)texts->count + 1;
    return texts->count++;
}

/* `column` has where each text begins, and behind the last one where it ends, in `bytes`. Of each row in `rows` the
   position of its text, -1 for null. Returns 0 without memory. */
int tft_texts_add(tft_texts *texts, const tft_column *column, const char *bytes, int64_t count, const int64_t *rows, int64_t *code) {
    const int32_t *begins = (const int32_t *)column->values + column->offset;
    const char *last = NULL;
    int64_t known = -1, size = 0;
    for (int64_t at = 0; at < count; at++) {
        if (!has(column, rows[at])) {
            code[at] = -1;
            continue;
        }
        const char *text = bytes + begins[rows[at]];
        int64_t length = begins[rows[at] + 1] - begins[rows[at]];
        /* neighbours are often alike */
        if (!last || length != size || memcmp(text, last, (size_t)length)) {
            if ((known = position(texts, text, length)) < 0)
                return 0;
            last = text;
            size = length;
        }
        code[at] = known;
    }
    return 1;
}

/* Whether the text of each row in `rows` holds `part`. */
void tft_holding(const tft_column *column, const char *bytes, int64_t count, const int64_t *rows, const char *part,
                 int64_t length, uint8_t *holds) {
    const int32_t *begins = (const int32_t *)column->values + column->offset;
    for (int64_t at = 0; at < count; at++) {
        int64_t row = rows[at];
        holds[at] = has(column, row) && memmem(bytes + begins[row], (size_t)(begins[row + 1] - begins[row]), part, (size_t)length);
    }
}
