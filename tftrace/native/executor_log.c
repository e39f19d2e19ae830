/* What TensorFlow's executors log of each node they run, in a program that has TensorFlow linked into itself.
 *
 * Such a program exports nothing to stand at, but it still calls the C library through slots. TensorFlow up to 2.15
 * reads its log levels with getenv and prints each message with one fprintf: it is told there to log what executors
 * do, and these messages go to executor.bin. Everything else goes on where the user's own level lets it pass. Neither
 * the environment, which children would inherit, nor file descriptor 2 is touched. */
#include "native_process.h"
#include "slots.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 28, SEVERITIES = 4 }; /* "2026-11-24 05:04:55.330941: I file:line] text" */

static tft_patches prints;
static int asked, users_own, user_minimum;
static atomic_ullong lines;

static const char *after(const char *text, const char *start) {
  size_t n = strlen(start);
  return strncmp(text, start, n) ? NULL : text + n;
}

/* Those of memory tell of each allocation. */
int tft_executor_telling(const char *message) {
  const char *memory = after(message, "__LOG_MEMORY__ ");
  return !memory || after(memory, "MemoryLogStep ") || after(memory, "MemoryLogTensorOutput ");
}

/* Takes a line for the trace, or drops it; 0: it is the user's. */
static int take(const char *text, size_t n) {
  static const char severities[] = "IWEF";
  if (n < HEAD + 4 || text[4] != '-' || text[10] != ' ' || text[19] != '.' || text[26] != ':') return 0;
  const char *severity = strchr(severities, text[HEAD]), *end = strstr(text + HEAD, "] ");
  if (!severity || !*severity || !end) return 0;
  const char *file = end;
  while (file > text + HEAD && *file != '/' && *file != ' ') file--;
  file++;
  /* "[/device:CPU:0] Executor start aborting" was no verbose message before TensorFlow 2.14 */
  int verbose = *severity == 'I' && end[2] != '[' &&
                (after(file, "executor.cc:") || after(file, "executor.h:") || after(file, "log_memory.cc:"));
  if (!verbose) return severity - severities < user_minimum;
  if (tft_executor_telling(end + 2) && tft_ready()) {
    int kept = errno;
    const char *newline = memchr(text, '\n', n);
    const uint64_t head[] = {tft_tid(), (uint64_t)tft_now()};
    if (tft_text_add(&tft_executor_file, head, 2, file, (size_t)((newline ? newline : text + n) - file)))
      atomic_fetch_add_explicit(&lines, 1, memory_order_relaxed);
    errno = kept;
  }
  return 1;
}

static int print(FILE *file, const char *format, va_list arguments) {
  char small[2048], *text = small;
  va_list again;
  if (file != stderr) return vfprintf(file, format, arguments);
  va_copy(again, arguments);
  int n = vsnprintf(small, sizeof small, format, again);
  va_end(again);
  if (n >= (int)sizeof small && (text = malloc((size_t)n + 1))) {
    va_copy(again, arguments);
    vsnprintf(text, (size_t)n + 1, format, again);
    va_end(again);
  }
  int ours = n > 0 && text && take(text, (size_t)n);
  if (text != small) free(text);
  return ours ? n : vfprintf(file, format, arguments);
}

TFT_FPRINTF_HOOKS(print)

/* What the program is told where it reads a level of TensorFlow's log; NULL: nothing of ours. */
const char *tft_executor_answer(const char *name) {
  static const tft_redirect to[] = {{"fprintf", hook_fprintf}, {"__fprintf_chk", hook_fprintf_chk}};
  const char *level = after(name, "TF_CPP_");
  if (!level || (strcmp(level, "VMODULE") && strcmp(level, "MIN_LOG_LEVEL"))) return NULL;
  if (!asked) {
    asked = 1;
    users_own = getenv("TF_CPP_VMODULE") != NULL || getenv("TF_CPP_MAX_VLOG_LEVEL") != NULL;
    const char *minimum = getenv("TF_CPP_MIN_LOG_LEVEL");
    user_minimum = minimum ? atoi(minimum) : 0;
    if (!users_own) tft_redirect_calls("", to, 2, &prints);
    if (prints.count && !tft_is_open()) atomic_store(&tft_waiting, 1);
  }
  if (!prints.count) return NULL;
  return *level == 'V' ? TFT_EXECUTOR_LEVELS : "0";
}

/* Why there is nothing of it; NULL where there is. */
const char *tft_executor_missing(void) {
  if (users_own) return "TF_CPP_VMODULE or TF_CPP_MAX_VLOG_LEVEL is set: the user's own log is left as it is";
  if (!asked) return "the program does not read TensorFlow's log levels itself: TensorFlow is not linked into it, or logs in another way";
  return prints.count ? NULL : "no call of fprintf was found to take its log from";
}

uint64_t tft_executor_lines(void) { return atomic_load(&lines); }
void tft_executor_open(void) { atomic_store(&lines, 0); }
