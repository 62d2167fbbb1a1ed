#include "mbarrier.h"
#include <algorithm>
#include "block.h"
#include "failure.h"

namespace rt_host {
namespace {

constexpr u32 most_arrivals = (1 << 20) - 1;
constexpr int most_bytes = 1 << 20;
constexpr u64 tag = 2;  // of an initialised word; fresh shared memory has another

// A word: pending arrivals in bits 0 to 19, expected ones to 39, bytes under way plus 2^20 to 60, the phase in 61, the tag.
struct State {
  u32 pending, expected;
  int bytes;
  u32 phase;
};

bool decode(const u64* word, State& state) {
  const u64 bits = *word;
  if (bits >> 62 != tag) return false;
  state = {(u32)(bits & most_arrivals), (u32)(bits >> 20 & most_arrivals), (int)(bits >> 40 & 0x1fffff) - most_bytes,
           (u32)(bits >> 61 & 1)};
  return true;
}

void encode(u64* word, State state) {
  if (state.pending == 0 && state.bytes == 0) {
    state.phase ^= 1;
    state.pending = state.expected;
  }
  *word = state.pending | (u64)state.expected << 20 | (u64)(state.bytes + most_bytes) << 40 | (u64)state.phase << 61 |
          tag << 62;
}

State state_of(const u64* word) {
  State state;
  if (!decode(word, state)) fail(cuda_launch_failed, "mbarrier: not initialised, or written over");
  return state;
}

}  // namespace

void Mbarriers::init(u64* word, u32 arrivals) {
  if ((uintptr_t)word % 8) fail(cuda_misaligned_address, "mbarrier: %p is not 8-byte aligned", (void*)word);
  if (arrivals == 0 || arrivals > most_arrivals) fail(cuda_launch_failed, "mbarrier: %u arrivals", arrivals);
  *word = arrivals | (u64)arrivals << 20 | (u64)most_bytes << 40 | tag << 62;
  const auto known = std::find_if(barriers_.begin(), barriers_.end(), [=](const Barrier& b) { return b.word == word; });
  if (known == barriers_.end()) {
    barriers_.push_back({word, false});
  } else {
    known->fenced = false;
  }
}

void Mbarriers::fence() {
  for (Barrier& barrier : barriers_) barrier.fenced = true;
}

bool Mbarriers::is_fenced(const u64* word) const {
  return std::any_of(barriers_.begin(), barriers_.end(), [=](const Barrier& b) { return b.word == word && b.fenced; });
}

void Mbarriers::arrive(u64* word, u32 expected_bytes) {
  State state = state_of(word);
  if (state.pending == 0) fail(cuda_launch_failed, "mbarrier: more arrivals than the %u of a phase", state.expected);
  state.bytes += (int)expected_bytes;
  if (state.bytes >= most_bytes) fail(cuda_launch_failed, "mbarrier: too many bytes are expected");
  state.pending--;
  encode(word, state);
}

void Mbarriers::complete(u64* word, u32 bytes) {
  State state;
  if (!decode(word, state) || state.bytes - (int)bytes <= -most_bytes) {
    report(block_, nullptr, cuda_launch_failed, "mbarrier: a copy ends at a word that is no barrier");
    return;
  }
  state.bytes -= (int)bytes;
  encode(word, state);
}

void Mbarriers::wait(u64* word, u32 parity) {
  if (parity > 1) fail(cuda_launch_failed, "mbarrier: the parity is %u", parity);
  if (state_of(word).phase != parity) return;
  block_.wait_until({"a wait for an mbarrier",
                     [](const Block&, u64 ticket) {
                       State state;
                       return decode((const u64*)(ticket & ~1ull), state) && state.phase != (ticket & 1);
                     },
                     (u64)word | parity});
}

void Mbarriers::check_end() const {
  for (const Barrier& barrier : barriers_) {
    State state;
    if (decode(barrier.word, state) && state.bytes != 0) {
      report(block_, nullptr, cuda_launch_failed, "mbarrier: at the end %d bytes are expected that did not come",
             state.bytes);
    }
  }
}

}  // namespace rt_host
