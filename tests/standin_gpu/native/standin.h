/* What the stand-in's libraries share: one made-up GPU (or two) whose memory is host memory.
 *
 * Kernels compute nothing. Their durations are made up and kept on a device clock of each stream, so a tuner that
 * times candidates by events always gets the same answer. Nothing here says anything about speed or about values.
 */
#pragma once
#define _GNU_SOURCE
#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STANDIN_NAME "Stand-in GPU (synthetic)"
#define STANDIN_CAPABILITY_MAJOR 8
#define STANDIN_CAPABILITY_MINOR 0
#define STANDIN_MEMORY (8ull << 30)
#define STANDIN_CUDA_VERSION 12050
#define STANDIN_MAX_DEVICES 2

/* For a library that runs something of its own on the stand-in: a kernel of that name on that stream. */
void standin_gpu_launch(const char *name, int64_t duration_ns, void *stream);

#pragma GCC visibility push(hidden)

/* core.c: log, devices, streams, kernel names */

/* A line in the file that STANDIN_GPU_LOG names, if any. */
void standin_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Wall clock in ns: what TensorFlow's profiler and its CUPTI calibration use. */
int64_t standin_now_ns(void);
void standin_wait_until(int64_t ns);

typedef struct standin_device {
  int ordinal;
  int context_references;
  size_t used;        /* bytes of device memory that are allocated */
  int64_t free_at_ns; /* when all that was enqueued on any of its streams is over */
} standin_device;

int standin_device_count(void);
standin_device *standin_device_at(int ordinal);
/* The device whose context is current on this thread; a thread that never chose one has the first. */
standin_device *standin_current(void);
standin_device *standin_current_or_null(void);
void standin_make_current(standin_device *device);
int standin_attribute(int attribute);

typedef struct standin_stream {
  uint32_t id;
  standin_device *device;
  pthread_mutex_t mutex;
  int64_t free_at_ns; /* when all that was enqueued is over */
  int64_t busy_ns;    /* sum of the durations enqueued so far: what events measure */
} standin_stream;

/* The stream behind a handle; 0 is the default stream of the current device. */
standin_stream *standin_stream_of(void *handle);
/* Puts work of `duration_ns` on the stream: from `*start_ns` to `*end_ns` of the wall clock. */
void standin_enqueue(standin_stream *stream, int64_t duration_ns, int64_t *start_ns, int64_t *end_ns);

typedef struct standin_kernel {
  const void *host; /* address of the host stub that the runtime registers the kernel by; 0 for a module's kernel */
  char *name;
  struct standin_kernel *next;
} standin_kernel;

standin_kernel *standin_kernel_named(const char *name);
standin_kernel *standin_kernel_register(const void *host, const char *name);
standin_kernel *standin_kernel_by_host(const void *host);

typedef struct {
  unsigned x, y, z;
} standin_extent;

/* Enqueues a kernel and tells CUPTI of it. */
void standin_launch(const char *name, standin_extent grid, standin_extent block, unsigned shared_bytes,
                    void *stream, int64_t duration_ns);
#define STANDIN_KERNEL_NS 5000 /* of a kernel that nobody made up a duration for */

/* memory.c */

enum standin_memory { STANDIN_DEVICE_MEMORY = 1, STANDIN_HOST_MEMORY = 2 };
void *standin_allocate(size_t bytes, enum standin_memory kind);
void standin_free(void *address);

enum standin_copy { STANDIN_HOST_TO_DEVICE = 1, STANDIN_DEVICE_TO_HOST = 2, STANDIN_DEVICE_TO_DEVICE = 8 };
void standin_copy(enum standin_copy kind, void *to, const void *from, size_t bytes, void *stream);
void standin_fill(void *to, uint32_t value, size_t width, size_t count, void *stream);

/* cupti.c: what the device did, on its way to the profiler */

void standin_cupti_kernel(const char *name, standin_extent grid, standin_extent block, unsigned shared_bytes,
                          standin_stream *stream, int64_t duration_ns);
void standin_cupti_copy(enum standin_copy kind, size_t bytes, standin_stream *stream, int64_t duration_ns);
void standin_cupti_fill(uint32_t value, size_t width, size_t count, standin_stream *stream, int64_t duration_ns);

#pragma GCC visibility pop
