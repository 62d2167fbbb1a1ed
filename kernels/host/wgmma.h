// Products of a warpgroup (wgmma): 64 rows of sums, 16 of them for each of its four warps. A warp's share depends on its
// own registers and on shared memory only, so each warp works through its products by itself.
#pragma once
#include <memory>
#include <vector>
#include "types.h"

namespace rt_host {

struct Block;
struct Operation;
struct Warp;

constexpr u32 warpgroup_warps = 4;

// Operands of one lane.
struct Wgmma {
  float* sums;   // columns / 2
  const u32* a;  // 4, or null: by its descriptor
  u64 a_place, b_place;
  u32 columns;
  bool accumulate, b_transposed, bytes;  // bytes: e4m3 instead of halves
};
extern const Operation wgmma_fence, wgmma, wgmma_commit;
struct WgmmaWait {
  u32 pending;
};
extern const Operation wgmma_wait;

// What the warps of a warpgroup have issued so far: they must all issue the same.
class Issues {
 public:
  // False where another warp issued another product at this place of the order.
  bool agrees(u64 number, const Wgmma& product);

 private:
  std::vector<u64> digests_;
};

// The numbers of one product: 16 rows of a, and b by k.
struct WgmmaNumbers {
  float a[16][32], b[32][256];
};

// Products of one warp, in order of issue.
class Products {
 public:
  void fence() { fenced_ = true; }
  void issue(Warp& warp);
  void commit();
  void wait(Warp& warp, u32 pending);
  bool idle() const { return products_.empty(); }

 private:
  // 16 rows of sums, and where the lanes keep them.
  struct Sums {
    u32 columns;
    float rows[16][256];
    float* places[32];
    u64 last;  // number of the last product into them
  };
  struct Product {
    std::shared_ptr<Sums> sums;
    Wgmma operands;
    u32 a[32][4];
    u64 number;
  };
  void carry_out(Warp& warp, const Product& product);
  void give_back(Sums& sums);

  bool fenced_ = false;
  u64 issued_ = 0;
  std::vector<Product> products_;          // that are not carried out yet
  std::vector<std::shared_ptr<Sums>> under_way_;
  std::vector<u64> group_ends_;            // numbers of their last products
};

}  // namespace rt_host
