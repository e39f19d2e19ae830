/* libcuda.so.1: devices, contexts, streams, events, modules, launches. Memory is in memory.c. */
#include "standin.h"

#include <cuda.h>

/* ---- devices and contexts: a device's one context is the device itself ---- */

CUresult cuInit(unsigned flags) { return CUDA_SUCCESS; }

CUresult cuDriverGetVersion(int *version) {
  *version = STANDIN_CUDA_VERSION;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetCount(int *count) {
  *count = standin_device_count();
  return CUDA_SUCCESS;
}

CUresult cuDeviceGet(CUdevice *device, int ordinal) {
  if (!standin_device_at(ordinal)) return CUDA_ERROR_INVALID_DEVICE;
  *device = ordinal;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetName(char *name, int size, CUdevice device) {
  snprintf(name, size, "%s", STANDIN_NAME);
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device) {
  memset(uuid, 0x50 + device, sizeof *uuid);
  return CUDA_SUCCESS;
}

CUresult cuDeviceTotalMem(size_t *bytes, CUdevice device) {
  *bytes = STANDIN_MEMORY;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetPCIBusId(char *id, int size, CUdevice device) {
  snprintf(id, size, "0000:00:%02x.0", 0x1e + device);
  return CUDA_SUCCESS;
}

CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer) {
  *can = 0;
  return CUDA_SUCCESS;
}

CUresult cuDeviceGetAttribute(int *value, CUdevice_attribute attribute, CUdevice device) {
  *value = standin_attribute(attribute);
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  standin_device *found = standin_device_at(device);
  if (!found) return CUDA_ERROR_INVALID_DEVICE;
  found->context_references++;
  *context = (CUcontext)found;
  return CUDA_SUCCESS;
}

CUresult cuDevicePrimaryCtxRelease(CUdevice device) { return CUDA_SUCCESS; }
CUresult cuDevicePrimaryCtxSetFlags(CUdevice device, unsigned flags) { return CUDA_SUCCESS; }

CUresult cuDevicePrimaryCtxGetState(CUdevice device, unsigned *flags, int *active) {
  *flags = 0;
  *active = standin_device_at(device)->context_references > 0;
  return CUDA_SUCCESS;
}

CUresult cuCtxGetCurrent(CUcontext *context) {
  *context = (CUcontext)standin_current_or_null();
  return CUDA_SUCCESS;
}

CUresult cuCtxSetCurrent(CUcontext context) {
  standin_make_current((standin_device *)context);
  return CUDA_SUCCESS;
}

CUresult cuCtxPushCurrent(CUcontext context) { return cuCtxSetCurrent(context); }

CUresult cuCtxPopCurrent(CUcontext *context) { return context ? cuCtxGetCurrent(context) : CUDA_SUCCESS; }

CUresult cuCtxGetDevice(CUdevice *device) {
  *device = standin_current()->ordinal;
  return CUDA_SUCCESS;
}

CUresult cuCtxSynchronize(void) {
  standin_wait_until(standin_current()->free_at_ns);
  return CUDA_SUCCESS;
}

CUresult cuCtxEnablePeerAccess(CUcontext peer, unsigned flags) { return CUDA_ERROR_PEER_ACCESS_UNSUPPORTED; }

CUresult cuCtxGetStreamPriorityRange(int *least, int *greatest) {
  *least = 0;
  *greatest = -5;
  return CUDA_SUCCESS;
}

CUresult cuGetErrorName(CUresult result, const char **name) {
  *name = result ? "STANDIN_CUDA_ERROR" : "CUDA_SUCCESS";
  return CUDA_SUCCESS;
}

CUresult cuGetErrorString(CUresult result, const char **text) {
  *text = result ? "error of the stand-in GPU" : "no error";
  return CUDA_SUCCESS;
}

/* ---- streams and events ---- */

CUresult cuStreamCreate(CUstream *stream, unsigned flags) {
  static uint32_t created;
  standin_stream *made = calloc(1, sizeof *made);
  made->id = __sync_add_and_fetch(&created, 1);
  made->device = standin_current();
  pthread_mutex_init(&made->mutex, NULL);
  *stream = (CUstream)made;
  return CUDA_SUCCESS;
}

CUresult cuStreamCreateWithPriority(CUstream *stream, unsigned flags, int priority) {
  return cuStreamCreate(stream, flags);
}

CUresult cuStreamDestroy(CUstream stream) {
  free(stream);
  return CUDA_SUCCESS;
}

CUresult cuStreamQuery(CUstream stream) {
  return standin_stream_of(stream)->free_at_ns > standin_now_ns() ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

CUresult cuStreamSynchronize(CUstream stream) {
  standin_wait_until(standin_stream_of(stream)->free_at_ns);
  return CUDA_SUCCESS;
}

CUresult cuStreamIsCapturing(CUstream stream, CUstreamCaptureStatus *status) {
  *status = CU_STREAM_CAPTURE_STATUS_NONE;
  return CUDA_SUCCESS;
}

/* The host function runs at once: what it waits for was done when it was enqueued, only its made-up time is not over. */
CUresult cuLaunchHostFunc(CUstream stream, CUhostFn function, void *data) {
  function(data);
  return CUDA_SUCCESS;
}

typedef struct {
  int64_t at_ns;   /* when the work enqueued before it is over */
  int64_t busy_ns; /* how much work that is */
} event;

CUresult cuEventCreate(CUevent *made, unsigned flags) {
  *made = calloc(1, sizeof(event));
  return CUDA_SUCCESS;
}

CUresult cuEventDestroy(CUevent handle) {
  free(handle);
  return CUDA_SUCCESS;
}

CUresult cuEventRecord(CUevent handle, CUstream stream) {
  standin_stream *on = standin_stream_of(stream);
  event *recorded = (event *)handle;
  pthread_mutex_lock(&on->mutex);
  recorded->at_ns = on->free_at_ns;
  recorded->busy_ns = on->busy_ns;
  pthread_mutex_unlock(&on->mutex);
  return CUDA_SUCCESS;
}

CUresult cuEventQuery(CUevent handle) {
  return ((event *)handle)->at_ns > standin_now_ns() ? CUDA_ERROR_NOT_READY : CUDA_SUCCESS;
}

CUresult cuEventSynchronize(CUevent handle) {
  standin_wait_until(((event *)handle)->at_ns);
  return CUDA_SUCCESS;
}

CUresult cuStreamWaitEvent(CUstream stream, CUevent handle, unsigned flags) {
  standin_stream *waiting = standin_stream_of(stream);
  int64_t until = ((event *)handle)->at_ns;
  pthread_mutex_lock(&waiting->mutex);
  if (waiting->free_at_ns < until) waiting->free_at_ns = until;
  pthread_mutex_unlock(&waiting->mutex);
  return CUDA_SUCCESS;
}

/* Device work between the two, without the gaps in which the stream waited for the host: the same in every run. */
CUresult cuEventElapsedTime(float *ms, CUevent from, CUevent to) {
  *ms = (float)((((event *)to)->busy_ns - ((event *)from)->busy_ns) / 1e6);
  return CUDA_SUCCESS;
}

/* ---- modules and kernels: what is loaded is not looked at, a kernel is its name ---- */

static CUresult load_module(CUmodule *module) {
  *module = calloc(1, 64);
  return CUDA_SUCCESS;
}

CUresult cuModuleLoadData(CUmodule *module, const void *image) { return load_module(module); }
CUresult cuModuleLoadFatBinary(CUmodule *module, const void *image) { return load_module(module); }

CUresult cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, CUjit_option *options, void **values) {
  return load_module(module);
}

CUresult cuModuleUnload(CUmodule module) { return CUDA_SUCCESS; }

CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  *function = (CUfunction)standin_kernel_named(name);
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal(CUdeviceptr *address, size_t *bytes, CUmodule module, const char *name) {
  const size_t size = 1 << 16;
  if (address) *address = (CUdeviceptr)standin_allocate(size, STANDIN_DEVICE_MEMORY);
  if (bytes) *bytes = size;
  return CUDA_SUCCESS;
}

CUresult cuFuncGetAttribute(int *value, CUfunction_attribute attribute, CUfunction function) {
  *value = attribute == CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK ? 1024
           : attribute == CU_FUNC_ATTRIBUTE_NUM_REGS            ? 32
                                                                : 0;
  return CUDA_SUCCESS;
}

CUresult cuFuncSetAttribute(CUfunction function, CUfunction_attribute attribute, int value) { return CUDA_SUCCESS; }
CUresult cuFuncSetCacheConfig(CUfunction function, CUfunc_cache config) { return CUDA_SUCCESS; }

CUresult cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int *blocks, CUfunction function, int block_size,
                                                              size_t shared_bytes, unsigned flags) {
  *blocks = 1;
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernel(CUfunction function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                        unsigned block_y, unsigned block_z, unsigned shared_bytes, CUstream stream,
                        void **parameters, void **extra) {
  standin_launch(((standin_kernel *)function)->name, (standin_extent){grid_x, grid_y, grid_z},
                 (standin_extent){block_x, block_y, block_z}, shared_bytes, stream, STANDIN_KERNEL_NS);
  return CUDA_SUCCESS;
}

CUresult cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra) {
  return cuLaunchKernel(function, config->gridDimX, config->gridDimY, config->gridDimZ, config->blockDimX,
                        config->blockDimY, config->blockDimZ, config->sharedMemBytes, config->hStream, parameters,
                        extra);
}
