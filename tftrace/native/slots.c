/* The slots of one loaded library's procedure linkage table, through which it calls functions of others. */
#include "slots.h"

#include <elf.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

typedef struct {
  const char *library;
  const tft_redirect *to;
  int count;
  tft_patches *done;
  const char *part, *found; /* the first function called whose name contains `part` */
  int pointers;             /* look through the pointers of its data instead of its linkage table */
} wish;

static void point(void **slot, void *function, tft_patches *done) {
  long page = sysconf(_SC_PAGESIZE);
  void *start = (void *)((uintptr_t)slot & ~(uintptr_t)(page - 1));
  if (done->count == TFT_MAX_PATCHES) return;
  if (mprotect(start, (size_t)page, PROT_READ | PROT_WRITE)) return;
  done->slot[done->count] = slot;
  done->old[done->count++] = *slot;
  __atomic_store_n(slot, function, __ATOMIC_RELEASE);
}

static int object(struct dl_phdr_info *info, size_t size, void *argument) {
  wish *w = argument;
  (void)size;
  if (!info->dlpi_name || !strstr(info->dlpi_name, w->library)) return 0;
  const ElfW(Dyn) *entry = NULL;
  for (int i = 0; i < info->dlpi_phnum; i++)
    if (info->dlpi_phdr[i].p_type == PT_DYNAMIC) entry = (void *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
  const ElfW(Rela) *table = NULL, *data = NULL;
  size_t bytes = 0, data_bytes = 0, relative = 0;
  const ElfW(Sym) *symbols = NULL;
  const char *strings = NULL;
  for (; entry && entry->d_tag; entry++) switch (entry->d_tag) {
      case DT_JMPREL: table = (void *)entry->d_un.d_ptr; break;
      case DT_PLTRELSZ: bytes = entry->d_un.d_val; break;
      case DT_RELA: data = (void *)entry->d_un.d_ptr; break;
      case DT_RELASZ: data_bytes = entry->d_un.d_val; break;
      case DT_RELACOUNT: relative = entry->d_un.d_val; break; /* they come first, and name no function */
      case DT_SYMTAB: symbols = (void *)entry->d_un.d_ptr; break;
      case DT_STRTAB: strings = (void *)entry->d_un.d_ptr; break;
    }
  if (w->pointers && data) {
    table = data + relative;
    bytes = data_bytes > relative * sizeof *data ? data_bytes - relative * sizeof *data : 0;
  }
  if (!table || !symbols || !strings) return 0;
  for (size_t i = 0; i < bytes / sizeof *table; i++) {
    unsigned type = ELF64_R_TYPE(table[i].r_info);
    if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
    const char *name = strings + symbols[ELF64_R_SYM(table[i].r_info)].st_name;
    if (w->part && !w->found && strstr(name, w->part)) w->found = name;
    for (int k = 0; k < w->count; k++)
      if (!strcmp(name, w->to[k].function))
        point((void **)(info->dlpi_addr + table[i].r_offset), w->to[k].hook, w->done);
  }
  return 1;
}

void tft_redirect_calls(const char *library, const tft_redirect *to, int count, tft_patches *done) {
  int before = done->count;
  wish w = {library, to, count, done, NULL, NULL, 0};
  dl_iterate_phdr(object, &w);
  if (done->count == before) { /* not looked through otherwise: that table is long */
    w.pointers = 1;
    dl_iterate_phdr(object, &w);
  }
}

const char *tft_called_function(const char *library, const char *part) {
  wish w = {library, NULL, 0, NULL, part, NULL, 0};
  dl_iterate_phdr(object, &w);
  return w.found;
}

static int loads(struct dl_phdr_info *info, size_t size, void *sum) {
  (void)size;
  *(uint64_t *)sum = info->dlpi_adds + info->dlpi_subs;
  return 1;
}

/* How often a library was loaded or unloaded in this process. */
TFT_API uint64_t tft_loads(void) {
  uint64_t sum = 0;
  dl_iterate_phdr(loads, &sum);
  return sum;
}

void tft_restore_calls(tft_patches *done) {
  while (done->count) {
    done->count--;
    __atomic_store_n(done->slot[done->count], done->old[done->count], __ATOMIC_RELEASE);
  }
}
