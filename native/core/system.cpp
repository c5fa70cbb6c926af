#include "core/system.h"

#ifdef _WIN32
#ifndef NOMINMAX
#define NOMINMAX
#endif
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
// after windows.h
#include <io.h>
#else
#include <sys/mman.h>
#include <unistd.h>

#include <ctime>
#endif

namespace siri {

#ifdef _WIN32

void* take_pages(size_t bytes) { return VirtualAlloc(nullptr, bytes, MEM_RESERVE | MEM_COMMIT, PAGE_READWRITE); }

void give_pages_back(void* pages, size_t) { VirtualFree(pages, 0, MEM_RELEASE); }

std::FILE* open_file(const std::string& path, const char* mode) {
  const auto wide = [](const std::string& text) {
    std::wstring out(text.size(), L'\0');  // UTF-16 never needs more units than UTF-8 has bytes
    const int units = MultiByteToWideChar(CP_UTF8, 0, text.data(), static_cast<int>(text.size()), out.data(), static_cast<int>(out.size()));
    out.resize(static_cast<size_t>(units));
    return out;
  };
  return _wfopen(wide(path).c_str(), wide(mode).c_str());
}

bool sync_file(std::FILE* file) { return std::fflush(file) == 0 && _commit(_fileno(file)) == 0; }

double process_seconds() {
  FILETIME created, ended, kernel, user;
  GetProcessTimes(GetCurrentProcess(), &created, &ended, &kernel, &user);
  const auto seconds = [](const FILETIME& t) { return 1e-7 * (4294967296.0 * t.dwHighDateTime + t.dwLowDateTime); };
  return seconds(kernel) + seconds(user);
}

#else

void* take_pages(size_t bytes) {
  void* pages = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (pages == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
  madvise(pages, bytes, MADV_HUGEPAGE);
#endif
  return pages;
}

void give_pages_back(void* pages, size_t bytes) { munmap(pages, bytes); }

std::FILE* open_file(const std::string& path, const char* mode) { return std::fopen(path.c_str(), mode); }

bool sync_file(std::FILE* file) { return std::fflush(file) == 0 && fsync(fileno(file)) == 0; }

double process_seconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

#endif

}  // namespace siri
