// Mutation test of the real kernels: every barrier, every index and every write of every kernel is broken once, at its place in the
// source, and the emulator or the comparison with the whole kernel's output has to notice. Shapes are such that every line counts.
#include <map>

#include "attention_plan.cuh"
#include "check/attention_problem.h"
#include "check/check_device.h"
#include "check/device_array.h"
#include "ops.h"
#include "reduce.cuh"

namespace siri::emulated {
namespace {

using check::Check;
using check::Random;
using emulator::Fault;
using emulator::Site;

using Result = std::vector<std::vector<float>>;
using Scenario = std::function<Result(Device&)>;

template <class T>
Result norms(Device& device, int64_t rows, int64_t width, int64_t stride) {
  Random random(5, static_cast<uint64_t>(width));
  const Array<T> x(device, typed<T>(random.normals(rows * stride))), dy(device, typed<T>(random.normals(rows * stride))),
      y(device, typed<T>(random.normals(rows * stride))), dx(device, typed<T>(random.normals(rows * stride)));
  const Array<float> w(device, random.normals(width)), dw(device, random.normals(width)), rstd(device, rows, 0.0f);
  device.begin();
  rms_norm(device, x.data(), stride, w.data(), rows, width, 1e-6f, y.data(), stride, rstd.data());
  rms_norm_backward(device, dy.data(), stride, x.data(), stride, w.data(), rstd.data(), rows, width, dx.data(), stride, true, dw.data());
  return {plain(y.host()), rstd.host(), plain(dx.host()), dw.host()};
}

template <class T>
Result gates(Device& device, int64_t rows, int64_t width) {
  Random random(6, static_cast<uint64_t>(width));
  const Array<T> g(device, typed<T>(random.normals(rows * 2 * width))), dh(device, typed<T>(random.normals(rows * width))),
      h(device, typed<T>(random.normals(rows * width))), dg(device, typed<T>(random.normals(rows * 2 * width)));
  swiglu(device, g.data(), rows, width, h.data());
  swiglu_backward(device, g.data(), dh.data(), rows, width, dg.data());
  return {plain(h.host()), plain(dg.host())};
}

Result rows(Device& device, int64_t width) {
  Random random(7, static_cast<uint64_t>(width));
  constexpr int64_t kCount = 11, kVocab = 20;
  std::vector<int32_t> tokens = random.integers(kCount, kVocab), index = random.distinct(kCount, kVocab);
  tokens[3] = tokens[8] = tokens[0];
  const std::vector<int32_t> summed = random.integers(kCount, kCount);
  const std::vector<int64_t> starts = {0, 3, 3, 7, 11};
  const Array<float> table(device, random.normals(kVocab * width)), x(device, random.normals(kCount * width)),
      copy(device, random.normals(kCount * width)), sums(device, random.normals(4 * width)), pages(device, random.normals(kCount * width));
  std::vector<float*> places;
  for (int64_t i = 0; i < kCount; ++i) places.push_back(pages.data() + (kCount - 1 - i) * width);
  device.begin();
  embed(device, tokens.data(), kCount, table.data(), width, copy.data());
  scatter_add_rows(device, x.data(), index.data(), kCount, width, table.data());
  embed_backward(device, tokens.data(), kCount, x.data(), width, table.data());
  sum_rows(device, x.data(), summed.data(), starts.data(), 4, width, sums.data());
  store_rows(device, x.data(), width, kCount, width, places.data());
  return {table.host(), copy.host(), sums.host(), pages.host()};
}

Result optimiser(Device& device, int64_t n) {
  Random random(8, static_cast<uint64_t>(n));
  std::vector<float> second(n);
  for (float& v : second) v = static_cast<float>(random.uniform());
  const Array<float> w(device, random.normals(n)), g(device, random.normals(n)), m(device, random.normals(n)), v(device, second);
  device.begin();
  adamw(device, w.data(), g.data(), m.data(), v.data(), 0, n, AdamWStep{1e-2f, 0.9f, 0.999f, 1e-8f, 0.1f, 0.7f, 5});
  const double sum = sum_of_squares(device, g.data(), n);
  return {w.host(), m.host(), v.host(), {static_cast<float>(sum)}};
}

Result advantages(Device& device) {
  Random random(9, 0);
  std::vector<int32_t> group_begin = {0, 2, 5}, offset = {0}, state;
  std::vector<double> reward;
  std::vector<uint8_t> valid;
  std::vector<int64_t> token_begin = {0};
  for (int64_t length : {40, 100, 3, 7, 1}) {
    for (int64_t i = 0; i < length; ++i) {
      state.push_back(random.below(20));
      reward.push_back(random.normal(1.0f));
      valid.push_back(random.uniform() > 0.3);
      token_begin.push_back(token_begin.back() + 1 + random.below(40));
    }
    offset.push_back(static_cast<int32_t>(state.size()));
  }
  const int64_t steps = offset.back();
  const Array<int32_t> g(device, group_begin), t(device, offset), s(device, state);
  const Array<double> r(device, reward), step_return(device, steps, 0.0), episode(device, steps, 0.0), step(device, steps, 0.0),
      advantage(device, steps, 0.0);
  const Array<uint8_t> ok(device, valid);
  const Array<int64_t> tb(device, token_begin);
  const Array<float> token(device, token_begin.back(), 0.0f);
  cpu::GigpoSpec spec;
  spec.normalisation = cpu::Normalisation::mean_std_norm;
  spec.episode_statistics = cpu::EpisodeStatistics::trajectories;
  device.begin();
  grouped_advantages(device, spec, {2, 5, steps, token_begin.back(), 140, g.data(), t.data(), s.data(), r.data(), ok.data(), tb.data()},
                     {step_return.data(), episode.data(), step.data(), advantage.data(), token.data()});
  return {plain(step_return.host()), plain(episode.host()), plain(step.host()), plain(advantage.host()), token.host()};
}

// A product of any form with several tiles and several pieces of the depth, y odd or even: its elements move one by one or in pairs.
template <class T, class... How>
Result product(Device& device, Form form, int64_t rows, int64_t columns, int64_t depth, int64_t chunk, How... how) {
  Random random(11, static_cast<uint64_t>(columns));
  const bool wide = form == Form::kWeight, tall = form == Form::kForward;
  const int64_t a_width = wide ? rows : depth, b_width = tall ? depth : columns;
  const Array<float> a(device, random.normals(rows * depth)), b(device, random.normals(columns * depth)),
      bias(device, random.normals(columns)), y(device, random.normals(rows * columns));
  device.begin();
  Gemm<T> g{form, {}, {}, rows, columns, depth, chunk, bias.data(), y.data(), y.data(), columns};
  if constexpr (std::is_same_v<T, bf16>) {
    g.a = round_rows(device, a.data(), a_width, wide ? depth : rows, a_width);
    g.b = round_rows(device, b.data(), b_width, tall ? columns : depth, b_width);
  } else {
    g.a = {a.data(), a_width};
    g.b = {b.data(), b_width};
  }
  multiply(device, g, how...);
  return {y.host()};
}

Result bias_gradient(Device& device) {
  Random random(12, 0);
  const Array<float> dy(device, random.normals(130 * 5)), total(device, random.normals(3));
  device.begin();
  add_column_sums(device, dy.data(), 5, 130, 3, total.data());
  return {total.host()};
}

Result turns(Device& device, int64_t dim, int64_t gap) {
  Random random(11, static_cast<uint64_t>(dim));
  const std::vector<int32_t> positions = {3, 0, 5};
  const Array<float> x(device, random.normals(3 * (2 * dim + gap))), cos(device, random.normals(6 * dim / 2)),
      sin(device, random.normals(6 * dim / 2));
  device.begin();
  rope(device, x.data(), 2 * dim + gap, 3, 2, dim, positions.data(), cos.data(), sin.data(), true);
  return {x.host()};
}

// Forward, and backward where no segment is cut. `page`, `piece`: as check::Store and check::segments have them.
template <class T, class E>
Result attend(Device& device, AttentionShape shape, std::vector<check::Span> spans, int64_t gap, int64_t page, int64_t piece) {
  const check::Problem p = check::make_problem(12, shape, std::move(spans), 1.0f, gap);
  Random random(13, 0);
  check::Store<T> keys(p, p.k, page, 1), values(p, p.v, page, 2), key_sums(p, p.k, 0, 0), value_sums(p, p.v, 0, 0);
  const Array<T> q(device, typed<T>(p.q)), k(device, typed<T>(keys.memory())), v(device, typed<T>(values.memory())),
      out(device, typed<T>(random.normals(p.rows * p.q_stride))), dout(device, typed<T>(p.dout)),
      dq(device, typed<T>(random.normals(p.rows * p.q_stride))), dk(device, typed<T>(random.normals(p.keys * p.kv_stride))),
      dv(device, typed<T>(random.normals(p.keys * p.kv_stride)));
  const Array<float> lse(device, random.normals(p.rows * p.shape.heads));
  const auto list = check::segments(p, keys.rows(k.data()), values.rows(v.data()), piece);
  const auto count = static_cast<int64_t>(list.size());
  AttentionPlans<T> plans(device);
  device.begin();
  attention<T, E>(plans, q.data(), p.q_stride, list.data(), count, shape, out.data(), p.q_stride, lse.data());
  if (page == 0 && count == static_cast<int64_t>(p.spans.size())) {
    key_sums.rows(dk.data());
    value_sums.rows(dv.data());
    std::vector<KvGradientsOf<T>> gradients;
    for (size_t s = 0; s < p.spans.size(); ++s) gradients.push_back({key_sums.pieces(s), value_sums.pieces(s)});
    attention_backward<T, E>(plans, q.data(), p.q_stride, out.data(), dout.data(), p.q_stride, lse.data(), list.data(), count, shape,
                             dq.data(), p.q_stride, gradients.data(), p.kv_stride);
  }
  return {plain(out.host()), lse.host(), plain(dq.host()), plain(dk.host()), plain(dv.host())};
}

template <class T>
Result divergences(Device& device, DivergenceSpec::Kind kind, int64_t vocab) {
  Random random(13, static_cast<uint64_t>(vocab));
  const Array<T> z(device, typed<T>(random.normals(2 * vocab))), t(device, typed<T>(random.normals(2 * vocab)));
  const double scale[2] = {0.7, -1.3};
  std::vector<double> value(2);
  device.begin();
  divergence_rows(device, {kind, 0.3, 1.5}, scale, 2, vocab, z.data(), t.data(), value.data());
  return {plain(z.host()), {static_cast<float>(value[0]), static_cast<float>(value[1])}};
}

// Rows that keep all (kind 0) or cut off tokens, among them equal ones: every logit has an equal. Scored and trained.
template <class T>
Result head(Device& device, int64_t n, int64_t width, int64_t vocab, int64_t kind, int64_t count) {
  Random random(14, static_cast<uint64_t>(vocab));
  std::vector<float> w = random.normals(vocab / 2 * width);
  w.insert(w.end(), w.begin(), w.end());
  const Array<float> x(device, random.normals(n * width)), head(device, w), dx(device, n * width, 0.0f),
      dhead(device, random.normals(vocab * width));
  const std::vector<int32_t> target = random.integers(n, vocab);
  const RowSampling kinds[] = {{0.7f, 0, 1.0f}, {1.0f, 5, 1.0f}, {1.3f, 0, 0.6f}, {1.0f, 9, 0.5f}};
  std::vector<RowSampling> sampling;
  for (int64_t i = 0; i < n; ++i) sampling.push_back(kinds[kind + i % count]);
  const TokenLoss loss = [&](int64_t begin, int64_t end, const float* logprob, const float* entropy, float* dl, float* de) {
    for (int64_t i = 0; i < end - begin; ++i) {
      dl[i] = std::isinf(logprob[i]) ? 1.0f : 1.0f + logprob[i];
      de[i] = entropy[i];
    }
  };
  std::vector<float> logprob(n), entropy(n), all(n), trained(n), trained_entropy(n);
  device.begin();
  Rows<T> hidden, rows;
  if constexpr (std::is_same_v<T, bf16>) {
    hidden = round_rows(device, x.data(), width, n, width);
    rows = round_rows(device, head.data(), width, vocab, width);
  } else {
    hidden = {x.data(), width};
    rows = {head.data(), width};
  }
  head_score(device, hidden, rows, target.data(), sampling.data(), n, width, vocab, logprob.data(), entropy.data(), all.data());
  head_train(device, hidden, rows, target.data(), sampling.data(), n, width, vocab, loss, trained.data(), trained_entropy.data(), dx.data(),
             dhead.data());
  return {logprob, entropy, all, trained, trained_entropy, dx.host(), dhead.host()};
}

Result samples(Device& device) {
  constexpr int64_t kRows = 6, kWidth = 5, kVocab = 81;
  Random random(15, 0);
  const Array<float> x(device, random.normals(kRows * kWidth, 0.4f)), head(device, random.normals(kVocab * kWidth, 0.4f));
  const RowSampling sampling[] = {{1.0f, 0, 1.0f}, {0.0f, 0, 1.0f}, {2.0f, 0, 1.0f}, {1.0f, 7, 1.0f}, {1.0f, 0, 0.5f}, {3.0f, 0, 1.0f}};
  const uint64_t seed[] = {1, 2, 3, 4, 5, 6}, position[] = {0, 1, 2, 3, 4, 5};
  std::vector<int32_t> token(kRows);
  std::vector<float> logprob(kRows);
  device.begin();
  head_sample(device, Rows<float>{x.data(), kWidth}, Rows<float>{head.data(), kWidth}, sampling, seed, position, kRows, kWidth, kVocab,
              token.data(), logprob.data());
  return {plain(token), logprob};
}

// A kernel with two sums in a row: the barrier at the end of block_sum is for those.
void sums_twice(In<float> x, Out<float> y) {
  const float sum = block_sum<64>(static_cast<float>(x[threadIdx.x]));
  y[threadIdx.x] = block_sum<64>(sum * x[threadIdx.x]);
}
Result two_sums(Device& device) {
  Random random(10, 0);
  const Array<float> x(device, random.normals(64)), y(device, random.normals(64));
  launch(device.stream(), "two_sums", {{1}, {64}}, sums_twice, In<float>(x.data(), 64), Out<float>(y.data(), 64));
  return {y.host()};
}

std::string fault_name(Fault fault) {
  return fault == Fault::kDropBarrier ? "without the barrier" : fault == Fault::kShiftIndex ? "index shifted" : "without the write";
}

}  // namespace

void check_mutants(Check& check) {
  if (!check.wanted("mutants")) return;
  const std::pair<const char*, Scenario> scenarios[] = {
      {"norm of narrow rows", [](Device& d) { return norms<float>(d, 3, 37, 41); }},
      {"norm of aligned rows", [](Device& d) { return norms<bf16>(d, 3, 64, 72); }},
      {"norm of wide rows", [](Device& d) { return norms<float>(d, 2, 1030, 1032); }},
      {"swiglu", [](Device& d) { return gates<float>(d, 2, 7); }},
      {"swiglu of aligned rows", [](Device& d) { return gates<bf16>(d, 2, 16); }},
      {"rows", [](Device& d) { return rows(d, 7); }},
      {"aligned rows", [](Device& d) { return rows(d, 136); }},
      {"optimiser", [](Device& d) { return optimiser(d, 1031); }},
      {"advantages", advantages},
      {"two sums", two_sums},
      {"product", [](Device& d) { return product<bf16>(d, Form::kForward, 20, 71, 300, 320, Tile::k64x64, Chunks::kBlocks); }},
      {"product of pieces", [](Device& d) { return product<bf16>(d, Form::kForward, 20, 70, 300, 128, Tile::k16x64, Chunks::kBlocks); }},
      {"product in order", [](Device& d) { return product<bf16>(d, Form::kForward, 20, 40, 300, 128, Tile::k128x128, Chunks::kInOrder); }},
      {"product dy W", [](Device& d) { return product<bf16>(d, Form::kInput, 20, 71, 300, 320, Tile::k64x64, Chunks::kBlocks); }},
      {"product dy^T x", [](Device& d) { return product<bf16>(d, Form::kWeight, 20, 70, 300, 320, Tile::k64x64, Chunks::kBlocks); }},
      {"product in float32", [](Device& d) { return product<float>(d, Form::kForward, 33, 35, 41, 64, false); }},
      {"product of aligned rows in float32", [](Device& d) { return product<float>(d, Form::kInput, 33, 36, 41, 64, false); }},
      {"product dy^T x in float32", [](Device& d) { return product<float>(d, Form::kWeight, 5, 36, 150, 64, false); }},
      {"bias gradient", bias_gradient},
      {"forward KL", [](Device& d) { return divergences<float>(d, DivergenceSpec::Kind::kForwardKl, 37); }},
      {"reverse KL", [](Device& d) { return divergences<bf16>(d, DivergenceSpec::Kind::kReverseKl, 64); }},
      {"JSD", [](Device& d) { return divergences<bf16>(d, DivergenceSpec::Kind::kJsd, 61); }},
      {"head", [](Device& d) { return head<bf16>(d, 5, 75, 70, 0, 4); }},
      {"head in float32", [](Device& d) { return head<float>(d, 5, 11, 70, 1, 3); }},
      {"head of aligned rows", [](Device& d) { return head<float>(d, 33, 9, 64, 0, 1); }},
      {"samples", samples},
      {"rope", [](Device& d) { return turns(d, 6, 1); }},
      {"rope of aligned rows", [](Device& d) { return turns(d, 8, 4); }},
      {"attention in bfloat16", [](Device& d) { return attend<bf16, bf16>(d, {2, 1, 16, 0.25f}, {{40, 41}}, 0, 0, 99); }},
      {"attention along a tree",
       [](Device& d) { return attend<float, bf16>(d, {1, 1, 8, 0.3f}, {{9, 9}, {3, 12, 0}, {31, 40, 0}}, 0, 0, 99); }},
      {"attention in float32", [](Device& d) { return attend<float, float>(d, {2, 1, 6, 0.3f}, {{9, 9}, {19, 37, 0}}, 3, 0, 99); }},
      {"attention to pages", [](Device& d) { return attend<float, float>(d, {1, 1, 4, 0.5f}, {{1, 20}}, 0, 7, 1); }},
      {"attention to parts", [](Device& d) { return attend<bf16, bf16>(d, {2, 1, 8, 0.3f}, {{2, 515}}, 0, 0, 1); }},
      {"attention of long rows", [](Device& d) { return attend<float, float>(d, {1, 1, 4, 0.5f}, {{33, 545}}, 0, 0, 99); }},
  };
  Device device(0);
  // A line that several kernels share is a mutant of each; it is caught when one of them shows it.
  std::map<Site, bool> caught;
  for (const auto& [name, scenario] : scenarios) {
    emulator::machine().record();
    const Result whole = scenario(device);
    const std::vector<Site> sites = emulator::machine().sites();
    for (const Site& site : sites) {
      Site line = site;
      if (site.file == "reduce.cuh") line.kernel = "*";
      bool& noticed = caught[line];
      if (noticed) continue;
      emulator::machine().mutate(site);
      try {
        noticed = scenario(device) != whole;
      } catch (const emulator::Violation&) {
        noticed = true;
      }
      emulator::machine().mutate({});
    }
  }
  for (const auto& [site, noticed] : caught)
    check.condition("mutants",
                    site.kernel + " " + fault_name(site.fault) + " at " + site.file + ":" + std::to_string(site.line) + ":" +
                        std::to_string(site.column),
                    [&, noticed = noticed](Backend&) { return noticed; });
  device.begin();
}

}  // namespace siri::emulated
