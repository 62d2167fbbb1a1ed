// What the kernels of attention in half precision share: the softmax of a row of logits, which four neighbouring lanes
// hold. Each row decides for itself, so that its result depends on nothing else in the warp.
#pragma once
#include "rt.cuh"

constexpr float LOG2_E = 1.4426950408889634f;
// Below every logit of finite halves, yet finite: a row of -inf alone gives NaN, not a mean over masked keys.
constexpr float LOWEST = -1e30f;
// The reference stands in for the maximum of a row. It follows the maximum only once that has grown by more, so that sums
// are seldom rescaled; weights stay below exp(SLACK) = 245.
constexpr float SLACK = 5.5f;

// From the maxima of the lanes to that of their row. Never NaN: a NaN logit reaches the row through its weight.
RT_DEV float maximum_of_row(float maximum) {
  maximum = fmaxf(maximum, rt_shuffle_xor(maximum, 1));
  return fmaxf(maximum, rt_shuffle_xor(maximum, 2));
}

// The same of sums.
RT_DEV float sum_of_row(float sum) {
  sum += rt_shuffle_xor(sum, 1);
  return sum + rt_shuffle_xor(sum, 2);
}

// Whether the reference follows the maximum; what was summed up before is to be multiplied by `scale`.
RT_DEV bool follow_maximum(float& reference, float& scale, float maximum) {
  const float old = reference;
  const bool follow = maximum > old + SLACK;
  reference = follow ? maximum : old;
  scale = follow ? rt_exp2((old - maximum) * LOG2_E) : 1.f;
  return follow;
}

// exp(logit - reference).
RT_DEV float weight_of(float logit, float reference) { return rt_exp2(fmaf(logit, LOG2_E, -reference * LOG2_E)); }
