// What the addon exports, family by family.
#pragma once
#include <napi.h>

namespace siri::node {

void register_policy(Napi::Env env, Napi::Object exports);
void register_devices(Napi::Env env, Napi::Object exports);
void register_workload(Napi::Env env, Napi::Object exports);

}  // namespace siri::node
