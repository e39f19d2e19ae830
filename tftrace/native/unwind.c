/* Native stacks at the cost of a few hundred nanoseconds.
 *
 * A full unwind through the C++ unwind tables takes 10 to 20 us. But nearly every frame has a constant size at a
 * given return address, so each full unwind teaches the size of its frames, and later stacks are walked by these
 * sizes alone. Every step has to land on a return address that a full unwind has seen; whatever does not (a new
 * address, a frame of varying size) is unwound in full. Every CHECK_EVERYth fast walk is compared with a full
 * unwind, and the outcome is written into the record. */
#include "tftrace.h"

#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

enum { DEPTH = 192, SIZES = 1 << 12, CHECK_EVERY = 64, END = -1, VARIES = -2 };
enum { FULL = 1, FAST = 2, CHECKED = 4, MISMATCH = 8 }; /* contract.ITT_* */

typedef struct {
  uintptr_t pc[DEPTH], sp[DEPTH];
  int n;
} stack_t_;

/* return address -> distance to the next frame's stack pointer; written once, or turned to VARIES */
static struct {
  _Atomic uintptr_t pc;
  _Atomic int size;
} sizes[SIZES];

static int stacks_fd = -1;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static _Atomic uint64_t known_slots[1 << 15];
static tft_set known = {.bits = 15, .slots = known_slots};

static int size_of(uintptr_t pc) { /* 0: never seen */
  for (unsigned at = (pc * 0x9E3779B97F4A7C15ull) >> 52, tries = 0; tries < 64; tries++, at = (at + 1) % SIZES) {
    uintptr_t value = atomic_load_explicit(&sizes[at].pc, memory_order_acquire);
    if (value == pc) return atomic_load_explicit(&sizes[at].size, memory_order_relaxed);
    if (!value) return 0;
  }
  return 0;
}

static void learn(uintptr_t pc, int size) {
  for (unsigned at = (pc * 0x9E3779B97F4A7C15ull) >> 52, tries = 0; tries < 64; tries++, at = (at + 1) % SIZES) {
    uintptr_t empty = 0;
    if (atomic_compare_exchange_strong(&sizes[at].pc, &empty, pc)) {
      atomic_store(&sizes[at].size, size);
      return;
    }
    if (empty == pc) {
      int old = 0;
      if (!atomic_compare_exchange_strong(&sizes[at].size, &old, size) && old != size)
        atomic_store(&sizes[at].size, VARIES);
      return;
    }
  }
}

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *argument) {
  stack_t_ *s = argument;
  if (s->n == DEPTH) return _URC_END_OF_STACK;
  s->pc[s->n] = _Unwind_GetIP(context);
  s->sp[s->n++] = _Unwind_GetCFA(context);
  return _URC_NO_REASON;
}

/* Full unwind, from the frame whose stack pointer is `sp` outwards. */
static void unwind(stack_t_ *s, uintptr_t sp) {
  int first = 0;
  s->n = 0;
  _Unwind_Backtrace(frame, s);
  while (first < s->n && s->sp[first] < sp) first++;
  s->n -= first;
  memmove(s->pc, s->pc + first, s->n * sizeof *s->pc);
  memmove(s->sp, s->sp + first, s->n * sizeof *s->sp);
  if (s->n && !s->pc[s->n - 1]) s->n--; /* what lies beyond the outermost function of the main thread */
  for (int i = 0; i + 1 < s->n; i++) learn(s->pc[i], (int)(s->sp[i + 1] - s->sp[i]));
  if (s->n && s->n < DEPTH) learn(s->pc[s->n - 1], END);
}

static int fast(stack_t_ *s, uintptr_t pc, uintptr_t sp, uintptr_t high) {
  s->n = 0;
  for (;;) {
    int size = size_of(pc);
    if ((size <= 0 && size != END) || s->n == DEPTH) return 0;
    s->pc[s->n++] = pc;
    if (size == END) return 1;
    sp += (uintptr_t)size;
    if (sp > high) return 0;
    pc = ((uintptr_t *)sp)[-1];
  }
}

static uint64_t hash(const stack_t_ *s) {
  uint64_t h = 1;
  for (int i = 0; i < s->n; i++) h = tft_mix(h, s->pc[i]);
  return h | 1;
}

/* Key of the stack of the caller's caller; the addresses go to native_stacks.bin when a key is new. */
__attribute__((noinline)) uint64_t tft_native_stack(uint16_t *flags) {
  static __thread uintptr_t high;
  static atomic_uint walks; /* of the process: a thread alone may never reach a check */
  uintptr_t *own = __builtin_frame_address(0);
  uintptr_t pc = own[1], sp = (uintptr_t)(own + 2);
  stack_t_ s;
  if (!high) {
    pthread_attr_t attributes;
    void *low;
    size_t bytes;
    high = sp;
    if (pthread_getattr_np(pthread_self(), &attributes) == 0) {
      pthread_attr_getstack(&attributes, &low, &bytes);
      pthread_attr_destroy(&attributes);
      high = (uintptr_t)low + bytes;
    }
  }
  if (!fast(&s, pc, sp, high)) {
    unwind(&s, sp);
    *flags |= FULL;
  } else {
    *flags |= FAST;
    unsigned nth = atomic_fetch_add_explicit(&walks, 1, memory_order_relaxed);
    if (nth % CHECK_EVERY == 7) {
      stack_t_ full;
      unwind(&full, sp);
      int same = full.n == s.n && !memcmp(full.pc, s.pc, s.n * sizeof *s.pc);
      *flags |= same ? CHECKED : MISMATCH;
      if (!same) s = full;
    }
  }
  uint64_t key = hash(&s);
  if (tft_set_add(&known, key) == 1 && stacks_fd >= 0) {
    uint64_t out[2 + DEPTH] = {key, (uint64_t)s.n};
    memcpy(out + 2, s.pc, s.n * sizeof *s.pc);
    pthread_mutex_lock(&writing);
    ssize_t done = write(stacks_fd, out, (2 + s.n) * sizeof *out);
    (void)done; /* a stack that could not be written stays a key without frames: the reader says so */
    pthread_mutex_unlock(&writing);
  }
  return key;
}

void tft_native_stacks_open(const char *directory) {
  if (stacks_fd >= 0) close(stacks_fd);
  stacks_fd = tft_open_in(directory, "native_stacks.bin", O_WRONLY | O_APPEND);
  atomic_store(&known.count, 0);
  memset((void *)known_slots, 0, sizeof known_slots);
}
