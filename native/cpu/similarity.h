// Ratcliff-Obershelp similarity of two texts, as Python's difflib defines its `ratio`, for step groups of nearly equal observations.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace siri::cpu {

// 2 * matches / (length a + length b) in code points, 1 for two empty texts. Matches: the longest common block (the leftmost in a, then
// in b), then the same left and right of it. As in difflib, a code point that fills more than 1% of a text b of 200 or more does
// not start a block.
double similarity_ratio(const std::u32string& a, const std::u32string& b);

// Label of each text: texts join, in order, the first cluster of their pool whose first member they resemble with ratio >=
// threshold, or open a new one. pool[i] keeps texts apart; labels are unique over all pools.
std::vector<int32_t> similarity_clusters(const std::vector<std::u32string>& texts, const std::vector<int32_t>& pool, double threshold);

}  // namespace siri::cpu
