// The language-model head of the CPU device, with the semantics of backend.h: hidden [n, width] x head [vocab, width] -> log-prob,
// entropy, gradients, samples. Logits exist for one chunk of rows at a time, in a buffer made once. Knows nothing of what a loss is.
//
// A row's distribution: logits / temperature, then the top_k most likely tokens, then of these (renormalised) the smallest set of most
// likely tokens whose probability reaches top_p; equal logits are ordered by id, lowest first. Temperature 0 stands for greedy
// decoding: log-prob and entropy are those at temperature 1 with nothing cut off. All of a row's numbers are functions of its logits
// alone, so sampling, scoring and training agree bit for bit.
#pragma once
#include <cstdint>

#include "backend.h"
#include "core/threads.h"
#include "cpu/gemm.h"
#include "cpu/kernel_table.h"

namespace siri::cpu {

// logsumexp [n]: of the shaped logits. entropy and logsumexp may be null.
void head_score(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* head,
                const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width, int64_t vocab, float* logprob, float* entropy,
                float* logsumexp = nullptr);

void head_train(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* head,
                const int32_t* target, const RowSampling* sampling, int64_t n, int64_t width, int64_t vocab, const TokenLoss& loss,
                float* logprob, float* entropy, float* dhidden, float* dhead);

// teacher may be null: then the callback gets null and brings the teacher's logits itself.
void head_distill(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* teacher,
                  const float* head, const int32_t* target, int64_t n, int64_t width, int64_t vocab, const LogitLoss& loss, float* logprob,
                  float* dhidden, float* dhead);

// Throws NumericError when a row's logits are not finite.
void head_sample(ThreadPool& pool, const KernelTable& table, PackedWeights& packed, const float* hidden, const float* head,
                 const RowSampling* sampling, const uint64_t* seed, const uint64_t* position, int64_t n, int64_t width, int64_t vocab,
                 int32_t* token, float* logprob);

// The same on logits [n, vocab] that are ready; head_train's gradient overwrites them.
void logits_score(ThreadPool& pool, const KernelTable& table, float* logits, const int32_t* target, const RowSampling* sampling, int64_t n,
                  int64_t vocab, float* logprob, float* entropy, float* logsumexp);
void logits_train(ThreadPool& pool, const KernelTable& table, float* logits, const int32_t* target, const RowSampling* sampling, int64_t n,
                  int64_t vocab, int64_t first_row, const TokenLoss& loss, float* logprob, float* entropy);

// Bytes of logits that head_* hold for this vocabulary (at most 64 MiB); distillation holds two such buffers of half as many rows. The
// backward pass packs 1,024 rows of the head at a time beside them.
size_t head_logit_bytes(int64_t vocab);

}  // namespace siri::cpu
