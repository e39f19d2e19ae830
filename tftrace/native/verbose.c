/* Keeps the lines of ONEDNN_VERBOSE off the user's stdout.
 *
 * oneDNN prints them with the C library's printf, from inside libtensorflow_cc. The slots through which that one
 * library calls printf and fflush are pointed at the functions below: lines of oneDNN go whole, each with one
 * copy, to verbose.bin; everything else goes on to where it went before. File descriptor 1 is never touched. */
#include "slots.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int pass_on; /* the user had asked for the lines too */
static atomic_ullong lines, primitives;
static __thread int swallow; /* an fflush(stdout) that follows a line of ours is swallowed with it */
static __thread int unended; /* oneDNN prints its head of columns in two parts, up to version 3.2 */

static tft_patches patches;

static int of_onednn(const char *text) {
  return !strncmp(text, "onednn_verbose,", 15) || !strncmp(text, "dnnl_verbose,", 13) ||
         !strncmp(text, "mkldnn_verbose,", 15);
}

static void keep(const char *text, int length) {
  const uint64_t head[] = {tft_tid(), (uint64_t)tft_now(), tft_itt_current};
  if (tft_text_add(&tft_verbose_file, head, 3, text, (size_t)length))
    atomic_fetch_add_explicit(&lines, 1, memory_order_relaxed);
}

static void count(const char *text, int length) {
  keep(text, length);
  /* Eigen calls the matrix product alone, which is no primitive: no ITT task belongs to it */
  if (strstr(text, ",exec,") && !strstr(text, ",gemm_api,")) atomic_fetch_add(&primitives, 1);
}

static int take(const char *format, va_list arguments) {
  char small[4096], *text = small;
  va_list again;
  va_copy(again, arguments);
  int n = vsnprintf(small, sizeof small, format, arguments);
  if (n >= (int)sizeof small && (text = malloc((size_t)n + 1))) {
    va_list second;
    va_copy(second, again);
    vsnprintf(text, (size_t)n + 1, format, second);
    va_end(second);
  }
  int ours = n > 0 && text && (unended || of_onednn(text));
  if (ours) {
    int whole = text[n - 1] == '\n';
    if (whole && !unended && atomic_load_explicit(&tft_recording, memory_order_relaxed)) count(text, n);
    unended = !whole;
    swallow = !pass_on;
  }
  if (!ours || pass_on) n = vprintf(format, again);
  va_end(again);
  if (text != small) free(text);
  return n;
}

static int hook_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = take(format, arguments);
  va_end(arguments);
  return n;
}

static int hook_printf_chk(int flag, const char *format, ...) {
  (void)flag;
  va_list arguments;
  va_start(arguments, format);
  int n = take(format, arguments);
  va_end(arguments);
  return n;
}

/* What a compiler makes of printf("%s\n", line). */
static int hook_puts(const char *text) {
  if (!of_onednn(text)) return puts(text);
  if (atomic_load_explicit(&tft_recording, memory_order_relaxed)) {
    size_t n = strlen(text);
    char *line = malloc(n + 2);
    if (line) {
      memcpy(line, text, n);
      memcpy(line + n, "\n", 2);
      count(line, (int)n + 1);
      free(line);
    }
  }
  swallow = !pass_on;
  return pass_on ? puts(text) : 1;
}

static int hook_fflush(FILE *file) {
  if (file == stdout && swallow) {
    swallow = 0;
    return 0;
  }
  return fflush(file);
}

/* ---- oneDNN is asked for its lines where it looks into the environment, at its first primitive: in the environment
 * itself a child would inherit the question, and print on the user's stdout. */
static char told[64]; /* what the agent has it told; "": nothing */
static tft_patches asked;

static int user_asked(void) {
  const char *user = getenv("ONEDNN_VERBOSE");
  if (!user) user = getenv("DNNL_VERBOSE");
  return user && *user && strcmp(user, "0") && strcmp(user, "none");
}

/* What oneDNN finds as its ONEDNN_VERBOSE: the user's, who may have set it since TensorFlow was imported, or `ours`. */
char *tft_verbose_answer(const char *ours) {
  pass_on = user_asked();
  return pass_on || !*ours ? getenv("ONEDNN_VERBOSE") : (char *)ours;
}

static char *hook_getenv(const char *name) {
  return strcmp(name, "ONEDNN_VERBOSE") ? getenv(name) : tft_verbose_answer(told);
}

/* Number of slots patched in `library`; 0: none found, lines would reach stdout. */
TFT_API int tft_verbose_install(const char *library) {
  static const tft_redirect print[] = {
      {"printf", hook_printf}, {"__printf_chk", hook_printf_chk}, {"puts", hook_puts}};
  static const tft_redirect flush[] = {{"fflush", hook_fflush}};
  pass_on = user_asked();
  if (!patches.count) tft_redirect_calls(library, print, 3, &patches);
  if (patches.count) tft_redirect_calls(library, flush, 1, &patches);
  return patches.count;
}

TFT_API void tft_verbose_remove(void) { tft_restore_calls(&patches); }

/* Answers `library` with `value` where it asks for ONEDNN_VERBOSE; no longer where that is "". Number of slots; 0: it
 * does not ask through a slot. */
TFT_API int tft_verbose_ask(const char *library, const char *value) {
  static const tft_redirect to[] = {{"getenv", hook_getenv}};
  snprintf(told, sizeof told, "%s", value);
  if (*told && !asked.count) tft_redirect_calls(library, to, 1, &asked);
  if (!*told) tft_restore_calls(&asked);
  return asked.count;
}

TFT_API int tft_verbose_passed_on(void) { return pass_on; }

/* A new recording counts from 0. */
void tft_verbose_open(void) { atomic_store(&lines, 0), atomic_store(&primitives, 0); }

TFT_API uint64_t tft_verbose_lines(void) { return atomic_load(&lines); }

/* How many of them tell of a primitive that ran. */
TFT_API uint64_t tft_verbose_primitives(void) { return atomic_load(&primitives); }
