// The shape of a folded network, and how the kernels of pair_score report survivors.
#pragma once
#include "head.cuh"

struct PairShape {
  u32 n_entries, n_targets;
  u32 width, row;  // of the tables
  u32 is_gate, is_logistic;
  u32 n_members, member_parameters;  // elements from one member's parameters to the next one's
  u32 n_head;                        // layers of the head, the last one included: up to 6
  Layer head[6];                     // of the first member
};
struct Member {
  float weight;
  u32 n_positive;
};

RT_DEV int smaller(int a, int b) { return a < b ? a : b; }

struct Found {
  u32* count;      // cleared before
  u32* survivors;  // target, entry and bits of the value of each
  u32 capacity;
};
struct Scored {
  u32 target, entry;
  float value;
};

// Writes those of a thread's pairs pair(0) .. pair(N - 1) that survive. All threads of the block take part; `room` is
// two words of shared memory.
template <int N, class Pair>
RT_DEV void report(const PairShape& shape, const float* __restrict__ least, Found found, u32* room, Pair pair) {
  const auto survives = [&](const Scored& scored) {
    if (scored.entry >= shape.n_entries || scored.target >= shape.n_targets) return false;
    return !(scored.value < least[scored.target]);
  };
  u32 mine = 0;
#pragma unroll
  for (int i = 0; i < N; i++) mine += survives(pair(i)) ? 1 : 0;
  if (threadIdx.x == 0) room[0] = 0;
  __syncthreads();
  u32 at = mine == 0 ? 0 : rt_atomic_add(room, mine);
  __syncthreads();
  if (threadIdx.x == 0 && room[0] != 0) room[1] = rt_atomic_add(found.count, room[0]);
  __syncthreads();
  if (mine == 0) return;
  at += room[1];
#pragma unroll
  for (int i = 0; i < N; i++) {
    const Scored scored = pair(i);
    if (!survives(scored)) continue;
#ifdef PLANT_PAST_CAPACITY
    const u32 capacity = found.capacity + 1;
#else
    const u32 capacity = found.capacity;
#endif
    if (at < capacity) {
      u32* survivor = found.survivors + 3 * (u64)at;
      survivor[0] = scored.target;
      survivor[1] = scored.entry;
      survivor[2] = rt_float_bits(scored.value);
    }
    at++;
  }
}

RT_DEV float linked(const PairShape& shape, float z) { return shape.is_logistic ? rt_logistic(z) : z; }
