// The parts of check_kernels that have a file of their own.
#pragma once
#include "check/check.h"
#include "runtime.h"

namespace siri::SIRI_DEVICE {

void check_products(check::Check& check, Device& device);
void check_heads(check::Check& check, Device& device);
void check_attention_kernels(check::Check& check, Device& device);

}  // namespace siri::SIRI_DEVICE
