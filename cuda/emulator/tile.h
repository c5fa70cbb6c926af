// bfloat16, asynchronous copies and tensor-core fragments on the host, in the register layout of the PTX ISA (mma.m16n8k16, ldmatrix).
//
// A fragment product is summed exactly (in double) over k, the accumulator included, and rounded once to float32. Hardware adds in an
// order of its own with its own guard bits: a kernel's tolerance has to cover both.
#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "emulator/views.h"

namespace siri::emulated {

struct bf16 {
  uint16_t bits;
};
inline float to_float(bf16 x) { return std::bit_cast<float>(uint32_t{x.bits} << 16); }
inline float to_float(float x) { return x; }
// To nearest, ties to even; NaN stays NaN.
inline bf16 to_bf16(float x) {
  const uint32_t u = std::bit_cast<uint32_t>(x);
  if ((u & 0x7fffffffu) > 0x7f800000u) return {0x7fff};
  return {static_cast<uint16_t>((u + 0x7fffu + (u >> 16 & 1)) >> 16)};
}

// Sixteen rows of A, eight columns of B and C, depth sixteen. With g = lane / 4 and q = lane % 4 a lane holds
//   a[0..3]: rows g, g + 8, g, g + 8 at columns 2q, 2q, 2q + 8, 2q + 8 and the next one (two bf16 in a word, lower column in the low half)
//   b[0..1]: rows 2q, 2q + 8 and the next one, of column g
//   c[0..3]: row g at columns 2q, 2q + 1, then row g + 8 at the same
struct FragmentA {
  uint32_t r[4];
};
struct FragmentB {
  uint32_t r[2];
};
struct FragmentC {
  float r[4];
};

inline uint32_t pack_bf16(float low, float high) { return uint32_t{to_bf16(high).bits} << 16 | to_bf16(low).bits; }

namespace detail {

struct MmaParcel {
  FragmentA a;
  FragmentB b;
  FragmentC c;
};

inline float half(uint32_t word, int high) { return to_float(bf16{static_cast<uint16_t>(high != 0 ? word >> 16 : word & 0xffffu)}); }

inline void complete_mma(emulator::Block& block, uint32_t warp, uint32_t) {
  float a[16][16], b[16][8], c[16][8];
  MmaParcel p;
  for (uint32_t l = 0; l < 32; ++l) {
    std::memcpy(&p, block.parcel(warp, l).bytes, sizeof p);
    const uint32_t g = l / 4, q = l % 4;
    for (uint32_t k = 0; k < 4; ++k)
      for (uint32_t h = 0; h < 2; ++h) a[g + 8 * (k % 2)][2 * q + 8 * (k / 2) + h] = half(p.a.r[k], h);
    for (uint32_t k = 0; k < 2; ++k)
      for (uint32_t h = 0; h < 2; ++h) b[2 * q + 8 * k + h][g] = half(p.b.r[k], h);
    for (uint32_t k = 0; k < 4; ++k) c[g + 8 * (k / 2)][2 * q + k % 2] = p.c.r[k];
  }
  for (auto& row : c) {
    const auto& left = a[&row - c];
    for (int n = 0; n < 8; ++n) {
      double sum = row[n];
      for (int k = 0; k < 16; ++k) sum += static_cast<double>(left[k]) * b[k][n];
      row[n] = static_cast<float>(sum);
    }
  }
  for (uint32_t l = 0; l < 32; ++l) {
    FragmentC out;
    for (uint32_t k = 0; k < 4; ++k) out.r[k] = c[l / 4 + 8 * (k / 2)][2 * (l % 4) + k % 2];
    std::memcpy(block.parcel(warp, l).bytes, &out, sizeof out);
  }
}

// Matrix m of a load: row r is the 16 bytes that lane 8 m + r names; a lane receives row lane / 4, columns 2 (lane % 4) and the next.
inline void complete_load_matrix(emulator::Block& block, uint32_t warp, uint32_t) {
  struct Parcel {
    uint16_t row[8];
    int32_t matrices, transposed;
  } in[32];
  for (uint32_t l = 0; l < 32; ++l) std::memcpy(&in[l], block.parcel(warp, l).bytes, sizeof in[l]);
  for (uint32_t l = 0; l < 32; ++l) {
    uint32_t out[4] = {};
    for (int m = 0; m < in[l].matrices; ++m) {
      const uint32_t i = l / 4, j = 2 * (l % 4);
      const uint32_t low = in[0].transposed ? in[8 * m + j].row[i] : in[8 * m + i].row[j];
      const uint32_t high = in[0].transposed ? in[8 * m + j + 1].row[i] : in[8 * m + i].row[j + 1];
      out[m] = high << 16 | low;
    }
    std::memcpy(block.parcel(warp, l).bytes, out, sizeof out);
  }
}

template <int kMatrices>
std::array<uint32_t, kMatrices> load_matrix(const char* name, const Shared<bf16>& tile, Index i, bool transposed) {
  emulator::Block& block = *emulator::current;
  struct {
    uint16_t row[8] = {};
    int32_t matrices = kMatrices, transposed;
  } p;
  p.transposed = transposed;
  if (block.lane() < 8 * kMatrices) {
    const Vec<bf16, 8> row = tile.template read<8>(i);
    std::memcpy(p.row, &row, sizeof row);
  }
  std::memcpy(block.parcel().bytes, &p, sizeof p);
  block.warp(name, 0xffffffffu, false, complete_load_matrix, i.where);
  std::array<uint32_t, kMatrices> r;
  std::memcpy(r.data(), block.parcel().bytes, sizeof(uint32_t) * kMatrices);
  return r;
}

}  // namespace detail

// c += a b, by all lanes of a warp.
inline void mma(FragmentC& c, const FragmentA& a, const FragmentB& b, Where where = Where::current()) {
  emulator::Block& block = *emulator::current;
  const detail::MmaParcel p{a, b, c};
  std::memcpy(block.parcel().bytes, &p, sizeof p);
  block.warp("mma", 0xffffffffu, false, detail::complete_mma, where);
  std::memcpy(&c, block.parcel().bytes, sizeof c);
}

// Lanes 8 m to 8 m + 7 name the first element of the rows of matrix m (8 x 8, rows of 16 bytes at multiples of 16).
inline FragmentA load_fragment_a(const Shared<bf16>& tile, Index i) {
  const auto r = detail::load_matrix<4>("load_fragment_a", tile, i, false);
  return {{r[0], r[1], r[2], r[3]}};
}
inline FragmentB load_fragment_b(const Shared<bf16>& tile, Index i) {
  const auto r = detail::load_matrix<2>("load_fragment_b", tile, i, false);
  return {{r[0], r[1]}};
}
// The same of the transposed 8 x 8 matrices.
inline FragmentA load_fragment_a_transposed(const Shared<bf16>& tile, Index i) {
  const auto r = detail::load_matrix<4>("load_fragment_a_transposed", tile, i, true);
  return {{r[0], r[1], r[2], r[3]}};
}
inline FragmentB load_fragment_b_transposed(const Shared<bf16>& tile, Index i) {
  const auto r = detail::load_matrix<2>("load_fragment_b_transposed", tile, i, true);
  return {{r[0], r[1]}};
}

// N elements (4, 8 or 16 bytes) on their way to shared memory; zeros when not `present` (then nothing is read).
template <int N, class T, class Source>
void copy_async(const Shared<T>& to, Index i, const Source& from, Index j, bool present = true) {
  static_assert(sizeof(T) * N == 4 || sizeof(T) * N == 8 || sizeof(T) * N == 16);
  Vec<T, N> v;
  std::memset(&v, 0, sizeof v);
  if (present) v = load<N>(from, j);
  const size_t offset = to.offset_of(i, N);
  if (offset % sizeof v != 0)
    emulator::current->violation(emulator::Kind::kMisaligned, i.where,
                                 "copy_async to element " + std::to_string(i.value) + ", which does not lie at a multiple of " +
                                     std::to_string(sizeof v) + " bytes");
  emulator::current->copy_begin(*to.memory(), offset, &v, sizeof v, i.value, i.where);
}
// Ends a group of copies.
inline void copy_commit() { emulator::current->copy_commit(); }
// Waits until at most `kGroups` groups are on their way: those of this thread only, so a barrier follows.
template <int kGroups>
void copy_wait() {
  emulator::current->copy_wait(kGroups);
}

}  // namespace siri::emulated
