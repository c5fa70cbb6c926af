#include "reference/adamw.h"

#include <cmath>

namespace siri::reference {

template <class Real>
Real sum_of_squares(const float* x, int64_t n) {
  Real sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += Real(x[i]) * Real(x[i]);
  return sum;
}

template <class Real>
void adamw(const float* weight, const float* gradient, const float* m, const float* v, int64_t n, const AdamWStep& step, Real* new_weight,
           Real* new_m, Real* new_v) {
  const Real lr = step.lr, beta1 = step.beta1, beta2 = step.beta2, eps = step.eps;
  const Real correction1 = Real(1) - std::pow(beta1, Real(step.step)), correction2 = Real(1) - std::pow(beta2, Real(step.step));
  for (int64_t i = 0; i < n; ++i) {
    const Real g = Real(gradient[i]) * Real(step.gradient_scale);
    new_m[i] = beta1 * Real(m[i]) + (Real(1) - beta1) * g;
    new_v[i] = beta2 * Real(v[i]) + (Real(1) - beta2) * g * g;
    const Real direction = (new_m[i] / correction1) / (std::sqrt(new_v[i] / correction2) + eps);
    new_weight[i] = Real(weight[i]) - lr * (direction + Real(step.weight_decay) * Real(weight[i]));
  }
}

#define SIRI_INSTANTIATE(Real)                         \
  template Real sum_of_squares(const float*, int64_t); \
  template void adamw(const float*, const float*, const float*, const float*, int64_t, const AdamWStep&, Real*, Real*, Real*);
SIRI_INSTANTIATE(double)
SIRI_INSTANTIATE(float)

}  // namespace siri::reference
