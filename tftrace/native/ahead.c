/* Memory for the records to come, provided by a thread of its own.
 *
 * The first touch of a page of a file costs the kernel several microseconds, and growing a file more: as much as an op's
 * whole record, if the thread that runs the op has to wait for it. So this thread looks what each file took since its
 * last look, and has as much again, twice over, ready before it is asked for. Where it comes too late, or the kernel
 * knows no way to do so, the pages come as they always did. */
#include "tftrace.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* since Linux 5.14 */
#endif

enum { LEAST = 1 << 16, MOST = 1 << 21, PIECE = 1 << 18 }; /* bytes: ready at least and at most, and by one call */
enum { BUSY_NS = 20000000, IDLE_NS = 100000000 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static pthread_t thread;
static int running, stopping, unknown;
static uintptr_t page;

static int populate(char *from, char *to) {
  for (char *at = from; at < to; at += PIECE) /* others who need the process's memory map come in between */
    if (madvise(at, (size_t)(to - at < PIECE ? to - at : PIECE), MADV_POPULATE_WRITE)) return 0;
  return 1;
}

/* 1 where the file is being written. */
static int provide(tft_file *file) {
  uint64_t next = atomic_load_explicit(&file->next, memory_order_relaxed), used = next - file->seen;
  file->seen = next;
  if (!used) return 0;
  uint64_t most = MOST / file->record, least = LEAST / file->record, more = 2 * used;
  uint64_t upto = next + (more < least ? least : more > most ? most : more);
  if (file->provided < next) file->provided = next;
  while (file->provided < upto && !unknown) {
    uint64_t segment = file->provided / TFT_SEGMENT, first = segment * TFT_SEGMENT;
    uint64_t end = upto < first + TFT_SEGMENT ? upto : first + TFT_SEGMENT;
    char *memory = tft_segment(file, segment);
    if (!memory) break;
    uintptr_t from = (uintptr_t)memory + (file->provided - first) * file->record;
    uintptr_t to = (uintptr_t)memory + (end - first) * file->record;
    if (!populate((char *)(from & ~(page - 1)), (char *)((to + page - 1) & ~(page - 1)))) unknown = 1;
    file->provided = end;
  }
  return 1;
}

static void *look_ahead(void *files) {
  pthread_mutex_lock(&lock);
  while (!stopping && !unknown) {
    int busy = 0;
    for (tft_file *const *file = files; *file; file++) busy |= provide(*file);
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += busy ? BUSY_NS : IDLE_NS;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_cond_timedwait(&woken, &lock, &until);
  }
  pthread_mutex_unlock(&lock);
  return NULL;
}

void tft_ahead_stop(void) {
  pthread_mutex_lock(&lock);
  int ours = running;
  running = 0, stopping = 1;
  pthread_cond_signal(&woken);
  pthread_mutex_unlock(&lock);
  if (ours) pthread_join(thread, NULL);
}

static void before_fork(void) { pthread_mutex_lock(&lock); }
static void in_parent(void) { pthread_mutex_unlock(&lock); }
static void in_child(void) { /* where the thread does not exist */
  running = 0;
  pthread_cond_init(&woken, NULL);
  pthread_mutex_unlock(&lock);
}

/* `files` end with NULL. */
void tft_ahead_start(tft_file *const *files) {
  static int registered;
  sigset_t all, kept;
  tft_ahead_stop();
  if (!registered) pthread_atfork(before_fork, in_parent, in_child);
  registered = 1;
  for (tft_file *const *file = files; *file; file++) (*file)->seen = (*file)->provided = 0;
  stopping = unknown = 0;
  page = (uintptr_t)sysconf(_SC_PAGESIZE);
  sigfillset(&all); /* signals are for the program's own threads */
  pthread_sigmask(SIG_SETMASK, &all, &kept);
  running = pthread_create(&thread, NULL, look_ahead, (void *)files) == 0;
  pthread_sigmask(SIG_SETMASK, &kept, NULL);
  if (running) pthread_setname_np(thread, "tftrace-ahead");
}
