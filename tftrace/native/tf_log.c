/* Verbose logging of chosen modules of TensorFlow, kept off the user's stderr.
 *
 * TensorFlow logs through Abseil, inside libtensorflow_framework. Its levels are read from the environment once, while
 * that library loads; afterwards they are changed here through Abseil's own functions, so that neither the environment
 * nor a child process is touched. Every message that passes the levels goes through one call, LogToSinks, by a slot of
 * the procedure linkage table. That slot is pointed at `hook`, which sees the message with its level:
 *   - a message of a noted module is written to tf_log.bin;
 *   - it goes on to where it went before only where the user's own levels would have let it pass.
 * So Abseil's sinks, its once-only warning among them, see what they would have seen. File descriptor 2 is untouched.
 *
 * The fields of a message are read at offsets of Abseil's LogEntry. They are proved first: a message of our own is
 * made through Abseil's functions and has to be found there, field by field; otherwise nothing is changed. */
#include "native_process.h"
#include "slots.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

typedef struct { /* std::basic_string_view of libstdc++ */
  size_t length;
  const char *text;
} view;
typedef struct { /* absl::Span */
  const char *text;
  size_t length;
} span;
typedef struct { /* absl::LogEntry, as far as it is read */
  view file, base;
  int32_t line;
  uint8_t prefix;
  int32_t severity;
  int32_t verbosity; /* -1: not a verbose message */
  uint8_t time[12];
  int32_t tid;
  span text; /* with prefix, newline and NUL */
} entry;
_Static_assert(offsetof(entry, severity) == 40 && offsetof(entry, text) == 64, "absl::LogEntry");

enum { MODULES = 32, NAME = 40 };
typedef struct {
  char name[NAME];
  size_t length;
  int level; /* what tftrace asks for; -1: the module's messages are noted, its level stays */
  int users; /* what the user's settings give */
} module;

static module modules[MODULES];
static int module_count, user_minimum;
static tft_patches patches;
static atomic_ullong lines;

static void (*to_sinks)(const entry *, const void *, size_t, int);
static int (*minimum)(void);
static void (*set_minimum)(int);
static int (*level_of)(view);
static int (*set_level)(view, int);
static void (*make)(void *, const char *, int, int);
static void *(*with_verbosity)(void *, int);
static void (*flush)(void *);
static void (*destroy)(void *);

/* ---- the proof of the layout */
static const char proof_file[] = "of/tftrace/proof.cc";
enum { PROOF_LINE = 4242, PROOF_VERBOSITY = 77 };
static __thread enum { NO, AWAITED, EXPECTED, STRANGE } proving; /* whether this thread's message is ours, and how it was */

/* Reads memory that may not be there. */
static int readable(const void *from, void *into, size_t n) {
  struct iovec here = {into, n}, there = {(void *)from, n};
  return process_vm_readv(getpid(), &here, 1, &there, 1, 0) == (ssize_t)n;
}

static int as_expected(const entry *message) {
  entry e;
  char start[64];
  const char *base = strrchr(proof_file, '/') + 1;
  if (!readable(message, &e, sizeof e)) return 0;
  if (e.file.text != proof_file || e.file.length != strlen(proof_file)) return 0;
  if (e.base.text != base || e.base.length != strlen(base)) return 0;
  if (e.line != PROOF_LINE || e.severity != 0 || e.verbosity != PROOF_VERBOSITY) return 0;
  if (e.text.length < 20 || e.text.length > 200) return 0;
  size_t n = e.text.length < sizeof start ? e.text.length : sizeof start;
  if (!readable(e.text.text, start, n)) return 0;
  return start[0] == 'I' && memmem(start, n, " proof.cc:4242] ", 16) != NULL;
}

/* ---- the hook */
static const module *module_of(const entry *message) {
  const char *dot = memchr(message->base.text, '.', message->base.length);
  size_t n = dot ? (size_t)(dot - message->base.text) : message->base.length;
  for (int i = 0; i < module_count; i++)
    if (modules[i].length == n && !memcmp(modules[i].name, message->base.text, n)) return &modules[i];
  return NULL;
}

static void hook(const entry *message, const void *sinks, size_t sink_count, int only) {
  if (proving != NO) { /* never shown, not even when its destructor sends it again */
    if (proving == AWAITED) proving = as_expected(message) ? EXPECTED : STRANGE;
    return;
  }
  const module *m = module_of(message);
  const char *said = m && !strcmp(m->name, "log_memory") ? strstr(message->text.text, "] ") : NULL;
  if (m && (!said || tft_executor_telling(said + 2)) && atomic_load_explicit(&tft_recording, memory_order_relaxed)) {
    int kept = errno;
    const char *text = message->text.text;
    size_t length = message->text.length;
    if (length && !text[length - 1]) length--;
    const uint64_t head[] = {tft_tid(), (uint64_t)tft_now(), tft_call, (uint64_t)(message->verbosity + 1), length};
    if (tft_text_add(&tft_log_file, head, 5, text, length)) atomic_fetch_add_explicit(&lines, 1, memory_order_relaxed);
    errno = kept;
  }
  if (said && m->level > m->users) return; /* logged as INFO, but only where that level is raised */
  if (message->severity < user_minimum) return;
  if (m && m->level >= 0 && message->verbosity >= 0 && message->verbosity > m->users) return;
  to_sinks(message, sinks, sink_count, only);
}

/* ---- Abseil's functions, in whatever inline namespace (lts_..) this TensorFlow has them */
static int function(void *library, const char *space, const char *rest, void *into) {
  char name[256];
  snprintf(name, sizeof name, "%s%s", space, rest);
  void *found = dlsym(library, name);
  memcpy(into, &found, sizeof found);
  return found != NULL;
}

static const char *find(const char *path, const char *called) {
  char space[64];
  const char *end = strstr(called, "12log_internal10LogToSinks");
  void *library = dlopen(path, RTLD_LAZY | RTLD_NOLOAD);
  if (!library || !end || (size_t)(end - called) >= sizeof space) return "its logging library could not be found";
  memcpy(space, called, (size_t)(end - called));
  space[end - called] = 0;
  const struct {
    const char *rest;
    void *into;
  } wanted[] = {
      {end, &to_sinks},
      {"11MinLogLevelEv", &minimum},
      {"14SetMinLogLevelENS0_18LogSeverityAtLeastE", &set_minimum},
      {"12log_internal9VLogLevelESt17basic_string_viewIcSt11char_traitsIcEE", &level_of},
      {"12log_internal14PrependVModuleESt17basic_string_viewIcSt11char_traitsIcEEi", &set_level},
      {"12log_internal10LogMessageC1EPKciNS0_11LogSeverityE", &make},
      {"12log_internal10LogMessage13WithVerbosityEi", &with_verbosity},
      {"12log_internal10LogMessage5FlushEv", &flush},
      {"12log_internal10LogMessageD1Ev", &destroy},
  };
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
    if (!function(library, space, wanted[i].rest, wanted[i].into)) return "its logging library lacks a function";
  return NULL;
}

static int proved(void) {
  uint64_t message[64] = {0}; /* a LogMessage is one pointer */
  proving = AWAITED;
  make(message, proof_file, PROOF_LINE, 0);
  with_verbosity(message, PROOF_VERBOSITY);
  flush(message);
  int result = proving == EXPECTED;
  if (proving == AWAITED) proving = STRANGE;
  destroy(message);
  proving = NO;
  return result;
}

static void set_levels(int raised) {
  for (int i = 0; i < module_count; i++) {
    module *m = &modules[i];
    if (m->level > m->users) set_level((view){m->length, m->name}, raised ? m->level : m->users);
  }
}

/* `library`: path of libtensorflow_framework; `wanted`: "module=level,module=-1,..". NULL, or why not. */
TFT_API const char *tft_log_install(const char *library, const char *wanted) {
  if (patches.count) return NULL;
  const char *base = strrchr(library, '/') ? strrchr(library, '/') + 1 : library;
  const char *called = tft_called_function(base, "12log_internal10LogToSinks");
  if (!called) return "it does not log through Abseil in a known way";
  const char *missing = find(library, called);
  if (missing) return missing;
  module_count = 0;
  while (*wanted && module_count < MODULES) {
    module *m = &modules[module_count];
    int n = 0;
    if (sscanf(wanted, "%39[^=]=%d%n", m->name, &m->level, &n) != 2) break;
    m->length = strlen(m->name);
    m->users = level_of((view){m->length, m->name});
    module_count++;
    wanted += n + (wanted[n] == ',');
  }
  user_minimum = minimum();
  const tft_redirect to = {called, hook};
  tft_redirect_calls(base, &to, 1, &patches);
  if (!patches.count) return "its log calls could not be redirected";
  set_minimum(0);
  if (!proved()) {
    set_minimum(user_minimum);
    tft_restore_calls(&patches);
    return "its log messages are laid out in an unknown way";
  }
  set_levels(1);
  return NULL;
}

TFT_API void tft_log_remove(void) {
  if (!patches.count) return;
  set_levels(0);
  set_minimum(user_minimum);
  tft_restore_calls(&patches);
}

/* lines written and lost */
TFT_API void tft_log_counts(uint64_t out[2]) {
  out[0] = atomic_load(&lines), out[1] = atomic_load(&tft_log_file.lost);
}
