/* Keeps off the user's stderr what TensorFlow's profiler says of tftrace's own sessions.
 *
 * Each session logs half a dozen lines at level INFO, on the thread that starts or stops it. While a thread of
 * tftrace's does that it is marked, and a line of that level which the logging library prints from it is dropped;
 * warnings and errors, and whatever other threads say meanwhile, go where they went before. */
#include "slots.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static __thread int marked;
static tft_patches patches;

/* "I0000 00:00:1795496695.330941 ..." (absl) or "2026-11-24 05:04:55.330941: I tensorflow/..." (TensorFlow's own) */
static int is_info(const char *text, size_t n) {
  if (n > 5 && text[0] == 'I' && isdigit((unsigned char)text[1]) && isdigit((unsigned char)text[4])) return 1;
  const char *level = n > 40 && isdigit((unsigned char)text[0]) ? memmem(text, 40, ": I ", 4) : NULL;
  return level != NULL;
}

static size_t hook_fwrite(const void *text, size_t size, size_t n, FILE *file) {
  if (marked && file == stderr && is_info(text, size * n)) return n;
  return fwrite(text, size, n, file);
}

static int print(FILE *file, const char *format, va_list arguments) {
  if (marked && file == stderr) {
    char start[64];
    va_list again;
    va_copy(again, arguments);
    int n = vsnprintf(start, sizeof start, format, again);
    va_end(again);
    if (n > 0 && is_info(start, (size_t)n < sizeof start ? (size_t)n : sizeof start - 1)) return n;
  }
  return vfprintf(file, format, arguments);
}

TFT_FPRINTF_HOOKS(print)

/* Number of slots patched; 0: none found, the profiler's lines would reach stderr. */
TFT_API int tft_quiet_install(void) {
  static const tft_redirect to[] = {
      {"fwrite", hook_fwrite}, {"fprintf", hook_fprintf}, {"__fprintf_chk", hook_fprintf_chk}};
  if (!patches.count) {
    tft_redirect_calls("libtensorflow_framework.so", to, 3, &patches);
    tft_redirect_calls("libtensorflow_cc.so", to, 3, &patches);
    tft_redirect_calls("_pywrap_profiler.so", to, 3, &patches); /* TF 2.15 logs with a copy of its own */
  }
  return patches.count;
}

TFT_API void tft_quiet_remove(void) { tft_restore_calls(&patches); }
TFT_API void tft_quiet(int on) { marked = on; }
