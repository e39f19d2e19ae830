/* The cuDNN calls that TensorFlow makes, recorded where they leave it.
 *
 * TensorFlow calls every cuDNN function through a trampoline in libtensorflow_framework: `jmp *slot`, and where the
 * slot is still empty a push of the function's number and a call of the resolver, which loads cuDNN and fills the slot.
 * The slots are pointed at the wrappers below. A wrapper whose function is not resolved yet calls that same resolver,
 * so cuDNN is loaded when and how TensorFlow would have loaded it, and where it cannot be, what TensorFlow puts into
 * the slot instead is what is called. */
#include "cudnn.h"

#include "cudnn_arity.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

enum { OWN_EVERY = 61, ALWAYS = 8 };
enum { NOT_SAMPLED = 16 };                                  /* contract.CUDNN_NOT_SAMPLED */

#define X(name, words, kind, arguments) F_##name,
enum { TFT_CUDNN_CALLS(X) FUNCTIONS };
#undef X
#define X(name, words, kind, arguments) {#name, arguments, kind},
static const struct {
  const char *name, *arguments;
  enum tft_cudnn_kind kind;
} functions[] = {TFT_CUDNN_CALLS(X)};
#undef X

static struct {
  void **slot;
  void *_Atomic real;
  void *resolver; /* takes the number on the stack */
  int64_t number;
} targets[FUNCTIONS];

static pthread_mutex_t resolving = PTHREAD_MUTEX_INITIALIZER;
static int installed;
#ifdef TFT_CUDNN_PRELOAD
static __thread int within; /* what cuDNN's own libraries call of one another is not TensorFlow's call */
static void *next_in_line(const char *name);
#endif
static atomic_ullong unsampled, versions;
static atomic_ullong stacks_per_second = 20000;
static void *wrapper_of(int function);

/* TensorFlow's resolver expects the number of the function on the stack, under its return address, and keeps all
 * registers. */
void tft_cudnn_call_resolver(void *resolver, int64_t number);
__asm__(
    ".text\n.hidden tft_cudnn_call_resolver\n.globl tft_cudnn_call_resolver\n"
    ".type tft_cudnn_call_resolver,@function\n"
    "tft_cudnn_call_resolver:\n.cfi_startproc\n"
    "push %rbp\n.cfi_def_cfa_offset 16\n.cfi_offset %rbp, -16\n"
    "mov %rsp, %rbp\n.cfi_def_cfa_register %rbp\n"
    "and $-16, %rsp\nsub $8, %rsp\npush %rsi\ncall *%rdi\n"
    "mov %rbp, %rsp\npop %rbp\n.cfi_def_cfa %rsp, 8\nret\n.cfi_endproc\n"
    ".size tft_cudnn_call_resolver, .-tft_cudnn_call_resolver\n");

static void *resolved(int function) {
  void *real = atomic_load_explicit(&targets[function].real, memory_order_acquire);
  if (__builtin_expect(real != NULL, 1)) return real;
  pthread_mutex_lock(&resolving);
  real = atomic_load(&targets[function].real);
  if (!real) {
#ifdef TFT_CUDNN_PRELOAD
    if (!targets[function].slot) {
      real = next_in_line(functions[function].name);
      atomic_store(&targets[function].real, real);
      pthread_mutex_unlock(&resolving);
      return real;
    }
#endif
    void **slot = targets[function].slot, *wrapper = wrapper_of(function);
    tft_cudnn_call_resolver(targets[function].resolver, targets[function].number);
    real = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
    atomic_store(&targets[function].real, real);
    if (installed) __atomic_store_n(slot, wrapper, __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&resolving);
  return real;
}

typedef struct {
  tft_cudnn *record; /* NULL: not recorded */
  uint64_t index;
  int64_t entered;
} call;

/* A native stack costs many times the rest when a new one has to be unwound: above a rate they are sampled. */
static int may_take_stack(void) {
  static atomic_llong second;
  static atomic_ullong taken;
  int64_t now = tft_now() >> 30;
  if (atomic_load_explicit(&second, memory_order_relaxed) != now) {
    atomic_store_explicit(&second, now, memory_order_relaxed);
    atomic_store_explicit(&taken, 0, memory_order_relaxed);
  }
  return atomic_fetch_add_explicit(&taken, 1, memory_order_relaxed) <
         atomic_load_explicit(&stacks_per_second, memory_order_relaxed);
}

static void take_stack(tft_cudnn *r, int always) {
  uint16_t flags = 0;
  if (always || may_take_stack()) r->stack = tft_native_stack(&flags);
  else flags = NOT_SAMPLED, atomic_fetch_add_explicit(&unsampled, 1, memory_order_relaxed);
  r->flags |= flags;
}

/* Descriptors are made, set and asked for by the hundred: the first call of a row of equal ones has its stack. */
static void take_stack_of_first(tft_cudnn *r) {
  static __thread struct {
    uint64_t call;
    uint16_t function, detail;
  } last;
  uint16_t flags = 0;
  if ((r->function != last.function || r->detail != last.detail || r->call != last.call) && may_take_stack())
    r->stack = tft_native_stack(&flags);
  r->flags |= flags;
  last.call = r->call, last.function = r->function, last.detail = r->detail;
}

static void begin(int function, const uintptr_t *a, call *c) {
  enum tft_cudnn_kind kind = functions[function].kind;
  uint32_t tid = tft_tid();
  c->record = tft_slot(&tft_cudnn_file, &c->index);
  if (!c->record) return;
  tft_cudnn *r = c->record;
  c->entered = c->index % OWN_EVERY ? 0 : tft_now();
  r->function = (uint16_t)function;
  r->tid = tid;
  r->call = tft_call;
  r->status = UINT16_MAX;
  tft_cudnn_object object;
  switch (kind) {
    case STREAM: case HANDLE: r->stream = kind == STREAM ? a[1] : 0; break;
    case NEW: r->detail = (uint16_t)a[0]; break;
    case DROP: case SET: case GET: case FINALIZE:
      object = tft_cudnn_known((void *)a[0], 0);
      r->object = object.id;
      r->detail = (uint16_t)(kind == SET || kind == GET ? a[1] : object.type);
      if (kind == DROP) tft_cudnn_dropped((void *)a[0]); /* before: the address may be given out again at once */
      if (kind == SET)
        tft_cudnn_keep_values(TFT_CUDNN_SET, c->index, object, (uint32_t)a[1], (uint32_t)a[2], (int64_t)a[3], (void *)a[4]);
      break;
    case EXECUTE:
      object = tft_cudnn_known((void *)a[1], 1);
      r->object = object.id;
      r->stream = (uintptr_t)tft_cudnn_stream_of((void *)a[0]);
      take_stack(r, object.uses < ALWAYS); /* what an autotuner tries is tried a few times only */
      break;
    case DESCRIBE: r->object = tft_cudnn_made((void *)a[0], UINT32_MAX); break;
    case AMEND: r->object = tft_cudnn_known((void *)a[0], 0).id; break;
    case CHOOSE: case LAUNCH:
      r->stream = (uintptr_t)tft_cudnn_stream_of((void *)a[0]);
      take_stack(r, kind == CHOOSE);
      break;
    case VERSION: case CREATE: break;
  }
  if (kind != EXECUTE && kind != CHOOSE && kind != LAUNCH) take_stack_of_first(r);
  if (kind == DESCRIBE || kind == AMEND || kind == LAUNCH)
    tft_cudnn_keep_arguments(c->index, r->object, functions[function].arguments, a);
  if (tft_nvtx_active && (kind == EXECUTE || kind == LAUNCH)) tft_nvtx_push(functions[function].name, TFT_NVTX_LIBRARY);
  r->t1 = 0;
  r->t0 = tft_now();
  if (c->entered) r->own_ns = (uint32_t)(r->t0 - c->entered);
}

static void end(int function, const uintptr_t *a, uintptr_t result, call *c) {
  enum tft_cudnn_kind kind = functions[function].kind;
  tft_cudnn *r = c->record;
  int64_t now = tft_now();
  int ok = kind != VERSION && (int32_t)result == 0;
  if (kind == NEW && ok) {
    uint64_t id = tft_cudnn_made(*(void **)a[1], (uint32_t)a[0]);
    if (r) r->object = id;
  }
  if (kind == STREAM && ok) tft_cudnn_set_stream((void *)a[0], (void *)a[1]);
  if (kind == VERSION) atomic_store(&versions, result);
  if (!r) return;
  if (tft_nvtx_active && (kind == EXECUTE || kind == LAUNCH)) tft_nvtx_pop();
  r->status = kind == VERSION ? 0 : (uint16_t)result;
  if (kind == VERSION) r->object = result;
  if (kind == GET && ok && (int64_t)a[3] > 0 && (a[4] || a[3] == 1)) { /* who asks for one need not ask how many */
    int64_t count = a[4] ? *(int64_t *)a[4] : 1;
    if (count > (int64_t)a[3]) count = (int64_t)a[3];
    tft_cudnn_keep_values(TFT_CUDNN_GOT, c->index, tft_cudnn_known((void *)a[0], 0), (uint32_t)a[1], (uint32_t)a[2], count,
                          (void *)a[5]);
  }
  if (kind == CHOOSE && ok) tft_cudnn_keep_arguments(c->index, 0, functions[function].arguments, a);
  if (c->entered) r->own_ns += (uint32_t)(tft_now() - now);
  r->t1 = now;
}

#ifdef TFT_CUDNN_PRELOAD
#define SILENT (within || !installed)
#define ENTER (within = 1)
#define LEAVE (within = 0)
#else
#define SILENT 0
#define ENTER (void)0
#define LEAVE (void)0
#endif

/* Two registers of floating-point arguments go through as they are: no recorded function has more. */
#define X(name, words, kind, arguments)                                                                    \
  static uintptr_t wrap_##name(P##words double x, double y) {                                              \
    uintptr_t (*real)() = (uintptr_t (*)())resolved(F_##name);                                             \
    if (!atomic_load_explicit(&tft_recording, memory_order_relaxed) || SILENT) return real(A##words x, y); \
    uintptr_t a[] = {A##words 0};                                                                          \
    call c;                                                                                                \
    begin(F_##name, a, &c);                                                                                \
    ENTER;                                                                                                 \
    uintptr_t result = real(A##words x, y);                                                                \
    LEAVE;                                                                                                 \
    end(F_##name, a, result, &c);                                                                          \
    return result;                                                                                         \
  }
TFT_CUDNN_CALLS(X)
#undef X

#ifdef TFT_CUDNN_PRELOAD
/* In the variant that is preloaded the wrappers stand in front of whoever else exports these functions: TensorFlow's
 * trampolines, or cuDNN itself where a TensorFlow is linked against it. */
#define X(name, words, kind, arguments) \
  TFT_API uintptr_t name(P##words double x, double y) __attribute__((alias("wrap_" #name)));
TFT_CUDNN_CALLS(X)
#undef X

static uintptr_t not_there(void) { return 1; /* CUDNN_STATUS_NOT_INITIALIZED */ }

static void *next_in_line(const char *name) {
  static const char *const libraries[] = {"libtensorflow_framework.so.2", "libcudnn.so.9", "libcudnn.so.8", "libcudnn.so.7"};
  void *found = dlsym(RTLD_NEXT, name);
  for (size_t i = 0; !found && i < sizeof libraries / sizeof *libraries; i++) {
    void *handle = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);
    if (!handle) continue;
    found = dlsym(handle, name);
    dlclose(handle);
  }
  return found ? found : (void *)not_there;
}

/* How many functions calls are taken of; 0: this library was not preloaded, or somebody else stands in front of it. */
TFT_API int tft_cudnn_install_preloaded(uint64_t stacks) {
  void *program = dlopen(NULL, RTLD_LAZY); /* what was there from the start, not what was loaded privately since */
  int front = program && dlsym(program, "cudnnBackendExecute") == wrapper_of(F_cudnnBackendExecute);
  if (program) dlclose(program);
  atomic_store(&stacks_per_second, stacks);
  if (!installed) atomic_store(&unsampled, 0);
  installed = front ? FUNCTIONS : 0;
  return installed;
}
#endif

static void *wrapper_of(int function) {
#define X(name, words, kind, arguments) (void *)wrap_##name,
  static void *const wrappers[] = {TFT_CUDNN_CALLS(X)};
#undef X
  return wrappers[function];
}

/* ---- the slots */

typedef struct {
  const char *library;
  char path[4096];
  uintptr_t low, high;               /* of its code */
  uintptr_t data_low[8], data_high[8]; /* of what may be written */
  int writable;
} framework;

static int object(struct dl_phdr_info *info, size_t size, void *argument) {
  framework *f = argument;
  (void)size;
  if (!info->dlpi_name || !strstr(info->dlpi_name, f->library) || strlen(info->dlpi_name) >= sizeof f->path) return 0;
  strcpy(f->path, info->dlpi_name);
  for (int i = 0; i < info->dlpi_phnum; i++) {
    uintptr_t at = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr, to = at + info->dlpi_phdr[i].p_memsz;
    if (info->dlpi_phdr[i].p_type != PT_LOAD) continue;
    if (info->dlpi_phdr[i].p_flags & PF_X) f->low = at, f->high = to;
    if (info->dlpi_phdr[i].p_flags & PF_W && f->writable < 8)
      f->data_low[f->writable] = at, f->data_high[f->writable++] = to;
  }
  return 1;
}

/* cmpq $0, slot(%rip); je unresolved; jmp *slot(%rip); unresolved: push $number; call resolver */
static int decode(const framework *f, const uint8_t *stub, int function) {
  int32_t distance, jump, away;
  if ((uintptr_t)stub < f->low || (uintptr_t)stub + 64 > f->high) return 0;
  if (memcmp(stub, "\x48\x83\x3d", 3) || stub[7] || stub[8] != 0x74 || memcmp(stub + 10, "\xff\x25", 2)) return 0;
  memcpy(&distance, stub + 3, 4);
  memcpy(&jump, stub + 12, 4);
  uintptr_t slot = (uintptr_t)stub + 8 + distance;
  if (slot != (uintptr_t)stub + 16 + jump || slot % sizeof(void *)) return 0;
  int inside = 0;
  for (int i = 0; i < f->writable; i++) inside |= slot >= f->data_low[i] && slot + sizeof(void *) <= f->data_high[i];
  const uint8_t *push = stub + 10 + (int8_t)stub[9];
  if (!inside || push < stub || push > stub + 40) return 0;
  int64_t number;
  if (push[0] == 0x6a) number = (int8_t)push[1], push += 2;
  else if (push[0] == 0x68) memcpy(&away, push + 1, 4), number = away, push += 5;
  else return 0;
  if (push[0] != 0xe8) return 0;
  memcpy(&away, push + 1, 4);
  uintptr_t resolver = (uintptr_t)push + 5 + away;
  if (resolver < f->low || resolver >= f->high) return 0;
  targets[function].slot = (void **)slot;
  targets[function].resolver = (void *)resolver;
  targets[function].number = number;
  return 1;
}

/* Slots pointed at wrappers; 0: `library` is not loaded or has no cuDNN; -1: a trampoline has another form than the
 * one known here, nothing was changed. */
TFT_API int tft_cudnn_install(const char *library, uint64_t stacks) {
  framework f = {.library = library};
  atomic_store(&stacks_per_second, stacks);
  if (installed) return installed;
  atomic_store(&unsampled, 0);
  if (!dl_iterate_phdr(object, &f)) return 0;
  void *handle = dlopen(f.path, RTLD_LAZY | RTLD_NOLOAD);
  if (!handle) return 0;
  int count = 0, strange = 0;
  for (int i = 0; i < FUNCTIONS; i++) {
    const uint8_t *stub = dlsym(handle, functions[i].name);
    targets[i].slot = NULL;
    /* a function of the same name in cuDNN itself is not TensorFlow's trampoline */
    if (!stub || (uintptr_t)stub < f.low || (uintptr_t)stub >= f.high) continue;
    if (decode(&f, stub, i)) count++;
    else strange = 1;
  }
  dlclose(handle);
  if (strange) return -1;
  pthread_mutex_lock(&resolving);
  installed = count;
  for (int i = 0; i < FUNCTIONS; i++) {
    if (!targets[i].slot) continue;
    void *old = __atomic_load_n(targets[i].slot, __ATOMIC_ACQUIRE);
    atomic_store(&targets[i].real, old);
    __atomic_store_n(targets[i].slot, wrapper_of(i), __ATOMIC_RELEASE);
  }
  pthread_mutex_unlock(&resolving);
  return count;
}

/* Every slot holds again what it would hold without us. Returns how many were left, being somebody else's by now. */
TFT_API int tft_cudnn_remove(void) {
  int left = 0;
  pthread_mutex_lock(&resolving);
  for (int i = 0; i < FUNCTIONS && installed; i++) {
    if (!targets[i].slot) continue;
    void *ours = wrapper_of(i);
    if (!__atomic_compare_exchange_n(targets[i].slot, &ours, atomic_load(&targets[i].real), 0, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE))
      left++;
  }
  installed = 0;
  pthread_mutex_unlock(&resolving);
  return left;
}

/* Calls recorded and lost, values lost, calls whose stack was left out, cuDNN's version (0: not asked for), slots held. */
TFT_API void tft_cudnn_counts(uint64_t out[6]) {
  out[0] = atomic_load(&tft_cudnn_file.next), out[1] = atomic_load(&tft_cudnn_file.lost);
  out[2] = atomic_load(&tft_cudnn_data_file.lost), out[3] = atomic_load(&unsampled);
  out[4] = atomic_load(&versions), out[5] = (uint64_t)installed;
}

/* The table of functions, for the tests: name and what is stored of the arguments; NULL behind the last. */
TFT_API const char *tft_cudnn_function(int function, const char **arguments) {
  if (function < 0 || function >= FUNCTIONS) return NULL;
  *arguments = functions[function].arguments;
  return functions[function].name;
}
