/* Lines of text among the files of fixed records: each takes a whole number of blocks of TFT_TEXT bytes. */
#include "tftrace.h"

#include <string.h>

/* Writes `value` backwards, ending before `end`; returns where it begins. */
static char *digits(char *end, uint64_t value) {
  do *--end = (char)('0' + value % 10);
  while (value /= 10);
  return end;
}

uint64_t tft_text_add(tft_file *file, const uint64_t *numbers, int count, const char *text, size_t length) {
  char head[192], *at = head + sizeof head;
  for (int i = count - 1; i >= 0; i--) {
    *--at = ' ';
    at = digits(at, numbers[i]);
  }
  size_t n = (size_t)(head + sizeof head - at), all = n + length + 1;
  uint64_t index;
  char *line = tft_slots(file, (all + TFT_TEXT - 1) / TFT_TEXT, &index);
  if (!line) return 0;
  memcpy(line + n, text, length);
  if (!length || text[length - 1] != '\n') line[n + length] = '\n';
  memcpy(line, at, n); /* last: a reader takes a line for written when its head is there */
  return index + 1;
}
