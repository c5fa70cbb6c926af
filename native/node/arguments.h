// Reading JavaScript values into C++ and errors back. Arguments were checked in TypeScript; what is wrong here is a bug in it and
// throws ArgumentError with the argument's name.
#pragma once
#include <napi.h>

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "core/error.h"

namespace siri::node {

template <typename T>
constexpr napi_typedarray_type array_type();
template <>
constexpr napi_typedarray_type array_type<float>() {
  return napi_float32_array;
}
template <>
constexpr napi_typedarray_type array_type<int32_t>() {
  return napi_int32_array;
}

// A copy of the typed array object[key].
template <typename T>
std::vector<T> copy_array(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != array_type<T>())
    throw ArgumentError(std::string(key) + " is not a typed array of the expected type");
  const auto array = value.As<Napi::TypedArrayOf<T>>();
  return std::vector<T>(array.Data(), array.Data() + array.ElementLength());
}

template <typename T>
std::vector<T> copy_array_if(const Napi::Object& object, const char* key) {
  return object.Has(key) && !object.Get(key).IsUndefined() ? copy_array<T>(object, key) : std::vector<T>();
}

inline double number(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsNumber()) throw ArgumentError(std::string(key) + " is not a number");
  return value.As<Napi::Number>().DoubleValue();
}
inline int64_t integer(const Napi::Object& object, const char* key) { return static_cast<int64_t>(number(object, key)); }
inline bool boolean(const Napi::Object& object, const char* key) { return object.Get(key).ToBoolean(); }
inline std::string text(const Napi::Object& object, const char* key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsString()) throw ArgumentError(std::string(key) + " is not a string");
  return value.As<Napi::String>();
}

template <typename T>
Napi::TypedArrayOf<T> to_array(Napi::Env env, const std::vector<T>& values) {
  auto array = Napi::TypedArrayOf<T>::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

// The JavaScript error of a C++ exception: its message and `code`.
inline Napi::Error to_js_error(Napi::Env env, const std::exception_ptr& error) {
  std::string message = "unknown native error", code = "SIRI_INTERNAL";
  try {
    std::rethrow_exception(error);
  } catch (const Error& e) {
    message = e.what();
    code = e.code();
  } catch (const std::bad_alloc&) {
    message = "out of memory";
    code = "SIRI_OUT_OF_MEMORY";
  } catch (const std::exception& e) {
    message = e.what();
  } catch (...) {
  }
  Napi::Error js = Napi::Error::New(env, message);
  js.Value().Set("code", code);
  return js;
}

// Runs f; a C++ exception becomes a thrown JavaScript error.
template <typename F>
auto guarded(Napi::Env env, F&& f) {
  try {
    return f();
  } catch (const Napi::Error&) {
    throw;
  } catch (...) {
    throw to_js_error(env, std::current_exception());
  }
}

}  // namespace siri::node
