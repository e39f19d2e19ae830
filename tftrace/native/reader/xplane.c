/* One line of a TensorFlow profile into columns: what ingest/xplane_native.py calls.
 *
 * XLine   { 4: XEvent* ... }                         everything but events is handed back as places
 * XEvent  { 1: metadata id  2: offset ps  3: duration ps  4: XStat*  5: occurrences }
 * XStat   { 1: metadata id  2: double  3: uint64  4: int64  5: text  6: bytes  7: reference }
 *
 * Called again and again for one line: it stops where something is full or a statistic is met for the first time, in
 * front of the event that did not fit any more: what that one already wrote is taken back. Nothing is allocated here
 * and no state is kept between calls. A field of another wire type than the schema's counts as unknown, as in
 * protobuf's own readers.
 */
#include <stdint.h>
#include <string.h>

enum { FINISHED, FULL, NEW_STAT, NEW_COLUMN, TEXTS_FULL, CUT, TOO_LONG, BAD_TYPE };
enum { KINDS = 8 }; /* a statistic's columns are by the field number of its value */
enum { SKIPPED = -1, UNKNOWN = -2 };
enum { DOUBLE = 2, UINT64, INT64, STR, BYTES, REF };

#define TAG(field, wire) ((field) << 3 | (wire))
#define NUMBERS (1ull << TAG(UINT64, 0) | 1ull << TAG(INT64, 0) | 1ull << TAG(REF, 0)) /* a set of tags */

typedef struct {
  int32_t *event; /* NULL where there was no use for it yet */
  uint64_t *bits;
  int64_t rows;
} tft_column;

typedef struct {
  const uint8_t *data;
  uint64_t size, at, end; /* of the file; of what is left of the line */
  /* events */
  int64_t *meta, *start_ns, *dur_ns, *dur_ps, *occurrences;
  int64_t events, capacity, first, aggregated;
  /* statistics: `slots` of them, each with KINDS columns of `capacity` rows */
  tft_column *columns;
  int64_t slots;
  const int32_t *slot_of; /* by metadata id, for those below `dense` .. */
  int64_t dense;
  const int64_t *far_ids; /* .. and in order, for all others */
  const int32_t *far_slots;
  int64_t far, wanted; /* `wanted`: the metadata id, or the column, that is new */
  /* texts, each once */
  int32_t *table; /* 1 + number of a text, by hash; 0 where free */
  uint64_t table_size;
  uint64_t *text_at, *text_size, *text_hash;
  uint8_t *text_kind;
  int64_t texts, text_room;
  /* fields of the line that are no events */
  uint64_t *field_at, *field_end;
  int64_t fields, field_room;
} tft_line;

static uint64_t word_at(const uint8_t *p) {
  uint64_t word;
  memcpy(&word, p, 8);
  return word;
}

static const uint8_t *long_varint(const uint8_t *p, const uint8_t *end, uint64_t *value) {
  uint64_t found = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    if (p >= end)
      return NULL;
    uint8_t byte = *p++;
    if (shift == 63 && byte > 1)
      return NULL;
    found |= (uint64_t)(byte & 0x7F) << shift;
    if (byte < 0x80) {
      *value = found;
      return p;
    }
  }
  return NULL;
}

/* What a varint of up to eight bytes holds: `ends` marks the bytes of the word without a high bit, some there are. */
static inline uint64_t packed(uint64_t word, uint64_t ends) {
  word &= (ends ^ (ends - 1)) & 0x7F7F7F7F7F7F7F7Fu; /* up to the lowest of these, which ends the number */
  /* closes the gaps of the high bits: pairs of 7 bits to 14, to 28, to 56 */
  word = (word & 0x007F007F007F007Fu) | (word & 0x7F007F007F007F00u) >> 1;
  word = (word & 0x00003FFF00003FFFu) | (word & 0x3FFF00003FFF0000u) >> 2;
  return (word & 0x000000000FFFFFFFu) | (word & 0x0FFFFFFF00000000u) >> 4;
}

#define ENDS(word) (~(word)&0x8080808080808080u)
#define LENGTH(ends) ((__builtin_ctzll(ends) >> 3) + 1)

/* `last` is the first place behind which no whole word can be read any more. */
static inline const uint8_t *varint(const uint8_t *p, const uint8_t *end, const uint8_t *last, uint64_t *value) {
  uint64_t word, ends;
  if (p < last) {
    word = word_at(p);
    if ((word & 0x80) == 0) {
      *value = word & 0x7F;
      return p < end ? p + 1 : NULL;
    }
    if ((ends = ENDS(word)) != 0) {
      *value = packed(word, ends);
      p += LENGTH(ends);
      return p <= end ? p : NULL;
    }
  }
  return long_varint(p, end, value);
}

#define VARINT(p, end, value)                                                                                          \
  do {                                                                                                                 \
    if (((p) = varint((p), (end), last, &(value))) == NULL)                                                            \
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
  uint64_t hash = 0x9E3779B97F4A7C15u ^ kind ^ size << 8, word = 0;
  for (; size >= 8; size -= 8, p += 8) {
    hash = (hash ^ word_at(p)) * 0xBF58476D1CE4E5B9u;
    hash ^= hash >> 29;
  }
  while (size--)
    word = word << 8 | p[size];
  hash = (hash ^ word) * 0x94D049BB133111EBu;
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
    if (line->text_hash[known] == hash && line->text_size[known] == size && line->text_kind[known] == kind &&
        memcmp(data + line->text_at[known], data + place, size) == 0)
      return known;
  }
}

static int32_t slot_far(const tft_line *line, int64_t id) {
  int64_t low = 0, high = line->far;
  while (low < high) {
    int64_t middle = (low + high) / 2;
    if (line->far_ids[middle] < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low < line->far && line->far_ids[low] == id ? line->far_slots[low] : UNKNOWN;
}

static inline int keep(tft_line *line, int64_t id, unsigned kind, uint64_t bits, uint64_t size, int32_t event) {
  int32_t slot = (uint64_t)id < (uint64_t)line->dense ? line->slot_of[id] : slot_far(line, id);
  if (slot < 0) {
    if (slot == SKIPPED)
      return FINISHED;
    line->wanted = id;
    return NEW_STAT;
  }
  tft_column *column = line->columns + ((uint32_t)slot * KINDS + kind);
  if (column->event == NULL) {
    line->wanted = (int64_t)slot * KINDS + kind;
    return NEW_COLUMN;
  }
  int64_t row = column->rows;
  if (row == line->capacity)
    return FULL;
  if (kind == STR || kind == BYTES) {
    int64_t number = text_number(line, bits, size, (uint8_t)kind);
    if (number < 0)
      return TEXTS_FULL;
    bits = (uint64_t)number;
  }
  column->event[row] = event;
  column->bits[row] = bits;
  column->rows = row + 1;
  return FINISHED;
}

static int stat(tft_line *line, const uint8_t *p, const uint8_t *end, const uint8_t *last, int32_t event) {
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
  return kind ? keep(line, (int64_t)id, kind, bits, length, event) : FINISHED;
}

static int64_t floor_ns(int64_t ps) {
  int64_t ns = ps / 1000;
  return ns - (ps % 1000 < 0);
}

static inline int event(tft_line *line, const uint8_t *p, const uint8_t *end, const uint8_t *last) {
  const uint8_t *data = line->data;
  uint64_t tag, value, size, meta = 0, offset = 0, dur = 0, occurrences = 1;
  int64_t row = line->events;
  int32_t number = (int32_t)(line->first + row);
  int status;
  while (p < end) {
    /* A statistic as nearly all are written: tag, length, tag and an id below 128, tag and one value. Other forms, and
     * whatever is wrong with one, are for the general way below. */
    if (p < last - 8) {
      uint64_t word = word_at(p), ends, tail;
      if ((word & 0x80FF80FF) == (TAG(4, 2) | TAG(1, 0) << 16)) {
        const uint8_t *after = p + 2 + (word >> 8 & 0x7F);
        unsigned kind = (word >> 35) & 0x1F;
        tail = word_at(p + 5);
        if ((word >> 32 & 0xFF) < 64 && NUMBERS >> (word >> 32 & 0xFF) & 1) {
          ends = ENDS(tail);
          if (ends && p + 5 + LENGTH(ends) == after && after <= end) {
            if ((status = keep(line, word >> 24 & 0x7F, kind, packed(tail, ends), 0, number)) != FINISHED)
              return status;
            p = after;
            continue;
          }
        } else if ((word >> 32 & 0xFF) == TAG(DOUBLE, 1) && p + 13 == after && after <= end) {
          if ((status = keep(line, word >> 24 & 0x7F, DOUBLE, tail, 0, number)) != FINISHED)
            return status;
          p = after;
          continue;
        }
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
      if ((status = stat(line, data + value, data + value + size, last, number)) != FINISHED)
        return status;
      break;
    }
  }
  int64_t start = floor_ns((int64_t)offset);
  line->meta[row] = (int64_t)meta;
  line->start_ns[row] = start;
  line->dur_ns[row] = (int64_t)((uint64_t)floor_ns((int64_t)(offset + dur)) - (uint64_t)start);
  line->dur_ps[row] = (int64_t)dur;
  line->occurrences[row] = (int64_t)occurrences;
  line->aggregated |= occurrences != 1;
  line->events = row + 1;
  return FINISHED;
}

/* Takes back the statistics of an event that did not fit. */
static void forget(tft_line *line) {
  int32_t number = (int32_t)(line->first + line->events);
  for (int64_t at = 0; at < line->slots * KINDS; at++) {
    tft_column *column = line->columns + at;
    while (column->rows && column->event[column->rows - 1] == number)
      column->rows--;
  }
}

int tft_read_line(tft_line *line) {
  const uint8_t *data = line->data, *p = data + line->at, *end = data + line->end;
  const uint8_t *last = data + (line->size < 8 ? 0 : line->size - 7);
  uint64_t tag, value, size;
  while (p < end) {
    line->at = (uint64_t)(p - data);
    VARINT(p, end, tag);
    VALUE(p, end, tag, value, size);
    if (tag == TAG(4, 2)) {
      if (line->events == line->capacity)
        return FULL;
      int status = event(line, data + value, p, last);
      if (status != FINISHED) {
        forget(line);
        return status;
      }
    } else {
      if (line->fields == line->field_room)
        return FULL;
      line->field_at[line->fields] = line->at;
      line->field_end[line->fields++] = (uint64_t)(p - data);
    }
  }
  line->at = line->end;
  return FINISHED;
}
