/* What a handle of cuDNN is where no device is behind it. */
#pragma once
#include <stdarg.h> /* cuDNN's header needs it, and does not include it */

#include <cudnn.h>

struct cudnnContext {
  cudaStream_t stream;
};
