// The module's entry: one init per Node environment, no global state.
#include <napi.h>

#include "node/register.h"

void register_kernels(Napi::Env env, Napi::Object exports);  // kernels.cpp

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  siri::node::register_policy(env, exports);
  siri::node::register_devices(env, exports);
  siri::node::register_workload(env, exports);
  register_kernels(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(siri, init)
