/* libcudart.so.12: kernels registered by the program, launches, and what forwards to the driver. */
#include "standin.h"

#include <cuda.h>
#include <cuda_runtime_api.h>

/* ---- what compiled CUDA code calls by itself ---- */

void **__cudaRegisterFatBinary(void *binary) { return calloc(1, 64); }
void __cudaRegisterFatBinaryEnd(void **handle) {}
void __cudaUnregisterFatBinary(void **handle) {}

void __cudaRegisterFunction(void **handle, const char *host, char *device_function, const char *device_name,
                            int thread_limit, uint3 *thread, uint3 *block, dim3 *block_extent, dim3 *grid_extent,
                            int *warp_size) {
  standin_kernel_register(host, device_name);
}

void __cudaRegisterVar(void **handle, char *host, char *address, const char *name, int external, size_t size,
                       int constant, int global) {}

static __thread struct {
  dim3 grid, block;
  size_t shared_bytes;
  void *stream;
} pushed;

unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared_bytes, struct CUstream_st *stream) {
  pushed.grid = grid;
  pushed.block = block;
  pushed.shared_bytes = shared_bytes;
  pushed.stream = stream;
  return 0;
}

cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared_bytes, void *stream) {
  *grid = pushed.grid;
  *block = pushed.block;
  *shared_bytes = pushed.shared_bytes;
  *(void **)stream = pushed.stream;
  return cudaSuccess;
}

cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block, void **arguments, size_t shared_bytes,
                             cudaStream_t stream) {
  standin_kernel *kernel = standin_kernel_by_host(host);
  standin_launch(kernel ? kernel->name : "unregistered", (standin_extent){grid.x, grid.y, grid.z},
                 (standin_extent){block.x, block.y, block.z}, (unsigned)shared_bytes, stream, STANDIN_KERNEL_NS);
  return cudaSuccess;
}

cudaError_t cudaGetFuncBySymbol(cudaFunction_t *function, const void *host) {
  *function = (cudaFunction_t)standin_kernel_register(host, "unregistered");
  return cudaSuccess;
}

cudaError_t cudaFuncGetAttributes(struct cudaFuncAttributes *attributes, const void *host) {
  memset(attributes, 0, sizeof *attributes);
  attributes->maxThreadsPerBlock = 1024;
  attributes->numRegs = 32;
  attributes->ptxVersion = STANDIN_CAPABILITY_MAJOR * 10 + STANDIN_CAPABILITY_MINOR;
  attributes->binaryVersion = attributes->ptxVersion;
  return cudaSuccess;
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, const void *host, int block_size,
                                                                   size_t shared_bytes, unsigned flags) {
  *blocks = 1;
  return cudaSuccess;
}

/* ---- devices ---- */

cudaError_t cudaGetDeviceCount(int *count) { return (cudaError_t)cuDeviceGetCount(count); }
cudaError_t cudaGetDevice(int *device) { return (cudaError_t)cuCtxGetDevice(device); }

cudaError_t cudaSetDevice(int device) {
  if (!standin_device_at(device)) return cudaErrorInvalidDevice;
  standin_make_current(standin_device_at(device));
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize(void) { return (cudaError_t)cuCtxSynchronize(); }
cudaError_t cudaGetLastError(void) { return cudaSuccess; }
cudaError_t cudaPeekAtLastError(void) { return cudaSuccess; }
const char *cudaGetErrorName(cudaError_t error) { return error ? "STANDIN_CUDART_ERROR" : "cudaSuccess"; }
const char *cudaGetErrorString(cudaError_t error) { return error ? "error of the stand-in GPU" : "no error"; }
cudaError_t cudaRuntimeGetVersion(int *version) { return (cudaError_t)cuDriverGetVersion(version); }
cudaError_t cudaDriverGetVersion(int *version) { return (cudaError_t)cuDriverGetVersion(version); }

cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  *value = standin_attribute((int)attribute);
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
  memset(properties, 0, sizeof *properties);
  snprintf(properties->name, sizeof properties->name, "%s", STANDIN_NAME);
  properties->totalGlobalMem = STANDIN_MEMORY;
  properties->sharedMemPerBlock = standin_attribute(cudaDevAttrMaxSharedMemoryPerBlock);
  properties->sharedMemPerBlockOptin = standin_attribute(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  properties->sharedMemPerMultiprocessor = standin_attribute(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  properties->regsPerBlock = standin_attribute(cudaDevAttrMaxRegistersPerBlock);
  properties->regsPerMultiprocessor = standin_attribute(cudaDevAttrMaxRegistersPerMultiprocessor);
  properties->warpSize = standin_attribute(cudaDevAttrWarpSize);
  properties->maxThreadsPerBlock = standin_attribute(cudaDevAttrMaxThreadsPerBlock);
  properties->maxThreadsPerMultiProcessor = standin_attribute(cudaDevAttrMaxThreadsPerMultiProcessor);
  for (int axis = 0; axis < 3; axis++) {
    properties->maxThreadsDim[axis] = standin_attribute(cudaDevAttrMaxBlockDimX + axis);
    properties->maxGridSize[axis] = standin_attribute(cudaDevAttrMaxGridDimX + axis);
  }
  properties->clockRate = standin_attribute(cudaDevAttrClockRate);
  properties->memoryClockRate = standin_attribute(cudaDevAttrMemoryClockRate);
  properties->memoryBusWidth = standin_attribute(cudaDevAttrGlobalMemoryBusWidth);
  properties->l2CacheSize = standin_attribute(cudaDevAttrL2CacheSize);
  properties->totalConstMem = standin_attribute(cudaDevAttrTotalConstantMemory);
  properties->multiProcessorCount = standin_attribute(cudaDevAttrMultiProcessorCount);
  properties->major = STANDIN_CAPABILITY_MAJOR;
  properties->minor = STANDIN_CAPABILITY_MINOR;
  properties->unifiedAddressing = 1;
  properties->concurrentKernels = 1;
  properties->pciDeviceID = 0x1e + device;
  return cudaSuccess;
}

/* ---- memory, streams, events ---- */

cudaError_t cudaMalloc(void **address, size_t bytes) { return (cudaError_t)cuMemAlloc((CUdeviceptr *)address, bytes); }

cudaError_t cudaFree(void *address) {
  if (address) standin_free(address);
  return cudaSuccess;
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total) { return (cudaError_t)cuMemGetInfo(free_bytes, total); }

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, enum cudaMemcpyKind kind, cudaStream_t stream) {
  standin_copy(kind == cudaMemcpyHostToDevice   ? STANDIN_HOST_TO_DEVICE
               : kind == cudaMemcpyDeviceToHost ? STANDIN_DEVICE_TO_HOST
                                                : STANDIN_DEVICE_TO_DEVICE,
               to, from, bytes, stream);
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream) {
  standin_fill(to, (uint32_t)value, 1, bytes, stream);
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) { return (cudaError_t)cuStreamQuery(stream); }

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  return (cudaError_t)cuCtxGetStreamPriorityRange(least, greatest);
}

cudaError_t cudaEventCreate(cudaEvent_t *event) { return (cudaError_t)cuEventCreate((CUevent *)event, 0); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) { return cudaEventCreate(event); }
cudaError_t cudaEventDestroy(cudaEvent_t event) { return (cudaError_t)cuEventDestroy(event); }
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) { return (cudaError_t)cuEventRecord(event, stream); }
cudaError_t cudaEventSynchronize(cudaEvent_t event) { return (cudaError_t)cuEventSynchronize(event); }

cudaError_t cudaEventElapsedTime(float *ms, cudaEvent_t from, cudaEvent_t to) {
  return (cudaError_t)cuEventElapsedTime(ms, from, to);
}
