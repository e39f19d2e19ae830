/* Rows of an SQLite table as columns of whole numbers and texts.
 *
 * The statement is SQLite's, and so are the functions: they are those of the library that Python uses, handed in, so that
 * nothing is linked and no header of SQLite is needed. */
#include <stdint.h>
#include <string.h>

typedef struct {
  int (*step)(void *);
  int (*type)(void *, int);
  int64_t (*number)(void *, int);
  const void *(*text)(void *, int);
  int (*bytes)(void *, int);
} tft_sqlite;
enum { SQLITE_ROW = 100, SQLITE_DONE = 101, SQLITE_INTEGER = 1, SQLITE_TEXT = 3, SQLITE_NULL = 5 };

enum { NEXT, WAITING, ENDED };
typedef struct {
  const tft_sqlite *sqlite;
  void *statement;
  int64_t columns, room; /* rows of a column */
  int64_t *values;       /* column c from c * room on; of a text its place in `texts`, times 2 ** 32, and its bytes */
  uint8_t *kinds;        /* as SQLite tells them, beside the values */
  uint8_t *texts;
  int64_t texts_room;
  int64_t state; /* NEXT; or the statement stands at a row that had no room any more, or behind the last one */
} tft_table;

/* The next rows, up to `room`, or as many as there is room for their texts. Returns how many; 0 behind the last one; -1
 * where a value is something else, or SQLite says that it cannot go on. */
int64_t tft_rows(tft_table *t) {
  const tft_sqlite *sqlite = t->sqlite;
  int64_t used = 0;
  for (int64_t row = 0; row < t->room; row++) {
    if (t->state == ENDED) return row; /* SQLite would begin anew */
    if (t->state == NEXT) {
      int found = sqlite->step(t->statement);
      if (found == SQLITE_DONE) {
        t->state = ENDED;
        return row;
      }
      if (found != SQLITE_ROW) return -1;
    }
    t->state = NEXT;
    for (int c = 0; c < t->columns; c++) {
      int64_t at = c * t->room + row;
      int type = sqlite->type(t->statement, c);
      t->kinds[at] = (uint8_t)type;
      if (type == SQLITE_INTEGER) t->values[at] = sqlite->number(t->statement, c);
      else if (type == SQLITE_NULL) t->values[at] = 0;
      else if (type == SQLITE_TEXT) {
        const void *text = sqlite->text(t->statement, c);
        int64_t bytes = sqlite->bytes(t->statement, c);
        if (!text) return -1;
        if (bytes > t->texts_room - used) {
          t->state = WAITING;
          return row ? row : -1;
        }
        memcpy(t->texts + used, text, (size_t)bytes);
        t->values[at] = used << 32 | bytes;
        used += bytes;
      } else return -1;
    }
  }
  return t->room;
}
