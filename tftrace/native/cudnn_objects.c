/* Numbers for cuDNN's descriptors, whose addresses are used again and again, and the stream of each handle. */
#include "cudnn.h"

#include <pthread.h>
#include <stdlib.h>

typedef struct {
  const void *pointer;
  tft_cudnn_object object;
} entry;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static entry *entries;
static size_t bits, used;
static uint64_t next = 1;

static size_t home(const void *pointer) { return (size_t)(((uintptr_t)pointer * 0x9E3779B97F4A7C15ull) >> (64 - bits)); }

/* The entry of `pointer`, or the empty one where it would stand. */
static entry *find(const void *pointer) {
  size_t mask = ((size_t)1 << bits) - 1, at = home(pointer);
  while (entries[at].pointer && entries[at].pointer != pointer) at = (at + 1) & mask;
  return &entries[at];
}

static int grow(void) {
  size_t old_bits = bits;
  entry *old = entries, *wider = calloc((size_t)1 << (bits ? bits + 1 : 12), sizeof *wider);
  if (!wider) return 0;
  entries = wider;
  bits = bits ? bits + 1 : 12;
  for (size_t i = 0; old && i < (size_t)1 << old_bits; i++)
    if (old[i].pointer) *find(old[i].pointer) = old[i];
  free(old);
  return 1;
}

uint64_t tft_cudnn_made(const void *pointer, uint32_t type) {
  uint64_t id = 0;
  pthread_mutex_lock(&lock);
  if ((bits && used * 2 < (size_t)1 << bits) || grow()) {
    entry *e = find(pointer);
    used += !e->pointer;
    id = next++;
    *e = (entry){pointer, {id, type, 0}};
  }
  pthread_mutex_unlock(&lock);
  return id;
}

tft_cudnn_object tft_cudnn_known(const void *pointer, int use) {
  tft_cudnn_object found = {0, UINT32_MAX, 0};
  if (!pointer) return found;
  pthread_mutex_lock(&lock);
  if (bits) {
    entry *e = find(pointer);
    if (e->pointer) {
      found = e->object;
      e->object.uses += use != 0;
    }
  }
  pthread_mutex_unlock(&lock);
  return found;
}

void tft_cudnn_dropped(const void *pointer) {
  pthread_mutex_lock(&lock);
  entry *hole = bits ? find(pointer) : NULL;
  if (hole && hole->pointer) { /* close the gap, so that every entry stays reachable from its home */
    size_t mask = ((size_t)1 << bits) - 1, at = (size_t)(hole - entries), gap = at;
    used--;
    for (;;) {
      at = (at + 1) & mask;
      if (!entries[at].pointer) break;
      size_t from = home(entries[at].pointer);
      if (((at - from) & mask) >= ((at - gap) & mask)) entries[gap] = entries[at], gap = at;
    }
    entries[gap].pointer = NULL;
  }
  pthread_mutex_unlock(&lock);
}

/* A process has a handle or two for each device. */
enum { HANDLES = 256 };
static struct {
  const void *_Atomic handle;
  const void *_Atomic stream;
} handles[HANDLES];

void tft_cudnn_set_stream(const void *handle, const void *stream) {
  for (int i = 0; i < HANDLES; i++) {
    const void *seen = atomic_load_explicit(&handles[i].handle, memory_order_acquire);
    if (!seen && !atomic_compare_exchange_strong(&handles[i].handle, &seen, handle) && seen != handle) continue;
    if (seen && seen != handle) continue;
    atomic_store_explicit(&handles[i].stream, stream, memory_order_release);
    return;
  }
}

const void *tft_cudnn_stream_of(const void *handle) {
  for (int i = 0; i < HANDLES; i++) {
    const void *seen = atomic_load_explicit(&handles[i].handle, memory_order_acquire);
    if (seen == handle) return atomic_load_explicit(&handles[i].stream, memory_order_acquire);
    if (!seen) break;
  }
  return NULL;
}
