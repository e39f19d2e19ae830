/* Keeps the lines of ONEDNN_VERBOSE off the user's stdout.
 *
 * oneDNN prints them with the C library's printf, from inside libtensorflow_cc. The slots through which that one
 * library calls printf and fflush are pointed at the functions below: lines of oneDNN go whole, each with one
 * copy, to verbose.bin; everything else goes on to where it went before. File descriptor 1 is never touched. */
#include "tftrace.h"

#include <elf.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int pass_on; /* the user had asked for the lines too */
static atomic_ullong lines;
static __thread int swallow; /* an fflush(stdout) that follows a line of ours is swallowed with it */

typedef struct {
  void **slot;
  void *old;
} patch;
static patch patches[64];
static int patched;
static int (*next_vprintf)(const char *, va_list) = vprintf;
static int (*next_fflush)(FILE *) = fflush;

static int of_onednn(const char *text) {
  return !strncmp(text, "onednn_verbose,", 15) || !strncmp(text, "dnnl_verbose,", 13) ||
         !strncmp(text, "mkldnn_verbose,", 15);
}

/* Writes `value` backwards, ending before `end`; returns where it begins. */
static char *digits(char *end, uint64_t value) {
  do *--end = (char)('0' + value % 10);
  while (value /= 10);
  return end;
}

static void keep(const char *text, int length) {
  char head[72], *at = head + sizeof head;
  *--at = ' ';
  at = digits(at, tft_itt_current);
  *--at = ' ';
  at = digits(at, (uint64_t)tft_now());
  *--at = ' ';
  at = digits(at, tft_tid());
  size_t n = (size_t)(head + sizeof head - at), all = n + (size_t)length + 1;
  uint64_t index;
  char *line = tft_slots(&tft_verbose_file, (all + TFT_TEXT - 1) / TFT_TEXT, &index);
  if (!line) return;
  memcpy(line + n, text, (size_t)length);
  if (line[n + (size_t)length - 1] != '\n') line[n + (size_t)length] = '\n';
  memcpy(line, at, n); /* last: a reader takes a line for written when its head is there */
  atomic_fetch_add_explicit(&lines, 1, memory_order_relaxed);
}

static int take(const char *format, va_list arguments) {
  char small[4096], *text = small;
  va_list again;
  va_copy(again, arguments);
  int n = vsnprintf(small, sizeof small, format, arguments);
  if (n >= (int)sizeof small && (text = malloc((size_t)n + 1))) {
    va_list second;
    va_copy(second, again);
    vsnprintf(text, (size_t)n + 1, format, second);
    va_end(second);
  }
  int ours = n > 0 && text && of_onednn(text);
  if (ours) {
    if (atomic_load_explicit(&tft_recording, memory_order_relaxed)) keep(text, n);
    swallow = !pass_on;
  }
  if (!ours || pass_on) n = next_vprintf(format, again);
  va_end(again);
  if (text != small) free(text);
  return n;
}

static int hook_printf(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = take(format, arguments);
  va_end(arguments);
  return n;
}

static int hook_printf_chk(int flag, const char *format, ...) {
  (void)flag;
  va_list arguments;
  va_start(arguments, format);
  int n = take(format, arguments);
  va_end(arguments);
  return n;
}

static int hook_fflush(FILE *file) {
  if (file == stdout && swallow) {
    swallow = 0;
    return 0;
  }
  return next_fflush(file);
}

static void point(void **slot, void *function) {
  long page = sysconf(_SC_PAGESIZE);
  void *start = (void *)((uintptr_t)slot & ~(uintptr_t)(page - 1));
  if (patched == (int)(sizeof patches / sizeof *patches)) return;
  if (mprotect(start, (size_t)page, PROT_READ | PROT_WRITE)) return;
  patches[patched++] = (patch){slot, *slot};
  __atomic_store_n(slot, function, __ATOMIC_RELEASE);
}

static void relocations(const struct dl_phdr_info *info, const ElfW(Rela) * table, size_t bytes,
                        const ElfW(Sym) * symbols, const char *strings) {
  for (size_t i = 0; i < bytes / sizeof *table; i++) {
    unsigned type = ELF64_R_TYPE(table[i].r_info);
    if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
    const char *name = strings + symbols[ELF64_R_SYM(table[i].r_info)].st_name;
    void **slot = (void **)(info->dlpi_addr + table[i].r_offset);
    if (!strcmp(name, "printf")) point(slot, hook_printf);
    else if (!strcmp(name, "__printf_chk")) point(slot, hook_printf_chk);
    else if (!strcmp(name, "fflush")) point(slot, hook_fflush);
  }
}

static int object(struct dl_phdr_info *info, size_t size, void *wanted) {
  (void)size;
  if (!info->dlpi_name || !strstr(info->dlpi_name, wanted)) return 0;
  const ElfW(Dyn) *entry = NULL;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) entry = (void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
  const ElfW(Rela) *plt = NULL, *rela = NULL;
  size_t plt_bytes = 0, rela_bytes = 0;
  const ElfW(Sym) *symbols = NULL;
  const char *strings = NULL;
  for (; entry && entry->d_tag; entry++) switch (entry->d_tag) {
      case DT_JMPREL: plt = (void *)entry->d_un.d_ptr; break;
      case DT_PLTRELSZ: plt_bytes = entry->d_un.d_val; break;
      case DT_RELA: rela = (void *)entry->d_un.d_ptr; break;
      case DT_RELASZ: rela_bytes = entry->d_un.d_val; break;
      case DT_SYMTAB: symbols = (void *)entry->d_un.d_ptr; break;
      case DT_STRTAB: strings = (void *)entry->d_un.d_ptr; break;
    }
  if (!symbols || !strings) return 0;
  if (plt) relocations(info, plt, plt_bytes, symbols, strings);
  (void)rela, (void)rela_bytes; /* data pointers to printf are not calls of oneDNN's */
  return 1;
}

/* Number of slots patched in `library`; 0: none found, lines would reach stdout. */
TFT_API int tft_verbose_install(const char *library, int also_pass_on) {
  pass_on = also_pass_on;
  if (!patched) dl_iterate_phdr(object, (void *)library);
  return patched;
}

TFT_API void tft_verbose_remove(void) {
  while (patched) {
    patched--;
    __atomic_store_n(patches[patched].slot, patches[patched].old, __ATOMIC_RELEASE);
  }
}

TFT_API uint64_t tft_verbose_lines(void) { return atomic_load(&lines); }
