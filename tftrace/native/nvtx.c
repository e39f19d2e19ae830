/* The client side of NVTX v3, as far as ranges need it: loads the tool named by NVTX_INJECTION64_PATH and hands it
 * the table of entry points to fill. Structures and numbers are the public ones of NVTX. Where no tool is attached
 * nothing is loaded and nothing is called. */
#include "tftrace.h"

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { CORE2 = 5, CORE2_ENTRIES = 16, ETID_CALLBACKS = 1, ETID_VERSION = 3 };
enum { MARK = 1, START, END_, PUSH, POP, RESOURCE, UNRESOURCE, NAME_CATEGORY, NAME_CATEGORY_W, REGISTER, REGISTER_W,
       CREATE_DOMAIN };

typedef struct {
  uint16_t version, size;
  uint32_t category;
  int32_t color_type;
  uint32_t color;
  int32_t payload_type, reserved;
  union {
    uint64_t u;
    double d;
  } payload;
  int32_t message_type;
  union {
    const char *ascii;
    void *registered;
  } message;
} attributes;
_Static_assert(sizeof(attributes) == 48, "nvtxEventAttributes_t v2");

static void *entry[CORE2_ENTRIES];           /* filled by the tool */
static void **table[CORE2_ENTRIES + 1];      /* addresses of the above */
static void *domain;
int tft_nvtx_active;

static int module_table(int module, void ****out, unsigned *size) {
  if (module != CORE2) return 0;
  for (int i = 0; i < CORE2_ENTRIES; i++) table[i] = &entry[i];
  *out = table;
  *size = CORE2_ENTRIES;
  return 1;
}
static void set_version(uint32_t version) { (void)version; }
static const struct {
  size_t size;
  int (*module_table)(int, void ****, unsigned *);
} callbacks = {sizeof callbacks, module_table};
static const struct {
  size_t size;
  uint32_t version, reserved;
  void (*set_version)(uint32_t);
} version_info = {sizeof version_info, 3, 0, set_version};

static const void *export_table(uint32_t id) {
  return id == ETID_CALLBACKS ? (const void *)&callbacks : id == ETID_VERSION ? (const void *)&version_info : NULL;
}

/* 1 where a tool is attached and takes ranges, 0 where none is, -1 where the tool could not be used. */
TFT_API int tft_nvtx_start(void) {
  static const char *const layers[] = {"python",  "api",     "gen_op", "runtime", "kernel", "stream_executor",
                                       "library", "device"};
  const char *path = getenv("NVTX_INJECTION64_PATH");
  if (tft_nvtx_active) return 1;
  if (!path || !*path) return 0;
  if (!domain) {
    void *tool = dlopen(path, RTLD_LAZY | RTLD_LOCAL);
    int (*initialize)(const void *(*)(uint32_t)) = tool ? dlsym(tool, "InitializeInjectionNvtx2") : NULL;
    if (!initialize || !initialize(export_table)) return -1;
    if (!entry[CREATE_DOMAIN] || !entry[PUSH] || !entry[POP]) return -1;
    domain = ((void *(*)(const char *))entry[CREATE_DOMAIN])("tftrace");
    if (entry[NAME_CATEGORY])
      for (uint32_t i = 0; i < 8; i++)
        ((void (*)(void *, uint32_t, const char *))entry[NAME_CATEGORY])(domain, i + 1, layers[i]);
  }
  return tft_nvtx_active = 1;
}

TFT_API void tft_nvtx_stop(void) { tft_nvtx_active = 0; }

void tft_nvtx_push(const char *message, uint32_t category) {
  attributes a = {.version = 2, .size = sizeof a, .category = category, .message_type = 1};
  a.message.ascii = message;
  ((int (*)(void *, const attributes *))entry[PUSH])(domain, &a);
}

void tft_nvtx_pop(void) { ((int (*)(void *))entry[POP])(domain); }
