/* libcudnn.so.9 in front of NVIDIA's own, for a machine without a GPU.
 *
 * Descriptors, heuristics, engines, plans and the log are the real library's: it is told of a device by its
 * properties (CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, public since 9.8) in place of a handle. Only what needs a
 * device is answered here: handles (native/handles.c), and execution, which puts a kernel with a made-up duration on the stand-in GPU.
 */
#define _GNU_SOURCE
#include "../native/handles.h"

#include <cuda.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* The function of that name in the real library, which stands behind this one. */
#define REAL(name)                                                        \
  static __typeof__(&name) real_##name;                                   \
  if (!real_##name) real_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

/* ---- which type a descriptor has: the real library does not tell ---- */

typedef struct known {
  void *descriptor;
  cudnnBackendDescriptorType_t type;
  unsigned plan; /* which one it is of the plans finalised so far; 0: none */
  struct known *next;
} known;

enum { BUCKETS = 1 << 14 };
static known *table[BUCKETS];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static known **place_of(void *descriptor) {
  known **at = &table[((uintptr_t)descriptor >> 4) % BUCKETS];
  while (*at && (*at)->descriptor != descriptor) at = &(*at)->next;
  return at;
}

static void remember(void *descriptor, cudnnBackendDescriptorType_t type) {
  pthread_mutex_lock(&mutex);
  known **at = place_of(descriptor);
  if (!*at) *at = calloc(1, sizeof **at);
  (*at)->descriptor = descriptor;
  (*at)->type = type;
  (*at)->plan = 0;
  pthread_mutex_unlock(&mutex);
}

static void forget(void *descriptor) {
  pthread_mutex_lock(&mutex);
  known **at = place_of(descriptor), *old = *at;
  if (old) {
    *at = old->next;
    free(old);
  }
  pthread_mutex_unlock(&mutex);
}

static known recall(void *descriptor) {
  pthread_mutex_lock(&mutex);
  known *found = *place_of(descriptor);
  known copy = found ? *found : (known){.type = -1};
  pthread_mutex_unlock(&mutex);
  return copy;
}

static void number_plan(void *descriptor) {
  static unsigned plans;
  pthread_mutex_lock(&mutex);
  known *found = *place_of(descriptor);
  if (found) found->plan = ++plans;
  pthread_mutex_unlock(&mutex);
}

/* ---- the device that is not there ---- */

static cudnnBackendDescriptor_t device_properties;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fail(const char *what) {
  fprintf(stderr, "real cuDNN on the stand-in GPU: %s\n", what);
  abort();
}

static void describe_device(void) {
  REAL(cudnnBackendCreateDescriptor);
  REAL(cudnnBackendSetAttribute);
  REAL(cudnnBackendFinalize);
  static char text[1 << 14];
  const char *path = getenv("STANDIN_GPU_PROPERTIES");
  FILE *file = path ? fopen(path, "r") : NULL;
  if (!file) fail("STANDIN_GPU_PROPERTIES names no file with device properties");
  size_t size = fread(text, 1, sizeof text, file);
  fclose(file);
  while (size && text[size - 1] == '\n') size--;
  if (real_cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device_properties) ||
      real_cudnnBackendSetAttribute(device_properties, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR,
                                    (int64_t)size, text) ||
      real_cudnnBackendFinalize(device_properties))
    fail("cuDNN does not take the device properties");
}

/* ---- descriptors ---- */

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *made) {
  REAL(cudnnBackendCreateDescriptor);
  cudnnStatus_t status = real_cudnnBackendCreateDescriptor(type, made);
  if (status == CUDNN_STATUS_SUCCESS) remember(*made, type);
  return status;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t descriptor) {
  REAL(cudnnBackendDestroyDescriptor);
  forget(descriptor);
  return real_cudnnBackendDestroyDescriptor(descriptor);
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t descriptor, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values) {
  REAL(cudnnBackendSetAttribute);
  /* the handles are ours, and the real library would look behind them */
  if (name == CUDNN_ATTR_OPERATIONGRAPH_HANDLE || name == CUDNN_ATTR_EXECUTION_PLAN_HANDLE)
    return CUDNN_STATUS_SUCCESS;
  return real_cudnnBackendSetAttribute(descriptor, name, type, count, values);
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t descriptor) {
  REAL(cudnnBackendFinalize);
  REAL(cudnnBackendSetAttribute);
  pthread_once(&once, describe_device);
  cudnnBackendDescriptorType_t type = recall(descriptor).type;
  int properties = type == CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR       ? CUDNN_ATTR_ENGINEHEUR_DEVICEPROP
                   : type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR ? CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP
                   : type == CUDNN_BACKEND_ENGINE_DESCRIPTOR         ? CUDNN_ATTR_ENGINE_DEVICEPROP
                                                                     : -1;
  if (properties >= 0)
    real_cudnnBackendSetAttribute(descriptor, properties, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &device_properties);
  cudnnStatus_t status = real_cudnnBackendFinalize(descriptor);
  if (status == CUDNN_STATUS_SUCCESS && type == CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR) number_plan(descriptor);
  return status;
}

/* ---- execution ---- */

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t plan, cudnnBackendDescriptor_t pack) {
  REAL(cudnnBackendExecute);
  static void (*launch)(const char *, int64_t, void *);
  /* without a handle the real library refuses, but logs the call as it logs any */
  real_cudnnBackendExecute(NULL, plan, pack);
  if (!launch) {
    void *driver = dlopen("libcuda.so.1", RTLD_NOLOAD | RTLD_NOW);
    *(void **)&launch = driver ? dlsym(driver, "standin_gpu_launch") : NULL;
    if (!launch) fail("the driver is not the stand-in");
  }
  /* made up, but different from plan to plan and the same in every run */
  launch("standin_for_real_cudnn_plan", 100000 + recall(plan).plan * 37000ll % 300000, handle->stream);
  return CUDNN_STATUS_SUCCESS;
}
