// The paged key-value cache: blocks of kBlockTokens positions for all layers, reused by content.
//
// A full block is known by (the block before it, its tokens): equal prompts share blocks from the first position on, compared
// token by token, so nothing can collide. Blocks are reference counted; a block nobody uses stays until its memory is needed,
// least recently used first. invalidate() (new weights) forgets all contents. Only addresses are kept of the device's memory.
// Knows nothing of requests. Not thread-safe: the engine's thread owns it.
#pragma once
#include <array>
#include <cstddef>
#include <list>
#include <unordered_map>
#include <vector>

#include "model/batch.h"
#include "model/config.h"

namespace siri {

class KvCache;

// The cache's share of one sequence: pages for the forward pass, and how many positions are filled.
class CachedSequence {
 public:
  const CachePages& pages() const { return pages_; }
  int64_t length() const { return length_; }  // positions whose keys and values are stored

 private:
  friend class KvCache;
  CachePages pages_;
  std::vector<int32_t> blocks_;
  int64_t length_ = 0;
  int64_t reserved_ = 0;    // blocks promised but not yet taken
  int64_t registered_ = 0;  // full blocks whose content is known to the cache
  uint64_t parent_ = 0;     // content id of the last registered block
};

class KvCache {
 public:
  static constexpr int64_t kBlockTokens = 16;

  // Bytes of the whole blocks that `bytes` hold. Throws MemoryError with the numbers when that is none.
  static size_t whole_blocks(const DecoderConfig& config, size_t bytes);
  // memory: `bytes` of the device, of whole blocks. Without `reuse` no content is ever known.
  KvCache(const DecoderConfig& config, float* memory, size_t bytes, bool reuse);
  KvCache(const KvCache&) = delete;
  KvCache& operator=(const KvCache&) = delete;

  int64_t capacity_blocks() const { return static_cast<int64_t>(blocks_.size()); }
  int64_t capacity_tokens() const { return capacity_blocks() * kBlockTokens; }
  size_t bytes() const { return bytes_; }
  static int64_t blocks_for(int64_t tokens) { return (tokens + kBlockTokens - 1) / kBlockTokens; }

  // Names the content of a full block.
  struct Key {
    uint64_t parent = 0;
    std::array<int32_t, kBlockTokens> tokens{};
    bool operator==(const Key&) const = default;
  };
  struct KeyHash {
    size_t operator()(const Key& k) const;
  };

  // The first block of tokens [0, count) that the cache does not hold, if it is a full one.
  bool first_missing(const int32_t* tokens, int64_t count, Key* key) const;

  // Starts a sequence that will grow to at most `total` positions: takes the cached blocks of a prefix of `tokens` (of at most
  // count - 1 positions) and reserves the rest. False when blocks are short now.
  bool open(const int32_t* tokens, int64_t count, int64_t total, CachedSequence* sequence);
  // Makes pages for `rows` more positions.
  void extend(CachedSequence* sequence, int64_t rows);
  // The pages of [length, length + rows) have been written; tokens: the whole sequence so far. Full blocks become reusable.
  void advance(CachedSequence* sequence, const int32_t* tokens, int64_t rows);
  void close(CachedSequence* sequence);

  // Forgets all contents. No sequence may be open.
  void invalidate();

 private:
  struct Block {
    int32_t references = 0;
    uint64_t content = 0;  // 0: unknown content
    Key key;
    std::list<int32_t>::iterator unused;  // valid while references == 0 and content != 0
  };
  int32_t take_block();
  void reference(int32_t block);
  void append(CachedSequence* sequence, int32_t block);

  int64_t layers_;
  int64_t row_;  // kv_dim
  bool reuse_;
  size_t bytes_;
  float* memory_;  // [block][layer][key, value][kBlockTokens, kv_dim]
  std::vector<Block> blocks_;
  std::vector<int32_t> free_;
  std::list<int32_t> unused_;  // known content, no reference; least recently used first
  std::unordered_map<Key, int32_t, KeyHash> known_;
  int64_t reserved_ = 0;
  uint64_t next_content_ = 1;
};

}  // namespace siri
