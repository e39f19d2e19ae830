/* Copies what a cuDNN call was given or has returned: attributes of backend descriptors, arguments of older calls. */
#include "cudnn.h"

#include <string.h>

enum { TYPE_HANDLE = 0, TYPE_BOOLEAN = 2, TYPE_INT64 = 3, TYPE_DOUBLE = 5, TYPE_POINTER = 6, TYPE_DESCRIPTOR = 15,
       TYPE_CHAR = 24, TYPE_FRACTION = 26 }; /* cudnnBackendAttributeType_t */
enum { VARIANT_PACK = 16 };                  /* cudnnBackendDescriptorType_t */
enum { RESULT_BYTES = 48, MAX_RESULTS = 32, MAX_WORDS = 512, MAX_ARRAY = 16 };

static size_t size_of(uint32_t type) {
  switch (type) {
    case TYPE_HANDLE: case TYPE_POINTER: return 0; /* addresses of the user's memory are of no use to anybody */
    case TYPE_BOOLEAN: case TYPE_CHAR: return 1;
    case TYPE_INT64: case TYPE_DOUBLE: case TYPE_DESCRIPTOR: return 8;
    case TYPE_FRACTION: return 16;
    default: return 4;
  }
}

static void *room(size_t bytes, tft_cudnn_data **head) {
  uint64_t index;
  *head = tft_slots(&tft_cudnn_data_file, (sizeof **head + bytes + TFT_TEXT - 1) / TFT_TEXT, &index);
  return *head ? *head + 1 : NULL;
}

static void publish(tft_cudnn_data *head, uint64_t record) {
  __atomic_store_n(&head->record, record + 1, __ATOMIC_RELEASE);
}

void tft_cudnn_keep_values(uint16_t kind, uint64_t record, tft_cudnn_object object, uint32_t name, uint32_t type,
                           int64_t count, const void *values) {
  tft_cudnn_data *head;
  size_t each = size_of(type);
  if (object.type == VARIANT_PACK || count < 0) return; /* made anew for each execution: addresses only */
  size_t bytes = values ? (size_t)count * each : 0;
  if (bytes > TFT_CUDNN_BYTES) bytes = TFT_CUDNN_BYTES / each * each;
  char *out = room(bytes, &head);
  if (!out) return;
  if (type == TYPE_DESCRIPTOR)
    for (size_t i = 0; i < bytes / each; i++)
      ((uint64_t *)out)[i] = tft_cudnn_known(((void *const *)values)[i], 0).id;
  else if (bytes)
    memcpy(out, values, bytes);
  head->object = object.id;
  head->bytes = (uint32_t)bytes;
  head->kind = kind;
  head->name = (uint16_t)name;
  head->type = type;
  head->count = (uint32_t)count;
  publish(head, record);
}

/* The stored words, in the order of the letters: one for each of h o d i z n r, `n` for each a, and for p six for
 * each result: algorithm, status, time (the bits of a float), memory, determinism, math type. */
void tft_cudnn_keep_arguments(uint64_t record, uint64_t object, const char *arguments, const uintptr_t *a) {
  int64_t words[MAX_WORDS];
  int n = 0, length = 0, results = 0;
  for (const char *letter = arguments; *letter && n < MAX_WORDS - MAX_ARRAY - 6 * MAX_RESULTS; letter++, a++) {
    switch (*letter) {
      case 'h': case '.': break;
      case 'o': case 'd': words[n++] = (int64_t)tft_cudnn_known((void *)*a, 0).id; break;
      case 'i': words[n++] = (int32_t)*a; break;
      case 'z': words[n++] = (int64_t)*a; break;
      case 'n':
        length = (int32_t)*a < 0 ? 0 : (int32_t)*a > MAX_ARRAY ? MAX_ARRAY : (int32_t)*a;
        words[n++] = length;
        break;
      case 'a':
        for (int i = 0; i < length; i++) words[n++] = *a ? ((const int32_t *)*a)[i] : 0;
        break;
      case 'r':
        results = *a ? *(const int32_t *)*a : 0;
        results = results < 0 ? 0 : results > MAX_RESULTS ? MAX_RESULTS : results;
        words[n++] = results;
        break;
      case 'p':
        for (int i = 0; i < results && *a; i++) {
          const char *result = (const char *)*a + i * RESULT_BYTES; /* cudnnConvolution*AlgoPerf_t */
          int32_t ints[12];
          uint64_t memory;
          memcpy(ints, result, sizeof ints);
          memcpy(&memory, result + 16, sizeof memory);
          words[n++] = ints[0], words[n++] = ints[1], words[n++] = (uint32_t)ints[2];
          words[n++] = (int64_t)memory, words[n++] = ints[6], words[n++] = ints[7];
        }
        break;
    }
  }
  tft_cudnn_data *head;
  void *out = room((size_t)n * sizeof *words, &head);
  if (!out) return;
  memcpy(out, words, (size_t)n * sizeof *words);
  head->object = object;
  head->bytes = (uint32_t)((size_t)n * sizeof *words);
  head->kind = TFT_CUDNN_ARGUMENTS;
  head->count = (uint32_t)n;
  publish(head, record);
}
