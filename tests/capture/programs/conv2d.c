/* A convolution by TensorFlow's C API, eager ("eager N") or in a session ("session N"), N times. No Python. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensorflow/c/c_api.h"
#include "tensorflow/c/eager/c_api.h"

static TF_Status *status;

static void check(const char *what) {
  if (TF_GetCode(status) == TF_OK) return;
  fprintf(stderr, "%s: %s\n", what, TF_Message(status));
  exit(1);
}

static TF_Tensor *filled(const int64_t *dims, int rank) {
  size_t n = 1;
  for (int i = 0; i < rank; i++) n *= (size_t)dims[i];
  TF_Tensor *tensor = TF_AllocateTensor(TF_FLOAT, dims, rank, n * sizeof(float));
  for (size_t i = 0; i < n; i++) ((float *)TF_TensorData(tensor))[i] = 1;
  return tensor;
}

static const int64_t image[] = {2, 16, 16, 8}, filter[] = {3, 3, 8, 16}, strides[] = {1, 1, 1, 1};

static TFE_TensorHandle *convolved(TFE_Context *context, TFE_TensorHandle *x, TFE_TensorHandle *w) {
  TFE_Op *op = TFE_NewOp(context, "Conv2D", status);
  check("TFE_NewOp");
  TFE_OpAddInput(op, x, status);
  TFE_OpAddInput(op, w, status);
  TFE_OpSetAttrType(op, "T", TF_FLOAT);
  TFE_OpSetAttrIntList(op, "strides", strides, 4);
  TFE_OpSetAttrString(op, "padding", "SAME", 4);
  TFE_TensorHandle *result[1];
  int count = 1;
  TFE_Execute(op, result, &count, status);
  check("TFE_Execute");
  TFE_DeleteOp(op);
  return result[0];
}

static void eager(int times) {
  TFE_ContextOptions *options = TFE_NewContextOptions();
  TFE_Context *context = TFE_NewContext(options, status);
  check("TFE_NewContext");
  TFE_TensorHandle *x = TFE_NewTensorHandle(filled(image, 4), status), *w = TFE_NewTensorHandle(filled(filter, 4), status);
  for (int i = 0; i < times; i++) TFE_DeleteTensorHandle(convolved(context, x, w));
  TFE_DeleteContext(context);
}

static TF_Operation *placeholder(TF_Graph *graph, const char *name) {
  TF_OperationDescription *made = TF_NewOperation(graph, "Placeholder", name);
  TF_SetAttrType(made, "dtype", TF_FLOAT);
  return TF_FinishOperation(made, status);
}

static void session(int times) {
  TF_Graph *graph = TF_NewGraph();
  TF_Output in[2] = {{placeholder(graph, "x"), 0}, {placeholder(graph, "w"), 0}};
  TF_OperationDescription *made = TF_NewOperation(graph, "Conv2D", "convolved");
  TF_AddInput(made, in[0]);
  TF_AddInput(made, in[1]);
  TF_SetAttrIntList(made, "strides", strides, 4);
  TF_SetAttrString(made, "padding", "SAME", 4);
  TF_Output out = {TF_FinishOperation(made, status), 0};
  check("TF_FinishOperation");
  TF_SessionOptions *options = TF_NewSessionOptions();
  TF_Session *session = TF_NewSession(graph, options, status);
  check("TF_NewSession");
  TF_Tensor *values[2] = {filled(image, 4), filled(filter, 4)};
  for (int i = 0; i < times; i++) {
    TF_Tensor *result;
    TF_SessionRun(session, NULL, in, values, 2, &out, &result, 1, NULL, 0, NULL, status);
    check("TF_SessionRun");
    TF_DeleteTensor(result);
  }
  TF_CloseSession(session, status);
}

int main(int argc, char **argv) {
  int times = argc > 2 ? atoi(argv[2]) : 3;
  status = TF_NewStatus();
  printf("begins\n");
  if (argc > 1 && !strcmp(argv[1], "session")) session(times);
  else eager(times);
  printf("%d done\n", times);
  if (argc > 3 && !strcmp(argv[3], "shell")) return system("echo from a shell") != 0;
  if (argc > 3 && !strcmp(argv[3], "abort")) abort();
  return argc > 3 ? atoi(argv[3]) : 0;
}
