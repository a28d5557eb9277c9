// Preloaded into a server under test: file calls and allocations that fail on purpose.
//
// Works without privileges and counts over all threads, which a tracer does not. The test shares a
// page with it (FAULTY_CONTROL names the file) and may change what is to happen at any time. Only
// calls on what lies below one of FAULTY_UNDER (paths, separated by colons) are counted: the
// ledger's files and a target's, not libraries and pipes. With FAULTY_LOG every counted call is
// noted in that file. The calls themselves go straight to the kernel.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

// Kept in step with faulty_io.py.
enum { NOTHING, KILL, TORN, ERROR, SKIP, SHORT };

struct control {
  _Atomic unsigned long calls;  // counted so far
  _Atomic unsigned long at;     // which call goes wrong; 0 = none
  _Atomic unsigned long how;
  _Atomic unsigned long code;  // errno of an ERROR
  _Atomic unsigned long ever;  // and every one after it
  _Atomic unsigned long hit;   // calls that went wrong
  _Atomic unsigned long allocations;
  _Atomic unsigned long allocation_at;
  _Atomic unsigned long allocation_ever;
  _Atomic unsigned long allocation_hit;
};

static struct control* control;
static char under[4096];
static int log_to = -1;

// What kind of call it is, where that decides whether it can fail in that way.
enum { TAKES_SPACE = 1, WRITES = 2, SYNCS = 4 };

__attribute__((constructor)) static void begin(void) {
  const char* at = getenv("FAULTY_CONTROL");
  if (at == NULL) return;
  const char* places = getenv("FAULTY_UNDER");
  if (places != NULL) strncpy(under, places, sizeof under - 1);
  const int fd = (int)syscall(SYS_openat, AT_FDCWD, at, O_RDWR | O_CLOEXEC);
  if (fd < 0) _exit(97);
  void* page = (void*)syscall(SYS_mmap, NULL, 4096L, (long)PROT_READ | PROT_WRITE,
                               (long)MAP_SHARED, (long)fd, 0L);
  syscall(SYS_close, fd);
  if (page == MAP_FAILED) _exit(97);
  const char* log = getenv("FAULTY_LOG");
  if (log != NULL) {
    log_to = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC,
                          0600);
  }
  control = page;
}

static int lies_below(const char* path) {
  for (const char* place = under; *place != '\0';) {
    const char* end = strchr(place, ':');
    const size_t size = end == NULL ? strlen(place) : (size_t)(end - place);
    if (size > 0 && strncmp(path, place, size) == 0) return 1;
    place += size + (end == NULL ? 0 : 1);
  }
  return 0;
}

static int path_of(int fd, char* path, size_t size) {
  char link[48];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const long read = syscall(SYS_readlink, link, path, size - 1);
  path[read < 0 ? 0 : read] = '\0';
  return read > 0;
}

// What is to happen to this call, which is counted if it is one of those that count.
static unsigned long fate(const char* call, int fd, const char* path, int kind) {
  if (control == NULL || (path == NULL && fd < 0)) return NOTHING;
  char known[4096];
  const int saved = errno;
  if (path == NULL || path[0] != '/') {
    if (!path_of(fd, known, sizeof known)) known[0] = '\0';
    errno = saved;
    path = known;
  }
  if (!lies_below(path)) return NOTHING;
  const unsigned long number = atomic_fetch_add(&control->calls, 1) + 1;
  if (log_to >= 0) {
    char line[4300];
    const int size = snprintf(line, sizeof line, "%lu %s %s\n", number, call, path);
    syscall(SYS_write, log_to, line, size);
    errno = saved;
  }
  const unsigned long at = control->at;
  if (at == 0 || number < at || (number > at && !control->ever)) return NOTHING;
  unsigned long how = control->how;
  if (how == ERROR && control->code == ENOSPC && control->ever && !(kind & TAKES_SPACE)) how = 0;
  if (how == SKIP && !(kind & SYNCS)) how = NOTHING;
  if (how == SHORT && !(kind & WRITES)) how = NOTHING;
  if (how == TORN && !(kind & WRITES)) how = KILL;
  if (how != NOTHING) atomic_fetch_add(&control->hit, 1);
  if (how == KILL) syscall(SYS_kill, getpid(), SIGKILL);
  if (how == ERROR) errno = (int)control->code;
  return how;
}

// ---- file calls --------------------------------------------------------------------------------

static int open_at(int dir, const char* path, int flags, mode_t mode) {
  const int kind = flags & O_CREAT ? TAKES_SPACE : 0;
  if (fate("open", dir, path, kind) == ERROR) return -1;
  return (int)syscall(SYS_openat, dir, path, flags, mode);
}

#define MODE_OF(flags, mode)                                  \
  mode_t mode = 0;                                            \
  if ((flags) & (O_CREAT | __O_TMPFILE)) {                    \
    va_list more;                                             \
    va_start(more, flags);                                    \
    mode = va_arg(more, mode_t);                              \
    va_end(more);                                             \
  }

int open(const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return open_at(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return open_at(AT_FDCWD, path, flags, mode);
}
int openat(int dir, const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return open_at(dir, path, flags, mode);
}
int openat64(int dir, const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return open_at(dir, path, flags, mode);
}

// SHORT: says that 8 bytes were written, and writes none. TORN: half of it, then death.
static ssize_t write_at(const char* call, int fd, const void* from, size_t size, off_t at) {
  switch (fate(call, fd, NULL, TAKES_SPACE | WRITES)) {
    case ERROR:
      return -1;
    case SHORT:
      return size < 8 ? (ssize_t)size : 8;
    case TORN:
      if (at < 0) {
        syscall(SYS_write, fd, from, size / 2);
      } else {
        syscall(SYS_pwrite64, fd, from, size / 2, at);
      }
      syscall(SYS_kill, getpid(), SIGKILL);
  }
  return at < 0 ? syscall(SYS_write, fd, from, size) : syscall(SYS_pwrite64, fd, from, size, at);
}
ssize_t pwrite(int fd, const void* from, size_t size, off_t at) {
  return write_at("pwrite", fd, from, size, at);
}
ssize_t pwrite64(int fd, const void* from, size_t size, off64_t at) {
  return write_at("pwrite", fd, from, size, at);
}
ssize_t write(int fd, const void* from, size_t size) { return write_at("write", fd, from, size, -1); }
ssize_t writev(int fd, const struct iovec* from, int count) {
  if (fate("writev", fd, NULL, TAKES_SPACE) == ERROR) return -1;
  return syscall(SYS_writev, fd, from, count);
}

static int sync_with(const char* call, long number, int fd) {
  switch (fate(call, fd, NULL, SYNCS | TAKES_SPACE)) {
    case ERROR:
      return -1;
    case SKIP:
      return 0;
  }
  return (int)syscall(number, fd);
}
int fsync(int fd) { return sync_with("fsync", SYS_fsync, fd); }
int fdatasync(int fd) { return sync_with("fdatasync", SYS_fdatasync, fd); }

int ftruncate(int fd, off_t size) {
  if (fate("ftruncate", fd, NULL, TAKES_SPACE) == ERROR) return -1;
  return (int)syscall(SYS_ftruncate, fd, size);
}
int ftruncate64(int fd, off64_t size) { return ftruncate(fd, size); }

int unlinkat(int dir, const char* path, int flags) {
  if (fate("unlink", dir, path, 0) == ERROR) return -1;
  return (int)syscall(SYS_unlinkat, dir, path, flags);
}
int unlink(const char* path) { return unlinkat(AT_FDCWD, path, 0); }

int renameat(int from_dir, const char* from, int to_dir, const char* to) {
  if (fate("rename", to_dir, to, TAKES_SPACE) == ERROR) return -1;
  return (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
}
int rename(const char* from, const char* to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

int link(const char* from, const char* to) {
  if (fate("link", AT_FDCWD, to, TAKES_SPACE) == ERROR) return -1;
  return (int)syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}

int mkdirat(int dir, const char* path, mode_t mode) {
  if (fate("mkdir", dir, path, TAKES_SPACE) == ERROR) return -1;
  return (int)syscall(SYS_mkdirat, dir, path, mode);
}
int mkdir(const char* path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

void* mmap64(void* where, size_t size, int protection, int flags, int fd, off64_t at) {
  if (fd >= 0 && fate("mmap", fd, NULL, 0) == ERROR) return MAP_FAILED;
  return (void*)syscall(SYS_mmap, where, size, (long)protection, (long)flags, (long)fd, at);
}
void* mmap(void* where, size_t size, int protection, int flags, int fd, off_t at) {
  return mmap64(where, size, protection, flags, fd, at);
}

// ---- allocations -------------------------------------------------------------------------------

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

static int exhausted(void) {
  if (control == NULL) return 0;
  const unsigned long number = atomic_fetch_add(&control->allocations, 1) + 1;
  const unsigned long at = control->allocation_at;
  if (at == 0 || number < at || (number > at && !control->allocation_ever)) return 0;
  atomic_fetch_add(&control->allocation_hit, 1);
  errno = ENOMEM;
  return 1;
}

void* malloc(size_t size) { return exhausted() ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return exhausted() ? NULL : __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return exhausted() ? NULL : __libc_realloc(old, size); }
void* memalign(size_t to, size_t size) { return exhausted() ? NULL : __libc_memalign(to, size); }
void* aligned_alloc(size_t to, size_t size) { return memalign(to, size); }
int posix_memalign(void** out, size_t to, size_t size) {
  void* got = memalign(to, size);
  if (got == NULL) return ENOMEM;
  *out = got;
  return 0;
}
