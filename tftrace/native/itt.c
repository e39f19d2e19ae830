/* ITT collector. oneDNN loads this library (INTEL_LIBITTNOTIFY64), calls __itt_api_init with the table of its entry
 * points, and then reports the begin and the end of every primitive on the thread that runs it. The structures are
 * the public ones of ittnotify. */
#include "native_process.h"
#include "tftrace.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  const char *name;
  void **function;
  void *init, *null;
  int group;
} api_info;
typedef struct {
  unsigned char magic[8];
  unsigned long major, minor, build;
  volatile long api_initialized, mutex_initialized, atomic_counter;
  char mutex[40];
  void *lib, *error_handler;
  const char **dll_path;
  api_info *api_list;
} itt_global;
typedef struct {
  volatile int flags;
  const char *name;
  void *wide;
  int extra1;
  void *extra2, *next;
} itt_domain;
typedef struct {
  const char *text;
  void *wide;
  int extra1;
  void *extra2, *next;
} itt_string;
typedef struct {
  unsigned long long d1, d2, d3;
} itt_id;

enum { NESTING = 32, MAX_NAMES = 256 };
__thread uint64_t tft_itt_current;
static __thread struct {
  tft_itt *record;
  uint64_t index;
  int64_t entered;
  int ranged; /* an NVTX range stands open for it */
} running[NESTING];
static __thread int depth;
static int names_fd = -1;
/* Handles of names, in the order they were first seen; few. oneDNN's side makes them, before or after we are asked. */
static struct {
  _Atomic(const itt_string *) handle;
} names[MAX_NAMES];
static pthread_mutex_t naming = PTHREAD_MUTEX_INITIALIZER;
static atomic_int attached;

extern void tft_open_by_environment(void);

static void write_name(int id, const itt_string *s) {
  char line[512];
  int n = snprintf(line, sizeof line, "{\"id\": %d, \"name\": \"", id);
  for (const char *c = s->text ? s->text : ""; *c && n < (int)sizeof line - 8; c++)
    if ((unsigned char)*c >= ' ' && *c != '"' && *c != '\\') line[n++] = *c;
  n += snprintf(line + n, sizeof line - n, "\"}\n");
  ssize_t done = write(names_fd, line, n);
  (void)done;
}

static uint32_t name_id(const itt_string *s) { /* from 1; 0: no name, or too many */
  if (!s) return 0;
  for (int i = 0; i < MAX_NAMES; i++) {
    const itt_string *seen = atomic_load_explicit(&names[i].handle, memory_order_acquire);
    if (seen == s) return (uint32_t)i + 1;
    if (!seen) break;
  }
  uint32_t id = 0;
  pthread_mutex_lock(&naming);
  for (int i = 0; i < MAX_NAMES && !id; i++) {
    if (names[i].handle == s) id = (uint32_t)i + 1;
    else if (!names[i].handle) {
      id = (uint32_t)i + 1;
      if (names_fd >= 0) write_name(i + 1, s);
      atomic_store(&names[i].handle, s);
    }
  }
  pthread_mutex_unlock(&naming);
  return id;
}

static itt_domain *domain_create(const char *name) {
  itt_domain *domain = calloc(1, sizeof *domain);
  if (domain) domain->flags = 1, domain->name = strdup(name ? name : "");
  return domain;
}

static itt_string *string_create(const char *text) {
  itt_string *s = calloc(1, sizeof *s);
  if (s) s->text = strdup(text ? text : "");
  return s;
}

static void task_begin(const itt_domain *domain, itt_id task, itt_id parent, itt_string *name) {
  (void)domain, (void)task, (void)parent;
  int at = depth++;
  if (at >= NESTING) return;
  running[at].record = NULL;
  if (!tft_ready()) return;
  uint64_t index;
  uint16_t flags = 0;
  uint32_t tid = tft_tid();
  tft_itt *r = tft_slot(&tft_itt_file, &index);
  if (!r) return;
  running[at].entered = tft_now();
  r->parent = tft_itt_current;
  r->call = tft_call;
  r->tid = tid;
  r->name = name_id(name);
  r->depth = (uint16_t)at;
  r->stack = tft_native_stack(&flags);
  r->flags = flags;
  running[at].record = r;
  running[at].index = index;
  tft_itt_current = index + 1;
  running[at].ranged = tft_nvtx_active;
  if (running[at].ranged) tft_nvtx_push(name ? name->text : "task", TFT_NVTX_LIBRARY);
  r->t1 = 0;
  r->t0 = tft_now();
  r->own_ns = (uint32_t)(r->t0 - running[at].entered);
}

static void task_end(const itt_domain *domain) {
  (void)domain;
  if (depth == 0 || --depth >= NESTING) return;
  tft_itt *r = running[depth].record;
  if (!r) return;
  int64_t now = tft_now();
  if (r->t1) {
    r->after_ns = (uint32_t)(now - r->t1);
    r->own_ns += r->after_ns;
  } else
    r->t1 = now;
  tft_itt_current = r->parent;
  if (running[depth].ranged) tft_nvtx_pop();
}

void tft_itt_ended(int64_t t) {
  if (tft_itt_current && depth > 0 && depth <= NESTING && running[depth - 1].record) running[depth - 1].record->t1 = t;
}

TFT_API void __itt_api_init(itt_global *global, int group) {
  (void)group;
  static const struct {
    const char *name;
    void *function;
  } entries[] = {
      {"__itt_task_begin", task_begin},
      {"__itt_task_end", task_end},
      {"__itt_domain_create", domain_create},
      {"__itt_domain_createA", domain_create},
      {"__itt_string_handle_create", string_create},
      {"__itt_string_handle_createA", string_create},
  };
  tft_open_by_environment();
  for (api_info *api = global->api_list; api->name; api++)
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
      if (!strcmp(api->name, entries[i].name)) *api->function = entries[i].function;
  atomic_store(&attached, 1);
}

TFT_API int tft_itt_attached(void) { return atomic_load(&attached); }

void tft_itt_open(const char *directory) {
  pthread_mutex_lock(&naming);
  if (names_fd >= 0) close(names_fd);
  names_fd = tft_open_in(directory, "itt_names.jsonl", O_WRONLY | O_APPEND);
  for (int i = 0; i < MAX_NAMES && names[i].handle; i++) write_name(i + 1, names[i].handle);
  pthread_mutex_unlock(&naming);
}
