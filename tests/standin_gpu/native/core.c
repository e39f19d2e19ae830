/* What every library of the stand-in rests on: log, clock, devices, streams, kernel names. */
#include "standin.h"

#include <cuda.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Its presence in a loaded libcuda.so.1 is how anybody can tell this driver from a real one. */
__attribute__((visibility("default"))) int tftrace_standin_gpu = 1;

/* ---- log ---- */

static FILE *log_file;
static pthread_once_t log_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t log_mutex = PTHREAD_MUTEX_INITIALIZER;

static void open_log(void) {
  const char *path = getenv("STANDIN_GPU_LOG");
  if (path) log_file = fopen(path, "a");
}

void standin_log(const char *format, ...) {
  pthread_once(&log_once, open_log);
  if (!log_file) return;
  va_list arguments;
  va_start(arguments, format);
  pthread_mutex_lock(&log_mutex);
  fprintf(log_file, "%ld ", syscall(SYS_gettid));
  vfprintf(log_file, format, arguments);
  fputc('\n', log_file);
  fflush(log_file);
  pthread_mutex_unlock(&log_mutex);
  va_end(arguments);
}

/* ---- clock ---- */

int64_t standin_now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return now.tv_sec * 1000000000ll + now.tv_nsec;
}

void standin_wait_until(int64_t ns) {
  struct timespec until = {ns / 1000000000, ns % 1000000000};
  if (ns > standin_now_ns())
    while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL) != 0) {
    }
}

/* ---- devices ---- */

static standin_device devices[STANDIN_MAX_DEVICES] = {{.ordinal = 0}, {.ordinal = 1}};
static __thread standin_device *current;

int standin_device_count(void) {
  const char *wanted = getenv("STANDIN_GPU_DEVICES");
  int count = wanted ? atoi(wanted) : 1;
  return count < 1 ? 1 : count > STANDIN_MAX_DEVICES ? STANDIN_MAX_DEVICES : count;
}

standin_device *standin_device_at(int ordinal) {
  return ordinal >= 0 && ordinal < standin_device_count() ? &devices[ordinal] : NULL;
}

standin_device *standin_current_or_null(void) { return current; }
standin_device *standin_current(void) { return current ? current : &devices[0]; }
void standin_make_current(standin_device *device) { current = device; }

/* The driver and the runtime number their attributes alike. */
int standin_attribute(int attribute) {
  switch (attribute) {
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X:
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y: return 1024;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z: return 64;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X: return 2147483647;
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y:
    case CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z: return 65535;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK: return 49152;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN: return 101376;
    case CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_MULTIPROCESSOR: return 102400;
    case CU_DEVICE_ATTRIBUTE_RESERVED_SHARED_MEMORY_PER_BLOCK: return 1024;
    case CU_DEVICE_ATTRIBUTE_TOTAL_CONSTANT_MEMORY: return 65536;
    case CU_DEVICE_ATTRIBUTE_WARP_SIZE: return 32;
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_BLOCK:
    case CU_DEVICE_ATTRIBUTE_MAX_REGISTERS_PER_MULTIPROCESSOR: return 65536;
    case CU_DEVICE_ATTRIBUTE_CLOCK_RATE: return 1500000;
    case CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT: return 40;
    case CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE: return 6000000;
    case CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH: return 384;
    case CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE: return 6 << 20;
    case CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_MULTIPROCESSOR: return 1536;
    case CU_DEVICE_ATTRIBUTE_MAX_BLOCKS_PER_MULTIPROCESSOR: return 16;
    case CU_DEVICE_ATTRIBUTE_ASYNC_ENGINE_COUNT: return 2;
    case CU_DEVICE_ATTRIBUTE_UNIFIED_ADDRESSING:
    case CU_DEVICE_ATTRIBUTE_CONCURRENT_KERNELS: return 1;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR: return STANDIN_CAPABILITY_MAJOR;
    case CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR: return STANDIN_CAPABILITY_MINOR;
    case CU_DEVICE_ATTRIBUTE_TEXTURE_ALIGNMENT: return 512;
    default: return 0;
  }
}

/* ---- streams ---- */

static standin_stream default_streams[STANDIN_MAX_DEVICES] = {
    {.device = &devices[0], .mutex = PTHREAD_MUTEX_INITIALIZER},
    {.device = &devices[1], .mutex = PTHREAD_MUTEX_INITIALIZER},
};

standin_stream *standin_stream_of(void *handle) {
  /* CUDA's own handles for the default stream are 0, 1 (legacy) and 2 (one a thread) */
  return (uintptr_t)handle > 2 ? handle : &default_streams[standin_current()->ordinal];
}

void standin_enqueue(standin_stream *stream, int64_t duration_ns, int64_t *start_ns, int64_t *end_ns) {
  int64_t now = standin_now_ns();
  pthread_mutex_lock(&stream->mutex);
  *start_ns = now > stream->free_at_ns ? now : stream->free_at_ns;
  *end_ns = *start_ns + duration_ns;
  stream->free_at_ns = *end_ns;
  stream->busy_ns += duration_ns;
  if (stream->device->free_at_ns < *end_ns) stream->device->free_at_ns = *end_ns;
  pthread_mutex_unlock(&stream->mutex);
}

/* ---- kernel names ---- */

enum { BUCKETS = 4096 };
static standin_kernel *kernels[BUCKETS];
static pthread_mutex_t kernel_mutex = PTHREAD_MUTEX_INITIALIZER;

static unsigned bucket_of(const void *host) { return ((uintptr_t)host >> 4) % BUCKETS; }

standin_kernel *standin_kernel_by_host(const void *host) {
  pthread_mutex_lock(&kernel_mutex);
  standin_kernel *kernel = kernels[bucket_of(host)];
  while (kernel && kernel->host != host) kernel = kernel->next;
  pthread_mutex_unlock(&kernel_mutex);
  return kernel;
}

standin_kernel *standin_kernel_named(const char *name) {
  standin_kernel *kernel = calloc(1, sizeof *kernel);
  kernel->name = strdup(name);
  return kernel;
}

standin_kernel *standin_kernel_register(const void *host, const char *name) {
  standin_kernel *kernel = standin_kernel_by_host(host);
  if (kernel) return kernel;
  kernel = standin_kernel_named(name);
  kernel->host = host;
  pthread_mutex_lock(&kernel_mutex);
  kernel->next = kernels[bucket_of(host)];
  kernels[bucket_of(host)] = kernel;
  pthread_mutex_unlock(&kernel_mutex);
  return kernel;
}

void standin_launch(const char *name, standin_extent grid, standin_extent block, unsigned shared_bytes,
                    void *stream, int64_t duration_ns) {
  standin_log("kernel %s grid=%u,%u,%u block=%u,%u,%u", name, grid.x, grid.y, grid.z, block.x, block.y, block.z);
  standin_cupti_kernel(name, grid, block, shared_bytes, standin_stream_of(stream), duration_ns);
}

void standin_gpu_launch(const char *name, int64_t duration_ns, void *stream) {
  standin_launch(name, (standin_extent){16, 1, 1}, (standin_extent){128, 1, 1}, 0, stream, duration_ns);
}
