// What Linux, macOS and Windows do in different ways, a function for each. Knows nothing of the engine.
#pragma once
#include <cstddef>
#include <cstdio>
#include <string>

namespace siri {

// Zeroed pages, without cost until they are touched; null when the system gives no more. bytes > 0.
void* take_pages(size_t bytes);
void give_pages_back(void* pages, size_t bytes);

// std::fopen of a path in UTF-8.
std::FILE* open_file(const std::string& path, const char* mode);

// Waits until what was written lies on the disk; false with errno set.
bool sync_file(std::FILE* file);

// Processor time of this process, all threads together, in seconds.
double process_seconds();

}  // namespace siri
