/* Calls of random depth and order, to leaves that take their native stack by tft_native_stack() and by a full unwind of
 * their own. Prints how often they differed, how many stacks there were, and how often each way was taken. */
#include "tftrace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <unwind.h>

enum { MOST = 64 };
static uint64_t seen[1 << 12][MOST + 2]; /* key, number of addresses, addresses */
static int stacks, wrong, fast, full, checked, mismatch;

typedef struct {
  uint64_t pc[MOST];
  int n;
} stack;

static _Unwind_Reason_Code frame(struct _Unwind_Context *context, void *argument) {
  stack *s = argument;
  if (s->n == MOST) return _URC_END_OF_STACK;
  s->pc[s->n++] = _Unwind_GetIP(context);
  return _URC_NO_REASON;
}

__attribute__((noipa)) static void leaf(void) {
  uint16_t flags = 0;
  stack s = {.n = 0};
  uint64_t key = tft_native_stack(&flags);
  _Unwind_Backtrace(frame, &s);
  fast += (flags & 2) != 0, full += (flags & 1) != 0, checked += (flags & 4) != 0, mismatch += (flags & 8) != 0;
  int i = 0;
  while (i < stacks && seen[i][0] != key) i++;
  if (i == stacks) {
    seen[i][0] = key, seen[i][1] = (uint64_t)s.n;
    memcpy(seen[i] + 2, s.pc + 1, (size_t)(s.n - 1) * sizeof *s.pc); /* the addresses in `leaf` itself are two */
    stacks++;
  } else
    wrong += seen[i][1] != (uint64_t)s.n || memcmp(seen[i] + 2, s.pc + 1, (size_t)(s.n - 1) * sizeof *s.pc);
}

/* The same size of frame and the same depth by different ways: stack pointers that meet again. */
__attribute__((noipa)) static void go(int depth);
#define ONE_OF_ITS_OWN __attribute__((noipa)) static void /* never merged with another, nor left before its callee is */
ONE_OF_ITS_OWN left(int depth) {
  go(depth);
  __asm__ volatile("");
}
ONE_OF_ITS_OWN right(int depth) {
  go(depth);
  __asm__ volatile("" ::: "memory");
}
ONE_OF_ITS_OWN wide(int depth) {
  char room[300];
  __asm__ volatile("" ::"r"(room) : "memory");
  go(depth);
  __asm__ volatile("" ::"r"(room) : "memory");
}
/* A frame whose size is known only when it runs. */
ONE_OF_ITS_OWN varying(int depth) {
  char *room = __builtin_alloca((size_t)(rand() % 5) * 64 + 16);
  __asm__ volatile("" ::"r"(room) : "memory");
  go(depth);
  __asm__ volatile("" ::"r"(room) : "memory");
}

ONE_OF_ITS_OWN go(int depth) {
  static void (*const to[])(int) = {left, right, wide, varying};
  if (depth == 0) leaf();
  else to[rand() % (depth == 3 ? 4 : 3)](depth - 1);
  __asm__ volatile("");
}

int main(int count, char **arguments) {
  if (count < 3) return 2;
  tft_native_stacks_open(arguments[1]);
  for (int i = atoi(arguments[2]); i > 0; i--) go(1 + rand() % 4);
  printf("{\"wrong\": %d, \"stacks\": %d, \"fast\": %d, \"full\": %d, \"checked\": %d, \"mismatch\": %d}\n", wrong, stacks,
         fast, full, checked, mismatch);
  return 0;
}
