/* libcupti.so.12: driver callbacks and activity records of kernels, copies and fills, for TensorFlow's own tracer.
 *
 * Whatever made the device work, it is told as the driver call that a real runtime would make for it.
 */
#include "standin.h"

#include <cuda.h>
#include <cupti.h>

static CUpti_CallbackFunc subscriber;
static void *subscriber_data;
static unsigned char callback_enabled[CUPTI_DRIVER_TRACE_CBID_SIZE];
static unsigned char activity_enabled[CUPTI_ACTIVITY_KIND_COUNT];
static CUpti_BuffersCallbackRequestFunc request_buffer;
static CUpti_BuffersCallbackCompleteFunc complete_buffer;

/* ---- what the tracer asks for ---- */

CUptiResult cuptiGetVersion(uint32_t *version) {
  *version = CUPTI_API_VERSION;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiGetTimestamp(uint64_t *ns) {
  *ns = (uint64_t)standin_now_ns();
  return CUPTI_SUCCESS;
}

CUptiResult cuptiGetResultString(CUptiResult result, const char **text) {
  *text = result ? "STANDIN_CUPTI_ERROR" : "CUPTI_SUCCESS";
  return CUPTI_SUCCESS;
}

CUptiResult cuptiSubscribe(CUpti_SubscriberHandle *handle, CUpti_CallbackFunc callback, void *data) {
  if (subscriber) return CUPTI_ERROR_MULTIPLE_SUBSCRIBERS_NOT_SUPPORTED;
  subscriber_data = data;
  subscriber = callback;
  *handle = (CUpti_SubscriberHandle)&subscriber;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiUnsubscribe(CUpti_SubscriberHandle handle) {
  subscriber = NULL;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiEnableCallback(uint32_t enable, CUpti_SubscriberHandle handle, CUpti_CallbackDomain domain,
                                CUpti_CallbackId id) {
  if (domain == CUPTI_CB_DOMAIN_DRIVER_API && id < sizeof callback_enabled) callback_enabled[id] = enable != 0;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiEnableDomain(uint32_t enable, CUpti_SubscriberHandle handle, CUpti_CallbackDomain domain) {
  if (domain == CUPTI_CB_DOMAIN_DRIVER_API) memset(callback_enabled, enable != 0, sizeof callback_enabled);
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                           CUpti_BuffersCallbackCompleteFunc complete) {
  request_buffer = request;
  complete_buffer = complete;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityEnable(CUpti_ActivityKind kind) {
  activity_enabled[kind] = 1;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityDisable(CUpti_ActivityKind kind) {
  activity_enabled[kind] = 0;
  return CUPTI_SUCCESS;
}

/* Older TensorFlow ends each profile with it, and takes no CUPTI call for good once one has failed. */
CUptiResult cuptiFinalize(void) {
  subscriber = NULL;
  memset(callback_enabled, 0, sizeof callback_enabled);
  memset(activity_enabled, 0, sizeof activity_enabled);
  return CUPTI_SUCCESS;
}

CUptiResult cuptiGetDeviceId(CUcontext context, uint32_t *device) {
  *device = context ? ((standin_device *)context)->ordinal : 0;
  return CUPTI_SUCCESS;
}

static uint32_t context_id(const standin_device *device) { return 1 + device->ordinal; }

CUptiResult cuptiGetContextId(CUcontext context, uint32_t *id) {
  *id = context ? context_id((standin_device *)context) : 1;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiGetStreamIdEx(CUcontext context, CUstream stream, uint8_t per_thread, uint32_t *id) {
  *id = standin_stream_of(stream)->id;
  return CUPTI_SUCCESS;
}

/* ---- records, kept until they are asked for ---- */

typedef union {
  CUpti_ActivityKind kind;
  CUpti_ActivityKernel9 kernel;
  CUpti_ActivityMemcpy5 copy;
  CUpti_ActivityMemset4 fill;
} record;

enum { RECORDS = 1 << 18 };
static record *records;
static size_t record_count, dropped;
static uint32_t correlations;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static void keep(const record *made) {
  pthread_mutex_lock(&mutex);
  if (!records) records = malloc(RECORDS * sizeof *records);
  if (record_count < RECORDS)
    records[record_count++] = *made;
  else
    dropped++;
  pthread_mutex_unlock(&mutex);
}

static size_t size_of(const record *r) {
  size_t bytes = r->kind == CUPTI_ACTIVITY_KIND_MEMCPY   ? sizeof r->copy
                 : r->kind == CUPTI_ACTIVITY_KIND_MEMSET ? sizeof r->fill
                                                         : sizeof r->kernel;
  return (bytes + 7) / 8 * 8;
}

CUptiResult cuptiActivityFlushAll(uint32_t flags) {
  pthread_mutex_lock(&mutex);
  record *taken = records;
  size_t count = record_count;
  records = NULL;
  record_count = 0;
  pthread_mutex_unlock(&mutex);
  for (size_t next = 0; next < count && request_buffer;) {
    uint8_t *buffer = NULL;
    size_t room = 0, most = 0, used = 0;
    request_buffer(&buffer, &room, &most);
    if (!buffer || room < sizeof(record)) break;
    for (; next < count && used + sizeof(record) <= room; next++) {
      memcpy(buffer + used, &taken[next], size_of(&taken[next]));
      used += size_of(&taken[next]);
    }
    complete_buffer(NULL, 0, buffer, room, used);
  }
  free(taken);
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNextRecord(uint8_t *buffer, size_t bytes, CUpti_Activity **at) {
  uint8_t *next = *at ? (uint8_t *)*at + size_of((record *)*at) : buffer;
  if (next >= buffer + bytes) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *at = (CUpti_Activity *)next;
  return CUPTI_SUCCESS;
}

CUptiResult cuptiActivityGetNumDroppedRecords(CUcontext context, uint32_t stream, size_t *count) {
  pthread_mutex_lock(&mutex);
  *count = dropped;
  dropped = 0;
  pthread_mutex_unlock(&mutex);
  return CUPTI_SUCCESS;
}

/* ---- what the device does ---- */

/* One driver call: the subscriber is told of its begin and of its end, with the device's work in between. */
typedef struct {
  CUpti_CallbackId id;
  const char *function, *symbol;
  void *parameters;
  uint32_t correlation;
  uint64_t subscriber_word; /* the subscriber's own, from begin to end */
} driver_call;

static void tell(driver_call *call, CUpti_ApiCallbackSite site) {
  static CUresult succeeded = CUDA_SUCCESS;
  CUpti_CallbackFunc callback = subscriber;
  if (!callback || !callback_enabled[call->id]) return;
  standin_device *device = standin_current();
  CUpti_CallbackData data = {
      .callbackSite = site,
      .functionName = call->function,
      .functionParams = call->parameters,
      .functionReturnValue = &succeeded,
      .symbolName = call->symbol,
      .context = (CUcontext)device,
      .contextUid = context_id(device),
      .correlationData = &call->subscriber_word,
      .correlationId = call->correlation,
  };
  callback(subscriber_data, CUPTI_CB_DOMAIN_DRIVER_API, call->id, &data);
}

static uint32_t next_correlation(void) { return __sync_add_and_fetch(&correlations, 1); }

static void work(driver_call *call, record *made, standin_stream *stream, int64_t duration_ns, uint64_t *start_at,
                 uint64_t *end_at) {
  int64_t start, end;
  tell(call, CUPTI_API_ENTER);
  standin_enqueue(stream, duration_ns, &start, &end);
  if (made && subscriber) {
    *start_at = (uint64_t)start;
    *end_at = (uint64_t)end;
    keep(made);
  }
  tell(call, CUPTI_API_EXIT);
}

void standin_cupti_kernel(const char *name, standin_extent grid, standin_extent block, unsigned shared_bytes,
                          standin_stream *stream, int64_t duration_ns) {
  standin_kernel kernel = {.name = (char *)name};
  cuLaunchKernel_params parameters = {
      .f = (CUfunction)&kernel,
      .gridDimX = grid.x, .gridDimY = grid.y, .gridDimZ = grid.z,
      .blockDimX = block.x, .blockDimY = block.y, .blockDimZ = block.z,
      .sharedMemBytes = shared_bytes,
      .hStream = stream->id ? (CUstream)stream : NULL,
  };
  driver_call call = {CUPTI_DRIVER_TRACE_CBID_cuLaunchKernel, "cuLaunchKernel", name, &parameters,
                      next_correlation()};
  CUpti_ActivityKind kind = activity_enabled[CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL]
                                ? CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL
                                : CUPTI_ACTIVITY_KIND_KERNEL;
  record made = {.kernel = {
                     .kind = kind,
                     .name = activity_enabled[kind] ? strdup(name) : NULL, /* never given back, as in CUPTI */
                     .correlationId = call.correlation,
                     .deviceId = stream->device->ordinal,
                     .contextId = context_id(stream->device),
                     .streamId = stream->id,
                     .gridX = grid.x, .gridY = grid.y, .gridZ = grid.z,
                     .blockX = block.x, .blockY = block.y, .blockZ = block.z,
                     .registersPerThread = 32,
                     .dynamicSharedMemory = shared_bytes,
                 }};
  work(&call, activity_enabled[kind] ? &made : NULL, stream, duration_ns, &made.kernel.start, &made.kernel.end);
}

void standin_cupti_copy(enum standin_copy kind, size_t bytes, standin_stream *stream, int64_t duration_ns) {
  CUstream handle = stream->id ? (CUstream)stream : NULL;
  cuMemcpyHtoDAsync_v2_params to_device = {.ByteCount = bytes, .hStream = handle};
  cuMemcpyDtoHAsync_v2_params to_host = {.ByteCount = bytes, .hStream = handle};
  cuMemcpyDtoDAsync_v2_params on_device = {.ByteCount = bytes, .hStream = handle};
  driver_call call = {.correlation = next_correlation()};
  CUpti_ActivityMemoryKind from = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE, to = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE;
  switch (kind) {
    case STANDIN_HOST_TO_DEVICE:
      call.id = CUPTI_DRIVER_TRACE_CBID_cuMemcpyHtoDAsync_v2;
      call.function = "cuMemcpyHtoDAsync_v2";
      call.parameters = &to_device;
      from = CUPTI_ACTIVITY_MEMORY_KIND_PINNED;
      break;
    case STANDIN_DEVICE_TO_HOST:
      call.id = CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoHAsync_v2;
      call.function = "cuMemcpyDtoHAsync_v2";
      call.parameters = &to_host;
      to = CUPTI_ACTIVITY_MEMORY_KIND_PINNED;
      break;
    case STANDIN_DEVICE_TO_DEVICE:
      call.id = CUPTI_DRIVER_TRACE_CBID_cuMemcpyDtoDAsync_v2;
      call.function = "cuMemcpyDtoDAsync_v2";
      call.parameters = &on_device;
  }
  record made = {.copy = {
                     .kind = CUPTI_ACTIVITY_KIND_MEMCPY,
                     .copyKind = (uint8_t)kind, /* CUpti_ActivityMemcpyKind has the same numbers */
                     .srcKind = from,
                     .dstKind = to,
                     .bytes = bytes,
                     .correlationId = call.correlation,
                     .deviceId = stream->device->ordinal,
                     .contextId = context_id(stream->device),
                     .streamId = stream->id,
                     .flags = CUPTI_ACTIVITY_FLAG_MEMCPY_ASYNC,
                 }};
  work(&call, activity_enabled[CUPTI_ACTIVITY_KIND_MEMCPY] ? &made : NULL, stream, duration_ns, &made.copy.start,
       &made.copy.end);
}

void standin_cupti_fill(uint32_t value, size_t width, size_t count, standin_stream *stream, int64_t duration_ns) {
  CUstream handle = stream->id ? (CUstream)stream : NULL;
  cuMemsetD8Async_params of_bytes = {.uc = (unsigned char)value, .N = count, .hStream = handle};
  cuMemsetD32Async_params of_words = {.ui = value, .N = count, .hStream = handle};
  driver_call call = {.correlation = next_correlation()};
  call.id = width == 4 ? CUPTI_DRIVER_TRACE_CBID_cuMemsetD32Async : CUPTI_DRIVER_TRACE_CBID_cuMemsetD8Async;
  call.function = width == 4 ? "cuMemsetD32Async" : "cuMemsetD8Async";
  call.parameters = width == 4 ? (void *)&of_words : (void *)&of_bytes;
  record made = {.fill = {
                     .kind = CUPTI_ACTIVITY_KIND_MEMSET,
                     .value = value,
                     .bytes = width * count,
                     .memoryKind = CUPTI_ACTIVITY_MEMORY_KIND_DEVICE,
                     .correlationId = call.correlation,
                     .deviceId = stream->device->ordinal,
                     .contextId = context_id(stream->device),
                     .streamId = stream->id,
                 }};
  work(&call, activity_enabled[CUPTI_ACTIVITY_KIND_MEMSET] ? &made : NULL, stream, duration_ns, &made.fill.start,
       &made.fill.end);
}
