/* libcuda.so.1: memory. Device memory is host memory, reserved without being backed until it is touched. */
#include "standin.h"

#include <cuda.h>
#include <sys/mman.h>

typedef struct {
  uintptr_t address; /* 0: the place is free */
  size_t bytes;
  enum standin_memory kind;
  standin_device *device;
} allocation;

enum { ALLOCATIONS = 1 << 16 }; /* TensorFlow allocates few, large blocks */
static allocation allocations[ALLOCATIONS];
static int allocation_count;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

void *standin_allocate(size_t bytes, enum standin_memory kind) {
  const size_t page = 4096;
  bytes = bytes ? (bytes + page - 1) / page * page : page;
  void *address =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED) return NULL;
  pthread_mutex_lock(&mutex);
  int place = 0;
  while (place < allocation_count && allocations[place].address) place++;
  if (place == ALLOCATIONS) {
    pthread_mutex_unlock(&mutex);
    munmap(address, bytes);
    return NULL;
  }
  if (place == allocation_count) allocation_count++;
  allocations[place] = (allocation){(uintptr_t)address, bytes, kind, standin_current()};
  if (kind == STANDIN_DEVICE_MEMORY) standin_current()->used += bytes;
  pthread_mutex_unlock(&mutex);
  return address;
}

void standin_free(void *address) {
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < allocation_count; i++) {
    if (allocations[i].address != (uintptr_t)address) continue;
    if (allocations[i].kind == STANDIN_DEVICE_MEMORY) allocations[i].device->used -= allocations[i].bytes;
    munmap(address, allocations[i].bytes);
    allocations[i].address = 0;
    break;
  }
  pthread_mutex_unlock(&mutex);
}

static int find(CUdeviceptr address, allocation *found) {
  int is_ours = 0;
  pthread_mutex_lock(&mutex);
  for (int i = 0; i < allocation_count && !is_ours; i++) {
    allocation *candidate = &allocations[i];
    if (candidate->address && address >= candidate->address && address < candidate->address + candidate->bytes) {
      *found = *candidate;
      is_ours = 1;
    }
  }
  pthread_mutex_unlock(&mutex);
  return is_ours;
}

/* ---- copies and fills: done at once, reported with a made-up duration ---- */

void standin_copy(enum standin_copy kind, void *to, const void *from, size_t bytes, void *stream) {
  const int64_t bytes_a_us = 10000;
  memmove(to, from, bytes);
  standin_cupti_copy(kind, bytes, standin_stream_of(stream), 2000 + (int64_t)bytes * 1000 / bytes_a_us);
}

void standin_fill(void *to, uint32_t value, size_t width, size_t count, void *stream) {
  if (width == 4)
    for (size_t i = 0; i < count; i++) ((uint32_t *)to)[i] = value;
  else
    memset(to, (int)value, count);
  standin_cupti_fill(value, width, count, standin_stream_of(stream), 1500);
}

/* ---- the driver's functions ---- */

static CUresult given(void *address) { return address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY; }

CUresult cuMemGetInfo(size_t *free_bytes, size_t *total) {
  *total = STANDIN_MEMORY;
  *free_bytes = STANDIN_MEMORY - standin_current()->used;
  return CUDA_SUCCESS;
}

CUresult cuMemAlloc(CUdeviceptr *address, size_t bytes) {
  *address = (CUdeviceptr)standin_allocate(bytes, STANDIN_DEVICE_MEMORY);
  return given((void *)*address);
}

CUresult cuMemAllocManaged(CUdeviceptr *address, size_t bytes, unsigned flags) { return cuMemAlloc(address, bytes); }

CUresult cuMemHostAlloc(void **address, size_t bytes, unsigned flags) {
  *address = standin_allocate(bytes, STANDIN_HOST_MEMORY);
  return given(*address);
}

CUresult cuMemFree(CUdeviceptr address) {
  standin_free((void *)address);
  return CUDA_SUCCESS;
}

CUresult cuMemFreeHost(void *address) {
  standin_free(address);
  return CUDA_SUCCESS;
}

CUresult cuMemHostRegister(void *address, size_t bytes, unsigned flags) { return CUDA_SUCCESS; }
CUresult cuMemHostUnregister(void *address) { return CUDA_SUCCESS; }

/* No memory pools: TensorFlow then allocates with cuMemAlloc. */
CUresult cuDeviceGetDefaultMemPool(CUmemoryPool *pool, CUdevice device) { return CUDA_ERROR_NOT_SUPPORTED; }
CUresult cuMemAllocFromPoolAsync(CUdeviceptr *address, size_t bytes, CUmemoryPool pool, CUstream stream) {
  return CUDA_ERROR_NOT_SUPPORTED;
}

CUresult cuMemGetAddressRange(CUdeviceptr *base, size_t *bytes, CUdeviceptr address) {
  allocation found;
  if (!find(address, &found)) return CUDA_ERROR_NOT_FOUND;
  if (base) *base = found.address;
  if (bytes) *bytes = found.bytes;
  return CUDA_SUCCESS;
}

CUresult cuPointerGetAttribute(void *value, CUpointer_attribute attribute, CUdeviceptr address) {
  allocation found;
  if (!find(address, &found)) return CUDA_ERROR_INVALID_VALUE;
  switch (attribute) {
    case CU_POINTER_ATTRIBUTE_MEMORY_TYPE:
      *(unsigned *)value = found.kind == STANDIN_DEVICE_MEMORY ? CU_MEMORYTYPE_DEVICE : CU_MEMORYTYPE_HOST;
      return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL: *(int *)value = found.device->ordinal; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_CONTEXT: *(CUcontext *)value = (CUcontext)found.device; return CUDA_SUCCESS;
    case CU_POINTER_ATTRIBUTE_IS_MANAGED: *(unsigned *)value = 0; return CUDA_SUCCESS;
    default: return CUDA_ERROR_INVALID_VALUE;
  }
}

static CUresult copy(enum standin_copy kind, CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  standin_copy(kind, (void *)to, (const void *)from, bytes, stream);
  return CUDA_SUCCESS;
}

CUresult cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
  return copy(STANDIN_HOST_TO_DEVICE, to, (CUdeviceptr)from, bytes, NULL);
}

CUresult cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
  return copy(STANDIN_DEVICE_TO_HOST, (CUdeviceptr)to, from, bytes, NULL);
}

CUresult cuMemcpyHtoDAsync(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
  return copy(STANDIN_HOST_TO_DEVICE, to, (CUdeviceptr)from, bytes, stream);
}

CUresult cuMemcpyDtoHAsync(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy(STANDIN_DEVICE_TO_HOST, (CUdeviceptr)to, from, bytes, stream);
}

CUresult cuMemcpyDtoDAsync(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
  return copy(STANDIN_DEVICE_TO_DEVICE, to, from, bytes, stream);
}

CUresult cuMemcpyPeerAsync(CUdeviceptr to, CUcontext to_context, CUdeviceptr from, CUcontext from_context,
                           size_t bytes, CUstream stream) {
  return copy(STANDIN_DEVICE_TO_DEVICE, to, from, bytes, stream);
}

static CUresult fill(CUdeviceptr to, uint32_t value, size_t width, size_t count, CUstream stream) {
  standin_fill((void *)to, value, width, count, stream);
  return CUDA_SUCCESS;
}

CUresult cuMemsetD8(CUdeviceptr to, unsigned char value, size_t count) { return fill(to, value, 1, count, NULL); }
CUresult cuMemsetD32(CUdeviceptr to, unsigned value, size_t count) { return fill(to, value, 4, count, NULL); }

CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
  return fill(to, value, 1, count, stream);
}

CUresult cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count, CUstream stream) {
  return fill(to, value, 4, count, stream);
}
