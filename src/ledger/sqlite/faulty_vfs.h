// faulty_vfs.h: SQLite's file layer with faults on demand. Included by tests only.
//
// Registered as the default of the test's process; passes everything on to the real one.
#pragma once

#include <sqlite3.h>
#include <string_view>

namespace trued::test {

struct FileFaults {
  int log_syncs = 0;   ///< so many syncs of a write-ahead log fail, after the data was written
  bool opens = false;  ///< no file can be opened
};

inline FileFaults& file_faults() {
  static FileFaults faults;
  return faults;
}

namespace faulty {

struct File {
  sqlite3_file base;
  bool log;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

inline sqlite3_vfs* real_vfs() {
  static sqlite3_vfs* vfs = sqlite3_vfs_find("unix");
  return vfs;
}
inline File* own(sqlite3_file* file) { return reinterpret_cast<File*>(file); }
inline sqlite3_file* real(sqlite3_file* file) { return own(file)->real(); }
inline const sqlite3_io_methods* methods(sqlite3_file* file) { return real(file)->pMethods; }

inline int sync(sqlite3_file* file, int flags) {
  if (own(file)->log && file_faults().log_syncs > 0) {
    --file_faults().log_syncs;
    return SQLITE_IOERR_FSYNC;
  }
  return methods(file)->xSync(real(file), flags);
}

inline const sqlite3_io_methods* io() {
  static const sqlite3_io_methods table{
      .iVersion = 3,
      .xClose = [](sqlite3_file* f) { return methods(f)->xClose(real(f)); },
      .xRead = [](sqlite3_file* f, void* to, int n,
                  sqlite3_int64 at) { return methods(f)->xRead(real(f), to, n, at); },
      .xWrite = [](sqlite3_file* f, const void* from, int n,
                   sqlite3_int64 at) { return methods(f)->xWrite(real(f), from, n, at); },
      .xTruncate = [](sqlite3_file* f,
                      sqlite3_int64 n) { return methods(f)->xTruncate(real(f), n); },
      .xSync = &sync,
      .xFileSize = [](sqlite3_file* f,
                      sqlite3_int64* n) { return methods(f)->xFileSize(real(f), n); },
      .xLock = [](sqlite3_file* f, int level) { return methods(f)->xLock(real(f), level); },
      .xUnlock = [](sqlite3_file* f, int level) { return methods(f)->xUnlock(real(f), level); },
      .xCheckReservedLock = [](sqlite3_file* f,
                               int* out) { return methods(f)->xCheckReservedLock(real(f), out); },
      .xFileControl = [](sqlite3_file* f, int op,
                         void* arg) { return methods(f)->xFileControl(real(f), op, arg); },
      .xSectorSize = [](sqlite3_file* f) { return methods(f)->xSectorSize(real(f)); },
      .xDeviceCharacteristics =
          [](sqlite3_file* f) { return methods(f)->xDeviceCharacteristics(real(f)); },
      .xShmMap =
          [](sqlite3_file* f, int page, int size, int extend, void volatile** out) {
            return methods(f)->xShmMap(real(f), page, size, extend, out);
          },
      .xShmLock = [](sqlite3_file* f, int at, int n,
                     int flags) { return methods(f)->xShmLock(real(f), at, n, flags); },
      .xShmBarrier = [](sqlite3_file* f) { methods(f)->xShmBarrier(real(f)); },
      .xShmUnmap = [](sqlite3_file* f,
                      int remove) { return methods(f)->xShmUnmap(real(f), remove); },
      .xFetch = [](sqlite3_file* f, sqlite3_int64 at, int n,
                   void** out) { return methods(f)->xFetch(real(f), at, n, out); },
      .xUnfetch = [](sqlite3_file* f, sqlite3_int64 at,
                     void* p) { return methods(f)->xUnfetch(real(f), at, p); },
  };
  return &table;
}

inline int open(sqlite3_vfs*, sqlite3_filename name, sqlite3_file* file, int flags, int* out) {
  file->pMethods = nullptr;
  if (file_faults().opens) return SQLITE_CANTOPEN;
  own(file)->log = (flags & SQLITE_OPEN_WAL) != 0;
  const int code = real_vfs()->xOpen(real_vfs(), name, real(file), flags, out);
  if (real(file)->pMethods != nullptr) file->pMethods = io();
  return code;
}

}  // namespace faulty

/// Makes the faulty layer the default; once for the process.
inline bool use_faulty_files() {
  static sqlite3_vfs vfs = [] {
    sqlite3_vfs copy = *faulty::real_vfs();
    copy.szOsFile = static_cast<int>(sizeof(faulty::File)) + faulty::real_vfs()->szOsFile;
    copy.zName = "faulty";
    copy.pNext = nullptr;
    copy.xOpen = &faulty::open;
    return copy;
  }();
  static const bool done = sqlite3_vfs_register(&vfs, 1) == SQLITE_OK;
  return done;
}

}  // namespace trued::test
