/* Rows of an SQLite table as columns of whole numbers.
 *
 * The statement is SQLite's, and so are the functions: they are those of the library that Python uses, handed in, so that
 * nothing is linked and no header of SQLite is needed. */
#include <stdint.h>

typedef struct {
  int (*step)(void *);
  int (*type)(void *, int);
  int64_t (*number)(void *, int);
} tft_sqlite;
enum { SQLITE_ROW = 100, SQLITE_DONE = 101, SQLITE_INTEGER = 1, SQLITE_NULL = 5 };

/* Up to `room` rows, column c from c * room on; `nulls` is 1 where a row has no value, and the value then 0. Returns how
 * many: fewer than `room` behind the last one; -1 where a value is something else, or SQLite says that it cannot go on. */
int64_t tft_rows(const tft_sqlite *sqlite, void *statement, int columns, int64_t room, int64_t *values, uint8_t *nulls) {
  for (int64_t row = 0; row < room; row++) {
    int state = sqlite->step(statement);
    if (state == SQLITE_DONE) return row;
    if (state != SQLITE_ROW) return -1;
    for (int c = 0; c < columns; c++) {
      int64_t at = c * room + row;
      int type = sqlite->type(statement, c);
      if (type != SQLITE_INTEGER && type != SQLITE_NULL) return -1;
      nulls[at] = type == SQLITE_NULL;
      values[at] = type == SQLITE_NULL ? 0 : sqlite->number(statement, c);
    }
  }
  return room;
}
