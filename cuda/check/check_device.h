// What siri_check holds against the twins beside the methods of Backend: kernels in bfloat16, advantages with their tokens, and of
// the emulator itself that it catches what it is there to catch.
#pragma once
#include "check/check.h"

namespace siri::cuda {
void check_kernels(check::Check& check);
}

namespace siri::emulated {
void check_kernels(check::Check& check);
// The violations one by one, on small kernels.
void check_emulator(check::Check& check);
// The real kernels, broken in one place at a time: every one has to be noticed.
void check_mutants(check::Check& check);
}  // namespace siri::emulated
