/* What the tests ask in place of NVIDIA's cuDNN: the calls of the backend API that tftrace makes, with invented answers.
 *
 * The first size of a tensor, the batch, says how it behaves: 13 ends the process while it is asked, 17 never answers,
 * 19 writes to stdout, 23 knows no such graph, 29 has no engines. All others get two configurations in mode B, one more
 * in mode A, and an error in mode FALLBACK. VERSION is what cudnnGetVersion says. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  int type;
  int64_t mode, batch, index, alignment;
} descriptor;

static int64_t batch, alignment;

size_t cudnnGetVersion(void) { return VERSION; }
const char *cudnnGetErrorString(int status) {
  return status == 3000 ? "CUDNN_STATUS_NOT_SUPPORTED" : "CUDNN_STATUS_SOMETHING";
}
void cudnnGetLastErrorString(char *text, size_t size) { strncpy(text, "said by\nthe stand-in", size); }

int cudnnBackendCreateDescriptor(int type, void **made) {
  descriptor *one = calloc(1, sizeof *one);
  one->type = type;
  *made = one;
  return 0;
}
int cudnnBackendDestroyDescriptor(void *one) {
  free(one);
  return 0;
}
int cudnnBackendSetAttribute(descriptor *one, int name, int type, int64_t count, const void *values) {
  if (name == 902) batch = ((const int64_t *)values)[0];
  if (name == 900) alignment = ((const int64_t *)values)[0];
  if (name == 200) one->mode = ((const int *)values)[0];
  if (name == 401) one->index = (*(descriptor *const *)values)->index;
  return 0;
}
int cudnnBackendFinalize(descriptor *one) {
  if (one->type == 15 && batch == 23) return 3000;
  if (one->type == 4 && batch == 13) {
    fprintf(stderr, "a companion is not there\n");
    abort();
  }
  if (one->type == 4 && batch == 17) pause();
  if (one->type == 4 && batch == 19) {
    printf("said on stdout\n");
    fflush(stdout);
  }
  if (one->type == 4 && one->mode == 2) return 3000;
  return one->type == 5 && one->index == 1 ? 3000 : 0;
}
int cudnnBackendGetAttribute(descriptor *one, int name, int type, int64_t most, int64_t *count, void *place) {
  descriptor **parts = place;
  *count = 1;
  switch (name) {
    case 202:
      *count = batch == 29 ? 0 : one->mode == 3 ? 3 : 2;
      for (int64_t i = 0; i < most && i < *count; i++) parts[i]->index = i;
      break;
    case 300:
    case 302: parts[0]->index = one->index; break;
    case 402:
    case 303: ((int64_t *)place)[0] = 1000 * one->index; break;
    case 600: ((int *)place)[0] = 2; break;
    case 601: ((int64_t *)place)[0] = one->index + 4; break;
    case 1301: ((int64_t *)place)[0] = alignment; break;
    case 1303: ((int *)place)[0] = 0; break;
    case 1305: *count = 0; break;
    default: return 3000;
  }
  return 0;
}
