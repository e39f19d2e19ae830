/* Native stacks at the cost of a few hundred nanoseconds.
 *
 * A full unwind through the C++ unwind tables takes 10 to 20 us. But nearly every frame has a constant size at a
 * given return address, so each full unwind teaches the size of its frames, and later stacks are walked by these
 * sizes alone. Every step has to land on a return address that a full unwind has seen; whatever does not (a new
 * address, a frame of varying size) is unwound in full. A stack that a fast walk finds for the first time is compared
 * with a full unwind, and so is one walk in OFTEN, later in SELDOM; the outcome is written into the record.
 *
 * A loop has the same few stacks again and again. A thread keeps those it walked last, with the place of every return
 * address: where the same addresses lie at the same places, the walk would go the same way, and is not repeated. */
#include "tftrace.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

enum { DEPTH = 192, SIZES = 1 << 12, END = -1, VARIES = -2, RECENT = 8 };
enum { OFTEN = 64, AT_FIRST = 1 << 11, SELDOM = 1024 }; /* powers of 2 */
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

/* A walk that went well. It holds as long as `age` is that of the sizes it went by. */
typedef struct {
  uintptr_t pc, sp, words[DEPTH];
  uint32_t at[DEPTH]; /* of each return address behind `sp` */
  uint64_t key;
  unsigned age;
  int n;
} walk_t;
static atomic_uint age = 1; /* of what was learned; another one where a size turned out to vary, and for a new file */
static __thread walk_t *walks;
static pthread_key_t owned;
static pthread_once_t owning = PTHREAD_ONCE_INIT;

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
      if (!atomic_compare_exchange_strong(&sizes[at].size, &old, size) && old != size && old != VARIES) {
        atomic_store(&sizes[at].size, VARIES);
        atomic_fetch_add(&age, 1);
      }
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
    s->sp[s->n] = sp;
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

static void forget(void *memory) {
  walks = NULL;
  free(memory);
}

static void own(void) { pthread_key_create(&owned, forget); }

/* Where this thread keeps a walk from here; NULL without memory. */
static walk_t *kept(uintptr_t pc, uintptr_t sp) {
  if (__builtin_expect(!walks, 0)) {
    pthread_once(&owning, own);
    walks = calloc(RECENT, sizeof *walks);
    pthread_setspecific(owned, walks);
    if (!walks) return NULL;
  }
  return &walks[tft_mix(sp, pc) >> 61];
}

static int again(const walk_t *w, uintptr_t pc, uintptr_t sp) {
  if (w->pc != pc || w->sp != sp || w->age != atomic_load_explicit(&age, memory_order_relaxed)) return 0;
  for (int i = 1; i < w->n; i++)
    if (*(const uintptr_t *)(sp + w->at[i]) != w->words[i]) return 0;
  return 1;
}

static void keep(walk_t *w, const stack_t_ *s, uint64_t key, unsigned of) {
  for (int i = 1; i < s->n; i++) {
    w->words[i] = s->pc[i];
    w->at[i] = (uint32_t)(s->sp[i] - sizeof(uintptr_t) - s->sp[0]);
  }
  w->pc = s->pc[0], w->sp = s->sp[0], w->n = s->n, w->key = key, w->age = of;
}

static uintptr_t stack_end(uintptr_t unknown) {
  pthread_attr_t attributes;
  void *low;
  size_t bytes;
  if (pthread_getattr_np(pthread_self(), &attributes)) return unknown;
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  return (uintptr_t)low + bytes;
}

static void write_stack(const stack_t_ *s, uint64_t key) {
  uint64_t out[2 + DEPTH] = {key, (uint64_t)s->n};
  if (stacks_fd < 0) return;
  memcpy(out + 2, s->pc, s->n * sizeof *s->pc);
  pthread_mutex_lock(&writing);
  ssize_t done = write(stacks_fd, out, (2 + s->n) * sizeof *out);
  (void)done; /* a stack that could not be written stays a key without frames: the reader says so */
  pthread_mutex_unlock(&writing);
}

/* Key of the stack of the caller's caller; the addresses go to native_stacks.bin when a key is new. */
__attribute__((noinline)) uint64_t tft_native_stack(uint16_t *flags) {
  static __thread uintptr_t high;
  static atomic_uint taken; /* of the process: a thread alone may never reach a check */
  static atomic_int owed;   /* a check that fell on a stack which had to be unwound in full anyway */
  uintptr_t *own = __builtin_frame_address(0);
  uintptr_t pc = own[1], sp = (uintptr_t)(own + 2);
  unsigned nth = atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed);
  int check = (nth & ((nth < AT_FIRST ? OFTEN : SELDOM) - 1)) == 7;
  check |= atomic_load_explicit(&owed, memory_order_relaxed);
  walk_t *w = kept(pc, sp);
  int remembered = w && again(w, pc, sp);
  if (remembered && !check) {
    *flags |= FAST;
    return w->key;
  }
  stack_t_ s, full;
  if (!high) high = stack_end(sp);
  unsigned of = atomic_load(&age);
  int walked = fast(&s, pc, sp, high);
  if (!walked) unwind(&s, sp);
  uint64_t key = hash(&s);
  int added = tft_set_add(&known, key);
  *flags |= walked ? FAST : FULL;
  if (walked && (check || added == 1)) {
    unwind(&full, sp);
    walked = full.n == s.n && !memcmp(full.pc, s.pc, s.n * sizeof *s.pc);
    *flags |= walked ? CHECKED : MISMATCH;
    if (!walked) {
      s = full, key = hash(&s);
      added = tft_set_add(&known, key);
    }
  }
  /* Where a frame's size was found to vary since, the full unwind speaks for what was remembered, or against it. */
  if (remembered && (!walked || key != w->key)) *flags |= key == w->key ? CHECKED : MISMATCH;
  if (check) atomic_store_explicit(&owed, !(*flags & (CHECKED | MISMATCH)), memory_order_relaxed);
  if (added == 1) write_stack(&s, key);
  if (walked && w) keep(w, &s, key, of);
  return key;
}

void tft_native_stacks_open(const char *directory) {
  if (stacks_fd >= 0) close(stacks_fd);
  stacks_fd = tft_open_in(directory, "native_stacks.bin", O_WRONLY | O_APPEND);
  atomic_store(&known.count, 0);
  memset((void *)known_slots, 0, sizeof known_slots);
  atomic_fetch_add(&age, 1);
}
