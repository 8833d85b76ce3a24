// token_states.cpp: who holds a heap. Every change of every token is seen.
#include <array>
#include <iostream>

#include "props/kit/chart.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

class TokenWatch : public Watch {
  public:
    TokenWatch() {
        using enum hak::Token;
        chart_.allow<hak::Token>({
            // a thread's first call makes a heap
            {unborn, owned},
            {owned, busy},
            {busy, owned},    // its slow paths
            {busy, orphan},   // it ends
            {orphan, owned},  // adopted whole
            {orphan, tended},
            {tended, orphan},  // others look after it
            {owned, tended},
            {tended, owned},
            // its own thread sleeps meanwhile
            {tended, awaited},
            {awaited, owned},
            {owned, frozen},
            {busy, frozen},  // in the child of a fork
        });
    }
    void on_token(const Heap* heap, hak::Token from, hak::Token to) override {
        const std::size_t where = (hak::address_of(heap) - hak::address_of(window.heap_memory(0))) /
                                  hak::Window<Observed>::kHeapStride;
        chart_.see(static_cast<unsigned>(from), static_cast<unsigned>(to), where);
        if (to == hak::Token::tended) before_[where] = from;
        const bool is_end = from == hak::Token::awaited ||
                            (from == hak::Token::tended && to != hak::Token::awaited);
        kit::require(!is_end || to == before_[where], "token of heap ", where,
                     ": a tender leaves it as another than it was");
    }
    void require_all_seen(bool is_full) override {
        chart_.print(std::cerr);
        if (is_full) chart_.require_all_seen();
    }

  private:
    std::array<hak::Token, kit::kTinyConfig.heaps_max> before_{};  // what the tender found
    kit::Chart chart_{"token of heap",
                      {"unborn", "owned", "busy", "orphan", "tended", "awaited", "frozen"}};
};

}  // namespace

Watch& token_watch() {
    static TokenWatch eyes;
    return eyes;
}

}  // namespace states
