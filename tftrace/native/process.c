/* A native process: one that inherited the variables of `tftrace run` and has no agent, because it runs no Python.
 *
 * It opens its records by itself, at the first thing there is to record: a shell or a compiler that merely inherited
 * the variables leaves nothing. Two ways lead here. A oneDNN loads this library by INTEL_LIBITTNOTIFY64, at its first
 * primitive. Under `tftrace run --native` the library is preloaded, stands there from the start, and sees the calls of
 * TensorFlow's C API and the lines of ONEDNN_VERBOSE too. */
#include "native_process.h"
#include "slots.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern char **environ;
extern int tft_open(const char *directory);
extern int tft_itt_attached(void);
extern int tft_verbose_install(const char *library);
extern char *tft_verbose_answer(const char *ours);
extern uint64_t tft_verbose_lines(void);
extern uint64_t tft_verbose_lost(void);
extern void tft_counts(uint64_t out[4]);
extern const char *tft_log_install(const char *library, const char *wanted);
extern void tft_log_counts(uint64_t out[2]);
extern void tft_log_remove(void);

enum { EVERY_S = 1 };
#define PYTHON "there is no Python in that process"
#define LATE "tftrace came with the first primitive: 'tftrace run --native PROGRAM' has it there from the start"

static char directory[4300];
static int64_t started;
static int preloaded, verbose_slots, c_api_slots, lines_asked, log_asked;
static char log_library[4096]; /* where TensorFlow logs from, if that is a library; "": the program itself */
static const char *no_log;     /* why that library's log is not recorded */
static int clocks_fd = -1;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER;
static tft_patches asked;
atomic_int tft_waiting; /* 1: open records when there is something to record */

/* ---- JSON */
static void text_out(FILE *file, const char *text) {
  fputc('"', file);
  for (const unsigned char *c = (const unsigned char *)text; *c; c++) {
    if (*c == '"' || *c == '\\') fprintf(file, "\\%c", *c);
    else if (*c < ' ') fprintf(file, "\\u%04x", *c);
    else fputc(*c, file);
  }
  fputc('"', file);
}

static const char *options(void) {
  const char *text = getenv("TFTRACE_OPTIONS");
  return text ? text : "";
}

static int option(const char *text) { return strstr(options(), text) != NULL; }

/* Whole, or not at all: a reader never sees half a file. */
static FILE *begin(const char *name, char part[4400]) {
  snprintf(part, 4400, "%s/%s.%d.part", directory, name, (int)getpid());
  int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  return fd < 0 ? NULL : fdopen(fd, "w");
}

static void finish(FILE *file, const char *name, const char part[4400]) {
  char path[4400];
  int bad = ferror(file);
  snprintf(path, sizeof path, "%s/%s", directory, name);
  if (fclose(file) || bad || rename(part, path)) unlink(part);
}

static void words_out(FILE *file, const char *path) { /* words ended by NUL, as in /proc/self/cmdline */
  char text[65536];
  FILE *from = fopen(path, "re");
  size_t n = from ? fread(text, 1, sizeof text - 1, from) : 0;
  if (from) fclose(from);
  text[n] = 0;
  for (size_t at = 0; at < n; at += strlen(text + at) + 1) {
    if (at) fputs(", ", file);
    text_out(file, text + at);
  }
}

static void host_name(char out[256]) {
  memset(out, 0, 256);
  if (gethostname(out, 255) || !*out) strcpy(out, "host");
  for (char *c = out; *c; c++)
    if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || strchr(".-_", *c))) *c = '_';
}

static void write_process(const char *host) {
  char part[4400], path[4096];
  const char *parent = strstr(options(), "\"parent\": ");
  int main_one = parent && atoi(parent + strlen("\"parent\": ")) == (int)getppid();
  FILE *file = begin("process.json", part);
  if (!file) return;
  fprintf(file, "{\"format\": 1, \"pid\": %d, \"ppid\": %d, \"host\": \"%s\", \"argv\": [", (int)getpid(), (int)getppid(), host);
  if (!option("\"redact\": true")) words_out(file, "/proc/self/cmdline");
  fprintf(file, "], \"executable\": ");
  ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
  path[n > 0 ? n : 0] = 0;
  text_out(file, path);
  fprintf(file, ", \"python\": null, \"started\": %lld, \"main\": %s, \"libraries\": [], \"cwd\": ", (long long)started,
          main_one ? "true" : "false");
  text_out(file, getcwd(path, sizeof path) ? path : "");
  fputs("}\n", file);
  finish(file, "process.json", part);
}

/* Variables that may be stored: those named in the options, between the brackets behind "environment". */
static void environment_out(FILE *file) {
  const char *from = strstr(options(), "\"environment\": ["), *to = from ? strchr(from, ']') : NULL;
  int first = 1;
  for (char **one = environ; to && *one; one++) {
    char name[80];
    size_t n = strcspn(*one, "=");
    if (n > 64 || (*one)[n] != '=') continue;
    snprintf(name, sizeof name, "\"%.*s\"", (int)n, *one);
    const char *found = strstr(from + 16, name);
    if (!found || found > to) continue;
    fprintf(file, "%s%s: ", first ? "" : ", ", name);
    text_out(file, *one + n + 1);
    first = 0;
  }
}

static void probe(FILE *file, int first, const char *name, const char *reason, long long events, long long lost) {
  fprintf(file, "%s{\"name\": \"%s\", \"status\": \"%s\", \"reason\": ", first ? "" : ", ", name, reason ? "unavailable" : "ok");
  if (reason) {
    text_out(file, reason);
    fputs(", \"events\": null, \"lost\": null}", file);
  } else
    fprintf(file, "null, \"events\": %lld, \"lost\": %lld}", events, lost);
}

static void write_status(int finished) {
  char part[4400];
  uint64_t n[4];
  const char *(*version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "TF_Version");
  const char *no_calls = c_api_slots ? NULL
                         : preloaded ? "the program itself calls neither TFE_Execute nor TF_SessionRun through its linkage table"
                                     : PYTHON "; " LATE;
  const char *no_lines = verbose_slots ? NULL
                         : !preloaded  ? LATE
                                       : "no call of printf was found to take oneDNN's lines from, or they were not asked for";
  FILE *file = begin("status.json", part);
  if (!file) return;
  tft_counts(n);
  fprintf(file, "{\"finished\": %s, \"stopped\": ", finished ? "true" : "false");
  if (finished) fprintf(file, "%lld", (long long)tft_now());
  else fputs("null", file);
  fputs(", \"versions\": {", file);
  if (version) {
    fputs("\"tensorflow\": ", file);
    text_out(file, version());
  }
  fprintf(file, "}, \"devices\": [], \"settings\": {}, \"synthetic\": %s, \"env\": {",
          dlsym(RTLD_DEFAULT, "tftrace_standin_gpu") ? "true" : "false");
  environment_out(file);
  fputs("}, \"probes\": [", file);
  probe(file, 1, "dispatch", no_calls, (long long)(n[0] - n[1]), (long long)n[1]);
  probe(file, 0, "graph", PYTHON ", which the probe listens to", 0, 0);
  probe(file, 0, "grappler", PYTHON ", where the probe sets Grappler up", 0, 0);
  probe(file, 0, "tf_profiler", PYTHON " to start TensorFlow's profiler from", 0, 0);
  probe(file, 0, "nvtx", PYTHON, 0, 0);
  probe(file, 0, "onednn", no_lines, (long long)tft_verbose_lines(), (long long)tft_verbose_lost());
  probe(file, 0, "itt", NULL, (long long)(n[2] - n[3]), (long long)n[3]);
  probe(file, 0, "cudnn", PYTHON "; cuDNN's calls are taken over by the agent alone", 0, 0);
  probe(file, 0, "stream_executor", PYTHON "; TensorFlow's log is taken over by the agent alone", 0, 0);
  if (preloaded) {
    const char *missing = !log_asked ? "it was not asked for" : *log_library ? no_log : tft_executor_missing();
    uint64_t logged[2];
    tft_log_counts(logged);
    probe(file, 0, "executor_log", missing, (long long)(tft_executor_lines() + logged[0]),
          (long long)(atomic_load(&tft_executor_file.lost) + logged[1]));
  }
  fputs("], \"native\": null, \"faults\": {\"count\": 0, \"first\": null}, \"threads\": {}}\n", file);
  finish(file, "status.json", part);
}

static void write_maps(void) {
  char part[4400], block[16384];
  FILE *from = fopen("/proc/self/maps", "re"), *file = from ? begin("maps.txt", part) : NULL;
  for (size_t n; file && (n = fread(block, 1, sizeof block, from)) > 0;) fwrite(block, 1, n, file);
  if (from) fclose(from);
  if (file) finish(file, "maps.txt", part);
}

static int64_t clock_of(clockid_t id) {
  struct timespec t;
  clock_gettime(id, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void sample_clocks(void) { /* contract.CLOCK: the tightest of a few tries */
  int64_t best = INT64_MAX, out[3] = {0, 0, 0};
  for (int i = 0; i < 5; i++) {
    int64_t before = tft_now(), real = clock_of(CLOCK_REALTIME), monotonic = clock_of(CLOCK_MONOTONIC);
    int64_t width = tft_now() - before;
    if (width >= best) continue;
    best = width;
    out[0] = before + width / 2, out[1] = real, out[2] = monotonic;
  }
  ssize_t done = write(clocks_fd, out, sizeof out);
  (void)done;
}

/* ---- the life of the records */
static void write_all(int finished) {
  pthread_mutex_lock(&writing);
  if (*directory) {
    sample_clocks();
    write_maps();
    write_status(finished);
    if (finished) *directory = 0;
  }
  pthread_mutex_unlock(&writing);
}

static void at_exit(void) {
  atomic_store(&tft_waiting, 0);
  if (!*directory) return;
  atomic_store(&tft_recording, 0);
  write_all(1);
  if (*log_library) tft_log_remove();
}

/* A process that is killed leaves what it had a second before. */
static void *look_after(void *unused) {
  (void)unused;
  struct timespec pause = {EVERY_S, 0};
  while (*directory) {
    nanosleep(&pause, NULL);
    if (*directory) write_all(0);
  }
  return NULL;
}

static void start_thread(void) {
  pthread_t thread;
  pthread_attr_t attributes;
  sigset_t all, kept;
  sigfillset(&all); /* signals are for the program's own threads */
  pthread_sigmask(SIG_SETMASK, &all, &kept);
  pthread_attr_init(&attributes);
  pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
  pthread_create(&thread, &attributes, look_after, NULL);
  pthread_attr_destroy(&attributes);
  pthread_sigmask(SIG_SETMASK, &kept, NULL);
}

/* A child that forks and goes on by itself gets records of its own at the first thing it does; one that runs another
 * program leaves nothing. */
static void after_fork(void) {
  if (!*directory) return;
  atomic_store(&tft_recording, 0);
  *directory = 0;
  pthread_mutex_init(&writing, NULL);
  atomic_store(&tft_waiting, 1);
}

int tft_open_native(void) {
  static int registered;
  static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
  pthread_mutex_lock(&opening);
  if (atomic_load(&tft_waiting)) {
    const char *raw = getenv("TFTRACE_RAW");
    char path[sizeof directory], host[256];
    host_name(host);
    snprintf(path, sizeof path, "%s/%s-%d", raw ? raw : "", host, (int)getpid());
    if (raw && access(path, F_OK) == 0) /* the process id came round, or another program was run in this process */
      snprintf(path, sizeof path, "%s/%s-%d-%llx", raw, host, (int)getpid(), (unsigned long long)tft_now());
    if (raw && mkdir(path, 0700) == 0) {
      started = tft_now();
      memcpy(directory, path, sizeof directory);
      if (clocks_fd >= 0) close(clocks_fd);
      clocks_fd = tft_open_in(directory, "clocks.bin", O_WRONLY | O_APPEND);
      if (tft_open(directory) == 0) {
        if (log_asked && *log_library) no_log = tft_log_install(log_library, TFT_EXECUTOR_LEVELS);
        write_process(host);
        write_all(0);
        if (!registered) {
          atexit(at_exit);
          pthread_atfork(NULL, NULL, after_fork);
        }
        registered = 1;
        start_thread();
      }
    }
    atomic_store(&tft_waiting, 0);
  }
  pthread_mutex_unlock(&opening);
  return atomic_load(&tft_recording);
}

/* ---- oneDNN's lines, asked for without touching the environment that children inherit */
static const char *program_of_onednn = ""; /* library that holds it; "": the program itself, where all is linked into it */

static char *hook_getenv(const char *name) {
  if (log_asked && !*log_library) {
    const char *level = tft_executor_answer(name);
    if (level) return (char *)level;
  }
  if (strcmp(name, "ONEDNN_VERBOSE") || !lines_asked) return getenv(name);
  /* whoever asks for that is oneDNN */
  const char *(*version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "TF_Version");
  int major = 0, minor = 0;
  if (!tft_is_open()) atomic_store(&tft_waiting, 1);
  if (!verbose_slots) verbose_slots = tft_verbose_install(program_of_onednn);
  if (verbose_slots <= 0 || !tft_ready()) return tft_verbose_answer("");
  /* Eigen's own products, of which there may be thousands, are left out where oneDNN knows the filter */
  int filters = version && sscanf(version(), "%d.%d", &major, &minor) == 2 && (major > 2 || minor >= 18);
  return tft_verbose_answer(filters && !option("\"eigen_gemm\": true") ? "profile_exec,filter=primitive" : "1");
}

static int with_tensorflow(struct dl_phdr_info *info, size_t size, void *found) {
  (void)size;
  if (info->dlpi_name && strstr(info->dlpi_name, "libtensorflow_cc.so")) *(const char **)found = "libtensorflow_cc.so";
  if (info->dlpi_name && strstr(info->dlpi_name, "libtensorflow_framework.so"))
    snprintf(log_library, sizeof log_library, "%s", info->dlpi_name);
  return 0;
}

__attribute__((constructor)) static void loaded(void) {
  static const tft_redirect to[] = {{"getenv", hook_getenv}};
  const char *probes = getenv("TFTRACE_NATIVE");
  if (!probes || !getenv("TFTRACE_RAW")) return;
  preloaded = 1;
  dl_iterate_phdr(with_tensorflow, &program_of_onednn);
  lines_asked = strstr(probes, "onednn") != NULL;
  log_asked = strstr(probes, "executor_log") != NULL;
  if (lines_asked || (log_asked && !*log_library)) tft_redirect_calls(program_of_onednn, to, 1, &asked);
  if (strstr(probes, "dispatch")) c_api_slots = tft_c_api_install();
  if (c_api_slots) atomic_store(&tft_waiting, 1);
}

/* The collector was asked for, and nobody had opened records. */
void tft_open_by_environment(void) {
  if (!tft_is_open() && getenv("TFTRACE_RAW")) atomic_store(&tft_waiting, 1);
}
