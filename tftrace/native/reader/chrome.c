/* Events of a trace in Chrome's format as places in its text.
 *
 * Only what is plain is read here: strings of ASCII without escapes, whole numbers of up to 18 digits, no two keys alike.
 * An event with anything else is told to be odd, and its text is left to a parser of JSON; where the text is no list of
 * objects as JSON has them, nothing is said of it. So no rule of JSON is needed here beyond its brackets, its whitespace
 * and what a plain value looks like. */
#include <stdint.h>
#include <string.h>

enum { NAME, CAT, PID, TID, TS, DUR, FIELDS };
enum { DONE, CUT, DOUBT };
enum { NOTHING, STRING, WHOLE, FRACTION, WORD, OBJECT, LIST };
enum { DEEPEST = 32, KEYS = 32, DIGITS = 18, REPRESENTED = 15, MOST_DIGITS = 40 };

typedef struct {
  const uint8_t *data;
  int64_t at, end; /* of the data: where the next event begins, and where there is no more */
  int64_t events, room;
  int32_t *begin, *stop; /* of each event */
  int32_t *first, *last; /* of its fields, `room` of each: where the value stands; equal where it has none */
  uint8_t *whole;        /* of TS and DUR, `room` of each: a number without fraction */
  int64_t *correlation;  /* -1: none */
  uint8_t *text;         /* arguments without their braces, as compact JSON; no longer than the data */
  int32_t *text_at;      /* where those of each event begin, and those of the last one end */
  uint8_t *odd;
} tft_chrome;

typedef struct {
  const uint8_t *p, *end;
  uint8_t *out; /* NULL: what is read is not written */
  int odd, kind;
} scan;

typedef struct {
  int64_t ids[2]; /* of correlation_id and correlation */
} found;

static int equal(const uint8_t *p, int64_t n, const char *text) {
  return n == (int64_t)strlen(text) && !memcmp(p, text, (size_t)n);
}

static void put(scan *s, const uint8_t *from, const uint8_t *to) {
  if (!s->out) return;
  memcpy(s->out, from, (size_t)(to - from));
  s->out += to - from;
}

static void mark(scan *s, uint8_t c) {
  if (s->out) *s->out++ = c;
}

/* 0, or CUT where the text ends. */
static int blank(scan *s) {
  while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r')) s->p++;
  return s->p < s->end ? DONE : CUT;
}

/* From behind a quote to behind the next one. */
static int string(scan *s) {
  const uint8_t *from = s->p - 1, *p = s->p, *end = s->end;
  for (; p < end; p++) {
    uint8_t c = *p;
    if (c >= ' ' && c < 0x7f && c != '"' && c != '\\') continue;
    if (c == '"') {
      s->p = p + 1;
      s->kind = STRING;
      put(s, from, s->p);
      return DONE;
    }
    if (c < ' ') return DOUBT;
    s->odd = 1;
    if (c == '\\') p++;
  }
  return CUT;
}

static int digit(uint8_t c) { return c >= '0' && c <= '9'; }

static int is_digit(const scan *s) { return s->p < s->end && digit(*s->p); }

/* Whether Python writes a fraction as it stands here: as few digits as tell it apart, and no exponent. */
static int represented(const uint8_t *digits, const uint8_t *point, const uint8_t *end) {
  if (end - digits - 1 > REPRESENTED) return 0;
  if (end[-1] == '0' && end - point > 2) return 0;
  return *digits != '0' || end[-1] == '0' || point[1] != '0' || point[2] != '0' || point[3] != '0' || point[4] != '0';
}

static int number(scan *s) {
  const uint8_t *from = s->p, *digits, *point;
  if (*s->p == '-') s->p++;
  digits = s->p;
  if (!is_digit(s)) return s->p < s->end ? DOUBT : CUT;
  if (*s->p == '0') s->p++;
  else
    while (is_digit(s)) s->p++;
  point = s->p;
  s->kind = WHOLE;
  if (s->p < s->end && *s->p == '.') {
    s->kind = FRACTION;
    s->p++;
    if (!is_digit(s)) return s->p < s->end ? DOUBT : CUT;
    while (is_digit(s)) s->p++;
  }
  if (s->p == s->end) return CUT;
  if ((*s->p | 0x20) == 'e') { /* left to the parser, which knows what is too large */
    s->odd = 1;
    s->p++;
    if (s->p < s->end && (*s->p == '+' || *s->p == '-')) s->p++;
    if (!is_digit(s)) return s->p < s->end ? DOUBT : CUT;
    while (is_digit(s)) s->p++;
    if (s->p == s->end) return CUT;
  } else if (s->kind == WHOLE) {
    if (point - digits > DIGITS || (digits > from && *digits == '0')) s->odd = 1;
  } else if (s->p - digits > MOST_DIGITS || (s->out && !represented(digits, point, s->p))) s->odd = 1;
  put(s, from, s->p);
  return DONE;
}

static int word(scan *s) {
  static const char *const words[] = {"true", "false", "null"};
  for (int i = 0; i < 3; i++) {
    size_t n = strlen(words[i]), left = (size_t)(s->end - s->p);
    if (left < n) {
      if (!memcmp(s->p, words[i], left)) return CUT;
    } else if (!memcmp(s->p, words[i], n)) {
      put(s, s->p, s->p + n);
      s->p += n;
      s->kind = WORD;
      return DONE;
    }
  }
  return DOUBT;
}

static int value(scan *s, int depth);

/* The number that a value of digits stands for, -1 for none below 2 ** 62. */
static int64_t id_of(const scan *s, const uint8_t *from) {
  const uint8_t *p = from, *end = s->p;
  uint64_t id = 0;
  if (s->kind == STRING) p++, end--;
  else if (s->kind != WHOLE) return -1;
  if (p == end) return -1;
  for (; p < end; p++) {
    if (!digit(*p)) return -1;
    id = id * 10 + (uint64_t)(*p - '0');
    if (id >> 62) return -1;
  }
  return (int64_t)id;
}

/* From behind a brace to behind its counterpart; of the arguments of an event `ids` is what is looked for in them, and
 * their braces are not written. */
static int object(scan *s, int depth, found *ids) {
  struct {
    const uint8_t *p;
    int64_t n;
  } keys[KEYS];
  int count = 0, state;
  if (!ids) mark(s, '{');
  if ((state = blank(s))) return state;
  if (*s->p != '}')
    for (;;) {
      if (*s->p != '"') return DOUBT;
      const uint8_t *key = ++s->p;
      if ((state = string(s))) return state;
      int64_t n = s->p - 1 - key;
      if (s->out) {
        for (int i = 0; i < count; i++)
          if (keys[i].n == n && !memcmp(keys[i].p, key, (size_t)n)) s->odd = 1;
        if (count == KEYS) s->odd = 1;
        else keys[count].p = key, keys[count++].n = n;
      }
      if ((state = blank(s))) return state;
      if (*s->p++ != ':') return DOUBT;
      mark(s, ':');
      if ((state = blank(s))) return state;
      const uint8_t *from = s->p;
      if ((state = value(s, depth))) return state;
      if (ids) {
        if (equal(key, n, "correlation_id")) ids->ids[0] = id_of(s, from);
        else if (equal(key, n, "correlation")) ids->ids[1] = id_of(s, from);
        else if (equal(key, n, "cat")) s->odd = 1;
      }
      if ((state = blank(s))) return state;
      if (*s->p == '}') break;
      if (*s->p++ != ',') return DOUBT;
      mark(s, ',');
      if ((state = blank(s))) return state;
    }
  s->p++;
  if (!ids) mark(s, '}');
  s->kind = OBJECT;
  return DONE;
}

static int list(scan *s, int depth) {
  int state;
  mark(s, '[');
  if ((state = blank(s))) return state;
  if (*s->p != ']')
    for (;;) {
      if ((state = value(s, depth))) return state;
      if ((state = blank(s))) return state;
      if (*s->p == ']') break;
      if (*s->p++ != ',') return DOUBT;
      mark(s, ',');
      if ((state = blank(s))) return state;
    }
  s->p++;
  mark(s, ']');
  s->kind = LIST;
  return DONE;
}

/* The value that begins here, where the text goes on; `kind` is then what it is. */
static int value(scan *s, int depth) {
  if (depth == DEEPEST) return DOUBT;
  switch (*s->p) {
  case '"': s->p++; return string(s);
  case '{': s->p++; return object(s, depth + 1, NULL);
  case '[': s->p++; return list(s, depth + 1);
  case 't': case 'f': case 'n': return word(s);
  default: return number(s);
  }
}

static int field_of(const uint8_t *key, int64_t n) {
  static const char *const names[] = {"name", "cat", "pid", "tid", "ts", "dur"};
  for (int i = 0; i < FIELDS; i++)
    if (equal(key, n, names[i])) return i;
  return -1;
}

/* One event, from behind its brace, as number t->events. */
static int event(tft_chrome *t, scan *s) {
  int64_t n = t->events;
  found ids = {{-1, -1}};
  int complete = 0, arguments = 0, state;
  uint8_t *text = t->text + t->text_at[n], *written = text;
  for (int i = 0; i < FIELDS; i++) t->first[i * t->room + n] = t->last[i * t->room + n] = t->begin[n];
  t->whole[n] = t->whole[t->room + n] = 1;
  if ((state = blank(s))) return state;
  s->odd = 0;
  if (*s->p != '}')
    for (;;) {
      if (*s->p != '"') return DOUBT;
      const uint8_t *key = ++s->p;
      if ((state = string(s))) return state;
      int64_t length = s->p - 1 - key;
      if ((state = blank(s))) return state;
      if (*s->p++ != ':') return DOUBT;
      if ((state = blank(s))) return state;
      const uint8_t *from = s->p;
      int field = field_of(key, length);
      if (equal(key, length, "args") && *s->p == '{') {
        if (arguments++) s->odd = 1;
        s->p++, s->out = text;
        state = object(s, 1, &ids);
        written = s->out, s->out = NULL;
      } else state = value(s, 1);
      if (state) return state;
      if (field >= 0) {
        t->first[field * t->room + n] = (int32_t)(from - t->data);
        t->last[field * t->room + n] = (int32_t)(s->p - t->data);
        if (field < TS) s->odd |= s->kind != STRING && s->kind != WHOLE && s->kind != WORD;
        else {
          s->odd |= s->kind != WHOLE && s->kind != FRACTION;
          t->whole[(field - TS) * t->room + n] = s->kind == WHOLE;
          if (field == TS) complete |= 1;
        }
      } else if (equal(key, length, "ph")) {
        if (equal(from, s->p - from, "\"X\"")) complete |= 2;
        else s->odd = 1;
      } else if (equal(key, length, "args") && s->kind != OBJECT) s->odd |= arguments++;
      if ((state = blank(s))) return state;
      if (*s->p == '}') break;
      if (*s->p++ != ',') return DOUBT;
      if ((state = blank(s))) return state;
    }
  s->p++;
  t->odd[n] = (uint8_t)(s->odd || complete != 3);
  t->stop[n] = (int32_t)(s->p - t->data);
  t->correlation[n] = ids.ids[0] >= 0 ? ids.ids[0] : ids.ids[1];
  t->text_at[n + 1] = (int32_t)((t->odd[n] ? text : written) - t->text);
  return DONE;
}

/* Reads events, each of which another one follows, until the text ends, the list does, or there is no more room. 0 where
 * it is no list of objects. */
int tft_chrome_events(tft_chrome *t) {
  scan s = {.p = t->data + t->at, .end = t->data + t->end};
  t->events = 0, t->text_at[0] = 0;
  for (;;) {
    int state = blank(&s);
    if (state) return 1;
    if (*s.p != '{') return t->events == 0 && *s.p == ']';
    t->begin[t->events] = (int32_t)(s.p - t->data);
    s.p++;
    if ((state = event(t, &s))) return state == CUT;
    if (blank(&s) || *s.p == ']') return 1;
    if (*s.p++ != ',') return 0;
    if (blank(&s)) return 1;
    if (*s.p != '{') return 0;
    t->at = s.p - t->data;
    if (++t->events == t->room) return 1;
  }
}
