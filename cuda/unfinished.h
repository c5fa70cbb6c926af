// The operations that have no kernel yet. The device is not offered to users while this file exists.
#pragma once
#include <string>

#include "backend.h"
#include "core/error.h"

namespace siri {

class Unfinished : public Backend {
 public:
  void head_score(const float*, const float*, const int32_t*, const RowSampling*, int64_t, int64_t, int64_t, float*, float*) override {
    missing("head_score");
  }
  void head_train(const float*, const float*, const int32_t*, const RowSampling*, int64_t, int64_t, int64_t, const TokenLoss&, float*,
                  float*, float*, float*) override {
    missing("head_train");
  }
  void head_distill(const float*, const float*, const float*, const int32_t*, int64_t, int64_t, int64_t, const LogitLoss&, float*, float*,
                    float*) override {
    missing("head_distill");
  }
  void divergence_rows(const DivergenceSpec&, const double*, int64_t, int64_t, float*, const float*, double*) override {
    missing("divergence_rows");
  }
  void head_sample(const float*, const float*, const RowSampling*, const uint64_t*, const uint64_t*, int64_t, int64_t, int64_t, int32_t*,
                   float*) override {
    missing("head_sample");
  }

 private:
  [[noreturn]] static void missing(const char* operation) {
    throw Error("SIRI_NOT_ON_CUDA", std::string(operation) + " has no CUDA kernel yet");
  }
};

}  // namespace siri
