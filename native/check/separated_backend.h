// The CPU device with memory that host code cannot reach, as a GPU's is: what it hands out are addresses that nobody can read or write.
// An engine that touches device memory by itself ends the process; one that does not gets the CPU's bits.
#pragma once
#include <memory>

#include "backend.h"

namespace siri::check {

std::unique_ptr<Backend> make_separated_backend(int threads);

}  // namespace siri::check
