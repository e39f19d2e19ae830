/* The dispatch hook: stands in for the three functions through which every op leaves Python, calls the original, and
 * writes one record a call.
 *
 * What a record cannot hold (Python stacks; op names, shapes and attributes: description.c) is represented by a hash, and
 * described by a callback into Python the first time that hash is seen. */
#include "dispatch.h"

#include <string.h>

enum { OPEN, OK, RAISED, FALLBACK }; /* contract.STATUS */
enum { MAX_FRAMES = 256, OWN_EVERY = 61, SESSION_WEIGHT = 20000 };

static void *type_str;
static object *fallback, *on_stack, *on_meta, *on_step, *on_thread;
static _Atomic uint64_t stack_slots[1 << 16], meta_slots[1 << 16];
static tft_set stacks = {.bits = 16, .slots = stack_slots}, metas = {.bits = 16, .slots = meta_slots};
static atomic_ullong steps, step_trigger = ~0ull, work, unknown_stacks, unknown_metas;
static atomic_uint recordings;

/* The key of the stack that started this thread, which goes on where the thread's own ends; 1 where none is known.
 * Asked for once, and again in another recording. */
static uint64_t started_on(void) {
  static __thread uint64_t known;
  static __thread unsigned in;
  unsigned now = atomic_load_explicit(&recordings, memory_order_relaxed);
  if (known && in == now) return known;
  object *answer = tft_py.CallFunctionObjArgs(on_thread, NULL);
  known = 1, in = now;
  if (answer) {
    uint64_t key = tft_py.AsUnsignedLongLong(answer);
    if (!tft_py.Occurred() && key) known = key;
    tft_py.DecRef(answer);
  }
  tft_py.Clear();
  return known;
}

static uint64_t python_stack(int *fresh) {
  object *codes[MAX_FRAMES], *frame = tft_py.GetFrame();
  uint64_t key = started_on();
  int n = 0, owned = 0;
  while (frame) {
    object *code = tft_py.GetCode(frame), *back;
    key = tft_mix(key, (uintptr_t)code);
    key = tft_mix(key, (uint64_t)(tft_py.GetLasti ? tft_py.GetLasti(frame) : tft_py.GetLineNumber(frame)));
    if (n < MAX_FRAMES) codes[n++] = code;
    tft_py.DecRef(code); /* the frame keeps it alive */
    back = tft_py.GetBack(frame);
    if (owned) tft_py.DecRef(frame);
    frame = back, owned = 1;
  }
  key |= !key;
  int added = tft_set_add(&stacks, key);
  *fresh = added == 1;
  if (added == 1) /* the address of a code object is part of the key: it must not be given to another */
    for (int i = 0; i < n; i++) tft_py.IncRef(codes[i]);
  if (added < 0) atomic_fetch_add(&unknown_stacks, 1);
  return added < 0 ? 0 : key;
}

static void call_back(object *function, object *a, object *b, object *c) {
  object *result = tft_py.CallFunctionObjArgs(function, a, b, c, NULL);
  if (result) tft_py.DecRef(result);
  else tft_py.Clear();
}

static void describe_once(uint64_t key, int kind, object *const *a, ptrdiff_t n) {
  object *number = tft_py.FromUnsignedLongLong(key), *which = tft_py.FromLong(kind), *result;
  if (!number || !which) return tft_py.Clear();
  object *all[ENTRIES + TFT_MAX_ITEMS];
  int count = 0;
  all[count++] = number;
  all[count++] = which;
  for (ptrdiff_t i = 0; i < n && count < TFT_MAX_ITEMS; i++) all[count++] = a[i];
  result = tft_py.Vectorcall(on_meta, all, (size_t)count, NULL);
  if (result) tft_py.DecRef(result);
  else tft_py.Clear();
  tft_py.DecRef(number);
  tft_py.DecRef(which);
}

static object *dispatch(int kind, object *original, object *const *a, ptrdiff_t n, object *names) {
  if (!atomic_load_explicit(&tft_recording, memory_order_relaxed)) return tft_py.Vectorcall(original, a, (size_t)n, names);
  uint64_t index;
  tft_dispatch *r = tft_slot(&tft_dispatch_file, &index);
  if (!r) return tft_py.Vectorcall(original, a, (size_t)n, names);
  int64_t entered = index % OWN_EVERY ? 0 : tft_now();
  const tft_op *op = NULL;
  int fresh;
  r->tid = tft_tid();
  r->kind = (uint16_t)kind;
  r->parent = tft_call;
  r->stack = python_stack(&fresh);
  if (fresh) {
    object *key = tft_py.FromUnsignedLongLong(r->stack);
    if (key) {
      call_back(on_stack, key, NULL, NULL);
      tft_py.DecRef(key);
    }
  }
  uint64_t meta = tft_description(kind, a, n, &op);
  int added = meta ? tft_set_add(&metas, meta) : 0;
  if (added == 1) describe_once(meta, kind, a, n);
  if (added < 0) {
    atomic_fetch_add(&unknown_metas, 1);
    meta = 0;
  }
  r->meta = meta;
  if (op || kind == SESSION) {
    atomic_fetch_add_explicit(&work, op ? op->weight : SESSION_WEIGHT, memory_order_relaxed);
    if ((!op || op->inputs < 0) && !r->parent) {
      uint64_t step = atomic_fetch_add(&steps, 1) + 1;
      if (step >= atomic_load(&step_trigger)) {
        object *number = tft_py.FromUnsignedLongLong(step);
        if (number) {
          call_back(on_step, number, NULL, NULL);
          tft_py.DecRef(number);
        }
      }
    }
  }
  r->step = atomic_load_explicit(&steps, memory_order_relaxed);
  uint64_t outer = tft_call;
  tft_call = index + 1;
  int ranged = tft_nvtx_active; /* a recording that ends meanwhile must not leave the range open */
  if (ranged) {
    object *name = kind == SESSION ? NULL : a[kind == FAST ? 1 : 2];
    const char *text = name && name->type == type_str ? tft_py.AsUTF8(name) : NULL;
    tft_nvtx_push(text ? text : "Session.run", TFT_NVTX_GEN_OP);
  }
  r->t1 = 0;
  r->status = OPEN;
  r->t0 = tft_now();
  if (entered) r->own_ns = (uint32_t)(r->t0 - entered);
  object *result = tft_py.Vectorcall(original, a, (size_t)n, names);
  r->t1 = tft_now();
  tft_call = outer;
  if (ranged) tft_nvtx_pop();
  if (result) r->status = OK;
  else {
    object *error = tft_py.Occurred();
    r->status = kind == FAST && error && fallback && tft_py.IsSubclass(error, fallback) == 1 ? FALLBACK : RAISED;
  }
  if (entered) r->own_ns += (uint32_t)(tft_now() - r->t1);
  return result;
}

static object *hook_fast(object *self, object *const *a, ptrdiff_t n, object *k) { return dispatch(FAST, self, a, n, k); }
static object *hook_execute(object *self, object *const *a, ptrdiff_t n, object *k) {
  return dispatch(EXECUTE, self, a, n, k);
}
static object *hook_cancelable(object *self, object *const *a, ptrdiff_t n, object *k) {
  return dispatch(CANCELABLE, self, a, n, k);
}
static object *hook_session(object *self, object *const *a, ptrdiff_t n, object *k) {
  return dispatch(SESSION, self, a, n, k);
}

static method methods[ENTRIES] = {
    {"TFE_Py_FastPathExecute", hook_fast, METH_FASTCALL_KEYWORDS, NULL},
    {"TFE_Py_Execute", hook_execute, METH_FASTCALL_KEYWORDS, NULL},
    {"TFE_Py_ExecuteCancelable", hook_cancelable, METH_FASTCALL_KEYWORDS, NULL},
    {"TF_SessionRun_wrapper", hook_session, METH_FASTCALL_KEYWORDS, NULL},
};

/* Finds what it needs of TensorFlow. NULL, or the name of what is missing. `library` holds TensorFlow's C API; `values`
 * are an eager tensor's type, then "", 0, False, 0.0, b"", [], (), None; `callbacks` on_stack(key),
 * on_meta(key, kind, *args), on_op(name), on_type(value), on_step(step), on_thread(). All are kept by the caller. */
TFT_API const char *tft_dispatch_setup(const char *library, object **values, object **callbacks, object *fallback_error) {
  const char *missing = tft_description_setup(library, values, callbacks[2], callbacks[3]);
  if (missing) return missing;
  on_stack = callbacks[0], on_meta = callbacks[1], on_step = callbacks[4], on_thread = callbacks[5];
  type_str = values[1]->type;
  fallback = fallback_error;
  return NULL;
}

/* A new function object that stands in for `original` (which it keeps alive). */
TFT_API object *tft_dispatch_wrap(int kind, object *original) {
  return tft_py.NewCFunction(&methods[kind], original, NULL);
}

/* A new output directory: everything has to be described and counted again. Holds the GIL. */
TFT_API void tft_dispatch_reset(void) {
  atomic_fetch_add(&recordings, 1);
  atomic_store(&steps, 0), atomic_store(&work, 0);
  atomic_store(&unknown_stacks, 0), atomic_store(&unknown_metas, 0);
  atomic_store(&step_trigger, UINT64_MAX);
  atomic_store(&stacks.count, 0), atomic_store(&metas.count, 0);
  memset((void *)stack_slots, 0, sizeof stack_slots);
  memset((void *)meta_slots, 0, sizeof meta_slots);
}

TFT_API void tft_dispatch_trigger(uint64_t step) { atomic_store(&step_trigger, step); }

/* steps, work, calls whose stack or description found no room */
TFT_API void tft_dispatch_counts(uint64_t out[4]) {
  out[0] = atomic_load(&steps), out[1] = atomic_load(&work);
  out[2] = atomic_load(&unknown_stacks), out[3] = atomic_load(&unknown_metas);
}
