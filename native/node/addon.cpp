// The module's entry: one init per Node environment, no global state.
#include <napi.h>

#include "node/register.h"

#if __has_include("node/kernels.cpp")
void register_kernels(Napi::Env env, Napi::Object exports);
#define SIRI_KERNELS 1
#endif

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  siri::node::register_policy(env, exports);
#ifdef SIRI_KERNELS
  register_kernels(env, exports);
#endif
  return exports;
}

}  // namespace

NODE_API_MODULE(siri, init)
