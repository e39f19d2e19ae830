/* Pointing the calls that one loaded library makes to functions of the C library at functions of ours, and back. */
#ifndef TFTRACE_SLOTS_H
#define TFTRACE_SLOTS_H

#include "tftrace.h"

enum { TFT_MAX_PATCHES = 64 };
typedef struct {
  const char *function;
  void *hook;
} tft_redirect;
typedef struct {
  void **slot[TFT_MAX_PATCHES];
  void *old[TFT_MAX_PATCHES];
  int count;
} tft_patches;

/* In the first loaded library whose path contains `library`; what was replaced is added to `done`. Where its linkage
 * table has a slot for none of the functions, it may call them through pointers in its data: those are taken then. */
void tft_redirect_calls(const char *library, const tft_redirect *to, int count, tft_patches *done);
/* Whole name of the first function that this library calls through a slot and whose name contains `part`, or NULL. */
const char *tft_called_function(const char *library, const char *part);
void tft_restore_calls(tft_patches *done);

/* hook_fprintf and hook_fprintf_chk, which hand what they are called with to `print(file, format, arguments)`. */
#define TFT_FPRINTF_HOOKS(print)                                              \
  static int hook_fprintf(FILE *file, const char *format, ...) {              \
    va_list arguments;                                                        \
    va_start(arguments, format);                                              \
    int n = print(file, format, arguments);                                   \
    va_end(arguments);                                                        \
    return n;                                                                 \
  }                                                                           \
  static int hook_fprintf_chk(FILE *file, int flag, const char *format, ...) { \
    (void)flag;                                                               \
    va_list arguments;                                                        \
    va_start(arguments, format);                                              \
    int n = print(file, format, arguments);                                   \
    va_end(arguments);                                                        \
    return n;                                                                 \
  }

#endif
