/* Calls that a program without Python makes into TensorFlow's C API: TFE_Execute (an eager op) and TF_SessionRun.
 *
 * The slots of the program's own linkage table are pointed at the functions below, which record the call as the
 * dispatch hook records a call from Python, and go on to the original. */
#include "native_process.h"
#include "slots.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { SESSION = 3, TFE = 4 }; /* contract.ENTRIES */
enum { OPEN, OK, RAISED };     /* contract.STATUS */
enum { MAX_INPUTS = 32, MAX_RANK = 16, MAX_FETCHES = 32, MAX_SESSIONS = 64 };

typedef struct {
  void *operation;
  int index;
} tf_output;

static struct {
  void (*Execute)(void *op, void **results, int *count, void *status);
  void (*Run)(void *, const void *, const tf_output *, void *const *, int, const tf_output *, void **, int,
              const void *const *, int, void *, void *);
  const char *(*OpName)(const void *op, void *status);
  int (*InputCount)(const void *op, void *status);
  void *(*Input)(const void *op, int index, void *status);
  int (*DataType)(void *handle), (*NumDims)(void *handle, void *status), (*Code)(const void *status);
  int64_t (*Dim)(void *handle, int index, void *status);
  void *(*NewStatus)(void);
  void (*DeleteStatus)(void *status);
  const char *(*OperationName)(const void *operation);
} tf;

static tft_patches patches;
static int metas_fd = -1, sessions_fd = -1, graphs_fd = -1;
static _Atomic(void *) sessions[MAX_SESSIONS]; /* each stands for the graph it runs, numbered from 1 */
static _Atomic uint64_t known_slots[1 << 12];
static tft_set known = {.bits = 12, .slots = known_slots};
static atomic_ullong steps;

static const char *const types[] = { /* TF_DataType */
    "invalid",  "float32", "float64",  "int32",     "uint8",  "int16",    "int8",   "string",  "complex64", "int64",  "bool",
    "qint8",    "quint8",  "qint32",   "bfloat16",  "qint16", "quint16",  "uint16", "complex128", "float16", "resource", "variant",
    "uint32",   "uint64"};

static uint64_t of_text(uint64_t h, const char *text) {
  for (; *text; text++) h = tft_mix(h, (unsigned char)*text);
  return h;
}

static size_t put_text(char *out, size_t room, const char *text) { /* a JSON string */
  size_t n = 0;
  out[n++] = '"';
  for (; *text && n + 3 < room; text++)
    if ((unsigned char)*text >= ' ' && *text != '"' && *text != '\\') out[n++] = *text;
  out[n++] = '"';
  return n;
}

static void put_line(int fd, const char *line, size_t n) {
  ssize_t done = fd >= 0 ? write(fd, line, n) : 0; /* one write: threads and a sudden end mix nothing */
  (void)done;
}

/* What an eager op is called with; each description is written once. 0 where it found no room. */
static uint64_t describe_op(void *op) {
  void *status = tf.NewStatus();
  const char *name = tf.OpName(op, status);
  int count = tf.InputCount(op, status), ranks[MAX_INPUTS], type[MAX_INPUTS];
  int64_t dims[MAX_INPUTS][MAX_RANK];
  uint64_t h = of_text(5, name ? name : "");
  if (count > MAX_INPUTS) count = MAX_INPUTS;
  for (int i = 0; i < count; i++) {
    void *handle = tf.Input(op, i, status);
    type[i] = handle ? tf.DataType(handle) : 0;
    ranks[i] = handle ? tf.NumDims(handle, status) : -1;
    if (ranks[i] > MAX_RANK) ranks[i] = -1;
    h = tft_mix(h, (uint64_t)(type[i] * 64 + ranks[i]));
    for (int k = 0; k < ranks[i]; k++) h = tft_mix(h, (uint64_t)(dims[i][k] = tf.Dim(handle, k, status)));
  }
  h |= !h;
  int added = tft_set_add(&known, h);
  if (added == 1) {
    char line[8192];
    size_t room = sizeof line, n = (size_t)snprintf(line, room, "{\"key\": %llu, \"op\": ", (unsigned long long)h);
    n += put_text(line + n, 512, name ? name : "");
    n += (size_t)snprintf(line + n, room - n, ", \"is_function\": false, \"inputs\": [");
    for (int i = 0; i < count && n < room - 512; i++) {
      const char *word = type[i] >= 0 && type[i] < (int)(sizeof types / sizeof *types) ? types[type[i]] : "unknown";
      n += (size_t)snprintf(line + n, room - n, "%s[\"%s\", ", i ? ", " : "", word);
      if (ranks[i] < 0) n += (size_t)snprintf(line + n, room - n, "null]");
      else {
        line[n++] = '[';
        for (int k = 0; k < ranks[i]; k++) n += (size_t)snprintf(line + n, room - n, "%s%lld", k ? ", " : "", (long long)dims[i][k]);
        n += (size_t)snprintf(line + n, room - n, "]]");
      }
    }
    n += (size_t)snprintf(line + n, room - n, "], \"attrs\": {}, \"device\": null}\n");
    put_line(metas_fd, line, n);
  }
  tf.DeleteStatus(status);
  return added < 0 ? 0 : h;
}

static int graph_of(void *session) { /* 0: there were too many */
  for (int i = 0; i < MAX_SESSIONS; i++) {
    void *seen = NULL;
    if (atomic_compare_exchange_strong(&sessions[i], &seen, session)) {
      char line[128];
      int n = snprintf(line, sizeof line, "{\"graph\": %d, \"name\": \"session %d\", \"kind\": \"graph\", \"function\": null}\n", i + 1, i + 1);
      put_line(graphs_fd, line, (size_t)n);
      return i + 1;
    }
    if (seen == session) return i + 1;
  }
  return 0;
}

static uint64_t describe_run(void *session, const tf_output *fetches, int count) {
  int graph = graph_of(session);
  uint64_t h = tft_mix(7, (uint64_t)graph);
  for (int i = 0; i < count; i++) h = tft_mix(of_text(h, tf.OperationName(fetches[i].operation)), (uint64_t)fetches[i].index);
  h |= !h;
  int added = tft_set_add(&known, h);
  if (added == 1) {
    char line[8192];
    size_t n = (size_t)snprintf(line, sizeof line, "{\"key\": %llu, \"graph\": ", (unsigned long long)h);
    n += (size_t)(graph ? snprintf(line + n, 16, "%d", graph) : snprintf(line + n, 16, "null"));
    n += (size_t)snprintf(line + n, sizeof line - n, ", \"fetches\": [");
    for (int i = 0; i < count && i < MAX_FETCHES && n < sizeof line - 512; i++) {
      if (i) line[n++] = ',';
      n += put_text(line + n, 256, tf.OperationName(fetches[i].operation));
    }
    n += (size_t)snprintf(line + n, sizeof line - n, "]}\n");
    put_line(sessions_fd, line, n);
  }
  return added < 0 ? 0 : h;
}

static tft_dispatch *enter(uint16_t kind, uint64_t meta, uint64_t *outer) {
  uint64_t index;
  tft_dispatch *r = tft_slot(&tft_dispatch_file, &index);
  *outer = tft_call;
  if (!r) return NULL;
  r->tid = tft_tid();
  r->kind = kind;
  r->parent = tft_call;
  r->meta = meta;
  r->step = kind == SESSION ? atomic_fetch_add(&steps, 1) + 1 : atomic_load(&steps);
  tft_call = index + 1;
  r->t1 = 0;
  r->status = OPEN;
  r->t0 = tft_now();
  return r;
}

static void leave(tft_dispatch *r, uint64_t outer, const void *status) {
  if (!r) return;
  r->t1 = tft_now();
  r->status = tf.Code(status) == 0 ? OK : RAISED;
  tft_call = outer;
}

static void hook_execute(void *op, void **results, int *count, void *status) {
  if (!tft_ready()) return tf.Execute(op, results, count, status);
  uint64_t outer;
  tft_dispatch *r = enter(TFE, describe_op(op), &outer);
  tf.Execute(op, results, count, status);
  leave(r, outer, status);
}

static void hook_run(void *session, const void *options, const tf_output *feeds, void *const *values, int n_feeds,
                     const tf_output *fetches, void **results, int n_fetches, const void *const *targets, int n_targets,
                     void *metadata, void *status) {
  uint64_t outer;
  tft_dispatch *r = tft_ready() ? enter(SESSION, describe_run(session, fetches, n_fetches), &outer) : NULL;
  tf.Run(session, options, feeds, values, n_feeds, fetches, results, n_fetches, targets, n_targets, metadata, status);
  leave(r, outer, status);
}

/* Slots of the program itself that were taken over; 0: it calls neither, or not through a linkage table. */
int tft_c_api_install(void) {
  static const tft_redirect to[] = {{"TFE_Execute", hook_execute}, {"TF_SessionRun", hook_run}};
  static const struct {
    const char *name;
    void *into;
  } needed[] = {
      {"TFE_Execute", &tf.Execute},          {"TF_SessionRun", &tf.Run},
      {"TFE_OpGetName", &tf.OpName},         {"TFE_OpGetFlatInputCount", &tf.InputCount},
      {"TFE_OpGetFlatInput", &tf.Input},     {"TFE_TensorHandleDataType", &tf.DataType},
      {"TFE_TensorHandleNumDims", &tf.NumDims}, {"TFE_TensorHandleDim", &tf.Dim},
      {"TF_GetCode", &tf.Code},              {"TF_NewStatus", &tf.NewStatus},
      {"TF_DeleteStatus", &tf.DeleteStatus}, {"TF_OperationName", &tf.OperationName},
  };
  for (size_t i = 0; i < sizeof needed / sizeof *needed; i++) {
    void *found = dlsym(RTLD_DEFAULT, needed[i].name);
    if (!found) return 0;
    memcpy(needed[i].into, &found, sizeof found);
  }
  tft_redirect_calls("", to, 2, &patches); /* "": the first object, which is the program */
  return patches.count;
}

void tft_c_api_open(const char *directory) {
  if (!patches.count) return;
  if (metas_fd >= 0) close(metas_fd);
  if (sessions_fd >= 0) close(sessions_fd);
  metas_fd = tft_open_in(directory, "metas.jsonl", O_WRONLY | O_APPEND);
  sessions_fd = tft_open_in(directory, "sessions.jsonl", O_WRONLY | O_APPEND);
  if (graphs_fd >= 0) close(graphs_fd);
  graphs_fd = tft_open_in(directory, "graphs.jsonl", O_WRONLY | O_APPEND);
  for (int i = 0; i < MAX_SESSIONS; i++) atomic_store(&sessions[i], NULL);
  atomic_store(&known.count, 0);
  memset((void *)known_slots, 0, sizeof known_slots);
}
