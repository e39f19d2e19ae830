/* One line of a TensorFlow profile into columns: what ingest/xplane/native.py calls.
 *
 * XLine   { 4: XEvent* ... }                         everything but events is handed back as places
 * XEvent  { 1: metadata id  2: offset ps  3: duration ps  4: XStat*  5: occurrences }
 * XStat   { 1: metadata id  2: double  3: uint64  4: int64  5: text  6: bytes  7: reference }
 *
 * Called again and again for one line: it stops where something is full or an id is new, in front of the event that
 * did not fit: what that one already wrote is taken back. Nothing is allocated here and no state is kept between calls.
 * A field of another wire type than the schema's counts as unknown, as in protobuf's own readers. Behind the line stand
 * PADDING bytes, so that whole words can be read anywhere in it.
 */
#include <stdint.h>
#include <string.h>

enum { FINISHED, EVENTS_FULL, COLUMN_FULL, FIELDS_FULL, TEXTS_FULL, NEW_STAT, NEW_META, NEW_REFERENCE, AGGREGATED };
enum { CUT = AGGREGATED + 1, TOO_LONG, BAD_TYPE };
enum { KINDS = 8 }; /* a statistic's columns are by the field number of its value */
enum { SKIPPED = -1, UNKNOWN = -2 };
enum { DOUBLE = 2, UINT64, INT64, STR, BYTES, REF };

#define TAG(field, wire) ((field) << 3 | (wire))
#define NUMBERS (1ull << TAG(UINT64, 0) | 1ull << TAG(INT64, 0) | 1ull << TAG(REF, 0)) /* a set of tags */

typedef struct {
  int32_t *event;
  uint64_t *bits;
  int64_t rows, capacity;
} tft_column;

typedef struct { /* numbers by id: a table for those below `dense`, hashing for all others */
  int32_t *near;
  int64_t dense;
  int64_t *keys;
  int32_t *values; /* UNKNOWN where free */
  uint64_t mask;
} tft_ids;

typedef struct {
  const uint8_t *data;
  uint64_t at, end; /* of what is left of the line */
  /* events, of all lines so far */
  int64_t *start_ns, *dur_ns, *dur_ps, *occurrences; /* the last one NULL where all stand for themselves */
  int32_t *meta;
  int64_t events, capacity;
  /* statistics: `slots` of them, each with KINDS columns */
  tft_column *columns;
  int64_t slots;
  tft_ids stats, metas, references;
  int64_t wanted; /* the id that is new, or the column that is full */
  /* texts of this line, each once */
  int32_t *table; /* 1 + number of a text, by hash; 0 where free */
  uint64_t table_size;
  uint64_t *text_at, *text_size, *text_hash;
  uint8_t *text_kind;
  int64_t texts, text_room;
  /* fields of the line that are no events */
  uint64_t *field_at, *field_end;
  int64_t fields, field_room;
} tft_line;

static inline uint64_t word_at(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return word;
}

/* What a varint of up to eight bytes holds: `ends` marks the bytes of the word without a high bit. */
static inline uint64_t packed(uint64_t word, uint64_t ends) {
  word &= (ends ^ (ends - 1)) & 0x7F7F7F7F7F7F7F7Fu; /* up to the lowest of these, which ends the number */
  /* closes the gaps of the high bits: pairs of 7 bits to 14, to 28, to 56 */
  word = (word & 0x007F007F007F007Fu) | (word & 0x7F007F007F007F00u) >> 1;
  word = (word & 0x00003FFF00003FFFu) | (word & 0x3FFF00003FFF0000u) >> 2;
  return (word & 0x000000000FFFFFFFu) | (word & 0x0FFFFFFF00000000u) >> 4;
}

#define ENDS(word) (~(word)&0x8080808080808080u)
#define LENGTH(ends) ((__builtin_ctzll(ends) >> 3) + 1)

static const uint8_t *long_varint(const uint8_t *p, const uint8_t *end, uint64_t *value) {
  uint64_t found = packed(word_at(p), 0) | (uint64_t)(p[8] & 0x7F) << 56;
  p += 9;
  if (p[-1] >= 0x80) {
    if (*p > 1)
      return NULL;
    found |= (uint64_t)*p++ << 63;
  }
  *value = found;
  return p <= end ? p : NULL;
}

static inline const uint8_t *varint(const uint8_t *p, const uint8_t *end, uint64_t *value) {
  uint64_t word = word_at(p), ends;
  if ((word & 0x80) == 0) {
    *value = word & 0x7F;
    return p < end ? p + 1 : NULL;
  }
  if ((ends = ENDS(word)) != 0) {
    *value = packed(word, ends);
    p += LENGTH(ends);
    return p <= end ? p : NULL;
  }
  return long_varint(p, end, value);
}

#define VARINT(p, end, value)                                                                                          \
  do {                                                                                                                 \
    if (((p) = varint((p), (end), &(value))) == NULL)                                                                  \
      return CUT;                                                                                                      \
  } while (0)

/* The value of a field of any wire type: its number or, for a length, where it begins; `p` moves behind it. */
#define VALUE(p, end, tag, value, size)                                                                                \
  do {                                                                                                                 \
    (size) = 0;                                                                                                        \
    switch ((tag)&7) {                                                                                                 \
    case 0:                                                                                                            \
      VARINT(p, end, value);                                                                                           \
      break;                                                                                                           \
    case 1:                                                                                                            \
      if ((end) - (p) < 8)                                                                                             \
        return CUT;                                                                                                    \
      (value) = word_at(p);                                                                                            \
      (p) += 8;                                                                                                        \
      break;                                                                                                           \
    case 2:                                                                                                            \
      VARINT(p, end, size);                                                                                            \
      if ((size) > (uint64_t)((end) - (p)))                                                                            \
        return TOO_LONG;                                                                                               \
      (value) = (uint64_t)((p)-data);                                                                                  \
      (p) += (size);                                                                                                   \
      break;                                                                                                           \
    case 5: {                                                                                                          \
      uint32_t low;                                                                                                    \
      if ((end) - (p) < 4)                                                                                             \
        return CUT;                                                                                                    \
      memcpy(&low, (p), 4);                                                                                            \
      (value) = low;                                                                                                   \
      (p) += 4;                                                                                                        \
      break;                                                                                                           \
    }                                                                                                                  \
    default:                                                                                                           \
      return BAD_TYPE;                                                                                                 \
    }                                                                                                                  \
    if ((tag)-8 >= (1ull << 32) - 8) /* no field has such a number */                                                  \
      return CUT;                                                                                                      \
  } while (0)

static uint64_t hash_of(const uint8_t *p, uint64_t size, uint8_t kind) {
  uint64_t hash = 0x9E3779B97F4A7C15u ^ kind ^ size << 8;
  for (; size >= 8; size -= 8, p += 8) {
    hash = (hash ^ word_at(p)) * 0xBF58476D1CE4E5B9u;
    hash ^= hash >> 29;
  }
  hash = (hash ^ (word_at(p) & ((1ull << size * 8) - 1))) * 0x94D049BB133111EBu;
  return hash ^ hash >> 32;
}

/* Fills the table anew after it was enlarged. */
void tft_texts_placed(tft_line *line) {
  for (int64_t i = 0; i < line->texts; i++) {
    uint64_t at = line->text_hash[i] & (line->table_size - 1);
    while (line->table[at])
      at = (at + 1) & (line->table_size - 1);
    line->table[at] = (int32_t)(i + 1);
  }
}

static int64_t text_number(tft_line *line, uint64_t place, uint64_t size, uint8_t kind) {
  const uint8_t *data = line->data;
  uint64_t hash = hash_of(data + place, size, kind), mask = line->table_size - 1;
  for (uint64_t at = hash & mask;; at = (at + 1) & mask) {
    int32_t known = line->table[at] - 1;
    if (known < 0) {
      if (line->texts == line->text_room)
        return -1;
      known = (int32_t)line->texts++;
      line->text_at[known] = place, line->text_size[known] = size;
      line->text_hash[known] = hash, line->text_kind[known] = kind;
      line->table[at] = known + 1;
      return known;
    }
    /* of fewer than eight bytes, no two of one size and kind have the same hash */
    if (line->text_hash[known] == hash && line->text_size[known] == size && line->text_kind[known] == kind &&
        (size < 8 || memcmp(data + line->text_at[known], data + place, size) == 0))
      return known;
  }
}

static uint64_t place_of(const tft_ids *ids, int64_t id) {
  uint64_t at = (uint64_t)id * 0x9E3779B97F4A7C15u;
  for (at = (at ^ at >> 32) & ids->mask; ids->values[at] != UNKNOWN && ids->keys[at] != id;)
    at = (at + 1) & ids->mask;
  return at;
}

static inline int32_t number_of(const tft_ids *ids, int64_t id) {
  return (uint64_t)id < (uint64_t)ids->dense ? ids->near[id] : ids->values[place_of(ids, id)];
}

void tft_number(tft_ids *ids, int64_t id, int32_t number) {
  if ((uint64_t)id < (uint64_t)ids->dense) {
    ids->near[id] = number;
    return;
  }
  uint64_t at = place_of(ids, id);
  ids->keys[at] = id, ids->values[at] = number;
}

static inline __attribute__((always_inline)) int keep(tft_line *line, int64_t row_of_event, int64_t id, int32_t slot,
                                                      unsigned kind, uint64_t bits, uint64_t size) {
  if (slot == UNKNOWN) {
    line->wanted = id;
    return NEW_STAT;
  }
  tft_column *column = line->columns + ((uint32_t)slot * KINDS + kind);
  int64_t row = column->rows;
  if (row == column->capacity) {
    line->wanted = (int64_t)slot * KINDS + kind;
    return COLUMN_FULL;
  }
  if (kind == REF) {
    int32_t number = number_of(&line->references, (int64_t)bits);
    if (number < 0) {
      line->wanted = (int64_t)bits;
      return NEW_REFERENCE;
    }
    bits = (uint64_t)number;
  } else if (kind == STR || kind == BYTES) {
    int64_t number = text_number(line, bits, size, (uint8_t)kind);
    if (number < 0)
      return TEXTS_FULL;
    bits = (uint64_t)number;
  }
  column->event[row] = (int32_t)row_of_event;
  column->bits[row] = bits;
  column->rows = row + 1;
  return FINISHED;
}

static int stat(tft_line *line, const uint8_t *p, const uint8_t *end) {
  const uint8_t *data = line->data;
  uint64_t tag, value, size, id = 0, bits = 0, length = 0;
  unsigned kind = 0;
  while (p < end) {
    VARINT(p, end, tag);
    VALUE(p, end, tag, value, size);
    switch (tag) {
    case TAG(1, 0):
      id = value;
      break;
    case TAG(DOUBLE, 1):
    case TAG(UINT64, 0):
    case TAG(INT64, 0):
    case TAG(STR, 2):
    case TAG(BYTES, 2):
    case TAG(REF, 0):
      kind = (unsigned)(tag >> 3), bits = value, length = size;
      break;
    }
  }
  int32_t slot = number_of(&line->stats, (int64_t)id);
  return kind && slot != SKIPPED ? keep(line, line->events, (int64_t)id, slot, kind, bits, length) : FINISHED;
}

static inline int64_t floor_ns(uint64_t ps) {
  return ps >> 63 ? -1 - (int64_t)(~ps / 1000) : (int64_t)(ps / 1000);
}

/* A number of up to eight bytes behind a tag of one, where it stands next. */
#define NEXT(p, end, tag, value)                                                                                       \
  do {                                                                                                                 \
    uint64_t word, ends;                                                                                               \
    if ((p) < (end) && *(p) == (tag) && (ends = ENDS(word = word_at((p) + 1))) != 0)                                   \
      (value) = packed(word, ends), (p) += 1 + LENGTH(ends);                                                           \
  } while (0)

static inline int event(tft_line *line, const uint8_t *p, const uint8_t *end) {
  const uint8_t *data = line->data;
  uint64_t tag, value, size, meta = 0, offset = 0, dur = 0, occurrences = 1;
  int64_t row = line->events;
  int status;
  /* as nearly all are written; other forms are for the general way below */
  NEXT(p, end, TAG(1, 0), meta);
  NEXT(p, end, TAG(2, 0), offset);
  NEXT(p, end, TAG(3, 0), dur);
  if (p > end)
    return CUT;
  while (p < end) {
    /* A statistic as nearly all are written: tag, length, tag and an id below 128, tag and one value. */
    uint64_t word = word_at(p);
    if ((word & 0x80FF80FF) == (TAG(4, 2) | TAG(1, 0) << 16)) {
      const uint8_t *after = p + 2 + (word >> 8 & 0x7F), *at = p + 5;
      uint64_t tail = word_at(at), ends = ENDS(tail), bits = tail, length = 0;
      unsigned of = word >> 32 & 0xFF;
      if (after > end)
        return TOO_LONG;
      if (of < 64 && NUMBERS >> of & 1) {
        if (ends)
          at += LENGTH(ends);
        else
          at = long_varint(at, after, &bits);
      } else if (of == TAG(DOUBLE, 1)) {
        ends = 0, at += 8;
      } else if (of == TAG(STR, 2) || of == TAG(BYTES, 2)) {
        length = tail & 0xFF; /* one of two bytes ends elsewhere than `after` */
        ends = 0, bits = (uint64_t)(at + 1 - data), at += 1 + length;
      }
      if (at == after && at != p + 5) {
        int64_t id = word >> 24 & 0x7F;
        int32_t slot = line->stats.near[id];
        if (slot != SKIPPED && (status = keep(line, row, id, slot, of >> 3, ends ? packed(tail, ends) : bits, length)))
          return status;
        p = after;
        continue;
      }
    }
    VARINT(p, end, tag);
    VALUE(p, end, tag, value, size);
    switch (tag) {
    case TAG(1, 0):
      meta = value;
      break;
    case TAG(2, 0): /* one of the two, the last that was written */
      offset = value, occurrences = 1;
      break;
    case TAG(5, 0):
      occurrences = value, offset = 0;
      break;
    case TAG(3, 0):
      dur = value;
      break;
    case TAG(4, 2):
      if ((status = stat(line, data + value, data + value + size)) != FINISHED)
        return status;
      break;
    }
  }
  int32_t number = number_of(&line->metas, (int64_t)meta);
  if (number < 0) {
    line->wanted = (int64_t)meta;
    return NEW_META;
  }
  if (line->occurrences)
    line->occurrences[row] = (int64_t)occurrences;
  else if (occurrences != 1)
    return AGGREGATED;
  int64_t start = floor_ns(offset);
  line->meta[row] = number;
  line->start_ns[row] = start;
  line->dur_ns[row] = (int64_t)((uint64_t)floor_ns(offset + dur) - (uint64_t)start);
  line->dur_ps[row] = (int64_t)dur;
  line->events = row + 1;
  return FINISHED;
}

/* Takes back the statistics of an event that did not fit. */
static void forget(tft_line *line) {
  int32_t number = (int32_t)line->events;
  for (int64_t at = 0; at < line->slots * KINDS; at++) {
    tft_column *column = line->columns + at;
    while (column->rows && column->event[column->rows - 1] == number)
      column->rows--;
  }
}

int tft_read_line(tft_line *line) {
  const uint8_t *data = line->data, *p = data + line->at, *end = data + line->end;
  uint64_t tag, value, size;
  while (p < end) {
    line->at = (uint64_t)(p - data);
    uint64_t word = word_at(p);
    if ((word & 0x80FF) == TAG(4, 2)) {
      tag = TAG(4, 2), size = word >> 8 & 0x7F, value = line->at + 2;
      if (size > (uint64_t)(end - p) - 2 || end - p < 2)
        return end - p < 2 ? CUT : TOO_LONG;
      p += 2 + size;
    } else {
      VARINT(p, end, tag);
      VALUE(p, end, tag, value, size);
    }
    if (tag == TAG(4, 2)) {
      if (line->events == line->capacity)
        return EVENTS_FULL;
      int status = event(line, data + value, p);
      if (status != FINISHED) {
        forget(line);
        return status;
      }
    } else {
      if (line->fields == line->field_room)
        return FIELDS_FULL;
      line->field_at[line->fields] = line->at;
      line->field_end[line->fields++] = (uint64_t)(p - data);
    }
  }
  line->at = line->end;
  return FINISHED;
}
