/* Keeps the lines of ONEDNN_VERBOSE off the user's stdout.
 *
 * oneDNN prints them with the C library's printf, from inside libtensorflow_cc. The slots through which that one
 * library calls printf and fflush are pointed at the functions below: lines of oneDNN go to verbose.bin, whole;
 * everything else goes on to where it went before. File descriptor 1 is never touched.
 *
 * It words a line by snprintf, twice, which takes longer than many a primitive, and all but the time is the same
 * whenever the primitive runs. So its snprintf is pointed at a function of ours, too, which knows the format and what
 * ran before: of a line that was written whole once, only the time is kept, as a number, in onednn.bin, and oneDNN gets
 * an empty line to print. What it does not know it leaves to the C library.
 *
 * A oneDNN that was built without ITT (TensorFlow 2.12) prints its lines all the same, on the thread of the primitive
 * and before the function that runs it returns: the native stack is then taken here. */
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

/* ---- a line that differs from an earlier one in its time alone */
#define EXECUTED "%sprimitive,exec%s,%s,%g\n" /* timestamp, nothing, what ran, its milliseconds; since oneDNN 3.5 */
enum { KNOWN = 1 << 10, TRIES = 16, LATEST = 16 };
/* What ran, as oneDNN words it. Never freed: another thread may be reading it. */
typedef struct {
  uint64_t hash;
  uint32_t line; /* block of its first line in verbose.bin + 1 */
  unsigned recording;
  char text[];
} known_t;
static known_t *_Atomic known[KNOWN];
static atomic_uint recording;
static __thread struct {
  const char *text; /* where oneDNN keeps it */
  const known_t *known;
} latest[LATEST]; /* of this thread, by address */
static atomic_int stacks; /* wanted of primitives that ITT does not report */
/* The line that this thread's oneDNN is putting into words. */
static __thread struct {
  int64_t t;            /* when the primitive had ended; 0: none */
  const char *text;     /* what ran */
  const known_t *known; /* NULL: its line is written whole */
  double ms;
} line;

static uint64_t hash(const char *text) {
  size_t n = strlen(text);
  uint64_t h = n, word;
  for (; n >= sizeof word; n -= sizeof word, text += sizeof word) {
    memcpy(&word, text, sizeof word);
    h = tft_mix(h, word);
  }
  while (n--) h = tft_mix(h, (unsigned char)*text++);
  return h;
}

static const known_t *find(const char *text) {
  unsigned current = atomic_load_explicit(&recording, memory_order_relaxed);
  unsigned slot = (unsigned)(tft_mix(1, (uintptr_t)text) >> 60);
  const known_t *last = latest[slot].known;
  if (latest[slot].text == text && last->recording == current && !strcmp(last->text, text)) return last;
  uint64_t h = hash(text);
  for (unsigned tries = 0; tries < TRIES; tries++) {
    const known_t *k = atomic_load_explicit(&known[(h + tries) % KNOWN], memory_order_acquire);
    if (!k) return NULL;
    if (k->hash != h || k->recording != current || strcmp(k->text, text)) continue;
    latest[slot].text = text, latest[slot].known = k;
    return k;
  }
  return NULL;
}

static void learn(const char *text, uint64_t first) {
  size_t bytes = strlen(text) + 1;
  known_t *k = first <= UINT32_MAX ? malloc(sizeof *k + bytes) : NULL;
  if (!k) return;
  k->hash = hash(text), k->line = (uint32_t)first, k->recording = atomic_load(&recording);
  memcpy(k->text, text, bytes);
  for (unsigned tries = 0; tries < TRIES; tries++) {
    known_t *empty = NULL;
    if (atomic_compare_exchange_strong(&known[(k->hash + tries) % KNOWN], &empty, k)) return;
  }
  free(k); /* no room: its lines go on being written whole */
}

/* 1 where oneDNN asks for a line that need not be put into words. */
static int short_line(const char *stamp, const char *nothing, const char *text, double ms, int begins) {
  if (begins) {
    line.t = tft_now(), line.text = text, line.known = NULL;
    tft_itt_ended(line.t);
    int whole = pass_on || *stamp || *nothing || (!tft_itt_current && atomic_load_explicit(&stacks, memory_order_relaxed));
    if (!whole) line.known = find(text);
    else line.text = NULL;
  }
  line.ms = ms;
  return line.t && line.known && line.text == text;
}

static int hook_snprintf(char *to, size_t size, const char *format, ...) {
  va_list arguments, again;
  int n;
  va_start(arguments, format);
  if (__builtin_expect(format[0] == '%' && format[1] == 's' && format[2] == 'p', 0) &&
      atomic_load_explicit(&tft_recording, memory_order_relaxed) && !strcmp(format, EXECUTED)) {
    va_copy(again, arguments);
    const char *stamp = va_arg(again, const char *), *nothing = va_arg(again, const char *);
    const char *text = va_arg(again, const char *);
    n = short_line(stamp, nothing, text, va_arg(again, double), !to); /* first it asks for the length */
    va_end(again);
    if (n) {
      if (to) snprintf(to, size, "\n");
      va_end(arguments);
      return n;
    }
  }
  n = vsnprintf(to, size, format, arguments);
  va_end(arguments);
  return n;
}

/* ---- lines as they are printed */
static void keep_short(void) {
  uint64_t index;
  tft_onednn *r = tft_slot(&tft_onednn_file, &index);
  if (r) {
    r->itt = tft_itt_current;
    memcpy(&r->ms, &line.ms, sizeof r->ms);
    r->tid = tft_tid();
    r->line = line.known->line;
    r->t = line.t;
  }
  line.t = 0;
}

TFT_API void tft_verbose_stacks(int wanted) { atomic_store(&stacks, wanted); }

/* A record as ITT would have made it, of the primitive that ended at `t` with this line; index + 1, or 0. */
static uint64_t ended(const char *text, int length, int64_t t) {
  uint16_t flags = 0;
  uint64_t index;
  const char *comma = memrchr(text, ',', (size_t)length);
  double ms = comma ? strtod(comma + 1, NULL) : 0;
  uint32_t tid = tft_tid();
  tft_itt *r = tft_slot(&tft_itt_file, &index);
  if (!r) return 0;
  r->call = tft_call;
  r->tid = tid;
  r->stack = tft_native_stack(&flags);
  r->flags = flags | TFT_ITT_LINE;
  r->t1 = t;
  r->t0 = t - (int64_t)(ms > 0 ? ms * 1e6 : 0);
  r->own_ns = r->after_ns = (uint32_t)(tft_now() - t);
  return index + 1;
}

static void keep(const char *text, int length) {
  /* Eigen calls the matrix product alone, which is no primitive: no ITT task belongs to it */
  int executed = strstr(text, ",exec,") && !strstr(text, ",gemm_api,");
  int64_t t = executed && line.t ? line.t : tft_now();
  uint64_t record = tft_itt_current;
  if (executed && !record && atomic_load_explicit(&stacks, memory_order_relaxed)) record = ended(text, length, t);
  const uint64_t head[] = {tft_tid(), (uint64_t)t, record};
  uint64_t first = tft_text_add(&tft_verbose_file, head, 3, text, (size_t)length);
  if (first) atomic_fetch_add_explicit(&lines, 1, memory_order_relaxed);
  if (!executed) return;
  atomic_fetch_add_explicit(&primitives, 1, memory_order_relaxed);
  if (first && line.t && line.text) learn(line.text, first);
  line.t = 0;
}

static int take(const char *format, va_list arguments) {
  char small[4096], *text = small;
  if (line.t && line.known && !unended) {
    keep_short();
    return swallow = 1;
  }
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
    if (whole && !unended && atomic_load_explicit(&tft_recording, memory_order_relaxed)) keep(text, n);
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
    char *whole = malloc(n + 2);
    if (whole) {
      memcpy(whole, text, n);
      memcpy(whole + n, "\n", 2);
      keep(whole, (int)n + 1);
      free(whole);
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
  static const tft_redirect word[] = {{"snprintf", hook_snprintf}};
  pass_on = user_asked();
  if (!patches.count) tft_redirect_calls(library, print, 3, &patches);
  if (patches.count) {
    tft_redirect_calls(library, flush, 1, &patches);
    tft_redirect_calls(library, word, 1, &patches);
  }
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

static uint64_t written(const tft_file *file) { return atomic_load(&file->next) - atomic_load(&file->lost); }

/* A new recording counts from 0, and has a new verbose.bin. */
void tft_verbose_open(void) {
  atomic_store(&lines, 0), atomic_store(&primitives, 0);
  atomic_fetch_add(&recording, 1);
  for (int i = 0; i < KNOWN; i++) atomic_store(&known[i], NULL);
  line.t = 0;
}

TFT_API uint64_t tft_verbose_lines(void) { return atomic_load(&lines) + written(&tft_onednn_file); }

/* How many of them tell of a primitive that ran. */
TFT_API uint64_t tft_verbose_primitives(void) { return atomic_load(&primitives) + written(&tft_onednn_file); }

TFT_API uint64_t tft_verbose_lost(void) {
  return atomic_load(&tft_verbose_file.lost) + atomic_load(&tft_onednn_file.lost);
}
