/* CPython without its headers: the few entries that the hooks call, found by dlsym. Only what is stable across 3.9 to
 * 3.13 (with the GIL) is assumed: the first two words of an object, and the METH_FASTCALL | METH_KEYWORDS convention. */
#ifndef TFTRACE_PYTHON_H
#define TFTRACE_PYTHON_H

#include "tftrace.h"

typedef struct {
  ptrdiff_t references;
  void *type;
} object;
typedef struct {
  const char *name;
  void *function;
  int flags;
  const char *doc;
} method;


enum { METH_FASTCALL_KEYWORDS = 0x0080 | 0x0002 };

typedef struct {
  object *(*Vectorcall)(object *, object *const *, size_t, object *);
  object *(*CallFunctionObjArgs)(object *, ...);
  object *(*GetFrame)(void), *(*GetBack)(object *), *(*GetCode)(object *);
  int (*GetLasti)(object *), (*GetLineNumber)(object *);
  object *(*NewCFunction)(method *, object *, object *);
  object *(*GetAttrString)(object *, const char *);
  object *(*FromUnsignedLongLong)(unsigned long long);
  object *(*FromLong)(long);
  long (*AsLong)(object *);
  unsigned long long (*AsUnsignedLongLong)(object *);
  ptrdiff_t (*Hash)(object *);
  const char *(*AsUTF8)(object *);
  ptrdiff_t (*ListSize)(object *), (*TupleSize)(object *);
  object *(*ListItem)(object *, ptrdiff_t), *(*TupleItem)(object *, ptrdiff_t);
  void (*IncRef)(object *), (*DecRef)(object *), (*Clear)(void);
  object *(*Occurred)(void);
  int (*IsSubclass)(object *, object *);
  void (*Fetch)(object **, object **, object **), (*Restore)(object *, object *, object *);
  object *(*NewMethod)(object *);
} tft_python;
extern tft_python tft_py;

#endif
