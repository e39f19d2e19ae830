/* What an op call is, as a hash: its name, shapes and dtypes of its inputs, values of its attributes. No tensor is read,
 * and what is asked of an object costs little or is asked once for its type. */
#include "dispatch.h"

#include <dlfcn.h>
#include <string.h>

enum { BY_TYPE, BY_IDENTITY, BY_DIMS, BY_SHAPE, BY_HASH, STRATEGIES }; /* how an argument's type is described */

static struct {
  void *(*Handle)(object *);
  int (*DataType)(void *), (*NumDims)(void *, void *);
  int64_t (*Dim)(void *, int, void *);
  void *(*NewStatus)(void);
} tf;

static void *type_tensor, *type_str, *type_int, *type_bool, *type_float, *type_bytes, *type_list, *type_tuple, *type_none;
static object *on_op, *on_type;
static void *tf_status;
static uint64_t sessions; /* sessions made so far: the address of a closed one may be given to the next */

/* op name (by hash) -> what `on_op` said of it */
static tft_op ops[1 << 13];
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
    for (ptrdiff_t i = 0; i < n && i < TFT_MAX_ITEMS && nested < 4; i++)
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

static const tft_op *op_of(object *name, uint64_t hash) {
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

uint64_t tft_description(int kind, object *const *a, ptrdiff_t n, const tft_op **op) {
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

TFT_API void tft_dispatch_new_session(void) { sessions++; }

/* Finds what it needs of TensorFlow. NULL, or the name of what is missing; arguments as those of `tft_dispatch_setup`. */
const char *tft_description_setup(const char *library, object **values, object *of_op, object *of_type) {
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
  on_op = of_op, on_type = of_type;
  return NULL;
}
