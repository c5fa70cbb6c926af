// Header: similarity.h.
#include "cpu/similarity.h"

#include <algorithm>
#include <unordered_map>

namespace siri::cpu {
namespace {

// Where each code point stands in b, without the popular ones.
using Places = std::unordered_map<char32_t, std::vector<int32_t>>;

Places places_of(const std::u32string& b) {
  Places places;
  for (size_t i = 0; i < b.size(); ++i) places[b[i]].push_back(static_cast<int32_t>(i));
  if (b.size() >= 200) {
    const size_t most = b.size() / 100 + 1;
    std::erase_if(places, [&](const auto& entry) { return entry.second.size() > most; });
  }
  return places;
}

struct Range {
  int32_t a_begin, a_end, b_begin, b_end;
};

// Most that two texts can have in common: their code points as bags. A cheap upper bound of the ratio.
double ratio_bound(const std::u32string& a, const std::u32string& b) {
  if (a.empty() && b.empty()) return 1.0;
  std::unordered_map<char32_t, int64_t> bag;
  for (char32_t c : b) ++bag[c];
  int64_t common = 0;
  for (char32_t c : a)
    if (auto it = bag.find(c); it != bag.end() && it->second > 0) {
      --it->second;
      ++common;
    }
  return 2.0 * static_cast<double>(common) / static_cast<double>(a.size() + b.size());
}

}  // namespace

double similarity_ratio(const std::u32string& a, const std::u32string& b) {
  if (a.empty() && b.empty()) return 1.0;
  const Places places = places_of(b);
  // run[j + 1]: length of the common block that ends at (i, j); two rows, of which only the touched entries are cleared.
  std::vector<int32_t> run(b.size() + 1, 0), previous(b.size() + 1, 0);
  std::vector<int32_t> touched, touched_before;
  int64_t matches = 0;
  std::vector<Range> todo = {{0, static_cast<int32_t>(a.size()), 0, static_cast<int32_t>(b.size())}};
  while (!todo.empty()) {
    const Range r = todo.back();
    todo.pop_back();
    int32_t best_a = r.a_begin, best_b = r.b_begin, best = 0;
    for (int32_t i = r.a_begin; i < r.a_end; ++i) {
      if (const auto it = places.find(a[i]); it != places.end()) {
        for (auto j = std::lower_bound(it->second.begin(), it->second.end(), r.b_begin); j != it->second.end() && *j < r.b_end; ++j) {
          const int32_t length = run[*j + 1] = previous[*j] + 1;
          touched.push_back(*j + 1);
          if (length > best) {
            best = length;
            best_a = i - length + 1;
            best_b = *j - length + 1;
          }
        }
      }
      for (int32_t j : touched_before) previous[j] = 0;
      touched_before.clear();
      std::swap(run, previous);
      std::swap(touched, touched_before);
    }
    for (int32_t j : touched_before) previous[j] = 0;
    touched_before.clear();
    // Popular code points may lengthen a block.
    while (best_a > r.a_begin && best_b > r.b_begin && a[best_a - 1] == b[best_b - 1]) --best_a, --best_b, ++best;
    while (best_a + best < r.a_end && best_b + best < r.b_end && a[best_a + best] == b[best_b + best]) ++best;
    if (best == 0) continue;
    matches += best;
    todo.push_back({r.a_begin, best_a, r.b_begin, best_b});
    todo.push_back({best_a + best, r.a_end, best_b + best, r.b_end});
  }
  return 2.0 * static_cast<double>(matches) / static_cast<double>(a.size() + b.size());
}

std::vector<int32_t> similarity_clusters(const std::vector<std::u32string>& texts, const std::vector<int32_t>& pool, double threshold) {
  std::vector<int32_t> label(texts.size());
  std::unordered_map<int32_t, std::vector<size_t>> firsts;                               // of each pool's clusters, in order
  std::unordered_map<int32_t, std::unordered_map<std::u32string, int32_t>> seen_before;  // equal texts meet equal fates
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto [seen, fresh] = seen_before[pool[i]].try_emplace(texts[i], static_cast<int32_t>(i));
    if (fresh) {
      std::vector<size_t>& clusters = firsts[pool[i]];
      const auto match = std::find_if(clusters.begin(), clusters.end(), [&](size_t first) {
        return ratio_bound(texts[i], texts[first]) >= threshold && similarity_ratio(texts[i], texts[first]) >= threshold;
      });
      if (match == clusters.end())
        clusters.push_back(i);
      else
        seen->second = static_cast<int32_t>(*match);
    }
    label[i] = seen->second;
  }
  return label;
}

}  // namespace siri::cpu
