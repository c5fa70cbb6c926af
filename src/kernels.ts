/**
 * The kernels of SIRI on typed arrays, without the trainer: log-probs of chosen tokens through a language-model head, GiGPO
 * advantages over ragged groups, the clipped policy loss, and distillation losses; each with its gradient. Plain synchronous functions:
 * give them a worker thread if they are to run beside other work. Nothing here knows a policy, an environment or a run.
 */
export {
  type AdvantageOptions,
  type GroupAdvantages,
  type GroupTrajectory,
  groupAdvantages,
  similarity,
} from "./kernels/advantages.js";
export {
  type DistillationOptions,
  type DivergenceInput,
  type DivergenceTargets,
  distillationLoss,
  type InternaliseInput,
  type InternaliseTargets,
  type RowLoss,
} from "./kernels/distillation.js";
export { type KernelEngine, kernelEngine } from "./kernels/engine.js";
export {
  type HeadGradient,
  type HeadInput,
  type LogitGradient,
  type LogitInput,
  type SelectedLogProbs,
  selectedLogProbs,
  selectedLogProbsBackward,
} from "./kernels/logprobs.js";
export {
  type PolicyLossGradient,
  type PolicyLossInput,
  type PolicyLossOptions,
  type PolicyLossTerms,
  type PolicyLossTokens,
  policyLoss,
  policyLossOnLogits,
  policyLossThroughHead,
} from "./kernels/policy-loss.js";
