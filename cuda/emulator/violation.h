// What the emulator reports: one typed error that names the kernel, the block and thread, the place in the source and what is wrong.
#pragma once
#include <string>

#include "core/error.h"

namespace siri::emulator {

enum class Kind {
  kOutOfBounds,      // an index outside the view
  kMisaligned,       // a vector access at an address that is not a multiple of its size
  kNotDeviceMemory,  // a view of memory that was not allocated on the device
  kUnwritten,        // a read (or a download) of memory nobody wrote
  kRace,             // two threads of a block, no barrier between, one of them writes
  kBlockRace,        // the same between two blocks of a launch
  kReadOnly,         // memory read through In<T> that the same launch writes
  kAsync,            // an access to shared memory that a copy_async is still on its way to
  kDivergence,       // a barrier or warp operation that not all its threads reach
  kLane,             // a warp operation that names or reads a lane that takes no part
  kShared,           // more shared memory than asked for, or than there is
  kStack,            // a thread's local arrays outgrew the emulator's stack
  kLaunch,           // a grid or block no device takes
};

inline const char* kind_name(Kind kind) {
  switch (kind) {
    case Kind::kOutOfBounds:
      return "OUT_OF_BOUNDS";
    case Kind::kMisaligned:
      return "MISALIGNED";
    case Kind::kNotDeviceMemory:
      return "NOT_DEVICE_MEMORY";
    case Kind::kUnwritten:
      return "UNWRITTEN";
    case Kind::kRace:
      return "RACE";
    case Kind::kBlockRace:
      return "BLOCK_RACE";
    case Kind::kReadOnly:
      return "READ_ONLY";
    case Kind::kAsync:
      return "ASYNC";
    case Kind::kDivergence:
      return "DIVERGENCE";
    case Kind::kLane:
      return "LANE";
    case Kind::kShared:
      return "SHARED";
    case Kind::kStack:
      return "STACK";
    case Kind::kLaunch:
      return "LAUNCH";
  }
  return "";
}

// code() is SIRI_EMULATOR_ and the kind.
struct Violation : Error {
  Violation(Kind kind, const std::string& message) : Error(std::string("SIRI_EMULATOR_") + kind_name(kind), message), kind(kind) {}
  Kind kind;
};

}  // namespace siri::emulator
