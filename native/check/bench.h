// Times at the sizes that matter, where a double-precision twin would take hours: the head, the optimiser, decoding and training of a whole
// decoder. Knows devices only through Backend and Engine.
#pragma once
#include <functional>
#include <memory>
#include <string>

#include "backend.h"

namespace siri::check {

// Prints one JSON object a line: {"name", "dtype", "shape": {...}, "seconds" (median), "least", "most", "rounds", "bytes",
// "flops"}; bytes and flops of the arithmetic itself, 0 where they do not bound it. `small`: sizes for a test of this
// program itself.
void run_bench(const std::function<std::unique_ptr<Backend>()>& make_device, bool bfloat16, bool small);

}  // namespace siri::check
