#include "emulator/fibre.h"

#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && !defined(_WIN32)
#define SIRI_FIBRE_X86 1
#elif defined(__aarch64__)
#define SIRI_FIBRE_ARM 1
#else
#include <ucontext.h>
#endif

namespace siri::emulator {
namespace {

constexpr uint64_t kPattern = 0x5117ac1e5117ac1eull;

}  // namespace

#if defined(SIRI_FIBRE_X86) || defined(SIRI_FIBRE_ARM)

// Stores the stack pointer that the caller goes on with in *from and takes up `to`.
extern "C" void siri_fibre_switch(void** from, void* to) asm("siri_fibre_switch");
extern "C" void siri_fibre_start() asm("siri_fibre_start");

#ifdef SIRI_FIBRE_X86
asm(R"(
.text
.p2align 4
siri_fibre_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
siri_fibre_start:
  .cfi_startproc
  .cfi_undefined rip
  movq %r12, %rdi
  call *%rbx
  ud2
  .cfi_endproc
)");
constexpr size_t kSaved = 6;  // words below the return address: r15 r14 r13 r12 rbx rbp
constexpr size_t kBody = 4, kArgument = 3;
#else
asm(R"(
.text
.p2align 4
siri_fibre_switch:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x2, sp
  str x2, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
siri_fibre_start:
  .cfi_startproc
  .cfi_undefined x30
  mov x0, x20
  blr x19
  brk #1
  .cfi_endproc
)");
constexpr size_t kSaved = 20;
constexpr size_t kBody = 0, kArgument = 1, kReturn = 11;
#endif

struct Fibres::Impl {
  explicit Impl(size_t count) : stacks(new unsigned char[count * kStackBytes]), at(count), body(count), argument(count), self(count) {}
  unsigned char* stack(size_t i) const {
    unsigned char* p = stacks.get() + i * kStackBytes;
    return p + (16 - reinterpret_cast<uintptr_t>(p) % 16) % 16;
  }
  struct Self {
    Impl* impl;
    size_t index;
  };
  static void run(void* p) {
    const Self* self = static_cast<Self*>(p);
    self->impl->body[self->index](self->impl->argument[self->index]);
    siri_fibre_switch(&self->impl->at[self->index], self->impl->outside);
  }

  std::unique_ptr<unsigned char[]> stacks;
  std::vector<void*> at;
  std::vector<void (*)(void*)> body;
  std::vector<void*> argument;
  std::vector<Self> self;
  void* outside = nullptr;
};

Fibres::Fibres(size_t count) : impl_(std::make_unique<Impl>(count)) {}
Fibres::~Fibres() = default;

void Fibres::prepare(size_t i, void (*body)(void*), void* argument) {
  impl_->body[i] = body;
  impl_->argument[i] = argument;
  impl_->self[i] = {impl_.get(), i};
  unsigned char* low = impl_->stack(i);
  std::memcpy(low, &kPattern, sizeof kPattern);
  void** top = reinterpret_cast<void**>(low + kStackBytes - 64);
#ifdef SIRI_FIBRE_X86
  *--top = nullptr;  // so that the stack is aligned as at a call
  *--top = nullptr;
  *--top = reinterpret_cast<void*>(&siri_fibre_start);
  top -= kSaved;
#else
  top -= kSaved;
  top[kReturn] = reinterpret_cast<void*>(&siri_fibre_start);
#endif
  top[kBody] = reinterpret_cast<void*>(&Impl::run);
  top[kArgument] = &impl_->self[i];
  impl_->at[i] = top;
}

void Fibres::enter(size_t i) { siri_fibre_switch(&impl_->outside, impl_->at[i]); }
void Fibres::leave(size_t i) { siri_fibre_switch(&impl_->at[i], impl_->outside); }
bool Fibres::intact(size_t i) const { return std::memcmp(impl_->stack(i), &kPattern, sizeof kPattern) == 0; }

#else

struct Fibres::Impl {
  explicit Impl(size_t count) : stacks(new unsigned char[count * kStackBytes]), at(count), body(count), argument(count) {}
  static void run(unsigned high, unsigned low, unsigned index) {
    Impl* impl = reinterpret_cast<Impl*>(static_cast<uintptr_t>(uint64_t{high} << 32 | low));
    impl->body[index](impl->argument[index]);
  }
  std::unique_ptr<unsigned char[]> stacks;
  std::vector<ucontext_t> at;
  std::vector<void (*)(void*)> body;
  std::vector<void*> argument;
  ucontext_t outside;
};

Fibres::Fibres(size_t count) : impl_(std::make_unique<Impl>(count)) {}
Fibres::~Fibres() = default;

void Fibres::prepare(size_t i, void (*body)(void*), void* argument) {
  impl_->body[i] = body;
  impl_->argument[i] = argument;
  unsigned char* low = impl_->stacks.get() + i * kStackBytes;
  std::memcpy(low, &kPattern, sizeof kPattern);
  ucontext_t& context = impl_->at[i];
  getcontext(&context);
  context.uc_stack.ss_sp = low + 64;
  context.uc_stack.ss_size = kStackBytes - 64;
  context.uc_link = &impl_->outside;
  const uint64_t self = reinterpret_cast<uintptr_t>(impl_.get());
  makecontext(&context, reinterpret_cast<void (*)()>(&Impl::run), 3, static_cast<unsigned>(self >> 32), static_cast<unsigned>(self),
              static_cast<unsigned>(i));
}

void Fibres::enter(size_t i) { swapcontext(&impl_->outside, &impl_->at[i]); }
void Fibres::leave(size_t i) { swapcontext(&impl_->at[i], &impl_->outside); }
bool Fibres::intact(size_t i) const { return std::memcmp(impl_->stacks.get() + i * kStackBytes, &kPattern, sizeof kPattern) == 0; }

#endif

}  // namespace siri::emulator
