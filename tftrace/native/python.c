/* The CPython entries, and a generic wrapper around functions of TensorFlow's that leaves no frame in tracebacks. */
#include "python.h"

#include <dlfcn.h>
#include <string.h>

tft_python tft_py;
static object *none;
enum { MAX_ITEMS = 64 };

/* NULL, or the name of what this interpreter lacks. */
TFT_API const char *tft_python_setup(object *the_none) {
  static const struct {
    const char *name, *older;
    void *into;
  } python[] = {
      {"PyObject_Vectorcall", "_PyObject_Vectorcall", &tft_py.Vectorcall},
      {"PyObject_CallFunctionObjArgs", NULL, &tft_py.CallFunctionObjArgs},
      {"PyEval_GetFrame", NULL, &tft_py.GetFrame},
      {"PyFrame_GetBack", NULL, &tft_py.GetBack},
      {"PyFrame_GetCode", NULL, &tft_py.GetCode},
      {"PyFrame_GetLineNumber", NULL, &tft_py.GetLineNumber},
      {"PyCFunction_NewEx", "PyCFunction_New", &tft_py.NewCFunction},
      {"PyObject_GetAttrString", NULL, &tft_py.GetAttrString},
      {"PyLong_FromUnsignedLongLong", NULL, &tft_py.FromUnsignedLongLong},
      {"PyLong_FromLong", NULL, &tft_py.FromLong},
      {"PyLong_AsLong", NULL, &tft_py.AsLong},
      {"PyLong_AsUnsignedLongLong", NULL, &tft_py.AsUnsignedLongLong},
      {"PyObject_Hash", NULL, &tft_py.Hash},
      {"PyUnicode_AsUTF8", NULL, &tft_py.AsUTF8},
      {"PyList_Size", NULL, &tft_py.ListSize},
      {"PyTuple_Size", NULL, &tft_py.TupleSize},
      {"PyList_GetItem", NULL, &tft_py.ListItem},
      {"PyTuple_GetItem", NULL, &tft_py.TupleItem},
      {"Py_IncRef", NULL, &tft_py.IncRef},
      {"Py_DecRef", NULL, &tft_py.DecRef},
      {"PyErr_Clear", NULL, &tft_py.Clear},
      {"PyErr_Occurred", NULL, &tft_py.Occurred},
      {"PyObject_IsSubclass", NULL, &tft_py.IsSubclass},
      {"PyErr_Fetch", NULL, &tft_py.Fetch},
      {"PyErr_Restore", NULL, &tft_py.Restore},
      {"PyInstanceMethod_New", NULL, &tft_py.NewMethod},
  };
  for (size_t i = 0; i < sizeof python / sizeof *python; i++) {
    void *found = dlsym(RTLD_DEFAULT, python[i].name);
    if (!found && python[i].older) found = dlsym(RTLD_DEFAULT, python[i].older);
    if (!found) return python[i].name;
    memcpy(python[i].into, &found, sizeof found);
  }
  tft_py.GetLasti = (int (*)(object *))dlsym(RTLD_DEFAULT, "PyFrame_GetLasti"); /* 3.11 and later */
  none = the_none;
  return NULL;
}

/* `function` with the token, what came out and the arguments of the original; what it raises is dropped. */
static void tell(object *function, object *token, object *outcome, object *const *a, ptrdiff_t n, object *names) {
  object *all[MAX_ITEMS];
  ptrdiff_t total = n + (names ? tft_py.TupleSize(names) : 0), count = 0;
  all[count++] = token, all[count++] = outcome, all[count++] = names ? names : none;
  for (ptrdiff_t i = 0; i < total && count < MAX_ITEMS; i++) all[count++] = a[i];
  object *done = tft_py.Vectorcall(function, all, (size_t)count, NULL);
  if (done) tft_py.DecRef(done);
  else tft_py.Clear();
}

/* Any other function of TensorFlow's: `self` is (original, before, after, failed or None). Calls token = before(), the
 * original, and where that returned, after(token, result, keyword names, *arguments); where it raised,
 * failed(token, exception, keyword names, *arguments), or after(token) if there is no `failed`. Being no Python
 * function, it leaves no frame in the tracebacks of what the original raises. With a fifth part, `before` is given the
 * arguments, and a tuple that is not empty takes their place. */
static object *hook_around(object *self, object *const *a, ptrdiff_t n, object *names) {
  object *original = tft_py.TupleItem(self, 0), *before = tft_py.TupleItem(self, 1), *after = tft_py.TupleItem(self, 2);
  if (!atomic_load_explicit(&tft_recording, memory_order_relaxed)) return tft_py.Vectorcall(original, a, (size_t)n, names);
  int replaces = tft_py.TupleSize(self) > 4;
  object *token = replaces ? tft_py.Vectorcall(before, a, (size_t)n, names) : tft_py.CallFunctionObjArgs(before, NULL);
  if (!token) tft_py.Clear();
  object *others[MAX_ITEMS];
  ptrdiff_t other = replaces && token && token != none ? tft_py.TupleSize(token) : 0;
  if (other < 0) tft_py.Clear();
  for (ptrdiff_t i = 0; i < other && i < MAX_ITEMS; i++) others[i] = tft_py.TupleItem(token, i);
  object *result = other > 0 && other <= MAX_ITEMS ? tft_py.Vectorcall(original, others, (size_t)other, NULL)
                                                   : tft_py.Vectorcall(original, a, (size_t)n, names);
  if (!token) return result;
  if (result) {
    tell(after, token, result, a, n, names);
  } else { /* the pending exception is kept as it is */
    object *failed = tft_py.TupleItem(self, 3), *error[3] = {NULL, NULL, NULL};
    tft_py.Fetch(&error[0], &error[1], &error[2]);
    if (failed != none) {
      tell(failed, token, error[1] ? error[1] : error[0], a, n, names);
    } else {
      object *done = tft_py.CallFunctionObjArgs(after, token, NULL);
      if (done) tft_py.DecRef(done);
      else tft_py.Clear();
    }
    tft_py.Restore(error[0], error[1], error[2]);
  }
  tft_py.DecRef(token);
  return result;
}

static method around = {"tftrace_around", hook_around, METH_FASTCALL_KEYWORDS, NULL};

/* A function object that runs `before`, `after` and `failed` around an original; all stand in `parts`, a tuple. Bound to
 * instances like a method where `as_method`. */
TFT_API object *tft_around_wrap(object *parts, int as_method) {
  object *function = tft_py.NewCFunction(&around, parts, NULL), *method;
  if (!function || !as_method) return function;
  method = tft_py.NewMethod(function);
  tft_py.DecRef(function);
  return method;
}
