#include "wgmma.h"
#include <algorithm>
#include <cstring>
#include "async_units.h"
#include "block.h"
#include "e4m3.h"
#include "failure.h"
#include "half.h"
#include "launch.h"
#include "warp.h"

namespace rt_host {
namespace {

constexpr u32 in_flight = 0x7fc0dead;  // a NaN that stands in sums until they are waited for
constexpr u32 step_bytes = 32;         // of k in a product: 16 halves, or 32 numbers of a byte

// An operand's place (a matrix descriptor): fields in units of 16 bytes, the pattern that is swizzled over 128 bytes.
struct Place {
  u32 start, leading, stride;
};
Place decode(u64 bits) {
  constexpr u64 fields = 0x3fffull | 0x3fffull << 16 | 0x3fffull << 32 | 3ull << 62;
  if (bits & ~fields) fail(cuda_launch_failed, "wgmma: reserved bits of a descriptor are set");
  if (bits >> 62 != 1) fail(cuda_launch_failed, "wgmma: only operands swizzled over 128 bytes are known here");
  return {(u32)(bits & 0x3fff) << 4, (u32)(bits >> 16 & 0x3fff) << 4, (u32)(bits >> 32 & 0x3fff) << 4};
}
// Of a row (of a, or a column of the sums), the piece of 16 bytes along k.
u32 along_k(const Place& place, u32 row, u32 piece) {
  return swizzled128(place.start + row % 8 * 128 + row / 8 * place.stride + piece * 16);
}
// Of a transposed operand of halves: eight columns of the sums from `column` on, at k.
u32 across_k(const Place& place, u32 column, u32 k) {
  return swizzled128(place.start + column % 64 * 2 + column / 64 * place.leading + k % 8 * 128 + k / 8 * place.stride);
}

// A piece of 16 bytes as f32; the number of them.
u32 widen_piece(const unsigned char* piece, bool bytes, float* to) {
  if (bytes) {
    for (u32 i = 0; i < 16; i++) to[i] = widen_e4m3(piece[i]);
    return 16;
  }
  u16 halves[8];
  std::memcpy(halves, piece, sizeof halves);
  widen8(halves, to);
  return 8;
}

typedef float Row8 __attribute__((vector_size(32)));

// Adds the product of 16 rows of a and `depth` rows of b. Each output sums its products in order of k, 16 of them at a
// time, then joins the sums: as the operation of a warp does (tensor_core.cc).
void add_product(float (*sums)[256], const float (*a)[32], const float (*b)[256], u32 columns, u32 depth) {
  for (u32 column = 0; column < columns; column += 8) {
    for (u32 row = 0; row < 16; row++) {
      Row8 total;
      std::memcpy(&total, &sums[row][column], sizeof total);
      for (u32 first = 0; first < depth; first += 16) {
        Row8 part = {};
        for (u32 k = first; k < first + 16; k++) {
          Row8 line;
          std::memcpy(&line, &b[k][column], sizeof line);
          part = k == first ? a[row][k] * line : part + a[row][k] * line;
        }
        total += part;
      }
      std::memcpy(&sums[row][column], &total, sizeof total);
    }
  }
}

// Row and column, in the 16 rows of a warp, of register i of a lane.
u32 row_of(u32 lane, u32 i) { return lane / 4 + i / 2 % 2 * 8; }
u32 column_of(u32 lane, u32 i) { return i / 4 * 8 + lane % 4 * 2 + i % 2; }

void mark(float* place, u32 columns) {
  for (u32 i = 0; i < columns / 2; i++) std::memcpy(&place[i], &in_flight, 4);
}
void check_mark(const float* place, u32 columns) {
  for (u32 i = 0; i < columns / 2; i++) {
    if (std::memcmp(&place[i], &in_flight, 4)) {
      fail(cuda_launch_failed, "wgmma: sums were written before rt_wgmma_wait gave them back");
    }
  }
}

Products& of(Warp& warp) { return warp.threads->block->async().products[warp.position]; }

}  // namespace

bool Issues::agrees(u64 number, const Wgmma& product) {
  const u64 flags = product.columns | (u64)product.accumulate << 16 | (u64)product.b_transposed << 17 |
                    (u64)product.bytes << 18 | (u64)(product.a != nullptr) << 19;
  u64 digest = flags;
  for (u64 part : {product.a ? 0 : product.a_place, product.b_place}) digest = digest * 0x9e3779b97f4a7c15u + part + 1;
  if (number == digests_.size()) digests_.push_back(digest);
  return number < digests_.size() && digests_[number] == digest;
}

void Products::issue(Warp& warp) {
  Block& block = *warp.threads->block;
  const Wgmma& first = *(const Wgmma*)warp.operands[0];
  for (const void* place : warp.operands) {
    const Wgmma& own = *(const Wgmma*)place;
    if ((!own.a && own.a_place != first.a_place) || own.b_place != first.b_place || own.accumulate != first.accumulate) {
      fail(cuda_launch_failed, "wgmma: operands differ between the lanes of a warp");
    }
  }
  if (!block.async().issues[warp.position / warpgroup_warps].agrees(issued_, first)) {
    fail(cuda_launch_failed, "wgmma: the warps of a warpgroup issue different products");
  }
  if (!first.a) decode(first.a_place);
  decode(first.b_place);
  const auto same = [&](const std::shared_ptr<Sums>& sums) { return sums->places[0] == first.sums; };
  const auto known = std::find_if(under_way_.begin(), under_way_.end(), same);
  std::shared_ptr<Sums> sums;
  if (known != under_way_.end()) {
    sums = *known;
    if (sums->columns != first.columns) fail(cuda_launch_failed, "wgmma: sums that are under way in another shape");
    for (float* place : sums->places) check_mark(place, sums->columns);
  } else {
    if (!fenced_) fail(cuda_launch_failed, "wgmma: no rt_wgmma_fence since the registers were last used");
    sums = std::make_shared<Sums>();
    sums->columns = first.columns;
    for (u32 lane = 0; lane < warp_lanes; lane++) {
      float* place = sums->places[lane] = ((const Wgmma*)warp.operands[lane])->sums;
      for (u32 i = 0; i < first.columns / 2; i++) sums->rows[row_of(lane, i)][column_of(lane, i)] = place[i];
      mark(place, first.columns);
    }
    under_way_.push_back(sums);
  }
  sums->last = issued_;
  Product product = {sums, first, {}, issued_++};
  for (u32 lane = 0; lane < warp_lanes && first.a; lane++) {
    std::memcpy(product.a[lane], ((const Wgmma*)warp.operands[lane])->a, 16);
  }
  if (block.launch->options.late_products) {
    products_.push_back(product);
  } else {
    carry_out(warp, product);
  }
}

void Products::carry_out(Warp& warp, const Product& product) {
  AsyncUnits& units = warp.threads->block->async();
  AsyncProxy& proxy = units.proxy;
  auto& [a, b] = units.operands;
  const Wgmma& operands = product.operands;
  const u32 depth = operands.bytes ? step_bytes : step_bytes / 2, first_row = warp.position % warpgroup_warps * 16;
  const auto piece_at = [&](u32 address, float* to) {
    const unsigned char* piece = proxy.read16(address);
    if (!piece) warp.threads->block->abandon();
    return widen_piece(piece, operands.bytes, to);
  };
  if (operands.a) {
    for (u32 lane = 0; lane < warp_lanes; lane++) {
      for (u32 i = 0; i < 4; i++) {
        const u32 row = lane / 4 + i % 2 * 8, packed = product.a[lane][i];
        if (operands.bytes) {
          float* to = &a[row][lane % 4 * 4 + i / 2 * 16];
          for (u32 e = 0; e < 4; e++) to[e] = widen_e4m3((unsigned char)(packed >> 8 * e));
        } else {
          float* to = &a[row][lane % 4 * 2 + i / 2 * 8];
          to[0] = widen((u16)packed);
          to[1] = widen((u16)(packed >> 16));
        }
      }
    }
  } else {
    const Place place = decode(operands.a_place);
    for (u32 row = 0; row < 16; row++) {
      for (u32 piece = 0, k = 0; k < depth; piece++) k += piece_at(along_k(place, first_row + row, piece), &a[row][k]);
    }
  }
  const Place place = decode(operands.b_place);
  if (operands.b_transposed) {
    for (u32 k = 0; k < depth; k++) {
      for (u32 column = 0; column < operands.columns; column += 8) piece_at(across_k(place, column, k), &b[k][column]);
    }
  } else {
    for (u32 column = 0; column < operands.columns; column++) {
      float line[32];
      for (u32 piece = 0, k = 0; k < depth; piece++) k += piece_at(along_k(place, column, piece), &line[k]);
      for (u32 k = 0; k < depth; k++) b[k][column] = line[k];
    }
  }
  Sums& sums = *product.sums;
  if (!operands.accumulate) std::memset(sums.rows, 0, sizeof sums.rows);
  add_product(sums.rows, a, b, operands.columns, depth);
  warp.threads->block->mmas++;
}

void Products::commit() { group_ends_.push_back(issued_); }

void Products::wait(Warp& warp, u32 pending) {
  if (group_ends_.size() <= pending) return;
  const u64 end = group_ends_[group_ends_.size() - pending - 1];
  group_ends_.erase(group_ends_.begin(), group_ends_.end() - (long)pending);
  while (!products_.empty() && products_.front().number < end) {
    carry_out(warp, products_.front());
    products_.erase(products_.begin());
  }
  for (size_t i = 0; i < under_way_.size();) {
    if (under_way_[i]->last >= end) {
      i++;
      continue;
    }
    give_back(*under_way_[i]);
    under_way_.erase(under_way_.begin() + (long)i);
    fenced_ = false;
  }
}

void Products::give_back(Sums& sums) {
  for (u32 lane = 0; lane < warp_lanes; lane++) {
    check_mark(sums.places[lane], sums.columns);
    for (u32 i = 0; i < sums.columns / 2; i++) sums.places[lane][i] = sums.rows[row_of(lane, i)][column_of(lane, i)];
  }
}

const Operation wgmma_fence{"rt_wgmma_fence", [](Warp& warp) { of(warp).fence(); }};
const Operation wgmma{"rt_wgmma", [](Warp& warp) { of(warp).issue(warp); }};
const Operation wgmma_commit{"rt_wgmma_commit", [](Warp& warp) { of(warp).commit(); }};
const Operation wgmma_wait{"rt_wgmma_wait",
                           [](Warp& warp) { of(warp).wait(warp, ((const WgmmaWait*)warp.operands[0])->pending); }};

}  // namespace rt_host
