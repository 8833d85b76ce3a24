// token_states.cpp: who holds a heap. Every change of every token is seen.
#include <array>
#include <iostream>

#include "props/kit/transition_table.hpp"
#include "props/states/observed.hpp"
#include "props/states/stage.hpp"

namespace states {
namespace {

class TokenWatch : public Watch {
  public:
    TokenWatch() {
        using enum hak::Token;
        transitions_.allow<hak::Token>({
            // a thread's first call makes a heap
            {unborn, owned},
            {owned, busy},
            {busy, owned},    // its slow paths
            {busy, orphan},   // it ends
            {orphan, owned},  // adopted whole
            {orphan, visited},
            {visited, orphan},  // others look after it
            {owned, visited},
            {visited, owned},
            // its own thread sleeps meanwhile
            {visited, awaited},
            {awaited, owned},
            {owned, frozen},
            {busy, frozen},  // in the child of a fork
        });
    }
    void on_token(const Heap* heap, hak::Token from, hak::Token to) override {
        const std::size_t where = (hak::address_of(heap) - hak::address_of(window.heap_memory(0))) /
                                  hak::Window<Observed>::kHeapStride;
        transitions_.see(static_cast<unsigned>(from), static_cast<unsigned>(to), where);
        if (to == hak::Token::visited) before_[where] = from;
        const bool is_end = from == hak::Token::awaited ||
                            (from == hak::Token::visited && to != hak::Token::awaited);
        kit::require(!is_end || to == before_[where], "token of heap ", where,
                     ": a visitor leaves it as another than it was");
    }
    void require_all_seen(bool is_full) override {
        transitions_.print(std::cerr);
        if (is_full) transitions_.require_all_seen();
    }

  private:
    std::array<hak::Token, kit::kTinyConfig.heaps_max> before_{};  // what the visitor found
    kit::TransitionTable transitions_{
        "token of heap", {"unborn", "owned", "busy", "orphan", "visited", "awaited", "frozen"}};
};

}  // namespace

Watch& token_watch() {
    static TokenWatch eyes;
    return eyes;
}

}  // namespace states
