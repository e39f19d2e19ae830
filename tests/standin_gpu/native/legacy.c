/* libcudnn.so.8 and .9: convolutions by algorithm, the API before operation graphs. Older TensorFlow calls it.
 *
 * | algorithm | forward us | backward data us | backward filter us |
 * |---|---|---|---|
 * | 0 | 420 | 120, not deterministic | 80, not deterministic |
 * | 1 | 180 | 210 | 240 |
 * | 2 | 300 | 260 | 280 |
 * | 3 | not supported | 250 | 140, not deterministic |
 * | 4 | its execution fails | not supported | not supported |
 * | 5 | 240 | 200 | 300 |
 * | 6 |  90 | | 320 |
 * | 7 | 150 | | |
 *
 * Half precision takes six tenths of that, a convolution fused with bias and activation a tenth more.
 */
#include "cudnn.h"

typedef struct {
  int64_t us; /* 0: not supported */
  size_t workspace;
  cudnnDeterminism_t determinism;
  cudnnStatus_t when_executed;
} algorithm;

enum { MOST_ALGORITHMS = 8 };

static const algorithm algorithms[3][MOST_ALGORITHMS] = {
    [FORWARD] = {{420, 0, CUDNN_DETERMINISTIC},
                 {180, 64 << 10, CUDNN_DETERMINISTIC},
                 {300, 256 << 10, CUDNN_DETERMINISTIC},
                 {0},
                 {70, 4 << 10, CUDNN_DETERMINISTIC, CUDNN_STATUS_EXECUTION_FAILED},
                 {240, 128 << 10, CUDNN_DETERMINISTIC},
                 {90, 1 << 20, CUDNN_DETERMINISTIC},
                 {150, 2 << 20, CUDNN_DETERMINISTIC}},
    [BACKWARD_DATA] = {{120, 0, CUDNN_NON_DETERMINISTIC},
                       {210, 64 << 10, CUDNN_DETERMINISTIC},
                       {260, 256 << 10, CUDNN_DETERMINISTIC},
                       {250, 128 << 10, CUDNN_DETERMINISTIC},
                       {0},
                       {200, 1 << 20, CUDNN_DETERMINISTIC}},
    [BACKWARD_FILTER] = {{80, 0, CUDNN_NON_DETERMINISTIC},
                         {240, 64 << 10, CUDNN_DETERMINISTIC},
                         {280, 256 << 10, CUDNN_DETERMINISTIC},
                         {140, 8 << 10, CUDNN_NON_DETERMINISTIC},
                         {0},
                         {300, 1 << 20, CUDNN_DETERMINISTIC},
                         {320, 128 << 10, CUDNN_DETERMINISTIC}},
};

/* ---- descriptors: of all that they are told, the type is what times depend on ---- */

struct cudnnTensorStruct {
  cudnnDataType_t type;
};

cudnnStatus_t cudnnCreateTensorDescriptor(cudnnTensorDescriptor_t *made) {
  *made = calloc(1, sizeof **made);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroyTensorDescriptor(cudnnTensorDescriptor_t tensor) {
  free(tensor);
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensorNdDescriptor(cudnnTensorDescriptor_t tensor, cudnnDataType_t type, int count,
                                         const int sizes[], const int strides[]) {
  tensor->type = type;
  return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetTensor4dDescriptor(cudnnTensorDescriptor_t tensor, cudnnTensorFormat_t format,
                                         cudnnDataType_t type, int n, int c, int h, int w) {
  tensor->type = type;
  return CUDNN_STATUS_SUCCESS;
}

/* ---- what an algorithm needs, which there are, and running one ---- */

static const algorithm *find(enum direction direction, int number) {
  if (number < 0 || number >= MOST_ALGORITHMS || !algorithms[direction][number].us) return NULL;
  return &algorithms[direction][number];
}

static cudnnStatus_t workspace(enum direction direction, int number, size_t *bytes) {
  const algorithm *found = find(direction, number);
  if (!found) return CUDNN_STATUS_NOT_SUPPORTED;
  *bytes = found->workspace;
  return CUDNN_STATUS_SUCCESS;
}

/* Numbers of the algorithms that run, the fastest first; returns how many. */
static int ranked(enum direction direction, int numbers[MOST_ALGORITHMS]) {
  int count = 0;
  for (int i = 0; i < MOST_ALGORITHMS; i++) {
    const algorithm *found = find(direction, i);
    if (!found || found->when_executed) continue;
    int at = count++;
    for (; at > 0 && algorithms[direction][numbers[at - 1]].us > found->us; at--) numbers[at] = numbers[at - 1];
    numbers[at] = i;
  }
  return count;
}

static cudnnStatus_t run(cudnnHandle_t handle, enum direction direction, int number, cudnnTensorDescriptor_t tensor,
                         int fused) {
  static const char *const names[3] = {"conv_fprop", "conv_dgrad", "conv_wgrad"};
  const algorithm *found = find(direction, number);
  if (!found) return CUDNN_STATUS_NOT_SUPPORTED;
  if (found->when_executed) return found->when_executed;
  char name[64];
  snprintf(name, sizeof name, "standin_cudnn_%s%s_algo_%d", names[direction], fused ? "_fused" : "", number);
  int64_t ns = found->us * 1000 * (tensor->type == CUDNN_DATA_HALF ? 6 : 10) / 10 * (fused ? 11 : 10) / 10;
  standin_launch(name, (standin_extent){16, 1, 1}, (standin_extent){128, 1, 1}, 0, handle->stream, ns);
  return CUDNN_STATUS_SUCCESS;
}

/* The three directions have the same functions, with types of their own. */
#define RANKING(direction, function, algorithm_type, result_type, first, second, third)                               \
  cudnnStatus_t function(cudnnHandle_t handle, first a, second b, cudnnConvolutionDescriptor_t convolution, third c, \
                         int room, int *count, result_type *results) {                                               \
    int numbers[MOST_ALGORITHMS], known = ranked(direction, numbers);                                                \
    *count = known < room ? known : room;                                                                            \
    for (int i = 0; i < *count; i++) {                                                                               \
      const algorithm *found = &algorithms[direction][numbers[i]];                                                   \
      results[i] = (result_type){.algo = (algorithm_type)numbers[i],                                                 \
                                 .status = CUDNN_STATUS_SUCCESS,                                                     \
                                 .time = found->us / 1000.0f,                                                        \
                                 .memory = found->workspace,                                                         \
                                 .determinism = found->determinism};                                                 \
    }                                                                                                                \
    return CUDNN_STATUS_SUCCESS;                                                                                     \
  }

#define WORKSPACE(direction, function, algorithm_type, first, second, third)                                       \
  cudnnStatus_t function(cudnnHandle_t handle, first a, second b, cudnnConvolutionDescriptor_t convolution, third c, \
                         algorithm_type number, size_t *bytes) {                                                     \
    return workspace(direction, number, bytes);                                                                      \
  }

#define TENSOR const cudnnTensorDescriptor_t
#define FILTER const cudnnFilterDescriptor_t
RANKING(FORWARD, cudnnGetConvolutionForwardAlgorithm_v7, cudnnConvolutionFwdAlgo_t, cudnnConvolutionFwdAlgoPerf_t,
        TENSOR, FILTER, TENSOR)
RANKING(BACKWARD_DATA, cudnnGetConvolutionBackwardDataAlgorithm_v7, cudnnConvolutionBwdDataAlgo_t,
        cudnnConvolutionBwdDataAlgoPerf_t, FILTER, TENSOR, TENSOR)
RANKING(BACKWARD_FILTER, cudnnGetConvolutionBackwardFilterAlgorithm_v7, cudnnConvolutionBwdFilterAlgo_t,
        cudnnConvolutionBwdFilterAlgoPerf_t, TENSOR, TENSOR, FILTER)
WORKSPACE(FORWARD, cudnnGetConvolutionForwardWorkspaceSize, cudnnConvolutionFwdAlgo_t, TENSOR, FILTER, TENSOR)
WORKSPACE(BACKWARD_DATA, cudnnGetConvolutionBackwardDataWorkspaceSize, cudnnConvolutionBwdDataAlgo_t, FILTER, TENSOR,
          TENSOR)
WORKSPACE(BACKWARD_FILTER, cudnnGetConvolutionBackwardFilterWorkspaceSize, cudnnConvolutionBwdFilterAlgo_t, TENSOR,
          TENSOR, FILTER)

cudnnStatus_t cudnnConvolutionForward(cudnnHandle_t handle, const void *alpha, TENSOR x, const void *x_data, FILTER w,
                                      const void *w_data, cudnnConvolutionDescriptor_t convolution,
                                      cudnnConvolutionFwdAlgo_t number, void *space, size_t space_bytes,
                                      const void *beta, TENSOR y, void *y_data) {
  return run(handle, FORWARD, number, x, 0);
}

cudnnStatus_t cudnnConvolutionBackwardData(cudnnHandle_t handle, const void *alpha, FILTER w, const void *w_data,
                                           TENSOR dy, const void *dy_data, cudnnConvolutionDescriptor_t convolution,
                                           cudnnConvolutionBwdDataAlgo_t number, void *space, size_t space_bytes,
                                           const void *beta, TENSOR dx, void *dx_data) {
  return run(handle, BACKWARD_DATA, number, dy, 0);
}

cudnnStatus_t cudnnConvolutionBackwardFilter(cudnnHandle_t handle, const void *alpha, TENSOR x, const void *x_data,
                                             TENSOR dy, const void *dy_data, cudnnConvolutionDescriptor_t convolution,
                                             cudnnConvolutionBwdFilterAlgo_t number, void *space, size_t space_bytes,
                                             const void *beta, FILTER dw, void *dw_data) {
  return run(handle, BACKWARD_FILTER, number, x, 0);
}

cudnnStatus_t cudnnConvolutionBiasActivationForward(
    cudnnHandle_t handle, const void *alpha, TENSOR x, const void *x_data, FILTER w, const void *w_data,
    cudnnConvolutionDescriptor_t convolution, cudnnConvolutionFwdAlgo_t number, void *space, size_t space_bytes,
    const void *beta, TENSOR z, const void *z_data, TENSOR bias, const void *bias_data,
    cudnnActivationDescriptor_t activation, TENSOR y, void *y_data) {
  return run(handle, FORWARD, number, x, 1);
}
