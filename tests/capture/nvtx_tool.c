/* A tool for NVTX: writes every range of the process it is loaded into to the file that NVTX_TOOL_LOG names, a line a
 * range: "push THREAD DOMAIN CATEGORY MESSAGE" and "pop THREAD DOMAIN". Categories are written by their names. */
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { CORE = 1, CORE2 = 5, CALLBACKS = 1 };
enum { PUSH = 4, POP = 5, NAME_CATEGORY = 8, REGISTER = 10, CREATE_DOMAIN = 12 };
enum { MESSAGE_ASCII = 1, MESSAGE_REGISTERED = 3 };

typedef struct {
  uint16_t version, size;
  uint32_t category;
  int32_t color_type;
  uint32_t color;
  int32_t payload_type, reserved;
  uint64_t payload;
  int32_t message_type;
  const char *message;
} attributes;
typedef struct {
  char name[64];
  char category[32][32];
} domain;
typedef struct {
  size_t size;
  int (*module_table)(int, void ****, unsigned *);
} callbacks;

static domain domains[8];
static int count;
static FILE *out;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void say(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&lock);
  vfprintf(out, format, arguments);
  fflush(out);
  pthread_mutex_unlock(&lock);
  va_end(arguments);
}
static long thread(void) { return syscall(SYS_gettid); }

static void *create_domain(const char *name) {
  if (count == 8) abort();
  snprintf(domains[count].name, sizeof domains[count].name, "%s", name);
  return &domains[count++];
}
static void name_category(domain *d, uint32_t number, const char *name) {
  if (number < 32) snprintf(d->category[number], sizeof d->category[number], "%s", name);
}
static void *register_string(domain *d, const char *text) {
  (void)d;
  return strdup(text);
}
static int push(domain *d, const attributes *a) {
  int text = a->message_type == MESSAGE_ASCII || a->message_type == MESSAGE_REGISTERED;
  const char *category = a->category < 32 && d->category[a->category][0] ? d->category[a->category] : "-";
  say("push %ld %s %s %s\n", thread(), d->name, category, text ? a->message : "-");
  return 0;
}
static int pop(domain *d) {
  say("pop %ld %s\n", thread(), d->name);
  return 0;
}

int InitializeInjectionNvtx2(const void *(*export_table)(uint32_t)) {
  static const struct {
    unsigned at;
    void *function;
  } entries[] = {{PUSH, push}, {POP, pop}, {NAME_CATEGORY, name_category}, {REGISTER, register_string},
                 {CREATE_DOMAIN, create_domain}};
  const callbacks *table = export_table(CALLBACKS);
  const char *path = getenv("NVTX_TOOL_LOG");
  void ***slots;
  unsigned size;
  if (!table || !path || !table->module_table(CORE2, &slots, &size)) return 0;
  if (!out) out = fopen(path, "a");
  for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
    if (entries[i].at < size && slots[entries[i].at]) *slots[entries[i].at] = entries[i].function;
  return out != NULL;
}
