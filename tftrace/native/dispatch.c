/* The dispatch hook: stands in for the three functions through which every op leaves Python, calls the original, and
 * writes one record a call.
 *
 * What a record cannot hold (Python stacks, op names, shapes)
 * is represented by a hash, and described by a callback into Python the first time that hash is seen. */
#include "python.h"

#include <dlfcn.h>
#include <string.h>

enum { FAST, EXECUTE, CANCELABLE, SESSION, ENTRIES }; /* contract.ENTRIES */
enum { OPEN, OK, RAISED, FALLBACK };                  /* contract.STATUS */
enum { BY_TYPE, BY_IDENTITY, BY_DIMS, BY_SHAPE, BY_HASH, STRATEGIES }; /* how an argument's type is described */
enum { MAX_FRAMES = 256, MAX_ITEMS = 64, OWN_EVERY = 61, SESSION_WEIGHT = 20000 };

static struct {
  void *(*Handle)(object *);
  int (*DataType)(void *), (*NumDims)(void *, void *);
  int64_t (*Dim)(void *, int, void *);
  void *(*NewStatus)(void);
} tf;

static void *type_tensor, *type_str, *type_int, *type_bool, *type_float, *type_bytes, *type_list, *type_tuple, *type_none;
static object *fallback, *on_stack, *on_meta, *on_op, *on_type, *on_step, *on_thread;
static void *tf_status;
static _Atomic uint64_t stack_slots[1 << 16], meta_slots[1 << 16];
static tft_set stacks = {.bits = 16, .slots = stack_slots}, metas = {.bits = 16, .slots = meta_slots};
static atomic_ullong steps, step_trigger = ~0ull, work, unknown_stacks, unknown_metas;
static atomic_uint recordings;
static uint64_t sessions; /* sessions made so far: the address of a closed one may be given to the next */

/* op name (by hash) -> what `on_op` said of it */
static struct op {
  uint64_t hash;
  int inputs;      /* leading arguments that are inputs, or -1 where the op is a function of a graph */
  uint32_t weight; /* rough bytes the TensorFlow profiler needs for one execution */
} ops[1 << 13];
/* name of an attribute, by its address: generated code has one object for each, which is kept alive here */
typedef struct {
  object *name;
  uint64_t hash;
  int passing; /* a new value at each call, and of no interest */
} attribute;
static attribute attributes[1 << 10];
/* type -> strategy; types are few and live long */
static struct {
  void *type;
  int strategy;
} types[1 << 10];

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

static int strategy_of(object *value) {
  uintptr_t type = (uintptr_t)value->type;
  for (unsigned at = (type >> 4) & 1023, tries = 0; tries < 32; tries++, at = (at + 1) & 1023) {
    if (types[at].type == (void *)type) return types[at].strategy;
    if (!types[at].type) {
      int strategy = BY_TYPE;
      object *answer = tft_py.CallFunctionObjArgs(on_type, value, NULL);
      if (answer) {
        strategy = (int)tft_py.AsLong(answer);
        tft_py.DecRef(answer);
      } else
        tft_py.Clear();
      tft_py.IncRef((object *)type);
      types[at].strategy = strategy;
      types[at].type = (void *)type;
      return strategy;
    }
  }
  return BY_TYPE;
}

static uint64_t of_attribute(object *value, const char *outer, const char *inner) {
  object *first = tft_py.GetAttrString(value, outer), *second;
  ptrdiff_t hash = 0;
  if (first && inner) {
    second = tft_py.GetAttrString(first, inner);
    tft_py.DecRef(first);
    first = second;
  }
  if (first) {
    hash = tft_py.Hash(first);
    tft_py.DecRef(first);
  }
  if (tft_py.Occurred()) tft_py.Clear();
  return (uint64_t)hash;
}

/* A tensor asked for its shape answers slowly, dimension by dimension. But its shape stays, and its number, `_id`, is
 * given to no other: what was said of it is remembered by that. The number lies behind the handle, at a place that is
 * looked for in the first tensors; where they do not agree each tensor is asked anew. */
enum { PROOFS = 8, REMEMBERED = 256, LARGEST = 512 };
static struct {
  uint64_t number, hash;
} tensors[REMEMBERED];
static unsigned number_at; /* in words */
static int proofs;         /* tensors that had it there; -1: one had not */

static void look_for_number(object *tensor, const void *handle) {
  object *number = tft_py.GetAttrString(tensor, "_id");
  long expected = number ? tft_py.AsLong(number) : 0;
  if (number) tft_py.DecRef(number);
  if (tft_py.Occurred()) tft_py.Clear();
  if (expected <= 0) return; /* the very first has 0, which lies everywhere */
  const uint64_t *words = (const uint64_t *)tensor;
  ptrdiff_t bytes = ((const ptrdiff_t *)tensor->type)[4]; /* tp_basicsize */
  unsigned end = bytes < LARGEST ? (unsigned)(bytes / (ptrdiff_t)sizeof *words) : LARGEST / sizeof *words, at = 2;
  while (at + 1 < end && !(words[at] == (uintptr_t)handle && words[at + 1] == (uint64_t)expected)) at++;
  int found = at + 1 < end && (!proofs || number_at == at + 1);
  number_at = at + 1;
  proofs = found ? proofs + 1 : -1;
}

static uint64_t of_tensor(object *tensor) {
  uint64_t number = proofs == PROOFS ? ((const uint64_t *)tensor)[number_at] : 0;
  if (number && tensors[number % REMEMBERED].number == number) return tensors[number % REMEMBERED].hash;
  void *handle = tf.Handle(tensor);
  if (proofs >= 0 && proofs < PROOFS) look_for_number(tensor, handle);
  int rank = tf.NumDims(handle, tf_status);
  uint64_t h = tft_mix(1, (uint64_t)(tf.DataType(handle) * 64 + rank));
  for (int i = 0; i < rank; i++) h = tft_mix(h, (uint64_t)tf.Dim(handle, i, tf_status));
  if (number && rank >= 0) tensors[number % REMEMBERED].number = number, tensors[number % REMEMBERED].hash = h;
  return h;
}

/* Hash of what describes an argument: shape and dtype of a tensor, value of an attribute, type of a Python number
 * that stands for an input (its value would make each call a new description). */
static uint64_t describe(uint64_t h, object *value, int input, int nested) {
  void *type = value->type;
  h = tft_mix(h, (uintptr_t)type);
  if (type == type_tensor && tf.Handle) {
    h = tft_mix(h, of_tensor(value));
  } else if (type == type_list || type == type_tuple) {
    int list = type == type_list;
    ptrdiff_t n = list ? tft_py.ListSize(value) : tft_py.TupleSize(value);
    h = tft_mix(h, (uint64_t)n);
    for (ptrdiff_t i = 0; i < n && i < MAX_ITEMS && nested < 4; i++)
      h = describe(h, list ? tft_py.ListItem(value, i) : tft_py.TupleItem(value, i), input, nested + 1);
  } else if (type == type_none) {
  } else if (type == type_str || type == type_int || type == type_bool || type == type_float || type == type_bytes) {
    if (!input) h = tft_mix(h, (uint64_t)tft_py.Hash(value));
  } else
    switch (strategy_of(value)) {
      case BY_IDENTITY: h = tft_mix(h, (uintptr_t)value); break;
      case BY_DIMS: h = tft_mix(h, of_attribute(value, "_shape", "_dims")); break;
      case BY_SHAPE: h = tft_mix(h, of_attribute(value, "shape", NULL)); break;
      case BY_HASH: h = tft_mix(h, (uint64_t)tft_py.Hash(value)); break;
    }
  return h;
}

static attribute attribute_of(object *name) {
  attribute *known = &attributes[((uintptr_t)name >> 4) & 1023];
  if (known->name == name) return *known;
  const char *text = name->type == type_str ? tft_py.AsUTF8(name) : NULL;
  attribute found = {name, describe(0, name, 0, 0), 0};
  found.passing = text && (!strncmp(text, "seed", 4) || !strcmp(text, "shared_name") || !strcmp(text, "debug_name"));
  if (text && !known->name) {
    tft_py.IncRef(name);
    *known = found;
  }
  return found;
}

static uint64_t with_attribute(uint64_t h, object *name, object *value) {
  attribute a = attribute_of(name);
  return a.passing ? h : describe(tft_mix(h, a.hash), value, 0, 0);
}

static const struct op *op_of(object *name, uint64_t hash) {
  for (unsigned at = hash & 8191, tries = 0; tries < 64; tries++, at = (at + 1) & 8191) {
    if (ops[at].hash == hash) return &ops[at];
    if (!ops[at].hash) {
      object *answer = tft_py.CallFunctionObjArgs(on_op, name, NULL); /* (inputs, weight) */
      if (!answer) {
        tft_py.Clear();
        return NULL;
      }
      ops[at].inputs = (int)tft_py.AsLong(tft_py.TupleItem(answer, 0));
      ops[at].weight = (uint32_t)tft_py.AsLong(tft_py.TupleItem(answer, 1));
      ops[at].hash = hash;
      tft_py.DecRef(answer);
      return &ops[at];
    }
  }
  return NULL;
}

static uint64_t description(int kind, object *const *a, ptrdiff_t n, const struct op **op) {
  int at = kind == FAST ? 1 : 2;
  if (kind == SESSION) { /* session, options, feeds, [fetches], [targets], metadata */
    uint64_t h = tft_mix(tft_mix((uint64_t)kind + 1, (uintptr_t)a[0]), sessions);
    for (ptrdiff_t i = 3; i < n && i < 5; i++)
      if (a[i]->type == type_list) h = tft_mix(h, (uint64_t)tft_py.ListSize(a[i]));
    return h | !h;
  }
  if (n <= at + 1) return 0;
  uint64_t name = (uint64_t)tft_py.Hash(a[at]), h = tft_mix((uint64_t)kind + 1, name);
  *op = op_of(a[at], name | !name);
  int inputs = *op ? (*op)->inputs : 0;
  if (kind == FAST) { /* ctx, op, name, inputs.., then attribute names and values in turn */
    ptrdiff_t i = 3;
    for (; i < n && i < 3 + inputs; i++) h = describe(h, a[i], 1, 0);
    for (; i + 1 < n; i += 2) h = with_attribute(h, a[i], a[i + 1]);
  } else { /* ctx, device, op, [inputs], (attributes), outputs */
    h = describe(h, a[1], 0, 0);
    h = describe(h, a[3], 1, 0);
    if (n > 4 && inputs >= 0 && (a[4]->type == type_tuple || a[4]->type == type_list)) {
      int list = a[4]->type == type_list;
      ptrdiff_t m = list ? tft_py.ListSize(a[4]) : tft_py.TupleSize(a[4]);
      for (ptrdiff_t i = 0; i + 1 < m; i += 2) {
        object *key = list ? tft_py.ListItem(a[4], i) : tft_py.TupleItem(a[4], i);
        h = with_attribute(h, key, list ? tft_py.ListItem(a[4], i + 1) : tft_py.TupleItem(a[4], i + 1));
      }
    }
  }
  return h | !h;
}

static void describe_once(uint64_t key, int kind, object *const *a, ptrdiff_t n) {
  object *number = tft_py.FromUnsignedLongLong(key), *which = tft_py.FromLong(kind), *result;
  if (!number || !which) return tft_py.Clear();
  object *all[ENTRIES + MAX_ITEMS];
  int count = 0;
  all[count++] = number;
  all[count++] = which;
  for (ptrdiff_t i = 0; i < n && count < MAX_ITEMS; i++) all[count++] = a[i];
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
  const struct op *op = NULL;
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
  uint64_t meta = description(kind, a, n, &op);
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
  static const struct {
    const char *name;
    void *into;
  } tensorflow[] = {
      {"_Z18EagerTensor_HandlePK7_object", &tf.Handle}, {"TFE_TensorHandleDataType", &tf.DataType},
      {"TFE_TensorHandleNumDims", &tf.NumDims},         {"TFE_TensorHandleDim", &tf.Dim},
      {"TF_NewStatus", &tf.NewStatus},
  };
  void *handle = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
  if (!handle) return "TensorFlow's Python extension (not loaded)";
  for (size_t i = 0; i < sizeof tensorflow / sizeof *tensorflow; i++) {
    void *found = dlsym(handle, tensorflow[i].name);
    if (!found) return tensorflow[i].name;
    memcpy(tensorflow[i].into, &found, sizeof found);
  }
  tf_status = tf.NewStatus();
  type_tensor = values[0];
  void **known[] = {&type_str, &type_int, &type_bool, &type_float, &type_bytes, &type_list, &type_tuple, &type_none};
  for (size_t i = 0; i < sizeof known / sizeof *known; i++) *known[i] = values[i + 1]->type;
  on_stack = callbacks[0], on_meta = callbacks[1], on_op = callbacks[2], on_type = callbacks[3], on_step = callbacks[4];
  on_thread = callbacks[5];
  fallback = fallback_error;
  return NULL;
}

/* A new function object that stands in for `original` (which it keeps alive). */
TFT_API object *tft_dispatch_wrap(int kind, object *original) {
  return tft_py.NewCFunction(&methods[kind], original, NULL);
}

TFT_API void tft_dispatch_new_session(void) { sessions++; }

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
