/* The native library: fixed records in memory-mapped files, written by the dispatch hook and the ITT collector.
 *
 * Loaded by the agent with ctypes, and by oneDNN itself through INTEL_LIBITTNOTIFY64. It includes no Python header:
 * every Python and TensorFlow entry is found by dlsym, so one binary serves CPython 3.9 to 3.13 and every
 * TensorFlow. The layouts below are described once more, for the readers, in agent/contract.py. */
#ifndef TFTRACE_H
#define TFTRACE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define TFT_API __attribute__((visibility("default")))

typedef struct {
  int64_t t0, t1;
  uint64_t stack, meta, parent;
  uint32_t tid, own_ns;
  uint16_t kind, status;
  uint32_t spare;
  uint64_t step;
} tft_dispatch; /* contract.DISPATCH */

typedef struct {
  int64_t t0, t1;
  uint64_t stack, call;
  uint32_t tid, name;
  uint16_t depth, flags;
  uint32_t own_ns;
  uint64_t parent;
  uint32_t after_ns, spare;
} tft_itt; /* contract.ITT */
enum { TFT_ITT_LINE = 16 }; /* contract.ITT_LINE */

typedef struct {
  int64_t t;
  uint64_t itt, ms; /* of `ms` the bits of a double */
  uint32_t tid, line;
} tft_onednn; /* contract.ONEDNN */

typedef struct {
  uint64_t tid, pthread;
} tft_thread; /* contract.THREAD */

_Static_assert(sizeof(tft_dispatch) == 64, "contract.DISPATCH");
_Static_assert(sizeof(tft_itt) == 64, "contract.ITT");
_Static_assert(sizeof(tft_onednn) == 32, "contract.ONEDNN");

/* ---- records.c: files of fixed records */
enum { TFT_SEGMENT = 1 << 16, TFT_SEGMENTS = 4096 };
typedef struct {
  const char *name;
  size_t record;
  int fd;
  atomic_ullong next; /* records handed out */
  atomic_ullong lost; /* records that found no room: disk full, file too long */
  void *_Atomic segment[TFT_SEGMENTS];
  uint64_t seen, provided; /* of ahead.c: `next` at its last look, first record whose memory it did not touch */
} tft_file;

enum { TFT_TEXT = 32 }; /* text is stored in blocks of so many bytes */
extern tft_file tft_dispatch_file, tft_itt_file, tft_thread_file, tft_verbose_file, tft_onednn_file,
    tft_log_file, tft_executor_file;
extern atomic_int tft_recording; /* 0: hooks pass through */
extern __thread uint64_t tft_call; /* dispatch record running on this thread: index + 1 */

void *tft_slot(tft_file *file, uint64_t *index); /* NULL where there is no room */
void *tft_slots(tft_file *file, uint64_t count, uint64_t *index); /* so many in a row */
void *tft_segment(tft_file *file, uint64_t segment); /* NULL: disk full, or file too long */
uint32_t tft_tid(void);                         /* also writes the thread's THREAD record, once */
int tft_open_in(const char *directory, const char *name, int flags);
static inline int64_t tft_now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC_RAW, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}
static inline uint64_t tft_mix(uint64_t hash, uint64_t value) {
  hash ^= value;
  hash *= 0x9E3779B97F4A7C15ull;
  return hash ^ (hash >> 29);
}
/* A set of 64-bit keys with open addressing: 1 where `key` is new, 0 where known, -1 where the set is full. */
typedef struct {
  unsigned bits;
  atomic_ullong count;
  _Atomic uint64_t *slots;
} tft_set;
int tft_set_add(tft_set *set, uint64_t key);

/* ---- ahead.c: pages of the files are there before they are written */
void tft_ahead_start(tft_file *const *files);
void tft_ahead_stop(void);

/* ---- text.c: "number number .. text\n" in a file of blocks of TFT_TEXT bytes; its first block + 1, or 0 where there is
 * no room */
uint64_t tft_text_add(tft_file *file, const uint64_t *numbers, int count, const char *text, size_t length);

/* ---- unwind.c: native stacks, each written once */
uint64_t tft_native_stack(uint16_t *flags);
void tft_native_stacks_open(const char *directory);

/* ---- itt.c */
extern __thread uint64_t tft_itt_current; /* ITT record running on this thread: index + 1 */
void tft_itt_ended(int64_t t); /* what follows, until its end is reported, is the price of being recorded */
void tft_itt_open(const char *directory);

/* ---- verbose.c */
void tft_verbose_open(void);

/* ---- nvtx.c: no-ops where no tool is attached */
enum { TFT_NVTX_GEN_OP = 3, TFT_NVTX_LIBRARY = 7 }; /* categories: position of the layer, from 1 */
extern int tft_nvtx_active;
void tft_nvtx_push(const char *message, uint32_t category);
void tft_nvtx_pop(void);

#endif
