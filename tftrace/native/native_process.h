/* A process without Python: its records, and the calls that the program makes into TensorFlow's C API. */
#ifndef TFTRACE_NATIVE_PROCESS_H
#define TFTRACE_NATIVE_PROCESS_H

#include "tftrace.h"

extern atomic_int tft_waiting; /* records are opened when there is something to record */
int tft_open_native(void);     /* .. which this does; whether there is a recording */
static inline int tft_ready(void) {
  if (__builtin_expect(atomic_load_explicit(&tft_recording, memory_order_relaxed), 1)) return 1;
  return atomic_load_explicit(&tft_waiting, memory_order_relaxed) && tft_open_native();
}
int tft_is_open(void);         /* records.c: whether this process ever opened records */
int tft_c_api_install(void);   /* c_api.c: slots taken over */
void tft_c_api_open(const char *directory);
#define TFT_EXECUTOR_LEVELS "executor=2,log_memory=2"
int tft_executor_telling(const char *message); /* whether a message of an executor is worth keeping */
const char *tft_executor_answer(const char *name); /* executor_log.c */
const char *tft_executor_missing(void);
uint64_t tft_executor_lines(void);
void tft_executor_open(void);

#endif
