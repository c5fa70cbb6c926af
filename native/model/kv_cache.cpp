#include "model/kv_cache.h"

#include <algorithm>
#include <string>

#include "core/error.h"

namespace siri {

size_t KvCache::KeyHash::operator()(const Key& k) const {
  uint64_t h = k.parent * 0x9E3779B97F4A7C15ull + 0x632BE59BD9B4E019ull;
  for (const int32_t t : k.tokens) {
    h ^= static_cast<uint32_t>(t);
    h *= 0xFF51AFD7ED558CCDull;
    h ^= h >> 32;
  }
  return static_cast<size_t>(h);
}

namespace {

size_t block_bytes(const DecoderConfig& c) {
  return static_cast<size_t>(c.layers * 2 * KvCache::kBlockTokens * c.kv_dim()) * sizeof(float);
}

}  // namespace

size_t KvCache::whole_blocks(const DecoderConfig& c, size_t bytes) {
  const size_t block = block_bytes(c);
  if (bytes < block)
    throw MemoryError("the KV cache of " + std::to_string(bytes) + " bytes is smaller than one block of " + std::to_string(kBlockTokens) +
                      " tokens (" + std::to_string(block) + " bytes); raise kvCacheMiB");
  return bytes / block * block;
}

KvCache::KvCache(const DecoderConfig& c, float* memory, size_t bytes, bool reuse)
    : layers_(c.layers), row_(c.kv_dim()), reuse_(reuse), bytes_(bytes), memory_(memory) {
  blocks_.resize(bytes / block_bytes(c));
  for (int64_t i = capacity_blocks(); i-- > 0;) free_.push_back(static_cast<int32_t>(i));
}

bool KvCache::first_missing(const int32_t* tokens, int64_t count, Key* key) const {
  uint64_t parent = 0;
  for (int64_t b = 0; reuse_ && (b + 1) * kBlockTokens <= count - 1; ++b) {
    key->parent = parent;
    std::copy_n(tokens + b * kBlockTokens, kBlockTokens, key->tokens.begin());
    const auto found = known_.find(*key);
    if (found == known_.end()) return true;
    parent = blocks_[found->second].content;
  }
  return false;
}

void KvCache::append(CachedSequence* s, int32_t block) {
  const int64_t plane = kBlockTokens * row_;
  s->blocks_.push_back(block);
  s->pages_.ends.push_back(static_cast<int64_t>(s->blocks_.size()) * kBlockTokens);
  for (int64_t l = 0; l < layers_; ++l) {
    float* base = memory_ + (static_cast<int64_t>(block) * layers_ + l) * 2 * plane;
    s->pages_.keys[l].push_back(base);
    s->pages_.values[l].push_back(base + plane);
  }
}

void KvCache::reference(int32_t block) {
  Block& b = blocks_[block];
  if (b.references++ == 0 && b.content != 0) unused_.erase(b.unused);
}

bool KvCache::open(const int32_t* tokens, int64_t count, int64_t total, CachedSequence* s) {
  std::vector<int32_t> shared;
  uint64_t parent = 0;
  Key key;
  int64_t idle = 0;  // shared blocks that nobody uses now: taking them shrinks what is available
  for (int64_t b = 0; (b + 1) * kBlockTokens <= count - 1; ++b) {
    key.parent = parent;
    std::copy_n(tokens + b * kBlockTokens, kBlockTokens, key.tokens.begin());
    const auto found = known_.find(key);
    if (found == known_.end()) break;
    shared.push_back(found->second);
    parent = blocks_[found->second].content;
    idle += blocks_[found->second].references == 0;
  }
  const int64_t fresh = blocks_for(total) - static_cast<int64_t>(shared.size());
  const int64_t available = static_cast<int64_t>(free_.size() + unused_.size()) - reserved_ - idle;
  if (fresh > available) return false;

  *s = CachedSequence();
  s->pages_.block_tokens = kBlockTokens;
  s->pages_.keys.resize(layers_);
  s->pages_.values.resize(layers_);
  for (const int32_t block : shared) {
    reference(block);
    append(s, block);
  }
  s->length_ = static_cast<int64_t>(shared.size()) * kBlockTokens;
  s->registered_ = static_cast<int64_t>(shared.size());
  s->parent_ = parent;
  s->reserved_ = fresh;
  reserved_ += fresh;
  return true;
}

int32_t KvCache::take_block() {
  int32_t block;
  if (!free_.empty()) {
    block = free_.back();
    free_.pop_back();
  } else {
    block = unused_.front();
    unused_.pop_front();
    known_.erase(blocks_[block].key);
    blocks_[block].content = 0;
  }
  blocks_[block].references = 1;
  return block;
}

void KvCache::extend(CachedSequence* s, int64_t rows) {
  const int64_t need = blocks_for(s->length_ + rows);
  while (static_cast<int64_t>(s->blocks_.size()) < need) {
    if (s->reserved_ == 0) throw Error("SIRI_INTERNAL", "a sequence outgrew its reservation in the KV cache");
    --s->reserved_;
    --reserved_;
    append(s, take_block());
  }
}

void KvCache::advance(CachedSequence* s, const int32_t* tokens, int64_t rows) {
  s->length_ += rows;
  if (!reuse_) return;
  for (; (s->registered_ + 1) * kBlockTokens <= s->length_; ++s->registered_) {
    Key key;
    key.parent = s->parent_;
    std::copy_n(tokens + s->registered_ * kBlockTokens, kBlockTokens, key.tokens.begin());
    const auto [found, inserted] = known_.try_emplace(key, s->blocks_[s->registered_]);
    if (inserted) {
      Block& b = blocks_[found->second];
      b.content = next_content_++;
      b.key = key;
    }
    s->parent_ = blocks_[found->second].content;
  }
}

void KvCache::close(CachedSequence* s) {
  // Last block first: a chain loses its end before its beginning.
  for (auto it = s->blocks_.rbegin(); it != s->blocks_.rend(); ++it) {
    Block& b = blocks_[*it];
    if (--b.references > 0) continue;
    if (b.content == 0)
      free_.push_back(*it);
    else
      b.unused = unused_.insert(unused_.end(), *it);
  }
  reserved_ -= s->reserved_;
  *s = CachedSequence();
}

void KvCache::invalidate() {
  known_.clear();
  for (const int32_t block : unused_) {
    blocks_[block].content = 0;
    free_.push_back(block);
  }
  unused_.clear();
}

}  // namespace siri
