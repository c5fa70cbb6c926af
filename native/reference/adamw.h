// AdamW (Loshchilov and Hutter 2019) and the sum of squares, plainly. Real: see embedding.h.
#pragma once
#include <cstdint>

#include "backend.h"

namespace siri::reference {

template <class Real>
Real sum_of_squares(const float* x, int64_t n);

// One step; the results go to arrays of their own [n].
template <class Real>
void adamw(const float* weight, const float* gradient, const float* m, const float* v, int64_t n, const AdamWStep& step, Real* new_weight,
           Real* new_m, Real* new_v);

}  // namespace siri::reference
