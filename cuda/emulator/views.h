// Checked views of device memory and of a block's shared memory: the emulator's side of what cuda/README.md describes.
#pragma once
#include <concepts>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "emulator/block.h"

namespace siri::emulated {

using emulator::Where;

// An index that knows where in the source it was written.
struct Index {
  int64_t value;
  Where where;
  Index(std::integral auto value, Where where = Where::current()) : value(static_cast<int64_t>(value)), where(where) {
    if (emulator::machine().watches() && emulator::machine().breaks(emulator::Fault::kShiftIndex, where)) ++this->value;
  }
};

// N elements that are moved by one instruction, at an address that is a multiple of their size.
template <class T, int N>
struct alignas(sizeof(T) * N) Vec {
  T v[N];
  T& operator[](int i) { return v[i]; }
  const T& operator[](int i) const { return v[i]; }
};

// `count` elements of memory that the machine or a block's shared memory holds. The common part of all views.
template <class T>
class View {
 public:
  using Element = std::remove_const_t<T>;

  View() = default;
  View(T* data, int64_t count, Where where = Where::current()) : data_(data), count_(count) {
    if (count <= 0) return;
    memory_ = emulator::machine().find(data);
    const int64_t left =
        memory_ == nullptr ? -1 : static_cast<int64_t>(memory_->bytes()) - (reinterpret_cast<const std::byte*>(data) - memory_->data());
    if (left < count * static_cast<int64_t>(sizeof(T)))
      fail(memory_ == nullptr ? emulator::Kind::kNotDeviceMemory : emulator::Kind::kOutOfBounds, where,
           "a view of " + std::to_string(count) + " elements of " + std::to_string(sizeof(T)) + " bytes where " +
               (memory_ == nullptr ? std::string("no device memory is") : std::to_string(left) + " bytes are left of the allocation"));
    memory_->refine(grain());
  }

  T* data() const { return data_; }
  int64_t count() const { return count_; }
  // Of memory that is known.
  View(T* data, int64_t count, emulator::Memory* memory) : data_(data), count_(count), memory_(memory) { memory_->refine(grain()); }

 protected:
  static constexpr size_t grain() { return sizeof(T) < 4 ? sizeof(T) : 4; }

  View part(int64_t begin, int64_t count, const Where& where) const {
    if (begin < 0 || count < 0 || begin + count > count_)
      fail(emulator::Kind::kOutOfBounds, where,
           "elements " + std::to_string(begin) + " to " + std::to_string(begin + count) + " of a view of " + std::to_string(count_));
    View v;
    v.data_ = data_ + begin;
    v.count_ = count;
    v.memory_ = memory_;
    return v;
  }
  // Where the host finds them, after every check.
  T* touch(const Index& i, int64_t n, emulator::Access access) const {
    if (i.value < 0 || i.value + n > count_)
      fail(emulator::Kind::kOutOfBounds, i.where,
           "element " + std::to_string(i.value + (i.value < 0 ? 0 : n - 1)) + " of a view of " + std::to_string(count_));
    T* p = data_ + i.value;
    if (reinterpret_cast<uintptr_t>(p) % (sizeof(T) * static_cast<size_t>(n)) != 0)
      fail(emulator::Kind::kMisaligned, i.where,
           "element " + std::to_string(i.value) + " does not lie at a multiple of " + std::to_string(sizeof(T) * n) + " bytes");
    emulator::current->access(*memory_, access, offset(p), sizeof(T) * static_cast<size_t>(n), i.value, i.where);
    return reinterpret_cast<T*>(memory_->bytes_at(offset(p)));
  }
  size_t offset(const T* p) const { return static_cast<size_t>(reinterpret_cast<const std::byte*>(p) - memory_->data()); }
  static bool dropped(const Where& where) {
    return emulator::machine().watches() && emulator::machine().breaks(emulator::Fault::kDropWrite, where);
  }
  [[noreturn]] static void fail(emulator::Kind kind, const Where& where, const std::string& what) {
    if (emulator::current != nullptr) emulator::current->violation(kind, where, what);
    throw emulator::Violation(kind, emulator::place(where) + ": " + what);
  }

  T* data_ = nullptr;
  int64_t count_ = 0;
  emulator::Memory* memory_ = nullptr;
};

// Memory that no thread of the launch writes.
template <class T>
class In : public View<const T> {
 public:
  using View<const T>::View;
  In(const View<const T>& v) : View<const T>(v) {}
  T operator[](Index i) const { return *this->touch(i, 1, emulator::Access::kReadOnly); }
  template <int N>
  Vec<T, N> read(Index i) const {
    Vec<T, N> v;
    std::memcpy(&v, this->touch(i, N, emulator::Access::kReadOnly), sizeof v);
    return v;
  }
  In slice(int64_t begin, int64_t count, Where where = Where::current()) const { return In(this->part(begin, count, where)); }
};

// Memory that is written, and also read when the base allows it.
template <class T>
class Writable : public View<T> {
 public:
  using View<T>::View;
  Writable(const View<T>& v) : View<T>(v) {}
  template <int N>
  void write(Index i, const Vec<T, N>& v) const {
    T* p = this->touch(i, N, emulator::Access::kWrite);
    if (!this->dropped(i.where)) std::memcpy(p, &v, sizeof v);
  }

 protected:
  void put(const Index& i, T value) const {
    if (this->dropped(i.where)) return;
    *this->touch(i, 1, emulator::Access::kWrite) = value;
  }
};

// Memory that the launch writes and does not read.
template <class T>
class Out : public Writable<T> {
 public:
  using Writable<T>::Writable;
  class Slot {
   public:
    Slot(const Out& out, Index i) : out_(out), i_(i) {}
    Slot(const Slot&) = delete;
    void operator=(T value) && { out_.put(i_, value); }

   private:
    const Out& out_;
    Index i_;
  };
  Slot operator[](Index i) const { return Slot(*this, i); }
  Out slice(int64_t begin, int64_t count, Where where = Where::current()) const { return Out(this->part(begin, count, where)); }

 private:
  friend class Slot;
};

// Memory that is read and written; Ref<const T> reads what other views of the launch may write.
template <class T>
class Ref : public Writable<T> {
 public:
  using Writable<T>::Writable;
  using Element = std::remove_const_t<T>;
  class Slot {
   public:
    Slot(const Ref& ref, Index i) : ref_(ref), i_(i) {}
    Slot(const Slot&) = delete;
    operator Element() && { return ref_.get(i_); }
    void operator=(Slot&& other) && { ref_.put(i_, other.ref_.get(other.i_)); }
    void operator=(Element value) && { ref_.put(i_, value); }
    void operator+=(Element value) && { ref_.put(i_, ref_.get(i_) + value); }
    void operator-=(Element value) && { ref_.put(i_, ref_.get(i_) - value); }
    void operator*=(Element value) && { ref_.put(i_, ref_.get(i_) * value); }

   private:
    const Ref& ref_;
    Index i_;
  };
  Slot operator[](Index i) const { return Slot(*this, i); }
  template <int N>
  Vec<Element, N> read(Index i) const {
    Vec<Element, N> v;
    std::memcpy(&v, this->touch(i, N, emulator::Access::kRead), sizeof v);
    return v;
  }
  Ref slice(int64_t begin, int64_t count, Where where = Where::current()) const { return Ref(this->part(begin, count, where)); }
  Element* atomic(const Index& i) const { return this->touch(i, 1, emulator::Access::kAtomic); }

 protected:
  friend class Slot;
  Element get(const Index& i) const { return *this->touch(i, 1, emulator::Access::kRead); }
};

template <class T>
class Ref<const T> : public View<const T> {
 public:
  using View<const T>::View;
  Ref(const View<const T>& v) : View<const T>(v) {}
  Ref(const Ref<T>& v) : View<const T>(v.data(), v.count()) {}
  T operator[](Index i) const { return *this->touch(i, 1, emulator::Access::kRead); }
  template <int N>
  Vec<T, N> read(Index i) const {
    Vec<T, N> v;
    std::memcpy(&v, this->touch(i, N, emulator::Access::kRead), sizeof v);
    return v;
  }
  Ref slice(int64_t begin, int64_t count, Where where = Where::current()) const { return Ref(this->part(begin, count, where)); }
};

// A block's shared memory.
template <class T>
class Shared : public Ref<T> {
 public:
  Shared() = default;
  Shared(const View<T>& v) : Ref<T>(v) {}
  Shared(T* data, int64_t count, emulator::Memory* memory) : Ref<T>(View<T>(data, count, memory)) {}
  Shared slice(int64_t begin, int64_t count, Where where = Where::current()) const { return Shared(this->part(begin, count, where)); }
  emulator::Memory* memory() const { return this->memory_; }
  size_t offset_of(const Index& i, int64_t n) const {
    if (i.value < 0 || i.value + n > this->count_)
      this->fail(emulator::Kind::kOutOfBounds, i.where,
                 "element " + std::to_string(i.value) + " of a view of " + std::to_string(this->count_));
    return this->offset(this->data_ + i.value);
  }
};

template <class T>
Shared<T> static_shared(const void* key, int64_t count, Where where = Where::current()) {
  emulator::Block& block = *emulator::current;
  const size_t offset = block.static_shared(key, static_cast<size_t>(count) * sizeof(T), alignof(T) < 16 ? 16 : alignof(T), where);
  return Shared<T>(reinterpret_cast<T*>(block.shared().data() + offset), count, &block.shared());
}

// `count` elements from byte `offset` of the dynamic shared memory of the launch.
template <class T>
Shared<T> dynamic_shared(int64_t offset, int64_t count, Where where = Where::current()) {
  emulator::Block& block = *emulator::current;
  block.dynamic_shared(static_cast<size_t>(offset), static_cast<size_t>(count) * sizeof(T), where);
  return Shared<T>(reinterpret_cast<T*>(block.shared().data() + offset), count, &block.shared());
}

// N elements at once.
template <int N, class V>
auto load(const V& view, Index i) {
  return view.template read<N>(i);
}
template <class V, class T, int N>
void store(const V& view, Index i, const Vec<T, N>& v) {
  view.write(i, v);
}

}  // namespace siri::emulated

// Static shared memory, one array for each place in the source (and instance of a template) that names it.
#define SIRI_SHARED(type, name, count) \
  static const char name##_key = 0;    \
  const ::siri::emulated::Shared<type> name = ::siri::emulated::static_shared<type>(&name##_key, count)
