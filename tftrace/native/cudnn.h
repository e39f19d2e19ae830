/* The cuDNN calls that are recorded, and what of their arguments. cuDNN's headers are not needed: the few numbers
 * used here are those of its public API. contract.CUDNN_FUNCTIONS lists the same functions in the same order. */
#ifndef TFTRACE_CUDNN_H
#define TFTRACE_CUDNN_H

#include "tftrace.h"

typedef struct {
  int64_t t0, t1;
  uint64_t stack, call, object, stream;
  uint32_t tid, own_ns;
  uint16_t function, flags, status, detail;
} tft_cudnn; /* contract.CUDNN */
_Static_assert(sizeof(tft_cudnn) == 64, "contract.CUDNN");

/* What a call asked for or was told, in blocks of this size: a head, then `bytes` of values. */
typedef struct {
  uint64_t record; /* CUDNN record + 1; written last */
  uint64_t object; /* descriptor */
  uint32_t bytes;
  uint16_t kind, name; /* TFT_CUDNN_*, attribute */
  uint32_t type, count; /* of the values as cuDNN counts them, stored or not */
} tft_cudnn_data; /* contract.CUDNN_DATA */
_Static_assert(sizeof(tft_cudnn_data) == 32, "contract.CUDNN_DATA");
enum { TFT_CUDNN_SET = 0x7C01, TFT_CUDNN_GOT = 0x7C02, TFT_CUDNN_ARGUMENTS = 0x7C03 };
enum { TFT_CUDNN_BYTES = 4096 };

extern tft_file tft_cudnn_file, tft_cudnn_data_file;

enum tft_cudnn_kind {
  VERSION,  /* size_t f(void) */
  CREATE,   /* f(&handle) */
  HANDLE,   /* f(handle, ..) */
  STREAM,   /* f(handle, stream) */
  NEW,      /* a backend descriptor: f(type, &descriptor) */
  DROP,     /* f(descriptor) */
  SET,      /* f(descriptor, attribute, type, count, values) */
  GET,      /* f(descriptor, attribute, type, room, &count, values) */
  FINALIZE, /* f(descriptor) */
  EXECUTE,  /* f(handle, plan, variant pack) */
  DESCRIBE, /* a descriptor of the older API gets new content */
  AMEND,    /* .. or more of it */
  CHOOSE,   /* cuDNN ranks its algorithms for a problem */
  LAUNCH    /* work of the older API: f(handle, ..) */
};

/* X(function, words, kind, arguments): `words` counts arguments that are no floating-point numbers, and `arguments`
 * says what is stored of them, a letter each: h handle, o the descriptor that is set, d descriptor, i int, z size_t,
 * n int that says how long the arrays a are, r pointer to the number of results p, . nothing. */
#define TFT_CUDNN_CALLS(X) \
  X(cudnnGetVersion, 0, VERSION, "") \
  X(cudnnCreate, 1, CREATE, "") \
  X(cudnnDestroy, 1, HANDLE, "") \
  X(cudnnSetStream, 2, STREAM, "") \
  X(cudnnGetStream, 2, HANDLE, "") \
  X(cudnnBackendCreateDescriptor, 2, NEW, "") \
  X(cudnnBackendDestroyDescriptor, 1, DROP, "") \
  X(cudnnBackendSetAttribute, 5, SET, "") \
  X(cudnnBackendGetAttribute, 6, GET, "") \
  X(cudnnBackendFinalize, 1, FINALIZE, "") \
  X(cudnnBackendExecute, 3, EXECUTE, "") \
  X(cudnnSetTensor4dDescriptor, 7, DESCRIBE, "oiiiiii") \
  X(cudnnSetTensor4dDescriptorEx, 10, DESCRIBE, "oiiiiiiiii") \
  X(cudnnSetTensorNdDescriptor, 5, DESCRIBE, "oinaa") \
  X(cudnnSetTensorNdDescriptorEx, 5, DESCRIBE, "oiina") \
  X(cudnnSetFilter4dDescriptor, 7, DESCRIBE, "oiiiiii") \
  X(cudnnSetFilterNdDescriptor, 5, DESCRIBE, "oiina") \
  X(cudnnSetConvolution2dDescriptor, 9, DESCRIBE, "oiiiiiiii") \
  X(cudnnSetConvolutionNdDescriptor, 7, DESCRIBE, "onaaaii") \
  X(cudnnSetConvolutionGroupCount, 2, AMEND, "oi") \
  X(cudnnSetConvolutionMathType, 2, AMEND, "oi") \
  X(cudnnSetActivationDescriptor, 3, DESCRIBE, "oii") \
  X(cudnnSetPooling2dDescriptor, 9, DESCRIBE, "oiiiiiiii") \
  X(cudnnSetPoolingNdDescriptor, 7, DESCRIBE, "oiinaaa") \
  X(cudnnGetConvolutionForwardAlgorithm_v7, 8, CHOOSE, "hdddd.rp") \
  X(cudnnGetConvolutionBackwardDataAlgorithm_v7, 8, CHOOSE, "hdddd.rp") \
  X(cudnnGetConvolutionBackwardFilterAlgorithm_v7, 8, CHOOSE, "hdddd.rp") \
  X(cudnnFindConvolutionForwardAlgorithm, 8, CHOOSE, "hdddd.rp") \
  X(cudnnFindConvolutionForwardAlgorithmEx, 13, CHOOSE, "hd.d.dd..rp.z") \
  X(cudnnFindConvolutionBackwardDataAlgorithm, 8, CHOOSE, "hdddd.rp") \
  X(cudnnFindConvolutionBackwardDataAlgorithmEx, 13, CHOOSE, "hd.d.dd..rp.z") \
  X(cudnnFindConvolutionBackwardFilterAlgorithm, 8, CHOOSE, "hdddd.rp") \
  X(cudnnFindConvolutionBackwardFilterAlgorithmEx, 13, CHOOSE, "hd.d.dd..rp.z") \
  X(cudnnConvolutionForward, 13, LAUNCH, "h.d.d.di.z.d.") \
  X(cudnnConvolutionBackwardData, 13, LAUNCH, "h.d.d.di.z.d.") \
  X(cudnnConvolutionBackwardFilter, 13, LAUNCH, "h.d.d.di.z.d.") \
  X(cudnnConvolutionBiasActivationForward, 18, LAUNCH, "h.d.d.di.z.d.d.dd.") \
  X(cudnnConvolutionBackwardBias, 7, LAUNCH, "h.d..d.") \
  X(cudnnBatchNormalizationForwardInference, 13, LAUNCH, "hi..d.d.d....") \
  X(cudnnBatchNormalizationForwardTraining, 15, LAUNCH, "hi..d.d.d......") \
  X(cudnnBatchNormalizationForwardTrainingEx, 23, LAUNCH, "hii..d.d.d.d......d.z.z") \
  X(cudnnBatchNormalizationBackward, 18, LAUNCH, "hi....d.d.d.d.....") \
  X(cudnnBatchNormalizationBackwardEx, 29, LAUNCH, "hii....d.d.d.d.d.d......d.z.z") \
  X(cudnnPoolingForward, 8, LAUNCH, "hd.d..d.") \
  X(cudnnPoolingBackward, 12, LAUNCH, "hd.d.d.d..d.") \
  X(cudnnActivationForward, 8, LAUNCH, "hd.d..d.") \
  X(cudnnActivationBackward, 12, LAUNCH, "hd.d.d.d..d.") \
  X(cudnnSoftmaxForward, 9, LAUNCH, "hii.d..d.") \
  X(cudnnSoftmaxBackward, 11, LAUNCH, "hii.d.d..d.") \
  X(cudnnLRNCrossChannelForward, 9, LAUNCH, "hdi.d..d.") \
  X(cudnnLRNCrossChannelBackward, 13, LAUNCH, "hdi.d.d.d..d.") \
  X(cudnnAddTensor, 7, LAUNCH, "h.d..d.") \
  X(cudnnTransformTensor, 7, LAUNCH, "h.d..d.") \
  X(cudnnOpTensor, 11, LAUNCH, "hd.d..d..d.") \
  X(cudnnReduceTensor, 12, LAUNCH, "hd.z.z.d..d.") \
  X(cudnnScaleTensor, 4, LAUNCH, "hd..") \
  X(cudnnDropoutForward, 8, LAUNCH, "hdd.d..z") \
  X(cudnnDropoutBackward, 8, LAUNCH, "hdd.d..z") \
  X(cudnnCTCLoss, 13, LAUNCH, "hd.....d.id.z") \
  X(cudnnCTCLoss_v8, 13, LAUNCH, "hidd.....d.z.") \
  X(cudnnRNNForward, 20, LAUNCH, "hdi.d.d.d..d..z.z.z.") \
  X(cudnnRNNBackwardData_v8, 22, LAUNCH, "hd.d..d.d...d...z.z.z.") \
  X(cudnnRNNBackwardWeights_v8, 16, LAUNCH, "hdi.d.d.d.z.z.z.")

enum { TFT_CUDNN_ARGUMENT_WORDS = 29 };

/* ---- cudnn_objects.c */
typedef struct {
  uint64_t id;
  uint32_t type, uses;
} tft_cudnn_object;
uint64_t tft_cudnn_made(const void *pointer, uint32_t type); /* a new descriptor, or new content: its number, from 1 */
tft_cudnn_object tft_cudnn_known(const void *pointer, int used); /* id 0: not seen when it was made */
void tft_cudnn_dropped(const void *pointer);
void tft_cudnn_set_stream(const void *handle, const void *stream);
const void *tft_cudnn_stream_of(const void *handle);

/* ---- cudnn_values.c */
void tft_cudnn_keep_values(uint16_t kind, uint64_t record, tft_cudnn_object object, uint32_t name, uint32_t type,
                           int64_t count, const void *values);
void tft_cudnn_keep_arguments(uint64_t record, uint64_t object, const char *arguments, const uintptr_t *a);

#endif
