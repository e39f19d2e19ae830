/* Between the dispatch hook and what describes its calls. */
#ifndef TFTRACE_DISPATCH_H
#define TFTRACE_DISPATCH_H

#include "python.h"

enum { FAST, EXECUTE, CANCELABLE, SESSION, ENTRIES }; /* contract.ENTRIES */
enum { TFT_MAX_ITEMS = 64 };                          /* of a list that is looked at */

typedef struct {
  uint64_t hash;
  int inputs;      /* leading arguments that are inputs, or -1 where the op is a function of a graph */
  uint32_t weight; /* rough bytes the TensorFlow profiler needs for one execution */
} tft_op;

/* The hash of a call, 0 where it has no name; `op` becomes what is known of its op. */
uint64_t tft_description(int kind, object *const *a, ptrdiff_t n, const tft_op **op);
const char *tft_description_setup(const char *library, object **values, object *of_op, object *of_type);

#endif
