// SwiGLU (Shazeer 2020), plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

namespace siri::reference {

// h = silu(gate) * up; gate_up [rows, 2 * width], gate first; h [rows, width].
template <class Real>
void swiglu(const float* gate_up, int64_t rows, int64_t width, Real* h);

// dgate_up [rows, 2 * width] is written.
template <class Real>
void swiglu_backward(const float* gate_up, const float* dh, int64_t rows, int64_t width, Real* dgate_up);

}  // namespace siri::reference
