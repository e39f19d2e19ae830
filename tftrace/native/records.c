/* Files of fixed records: one atomic add hands out a slot, the kernel writes it back. A killed process loses
 * nothing that was stored, because the pages belong to the file. */
#include "cudnn.h"
#include "native_process.h"
#include "tftrace.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

tft_file tft_dispatch_file = {.name = "dispatch.bin", .record = sizeof(tft_dispatch), .fd = -1};
tft_file tft_itt_file = {.name = "itt.bin", .record = sizeof(tft_itt), .fd = -1};
tft_file tft_thread_file = {.name = "threads.bin", .record = sizeof(tft_thread), .fd = -1};
tft_file tft_verbose_file = {.name = "verbose.bin", .record = TFT_TEXT, .fd = -1};
tft_file tft_onednn_file = {.name = "onednn.bin", .record = sizeof(tft_onednn), .fd = -1};
tft_file tft_cudnn_file = {.name = "cudnn.bin", .record = sizeof(tft_cudnn), .fd = -1};
tft_file tft_cudnn_data_file = {.name = "cudnn_data.bin", .record = TFT_TEXT, .fd = -1};
tft_file tft_log_file = {.name = "tf_log.bin", .record = TFT_TEXT, .fd = -1};
tft_file tft_executor_file = {.name = "executor.bin", .record = TFT_TEXT, .fd = -1};
static tft_file *const files[] = {&tft_dispatch_file, &tft_itt_file,        &tft_thread_file,
                                &tft_verbose_file,  &tft_onednn_file,     &tft_cudnn_file,
                                &tft_cudnn_data_file, &tft_log_file,      &tft_executor_file, NULL};

atomic_int tft_recording;
__thread uint64_t tft_call;
static pthread_mutex_t growing = PTHREAD_MUTEX_INITIALIZER;
static char opened[4096];
static atomic_uint generation = 1; /* threads announce themselves again after a fork */

int tft_open_in(const char *directory, const char *name, int flags) {
  char path[4400];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return open(path, flags | O_CREAT | O_CLOEXEC, 0600);
}

void *tft_segment(tft_file *file, uint64_t segment) {
  if (segment >= TFT_SEGMENTS) return NULL;
  size_t bytes = TFT_SEGMENT * file->record;
  void *memory = NULL;
  pthread_mutex_lock(&growing);
  memory = atomic_load(&file->segment[segment]);
  /* fallocate, not ftruncate: writing to a hole of a full disk would be a SIGBUS in the user's process */
  if (!memory && file->fd >= 0 && posix_fallocate(file->fd, (off_t)(segment * bytes), (off_t)bytes) == 0) {
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->fd, (off_t)(segment * bytes));
    if (memory == MAP_FAILED) memory = NULL;
    atomic_store(&file->segment[segment], memory);
    /* full segments leave the process's memory; touching one again only costs a page fault */
    if (memory && segment >= 2) {
      void *old = atomic_load(&file->segment[segment - 2]);
      if (old) madvise(old, bytes, MADV_DONTNEED);
    }
  }
  pthread_mutex_unlock(&growing);
  return memory;
}

void *tft_slots(tft_file *file, uint64_t count, uint64_t *index) {
  uint64_t position = atomic_fetch_add_explicit(&file->next, count, memory_order_relaxed);
  /* a run of slots does not cross segments: what is left of the full one stays zero */
  while (__builtin_expect(position / TFT_SEGMENT != (position + count - 1) / TFT_SEGMENT, 0))
    position = atomic_fetch_add_explicit(&file->next, count, memory_order_relaxed);
  uint64_t segment = position / TFT_SEGMENT;
  void *memory = NULL;
  if (segment < TFT_SEGMENTS) {
    memory = atomic_load_explicit(&file->segment[segment], memory_order_acquire);
    if (__builtin_expect(!memory, 0)) memory = tft_segment(file, segment);
  }
  if (!memory) {
    atomic_fetch_add_explicit(&file->lost, 1, memory_order_relaxed);
    return NULL;
  }
  *index = position;
  return (char *)memory + (position % TFT_SEGMENT) * file->record;
}

void *tft_slot(tft_file *file, uint64_t *index) { return tft_slots(file, 1, index); }

uint32_t tft_tid(void) {
  static __thread uint32_t tid;
  static __thread unsigned seen;
  unsigned current = atomic_load_explicit(&generation, memory_order_relaxed);
  if (__builtin_expect(seen != current, 0)) {
    uint64_t index;
    seen = current;
    tid = (uint32_t)syscall(SYS_gettid);
    tft_thread *record = tft_slot(&tft_thread_file, &index);
    if (record) {
      record->pthread = (uint64_t)pthread_self();
      record->tid = tid;
    }
  }
  return tid;
}

int tft_set_add(tft_set *set, uint64_t key) {
  uint64_t mask = (1ull << set->bits) - 1, at = key & mask;
  key |= !key; /* 0 marks an empty slot */
  for (;;) {
    uint64_t value = atomic_load_explicit(&set->slots[at], memory_order_relaxed);
    if (value == key) return 0;
    if (!value) {
      if (atomic_load_explicit(&set->count, memory_order_relaxed) > mask - mask / 4) return -1;
      uint64_t expected = 0;
      if (atomic_compare_exchange_strong(&set->slots[at], &expected, key)) {
        atomic_fetch_add(&set->count, 1);
        return 1;
      }
      if (expected == key) return 0;
    }
    at = (at + 1) & mask;
  }
}

/* Opens every file below `directory` and starts recording; again after a fork, for the child's own directory.
 * 0, or the errno of what failed. */
TFT_API int tft_open(const char *directory) {
  atomic_store(&tft_recording, 0);
  tft_ahead_stop();
  for (size_t i = 0; files[i]; i++) {
    tft_file *file = files[i];
    int fd = tft_open_in(directory, file->name, O_RDWR);
    if (fd < 0) return -1;
    if (file->fd >= 0) close(file->fd);
    file->fd = fd;
    for (uint64_t s = 0; s < TFT_SEGMENTS; s++) atomic_store(&file->segment[s], NULL);
    atomic_store(&file->next, 0);
    atomic_store(&file->lost, 0);
  }
  tft_native_stacks_open(directory);
  tft_itt_open(directory);
  tft_verbose_open();
  tft_c_api_open(directory);
  tft_executor_open();
  snprintf(opened, sizeof opened, "%s", directory);
  atomic_fetch_add(&generation, 1);
  tft_call = 0;
  tft_itt_current = 0;
  atomic_store(&tft_recording, 1);
  tft_ahead_start(files);
  return 0;
}

TFT_API void tft_pause(int on) {
  atomic_store(&tft_recording, !on && opened[0]);
  if (atomic_load(&tft_recording)) tft_ahead_start(files);
  else tft_ahead_stop();
}

/* records written and lost: dispatch, ITT */
TFT_API void tft_counts(uint64_t out[4]) {
  out[0] = atomic_load(&tft_dispatch_file.next), out[1] = atomic_load(&tft_dispatch_file.lost);
  out[2] = atomic_load(&tft_itt_file.next), out[3] = atomic_load(&tft_itt_file.lost);
}

int tft_is_open(void) { return opened[0] != 0; }
