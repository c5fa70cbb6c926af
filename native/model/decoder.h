// The decoder's forward and backward pass, as explicit calls on Backend. One code path serves prefill, decoding, scoring and
// training: they differ only in where keys and values lie and in whether activations are kept.
// The last layer computes queries, MLP and the final norm only for selected rows; keys and values for all of them.
// Knows nothing of heads, losses, sampling and scheduling.
#pragma once
#include "backend.h"
#include "model/batch.h"
#include "model/config.h"
#include "model/weights.h"
#include "model/workspace.h"

namespace siri {

class Decoder {
 public:
  // position_tables: table_bytes() of the device; filled here.
  Decoder(Backend& backend, const DecoderConfig& config, Weights& weights, float* position_tables);
  // The cosines and sines of all positions.
  static size_t table_bytes(const DecoderConfig& config);

  // Hidden states of the selected rows after the final norm, [selected, hidden]; valid until the next pass in `workspace`.
  // Writes keys and values of segments with pages into their pages. Null when nothing is selected.
  float* forward(const PackedBatch& batch, Workspace& workspace);

  // Adds the gradients of everything below the head, given workspace.dhidden [selected, hidden]; `workspace` is in training mode
  // and holds the forward pass of the same batch. At least one row is selected.
  void backward(const PackedBatch& batch, Workspace& workspace);

 private:
  // Where attention finds keys and values of the activations, and the distance between their rows.
  struct KvView {
    float* keys;
    int64_t key_stride;
    float* values;
    int64_t value_stride;
  };
  KvView kv_view(const LayerBuffers& l) const;
  void store_in_pages(const PackedBatch& batch, const KvView& view, int64_t layer);
  // Fills segments_ (and the lists of pieces they need) for one layer.
  void make_segments(const PackedBatch& batch, const KvView& view, int64_t layer, bool last);
  void project_keys_values(const PackedBatch& batch, Workspace& ws, const LayerBuffers& l, int64_t layer);
  void project_queries(const float* normed, int64_t rows, const int32_t* positions, const LayerBuffers& l, int64_t layer);
  void backward_attention(const PackedBatch& batch, Workspace& ws, int64_t layer, bool last);

  float* w(int64_t offset) const { return offset < 0 ? nullptr : weights_.data(Store::kWeight) + offset; }
  float* g(int64_t offset) const { return offset < 0 ? nullptr : weights_.data(Store::kGradient) + offset; }

  Backend& backend_;
  const DecoderConfig& config_;
  Weights& weights_;
  AttentionShape shape_;
  float* cos_;
  float* sin_;
  // Reused between passes.
  std::vector<AttentionSegment> segments_;
  std::vector<int64_t> piece_rows_, piece_ends_;  // of the segments without pages, end to end: first row in the batch, last position + 1
  std::vector<const float*> key_pieces_, value_pieces_;
  std::vector<float*> rows_, dk_pieces_, dv_pieces_;
  std::vector<KvGradients> gradients_;
};

}  // namespace siri
