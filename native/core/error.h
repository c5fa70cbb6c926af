// Typed errors. The library never prints, exits or aborts: it throws one of these, and native/node turns it into a JavaScript
// error with the same `code`.
#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace siri {

class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

struct ArgumentError : Error {
  explicit ArgumentError(const std::string& m) : Error("SIRI_ARGUMENT", m) {}
};
struct FileError : Error {
  explicit FileError(const std::string& m) : Error("SIRI_FILE", m) {}
};
struct MemoryError : Error {
  explicit MemoryError(const std::string& m) : Error("SIRI_OUT_OF_MEMORY", m) {}
};
struct NumericError : Error {
  explicit NumericError(const std::string& m) : Error("SIRI_NOT_FINITE", m) {}
};
struct AbortError : Error {
  AbortError() : Error("ABORT_ERR", "the operation was aborted") {}
};

}  // namespace siri
