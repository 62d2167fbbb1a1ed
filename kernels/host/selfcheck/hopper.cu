// Small kernels, right and wrong, that show what the host shim detects of the units of compute capability 9.0. All copy a
// box of 64 by 64 halves from one matrix to another, or multiply it by itself, or meet.
#include "hopper.cuh"

struct Memory {
  unsigned char box[8192];
  u64 full;
};

// Sets the barrier up and asks for the box.
RT_DEV void ask(Memory* memory, const TensorMap* x, u32 bytes, bool fenced) {
  rt_mbarrier_init(&memory->full, 1);
  if (fenced) rt_mbarrier_fence();
  rt_mbarrier_expect(&memory->full, bytes);
  rt_bulk_load(memory->box, x, &memory->full, 0, 0);
}

enum Mistake { NONE, NO_FENCE, TOO_FEW_BYTES, TOO_MANY_BYTES, NO_WAIT, WRONG_PARITY, NOT_STORED, WRITTEN_UNSEEN, MISPLACED };

template <Mistake M> RT_DEV void copy_box(const TensorMap* x, const TensorMap* y) {
  RT_DYNAMIC_SHARED_1024(Memory, memory);
  if (threadIdx.x != 0) return;
  ask(memory, x, M == TOO_FEW_BYTES ? 8000 : M == TOO_MANY_BYTES ? 8200 : 8192, M != NO_FENCE);
  if (M != NO_WAIT) rt_mbarrier_wait(&memory->full, M == WRONG_PARITY);
  if (M == WRITTEN_UNSEEN) memory->box[77] ^= 1;
  rt_bulk_store(y, memory->box + (M == MISPLACED ? 128 : 0), 0, 0);
  rt_bulk_commit();
  if (M != NOT_STORED) rt_bulk_wait_read<0>();
}

#define COPY(name, M)                                                                                                 \
  RT_KERNEL(128, 1) name(const RT_GRID_CONSTANT TensorMap x, const RT_GRID_CONSTANT TensorMap y) { copy_box<M>(&x, &y); } \
  RT_EXPORT(name)
COPY(box, NONE)
COPY(box_without_fence, NO_FENCE)
COPY(box_of_too_few_bytes, TOO_FEW_BYTES)
COPY(box_of_too_many_bytes, TOO_MANY_BYTES)
COPY(box_without_wait, NO_WAIT)
COPY(box_with_wrong_parity, WRONG_PARITY)
COPY(box_not_stored, NOT_STORED)
COPY(box_written_unseen, WRITTEN_UNSEEN)
COPY(box_misplaced, MISPLACED)

enum Misuse { SOUND, UNFENCED, WRITTEN_EARLY, LEFT_UNDER_WAY, OTHER_OPERANDS };

// y[r][c], the first row of 64: x times x turned.
template <Misuse M> RT_DEV void multiply_box(const TensorMap* x, float* y) {
  RT_DYNAMIC_SHARED_1024(Memory, memory);
  if (threadIdx.x == 0) ask(memory, x, 8192, true);
  __syncthreads();
  rt_mbarrier_wait(&memory->full, 0);
  float sums[32];
  if (M != UNFENCED) rt_wgmma_fence();
  for (int step = 0; step < 4; step++) {
    const u64 place = rt_operand_on(rt_operand(memory->box, 16, 1024), 32 * step);
    const bool other = M == OTHER_OPERANDS && threadIdx.x >= 64;
    rt_wgmma(Columns<64>(), sums, place, other ? rt_operand_on(place, 32) : place, step > 0);
  }
  rt_wgmma_commit();
  if (M == WRITTEN_EARLY) sums[0] = 1;
  if (M != LEFT_UNDER_WAY) rt_wgmma_wait<0>();
  if (threadIdx.x / 4 == 0) {
    for (int i = 0; i < 32; i++) {
      if (i / 2 % 2 == 0) y[8 * (i / 4) + 2 * (threadIdx.x % 4) + i % 2] = sums[i];
    }
  }
}

#define MULTIPLY(name, M)                                                                        \
  RT_KERNEL(128, 1) name(const RT_GRID_CONSTANT TensorMap x, float* y) { multiply_box<M>(&x, y); } \
  RT_EXPORT(name)
MULTIPLY(multiplied, SOUND)
MULTIPLY(multiplied_unfenced, UNFENCED)
MULTIPLY(multiplied_written_early, WRITTEN_EARLY)
MULTIPLY(multiplied_left_under_way, LEFT_UNDER_WAY)
MULTIPLY(multiplied_by_others, OTHER_OPERANDS)

// Warps 0 and 1 meet at barrier 1, warps 2 and 3 at barrier 2; then all hand a number on.
RT_DEV void meet(float* y, int threads) {
  RT_DYNAMIC_SHARED(float, kept);
  const int t = threadIdx.x;
  kept[t] = (float)t;
  rt_barrier(1 + t / 64, threads);
  y[t] = kept[t ^ 32];
}
RT_KERNEL(128, 1) met(const RT_GRID_CONSTANT TensorMap, float* y) { meet(y, 64); }
RT_EXPORT(met)
RT_KERNEL(128, 1) met_by_too_few(const RT_GRID_CONSTANT TensorMap, float* y) { meet(y, 96); }
RT_EXPORT(met_by_too_few)

struct Halves {
  unsigned char half[2][4096];
  u64 full, seen;
};

enum Fault { SHARED_WELL, NOT_MET_FIRST, RETURNED_EARLY, NO_SUCH_BLOCK, HALF_FORGOTTEN };

// Each of two blocks gives both of them half of the box, and stores the half that it was given.
template <Fault F> RT_DEV void share_box(const TensorMap* x, const TensorMap* y) {
  RT_DYNAMIC_SHARED_1024(Halves, memory);
  const int rank = rt_cluster_rank();
  if (threadIdx.x == 0) {
    rt_mbarrier_init(&memory->full, 1);
    rt_mbarrier_init(&memory->seen, 1);
    rt_mbarrier_fence();
  }
  if (F != NOT_MET_FIRST) rt_cluster_sync();
  if (threadIdx.x != 0) return;
  rt_mbarrier_expect(&memory->full, 8192);
  const u32 ranks = F == NO_SUCH_BLOCK ? 4 : F == HALF_FORGOTTEN ? 1 << rank : 3;
  rt_bulk_load_multicast(memory->half[rank], x, &memory->full, 0, 32 * rank, ranks);
  rt_mbarrier_wait(&memory->full, 0);
  rt_bulk_store(y, memory->half[1 - rank], 0, 32 * (1 - rank));
  rt_bulk_commit();
  rt_bulk_wait_read<0>();
  rt_mbarrier_arrive_at(&memory->seen, 1 - rank);
  if (F != RETURNED_EARLY) rt_mbarrier_wait(&memory->seen, 0);
}

#define SHARE(name, F)                                                                                    \
  RT_KERNEL_OF_CLUSTERS(64, 1, 2) name(const RT_GRID_CONSTANT TensorMap x, const RT_GRID_CONSTANT TensorMap y) { \
    share_box<F>(&x, &y);                                                                                 \
  }                                                                                                       \
  RT_EXPORT(name)
SHARE(shared_out, SHARED_WELL)
SHARE(shared_out_before_they_met, NOT_MET_FIRST)
SHARE(shared_out_and_returned, RETURNED_EARLY)
SHARE(shared_out_to_nobody, NO_SUCH_BLOCK)
SHARE(shared_out_to_one, HALF_FORGOTTEN)
